"""Reading over HTTPS: files (whole, by range, by condition, with their digest) and folders (as a page or as JSON).

`read_path` is the edge; the bytes are sent by `sending.py`. Writing is in `uploading.py`, WebDAV in `webdav.py`.
"""

import asyncio
import functools
import mimetypes
from email.utils import formatdate
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from services.dtn.callers import Caller, guard_for, identify
from services.dtn.conditions import check_conditions, wanted_ranges
from services.dtn.digests import AT_ONCE_BYTES, Stamp, as_field
from services.dtn.entries import Entry
from services.dtn.errors import BadRequestError, ForbiddenError, IsDirectoryError, MissingError, UnauthorizedError
from services.dtn.faults import Fault
from services.dtn.node import Collection, Node
from services.dtn.pages import folder_page, page_of, url_of
from services.dtn.paths import from_url, is_part_name
from services.dtn.rights import Guard
from services.dtn.sending import FileAnswer, Part, as_multipart
from services.dtn.signing_in import Sessions
from services.dtn.storage import File

PAGE_ROWS = 1000
IS_DATA = "dtn.is_data"  # in the scope: this request's bodies are data bytes
ACTIVE_TYPES = ("text/html", "/xml", "+xml", "/xsl")  # how types end that a browser may run scripts of: XHTML may stand in any XML
mimetypes.add_type("application/netcdf", ".nc")
mimetypes.add_type("application/x-hdf5", ".h5")


async def locate(request: Request, node: Node) -> tuple[Collection, str]:
    """Return the collection and the path in it that the URL names. Raises InvalidPathError or MissingError."""
    raw = request.scope["raw_path"].decode("ascii", errors="replace")
    collection_id, _, rest = raw.lstrip("/").partition("/")
    collection = node.collections.get(collection_id)
    if collection is None:
        collection = await asyncio.get_running_loop().run_in_executor(node.readers, node.collection, collection_id)
    path = from_url("/" + rest)
    if any(is_part_name(name) for name in path.split("/")):
        raise MissingError(f"Nothing is at {path}.")
    return collection, path


async def read_path(request: Request, node: Node, sessions: Sessions) -> Response:
    """GET or HEAD of a file or a folder."""
    collection, path = await locate(request, node)
    fault = node.faults.take(request.method.lower())
    if fault is not None and not fault.after_bytes:
        await asyncio.sleep(fault.delay_s)
        fault.strike()
    caller = await identify(request, node, sessions, collection, path=path)
    if not caller.access.may_see(path, is_folder=True):
        return refuse(request, sessions, collection, path, caller)
    loop = asyncio.get_running_loop()
    try:
        file = await loop.run_in_executor(node.readers, collection.storage.open, path)
    except IsDirectoryError:
        if caller.kind == "ticket":
            raise
        return await _list(request, node, sessions, collection, path, caller)
    try:
        if not all(caller.access.may_read(one) for one in (path, file.real_path)):
            answer = refuse(request, sessions, collection, path, caller)
            file.close()
            return answer
        guard = guard_for(node, caller, collection, paths=(path, file.real_path))
        return await _answer_file(request, node, file, path, guard, fault)
    except BaseException:  # also a request that is cancelled: the answer would have closed it
        file.close()
        raise


def refuse(request: Request, sessions: Sessions, collection: Collection, path: str, caller: Caller) -> Response:
    """Answer somebody without the right: sign-in for a browser, 401 for a client without a token, else ForbiddenError."""
    if caller.kind != "anonymous":
        words = f"{caller.access.username or 'This identity'} may not read {path} in {collection.name}."
        error = ForbiddenError(words)
        request.scope["dtn.username"] = caller.access.username
        if caller.kind == "session":
            request.scope["dtn.other_url"] = "/.dtn/sign-in?" + urlencode({"next": back_to(request)})
        raise error
    if request.method == "GET" and wants_page(request):
        return sessions.begin(request, collection, back_to=back_to(request))
    raise UnauthorizedError("A bearer token for this collection is needed.")


def challenge(request: Request, sessions: Sessions, collection: Collection, *, has_token: bool) -> dict[str, str]:
    """Return the fields of a 401 (RFC 6750, section 3). `Location` tells Globus' own download client which collection this is."""
    words = f'Bearer realm="{collection.id}", scope="{collection.scope}"' + (', error="invalid_token"' if has_token else "")
    fields = {"WWW-Authenticate": words}
    if request.method in {"GET", "HEAD"} and not has_token:
        fields["Location"] = sessions.authorize_url(collection)
    return fields


def wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def back_to(request: Request) -> str:
    query = request.scope["query_string"].decode("ascii", errors="replace")
    return str(request.scope["raw_path"].decode("ascii", errors="replace")) + (f"?{query}" if query else "")


