"""When a timer runs: once, or at its start and every `interval_s` afterwards, until a number of runs or a time.

    tick n = start + n * interval          (https://docs.globus.org/api/timers/timer-schedules)

A tick that comes while the last run is under way is left out and does not count. Ticks missed while nobody looked are one, and none after
the end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from services.localglobus.errors import ApiError
from services.localglobus.transfer import times

MOST_INTERVAL_S = 100 * 366 * 86400
MOST_RUNS = 10**9
BACKWARDS = "a timer cannot end before its start"
LATE = timedelta(seconds=30)
"""How long after the end of a schedule its last tick is still found by a program that is busy."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Times are ISO 8601 in UTC, as the store keeps them. Without an interval a timer runs once."""

    start: str
    interval_s: int | None = None
    most_runs: int | None = None
    end: str | None = None

    @classmethod
    def load(cls, text: str) -> Schedule:
        return cls(**json.loads(text))

    def dump(self) -> str:
        return json.dumps(asdict(self))

    def next_after(self, moment: str, *, n_runs: int) -> str | None:
        """Returns the first tick after a moment, or None when there is none any more."""
        if self.interval_s is None or (self.most_runs is not None and n_runs >= self.most_runs):
            return None
        start = datetime.fromisoformat(self.start)
        passed_s = (datetime.fromisoformat(moment) - start).total_seconds()
        number = 0 if passed_s < 0 else int(passed_s // self.interval_s) + 1
        try:
            tick = times.text(start + timedelta(seconds=number * self.interval_s))
        except OverflowError:
            return None
        return None if self.end is not None and tick > self.end else tick

    def is_over(self, moment: str) -> bool:
        """Whether a tick found now was missed while nobody looked, and the end has come meanwhile."""
        return self.end is not None and times.text(datetime.fromisoformat(moment) - LATE) > self.end

    def document(self) -> dict[str, Any]:
        """Returns the schedule as `POST /v2/timer` takes it."""
        if self.interval_s is None:
            return {"type": "once", "datetime": self.start}
        end: dict[str, Any] | None = None
        if self.most_runs is not None:
            end = {"condition": "iterations", "count": self.most_runs, "iterations": self.most_runs}
        elif self.end is not None:
            end = {"condition": "time", "datetime": self.end}
        return {"type": "recurring", "start": self.start, "interval_seconds": self.interval_s, "end": end}


def invalid(*location: str, message: str, kind: str = "value_error") -> ApiError:
    """422 as Timers says what is wrong with a document, and where."""
    detail = [{"loc": ["body", *location], "msg": message, "type": kind}]
    return ApiError("VALIDATION_ERROR", message, 422, extra={"detail": detail})


def read(asked: Any, *, least_interval_s: float) -> Schedule:
    """Reads the `schedule` of a timer document. Raises `ApiError` 422."""
    kind = asked.get("type") if isinstance(asked, dict) else None
    if kind == "once":
        return Schedule(start=_moment(asked.get("datetime"), "datetime") or times.now_text())
    if kind != "recurring":
        raise invalid("timer", "schedule", message="a schedule has the type once or recurring")
    most_runs, end = _read_end(asked.get("end"))
    start = _moment(asked.get("start"), "start") or times.now_text()
    if end is not None and end < start:
        raise invalid("timer", "schedule", "end", "datetime", message=BACKWARDS)
    return Schedule(
        start=start,
        interval_s=read_interval(asked.get("interval_seconds"), "interval_seconds", least_interval_s=least_interval_s),
        most_runs=most_runs,
        end=end,
    )


def read_job(asked: Mapping[str, Any], *, least_interval_s: float) -> Schedule:
    """Reads start, interval, stop_after and stop_after_n of a job document. Raises `ApiError` 422."""
    interval = asked.get("interval")
    most_runs = _count(asked["stop_after_n"], "stop_after_n") if asked.get("stop_after_n") is not None else None
    start, end = _moment(asked.get("start"), "start") or times.now_text(), _moment(asked.get("stop_after"), "stop_after")
    if end is not None and end < start:
        raise invalid("stop_after", message=BACKWARDS)
    if interval is None:
        return Schedule(start=start)
    return Schedule(
        start=start, interval_s=read_interval(interval, "interval", least_interval_s=least_interval_s), most_runs=most_runs, end=end
    )


def read_interval(value: object, name: str, *, least_interval_s: float) -> int:
    """Returns an interval in seconds. Raises `ApiError` 422 for one that is too short or no whole number."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least_interval_s <= value <= MOST_INTERVAL_S or value < 1:
        raise invalid(name, message=f"an interval is a whole number of seconds, at least {max(1.0, least_interval_s):g}")
    return value


def _read_end(asked: Any) -> tuple[int | None, str | None]:
    if asked is None:
        return None, None
    if not isinstance(asked, dict) or asked.get("condition") not in ("iterations", "time"):
        raise invalid("timer", "schedule", "end", message="an end has the condition iterations or time")
    if asked["condition"] == "time":
        return None, _moment(asked.get("datetime"), "datetime") or _missing("datetime")
    return _count(asked.get("iterations", asked.get("count")), "iterations"), None


def _missing(name: str) -> str:
    raise invalid("timer", "schedule", "end", name, message="field required", kind="value_error.missing")


def _count(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_RUNS:
        raise invalid(name, message="a number of runs is a whole number above zero")
    return value


def _moment(value: object, name: str) -> str | None:
    if value is None:
        return None
    try:
        return times.parse(value, field=name)
    except ApiError as error:
        raise invalid(name, message="a time is written in ISO 8601") from error
