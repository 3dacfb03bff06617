"""Those who look after a collection: they see the tasks on it, cancel and pause them; nobody else does."""

import pytest
from globus_sdk import TransferAPIError, TransferData
from globus_sdk.testing import get_response_set

from tests.services.localglobus.transfer.conftest import wait_until
from tests.services.localglobus.transfer.test_tasks import copy, finished


@pytest.fixture
def portal(sites):
    """The portal's client, with no task under way that another test left."""
    client = sites.service("portal")
    wait_until(lambda: not list(client.task_list(filter="status:ACTIVE")))
    return client


@pytest.fixture
def demo(sites):
    """The administrator of the endpoint and its collections."""
    return sites.service("demo")


@pytest.fixture
def stuck(sites, portal, folder):
    """A task of the portal's client that cannot go on; canceled afterwards."""
    sites.fault(kind="node.ticket", times=10_000, error={"http_status": 503, "code": "ServiceUnavailable", "message": "busy"})
    task_id = portal.submit_transfer(copy(sites, folder, label=folder.name))["task_id"]
    yield task_id
    sites.clear_faults()
    portal.cancel_task(task_id)


@pytest.fixture
def rule(sites, demo):
    """Makes pause rules on the shares, removed afterwards."""
    made = []

    def make(**asked):
        document = {"DATA_TYPE": "pause_rule", "endpoint_id": sites.collection("share"), "message": "moving disks", **asked}
        made.append(demo.endpoint_manager_create_pause_rule(document)["id"])
        return made[-1]

    yield make
    for each in demo.endpoint_manager_pause_rule_list():
        if each["id"] in made:
            demo.endpoint_manager_delete_pause_rule(each["id"])


def test_tasks_are_listed_to_who_looks_after_the_collection(sites, portal, demo, folder):
    ids = [portal.submit_transfer(copy(sites, folder, target=f"{n}/"))["task_id"] for n in range(3)]
    for task_id in ids:
        finished(portal, task_id)
    found = [each["task_id"] for each in demo.endpoint_manager_task_list(filter_task_id=ids)]
    assert sorted(found) == sorted(ids)
    answer = demo.endpoint_manager_task_list(query_params={"limit": 2})
    assert (answer["has_next_page"], len(answer["DATA"])) == (True, 2)
    pages = demo.paginated.endpoint_manager_task_list(query_params={"limit": 2})
    seen = [each["task_id"] for each in pages.items()]
    assert len(seen) == len(set(seen))
    assert set(ids) <= set(seen)
    recorded = get_response_set("transfer.endpoint_manager_task_list").lookup("default").json["DATA"][0]
    assert set(recorded) - set(answer["DATA"][0]) == set()
    assert demo.endpoint_manager_get_task(ids[0])["owner_string"].endswith("@clients.auth.globus.org")
    assert demo.endpoint_manager_task_event_list(ids[0])["DATA"][0]["code"] == "SUCCEEDED"
    assert len(list(demo.endpoint_manager_task_successful_transfers(ids[0]))) >= 2
    assert list(demo.endpoint_manager_task_skipped_errors(ids[0])) == []
    hosted = {each["id"] for each in demo.endpoint_manager_hosted_endpoint_list(sites.collection("storage"))}
    assert sites.collection("share") in hosted & {each["id"] for each in demo.endpoint_manager_monitored_endpoints()}


@pytest.mark.parametrize(
    ("asked", "matches"),
    [
        ({"filter_status": "SUCCEEDED"}, True),
        ({"filter_status": ["ACTIVE", "INACTIVE"]}, False),
        ({"filter_min_faults": 1000}, False),
        ({"filter_completion_time": "2020-01-01,2020-01-02"}, False),
        ({"filter_completion_time": "2020-01-01,"}, True),
        ({"filter_endpoint": "share", "filter_endpoint_use": "destination"}, True),
        ({"filter_endpoint": "share", "filter_endpoint_use": "source"}, False),
    ],
)
def test_filters_of_the_task_list(sites, portal, demo, folder, asked, matches):
    task_id = finished(portal, portal.submit_transfer(copy(sites, folder))["task_id"])["task_id"]
    if asked.get("filter_endpoint"):
        asked = {**asked, "filter_endpoint": sites.collection("share")}
    found = [each["task_id"] for each in demo.endpoint_manager_task_list(**asked)]
    assert (task_id in found) == matches


def test_somebody_without_a_role_sees_and_does_nothing(sites, stuck, rule):
    cy, rule_id = sites.person("cy"), rule(pause_task_transfer_write=False)
    assert list(cy.endpoint_manager_task_list()) == []
    assert list(cy.endpoint_manager_monitored_endpoints()) == []
    assert list(cy.endpoint_manager_pause_rule_list()) == []
    acts = [
        lambda: cy.endpoint_manager_get_task(stuck),
        lambda: cy.endpoint_manager_cancel_tasks([stuck], "no"),
        lambda: cy.endpoint_manager_pause_tasks([stuck], "no"),
        lambda: cy.endpoint_manager_get_pause_rule(rule_id),
        lambda: cy.endpoint_manager_delete_pause_rule(rule_id),
    ]
    for act in acts:
        with pytest.raises(TransferAPIError) as refused:
            act()
        assert refused.value.http_status == 404
    with pytest.raises(TransferAPIError) as refused:
        cy.endpoint_manager_create_pause_rule({"endpoint_id": sites.collection("share"), "message": "no"})
    assert refused.value.http_status == 403


