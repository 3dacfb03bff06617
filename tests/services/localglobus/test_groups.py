"""Groups, as the unmodified Globus SDK asks for them."""

import globus_sdk
import pytest
from globus_sdk import (
    AccessTokenAuthorizer,
    BatchMembershipActions,
    ClientApp,
    GlobusAppConfig,
    GroupsAPIError,
    GroupsClient,
    GroupsManager,
)

GROUPS = "urn:globus:auth:scope:groups.api.globus.org:all"
MINE = "urn:globus:auth:scope:groups.api.globus.org:view_my_groups_and_memberships"


@pytest.fixture
def portal(globus):
    """The portal's client, admin of the demo's groups."""
    config = GlobusAppConfig(token_storage="memory")
    names = globus.env["CAUSEWAY_GLOBUS_CLIENT_ID"], globus.env["CAUSEWAY_GLOBUS_CLIENT_SECRET"]
    return GroupsClient(
        app=ClientApp("portal", client_id=names[0], client_secret=names[1], config=config), app_scopes=[globus_sdk.Scope(GROUPS)]
    )


def person(globus, who, scope=GROUPS):
    return GroupsClient(authorizer=AccessTokenAuthorizer(globus.sign_in(who, scope)["access_token"]))


def identity(globus, who):
    token = globus.sign_in(who, "openid")["access_token"]
    return globus_sdk.AuthClient(authorizer=AccessTokenAuthorizer(token)).userinfo()["sub"]


def test_ben_sees_that_he_is_a_steward(globus):
    (group,) = person(globus, "ben@archive.example", MINE).get_my_groups()
    assert group["id"] == globus.env["CAUSEWAY_STEWARD_GROUPS"]
    assert group["my_memberships"][0]["status"] == "active"


def test_the_portal_reads_who_is_in_its_groups(globus, portal):
    found = portal.get_group(globus.env["CAUSEWAY_OPERATOR_GROUPS"], include=["memberships", "policies"])
    assert "dee@archive.example" in {one["username"] for one in found["memberships"]}


def test_a_member_may_not_see_the_others_and_a_stranger_not_the_group(globus):
    group = globus.env["CAUSEWAY_STEWARD_GROUPS"]
    with pytest.raises(GroupsAPIError) as refused:
        person(globus, "ben@archive.example").get_group(group, include="memberships")
    assert refused.value.http_status == 403
    with pytest.raises(GroupsAPIError) as refused:
        person(globus, "cy@elsewhere.example").get_group(group)
    assert (refused.value.http_status, refused.value.code) == (404, "GROUP_NOT_FOUND")


def test_a_membership_through_a_linked_identity_counts(globus, portal):
    client = person(globus, "ada@university.example")
    linked = globus_sdk.AuthClient(authorizer=AccessTokenAuthorizer(globus.sign_in("ada@university.example", "openid")["access_token"]))
    observatory = linked.get_identities(usernames="ada@observatory.example")["identities"][0]["id"]
    group = GroupsManager(portal).create_group(name="Observers", description="people of the observatory")["id"]
    GroupsManager(portal).add_member(group, observatory)
    assert "Observers" in {one["name"] for one in client.get_my_groups()}
    GroupsManager(portal).remove_member(group, observatory)
    assert "Observers" not in {one["name"] for one in client.get_my_groups()}
    portal.delete_group(group)
    with pytest.raises(GroupsAPIError):
        portal.get_group(group)


def test_a_batch_says_what_was_refused(globus, portal):
    cy = identity(globus, "cy@elsewhere.example")
    group = GroupsManager(portal).create_group(name="Batch", description="")["id"]
    batch = BatchMembershipActions().add_members([cy, "00000000-0000-0000-0000-000000000000"], role="manager")
    answer = portal.batch_membership_action(group, batch)
    assert [one["identity_id"] for one in answer["add"]] == [cy]
    assert answer["errors"]["add"][0]["code"] == "IDENTITY_NOT_FOUND"
    manager = person(globus, "cy@elsewhere.example")
    refused = GroupsManager(manager).add_member(group, identity(globus, "ben@archive.example"), role="admin")
    assert refused["errors"]["add"]
    manager.batch_membership_action(group, BatchMembershipActions().leave([cy]))
    with pytest.raises(GroupsAPIError):
        manager.delete_group(group)


