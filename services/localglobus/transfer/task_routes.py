"""The Transfer API under /v0.10: submission ids, transfers, deletions, and tasks as their owner sees them."""

from __future__ import annotations

import functools
import sqlite3
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.localglobus.auth.tokens import Caller
from services.localglobus.errors import ApiError
from services.localglobus.numbers import read_whole
from services.localglobus.transfer import accepting, listing, operations, pausing, submitting, tasks
from services.localglobus.transfer.documents import event_document, skipped_document, successful_document, task_document
from services.localglobus.transfer.requests import done, most_active, nodes_of, read_document, store_of, transfer_caller
from services.localglobus.transfer.waiting import ROOM

TASK_FIELDS = frozenset({"task_id", "type", "status", "label", "request_time", "completion_time"})
EVENT_FIELDS = frozenset({"code", "is_error", "time"})
MARKER_PAGE = 1000
CANCEL_WAIT_S = 8.0
"""How long a cancellation waits for the task to end before it says `CancelAccepted`; Globus says at most ten."""


async def submission_id(request: Request) -> Response:
    caller = await transfer_caller(request)
    value = await store_of(request).write(tasks.issue_submission_id, caller.identity_id)
    return JSONResponse({"DATA_TYPE": "submission_id", "value": value})


async def submit_transfer(request: Request) -> Response:
    caller = await transfer_caller(request)
    document = await read_document(request, data_type="transfer")
    return await _submitted(request, "transfer", await store_of(request).write(accepting.submit, document, caller, kind="transfer"))


async def submit_delete(request: Request) -> Response:
    caller = await transfer_caller(request)
    document = await read_document(request, data_type="delete")
    if document.get("interpret_globs") is True:
        document["DATA"] = await _expand(request, caller, document)
    return await _submitted(request, "delete", await store_of(request).write(accepting.submit, document, caller, kind="delete"))


async def get_task(request: Request) -> Response:
    caller = await transfer_caller(request)
    row = await store_of(request).read(tasks.get, request.path_params["task_id"], caller.identity_id)
    document = task_document(row, most_active=most_active(request))
    names = request.query_params.get("fields")
    if names:
        document = {name: value for name, value in document.items() if name in {*names.split(","), "DATA_TYPE"}}
    return JSONResponse(document)


async def list_tasks(request: Request) -> Response:
    caller = await transfer_caller(request)
    query = listing.read_query(request.query_params, fields=TASK_FIELDS, limit=10, most=1000)
    describe = functools.partial(task_document, most_active=most_active(request))
    return offset_page("task_list", await store_of(request).read(tasks.list_tasks, caller.identity_id, query, describe), query)


async def update_task(request: Request) -> Response:
    caller = await transfer_caller(request)
    asked = await read_document(request, data_type="task")
    await store_of(request).write(tasks.update, request.path_params["task_id"], caller.identity_id, asked)
    return done(request, "Updated", "The task was updated successfully.")


async def cancel_task(request: Request) -> Response:
    """Waits, as Globus does, for the node to let go; until then the task stays active."""
    caller = await transfer_caller(request)
    task_id, store = request.path_params["task_id"], store_of(request)
    if await store.write(tasks.ask_cancel, task_id, caller.identity_id):
        return done(request, "TaskComplete", "The task completed before the cancel request was processed.")
    deadline = time.monotonic() + CANCEL_WAIT_S
    while (left_s := deadline - time.monotonic()) > 0 and not ROOM.is_closed:
        if (await store.read(tasks.get, task_id, caller.identity_id))["completed_at"]:
            return done(request, "Canceled", "The task has been cancelled successfully.")
        await ROOM.wait("tasks", min(left_s, 1.0))
    return done(request, "CancelAccepted", "The task is being cancelled.", status=202)


async def list_events(request: Request) -> Response:
    caller = await transfer_caller(request)
    query = listing.read_query(request.query_params, fields=EVENT_FIELDS, limit=10, most=1000)
    page = await store_of(request).read(_events, request.path_params["task_id"], caller.identity_id, query)
    return offset_page("event_list", page, query)


async def list_successful(request: Request) -> Response:
    return await _marker_page(request, "successful_transfers", "transferred", successful_document)


async def list_skipped(request: Request) -> Response:
    return await _marker_page(request, "skipped_errors", "skipped", skipped_document)