async def _list(request: Request, node: Node, sessions: Sessions, collection: Collection, path: str, caller: Caller) -> Response:
    """Show a folder: all of it where it may be read, else only what leads to something that may."""
    loop = asyncio.get_running_loop()
    access, folder = caller.access, path.rstrip("/") + "/"
    real_path, entries = await loop.run_in_executor(
        node.readers, functools.partial(collection.storage.list_folder, path, may_see=access.may_see)
    )
    if not all(access.may_see(one, is_folder=True) for one in (folder, real_path)):
        return refuse(request, sessions, collection, path, caller)
    shown: list[Entry] = [entry for entry in entries if access.may_see(folder + entry["name"], is_folder=entry["type"] == "dir")]
    return _shown(request, collection, folder, shown, username=access.username if caller.kind == "session" else None)


def _shown(request: Request, collection: Collection, folder: str, entries: list[Entry], *, username: str | None) -> Response:
    """Answer a listing: JSON is whole unless `limit` is given, a page has at most `PAGE_ROWS`; `Link` (RFC 8288) leads on."""
    is_json = "application/json" in request.headers.get("accept", "")
    if not is_json and not request.scope["raw_path"].endswith(b"/"):
        return RedirectResponse(url_of(collection.id, folder), status_code=308)
    limit = _limit(request, most=max(1, len(entries)) if is_json else PAGE_ROWS)
    page = page_of(entries, after=request.query_params.get("after", ""), limit=limit, url=url_of(collection.id, folder))
    fields = {"Cache-Control": "no-store", "Vary": "Accept"}
    if page.next_url is not None:
        fields["Link"] = f'<{page.next_url}>; rel="next"'
    if is_json:
        return JSONResponse(page.entries, headers=fields)
    answer = folder_page(collection_id=collection.id, collection_name=collection.name, path=folder, page=page, username=username)
    answer.headers.update(fields)
    return answer


def _limit(request: Request, *, most: int) -> int:
    asked = request.query_params.get("limit")
    if asked is None:
        return most
    if not asked.isascii() or not asked.isdigit() or not int(asked[:9]) > 0:
        raise BadRequestError("limit is a whole number above 0.")
    return min(int(asked[:9]), most)


async def _answer_file(request: Request, node: Node, file: File, path: str, guard: Guard, fault: Fault | None) -> Response:
    stamp = file.stamp
    fields = _fields(path, stamp, is_download="download" in request.query_params)
    is_unchanged = check_conditions(request.headers, stamp, is_read=True)
    ranges = wanted_ranges(request.headers, stamp) if request.method == "GET" and not is_unchanged else None
    parts = [Part(offset, length) for offset, length in ranges or [(0, stamp.size)]]
    digest = await _offered_digest(request, node, file, waits=sum(part.length for part in parts) == stamp.size)
    if digest is not None:
        fields["Repr-Digest"] = as_field(digest)
    if is_unchanged:
        file.close()
        return Response(status_code=304, headers=fields)
    closing = b""
    if len(parts) > 1:
        parts, closing, fields["Content-Type"] = as_multipart(parts, size=stamp.size, content_type=fields["Content-Type"])
    elif ranges is not None:
        fields["Content-Range"] = parts[0].content_range(stamp.size)
    fields["Content-Length"] = str(sum(len(part.heading) + part.length for part in parts) + len(closing))
    request.scope[IS_DATA] = True
    if request.method == "HEAD":
        file.close()
        return Response(headers=fields)
    return FileAnswer(
        file, parts=parts, closing=closing, status_code=200 if ranges is None else 206, fields=fields, guard=guard, executor=node.readers,
        fault=fault,
    )  # fmt: skip


async def _offered_digest(request: Request, node: Node, file: File, *, waits: bool) -> str | None:
    """Return the known digest; compute it when it is wanted and cheap; when it is dear, or a part is read, begin: it is known later."""
    known = node.digests.known(file.stamp)
    if known is not None or "sha-256" not in request.headers.get("want-repr-digest", ""):
        return known
    future, _ = await asyncio.get_running_loop().run_in_executor(node.readers, node.digests.start, file)
    if not waits or file.stamp.size > AT_ONCE_BYTES:
        return None
    digest: str = await asyncio.wrap_future(future)
    return digest


def _fields(path: str, stamp: Stamp, *, is_download: bool) -> dict[str, str]:
    name = path.rsplit("/", 1)[-1]
    kind, encoding = mimetypes.guess_type(name)
    kind = "application/octet-stream" if kind is None or encoding else kind
    fields = {
        "Content-Type": f"{kind}; charset=utf-8" if kind.startswith("text/") else kind,
        "Accept-Ranges": "bytes",
        "ETag": stamp.etag,
        "Last-Modified": formatdate(stamp.mtime_ns // 10**9, usegmt=True),
        "Cache-Control": "private, no-cache",
    }
    if is_download:
        fields["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    if kind.endswith(ACTIVE_TYPES):  # a stored page must not act with the reader's session
        fields["Content-Security-Policy"] = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return fields
