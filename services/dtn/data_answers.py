"""What the data port answers: a range of a file, and bundles of small files, as far as a pull ticket opens them.

Everything blocks and runs in the connection's own thread. The ticket's rights are looked at for every chunk, never older than a second.
SHA-256 is taken from the very bytes that are sent, where a file flows in order (`digests.Following`).
"""

import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers

from services.dtn.accounting import Connection
from services.dtn.bundles import Chunk, Wanted
from services.dtn.conditions import RangeError, check_conditions, wanted_ranges
from services.dtn.digests import Following, as_field
from services.dtn.errors import BadRequestError, ForbiddenError, MissingError, NodeError, UnauthorizedError, from_os_error
from services.dtn.faults import DropError, Fault
from services.dtn.node import Collection, Node
from services.dtn.operations import ticket_from
from services.dtn.paths import from_url, is_part_name
from services.dtn.rights import FRESH_S, REFRESH_S, Access
from services.dtn.storage import File
from services.dtn.tls_stream import TlsStream

SEND_BYTES = 256 << 10  # hashed and encrypted while it is still in the processor's cache
Ask = Callable[[Coroutine[Any, Any, Access]], Access]


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    target: str
    headers: Headers
    body: bytes


class HeldTicket:
    """The rights of a ticket while bytes flow, for one thread: asked anew after half a second, never used when older than one."""

    def __init__(self, node: Node, collection: Collection, ask: Ask, headers: Headers) -> None:
        self._node, self._collection, self._ask, self._ticket = node, collection, ask, ticket_from(headers)
        self._access = self._ask_now(FRESH_S)
        if not self._access.is_active:
            raise UnauthorizedError("The ticket is not known or has ended.")

    def _ask_now(self, max_age_s: float) -> Access:
        return self._ask(self._node.tickets.get(self._collection.id, self._ticket, max_age_s=max_age_s))

    def may_read(self, path: str) -> bool:
        age_s = time.monotonic() - self._access.asked_at
        if age_s >= REFRESH_S:
            try:
                self._access = self._ask_now(REFRESH_S)
            except NodeError:
                if age_s >= FRESH_S:
                    raise
        return self._access.may_read(path)

    def require(self, *paths: str) -> None:
        if not all(self.may_read(path) for path in paths):
            raise ForbiddenError(f"The ticket does not open {paths[0]}.")


