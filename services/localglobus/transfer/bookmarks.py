"""Bookmarks: a person's own names for folders, in the two shapes of the Transfer API.

`/v0.10/bookmark*` is what the CLI asks, `/v2/bookmarks` its JSON:API successor (https://docs.globus.org/api/transfer/bookmarks/).
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.localglobus.errors import ApiError, make_request_id
from services.localglobus.transfer import collections
from services.localglobus.transfer.paths import MAX_LENGTH
from services.localglobus.transfer.requests import done, read_document, store_of, transfer_caller

NAME_LENGTH = 128
MOST_BOOKMARKS = 1000


def list_all(db: sqlite3.Connection, owner_id: str) -> list[sqlite3.Row]:
    """Returns a person's bookmarks by name."""
    return db.execute("SELECT * FROM bookmark WHERE owner_id = ? ORDER BY name", (owner_id,)).fetchall()


def get(db: sqlite3.Connection, owner_id: str, bookmark_id: str) -> sqlite3.Row:
    """Returns a bookmark of this person. Raises `ApiError` 404 `BookmarkNotFound` for any other one."""
    row: sqlite3.Row | None = db.execute("SELECT * FROM bookmark WHERE id = ? AND owner_id = ?", (bookmark_id.lower(), owner_id)).fetchone()
    if row is None:
        raise ApiError("BookmarkNotFound", f"No bookmark '{bookmark_id}' of yours", 404)
    return row


def create(db: sqlite3.Connection, owner_id: str, asked: Mapping[str, Any]) -> sqlite3.Row:
    """Adds a bookmark. Raises `ApiError` 409 `Exists` for a name that the person has, 404 for a collection that there is not."""
    name, path = _name(asked.get("name")), _path(asked.get("path"))
    collection = collections.get(db, str(asked.get("endpoint_id")))
    _require_free(db, owner_id, name)
    (owned,) = db.execute("SELECT count(*) FROM bookmark WHERE owner_id = ?", (owner_id,)).fetchone()
    if owned >= MOST_BOOKMARKS:
        raise ApiError("LimitExceeded", f"You have {MOST_BOOKMARKS} bookmarks; delete one of them", 409)
    bookmark_id = str(uuid.uuid4())
    values = (bookmark_id, owner_id, name, collection.id, path, asked.get("pinned") is True)
    db.execute("INSERT INTO bookmark VALUES (?, ?, ?, ?, ?, ?)", values)
    return get(db, owner_id, bookmark_id)


def update(db: sqlite3.Connection, owner_id: str, bookmark_id: str, asked: Mapping[str, Any]) -> sqlite3.Row:
    """Renames, moves or pins a bookmark; what is not named stays."""
    row = get(db, owner_id, bookmark_id)
    name, path = _name(asked.get("name", row["name"])), _path(asked.get("path", row["path"]))
    if name != row["name"]:
        _require_free(db, owner_id, name)
    is_pinned = asked["pinned"] is True if "pinned" in asked else bool(row["is_pinned"])
    db.execute("UPDATE bookmark SET name = ?, path = ?, is_pinned = ? WHERE id = ?", (name, path, is_pinned, row["id"]))
    return get(db, owner_id, bookmark_id)


def delete(db: sqlite3.Connection, owner_id: str, bookmark_id: str) -> None:
    """Forgets a bookmark. Raises `ApiError` 404 if there is none."""
    db.execute("DELETE FROM bookmark WHERE id = ?", (get(db, owner_id, bookmark_id)["id"],))


def describe(row: sqlite3.Row) -> dict[str, Any]:
    """Returns a `bookmark` document of version 0.10."""
    pinned = {"pinned": bool(row["is_pinned"])}
    return {
        "DATA_TYPE": "bookmark",
        "id": row["id"],
        "name": row["name"],
        "endpoint_id": row["collection_id"],
        "path": row["path"],
        **pinned,
    }


def describe_resource(row: sqlite3.Row) -> dict[str, Any]:
    """Returns a `Bookmark` resource of version 2."""
    return {
        "type": "Bookmark",
        "id": row["id"],
        "attributes": {"name": row["name"], "path": row["path"], "pinned": bool(row["is_pinned"])},
        "relationships": {"collection": {"data": {"type": "Collection", "id": row["collection_id"]}}},
    }


def _included(db: sqlite3.Connection, rows: list[sqlite3.Row]) -> list[dict[str, Any]]:
    """The collections of some bookmarks, each once; one that was deleted since is left out."""
    ids = [*dict.fromkeys(row["collection_id"] for row in rows)]
    query = "SELECT id, display_name, is_high_assurance FROM collection WHERE id IN (SELECT value FROM json_each(?))"
    found = {row["id"]: row for row in db.execute(query, (json.dumps(ids),))}
    return [
        {
            "type": "Collection",
            "id": each,
            "attributes": {"display_name": found[each]["display_name"], "high_assurance": bool(found[each]["is_high_assurance"])},
        }
        for each in ids
        if each in found
    ]


