"""Facets of a query document: how many of the found entries hold which value, or lie in which range.

`terms`, `date_histogram`, `numeric_histogram`, `sum` and `avg` (https://docs.globus.org/api/search/reference/post_query/).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeGuard

from services.localglobus.search import fields
from services.localglobus.search.filters import refuse

TYPES = ("terms", "date_histogram", "numeric_histogram", "sum", "avg")
INTERVALS = {
    "year": "%Y",
    "quarter": "%Y-%m",
    "month": "%Y-%m",
    "week": "%Y-%m-%d",
    "day": "%Y-%m-%d",
    "hour": "%Y-%m-%d %H",
    "minute": "%Y-%m-%d %H:%M",
    "second": "%Y-%m-%d %H:%M:%S",
}
"""How the begin of an interval is written."""
MOST_FACETS, MOST_BUCKETS = 20, 1000
MOST_NUMBER = 1e300
"""What is larger is no number to count with."""
VERSION = "2017-09-01"


@dataclass(frozen=True, kw_only=True)
class Facet:
    """A facet that was read."""

    name: str
    path: tuple[str, ...]
    type: str
    size: int
    interval: str | None = None
    low: float = 0.0
    high: float = 0.0


def read_all(asked: Any) -> list[Facet]:
    """Reads the facets of a query document. Raises `ApiError` 400."""
    if asked is None:
        return []
    if not isinstance(asked, list) or len(asked) > MOST_FACETS:
        raise refuse(f"facets must be a list of at most {MOST_FACETS}")
    return [_read(each) for each in asked]


def count(facets: Iterable[Facet], contents: Sequence[Any]) -> list[dict[str, Any]]:
    """Returns a `GFacetResult` for each facet."""
    return [_count(facet, contents) for facet in facets]


def _read(asked: Any) -> Facet:
    kind = asked.get("type", "terms") if isinstance(asked, dict) else None
    if kind not in TYPES:
        raise refuse(f"a facet has one of the types {', '.join(TYPES)}")
    field_name = asked.get("field_name")
    if not isinstance(field_name, str) or not field_name:
        raise refuse("a facet needs a field_name")
    size = asked.get("size", 10)
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MOST_BUCKETS:
        raise refuse(f"the size of a facet is a whole number from 1 to {MOST_BUCKETS}")
    interval = asked.get("date_interval")
    if kind == "date_histogram" and (not isinstance(interval, str) or interval not in INTERVALS):
        raise refuse(f"the date_interval of a facet is one of {', '.join(INTERVALS)}")
    low, high = _histogram_range(asked, size) if kind == "numeric_histogram" else (0.0, 0.0)
    name = asked.get("name")
    return Facet(
        name=name if isinstance(name, str) else field_name,
        path=fields.split(field_name),
        type=kind,
        size=size,
        interval=interval if kind == "date_histogram" else None,
        low=low,
        high=high,
    )


def _histogram_range(asked: dict[str, Any], size: int) -> tuple[float, float]:
    found = asked.get("histogram_range")
    low, high = (found.get("low"), found.get("high")) if isinstance(found, dict) else (None, None)
    if not _is_number(low) or not _is_number(high) or not low < high:
        raise refuse("a numeric_histogram has a histogram_range with low below high")
    low, high = float(low), float(high)
    if not (high - low) / size > 0:
        raise refuse("the histogram_range of a numeric_histogram must be wide enough for its size")
    return low, high


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= MOST_NUMBER


def _count(facet: Facet, contents: Sequence[Any]) -> dict[str, Any]:
    shape = {"@datatype": "GFacetResult", "@version": VERSION, "name": facet.name}
    if facet.type in ("sum", "avg"):
        numbers = [each for content in contents for each in fields.values(content, facet.path) if _is_number(each)]
        total = math.fsum(numbers)
        return {**shape, "value": total if facet.type == "sum" else total / len(numbers) if numbers else None}
    counted = {"terms": _terms, "date_histogram": _dates, "numeric_histogram": _numbers}[facet.type](facet, contents)
    buckets = [{"@datatype": "GBucket", "@version": VERSION, "value": value, "count": found} for value, found in counted]
    return {**shape, "buckets": buckets}


def _terms(facet: Facet, contents: Sequence[Any]) -> list[tuple[Any, int]]:
    found: Counter[tuple[str, Any]] = Counter()
    for content in contents:
        found.update({(fields.as_text(each), each) for each in fields.values(content, facet.path) if not isinstance(each, dict)})
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0][0]))
    return [(value, number) for (_, value), number in ordered[: facet.size]]


def _dates(facet: Facet, contents: Sequence[Any]) -> list[tuple[Any, int]]:
    found: Counter[str] = Counter()
    for content in contents:
        moments = [moment for each in fields.values(content, facet.path) if (moment := fields.parse_date(each)) is not None]
        found.update({_begin(moment, str(facet.interval)) for moment in moments})
    return sorted(found.items())[:MOST_BUCKETS]


def _begin(moment: datetime, interval: str) -> str:
    if interval == "quarter":
        moment = moment.replace(month=moment.month - (moment.month - 1) % 3, day=1)
    if interval == "week":
        moment = datetime.fromordinal(max(1, moment.toordinal() - moment.weekday()))
    return f"{moment.year:04d}{moment.strftime(INTERVALS[interval].removeprefix('%Y'))}"


def _numbers(facet: Facet, contents: Sequence[Any]) -> list[tuple[Any, int]]:
    width = (facet.high - facet.low) / facet.size
    found = [0] * facet.size
    for content in contents:
        numbers = [each for each in fields.values(content, facet.path) if _is_number(each)]
        for place in {int((each - facet.low) / width) for each in numbers if facet.low <= each < facet.high}:
            found[min(place, facet.size - 1)] += 1
    return [({"from": facet.low + width * place, "to": facet.low + width * (place + 1)}, number) for place, number in enumerate(found)]
