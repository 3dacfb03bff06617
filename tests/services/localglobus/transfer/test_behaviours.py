"""What a faithful stand-in does beside answering: consents and groups that end what they allowed, mails, a rate limit, old history."""

import email
import email.policy
import sqlite3
import time

import globus_sdk
import httpx
import pytest
from globus_sdk import AccessTokenAuthorizer, AuthClient, GroupsClient, GroupsManager, TransferAPIError, TransferClient, TransferData
from globus_sdk.scopes import GCSCollectionScopes, TransferScopes

from services.localglobus.app import SCHEMAS
from services.localglobus.errors import ApiError
from services.localglobus.store import apply_schemas
from services.localglobus.transfer import tasks
from services.localglobus.transfer.documents import task_document
from services.localglobus.transfer.meter import Meter
from tests.services.localglobus.conftest import use
from tests.services.localglobus.transfer.conftest import wait_until
from tests.services.localglobus.transfer.test_tasks import copy, finished

pytestmark = pytest.mark.long

GROUPS = "urn:globus:auth:scope:groups.api.globus.org:all"
ADA, CY = "ada@university.example", "cy@elsewhere.example"


def mails(sites, words):
    """The mails that hold some words, once there are any."""
    folder = sites.globus.data / "mail"

    def look():
        found = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in sorted(folder.glob("*.eml"))]
        return [each for each in found if words in each["Subject"] or words in each.get_content()]

    return wait_until(look)


@pytest.fixture
def ada(sites):
    """Ada with the data_access consent for the campus, her Auth client beside it."""
    data_access = GCSCollectionScopes(sites.collection("campus")).data_access
    scope = f"openid {TransferScopes.all}[*{data_access}] urn:globus:auth:scope:auth.globus.org:manage_projects"
    tokens = sites.globus.sign_in(ADA, scope).by_resource_server
    return {name: tokens[name]["access_token"] for name in ("auth.globus.org", "transfer.api.globus.org")}


def test_task_is_inactive_while_a_consent_is_missing(sites, ada, folder):
    transfer, campus = TransferClient(authorizer=AccessTokenAuthorizer(ada["transfer.api.globus.org"])), sites.collection("campus")
    sites.fault(kind="node.ticket", times=10_000, error={"http_status": 503, "code": "ServiceUnavailable", "message": "busy"})
    asked = TransferData(sites.collection("archive"), campus, label=folder.name)
    rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": sites.identity(ADA), "path": "/public/", "permissions": "r"}
    rule_id = sites.service("portal").add_endpoint_acl_rule(sites.collection("archive"), rule)["access_id"]
    asked.add_item("/public/notes.txt", f"/~/{folder.name}.txt")
    task_id = transfer.submit_transfer(asked)["task_id"]
    wait_until(lambda: list(transfer.task_event_list(task_id)))
    name = str(GCSCollectionScopes(campus).data_access)
    withdraw(sites, sites.identity(ADA), name)
    task = wait_until(lambda: (found := transfer.get_task(task_id).data)["status"] == "INACTIVE" and found)
    assert (task["is_ok"], task["nice_status"], task["completion_time"]) == (False, "CONSENT_REQUIRED", None)
    (told,) = mails(sites, f"INACTIVE: {folder.name}")
    assert told["To"] == ADA
    sites.clear_faults()
    sites.globus.sign_in(ADA, f"{TransferScopes.all}[*{name}]")
    assert finished_after_inactive(transfer, task_id)["status"] == "SUCCEEDED"
    sites.service("portal").delete_endpoint_acl_rule(sites.collection("archive"), rule_id)


def withdraw(sites, identity_id, scope_name):
    """Take back every consent of Ada to a scope through the portal, as she would on the page of her consents."""
    token = sites.globus.sign_in(ADA, "openid urn:globus:auth:scope:auth.globus.org:manage_projects")["access_token"]
    client = AuthClient(authorizer=AccessTokenAuthorizer(token))
    for consent in client.get_consents(identity_id).data["consents"]:
        if consent["scope_name"] == scope_name:
            client.delete(f"/v2/api/identities/{identity_id}/consents/{consent['id']}")


