"""Embargo and classification: who may have the files, what the pages and records say, and what was true at a past moment."""

import datetime as dt

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from datasets.access import Reason, decide, granting, may_list, protecting
from datasets.curation import registering
from datasets.errors import AssuranceNeededError, ForbiddenError, InvalidError
from datasets.formats import datacite, dublin_core
from datasets.metadata.describing import find_record
from datasets.models import Dataset
from portal.assurance import mark_present

DAY = dt.timedelta(days=1)


@pytest.fixture
def embargoed(published):
    """Public once its embargo is over."""
    return published(embargo_ends_at=timezone.now() + 30 * DAY).dataset


def end_embargo(dataset):
    Dataset.objects.filter(pk=dataset.pk).update(embargo_ends_at=timezone.now() - dt.timedelta(seconds=1))
    dataset.refresh_from_db()


def test_under_an_embargo_the_description_is_public_and_the_files_are_not(embargoed, ada, ben, dee, browser):
    nobody = AnonymousUser()
    for user in (nobody, ada):
        assert Dataset.objects.visible_to(user).filter(pk=embargoed.pk).exists()
        assert decide(user, embargoed).reason == Reason.EMBARGO
        assert not may_list(user, embargoed)
    assert decide(ben, embargoed).is_allowed
    assert decide(dee, embargoed).is_allowed
    until = f"{embargoed.embargo_ends_at:%Y-%m-%d}"
    page = browser().get("/datasets/sea/").content.decode()
    assert f"Embargo until {until}" in page
    told = browser().get("/api/v1/datasets/sea").json()
    assert told["embargo_ends_at"].startswith(until)
    assert told["access"]["reason"] == "embargo"
    assert told["access"]["until"].startswith(until)
    assert until in told["access"]["words"]
    assert browser().get("/api/v1/datasets/sea/versions/1/files").status_code == 403


def test_no_record_for_machines_says_open_before_the_end(embargoed):
    record = find_record("sea", has_files=True)
    assert not record.is_open
    assert (record.files, record.files_url, record.digest) == (None, "", "")
    assert "embargo" in record.access_note
    until = embargoed.embargo_ends_at.date().isoformat()
    told = datacite.attributes(record)
    assert {"date": until, "dateType": "Available"} in told["dates"]
    assert told["rightsList"][0]["rightsUri"] == "info:eu-repo/semantics/embargoedAccess"
    assert f"info:eu-repo/date/embargoEnd/{until}" in dublin_core.as_xml(record)
    end_embargo(embargoed)
    record = find_record("sea", has_files=True)
    assert record.is_open
    assert record.access_note == ""


def test_an_embargo_ends_by_the_clock_and_is_written_down_once(embargoed, ada):
    assert protecting.lift_ended() == 0
    before = embargoed.updated_at
    end_embargo(embargoed)
    assert decide(AnonymousUser(), embargoed).is_allowed, "nobody waits for a sweep"
    assert protecting.lift_ended() == 1
    assert protecting.lift_ended() == 0
    embargoed.refresh_from_db()
    assert embargoed.updated_at > before, "harvesters come for it again"
    assert embargoed.events.filter(act="embargo lifted").count() == 1


def test_a_grant_opens_the_files_before_the_end(embargoed, ada, ben):
    granting.grant(embargoed, principal_type="identity", principal=ada.id, granted_by=ben)
    assert decide(ada, embargoed).reason == Reason.GRANT


def test_the_past_is_told_to_the_second_of_an_embargo_s_end(published):
    dataset = published().dataset
    end = (timezone.now() - DAY).replace(second=30, microsecond=0)
    Dataset.objects.filter(pk=dataset.pk).update(embargo_ends_at=end)
    dataset.refresh_from_db()
    for seconds, is_embargoed in ((-1, True), (0, False)):
        assert protecting.protection_at(dataset, end + dt.timedelta(seconds=seconds)).is_embargoed is is_embargoed


def test_a_steward_lifts_an_embargo_early_and_may_set_another(embargoed, ada, ben):
    with pytest.raises(ForbiddenError):
        protecting.lift_embargo(embargoed, user=ada)
    protecting.lift_embargo(embargoed, user=ben)
    protecting.lift_embargo(embargoed, user=ben)
    assert decide(AnonymousUser(), embargoed).is_allowed
    registering.describe(embargoed, user=ben, embargo_ends_at=timezone.now() + DAY)
    assert not decide(AnonymousUser(), embargoed).is_allowed
    assert embargoed.embargo_lifted_at is None


