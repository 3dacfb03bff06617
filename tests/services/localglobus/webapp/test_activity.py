"""Tasks on their pages: to their owner, to those who look after a collection what they may do, to others nothing."""

import os
import re

import pytest
from globus_sdk import TransferData

from services.localglobus.webapp.wording import explain_details
from tests.services.localglobus.transfer.conftest import wait_until
from tests.services.localglobus.webapp.conftest import notices

pytestmark = pytest.mark.long


@pytest.fixture
def slow_task(sites, cut_off):
    """A task of Ada's that waits for its data host. Canceled at the end."""
    ada = sites.person("ada", data_access="campus")
    label = f"slow {os.urandom(4).hex()}"
    (sites.root("campus") / "home/ada/slow.bin").write_bytes(b"s" * 5000)
    asked = TransferData(sites.collection("campus"), sites.collection("campus"), label=label)
    asked.add_item("/~/slow.bin", f"/~/{label}.bin")
    task_id = ada.submit_transfer(asked)["task_id"]
    yield task_id, label
    ada.cancel_task(task_id)
    wait_until(lambda: ada.get_task(task_id)["completion_time"])


def test_an_open_task_is_changed_and_canceled_by_its_owner_alone(sites, slow_task, person):
    task_id, label = slow_task
    ada, cy = person("ada"), person("cy")
    page = ada.open(f"/activity/{task_id}")
    assert 'http-equiv="refresh"' in page.text
    assert 'http-equiv="refresh"' in ada.open("/activity").text
    for address in (f"/activity/{task_id}", "/activity"):
        assert 'http-equiv="refresh"' not in ada.open(f"{address}?still=1").text
    page = ada.open(f"/activity/{task_id}")
    assert "Cancel the task" in page.text
    page = ada.send(f"/activity/{task_id}", {"act": "update", "label": f"{label} again", "deadline": "2099-05-06 07:08:09"})
    assert f"{label} again" in page.text
    assert "2099-05-06 07:08:09" in page.text
    cy.open("/groups")
    for act in ("cancel", "update", "pause"):
        assert cy.send(f"/activity/{task_id}", {"act": act, "label": "x", "message": "y"}).status_code == 404
    assert cy.open(f"/activity/{task_id}/event_log").status_code == 404
    assert label not in cy.open("/activity").text
    ada.open(f"/activity/{task_id}")
    page = ada.send(f"/activity/{task_id}", {"act": "cancel"})
    assert "cancel" in notices(page)
    page = wait_until(lambda: "Canceled" in (found := ada.open(f"/activity/{task_id}")).text and found)
    assert 'http-equiv="refresh"' not in page.text
    assert "CANCELED" in ada.open(f"/activity/{task_id}/event_log").text
    assert label in ada.open("/activity?state=FAILED").text
    assert label not in ada.open("/activity?state=SUCCEEDED").text


def test_who_looks_after_a_collection_pauses_and_cancels_its_tasks(sites, slow_task, person):
    task_id, label = slow_task
    ada, dee = person("ada"), person("dee")
    assert label in dee.open("/console").text
    assert label not in dee.open("/activity").text
    for tab in ("event_log", "files", "skipped"):
        assert dee.open(f"/activity/{task_id}/{tab}").status_code == 200
    assert dee.open("/console?last_key=nonsense").status_code == 400
    page = dee.open(f"/activity/{task_id}")
    assert "ada@university.example" in page.text
    assert dee.send(f"/activity/{task_id}", {"act": "pause", "message": ""}).status_code == 400, "a message is due to the owner"
    dee.open(f"/activity/{task_id}")
    assert "Let it go on" in dee.send(f"/activity/{task_id}", {"act": "pause", "message": "Disks are changed"}).text
    assert "Disks are changed" in ada.open(f"/activity/{task_id}").text
    assert "Pause" in dee.send(f"/activity/{task_id}", {"act": "resume"}).text
    assert "Disks are changed" not in ada.open(f"/activity/{task_id}/overview").text.partition("What happened last")[0]
    dee.open(f"/activity/{task_id}")
    dee.send(f"/activity/{task_id}", {"act": "cancel", "message": "Not today"})
    page = wait_until(lambda: "Canceled" in (found := ada.open(f"/activity/{task_id}")).text and found)
    assert "Not today" in page.text


def test_files_and_faults_of_a_task_are_listed(sites, person):
    client, ada = sites.person("ada", data_access="campus"), person("ada")
    name = os.urandom(5).hex()
    (sites.root("campus") / f"home/ada/{name}.txt").write_text("y" * 300)
    asked = TransferData(sites.collection("campus"), sites.collection("campus"), verify_checksum=True, skip_source_errors=True)
    asked.add_item(f"/~/{name}.txt", f"/~/{name}-copy.txt")
    asked.add_item(f"/~/{name}-none.txt", f"/~/{name}-never.txt")
    task_id = client.submit_transfer(asked)["task_id"]
    wait_until(lambda: client.get_task(task_id)["status"] != "ACTIVE")
    page = ada.open(f"/activity/{task_id}/files").text
    assert f"/home/ada/{name}.txt" in page
    assert "300 B" in page
    assert "never" not in page
    page = ada.open(f"/activity/{task_id}/skipped").text
    assert f"{name}-none.txt" in page
    assert "FILE_NOT_FOUND" in page
    page = ada.open(f"/activity/{task_id}/event_log").text
    assert "newest first" in page
    assert re.search(r"300 B in [\d.]+ s: [\d.]+ Mbit/s", page)
    assert "SUCCEEDED" not in ada.open(f"/activity/{task_id}/event_log?faults=1").text


@pytest.mark.parametrize("number", ["NaN", "1e999", "9" * 400, '"many"', "null"])
def test_what_a_node_writes_as_details_is_shown_as_it_is(number):
    told = f'{{"bytes_transferred": {number}, "duration": 1, "mbps": 1}}'
    assert explain_details(told) == told
    assert explain_details("[" * 100_000) == "[" * 100_000
    assert explain_details(r'{"path": "/a\ud800"}') == "/a?"
