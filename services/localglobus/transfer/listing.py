"""Filter, order and page lists as the Transfer API does: `filter=name:~*.nc/type:file`, `orderby=type,name DESC`, `limit`, `offset`.

Clauses of one filter are joined by "and", several `filter` parameters by "or" (https://docs.globus.org/api/transfer/file_operations/).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import QueryParams

from services.localglobus.errors import ApiError
from services.localglobus.numbers import read_whole

Test = Callable[[Any], bool]
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Query:
    """A checked query. Each filter is a list of (field, test)."""

    filters: Sequence[Sequence[tuple[str, Test]]] = ()
    order: Sequence[tuple[str, bool]] = field(default_factory=list)  # (field, is descending), first counts most
    limit: int = 100_000
    offset: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether it asks for a part of all rows in their own order, which a database gives without reading the others."""
        return not self.filters and not self.order


@dataclass(frozen=True, kw_only=True)
class Page:
    rows: list[Row]
    total: int


def read_query(parameters: QueryParams, *, fields: frozenset[str], limit: int, most: int) -> Query:
    """Reads filter, orderby, limit and offset; `limit` is the default. Raises `ApiError` 400 for what they do not allow."""
    order = []
    for text in parameters.getlist("orderby"):
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, direction = part.partition(" ")
            if name not in fields or direction.upper() not in {"", "ASC", "DESC"}:
                raise ApiError("BadRequest", f"Cannot order by {part!r}", 400)
            order.append((name, direction.upper() == "DESC"))
    return Query(
        filters=[_filter(text, fields) for text in parameters.getlist("filter") if text],
        order=order,
        limit=_number(parameters, "limit", default=limit, least=1, most=most),
        offset=_number(parameters, "offset", default=0, least=0, most=10**9),
    )


def select(rows: Sequence[Row], query: Query) -> Page:
    """Returns the page of `rows` that the query asks for, and how many there are in all."""
    found = [row for row in rows if not query.filters or any(_matches(row, clauses) for clauses in query.filters)]
    for name, is_descending in reversed(query.order):
        found.sort(key=lambda row: _sortable(row.get(name)), reverse=is_descending)
    return Page(rows=found[query.offset : query.offset + query.limit], total=len(found))


def _sortable(value: Any) -> tuple[bool, Any]:
    return value is not None, value if value is not None else ""


def _matches(row: Mapping[str, Any], clauses: Sequence[tuple[str, Test]]) -> bool:
    return all(test(row.get(name)) for name, test in clauses)


def _number(parameters: QueryParams, name: str, *, default: int, least: int, most: int) -> int:
    text = parameters.get(name)
    if text is None:
        return default
    number = read_whole(text)
    if number is None or not least <= number <= most:
        raise ApiError("BadRequest", f"{name} must be a whole number from {least} to {most}", 400)
    return number


def _filter(text: str, fields: frozenset[str]) -> list[tuple[str, Test]]:
    clauses = []
    for clause in text.split("/"):
        name, colon, value = clause.partition(":")
        if not colon or name not in fields:
            raise ApiError("BadRequest", f"Cannot filter by {clause!r}", 400)
        clauses.append((name, _test(name, value)))
    return clauses


def _test(name: str, value: str) -> Test:
    if name in {"request_time", "completion_time", "last_modified"}:
        return _between(value)
    if name == "size":
        return _size(value)
    if name == "is_error":
        return lambda found: bool(found) == (value in {"1", "true"})
    is_negated, value = value.startswith("!"), value.removeprefix("!")
    positive = _glob(value[1:]) if value.startswith("~") else _one_of(value.removeprefix("="))
    return (lambda found: not positive(found)) if is_negated else positive


def _glob(pattern: str) -> Test:
    compiled = re.compile(fnmatch.translate(pattern), re.IGNORECASE)
    return lambda found: found is not None and compiled.match(str(found)) is not None


def _one_of(value: str) -> Test:
    wanted = set(value.split(","))
    return lambda found: str(found) in wanted


def _between(value: str) -> Test:
    since, _, until = value.partition(",")
    return lambda found: (
        found is not None and (not since or _moment(found) >= _moment(since)) and (not until or _moment(found) < _moment(until))
    )


def _moment(text: str) -> str:
    return str(text).replace(" ", "T").removesuffix("+00:00").removesuffix("Z")


def _size(value: str) -> Test:
    match = re.fullmatch(r"([<>]=?|=)?([0-9]{1,18})", value)
    if match is None:
        raise ApiError("BadRequest", f"Cannot filter by size {value!r}", 400)
    sign, number = match[1] or "=", int(match[2])
    return {
        "<": lambda found: found < number,
        "<=": lambda found: found <= number,
        ">": lambda found: found > number,
        ">=": lambda found: found >= number,
        "=": lambda found: found == number,
    }[sign]
