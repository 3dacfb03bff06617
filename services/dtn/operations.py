"""What control and other nodes ask under `/.dtn/` (`PROTOCOL.md`, sections 3 and 6): ls, stat, mkdir, rename, delete, walk, digest.

Whether the identity may do it is control's decision. When control sends `rules` with an operation, the node also holds the *real*
path against them, so that a link inside the collection cannot lead from one share to another.
"""

import asyncio
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from services.dtn.entries import Entry, everything, walk
from services.dtn.errors import BadRequestError, ForbiddenError, MissingError, UnauthorizedError, from_os_error
from services.dtn.filters import filters_from
from services.dtn.node import Collection, Node
from services.dtn.paths import normalise
from services.dtn.rights import Access, Guard, access_from
from services.dtn.storage import Judge, Storage

Answer = dict[str, Any]
DIGEST_WAIT_S = 5.0
LINES_AT_ONCE = 500


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
        return operation(node.collection(_text(asked, "collection")).storage, asked)

    try:
        return JSONResponse(await asyncio.get_running_loop().run_in_executor(node.readers, perform))
    except OSError as error:
        raise from_os_error(error, path=str(asked.get("path") or asked.get("new_path"))) from error


async def read_json(request: Request) -> Answer:
    try:
        asked = await request.json()
    except (ValueError, RecursionError) as error:
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


def _judge_writing(asked: Answer) -> Judge:
    return lambda real_path: _require_rules(asked, real_path, writes=True)


def ls(storage: Storage, asked: Answer) -> Answer:
    path = normalise(_text(asked, "path"))
    may_see = everything if asked.get("rules") is None else access_from(asked["rules"]).may_see
    real_path, entries = storage.list_folder(path, show_hidden=bool(asked.get("show_hidden", True)), may_see=may_see)
    _require_rules(asked, real_path)
    return {"path": path.rstrip("/") + "/", "entries": entries}


def stat_entry(storage: Storage, asked: Answer) -> Answer:
    real_path, entry = storage.stat(_text(asked, "path"))
    _require_rules(asked, real_path)
    return entry


def mkdir(storage: Storage, asked: Answer) -> Answer:
    storage.mkdir(_text(asked, "path"), judge=_judge_writing(asked))
    return {}


def rename(storage: Storage, asked: Answer) -> Answer:
    storage.rename(_text(asked, "old_path"), _text(asked, "new_path"), judge=_judge_writing(asked))
    return {}


def delete(storage: Storage, asked: Answer) -> Answer:
    recursive, ignore_missing = bool(asked.get("recursive")), bool(asked.get("ignore_missing"))
    path = _text(asked, "path")
    return {"deleted": storage.delete(path, recursive=recursive, ignore_missing=ignore_missing, judge=_judge_writing(asked))}


OPERATIONS: dict[str, Callable[[Storage, Answer], Answer]] = {
    "ls": ls, "stat": stat_entry, "mkdir": mkdir, "rename": rename, "delete": delete,
}  # fmt: skip


def ticket_from(headers: Headers) -> str:
    """Return the pull ticket that a request carries. Raises UnauthorizedError."""
    scheme, _, ticket = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "ticket" or not ticket.strip():
        raise UnauthorizedError("A pull ticket is needed.")
    return ticket.strip()


async def require_ticket(request: Request, node: Node, collection: Collection) -> tuple[str, Access]:
    """Return the pull ticket that the request carries and what it opens now. Raises UnauthorizedError."""
    ticket = ticket_from(request.headers)
    access = await node.tickets.get(collection.id, ticket)
    if not access.is_active:
        raise UnauthorizedError("The ticket is not known or has ended.")
    return ticket, access


async def walk_tree(request: Request, node: Node) -> Response:
    """POST /.dtn/v1/walk: newline-delimited JSON; ends with `{"end": true}`, so that a walk that broke off is not taken for whole."""
    asked = await read_json(request)
    loop = asyncio.get_running_loop()
    collection = await loop.run_in_executor(node.readers, node.collection, _text(asked, "collection"))
    path = normalise(_text(asked, "path"))
    ticket, access = await require_ticket(request, node, collection)
    real_path, _ = await loop.run_in_executor(node.readers, collection.storage.stat, path.rstrip("/") + "/")
    paths = (path, real_path)
    if not all(access.may_read(one) for one in paths):
        raise ForbiddenError(f"The ticket does not open {path}.")
    fault = node.faults.take("walk")
    if fault is not None:
        await asyncio.sleep(fault.delay_s)
        fault.strike()
    guard = Guard(node.tickets, collection.id, ticket, paths=paths)
    lines = _walk_lines(collection.storage, path, asked, access)

    async def body() -> Any:
        try:
            while batch := await loop.run_in_executor(node.readers, next, lines, b""):
                await guard.check()
                yield batch
        finally:
            guard.close()

    return StreamingResponse(body(), media_type="application/x-ndjson")


