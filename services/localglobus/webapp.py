"""The small web app: a file manager that lists as the person signed in to the stand-in, and her tasks.

    /file-manager?origin_id=<collection>&origin_path=<folder>      the links that the Globus web app has, too
    /activity  /activity/<task>

It only looks. Files are links to their data transfer node, which asks the person to sign in by itself; no byte of them passes here. Being
part of the service, it needs no consent of its own for mapped collections. What is not allowed is said in words.
"""

from __future__ import annotations

import sqlite3
import urllib.parse
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.localglobus.auth import identities, sessions
from services.localglobus.auth.pages import render, see
from services.localglobus.auth.sessions import Session
from services.localglobus.errors import ApiError
from services.localglobus.transfer import collections, listing, operations, tasks
from services.localglobus.transfer.collections import Collection
from services.localglobus.transfer.documents import event_document, task_document
from services.localglobus.transfer.paths import parent
from services.localglobus.transfer.permissions import person_of
from services.localglobus.transfer.requests import most_active, nodes_of, store_of

PAGE_SIZE = 500
MOST_EVENTS = 200
UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
COUNTERS = (
    ("Files found", "files"),
    ("Files transferred", "files_transferred"),
    ("Files skipped", "files_skipped"),
    ("Folders", "directories"),
    ("Bytes transferred", "bytes_transferred"),
    ("Faults", "faults"),
)

Page = Callable[[Request, Session], Awaitable[Response]]


def signed_in(page: Page) -> Callable[[Request], Awaitable[Response]]:
    """Returns the page for people who are signed in; anyone else signs in first and comes back to it."""

    async def asked(request: Request) -> Response:
        session = await sessions.read(request)
        if session is None:
            target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return see(
                f"/v2/web/sign-in?{urllib.parse.urlencode({'next': target, 'message': 'The web app shows files as the person you are.'})}"
            )
        try:
            return await page(request, session)
        except ApiError as error:
            who = await store_of(request).read(_name, session)
            return render(request, "web-refused.html", {"who": who, "words": explain(error), "error": error}, status=error.http_status)

    return asked


async def file_manager(request: Request, session: Session) -> Response:
    """Lists one folder, folders first; without `origin_id`, the collections that there are."""
    query = request.query_params
    if not query.get("origin_id"):
        return await list_collections(request, session)
    store = store_of(request)
    opened, who = await store.read(_open, query["origin_id"], session)
    path = opened.path(query.get("origin_path"))
    offset = int(query["offset"]) if query.get("offset", "").isdecimal() else 0
    order = listing.Query(order=[("type", False), ("name", False)], limit=PAGE_SIZE, offset=offset)
    found = await operations.list_folder(nodes_of(request), opened, path, show_hidden=False, query=order)
    await store.write(collections.note_use, identity_id=session.identity_id, collection_id=opened.collection.id)
    context = {
        "who": who,
        "collection": opened.collection,
        "path": found["path"],
        "trail": _trail(opened.collection, found["path"]),
        "above": None if found["path"] == "/" else _folder_link(opened.collection, parent(found["path"])),
        "entries": [_entry(opened.collection, found["path"], entry) for entry in found["DATA"]],
        "total": found["total"],
        "offset": offset,
        "next": _folder_link(opened.collection, found["path"], offset + PAGE_SIZE) if offset + PAGE_SIZE < found["total"] else None,
        "previous": _folder_link(opened.collection, found["path"], max(0, offset - PAGE_SIZE)) if offset else None,
        "may_write": opened.rights.may_write(found["path"]),
    }
    return render(request, "file-manager.html", context)


async def list_collections(request: Request, session: Session) -> Response:
    """The collections that the person may use, those used last first."""
    found, who = await store_of(request).read(_usable, session)
    rows = [{"collection": each, "address": _folder_link(each, "/~/" if each.is_mapped else "/")} for each in found]
    return render(request, "collections.html", {"who": who, "rows": rows})


async def activity(request: Request, session: Session) -> Response:
    rows, who = await store_of(request).read(_tasks, session)
    return render(request, "activity.html", {"who": who, "tasks": [_task_row(row, most_active(request)) for row in rows]})


async def one_task(request: Request, session: Session) -> Response:
    """One task with its counters and what happened, newest first; a task of somebody else is not found."""
    row, events, who = await store_of(request).read(_task, request.path_params["task_id"], session)
    document = task_document(row, most_active=most_active(request))
    counters = [(words, size(document[name]) if name.startswith("bytes") else f"{document[name]:,}") for words, name in COUNTERS]
    context = {"who": who, "task": document, "state": explain_state(document), "counters": counters, "events": events}
    return render(request, "task.html", context)


