"""What nodes report of the orders that they hold (services/dtn/PROTOCOL.md, section 5), read strictly.

Anybody may run a node of the Connect Personal kind: what one sends is checked before it is kept, as a document of a client is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from services.localglobus.errors import ApiError
from services.localglobus.transfer.orders import COUNTERS

MOST_RESULTS = 1000
Result = tuple[str, str, int, str | None, str, str | None, str | None]
"""Source and destination path, size in bytes, checksum, status, error code and error details of a file."""
Arrived = tuple[str, str, list[list[Any]]]
"""Source and destination folder, each with its slash, and files of it that arrived: name, size in bytes and checksum."""
STATUSES = ("transferred", "deleted", "skipped", "failed")


def read_counters(asked: Mapping[str, Any]) -> dict[str, int]:
    """Returns the totals among `counters`. Raises `ApiError` 400."""
    found = _document(asked.get("counters") or {}, "counters")
    return {name: _whole(found.get(name) or 0, name) for name in COUNTERS}


def read_fault(value: object, name: str) -> dict[str, str] | None:
    """Returns code, description and path of what went wrong; None for null. Raises `ApiError` 400."""
    if value is None:
        return None
    found = _document(value, name)
    return {each: _text(found.get(each) or "", f"{name}.{each}") for each in ("code", "description", "path")}


def read_batch(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a numbered batch of results and events. Raises `ApiError` 400."""
    results, events, arrived = asked.get("results") or [], asked.get("events") or [], asked.get("transferred") or []
    if not isinstance(results, list) or not isinstance(events, list) or not isinstance(arrived, list):
        raise ApiError("BadRequest", "results, transferred and events are lists", 400)
    sequence = _whole(asked.get("sequence"), "sequence")
    if sequence < 1:
        raise ApiError("BadRequest", "sequence counts from 1", 400)
    folders = [_arrived(folder) for folder in arrived]
    if sum(len(files) for _, _, files in folders) + len(results) > MOST_RESULTS:
        raise ApiError("BadRequest", f"a batch has at most {MOST_RESULTS} results", 400)
    return {
        "instance": asked.get("instance"),
        "sequence": sequence,
        "arrived": folders,
        "results": [_result(each) for each in results],
        "events": [_event(each) for each in events],
        "counters": read_counters(asked),
    }


def read_seconds(value: object, name: str) -> float:
    """Returns a time to wait; null is none. Raises `ApiError` 400."""
    if value is None:
        return 0.0
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < math.inf:
        raise ApiError("BadRequest", f"{name} must be a number of seconds", 400)
    return float(min(value, 86400))


def _arrived(value: object) -> Arrived:
    """A folder's files that arrived whole under their own names, each told as name, size and checksum."""
    folder = _document(value, "transferred")
    source, destination = _text(folder.get("source_folder"), "source_folder"), _text(folder.get("destination_folder"), "destination_folder")
    files = folder.get("files")
    if not isinstance(files, list):
        raise ApiError("BadRequest", "files must be a list", 400)
    for file in files:
        if not isinstance(file, list) or len(file) != 3:
            raise ApiError("BadRequest", "a file is told as [name, size, checksum]", 400)
        name, size, checksum = file
        if not (type(name) is str and type(size) is int and 0 <= size < 2**63 and type(checksum) is str):
            _text(name, "name"), _whole(size, "size"), _text(checksum, "checksum")
    return source, destination, files


def _result(value: object) -> Result:
    found = _document(value, "a result")
    status = found.get("status")
    if status not in STATUSES:
        raise ApiError("BadRequest", f"the status of a result is one of {', '.join(STATUSES)}", 400)
    destination, checksum, code, details = (
        None if found.get(name) is None else _text(found[name], name)
        for name in ("destination_path", "checksum", "error_code", "error_details")
    )
    source = _text(found.get("source_path"), "source_path")
    return source, destination or "", _whole(found.get("size") or 0, "size"), checksum, str(status), code, details


def _event(value: object) -> dict[str, Any]:
    found = _document(value, "an event")
    return {
        "code": _text(found.get("code"), "code"),
        "description": _text(found.get("description") or "", "description"),
        "details": found.get("details"),
        "is_error": found.get("is_error") is True,
    }


def _document(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ApiError("BadRequest", f"{name} must be an object", 400)
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ApiError("BadRequest", f"{name} must be a text", 400)
    return value


def _whole(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ApiError("BadRequest", f"{name} must be a whole number", 400)
    return value