async def pause_info(request: Request) -> Response:
    caller = await transfer_caller(request)
    return JSONResponse(await store_of(request).read(_explain, request.path_params["task_id"], caller.identity_id))


def _explain(db: sqlite3.Connection, task_id: str, owner_id: str) -> dict[str, Any]:
    return pausing.explain(db, tasks.get(db, task_id, owner_id))


async def _expand(request: Request, caller: Caller, document: dict[str, Any]) -> list[dict[str, Any]]:
    """The items of a delete document, their patterns replaced by what they match now."""
    local_user = document.get("local_user")
    opened = await store_of(request).read(operations.open_collection, str(document.get("endpoint")), caller, local_user=local_user)
    paths = [
        opened.path(item.get("path", "")) for item in submitting.read_items(document, "ClientError.BadRequest.NoDeleteItems", "A delete")
    ]
    return [{"DATA_TYPE": "delete_item", "path": path} for path in await operations.expand_globs(nodes_of(request), opened, paths)]


async def _submitted(request: Request, kind: str, submitted: tuple[str, str, str]) -> Response:
    submission, task_id, code = submitted
    ROOM.wake("orders")
    words = {
        "Accepted": f"The {kind} has been accepted and a task has been created and queued for execution",
        "Duplicate": f"The {kind} was accepted before under this submission_id; nothing was created",
    }
    link = {"DATA_TYPE": "link", "href": f"task/{task_id}?format=json", "rel": "related", "resource": "task", "title": "related task"}
    status = 202 if code == "Accepted" else 200
    return done(
        request, code, words[code], status=status, data_type=f"{kind}_result", submission_id=submission, task_id=task_id, task_link=link
    )


async def _marker_page(request: Request, data_type: str, status: str, describe: Any) -> Response:
    caller = await transfer_caller(request)
    await store_of(request).read(tasks.get, request.path_params["task_id"], caller.identity_id)
    return await results_page(request, data_type, status, describe)


async def results_page(request: Request, data_type: str, status: str, describe: Any) -> Response:
    """A page of what became of a task's files, for somebody who may see the task."""
    marker = read_whole(request.query_params.get("marker") or "0")
    if marker is None:
        raise ApiError("BadRequest", "marker must be one that a former page gave", 400)
    rows = await store_of(request).read(_results, request.path_params["task_id"], status, marker)
    next_marker = rows[-1]["id"] if len(rows) == MARKER_PAGE else None
    return JSONResponse({"DATA_TYPE": data_type, "marker": marker, "next_marker": next_marker, "DATA": [describe(row) for row in rows]})


def offset_page(data_type: str, page: listing.Page, query: listing.Query) -> Response:
    shape = {"DATA_TYPE": data_type, "length": len(page.rows), "limit": query.limit, "offset": query.offset, "total": page.total}
    return JSONResponse({**shape, "DATA": page.rows})


def _events(db: sqlite3.Connection, task_id: str, owner_id: str, query: listing.Query) -> listing.Page:
    tasks.get(db, task_id, owner_id)
    return tasks.list_events(db, task_id, query, event_document)


def _results(db: sqlite3.Connection, task_id: str, status: str, after: int) -> list[sqlite3.Row]:
    return db.execute(
        "SELECT * FROM task_result WHERE task_id = ? AND status = ? AND (error_code IS NULL) = ? AND id > ? ORDER BY id LIMIT ?",
        (task_id, status, status == "transferred", after, MARKER_PAGE),
    ).fetchall()


TASK = "/v0.10/task/{task_id}"
routes = [
    Route("/v0.10/submission_id", submission_id, methods=["GET"]),
    Route("/v0.10/transfer", submit_transfer, methods=["POST"]),
    Route("/v0.10/delete", submit_delete, methods=["POST"]),
    Route("/v0.10/task_list", list_tasks, methods=["GET"]),
    Route(TASK, get_task, methods=["GET"]),
    Route(TASK, update_task, methods=["PUT"]),
    Route(f"{TASK}/cancel", cancel_task, methods=["POST"]),
    Route(f"{TASK}/event_list", list_events, methods=["GET"]),
    Route(f"{TASK}/successful_transfers", list_successful, methods=["GET"]),
    Route(f"{TASK}/skipped_errors", list_skipped, methods=["GET"]),
    Route(f"{TASK}/pause_info", pause_info, methods=["GET"]),
]
