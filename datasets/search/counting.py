"""The exact counts of a search: the total, each facet's values, and what each filter alone keeps out. Read `find` first.

A facet's counts heed every filter but its own. What a search finds is a set of places, and what has a value is another (`places`), so that
a count is the size of an intersection; of a facet with very many values only those are counted that may be among the most frequent.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from pyroaring import BitMap

from datasets.search.matching import Matching
from datasets.search.places import Places, read
from datasets.search.query import FACETS

MOST_VALUES = 40


@dataclass(frozen=True)
class Found:
    """What a search finds at one moment: `visible` is all that this person may see, `base` what words and bounds find of it.

    `filters` maps the name of each other filter to what it lets through.
    """

    places: Places
    visible: BitMap
    base: BitMap
    filters: Mapping[str, BitMap]

    @cached_property
    def hits(self) -> BitMap:
        return self.heeding_all_but("")

    def heeding_all_but(self, facet: str) -> BitMap:
        """What all filters find but this facet's."""
        return BitMap.intersection(self.base, *(places for name, places in self.filters.items() if name != facet))


@dataclass(frozen=True)
class Counts:
    """`values` are the counts by facet and value."""

    total: int
    values: Mapping[str, Mapping[str, int]]


def find(asked: Matching, *, but: str = "") -> Found:
    """What a search finds, without one of its bounds where `but` names it. One statement."""
    selects = {"found": asked.select_found(but=but), "own": asked.select_own()}
    places, answers = read({name: one for name, one in selects.items() if one}, asked.parameters)
    visible = places.listed | answers["own"] if "own" in answers else places.listed
    base = visible & answers["found"] if "found" in answers else visible
    filters = {name: places.with_any(name, values) for name, values in asked.chosen.items() if name != "year"}
    if "year" in asked.chosen:
        filters["year"] = BitMap.union(BitMap(), *places.covering(map(int, asked.chosen["year"])).values())
    return Found(places, visible, base, filters)


def count(asked: Matching, found: Found) -> Counts:
    """The counts of a search: of a facet with very many values the chosen ones, and the most frequent of the others; of series, all."""
    most = dict.fromkeys(FACETS, MOST_VALUES) | {"series": len(found.places.values)}  # the tree sums them up
    values = {name: most_frequent(found, name, chosen=asked.chosen.get(name, ()), most=most[name]) for name in FACETS if name != "year"}
    values["year"] = _years(asked, found)
    return Counts(len(found.hits), values)


def count_without(asked: Matching, found: Found) -> dict[str, int]:
    """How much is found without each filter, and without all of them (`filters`)."""
    without = {name: len(found.heeding_all_but(name)) for name in found.filters}
    without |= {name: len(find(asked, but=name).hits) for name in asked.bounds}
    return {"filters": _count_words(asked, found), **without}


def _count_words(asked: Matching, found: Found) -> int:
    if not asked.bounds:
        return len(found.base)
    if not asked.words:
        return len(found.visible)
    return len(find(replace(asked, bounds={}, chosen={})).base)


def most_frequent(found: Found, facet: str, *, chosen: Iterable[str] = (), most: int) -> dict[str, int]:
    """The counts of the chosen values of a facet, and of the most frequent of the others, which come after them in that order."""
    scope = found.heeding_all_but(facet) if facet in found.filters else found.hits
    numbers = found.places.numbers
    wanted = {value: found.places.with_any(facet, [value]) for value in chosen if (facet, value) in numbers}
    counted = {value: n for value, places in wanted.items() if (n := scope.intersection_cardinality(places))}
    best: list[int] = []  # the counts of the most frequent so far
    others: list[tuple[int, str]] = []
    left = most - len(counted)
    for n_all, value, places in found.places.by_facet.get(facet, ()) if scope and left > 0 else ():
        if len(best) == left and n_all < best[0]:
            break  # no value that follows is as frequent
        if value not in wanted and (n := scope.intersection_cardinality(places)):
            others.append((n, value))
            heapq.heappush(best, n) if len(best) < left else heapq.heappushpop(best, n)
    others.sort(key=lambda one: (-one[0], one[1]))
    return counted | {value: n for n, value in others[: max(left, 0)]}


def _years(asked: Matching, found: Found) -> dict[str, int]:
    """The years of the decades that are chosen, or one of whose years is."""
    opened = {int(value) // 10 * 10 for name in ("decade", "year") for value in asked.chosen.get(name, ())}
    if not opened:
        return {}
    scope = found.heeding_all_but("year")
    covering = found.places.covering(year for decade in opened for year in range(decade, decade + 10))
    return {str(year): n for year, places in covering.items() if (n := scope.intersection_cardinality(places))}
