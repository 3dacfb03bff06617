"""Access rules and roles: who may set them, what they open, and that they end."""

import sqlite3
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from globus_sdk import AccessTokenAuthorizer, TransferAPIError, TransferClient

from tests.services.localglobus.transfer.conftest import wait_until


@pytest.fixture
def portal(sites):
    return sites.service("portal")


@pytest.fixture
def share(sites):
    return sites.collection("share")


def rule(folder, principal="", *, kind="identity", permissions="r", **more):
    return {
        "DATA_TYPE": "access",
        "principal_type": kind,
        "principal": principal,
        "path": f"/{folder.name}/",
        "permissions": permissions,
        **more,
    }


def refusal(act, *args, **kwargs):
    with pytest.raises(TransferAPIError) as refused:
        act(*args, **kwargs)
    return refused.value.http_status, refused.value.code


def test_rule_opens_one_folder_to_one_person(sites, portal, share, folder):
    (folder / "a.nc").write_bytes(b"a")
    ada, cy, path = sites.person("ada"), sites.person("cy"), f"/{folder.name}/"
    assert refusal(ada.operation_ls, share, path=path) == (403, "EndpointPermissionDenied")
    made = portal.add_endpoint_acl_rule(share, rule(folder, sites.identity("ada@university.example")))
    assert (made.http_status, made["code"]) == (201, "Created")
    assert [entry["name"] for entry in ada.operation_ls(share, path=path)] == ["a.nc"]
    assert refusal(cy.operation_ls, share, path=path) == (403, "EndpointPermissionDenied")
    portal.delete_endpoint_acl_rule(share, made["access_id"])
    assert refusal(ada.operation_ls, share, path=path) == (403, "EndpointPermissionDenied")
    assert refusal(portal.delete_endpoint_acl_rule, share, made["access_id"]) == (404, "AccessRuleNotFound")


def test_listing_above_shows_only_the_way_to_what_is_open(sites, portal, share, folder):
    portal.add_endpoint_acl_rule(share, rule(folder, sites.identity("ada@university.example")))
    (folder.parent / "other").mkdir(exist_ok=True)
    names = [entry["name"] for entry in sites.person("ada").operation_ls(share, path="/")]
    assert folder.name in names
    assert "other" not in names


def test_rule_for_a_linked_identity_and_for_a_group(sites, portal, share, folder):
    portal.add_endpoint_acl_rule(share, rule(folder, sites.identity("ada@observatory.example")))
    assert sites.person("ada").operation_ls(share, path=f"/{folder.name}/")["total"] == 0
    ben = sites.person("ben")
    assert refusal(ben.operation_ls, share, path=f"/{folder.name}/") == (403, "EndpointPermissionDenied")
    portal.add_endpoint_acl_rule(share, rule(folder, sites.globus.env["CAUSEWAY_STEWARD_GROUPS"], kind="group"))
    assert ben.operation_ls(share, path=f"/{folder.name}/")["total"] == 0


def test_second_rule_for_principal_and_path_exists(sites, portal, share, folder):
    first = rule(folder, sites.identity("cy@elsewhere.example"))
    portal.add_endpoint_acl_rule(share, first)
    assert refusal(portal.add_endpoint_acl_rule, share, {**first, "permissions": "rw"}) == (409, "Exists")


def test_rule_can_be_read_changed_and_listed_with_the_roles(sites, portal, share, folder):
    made = portal.add_endpoint_acl_rule(share, rule(folder, sites.identity("cy@elsewhere.example"), notify_email="cy@elsewhere.example"))
    portal.update_endpoint_acl_rule(share, made["access_id"], {"DATA_TYPE": "access", "permissions": "rw"})
    found = portal.get_endpoint_acl_rule(share, made["access_id"])
    assert (found["permissions"], found["role_id"], found["expiration_date"]) == ("rw", None, None)
    rules = list(portal.endpoint_acl_list(share))
    assert made["access_id"] in [each["id"] for each in rules]
    implied = [each for each in rules if each["id"] is None]
    assert {each["role_type"] for each in implied} == {"administrator", "access_manager"}
    assert all(each["path"] == "/" and each["permissions"] == "rw" and each["role_id"] for each in implied)


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/a"},
        {"path": "a/"},
        {"path": "/../a/"},
        {"permissions": "w"},
        {"principal_type": "everyone"},
        {"principal": "ada@university.example"},
        {"principal": str(uuid.uuid4())},
        {"principal_type": "anonymous"},
        {"expiration_date": "2020-01-01T00:00:00+00:00"},
        {"expiration_date": "tomorrow"},
    ],
)
def test_rule_that_cannot_be_is_refused(sites, portal, share, folder, change):
    status, code = refusal(portal.add_endpoint_acl_rule, share, {**rule(folder, sites.identity("cy@elsewhere.example")), **change})
    assert status == 400
    assert code in {"BadRequest", "InvalidPath"}


def test_anonymous_may_read_but_never_write(sites, portal, share, folder):
    assert refusal(portal.add_endpoint_acl_rule, share, rule(folder, kind="anonymous", permissions="rw")) == (403, "PermissionDenied")
    portal.add_endpoint_acl_rule(share, rule(folder, kind="anonymous"))
    assert sites.person("cy").operation_ls(share, path=f"/{folder.name}/")["total"] == 0


