"""Orders: the work of a task, leased to the node that holds its destination (services/dtn/PROTOCOL.md, sections 5 and 6).

A lease that is not renewed runs out and the order is leased again, so the work outlives any process. What the owner may do is looked at
when an order is leased, with every heartbeat and with every ticket: a right taken away stops the copy, and one given back lets it go on.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from services.localglobus.errors import ApiError
from services.localglobus.transfer import authority, collections, data_paths, deadlines, pausing, progress_events, tasks
from services.localglobus.transfer.fault_codes import globus_code
from services.localglobus.transfer.pausing import PAUSED
from services.localglobus.transfer.permissions import Rights, person_of, rights_of, rules_document
from services.localglobus.transfer.times import now_text

LEASE_S = 15
NO_SPACE = "NO_SPACE"
"""What a node says of a full disk and of a quota that is used up: the one fault that a task can be asked to fail on."""
RETRY_S = 2.0
"""How soon an order is looked at again that its owner may not carry out now."""
TOTALS = ("files", "files_transferred", "files_skipped", "directories", "bytes_transferred", "bytes_checksummed", "faults")
COUNTERS = (*TOTALS, "symlinks")
READY = (  # the oldest few tasks of each owner
    "SELECT copy_order.id, task_id FROM copy_order JOIN task ON task.id = task_id WHERE node = ? AND NOT is_finished"  # noqa: S608 (our words)
    " AND status = 'ACTIVE'"
    f" AND NOT is_cancel_asked AND nice_status <> '{PAUSED}' AND leased_until <= ? AND held_until <= ? AND {tasks.BEFORE} < ?"
    " ORDER BY task.rowid LIMIT ?"
)
_COLUMNS = "(task_id, source_path, destination_path, size_bytes, checksum, status, error_code, error_details, recorded_at)"
_KEEP_RESULT = f"INSERT INTO task_result {_COLUMNS} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 (our own words)
_KEEP_ARRIVED = (
    f"INSERT INTO task_result {_COLUMNS} SELECT ?1, ?2 || json_extract(value, '$[0]'), ?3 || json_extract(value, '$[0]'),"  # noqa: S608 (our own words)
    " json_extract(value, '$[1]'), json_extract(value, '$[2]'), 'transferred', NULL, NULL, ?4 FROM json_each(?5)"
)


def has_ready(db: sqlite3.Connection, *, node: str, instance: str, most_active: int) -> bool:
    """Whether an order waits for this node: a cheap look before `lease` writes. Raises `ApiError` 409 `InstanceUnknown`."""
    _require_registered(db, node, instance)
    now = time.time()
    return db.execute(READY, (node, now, now, most_active, 1)).fetchone() is not None


def lease(db: sqlite3.Connection, *, node: str, instance: str, most: int, most_active: int) -> list[dict[str, Any]]:
    """Leases up to `most` orders to an instance of a node; returns them as ORDERs. Raises `ApiError` 409 `InstanceUnknown`.

    An owner has `most_active` tasks under way at once, the oldest first.
    """
    _require_registered(db, node, instance)
    now = time.time()
    found = []
    for row in db.execute(READY, (node, now, now, most_active, most)).fetchall():
        task = db.execute(f"{tasks.SELECT} WHERE id = ?", (row["task_id"],)).fetchone()
        if _is_stopped(db, task):
            continue
        refused = _refusal(db, task)
        if refused is not None:
            _hold(db, row["id"], task, *refused)
            continue
        is_first = db.execute("SELECT 1 FROM task_event WHERE task_id = ? AND code = 'STARTED'", (task["id"],)).fetchone() is None
        if is_first:
            tasks.add_event(db, task["id"], "STARTED", "started")
        if not task["is_ok"]:
            db.execute("UPDATE task SET is_ok = 1, nice_status = 'OK', nice_details = NULL WHERE id = ?", (task["id"],))
        db.execute("UPDATE copy_order SET instance = ?, leased_until = ? WHERE id = ?", (instance, now + LEASE_S, row["id"]))
        found.append(_order(db, row["id"], task))
    return found


def release_other_instances(db: sqlite3.Connection, *, node: str, instance: str) -> None:
    """A node has started anew: what its former process held is free at once."""
    db.execute("UPDATE copy_order SET leased_until = 0 WHERE node = ? AND instance <> ? AND NOT is_finished", (node, instance))


def items(db: sqlite3.Connection, *, node: str, order_id: str, after: int, limit: int) -> list[dict[str, Any]]:
    """Returns items with an index above `after`, in order."""
    order = _own(db, node, order_id)
    rows = db.execute(
        "SELECT * FROM task_item WHERE task_id = ? AND position > ? ORDER BY position LIMIT ?", (order["task_id"], after, limit)
    )
    return [_item(row) for row in rows]


def heartbeat(
    db: sqlite3.Connection, *, node: str, order_id: str, instance: str, counters: Mapping[str, Any], fault: Mapping[str, Any] | None
) -> tuple[str, str]:
    """Renews a lease, keeps counters and fault, and returns what the node shall do (continue, cancel, pause or lost) and the deadline."""
    order = _own(db, node, order_id)
    action = "lost" if order["instance"] != instance else _beat(db, order, counters, fault)
    (deadline,) = db.execute("SELECT deadline FROM task WHERE id = ?", (order["task_id"],)).fetchone()
    return action, deadline


def _beat(db: sqlite3.Connection, order: sqlite3.Row, counters: Mapping[str, Any], fault: Mapping[str, Any] | None) -> str:
    task = db.execute(f"{tasks.SELECT} WHERE id = ?", (order["task_id"],)).fetchone()
    if order["is_finished"] or task["is_cancel_asked"]:
        return "cancel"
    count(db, task["id"], counters)
    deadlines.note_progress(db, task, counters)
    progress_events.note(db, task["id"])
    if _is_stopped(db, task):
        return "lost"
    db.execute("UPDATE copy_order SET leased_until = ? WHERE id = ?", (time.time() + LEASE_S, order["id"]))
    refused = _refusal(db, task)
    if refused is not None:
        note_fault(db, task, *refused)
        return "pause"
    if fault is not None:
        code, description = globus_code(str(fault.get("code", "ENDPOINT_ERROR"))), str(fault.get("description", ""))
        note_fault(db, task, code, description, path=str(fault.get("path") or ""))
        if fault.get("code") == NO_SPACE and json.loads(task["options"]).get("fail_on_quota_errors"):
            tasks.end(db, task["id"], "FAILED", fatal=(code, description))
            return "cancel"
    elif not task["is_ok"]:
        db.execute("UPDATE task SET is_ok = 1, nice_status = 'OK', nice_details = NULL WHERE id = ?", (task["id"],))
    return "continue"


def store_results(db: sqlite3.Connection, *, node: str, order_id: str, batch: Mapping[str, Any]) -> int:
    """Keeps a numbered batch of results once; returns the last number kept. Safe to repeat.

    Raises `ApiError` 409 `OrderLost` for an instance that no longer holds the order.
    """
    order = _own(db, node, order_id)
    sequence = int(batch["sequence"])
    if order["instance"] != batch.get("instance"):
        raise ApiError("OrderLost", "Another instance holds this order", 409)
    if order["is_finished"] or sequence != order["last_sequence"] + 1:
        return max(sequence, order["last_sequence"]) if order["is_finished"] else int(order["last_sequence"])
    task_id = order["task_id"]
    _keep_results(db, task_id, batch)
    for event in batch.get("events") or []:
        details = event.get("details")
        tasks.add_event(
            db, task_id, globus_code(str(event["code"])), str(event.get("description") or ""), is_error=bool(event.get("is_error")),
            details=details if isinstance(details, str) else json.dumps(details) if details else "",
        )  # fmt: skip
    count(db, task_id, batch.get("counters") or {})
    db.execute("UPDATE copy_order SET last_sequence = ?, leased_until = ? WHERE id = ?", (sequence, time.time() + LEASE_S, order_id))
    return sequence


def _keep_results(db: sqlite3.Connection, task_id: str, batch: Mapping[str, Any]) -> None:
    """Keeps a row a file. Those that arrived are many: a folder of them is one statement."""
    now = now_text()
    rows = [(task_id, *facts, code and globus_code(code), details, now) for *facts, code, details in batch["results"]]
    for source, destination, files in batch["arrived"]:
        text = json.dumps(files, ensure_ascii=False)
        if "\\u0000" in text:  # where SQLite's JSON ends a text
            rows += [(task_id, source + name, destination + name, *facts, "transferred", None, None, now) for name, *facts in files]
        else:
            db.execute(_KEEP_ARRIVED, (task_id, source, destination, now, text))
    db.executemany(_KEEP_RESULT, rows)


def finish(db: sqlite3.Connection, *, node: str, order_id: str, report: Mapping[str, Any]) -> None:
    """Ends the task as its node says, once. Safe to repeat; a canceled task ends as canceled unless all was done.

    What was not done when the deadline came has expired, whatever hindered it: that is told in the events.

    Raises `ApiError` 409 `OrderLost` for an instance that no longer holds the order.
    """
    order = _own(db, node, order_id)
    if order["is_finished"]:
        return
    if order["instance"] != report.get("instance"):
        raise ApiError("OrderLost", "Another instance holds this order", 409)
    count(db, order["task_id"], report.get("counters") or {})
    progress_events.note(db, order["task_id"], is_end=True)
    task = db.execute("SELECT is_cancel_asked, deadline FROM task WHERE id = ?", (order["task_id"],)).fetchone()
    if report.get("status") == "SUCCEEDED":
        tasks.end(db, order["task_id"], "SUCCEEDED")
    elif task["is_cancel_asked"]:
        tasks.end(db, order["task_id"], "FAILED", fatal=tasks.canceled(db, order["task_id"]))
    elif task["deadline"] <= now_text():
        tasks.end(db, order["task_id"], "FAILED", fatal=tasks.EXPIRED)
    else:
        fatal = report.get("fatal_error") or {}
        tasks.end(
            db,
            order["task_id"],
            "FAILED",
            fatal=(globus_code(str(fatal.get("code") or "FAILED")), str(fatal.get("description") or "failed")),
        )


def count(db: sqlite3.Connection, task_id: str, counters: Mapping[str, Any]) -> None:
    """Keeps the totals of a node; a total never gets less, whatever a late message says."""
    known = {name: int(counters.get(name) or 0) for name in COUNTERS}
    changes = ", ".join(f"{name} = max({name}, :{name})" for name in TOTALS)
    db.execute(f"UPDATE task SET {changes} WHERE id = :task_id AND completed_at IS NULL", {**known, "task_id": task_id})  # noqa: S608 (our own names)
    if known["symlinks"]:
        db.execute(
            "INSERT INTO task_links SELECT id, :symlinks FROM task WHERE id = :task_id AND completed_at IS NULL"
            " ON CONFLICT (task_id) DO UPDATE SET symlinks = max(symlinks, excluded.symlinks)",
            {"symlinks": known["symlinks"], "task_id": task_id},
        )


def note_fault(db: sqlite3.Connection, task: sqlite3.Row, code: str, description: str, *, path: str = "") -> None:
    """Makes a fault that may pass visible: one event until it changes, and the task's nice status."""
    details = json.dumps({"path": path}) if path else ""
    if task["is_ok"] or task["nice_status"] != code or task["nice_details"] != description:
        tasks.add_event(db, task["id"], code, description, details=details, is_error=True)
        db.execute("UPDATE task SET faults = faults + 1 WHERE id = ? AND completed_at IS NULL", (task["id"],))
    db.execute("UPDATE task SET is_ok = 0, nice_status = ?, nice_details = ? WHERE id = ?", (code, description, task["id"]))


