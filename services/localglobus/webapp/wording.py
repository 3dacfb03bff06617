"""How the pages say things: sizes, times, states of tasks, refusals, principals. All of it plain text, escaped where it is drawn."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from services.localglobus.errors import ApiError

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
OPEN_PRINCIPALS = {"all_authenticated_users": "all users of Globus", "anonymous": "public (everybody, without signing in)"}
PERMISSIONS = {"r": "read", "rw": "read and write"}


def size(size_bytes: int) -> str:
    """Returns a size in binary units with one decimal: `1.4 GiB`."""
    value, unit = float(size_bytes), 0
    while value >= 1024 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{size_bytes} B" if unit == 0 else f"{value:.1f} {UNITS[unit]}"


def count(number: int, one: str, many: str = "") -> str:
    """Returns `1 file` or `1,234 files`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def minute(moment: str | None) -> str:
    """Returns an ISO time to the minute: `2026-11-20 08:15`; times are UTC."""
    return (moment or "")[:16].replace("T", " ")


def second(moment: str | None) -> str:
    return (moment or "")[:19].replace("T", " ")


def since(moment: str | None) -> str:
    """Returns how long ago an ISO time was, in its largest unit: `3 minutes ago`."""
    if not moment:
        return "never"
    return ago(datetime.now(UTC) - datetime.fromisoformat(moment))


def ago(past: timedelta) -> str:
    elapsed_s = int(past.total_seconds())
    if elapsed_s < 0:
        return f"in {span(-elapsed_s)}"
    return "just now" if elapsed_s < 5 else f"{span(elapsed_s)} ago"


def span(seconds: int) -> str:
    """Returns a length of time in its largest unit."""
    for length_s, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length_s:
            return count(seconds // length_s, unit)
    return count(seconds, "second")


def explain(error: ApiError) -> str:
    """Returns in plain words why something cannot be shown or done."""
    if error.code in _WORDS:
        return _WORDS[error.code]
    if error.http_status == 403:
        return "You may not see or do this as the person you are signed in as. Whoever shared it can add you or one of your groups."
    if error.http_status == 404:
        return "Nothing is here. It may have been moved or deleted, or its time may be over."
    if error.http_status == 409:
        return "This does not go with what is there already."
    if error.http_status == 429:
        return "Too many requests in a short time. Wait a moment, then try again."
    if error.http_status >= 500:
        return "The data host of this collection could not do it just now."
    return "What was asked for is not possible as it stands."


_WORDS = {
    "EndpointPermissionDenied": (
        "You may not see this folder as the person you are signed in as. Whoever shared it can add you or one of your groups."
    ),
    "EndpointNotFound": "There is no such collection, or it is not shared with you.",
    "EndpointPaused": "The people who look after this collection have paused it.",
    "FormExpired": "This form was not shown in this browser, or is old. Nothing was done. Go back, load the page anew and try again.",
    "ConsentRequired": "You have not agreed that the web app may reach this collection for you.",
}


def explain_state(task: Mapping[str, Any]) -> str:
    """Returns the state of a task in plain words."""
    if task["status"] == "SUCCEEDED":
        return "Done"
    if task["status"] == "FAILED":
        return {"CANCELED": "Canceled", "EXPIRED": "Not done when its deadline came"}.get(
            str((task["fatal_error"] or {}).get("code")), "Failed"
        )
    if task["is_paused"]:
        return f"Paused: {task['nice_status_details']}"
    if task["nice_status"] == "Queued":
        return "Queued"
    return "Running" if task["is_ok"] else f"Waiting: {task['nice_status_details'] or task['nice_status']}"


def mark_state(task: Mapping[str, Any]) -> str:
    """Returns which of the four meanings a task's state has: ok, waiting, attention or failed."""
    if task["status"] in ("SUCCEEDED", "FAILED"):
        return "ok" if task["status"] == "SUCCEEDED" else "failed"
    return "waiting" if task["is_ok"] and not task["is_paused"] else "attention"


def explain_details(details: str) -> str:
    """Returns the details of an event in plain words where they are JSON that is known, else as they are."""
    try:
        told = json.loads(details)
    except (ValueError, RecursionError):
        return details
    if isinstance(told, dict) and set(told) == {"path"}:
        return str(told["path"]).encode(errors="replace").decode()  # half of a character
    members = [told.get(name) for name in ("bytes_transferred", "duration", "mbps")] if isinstance(told, dict) else []
    measured = [number for number in members if isinstance(number, int | float) and abs(number) < 2**63]
    if len(measured) == 3:
        return f"{size(int(measured[0]))} in {measured[1]:g} s: {measured[2]:g} Mbit/s"
    return details


FILTERS: dict[str, Callable[..., str]] = {
    "size": size,
    "count": count,
    "minute": minute,
    "second": second,
    "since": since,
    "state_words": explain_state,
    "state_mark": mark_state,
    "explain": explain,
    "details": explain_details,
}
"""For the templates."""
