"""Tasks outlive every process that works on them: killed without warning in the middle, started again, finished once."""

import os
import signal

import pytest
from globus_sdk import TransferData

from tests.services.localglobus.transfer.conftest import wait_until

pytestmark = pytest.mark.long

FILES = 60


def begin(sites, *, ada):
    """A copy from the archive to the campus of many files, slowed by the source's fault switch so that it has begun and is not done."""
    source = sites.root("archive") / "data/public/many"
    source.mkdir()
    for n in range(FILES):
        (source / f"{n}.bin").write_bytes(os.urandom(300_000))
    asked = TransferData(sites.collection("archive"), sites.collection("campus"), verify_checksum=True)
    asked.add_item("/public/many/", "/~/many/", recursive=True)
    portal = sites.service("portal")
    rule = {"DATA_TYPE": "access", "principal_type": "all_authenticated_users", "principal": "", "path": "/public/", "permissions": "r"}
    portal.add_endpoint_acl_rule(sites.collection("archive"), rule)
    sites.node_fault("archive", kind="get", times=10_000, delay_s=0.3)
    task_id = ada.submit_transfer(asked)["task_id"]
    arrived = sites.root("campus") / "home/ada/many"
    wait_until(lambda: any(arrived.glob("*.bin")))
    return task_id


@pytest.mark.parametrize("victim", ["localglobus", "archive", "campus"])
def test_killed_in_the_middle_finishes_once(own_sites, victim):
    sites = own_sites
    ada = sites.person("ada", data_access="campus")
    task_id = begin(sites, ada=ada)
    assert ada.get_task(task_id)["status"] == "ACTIVE"
    if victim == "localglobus":
        sites.globus.stop(signal.SIGKILL)
        sites.globus.start()
    else:
        sites.stop_node(victim, signal.SIGKILL)
        sites.start_node(victim)
    task = wait_until(lambda: (found := ada.get_task(task_id).data)["status"] != "ACTIVE" and found, timeout_s=120)
    assert task["status"] == "SUCCEEDED", list(ada.task_event_list(task_id))
    source, target = sites.root("archive") / "data/public/many", sites.root("campus") / "home/ada/many"
    assert {path.name: path.read_bytes() for path in source.iterdir()} == {path.name: path.read_bytes() for path in target.iterdir()}
    reported = [each["source_path"] for each in ada.task_successful_transfers(task_id)]
    assert len(reported) == len(set(reported)) == FILES
    assert task["files_transferred"] == FILES
    assert [event["code"] for event in ada.task_event_list(task_id)].count("STARTED") == 1
