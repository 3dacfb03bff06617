"""Control's side of the protocol, asked by a node that this test plays over HTTP: secrets, leases, numbered results, one end."""

import json
import sqlite3
import uuid

import httpx
import pytest
from globus_sdk import AccessTokenAuthorizer, TransferAPIError, TransferClient, TransferData
from globus_sdk.scopes import GCSCollectionScopes, TransferScopes

from services.embedded.addresses import free_port
from tests.services.localglobus.conftest import LocalGlobus, use

ZERO = dict.fromkeys(("files", "files_transferred", "files_skipped", "directories", "bytes_transferred", "bytes_checksummed", "faults"), 0)
RESULT = {
    "source_path": "/a",
    "destination_path": "/b",
    "size": 5,
    "checksum": "0" * 64,
    "status": "transferred",
    "error_code": None,
    "error_details": None,
}


class Node:
    """What a data transfer node says to control."""

    def __init__(self, globus, name):
        secret = (globus.data / f"dtn-{name}.secret").read_text()
        self.client = httpx.Client(base_url=globus.url, headers={"Authorization": f"Bearer {secret}"}, trust_env=False)
        self.name, self.instance = name, str(uuid.uuid4())

    def say(self, path, **body):
        return self.client.post(f"/dtn/v1/{path}", json={"instance": self.instance, **body})

    def register(self, instance=None):
        self.instance = instance or self.instance
        return self.say("register", protocol=1, name=self.name, url="https://127.0.0.3:9", csr=None)

    def lease(self, wait_s=0):
        return self.say("orders/lease", wait_s=wait_s, most=4).json()["orders"]


@pytest.fixture(scope="module")
def control(tmp_path_factory):
    """A localglobus whose nodes are played; rows that only time would change are changed in its file."""
    globus = LocalGlobus(tmp_path_factory.mktemp("control"), free_port()).start()
    yield globus
    globus.stop()


@pytest.fixture
def node(control, monkeypatch):
    use(control, monkeypatch)
    made = Node(control, "archive")
    assert made.register().status_code == 200
    yield made
    made.register()
    change(control, "UPDATE copy_order SET leased_until = 0, held_until = 0")
    for order in made.lease():
        made.say(f"orders/{order['id']}/finish", status="FAILED", counters=ZERO, fatal_error=None)
    made.client.close()


@pytest.fixture
def portal(control, node):
    tokens = control.client("portal").oauth2_client_credentials_tokens(str(TransferScopes.all))
    return TransferClient(authorizer=AccessTokenAuthorizer(tokens["access_token"]))


@pytest.fixture
def task_id(control, portal):
    asked = TransferData(control.env["CAUSEWAY_ARCHIVE_COLLECTION"], control.env["CAUSEWAY_SHARE_COLLECTION"])
    asked.add_item("/a", "/b")
    asked.add_item("/folder/", "/copy/", recursive=True)
    return portal.submit_transfer(asked)["task_id"]


def change(control, statement, *values):
    with sqlite3.connect(control.data / "localglobus.sqlite", timeout=10) as db:
        db.execute(statement, values)
    db.close()


def test_only_the_secret_opens_and_says_which_node_asks(control, node):
    stranger = httpx.post(f"{control.url}/dtn/v1/collections", headers={"Authorization": "Bearer nothing"}, trust_env=False)
    assert stranger.status_code in {401, 405}
    assert httpx.get(f"{control.url}/dtn/v1/collections", trust_env=False).status_code == 401
    assert node.client.post("/dtn/v1/register", json={"protocol": 1, "name": "campus", "url": "https://x"}).status_code == 400
    names = {each["name"] for each in node.client.get("/dtn/v1/collections").json()["collections"]}
    assert names == {"Archive storage", "Causeway Archive", "Causeway Shares", "Causeway Results"}
    foreign = node.say("access", collection=control.env["CAUSEWAY_CAMPUS_COLLECTION"], token=None)
    assert foreign.status_code == 404


