"""Who can see a dataset and what a person can see, now and in the past."""

import datetime as dt
import uuid

import pytest
from django.utils import timezone

from datasets.access import granting, seeing
from datasets.curation import publishing, registering
from datasets.errors import ForbiddenError, InvalidError
from datasets.models import Dataset, Grant
from portal import signin
from portal.auth import Group
from portal.models import User

GROUP = uuid.uuid5(uuid.NAMESPACE_DNS, "readers.example")
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def dataset(published):
    return published(access_policy="restricted").dataset


def give(dataset, ben, principal, kind="identity", **facts):
    return granting.grant(dataset, principal_type=kind, principal=principal, granted_by=ben, **facts)


def names(dataset, user, moment=None):
    return {(way.kind, way.name) for way in seeing.who_can_see(dataset, user=user, moment=moment)[1]}


def set_members(*people):
    signin.record_memberships(Group(GROUP, "Readers", frozenset(one.id for one in people)), User.objects.all())


def test_people_groups_stewards_and_operators_are_told_with_the_way_and_the_end(dataset, ada, ben, cy, dee):
    end = timezone.now() + HOUR
    give(dataset, ben, ada.id, expires_at=end)
    give(dataset, ben, GROUP, "group", label="Readers")
    set_members(cy)
    kept, ways = seeing.who_can_see(dataset, user=ben)
    told = {way.kind: way for way in ways}
    assert kept.effective_policy == "restricted"
    assert set(told) == {"identity", "group", "steward", "operator"}
    assert (told["identity"].name, told["identity"].until, told["identity"].through) == (ada.username, end, "a grant by Ben")
    assert [member.username for member in told["group"].members] == [cy.username]
    assert told["group"].until is None
    assert told["steward"].principal == ben.id
    assert told["operator"].principal == dee.id


def test_an_open_dataset_says_everybody(published, ben):
    assert names(published("open").dataset, ben) >= {("everybody", "Everybody")}
    assert names(published("known", access_policy="registered").dataset, ben) >= {("signed-in", "Everybody who is signed in")}
    embargoed = published("later", embargo_ends_at=timezone.now() + HOUR).dataset
    assert ("everybody", "Everybody") not in names(embargoed, ben)


def test_nobody_but_staff_sees_what_was_withdrawn_from_that_moment_on(published, ada, ben, browser):
    version = published("open")
    give(version.dataset, ben, ada.id)
    before = timezone.now()
    publishing.withdraw(version, user=ben, reason="The sensor was broken.")
    dataset = Dataset.objects.get(pk=version.dataset_id)
    assert {kind for kind, _ in names(dataset, ben)} <= {"steward", "operator"}
    assert seeing.what_she_sees(ada.id, user=ada) == []
    kept, ways = seeing.who_can_see(dataset, user=ben, moment=before)
    assert kept.is_published
    assert {way.kind for way in ways} >= {"everybody", "identity"}
    assert [one.dataset for one in seeing.what_she_sees(ada.id, user=ada, moment=before)] == [dataset]
    assert "<dd>withdrawn</dd>" in browser(ben).get("/steward/datasets/open/who-can-see/").content.decode()
    assert "<dd>yes</dd>" in browser(ben).get("/steward/datasets/open/who-can-see/", {"at": before.isoformat()}).content.decode()


def test_grants_that_ended_or_changed_are_told_as_they_were(dataset, ada, ben):
    before = timezone.now()
    first = give(dataset, ben, ada.id, expires_at=before + HOUR)
    with_first = timezone.now()
    second = give(dataset, ben, ada.id, expires_at=before + 2 * HOUR)
    with_second = timezone.now()
    granting.revoke(second, revoked_by=ben)
    assert ("identity", ada.username) not in names(dataset, ben, before)
    for moment, end in ((with_first, first.expires_at), (with_second, second.expires_at)):
        (way,) = [one for one in seeing.who_can_see(dataset, user=ben, moment=moment)[1] if one.kind == "identity"]
        assert way.until is not None
        assert way.until <= end
        assert way.principal == ada.id
    assert ("identity", ada.username) not in names(dataset, ben)
    assert Grant.objects.filter(dataset=dataset).count() == 2, "nothing is deleted"


