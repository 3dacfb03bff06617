"""Tasks: submitted once per submission id, seen by their owner only, ended by their node, a cancellation or their deadline.

    submit -> ACTIVE -- the node finishes --> SUCCEEDED | FAILED
              ACTIVE -- cancel, and the node has let go --> FAILED (CANCELED)
              ACTIVE -- deadline --> FAILED (EXPIRED)
              ACTIVE -- a consent is taken back --> INACTIVE -- it is given again --> ACTIVE

An owner has a few tasks under way; the younger ones are queued (ACTIVE, `nice_status` Queued). A paused task is ACTIVE (`pausing.py`).
A task has one order (`orders.py`), which its node leases. `settle` does what only time decides; `nodes.run` calls it every second.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from services.localglobus import mails
from services.localglobus.auth import identities
from services.localglobus.errors import ApiError
from services.localglobus.transfer import authority, deadlines, listing, pausing
from services.localglobus.transfer.collections import Collection
from services.localglobus.transfer.listing import Page, Query
from services.localglobus.transfer.times import now_text, parse_future

MOST_ITEMS = 100_000
LABEL_LENGTH = 128
MOST_PENDING = 100
"""Tasks of one owner that have not ended, queued ones with them."""
TRANSFER_FLAGS = (
    "verify_checksum", "preserve_timestamp", "encrypt_data", "skip_source_errors", "fail_on_quota_errors", "delete_destination_extra",
)  # fmt: skip
NOTIFY_FLAGS = ("notify_on_succeeded", "notify_on_failed", "notify_on_inactive")
BEFORE = (
    "(SELECT count(*) FROM task AS other WHERE other.owner_id = task.owner_id AND other.completed_at IS NULL"  # noqa: S608 (our own words)
    " AND other.status = 'ACTIVE' AND other.type = task.type"
    f" AND other.nice_status <> '{pausing.PAUSED}' AND other.rowid < task.rowid)"
)
"""How many older tasks of the same owner and kind are under way: beyond a few of them a task is queued
(three transfers and three deletions, https://docs.globus.org/api/transfer/task_behavior)."""
SELECT = (
    "SELECT task.*, EXISTS (SELECT 1 FROM task_result WHERE task_id = task.id AND status = 'skipped'"  # noqa: S608 (our own words)
    " AND error_code IS NOT NULL)"
    f" AS has_skipped_errors, CASE WHEN completed_at IS NULL THEN {BEFORE} ELSE 0 END AS n_before,"
    " coalesce((SELECT symlinks FROM task_links WHERE task_id = task.id), 0) AS symlinks,"
    " (SELECT side FROM canceled_by_admin WHERE task_id = task.id) AS admin_side,"
    " (SELECT message FROM admin_cancel JOIN canceled_by_admin ON cancel_id = admin_cancel.id WHERE task_id = task.id) AS admin_message"
    " FROM task"
)
_SKIPPED = "SELECT 1 FROM task_result WHERE task_id = ? AND status = 'skipped' AND error_code IS NOT NULL LIMIT 1"
EXPIRED = ("EXPIRED", "The task was not done when its deadline came")
HISTORY = timedelta(days=30)  # https://docs.globus.org/api/transfer/task/ (events and successful transfers are deleted then)


@dataclass(frozen=True, kw_only=True)
class Item:
    """One file or folder to copy or, without `destination_path`, to delete."""

    source_path: str
    destination_path: str | None
    is_recursive: bool
    checksum: str | None = None


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A checked transfer or delete document. `destination` is None for a deletion."""

    submission_id: str
    source: Collection
    destination: Collection | None
    label: str | None
    deadline: str
    options: Mapping[str, Any]
    items: Sequence[Item]

    @property
    def node(self) -> str:
        """The node that does the work: it pulls into the destination, or deletes what it holds."""
        return (self.destination or self.source).node


def issue_submission_id(db: sqlite3.Connection, owner_id: str) -> str:
    """Returns a new submission id, good for one task of this identity."""
    submission_id = str(uuid.uuid4())
    db.execute("INSERT INTO submission VALUES (?, ?, ?)", (submission_id, owner_id, now_text()))
    return submission_id


def find_duplicate(db: sqlite3.Connection, submission_id: object, owner_id: str) -> str | None:
    """Returns the task that was submitted under this id before. Raises `ApiError` 400 if the id was not issued to this identity."""
    issued = db.execute("SELECT owner_id FROM submission WHERE id = ?", (str(submission_id).lower(),)).fetchone()
    if issued is None or issued["owner_id"] != owner_id:
        raise ApiError("BadRequest", "submission_id must be one that GET /v0.10/submission_id gave to you", 400)
    row = db.execute("SELECT id FROM task WHERE submission_id = ?", (str(submission_id).lower(),)).fetchone()
    return None if row is None else str(row["id"])


def create(db: sqlite3.Connection, submission: Submission, *, owner_id: str) -> str:
    """Makes the task with its items and its order, ready to be leased; returns its id. Raises `ApiError` 409 beyond 100 open tasks."""
    (pending,) = db.execute("SELECT count(*) FROM task WHERE owner_id = ? AND completed_at IS NULL", (owner_id,)).fetchone()
    if pending >= MOST_PENDING:
        raise ApiError("LimitExceeded", f"You have {MOST_PENDING} tasks that are not done; wait for one of them, or cancel it", 409)
    task_id = str(uuid.uuid4())
    source, destination = submission.source, submission.destination
    db.execute(
        "INSERT INTO task (id, submission_id, owner_id, type, status, label, requested_at, deadline, source_id, destination_id,"
        " source_name, destination_name, options, n_items) VALUES (?, ?, ?, ?, 'ACTIVE', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            task_id, submission.submission_id, owner_id, "TRANSFER" if destination else "DELETE", submission.label, now_text(),
            submission.deadline, source.id, destination.id if destination else None, source.display_name,
            destination.display_name if destination else None, json.dumps(submission.options), len(submission.items),
        ),
    )  # fmt: skip
    db.executemany(
        "INSERT INTO task_item VALUES (?, ?, ?, ?, ?, ?)",
        (
            (task_id, position, item.source_path, item.destination_path, item.is_recursive, item.checksum)
            for position, item in enumerate(submission.items)
        ),
    )
    db.execute("INSERT INTO copy_order (id, task_id, node) VALUES (?, ?, ?)", (str(uuid.uuid4()), task_id, submission.node))
    return task_id


def add_event(db: sqlite3.Connection, task_id: str, code: str, description: str, *, details: str = "", is_error: bool = False) -> None:
    db.execute(
        "INSERT INTO task_event (task_id, time, code, description, details, is_error) VALUES (?, ?, ?, ?, ?, ?)",
        (task_id, now_text(), code, description, details, is_error),
    )


def settle(db: sqlite3.Connection) -> None:
    """Ends the tasks whose deadline is over, and the canceled ones that no node holds any more. Safe to repeat."""
    for row in db.execute("SELECT * FROM task WHERE completed_at IS NULL AND deadline <= ?", (now_text(),)).fetchall():
        if not deadlines.is_moved(db, row):
            end(db, row["id"], "FAILED", fatal=EXPIRED)
    for row in db.execute("SELECT * FROM task WHERE status = 'INACTIVE'").fetchall():
        if authority.missing_consent(db, row) is None:
            activate(db, row)
    for row in db.execute(f"{_LET_GO} AND leased_until <= ?", (time.time(),)).fetchall():
        end(db, row["id"], "FAILED", fatal=canceled(db, row["id"]))


def canceled(db: sqlite3.Connection, task_id: str) -> tuple[str, str]:
    """Returns code and words of a cancellation: whose it was."""
    by_admin = db.execute("SELECT 1 FROM canceled_by_admin WHERE task_id = ?", (task_id,)).fetchone()
    return "CANCELED", f"The task was canceled by {'an administrator of a collection' if by_admin else 'its owner'}"


def needs_settling(db: sqlite3.Connection) -> bool:
    """Whether `settle` has something to do: a cheap look that spares the disk a write."""
    due = "SELECT 1 FROM task WHERE completed_at IS NULL AND (deadline <= ? OR status = 'INACTIVE') LIMIT 1"
    return bool(
        db.execute(due, (now_text(),)).fetchone() or db.execute(f"{_LET_GO} AND leased_until <= ? LIMIT 1", (time.time(),)).fetchone()
    )


_LET_GO = (
    "SELECT task.id FROM task JOIN copy_order ON copy_order.task_id = task.id"
    " WHERE completed_at IS NULL AND is_cancel_asked AND NOT is_finished"
)


def forget_history(db: sqlite3.Connection) -> None:
    """Deletes events and results of tasks that ended 30 days ago; the tasks themselves stay. Safe to repeat."""
    old = "SELECT id FROM task WHERE completed_at <= ?"
    for table in ("task_event", "task_result"):
        db.execute(f"DELETE FROM {table} WHERE task_id IN ({old})", (now_text(plus=-HISTORY),))  # noqa: S608 (our own names)


def deactivate(db: sqlite3.Connection, task: sqlite3.Row, message: str) -> None:
    """Makes a task wait for a consent of its owner, without a node."""
    db.execute(
        "UPDATE task SET status = 'INACTIVE', is_ok = 0, nice_status = 'CONSENT_REQUIRED', nice_details = ? WHERE id = ?",
        (message, task["id"]),
    )
    release(db, task["id"])
    add_event(db, task["id"], "CONSENT_REQUIRED", message, is_error=True)
    _tell(db, task["id"], "notify_on_inactive", "INACTIVE", f"{message}. Agree to it again, and the task goes on by itself.")


def activate(db: sqlite3.Connection, task: sqlite3.Row) -> None:
    """Lets a task go on that waited for a consent."""
    db.execute("UPDATE task SET status = 'ACTIVE', is_ok = 1, nice_status = 'OK', nice_details = NULL WHERE id = ?", (task["id"],))
    add_event(db, task["id"], "ACTIVATED", "the consent was given again")


def pause(db: sqlite3.Connection, task: sqlite3.Row, message: str) -> None:
    """Marks a task as paused and takes it from its node. Safe to repeat."""
    if task["nice_status"] == pausing.PAUSED:
        return
    db.execute("UPDATE task SET nice_status = ?, nice_details = ? WHERE id = ?", (pausing.PAUSED, message, task["id"]))
    deadlines.set_to(db, task["id"], deadlines.WHILE_PAUSED)
    release(db, task["id"])
    add_event(db, task["id"], "PAUSED", message)


def apply_pauses(db: sqlite3.Connection) -> None:
    """Brings the open tasks in line with the pause rules of the moment. Safe to repeat."""
    for row in db.execute("SELECT * FROM task WHERE completed_at IS NULL").fetchall():
        message = pausing.reason(db, row)
        if message is not None:
            pause(db, row, message)
        elif row["nice_status"] == pausing.PAUSED:
            db.execute("UPDATE task SET is_ok = 1, nice_status = 'OK', nice_details = NULL WHERE id = ?", (row["id"],))
            deadlines.set_to(db, row["id"], deadlines.LIFETIME)
            add_event(db, row["id"], "UNPAUSED", "the task goes on")


def release(db: sqlite3.Connection, task_id: str) -> None:
    """Takes a task from the node that holds it, which hears of it with its next heartbeat."""
    db.execute("UPDATE copy_order SET instance = NULL, leased_until = 0 WHERE task_id = ?", (task_id,))


def _tell(db: sqlite3.Connection, task_id: str, flag: str, status: str, words: str) -> None:
    """Mails the owner of a task, if she wanted that and has an address."""
    task = db.execute("SELECT * FROM task WHERE id = ?", (task_id,)).fetchone()
    owner = identities.get(db, task["owner_id"])
    if owner is None or not json.loads(task["options"]).get(flag, True):
        return
    target = f"\nDestination: {task['destination_name']}" if task["destination_id"] else ""
    text = f"{words}\n\nTask id: {task_id}\nLabel: {task['label'] or ''}\nSource: {task['source_name']}{target}\n"
    mails.queue(db, to=owner["email"], subject=f"Globus task {status}: {task['label'] or task_id}", text=text)


def end(db: sqlite3.Connection, task_id: str, status: str, *, fatal: tuple[str, str] | None = None) -> None:
    """Ends an open task: its status, its last event, its order and tickets. A task that has ended stays as it is."""
    code, description = fatal or (None, None)
    moved = db.execute(
        "UPDATE task SET status = ?, completed_at = ?, fatal_code = ?, fatal_description = ? WHERE id = ? AND completed_at IS NULL",
        (status, now_text(), code, description, task_id),
    )
    db.execute("UPDATE copy_order SET is_finished = 1 WHERE task_id = ?", (task_id,))
    db.execute("DELETE FROM ticket WHERE task_id = ?", (task_id,))
    db.execute("DELETE FROM task_pause WHERE task_id = ?", (task_id,))
    if moved.rowcount and db.execute(_SKIPPED, (task_id,)).fetchone():
        add_event(db, task_id, "SKIPPED_ERRORS", "paths with errors at the source were skipped")
    if moved.rowcount and status == "SUCCEEDED":
        add_event(db, task_id, "SUCCEEDED", "succeeded")
        _tell(db, task_id, "notify_on_succeeded", "SUCCEEDED", "The task has succeeded.")
    elif moved.rowcount:
        add_event(db, task_id, code or "FAILED", description or "failed", is_error=code != "CANCELED")
        _tell(db, task_id, "notify_on_failed", "FAILED", f"The task has failed: {description or 'failed'} ({code or 'FAILED'}).")


def get(db: sqlite3.Connection, task_id: str, owner_id: str) -> sqlite3.Row:
    """Returns a task of this owner. Raises `ApiError` 404 for any other one."""
    row: sqlite3.Row | None = db.execute(f"{SELECT} WHERE id = ? AND owner_id = ?", (task_id, owner_id)).fetchone()
    if row is None:
        raise ApiError("ClientError.NotFound", f"No task '{task_id}' of yours", 404)
    return row


def list_tasks(db: sqlite3.Connection, owner_id: str, query: Query, describe: Callable[[sqlite3.Row], dict[str, Any]]) -> Page:
    """Returns a page of an owner's tasks, newest first."""
    rows = f"{SELECT} WHERE owner_id = ? ORDER BY requested_at DESC, rowid DESC"
    return _page(db, rows, "SELECT count(*) FROM task WHERE owner_id = ?", owner_id, query, describe)


def list_events(db: sqlite3.Connection, task_id: str, query: Query, describe: Callable[[sqlite3.Row], dict[str, Any]]) -> Page:
    """Returns a page of a task's events, newest first, for somebody who may see the task."""
    rows = "SELECT * FROM task_event WHERE task_id = ? ORDER BY id DESC"
    return _page(db, rows, "SELECT count(*) FROM task_event WHERE task_id = ?", task_id, query, describe)


def _page(db: sqlite3.Connection, rows: str, count: str, key: str, query: Query, describe: Callable[[sqlite3.Row], dict[str, Any]]) -> Page:
    if not query.is_plain:
        return listing.select([describe(row) for row in db.execute(rows, (key,))], query)
    (total,) = db.execute(count, (key,)).fetchone()
    found = db.execute(f"{rows} LIMIT ? OFFSET ?", (key, query.limit, query.offset))
    return Page(rows=[describe(row) for row in found], total=total)


def ask_cancel(db: sqlite3.Connection, task_id: str, owner_id: str) -> bool:
    """Asks for the end of a task; returns whether it had ended already. The node that holds it hears of it with its next heartbeat."""
    row = get(db, task_id, owner_id)
    if row["completed_at"]:
        return True
    db.execute("UPDATE task SET is_cancel_asked = 1 WHERE id = ?", (task_id,))
    settle(db)
    return False


def update(db: sqlite3.Connection, task_id: str, owner_id: str, asked: Mapping[str, Any]) -> None:
    """Changes label and deadline of a task that has not ended. Raises `ApiError` 409 for one that has."""
    row = get(db, task_id, owner_id)
    if row["completed_at"]:
        raise ApiError("Conflict", "The task is complete and cannot be changed", 409)
    label = read_label(asked) if "label" in asked else row["label"]
    if asked.get("deadline"):
        deadlines.hold(db, task_id, parse_future(asked["deadline"], field="deadline"))
    db.execute("UPDATE task SET label = ? WHERE id = ?", (label, task_id))


def read_label(asked: Mapping[str, Any]) -> str | None:
    """Returns the label of a document: at most 128 characters on one line, without blanks at its ends."""
    label = asked.get("label")
    if label is None or label == "":
        return None
    if not isinstance(label, str) or len(label) > LABEL_LENGTH or label != label.strip() or any(mark in label for mark in "\r\n\0"):
        raise ApiError("BadRequest", f"label must be one line of at most {LABEL_LENGTH} characters without blanks at its ends", 400)
    return label
