r"""What is in the content of an entry: its fields by dotted path, its words, and values that can be compared.

`a.b` is the field `b` in the object `a`; a dot that belongs to a name is written `\.`. Lists are passed through: a field of each of their
members counts. Text is words of letters and digits, whatever their case and accents.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

Comparable = tuple[str, Any]
WORD = re.compile(r"[^\W_]+")
DATE = re.compile(r"\d{4}(-\d{2}(-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?)?)?")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
MOST_WORDS = 10_000
"""Words of one value that are looked at."""


def split(name: str) -> tuple[str, ...]:
    """Returns the names on the way to a field."""
    return tuple(part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", name))


def values(content: Any, path: Sequence[str]) -> Iterator[Any]:
    """Yields what is at a path: scalars and objects, members of lists one by one. Null is nothing."""
    if isinstance(content, list):
        for each in content:
            yield from values(each, path)
    elif not path:
        if content is not None:
            yield content
    elif isinstance(content, dict) and path[0] in content:
        yield from values(content[path[0]], path[1:])


def scalars(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yields every scalar with its path."""
    if isinstance(content, list):
        for each in content:
            yield from scalars(each, path)
    elif isinstance(content, dict):
        for name, each in content.items():
            yield from scalars(each, (*path, name))
    elif content is not None:
        yield path, content


def words(value: Any) -> list[str]:
    """Returns the words of a scalar as they are looked for."""
    return [*_words(as_text(value))]


@functools.lru_cache(maxsize=256)
def _words(text: str) -> tuple[str, ...]:
    """The words of a text; kept for a moment, since each part of a query looks at all values of one entry after the other."""
    text = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(mark for mark in text if not unicodedata.combining(mark))
    return tuple(WORD.findall(plain)[:MOST_WORDS])


def as_text(value: Any) -> str:
    """Returns a scalar as JSON writes it, without quotes."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def all_words(content: Any) -> str:
    """Returns every word of the content, for the full-text index."""
    return " ".join(word for _, value in scalars(content) for word in words(value))


def comparable(value: Any) -> Comparable:
    """Returns (kind, value): only values of one kind have an order. A text in the form of a date is a date."""
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, (int, float)):
        return "number", value
    moment = parse_date(value)
    return ("text", as_text(value)) if moment is None else ("date", moment)


def bounds(value: Any) -> dict[str, Any]:
    """Returns what a bound is in each kind that it can be compared with: the text `1840` is a year and a number, too."""
    kind, held = comparable(value)
    found = {kind: held}
    if isinstance(value, str):
        found["text"] = value
        if NUMBER.fullmatch(value):
            found["number"] = float(value)
    return found


def parse_date(value: Any) -> datetime | None:
    """Returns the beginning of what an ISO 8601 text names (a year, a month, a day, a moment), or None."""
    if not isinstance(value, str) or not DATE.fullmatch(value):
        return None
    whole = {4: f"{value}-01-01", 7: f"{value}-01"}.get(len(value), value)
    try:
        moment = datetime.fromisoformat(whole)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
