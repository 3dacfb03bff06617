"""Review before publication: what is checked, who may publish, and that nothing changes while somebody looks."""

import pytest

from datasets.curation import checking, publishing, registering
from datasets.errors import ConflictError, ForbiddenError, InvalidError, NotReadyError
from datasets.formats import FORMATS
from datasets.models import File
from datasets.scans import ingesting
from tests.datasets.conftest import COLLECTION

COMPLETE = {
    "licence": "CC-BY-4.0", "contact": "data@archive.example", "subjects": ["Sea"], "temporal_start": "2000-01-01",
    "west": 0, "south": 0, "east": 1, "north": 1,
    "creators": [{"name": "Ada Lindqvist", "orcid": "0000-0002-1825-0097"}, {"name": "Met Office", "ror": "01ch2yn61"}],
    "related": [{"relation": "IsDocumentedBy", "identifier": "10.5065/D6MW2F4D"}],
}  # fmt: skip


def fields(version):
    return [(finding.field, finding.must) for finding in checking.check(version)]


def test_a_complete_draft_passes_every_check(draft):
    assert fields(draft(**COMPLETE)) == []


def test_all_that_is_to_be_mended_is_told_at_once_what_must_be_first(draft, ben):
    version = draft(abstract="", files={"/a": "1", "/b": "2"})
    File.objects.filter(name="a").update(sha256=None)
    registering.describe(version.dataset, user=ben, creators=[{"name": "Ada"}], variables=[{"name": "tos"}])
    found = fields(version)
    assert found[0] == ("abstract", True)
    assert {("creators", False), ("licence", False), ("variables", False), ("files", False), ("west", False)} <= set(found[1:])
    words = {finding.field: finding.words for finding in checking.check(version)}
    assert words["creators"] == "No ORCID for Ada."
    assert words["files"].startswith("1 file has no checksum")
    with pytest.raises(NotReadyError) as refused:
        publishing.submit(version, user=ben)
    assert set(refused.value.fields) == {"abstract"}


def test_nothing_of_a_version_in_review_changes_until_it_is_sent_back(draft, ben, dee):
    version = publishing.submit(draft(), user=ben, note="please look")
    assert (version.status, version.submitted_by) == ("review", ben)
    for change in (
        lambda: registering.describe(version.dataset, user=ben, title="Other"),
        lambda: registering.place(version, user=ben, collection_id=COLLECTION, base_path="/other/"),
        lambda: ingesting.request_scan(version, user=ben),
        lambda: publishing.discard_draft(version, user=ben),
    ):
        with pytest.raises(ConflictError):
            change()
    with pytest.raises(InvalidError):
        publishing.send_back(version, user=dee, note=" ")
    publishing.send_back(version, user=dee, note="The abstract is thin.")
    assert (version.status, version.submitted_by) == ("draft", None)
    registering.describe(version.dataset, user=ben, title="Better")
    publishing.comment(version, user=ben, note="done")
    told = list(version.events.values_list("act", "new", "note"))[-3:]
    assert told == [("version", "review", "please look"), ("version", "draft", "The abstract is thin."), ("comment", "", "done")]


def test_in_review_it_stays_hidden_and_there_is_one_open_version(draft, ben, browser, ada):
    version = publishing.submit(draft(), user=ben)
    assert browser(ada).get("/datasets/sea/").status_code == 404
    assert publishing.open_draft(version.dataset, user=ben) == version
    assert browser(ben).get("/datasets/sea/").status_code == 200


def test_where_two_persons_are_needed_one_alone_does_not_publish(draft, ben, dee, settings):
    settings.TWO_PERSON_RULE = True
    version = draft()
    with pytest.raises(ConflictError, match="Send the draft to review"):
        publishing.publish(version, user=dee)
    publishing.submit(version, user=ben)
    with pytest.raises(ConflictError, match="somebody else"):
        publishing.publish(version, user=ben)
    assert publishing.publish(version, user=dee).status == "published"


def test_without_that_rule_a_steward_publishes_from_the_draft_and_from_review(draft, ben):
    assert publishing.publish(draft("one"), user=ben).status == "published"
    assert publishing.publish(publishing.submit(draft("two"), user=ben), user=ben).status == "published"


@pytest.mark.parametrize("verb", ["submit", "send_back", "comment"])
def test_only_curators_review(draft, ada, verb):
    with pytest.raises(ForbiddenError):
        getattr(publishing, verb)(draft(), user=ada, note="let me")


def test_the_desk_goes_from_draft_through_review_to_published(draft, browser, ben, dee):
    draft()
    desk, steward, operator = "/steward/datasets/sea/", browser(ben), browser(dee)
    page = steward.get(desk).content.decode()
    assert "Without a licence" in page
    assert "Ask for a review" in page
    steward.post(f"{desk}submit/", {"note": ""})
    assert "Send it back" in operator.get(desk).content.decode()
    refused = operator.post(f"{desk}send-back/", {"note": ""})
    assert (refused.status_code, "Say what is to be mended." in refused.content.decode()) == (400, True)
    operator.post(f"{desk}send-back/", {"note": "Name a licence."})
    assert "Name a licence." in steward.get(desk).content.decode()
    steward.post(f"{desk}comment/", {"note": "It has none."})
    steward.post(f"{desk}submit/")
    operator.post(f"{desk}publish/", {"note": "first"})
    assert "Version 1 was published" in steward.get(desk).content.decode()


def test_review_over_the_api(draft, browser, ben, dee):
    draft()
    base = "/api/v1/datasets/sea/versions/1/"
    found = browser(ben).get(f"{base}checks").json()["results"]
    assert {"field": "licence", "words": "Without a licence nobody knows what she may do with the data.", "must": False} in found
    asked = browser(ben).post(f"{base}review", {"note": "look"}, content_type="application/json")
    assert (asked.status_code, asked.json()["status"]) == (201, "review")
    back = browser(dee).delete(f"{base}review", {"note": "mend"}, content_type="application/json")
    assert (back.status_code, back.json()["status"]) == (200, "draft")
    assert browser(dee).delete(f"{base}review", {"note": "mend"}, content_type="application/json").status_code == 409


def test_a_draft_is_previewed_in_every_format_and_nothing_is_published_by_looking(draft, ben, ada, browser):
    version = draft(
        title="The draft sea",
        creators=[{"name": "Ada"}],
        west=0,
        south=0,
        east=1,
        north=1,
        temporal_start="2000-01-01",
        temporal_end="2001-01-01",
    )
    client, where = browser(ben), "/steward/datasets/sea/preview/"
    for name in FORMATS:
        shown = client.get(f"{where}?format={name}")
        assert (shown.status_code, b"draft sea" in shown.content) == (200, True), name
    told = client.get("/api/v1/datasets/sea/preview?as=datacite-json")
    assert told.headers["Content-Type"].startswith("application/vnd.datacite")
    assert told.json()["titles"][0]["title"] == "The draft sea"
    assert client.get("/api/v1/datasets/sea/preview?as=odd").status_code == 400
    assert browser(ada).get(where).status_code == 404
    version.refresh_from_db()
    assert (version.status, version.published_at) == ("draft", None)
    publishing.publish(version, user=ben)
    assert client.get(where).status_code == 404
