"""When a task's time is over, and how it moves (https://docs.globus.org/api/transfer/task_behavior, section 3).

A transfer whose owner named no deadline has 24 hours; while it makes progress it has three days from then, and while it is queued another
day. A paused task has 90 days, and a day when it goes on. Deletions, and transfers whose owner named a deadline, keep theirs otherwise.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from services.localglobus.transfer.times import now_text

LIFETIME = timedelta(hours=24)
AFTER_PROGRESS = timedelta(hours=72)
WHILE_PAUSED = timedelta(days=90)
STEP = timedelta(hours=1)
"""A deadline is moved by no less, to spare the disk."""
PROGRESS = ("bytes_transferred", "files_transferred", "files_skipped", "directories")
MOVES = "moves_deadline"
"""The option of a task that says that its owner named no deadline."""


def note_progress(db: sqlite3.Connection, task: sqlite3.Row, counters: Mapping[str, Any]) -> None:
    """Moves the deadline of a task whose node has done more than was known."""
    if json.loads(task["options"]).get(MOVES) and any(int(counters.get(name) or 0) > task[name] for name in PROGRESS):
        wanted = now_text(plus=AFTER_PROGRESS)
        db.execute("UPDATE task SET deadline = ? WHERE id = ? AND deadline < ?", (wanted, task["id"], now_text(plus=AFTER_PROGRESS - STEP)))


def is_moved(db: sqlite3.Connection, task: sqlite3.Row) -> bool:
    """Whether a task whose deadline has come was given another day, because it was queued all the time."""
    if not json.loads(task["options"]).get(MOVES) or task["status"] != "ACTIVE" or not task["is_ok"]:
        return False
    if db.execute("SELECT 1 FROM task_event WHERE task_id = ? LIMIT 1", (task["id"],)).fetchone() is not None:
        return False
    set_to(db, task["id"], LIFETIME)
    return True


def set_to(db: sqlite3.Connection, task_id: str, time_left: timedelta) -> None:
    db.execute("UPDATE task SET deadline = ? WHERE id = ?", (now_text(plus=time_left), task_id))


def hold(db: sqlite3.Connection, task_id: str, deadline: str) -> None:
    """Keeps the deadline that the owner names; it moves by itself no more."""
    db.execute(
        "UPDATE task SET deadline = ?, options = json_set(options, '$.moves_deadline', json('false')) WHERE id = ?", (deadline, task_id)
    )
