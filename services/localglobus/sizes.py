"""How much a request may send: a body that is larger is refused before it is held, whatever it is."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.localglobus.errors import ApiError

MOST_BODY_BYTES = 64 * 2**20
"""Room for a task of 100,000 items, and for a batch of a thousand results with the longest paths."""


def wrap(app: ASGIApp) -> ASGIApp:
    """Returns the app with its bodies counted as they come; who reads beyond the limit gets `ApiError` 413."""

    async def bounded(scope: Scope, receive: Receive, send: Send) -> None:
        n_bytes = 0

        async def receive_counted() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > MOST_BODY_BYTES:
                raise ApiError("RequestEntityTooLarge", f"A body has at most {MOST_BODY_BYTES} bytes", 413)
            return message

        await app(scope, receive_counted if scope["type"] == "http" else receive, send)

    return bounded
