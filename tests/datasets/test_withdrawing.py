"""A withdrawn version: its page stays as a tombstone, its files are for nobody, and search and harvesters do not list it."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import QueryDict

from datasets.access import Reason, decide
from datasets.curation import publishing
from datasets.errors import ForbiddenError, IllegalMoveError, InvalidError
from datasets.metadata import harvesting
from datasets.models import Dataset
from datasets.search import search, suggest
from datasets.search.query import SearchQuery
from tests.datasets.conftest import scan

WHY = "Two sensors were swapped."
INSTEAD = "https://archive.example/datasets/better/"


def found(user=None):
    results = search(SearchQuery.from_parameters(QueryDict("q=barometric")), user=user or AnonymousUser())
    return results.total, [hit.dataset.slug for hit in results.hits]


@pytest.fixture
def withdrawn(published, ben):
    version = published(title="Barometric pressure", files={"/a": "1"})
    assert found() == (1, ["sea"])
    return publishing.withdraw(version, user=ben, reason=WHY, forward_url=INSTEAD)


def test_the_page_stays_and_says_why_and_what_to_use_instead(withdrawn, browser, ada):
    for client in (browser(), browser(ada)):
        answer = client.get("/datasets/sea/")
        page = answer.content.decode()
        assert answer.status_code == 200
        assert WHY in page
        assert f'href="{INSTEAD}"' in page
        assert "Prepare a share" not in page


def test_nobody_but_its_curators_gets_or_lists_the_files(withdrawn, browser, ada, ben):
    dataset = withdrawn.dataset
    assert decide(ada, dataset).reason == Reason.WITHDRAWN
    assert not dataset.is_read_in_place
    for address in ("/api/v1/datasets/sea/versions/1/files", "/api/v1/datasets/sea/versions/1/manifest"):
        assert browser(ada).get(address).status_code == 403
        assert browser(ben).get(address).status_code == 200


def test_search_suggestions_feeds_and_harvesters_do_not_list_it(withdrawn, browser, dee):
    assert found() == (0, [])
    assert found(dee) == (1, ["sea"])
    assert suggest("barom") == []
    assert "/datasets/sea/" not in browser().get("/sitemaps/1.xml").content.decode()
    assert "Barometric" not in browser().get("/datasets/feed.atom").content.decode()
    (told,) = harvesting.list_records(harvesting.Selection(), after=None, limit=10)
    assert (told.dataset_id, told.record) == (withdrawn.dataset_id, None)
    assert harvesting.find_harvested(withdrawn.dataset_id).record is None


def test_the_next_version_brings_the_dataset_back_and_the_tombstone_stays(withdrawn, disk, ben, browser):
    disk.write("/sea/b", "2")
    draft = publishing.open_draft(withdrawn.dataset, user=ben, reason="sensors put right")
    scan(draft, disk, ben)
    publishing.publish(draft, user=ben)
    assert found() == (1, ["sea"])
    assert Dataset.objects.get().withdrawn_at is None
    (told,) = harvesting.list_records(harvesting.Selection(), after=None, limit=10)
    assert told.record is not None
    page = browser().get("/datasets/sea/?version=1").content.decode()
    assert WHY in page
    assert "Go to the current version" in page
    assert browser().get("/api/v1/datasets/sea/versions/1/files").status_code == 403
    assert browser().get("/api/v1/datasets/sea/versions/2/files").status_code == 200


def test_a_superseded_version_is_withdrawn_alone(published, disk, ben, browser):
    first = published(title="Barometric pressure")
    disk.write("/sea/b", "2")
    draft = publishing.open_draft(first.dataset, user=ben)
    scan(draft, disk, ben)
    publishing.publish(draft, user=ben)
    first.refresh_from_db()
    publishing.withdraw(first, user=ben, reason=WHY)
    assert found() == (1, ["sea"])
    assert "Go to the current version" in browser().get("/datasets/sea/?version=1").content.decode()


def test_it_needs_a_reason_a_curator_and_a_published_version(published, draft, ben, ada):
    version = published()
    for wrong in ({"reason": " "}, {"reason": WHY, "forward_url": "javascript:alert(1)"}):
        with pytest.raises(InvalidError):
            publishing.withdraw(version, user=ben, **wrong)
    with pytest.raises(ForbiddenError):
        publishing.withdraw(version, user=ada, reason=WHY)
    with pytest.raises(IllegalMoveError):
        publishing.withdraw(draft("other"), user=ben, reason=WHY)
    publishing.withdraw(version, user=ben, reason=WHY)
    with pytest.raises(IllegalMoveError):
        publishing.withdraw(version, user=ben, reason=WHY)


def test_by_page_and_over_the_api(published, browser, ben):
    published()
    refused = browser(ben).post("/steward/datasets/sea/withdraw/", {"number": "1", "reason": ""})
    assert (refused.status_code, "Say why" in refused.content.decode()) == (400, True)
    assert browser(ben).post("/steward/datasets/sea/withdraw/", {"number": "1", "reason": WHY}).status_code == 302
    published("ice")
    too_long = {"reason": WHY, "forward_url": f"https://example.org/{'x' * 500}"}
    for wrong in ({}, {"reason": " "}, {"reason": [WHY]}, {"reason": "a\0b"}, too_long):
        refused = browser(ben).post("/api/v1/datasets/ice/versions/1/withdrawal", wrong, content_type="application/json")
        assert refused.status_code == 400
        assert refused.json()["fields"].keys() == ({"forward_url"} if "forward_url" in wrong else {"reason"})
    assert "at most 500 characters" in browser(ben).post("/steward/datasets/ice/withdraw/", {"number": "1"} | too_long).content.decode()
    answer = browser(ben).post("/api/v1/datasets/ice/versions/1/withdrawal", {"reason": WHY}, content_type="application/json")
    assert (answer.status_code, answer.json()["status"], answer.json()["withdrawal"]) == (201, "withdrawn", WHY)
