"""Filters of a query document: which entries count, by the values of their fields.

`match_any`, `match_all`, `range`, `exists`, `like`, `geo_bounding_box`, and `not`, `and`, `or` of other filters
(https://docs.globus.org/api/search/reference/post_query/). A shape counts as its box.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator
from typing import Any

from services.localglobus.errors import ApiError
from services.localglobus.search import fields

Test = Callable[[Any], bool]
"""Whether an entry's content matches."""
MOST_DEEP = 10
POINT = re.compile(r"\s*(-?\d{1,3}(?:\.\d+)?)\s*,\s*(-?\d{1,3}(?:\.\d+)?)\s*")
MOST_FILTERS, MOST_RANGES, MOST_VALUES = 100, 100, 10_000
"""Of one query, those in other filters counted too; of one filter."""
BOUNDS = ("from", "to", "gte", "gt", "lte", "lt")


def read_all(asked: Any, *, where: str) -> list[Test]:
    """Reads a list of filters. Raises `ApiError` 400 for what is none."""
    if asked is None:
        return []
    if not isinstance(asked, list):
        raise refuse(f"{where} must be a list")
    if _count(asked, 0) > MOST_FILTERS:
        raise refuse(f"{where} has at most {MOST_FILTERS} filters")
    return [read(each) for each in asked]


def read(asked: Any, depth: int = 0) -> Test:
    """Reads one filter. Raises `ApiError` 400."""
    kind = asked.get("type") if isinstance(asked, dict) else None
    if depth > MOST_DEEP:
        raise refuse("filters are nested too deep")
    if kind == "not":
        inner = read(asked.get("filter"), depth + 1)
        return lambda content: not inner(content)
    if kind in ("and", "or"):
        return _combine(kind, asked.get("filters"), depth)
    if not isinstance(kind, str) or kind not in READERS:
        raise refuse(f"a filter has one of the types {', '.join(sorted(READERS))}, and, or, not; not {kind!r}")
    return READERS[kind](asked, _path(asked))


def _count(asked: Any, depth: int) -> int:
    """How many filters a list holds, those below them too as far as they are read."""
    if not isinstance(asked, list) or depth > MOST_DEEP:
        return 0
    inner = (each.get("filters", [each["filter"]] if "filter" in each else None) for each in asked if isinstance(each, dict))
    return len(asked) + sum(_count(each, depth + 1) for each in inner)


def refuse(message: str) -> ApiError:
    return ApiError("BadRequest.Generic", message, 400)


def _combine(kind: str, asked: Any, depth: int) -> Test:
    if not isinstance(asked, list) or not asked:
        raise refuse(f"a filter of the type {kind} has a list of filters")
    tests = [read(each, depth + 1) for each in asked]
    if kind == "and":
        return lambda content: all(test(content) for test in tests)
    return lambda content: any(test(content) for test in tests)


def _path(asked: dict[str, Any]) -> tuple[str, ...]:
    name = asked.get("field_name")
    if not isinstance(name, str) or not name:
        raise refuse("a filter needs a field_name")
    return fields.split(name)


def _values(asked: dict[str, Any]) -> list[Any]:
    found = asked.get("values")
    if not isinstance(found, list) or not found:
        raise refuse("a filter of this type needs a list of values")
    if len(found) > MOST_VALUES:
        raise refuse(f"a filter has at most {MOST_VALUES} values")
    return found


def _match(asked: dict[str, Any], path: tuple[str, ...]) -> Test:
    wanted = _values(asked)
    if any(isinstance(each, (dict, list)) or each is None for each in wanted):
        raise refuse("values to match are texts, numbers, true or false")
    texts = {fields.as_text(each) for each in wanted}
    if asked["type"] == "match_any":
        return lambda content: any(fields.as_text(each) in texts for each in fields.values(content, path))
    return lambda content: texts <= {fields.as_text(each) for each in fields.values(content, path)}


def _exists(_asked: dict[str, Any], path: tuple[str, ...]) -> Test:
    return lambda content: next(fields.values(content, path), None) is not None


