"""The event PROGRESS of a transfer: once a minute while bytes move, and once more at the end.

Its details are JSON, as Globus writes them: `bytes_transferred` and `duration` (seconds) since the event before it, and `mbps`
(megabits per second) between the two.
"""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime

from services.localglobus.transfer import tasks

EVERY_S = 60.0
LEAST_S = 1.0
"""Times of events are whole seconds; a shorter copy counts as one of a second."""


def note(db: sqlite3.Connection, task_id: str, *, is_end: bool = False) -> None:
    """Writes what was transferred since the last such event, when that is due."""
    (total,) = db.execute("SELECT bytes_transferred FROM task WHERE id = ?", (task_id,)).fetchone()
    last, told = db.execute(
        "SELECT max(time), total(CAST(json_extract(CASE WHEN json_valid(details) THEN details ELSE '{}' END, '$.bytes_transferred')"
        " AS INTEGER)) FROM task_event WHERE task_id = ? AND code IN ('STARTED', 'PROGRESS')",
        (task_id,),
    ).fetchone()
    n_bytes = total - int(told)  # a node may have told of it, too, whatever it wrote
    if last is None or n_bytes <= 0:
        return
    duration_s = max((datetime.now(UTC) - datetime.fromisoformat(last)).total_seconds(), LEAST_S)
    if is_end or duration_s >= EVERY_S:
        details = {"bytes_transferred": n_bytes, "duration": round(duration_s, 2), "mbps": round(n_bytes * 8 / duration_s / 1e6, 2)}
        tasks.add_event(db, task_id, "PROGRESS", "progress", details=json.dumps(details))
