"""The page of one's bookmarks: opened, renamed, pinned, forgotten. They are made in the file manager."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from services.localglobus.errors import ApiError
from services.localglobus.webapp import choosing, panes
from services.localglobus.webapp.calls import Calls, quote
from services.localglobus.webapp.pages import draw, read_form, see, tell


async def bookmarks(request: Request, calls: Calls) -> Response:
    """GET lists; POST changes the one that the form names."""
    if request.method == "POST":
        return await _change(request, calls)
    found = await choosing.list_bookmarks(calls)
    rows = [{**each, "address": panes.folder_address(each["endpoint_id"], _absolute(each["path"]))} for each in found]
    return await draw(request, calls, "bookmarks.html", {"rows": rows})


async def _change(request: Request, calls: Calls) -> Response:
    form = await read_form(request)
    path, verb = f"bookmark/{quote(form.text('bookmark'))}", form.text("act")
    if verb == "rename":
        await calls.transfer("PUT", path, asked={"DATA_TYPE": "bookmark", "name": form.text("name")})
    elif verb in ("pin", "unpin"):
        await calls.transfer("PUT", path, asked={"DATA_TYPE": "bookmark", "pinned": verb == "pin"})
    elif verb == "delete":
        await calls.transfer("DELETE", path)
        tell(request, calls.session, "The bookmark is forgotten. Its folder is untouched.")
    else:
        raise ApiError("BadRequest", "There is no such button on this page", 400)
    return see("/bookmarks")


def _absolute(path: str) -> str:
    return "/" + path if path.startswith("~") else path