def _like(asked: dict[str, Any], path: tuple[str, ...]) -> Test:
    pattern = asked.get("value")
    if not isinstance(pattern, str):
        raise refuse("a filter of the type like needs a value with * and ?")
    whole = pattern.replace("[", "[[]")
    return lambda content: any(fnmatch.fnmatchcase(fields.as_text(each), whole) for each in fields.values(content, path))


def _range(asked: dict[str, Any], path: tuple[str, ...]) -> Test:
    found = _values(asked)
    if len(found) > MOST_RANGES:
        raise refuse(f"a filter has at most {MOST_RANGES} ranges")
    ranges = [read_range(each) for each in found]
    return lambda content: any(test(each) for each in fields.values(content, path) for test in ranges)


def read_range(asked: Any) -> Test:
    """Reads `{"from", "to"}`, both included and `*` for none, or `gte`, `gt`, `lte`, `lt`. Raises `ApiError` 400."""
    if not isinstance(asked, dict) or not set(asked) & set(BOUNDS) or any(isinstance(each, (dict, list)) for each in asked.values()):
        raise refuse("a range has from and to, or gte, gt, lte, lt")
    bounds = {name: fields.bounds(value) for name, value in asked.items() if name in BOUNDS and value not in ("*", None)}

    def test(value: Any) -> bool:
        kind, held = fields.comparable(value)
        return all(kind in bound and _is_within(name, held, bound[kind]) for name, bound in bounds.items())

    return test


def _is_within(name: str, value: Any, bound: Any) -> bool:
    if name in ("from", "gte"):
        return bool(value >= bound)
    if name in ("to", "lte"):
        return bool(value <= bound)
    return bool(value > bound) if name == "gt" else bool(value < bound)


def _box(asked: dict[str, Any], path: tuple[str, ...]) -> Test:
    corners = [_point(asked.get(name)) for name in ("top_left", "bottom_right")]
    if None in corners:
        raise refuse("a geo_bounding_box has top_left and bottom_right with lat and lon")
    (north, west), (south, east) = (corner for corner in corners if corner is not None)

    def test(content: Any) -> bool:
        return any(meets(area) for each in fields.values(content, path) for area in _areas(each))

    def meets(area: tuple[float, float, float, float]) -> bool:
        low, bottom, high, top = area
        return bottom <= north and top >= south and (low <= east and high >= west if west <= east else high >= west or low <= east)

    return test


def _areas(value: Any) -> list[tuple[float, float, float, float]]:
    """(west, south, east, north) in degrees of a point, or of each part of a GeoJSON shape: its box stands for a polygon."""
    point = _point(value)
    if point is not None:
        return [(point[1], point[0], point[1], point[0])]
    if not isinstance(value, dict) or "coordinates" not in value:
        return []
    parts = value["coordinates"] if str(value.get("type")).startswith("Multi") else [value["coordinates"]]
    found = [list(_pairs(part)) for part in parts] if isinstance(parts, list) else []
    return [(min(x for x, _ in p), min(y for _, y in p), max(x for x, _ in p), max(y for _, y in p)) for p in found if p]


def _pairs(value: Any) -> Iterator[tuple[float, float]]:
    """Every (longitude, latitude) of GeoJSON coordinates, however deep."""
    if not isinstance(value, list):
        return
    if len(value) >= 2 and all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in value[:2]):
        yield value[0], value[1]
        return
    for each in value:
        yield from _pairs(each)


def _point(value: Any) -> tuple[float, float] | None:
    """(latitude, longitude) in degrees of `{"lat", "lon"}`, or of the text "lat, lon"."""
    if isinstance(value, str):
        match = POINT.fullmatch(value)
        return (float(match[1]), float(match[2])) if match else None
    if not isinstance(value, dict):
        return None
    pair = value.get("lat"), value.get("lon")
    return pair if all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in pair) else None  # type: ignore[return-value]


READERS: dict[str, Callable[[dict[str, Any], tuple[str, ...]], Test]] = {
    "match_any": _match,
    "match_all": _match,
    "exists": _exists,
    "like": _like,
    "range": _range,
    "geo_bounding_box": _box,
}
