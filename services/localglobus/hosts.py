"""For whom this program is meant: requests that ask for this machine, or for a host that `--allow-host` names.

A page of another site may have its own name lead here (DNS rebinding), and nobody is asked for a password here; so a request for a name
that is not ours is answered by 421 (RFC 9110, section 15.5.20), whatever it asks for.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from services.localglobus.certificates import is_loopback


def wrap(app: ASGIApp, *, allowed_hosts: tuple[str, ...]) -> ASGIApp:
    """Returns the app behind the question."""

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_ours(Headers(scope=scope).get("host", ""), allowed_hosts=allowed_hosts):
            await app(scope, receive, send)
        else:
            await PlainTextResponse("This is not the host that was asked for.\n", status_code=421)(scope, receive, send)

    return asked


def is_ours(host: str, *, allowed_hosts: tuple[str, ...] = ()) -> bool:
    """Whether a Host header names this machine."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_loopback(name) or name in allowed_hosts