def check_ticket(db: sqlite3.Connection, *, collection_id: str, ticket: str, known: str | None = None) -> dict[str, Any]:
    """Says what a pull ticket opens now: the source paths of an active task that its owner may still read.

    Paths are told only to a node that does not hold them as they are: it says by `known` which `mark` it heard last. A task that waits
    for a consent or is paused is `held`: nothing is refused for good, so that no file of it counts as one that may not be read.
    """
    collection = collections.find(db, collection_id)
    row = db.execute(
        "SELECT task.* FROM ticket JOIN task ON task.id = ticket.task_id JOIN copy_order ON copy_order.task_id = task.id"
        " WHERE digest = ? AND collection_id = ? AND completed_at IS NULL AND NOT is_cancel_asked AND deadline > ?",
        (_digest(ticket), collection_id, now_text()),
    ).fetchone()
    is_held = row is not None and (
        row["status"] != "ACTIVE" or authority.missing_consent(db, row) is not None or pausing.reason(db, row) is not None
    )
    if row is None or collection is None or is_held:
        version = 0 if collection is None else collection.rule_version
        return {"active": False, "held": is_held, "task_id": None, "paths": [], "mark": None, "rule_version": version}
    rights = rights_of(db, collection, person_of(db, row["owner_id"]))
    mark = _digest(json.dumps([row["id"], rules_document(rights)]))
    paths = None if mark == known else _readable_paths(db, row, rights)
    return {"active": True, "held": False, "task_id": row["id"], "paths": paths, "mark": mark, "rule_version": collection.rule_version}


