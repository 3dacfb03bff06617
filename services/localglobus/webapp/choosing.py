"""Lists of collections to choose from: those that one may use, used lately, bookmarked, one's own, shared with one, and a search."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from services.localglobus.store import Store
from services.localglobus.transfer import searching
from services.localglobus.transfer.permissions import person_of
from services.localglobus.transfer.seeing import describe_collection
from services.localglobus.webapp.calls import Calls, Document

MOST = 200
LISTS = {
    "usable": "All that you may use",
    "recent": "Recent",
    "bookmarks": "Bookmarks",
    "mine": "Yours",
    "shared": "Shared with you",
    "administered": "Administered by you",
    "computers": "Your computers",
}
"""The lists by their name in addresses."""
FILTER_SCOPES = {
    "recent": "recently-used",
    "mine": "my-endpoints",
    "shared": "shared-with-me",
    "administered": "administered-by-me",
    "computers": "my-gcp-endpoints",
}
EMPTY = {
    "usable": "Nothing is shared with you yet. When someone gives you access to a folder, its collection is listed here.",
    "recent": "You have opened no collection yet.",
    "bookmarks": "You have no bookmarks. In the file manager, “Bookmark” keeps the folder that you look at.",
    "mine": "You own no collection. “Share” in the file manager makes a guest collection of a folder.",
    "shared": "Nobody has shared a folder with you or one of your groups.",
    "administered": "You look after no collection.",
    "computers": "You have registered no computer of your own.",
}


async def list_collections(calls: Calls, *, name: str, words: str) -> list[Document]:
    """Returns `endpoint` documents: what the search finds or, without words, one of `LISTS` but bookmarks."""
    if words:
        query: dict[str, str | int] = {"filter_scope": "all", "filter_fulltext": words, "limit": MOST}
        return list((await calls.transfer("GET", "endpoint_search", query=query))["DATA"])
    if name in FILTER_SCOPES:
        query = {"filter_scope": FILTER_SCOPES[name], "limit": MOST}
        return list((await calls.transfer("GET", "endpoint_search", query=query))["DATA"])
    store: Store = calls.request.app.state.store
    return await store.read(_usable, calls.session.identity_id)


def _usable(db: sqlite3.Connection, identity_id: str) -> list[Document]:
    """Globus has no such list; on one machine it is short, and the first thing that one wants to see."""
    person = person_of(db, identity_id)
    rows = db.execute("SELECT collection_id FROM recent_use WHERE identity_id = ? ORDER BY used_at", (identity_id,))
    used = [row["collection_id"] for row in rows]
    found = list(searching.usable(db, person))
    found.sort(key=lambda each: -used.index(each.id) if each.id in used else 1)
    return [describe_collection(db, each, person) for each in found[:MOST]]


async def list_bookmarks(calls: Calls) -> list[dict[str, Any]]:
    """Returns the person's bookmarks, the pinned ones first, each with the name of its collection."""
    found = (await calls.transfer("GET", "bookmark_list"))["DATA"]
    store: Store = calls.request.app.state.store
    names = await store.read(_names, [each["endpoint_id"] for each in found])
    rows = [{**each, "collection_name": names.get(each["endpoint_id"])} for each in found]
    return sorted(rows, key=lambda each: not each["pinned"])


def _names(db: sqlite3.Connection, ids: list[str]) -> dict[str, str]:
    rows = db.execute("SELECT id, display_name FROM collection WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(ids),))
    return {row["id"]: row["display_name"] for row in rows}
