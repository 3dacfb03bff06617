"""`globus timer`: every command by the unmodified CLI, its words, its JSON and its exit status, as the service client and as a person."""

import json
import uuid
from pathlib import Path

import pytest

from tests.contract.cli import sign_in
from tests.contract.conftest import approve, person
from tests.services.localglobus.transfer.conftest import wait_until

pytestmark = pytest.mark.long

ADA = "ada@university.example"
LATE = ["--start", "2100-01-01T00:00:00+00:00"]


@pytest.fixture
def timers(service):
    """Numbers of timers to delete afterwards."""
    made: list[str] = []
    yield made
    for each in made:
        service("timer", "delete", each)


@pytest.fixture
def paths(sites, folder):
    return f"{sites.collection('archive')}:/public/", f"{sites.collection('share')}:/{folder.name}/copy/"


def test_timer_is_made_shown_and_runs(service, timers, paths, folder):
    made = service("timer", "create", "transfer", *paths, "--recursive", "--stop-after-runs", 1, "--name", folder.name).record
    number = made["Timer ID"]
    timers.append(number)
    assert (made["Name"], made["Type"], made["Status"], made["Number of Runs"]) == (folder.name, "transfer", "new", "0")
    wait_until(lambda: service.json("timer", "show", number)["status"] == "ended")
    wait_until((folder / "copy/notes.txt").exists)
    wait_until(lambda: service.json("timer", "show", number)["activity"] is None)
    shown = service("timer", "show", number).record
    assert (shown["Type"], shown["Number of Runs"], shown["Number of Timer Errors"]) == ("Transfer", "1", "0")
    assert shown["Activity"] == "This timer is no longer active"
    assert shown["Stop After Number of Runs"] == "1"
    assert "has ended" in service("timer", "pause", number, status=1).errors


def test_recurring_timer_is_listed_paused_resumed_and_deleted(service, cy, timers, paths, folder):
    words = ["--interval", "1h", "--stop-after-date", "2100-02-01", *LATE, "--label", folder.name, "--exclude", "*.tmp", "--notify", "off"]
    made = service.json("timer", "create", "transfer", *paths, "--recursive", *words)
    number = made["job_id"]
    assert (made["schedule"]["interval_seconds"], made["body"]["filter_rules"][0]["name"]) == (3600, "*.tmp")
    assert number in {each["job_id"] for each in service.json("timer", "list")}
    assert number in service("timer", "list").text
    assert number not in cy("timer", "list").text
    assert "No timer" in cy("timer", "show", number, status=1).errors
    assert "Awaiting the next run" in service("timer", "show", number).record["Activity"]
    assert service("timer", "show", number).record["Interval"] == "1:00:00"
    assert service("timer", "pause", number).text.strip() == f"Successfully paused job {number}."
    assert service("timer", "show", number).record["Activity"] == "Paused, awaiting user action"
    assert service.json("timer", "resume", number)["message"] == f"Successfully resumed job {number}."
    assert service("timer", "delete", number).record["Timer ID"] == number
    assert service("timer", "show", number, status=1).errors
    assert "--interval` is required" in service("timer", "create", "transfer", *paths, status=2).errors
    assert "least" in service("timer", "create", "transfer", *paths, "--interval", "0s", *LATE, status=1).errors
    assert "EndpointNotFound" in service("timer", "create", "transfer", f"{uuid.uuid4()}:/a", paths[1], "--interval", "1d", status=1).errors


def test_flow_timers_are_refused_as_flows_are(service):
    asked = ["timer", "create", "flow", uuid.uuid4(), "--interval", "1d"]
    assert "No flow discovered" in service(*asked, status=2).errors
    assert "ClientError.NotFound" in service("flows", "list", status=1).errors


def test_person_agrees_to_what_a_timer_needs_and_resumes_it(sites, server, folder, tmp_path: Path):
    campus = sites.collection("campus")
    ada = person(server, sites, tmp_path / "home", ADA)
    asked = ["timer", "create", "transfer", f"{campus}:/~/a", f"{campus}:/~/b", "--interval", "1d", *LATE]
    assert f"globus session consent --timer-data-access '{campus}'" in ada(*asked, status=4).text
    words = ["session", "consent", "--no-local-server", "--timer-data-access", campus]
    agreed = sign_in(ada, words, lambda address: approve(sites, address, ADA))
    assert agreed.status == 0, agreed
    number = ada.json(*asked)["job_id"]
    assert ada("timer", "pause", number).text
    assert ada("timer", "resume", number).text.strip() == f"Successfully resumed job {number}."
    assert ada.json("timer", "delete", number)["job_id"] == number


def test_raw_call(service):
    assert "jobs" in json.loads(service("api", "timers", "GET", "/jobs/").text)
