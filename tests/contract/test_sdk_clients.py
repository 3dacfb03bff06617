"""That no method of the SDK's clients is forgotten, and those that the other tests do not call."""

import inspect
import re
import uuid
from pathlib import Path

import pytest
from globus_sdk import (
    AccessTokenAuthorizer,
    AuthClient,
    ClientApp,
    ConfidentialAppAuthClient,
    GCSClient,
    GlobusAppConfig,
    GroupsClient,
    GroupsManager,
    NativeAppAuthClient,
    OnceTimerSchedule,
    SearchClient,
    TimersClient,
    TransferClient,
    TransferData,
    TransferTimer,
)
from globus_sdk.services.auth import AuthLoginClient

from tests.contract.recorded import PROJECTS
from tests.services.localglobus.transfer.conftest import wait_until

pytestmark = pytest.mark.long

ADA, CY = "ada@university.example", "cy@elsewhere.example"
GROUPS = "urn:globus:auth:scope:groups.api.globus.org:all"
CLIENTS = (
    TransferClient, SearchClient, TimersClient, GroupsClient, GroupsManager, GCSClient,
    AuthClient, AuthLoginClient, ConfidentialAppAuthClient, NativeAppAuthClient,
)  # fmt: skip
TESTS = Path(__file__).parents[1]
LEFT_OUT = {
    **dict.fromkeys(
        ["create_tunnel", "get_tunnel", "delete_tunnel", "list_tunnels", "get_tunnel_events", "update_tunnel", "get_stream_access_point"],
        "there are no streaming tunnels",
    ),
    "list_stream_access_points": "there are no streaming tunnels",
    "add_app_flow_user_scope": "there are no flows",
    **dict.fromkeys([f"{verb}_{noun}" for verb in ("create", "get", "update", "delete") for noun in ("project", "scope")], PROJECTS),
    **dict.fromkeys(
        ["get_projects", "get_scopes", "get_clients", "get_client", "create_client", "update_client", "create_child_client"], PROJECTS
    ),
    **dict.fromkeys(["get_client_credentials", "create_client_credential", "delete_client_credential"], PROJECTS),
}


def test_every_method_is_called_by_a_test_or_left_out_with_a_reason():
    paths = [*(TESTS / "contract").glob("*.py"), *(TESTS / "services/localglobus").rglob("*.py")]
    source = "\n".join(path.read_text() for path in paths if path != Path(__file__).with_name("recorded.py"))
    own = {name for client in CLIENTS for name, found in vars(client).items() if inspect.isfunction(found) and not name.startswith("_")}
    assert [name for name in sorted(own - set(LEFT_OUT)) if not re.search(rf"\.{name}\b", source)] == []


def test_the_key_of_id_tokens_and_a_grant_of_ones_own(sites):
    app = sites.globus.client("demo")
    assert app.get_openid_configuration()["jwks_uri"].endswith("/jwk.json")
    (key,) = app.get_jwk()["keys"]
    assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS512", "sig")
    token = app.oauth2_token({"grant_type": "client_credentials", "scope": "openid"})
    assert token.decode_id_token()["sub"] == app.client_id


@pytest.fixture
def demo(sites):
    return sites.service("demo")


def test_lists_of_ones_own(sites, demo, folder):
    share = sites.collection("share")
    made = demo.create_bookmark({"endpoint_id": share, "path": f"/{folder.name}/", "name": uuid.uuid4().hex})["id"]
    assert made in {each["id"] for each in demo.bookmark_list()}
    demo.delete_bookmark(made)
    assert share in {each["id"] for each in demo.my_shared_endpoint_list(sites.collection("storage"))}


def test_who_looks_after_a_collection_sees_it_its_rules_and_what_pauses_a_task(sites, demo, folder):
    share, portal = sites.collection("share"), sites.service("portal")
    assert demo.endpoint_manager_get_endpoint(share)["id"] == share
    rule = {"DATA_TYPE": "access", "principal_type": "all_authenticated_users", "principal": "", "path": f"/{folder.name}/"}
    rule_id = portal.add_endpoint_acl_rule(share, {**rule, "permissions": "r"})["access_id"]
    assert rule_id in {each["id"] for each in demo.endpoint_manager_acl_list(share)}
    sites.fault(kind="node.ticket", times=10_000, error={"http_status": 503, "code": "ServiceUnavailable", "message": "busy"})
    (folder / "a").write_text("a")
    asked = TransferData(share, share)
    asked.add_item(f"/{folder.name}/a", f"/{folder.name}/b")
    task = portal.submit_transfer(asked)["task_id"]
    demo.endpoint_manager_pause_tasks([task], f"for {folder.name}")
    wait_until(lambda: portal.get_task(task)["is_paused"])
    assert f"for {folder.name}" in str(demo.endpoint_manager_task_pause_info(task).data)
    portal.cancel_task(task)


def test_group_from_invitations_and_requests_to_roles(sites):
    def manager(token):
        return GroupsManager(GroupsClient(authorizer=AccessTokenAuthorizer(token)))

    def person(who):
        return manager(sites.globus.sign_in(who, GROUPS).by_resource_server["groups.api.globus.org"]["access_token"])

    owner = manager(sites.globus.client("portal").oauth2_client_credentials_tokens(GROUPS)["access_token"])
    group = owner.create_group(name="Invited", description="")["id"]
    ada_id, cy_id = sites.identity(ADA), sites.identity(CY)
    ada, cy = person(ADA), person(CY)
    assert owner.client.update_group(group, {"name": "Renamed"})["name"] == "Renamed"
    owner.invite_member(group, ada_id)
    assert ada.decline_invite(group, ada_id)["decline"][0]["status"] == "declined"
    owner.invite_member(group, ada_id)
    assert ada.accept_invite(group, ada_id)["accept"][0]["status"] == "active"
    assert owner.change_role(group, ada_id, "manager")["change_role"][0]["role"] == "manager"
    owner.set_group_policies(
        group,
        is_high_assurance=False,
        group_visibility="authenticated",
        group_members_visibility="managers",
        join_requests=True,
        signup_fields=[],
    )
    cy.request_join(group, cy_id)
    assert ada.reject_join_request(group, cy_id)["reject"][0]["status"] == "rejected"
    cy.request_join(group, cy_id)
    assert ada.approve_pending(group, cy_id)["approve"][0]["status"] == "active"
    owner.client.delete_group(group)


def test_role_at_the_manager(sites):
    manager = sites.manager("demo")
    (role, *_) = manager.get_role_list(sites.collection("share"))
    assert manager.get_role(role["id"])["role"] == role["role"]


def test_app_of_a_client_asks_for_what_its_timers_need(sites, folder):
    """The app gets its tokens and consents by itself, as the SDK's documentation has it."""
    campus, env = sites.collection("campus"), sites.globus.env
    app = ClientApp(
        "timers",
        client_id=env["GLOBUS_CLI_CLIENT_ID"],
        client_secret=env["GLOBUS_CLI_CLIENT_SECRET"],
        config=GlobusAppConfig(token_storage="memory"),
    )
    client = TimersClient(app=app).add_app_transfer_data_access_scope(campus)
    asked = TransferData(campus, campus)
    asked.add_item(f"/{folder.name}", f"/{folder.name}.copy")
    schedule = OnceTimerSchedule(datetime="2100-01-01T00:00:00+00:00")
    timer = client.create_timer(TransferTimer(name="by an app", schedule=schedule, body=asked))["timer"]
    assert client.delete_job(timer["job_id"])["name"] == "by an app"