def test_the_desk_takes_a_day(published, ben, browser):
    published()
    client = browser(ben)
    answer = client.post("/steward/datasets/sea/describe/", {"title": "Sea", "embargo_ends_on": "2099-03-04"})
    assert answer.status_code == 302
    dataset = Dataset.objects.get(slug="sea")
    assert dataset.embargo_ends_at == dt.datetime(2099, 3, 4, tzinfo=dt.UTC)
    assert "Lift the embargo now" in client.get("/steward/datasets/sea/").content.decode()
    assert client.post("/steward/datasets/sea/lift-embargo/").status_code == 302
    dataset.refresh_from_db()
    assert not dataset.is_embargoed
    assert client.post("/steward/datasets/sea/describe/", {"title": "Sea", "embargo_ends_on": "soon"}).status_code == 400


@pytest.mark.parametrize("classification", ["internal", "controlled"])
def test_internal_and_controlled_files_are_never_public(published, ben, classification):
    dataset = published().dataset
    with pytest.raises(InvalidError):
        registering.describe(dataset, user=ben, classification=classification)
    with pytest.raises(IntegrityError), transaction.atomic():
        Dataset.objects.filter(pk=dataset.pk).update(classification=classification)
    registering.describe(dataset, user=ben, classification=classification, access_policy="registered")
    assert not decide(AnonymousUser(), dataset).is_allowed
    assert dataset.is_read_in_place == (classification == "internal")


def test_controlled_files_need_a_second_factor_not_long_ago(published, ada, ben, settings):
    dataset = published(access_policy="restricted", classification="controlled").dataset
    granting.grant(dataset, principal_type="identity", principal=ada.id, granted_by=ben)
    mark_present(ada, None)
    assert decide(ada, dataset).reason == Reason.ASSURANCE_NEEDED
    assert not may_list(ada, dataset)
    mark_present(ada, timezone.now() - dt.timedelta(minutes=settings.ASSURANCE_MINUTES - 1))
    assert decide(ada, dataset).reason == Reason.GRANT
    mark_present(ada, timezone.now() - dt.timedelta(minutes=settings.ASSURANCE_MINUTES + 1))
    assert decide(ada, dataset).reason == Reason.ASSURANCE_NEEDED
    mark_present(ben, None)
    assert decide(ben, dataset).reason == Reason.ASSURANCE_NEEDED, "its steward too"


def test_a_second_factor_gives_no_right_of_its_own(published, cy):
    dataset = published(access_policy="restricted", classification="controlled").dataset
    mark_present(cy, timezone.now())
    assert decide(cy, dataset).reason == Reason.GRANT_NEEDED


def test_staff_without_a_second_factor_have_no_role_where_the_site_asks_for_one(published, ben, dee, settings):
    dataset = published().dataset
    settings.STAFF_NEEDS_SECOND_FACTOR = True
    mark_present(ben, None)
    assert not ben.is_steward
    with pytest.raises(AssuranceNeededError):
        registering.describe(dataset, user=ben, title="Other")
    mark_present(ben, timezone.now())
    registering.describe(dataset, user=ben, title="Other")
    mark_present(dee, None)
    assert not dee.has_perm("any")


def test_what_was_true_at_a_past_moment_can_be_asked(published, ben):
    moments = [timezone.now()]
    dataset = published(access_policy="restricted").dataset
    moments.append(timezone.now())
    registering.describe(dataset, user=ben, access_policy="registered", classification="internal")
    moments.append(timezone.now())
    end = timezone.now() + DAY
    registering.describe(dataset, user=ben, embargo_ends_at=end)
    kept = [protecting.protection_at(dataset, moment) for moment in (*moments, timezone.now())]
    assert [one.is_published for one in kept] == [False, True, True, True]
    assert [one.access_policy for one in kept[1:]] == ["restricted", "registered", "registered"]
    assert [one.classification for one in kept[1:]] == ["public", "internal", "internal"]
    assert [one.is_embargoed for one in kept] == [False, False, False, True]
    assert kept[3].effective_policy == "restricted"
