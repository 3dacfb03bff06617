"""What control and other nodes ask under `/.dtn/` (`PROTOCOL.md`, sections 3 and 6): ls, stat, mkdir, rename, delete, walk, digest.

Whether the identity may do it is control's decision. When control sends `rules` with an operation, the node also holds the *real*
path against them, so that a link inside the collection cannot lead from one share to another.
"""

import asyncio
import hmac
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from services.dtn.digests import Stamp
from services.dtn.entries import everything, list_folder, stat_path, walk
from services.dtn.errors import BadRequestError, ExistsError, ForbiddenError, MissingError, NodeError, UnauthorizedError, from_os_error
from services.dtn.filters import filters_from
from services.dtn.node import Collection, Node
from services.dtn.paths import Place, Root, normalise
from services.dtn.rights import Access, Guard, access_from

Answer = dict[str, Any]
DIGEST_WAIT_S = 5.0


def require_secret(request: Request, node: Node) -> None:
    """Let control in, and nobody else."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), node.settings.secret.encode()):
        raise UnauthorizedError("Only control asks here.")


async def operate(request: Request, node: Node) -> Response:
    """POST /.dtn/v1/operations/<verb>."""
    require_secret(request, node)
    verb = request.path_params["verb"]
    operation = OPERATIONS.get(verb)
    if operation is None:
        raise MissingError(f"There is no operation {verb!r}.")
    asked = await read_json(request)
    fault = node.faults.take(f"operations.{verb}")
    if fault is not None:
        await asyncio.sleep(fault.delay_s)

    def perform() -> Answer:
        if fault is not None:
            fault.strike()
        return operation(node.collection(_text(asked, "collection")).root, asked)

    try:
        return JSONResponse(await asyncio.get_running_loop().run_in_executor(node.readers, perform))
    except OSError as error:
        raise from_os_error(error, path=str(asked.get("path") or asked.get("new_path"))) from error


async def read_json(request: Request) -> Answer:
    try:
        asked = await request.json()
    except ValueError as error:
        raise BadRequestError("The body is no JSON.") from error
    if not isinstance(asked, dict):
        raise BadRequestError("The body is no JSON object.")
    return asked


def _text(asked: Answer, key: str) -> str:
    value = asked.get(key)
    if not isinstance(value, str):
        raise BadRequestError(f"{key!r} is missing.")
    return value


def _require_rules(asked: Answer, real_path: str, *, writes: bool = False) -> None:
    if asked.get("rules") is None:
        return
    access = access_from(asked["rules"])
    if not (access.may_write(real_path) if writes else access.may_see(real_path, is_folder=True)):
        raise ForbiddenError("A link leads out of what may be seen.")


def ls(root: Root, asked: Answer) -> Answer:
    path = normalise(_text(asked, "path"))
    may_see = everything if asked.get("rules") is None else access_from(asked["rules"]).may_see
    real_path, entries = list_folder(root, path, show_hidden=bool(asked.get("show_hidden", True)), may_see=may_see)
    _require_rules(asked, real_path)
    return {"path": path.rstrip("/") + "/", "entries": entries}


def stat_entry(root: Root, asked: Answer) -> Answer:
    real_path, entry = stat_path(root, _text(asked, "path"))
    _require_rules(asked, real_path)
    return entry


def mkdir(root: Root, asked: Answer) -> Answer:
    path = _text(asked, "path")
    with root.place(path, follows_last=False) as place:
        _require_rules(asked, place.real_path, writes=True)
        if place.status is not None:
            raise ExistsError(f"Something is already at {path}.")
        os.mkdir(place.name, dir_fd=place.folder_fd)
    return {}


def rename(root: Root, asked: Answer) -> Answer:
    old_path, new_path = _text(asked, "old_path"), _text(asked, "new_path")
    with root.place(old_path, follows_last=False) as old, root.place(new_path, follows_last=False) as new:
        old.require(old_path)
        _require_rules(asked, old.real_path, writes=True)
        _require_rules(asked, new.real_path, writes=True)
        if old.name == "." or new.status is not None:
            raise ExistsError(f"Something is already at {new_path}.")
        os.rename(old.name, new.name, src_dir_fd=old.folder_fd, dst_dir_fd=new.folder_fd)
    return {}


def delete(root: Root, asked: Answer) -> Answer:
    path = _text(asked, "path")

    def may_delete(real_path: str) -> None:
        _require_rules(asked, real_path, writes=True)

    deleted = delete_tree(
        root, path, recursive=bool(asked.get("recursive")), ignore_missing=bool(asked.get("ignore_missing")), may_delete=may_delete
    )
    return {"deleted": deleted}


def delete_tree(root: Root, path: str, *, recursive: bool, ignore_missing: bool, may_delete: Callable[[str], None] = lambda _: None) -> int:
    """Delete a file, a link itself, or a folder with all below it; returns how many. Safe to repeat with `ignore_missing`."""
    try:
        with root.place(path, follows_last=False) as place:
            status = place.require(path)
            may_delete(place.real_path)
            if not stat.S_ISDIR(status.st_mode):
                os.unlink(place.name, dir_fd=place.folder_fd)
                return 1
            _require_below(place)
            if not recursive:
                os.rmdir(place.name, dir_fd=place.folder_fd)
                return 1
            deleted = 1 + sum(len(folders) + len(files) for _, folders, files, _ in os.fwalk(place.name, dir_fd=place.folder_fd))
            shutil.rmtree(place.name, dir_fd=place.folder_fd)
            return deleted
    except (MissingError, FileNotFoundError) as error:
        if ignore_missing:
            return 0
        raise error if isinstance(error, NodeError) else MissingError(f"Nothing is at {path}.") from error
    except OSError as error:
        raise from_os_error(error, path=path) from error


def _require_below(place: Place) -> None:
    if place.name == ".":
        raise ForbiddenError("The collection's own folder stays.")


OPERATIONS: dict[str, Callable[[Root, Answer], Answer]] = {"ls": ls, "stat": stat_entry, "mkdir": mkdir, "rename": rename, "delete": delete}


async def require_ticket(request: Request, node: Node, collection: Collection) -> tuple[str, Access]:
    """Return the pull ticket that the request carries and what it opens now. Raises UnauthorizedError."""
    scheme, _, ticket = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "ticket" or not ticket.strip():
        raise UnauthorizedError("A pull ticket is needed.")
    access = await node.tickets.get(collection.id, ticket.strip())
    if not access.is_active:
        raise UnauthorizedError("The ticket is not known or has ended.")
    return ticket.strip(), access


async def walk_tree(request: Request, node: Node) -> Response:
    """POST /.dtn/v1/walk: newline-delimited JSON; ends with `{"end": true}`, so that a walk that broke off is not taken for whole."""
    asked = await read_json(request)
    loop = asyncio.get_running_loop()
    collection = await loop.run_in_executor(node.readers, node.collection, _text(asked, "collection"))
    path = normalise(_text(asked, "path"))
    ticket, access = await require_ticket(request, node, collection)
    real_path, _ = await loop.run_in_executor(node.readers, stat_path, collection.root, path.rstrip("/") + "/")
    paths = (path, real_path)
    if not all(access.may_read(one) for one in paths):
        raise ForbiddenError(f"The ticket does not open {path}.")
    fault = node.faults.take("walk")
    if fault is not None:
        await asyncio.sleep(fault.delay_s)
        fault.strike()
    guard = Guard(node.tickets, collection.id, ticket, paths=paths)
    lines = _walk_lines(collection.root, path, asked)

    async def body() -> Any:
        try:
            while batch := await loop.run_in_executor(node.readers, next, lines, b""):
                await guard.check()
                yield batch
        finally:
            guard.close()

    return StreamingResponse(body(), media_type="application/x-ndjson")


def _walk_lines(root: Root, path: str, asked: Answer) -> Iterator[bytes]:
    batch: list[str] = []
    with closing(walk(root, path, filters_from(asked.get("filter_rules")))) as entries:  # type: ignore[type-var]  # a generator
        for entry in entries:
            batch.append(json.dumps(entry))
            if len(batch) == 500:
                yield ("\n".join(batch) + "\n").encode()
                batch.clear()
    batch.append('{"end": true}')
    yield ("\n".join(batch) + "\n").encode()


async def tell_digest(request: Request, node: Node) -> Response:
    """POST /.dtn/v1/digest: 200 with the SHA-256, or after five seconds 202 with how far it is; ask again then."""
    asked = await read_json(request)
    loop = asyncio.get_running_loop()
    collection = await loop.run_in_executor(node.readers, node.collection, _text(asked, "collection"))
    path = normalise(_text(asked, "path"))
    _, access = await require_ticket(request, node, collection)
    fd, status, real_path = await loop.run_in_executor(node.readers, collection.root.open_file, path)
    try:
        if not all(access.may_read(one) for one in (path, real_path)):
            raise ForbiddenError(f"The ticket does not open {path}.")
        fault = node.faults.take("digest")
        if fault is not None:
            await asyncio.sleep(fault.delay_s)
            fault.strike()
        stamp = Stamp.of(status)
        known = node.digests.known(stamp)
        if known is None:
            future, n_done = node.digests.start(fd)
            finished, _ = await asyncio.wait([asyncio.wrap_future(future)], timeout=DIGEST_WAIT_S)
            if not finished:
                return JSONResponse({"done_bytes": n_done, "size": stamp.size}, status_code=202)
            known = future.result()
    finally:
        os.close(fd)
    return JSONResponse({"sha256": known, "size": stamp.size, "etag": stamp.etag})