def _readable_paths(db: sqlite3.Connection, task: sqlite3.Row, rights: Rights) -> list[str]:
    """The items of a task; where its links are followed, all that its owner may read, for a link may lead there."""
    if json.loads(task["options"]).get("recursive_symlinks") == "copy":
        return [grant.path for grant in rights.grants]
    return [path for (path,) in db.execute("SELECT source_path FROM task_item WHERE task_id = ?", (task["id"],)) if rights.may_read(path)]


def _own(db: sqlite3.Connection, node: str, order_id: str) -> sqlite3.Row:
    row: sqlite3.Row | None = db.execute("SELECT * FROM copy_order WHERE id = ? AND node = ?", (order_id, node)).fetchone()
    if row is None:
        raise ApiError("ClientError.NotFound", f"No order '{order_id}' for this node", 404)
    return row


def _require_registered(db: sqlite3.Connection, node: str, instance: str) -> None:
    """The question of a process that was killed may still wait here, and must not take what its successor is to have."""
    row = db.execute("SELECT node_instance FROM endpoint WHERE node = ?", (node,)).fetchone()
    if row is None or row["node_instance"] != instance:
        raise ApiError("InstanceUnknown", "This instance is not the one that registered last; register again", 409)


def _hold(db: sqlite3.Connection, order_id: str, task: sqlite3.Row, code: str, description: str) -> None:
    note_fault(db, task, code, description)
    db.execute("UPDATE copy_order SET held_until = ? WHERE id = ?", (time.time() + RETRY_S, order_id))