def test_rule_past_its_expiration_opens_nothing_and_takes_no_place(sites, portal, share, folder):
    cy, identity = sites.person("cy"), sites.identity("cy@elsewhere.example")
    soon = (datetime.now(UTC) + timedelta(seconds=6)).isoformat()
    asked = rule(folder, identity, expiration_date=soon)
    made = portal.add_endpoint_acl_rule(share, asked)
    assert cy.operation_ls(share, path=f"/{folder.name}/")["total"] == 0
    wait_until(lambda: made["access_id"] not in [each["id"] for each in portal.endpoint_acl_list(share)])
    assert refusal(cy.operation_ls, share, path=f"/{folder.name}/") == (403, "EndpointPermissionDenied")
    del asked["expiration_date"]
    assert portal.add_endpoint_acl_rule(share, asked)["access_id"] != made["access_id"]


def test_removed_rule_closes_https_too(sites, portal, share, folder):
    (folder / "a.txt").write_text("hello")
    graph = sites.globus.env["CAUSEWAY_GRAPH_CLIENT_ID"]
    made = portal.add_endpoint_acl_rule(share, rule(folder, graph))
    assert sites.fetch("graph", share, f"/{folder.name}/a.txt").text == "hello"
    portal.delete_endpoint_acl_rule(share, made["access_id"])
    assert wait_until(lambda: sites.fetch("graph", share, f"/{folder.name}/a.txt").status_code == 403)


def test_only_managers_set_rules_and_only_on_guest_collections(sites, portal, share, folder):
    ada = sites.person("ada")
    assert refusal(ada.add_endpoint_acl_rule, share, rule(folder, sites.identity("cy@elsewhere.example"))) == (403, "PermissionDenied")
    assert refusal(ada.endpoint_acl_list, share) == (403, "PermissionDenied")
    assert refusal(
        ada.add_endpoint_role,
        share,
        {"principal_type": "identity", "principal": sites.identity("ada@university.example"), "role": "administrator"},
    ) == (403, "PermissionDenied")
    demo = sites.service("demo")
    asked = rule(folder, sites.identity("cy@elsewhere.example"))
    assert refusal(demo.add_endpoint_acl_rule, sites.collection("storage"), asked) == (403, "PermissionDenied")


def test_thousand_rules_are_the_limit(sites, portal, share, folder):
    """The rows are put in straight: a thousand requests would prove nothing more."""
    with sqlite3.connect(sites.globus.data / "localglobus.sqlite") as db:
        (held,) = db.execute("SELECT count(*) FROM access_rule WHERE collection_id = ?", (share,)).fetchone()
        rows = [
            (f"filler-{n}", share, "group", f"filler-{n}", "/filler/", "r", "2026-01-01T00:00:00+00:00", None, None, None)
            for n in range(1000 - held)
        ]
        db.executemany("INSERT INTO access_rule VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    try:
        assert refusal(portal.add_endpoint_acl_rule, share, rule(folder, sites.identity("cy@elsewhere.example"))) == (409, "LimitExceeded")
    finally:
        with sqlite3.connect(sites.globus.data / "localglobus.sqlite") as db:
            db.execute("DELETE FROM access_rule WHERE id LIKE 'filler-%'")
    db.close()


def test_access_manager_role_given_and_taken(sites, share, folder):
    demo, ben = sites.service("demo"), sites.person("ben")
    asked = {
        "DATA_TYPE": "role",
        "principal_type": "identity",
        "principal": sites.identity("ben@archive.example"),
        "role": "access_manager",
    }
    role = demo.add_endpoint_role(share, asked)
    assert (role.http_status, role["role"]) == (201, "access_manager")
    assert refusal(demo.add_endpoint_role, share, asked) == (409, "Exists")
    assert ben.operation_ls(share, path=f"/{folder.name}/")["total"] == 0
    assert ben.add_endpoint_acl_rule(share, rule(folder, sites.identity("cy@elsewhere.example")))["access_id"]
    assert refusal(ben.endpoint_role_list, share) == (403, "PermissionDenied")
    assert role["id"] in [each["id"] for each in demo.endpoint_role_list(share)]
    assert demo.get_endpoint_role(share, role["id"])["principal"] == asked["principal"]
    demo.delete_endpoint_role(share, role["id"])
    assert refusal(ben.operation_ls, share, path=f"/{folder.name}/") == (403, "EndpointPermissionDenied")


def test_token_without_the_transfer_scope_is_refused(sites, share):
    tokens = sites.globus.client("portal").oauth2_client_credentials_tokens("urn:globus:auth:scope:groups.api.globus.org:all")
    assert refusal(TransferClient(authorizer=AccessTokenAuthorizer(tokens["access_token"])).get_endpoint, share) == (
        403,
        "PermissionDenied",
    )
    stale = TransferClient(authorizer=AccessTokenAuthorizer("Agnothing"))
    assert refusal(stale.get_endpoint, share) == (401, "ClientError.AuthenticationFailed")
