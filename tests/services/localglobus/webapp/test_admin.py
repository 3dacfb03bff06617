"""The admin page: seen from this machine only, changed by its own forms only, and doing what it says."""

import os
import re
import sqlite3
from urllib.parse import urlsplit

import httpx
import pytest
from globus_sdk import AuthAPIError, GroupsClient, TransferAPIError, TransferData
from starlette.requests import Request

from services.localglobus.auth.clients import hash_secret
from services.localglobus.webapp.admin import is_local
from tests.services.localglobus.auth.test_sessions import native_client
from tests.services.localglobus.transfer.conftest import wait_until
from tests.services.localglobus.webapp.conftest import act, find, notices, read_token

pytestmark = pytest.mark.long

PAGES = ("", "identities", "groups", "collections", "rules", "tasks", "consents", "tokens", "calls", "faults")


def rows(page, words):
    """The rows of a page's tables that have these words."""
    found = [row for row in re.findall(r"<tr>.*?</tr>", page.text, re.DOTALL) if words in row]
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in found]


@pytest.mark.parametrize("page", PAGES)
def test_each_page_is_there_without_a_sign_in(admin, page):
    shown = admin.get(f"/admin/{page}")
    assert shown.status_code == 200
    assert "for this machine only" in shown.text
    assert "default-src 'none'" in shown.headers["content-security-policy"]


REBOUND = ["evil.example", "evil.example:8000", "", "127.0.0.2.evil.example", "[::1", "192.0.2.1:8000"]


@pytest.mark.parametrize("host", REBOUND)
def test_a_name_that_is_not_ours_is_answered_nothing(admin, host):
    for address in ("/admin/", "/v2/web/sign-in", "/file-manager", "/.well-known/openid-configuration"):
        answer = admin.get(address, headers={"Host": host})
        assert answer.status_code in {400, 421}
        assert "local Globus" not in answer.text
    assert admin.get("/admin/", headers={"Host": "localhost"}).status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Forwarded-Host"])
def test_a_proxy_is_refused(admin, header):
    assert admin.get("/admin/tokens", headers={header: "127.0.0.1"}).status_code == 403


def test_a_peer_that_is_not_loopback_is_refused():
    """Asked as the server asks it: on a closed network (--allow-host) peers are elsewhere."""

    def asked(peer, host, method="GET"):
        scope = {"type": "http", "method": method, "scheme": "http", "path": "/admin/", "query_string": b"", "client": peer}
        return is_local(Request({**scope, "headers": [(b"host", host)]}))

    assert asked(("127.0.0.1", 4000), b"127.0.0.2:8000")
    assert asked(("::1", 4000), b"localhost:8000")
    assert not asked(("192.0.2.7", 4000), b"127.0.0.2:8000")
    assert not asked(("192.0.2.7", 4000), b"192.0.2.1:8000")
    assert not asked(("127.0.0.1", 4000), b"192.0.2.1:8000")
    assert not asked(None, b"127.0.0.2:8000")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_site_posts_nothing_even_with_the_token(admin, headers):
    token = read_token(admin.get("/admin/identities"))
    name = f"{os.urandom(4).hex()}@evil.example"
    fields = {"form_token": token, "act": "add-identity", "username": name}
    assert admin.post("/admin/act", data=fields, headers=headers).status_code == 403
    assert name not in admin.get("/admin/identities").text


def test_a_forged_token_posts_nothing(admin, person):
    name = f"{os.urandom(4).hex()}@evil.example"
    admin.get("/admin/")
    theirs = read_token(person("cy").open("/groups"))
    for token in ("", "0" * 64, theirs):
        assert admin.post("/admin/act", data={"form_token": token, "act": "add-identity", "username": name}).status_code == 403
    assert admin.get("/admin/act").status_code == 405
    assert name not in admin.get("/admin/identities").text


def test_it_goes_back_to_its_own_pages_only(admin):
    token = read_token(admin.get("/admin/"))
    answer = admin.post(
        "/admin/act", data={"form_token": token, "act": "end-session", "session": "none", "back": "//evil.example/"}, follow_redirects=False
    )
    assert answer.headers["location"] == "/admin/"