def _list_with_collections(db: sqlite3.Connection, owner_id: str) -> dict[str, Any]:
    rows = list_all(db, owner_id)
    return {"data": [describe_resource(row) for row in rows], "included": _included(db, rows)}


def _one_with_collection(db: sqlite3.Connection, owner_id: str, bookmark_id: str) -> dict[str, Any]:
    row = get(db, owner_id, bookmark_id)
    return {"data": describe_resource(row), "included": _included(db, [row])}


def _name(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or value != value.strip() or len(value) > NAME_LENGTH:
        raise ApiError("BadRequest", f"The name of a bookmark has 1 to {NAME_LENGTH} characters, without blanks at its ends", 400)
    return value


def _path(value: object) -> str:
    if (
        not isinstance(value, str)
        or not value.startswith(("/", "~/"))
        or len(value) > MAX_LENGTH
        or any(mark in value for mark in "\r\n\0")
    ):
        raise ApiError("BadRequest", "The path of a bookmark is an absolute path", 400)
    return value


def _require_free(db: sqlite3.Connection, owner_id: str, name: str) -> None:
    if db.execute("SELECT 1 FROM bookmark WHERE owner_id = ? AND name = ?", (owner_id, name)).fetchone():
        raise ApiError("Exists", f"You have a bookmark with the name '{name}'", 409)


async def bookmark_list(request: Request) -> Response:
    caller = await transfer_caller(request)
    rows = await store_of(request).read(list_all, caller.identity_id)
    return JSONResponse({"DATA_TYPE": "bookmark_list", "DATA": [describe(row) for row in rows]})


async def create_bookmark(request: Request) -> Response:
    caller = await transfer_caller(request)
    asked = await read_document(request, data_type="bookmark")
    return JSONResponse(describe(await store_of(request).write(create, caller.identity_id, asked)), status_code=201)


async def one_bookmark(request: Request) -> Response:
    """GET reads, PUT changes, DELETE forgets."""
    caller = await transfer_caller(request)
    store, bookmark_id = store_of(request), request.path_params["bookmark_id"]
    if request.method == "PUT":
        asked = await read_document(request, data_type="bookmark")
        return JSONResponse(describe(await store.write(update, caller.identity_id, bookmark_id, asked)))
    if request.method == "DELETE":
        await store.write(delete, caller.identity_id, bookmark_id)
        return done(request, "Deleted", "Bookmark deleted successfully")
    return JSONResponse(describe(await store.read(get, caller.identity_id, bookmark_id)))


async def resources(request: Request) -> Response:
    """Version 2: GET lists, POST adds."""
    caller = await transfer_caller(request)
    if request.method == "GET":
        return _resource(await store_of(request).read(_list_with_collections, caller.identity_id))
    row = await store_of(request).write(create, caller.identity_id, await _read_resource(request))
    return _resource({"data": describe_resource(row)}, status=201)


async def one_resource(request: Request) -> Response:
    """Version 2: GET reads, PATCH changes, DELETE forgets."""
    caller = await transfer_caller(request)
    store, bookmark_id = store_of(request), request.path_params["bookmark_id"]
    if request.method == "PATCH":
        row = await store.write(update, caller.identity_id, bookmark_id, await _read_resource(request))
        return _resource({"data": describe_resource(row)})
    if request.method == "DELETE":
        await store.write(delete, caller.identity_id, bookmark_id)
        return _resource({})
    return _resource(await store.read(_one_with_collection, caller.identity_id, bookmark_id))


async def _read_resource(request: Request) -> dict[str, Any]:
    """The members of a JSON:API body under the names of version 0.10."""
    document = await read_document(request)
    try:
        asked = dict(document["data"].get("attributes") or {})
        relation = (document["data"].get("relationships") or {}).get("collection")
        if relation is not None:
            asked["endpoint_id"] = relation["data"]["id"]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ApiError("BadRequest", "The body must be a JSON:API document with data.attributes", 400) from error
    return asked


def _resource(document: Mapping[str, Any], *, status: int = 200) -> Response:
    return JSONResponse({**document, "meta": {"request_id": make_request_id()}}, status_code=status)


routes = [
    Route("/v0.10/bookmark_list", bookmark_list, methods=["GET"]),
    Route("/v0.10/bookmark", create_bookmark, methods=["POST"]),
    Route("/v0.10/bookmark/{bookmark_id}", one_bookmark, methods=["GET", "PUT", "DELETE"]),
    Route("/v2/bookmarks", resources, methods=["GET", "POST"]),
    Route("/v2/bookmarks/{bookmark_id}", one_resource, methods=["GET", "PATCH", "DELETE"]),
]