def finished_after_inactive(client, task_id):
    return wait_until(lambda: (task := client.get_task(task_id).data)["completion_time"] and task)


def test_rule_for_a_group_ends_with_the_membership(sites, folder):
    portal, share, cy = sites.service("portal"), sites.collection("share"), sites.person("cy")
    tokens = sites.globus.client("portal").oauth2_client_credentials_tokens(GROUPS)
    groups = GroupsManager(GroupsClient(authorizer=AccessTokenAuthorizer(tokens["access_token"])))
    group, person = groups.create_group(name=folder.name, description="")["id"], sites.identity(CY)
    rule = {"DATA_TYPE": "access", "principal_type": "group", "principal": group, "path": f"/{folder.name}/", "permissions": "r"}
    portal.add_endpoint_acl_rule(share, rule)
    at = f"/{folder.name}/"
    with pytest.raises(TransferAPIError):
        cy.operation_ls(share, path=at)
    groups.add_member(group, person)
    assert cy.operation_ls(share, path=at)["DATA"] == []
    groups.remove_member(group, person)
    with pytest.raises(TransferAPIError) as refused:
        cy.operation_ls(share, path=at)
    assert refused.value.code == "EndpointPermissionDenied"


def test_changes_of_a_group_raise_the_version_that_nodes_compare(sites, folder):
    """A node that keeps an answer learns from `rule_version` that it is old."""
    share = sites.collection("share")

    def version():
        secret = (sites.globus.data / "dtn-archive.secret").read_text()
        asked = {"collection": share, "token": None, "known_version": None}
        answer = httpx.post(f"{sites.globus.url}/dtn/v1/access", json=asked, headers={"Authorization": f"Bearer {secret}"}, trust_env=False)
        return answer.json()["rule_version"]

    tokens = sites.globus.client("portal").oauth2_client_credentials_tokens(GROUPS)
    groups = GroupsManager(GroupsClient(authorizer=AccessTokenAuthorizer(tokens["access_token"])))
    group = groups.create_group(name=folder.name, description="")["id"]
    rule = {"DATA_TYPE": "access", "principal_type": "group", "principal": group, "path": f"/{folder.name}/", "permissions": "r"}
    sites.service("portal").add_endpoint_acl_rule(share, rule)
    before = version()
    groups.add_member(group, sites.identity(CY))
    assert version() > before


def test_mails_tell_of_rules_and_of_the_end_of_tasks(sites, folder):
    portal, share = sites.service("portal"), sites.collection("share")
    rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": sites.identity(ADA), "path": f"/{folder.name}/"}
    wish = {"permissions": "rw", "notify_email": ADA, "notify_message": f"for you {folder.name}"}
    portal.add_endpoint_acl_rule(share, {**rule, **wish})
    (told,) = mails(sites, f"for you {folder.name}")
    assert (told["To"], told["Subject"]) == (ADA, "Causeway Shares is shared with you")
    (folder / "mine").write_text("mine")
    for is_told in (False, True):
        asked = TransferData(share, share, label=f"{folder.name} {is_told}", notify_on_succeeded=is_told)
        asked.add_item(f"/{folder.name}/mine", f"/{folder.name}/{is_told}")
        assert finished(sites.person("ada"), sites.person("ada").submit_transfer(asked)["task_id"])["status"] == "SUCCEEDED"
    (told,) = mails(sites, f"SUCCEEDED: {folder.name}")
    assert told["Subject"] == f"Globus task SUCCEEDED: {folder.name} True"


def test_who_calls_too_often_waits_and_others_do_not():
    meter = Meter(per_second=2)
    for _ in range(20):
        meter.count("ada")
    with pytest.raises(ApiError) as refused:
        meter.count("ada")
    assert (refused.value.http_status, refused.value.headers["Retry-After"]) == (429, "1")
    meter.count("cy")
    Meter(per_second=0).count("ada")


