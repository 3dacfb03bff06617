"""Queries: read from parameters or a document, answered from what is visible to the caller and nothing else.

A result is a list of subjects, each with those of its entries that match. Order is by score (how often the words are found, weighed by
`boosts`), or as `sort` says; then by subject, so that pages do not overlap.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.localglobus.auth.tokens import Caller
from services.localglobus.errors import ApiError
from services.localglobus.search import facets, fields, filters, indices, principals, querystrings
from services.localglobus.search.documents import entry_document, result_document, subject_document
from services.localglobus.search.filters import refuse

MOST_RESULTS = 10_000
TEXT_LENGTH = 8192
MOST_DOCUMENTS = 100
"""Members of `sort` and of `boosts`."""
MOST_SCROLLED = 10_000
DEFAULT_LIMIT, SCROLL_LIMIT = 10, 100


@dataclass(frozen=True, kw_only=True)
class Query:
    """A query that was read."""

    text: querystrings.Query
    limit: int
    offset: int = 0
    tests: Sequence[filters.Test] = ()
    post_tests: Sequence[filters.Test] = ()
    facets: Sequence[facets.Facet] = ()
    sort: Sequence[tuple[tuple[str, ...], bool]] = ()  # (field, is descending)
    boosts: Mapping[tuple[str, ...], float] = field(default_factory=dict)
    sets: Sequence[str] | None = None
    is_unrestricted: bool = False


@dataclass(frozen=True, kw_only=True)
class Found:
    """An entry that matches."""

    row: sqlite3.Row
    content: Any
    matched_sets: frozenset[str]
    score: float


def read(asked: Mapping[str, Any], *, limit: int = DEFAULT_LIMIT, most: int = MOST_RESULTS) -> Query:
    """Reads a query document. Raises `ApiError` 400 for what it does not allow."""
    text = asked.get("q")
    if text is not None and not isinstance(text, str):
        raise refuse("q must be a text")
    if text is not None and len(text) > TEXT_LENGTH:
        raise refuse(f"q has at most {TEXT_LENGTH} characters")
    tests = filters.read_all(asked.get("filters"), where="filters")
    if text is None and not tests:
        raise refuse("a query has q or filters")
    is_advanced = _flag(asked, "advanced")
    size, offset = _number(asked, "limit", limit, most), _number(asked, "offset", 0, MOST_RESULTS)
    if offset + size > most:
        raise refuse(f"offset and limit reach no further than {most} results; scroll for more")
    return Query(
        text=querystrings.EVERYTHING if text is None else (querystrings.read_advanced if is_advanced else querystrings.read_simple)(text),
        limit=size,
        offset=offset,
        tests=tests,
        post_tests=filters.read_all(asked.get("post_facet_filters"), where="post_facet_filters"),
        facets=facets.read_all(asked.get("facets")),
        sort=_sort(asked.get("sort")),
        boosts=_boosts(asked.get("boosts")),
        sets=_sets(asked.get("filter_principal_sets")),
        is_unrestricted=_flag(asked, "bypass_visible_to"),
    )


def search(db: sqlite3.Connection, index_id: str, caller: Caller | None, query: Query) -> dict[str, Any]:
    """Returns a `GSearchResult`. Raises `ApiError` 404, 409, or 403 for who may not look past `visible_to`."""
    found = select(db, index_id, caller, query)
    counted = facets.count(query.facets, [each.content for each in found])
    found = [each for each in found if all(test(each.content) for test in query.post_tests)]
    subjects = _by_subject(found, query)
    page = subjects[query.offset : query.offset + query.limit]
    more = {"facet_results": counted} if query.facets else {}
    has_next = query.offset + len(page) < min(len(subjects), MOST_RESULTS)
    gmeta = [subject_document(subject, _entries(entries)) for subject, entries in page]
    return result_document(gmeta, total=len(subjects), offset=query.offset, has_next_page=has_next, **more)


def scroll(db: sqlite3.Connection, index_id: str, caller: Caller | None, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the next part of all that matches, by subject; `marker` is null at the end."""
    known = {name: value for name, value in asked.items() if name in ("q", "advanced", "limit", "filters", "bypass_visible_to")}
    query = read({**known, "filter_principal_sets": asked.get("filter_principal_sets")}, limit=SCROLL_LIMIT, most=MOST_SCROLLED)
    if not query.limit:
        raise refuse("the limit of a scroll must be at least 1")
    after = _read_marker(asked.get("marker"))
    subjects = sorted(_by_subject(select(db, index_id, caller, query), query), key=lambda item: item[0])
    rest = [each for each in subjects if after is None or each[0] > after]
    page = rest[: query.limit]
    marker = base64.urlsafe_b64encode(page[-1][0].encode()).decode() if len(rest) > len(page) else None
    gmeta = [subject_document(subject, _entries(entries)) for subject, entries in page]
    return {**result_document(gmeta, total=len(subjects), has_next_page=marker is not None, marker=marker), "@datatype": "GScrollResult"}