def test_who_left_a_group_is_told_for_the_time_that_she_was_in(dataset, ada, ben, cy):
    give(dataset, ben, GROUP, "group", label="Readers")
    set_members(ada, cy)
    together = timezone.now()
    set_members(cy)
    for moment, expected in ((together, [ada.username, cy.username]), (None, [cy.username])):
        (way,) = [one for one in seeing.who_can_see(dataset, user=ben, moment=moment)[1] if one.kind == "group"]
        assert sorted(member.username for member in way.members) == expected
    ada = User.objects.get(pk=ada.pk)
    assert [one.dataset for one in seeing.what_she_sees(ada.id, user=ben, moment=together)] == [dataset]
    assert seeing.what_she_sees(ada.id, user=ben) == []
    set_members(ada, cy)
    assert [one.dataset for one in seeing.what_she_sees(ada.id, user=ben)] == [dataset]


def test_the_policy_of_the_past_counts_for_the_past(dataset, ben):
    closed = timezone.now()
    registering.describe(dataset, user=ben, access_policy="public")
    assert ("everybody", "Everybody") in names(dataset, ben)
    assert ("everybody", "Everybody") not in names(dataset, ben, closed)


def test_what_a_person_sees_goes_through_her_linked_identity(dataset, ada, ben):
    linked = ada.linked_identities.get()
    give(dataset, ben, linked.identity_id)
    for asked in (ada.id, linked.identity_id):
        (seen,) = seeing.what_she_sees(asked, user=ben)
        assert (seen.dataset, seen.way.principal, seen.way.name) == (dataset, linked.identity_id, linked.username)


def test_an_identity_that_never_signed_in_is_answered_from_the_grants(dataset, ben):
    unknown = uuid.uuid4()
    give(dataset, ben, unknown, label="Somebody")
    assert [one.way.name for one in seeing.what_she_sees(unknown, user=ben)] == ["Somebody"]


def test_a_steward_is_told_of_her_own_datasets_and_a_person_of_herself(dataset, ada, ben, cy, dee):
    give(dataset, ben, ada.id)
    assert len(seeing.what_she_sees(ada.id, user=ada)) == 1
    assert len(seeing.what_she_sees(ada.id, user=dee)) == 1
    with pytest.raises(ForbiddenError):
        seeing.what_she_sees(ada.id, user=cy)
    with pytest.raises(ForbiddenError):
        seeing.who_can_see(dataset, user=ada)
    dataset.stewards.clear()
    assert seeing.what_she_sees(ada.id, user=ben) == []


def test_the_future_is_not_told(dataset, ben):
    with pytest.raises(InvalidError):
        seeing.who_can_see(dataset, user=ben, moment=timezone.now() + HOUR)


def test_pages_and_rest_say_the_same(dataset, ada, ben, browser):
    give(dataset, ben, ada.id, expires_at=timezone.now() + HOUR)
    client = browser(ben)
    page = client.get("/steward/datasets/sea/who-can-see/").content.decode()
    assert ada.username in page
    told = client.get("/api/v1/datasets/sea/who-can-see").json()
    assert [way["principal"] for way in told["results"] if way["kind"] == "identity"] == [str(ada.id)]
    past = client.get("/steward/datasets/sea/who-can-see/", {"at": "2020-01-01"}).content.decode()
    assert ada.username not in past
    assert client.get("/steward/datasets/sea/who-can-see/", {"at": "2999-01-01"}).status_code == 400
    assert client.get("/api/v1/datasets/sea/who-can-see", {"at": "never"}).status_code == 400
    found = client.get("/steward/people/", {"q": "ada@univ"}).content.decode()
    assert dataset.title in found
    told = client.get(f"/api/v1/people/{ada.id}/can-see").json()
    assert [(one["dataset"], one["kind"]) for one in told["results"]] == [("sea", "identity")]
    assert client.get("/steward/people/", {"person": "nobody"}).status_code == 400
    assert browser(ada).get(f"/api/v1/people/{ada.id}/can-see").status_code == 200
    assert browser(ada).get(f"/api/v1/people/{ben.id}/can-see").status_code == 403