def _is_stopped(db: sqlite3.Connection, task: sqlite3.Row) -> bool:
    """Whether the task may not go on until somebody acts: its owner (a consent) or who looks after a collection (a pause)."""
    missing = authority.missing_consent(db, task)
    if missing is not None:
        tasks.deactivate(db, task, missing)
        return True
    message = pausing.reason(db, task)
    if message is not None:
        tasks.pause(db, task, message)
    return message is not None


def _refusal(db: sqlite3.Connection, task: sqlite3.Row) -> tuple[str, str] | None:
    """Why the owner may not carry the task out now, or None. The source is asked again for every file, through its ticket."""
    person = person_of(db, task["owner_id"])
    target_id = task["destination_id"] or task["source_id"]
    for collection_id in {task["source_id"], target_id}:
        collection = collections.find(db, collection_id)
        if collection is None:
            return "ENDPOINT_ERROR", f"The collection {collection_id} is gone"
        if not collection.node_url:
            return "CONNECT_FAILED", f"{collection.display_name} was never connected"
        rights = rights_of(db, collection, person)
        if not rights.grants:
            return "PERMISSION_DENIED", f"You have no access to {collection.display_name}"
        if collection_id == target_id:
            column = "destination_path" if task["destination_id"] else "source_path"
            path = _first_unwritable(db, task["id"], column, rights)
            if path is not None:
                return "PERMISSION_DENIED", f"You may not write {path} on {collection.display_name}"
    return None


