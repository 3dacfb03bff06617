"""The bin: deleted at once for everybody, restored whole for 30 days, removed by the sweep; never for what was published."""

import datetime as dt
from html import unescape

import pytest
from django.db import DatabaseError
from django.utils import timezone

from datasets import series
from datasets.curation import deleting, publishing, registering, waiting
from datasets.description import locking
from datasets.errors import BeingEditedError, ConflictError, ForbiddenError, InvalidError, NotFoundError
from datasets.models import Dataset, DatasetEvent, File, Folder, ScanRun, Series, Version
from datasets.scans import ingesting
from datasets.search import search
from datasets.search.query import SearchQuery
from datasets.sweeping import sweep
from tests.datasets.conftest import COLLECTION


def page(response, status=200):
    assert response.status_code == status, response.content.decode()[:2000]
    return unescape(response.content.decode())


def found(user, words="sea"):
    results = search(SearchQuery(words=words), user=user)
    counted = search(SearchQuery(), user=user)
    return results.total, counted.total, [one.count for one in counted.facets["access"]]


def lay(dataset, days):
    Dataset.with_bin.filter(pk=dataset.pk).update(deleted_at=timezone.now() - dt.timedelta(days=days))


@pytest.mark.long
def test_what_is_deleted_is_gone_for_everybody_at_once(draft, ben, dee, browser):
    dataset = draft().dataset
    assert found(dee) == found(ben) == (1, 1, [1])
    deleting.delete(dataset, user=ben, name="sea")
    for person in (ben, dee):
        assert found(person) == (0, 0, [])
        for path in (
            "/datasets/sea/",
            "/steward/datasets/sea/",
            "/api/v1/datasets/sea/",
            "/datasets/sea/files/",
            "/api/v1/datasets/sea/versions/1/",
        ):
            assert browser(person).get(path).status_code == 404, path
        assert "The sea" not in page(browser(person).get("/steward/"))
        assert "sea," not in page(browser(person).get("/steward/table.csv"))
        assert "The sea" in page(browser(person).get("/steward/bin/"))
    assert not Dataset.objects.exists()


@pytest.mark.long
def test_it_comes_back_whole(draft, ben, browser, disk):
    version = draft(files={"/a.nc": "a", "/b/c.nc": "c"}, subjects=["Sea"], creators=[{"name": "Ada"}])
    before = browser(ben).get("/api/v1/datasets/sea/").json()
    files = browser(ben).get("/api/v1/datasets/sea/versions/1/files/?glob=*.nc").json()
    deleting.delete(version.dataset, user=ben, name="sea")
    assert browser(ben).post("/steward/bin/sea/restore/")["Location"] == "/steward/datasets/sea/"
    assert browser(ben).get("/api/v1/datasets/sea/").json() == before
    assert browser(ben).get("/api/v1/datasets/sea/versions/1/files/?glob=*.nc").json() == files
    assert found(ben) == (1, 1, [1])
    acts = list(DatasetEvent.objects.filter(act__in=["deleted", "restored"]).values_list("act", "actor__username"))
    assert acts == [("deleted", ben.username), ("restored", ben.username)]
    assert publishing.publish(Version.objects.get(pk=version.pk), user=ben).status == "published"


def test_only_who_curated_it_finds_it_in_the_bin(draft, ben, cy, dee, browser):
    dataset = draft().dataset
    top = series.create(user=dee, slug="top", title="Top")
    series.put(dataset, user=dee, series=top)
    series.appoint(top, user=dee, principal_type="identity", principal=cy.pk)
    deleting.delete(dataset, user=ben, name="sea")
    cy = type(cy).objects.get(pk=cy.pk)
    assert [one.slug for one in deleting.bin_of(cy, limit=10)] == ["sea"], "through its series"
    with pytest.raises(ConflictError, match="the bin counted"):
        series.delete(top, user=dee)
    Series.objects.get(pk=top.pk).stewards.all().delete()
    cy = type(cy).objects.get(pk=cy.pk)
    assert deleting.bin_of(cy, limit=10) == []
    with pytest.raises(NotFoundError):
        deleting.restore("sea", user=cy)
    assert deleting.restore("sea", user=dee).series == top


