"""What searches count by sets of places is what the rows say, whoever changed them in which process."""

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from datasets import search
from datasets.models import Dataset, KeptPlaces, SearchEntry, Subject
from datasets.search import places
from datasets.search.indexing import index_datasets
from datasets.search.query import SearchQuery
from tests.datasets.test_search import NOBODY

WORDS = ["ice", "wind", "salt"]
SUBJECTS = ["Placed oceans", "Placed airs", "Placed soils"]
LICENCES = ["CC0-1.0", "CC-BY-4.0"]


@dataclass
class Model:
    """What the rows of one dataset should say."""

    number: int
    words: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()
    licence: str = LICENCES[0]
    first: int = 2000
    last: int = 2000
    west: float = 0.0
    state: str = "draft"
    is_bens: bool = False
    dataset: Dataset = field(default_factory=Dataset)

    def write(self, ben: Any) -> None:
        now = timezone.now()
        self.dataset.slug = f"placed-{self.number}"
        self.dataset.title = " ".join(["Placed", *sorted(self.words)])
        self.dataset.licence = self.licence
        self.dataset.temporal_start, self.dataset.temporal_end = dt.date(self.first, 3, 1), dt.date(self.last, 9, 1)
        self.dataset.west, self.dataset.east, self.dataset.south, self.dataset.north = self.west, self.west + 5, 0, 5
        self.dataset.published_at = now if self.state in {"published", "withdrawn"} else None
        self.dataset.withdrawn_at = now if self.state == "withdrawn" else None
        self.dataset.deleted_at = now if self.state == "binned" else None
        self.dataset.listed_at = now
        self.dataset.save()
        self.dataset.subjects.set([Subject.objects.get_or_create(slug=name.replace(" ", "-"), name=name)[0] for name in self.subjects])
        self.dataset.stewards.set([ben] if self.is_bens else [])
        index_datasets([self.dataset.pk])

    def is_found(self, query: SearchQuery, person: str) -> bool:
        visible = self.state == "published" or (
            self.state in {"draft", "withdrawn"} and (person == "operator" or (person == "steward" and self.is_bens))
        )
        years = [int(year) for year in query.facets.get("year", ())]
        decades = [int(decade) for decade in query.facets.get("decade", ())]
        return (
            visible
            and (not query.words or query.words in self.words)
            and ("subject" not in query.facets or bool(self.subjects & set(query.facets["subject"])))
            and ("licence" not in query.facets or self.licence in query.facets["licence"])
            and (not years or any(self.first <= year <= self.last for year in years))
            and (not decades or any(self.first // 10 * 10 <= decade <= self.last for decade in decades))
            and (query.start is None or dt.date(self.last, 9, 1) >= query.start)
            and (query.box is None or (self.west <= query.box[2] and self.west + 5 >= query.box[0]))
        )


YEARS = st.integers(1988, 2012)
DESCRIBED = st.fixed_dictionaries(
    {
        "words": st.frozensets(st.sampled_from(WORDS)),
        "subjects": st.frozensets(st.sampled_from(SUBJECTS)),
        "licence": st.sampled_from(LICENCES),
        "years": st.tuples(YEARS, YEARS).map(sorted),
        "west": st.sampled_from([0.0, 20.0, 40.0]),
        "state": st.sampled_from(["draft", "published", "published", "withdrawn", "binned"]),
        "is_bens": st.booleans(),
    }
)
ACTS = st.tuples(st.sampled_from(["add", "add", "change", "delete"]), st.integers(0, 5), DESCRIBED)
CHOICES = {
    "subject": st.sampled_from([*SUBJECTS, "Nothing of the kind"]),
    "licence": st.sampled_from(LICENCES),
    "decade": st.sampled_from(["1980", "1990", "2000", "2010"]),
    "year": YEARS.map(str),
}
FACETS = st.fixed_dictionaries(
    {}, optional={name: st.lists(one, min_size=1, max_size=2, unique=True).map(tuple) for name, one in CHOICES.items()}
)
ASKED = st.builds(
    SearchQuery,
    words=st.sampled_from(["", *WORDS]),
    facets=FACETS,
    start=st.none() | YEARS.map(lambda year: dt.date(year, 6, 1)),
    box=st.none() | st.just((4.0, 0.0, 22.0, 10.0)),
    sort=st.sampled_from(["", "newest", "title"]),
)


def hide_all() -> None:
    """What other tests left in the catalogue lies in the bin."""
    Dataset.with_bin.update(published_at=None, withdrawn_at=None, deleted_at=timezone.now())
    index_datasets(list(Dataset.with_bin.values_list("pk", flat=True)))


def check(models: list[Model], query: SearchQuery, person: str, user: Any) -> None:
    results = search.search(query, user=user)
    found = [model for model in models if model.is_found(query, person)]
    assert results.total == len(found)
    assert {hit.dataset.slug for hit in results.hits} == {f"placed-{model.number}" for model in found}
    for name, values in results.facets.items():
        counts = {one.value: one.count for one in values if one.count}
        if name in CHOICES:
            bare = replace(query, facets={key: chosen for key, chosen in query.facets.items() if key != name})
            assert counts == {value: n for value in every(name, query) if (n := alone(models, bare, name, value, person))}, name
    if not found and results.found_without:
        for name, n in results.found_without.items():
            assert n == sum(model.is_found(query.without(name), person) for model in models), name


def every(name: str, query: SearchQuery) -> list[str]:
    if name == "year":
        opened = {int(value) // 10 * 10 for one in ("decade", "year") for value in query.facets.get(one, ())}
        return [str(year) for decade in opened for year in range(decade, decade + 10)]
    return {"subject": SUBJECTS, "licence": LICENCES, "decade": ["1980", "1990", "2000", "2010"]}[name]


def alone(models: list[Model], bare: SearchQuery, name: str, value: str, person: str) -> int:
    chosen = replace(bare, facets={**bare.facets, name: (value,)})
    return sum(model.is_found(chosen, person) for model in models)


@settings(max_examples=12, deadline=None, phases=(Phase.generate,), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(ACTS, min_size=3, max_size=8), asked=st.lists(ASKED, min_size=3, max_size=3))
def test_counts_by_sets_are_those_of_the_rows(db, ben, dee, acts, asked):
    people = {"anybody": NOBODY, "steward": ben, "operator": dee}
    with transaction.atomic():
        hide_all()
        models: list[Model] = []
        for number, (act, which, described) in enumerate(acts):
            if act == "add" or not models:
                models.append(Model(number))
            model = models[which % len(models)] if act != "add" else models[-1]
            if act == "delete":
                models.remove(model)
                model.dataset.delete()
            else:
                facts = dict(described)
                model.first, model.last = facts.pop("years")
                for name, value in facts.items():
                    setattr(model, name, value)
                model.write(ben)
            for query, (person, user) in zip(asked, people.items(), strict=True):
                check(models, query, person, user)
        for query in asked:
            for person, user in people.items():
                check(models, query, person, user)
        transaction.set_rollback(True)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Switches between the memories of several processes; each starts with nothing in it."""
    memories: dict[str, list[places.Places]] = {}

    def switch(name: str) -> None:
        monkeypatch.setattr(places, "_latest", memories.setdefault(name, [places.Places()]))

    switch("first")
    return switch


def subject_counts() -> dict[str, int]:
    return {one.value: one.count for one in search.search(SearchQuery(), user=NOBODY).facets["subject"] if one.value in SUBJECTS}


def test_each_process_sees_what_others_committed_and_nothing_that_was_undone(lasting, processes):
    def act(curator: Any) -> None:
        models = [Model(number, subjects=frozenset([SUBJECTS[0]]), state="published") for number in range(100, 103)]
        for model in models:
            model.write(curator.ben)
        assert subject_counts() == {SUBJECTS[0]: 3}
        processes("second")
        models[0].subjects = frozenset([SUBJECTS[1]])
        models[0].write(curator.ben)
        assert subject_counts() == {SUBJECTS[0]: 2, SUBJECTS[1]: 1}
        processes("first")
        assert subject_counts() == {SUBJECTS[0]: 2, SUBJECTS[1]: 1}
        with transaction.atomic():
            replace(models[1], subjects=frozenset([SUBJECTS[2]])).write(curator.ben)
            assert subject_counts()[SUBJECTS[2]] == 1
            transaction.set_rollback(True)
        assert subject_counts() == {SUBJECTS[0]: 2, SUBJECTS[1]: 1}
        processes("second")
        models[2].dataset.delete()
        assert subject_counts() == {SUBJECTS[0]: 1, SUBJECTS[1]: 1}
        processes("first")
        assert subject_counts() == {SUBJECTS[0]: 1, SUBJECTS[1]: 1}
        processes("third")
        assert subject_counts() == {SUBJECTS[0]: 1, SUBJECTS[1]: 1}
        Dataset.objects.filter(slug__startswith="placed-").delete()
        assert subject_counts() == {}

    lasting(act)


def test_threads_that_start_together_find_the_same(lasting, processes):
    def act(curator: Any) -> None:
        for number in range(200, 203):
            Model(number, subjects=frozenset([SUBJECTS[0]]), state="published").write(curator.ben)
        seen: list[dict[str, int]] = []

        def look() -> None:
            try:
                seen.append(subject_counts())
            finally:
                connections.close_all()

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        Dataset.objects.filter(slug__startswith="placed-").delete()
        assert seen == [{SUBJECTS[0]: 3}] * 4

    lasting(act)


def test_a_process_that_starts_reads_what_was_kept_and_what_changed_since(db, ben, processes, monkeypatch, django_assert_num_queries):
    models = [Model(number, subjects=frozenset([SUBJECTS[0]]), state="published") for number in range(300, 304)]
    for model in models:
        model.write(ben)
    assert places.keep()
    assert not places.keep_if_due()
    assert KeptPlaces.objects.filter(kind="listed").exists()
    models[0].dataset.delete()
    models[1].subjects = frozenset([SUBJECTS[1]])
    models[1].write(ben)
    processes("second")
    with django_assert_num_queries(1):
        started, _ = places.read({}, {})
    KeptPlaces.objects.all().delete()
    monkeypatch.setattr(places, "MOST_READ", 2)  # so that it takes several statements
    processes("third")
    from_rows, _ = places.read({}, {})
    assert {key: one for key, one in started.sets.items() if one} == from_rows.sets
    assert subject_counts() == {SUBJECTS[0]: 2, SUBJECTS[1]: 1}
    monkeypatch.setattr(places, "MANY_CHANGES", 1)
    assert places.keep_if_due()


def test_a_place_is_never_given_again_and_a_truncated_table_is_noticed(db, ben, monkeypatch):
    model = Model(400, subjects=frozenset([SUBJECTS[0]]), state="published")
    model.write(ben)
    first = SearchEntry.objects.get(dataset=model.dataset).place
    model.write(ben)
    assert SearchEntry.objects.get(dataset=model.dataset).place == first
    assert subject_counts() == {SUBJECTS[0]: 1}
    monkeypatch.setattr(places, "_latest", [places.read({}, {})[0]])
    with connection.cursor() as cursor:
        cursor.execute("set constraints all immediate")
        cursor.execute("truncate datasets_searchentry")
    assert subject_counts() == {}
    index_datasets([model.dataset.pk])
    assert SearchEntry.objects.get(dataset=model.dataset).place > first
    assert subject_counts() == {SUBJECTS[0]: 1}


def test_numbers_of_values_may_be_given_again_after_all_was_truncated(db, ben, monkeypatch):
    models = [Model(500 + number, subjects=frozenset([SUBJECTS[number]]), state="published") for number in range(2)]
    models[1].licence = LICENCES[1]
    for model in models:
        model.write(ben)
    monkeypatch.setattr(places, "_latest", [places.read({}, {})[0]])
    with connection.cursor() as cursor:
        cursor.execute("set constraints all immediate")
        cursor.execute("truncate datasets_searchentry, datasets_facetvalue restart identity")
    index_datasets([models[1].dataset.pk])
    index_datasets([models[0].dataset.pk])
    facets = search.search(SearchQuery(), user=NOBODY).facets
    assert {one.value: one.count for one in facets["subject"]} == {SUBJECTS[0]: 1, SUBJECTS[1]: 1}
    assert {one.value: one.count for one in facets["licence"]} == {LICENCES[0]: 1, LICENCES[1]: 1}
    assert [one.dataset.slug for one in search.search(SearchQuery(facets={"licence": (LICENCES[1],)}), user=NOBODY).hits] == ["placed-501"]


def test_rows_of_another_table_or_server_are_read_anew_whatever_their_revisions_say(db, ben, monkeypatch):
    model = Model(550, subjects=frozenset([SUBJECTS[0]]), state="published")
    model.write(ben)
    known, _ = places.read({}, {})
    monkeypatch.setattr(places, "_latest", [replace(known, sets={})])
    assert subject_counts() == {}, "nothing tells it that its sets are not those of the rows"
    with connection.cursor() as cursor:  # as a restore makes it
        cursor.execute("set constraints all immediate")
        cursor.execute("alter table datasets_searchentry rename to entries_before")
        cursor.execute("create table datasets_searchentry (like entries_before including defaults including indexes)")
        cursor.execute("insert into datasets_searchentry select * from entries_before")
    assert subject_counts() == {SUBJECTS[0]: 1}
    monkeypatch.setattr(places, "_latest", [replace(known, sets={}, origin="before the server began anew")])
    assert subject_counts() == {SUBJECTS[0]: 1}


def test_what_did_not_change_is_not_put_together_anew(db, ben, monkeypatch):
    Model(600, subjects=frozenset([SUBJECTS[0]]), state="published").write(ben)
    known, _ = places.read({}, {})
    monkeypatch.setattr(places, "_latest", [known])
    assert places.read({}, {})[0] is known
    Model(601, subjects=frozenset([SUBJECTS[0]]), state="published").write(ben)
    assert len(places.read({}, {})[0].listed) == len(known.listed) + 1


def test_revisions_of_what_was_undone_do_not_have_the_sets_kept_again(db, ben, monkeypatch):
    model = Model(700, state="published")
    model.write(ben)
    assert places.keep()
    monkeypatch.setattr(places, "MANY_CHANGES", 2)
    with transaction.atomic():
        for _ in range(3):
            model.write(ben)
        transaction.set_rollback(True)
    assert not places.keep_if_due()
    for _ in range(2):
        model.write(ben)
    assert places.keep_if_due()
