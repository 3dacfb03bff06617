"""Which datasets a search asks for: what a person may see, the words and each filter as conditions of SQL.

The row of a dataset is `d` in all of them, that of its words `e`. What values and years let through, `places` knows without the database.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from datasets.access import Visitor
from datasets.models import Dataset
from datasets.search.indexing import LISTED
from datasets.search.places import FIRST_YEAR, LAST_YEAR, Places, rows, select
from datasets.search.query import SearchQuery

THERE = "d.deleted_at is null"
LAST_WORD = re.compile(r"(?:^|(?<=\s))([^\W_]{2,})$")
ENTRY = "datasets_searchentry e"
DATASET = "datasets_dataset d on d.id = e.dataset_id"
YEAR = f"exists (select from unnest(%(year)s::int[]) y where y between {FIRST_YEAR} and {LAST_YEAR})"
TIME = "coalesce(d.temporal_end, d.temporal_start) >= %(start)s and coalesce(d.temporal_start, d.temporal_end) <= %(end)s"
BOX = "d.south <= %(north)s and d.north >= %(south)s and ({longitudes})"
# A dataset has the value of its own series alone, so that moving a branch of the tree touches no dataset: a chosen series means the
# values of all below it. One above another chosen one only leads to that.
BELOW = """
    with chosen as (select id, lineage from datasets_series where slug = any(%(slugs)s::text[]))
    select below.slug from chosen join datasets_series below on below.lineage @> array[chosen.id]
    where not exists (select from chosen lower where lower.id <> chosen.id and lower.lineage @> array[chosen.id])
"""
UNLISTED = "(d.published_at is null or d.withdrawn_at is not null)"  # as the index has it


@dataclass(frozen=True)
class Matching:
    """`visible` always holds for what is found, `unlisted` for those of it that are not listed.

    `bounds` maps the name of each filter that the database knows alone to its condition: time, box. `chosen` maps a facet to the chosen
    values as they are kept.
    """

    visible: str
    unlisted: str
    words: str
    tsquery: str
    bounds: Mapping[str, str]
    chosen: Mapping[str, Sequence[str]]
    parameters: Mapping[str, Any]

    def select_found(self, *, but: str = "") -> str:
        """The select of what the words and all bounds but one find, whoever may see it; empty when they are not asked for."""
        bounds = [f"({condition})" for name, condition in self.bounds.items() if name != but]
        condition = " and ".join([self.words, *bounds] if self.words else bounds)
        return select(condition, source=f"{ENTRY} join {DATASET}" if bounds else ENTRY) if condition else ""

    def select_own(self) -> str:
        """The select of what this person finds though it is not listed; empty for most."""
        return select(self.unlisted, source=f"{ENTRY} join {DATASET}") if self.unlisted else ""


def match(query: SearchQuery, user: Visitor) -> Matching:
    """The conditions of a search of this person. One statement where a series is chosen, one for a steward's own drafts."""
    visible, unlisted, own = _visible(user)
    tsquery, words = _tsquery(query.words)
    bounds, more = _bounds(query)
    condition = f"(numnode({tsquery}) = 0 or e.search_vector @@ {tsquery})" if query.words else ""
    return Matching(visible, unlisted, condition, tsquery, bounds, _chosen(query.facets), {**own, **words, **more})


def filters_of(asked: Matching, places: Places) -> tuple[dict[str, str], dict[str, Any]]:
    """The conditions of SQL of the chosen values and years, and their parameters."""
    filters: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    for name, values in asked.chosen.items():
        if name == "year":
            filters[name], parameters[name] = YEAR, list(map(int, values))
        else:
            numbers = [places.numbers.get((name, value)) or -1 for value in values]  # nothing has a value that nobody ever gave
            filters[name], parameters[name] = f"d.facet_ids && %({name})s::int[]", numbers
    return filters, parameters


def _visible(user: Visitor) -> tuple[str, str, dict[str, Any]]:
    """(condition of what she may see, condition of those of them that are not listed, parameters)."""
    if getattr(user, "is_operator", False):
        return THERE, f"{UNLISTED} and {THERE}", {}
    if not getattr(user, "is_steward", False):
        return LISTED, "", {}
    unlisted = Q(published_at=None) | Q(withdrawn_at__isnull=False)
    own = list(Dataset.objects.curated_by(user).filter(unlisted).values_list("id", flat=True))
    if not own:
        return LISTED, "", {}
    mine = "d.id = any(%(own)s::uuid[])"
    return f"({LISTED} or {mine})", f"{mine} and {THERE}", {"own": own}


def _tsquery(words: str) -> tuple[str, dict[str, Any]]:
    """The text query: words, "phrases", -exclusions, or; the last word may be the beginning of one."""
    whole = "websearch_to_tsquery('causeway', %(words)s)"
    last = LAST_WORD.search(words)
    if not last or words.count('"') % 2:
        return whole, {"words": words}
    begun = "(websearch_to_tsquery('causeway', %(before)s) && to_tsquery('causeway', %(begun)s))"
    return f"({whole} || {begun})", {"words": words, "before": words[: last.start(1)], "begun": f"{last.group(1)}:*"}


def _chosen(facets: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """The chosen values as they are kept: a decade may be asked for with zeros before it, a series means all below it."""
    chosen = dict(facets)
    if "decade" in facets:
        chosen["decade"] = [str(int(value)) for value in facets["decade"]]
    if "series" in facets:
        chosen["series"] = [slug for (slug,) in rows(BELOW, {"slugs": list(facets["series"])})]
    return chosen


def _bounds(query: SearchQuery) -> tuple[dict[str, str], dict[str, Any]]:
    """The conditions of time and place, and their parameters."""
    bounds: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    if query.start or query.end:
        bounds["time"] = TIME
        parameters |= {"start": query.start or "-infinity", "end": query.end or "infinity"}
    if query.box:
        west, south, east, north = query.box
        spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
        bounds["box"] = BOX.format(longitudes=_longitudes(len(spans)))
        parameters |= {"south": south, "north": north}
        for at, (low, high) in enumerate(spans):
            parameters |= {f"west{at}": low, f"east{at}": high}
    return bounds, parameters


def _longitudes(n_spans: int) -> str:
    """Whether a dataset's span of longitudes touches one of the asked ones; its own may cross the antimeridian."""
    parts = []
    for at in range(n_spans):
        low, high = f"%(west{at})s", f"%(east{at})s"
        parts.append(
            f"(d.west <= d.east and d.west <= {high} and d.east >= {low}) or (d.west > d.east and (d.west <= {high} or d.east >= {low}))"
        )
    return " or ".join(parts)