def test_access_is_decided_by_scope_token_and_fresh_rules(control, node, portal):
    share = control.env["CAUSEWAY_SHARE_COLLECTION"]
    nobody = node.say("access", collection=share, token=None).json()
    assert (nobody["active"], nobody["identity"], nobody["rules"]) == (False, None, [])
    wrong = control.client("portal").oauth2_client_credentials_tokens(str(TransferScopes.all))["access_token"]
    assert node.say("access", collection=share, token=wrong).json()["active"] is False
    token = control.client("graph").oauth2_client_credentials_tokens(str(GCSCollectionScopes(share).https))["access_token"]
    graph = control.env["CAUSEWAY_GRAPH_CLIENT_ID"]
    before = node.say("access", collection=share, token=token).json()
    assert (before["active"], before["identity"], before["rules"]) == (True, graph, [])
    rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": graph, "path": "/x/", "permissions": "r"}
    rule_id = portal.add_endpoint_acl_rule(share, rule)["access_id"]
    after = node.say("access", collection=share, token=token).json()
    assert after["rules"] == [{"path": "/x/", "permissions": "r"}]
    assert after["rule_version"] > before["rule_version"]
    portal.delete_endpoint_acl_rule(share, rule_id)
    control.client("graph").oauth2_revoke_token(token)
    ended = node.say("access", collection=share, token=token).json()
    assert (ended["active"], ended["rules"]) == (False, [])


def test_mapped_collection_wants_data_access_below_https(control, node):
    storage = control.env["CAUSEWAY_STORAGE_COLLECTION"]
    scopes = GCSCollectionScopes(storage)
    plain = control.client("graph").oauth2_client_credentials_tokens(str(scopes.https))["access_token"]
    assert node.say("access", collection=storage, token=plain).json()["active"] is False
    whole = str(scopes.https.with_dependency(scopes.data_access))
    token = control.client("portal").oauth2_client_credentials_tokens(whole)["access_token"]
    assert node.say("access", collection=storage, token=token).json()["rules"] == [{"path": "/", "permissions": "rw"}]


def test_order_is_leased_once_and_again_when_its_lease_runs_out(control, node, task_id):
    (order,) = node.lease()
    assert (order["task_id"], order["kind"], order["n_items"], order["last_sequence"]) == (task_id, "copy", 2, 0)
    assert order["source"]["url"] == f"https://127.0.0.3:9/{control.env['CAUSEWAY_ARCHIVE_COLLECTION']}"
    items = node.client.get(f"/dtn/v1/orders/{order['id']}/items", params={"after": -1}).json()["items"]
    assert [(each["index"], each["source_path"], each["recursive"]) for each in items] == [(0, "/a", False), (1, "/folder/", True)]
    assert node.client.get(f"/dtn/v1/orders/{order['id']}/items", params={"after": 1}).json()["items"] == []
    assert node.lease() == []
    change(control, "UPDATE copy_order SET leased_until = 0 WHERE id = ?", order["id"])
    assert [each["id"] for each in node.lease()] == [order["id"]]


