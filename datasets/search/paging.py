"""A page of what a search finds, by key. How many are found, and where they stand, chooses the way to them. Read `page_of` first."""

# ruff: noqa: S608  (statements are put together from this module's own constants; every value is a parameter)

import math
import uuid
from typing import Any

from pyroaring import BitMap

from datasets.search.counting import Found
from datasets.search.matching import ENTRY, Matching
from datasets.search.places import read, rows, select
from datasets.search.query import SearchQuery

MOST_RANKED = 2_000
FEW = 20_000  # they are read and sorted
MOST_WALKED = 20_000  # along the index of the key, before what is found is sorted however much it is

ORDERS = {"newest": ("listed_at", "desc", "timestamptz"), "title": ("title", "asc", "text"), "size": ("size_bytes", "desc", "bigint")}
RANK = "(ts_rank(e.search_vector, {tsquery}) * 1000000)::int"
TITLED = f"{ENTRY} join datasets_dataset d on d.id = e.dataset_id"

Page = list[tuple[uuid.UUID, Any]]


def page_of(query: SearchQuery, asked: Matching, found: Found) -> Page:
    """(id, sort key) of the hits that follow the cursor, one more than the page holds."""
    if not found.hits:
        return []
    if query.order == "relevance":
        return _sorted(query, _candidates(asked, found), (RANK.format(tsquery=asked.tsquery), "desc", "int"), ENTRY, asked.parameters)
    if len(found.hits) > FEW and (walked := _walked(query, found)) is not None:
        return walked
    key, direction, kind = ORDERS[query.order]
    source = TITLED if query.order == "title" else ENTRY
    return _sorted(query, found.hits, (f"{'d' if source == TITLED else 'e'}.{key}", direction, kind), source, {})


def _sorted(query: SearchQuery, hits: BitMap, order: tuple[str, str, str], source: str, parameters: Any) -> Page:
    key, direction, kind = order
    beyond, more = _beyond("key", query.position(), direction, kind)
    sql = f"""
        select id, key from (select e.dataset_id as id, {key} as key from {source} where e.place = any(%(places)s::int[])) one
        where {beyond} order by key {direction}, id {direction} limit %(limit)s"""
    found = rows(sql, {**parameters, **more, "places": f"{{{','.join(map(str, hits))}}}", "limit": query.limit + 1})
    return [(one, at) for one, at in found]


def _walked(query: SearchQuery, found: Found) -> Page | None:
    """What is found, met on the way along the index of the key; None where it stands too far off."""
    key, direction, kind = ORDERS[query.order]
    position, n_walked = query.position(), 0
    page: Page = []
    step = first_step(query.limit, len(found.hits) / len(found.visible))
    while n_walked < MOST_WALKED:
        beyond, more = _beyond(key, position, direction, kind)
        sql = f"""
            select e.place, one.id, one.key from (
                select id, {key} as key from datasets_dataset where {beyond}
                order by {key} {direction}, id {direction} limit %(limit)s
            ) one left join {ENTRY} on e.dataset_id = one.id order by one.key {direction}, one.id {direction}"""
        walked = rows(sql, {**more, "limit": step})
        page += [(one, at) for place, one, at in walked if place is not None and place in found.hits]
        if len(page) > query.limit or len(walked) < step:
            return page[: query.limit + 1]
        position, n_walked, step = (walked[-1][2], walked[-1][1]), n_walked + step, 3 * step
    return None


def first_step(limit: int, share: float) -> int:
    """How many rows to read first, among which a page is likely to be of what a share of all has."""
    return math.ceil(1.3 * (limit + 1) / share) + 10


def _beyond(key: str, position: tuple[Any, Any] | None, direction: str, kind: str) -> tuple[str, dict[str, Any]]:
    """The condition of what follows a position, and its parameters."""
    if position is None:
        return "true", {}
    condition = f"({key}, id) {'<' if direction == 'desc' else '>'} (%(after_key)s::{kind}, %(after_id)s::uuid)"
    return condition, {"after_key": position[0], "after_id": position[1]}


def _candidates(asked: Matching, found: Found) -> BitMap:
    """Of very many hits, as many as are worth ranking: those whose title has the words, then others; the newest of both."""
    if len(found.hits) <= MOST_RANKED:
        return found.hits
    titled = read({"titled": select(f"e.title_vector @@ {asked.tsquery}", source=ENTRY)}, asked.parameters)[1]["titled"] & found.hits
    if len(titled) >= MOST_RANKED:
        return titled[-MOST_RANKED:]
    return titled | (found.hits - titled)[len(titled) - MOST_RANKED :]
