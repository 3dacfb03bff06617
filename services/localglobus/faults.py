"""The fault switch, open only with `--faults`: make the next calls of a kind fail as a real service fails at times.

    POST /faults {"kind": "transfer.submit", "times": 2, "error": {"http_status": 503, "code": "ServiceUnavailable", "message": "..."}}
    POST /faults {"kind": "ls", "delay_s": 3}
    POST /faults {"kind": "transfer.submit", "drop": true, "after": true}     the act is done, its answer is lost
    GET /faults, DELETE /faults

`times` is 1 unless said; a kind is one of `KINDS`, or `*`. The switch is one for the process, so it works on the GCS Managers too.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import asdict, dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.localglobus import recent
from services.localglobus.bodies import read_object
from services.localglobus.errors import make_request_id

KINDS = {
    "authorize": ("GET", "/v2/oauth2/authorize"),
    "token": ("POST", "/v2/oauth2/token"),
    "introspect": ("POST", "/v2/oauth2/token/introspect"),
    "revoke": ("POST", "/v2/oauth2/token/revoke"),
    "userinfo": ("GET", "/v2/oauth2/userinfo"),
    "identities": ("GET", "/v2/api/identities"),
    "groups": ("GET", "/v2/groups.*"),
    "endpoint.get": ("GET", "/v0.10/endpoint/[^/]+"),
    "endpoint.search": ("GET", "/v0.10/endpoint_search"),
    "ls": ("GET", "/v0.10/operation/endpoint/[^/]+/ls"),
    "stat": ("GET", "/v0.10/operation/endpoint/[^/]+/stat"),
    "mkdir": ("POST", "/v0.10/operation/endpoint/[^/]+/mkdir"),
    "rename": ("POST", "/v0.10/operation/endpoint/[^/]+/rename"),
    "access.list": ("GET", "/v0.10/endpoint/[^/]+/access_list"),
    "access.create": ("POST", "/v0.10/endpoint/[^/]+/access"),
    "access.update": ("PUT", "/v0.10/endpoint/[^/]+/access/[^/]+"),
    "access.delete": ("DELETE", "/v0.10/endpoint/[^/]+/access/[^/]+"),
    "role.list": ("GET", "/v0.10/endpoint/[^/]+/role_list"),
    "role.create": ("POST", "/v0.10/endpoint/[^/]+/role"),
    "role.delete": ("DELETE", "/v0.10/endpoint/[^/]+/role/[^/]+"),
    "submission_id": ("GET", "/v0.10/submission_id"),
    "transfer.submit": ("POST", "/v0.10/transfer"),
    "delete.submit": ("POST", "/v0.10/delete"),
    "task.get": ("GET", "/v0.10/task/[^/]+"),
    "task.list": ("GET", "/v0.10/task_list"),
    "task.cancel": ("POST", "/v0.10/task/[^/]+/cancel"),
    "task.events": ("GET", "/v0.10/task/[^/]+/event_list"),
    "task.successful": ("GET", "/v0.10/task/[^/]+/successful_transfers"),
    "task.skipped": ("GET", "/v0.10/task/[^/]+/skipped_errors"),
    "search.query": ("POST", "/v1/index/[^/]+/search"),
    "search.ingest": ("POST", "/v1/index/[^/]+/ingest"),
    "timer.create": ("POST", "/v2/timer"),
    "timer.get": ("GET", "/jobs/[^/]+"),
    "gcs.info": ("GET", "/api/info"),
    "gcs.create": ("POST", "/api/collections"),
    "gcs.get": ("GET", "/api/collections/[^/]+"),
    "gcs.delete": ("DELETE", "/api/collections/[^/]+"),
    "node.access": ("POST", "/dtn/v1/access"),
    "node.lease": ("POST", "/dtn/v1/orders/lease"),
    "node.heartbeat": ("POST", "/dtn/v1/orders/[^/]+/heartbeat"),
    "node.results": ("POST", "/dtn/v1/orders/[^/]+/results"),
    "node.finish": ("POST", "/dtn/v1/orders/[^/]+/finish"),
    "node.ticket": ("POST", "/dtn/v1/tickets/check"),
}


@dataclass
class Fault:
    """What the next `times` calls of a kind meet."""

    kind: str
    times: int = 1
    error: dict[str, Any] | None = None
    delay_s: float = 0.0
    drop: bool = False
    after: bool = False


WAITING: list[Fault] = []


def kind_of(method: str, path: str) -> str | None:
    """Returns the kind of a request, or None for one that has no name here."""
    path = re.sub("/+", "/", path)
    return next((kind for kind, (verb, pattern) in KINDS.items() if verb == method and re.fullmatch(pattern, path)), None)


def take(kind: str) -> Fault | None:
    """Returns the first fault that waits for a call of this kind and counts it down."""
    for fault in WAITING:
        if fault.kind in {kind, "*"}:
            fault.times -= 1
            if fault.times <= 0:
                WAITING.remove(fault)
            return fault
    return None


def wrap(app: ASGIApp) -> ASGIApp:
    """Returns the app behind the switch."""

    async def switched(scope: Scope, receive: Receive, send: Send) -> None:
        kind = kind_of(scope["method"], scope["path"]) if scope["type"] == "http" else None
        fault = take(kind) if kind is not None else None
        if fault is None:
            await app(scope, receive, send)
            return
        began = time.monotonic()
        await asyncio.sleep(fault.delay_s)
        if fault.after:
            await app(scope, receive, _lose)
        if fault.drop:
            recent.note(scope, via="HTTP", status=None, began=began, fault="the fault switch closed the connection")
            await _drop(send)
        elif fault.error is not None:
            status = int(fault.error.get("http_status", 500))
            recent.note(scope, via="HTTP", status=status, began=began, fault="said by the fault switch")
            await _answer(fault.error, scope["path"], send)
        elif not fault.after:
            await app(scope, receive, send)

    return switched


async def _lose(message: Message) -> None:
    """Takes an answer that nobody shall have."""


async def _drop(send: Send) -> None:
    """Closes the connection without an answer. `send` is a method of uvicorn's request, which knows the connection."""
    connection = getattr(send, "__self__", None)
    if connection is None:
        raise RuntimeError("the fault switch must be the outermost app to drop connections")
    connection.transport.abort()
    await asyncio.sleep(0.05)  # until the loop has told the request that its connection is gone; it would answer 500 otherwise