class Answers:
    def __init__(self, node: Node, ask: Ask) -> None:
        self._node = node
        self._ask = ask
        self._buffers = threading.local()

    def answer(self, stream: TlsStream, connection: Connection, asked: Asked) -> int:
        """Answer one request; returns the status. Raises DropError or OSError where only a cut connection can say what is wrong."""
        try:
            if asked.method == "POST" and asked.target == "/.dtn/v1/bundle":
                return self._send_bundle(stream, connection, asked)
            if asked.method == "GET" and not asked.target.startswith("/.dtn/"):
                return self._send_file(stream, connection, asked)
            raise MissingError("Nothing is here.")
        except _BegunError as error:
            raise DropError from error
        except NodeError as error:
            return self.refuse(stream, connection, error)

    def refuse(self, stream: TlsStream, connection: Connection, error: NodeError) -> int:
        body = json.dumps({"code": error.code, "message": error.message}).encode()
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Cache-Control": "no-store"}
        if isinstance(error, RangeError):
            fields["Content-Range"] = f"bytes */{error.size}"
        stream.sendall(_head(error.http_status, fields) + body)
        connection.control_out += len(body)
        return error.http_status

    # --- a file ------------------------------------------------------------------------------------------------------------------

    def _send_file(self, stream: TlsStream, connection: Connection, asked: Asked) -> int:
        collection_id, _, rest = asked.target.lstrip("/").partition("/")
        collection = self._node.collection(collection_id)
        path = from_url("/" + rest)
        if any(is_part_name(name) for name in path.split("/")):
            raise MissingError(f"Nothing is at {path}.")
        fault = self._node.faults.take("get")
        if fault is not None and not fault.after_bytes:
            time.sleep(fault.delay_s)
            fault.strike()
        ticket = HeldTicket(self._node, collection, self._ask, asked.headers)
        ticket.require(path)
        try:
            file = collection.storage.open(path)
        except OSError as error:
            raise from_os_error(error, path=path) from error
        with closing(file):
            ticket.require(path, file.real_path)
            return self._send_range(stream, connection, asked, file, ticket, (path, file.real_path), fault)

    def _send_range(
        self, stream: TlsStream, connection: Connection, asked: Asked, file: File, ticket: HeldTicket, paths: tuple[str, str],
        fault: Fault | None,
    ) -> int:  # fmt: skip
        stamp = file.stamp
        check_conditions(asked.headers, stamp, is_read=False)
        ranges = wanted_ranges(asked.headers, stamp)
        if ranges is not None and len(ranges) > 1:
            raise BadRequestError("One range at a time is sent here.")
        offset, length = ranges[0] if ranges else (0, stamp.size)
        fields = {
            "Content-Length": str(length), "ETag": stamp.etag, "Last-Modified": formatdate(stamp.mtime_ns // 10**9, usegmt=True),
            "Content-Type": "application/octet-stream", "Accept-Ranges": "bytes",
        }  # fmt: skip
        if ranges:
            fields["Content-Range"] = f"bytes {offset}-{offset + length - 1}/{stamp.size}"
        following = None
        known = self._node.digests.known(stamp)
        if known is not None:
            fields["Repr-Digest"] = as_field(known)
        elif "sha-256" in asked.headers.get("want-repr-digest", ""):
            following = self._node.digests.follow(file, offset) if offset + length == stamp.size else None
            if following is None:
                self._node.digests.start(file)
        status = 206 if ranges else 200
        stream.sendall(_head(status, fields))
        file.announce(offset, length)
        n_sent = 0
        try:
            for chunk in self._chunks(file, offset, length, following):
                ticket.require(*paths)
                if fault is not None and fault.comes_within(n_sent, len(chunk)):
                    time.sleep(fault.delay_s)
                    fault.strike()
                stream.sendall(chunk if fault is None else fault.spoil(chunk, n_sent))
                n_sent += len(chunk)
                connection.data_out += len(chunk)
        except (NodeError, OSError) as error:
            raise _BegunError from error
        finally:
            if following is not None:
                self._node.digests.release(following)
        return status

    def _chunks(self, file: File, offset: int, length: int, following: Following | None) -> Iterator[memoryview]:
        buffer = self._buffer()
        end = offset + length
        while offset < end:
            n_bytes = file.read_into(buffer[: end - offset], offset)
            if n_bytes == 0:
                raise OSError("file ended early")
            if following is not None:
                following.feed(buffer[:n_bytes])
                if offset + n_bytes == end:
                    self._node.digests.finish(following, file)
            offset += n_bytes
            yield buffer[:n_bytes]

    def _buffer(self) -> memoryview:
        buffer: memoryview | None = getattr(self._buffers, "buffer", None)
        if buffer is None:
            buffer = self._buffers.buffer = memoryview(bytearray(SEND_BYTES))
        return buffer

    # --- many small files --------------------------------------------------------------------------------------------------------

    def _send_bundle(self, stream: TlsStream, connection: Connection, asked: Asked) -> int:
        try:
            question = json.loads(asked.body)
            collection_id = str(question["collection"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BadRequestError("The body is no JSON object with 'collection' and 'paths'.") from error
        wanted = Wanted.read(question)
        collection = self._node.collection(collection_id)
        ticket = HeldTicket(self._node, collection, self._ask, asked.headers)
        stream.sendall(_head(200, {"Content-Type": "application/vnd.causeway.bundle", "Transfer-Encoding": "chunked"}))
        chunks = wanted.chunks(collection.storage, ticket.may_read, self._node.faults)
        try:
            with closing(chunks):
                for body, n_data in chunks:
                    self._send_chunk(stream, connection, (body, n_data))
            stream.sendall(b"0\r\n\r\n")
        except (NodeError, OSError) as error:
            raise _BegunError from error
        return 200

    def _send_chunk(self, stream: TlsStream, connection: Connection, chunk: Chunk) -> None:
        body, n_data = chunk
        stream.sendall(b"%x\r\n%b\r\n" % (len(body), body))
        connection.data_out += n_data
        connection.control_out += len(body) - n_data


class _BegunError(Exception):
    """An answer that has begun cannot go on."""


def _head(status: int, fields: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