FOLDER = {"source_folder": "/a/", "destination_folder": "/b/"}
ODD = [True, -1, 1.5, "x", ["x"]]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_report_is_the_nodes_fault_and_keeps_nothing(control, node, task_id, odd):
    (order,) = node.lease()
    asked = {
        "heartbeat": [{"counters": odd}, {"counters": {"files": odd}}, {"counters": {"files": 2**63}}, {"fault": odd}],
        "results": [
            {"sequence": odd},
            {"sequence": 1, "results": odd},
            {"sequence": 1, "results": [odd]},
            {"sequence": 1, "results": [{**RESULT, "status": odd}]},
            {"sequence": 1, "results": [{**RESULT, "size": 2**63}]},
            {"sequence": 1, "transferred": odd},
            {"sequence": 1, "transferred": [odd]},
            {"sequence": 1, "transferred": [{**FOLDER, "source_folder": None, "files": [["a", 1, "0" * 64]]}]},
            {"sequence": 1, "transferred": [{**FOLDER, "files": odd}]},
            {"sequence": 1, "transferred": [{**FOLDER, "files": [odd]}]},
            {"sequence": 1, "transferred": [{**FOLDER, "files": [["a", odd, odd]]}]},
            {"sequence": 1, "transferred": [{**FOLDER, "files": [["a", 1, "0" * 64]] * 1001}]},
            {"sequence": 1, "events": odd},
            {"sequence": 1, "events": [odd]},
        ],
        "finish": [{"status": odd}, {"status": "FAILED", "fatal_error": odd}, {"status": "SUCCEEDED", "counters": {"files": odd}}],
    }
    for act, documents in asked.items():
        for document in documents:
            answer = node.say(f"orders/{order['id']}/{act}", **document)
            assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest"), document
    for path, document in (("register", {"url": odd}), ("access", {"token": odd}), ("orders/lease", {"wait_s": odd, "most": odd})):
        if not isinstance(odd, str):
            collection = control.env["CAUSEWAY_SHARE_COLLECTION"]
            answer = node.say(
                path, **{"protocol": 1, "name": "archive", "collection": collection, "url": "https://127.0.0.3:9", **document}
            )
            assert answer.status_code == 400, (path, document)
    assert node.say(f"orders/{order['id']}/results", sequence=1, results=[RESULT], events=[], counters=ZERO).json() == {
        "accepted_sequence": 1
    }


def test_new_process_takes_over_at_once_and_the_old_one_has_lost(control, node, task_id):
    (order,) = node.lease()
    old = node.instance
    node.register(str(uuid.uuid4()))
    assert [each["id"] for each in node.lease()] == [order["id"]]
    late = node.client.post(f"/dtn/v1/orders/{order['id']}/heartbeat", json={"instance": old, "counters": ZERO, "fault": None})
    assert late.json()["action"] == "lost"
    for path, body in (("results", {"sequence": 1, "results": [RESULT]}), ("finish", {"status": "SUCCEEDED"})):
        assert node.client.post(f"/dtn/v1/orders/{order['id']}/{path}", json={"instance": old, **body}).status_code == 409
    assert node.client.post("/dtn/v1/orders/lease", json={"instance": old, "wait_s": 0}).status_code == 409


def test_files_that_are_told_by_folders_are_results_like_others(node, portal, task_id):
    (order,) = node.lease()
    told = [{**FOLDER, "files": [["x", 5, "0" * 64], ["y", 0, "1" * 64]]}, {**FOLDER, "files": [["z\0z", 1, "2" * 64]]}]
    counters = {**ZERO, "files": 3, "files_transferred": 3, "bytes_transferred": 6}
    node.say(f"orders/{order['id']}/results", sequence=1, transferred=told, results=[], events=[], counters=counters)
    node.say(f"orders/{order['id']}/finish", status="SUCCEEDED", counters=counters)
    delivered = [(one["source_path"], one["destination_path"]) for one in portal.task_successful_transfers(task_id)]
    assert delivered == [("/a/x", "/b/x"), ("/a/y", "/b/y"), ("/a/z\0z", "/b/z\0z")]


def test_results_are_kept_once_in_order_and_totals_never_fall(control, node, portal, task_id):
    (order,) = node.lease()
    batch = {"sequence": 1, "counters": {**ZERO, "files": 2, "files_transferred": 1, "bytes_transferred": 5}, "results": [RESULT]}
    event = {"code": "PROGRESS", "description": "one", "details": {"n": 1}, "is_error": False, "time": "2026-11-20T05:00:00Z"}
    for _ in range(2):
        assert node.say(f"orders/{order['id']}/results", **batch, events=[event]).json() == {"accepted_sequence": 1}
    assert node.say(f"orders/{order['id']}/results", **{**batch, "sequence": 3}, events=[]).json() == {"accepted_sequence": 1}
    node.say(f"orders/{order['id']}/heartbeat", counters=ZERO, fault=None)
    task = portal.get_task(task_id)
    assert (task["files"], task["files_transferred"], task["bytes_transferred"]) == (2, 1, 5)
    assert len(list(portal.task_successful_transfers(task_id))) == 1
    assert [each["code"] for each in portal.task_event_list(task_id)] == ["PROGRESS", "STARTED"]


