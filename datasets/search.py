"""Finding datasets: one statement for a page of results, one for all counts, one more to forgive a typing error. Read `search` first.

What a person may find is what `Dataset.objects.visible_to` says: published metadata, and drafts for those who curate them. Counts are exact
and multi-select: the counts of a facet heed every filter but that facet's own. Data cover many years, so decades are counted, and a chosen
decade opens to its years; `from` and `to` ask for any range.
"""

# ruff: noqa: S608  (statements are put together from this module's own constants; every value is a parameter)

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import connection
from django.db.models import Q

from datasets.access import Visitor
from datasets.models import AccessPolicy, Dataset
from datasets.searchquery import FACETS, UNSTATED, SearchQuery

MOST_VALUES = 40
MOST_OF = {"year": 200}
EXCERPT = 280
MARK_START, MARK_END = "\x02", "\x03"  # around matching words; control characters cannot be part of an abstract's meaning
LISTED = "d.published_at is not null and d.withdrawn_at is null"
LAST_WORD = re.compile(r"(?:^|(?<=\s))([^\W_]{2,})$")
WORD = re.compile(r"[^\W\d_]{4,}")

ORDERS = {
    "relevance": ("(ts_rank(d.search_vector, {tsquery}) * 1000000)::int", "desc", "int"),
    "newest": ("d.listed_at", "desc", "timestamptz"),
    "title": ("d.title", "asc", "text"),
    "size": ("d.size_bytes", "desc", "bigint"),
}
# What is covered by one day alone starts and ends in its year.
FIRST_YEAR = "extract(year from coalesce(d.temporal_start, d.temporal_end))"
LAST_YEAR = "extract(year from coalesce(d.temporal_end, d.temporal_start))"
VALUES = {
    "subject": "unnest(subject_facet)",
    "variable": "unnest(variable_facet)",
    "format": "unnest(format_facet)",
    "decade": "unnest(decade_facet)::text",
    "year": "unnest(array(select y from unnest(%(opened)s::int[]) one, generate_series(one, one + 9) y"
    " where y between first_year and last_year))::text",
    "licence": f"coalesce(nullif(licence, ''), '{UNSTATED}')",
    "access": "access_policy",
}
CHOSEN = {
    "subject": "d.subject_facet && %(subject)s::text[]",
    "variable": "d.variable_facet && %(variable)s::text[]",
    "format": "d.format_facet && %(format)s::text[]",
    "decade": "d.decade_facet && %(decade)s::int[]",
    "year": f"exists (select from unnest(%(year)s::int[]) y where y between {FIRST_YEAR} and {LAST_YEAR})",
    "licence": f"coalesce(nullif(d.licence, ''), '{UNSTATED}') = any(%(licence)s::text[])",
    "access": "d.access_policy = any(%(access)s::text[])",
    "time": "coalesce(d.temporal_end, d.temporal_start) >= %(start)s and coalesce(d.temporal_start, d.temporal_end) <= %(end)s",
    "box": "d.south <= %(north)s and d.north >= %(south)s and ({longitudes})",
}


@dataclass(frozen=True)
class Hit:
    """One row of results; `excerpt` carries the matching words between `MARK_START` and `MARK_END`."""

    dataset: Dataset
    excerpt: str


@dataclass(frozen=True)
class FacetValue:
    value: str
    words: str
    count: int
    is_chosen: bool


@dataclass(frozen=True)
class Results:
    """`corrected` is the spelling that was searched instead of the one typed, when that one found nothing."""

    query: SearchQuery
    hits: list[Hit]
    total: int
    facets: dict[str, list[FacetValue]]
    next_cursor: str = ""
    corrected: str = ""
    found_without: Mapping[str, int] = field(default_factory=dict)


def search(query: SearchQuery, *, user: Visitor) -> Results:
    """A page of what this person may find, with exact counts. Where nothing fits a misspelt word, the nearest spelling does."""
    query.position()  # a forged cursor is told even where there is nothing to page
    found = _search(query, user)
    if found.total or not query.words or query.cursor or found.found_without.get("filters"):
        return found
    spelling = nearest_spelling(query.words)
    if spelling == query.words:
        return found
    other = _search(replace(query, words=spelling), user)
    if not other.total and not other.found_without.get("filters"):
        return found
    return replace(other, query=query, corrected=spelling)


def find_newest(query: SearchQuery, *, user: Visitor, most: int) -> list[Dataset]:
    """The newest of what a search finds for this person, without counts and without forgiving a misspelt word. Two statements."""
    rows = _page(replace(query, sort="newest", limit=most, cursor=""), user)[:most]
    found = Dataset.objects.defer("search_vector", "search_terms").in_bulk([row[0] for row in rows])
    return [found[row[0]] for row in rows if row[0] in found]


