"""What the buttons of the file manager do: transfer, new folder, rename, delete, share, bookmark. Each is one call of the API.

A refused act draws the panes again with everything as it was sent. Delete and rename ask once more on a page of their own.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import urllib.parse
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from services.localglobus.errors import ApiError
from services.localglobus.webapp import panes
from services.localglobus.webapp.calls import Calls, Document, quote
from services.localglobus.webapp.files import FLAGS, N_FILTER_RULES, NOTIFICATIONS, share_address, show
from services.localglobus.webapp.memory import Memory, forget_oldest
from services.localglobus.webapp.pages import Form, draw, read_form, see, tell
from services.localglobus.webapp.panes import View
from services.localglobus.webapp.wording import count

Act = Callable[[Request, Calls, View, str, Form], Awaitable[Response]]
_SUBMITTING = asyncio.Lock()


async def act(request: Request, calls: Calls) -> Response:
    """The one address of all buttons: `act` is `<verb>:<pane>`, `view` the address of the page on which it was pressed."""
    form = await read_form(request)
    verb, _, side = form.text("act").partition(":")
    view = panes.read_view(dict(urllib.parse.parse_qsl(form.text("view"))))
    if verb not in ACTS or side not in panes.SIDES or not view.pane(side).collection_id:
        raise ApiError("BadRequest", "There is no such button on this page", 400)
    try:
        return await ACTS[verb](request, calls, view, side, form)
    except ApiError as error:
        if error.extra:
            raise
        return await show(request, calls, view, sent=form, failure=error)


def chosen(form: Form, side: str) -> list[tuple[str, bool]]:
    """Returns (name, is a folder) of what is ticked in a pane. Raises `ApiError` 400 when it is nothing."""
    found = [(value[2:], value.startswith("d:")) for value in form.texts(f"{side}_entry") if value[:2] in ("d:", "f:") and value[2:]]
    if not found:
        raise ApiError("NothingChosen", "Tick the files and folders first", 400)
    return found


async def transfer(request: Request, calls: Calls, view: View, side: str, form: Form) -> Response:
    """Starts a task from this pane into the folder of the other one; the same form sent twice starts it once."""
    source, destination = view.pane(side), view.other(side)
    if not destination.collection_id or not destination.path:
        raise ApiError("NoDestination", "Choose a collection in the other pane first", 400)
    entries = chosen(form, side)
    items = [
        {
            "DATA_TYPE": "transfer_item",
            "source_path": source.path + name + ("/" if is_folder else ""),
            "destination_path": destination.path + name + ("/" if is_folder else ""),
            "recursive": is_folder,
        }
        for name, is_folder in entries
    ]
    document = {
        "DATA_TYPE": "transfer",
        "source_endpoint": source.collection_id,
        "destination_endpoint": destination.collection_id,
        **read_options(form),
        "DATA": items,
    }
    submitted = await submit(calls, "transfer", document, nonce=form.text("nonce"))
    tell_submitted(request, calls, submitted, f"The transfer of {count(len(items), 'item')} was submitted.")
    return see(view.ticked(side, is_all=False).address)


def read_options(form: Form) -> Document:
    """Returns the options of a transfer as the API takes them. Raises `ApiError` 400 for a level of sync that there is not."""
    level = form.text("sync_level")
    if level not in ("", "0", "1", "2", "3"):
        raise ApiError("BadRequest", "There is no such level of sync", 400)
    rules = [
        {
            "DATA_TYPE": "filter_rule",
            "method": form.text(f"filter_{n}_method") or "exclude",
            "name": form.text(f"filter_{n}_name"),
            "type": form.text(f"filter_{n}_type") or None,
        }
        for n in range(1, N_FILTER_RULES + 1)
        if form.text(f"filter_{n}_name")
    ]
    return {
        "label": form.text("label") or None,
        "sync_level": int(level) if level else None,
        "filter_rules": rules or None,
        **{name: form.has(name) for name in (*FLAGS, *NOTIFICATIONS)},
    }


async def submit(calls: Calls, kind: str, document: Document, *, nonce: str) -> Document:
    """Submits a `transfer` or `delete` document; once for one page and one content, however often its button is pressed."""
    memory: Memory = calls.request.app.state.web
    digest = hashlib.sha256(json.dumps([nonce, kind, document]).encode()).hexdigest()
    async with _SUBMITTING:
        key = (calls.session.identity_id, digest)
        if key not in memory.submissions:
            memory.submissions[key] = (await calls.transfer("GET", "submission_id"))["value"]
            forget_oldest(memory.submissions)
        return await calls.transfer("POST", kind, asked={**document, "submission_id": memory.submissions[key]})


def tell_submitted(request: Request, calls: Calls, submitted: Document, words: str) -> None:
    """Shows on the next page that a task was made, or had been made before."""
    words = words if submitted["code"] != "Duplicate" else "This was submitted before; it is one task."
    tell(request, calls.session, words, address=f"/activity/{submitted['task_id']}", link="See its progress")


async def make_folder(request: Request, calls: Calls, view: View, side: str, form: Form) -> Response:
    pane, name = view.pane(side), form.text("name")
    require_name(name)
    asked = {"DATA_TYPE": "mkdir", "path": pane.path + name + "/"}
    await calls.transfer("POST", f"operation/endpoint/{quote(pane.collection_id)}/mkdir", asked=asked)
    tell(request, calls.session, f"The folder {name} was made.")
    return see(view.address)


def require_name(name: str) -> None:
    """Raises `ApiError` 400 for what is no name of one file or folder."""
    if not name or "/" in name or name in (".", ".."):
        raise ApiError("BadRequest", "A name is needed, without “/”", 400)


async def rename(request: Request, calls: Calls, view: View, side: str, form: Form) -> Response:
    """At first asks for the new name; with `new_name`, renames."""
    entries = chosen(form, side)
    if len(entries) != 1:
        raise ApiError("BadRequest", "Tick the one file or folder to rename", 400)
    pane, (name, is_folder) = view.pane(side), entries[0]
    if not form.has("new_name"):
        return await draw(request, calls, "rename.html", {"view": view, "side": side, "pane": pane, "name": name, "is_folder": is_folder})
    new_name = form.text("new_name")
    require_name(new_name)
    asked = {"DATA_TYPE": "rename", "old_path": pane.path + name, "new_path": pane.path + new_name}
    await calls.transfer("POST", f"operation/endpoint/{quote(pane.collection_id)}/rename", asked=asked)
    tell(request, calls.session, f"{name} is called {new_name} now.")
    return see(view.address)


async def delete(request: Request, calls: Calls, view: View, side: str, form: Form) -> Response:
    """At first asks whether that is meant; with `is_sure`, submits a deletion."""
    entries, pane = chosen(form, side), view.pane(side)
    if not form.has("is_sure"):
        collection = await calls.transfer("GET", f"endpoint/{quote(pane.collection_id)}")
        context = {"view": view, "side": side, "pane": pane, "entries": entries, "collection": collection, "nonce": form.text("nonce")}
        return await draw(request, calls, "delete.html", context)
    document = {
        "DATA_TYPE": "delete",
        "endpoint": pane.collection_id,
        "recursive": any(is_folder for _, is_folder in entries),
        "label": form.text("label") or None,
        "DATA": [{"DATA_TYPE": "delete_item", "path": pane.path + name + ("/" if is_folder else "")} for name, is_folder in entries],
    }
    submitted = await submit(calls, "delete", document, nonce=form.text("nonce"))
    tell_submitted(request, calls, submitted, f"The deletion of {count(len(entries), 'item')} was submitted.")
    return see(view.ticked(side, is_all=False).address)


async def share(request: Request, calls: Calls, view: View, side: str, form: Form) -> Response:
    """To the page on which the ticked folder is shared; with nothing ticked the folder that is shown."""
    pane = view.pane(side)
    names = [value for value in form.texts(f"{side}_entry") if value]
    if len(names) > 1 or any(not value.startswith("d:") for value in names):
        raise ApiError("BadRequest", "Folders are shared, one at a time: tick one, or none for the folder that you look at", 400)
    path = pane.path + names[0][2:] + "/" if names else pane.path
    return see(share_address(pane.collection_id, path))


async def bookmark(request: Request, calls: Calls, view: View, side: str, form: Form) -> Response:
    pane = view.pane(side)
    collection = await calls.transfer("GET", f"endpoint/{quote(pane.collection_id)}")
    name = form.text("name") or f"{collection['display_name']} {pane.path}"[:128].strip()
    await calls.transfer(
        "POST", "bookmark", asked={"DATA_TYPE": "bookmark", "name": name, "endpoint_id": collection["id"], "path": pane.path}
    )
    tell(request, calls.session, f"Bookmarked as “{name}”.", address="/bookmarks", link="Your bookmarks")
    return see(view.address)


ACTS: dict[str, Act] = {
    "transfer": transfer,
    "mkdir": make_folder,
    "rename": rename,
    "delete": delete,
    "share": share,
    "bookmark": bookmark,
}
