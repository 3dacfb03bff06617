"""How deadlines move, asked by a node that the test plays: by progress, in the queue, by a pause, and by the owner."""

from datetime import UTC, datetime, timedelta

import pytest
from globus_sdk import AccessTokenAuthorizer, TransferClient, TransferData
from globus_sdk.scopes import TransferScopes

from tests.services.localglobus.transfer.conftest import wait_until
from tests.services.localglobus.transfer.test_nodes import ZERO, change, control, node, portal, task_id  # noqa: F401 (fixtures)

pytestmark = pytest.mark.long

DAY = timedelta(days=1)


def left(client, task):
    """How long a task still has."""
    return datetime.fromisoformat(client.get_task(task)["deadline"]) - datetime.now(UTC)


def about(found, wanted):
    return abs(found - wanted) < timedelta(minutes=30)


@pytest.fixture
def order(control, node, portal, task_id):  # noqa: F811
    (found,) = node.lease()
    assert found["task_id"] == task_id
    return found["id"]


def beat(node, order, **done):  # noqa: F811
    return node.say(f"orders/{order}/heartbeat", counters={**ZERO, **done}, fault=None).json()


def test_progress_gives_three_days_and_the_node_hears_of_it(node, portal, task_id, order):  # noqa: F811
    assert about(left(portal, task_id), DAY)
    assert about(datetime.fromisoformat(beat(node, order)["deadline"]) - datetime.now(UTC), DAY)
    assert about(datetime.fromisoformat(beat(node, order, files=3, bytes_transferred=1000)["deadline"]) - datetime.now(UTC), 3 * DAY)
    assert about(left(portal, task_id), 3 * DAY)


def test_deadline_that_the_owner_names_stays(control, node, portal, task_id, order):  # noqa: F811
    wanted = (datetime.now(UTC) + timedelta(hours=2)).isoformat(timespec="seconds")
    portal.update_task(task_id, {"DATA_TYPE": "task", "deadline": wanted})
    assert beat(node, order, bytes_transferred=2000)["deadline"] == wanted
    assert portal.get_task(task_id)["deadline"] == wanted


def test_task_that_was_queued_all_the_time_gets_another_day(control, node, portal, task_id):  # noqa: F811
    change(control, "UPDATE task SET deadline = '2020-01-01T00:00:00+00:00' WHERE id = ?", task_id)
    wait_until(lambda: about(left(portal, task_id), DAY))
    assert portal.get_task(task_id)["status"] == "ACTIVE"


def test_task_that_was_begun_ends_at_its_deadline(control, node, portal, task_id, order):  # noqa: F811
    change(control, "UPDATE task SET deadline = '2020-01-01T00:00:00+00:00' WHERE id = ?", task_id)
    wait_until(lambda: portal.get_task(task_id)["status"] == "FAILED")
    assert portal.get_task(task_id)["fatal_error"]["code"] == "EXPIRED"


def test_named_deadline_ends_a_task_in_the_queue_too(control, node, portal):  # noqa: F811
    archive, share = (control.env[f"CAUSEWAY_{name}_COLLECTION"] for name in ("ARCHIVE", "SHARE"))
    asked = TransferData(archive, share, deadline=datetime.now(UTC) + timedelta(seconds=6))
    asked.add_item("/a", "/b")
    task = portal.submit_transfer(asked)["task_id"]
    wait_until(lambda: portal.get_task(task)["status"] == "FAILED")
    assert portal.get_task(task)["fatal_error"]["code"] == "EXPIRED"


def test_paused_task_has_ninety_days_and_a_day_when_it_goes_on(control, node, portal, task_id, order):  # noqa: F811
    token = control.client("demo").oauth2_client_credentials_tokens(str(TransferScopes.all))["access_token"]
    demo = TransferClient(authorizer=AccessTokenAuthorizer(token))
    demo.endpoint_manager_pause_tasks([task_id], "wait")
    wait_until(lambda: about(left(portal, task_id), 90 * DAY))
    demo.endpoint_manager_resume_tasks([task_id])
    wait_until(lambda: about(left(portal, task_id), DAY))
