import datetime as dt

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from datasets.errors import ForbiddenError, InvalidError
from datasets.models import Dataset, Variable
from transfers.analysis import choosing

MONTHS = {f"/2015/nemo_1m_2015{m:02d}01-2015{m + 1:02d}01_grid-T.nc": 10 for m in (1, 2, 3)}


def test_a_series_in_several_files_is_drawn_from_all_of_them(described, ada):
    others = {"/2015/nemo_1m_20150101-20150201_grid-U.nc": 5, "/2015/notes.txt": 1, "/2016/nemo_1m_20160101-20160201_grid-T.nc": 10}
    version = described(files={**MONTHS, **others}, example=min(MONTHS))
    chosen = choosing.choose(version, "tos", user=ada)
    assert chosen.paths == tuple(f"/sea-level{path}" for path in [*sorted(MONTHS), "/2016/nemo_1m_20160101-20160201_grid-T.nc"])
    assert (chosen.variable, chosen.units) == ("tos", "K")


def test_a_file_without_numbers_in_its_name_is_drawn_alone(described, ada):
    version = described(files={"/a/SOI_Darwin.nc": 1, "/b/SOI_Darwin.nc": 1, "/a/other.nc": 2}, example="/a/SOI_Darwin.nc")
    assert choosing.choose(version, "", user=ada).paths == ("/sea-level/a/SOI_Darwin.nc",)


def test_too_many_files_are_refused_in_words(described, ada, monkeypatch):
    monkeypatch.setattr(choosing, "MOST_FILES", 2)  # a size: the real one says the same of more rows
    with pytest.raises(InvalidError, match="more than 2 files"):
        choosing.choose(described(files=MONTHS, example=min(MONTHS)), "tos", user=ada)


def test_a_variable_that_is_not_there_is_refused(described, ada):
    with pytest.raises(InvalidError, match="no variable that can be drawn named rain"):
        choosing.choose(described(), "rain", user=ada)


def test_files_that_she_may_not_have_are_not_drawn(described, ada, dee):
    version = described(policy="restricted")
    with pytest.raises(ForbiddenError):
        choosing.choose(version, "tos", user=ada)
    assert choosing.choose(version, "tos", user=dee).paths


def test_only_datasets_with_a_known_file_are_offered(described, publish, ada):
    offered = described("drawable").dataset
    publish("undrawable")
    Variable.objects.create(dataset=publish("no-file").dataset, name="x")
    assert choosing.drawable_datasets(ada) == [offered]


def test_only_datasets_that_she_may_read_are_offered(described, ada, dee):
    open_to_all, for_known, kept = (described(policy, policy=policy).dataset for policy in ("public", "registered", "restricted"))
    assert choosing.drawable_datasets(ada) == [open_to_all, for_known]
    assert choosing.drawable_datasets(AnonymousUser()) == [open_to_all, for_known]
    assert choosing.drawable_datasets(dee) == [open_to_all, for_known, kept]


@pytest.mark.parametrize(
    "facts",
    [
        {"embargo_ends_at": timezone.now() + dt.timedelta(days=1)},
        {"withdrawn_at": timezone.now()},
        {"classification": "controlled"},
    ],
)
def test_what_a_sign_in_alone_does_not_give_is_not_offered_before_it(described, facts):
    dataset = described(policy="registered").dataset
    assert choosing.drawable_datasets(AnonymousUser()) == [dataset]
    Dataset.objects.filter(pk=dataset.pk).update(**facts)
    assert choosing.drawable_datasets(AnonymousUser()) == []