def size(size_bytes: int) -> str:
    """Returns a size in binary units with one decimal: `1.4 GiB`."""
    value, unit = float(size_bytes), 0
    while value >= 1024 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{size_bytes} B" if unit == 0 else f"{value:.1f} {UNITS[unit]}"


def explain(error: ApiError) -> str:
    """Returns in plain words why a page cannot be shown."""
    if error.http_status == 403:
        return "You may not see this folder as the person you are signed in as. Whoever shared it can add you or one of your groups."
    if error.code == "EndpointNotFound":
        return "There is no such collection, or it is not shared with you."
    if error.http_status == 404:
        return "Nothing is here. It may have been moved or deleted, or its time may be over."
    if error.http_status >= 500:
        return "The data host of this collection could not show the folder just now."
    return "This address names nothing that can be shown."


def explain_state(task: dict[str, Any]) -> str:
    """Returns the state of a task in plain words."""
    if task["status"] == "SUCCEEDED":
        return "Done"
    if task["status"] == "FAILED":
        return {"CANCELED": "Canceled", "EXPIRED": "Not done when its deadline came"}.get(task["fatal_error"]["code"], "Failed")
    return "Running" if task["is_ok"] else f"Waiting: {task['nice_status_details'] or task['nice_status']}"


def _name(db: sqlite3.Connection, session: Session) -> str:
    row = identities.get(db, session.identity_id)
    return session.identity_id if row is None else str(row["username"])


def _open(db: sqlite3.Connection, collection_id: str, session: Session) -> tuple[operations.Opened, str]:
    person = person_of(db, session.identity_id)
    collection, _ = operations.visible(db, collection_id, person)
    return operations.open_as(db, collection, person), _name(db, session)


def _usable(db: sqlite3.Connection, session: Session) -> tuple[list[Collection], str]:
    person = person_of(db, session.identity_id)
    rows = db.execute("SELECT collection_id FROM recent_use WHERE identity_id = ? ORDER BY used_at", (session.identity_id,))
    used = [row["collection_id"] for row in rows]
    found = [collection for collection, rights in operations.search(db, person, scope="all", words=[]) if rights.grants]
    found.sort(key=lambda each: -used.index(each.id) if each.id in used else 1)
    return found, _name(db, session)


def _tasks(db: sqlite3.Connection, session: Session) -> tuple[list[sqlite3.Row], str]:
    return tasks.list_tasks(db, session.identity_id)[:PAGE_SIZE], _name(db, session)


def _task(db: sqlite3.Connection, task_id: str, session: Session) -> tuple[sqlite3.Row, list[dict[str, Any]], str]:
    row = tasks.get(db, task_id, session.identity_id)
    events = db.execute("SELECT * FROM task_event WHERE task_id = ? ORDER BY id DESC LIMIT ?", (task_id, MOST_EVENTS))
    return row, [event_document(event) for event in events], _name(db, session)


def _task_row(row: sqlite3.Row, most: int) -> dict[str, Any]:
    document = task_document(row, most_active=most)
    return {**document, "state": explain_state(document), "size": size(document["bytes_transferred"])}


def _entry(collection: Collection, path: str, entry: dict[str, Any]) -> dict[str, Any]:
    is_folder = entry["type"] == "dir"
    inside = path + entry["name"]
    address = _folder_link(collection, inside + "/") if is_folder else collection.https_server + urllib.parse.quote(inside)
    return {**entry, "is_folder": is_folder, "is_file": entry["type"] == "file", "address": address, "words": size(entry["size"])}


def _trail(collection: Collection, path: str) -> list[tuple[str, str]]:
    """The folders from the top down to this one, each with its link."""
    names = [name for name in path.split("/") if name]
    steps = [(name, _folder_link(collection, "/" + "/".join(names[: n + 1]) + "/")) for n, name in enumerate(names)]
    return [(collection.display_name, _folder_link(collection, "/")), *steps]


def _folder_link(collection: Collection, path: str, offset: int = 0) -> str:
    query = {"origin_id": collection.id, "origin_path": path, **({"offset": str(offset)} if offset else {})}
    return f"/file-manager?{urllib.parse.urlencode(query)}"


async def home(request: Request) -> Response:
    return see("/file-manager")


routes = [
    Route("/", home, methods=["GET"]),
    Route("/file-manager", signed_in(file_manager), methods=["GET"]),
    Route("/activity", signed_in(activity), methods=["GET"]),
    Route("/activity/{task_id}", signed_in(one_task), methods=["GET"]),
    Route("/activity/{task_id}/{tab}", signed_in(one_task), methods=["GET"]),
]