def nearest_spelling(words: str) -> str:
    """The words, each unknown one replaced by the most similar word of published descriptions; known and short ones as they are."""
    tokens = sorted({token.lower() for token in WORD.findall(words)})
    if not tokens:
        return words
    sql = """
        select token, (select word from datasets_searchterm where word %% unaccent(token)
            order by word = unaccent(token) desc, similarity(word, unaccent(token)) desc, n_datasets desc, word limit 1)
        from unnest(%(tokens)s::text[]) as token
        where to_tsvector('causeway', token) <> ''
            and not exists (select 1 from datasets_searchterm where word like unaccent(token) || '%%')
    """
    nearest = {token: word for token, word in _rows(sql, {"tokens": tokens}) if word}
    return WORD.sub(lambda found: nearest.get(found.group().lower(), found.group()), words)


def suggest(typed: str, *, most: int = 8) -> list[str]:
    """Words of published descriptions that begin like the last one typed, or resemble it."""
    last = LAST_WORD.search(typed.lower())
    if not last:
        return []
    sql = """
        select word from datasets_searchterm where word like unaccent(%(typed)s) || '%%' or word %% unaccent(%(typed)s)
        order by (word like unaccent(%(typed)s) || '%%') desc, n_datasets desc, similarity(word, unaccent(%(typed)s)) desc, word
        limit %(most)s
    """
    return [word for (word,) in _rows(sql, {"typed": last.group(1), "most": most})]


def _search(query: SearchQuery, user: Visitor) -> Results:
    counts = _count(query, user)
    total = counts.pop(("total", ""), 0)
    rows = _page(query, user) if total else []
    shown = rows[: query.limit]
    datasets = Dataset.objects.defer("search_vector", "search_terms").in_bulk([row[0] for row in shown])
    next_cursor = query.cursor_after(shown[-1][1], shown[-1][0]) if len(rows) > query.limit else ""
    return Results(
        query=query,
        hits=[Hit(datasets[dataset_id], _shortened(excerpt)) for dataset_id, _, excerpt in shown if dataset_id in datasets],
        total=total,
        facets=_facets(query, counts),
        next_cursor=next_cursor,
        found_without={value: count for (kind, value), count in counts.items() if kind == "without" and count} if not total else {},
    )


def _page(query: SearchQuery, user: Visitor) -> list[tuple[uuid.UUID, Any, str]]:
    """(id, sort key, excerpt), one more than the page holds."""
    tsquery, parameters = _tsquery(query.words)
    filters, more = _filters(query)
    found, visible = _found(query, tsquery, user)
    key, direction, kind = ORDERS[query.order]
    key = key.format(tsquery=tsquery)
    beyond = ""
    if position := query.position():
        sign = "<" if direction == "desc" else ">"
        beyond = f"and ({key}, d.id) {sign} (%(after_key)s::{kind}, %(after_id)s::uuid)"
        parameters |= {"after_key": position[0], "after_id": position[1]}
    excerpt = f"left(d.abstract, {EXCERPT})"
    if query.words:
        options = f"StartSel={MARK_START}, StopSel={MARK_END}, MaxFragments=1, MaxWords=45, MinWords=30"
        excerpt = f"ts_headline('causeway', d.abstract, {tsquery}, %(headline)s)"
        parameters["headline"] = options
    sql = f"""
        select page.id, page.key, {excerpt} from (
            select d.id, {key} as key from datasets_dataset d
            where {found} and {" and ".join(["true", *filters.values()])} {beyond}
            order by {key} {direction}, d.id {direction} limit %(limit)s
        ) page join datasets_dataset d on d.id = page.id
        order by page.key {direction}, page.id {direction}"""
    return _rows(sql, {**parameters, **more, **visible, "limit": query.limit + 1})


