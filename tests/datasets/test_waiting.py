"""The desk: each thing that waits stands there for whoever curates it, oldest first, and for nobody else."""

import datetime as dt
from html import unescape

import pytest
from django.utils import timezone

from datasets.curation import deleting, publishing
from datasets.curation.waiting import queues_of
from datasets.description import editing
from datasets.models import Dataset, Doi, ScanRun
from datasets.scans import ingesting


def kinds(user):
    return {queue.kind: [item.dataset.slug for item in queue.items] for queue in queues_of(user)}


@pytest.mark.long
def test_what_waits_comes_and_goes(draft, ben, cy, dee, browser, settings):
    assert kinds(ben) == {}
    assert "Nothing at the moment." in unescape(browser(ben).get("/steward/").content.decode())
    lake, sea, pond = draft("lake"), draft("sea"), draft("pond")
    publishing.submit(sea, user=ben, note="please")
    publishing.submit(lake, user=ben)
    failed = ingesting.request_scan(pond, user=ben)
    ScanRun.objects.filter(pk=failed.pk).update(status="failed", error="The collection does not answer.", finished_at=timezone.now())
    Doi.objects.create(version=pond, name="10.5072/pond", status="failed", error="No such prefix.")
    editing.keep(pond.dataset, user=ben, typed="title=Half")
    expected = {"review": ["sea", "lake"], "scan-failed": ["pond"], "doi-refused": ["pond"]}
    assert kinds(ben) == expected | {"unsaved": ["pond"]}
    assert kinds(dee) == expected
    assert kinds(cy) == {}
    html = unescape(browser(ben).get("/steward/").content.decode())
    for words in (
        "version 1, asked by Ben",
        "The collection does not answer.",
        "10.5072/pond: No such prefix.",
        "/steward/datasets/pond/describe/",
    ):
        assert words in html
    told = browser(ben).get("/api/v1/waiting/").json()["results"]
    assert (told[0]["kind"], [item["dataset"] for item in told[0]["items"]]) == ("review", ["sea", "lake"])
    settings.TWO_PERSON_RULE = True
    assert "review" not in kinds(ben), "who asked cannot answer"
    assert kinds(dee)["review"] == ["sea", "lake"]
    publishing.publish(sea, user=dee)
    assert kinds(dee)["review"] == ["lake"]


@pytest.mark.long
def test_what_is_about_to_leave_the_bin_is_told(draft, ben, browser):
    dataset = draft().dataset
    deleting.delete(dataset, user=ben, name="sea")
    assert "bin" not in kinds(ben)
    Dataset.with_bin.filter(pk=dataset.pk).update(deleted_at=timezone.now() - dt.timedelta(days=25))
    assert kinds(ben) == {"bin": ["sea"]}
    html = unescape(browser(ben).get("/steward/").content.decode())
    assert "deleted by Ben" in html
    assert "in 5 days" in html


def test_a_later_scan_ends_the_trouble_of_an_earlier_one(draft, ben):
    version = draft()
    moment = timezone.now()
    ScanRun.objects.filter(version=version).delete()
    days = dt.timedelta(days=1)
    ScanRun.objects.create(version=version, status="failed", error="x", finished_at=moment)
    assert list(kinds(ben)) == ["scan-failed"]
    ScanRun.objects.filter(version=version).update(asked_at=moment - 3 * days)
    ScanRun.objects.create(version=version, status="reported")
    assert list(kinds(ben)) == ["scan-report"]


def test_a_check_that_failed_waits_until_it_is_left_so(published, ben, browser):
    version = published()
    check = ScanRun.objects.create(version=version, purpose="replica", status="failed", error="x", finished_at=timezone.now())
    assert list(kinds(ben)) == ["scan-failed"]
    assert "Leave it" in browser(ben).get(check.get_absolute_url()).content.decode()
    browser(ben).post(f"{check.get_absolute_url()}cancel/")
    check.refresh_from_db()
    assert (check.status, kinds(ben)) == ("cancelled", {})


@pytest.mark.long
def test_the_desk_costs_few_statements_for_any_number_of_datasets(draft, ben, browser, django_assert_max_num_queries):
    for number in range(4):
        publishing.submit(draft(f"d{number}"), user=ben)
    client = browser(ben)
    with django_assert_max_num_queries(24):
        client.get("/steward/")
