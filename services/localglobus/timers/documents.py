"""The wire shapes of Timers: the `timer` that `POST /v2/timer` answers with, and the `job` that everything else speaks of."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from services.localglobus.timers.schedules import Schedule

TRANSFER_ACTION = "https://transfer.actions.globus.org/transfer/run"


def timer_document(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "body": json.loads(row["body"]),
        "inactive_reason": _reason(row),
        "job_id": row["id"],
        "last_ran_at": row["last_ran_at"],
        "name": row["name"],
        "next_run": row["next_run_at"],
        "number_of_errors": row["n_errors"],
        "number_of_runs": row["n_runs"],
        "schedule": Schedule.load(row["schedule"]).document(),
        "status": row["status"],
        "submitted_at": row["submitted_at"],
        "timer_type": "transfer",
    }


def job_document(row: sqlite3.Row, *, running_since: str | None, results: Iterable[dict[str, Any]], scope: str | None) -> dict[str, Any]:
    """Returns a timer as a job. `running_since` is when the run began that is under way."""
    schedule = Schedule.load(row["schedule"])
    callback = json.loads(row["callback"]) if row["callback"] else {"url": TRANSFER_ACTION, "body": {"body": json.loads(row["body"])}}
    return {
        "activity": _activity(row, running_since),
        "callback_body": callback["body"],
        "callback_url": callback["url"],
        "inactive_reason": _reason(row),
        "interval": None if schedule.interval_s is None else float(schedule.interval_s),
        "job_id": row["id"],
        "last_ran_at": row["last_ran_at"],
        "n_errors": row["n_errors"],
        "n_runs": row["n_runs"],
        "name": row["name"],
        "next_run": row["next_run_at"],
        "results": {"data": list(results), "page_next": None},
        "schedule": schedule.document(),
        "scope": scope,
        "start": schedule.start,
        "status": row["status"],
        "stop_after": {"date": schedule.end, "n_runs": 1 if schedule.interval_s is None else schedule.most_runs},
        "submitted_at": row["submitted_at"],
        "timer_type": "transfer",
    }


def result_document(run: sqlite3.Row, task: dict[str, Any] | None, *, owner_id: str) -> dict[str, Any]:
    """Returns a run: the task that it submitted, as it is now, or why there is none."""
    errors = json.loads(run["error"]) if run["error"] else None
    status = task["status"] if task else "FAILED"
    ended_at = task["completion_time"] if task else run["ran_at"]
    return {
        "data": {
            "action_id": run["task_id"] or f"run-{run['id']}",
            "completion_time": ended_at,
            "creator_id": f"urn:globus:auth:identity:{owner_id}",
            "details": task or errors,
            "display_status": status,
            "label": task["label"] if task else None,
            "manage_by": [],
            "monitor_by": [],
            "release_after": "P30D",
            "start_time": run["ran_at"],
            "status": status,
        },
        "errors": errors,
        "ran_at": run["ran_at"],
        "status": run["http_status"],
    }


def _reason(row: sqlite3.Row) -> Any:
    return json.loads(row["inactive_reason"]) if row["inactive_reason"] else None


def _activity(row: sqlite3.Row, running_since: str | None) -> dict[str, Any] | None:
    if row["status"] == "inactive":
        return {"code": "paused", "start_timestamp": None}
    if running_since is not None:
        return {"code": "run_in_progress", "start_timestamp": running_since}
    return None if row["status"] == "ended" else {"code": "awaiting_next_run", "start_timestamp": None}
