"""Writing over HTTPS: PUT into an unfinished file that takes its name only when it is whole and stored, and DELETE of one file."""

import asyncio
import contextlib
import functools
import hashlib
import secrets
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from services.dtn.callers import Caller, guard_for, identify
from services.dtn.conditions import check_conditions
from services.dtn.digests import Stamp, as_field, from_field
from services.dtn.errors import BadRequestError, ForbiddenError, IsDirectoryError, UnauthorizedError, from_os_error
from services.dtn.node import Collection, Node
from services.dtn.rights import Guard
from services.dtn.serving import IS_DATA, locate
from services.dtn.signing_in import Sessions
from services.dtn.storage import Storage, Target, Upload

WRITE_BYTES = 1 << 20


async def write_path(request: Request, node: Node, sessions: Sessions) -> Response:
    """PUT: 201 for a new file, 204 for a replaced one. Parent folders are made; a broken upload leaves nothing.

    `Repr-Digest` or `Content-Digest` (sha-256) is checked when it is sent; If-Match and If-None-Match are heeded.
    """
    collection, path = await locate(request, node)
    writer = await guard_write(request, node, sessions, collection, path)
    if path.endswith("/"):
        raise IsDirectoryError("A file's name does not end with '/'.")
    request.scope[IS_DATA] = True
    try:
        return await _Upload(request, node, writer.storage, path, writer.guard).run()
    except OSError as error:
        raise from_os_error(error, path=path) from error
    finally:
        writer.guard.close()


async def delete_path(request: Request, node: Node, sessions: Sessions) -> Response:
    """DELETE of one file: 204. Folders are deleted by delete tasks."""
    collection, path = await locate(request, node)
    writer = await guard_write(request, node, sessions, collection, path)
    writer.guard.close()

    def check(stamp: Stamp) -> None:
        check_conditions(request.headers, stamp, is_read=False)

    unlink = functools.partial(writer.storage.unlink, path, check=check)
    await asyncio.get_running_loop().run_in_executor(node.readers, unlink)
    return Response(status_code=204)


@dataclass(frozen=True)
class Writer:
    """The right while bytes flow, the collection's storage in which links lead nowhere else either, and whose right it is."""

    guard: Guard
    storage: Storage
    identity: str | None


async def guard_write(request: Request, node: Node, sessions: Sessions, collection: Collection, path: str) -> Writer:
    """Return the right to write `path`. Raises UnauthorizedError or ForbiddenError; the caller closes the guard."""
    caller = await identify(request, node, sessions, collection, path=path)
    if caller.kind == "ticket" or not caller.access.may_write(path):  # before the disk is asked: what is there is not told
        if caller.kind == "anonymous":
            raise UnauthorizedError("A bearer token for this collection is needed.")
        raise _refusal(caller, collection, path)
    real_path = await asyncio.get_running_loop().run_in_executor(node.readers, collection.storage.real_path, path)
    if not caller.access.may_write(real_path):
        raise _refusal(caller, collection, path)
    fault = node.faults.take(request.method.lower())
    if fault is not None:
        await asyncio.sleep(fault.delay_s)
        try:
            fault.strike()
        except OSError as error:
            raise from_os_error(error, path=path) from error
    guard = guard_for(node, caller, collection, paths=(path, real_path), writes=True)
    return Writer(guard, collection.storage.held_to(caller.access.may_write), caller.access.identity)


def _refusal(caller: Caller, collection: Collection, path: str) -> ForbiddenError:
    return ForbiddenError(f"{caller.access.username or 'This identity'} may not write {path} in {collection.name}.")


class _Upload:
    """One PUT, from the first byte to the name."""

    def __init__(self, request: Request, node: Node, storage: Storage, path: str, guard: Guard) -> None:
        self._request = request
        self._node = node
        self._storage = storage
        self._path = path
        self._guard = guard
        self._digest = hashlib.sha256()
        self._size = 0

    async def run(self) -> Response:
        loop = asyncio.get_running_loop()
        readers = self._node.readers
        async with in_threads(readers, self._storage.target(self._path)) as target:
            check_conditions(self._request.headers, target.replaces, is_read=False)
            identifier = secrets.token_hex(6)
            noted = target.note(identifier)
            self._node.uploads.begin(noted)
            announced = self._request.headers.get("content-length")
            begin = functools.partial(target.begin, identifier, total=None if announced is None else int(announced))
            upload = await loop.run_in_executor(readers, begin)
            try:
                await self._receive(upload)
                self._check_whole(announced)
                await self._guard.check()
                stamp = await loop.run_in_executor(readers, upload.commit)
            except BaseException:  # a client that goes away cancels the request: nothing of it stays either
                await loop.run_in_executor(readers, upload.discard)
                raise
            finally:
                await loop.run_in_executor(readers, upload.close)
                self._node.uploads.end(noted)
        self._node.digests.keep(stamp, self._digest.hexdigest())
        fields = {"ETag": stamp.etag, "Repr-Digest": as_field(self._digest.hexdigest())}
        return Response(status_code=201 if target.replaces is None else 204, headers=fields)

    async def _receive(self, upload: Upload) -> None:
        loop = asyncio.get_running_loop()
        gathered = bytearray()

        def write(chunk: bytes) -> None:
            self._digest.update(chunk)
            upload.append(chunk)
            self._size += len(chunk)

        try:
            async for chunk in self._request.stream():
                gathered += chunk
                if len(gathered) >= WRITE_BYTES:
                    await self._guard.check()
                    await loop.run_in_executor(self._node.readers, write, bytes(gathered))
                    gathered.clear()
        except ClientDisconnect as error:
            raise BadRequestError("The upload was not completed.") from error
        if gathered:
            await loop.run_in_executor(self._node.readers, write, bytes(gathered))

    def _check_whole(self, announced: str | None) -> None:
        if announced is not None and int(announced) != self._size:
            raise BadRequestError("The upload was not completed.")
        for field in ("repr-digest", "content-digest"):
            wanted = from_field(self._request.headers.get(field, ""))
            if wanted is not None and wanted != self._digest.hexdigest():
                raise BadRequestError("The bytes that came do not have the digest that was sent.", code="DigestMismatch")


@contextlib.asynccontextmanager
async def in_threads(executor: Executor, target: contextlib.AbstractContextManager[Target]) -> AsyncIterator[Target]:
    """Enter and leave a target's context in threads: a storage may be far away."""
    loop = asyncio.get_running_loop()
    entered = await loop.run_in_executor(executor, target.__enter__)
    try:
        yield entered
    finally:
        await loop.run_in_executor(executor, target.__exit__, None, None, None)
