"""The exact counts of a search: the total, each facet's values, and what each filter alone keeps out. Read `count` first.

A facet's counts heed every filter but its own. One pass over the hits is enough for all facets: a hit counts for every facet when it fits
all filters, and for one facet alone when that one's filter is all that it misses; a hit that misses two filters is never read. The counts
of the whole catalogue are kept by `indexing`, so a search without words and filters reads no dataset at all.
"""

# ruff: noqa: S608  (statements are put together from this module's own constants; every value is a parameter)

from collections.abc import Mapping
from dataclasses import dataclass

from datasets.models import FacetValue
from datasets.search.matching import FIRST_YEAR, LAST_YEAR, Matching, rows
from datasets.search.query import FACETS, SearchQuery

MOST_VALUES = 40

# Each facet's most frequent values, after the chosen ones, and all series, which the tree sums up; of `all`, how many hits miss which
# filter.
VALUES = f"""
    select 'missed', missed, sum(n) from counted join datasets_facetvalue known using (id)
    where known.facet = '{FacetValue.ALL}' group by missed
    union all
    select facet, value, n from (
        select facet, value, n, row_number() over (
            partition by facet order by id = any(%(chosen)s::int[]) desc, n desc, value
        ) as place from (
            select known.id, known.facet, known.value, sum(n) as n from counted join datasets_facetvalue known using (id)
            where missed in ('', known.facet) and known.facet <> '{FacetValue.ALL}' group by known.id
        ) one where n > 0
    ) one where place <= {MOST_VALUES} or facet = 'series'
"""
KEPT = "select id, '{missed}' as missed, n_datasets::bigint as n from datasets_facetvalue where n_datasets > 0"
YEARS = """
    union all
    select 'year', y::text, count(*) from hits, unnest(%(opened)s::int[]) one, generate_series(one, one + 9) y
    where y between first_year and last_year and missed in ('', 'year') group by y
"""


@dataclass(frozen=True)
class Counts:
    """`values` are the counts by facet and value; `without` is, for each filter, how many there were if it were taken away."""

    total: int
    values: Mapping[str, Mapping[str, int]]
    without: Mapping[str, int]


def count(query: SearchQuery, asked: Matching) -> Counts:
    """The counts of a search, in one statement."""
    opened = sorted({int(value) // 10 * 10 for name in ("decade", "year") for value in query.facets.get(name, ())})
    sql = _statement(asked, has_years=bool(opened)) if asked.words or asked.filters else _whole_catalogue(asked)
    found: dict[str, dict[str, int]] = {name: {} for name in ("missed", *FACETS)}
    for facet, value, n in rows(sql, {**asked.parameters, "opened": opened}):
        found[facet][value] = int(n)
    missed = found.pop("missed")
    total = missed.get("", 0)
    return Counts(total, found, {name: total + missed.get(name, 0) for name in asked.filters})


def count_found(asked: Matching, *, most: int | None = None) -> int:
    """How many datasets fit, counted no further than `most`; without `most`, how many the words find whatever the filters."""
    if most is None:
        return int(rows(f"select count(*) from datasets_dataset d where {asked.found}", asked.parameters)[0][0])
    limited = f"select from datasets_dataset d where {asked.fits} limit %(most)s"
    return int(rows(f"select count(*) from ({limited}) one", {**asked.parameters, "most": most})[0][0])


def _whole_catalogue(asked: Matching) -> str:
    own = f"select unnest(d.facet_ids) as id, '' as missed, 1::bigint as n from datasets_dataset d where {asked.unlisted}"
    return f"with counted as ({KEPT.format(missed='')} union all {own}) {VALUES}"


def _statement(asked: Matching, *, has_years: bool) -> str:
    names = list(asked.filters)
    only = names[0] if len(names) == 1 and not asked.words and names != ["year"] else ""
    near = asked.filters[only] if only else _misses_one_at_most(asked)
    missed = " ".join(f"when not coalesce({condition}, false) then '{name}'" for name, condition in asked.filters.items())
    years = f", {FIRST_YEAR} as first_year, {LAST_YEAR} as last_year" if has_years else ""
    hits = f"""hits as {"materialized" if has_years else ""} (
        select d.facet_ids, {f"case {missed} else '' end" if missed else "''"} as missed {years}
        from datasets_dataset d where {asked.found} and ({near})
    )"""
    counted = "select id, missed, count(*) as n from hits, unnest(facet_ids) as id group by id, missed"
    if only:
        # What misses the only filter is all that is kept out of the whole catalogue: nothing is read for it.
        counted = f"""
            with fits as materialized ({counted})
            select * from fits union all {KEPT.format(missed=only)}
            union all select unnest(d.facet_ids), '{only}', 1 from datasets_dataset d where {asked.unlisted}
            union all select id, '{only}', -n from fits
        """
    return f"with {hits}, counted as materialized ({counted}) {VALUES} {YEARS if has_years else ''}"


def _misses_one_at_most(asked: Matching) -> str:
    """True of what fits all filters but one."""
    parts = [" and ".join(["true", *(f"({other})" for each, other in asked.filters.items() if each != name)]) for name in asked.filters]
    return " or ".join(f"({part})" for part in parts) or "true"
