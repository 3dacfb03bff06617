import pytest
from django.db import connection

from datasets.curation import publishing
from datasets.errors import InvalidError
from datasets.files import bounding
from datasets.files.differences import changes
from datasets.models import ItemColumn, Location
from tests.datasets.conftest import scan


@pytest.fixture
def versions(published, disk, ben):
    """Three versions, each at a location of its own."""
    made = [published("ice", {"/a": "1", "/b": "1", "/c/d": "1"})]
    contents = ({"/a": "1", "/b": "changed", "/new": "2"}, {"/a": "1", "/b": "1", "/c/d": "1", "/new": "2"})
    for number, files in enumerate(contents, start=2):
        for path, content in files.items():
            disk.write(f"/ice{number}{path}", content)
        draft = publishing.open_draft(made[0].dataset, user=ben)
        Location.objects.filter(version=draft).update(base_path=f"/ice{number}/")
        scan(draft, disk, ben)
        made.append(publishing.publish(draft, user=ben))
    return made


def kinds(old, new):
    return [(change.path, change.kind, change.old_size_bytes, change.new_size_bytes) for change in changes(old, new)]


def test_changes_between_any_two_versions(versions):
    first, second, third = versions
    assert kinds(first, second) == [("/b", "changed", 1, 7), ("/new", "added", None, 1), ("/c/d", "removed", 1, None)]
    assert kinds(second, first) == [("/b", "changed", 7, 1), ("/new", "removed", 1, None), ("/c/d", "added", None, 1)]
    assert kinds(first, third) == [("/new", "added", None, 1)], "what came back with the same checksum is no change"
    assert kinds(second, second) == []


def test_changes_come_in_pages(versions):
    first, second, _ = versions
    whole = changes(first, second)
    for at, change in enumerate(whole):
        assert changes(first, second, after=change.path) == whole[at + 1 :]
        assert changes(first, second, limit=at + 1) == whole[: at + 1]


def test_versions_of_two_datasets_have_no_changes(versions, published):
    with pytest.raises(InvalidError):
        changes(versions[0], published("other"))


def test_changes_over_the_api(versions, browser):
    path = "/api/v1/datasets/ice/versions/2/changes"
    body = browser().get(f"{path}?limit=2").json()
    assert [change["kind"] for change in body["results"]] == ["changed", "added"]
    assert [change["path"] for change in browser().get(body["next"]).json()["results"]] == ["/c/d"]
    assert browser().get(f"{path}?since=9").status_code == 404
    for number in ("x", "9" * 5000):
        assert browser().get(f"{path}?since={number}").status_code == 400


@pytest.mark.parametrize("table", ["datasets_file", "datasets_item"])
def test_versions_that_differ_in_too_much_are_not_compared_for_ever(versions, browser, monkeypatch, table):
    monkeypatch.setattr(bounding, "LONGEST_S", 0.05)
    ItemColumn.objects.create(dataset=versions[0].dataset, position=0, name="depth", kind="number", slot="number_1", first_version=1)

    def endless(execute, sql, parameters, *rest):
        if "one_sided" in sql and table in sql:
            return execute("select pg_sleep(600)", None, *rest)
        return execute(sql, parameters, *rest)

    for address in ("/api/v1/datasets/ice/versions/2/changes", "/datasets/ice/changes/?from=1&to=2"):
        with connection.execute_wrapper(endless):
            answer = browser().get(address)
        assert answer.status_code == 400, address
        assert "Compare their manifests" in answer.content.decode()
