"""The comparison itself, with a second local Globus in the place of the real one: they agree but where one was made to differ."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.calls import CALLS, GRANTS
from tests.live.sides import Outcome, Place, differences
from tests.live.test_live import is_recorded, recorded
from tests.services.localglobus.transfer.conftest import own_sites

pytestmark = pytest.mark.long

__all__ = ["own_sites"]  # a fixture
CHECKOUT = Path(__file__).parents[2]
ORDERED = {"http_status": 409, "code": "Conflict", "message": "ordered"}


@pytest.mark.timeout(300)
def test_a_second_globus_agrees_but_for_what_was_changed(own_sites):
    own_sites.fault(kind="stat", times=10_000, error=ORDERED)
    (own_sites.root("archive") / "shares/live").mkdir()
    globus = own_sites.globus
    credentials = {
        "CAUSEWAY_LIVE_CLIENT_ID": globus.env["GLOBUS_CLI_CLIENT_ID"],
        "CAUSEWAY_LIVE_CLIENT_SECRET": globus.env["GLOBUS_CLI_CLIENT_SECRET"],
        "CAUSEWAY_LIVE_SOURCE": f"{own_sites.collection('archive')}:/public/",
        "CAUSEWAY_LIVE_DESTINATION": f"{own_sites.collection('share')}:/live/",
        "CAUSEWAY_LIVE_ENV": str(globus.data / "env"),
    }
    told = run("-m", "live", **credentials)
    assert f"2 failed, {len(CALLS) + len(GRANTS) - 2} passed" in told, told
    section = told.partition("differences from the other Globus")[2]
    shown = re.findall(r"^([a-z_.]+): (.*)$", section, re.MULTILINE)
    assert ("stat", "status: 409 there, 200 here") in shown
    assert ("stat.missing", "code: Conflict there, NotFound here") in shown
    assert {name for name, _ in shown} == {"stat", "stat.missing"}
    assert list((own_sites.root("archive") / "shares/live").iterdir()) == [], "nothing is left at the destination"


def test_without_credentials_nothing_is_compared():
    assert f"{len(CALLS) + len(GRANTS)} deselected" in run("-m", "live", status=5)


def run(*words: str, status: int | None = None, **env: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CAUSEWAY_LIVE", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "tests/live/test_live.py", "-p", "no:randomly", "-p", "no:cacheprovider", "-q", *words]
    done = subprocess.run(command, cwd=CHECKOUT, env={**kept, **env}, capture_output=True, text=True, check=False)
    assert status is None or done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_a_place_is_read_from_words():
    known = "7d5a4f1e-0000-4000-8000-000000000002"
    assert Place.read(f"{known}:/a/b") == Place(known, "/a/b/")
    assert Place.read(f"{known}:/") == Place(known, "/")
    with pytest.raises(ValueError, match="badly formed"):
        Place.read("nothing")


def test_keys_and_types_are_compared_and_values_are_not():
    there = {"id": "a", "n": 1, "list": [{"x": 1, "z": None}, {"y": "s"}], "gone": True, "late": None}
    here = {"id": "b", "n": "1", "list": [{"x": 2, "y": 3, "z": "now"}], "new": 0, "late": "2026"}
    assert differences(Outcome(200, None, there), Outcome(200, None, here)) == [
        "$.gone: only there",
        "$.new: only here",
        "$.list[].y: string there, number here",
        "$.n: number there, string here",
    ]
    assert differences(Outcome(404, "NotFound", {}), Outcome(403, "Denied", {"x": 1})) == [
        "status: 404 there, 403 here",
        "code: NotFound there, Denied here",
    ]


def test_the_record_names_calls_that_are_made():
    assert of_no_call("seen: `endpoint.*: $.gone`, `stat: code`, `no.such.call: status`, `sta: code`, `none.*: code`") == [
        "no.such.call", "sta", "none.*",
    ]  # fmt: skip
    assert of_no_call() == []


def of_no_call(text: str | None = None) -> list[str]:
    """Names in the record for which nothing is asked."""
    names = {*CALLS, *GRANTS}
    found = [name for name, _ in recorded(text)]
    return [name for name in found if name not in names and not (name.endswith("*") and any(each.startswith(name[:-1]) for each in names))]


def test_what_is_recorded_is_no_failure():
    table = "| a thing | why | seen: `endpoint.*: $.gone`, `stat: code` |"
    assert recorded(table) == [("endpoint.*", "$.gone"), ("stat", "code")]
    assert is_recorded("endpoint.source", "$.gone: only there", table)
    assert is_recorded("stat", "code: A there, B here", table)
    assert not is_recorded("endpoint.source", "$.gone.too: only there", table)
    assert not is_recorded("stat.missing", "code: A there, B here", table)