def select(db: sqlite3.Connection, index_id: str, caller: Caller | None, query: Query) -> list[Found]:
    """Returns the matching entries that the caller may see."""
    index = indices.open_index(db, index_id)
    held = principals.of_caller(caller)
    if query.is_unrestricted:
        indices.require_role(db, index_id, caller, indices.ADMINS, "bypass_visible_to")
    rows = _visible_rows(db, index["id"], None if query.is_unrestricted else held, query.text.any_of)
    found = []
    for row in rows:
        content = json.loads(row["content"])
        sets = frozenset(name for name, members in json.loads(row["principal_sets"]).items() if set(members) & set(held))
        if query.sets is not None and not sets & set(query.sets):
            continue
        is_known = query.text.any_of is not None  # the full-text index has found it by its words
        if (is_known or query.text.test(content)) and all(test(content) for test in query.tests):
            found.append(Found(row=row, content=content, matched_sets=sets, score=_score(content, query)))
    return found


def matching(db: sqlite3.Connection, index_id: str, asked: Mapping[str, Any]) -> list[int]:
    """Returns the numbers of all entries that match, whoever may see them: for their deletion. Raises `ApiError` 400."""
    query = read(asked)
    rows = _visible_rows(db, index_id, None, query.text.any_of)
    tests = [query.text.test, *query.tests]
    return [row["id"] for row in rows if all(test(json.loads(row["content"])) for test in tests)]


def subject(db: sqlite3.Connection, index_id: str, caller: Caller | None, name: str, entry_id: str | None) -> dict[str, Any]:
    """Returns a subject with its entries, or with the one of that id ('' for null). Raises `ApiError` 404 where none is visible."""
    index = indices.open_index(db, index_id)
    held = principals.of_caller(caller)
    found = []
    for row in _visible_rows(db, index["id"], held, None, subject_name=name):
        sets = [each for each, members in json.loads(row["principal_sets"]).items() if set(members) & set(held)]
        if entry_id is None or row["entry_id"] == entry_id:
            found.append(entry_document(row, sets))
    if not found:
        raise ApiError("NotFound.Generic", f"unable to find entries for subject={name}", 404)
    return subject_document(name, found)


def _visible_rows(
    db: sqlite3.Connection, index_id: str, held: Sequence[str] | None, any_of: Sequence[str] | None, *, subject_name: str | None = None
) -> list[sqlite3.Row]:
    """Rows of an index that one of the principals may see (None: all rows), narrowed by words where the full-text index knows them."""
    where, values = ["index_id = ?"], [index_id]
    if held is not None:
        where.append("id IN (SELECT entry FROM search_visible WHERE principal IN (SELECT value FROM json_each(?)))")
        values.append(json.dumps(held))
    if any_of is not None:
        where.append("id IN (SELECT rowid FROM search_text WHERE search_text MATCH ?)")
        values.append(" OR ".join(f'"{word}"' for word in any_of))
    if subject_name is not None:
        where.append("subject = ?")
        values.append(subject_name)
    return db.execute(f"SELECT * FROM search_entry WHERE {' AND '.join(where)} ORDER BY subject, entry_id", values).fetchall()  # noqa: S608 (our own words)