def _walk_lines(storage: Storage, path: str, asked: Answer, access: Access) -> Iterator[bytes]:
    batch: list[str] = []
    follows_links = asked.get("follows_links") is True
    may_see = access.may_see if follows_links else everything
    is_brief, keeps_links = asked.get("is_brief") is True, asked.get("keeps_links") is True
    found = walk(
        storage, path, filters_from(asked.get("filter_rules")), follows_links=follows_links, may_see=may_see, is_brief=is_brief,
        keeps_links=keeps_links,
    )  # fmt: skip
    n_told = 0
    with closing(found) as entries:  # type: ignore[type-var]  # a generator
        for some in _together(entries, is_grouped=is_brief and asked.get("is_grouped") is True):
            batch.append(_files_line(some) if len(some) > 1 else _line(some[0]))
            n_told += len(some)
            if n_told >= LINES_AT_ONCE:
                yield ("\n".join(batch) + "\n").encode()
                batch, n_told = [], 0
    batch.append('{"end": true}')
    yield ("\n".join(batch) + "\n").encode()


def _together(entries: Iterator[Entry], *, is_grouped: bool) -> Iterator[list[Entry]]:
    """Yield what is told in one line: files of one folder that follow each other, where that is asked for."""
    if not is_grouped:
        yield from ([entry] for entry in entries)
        return
    group: list[Entry] = []
    folder = ""
    for entry in entries:
        is_file = "mtime_ns" in entry and entry["type"] == "file"
        if group and not (is_file and len(group) < LINES_AT_ONCE and entry["path"] == folder + entry["name"]):
            yield group
            group = []
        if not is_file:
            yield [entry]
            continue
        folder = folder if group else entry["path"][: -len(entry["name"])]
        group.append(entry)
    if group:
        yield group


def _files_line(files: list[Entry]) -> str:
    folder = files[0]["path"][: -len(files[0]["name"])]
    return json.dumps({"folder": folder, "files": [(one["name"], one["size"], one["mtime_ns"]) for one in files]}, separators=(",", ":"))


def _line(entry: Entry) -> str:
    return _brief_line(entry) if "mtime_ns" in entry else json.dumps(entry)


def _brief_line(entry: Entry) -> str:
    """Return what `json.dumps` would say of the few keys that a copy needs, in a third of the time."""
    return f'{{"path": {quoted(entry["path"])}, "type": "{entry["type"]}", "size": {entry["size"]}, "mtime_ns": {entry["mtime_ns"]}}}'


async def tell_digest(request: Request, node: Node) -> Response:
    """POST /.dtn/v1/digest: 200 with the SHA-256, or after five seconds 202 with how far it is; ask again then."""
    asked = await read_json(request)
    loop = asyncio.get_running_loop()
    collection = await loop.run_in_executor(node.readers, node.collection, _text(asked, "collection"))
    path = normalise(_text(asked, "path"))
    _, access = await require_ticket(request, node, collection)
    file = await loop.run_in_executor(node.readers, collection.storage.open, path)
    try:
        if not all(access.may_read(one) for one in (path, file.real_path)):
            raise ForbiddenError(f"The ticket does not open {path}.")
        fault = node.faults.take("digest")
        if fault is not None:
            await asyncio.sleep(fault.delay_s)
            fault.strike()
        stamp = file.stamp
        known = node.digests.known(stamp)
        if known is None:
            future, n_done = await loop.run_in_executor(node.readers, node.digests.start, file)
            finished, _ = await asyncio.wait([asyncio.wrap_future(future)], timeout=DIGEST_WAIT_S)
            if not finished:
                return JSONResponse({"done_bytes": n_done, "size": stamp.size}, status_code=202)
            known = future.result()
    finally:
        file.close()
    return JSONResponse({"sha256": known, "size": stamp.size, "etag": stamp.etag})