def _first_unwritable(db: sqlite3.Connection, task_id: str, column: str, rights: Rights) -> str | None:
    if rights.may_write("/"):
        return None
    rows = db.execute(f"SELECT {column} FROM task_item WHERE task_id = ?", (task_id,))  # noqa: S608 (one of two names)
    return next((path for (path,) in rows if not rights.may_write(path)), None)


def _order(db: sqlite3.Connection, order_id: str, task: sqlite3.Row) -> dict[str, Any]:
    options = json.loads(task["options"])
    (last_sequence,) = db.execute("SELECT last_sequence FROM copy_order WHERE id = ?", (order_id,)).fetchone()
    names = (
        "sync_level",
        "verify_checksum",
        "preserve_timestamp",
        "skip_source_errors",
        "delete_destination_extra",
        "recursive",
        "ignore_missing",
    )
    return {
        "id": order_id,
        "task_id": task["id"],
        "kind": "copy" if task["destination_id"] else "delete",
        "engine": _engine(db, task, options),
        "lease_s": LEASE_S,
        "source": _source(db, task) if task["destination_id"] else None,
        "destination": _destination(db, task),
        "options": {
            **{name: options.get(name, None if name == "sync_level" else False) for name in names},
            "filter_rules": options.get("filter_rules") or [],
            "recursive_symlinks": options.get("recursive_symlinks", "ignore"),
            "encrypt_data": _is_private(db, task, options),
            "most_bytes_per_s": options.get("most_bytes_per_s"),
            "deadline": task["deadline"],
        },
        "n_items": task["n_items"],
        "last_sequence": last_sequence,
    }


def _engine(db: sqlite3.Connection, task: sqlite3.Row, options: Mapping[str, Any]) -> str:
    if not task["destination_id"]:
        return "https"
    return data_paths.engine_between(collections.get(db, task["source_id"]), collections.get(db, task["destination_id"]), options)


def _is_private(db: sqlite3.Connection, task: sqlite3.Row, options: Mapping[str, Any]) -> bool:
    ends = [collections.get(db, task[column]) for column in ("source_id", "destination_id") if task[column]]
    return data_paths.is_private(ends[0], ends[-1], options)


def _source(db: sqlite3.Connection, task: sqlite3.Row) -> dict[str, Any]:
    source = collections.get(db, task["source_id"])
    ticket = secrets.token_urlsafe(32)
    db.execute("INSERT INTO ticket VALUES (?, ?, ?)", (_digest(ticket), task["id"], source.id))
    return {"collection": source.id, "url": source.https_server, "node_url": source.node_url, "ticket": ticket}


def _destination(db: sqlite3.Connection, task: sqlite3.Row) -> dict[str, Any]:
    """Where the node writes, and what the owner may write there: the node alone sees where a symbolic link leads."""
    collection = collections.get(db, task["destination_id"] or task["source_id"])
    return {"collection": collection.id, "rules": rules_document(rights_of(db, collection, person_of(db, task["owner_id"])))}


def _item(row: sqlite3.Row) -> dict[str, Any]:
    if row["destination_path"] is None:
        return {"index": row["position"], "path": row["source_path"]}
    return {
        "index": row["position"],
        "source_path": row["source_path"],
        "destination_path": row["destination_path"],
        "recursive": bool(row["is_recursive"]),
        "checksum": row["checksum"],
    }


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
