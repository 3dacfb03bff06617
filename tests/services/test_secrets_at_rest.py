"""Tokens, codes and secrets are nowhere on the disk as such: not in a store, not in a journal, not in a log."""

import sqlite3

import pytest
from globus_sdk import AccessTokenAuthorizer, ConfidentialAppAuthClient, NativeAppAuthClient, TransferClient, TransferData
from globus_sdk.scopes import GCSCollectionScopes, TransferScopes

from tests.services.localglobus.transfer.conftest import folder, running_sites, sites, wait_until

pytestmark = pytest.mark.long

__all__ = ["folder", "running_sites", "sites"]  # fixtures
CLI_TEMPLATE = "95fdeba8-fac2-42bd-a357-e068d82ff78e"
KEPT_AS_SUCH = {"env", "portal.env", "graph.env", "dtn-archive.secret", "dtn-campus.secret"}  # to be read: mode 0600 each


def everything_written(sites):
    """`(path, content)` of every file that localglobus and the nodes keep, but for those whose purpose is to tell a secret."""
    for path in sorted(sites.folder.rglob("*")):
        if path.is_file() and path.name not in KEPT_AS_SUCH:
            yield path, path.read_bytes()


def test_what_opens_something_is_stored_as_a_hash_only(sites, folder):
    campus = GCSCollectionScopes(sites.collection("campus"))
    portal = sites.globus.client("portal")
    portal.oauth2_start_flow(
        sites.globus.portal_redirect, requested_scopes=f"{TransferScopes.all}[*{campus.data_access}]", refresh_tokens=True
    )
    with sites.globus.browser() as browser:
        code = browser.authorize(portal.oauth2_get_authorize_url(), "ada@")["code"]
        cookies = [cookie.value for cookie in browser.cookies.jar]
    ada = portal.oauth2_exchange_code_for_tokens(code).by_resource_server["transfer.api.globus.org"]
    share = sites.collection("share")
    https = sites.globus.client("demo").oauth2_client_credentials_tokens(str(GCSCollectionScopes(share).https))
    made = NativeAppAuthClient(CLI_TEMPLATE).create_native_app_instance(CLI_TEMPLATE, "mine").data["included"]["client_credential"]
    own = ConfidentialAppAuthClient(made["client"], made["secret"]).oauth2_client_credentials_tokens(str(TransferScopes.all))
    (folder / "a").write_text("a")
    with sites.node_client("archive") as node:  # each of them opens something, so that it passes wherever it could be written down
        assert node.get(f"/{share}/{folder.name}/a", headers={"Authorization": f"Bearer {https['access_token']}"}).status_code == 200
    for token in (ada["access_token"], own["access_token"]):
        assert TransferClient(authorizer=AccessTokenAuthorizer(token)).get_endpoint(sites.collection("archive")).http_status == 200
    refreshed = portal.oauth2_refresh_token(ada["refresh_token"]).by_resource_server["transfer.api.globus.org"]
    copy(sites, folder)
    known = [code, made["secret"], *(held["access_token"] for held in (ada, refreshed, https, own)), ada["refresh_token"]]
    assert all(len(word) > 20 for word in known)
    found = [(word[:6], path) for path, content in everything_written(sites) for word in known if word.encode() in content]
    assert found == []
    assert cookies, "the browser has a session"
    assert [path for path, content in everything_written(sites) for value in cookies if value.strip('"').encode() in content] == []


def copy(sites, folder):
    """A copy between the nodes, whose ticket travels; while it lasts the store holds the ticket's hash."""
    demo = sites.service("demo", data_access="campus")
    sites.node_fault("archive", kind="get", times=1, delay_s=3)
    asked = TransferData(sites.collection("share"), sites.collection("campus"))
    asked.add_item(f"/{folder.name}/a", f"/home/ada/{folder.name}")
    task_id = demo.submit_transfer(asked)["task_id"]
    with sqlite3.connect(sites.globus.data / "localglobus.sqlite", timeout=20) as store:
        (digest,) = wait_until(lambda: store.execute("SELECT digest FROM ticket WHERE task_id = ?", (task_id,)).fetchone())
    store.close()
    assert len(bytes.fromhex(digest)) == 32
    assert wait_until(lambda: demo.get_task(task_id)["status"] != "ACTIVE")
    assert demo.get_task(task_id)["status"] == "SUCCEEDED"


def test_files_that_tell_secrets_are_the_owners_alone(sites):
    told = [path for path in sites.globus.data.rglob("*") if path.name in KEPT_AS_SUCH or path.suffix == ".key"]
    assert {path.name for path in told} >= KEPT_AS_SUCH
    assert [path for path in told if path.stat().st_mode & 0o077] == []
