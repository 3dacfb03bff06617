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
from datasets.search.places import rows, select
from datasets.search.query import SearchQuery

THERE = "d.deleted_at is null"
LAST_WORD = re.compile(r"(?:^|(?<=\s))([^\W_]{2,})$")
ENTRY = "datasets_searchentry e"
DATASET = "datasets_dataset d on d.id = e.dataset_id"
TIME = "e.last_day >= %(start)s and e.first_day <= %(end)s"
BOX = "e.south <= %(north)s and e.north >= %(south)s and ({longitudes})"
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
    """`unlisted` holds for what this person may find though it is not listed.

    `bounds` maps the name of each filter that the database knows alone to its condition: time, box. `chosen` maps a facet to the chosen
    values as they are kept.
    """

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
        return select(condition, source=ENTRY) if condition else ""

    def select_own(self) -> str:
        """The select of what this person finds though it is not listed; empty for most."""
        return select(self.unlisted, source=f"{ENTRY} join {DATASET}") if self.unlisted else ""


def match(query: SearchQuery, user: Visitor) -> Matching:
    """The conditions of a search of this person. One statement where a series is chosen, one for a steward's own drafts."""
    unlisted, own = _visible(user)
    tsquery, words = _tsquery(query.words)
    bounds, more = _bounds(query)
    condition = f"(numnode({tsquery}) = 0 or e.search_vector @@ {tsquery})" if query.words else ""
    return Matching(unlisted, condition, tsquery, bounds, _chosen(query.facets), {**own, **words, **more})


def _visible(user: Visitor) -> tuple[str, dict[str, Any]]:
    """The condition of what she may see though it is not listed, and its parameters."""
    if getattr(user, "is_operator", False):
        return f"{UNLISTED} and {THERE}", {}
    if not getattr(user, "is_steward", False):
        return "", {}
    unlisted = Q(published_at=None) | Q(withdrawn_at__isnull=False)
    own = list(Dataset.objects.curated_by(user).filter(unlisted).values_list("id", flat=True))
    if not own:
        return "", {}
    mine = "d.id = any(%(own)s::uuid[])"
    return f"{mine} and {THERE}", {"own": own}


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
            f"(e.west <= e.east and e.west <= {high} and e.east >= {low}) or (e.west > e.east and (e.west <= {high} or e.east >= {low}))"
        )
    return " or ".join(parts)
