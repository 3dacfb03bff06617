"""The last calls of the REST APIs, in memory: what the admin page shows, and nothing rests on it.

Kept of a call: when, what was asked (never what was sent), who asked, how it was answered. Nodes, which call all the time, have a ring of
their own. No token, code or secret is in an address of these APIs; the query of Auth's own endpoints is left out all the same.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_CALLS = 500
MOST_BODY = 8192
APIS = (
    "/v0.10/",
    "/v2/oauth2/",
    "/v2/api/",
    "/v2/groups",
    "/v2/bookmarks",
    "/v2/preferences",
    "/v1/",
    "/jobs",
    "/v2/timer",
    "/api/",
    "/dtn/",
)
CALLER = "localglobus.caller"
"""The member of an ASGI scope in which `authenticate` leaves the name of who calls."""


@dataclass(frozen=True, kw_only=True)
class Call:
    at: float
    method: str
    target: str
    via: str
    caller: str
    status: int | None  # None: the connection was closed without an answer
    code: str
    message: str
    took_s: float


CALLS: deque[Call] = deque(maxlen=MOST_CALLS)
NODE_CALLS: deque[Call] = deque(maxlen=MOST_CALLS)


def heard(scope: Scope, node: str) -> None:
    """Notes which node calls."""
    scope[CALLER] = node


def note(scope: Scope, *, via: str, status: int | None, body: bytes = b"", began: float, fault: str = "") -> None:
    """Keeps one call that was answered, or dropped."""
    path = scope["path"]
    query = scope.get("query_string", b"").decode("latin-1")
    code, message = _read_refusal(body) if status is not None and status >= 400 else ("", "")
    call = Call(
        at=time.time(),
        method=scope["method"],
        target=path if not query or path.startswith("/v2/oauth2/") else f"{path}?{query}",
        via=via,
        caller=scope.get(CALLER, ""),
        status=status,
        code=code,
        message=fault or message,
        took_s=time.monotonic() - began,
    )
    (NODE_CALLS if path.startswith("/dtn/") else CALLS).appendleft(call)


def wrap(app: ASGIApp, *, via: str) -> ASGIApp:
    """Returns the app with its API calls noted; `via` says through which door they came."""

    async def noted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(APIS) or scope["path"] == "/v2/oauth2/authorize":
            await app(scope, receive, send)
            return
        began, status, body = time.monotonic(), 0, b""

        async def send_noted(message: Message) -> None:
            nonlocal status, body
            if message["type"] == "http.response.start":
                status = message["status"]
            elif status >= 400 and len(body) < MOST_BODY:
                body += message.get("body", b"")
            await send(message)

        try:
            await app(scope, receive, send_noted)
        finally:
            note(scope, via=via, status=status or None, body=body, began=began)

    return noted


def _read_refusal(body: bytes) -> tuple[str, str]:
    """Code and words of an error document of any of the APIs."""
    try:
        document = json.loads(body)
    except ValueError:
        return "", ""
    if not isinstance(document, dict):
        return "", ""
    listed = document.get("errors")
    first: Mapping[str, Any] = listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], dict) else {}
    code = document.get("code") or first.get("code") or document.get("error") or ""
    message = document.get("message") or first.get("detail") or document.get("error_description") or ""
    return str(code), str(message)
