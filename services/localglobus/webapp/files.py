"""The file manager: one or two panes that list as the person who is signed in, and pages on which a collection is chosen for a pane.

Files are links to their data transfer node, which asks the person to sign in by itself; no byte of them passes here. What the buttons do
is in `acting.py`.
"""

from __future__ import annotations

import secrets
import sqlite3
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from services.localglobus.errors import ApiError
from services.localglobus.store import Store
from services.localglobus.transfer import collections
from services.localglobus.transfer.permissions import person_of, rights_of
from services.localglobus.webapp import choosing, panes
from services.localglobus.webapp.calls import Calls, Document, quote
from services.localglobus.webapp.naming import MAPPED, kind_of
from services.localglobus.webapp.pages import Form, draw
from services.localglobus.webapp.panes import PAGE_SIZE, SIDES, Pane, View
from services.localglobus.webapp.wording import explain

FLAGS = {
    "verify_checksum": "Verify each file after the transfer by its checksum",
    "preserve_timestamp": "Preserve the times of modification",
    "encrypt_data": "Encrypt the data on their way",
    "delete_destination_extra": "Delete at the destination what the source folder does not have",
    "skip_source_errors": "Skip files that the source cannot give",
    "fail_on_quota_errors": "Fail at once when a quota is exceeded",
}
NOTIFICATIONS = {"notify_on_succeeded": "is done", "notify_on_failed": "has failed", "notify_on_inactive": "waits for you"}
DEFAULTS = {"verify_checksum", *NOTIFICATIONS}
"""What is ticked on a fresh page."""
SYNC_LEVELS = {
    "": "all files that I ticked, also over those that are there",
    "0": "only files that are not there yet",
    "1": "only files that are missing or of another size",
    "2": "only files that are missing, of another size or newer",
    "3": "only files that are missing or have another checksum",
}
N_FILTER_RULES = 3


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What the API said for one pane: its collection and folder, or why not."""

    collection: Document | None = None
    listed: Document | None = None
    error: ApiError | None = None


async def file_manager(request: Request, calls: Calls) -> Response:
    return await show(request, calls, panes.read_view(request.query_params))


async def show(request: Request, calls: Calls, view: View, *, sent: Form | None = None, failure: ApiError | None = None) -> Response:
    """Draws the panes of a view; `sent` is a form whose act was refused, so that its boxes stay ticked."""
    loaded = {side: await _load(calls, view.pane(side)) for side in (SIDES if view.is_two_pane else SIDES[:1])}
    for side, found in loaded.items():
        if found.listed is not None:
            view = view.with_pane(replace(view.pane(side), path=found.listed["path"]))
    first_error = failure or next((found.error for found in loaded.values() if found.error), None)
    context = {
        "view": view,
        "panes": [await _pane_context(calls, view, side, found, sent) for side, found in loaded.items()],
        "can_transfer": len(loaded) == 2 and all(found.listed is not None for found in loaded.values()),
        "failure": failure,
        "nonce": secrets.token_urlsafe(12),
        **_options_context(sent),
    }
    return await draw(request, calls, "file-manager.html", context, status=first_error.http_status if first_error else 200)


async def _load(calls: Calls, pane: Pane) -> Loaded:
    """Raises `ApiError` only where something can be agreed to."""
    if not pane.collection_id:
        return Loaded()
    collection = None
    try:
        collection = await calls.transfer("GET", f"endpoint/{quote(pane.collection_id)}")
        query: dict[str, str | int] = {"orderby": pane.orderby, "limit": PAGE_SIZE, "offset": pane.offset}
        query |= {"show_hidden": "1" if pane.is_hidden_shown else "0"}
        query |= {"path": pane.path} if pane.path else {}
        query |= {"filter": f"name:~{pattern_of(pane.filter)}"} if pane.filter else {}
        listed = await calls.transfer("GET", f"operation/endpoint/{collection['id']}/ls", query=query)
    except ApiError as error:
        if error.extra:
            raise
        return Loaded(collection=collection, error=error)
    return Loaded(collection=collection, listed=listed)


def pattern_of(words: str) -> str:
    """Returns the pattern for a filter: names with these letters, unless it is a pattern already. A name holds no `/`."""
    words = words.replace("/", "?")
    return words if set(words) & set("*?[") else f"*{words}*"


async def _pane_context(calls: Calls, view: View, side: str, found: Loaded, sent: Form | None) -> dict[str, Any]:
    pane = view.pane(side)
    context: dict[str, Any] = {"side": side, "pane": pane, "collection": found.collection, "error": found.error, "listed": found.listed}
    if found.error is not None:
        return {**context, "words": explain(found.error)}
    if found.collection is None or found.listed is None:
        usable = await choosing.list_collections(calls, name="usable", words="")
        rows = [{"collection": each, "kind": kind_of(each), "address": view.opened(side, each["id"]).address} for each in usable]
        bookmarks = [{**each, "address": _bookmark_address(view, side, each)} for each in await choosing.list_bookmarks(calls)]
        return {**context, "choices": rows, "bookmarks": bookmarks}
    total, offset, collection = found.listed["total"], pane.offset, found.collection
    store: Store = calls.request.app.state.store
    may_write = await store.read(_may_write, collection["id"], calls.session.identity_id, pane.path)
    ticked = set(sent.texts(f"{side}_entry")) if sent else set()
    return {
        **context,
        "trail": panes.trail(view, side, collection),
        "above": None if pane.path == "/" else view.above(side).address,
        "entries": [_entry(view, side, collection, entry, ticked) for entry in found.listed["DATA"]],
        "total": total,
        "next": view.paged(side, offset + PAGE_SIZE).address if offset + PAGE_SIZE < total else None,
        "previous": view.paged(side, offset - PAGE_SIZE).address if offset else None,
        "may_write": may_write,
        "may_share": collection["entity_type"] in MAPPED or bool(collection["acl_editable"]),
        "share_address": share_address(collection["id"], pane.path),
        "other": view.other(side),
    }


def _entry(view: View, side: str, collection: Document, entry: Document, ticked: set[str]) -> dict[str, Any]:
    is_folder = entry["type"] == "dir"
    inside = view.pane(side).path + entry["name"]
    server = collection["https_server"]
    file_address = server + urllib.parse.quote(inside) if server else ""  # somebody's own computer has none
    address = view.at(side, inside + "/").address if is_folder else file_address
    value = ("d:" if is_folder else "f:") + entry["name"]
    return {
        **entry,
        "is_folder": is_folder,
        "is_file": entry["type"] == "file",
        "address": address,
        "value": value,
        "is_ticked": view.pane(side).is_all_ticked or value in ticked,
    }


def _bookmark_address(view: View, side: str, bookmark: Mapping[str, Any]) -> str:
    path = str(bookmark["path"])
    return view.opened(side, bookmark["endpoint_id"], "/" + path if path.startswith("~") else path).address


def _may_write(db: sqlite3.Connection, collection_id: str, identity_id: str, path: str) -> bool:
    """Only so that the page offers what can be done; the API decides."""
    return rights_of(db, collections.get(db, collection_id), person_of(db, identity_id)).may_write(path)


def _options_context(sent: Form | None) -> dict[str, Any]:
    """The transfer options as they were sent, or as they are at first."""
    rules = [
        {name: sent.text(f"filter_{n}_{name}") if sent else "" for name in ("method", "name", "type")} for n in range(1, N_FILTER_RULES + 1)
    ]
    return {
        "flags": FLAGS,
        "notifications": NOTIFICATIONS,
        "sync_levels": SYNC_LEVELS,
        "chosen": {name for name in (*FLAGS, *NOTIFICATIONS) if sent.has(name)} if sent else DEFAULTS,
        "sync_level": sent.text("sync_level") if sent else "",
        "label": sent.text("label") if sent else "",
        "filter_rules": rules,
        "are_options_open": sent is not None,
    }


def share_address(collection_id: str, path: str) -> str:
    return "/file-manager/share?" + urllib.parse.urlencode({"collection_id": collection_id, "path": path})


async def choose(request: Request, calls: Calls) -> Response:
    """A collection for one pane: the lists, and a search."""
    query = request.query_params
    view, side = panes.read_view(query), "destination" if query.get("side") == "destination" else "origin"
    words = query.get("q", "").strip()
    name = query.get("list", "")
    name = name if name in choosing.LISTS else "usable"
    found = [] if name == "bookmarks" and not words else await choosing.list_collections(calls, name=name, words=words)
    bookmarks = await choosing.list_bookmarks(calls) if name == "bookmarks" and not words else []
    context = {
        "view": view,
        "side": side,
        "words": words,
        "list": name,
        "tabs": choosing.LISTS,
        "empty": choosing.EMPTY[name],
        "rows": [{"collection": each, "kind": kind_of(each), "address": view.opened(side, each["id"]).address} for each in found],
        "bookmarks": [{**each, "address": _bookmark_address(view, side, each)} for each in bookmarks],
    }
    return await draw(request, calls, "choose.html", context)
