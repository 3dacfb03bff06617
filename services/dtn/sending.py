"""Sending the bytes of an open file: with flat memory, the right asked for again while they flow, the connection cut when it is gone."""

import asyncio
import secrets
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.dtn.accounting import SCOPE_KEY, Connection
from services.dtn.errors import NodeError
from services.dtn.faults import DropError, Fault
from services.dtn.rights import Guard
from services.dtn.storage import File

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Part:
    """Bytes of the file, and what is sent before them."""

    offset: int
    length: int
    heading: bytes = b""

    def content_range(self, size: int) -> str:
        return f"bytes {self.offset}-{self.offset + self.length - 1}/{size}"


def as_multipart(parts: Sequence[Part], *, size: int, content_type: str) -> tuple[list[Part], bytes, str]:
    """Return the parts with headings, what closes them, and the Content-Type of the whole (RFC 9110, section 14.6)."""
    boundary = secrets.token_hex(16)
    headed = [
        Part(
            part.offset,
            part.length,
            f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {part.content_range(size)}\r\n\r\n".encode(),
        )
        for part in parts
    ]
    return headed, f"\r\n--{boundary}--\r\n".encode(), f"multipart/byteranges; boundary={boundary}"


class FileAnswer(Response):
    """Sends parts of an open file, one chunk read ahead; closes it."""

    def __init__(
        self, file: File, *, parts: Sequence[Part], status_code: int, fields: dict[str, str], guard: Guard, executor: Executor,
        closing: bytes = b"", fault: Fault | None = None,
    ) -> None:  # fmt: skip
        super().__init__(status_code=status_code, headers=fields)
        self._file = file
        self._parts = parts
        self._closing = closing
        self._offset = self._left = 0
        self._guard = guard
        self._executor = executor
        self._fault = fault
        self._n_sent = 0
        self._ahead: asyncio.Future[bytes] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection: Connection = scope[SCOPE_KEY]
        try:
            await self._guard.check()
        except NodeError:  # nothing is sent yet: it can still be said
            self._guard.close()
            self._file.close()
            raise
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._send_body(connection, send)
        except (DropError, NodeError, OSError):  # the answer has begun: only a cut connection says that it is not whole
            connection.abort()
        finally:
            self._guard.close()
            if self._ahead is not None:
                await asyncio.wait([self._ahead])  # never close under a read
            self._file.close()

    async def _send_body(self, connection: Connection, send: Send) -> None:
        for part in self._parts:
            if part.heading:
                await send({"type": "http.response.body", "body": part.heading, "more_body": True})
            self._offset, self._left = part.offset, part.length
            self._file.announce(part.offset, part.length)
            await self._send_part(connection, send)
        await send({"type": "http.response.body", "body": self._closing})

    async def _send_part(self, connection: Connection, send: Send) -> None:
        loop = asyncio.get_running_loop()
        self._ahead = self._read_ahead(loop)
        while self._ahead is not None:
            chunk = await self._ahead
            if self._n_sent:
                await self._guard.check()
            if not chunk:  # the file was cut short meanwhile
                raise OSError("file ended early")
            self._offset += len(chunk)
            self._left -= len(chunk)
            self._ahead = self._read_ahead(loop)
            if self._fault is not None and self._fault.comes_within(self._n_sent, len(chunk)):
                await asyncio.sleep(self._fault.delay_s)
                self._fault.strike()
            sent = chunk if self._fault is None else bytes(self._fault.spoil(chunk, self._n_sent))
            if connection.transport.is_closing():
                raise DropError
            self._n_sent += len(chunk)
            await send({"type": "http.response.body", "body": sent, "more_body": True})

    def _read_ahead(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[bytes] | None:
        if not self._left:
            return None
        return loop.run_in_executor(self._executor, self._file.read, min(CHUNK_BYTES, self._left), self._offset)
