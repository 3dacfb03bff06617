"""Policies, membership fields and preferences of Groups, as the unmodified SDK asks for them; what subscriptions would do is refused."""

import uuid

import globus_sdk
import pytest
from globus_sdk import AccessTokenAuthorizer, GroupPolicies, GroupsAPIError, GroupsClient, GroupsManager

GROUPS = "urn:globus:auth:scope:groups.api.globus.org:all"


def person(globus, who):
    return GroupsClient(authorizer=AccessTokenAuthorizer(globus.sign_in(who, GROUPS)["access_token"]))


@pytest.fixture
def portal(globus):
    tokens = globus.client("portal").oauth2_client_credentials_tokens(GROUPS)
    return GroupsClient(authorizer=AccessTokenAuthorizer(tokens["access_token"]))


@pytest.fixture
def group(portal):
    return GroupsManager(portal).create_group(name=f"G {uuid.uuid4()}", description="")["id"]


def policies(**changes):
    asked = {
        "is_high_assurance": False,
        "group_visibility": "private",
        "group_members_visibility": "managers",
        "join_requests": False,
        "signup_fields": [],
    }
    return GroupPolicies(**{**asked, **changes})


def test_visibility_opens_a_group_to_others(globus, portal, group):
    cy = person(globus, "cy@elsewhere.example")
    with pytest.raises(GroupsAPIError) as refused:
        cy.get_group(group)
    assert refused.value.http_status == 404
    portal.set_group_policies(group, policies(group_visibility="authenticated", signup_fields=["address1"]))
    assert cy.get_group(group)["policies"]["signup_fields"] == ["address1"]
    assert portal.get_group_policies(group)["group_visibility"] == "authenticated"


@pytest.mark.parametrize("wrong", [{"group_visibility": "everyone"}, {"join_requests": "yes"}, {"signup_fields": "address1"}])
def test_policies_that_cannot_be_are_refused(portal, group, wrong):
    with pytest.raises(GroupsAPIError) as refused:
        portal.put(f"/v2/groups/{group}/policies", data=wrong)
    assert refused.value.http_status == 400


def test_only_an_admin_sets_policies(globus, portal, group):
    portal.set_group_policies(group, policies(group_visibility="authenticated"))
    with pytest.raises(GroupsAPIError) as refused:
        person(globus, "cy@elsewhere.example").set_group_policies(group, policies())
    assert refused.value.http_status == 403


def test_nobody_joins_a_group_that_takes_no_requests(globus, portal, group):
    portal.set_group_policies(group, policies(group_visibility="authenticated"))
    token = globus.sign_in("cy@elsewhere.example", "openid")["access_token"]
    cy = globus_sdk.AuthClient(authorizer=AccessTokenAuthorizer(token)).userinfo()["sub"]
    answer = GroupsManager(person(globus, "cy@elsewhere.example")).join(group, cy)
    assert answer["errors"]["join"][0]["code"] == "FORBIDDEN"


def test_membership_fields_and_preferences_are_kept(portal, group):
    portal.set_membership_fields(group, {"institution": "Archive"})
    assert portal.get_membership_fields(group).data == {"institution": "Archive"}
    own = next(iter(portal.get_identity_preferences().data))
    portal.set_identity_preferences({own: {"allow_add": False}})
    assert portal.get_identity_preferences()[own] == {"allow_add": False}
    portal.set_identity_preferences({own: {"allow_add": True}})
    with pytest.raises(GroupsAPIError) as refused:
        portal.set_identity_preferences({str(uuid.uuid4()): {"allow_add": True}})
    assert refused.value.http_status == 403


def test_there_are_no_subscriptions(portal, group):
    with pytest.raises(GroupsAPIError) as refused:
        portal.get_group_by_subscription_id(uuid.uuid4())
    assert refused.value.http_status == 404
    with pytest.raises(GroupsAPIError) as refused:
        portal.set_subscription_admin_verified(group, uuid.uuid4())
    assert refused.value.http_status == 403
    assert portal.set_subscription_admin_verified(group, None)["subscription_admin_verified_id"] is None


def test_group_below_another_one(globus, portal, group):
    below = portal.create_group({"name": "Below", "parent_id": group})["id"]
    assert portal.get_group(group, include="child_ids")["child_ids"] == [below]
    assert portal.get_group(below)["parent_id"] == group
    with pytest.raises(GroupsAPIError):
        person(globus, "cy@elsewhere.example").create_group({"name": "Foreign", "parent_id": group})
