"""Writes to an index as tasks: kept with their document, done one after the other by `run`, so that nothing acknowledged is lost.

    PENDING -> SUCCESS | FAILED

A query sees what was sent when its task has succeeded, as at Globus; a task whose program was killed is done after the next start.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
import uuid
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette

from services.localglobus.auth.tokens import Caller
from services.localglobus.errors import ApiError
from services.localglobus.search import indices, ingesting, queries
from services.localglobus.search.documents import task_document
from services.localglobus.store import Store, may_pass
from services.localglobus.transfer.waiting import ROOM

log = logging.getLogger(__name__)

MOST_LISTED = 1000
LOOK_S = 1.0
FORGET_S = 3600.0


def create(db: sqlite3.Connection, index_id: str, caller: Caller, task_type: str, document: Mapping[str, Any]) -> str:
    """Keeps what is to be done, for who may write to the index; returns the task's id."""
    index = indices.open_index(db, index_id)
    indices.require_role(db, index_id, caller, indices.WRITERS, task_type.replace("-", "_"))
    task_id = str(uuid.uuid4())
    db.execute(
        "INSERT INTO search_task VALUES (?, ?, ?, 'PENDING', NULL, ?, ?, NULL)",
        (task_id, index["id"], task_type, json.dumps(document), indices.moment_text()),
    )
    return task_id


def get(db: sqlite3.Connection, task_id: str, caller: Caller) -> dict[str, Any]:
    """Returns a task to who may write to its index. Raises `ApiError` 404 or 403."""
    row = db.execute("SELECT * FROM search_task WHERE id = ?", (task_id.lower(),)).fetchone()
    if row is None:
        raise ApiError("NotFound.Generic", f"No task found with id={task_id}", 404)
    indices.require_role(db, row["index_id"], caller, indices.WRITERS, "task_show")
    return task_document(row)


def list_tasks(db: sqlite3.Connection, index_id: str, caller: Caller) -> list[dict[str, Any]]:
    """Returns the last thousand tasks of an index, newest first."""
    index = indices.find(db, index_id)
    indices.require_role(db, index_id, caller, indices.WRITERS, "task_list")
    rows = db.execute(
        "SELECT * FROM search_task WHERE index_id = ? ORDER BY created_at DESC, rowid DESC LIMIT ?", (index["id"], MOST_LISTED)
    )
    return [task_document(row) for row in rows]


def has_pending(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM search_task WHERE state = 'PENDING' LIMIT 1").fetchone() is not None


def work(db: sqlite3.Connection) -> None:
    """Does the oldest task that is pending, all of it or nothing. Raises `sqlite3.Error` where trying again may help."""
    row = db.execute("SELECT * FROM search_task WHERE state = 'PENDING' ORDER BY created_at, rowid LIMIT 1").fetchone()
    if row is None:
        return
    state, message = "SUCCESS", None
    db.execute("SAVEPOINT task")
    try:
        _do(db, row)
    except ApiError as error:
        db.execute("ROLLBACK TO task")
        state, message = "FAILED", error.message
    except Exception as error:  # a task that cannot be done must not hold up those behind it
        if may_pass(error):
            raise
        log.exception("task %s of Search failed", row["id"])
        db.execute("ROLLBACK TO task")
        state, message = "FAILED", "localglobus failed; see its log"
    db.execute("RELEASE task")
    db.execute(
        "UPDATE search_task SET state = ?, message = ?, completed_at = ?, document = '{}' WHERE id = ?",
        (state, message, indices.moment_text(), row["id"]),
    )


async def run(app: Starlette) -> None:
    """Works off the tasks as long as the program runs, and forgets every hour the indices that were deleted a day ago."""
    store: Store = app.state.store
    forget_at = time.monotonic()
    while True:
        try:
            while await store.read(has_pending):
                await store.write(work)
            if time.monotonic() >= forget_at:
                await store.write(indices.forget_deleted)
                forget_at = time.monotonic() + FORGET_S
        except sqlite3.Error:
            log.exception("a task of Search could not be done; trying again")
        await ROOM.wait("search", LOOK_S)
        if ROOM.is_closed:
            return


def _do(db: sqlite3.Connection, row: sqlite3.Row) -> None:
    index_id, document = row["index_id"], json.loads(row["document"])
    indices.open_index(db, index_id)
    if row["task_type"] == "ingest":
        ingesting.put(db, index_id, document["entries"])
        if indices.find(db, index_id)["size_bytes"] > indices.MAX_SIZE_MB * 2**20:
            raise ApiError("Conflict.LimitExceeded", f"The index would be larger than {indices.MAX_SIZE_MB} MiB", 409)
    elif row["task_type"] == "delete-by-subject":
        ingesting.delete_subjects(db, index_id, document["subjects"])
    elif row["task_type"] == "delete-by-entry-id":
        ingesting.delete_entry(db, index_id, document["subject"], document["entry_id"])
    else:
        ingesting.delete(db, queries.matching(db, index_id, document))
