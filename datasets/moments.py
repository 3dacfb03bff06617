"""Moments as people write them in forms and addresses."""

import datetime as dt

from datasets.errors import InvalidError


def read_moment(text: str) -> dt.datetime | None:
    """A date (its last second) or a moment of ISO 8601; None for nothing. Raises InvalidError."""
    if not text:
        return None
    try:
        if len(text) == len("2026-01-31"):
            return dt.datetime.combine(dt.date.fromisoformat(text), dt.time(23, 59, 59), tzinfo=dt.UTC)
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidError(fields={"at": ["A date looks like 2026-01-31."]}) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def start_of_day(text: str, name: str) -> dt.datetime | None:
    """The first moment (UTC) of a date; None for nothing. Raises InvalidError for the field `name`."""
    return _on(text, name, dt.time(0, 0))


def end_of_day(text: str, name: str) -> dt.datetime | None:
    """The last second (UTC) of a date; None for nothing. Raises InvalidError for the field `name`."""
    return _on(text, name, dt.time(23, 59, 59))


def _on(text: str, name: str, time: dt.time) -> dt.datetime | None:
    if not text.strip():
        return None
    try:
        day = dt.date.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidError(fields={name: ["A date looks like 2027-12-31."]}) from error
    return dt.datetime.combine(day, time, tzinfo=dt.UTC)
