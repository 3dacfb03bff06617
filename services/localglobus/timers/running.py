"""Runs: what is due is submitted to Transfer as its owner, each timer in one transaction with the record of it.

So a program that is killed submits a tick once or not yet, never twice. A run that Transfer refuses for want of a consent or a sign-in
makes the timer inactive and says what is wanted; any other refusal is counted, and the next tick tries again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import time
from datetime import timedelta

from starlette.applications import Starlette

from services.localglobus.errors import ApiError
from services.localglobus.store import Store, may_pass
from services.localglobus.timers import authority, timers
from services.localglobus.timers.schedules import Schedule
from services.localglobus.transfer import accepting, tasks, times
from services.localglobus.transfer.waiting import ROOM

log = logging.getLogger(__name__)

LOOK_S = 0.5
FORGET_S = 3600.0
KEPT = timedelta(days=90)  # "Only the last 90 days of activity are retained", https://docs.globus.org/api/timers
DUE = "SELECT id FROM timer WHERE status IN ('new', 'loaded') AND next_run_at <= ? ORDER BY next_run_at"


async def run(app: Starlette) -> None:
    """Submits what is due as long as the program runs; forgets runs of 90 days ago every hour."""
    store: Store = app.state.store
    forget_at = time.monotonic()
    while True:
        try:
            for timer_id in await store.read(due):
                await _sweep_one(store, timer_id)
                ROOM.wake("orders")
            if time.monotonic() >= forget_at:
                await store.write(forget_runs)
                forget_at = time.monotonic() + FORGET_S
        except sqlite3.Error:
            log.exception("a timer could not be run; trying again")
        await asyncio.sleep(LOOK_S)


async def _sweep_one(store: Store, timer_id: str) -> None:
    try:
        await store.write(run_one, timer_id)
    except Exception:  # one timer that cannot be run must not hold up the others
        log.exception("timer %s could not be run; trying again", timer_id)


def due(db: sqlite3.Connection) -> list[str]:
    return [timer_id for (timer_id,) in db.execute(DUE, (times.now_text(),))]


def run_one(db: sqlite3.Connection, timer_id: str) -> None:
    """Runs a timer whose tick has come, unless its last run is under way. Safe to repeat: what is not due any more is left alone."""
    now = times.now_text()
    row = db.execute("SELECT * FROM timer WHERE id = ? AND status IN ('new', 'loaded') AND next_run_at <= ?", (timer_id, now)).fetchone()
    if row is None:
        return
    schedule = Schedule.load(row["schedule"])
    if schedule.is_over(now):
        db.execute("UPDATE timer SET status = 'ended', next_run_at = NULL WHERE id = ?", (timer_id,))
        return
    last = db.execute("SELECT * FROM timer_run WHERE timer_id = ? ORDER BY id DESC LIMIT 1", (timer_id,)).fetchone()
    if last is None or not timers.is_open(db, last):
        db.execute("SAVEPOINT run")
        try:
            task_id = _submit(db, row)
        except Exception as error:  # whatever it is, it is this run's failure; the next tick tries again
            if may_pass(error):
                raise
            db.execute("ROLLBACK TO run")
            db.execute("RELEASE run")
            refused = error if isinstance(error, ApiError) else _fault(timer_id, error)
            if _stop_for_want_of_authority(db, row, refused):
                return
            _record(db, row, now, error=refused)
        else:
            db.execute("RELEASE run")
            _record(db, row, now, task_id=task_id)
    (n_runs,) = db.execute("SELECT n_runs FROM timer WHERE id = ?", (timer_id,)).fetchone()
    next_run_at = schedule.next_after(now, n_runs=n_runs)
    status = "ended" if next_run_at is None else "loaded"
    db.execute("UPDATE timer SET status = ?, next_run_at = ? WHERE id = ?", (status, next_run_at, timer_id))


def _fault(timer_id: str, error: Exception) -> ApiError:
    """A defect of ours: logged whole, told without particulars."""
    log.error("a run of timer %s failed", timer_id, exc_info=error)
    return ApiError("InternalError", "localglobus failed; see its log", 500)


def _submit(db: sqlite3.Connection, row: sqlite3.Row) -> str:
    """Submits the transfer of a timer; returns its task's id. Raises `ApiError`, as Transfer refuses."""
    held = authority.of_timer(row)
    caller = authority.caller_at_transfer(db, held)
    body = json.loads(row["body"])
    label = body.get("label") or f"{' '.join(row['name'].split())}, run {row['n_runs'] + 1}".lstrip(" ,")[-tasks.LABEL_LENGTH :].strip()
    document = {**body, "submission_id": tasks.issue_submission_id(db, row["owner_id"]), "label": label}
    _, task_id, _ = accepting.submit_as(db, document, caller, client_id=held.client_id, root=held.root)
    return task_id


def _stop_for_want_of_authority(db: sqlite3.Connection, row: sqlite3.Row, refused: ApiError) -> bool:
    error = authority.below_timers(refused)
    parameters = error.extra.get("authorization_parameters")
    if parameters is None:
        return False
    detail = {"code": error.code, "authorization_parameters": parameters}
    timers.deactivate(db, row["id"], {"cause": "globus_auth_requirements", "detail": detail})
    return True


def _record(db: sqlite3.Connection, row: sqlite3.Row, now: str, *, task_id: str | None = None, error: ApiError | None = None) -> None:
    words = json.dumps({"code": error.code, "message": error.message}) if error else None
    db.execute(
        "INSERT INTO timer_run (timer_id, ran_at, task_id, error, http_status) VALUES (?, ?, ?, ?, ?)",
        (row["id"], now, task_id, words, error.http_status if error else 202),
    )
    db.execute(
        "UPDATE timer SET n_runs = n_runs + 1, n_errors = n_errors + ?, last_ran_at = ? WHERE id = ?", (error is not None, now, row["id"])
    )


def forget_runs(db: sqlite3.Connection) -> None:
    """Deletes the record of runs of 90 days ago. Safe to repeat."""
    db.execute("DELETE FROM timer_run WHERE ran_at <= ?", (times.now_text(plus=-KEPT),))