def test_its_name_and_its_place_stay_taken(draft, ben, dee):
    dataset = draft().dataset
    deleting.delete(dataset, user=ben, name="sea")
    with pytest.raises(ConflictError, match="already"):
        registering.register(user=dee, slug="sea", title="Another")
    other = registering.register(user=ben, slug="lake", title="Lake")
    other.dataset.stewards.set([ben])
    assert registering.place(other, user=ben, collection_id=COLLECTION, base_path="/sea/"), "as beside any other dataset of hers"


@pytest.mark.long
def test_what_is_in_use_or_was_published_is_not_deleted(draft, published, ben, dee, cy):
    dataset = published("ocean").dataset
    with pytest.raises(ConflictError, match="Withdraw its versions instead"):
        deleting.delete(dataset, user=ben, name="ocean")
    publishing.withdraw(dataset.versions.get(), user=ben, reason="Wrong.")
    with pytest.raises(ConflictError):
        deleting.delete(dataset, user=ben, name="ocean")
    version = draft()
    with pytest.raises(InvalidError) as refused:
        deleting.delete(version.dataset, user=ben, name="see")
    assert refused.value.fields == {"name": ["Type sea to delete it."]}
    with pytest.raises(ForbiddenError):
        deleting.delete(version.dataset, user=cy, name="sea")
    publishing.submit(version, user=ben)
    with pytest.raises(ConflictError, match="in review"):
        deleting.delete(version.dataset, user=ben, name="sea")
    publishing.send_back(version, user=ben, note="Not yet.")
    locking.take(version.dataset, user=ben)
    with pytest.raises(BeingEditedError):
        deleting.delete(version.dataset, user=dee, name="sea")
    ingesting.request_scan(version, user=ben)
    with pytest.raises(ConflictError, match="being scanned"):
        deleting.delete(version.dataset, user=ben, name="sea")


@pytest.mark.long
def test_the_sweep_removes_it_after_thirty_days_and_not_before(draft, ben, browser):
    version = draft(files={"/a.nc": "a", "/b/c/d.nc": "d"})
    draft("lake")
    deleting.delete(version.dataset, user=ben, name="sea")
    lay(version.dataset, 29)
    assert deleting.remove_due() == 0
    assert "The sea" in page(browser(ben).get("/steward/bin/"))
    lay(version.dataset, 31)
    sweep()
    assert [one.slug for one in Dataset.with_bin.all()] == ["lake"]
    assert not Version.objects.filter(pk=version.pk).exists()
    assert not Folder.objects.filter(dataset_id=version.dataset_id).exists()
    assert File.objects.count() == 1
    assert "The bin is empty" in page(browser(ben).get("/steward/bin/"))
    with pytest.raises(NotFoundError):
        deleting.restore("sea", user=ben)
    assert registering.register(user=ben, slug="sea", title="A new sea").number == 1


@pytest.mark.long
def test_a_steward_deletes_and_restores_in_the_browser(draft, ben, browser):
    draft()
    client = browser(ben)
    assert "Delete this dataset" in page(client.get("/steward/datasets/sea/"))
    assert "Type sea" in page(client.get("/steward/datasets/sea/delete/"))
    assert Dataset.objects.filter(slug="sea").exists(), "looking deletes nothing"
    assert "Type sea to delete it." in page(client.post("/steward/datasets/sea/delete/", {"name": "no"}), 400)
    assert client.post("/steward/datasets/sea/delete/", {"name": "sea"})["Location"] == "/steward/bin/"
    html = page(client.get("/steward/bin/"))
    assert "Ben" in html
    assert "in 30 days" in html
    assert client.get("/steward/bin/sea/restore/").status_code == 405
    assert client.post("/steward/bin/sea/restore/").status_code == 302
    assert "Withdraw its versions on the desk" not in page(client.get("/steward/datasets/sea/delete/"))