def test_progress_is_told_once_a_minute_with_what_came_since(control, node, portal, task_id):
    (order,) = node.lease()

    def told():
        events = [each for each in portal.task_event_list(task_id, limit=100) if each["code"] == "PROGRESS"]
        return [json.loads(each["details"])["bytes_transferred"] for each in events]

    def beat(n_bytes, *, minutes):
        """As if the last event were some minutes old."""
        change(control, f"UPDATE task_event SET time = strftime('%Y-%m-%dT%H:%M:%S+00:00', time, '-{minutes} minutes')")
        node.say(f"orders/{order['id']}/heartbeat", counters={**ZERO, "bytes_transferred": n_bytes}, fault=None)

    beat(5_000_000, minutes=0)
    assert told() == []
    beat(9_000_000, minutes=2)
    assert told() == [9_000_000]
    beat(9_000_000, minutes=2)
    beat(10_000_000, minutes=0)
    assert told() == [1_000_000, 9_000_000]
    node.say(f"orders/{order['id']}/finish", counters={**ZERO, "bytes_transferred": 10_000_007}, status="SUCCEEDED", fatal_error=None)
    assert told() == [7, 1_000_000, 9_000_000]


def test_fault_is_one_event_until_it_changes_and_then_passes(control, node, portal, task_id):
    (order,) = node.lease()
    fault = {"code": "FILE_NOT_FOUND", "description": "no /a", "path": "/a"}
    for _ in range(3):
        assert node.say(f"orders/{order['id']}/heartbeat", counters=ZERO, fault=fault).json()["action"] == "continue"
    task = portal.get_task(task_id)
    assert (task["is_ok"], task["nice_status"], task["faults"]) == (False, "FILE_NOT_FOUND", 1)
    assert [each["code"] for each in portal.task_event_list(task_id)] == ["FILE_NOT_FOUND", "STARTED"]
    node.say(f"orders/{order['id']}/heartbeat", counters=ZERO, fault=None)
    assert portal.get_task(task_id)["nice_status"] == "OK"


def test_order_ends_once(control, node, portal, task_id):
    (order,) = node.lease()
    fatal = {"code": "NO_SPACE", "description": "disk full"}
    for status in ("FAILED", "SUCCEEDED"):
        said = node.say(f"orders/{order['id']}/finish", counters=ZERO, status=status, fatal_error=fatal)
        assert said.json() == {}
    task = portal.get_task(task_id)
    assert (task["status"], task["fatal_error"]) == ("FAILED", {**fatal, "code": "NO_SPACE_LEFT"})
    assert node.say(f"orders/{order['id']}/heartbeat", counters=ZERO, fault=None).json()["action"] == "cancel"


def test_cancellation_reaches_the_node_and_ends_without_it_when_its_lease_is_over(control, node, portal, task_id):
    (order,) = node.lease()
    change(control, "UPDATE task SET is_cancel_asked = 1 WHERE id = ?", task_id)
    assert node.say(f"orders/{order['id']}/heartbeat", counters=ZERO, fault=None).json()["action"] == "cancel"
    assert portal.get_task(task_id)["status"] == "ACTIVE"
    change(control, "UPDATE copy_order SET leased_until = 0 WHERE id = ?", order["id"])
    assert portal.task_wait(task_id, timeout=60, polling_interval=1)
    assert portal.get_task(task_id)["fatal_error"]["code"] == "CANCELED"


