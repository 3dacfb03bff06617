"""Writing over HTTPS: PUT into an unfinished file that takes its name only when it is whole and on the disk, and DELETE of one file."""

import asyncio
import hashlib
import os
import secrets
import stat
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from services.dtn.callers import Caller, guard_for, identify
from services.dtn.conditions import check_conditions
from services.dtn.digests import Stamp, as_field, from_field
from services.dtn.errors import BadRequestError, ForbiddenError, IsDirectoryError, MissingError, UnauthorizedError, from_os_error
from services.dtn.node import Collection, Node
from services.dtn.paths import Place, Root, part_name
from services.dtn.rights import Guard
from services.dtn.serving import IS_DATA, locate
from services.dtn.signing_in import Sessions

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
        return await _Upload(request, node, writer.root, path, writer.guard).run()
    except OSError as error:
        raise from_os_error(error, path=path) from error
    finally:
        writer.guard.close()


async def delete_path(request: Request, node: Node, sessions: Sessions) -> Response:
    """DELETE of one file: 204. Folders are deleted by delete tasks."""
    collection, path = await locate(request, node)
    writer = await guard_write(request, node, sessions, collection, path)
    writer.guard.close()
    await asyncio.get_running_loop().run_in_executor(node.readers, _unlink, writer.root, path, request)
    return Response(status_code=204)


@dataclass(frozen=True)
class Writer:
    """The right while bytes flow, the collection's folder in which links lead nowhere else either, and whose right it is."""

    guard: Guard
    root: Root
    identity: str | None


async def guard_write(request: Request, node: Node, sessions: Sessions, collection: Collection, path: str) -> Writer:
    """Return the right to write `path`. Raises UnauthorizedError or ForbiddenError; the caller closes the guard."""
    caller = await identify(request, node, sessions, collection, path=path)
    if caller.kind == "ticket" or not caller.access.may_write(path):  # before the disk is asked: what is there is not told
        if caller.kind == "anonymous":
            raise UnauthorizedError("A bearer token for this collection is needed.")
        raise _refusal(caller, collection, path)
    real_path = await asyncio.get_running_loop().run_in_executor(node.readers, _real_path, collection, path)
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
    return Writer(guard, collection.root.held_to(caller.access.may_write), caller.access.identity)


def _refusal(caller: Caller, collection: Collection, path: str) -> ForbiddenError:
    return ForbiddenError(f"{caller.access.username or 'This identity'} may not write {path} in {collection.name}.")


def _real_path(collection: Collection, path: str) -> str:
    """Return where writing `path` really lands: its deepest existing folder without links, then the rest of the names."""
    names = [name for name in path.split("/") if name]
    for depth in range(len(names) - 1, -1, -1):
        try:
            with collection.root.place("/" + "/".join(names[:depth])) as place:
                if place.status is not None:
                    return "/".join([place.real_path.rstrip("/"), *names[depth:]])
        except MissingError:
            continue
    return path


def _unlink(root: Root, path: str, request: Request) -> None:
    with root.place(path, follows_last=False) as place:
        status = place.require(path)
        if stat.S_ISDIR(status.st_mode):
            raise IsDirectoryError(f"{path} is a folder.")
        check_conditions(request.headers, Stamp.of(status), is_read=False)
        try:
            os.unlink(place.name, dir_fd=place.folder_fd)
        except OSError as error:
            raise from_os_error(error, path=path) from error


class _Upload:
    """One PUT, from the first byte to the rename."""

    def __init__(self, request: Request, node: Node, root: Root, path: str, guard: Guard) -> None:
        self._request = request
        self._node = node
        self._root = root
        self._path = path
        self._guard = guard
        self._digest = hashlib.sha256()
        self._size = 0

    async def run(self) -> Response:
        loop = asyncio.get_running_loop()
        readers = self._node.readers
        with self._root.place(self._path, makes_parents=True) as place:
            existed = check_target(self._request, place, self._path)
            name = part_name(place.name, secrets.token_hex(6))
            file = self._root.folder / place.real_path.lstrip("/")
            noted = file.with_name(name)
            self._node.uploads.begin(noted)
            fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=place.folder_fd)
            try:
                await self._receive(fd)
                self._check_whole()
                await self._guard.check()
                stamp = await loop.run_in_executor(readers, put_in_place, fd, name, place)
            except BaseException:
                os.unlink(name, dir_fd=place.folder_fd)
                raise
            finally:
                os.close(fd)
                self._node.uploads.end(noted)
        self._node.digests.keep(stamp, self._digest.hexdigest())
        fields = {"ETag": stamp.etag, "Repr-Digest": as_field(self._digest.hexdigest())}
        return Response(status_code=204 if existed else 201, headers=fields)

    async def _receive(self, fd: int) -> None:
        loop = asyncio.get_running_loop()
        gathered = bytearray()
        try:
            async for chunk in self._request.stream():
                gathered += chunk
                if len(gathered) >= WRITE_BYTES:
                    await self._guard.check()
                    await loop.run_in_executor(self._node.readers, self._write, fd, bytes(gathered))
                    gathered.clear()
        except ClientDisconnect as error:
            raise BadRequestError("The upload was not completed.") from error
        if gathered:
            await loop.run_in_executor(self._node.readers, self._write, fd, bytes(gathered))

    def _write(self, fd: int, chunk: bytes) -> None:
        self._digest.update(chunk)
        left = memoryview(chunk)
        while left:
            n_bytes = os.write(fd, left)
            self._size += n_bytes
            left = left[n_bytes:]

    def _check_whole(self) -> None:
        announced = self._request.headers.get("content-length")
        if announced is not None and int(announced) != self._size:
            raise BadRequestError("The upload was not completed.")
        for field in ("repr-digest", "content-digest"):
            wanted = from_field(self._request.headers.get(field, ""))
            if wanted is not None and wanted != self._digest.hexdigest():
                raise BadRequestError("The bytes that came do not have the digest that was sent.", code="DigestMismatch")


def check_target(request: Request, place: Place, path: str) -> bool:
    """Tell whether a file is there already. Raises IsDirectoryError, or ChangedError where a condition of the request does not hold."""
    if place.status is not None and not stat.S_ISREG(place.status.st_mode):
        raise IsDirectoryError(f"{path} is not a file.")
    check_conditions(request.headers, Stamp.of(place.status) if place.status else None, is_read=False)
    return place.status is not None


def put_in_place(fd: int, name: str, place: Place) -> Stamp:
    """Make a whole file durable and give it its name."""
    os.fsync(fd)
    os.rename(name, place.name, src_dir_fd=place.folder_fd, dst_dir_fd=place.folder_fd)
    folder_fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place.folder_fd)
    try:
        os.fsync(folder_fd)
    finally:
        os.close(folder_fd)
    return Stamp.of(os.fstat(fd))
