"""Ranges and conditional requests (RFC 9110, sections 13 and 14): pure questions about header fields."""

import re
from email.utils import parsedate_to_datetime

from starlette.datastructures import Headers

from services.dtn.digests import Stamp
from services.dtn.errors import ChangedError, NodeError

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*\Z", re.ASCII)


class RangeError(NodeError):
    code = "RangeNotSatisfiable"
    http_status = 416

    def __init__(self, size: int) -> None:
        super().__init__(f"The file has {size} bytes; the range begins after them.")
        self.size = size


def wanted_range(headers: Headers, stamp: Stamp) -> tuple[int, int] | None:
    """Return (offset, length) of the one range that is asked for and due, or None for the whole file.

    Several ranges, other units, unreadable fields and ranges of an empty file are ignored, as section 14.2 allows. Raises RangeError.
    """
    match = _RANGE.match(headers.get("range", ""))
    if stamp.size == 0 or match is None or match.groups() == ("", "") or not _range_is_current(headers.get("if-range"), stamp):
        return None
    first, last = match.groups()
    if first == "":
        length = min(int(last), stamp.size)
        if length == 0:
            raise RangeError(stamp.size)
        return stamp.size - length, length
    offset, end = int(first), int(last) if last else stamp.size - 1
    if last and end < offset:
        return None
    if offset >= stamp.size:
        raise RangeError(stamp.size)
    return offset, min(end, stamp.size - 1) - offset + 1


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