def test_a_token_for_reading_does_not_write(globus):
    with pytest.raises(GroupsAPIError) as refused:
        person(globus, "ben@archive.example", MINE).create_group({"name": "x"})
    assert refused.value.http_status == 403


def test_a_manager_neither_makes_nor_unmakes_an_admin(globus, portal):
    group = portal.create_group({"name": "Ranks"})["id"]
    ada, ben = identity(globus, "ada@university.example"), identity(globus, "ben@archive.example")
    added = [{"identity_id": ada, "role": "manager"}, {"identity_id": ben, "role": "admin"}]
    portal.batch_membership_action(group, {"add": added})
    client = person(globus, "ada@university.example")
    for act in ("change_role", "remove"):
        refused = client.batch_membership_action(group, {act: [{"identity_id": ben, "role": "member"}]})
        assert refused["errors"][act][0]["code"] == "FORBIDDEN"
    members = {one["identity_id"]: (one["role"], one["status"]) for one in portal.get_group(group, include="memberships")["memberships"]}
    assert members[ben] == ("admin", "active")
    portal.delete_group(group)


def status_of(portal, group, who):
    found = {one["identity_id"]: one["status"] for one in portal.get_group(group, include="memberships")["memberships"]}
    return found.get(who)


def test_only_a_request_is_approved_or_rejected(globus, portal):
    group, cy = portal.create_group({"name": "Approvals"})["id"], identity(globus, "cy@elsewhere.example")
    GroupsManager(portal).invite_member(group, cy)
    for act in ("approve", "reject"):
        refused = portal.batch_membership_action(group, {act: [{"identity_id": cy}]})
        assert refused["errors"][act][0]["code"] == "MEMBERSHIP_NOT_FOUND"
    assert status_of(portal, group, cy) == "invited"
    GroupsManager(person(globus, "cy@elsewhere.example")).accept_invite(group, cy)
    refused = portal.batch_membership_action(group, {"reject": [{"identity_id": cy}]})
    assert refused["errors"]["reject"]
    assert status_of(portal, group, cy) == "active"
    portal.delete_group(group)


def test_joining_waits_for_approval_unless_invited(globus, portal):
    group, cy = portal.create_group({"name": "Joining"})["id"], identity(globus, "cy@elsewhere.example")
    portal.put(f"/v2/groups/{group}/policies", data={"group_visibility": "authenticated", "join_requests": True})
    client = GroupsManager(person(globus, "cy@elsewhere.example"))
    assert client.join(group, cy)["join"][0]["status"] == "pending"
    assert group not in {one["id"] for one in client.client.get_my_groups()}
    assert GroupsManager(portal).approve_pending(group, cy)["approve"][0]["status"] == "active"
    GroupsManager(portal).remove_member(group, cy)
    GroupsManager(portal).invite_member(group, cy)
    assert client.join(group, cy)["join"][0]["status"] == "active"
    portal.delete_group(group)


def test_who_wants_to_be_added_by_nobody_is_invited(globus, portal):
    group, cy = portal.create_group({"name": "Adding"})["id"], identity(globus, "cy@elsewhere.example")
    client = person(globus, "cy@elsewhere.example")
    client.set_identity_preferences({cy: {"allow_add": False}})
    try:
        refused = GroupsManager(portal).add_member(group, cy)
        assert refused["errors"]["add"][0]["code"] == "FORBIDDEN"
        assert GroupsManager(portal).invite_member(group, cy)["invite"][0]["status"] == "invited"
    finally:
        client.set_identity_preferences({cy: {"allow_add": True}})
    assert GroupsManager(portal).add_member(group, cy)["add"][0]["status"] == "active"
    client.set_membership_fields(group, {"institution": "Elsewhere"})
    members = {one["identity_id"]: one for one in portal.get_group(group, include="memberships")["memberships"]}
    assert members[cy]["membership_fields"] == {"institution": "Elsewhere"}
    portal.delete_group(group)
