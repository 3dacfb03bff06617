"""Access through a group, from the group's making at Globus to a member's leaving, with the running Globus."""

import uuid

import globus_sdk
import pytest

from datasets.access import decide
from portal import auth, tasks
from portal.models import User
from tests.transfers.conftest import World

GROUPS = "urn:globus:auth:scope:groups.api.globus.org:all"


@pytest.fixture
def groups(world: World):
    """Globus Groups as Ben calls it; the portal's own clients meet this world too."""
    for made in (auth.auth_client, auth.groups_client):
        made.cache_clear()
    told = world.sign_in("ben@archive.example", GROUPS)
    (token,) = [one["access_token"] for one in told["other_tokens"] if GROUPS in one["scope"]]
    with globus_sdk.GroupsClient(authorizer=globus_sdk.AccessTokenAuthorizer(token)) as client:
        yield client
    for made in (auth.auth_client, auth.groups_client):
        made.cache_clear()


@pytest.fixture
def readers(groups):
    return uuid.UUID(groups.create_group({"name": "Readers", "description": "May read", "group_type": "regular"})["id"])


def give(client, version, group_id):
    fields = {"principal_type": "group", "principal": str(group_id), "label": "Readers"}
    return client.post(f"/steward/datasets/{version.dataset.slug}/grant/", fields)


def may_read(person, version):
    return decide(User.objects.get(pk=person.pk), version.dataset).is_allowed


def test_a_group_that_the_portal_may_not_read_is_refused_with_the_remedy(world, publish, dee, client, readers):
    version = publish(policy="restricted")
    client.force_login(dee)
    answer = give(client, version, readers)
    assert answer.status_code == 400
    portal = world.environment["CAUSEWAY_GLOBUS_CLIENT_ID"]
    assert f"globus group member add {readers} {portal} --role manager" in answer.content.decode()
    assert not version.dataset.grants.exists()
    assert give(client, version, uuid.uuid4()).status_code == 400


def test_a_member_may_read_until_she_left_the_group(world, publish, dee, client, real_ada, groups, readers):
    version = publish(policy="restricted")
    manager = globus_sdk.GroupsManager(groups)
    manager.add_member(readers, world.environment["CAUSEWAY_GLOBUS_CLIENT_ID"], role="manager")
    manager.add_member(readers, real_ada.pk)
    assert not may_read(real_ada, version)
    client.force_login(dee)
    assert give(client, version, readers).status_code == 302
    assert may_read(real_ada, version)
    client.force_login(real_ada)
    page = client.get(version.dataset.get_absolute_url()).content.decode()
    assert "You have access through the group Readers." in page
    manager.remove_member(readers, real_ada.pk)
    tasks.refresh_groups()
    assert not may_read(real_ada, version)
    manager.add_member(readers, real_ada.pk)
    tasks.refresh_groups()
    assert may_read(real_ada, version)
