"""A worker killed after each call to the outside, a broker that forgets: every share still ends open, and later gone, once."""

import pytest
import redis

from tests.journeys.conftest import Person, Site, wait_until

DATASET = "darwin-soi"
OWN_COLLECTION = "um-sea-ice-velocity"  # its shares are collections of their own
QUICK = {"CAUSEWAY_FAULTS": "1", "CAUSEWAY_CLAIM_SECONDS": "2"}
CALLS_OF_A_SHARE = [
    "new_submission_id:1",
    "make_folder:1",
    "make_folder:2",
    "submit_transfer:1",
    "task_progress:1",
    "successful_transfers:1",
    "add_rule:1",
    "send_share_open:1",
]
CALLS_OF_AN_END = ["remove_rule:1", "new_submission_id:1", "delete_folder:1", "task_progress:1"]


@pytest.fixture(scope="module")
def arm(site: Site):
    """Restart the worker with a kill switch; the next test arms another, the last one leaves none behind."""
    before = dict(site.stack.settings)

    def restart(switch: str) -> None:
        site.stack.settings = {**before, **QUICK, **({"CAUSEWAY_KILL_AFTER": switch} if switch else {})}
        if switch:  # a switch fires once, as the site's cache remembers; this test wants it again
            site.manage("shell", "-c", f"from django.core.cache import cache; cache.delete({f'killed-after:{switch}'!r})")
        site.stack.restart("worker")

    yield restart
    site.stack.settings = before
    site.stack.restart("worker")


def assert_open_once(site: Site, ada: Person, request_id: str) -> None:
    request = ada.wait(request_id, "open")
    label = f"Causeway share {request_id}"
    tasks = [task for task in site.tasks(label) if task["type"] == "TRANSFER"]
    assert len(tasks) == len([task for task in request["tasks"] if task["kind"] == "copy"]) == 1
    assert [rule["id"] for rule in site.rules(f"/requests/{request_id}/")] == [request["share"]["rule_id"]]
    assert len(wait_until(lambda: site.mails(request_id), "the mail")) == 1
    assert [event["new"] for event in request["events"] if event["old"] != event["new"]][-1] == "open"


def assert_gone(site: Site, ada: Person, request_id: str) -> None:
    ada.wait(request_id, "expired")
    assert site.rules(f"/requests/{request_id}/") == []
    assert not site.share_folder(request_id).exists()


@pytest.mark.parametrize("call", CALLS_OF_A_SHARE)
def test_a_share_opens_once_though_its_worker_is_killed(site, ada, arm, call):
    arm(call)
    starts = site.stack.supervisor.starts_of("worker")
    request_id = ada.ask_for_share(DATASET)
    assert_open_once(site, ada, request_id)
    assert site.stack.supervisor.starts_of("worker") == starts + 1, f"no worker was killed after {call}"
    ada.api(f"data-requests/{request_id}/cancel", {})
    assert_gone(site, ada, request_id)


@pytest.mark.parametrize("call", CALLS_OF_AN_END)
def test_a_share_ends_without_remains_though_its_worker_is_killed(site, ada, arm, call):
    request_id = ada.ask_for_share(DATASET)
    ada.wait(request_id, "open")
    arm(call)
    starts = site.stack.supervisor.starts_of("worker")
    site.let_time_pass(request_id, days=31)
    assert_gone(site, ada, request_id)
    assert site.stack.supervisor.starts_of("worker") == starts + 1, f"no worker was killed after {call}"


@pytest.mark.parametrize("call", ["create_guest_collection:1", "delete_guest_collection:1"])
def test_a_collection_of_its_own_is_made_and_deleted_once(site, ada, arm, call):
    arm(call)
    starts = site.stack.supervisor.starts_of("worker")
    request_id = ada.ask_for_share(OWN_COLLECTION, folders=["/1895/"])
    share = ada.wait(request_id, "open")["share"]
    assert [found["id"] for found in own_collections(site, request_id)] == [share["collection_id"]]
    site.let_time_pass(request_id, days=31)
    ada.wait(request_id, "expired")
    assert own_collections(site, request_id) == []
    assert not site.share_folder(request_id).exists()
    assert site.stack.supervisor.starts_of("worker") == starts + 1, f"no worker was killed after {call}"


def own_collections(site: Site, request_id: str) -> list[dict]:
    with site.globus() as client:
        found = client.get("endpoint_search", params={"filter_fulltext": request_id, "filter_scope": "all"}).json()["DATA"]
    return [one for one in found if request_id in one["display_name"]]


def test_a_reminder_comes_once_though_its_worker_is_killed(site, ada, arm):
    """A mail may leave twice where the worker dies after sending; both carry one Message-ID, and a mailbox keeps one."""
    arm("send_share_reminder:1")
    starts = site.stack.supervisor.starts_of("worker")
    request_id = ada.ask_for_share(DATASET)
    ada.wait(request_id, "open")
    site.let_time_pass(request_id, days=28.5)
    reminders = wait_until(lambda: [mail for mail in site.mails(request_id) if mail["Subject"].startswith("Until")], "the reminder")
    wait_until(lambda: site.stack.supervisor.starts_of("worker") == starts + 1, "a worker killed and started again")
    assert len(reminders) == 1
    ada.api(f"data-requests/{request_id}/cancel", {})
    assert_gone(site, ada, request_id)


def test_a_request_is_cancelled_though_its_worker_is_killed(site, ada, arm):
    arm("cancel_task:1")
    starts = site.stack.supervisor.starts_of("worker")
    site.stack.supervisor.hold("dtn-archive")
    try:
        request_id = ada.ask_for_share(DATASET)
        wait_until(lambda: ada.api(f"data-requests/{request_id}")["status"] in {"staging", "copying"}, "the request under way")
        ada.api(f"data-requests/{request_id}/cancel", {})
    finally:
        site.stack.supervisor.release("dtn-archive")
    ada.wait(request_id, "cancelled")
    assert site.rules(f"/requests/{request_id}/") == []
    assert not site.share_folder(request_id).exists()
    assert site.mails(request_id) == []
    assert site.stack.supervisor.starts_of("worker") <= starts + 1


def test_an_end_whose_messages_are_lost_with_the_broker_comes_all_the_same(site, ada, arm):
    arm("")
    request_id = ada.ask_for_share(DATASET)
    ada.wait(request_id, "open")
    site.stack.supervisor.hold("worker")
    site.let_time_pass(request_id, days=31)
    forget_everything(site)
    site.stack.kill("valkey")
    site.stack.supervisor.release("worker")
    assert_gone(site, ada, request_id)


def test_messages_lost_with_the_broker_cost_no_step(site, ada, arm):
    arm("")
    site.stack.supervisor.hold("worker")
    request_id = ada.ask_for_share(DATASET)
    forget_everything(site)
    site.stack.kill("valkey")
    site.stack.supervisor.release("worker")
    assert_open_once(site, ada, request_id)
    ada.api(f"data-requests/{request_id}/cancel", {})
    assert_gone(site, ada, request_id)


def forget_everything(site: Site) -> None:
    """Empty the broker, as one without a disk does when it restarts."""
    with redis.Redis.from_url(site.stack.valkey.url) as client:
        client.flushall()
