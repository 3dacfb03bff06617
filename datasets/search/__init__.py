"""Finding datasets: one statement for what is found, one for a page of it, one more to forgive a typing error. Read `search` first.

What a person may find is what `Dataset.objects.visible_to` says: published metadata, and drafts for those who curate them. Counts are exact
and multi-select: the counts of a facet heed every filter but that facet's own. Data cover many years, so decades are counted, and a chosen
decade opens to its years; `from` and `to` ask for any range.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models.expressions import RawSQL
from django.db.models.functions import Left

from datasets.access import Visitor
from datasets.models import AccessPolicy, Dataset, Series
from datasets.search import paging
from datasets.search.branching import branches
from datasets.search.counting import Found, count, count_without, find
from datasets.search.matching import LAST_WORD, Matching, match
from datasets.search.paging import Page, page_of
from datasets.search.places import rows
from datasets.search.query import AVAILABILITY, FACETS, UNSTATED, SearchQuery

EXCERPT = 280
MARK_START, MARK_END = "\x02", "\x03"  # around matching words; control characters cannot be part of an abstract's meaning
WORD = re.compile(r"[^\W\d_]{4,}")

HEADLINE = f"StartSel={MARK_START}, StopSel={MARK_END}, MaxFragments=1, MaxWords=45, MinWords=30"
PARAMETER = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True)
class Hit:
    """One row of results; `excerpt` carries the matching words between `MARK_START` and `MARK_END`."""

    dataset: Dataset
    excerpt: str


@dataclass(frozen=True)
class FacetValue:
    """`depth` is that of a series in the tree, 1 at the top; 0 for other facets."""

    value: str
    words: str
    count: int
    is_chosen: bool
    depth: int = 0


@dataclass(frozen=True)
class Results:
    """`corrected` is the spelling that was searched instead of the one typed, when that one found nothing.

    `n_ranked` is set where only so many of the hits are ranked, and pages by best match end after them.
    """

    query: SearchQuery
    hits: list[Hit]
    total: int
    facets: dict[str, list[FacetValue]]
    next_cursor: str = ""
    corrected: str = ""
    n_ranked: int = 0
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
    newest = replace(query, sort="newest", limit=most, cursor="")
    asked = match(newest, user)
    page = page_of(newest, asked, find(asked))[:most]
    datasets = Dataset.objects.defer("search_terms").in_bulk([row[0] for row in page])
    return [datasets[row[0]] for row in page if row[0] in datasets]


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
    nearest = {token: word for token, word in rows(sql, {"tokens": tokens}) if word}
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
    return [word for (word,) in rows(sql, {"typed": last.group(1), "most": most})]


def _search(query: SearchQuery, user: Visitor) -> Results:
    asked = match(query, user)
    found = find(asked)
    counts = count(asked, found)
    page = page_of(query, asked, found)
    shown = page[: query.limit]
    next_cursor = query.cursor_after(shown[-1][1], shown[-1][0]) if len(page) > query.limit else ""
    return Results(
        query=query,
        hits=_shown(shown, query, asked) if shown else [],
        total=counts.total,
        facets=_facets(query, counts.values, user),
        next_cursor=next_cursor,
        n_ranked=paging.MOST_RANKED if query.order == "relevance" and counts.total > paging.MOST_RANKED else 0,
        found_without=_found_without(asked, found),
    )


def _found_without(asked: Matching, found: Found) -> dict[str, int]:
    """Where nothing is found: how much there is without one filter, and without them all."""
    if found.hits or not (found.filters or asked.bounds):
        return {}
    return {name: n for name, n in count_without(asked, found).items() if n}


def _shown(page: Page, query: SearchQuery, asked: Matching) -> list[Hit]:
    """The datasets of a page with their excerpts. One statement."""
    excerpt: Any = Left("abstract", EXCERPT)
    if query.words:
        headline = f"ts_headline('causeway', datasets_dataset.abstract, {asked.tsquery}, %(headline)s)"
        parameters = {**asked.parameters, "headline": HEADLINE}
        names = PARAMETER.findall(headline)
        excerpt = RawSQL(PARAMETER.sub("%s", headline), [parameters[name] for name in names])  # noqa: S611  (our own, with parameters)
    datasets: dict[Any, Any] = (
        Dataset.objects.defer("search_terms").annotate(excerpt=excerpt).in_bulk([dataset_id for dataset_id, _ in page])
    )
    return [Hit(datasets[one], shortened(datasets[one].excerpt, datasets[one].abstract)) for one, _ in page if one in datasets]


def shortened(excerpt: str, abstract: str = "") -> str:
    """An abstract that was cut ends with its last whole word; a part of it shows that it is one, at either end."""
    if len(excerpt) == EXCERPT and MARK_START not in excerpt:
        return f"{excerpt.rpartition(' ')[0]} …"
    plain = excerpt.replace(MARK_START, "").replace(MARK_END, "").strip()
    before = "" if abstract.lstrip().startswith(plain) else "… "
    return f"{before}{excerpt}{'' if abstract.rstrip().endswith(plain) else ' …'}" if plain and abstract else excerpt


def _facets(query: SearchQuery, counts: Mapping[str, Mapping[str, int]], user: Visitor) -> dict[str, list[FacetValue]]:
    """The values of each facet with words for people; a chosen value stays in the list when nothing fits it any more."""
    facets: dict[str, list[FacetValue]] = {}
    for name in FACETS:
        chosen = query.facets.get(name, ())
        if name == "series":
            facets[name] = _series(chosen, counts[name], user)
            continue
        counted = dict(counts[name])
        counted |= {value: 0 for value in chosen if value not in counted}
        values = [FacetValue(value, words_for(name, value), n, value in chosen) for value, n in counted.items()]
        facets[name] = (
            sorted(values, key=lambda one: int(one.value))
            if name in {"decade", "year"}
            else sorted(values, key=lambda one: (-one.count, one.words))
        )
    return facets


def _series(chosen: Sequence[str], counts: Mapping[str, int], user: Visitor) -> list[FacetValue]:
    """The tree as far as it is open. A chosen series that nothing fits is named, where this person may see it, by its title."""
    shown = [FacetValue(one.slug, one.title, one.count, one.slug in chosen, one.depth) for one in branches(counts, chosen)]
    lacking = [slug for slug in chosen if slug not in {one.value for one in shown}]
    titles = dict(Series.objects.visible_to(user).filter(slug__in=lacking).values_list("slug", "title")) if lacking else {}
    return shown + [FacetValue(slug, titles.get(slug, slug), 0, is_chosen=True, depth=1) for slug in lacking]


def words_for(name: str, value: str) -> str:
    """How a page names a facet value."""
    if name == "access" and value == AccessPolicy.REGISTERED:
        return "Sign-in needed"  # as its badge says
    if name == "access":
        return str(dict(AccessPolicy.choices).get(value, value))
    if name == "decade":
        return f"{value}s"
    if name == "availability":
        return AVAILABILITY.get(value, value)
    if value == UNSTATED:
        return "Not stated"
    return value.replace("_", " ") if name == "variable" else value
