"""The values of items as text and back: what a cell of a table, or a bound of a filter, may say in a column of each kind."""

import datetime as dt
import math
import re
from typing import Any

from datasets.models import ColumnKind, ItemColumn

LONGEST_TEXT = 500
COMPUTED = re.compile(r"[=+@\t\r-]")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class ValueReadError(ValueError):
    """A cell that its column does not take; the words say what it takes."""


def read_value(column: ItemColumn, cell: str) -> str | float | dt.datetime:
    """A cell that is not blank, as the column keeps it. Raises ValueReadError with the remedy."""
    if column.kind == ColumnKind.NUMBER:
        return _number(column, cell)
    if column.kind == ColumnKind.TIME:
        return read_time(cell)
    if column.kind == ColumnKind.CHOICE and cell not in column.choices:
        raise ValueReadError(f"{cell[:40]!r} is none of {', '.join(column.choices)}.")
    if len(cell) > LONGEST_TEXT:
        raise ValueReadError(f"At most {LONGEST_TEXT} characters.")
    return cell


def read_time(cell: str) -> dt.datetime:
    """An ISO 8601 time; without a zone it is UTC, without hours midnight. Raises ValueReadError."""
    try:
        moment = dt.datetime.fromisoformat(cell)
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (ValueError, OverflowError) as error:
        raise ValueReadError(f"{cell[:40]!r} is no time: write 2015-03-01 or 2015-03-01T06:00Z.") from error


def _number(column: ItemColumn, cell: str) -> float:
    """With or without the column's own unit; another unit is refused."""
    text = cell.removesuffix(column.unit).strip() if column.unit else cell
    try:
        value = float(text)
    except ValueError as error:
        unit = f", in {column.unit}" if column.unit else ""
        raise ValueReadError(f"{cell[:40]!r} is no number{unit}.") from error
    if not math.isfinite(value):
        raise ValueReadError("Leave the cell empty where there is no value.")
    return value


def value_text(value: Any) -> str:
    """As it is written in tables: reading it gives the value again."""
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        moment = value.astimezone(dt.UTC)
        return moment.date().isoformat() if moment.time() == dt.time() else moment.isoformat().replace("+00:00", "Z")
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def plain_cell(cell: str) -> str:
    """A cell that a spreadsheet would compute is kept as text by a blank before it; reading strips it again.

    Source: https://owasp.org/www-community/attacks/CSV_Injection.
    """
    return f" {cell}" if COMPUTED.match(cell) and not NUMBER.fullmatch(cell) else cell
