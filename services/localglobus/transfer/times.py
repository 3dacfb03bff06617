"""Times as the Transfer API writes them: ISO 8601 in UTC with whole seconds and `+00:00`, so that texts sort as times do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.localglobus.errors import ApiError


def text(moment: datetime) -> str:
    """Returns `moment` (aware) as `2026-11-20T05:12:55+00:00`."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat()


def now_text(*, plus: timedelta = timedelta()) -> str:
    return text(datetime.now(UTC) + plus)


def parse(value: object, *, field: str) -> str:
    """Returns a time that a client sent in our form; a time without zone is UTC, as at Globus. Raises `ApiError` 400."""
    if not isinstance(value, str):
        raise ApiError("BadRequest", f"{field} must be an ISO 8601 time", 400)
    try:
        moment = datetime.fromisoformat(value.strip())
        return text(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:  # in UTC it may lie beyond the years that there are
        raise ApiError("BadRequest", f"{field} must be an ISO 8601 time, not {value!r}", 400) from error


def parse_future(value: object, *, field: str) -> str:
    """Like `parse`, and refuses a time that is past."""
    parsed = parse(value, field=field)
    if parsed <= now_text():
        raise ApiError("BadRequest", f"{field} is in the past", 400)
    return parsed