def test_monitor_sees_but_does_not_act(sites, demo, stuck):
    cy, share = sites.person("cy"), sites.collection("share")
    document = {"DATA_TYPE": "role", "principal_type": "identity", "principal": sites.identity("cy@elsewhere.example")}
    role = demo.add_endpoint_role(share, {**document, "role": "activity_monitor"})["id"]
    assert stuck in [each["task_id"] for each in cy.endpoint_manager_task_list(filter_status="ACTIVE")]
    with pytest.raises(TransferAPIError):
        cy.endpoint_manager_cancel_tasks([stuck], "no")
    demo.delete_endpoint_role(share, role)
    assert list(cy.endpoint_manager_task_list()) == []


def test_administrator_cancels_a_task(portal, demo, stuck):
    asked = demo.endpoint_manager_cancel_tasks([stuck], "the disk fails")
    task = finished(portal, stuck)
    assert (task["status"], task["fatal_error"]["code"]) == ("FAILED", "CANCELED")
    assert (task["canceled_by_admin"], task["canceled_by_admin_message"]) == ("source", "the disk fails")
    assert demo.endpoint_manager_cancel_status(asked["id"])["done"] is True


def test_paused_task_goes_on_when_resumed(sites, portal, demo, stuck, folder):
    demo.endpoint_manager_pause_tasks([stuck], "wait a little")
    task = portal.get_task(stuck)
    assert (task["status"], task["is_paused"], task["nice_status"]) == ("ACTIVE", True, "PAUSED_BY_ADMIN")
    assert portal.task_pause_info(stuck)["source_pause_message"] == "wait a little"
    sites.clear_faults()
    assert [each["task_id"] for each in demo.endpoint_manager_task_list(filter_status="ACTIVE", filter_is_paused=True)] == [stuck]
    assert not (folder / "copy/notes.txt").exists()
    demo.endpoint_manager_resume_tasks([stuck])
    assert portal.get_task(stuck)["is_paused"] is False
    assert finished(portal, stuck)["status"] == "SUCCEEDED"
    events = [each["code"] for each in portal.task_event_list(stuck, limit=100)]
    assert events.index("UNPAUSED") < events.index("PAUSED")


def test_pause_rule_stops_tasks_and_folder_operations(sites, portal, demo, rule, folder):
    share = sites.collection("share")
    rule_id = rule()
    task_id = portal.submit_transfer(copy(sites, folder))["task_id"]
    wait_until(lambda: portal.get_task(task_id)["is_paused"])
    (shown,) = portal.task_pause_info(task_id)["pause_rules"]
    assert (shown["message"], shown["endpoint_display_name"], shown["pause_task_transfer_write"]) == (
        "moving disks",
        "Causeway Shares",
        True,
    )
    assert [each["id"] for each in portal.my_effective_pause_rule_list(share)] == [rule_id]
    for act in (lambda: portal.operation_ls(share), lambda: portal.operation_mkdir(share, f"/{folder.name}/x/")):
        with pytest.raises(TransferAPIError) as refused:
            act()
        assert (refused.value.http_status, refused.value.code) == (409, "EndpointPaused")
    demo.endpoint_manager_update_pause_rule(rule_id, {"pause_ls": False, "message": "reading goes"})
    assert portal.operation_ls(share, path=f"/{folder.name}/")["DATA"] == []
    assert demo.endpoint_manager_get_pause_rule(rule_id)["message"] == "reading goes"
    demo.endpoint_manager_delete_pause_rule(rule_id)
    assert finished(portal, task_id)["status"] == "SUCCEEDED"


def test_pause_rule_on_the_mapped_collection_for_one_person_only(sites, portal, rule, folder):
    rule(endpoint_id=sites.collection("storage"), identity_id=sites.identity("cy@elsewhere.example"))
    assert finished(portal, portal.submit_transfer(copy(sites, folder))["task_id"])["status"] == "SUCCEEDED"
    with pytest.raises(TransferAPIError) as refused:
        sites.person("cy").operation_mkdir(sites.collection("share"), "/x/")
    assert refused.value.http_status in {403, 409}


def test_three_tasks_are_under_way_and_the_rest_is_queued(sites, portal, folder):
    sites.fault(kind="node.ticket", times=10_000, error={"http_status": 503, "code": "ServiceUnavailable", "message": "busy"})
    ids = []
    for number in range(5):
        asked = TransferData(sites.collection("archive"), sites.collection("share"), label=folder.name)
        asked.add_item("/public/notes.txt", f"/{folder.name}/{number}.txt")
        ids.append(portal.submit_transfer(asked)["task_id"])
    for task_id in ids[:3]:
        wait_until(lambda task_id=task_id: "STARTED" in [each["code"] for each in portal.task_event_list(task_id, limit=100)])
    assert [portal.get_task(task_id)["nice_status"] for task_id in ids[3:]] == ["Queued", "Queued"]
    assert [list(portal.task_event_list(task_id)) for task_id in ids[3:]] == [[], []]
    sites.clear_faults()
    for task_id in ids:
        assert finished(portal, task_id)["status"] == "SUCCEEDED"
