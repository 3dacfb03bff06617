"""Which datasets a search asks for, as conditions of SQL: what a person may see, the words, each filter.

The row of a dataset is `d` in all of them. Filters by facet compare numbers of facet values, so that one index serves all facets.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Q

from datasets.access import Visitor
from datasets.models import Dataset, FacetValue
from datasets.search.indexing import LISTED
from datasets.search.query import SearchQuery

THERE = "d.deleted_at is null"
LAST_WORD = re.compile(r"(?:^|(?<=\s))([^\W_]{2,})$")
# What is covered by one day alone starts and ends in its year.
FIRST_YEAR = "extract(year from coalesce(d.temporal_start, d.temporal_end))"
LAST_YEAR = "extract(year from coalesce(d.temporal_end, d.temporal_start))"
BY_NUMBER = ("subject", "variable", "format", "decade", "licence", "access", "series", "availability")
YEAR = f"exists (select from unnest(%(year)s::int[]) y where y between {FIRST_YEAR} and {LAST_YEAR})"
TIME = "coalesce(d.temporal_end, d.temporal_start) >= %(start)s and coalesce(d.temporal_start, d.temporal_end) <= %(end)s"
BOX = "d.south <= %(north)s and d.north >= %(south)s and ({longitudes})"
# A dataset has the number of its own series alone, so that moving a branch of the tree touches no dataset: a chosen series means the
# numbers of all below it. One above another chosen one only leads to that.
BELOW = """
    with chosen as (select id, lineage from datasets_series where slug = any(%(slugs)s::text[]))
    select known.id from chosen join datasets_series below on below.lineage @> array[chosen.id]
    join datasets_facetvalue known on known.facet = 'series' and known.value = below.slug
    where not exists (select from chosen lower where lower.id <> chosen.id and lower.lineage @> array[chosen.id])
"""
TITLE = "to_tsvector('causeway', coalesce(d.title, ''))"  # as the index has it
BY_INDEX = "set local enable_seqscan = off; "


@dataclass(frozen=True)
class Matching:
    """`visible` and `words` always hold for what is found; `unlisted` tells which of the visible rows the kept counts leave out.

    `filters` maps the name of each filter in use to its condition; `chosen` are the numbers of the chosen facet values.
    """

    visible: str
    unlisted: str
    words: str
    tsquery: str
    filters: Mapping[str, str]
    chosen: Sequence[int]
    parameters: Mapping[str, Any]

    @property
    def found(self) -> str:
        """What the words find, whatever the filters."""
        return f"{self.visible} and {self.words}" if self.words else self.visible

    @property
    def fits(self) -> str:
        """What the words and all filters find."""
        return " and ".join([self.found, *(f"({condition})" for condition in self.filters.values())])


def match(query: SearchQuery, user: Visitor) -> Matching:
    """The conditions of a search of this person. One statement for the chosen facet values, one for series, one for a steward's drafts."""
    visible, unlisted, own = _visible(user)
    tsquery, words = _tsquery(query.words)
    filters, more = _filters(query)
    numbers = _numbers(query.facets)
    for name in BY_NUMBER:
        if name in query.facets:
            filters[name] = f"d.facet_ids && %({name})s::int[]"
            more[name] = numbers.get(name) or [-1]  # nothing has a value that nobody ever gave
    if "year" in query.facets:
        filters["year"] = YEAR
        more["year"] = [str(int(value)) for value in query.facets["year"]]
    condition = f"(numnode({tsquery}) = 0 or d.search_vector @@ {tsquery})" if query.words else ""
    chosen = [number for each in numbers.values() for number in each]
    return Matching(visible, unlisted, condition, tsquery, filters, chosen, {**own, **words, **more, "chosen": chosen})


def rows(sql: str, parameters: Mapping[str, Any]) -> list[Any]:
    """What a statement answers.

    Where it compares words, the index of words is used whatever PostgreSQL thinks: its estimate leaves out that the words of a dataset lie
    outside its row, so that reading them all takes several times as long. Both statements travel as one, and are one
    transaction; within another one the choice holds until its end.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"{BY_INDEX if 'search_vector @@' in sql else ''}{sql}", parameters)
        return list(cursor.fetchall())


def _visible(user: Visitor) -> tuple[str, str, dict[str, Any]]:
    """(condition of what she may see, condition of those of them that are not listed, parameters)."""
    if getattr(user, "is_operator", False):
        return THERE, f"not ({LISTED}) and {THERE}", {}
    if not getattr(user, "is_steward", False):
        return LISTED, "false", {}
    unlisted = Q(published_at=None) | Q(withdrawn_at__isnull=False)
    own = list(Dataset.objects.curated_by(user).filter(unlisted).values_list("id", flat=True))
    return f"({LISTED} or d.id = any(%(own)s::uuid[]))", "d.id = any(%(own)s::uuid[])", {"own": own}


def _tsquery(words: str) -> tuple[str, dict[str, Any]]:
    """The text query: words, "phrases", -exclusions, or; the last word may be the beginning of one."""
    whole = "websearch_to_tsquery('causeway', %(words)s)"
    last = LAST_WORD.search(words)
    if not last or words.count('"') % 2:
        return whole, {"words": words}
    begun = "(websearch_to_tsquery('causeway', %(before)s) && to_tsquery('causeway', %(begun)s))"
    return f"({whole} || {begun})", {"words": words, "before": words[: last.start(1)], "begun": f"{last.group(1)}:*"}


def _numbers(facets: Mapping[str, Sequence[str]]) -> dict[str, list[int]]:
    """The numbers of the chosen values, by facet; a decade may be written with zeros before it."""
    wanted = {
        name: [str(int(value)) for value in facets[name]] if name == "decade" else facets[name]
        for name in BY_NUMBER
        if name in facets and name != "series"
    }
    numbers: dict[str, list[int]] = {}
    if "series" in facets:
        numbers["series"] = [number for (number,) in rows(BELOW, {"slugs": list(facets["series"])})]
    if not wanted:
        return numbers
    chosen = Q(*(Q(facet=name, value__in=values) for name, values in wanted.items()), _connector=Q.OR)
    for facet, number in FacetValue.objects.filter(chosen).values_list("facet", "id"):
        numbers.setdefault(facet, []).append(number)
    return numbers


def _filters(query: SearchQuery) -> tuple[dict[str, str], dict[str, Any]]:
    """The conditions of time and place, and their parameters."""
    filters: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    if query.start or query.end:
        filters["time"] = TIME
        parameters |= {"start": query.start or "-infinity", "end": query.end or "infinity"}
    if query.box:
        west, south, east, north = query.box
        spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
        filters["box"] = BOX.format(longitudes=_longitudes(len(spans)))
        parameters |= {"south": south, "north": north}
        for at, (low, high) in enumerate(spans):
            parameters |= {f"west{at}": low, f"east{at}": high}
    return filters, parameters


def _longitudes(n_spans: int) -> str:
    """Whether a dataset's span of longitudes touches one of the asked ones; its own may cross the antimeridian."""
    parts = []
    for at in range(n_spans):
        low, high = f"%(west{at})s", f"%(east{at})s"
        parts.append(
            f"(d.west <= d.east and d.west <= {high} and d.east >= {low}) or (d.west > d.east and (d.west <= {high} or d.east >= {low}))"
        )
    return " or ".join(parts)