@pytest.mark.long
def test_the_api_deletes_lists_and_restores(draft, published, ben, browser):
    draft()
    published("ocean")
    client = browser(ben)
    refused = client.delete("/api/v1/datasets/ocean/?name=ocean")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert client.delete("/api/v1/datasets/sea/").json()["fields"] == {"name": ["Type sea to delete it."]}
    told = client.delete("/api/v1/datasets/sea/?name=sea").json()
    assert (told["slug"], told["deleted_by"]) == ("sea", ben.username)
    assert [one["slug"] for one in client.get("/api/v1/deleted-datasets/").json()["results"]] == ["sea"]
    assert client.post("/api/v1/deleted-datasets/sea/restoration/").json()["slug"] == "sea"
    assert client.post("/api/v1/deleted-datasets/sea/restoration/").status_code == 404
    assert client.get("/api/v1/deleted-datasets/").json()["results"] == []


def test_a_discarded_draft_lies_in_the_bin_is_restored_by_page_and_api_and_removed_after_30_days(published, ben, cy, browser):
    version = published()
    draft = publishing.open_draft(version.dataset, user=ben)
    scan = ScanRun.objects.create(version=draft, status="reported")
    client, desk, where = browser(ben), "/steward/datasets/sea/", "/api/v1/datasets/sea/discarded-draft"
    assert client.post(f"{desk}discard/", {"slug": "sea"}).status_code == 302
    scan.refresh_from_db()
    assert (scan.status, waiting.queues_of(ben)) == ("discarded", [])
    assert client.get("/api/v1/datasets/sea/versions/2").status_code == 404
    assert client.get(scan.get_absolute_url()).status_code == 404
    assert "Restore the draft" in client.get(desk).content.decode()
    assert "Drafts of published datasets" in client.get("/steward/bin/").content.decode()
    assert client.post(f"{desk}draft/").status_code == 409
    assert [one["number"] for one in client.get("/api/v1/discarded-drafts").json()["results"]] == [2]
    assert deleting.drafts_in_bin(cy, limit=10) == []
    assert client.post(f"{desk}restore-draft/").status_code == 302
    assert version.dataset.versions.first() == draft
    assert client.delete("/api/v1/datasets/sea/versions/2").status_code == 204
    assert client.post(f"{where}/restoration").json()["number"] == 2
    publishing.discard_draft(draft, user=ben)
    Version.with_bin.filter(pk=draft.pk).update(discarded_at=timezone.now() - dt.timedelta(days=24))
    assert [queue.kind for queue in waiting.queues_of(ben)] == ["bin"]
    assert deleting.remove_due() == 0
    Version.with_bin.filter(pk=draft.pk).update(discarded_at=timezone.now() - dt.timedelta(days=31))
    assert (deleting.remove_due(), Version.with_bin.filter(pk=draft.pk).exists()) == (1, False)
    publishing.discard_draft(publishing.open_draft(version.dataset, user=ben), user=ben)
    assert client.delete(where).status_code == 204
    assert client.delete(where).status_code == 404


def test_drafts_that_cannot_be_removed_hold_up_no_others(published, ben, monkeypatch):
    long_ago = timezone.now() - dt.timedelta(days=40)
    gone = []
    for number in range(deleting.MOST_DUE + 1):
        draft = publishing.open_draft(published(f"sea-{number}").dataset, user=ben)
        publishing.discard_draft(draft, user=ben)
        Version.with_bin.filter(pk=draft.pk).update(discarded_at=long_ago + dt.timedelta(hours=number))
        gone.append(draft.pk)
    take_back = deleting.take_back

    def fail(version):
        if version.pk != gone[-1]:
            raise DatabaseError
        take_back(version)

    monkeypatch.setattr(deleting, "take_back", fail)
    assert deleting.remove_due() == 1
    assert not Version.with_bin.filter(pk=gone[-1]).exists()


def test_the_catalogue_follows_the_draft_of_a_withdrawn_dataset_into_the_bin_and_back(published, disk, ben):
    version = published(files={"/a.nc": "a"})
    publishing.withdraw(version, user=ben, reason="Wrong.")
    draft = publishing.open_draft(version.dataset, user=ben)
    disk.write("/sea/b.csv", "b")
    ingesting.scan(draft, disk.list_folder, disk.inspect, user=ben)

    def shown():
        return Dataset.objects.values_list("n_files", "format_facet").get(slug="sea")

    before = shown()
    assert before[0] == 2
    publishing.discard_draft(draft, user=ben)
    assert (shown()[0], "CSV" in shown()[1]) == (1, False)
    publishing.restore_draft(version.dataset, user=ben)
    assert shown() == before
