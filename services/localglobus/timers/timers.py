"""Timers as their owner handles them: made, looked at, renamed, paused, resumed, deleted.

made -> new -- first run --> loaded -- last run --> ended
        new | loaded -- paused, or a consent is missing when a run is due --> inactive -- resumed --> loaded | ended
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Mapping
from typing import Any

from services.localglobus.auth.tokens import Caller
from services.localglobus.errors import ApiError
from services.localglobus.timers import authority, schedules
from services.localglobus.timers.documents import job_document, result_document
from services.localglobus.timers.schedules import Schedule, invalid
from services.localglobus.transfer import tasks, times
from services.localglobus.transfer.documents import event_document, task_document

NAME_LENGTH = 256
MOST_SHOWN, MOST_LISTED, MOST_EVENTS = 100, 10, 10
"""Runs of a timer that is looked at, and of one in a list; events of a run."""
MOST_TIMERS = 1000
"""Of one owner, those that have ended too until they are deleted."""
UNSUPPORTED = ("submission_id", "skip_activation_check")
"""Members of a transfer document that a timer cannot have."""
TRANSFER_ACTIONS = ("https://actions.automate.globus.org/transfer/transfer/run", "https://transfer.actions.globus.org/transfer/run")
DEFAULTS: dict[str, Any] = {
    "DATA_TYPE": "transfer",
    "store_base_path_info": False,
    **dict.fromkeys(tasks.TRANSFER_FLAGS, False),
    **dict.fromkeys(tasks.NOTIFY_FLAGS, True),
}
"""What a transfer document says that does not say it."""
JOB_NAMES = {"source_endpoint_id": "source_endpoint", "destination_endpoint_id": "destination_endpoint", "transfer_items": "DATA"}
"""What the action that a job calls names otherwise than a transfer document."""


def create(db: sqlite3.Connection, caller: Caller, asked: Any, *, least_interval_s: float) -> sqlite3.Row:
    """Makes a timer from the document of `POST /v2/timer`. Raises `ApiError` 422, or what Transfer would say of its collections."""
    if not isinstance(asked, dict):
        raise invalid("timer", message="field required", kind="value_error.missing")
    if asked.get("timer_type") != "transfer":
        raise invalid("timer", "timer_type", message="timer_type must be transfer: there are no flows here")
    body = asked.get("body")
    if not isinstance(body, dict):
        raise invalid("timer", "body", message="field required", kind="value_error.missing")
    for name in UNSUPPORTED:
        if name in body:
            raise invalid("timer", "body", name, message="not supported in timers")
    schedule = schedules.read(asked.get("schedule"), least_interval_s=least_interval_s)
    return _insert(db, caller, asked.get("name"), body, schedule, callback=None, least_interval_s=least_interval_s)


def create_job(db: sqlite3.Connection, caller: Caller, asked: Mapping[str, Any], *, least_interval_s: float) -> sqlite3.Row:
    """Makes a timer from a job document, whose action must be a transfer. Raises `ApiError` 422."""
    missing = [name for name in ("start", "callback_url") if asked.get(name) is None]
    if missing:
        detail = [{"loc": ["body", name], "msg": "field required", "type": "value_error.missing"} for name in missing]
        raise ApiError("VALIDATION_ERROR", "field required", 422, extra={"detail": detail})
    callback = asked.get("callback_body")
    action = callback.get("body") if isinstance(callback, dict) else None
    if asked["callback_url"] not in TRANSFER_ACTIONS or not isinstance(action, dict):
        raise invalid("callback_url", message="only the action of Transfer can be called here")
    body = {JOB_NAMES.get(str(name), str(name)): value for name, value in action.items()}
    schedule = schedules.read_job(asked, least_interval_s=least_interval_s)
    kept = {"url": asked["callback_url"], "body": callback}
    return _insert(db, caller, asked.get("name"), body, schedule, callback=kept, least_interval_s=least_interval_s)


def _insert(
    db: sqlite3.Connection,
    caller: Caller,
    name: object,
    body: dict[str, Any],
    schedule: Schedule,
    *,
    callback: Mapping[str, Any] | None,
    least_interval_s: float,
) -> sqlite3.Row:
    if body.get("DATA_TYPE", "transfer") != "transfer":
        raise invalid("timer", "body", "DATA_TYPE", message="DATA_TYPE must be transfer: timers submit nothing else")
    (owned,) = db.execute("SELECT count(*) FROM timer WHERE owner_id = ?", (caller.identity_id,)).fetchone()
    if owned >= MOST_TIMERS:
        raise ApiError("LimitExceeded", f"You have {MOST_TIMERS} timers; delete one of them", 409)
    held = authority.of_token(db, caller)
    authority.require_collections(db, authority.caller_at_transfer(db, held), body)
    _require_rest(db, caller.identity_id, schedule, least_interval_s=least_interval_s)
    timer_id = str(uuid.uuid4())
    db.execute(
        "INSERT INTO timer (id, owner_id, name, callback, body, schedule, status, submitted_at, next_run_at, client_id, root, session,"
        " token_issued_at) VALUES (?, ?, ?, ?, ?, ?, 'new', ?, ?, ?, ?, ?, ?)",
        (
            timer_id, caller.identity_id, read_name(name), callback and json.dumps(callback), json.dumps({**DEFAULTS, **body}),
            schedule.dump(),
            times.now_text(), schedule.start, held.client_id, json.dumps(held.root), held.session, held.issued_at,
        ),
    )  # fmt: skip
    return get(db, timer_id, caller.identity_id)


def _require_rest(db: sqlite3.Connection, owner_id: str, schedule: Schedule, *, least_interval_s: float) -> None:
    """All timers of a user together run once a minute at most (https://docs.globus.org/api/timers)."""
    rows = db.execute("SELECT schedule FROM timer WHERE owner_id = ? AND status IN ('new', 'loaded')", (owner_id,))
    intervals = [Schedule.load(row["schedule"]).interval_s for row in rows] + [schedule.interval_s]
    if schedule.interval_s is not None and sum(1 / each for each in intervals if each) * least_interval_s > 1 + 1e-9:
        raise ApiError("LimitExceeded", f"All your timers together may run once in {least_interval_s:g} seconds at most", 409)


def read_name(value: object) -> str:
    """Returns the name of a timer, which may be missing. Raises `ApiError` 422."""
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > NAME_LENGTH:
        raise invalid("name", message=f"a name has at most {NAME_LENGTH} characters")
    return value


def get(db: sqlite3.Connection, timer_id: str, owner_id: str) -> sqlite3.Row:
    """Returns a timer of this owner. Raises `ApiError` 404 for any other one."""
    row: sqlite3.Row | None = db.execute("SELECT * FROM timer WHERE id = ? AND owner_id = ?", (timer_id.lower(), owner_id)).fetchone()
    if row is None:
        raise ApiError("NOT_FOUND", f"No timer '{timer_id}' of yours", 404)
    return row


def describe(db: sqlite3.Connection, row: sqlite3.Row, *, most_active: int, most_runs: int = MOST_SHOWN) -> dict[str, Any]:
    """Returns a timer as a job, with its last runs and what became of them."""
    runs = db.execute("SELECT * FROM timer_run WHERE timer_id = ? ORDER BY id DESC LIMIT ?", (row["id"], most_runs)).fetchall()
    results = [result_document(run, _task(db, run["task_id"], most_active=most_active), owner_id=row["owner_id"]) for run in runs]
    is_running = bool(runs) and is_open(db, runs[0])
    scope = authority.TIMER if row["callback"] is None else None
    return job_document(row, running_since=runs[0]["ran_at"] if is_running else None, results=results, scope=scope)


def _task(db: sqlite3.Connection, task_id: str | None, *, most_active: int) -> dict[str, Any] | None:
    row = db.execute(f"{tasks.SELECT} WHERE id = ?", (task_id,)).fetchone()
    if row is None:
        return None
    events = db.execute("SELECT * FROM task_event WHERE task_id = ? ORDER BY id DESC LIMIT ?", (task_id, MOST_EVENTS))
    return {**task_document(row, most_active=most_active), "event_list": [event_document(event) for event in events]}


def is_open(db: sqlite3.Connection, run: sqlite3.Row) -> bool:
    """Whether the task of a run is still under way."""
    return db.execute("SELECT 1 FROM task WHERE id = ? AND completed_at IS NULL", (run["task_id"],)).fetchone() is not None


def list_own(db: sqlite3.Connection, owner_id: str, *, is_newest_first: bool, most_active: int) -> list[dict[str, Any]]:
    order = "DESC" if is_newest_first else "ASC"
    rows = db.execute(f"SELECT * FROM timer WHERE owner_id = ? ORDER BY submitted_at {order}, rowid {order}", (owner_id,)).fetchall()  # noqa: S608 (one of two words)
    return [describe(db, row, most_active=most_active, most_runs=MOST_LISTED) for row in rows]


def rename(db: sqlite3.Connection, timer_id: str, owner_id: str, asked: Mapping[str, Any]) -> sqlite3.Row:
    """Changes the name, which is all that can be changed of a timer here."""
    get(db, timer_id, owner_id)
    other = next((name for name in asked if name != "name"), None)
    if other is not None:
        raise invalid(other, message="only the name of a timer can be changed; make another one for the rest")
    db.execute("UPDATE timer SET name = ? WHERE id = ?", (read_name(asked.get("name")), timer_id.lower()))
    return get(db, timer_id, owner_id)


def pause(db: sqlite3.Connection, timer_id: str, owner_id: str) -> None:
    """Makes a timer inactive until it is resumed. Safe to repeat."""
    row = get(db, timer_id, owner_id)
    if row["status"] == "ended":
        raise ApiError("CONFLICT", "The timer has ended", 409)
    if row["status"] != "inactive":
        deactivate(db, row["id"], {"cause": "user", "detail": None})


def deactivate(db: sqlite3.Connection, timer_id: str, reason: Mapping[str, Any]) -> None:
    db.execute("UPDATE timer SET status = 'inactive', inactive_reason = ? WHERE id = ?", (json.dumps(reason), timer_id))


def resume(db: sqlite3.Connection, timer_id: str, caller: Caller, *, updates_credentials: bool | None, least_interval_s: float) -> None:
    """Lets an inactive timer run again, at its next tick. With new credentials it rests on the caller's token from now on.

    Unless said otherwise, credentials are replaced when their lack was why the timer stopped. Raises `ApiError` 403 if they still lack,
    409 if it and the timers that were not inactive would run too often.
    """
    row = get(db, timer_id, caller.identity_id)
    if row["status"] != "inactive":
        raise ApiError("CONFLICT", "The timer is not inactive", 409)
    is_lack = json.loads(row["inactive_reason"])["cause"] == "globus_auth_requirements"
    held = authority.of_token(db, caller) if (is_lack if updates_credentials is None else updates_credentials) else authority.of_timer(row)
    authority.require_collections(db, authority.caller_at_transfer(db, held), json.loads(row["body"]))
    schedule, now = Schedule.load(row["schedule"]), times.now_text()
    is_waiting = row["next_run_at"] is not None and (row["next_run_at"] > now or schedule.interval_s is None)
    next_run_at = row["next_run_at"] if is_waiting else schedule.next_after(now, n_runs=row["n_runs"])
    if next_run_at is not None:
        _require_rest(db, caller.identity_id, schedule, least_interval_s=least_interval_s)
    db.execute(
        "UPDATE timer SET status = ?, inactive_reason = NULL, next_run_at = ?, client_id = ?, root = ?, session = ?, token_issued_at = ?"
        " WHERE id = ?",
        (
            "ended" if next_run_at is None else "loaded", next_run_at, held.client_id, json.dumps(held.root), held.session,
            held.issued_at, row["id"],
        ),
    )  # fmt: skip


def delete(db: sqlite3.Connection, timer_id: str, owner_id: str, *, most_active: int) -> dict[str, Any]:
    """Forgets a timer; the tasks that it submitted stay. Returns it as it was."""
    row = get(db, timer_id, owner_id)
    document = describe(db, row, most_active=most_active)
    db.execute("DELETE FROM timer WHERE id = ?", (row["id"],))
    return document
