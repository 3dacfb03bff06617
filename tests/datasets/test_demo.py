import pytest

from datasets.demo import describe_demo, read_descriptions
from datasets.models import Dataset
from services.embedded.archive import DATASETS


def test_each_dataset_of_the_archive_is_described_and_no_other():
    assert set(read_descriptions()) == set(DATASETS)


def test_describing_the_demonstration_twice_makes_each_dataset_once(ben):
    first = describe_demo(ben)
    second = describe_demo(ben)
    assert {slug: version.pk for slug, version in first.items()} == {slug: version.pk for slug, version in second.items()}
    assert Dataset.objects.count() == len(DATASETS) >= 10
    assert not Dataset.objects.published().exists()


def test_one_dataset_is_restricted_as_a_demonstration_and_says_so(ben):
    describe_demo(ben)
    restricted = Dataset.objects.get(access_policy="restricted")
    assert "demonstration" in restricted.access_note


@pytest.mark.parametrize("slug", sorted(DATASETS))
def test_each_description_names_its_source_and_a_licence(slug):
    description = read_descriptions()[slug]
    assert description["source_name"]
    assert description["source_url"].startswith("https://")
    assert description["licence"] in {"OGL-UK-3.0", "CC0-1.0"}
    assert len(description["abstract"]) > 100