async def _answer(error: dict[str, Any], path: str, send: Send) -> None:
    status = int(error.get("http_status", 500))
    code, message = error.get("code", "ServiceUnavailable"), error.get("message", "by the fault switch")
    body = {"code": code, "message": message, "request_id": make_request_id(), "resource": path, "http_response_code": status, "data": []}
    headers = [(b"content-type", b"application/json")]
    if "retry_after" in error:
        headers.append((b"retry-after", str(error["retry_after"]).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def add(request: Request) -> Response:
    asked = await read_object(request)
    try:
        fault = Fault(**asked)
    except TypeError as error:
        return JSONResponse({"code": "BadRequest", "message": str(error)}, status_code=400)
    if fault.kind not in KINDS and fault.kind != "*":
        return JSONResponse({"code": "BadRequest", "message": f"kind must be * or one of {', '.join(KINDS)}"}, status_code=400)
    if fault.after and not fault.drop and fault.error is None:
        return JSONResponse({"code": "BadRequest", "message": "after needs drop or an error"}, status_code=400)
    WAITING.append(fault)
    return JSONResponse(asdict(fault), status_code=201)


async def show(request: Request) -> Response:
    return JSONResponse({"faults": [asdict(fault) for fault in WAITING]})


async def clear(request: Request) -> Response:
    WAITING.clear()
    return JSONResponse({"faults": []})


routes = [
    Route("/faults", add, methods=["POST"]),
    Route("/faults", show, methods=["GET"]),
    Route("/faults", clear, methods=["DELETE"]),
]
