"""Resumable uploads: a file is put in parts by `PUT` with `Content-Range`, and goes on after any break, also a kill of the node.

The exchange is that of Google Cloud Storage's resumable uploads (https://cloud.google.com/storage/docs/performing-resumable-uploads,
"chunked upload" and "check the status"), at the file's own address instead of a session's:

- `Content-Range: bytes 0-1048575/5000000` brings bytes in order; 308 with `Range: bytes=0-1048575` tells how much is safe, 201 or 204 that
  the file is whole and has its name. A part that does not begin where the last ended changes nothing and is answered with that 308.
- `Content-Range: bytes */5000000` without a body asks how much is there; 308 without `Range` means nothing.

What a broken connection brought is kept. An upload belongs to an identity, a path and a total size, and is forgotten after a week.
Not chosen: draft-ietf-httpbis-resumable-upload, which is still changing its header fields and which storage clients do not speak.
"""

import asyncio
import functools
import hashlib
import re
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from services.dtn.accounting import SCOPE_KEY, Connection
from services.dtn.conditions import check_conditions
from services.dtn.digests import as_field, from_field
from services.dtn.errors import BadRequestError, IsDirectoryError, from_os_error
from services.dtn.node import Node
from services.dtn.serving import IS_DATA, locate
from services.dtn.signing_in import Sessions
from services.dtn.storage import Target, Upload
from services.dtn.uploading import WRITE_BYTES, Writer, guard_write, in_threads

_FIELD = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/([1-9]\d{0,17})\Z", re.ASCII)


@dataclass(frozen=True)
class Span:
    """What a `Content-Range` says: bytes from `offset`, `length` of them (None: only a question), of `total`."""

    offset: int
    length: int | None
    total: int


def span_of(field: str) -> Span:
    """Read a `Content-Range` (RFC 9110, section 14.4) whose total is known. Raises BadRequestError."""
    match = _FIELD.match(field.strip())
    if match is None:
        raise BadRequestError("Content-Range is 'bytes first-last/total' or 'bytes */total'.")
    first, last, total = match.groups()
    if first is None:
        return Span(0, None, int(total))
    if int(last) < int(first) or int(last) >= int(total):
        raise BadRequestError("Content-Range names bytes that the file does not have.")
    return Span(int(first), int(last) - int(first) + 1, int(total))


async def write_part(request: Request, node: Node, sessions: Sessions) -> Response:
    """PUT with `Content-Range`: 308 while there is more to come, 201 for a new file, 204 for a replaced one. Safe to repeat.

    `Content-Digest` is held against the part, `Repr-Digest` (both RFC 9530) against the whole file when it is complete.
    """
    span = span_of(request.headers["content-range"])
    collection, path = await locate(request, node)
    writer = await guard_write(request, node, sessions, collection, path)
    if path.endswith("/"):
        raise IsDirectoryError("A file's name does not end with '/'.")
    request.scope[IS_DATA] = True
    try:
        async with in_threads(node.readers, writer.storage.target(path)) as target:
            check_conditions(request.headers, target.replaces, is_read=False)
            key = hashlib.sha256(f"{collection.id}\n{writer.identity}\n{target.real_path}\n{span.total}".encode()).hexdigest()
            return await _Part(request, node, writer, target, key[:12], span).run()
    except OSError as error:
        raise from_os_error(error, path=path) from error
    finally:
        writer.guard.close()


class _Part:
    """One request of a resumable upload."""

    def __init__(self, request: Request, node: Node, writer: Writer, target: Target, identifier: str, span: Span) -> None:
        self._request = request
        self._node = node
        self._writer = writer
        self._target = target
        self._identifier = identifier
        self._span = span
        self._noted = target.note(identifier)

    async def run(self) -> Response:
        connection: Connection = self._request.scope[SCOPE_KEY]
        span, readers, loop = self._span, self._node.readers, asyncio.get_running_loop()
        async with self._node.uploads.alone(self._noted, connection):
            makes = span.length is not None
            if makes:
                self._node.uploads.touch(self._noted)
            begin = functools.partial(self._target.resume, self._identifier, total=span.total, makes=makes)
            try:
                upload = await loop.run_in_executor(readers, begin)
            except FileNotFoundError:  # only a question, and nothing has come yet
                return _more(0)
            try:
                if span.length is not None and span.offset == upload.size:
                    await self._receive(upload, span.length)
                return await self._complete(upload) if upload.size == span.total else _more(upload.size)
            finally:
                await loop.run_in_executor(readers, upload.close)

    async def _receive(self, upload: Upload, length: int) -> None:
        """Append what comes, and make it safe. What a cut connection brought stays."""
        loop, readers = asyncio.get_running_loop(), self._node.readers
        digest, start, n_bytes, gathered = hashlib.sha256(), upload.size, 0, bytearray()

        def write(chunk: bytes) -> None:
            digest.update(chunk)
            upload.append(chunk)

        try:
            async for chunk in self._request.stream():
                gathered += chunk
                n_bytes += len(chunk)
                _require_room(n_bytes, length)
                if len(gathered) >= WRITE_BYTES:
                    await self._writer.guard.check()
                    await loop.run_in_executor(readers, write, bytes(gathered))
                    gathered.clear()
        except ClientDisconnect as error:
            await loop.run_in_executor(readers, write, bytes(gathered))
            raise BadRequestError("The part was not completed; what came is kept.") from error
        except OverflowedError:
            await loop.run_in_executor(readers, upload.truncate, start)
            raise
        await loop.run_in_executor(readers, write, bytes(gathered))
        wanted = from_field(self._request.headers.get("content-digest", ""))
        if wanted is not None and wanted != digest.hexdigest():
            await loop.run_in_executor(readers, upload.truncate, start)
            raise BadRequestError("The bytes that came do not have the digest that was sent.", code="DigestMismatch")
        await self._writer.guard.check()
        await loop.run_in_executor(readers, upload.sync)

    async def _complete(self, upload: Upload) -> Response:
        loop, readers = asyncio.get_running_loop(), self._node.readers
        digest = await loop.run_in_executor(readers, upload.digest)
        wanted = from_field(self._request.headers.get("repr-digest", ""))
        if wanted is not None and wanted != digest:
            await loop.run_in_executor(readers, upload.discard)
            self._node.uploads.forget(self._noted)
            raise BadRequestError("The file does not have the digest that was sent; begin anew.", code="DigestMismatch")
        await self._writer.guard.check()
        stamp = await loop.run_in_executor(readers, upload.commit)
        self._node.uploads.forget(self._noted)
        self._node.digests.keep(stamp, digest)
        fields = {"ETag": stamp.etag, "Repr-Digest": as_field(digest)}
        return Response(status_code=201 if self._target.replaces is None else 204, headers=fields)


class OverflowedError(BadRequestError):
    """More came than was announced."""


def _require_room(n_bytes: int, length: int) -> None:
    if n_bytes > length:
        raise OverflowedError("More bytes came than Content-Range says.")


def _more(size: int) -> Response:
    """308 as Google uses it: no redirection, but "resume incomplete"."""
    return Response(status_code=308, headers={"Range": f"bytes=0-{size - 1}"} if size else {})
