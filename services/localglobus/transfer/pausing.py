"""Pausing by those who look after a collection: rules that hold for everybody or one person, and single tasks.

A rule on a mapped collection or an endpoint holds for the guest collections there too. A paused task stays ACTIVE, holds no node, and says
`PAUSED_BY_ADMIN`; `refresh` brings the open tasks in line with the rules of the moment.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from services.localglobus.errors import ApiError
from services.localglobus.transfer import collections
from services.localglobus.transfer.collections import Collection
from services.localglobus.transfer.times import now_text

OPERATIONS = ("pause_ls", "pause_mkdir", "pause_rename", "pause_task_delete", "pause_task_transfer_read", "pause_task_transfer_write")
PAUSED = "PAUSED_BY_ADMIN"


def rules_on(db: sqlite3.Connection, collection: Collection, *, identity_id: str | None = None) -> list[sqlite3.Row]:
    """Returns the rules in force on a collection; with an identity only those that hold for her."""
    subjects = (collection.id, collection.mapped_id, collection.endpoint_id)
    rows = db.execute("SELECT * FROM pause_rule WHERE subject_id IN (?, ?, ?) AND starts_at <= ? ORDER BY id", (*subjects, now_text()))
    return [row for row in rows if identity_id is None or row["identity_id"] in (None, identity_id)]


def rules_on_task(db: sqlite3.Connection, task: sqlite3.Row) -> list[sqlite3.Row]:
    """Returns the rules that keep a task from going on now."""
    if task["destination_id"] is None:
        sides = [(task["source_id"], "pause_task_delete")]
    else:
        sides = [(task["source_id"], "pause_task_transfer_read"), (task["destination_id"], "pause_task_transfer_write")]
    found: dict[str, sqlite3.Row] = {}
    for collection_id, operation in sides:
        collection = collections.find(db, collection_id)
        if collection is not None:
            rules = rules_on(db, collection, identity_id=task["owner_id"])
            found |= {row["id"]: row for row in rules if json.loads(row["operations"]).get(operation)}
    return list(found.values())


def reason(db: sqlite3.Connection, task: sqlite3.Row) -> str | None:
    """Returns the message of what pauses the task now, or None."""
    single = db.execute("SELECT message FROM task_pause WHERE task_id = ?", (task["id"],)).fetchone()
    if single is not None:
        return str(single["message"])
    rules = rules_on_task(db, task)
    return str(rules[0]["message"]) if rules else None


def refuse_paused(db: sqlite3.Connection, collection: Collection, *, identity_id: str, operation: str) -> None:
    """Raises `ApiError` 409 `EndpointPaused` if a rule pauses this folder operation for the person."""
    for row in rules_on(db, collection, identity_id=identity_id):
        if json.loads(row["operations"]).get(operation):
            raise ApiError("EndpointPaused", f"Paused by an administrator of {collection.display_name}: {row['message']}", 409)


def describe(db: sqlite3.Connection, row: sqlite3.Row, *, is_limited: bool = False) -> dict[str, Any]:
    """Returns a `pause_rule`, or what everybody may see of it: a `pause_rule_limited`."""
    endpoint = collections.find_endpoint(db, endpoint_id=row["subject_id"])
    subject = endpoint or collections.find(db, row["subject_id"])
    operations = json.loads(row["operations"])
    shown = {
        "id": row["id"],
        "message": row["message"],
        "endpoint_id": row["subject_id"],
        "endpoint_display_name": None if subject is None else subject.display_name,
        "identity_id": row["identity_id"],
        "start_time": row["starts_at"],
        **{name: bool(operations.get(name)) for name in OPERATIONS},
    }
    if is_limited:
        return {"DATA_TYPE": "pause_rule_limited", **shown}
    by = {"modified_by_id": row["modified_by"], "modified_by_host_manager": False, "created_by_host_manager": False, "editable": True}
    return {"DATA_TYPE": "pause_rule", **shown, **by}


def explain(db: sqlite3.Connection, task: sqlite3.Row) -> dict[str, Any]:
    """Returns what pauses a task: rules, and the message of who paused it alone."""
    single = db.execute("SELECT message, side FROM task_pause WHERE task_id = ?", (task["id"],)).fetchone()
    message = {single["side"]: single["message"]} if single else {}
    sides = ("source_pause_message", "source_pause_message_share", "destination_pause_message", "destination_pause_message_share")
    rules = rules_on_task(db, task) if task["completed_at"] is None else []
    return {
        "DATA_TYPE": "pause_info_limited",
        "pause_rules": [describe(db, row, is_limited=True) for row in rules],
        "message": single["message"] if single else (rules[0]["message"] if rules else None),
        "endpoint_display_name": None,
        **{side: message.get(side) for side in sides},
    }
