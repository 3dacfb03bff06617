"""Ranges and conditional requests (RFC 9110, sections 13 and 14): pure questions about header fields."""

import re
from email.utils import parsedate_to_datetime

from starlette.datastructures import Headers

from services.dtn.digests import Stamp
from services.dtn.errors import ChangedError, NodeError

MOST_RANGES = 64
_RANGE = re.compile(r"\s*(\d{0,18})\s*-\s*(\d{0,18})\s*\Z", re.ASCII)


class RangeError(NodeError):
    code = "RangeNotSatisfiable"
    http_status = 416

    def __init__(self, size: int) -> None:
        super().__init__(f"The file has {size} bytes; the range begins after them.")
        self.size = size


def wanted_ranges(headers: Headers, stamp: Stamp) -> list[tuple[int, int]] | None:
    """Return (offset, length) of each range that is asked for and due, or None for the whole file.

    Other units, unreadable fields and ranges of an empty file are ignored, as section 14.2 allows; so are more than `MOST_RANGES`, and
    several that together are longer than the file (a way to make a server send much). Raises RangeError when none lies in the file.
    """
    field = headers.get("range", "")
    if stamp.size == 0 or not field or len(field) > MOST_RANGES * 50 or not _range_is_current(headers.get("if-range"), stamp):
        return None
    unit, _, listed = field.partition("=")
    specs = [_RANGE.match(spec) for spec in listed.split(",") if spec.strip()]
    if unit.strip().lower() != "bytes" or not specs or len(specs) > MOST_RANGES:
        return None
    found: list[tuple[int, int]] = []
    for match in specs:
        if match is None or match.groups() == ("", "") or _is_backwards(match):
            return None
        found += _satisfied(match, stamp.size)
    if not found:
        raise RangeError(stamp.size)
    return None if len(found) > 1 and sum(length for _, length in found) > stamp.size else found


def _is_backwards(match: re.Match[str]) -> bool:
    first, last = match.groups()
    return bool(first and last) and int(last) < int(first)


def _satisfied(match: re.Match[str], size: int) -> list[tuple[int, int]]:
    first, last = match.groups()
    if first == "":
        length = min(int(last), size)
        return [(size - length, length)] if length else []
    offset, end = int(first), min(int(last), size - 1) if last else size - 1
    return [(offset, end - offset + 1)] if offset < size else []


def _range_is_current(if_range: str | None, stamp: Stamp) -> bool:
    if if_range is None:
        return True
    if if_range.startswith('"'):
        return if_range.strip() == stamp.etag
    return not if_range.startswith("W/") and _seconds(if_range) == stamp.mtime_ns // 10**9


def check_conditions(headers: Headers, stamp: Stamp | None, *, is_read: bool) -> bool:
    """Return True when a read is to be answered with 304. Raises ChangedError (412). `stamp` is None when nothing is there."""
    if_match = headers.get("if-match")
    if if_match is not None:
        if stamp is None or not _names(if_match, stamp.etag):
            raise ChangedError("The file is not the one that If-Match names.")
    elif stamp is not None and (since := _seconds(headers.get("if-unmodified-since"))) is not None and stamp.mtime_ns // 10**9 > since:
        raise ChangedError("The file was modified since.")
    if_none_match = headers.get("if-none-match")
    if if_none_match is not None:
        if stamp is not None and _names(if_none_match, stamp.etag):
            if is_read:
                return True
            raise ChangedError("A file is there already.")
        return False
    since = _seconds(headers.get("if-modified-since")) if is_read else None
    return stamp is not None and since is not None and stamp.mtime_ns // 10**9 <= since


def _names(field: str, etag: str) -> bool:
    return field.strip() == "*" or any(one.strip().removeprefix("W/") == etag for one in field.split(","))


def _seconds(date: str | None) -> int | None:
    if not date:
        return None
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None