def test_right_taken_away_pauses_and_given_back_goes_on(control, node, portal, task_id):
    (order,) = node.lease()
    share, client = control.env["CAUSEWAY_SHARE_COLLECTION"], control.env["CAUSEWAY_GLOBUS_CLIENT_ID"]
    beat = {"counters": ZERO, "fault": None}
    change(control, "UPDATE role SET role = 'activity_monitor' WHERE subject_id = ? AND principal = ?", share, client)
    assert node.say(f"orders/{order['id']}/heartbeat", **beat).json()["action"] == "pause"
    change(control, "UPDATE role SET role = 'access_manager' WHERE subject_id = ? AND principal = ?", share, client)
    assert node.say(f"orders/{order['id']}/heartbeat", **beat).json()["action"] == "continue"


def test_ticket_is_good_for_the_sources_of_its_task_as_long_as_it_runs(control, node, task_id):
    (order,) = node.lease()
    archive, ticket = control.env["CAUSEWAY_ARCHIVE_COLLECTION"], order["source"]["ticket"]
    found = node.say("tickets/check", collection=archive, ticket=ticket).json()
    assert (found["active"], found["task_id"], found["paths"]) == (True, task_id, ["/a", "/folder/"])
    again = node.say("tickets/check", collection=archive, ticket=ticket, known=found["mark"]).json()
    assert (again["active"], again["paths"], again["mark"]) == (True, None, found["mark"]), "what is known is not told again"
    assert node.say("tickets/check", collection=archive, ticket=ticket, known="older").json()["paths"] == found["paths"]
    other = node.say("tickets/check", collection=control.env["CAUSEWAY_SHARE_COLLECTION"], ticket=ticket).json()
    assert (other["active"], other["paths"]) == (False, [])
    assert node.say("tickets/check", collection=archive, ticket="guess").json()["active"] is False
    node.say(f"orders/{order['id']}/finish", counters=ZERO, status="SUCCEEDED", fatal_error=None)
    assert node.say("tickets/check", collection=archive, ticket=ticket).json()["active"] is False


def test_ticket_of_a_task_that_is_held_says_so(control, node, portal, task_id):
    (order,) = node.lease()
    asked = {"collection": control.env["CAUSEWAY_ARCHIVE_COLLECTION"], "ticket": order["source"]["ticket"]}

    def told():
        found = node.say("tickets/check", **asked).json()
        return found["active"], found["held"], found["paths"]

    assert told() == (True, False, ["/a", "/folder/"])
    change(control, "INSERT INTO task_pause VALUES (?, 'disks are changed', 'source', '')", task_id)
    assert told() == (False, True, [])
    change(control, "DELETE FROM task_pause")
    assert told()[0] is True
    portal.cancel_task(task_id)
    assert told() == (False, False, [])


@pytest.mark.parametrize("cap", [None, 1024, 50_000_000])
def test_a_bandwidth_cap_reaches_the_node(control, node, portal, cap):
    asked = TransferData(control.env["CAUSEWAY_ARCHIVE_COLLECTION"], control.env["CAUSEWAY_SHARE_COLLECTION"])
    asked.add_item("/a", "/b")
    if cap is not None:
        asked["most_bytes_per_s"] = cap
    portal.submit_transfer(asked)
    (order,) = node.lease()
    assert order["options"]["most_bytes_per_s"] == cap


@pytest.mark.parametrize("cap", [0, 1023, -1, True, "fast", 1.5, 2**63])
def test_a_cap_that_is_none_is_refused(control, portal, cap):
    asked = TransferData(control.env["CAUSEWAY_ARCHIVE_COLLECTION"], control.env["CAUSEWAY_SHARE_COLLECTION"])
    asked.add_item("/a", "/b")
    asked["most_bytes_per_s"] = cap
    with pytest.raises(TransferAPIError) as refused:
        portal.submit_transfer(asked)
    assert (refused.value.http_status, "most_bytes_per_s" in refused.value.message) == (400, True)