def _by_subject(found: Sequence[Found], query: Query) -> list[tuple[str, list[Found]]]:
    groups = {name: list(each) for name, each in itertools.groupby(found, key=lambda each: str(each.row["subject"]))}
    ordered = sorted(groups.items(), key=lambda item: (-max(each.score for each in item[1]), item[0]))
    for path, is_descending in reversed(query.sort):
        known = [item for item in ordered if _keys(item[1], path)]
        pick = max if is_descending else min
        known.sort(key=lambda item: pick(_keys(item[1], path)), reverse=is_descending)
        ordered = [*known, *(item for item in ordered if not _keys(item[1], path))]
    return ordered


def _keys(entries: Sequence[Found], path: tuple[str, ...]) -> list[fields.Comparable]:
    return [fields.comparable(value) for each in entries for value in fields.values(each.content, path) if not isinstance(value, dict)]


def _entries(entries: Sequence[Found]) -> list[dict[str, Any]]:
    return [entry_document(each.row, each.matched_sets) for each in entries]


def _score(content: Any, query: Query) -> float:
    if not query.text.words:
        return 0.0
    wanted = frozenset(query.text.words)
    score = 0.0
    for path, value in fields.scalars(content):
        found = fields.words(value)
        hits = sum(word in wanted for word in found)
        score += query.boosts.get(path, 1.0) * hits / (1 + len(found)) ** 0.5
    return score


def _flag(asked: Mapping[str, Any], name: str) -> bool:
    value = asked.get(name, False)
    if not isinstance(value, bool):
        raise refuse(f"{name} must be true or false")
    return value


def _number(asked: Mapping[str, Any], name: str, default: int, most: int) -> int:
    value = asked.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise refuse(f"{name} must be a whole number from 0 to {most}")
    return value


def _sort(asked: Any) -> list[tuple[tuple[str, ...], bool]]:
    found = []
    for each in _documents(asked, "sort"):
        if each.get("order", "asc") not in ("asc", "desc"):
            raise refuse("the order of a sort is asc or desc")
        found.append((fields.split(each["field_name"]), each.get("order") == "desc"))
    return found


def _boosts(asked: Any) -> dict[tuple[str, ...], float]:
    found = {}
    for each in _documents(asked, "boosts"):
        factor = each.get("factor")
        if not isinstance(factor, (int, float)) or isinstance(factor, bool) or not 0 <= factor <= 10:
            raise refuse("the factor of a boost is a number from 0 to 10")
        found[fields.split(each["field_name"])] = float(factor)
    return found


def _documents(asked: Any, name: str) -> list[dict[str, Any]]:
    if asked is None:
        return []
    if not isinstance(asked, list) or not all(isinstance(each, dict) and isinstance(each.get("field_name"), str) for each in asked):
        raise refuse(f"{name} must be a list of documents with a field_name")
    if len(asked) > MOST_DOCUMENTS:
        raise refuse(f"{name} has at most {MOST_DOCUMENTS} members")
    return asked


def _sets(asked: Any) -> list[str] | None:
    if asked is None:
        return None
    if not isinstance(asked, list) or not all(isinstance(each, str) for each in asked):
        raise refuse("filter_principal_sets must be a list of names")
    return asked


def _read_marker(value: Any) -> str | None:
    if value is None:
        return None
    try:
        return base64.urlsafe_b64decode(str(value).encode()).decode()
    except (binascii.Error, ValueError) as error:
        raise refuse("marker must be one that a former page gave") from error