def _count(query: SearchQuery, user: Visitor) -> dict[tuple[str, str], int]:
    """Counts by (facet, value), with ("total", "") and, for each filter, ("without", filter): what it alone keeps out."""
    tsquery, parameters = _tsquery(query.words)
    filters, more = _filters(query)
    found, visible = _found(query, tsquery, user)
    flags = "".join(f", coalesce({condition}, false) as fits_{name}" for name, condition in filters.items())

    def fits(*, without: str = "") -> str:
        return " and ".join(["true", *(f"fits_{name}" for name in filters if name != without)])

    parts = [f"select 'total', '', count(*) from hits where {fits()}"]
    parts += [f"select 'without', '{name}', count(*) from hits where {fits(without=name)}" for name in filters]
    parts += ["select 'without', 'filters', count(*) from hits"] if filters else []
    for name, value in VALUES.items():
        parts.append(
            f"(select '{name}', value, count(*) from (select {value} as value from hits where {fits(without=name)}) one "
            f"group by value order by value = any(%({name})s::text[]) desc, count(*) desc, value limit {MOST_OF.get(name, MOST_VALUES)})"
        )
    sql = f"""
        with hits as materialized (
            select d.subject_facet, d.variable_facet, d.format_facet, d.decade_facet, d.licence, d.access_policy,
                {FIRST_YEAR} as first_year, {LAST_YEAR} as last_year {flags}
            from datasets_dataset d where {found}
        ) {" union all ".join(parts)}"""
    chosen = {name: list(query.facets.get(name, ())) for name in FACETS}
    opened = {"opened": sorted({int(value) // 10 * 10 for name in ("decade", "year") for value in query.facets.get(name, ())})}
    return {(kind, value): count for kind, value, count in _rows(sql, {**parameters, **chosen, **more, **visible, **opened})}


def _found(query: SearchQuery, tsquery: str, user: Visitor) -> tuple[str, dict[str, Any]]:
    """The condition that words and visibility make."""
    parts, parameters = [LISTED], {}
    if getattr(user, "is_operator", False):
        parts = ["true"]
    elif getattr(user, "is_steward", False):
        unlisted = Q(published_at=None) | Q(withdrawn_at__isnull=False)
        own = list(Dataset.objects.curated_by(user).filter(unlisted).values_list("id", flat=True))
        parts, parameters = [f"({LISTED} or d.id = any(%(own)s::uuid[]))"], {"own": own}
    if query.words:
        parts.append(f"(numnode({tsquery}) = 0 or d.search_vector @@ {tsquery})")
    return " and ".join(parts), parameters


def _tsquery(words: str) -> tuple[str, dict[str, Any]]:
    """The text query: words, "phrases", -exclusions, or; the last word may be the beginning of one."""
    whole = "websearch_to_tsquery('causeway', %(words)s)"
    last = LAST_WORD.search(words)
    if not last or words.count('"') % 2:
        return whole, {"words": words}
    begun = "(websearch_to_tsquery('causeway', %(before)s) && to_tsquery('causeway', %(begun)s))"
    return f"({whole} || {begun})", {"words": words, "before": words[: last.start(1)], "begun": f"{last.group(1)}:*"}


def _filters(query: SearchQuery) -> tuple[dict[str, str], dict[str, Any]]:
    """A condition for each filter in use, with the parameters of all."""
    filters = {name: CHOSEN[name] for name in query.facets}
    parameters: dict[str, Any] = {name: list(values) for name, values in query.facets.items()}
    if query.start or query.end:
        filters["time"] = CHOSEN["time"]
        parameters |= {"start": query.start or "-infinity", "end": query.end or "infinity"}
    if query.box:
        west, south, east, north = query.box
        parameters |= {"south": south, "north": north, "spans": [[west, east]] if west <= east else [[west, 180.0], [-180.0, east]]}
        filters["box"] = CHOSEN["box"].format(longitudes=_longitudes(len(parameters["spans"])))
        for at, (low, high) in enumerate(parameters.pop("spans")):
            parameters |= {f"west{at}": low, f"east{at}": high}
    for name in {"decade", "year"} & set(parameters):
        parameters[name] = [str(int(value)) for value in parameters[name]]
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


def _shortened(excerpt: str) -> str:
    """An abstract that was cut ends with its last whole word."""
    return f"{excerpt.rpartition(' ')[0]} …" if len(excerpt) == EXCERPT else excerpt


def _facets(query: SearchQuery, counts: Mapping[tuple[str, str], int]) -> dict[str, list[FacetValue]]:
    """The values of each facet with words for people; a chosen value stays in the list when nothing fits it any more."""
    facets: dict[str, list[FacetValue]] = {}
    for name in FACETS:
        chosen = query.facets.get(name, ())
        counted = {value: count for (kind, value), count in counts.items() if kind == name}
        counted |= {value: 0 for value in chosen if value not in counted}
        values = [FacetValue(value, words_for(name, value), count, value in chosen) for value, count in counted.items()]
        facets[name] = (
            sorted(values, key=lambda one: int(one.value))
            if name in {"decade", "year"}
            else sorted(values, key=lambda one: (-one.count, one.words))
        )
    return facets


def words_for(name: str, value: str) -> str:
    """How a page names a facet value."""
    if name == "access" and value == AccessPolicy.REGISTERED:
        return "Sign-in needed"  # as its badge says
    if name == "access":
        return str(dict(AccessPolicy.choices).get(value, value))
    if name == "decade":
        return f"{value}s"
    if value == UNSTATED:
        return "Not stated"
    return value.replace("_", " ") if name == "variable" else value


def _rows(sql: str, parameters: Mapping[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
