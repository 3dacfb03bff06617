"""Reading by WebDAV (RFC 4918, class 1 without locks and without writing by it): what rclone and file managers need to mount a collection.

PROPFIND of a file or a folder with `Depth: 0` or `1`, under the same rules as a listing; bytes come by GET. Every answer carries the same
live properties, whichever were asked for: the body of the question is not read, so no XML from outside is parsed here. Who may write a
folder is told its free space (RFC 4331).
"""

import asyncio
import functools
import mimetypes
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.dtn.callers import Caller, identify
from services.dtn.entries import Entry
from services.dtn.errors import BadRequestError, ForbiddenError
from services.dtn.node import Collection, Node
from services.dtn.pages import url_of
from services.dtn.serving import locate, refuse
from services.dtn.signing_in import Sessions

METHODS = "OPTIONS, GET, HEAD, PUT, DELETE, PROPFIND"
DAV_FIELDS = {"DAV": "1", "Allow": METHODS, "MS-Author-Via": "DAV"}
ROWS_AT_ONCE = 500
_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">\n'


async def tell_options(request: Request, node: Node) -> Response:
    """OPTIONS: what may be done here, the same for every path."""
    await locate(request, node)
    return Response(status_code=204, headers=DAV_FIELDS)


async def find_properties(request: Request, node: Node, sessions: Sessions) -> Response:
    """PROPFIND: 207 with the entry itself and, with `Depth: 1`, what the folder holds. `Depth: infinity` is refused (section 9.1.1)."""
    collection, path = await locate(request, node)
    depth = request.headers.get("depth", "infinity").strip().lower()
    caller = await identify(request, node, sessions, collection, path=path)
    if not caller.access.may_see(path, is_folder=True):
        return refuse(request, sessions, collection, path, caller)
    if depth not in {"0", "1"}:
        if depth == "infinity":
            raise ForbiddenError("A whole tree is not told at once: ask with Depth 0 or 1.", code="propfind-finite-depth")
        raise BadRequestError("Depth is 0 or 1.")
    find = functools.partial(_find, collection, path, caller, has_children=depth == "1")
    rows = await asyncio.get_running_loop().run_in_executor(node.readers, find)
    if rows is None:
        return refuse(request, sessions, collection, path, caller)
    return StreamingResponse(
        _document(collection, rows), status_code=207, media_type="application/xml", headers={"Cache-Control": "no-store"}
    )


def _find(collection: Collection, path: str, caller: Caller, *, has_children: bool) -> list[tuple[str, Entry]] | None:
    """Return (path, ENTRY) of what is there, the thing itself first; None when it may not be seen. Blocks."""
    access = caller.access
    real_path, entry = collection.storage.stat(path)
    is_folder = entry["type"] == "dir"
    if not all(access.may_see(one, is_folder=is_folder) for one in (path, real_path)):
        return None
    if is_folder and access.may_write(path):
        entry = {**entry, "free_bytes": collection.storage.free_bytes()}
    rows = [(_named(path, entry), entry)]
    if has_children and is_folder:
        folder = path.rstrip("/") + "/"
        _, entries = collection.storage.list_folder(path, may_see=access.may_see)
        for found in entries:
            child = folder + found["name"]
            if found["type"] in {"file", "dir"} and access.may_see(child, is_folder=found["type"] == "dir"):
                rows.append((_named(child, found), found))
    return rows


def _named(path: str, entry: Entry) -> str:
    return path.rstrip("/") + "/" if entry["type"] == "dir" else path


async def _document(collection: Collection, rows: list[tuple[str, Entry]]) -> AsyncIterator[str]:
    yield _HEAD
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield "".join(_response(collection, path, entry) for path, entry in rows[start : start + ROWS_AT_ONCE])
        await asyncio.sleep(0)  # a large folder does not keep other requests waiting
    yield "</D:multistatus>\n"


def _response(collection: Collection, path: str, entry: Entry) -> str:
    properties = "".join(f"<D:{name}>{value}</D:{name}>" for name, value in _properties(collection, path, entry))
    href = escape(url_of(collection.id, path))
    status = "<D:status>HTTP/1.1 200 OK</D:status>"
    return f"<D:response><D:href>{href}</D:href><D:propstat><D:prop>{properties}</D:prop>{status}</D:propstat></D:response>\n"


def _properties(collection: Collection, path: str, entry: Entry) -> Iterator[tuple[str, Any]]:
    name = path.rstrip("/").rsplit("/", 1)[-1]
    yield "displayname", escape(_without_controls(name or collection.name))
    yield "getlastmodified", format_datetime(datetime.fromisoformat(entry["last_modified"]), usegmt=True)
    if entry["type"] == "dir":
        yield "resourcetype", "<D:collection/>"
        if entry.get("free_bytes") is not None:
            yield "quota-available-bytes", entry["free_bytes"]
        return
    yield "resourcetype", ""
    yield "getcontentlength", entry["size"]
    yield "getcontenttype", escape(mimetypes.guess_type(name)[0] or "application/octet-stream")


def _without_controls(name: str) -> str:
    """Names may hold characters that XML cannot (section 2.2 of XML 1.0); the href says them exactly."""
    return "".join(letter if letter >= " " and letter not in "\ufffe\uffff" else "\ufffd" for letter in name)
