"""Tasks as those see them who look after a collection, and what they may do: cancel, pause, resume, and rules that pause.

Seeing needs the role activity_monitor, activity_manager or administrator on a collection or endpoint that the task uses, acting one of the
latter two (https://docs.globus.org/api/transfer/advanced_collection_management/).
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.localglobus.auth import identities
from services.localglobus.errors import ApiError
from services.localglobus.transfer import collections, pausing, searching, tasks
from services.localglobus.transfer.permissions import ADMIN_ROLES, Person, require_role, roles_of, roles_on_endpoint
from services.localglobus.transfer.times import now_text, parse

MANAGER_ROLES = ADMIN_ROLES | {"activity_manager"}
MONITOR_ROLES = MANAGER_ROLES | {"activity_monitor"}
MESSAGE_LENGTH = 2048
MOST_RULES, MOST_TASKS = 100, 1000
"""Pause rules on one collection or endpoint; tasks that are acted on at once."""


def find_task(db: sqlite3.Connection, task_id: str, person: Person, roles: frozenset[str] = MONITOR_ROLES) -> sqlite3.Row:
    """Returns a task that uses a collection which the person looks after. Raises `ApiError` 404 for any other one."""
    row: sqlite3.Row | None = db.execute(f"{tasks.SELECT} WHERE id = ?", (task_id.lower(),)).fetchone()
    if row is None or _side(db, row, person, roles) is None:
        raise ApiError("ClientError.NotFound", f"No task '{task_id}' on a collection that you look after", 404)
    return row


def list_tasks(db: sqlite3.Connection, person: Person, *, after: tuple[bool, int] | None, most: int) -> list[sqlite3.Row]:
    """Returns tasks on collections that the person looks after: the open ones first, each part newest first, beyond `after`."""
    ids = [each.id for each in searching.looked_after(db, person, MONITOR_ROLES)]
    rows = db.execute(
        f"{tasks.SELECT} WHERE EXISTS (SELECT 1 FROM json_each(:ids) WHERE value IN (source_id, destination_id))"  # noqa: S608 (our words)
        " AND (:is_first OR ((completed_at IS NOT NULL), -rowid) > (:is_complete, -:rowid))"
        " ORDER BY completed_at IS NOT NULL, rowid DESC LIMIT :most",
        {
            "ids": json.dumps(ids), "is_first": after is None, "is_complete": after[0] if after else 0, "rowid": after[1] if after else 0,
            "most": most,
        },
    )  # fmt: skip
    return rows.fetchall()


def number_of(db: sqlite3.Connection, task_id: str) -> int:
    """Returns the place of a task in the order of submission."""
    (number,) = db.execute("SELECT rowid FROM task WHERE id = ?", (task_id,)).fetchone()
    return int(number)


def describe_extra(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """Returns the members that a task has for those who look after a collection, beside those for its owner."""
    owner = identities.get(db, row["owner_id"])
    found: dict[str, Any] = {"owner_string": row["owner_id"] if owner is None else owner["username"]}
    for side in ("source", "destination"):
        collection = collections.find(db, row[f"{side}_id"]) if row[f"{side}_id"] else None
        mapped = collections.find(db, collection.mapped_id) if collection and collection.mapped_id else None
        found |= {
            f"{side}_base_path": None,
            f"{side}_host_endpoint": None,
            f"{side}_host_endpoint_id": None,
            f"{side}_host_endpoint_display_name": None,
            f"{side}_host_path": collection.base_path if mapped and collection else None,
            f"{side}_local_user": None,
            f"{side}_local_user_status": "NO_PERMISSION",
            f"{side}_mapped_collection_id": mapped.id if mapped else None,
            f"{side}_mapped_collection_display_name": mapped.display_name if mapped else None,
        }
    return found


def cancel(db: sqlite3.Connection, person: Person, asked: Mapping[str, Any]) -> str:
    """Cancels tasks with a message to their owners; returns the id of the cancellation. All of them or none."""
    message, rows = _message(asked), _tasks(db, person, asked)
    cancel_id = str(uuid.uuid4())
    db.execute("INSERT INTO admin_cancel VALUES (?, ?, ?)", (cancel_id, person.identity_id, message))
    for row in rows:
        if row["completed_at"] is None:
            side = _side(db, row, person, MANAGER_ROLES)
            db.execute("INSERT OR IGNORE INTO canceled_by_admin VALUES (?, ?, ?)", (row["id"], cancel_id, side))
            db.execute("UPDATE task SET is_cancel_asked = 1 WHERE id = ?", (row["id"],))
    tasks.settle(db)
    return cancel_id


def describe_cancel(db: sqlite3.Connection, person: Person, cancel_id: str) -> dict[str, Any]:
    """Returns how far a cancellation of this person is. Raises `ApiError` 404."""
    row = db.execute("SELECT * FROM admin_cancel WHERE id = ? AND requested_by = ?", (cancel_id, person.identity_id)).fetchone()
    if row is None:
        raise ApiError("ClientError.NotFound", f"No cancellation '{cancel_id}' of yours", 404)
    query = "SELECT count(*) FROM canceled_by_admin JOIN task ON task.id = task_id WHERE cancel_id = ? AND completed_at IS NULL"
    (n_open,) = db.execute(query, (cancel_id,)).fetchone()
    return {"DATA_TYPE": "admin_cancel", "id": cancel_id, "done": n_open == 0}


def pause(db: sqlite3.Connection, person: Person, asked: Mapping[str, Any]) -> None:
    """Pauses single tasks until `resume`. All of them or none."""
    message = _message(asked)
    for row in _tasks(db, person, asked):
        side = _side(db, row, person, MANAGER_ROLES)
        db.execute(
            "INSERT OR REPLACE INTO task_pause VALUES (?, ?, ?, ?)", (row["id"], message, f"{side}_pause_message", person.identity_id)
        )
    tasks.apply_pauses(db)


def resume(db: sqlite3.Connection, person: Person, asked: Mapping[str, Any]) -> None:
    """Lets single tasks go on; a rule that pauses them still does."""
    for row in _tasks(db, person, asked):
        db.execute("DELETE FROM task_pause WHERE task_id = ?", (row["id"],))
    tasks.apply_pauses(db)


def list_rules(db: sqlite3.Connection, person: Person, *, subject_id: str | None) -> list[dict[str, Any]]:
    """Returns the pause rules on what the person looks after, or those on one collection or endpoint."""
    rows = db.execute(
        "SELECT * FROM pause_rule WHERE ? IS NULL OR subject_id = ? ORDER BY starts_at, id", (subject_id, subject_id)
    ).fetchall()
    return [pausing.describe(db, row) for row in rows if _roles(db, row["subject_id"], person) & MONITOR_ROLES]


def find_rule(db: sqlite3.Connection, person: Person, rule_id: str, roles: frozenset[str] = MONITOR_ROLES) -> sqlite3.Row:
    """Returns a pause rule. Raises `ApiError` 404 `PauseRuleNotFound` unless the person looks after its collection."""
    row: sqlite3.Row | None = db.execute("SELECT * FROM pause_rule WHERE id = ?", (rule_id.lower(),)).fetchone()
    if row is None or not _roles(db, row["subject_id"], person) & roles:
        raise ApiError("PauseRuleNotFound", f"No pause rule '{rule_id}' on a collection that you look after", 404)
    return row


def create_rule(db: sqlite3.Connection, person: Person, asked: Mapping[str, Any]) -> str:
    """Adds a pause rule, which holds at once unless it names a `start_time`; returns its id."""
    subject_id = str(asked.get("endpoint_id")).lower()
    if collections.find(db, subject_id) is None and collections.find_endpoint(db, endpoint_id=subject_id) is None:
        raise collections.not_found(subject_id)
    require_role(_roles(db, subject_id, person), MANAGER_ROLES, "pause it")
    identity_id = asked.get("identity_id")
    if identity_id is not None and identities.get(db, str(identity_id)) is None:
        raise ApiError("BadRequest", f"No such identity {identity_id}", 400)
    (count,) = db.execute("SELECT count(*) FROM pause_rule WHERE subject_id = ?", (subject_id,)).fetchone()
    if count >= MOST_RULES:
        raise ApiError("LimitExceeded", f"At most {MOST_RULES} pause rules are set on one collection or endpoint", 409)
    starts_at = parse(asked["start_time"], field="start_time") if asked.get("start_time") else now_text()
    rule_id = str(uuid.uuid4())
    values = (rule_id, subject_id, identity_id, _message(asked), starts_at, person.identity_id, json.dumps(_operations(asked)))
    db.execute("INSERT INTO pause_rule VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    tasks.apply_pauses(db)
    return rule_id


def update_rule(db: sqlite3.Connection, person: Person, rule_id: str, asked: Mapping[str, Any]) -> None:
    """Changes message and operations of a rule; the rest of the document is passed over, as Globus does."""
    row = find_rule(db, person, rule_id, MANAGER_ROLES)
    message = _message(asked) if "message" in asked else row["message"]
    operations = {**json.loads(row["operations"]), **_operations(asked, default=None)}
    db.execute(
        "UPDATE pause_rule SET message = ?, operations = ?, modified_by = ? WHERE id = ?",
        (message, json.dumps(operations), person.identity_id, row["id"]),
    )
    tasks.apply_pauses(db)


def delete_rule(db: sqlite3.Connection, person: Person, rule_id: str) -> None:
    """Removes a rule; the tasks that it paused go on."""
    db.execute("DELETE FROM pause_rule WHERE id = ?", (find_rule(db, person, rule_id, MANAGER_ROLES)["id"],))
    tasks.apply_pauses(db)


def _side(db: sqlite3.Connection, row: sqlite3.Row, person: Person, roles: frozenset[str]) -> str | None:
    """At which side of a task the person holds one of the roles."""
    for side in ("source", "destination"):
        collection = collections.find(db, row[f"{side}_id"]) if row[f"{side}_id"] else None
        if collection is not None and roles_of(db, collection, person) & roles:
            return side
    return None


def _roles(db: sqlite3.Connection, subject_id: str, person: Person) -> frozenset[str]:
    endpoint = collections.find_endpoint(db, endpoint_id=subject_id)
    if endpoint is not None:
        return roles_on_endpoint(db, endpoint, person)
    collection = collections.find(db, subject_id)
    return frozenset() if collection is None else roles_of(db, collection, person)


def _tasks(db: sqlite3.Connection, person: Person, asked: Mapping[str, Any]) -> Sequence[sqlite3.Row]:
    ids = asked.get("task_id_list")
    if not isinstance(ids, list) or not ids or not all(isinstance(each, str) for each in ids):
        raise ApiError("BadRequest", "task_id_list must be a list of task ids", 400)
    if len(ids) > MOST_TASKS:
        raise ApiError("BadRequest", f"task_id_list has at most {MOST_TASKS} task ids", 400)
    return [find_task(db, each, person, MANAGER_ROLES) for each in ids]


def _message(asked: Mapping[str, Any]) -> str:
    message = asked.get("message")
    if not isinstance(message, str) or not message.strip() or len(message) > MESSAGE_LENGTH:
        raise ApiError("BadRequest", f"message must be a text of 1 to {MESSAGE_LENGTH} characters", 400)
    return message


def _operations(asked: Mapping[str, Any], *, default: bool | None = True) -> dict[str, bool]:
    """The `pause_*` members of a rule; those that are not named have the default, or are left out."""
    named: Iterable[str] = pausing.OPERATIONS if default is not None else [name for name in pausing.OPERATIONS if name in asked]
    found = {name: asked.get(name, default) for name in named}
    if not all(isinstance(value, bool) for value in found.values()):
        raise ApiError("BadRequest", "pause_* must be true or false", 400)
    return {name: bool(value) for name, value in found.items()}
