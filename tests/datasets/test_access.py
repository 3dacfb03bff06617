import datetime as dt
import uuid

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from datasets.access import Reason, decide, granting, may_list
from datasets.errors import ForbiddenError, InvalidError
from datasets.models import Dataset, Version
from portal.models import GroupMembership, RoleGrant

GROUP = uuid.uuid5(uuid.NAMESPACE_DNS, "group.example")


@pytest.fixture
def cast(ada, ben, cy, dee):
    return {"nobody": AnonymousUser(), "ada": ada, "ben": ben, "cy": cy, "dee": dee}


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [("public", {"nobody", "ada", "ben", "cy", "dee"}), ("registered", {"ada", "ben", "cy", "dee"}), ("restricted", {"ben", "dee"})],
)
def test_who_may_have_the_files_follows_the_policy(published, cast, policy, allowed):
    dataset = published(access_policy=policy).dataset
    assert {name for name, user in cast.items() if decide(user, dataset).is_allowed} == allowed


def test_metadata_of_restricted_datasets_is_public_but_the_file_list_is_not(published, cast):
    dataset = published(access_policy="restricted").dataset
    assert all(Dataset.objects.visible_to(user).filter(pk=dataset.pk).exists() for user in cast.values())
    assert {name for name, user in cast.items() if may_list(user, dataset)} == {"ben", "dee"}


def test_drafts_are_seen_by_their_steward_and_operators_alone(draft, cast, db):
    version = draft()
    other = cast["cy"]
    RoleGrant.objects.create(role="steward", principal_type="identity", principal=other.id)
    for seen in (Dataset.objects.visible_to, Version.objects.visible_to):
        assert {name for name, user in cast.items() if seen(user).exists()} == {"ben", "dee"}
    assert not decide(cast["ada"], version.dataset).is_allowed
    assert decide(cast["nobody"], version.dataset).reason == Reason.NOT_PUBLISHED


def test_who_leaves_the_stewards_is_no_steward_of_her_datasets_any_more(published, ben):
    dataset = published(access_policy="restricted").dataset
    assert decide(ben, dataset).reason == Reason.STEWARD
    RoleGrant.objects.all().delete()
    later = type(ben).objects.get(pk=ben.pk)
    assert not decide(later, dataset).is_allowed


def test_a_grant_to_a_linked_identity_gives_access_and_says_through_which(published, ada, ben):
    dataset = published(access_policy="restricted").dataset
    linked = uuid.uuid5(uuid.NAMESPACE_DNS, "ada@observatory.example")
    granting.grant(dataset, principal_type="identity", principal=linked, label="ada@observatory.example", granted_by=ben)
    decision = decide(ada, dataset)
    assert decision.is_allowed
    assert decision.through is not None
    assert decision.through.principal == linked
    assert "ada@observatory.example" in decision.words


def test_a_grant_to_a_group_ends_with_the_membership(published, ada, ben):
    dataset = published(access_policy="restricted").dataset
    granting.grant(dataset, principal_type="group", principal=GROUP, granted_by=ben)
    assert not decide(ada, dataset).is_allowed
    membership = GroupMembership.objects.create(user=ada, group_id=GROUP, name="Ocean", identity_id=ada.id)
    again = type(ada).objects.get(pk=ada.pk)
    assert decide(again, dataset).through.principal_type == "group"
    membership.delete()
    assert not decide(type(ada).objects.get(pk=ada.pk), dataset).is_allowed


def test_a_grant_ends_at_its_date_and_when_it_is_taken_back(published, ada, ben):
    dataset = published(access_policy="restricted").dataset
    given = granting.grant(
        dataset, principal_type="identity", principal=ada.id, granted_by=ben, expires_at=timezone.now() + dt.timedelta(days=1)
    )
    assert decide(ada, dataset).is_allowed
    type(given).objects.filter(pk=given.pk).update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    assert not decide(ada, dataset).is_allowed
    again = granting.grant(dataset, principal_type="identity", principal=ada.id, granted_by=ben)
    assert again.pk != given.pk, "what ended stays as it was"
    assert decide(ada, dataset).is_allowed
    granting.revoke(again, revoked_by=ben)
    assert not decide(ada, dataset).is_allowed
    granting.revoke(again, revoked_by=ben)
    assert dataset.events.filter(act="revoke").count() == 1


def test_only_curators_give_and_take_access(published, ada, ben, cy):
    dataset = published(access_policy="restricted").dataset
    with pytest.raises(ForbiddenError):
        granting.grant(dataset, principal_type="identity", principal=cy.id, granted_by=cy)
    given = granting.grant(dataset, principal_type="identity", principal=ada.id, granted_by=ben)
    with pytest.raises(ForbiddenError):
        granting.revoke(given, revoked_by=ada)
    with pytest.raises(InvalidError) as refused:
        granting.grant(dataset, principal_type="robot", principal=ada.id, granted_by=ben)
    assert "principal_type" in refused.value.fields
    with pytest.raises(InvalidError):
        granting.grant(dataset, principal_type="identity", principal=ada.id, granted_by=ben, expires_at=timezone.now())
