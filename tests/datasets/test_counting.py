"""Counts are exact, whatever was asked, by whom, and however the catalogue changed before."""

from dataclasses import replace

import pytest
from django.db import connection
from django.http import QueryDict
from django.utils import timezone

from datasets import search
from datasets.curation import publishing, registering
from datasets.models import Dataset, SearchTerm
from datasets.search import paging
from datasets.search.holding import held_now
from datasets.search.query import SearchQuery
from tests.datasets.test_search import NOBODY, archive, find, made

__all__ = ["archive", "made"]

ASKED = [
    "",
    "q=temperature",
    "subject=Ocean",
    "subject=Ocean&subject=Atmosphere",
    "subject=Nothing",
    "format=NetCDF&subject=Ocean",
    "subject=Ocean&access=restricted&decade=2000",
    "from=2000&to=2012",
    "bbox=-80,30,-60,50&subject=Atmosphere",
    "q=temperature&subject=Climate&licence=OGL-UK-3.0",
    "q=temperature&decade=2000&year=2007",
    "year=2013",
    "decade=2010",
    "series=earth",
    "series=waters&availability=online&q=ice or temperature",
    "availability=cold",
    "q=ice or airports or clandestine&access=public",
]


@pytest.mark.parametrize("asked", ASKED)
def test_each_count_is_what_choosing_the_value_finds(archive, ben, dee, asked):
    query = SearchQuery.from_parameters(QueryDict(asked))
    for person in (NOBODY, ben, dee):
        results = search.search(query, user=person)
        for name, values in results.facets.items():
            for one in values:
                alone = replace(query, facets={**query.facets, name: (one.value,)})
                assert search.search(alone, user=person).total == one.count, (asked, person, name, one.value)


def counted(person=NOBODY) -> dict[tuple[str, str], int]:
    facets = search.search(SearchQuery(), user=person).facets
    return {(name, one.value): one.count for name, values in facets.items() for one in values if name != "series"}  # a tree with sums


def recounted() -> dict[tuple[str, str], int]:
    """The counts of what is listed, from the rows."""
    sql = """
        select v.facet, v.value, count(*) from datasets_dataset d, unnest(d.facet_ids) as number join datasets_facetvalue v on v.id = number
        where d.published_at is not null and d.withdrawn_at is null and v.facet <> 'series'
        group by v.facet, v.value
    """
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return {(facet, value): n for facet, value, n in cursor.fetchall()}


def test_counts_follow_every_change(archive, dee, draft):
    assert counted() == recounted()
    dataset = Dataset.objects.get(slug="airports")
    registering.describe(dataset, user=dee, subjects=["Aviation"], licence="CC0-1.0", access_policy="registered")
    assert counted() == recounted()
    assert counted()["subject", "Aviation"] == 1
    before = find("").total
    later = draft("later", {"/f.nc": "f"}, title="Later marzipan", subjects=["Aviation"])
    assert find("").total == before
    publishing.publish(later, user=dee)
    assert (find("").total, counted()["subject", "Aviation"]) == (before + 1, 2)
    publishing.withdraw(later, user=dee, reason="Wrong.")
    assert counted() == recounted()
    assert counted()["subject", "Aviation"] == 1
    assert not SearchTerm.objects.filter(word="marzipan").exists()


def test_what_is_deleted_is_counted_no_more(archive):
    assert SearchTerm.objects.get(word="airports").n_datasets == 1
    Dataset.objects.filter(slug__in=["airports", "secret"]).delete()
    assert counted() == recounted()
    assert not SearchTerm.objects.filter(word="airports").exists()
    assert SearchTerm.objects.get(word="temperature").n_datasets == 2


def test_of_very_many_hits_those_with_the_words_in_their_title_are_ranked(archive, monkeypatch):
    monkeypatch.setattr(paging, "MOST_RANKED", 2)  # so that three hits are very many
    results = find("q=ice or temperature&sort=relevance")
    assert (results.total, results.n_ranked, len(results.hits)) == (3, 2, 2)
    assert not results.next_cursor
    assert find("q=ice or temperature&sort=newest").n_ranked == 0
    assert len(find("q=ice or temperature&sort=newest").hits) == 3
    assert find("q=temperature").n_ranked == 0


def test_few_hits_and_many_come_in_the_same_order(archive, monkeypatch):
    asked = [f"{words}&sort={sort}" for words in ("q=temperature", "subject=Ocean", "from=2000") for sort in ("newest", "title", "size")]
    few = [[hit.dataset.slug for hit in find(one).hits] for one in asked]
    monkeypatch.setattr(paging, "FEW", 0)  # so that any number is many
    assert [[hit.dataset.slug for hit in find(one).hits] for one in asked] == few
    assert all(few)
    monkeypatch.setattr(paging, "first_step", lambda *_: 1)  # so that the way along the index goes in several
    assert [[hit.dataset.slug for hit in find(one).hits] for one in asked] == few
    monkeypatch.setattr(paging, "MOST_WALKED", 1)  # so that all stand too far off
    assert [[hit.dataset.slug for hit in find(one).hits] for one in asked] == few


def test_what_is_held_follows_every_change(archive, dee, draft):
    held, subjects = held_now(most_subjects=1)
    listed = Dataset.objects.listed()
    assert held.n_datasets == listed.count()
    assert held.n_files == sum(one.n_files for one in listed)
    assert held.size_bytes == sum(one.size_bytes for one in listed)
    assert held.first == min(one.temporal_start for one in listed if one.temporal_start)
    assert held.last == max(one.temporal_end for one in listed if one.temporal_end)
    assert subjects[0][1] == max(n for (facet, _), n in counted().items() if facet == "subject")
    later = draft("later", {"/f.nc": "four"}, title="Later", subjects=["Aviation"])
    assert held_now(most_subjects=1)[0] == held, "a draft is nothing that is told"
    publishing.publish(later, user=dee)
    more, subjects = held_now(most_subjects=100)
    assert (more.n_datasets, more.n_files, more.size_bytes) == (held.n_datasets + 1, held.n_files + 1, held.size_bytes + 4)
    assert ("Aviation", 1) in subjects
    publishing.withdraw(later, user=dee, reason="Wrong.")
    assert held_now(most_subjects=100)[0] == held


def test_what_is_held_is_told_without_a_cache_too(archive, settings, tmp_path):
    held = held_now(most_subjects=1)
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": f"unix://{tmp_path}/nobody.sock"}}
    assert held_now(most_subjects=1) == held


def test_a_dataset_that_was_never_indexed_holds_up_no_search(archive, monkeypatch):
    monkeypatch.setattr(paging, "FEW", 0)
    before = [hit.dataset.slug for hit in find("sort=title").hits]
    Dataset.objects.create(slug="bare", title="A", listed_at=timezone.now())
    assert [hit.dataset.slug for hit in find("sort=title").hits] == before


def test_the_words_of_a_dataset_lie_outside_its_row(archive):
    with connection.cursor() as cursor:
        if cursor.connection.server_version < 170000:
            pytest.skip("PostgreSQL before 17 does not tell where a value lies")
        cursor.execute(
            "select bool_and(pg_column_toast_chunk_id(search_vector) is not null), max(pg_column_size(padding)) < 60,"
            " bool_or(pg_column_toast_chunk_id(padding) is not null) from datasets_searchentry"
        )
        assert cursor.fetchone() == (True, True, False)