def test_an_added_identity_signs_in(sites, admin, person):
    name = f"eve-{os.urandom(4).hex()}"
    assert "can sign in now" in notices(act(admin, "identities", act="add-identity", username=f"{name}@new.example", name="Eve"))
    assert person(name).open("/groups").status_code == 200
    assert rows(admin.get("/admin/identities"), f"{name}@new.example")
    sessions = admin.get("/admin/identities").text.partition("<h2>Sessions")[2].replace("\n", "")
    session = find(rf'{name}@new\.example.*?name="session" value="([0-9a-f-]+)"', sessions)
    assert "1 session ended" in notices(act(admin, "identities", act="end-session", session=session))
    assert "/v2/web/sign-in" in person(name).browser.get("/groups").headers["location"]
    again = act(admin, "identities", act="add-identity", username=f"{name}@new.example")
    assert (again.status_code, "is known already" in again.text) == (409, True)
    assert act(admin, "identities", act="add-identity", username="no name").status_code == 400
    unknown = act(
        admin, "identities", act="add-identity", username=f"{name}@other.example", linked_to="00000000-0000-4000-8000-000000000000"
    )
    assert (unknown.status_code, rows(admin.get("/admin/identities"), f"{name}@other.example")) == (404, [])


def test_withdrawn_consents_stop_a_token_at_once(sites, admin):
    client = sites.globus.sign_in("ben@", GroupsClient.scopes.all, client="portal")
    token = client.by_resource_server["groups.api.globus.org"]["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert admin.get("/v2/groups/my_groups", headers=headers).status_code == 200
    page = admin.get("/admin/tokens").text
    assert token not in page
    ben = sites.identity("ben@archive.example")
    assert "withdrawn" in notices(act(admin, "consents", act="withdraw", identity=ben))
    assert admin.get("/v2/groups/my_groups", headers=headers).status_code == 401


def test_a_revoked_token_is_dead_and_shown_so(sites, admin):
    answer = sites.globus.client("demo").oauth2_client_credentials_tokens(GroupsClient.scopes.all)
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    assert admin.get("/v2/groups/my_groups", headers=headers).status_code == 200
    number = find(r'name="token" value="(\d+)"', admin.get("/admin/tokens").text)
    assert "1 token revoked" in notices(act(admin, "tokens", act="revoke", token=number))
    assert admin.get("/v2/groups/my_groups", headers=headers).status_code == 401
    assert "revoked" in rows(admin.get("/admin/tokens"), "Causeway demo service client")[0]


def test_revoking_a_replaced_refresh_token_ends_its_whole_family(sites, admin):
    client = native_client(sites.globus)
    client.oauth2_start_flow(requested_scopes="openid", refresh_tokens=True)
    with sites.globus.browser() as browser:
        code = browser.authorize(client.oauth2_get_authorize_url(), "ada@university.example")["code"]
    first = client.oauth2_exchange_code_for_tokens(code)["refresh_token"]
    newest = client.oauth2_refresh_token(first)
    with sqlite3.connect(sites.globus.data / "localglobus.sqlite", timeout=20) as connection:
        (number,) = connection.execute("select id from token where hash = ?", (hash_secret(newest["refresh_token"]),)).fetchone()
    connection.close()
    assert "tokens revoked" in notices(act(admin, "tokens", act="revoke", token=str(number)))
    for token in (first, newest["refresh_token"]):
        with pytest.raises(AuthAPIError):
            client.oauth2_refresh_token(token)
    assert act(admin, "tokens", act="revoke", token="999999999").status_code == 404


def test_calls_show_who_asked_and_what_was_refused(sites, admin):
    nowhere = f"00000000-0000-4000-8000-{os.urandom(6).hex()}"
    demo = sites.service("demo")
    with pytest.raises(TransferAPIError):
        demo.get_endpoint(nowhere)
    sites.fault(kind="task.list", error={"http_status": 409, "code": "Odd", "message": "for a test"})
    with pytest.raises(TransferAPIError):
        demo.task_list()
    (call,) = rows(admin.get(f"/admin/calls?failed=1&q={nowhere}"), nowhere)
    assert "404 EndpointNotFound" in call
    assert sites.globus.client("demo").client_id in call
    assert "409" in rows(admin.get("/admin/calls?failed=1&q=task_list"), "said by the fault switch")[0]
    assert rows(admin.get("/admin/calls?nodes=1"), "/dtn/v1/"), "nodes have registered and ask for orders"
    assert "Bearer" not in admin.get("/admin/calls").text


def test_a_disconnected_node_is_out_of_reach_until_it_is_connected(sites, admin):
    ada = sites.person("ada", data_access="campus")
    campus = sites.collection("campus")
    act(admin, "collections", act="disconnect", node="campus")
    try:
        assert "disconnected" in rows(admin.get("/admin/collections"), 'value="campus"')[0]
        with pytest.raises(TransferAPIError) as refused:
            ada.operation_ls(campus, path="/~/")
        assert (refused.value.http_status, refused.value.code) == (502, "ExternalError.DirListingFailed.ConnectFailed")
        (sites.root("campus") / "home/ada/waiting.txt").write_text("w")
        asked = TransferData(campus, campus)
        asked.add_item("/~/waiting.txt", "/~/waited.txt")
        task_id = ada.submit_transfer(asked)["task_id"]
        wait_until(lambda: rows(admin.get("/admin/calls?nodes=1"), "503 ServiceUnavailable"))
        assert ada.get_task(task_id)["status"] == "ACTIVE"
    finally:
        act(admin, "collections", act="connect", node="campus")
    wait_until(lambda: ada.get_task(task_id)["status"] == "SUCCEEDED", timeout_s=80)
    wait_until(lambda: "online" in rows(admin.get("/admin/collections"), 'value="campus"')[0])
    assert act(admin, "collections", act="disconnect", node="elsewhere").status_code == 404


def test_a_task_shows_all_that_is_kept_and_is_ended(sites, admin, cut_off):
    ada, campus = sites.person("ada", data_access="campus"), sites.collection("campus")
    asked = TransferData(campus, campus, label="to be ended")
    asked.add_item("/~/ended.txt", "/~/never.txt")
    task_id = ada.submit_transfer(asked)["task_id"]
    page = admin.get(f"/admin/tasks/{task_id}")
    for words in ("waits to be leased", "/home/ada/ended.txt", "ada@university.example", "to be ended"):
        assert words in page.text
    assert task_id in admin.get("/admin/tasks?open=1").text
    assert "is ended" in notices(act(admin, f"tasks/{task_id}", act="end-task", task=task_id))
    assert ada.get_task(task_id)["fatal_error"]["code"] == "CANCELED"
    assert act(admin, "tasks", act="end-task", task=task_id).status_code == 404
    assert admin.get("/admin/tasks/none").status_code == 404


def test_the_fault_switch_by_its_form(sites, admin):
    fields = {"outcome": "error", "http_status": "503", "code": "Broken", "message": "by the form", "retry_after": "7", "times": "1"}
    assert "1 call of mkdir" in notices(act(admin, "faults", act="add-fault", kind="mkdir", **fields))
    assert rows(admin.get("/admin/faults"), "503 Broken")
    answer = admin.post(f"/v0.10/operation/endpoint/{sites.collection('campus')}/mkdir", json={})
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "Broken", "7")
    assert not rows(admin.get("/admin/faults"), "503 Broken")
    act(admin, "faults", act="add-fault", kind="stat", outcome="drop", times="3")
    assert act(admin, "faults", act="clear-faults", place="0", kind="mkdir").status_code == 404, "another stands there by now"
    assert rows(admin.get("/admin/faults"), "connection closed")
    act(admin, "faults", act="clear-faults", place="0", kind="stat")
    assert not rows(admin.get("/admin/faults"), "connection closed")
    for wrong in ({"kind": "none"}, {"times": "0"}, {"http_status": "200"}, {"outcome": "shrug"}, {"delay_s": "-1"}):
        assert act(admin, "faults", act="add-fault", **{"kind": "stat", **fields, **wrong}).status_code == 400


def test_without_faults_the_switch_is_closed_on_the_page_too(start_localglobus):
    globus = start_localglobus()
    with httpx.Client(base_url=globus.url, trust_env=False, follow_redirects=True) as admin:
        assert "The fault switch is closed" in admin.get("/admin/faults").text
        token = read_token(admin.get("/admin/identities"))
        answer = admin.post("/admin/act", data={"form_token": token, "act": "add-fault", "kind": "*", "outcome": "drop", "times": "1"})
        assert answer.status_code == 403
        assert urlsplit(str(answer.url)).path == "/admin/act"
        assert admin.get("/admin/").status_code == 200