def test_rate_limit_is_answered_with_retry_after(start_localglobus, monkeypatch):
    globus = start_localglobus("--rate-limit", "0.2")
    use(globus, monkeypatch)
    tokens = globus.client("demo").oauth2_client_credentials_tokens(str(TransferScopes.all))
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    answers = [httpx.get(f"{globus.url}/v0.10/task_list", headers=headers, trust_env=False) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert int(answers[2].headers["Retry-After"]) >= 1
    assert answers[2].json()["code"] == "RateLimitExceeded"


def test_history_is_kept_for_thirty_days(tmp_path, sites, folder):
    """The clock is not ours to move: the end of a task is moved into the past in a copy of the store."""
    portal = sites.service("portal")
    ids = [finished(portal, portal.submit_transfer(copy(sites, folder, target=f"{n}/"))["task_id"])["task_id"] for n in range(2)]
    connection = sqlite3.connect(tmp_path / "copy.sqlite", isolation_level=None)
    connection.row_factory = sqlite3.Row
    with sqlite3.connect(sites.globus.data / "localglobus.sqlite") as live:
        live.backup(connection)
    live.close()
    apply_schemas(connection, SCHEMAS)
    old = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() - 31 * 86_400))
    connection.execute("UPDATE task SET completed_at = ? WHERE id = ?", (old, ids[0]))
    tasks.forget_history(connection)
    kept = [row["task_id"] for row in connection.execute("SELECT DISTINCT task_id FROM task_event WHERE task_id IN (?, ?)", ids)]
    assert kept == [ids[1]]
    documents = [task_document(tasks.get(connection, task_id, portal_id(sites)), most_active=3) for task_id in ids]
    assert [document["history_deleted"] for document in documents] == [True, False]
    connection.close()


def portal_id(sites):
    return sites.globus.env["CAUSEWAY_GLOBUS_CLIENT_ID"]


def test_collection_changes_through_transfer_show_at_the_manager(sites, folder):
    demo, manager = sites.service("demo"), sites.manager("demo")
    document = globus_sdk.GuestCollectionDocument(
        mapped_collection_id=sites.collection("storage"), collection_base_path=f"/shares/{folder.name}/", display_name="Short", public=False
    )
    guest = manager.create_collection(document)["id"]
    demo.update_endpoint(guest, {"DATA_TYPE": "endpoint", "display_name": "Longer", "keywords": "a, b", "contact_email": "x@y.example"})
    shown = manager.get_collection(guest)
    assert (shown["display_name"], shown["keywords"], shown["contact_email"]) == ("Longer", ["a", "b"], "x@y.example")
    assert demo.get_endpoint(guest)["keywords"] == "a, b"
    for refusal in (lambda: sites.person("cy").delete_endpoint(guest), lambda: demo.delete_endpoint(sites.collection("storage"))):
        with pytest.raises(TransferAPIError) as refused:
            refusal()
        assert refused.value.http_status in {403, 404}
    assert demo.delete_endpoint(guest)["code"] == "EndpointDeleted"
    with pytest.raises(TransferAPIError) as refused:
        demo.get_endpoint(guest)
    assert refused.value.code == "EndpointNotFound"


def test_host_says_what_it_hosts_and_where_it_runs(sites):
    demo, storage = sites.service("demo"), sites.collection("storage")
    (server,) = demo.endpoint_server_list(storage)
    assert demo.get_endpoint_server(storage, server["id"])["uri"] == sites.node_url("archive")
    pages = list(demo.paginated.get_shared_endpoint_list(storage, max_results=1).items())
    assert {each["id"] for each in pages} >= {sites.collection("share"), sites.collection("archive"), sites.collection("results")}
    with pytest.raises(TransferAPIError) as refused:
        demo.create_shared_endpoint({"DATA_TYPE": "shared_endpoint", "host_endpoint": storage, "host_path": "/", "display_name": "x"})
    assert refused.value.code == "NotSupported"
