import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.embedded.check import Check, CheckError, no_data_bytes_in_the_control_plane, run_check
from services.embedded.counting import CONTROL_PLANE
from services.embedded.environment import plain_environment
from services.embedded.probes import says
from services.embedded.stack import Stack, node_state
from services.embedded.supervisor import Service

TEN_MB = 10 * 1024 * 1024
# What a portal must not do: fetch the bytes itself.
PULL = """
import os, ssl, sys, time, httpx
collection, token_url, url = sys.argv[1:]
trusted = ssl.create_default_context(cafile=os.environ["GLOBUS_SDK_VERIFY_SSL"])
client = httpx.Client(verify=trusted, trust_env=False, auth=(os.environ["GLOBUS_CLI_CLIENT_ID"], os.environ["GLOBUS_CLI_CLIENT_SECRET"]))
asked = {"grant_type": "client_credentials", "scope": f"https://auth.globus.org/scopes/{collection}/https"}
token = client.post(token_url, data=asked).raise_for_status().json()["access_token"]
answer = httpx.get(url, headers={"Authorization": f"Bearer {token}"}, verify=trusted, trust_env=False).raise_for_status()
print("pulled", len(answer.content), flush=True)
time.sleep(600)
"""


def puller(stack: Stack) -> list[str]:
    """The command that reads 10 MB of the archive; they are put there."""
    folder = stack.places.archive / "data" / "ten"
    folder.mkdir(exist_ok=True)
    (folder / "ten.bin").write_bytes(bytes(TEN_MB))
    collection = stack.globus_environment["CAUSEWAY_ARCHIVE_COLLECTION"]
    addresses = [f"{stack.addresses.localglobus}/v2/oauth2/token", f"{stack.addresses.archive}/{collection}/ten/ten.bin"]
    return [sys.executable, "-c", PULL, collection, *addresses]


def pull_ten_megabytes(stack: Stack, name: str) -> None:
    """Let a service called `name` read 10 MB of the archive."""
    command = puller(stack)
    stack.supervisor.add(
        Service(
            name,
            command=lambda: command,
            environment=lambda: {**plain_environment(), **stack.globus_environment},
            probe=says(f"^pulled {TEN_MB}$"),
            folder=Path("/"),
        )
    )
    stack.supervisor.wait_ready(name)


def settled(stack: Stack, *, since: datetime) -> Check:
    """A check that looks once the nodes have written down that the ten megabytes which were read since then have passed."""
    journal = node_state(stack.places.archive) / "connections.jsonl"

    def is_written() -> bool:
        lines = [json.loads(line) for line in journal.read_text().rpartition("\n")[0].splitlines()]
        return any(line["data_bytes_out"] >= TEN_MB and datetime.fromisoformat(line["opened"]) >= since for line in lines)

    check = Check(stack, settle_s=0)
    check.wait_for("the connection that was read from", is_written)
    return check


def test_ten_megabytes_through_the_portal_are_caught_and_through_others_are_not(globus_stack, capsys):
    began = datetime.now(UTC)
    pull_ten_megabytes(globus_stack, "somebody")
    assert "somebody" in no_data_bytes_in_the_control_plane(settled(globus_stack, since=began))
    began = datetime.now(UTC)
    pull_ten_megabytes(globus_stack, "web")
    check = settled(globus_stack, since=began)
    with pytest.raises(CheckError, match=f"{TEN_MB} data bytes passed web"):
        no_data_bytes_in_the_control_plane(check)
    assert run_check(Check(globus_stack, settle_s=0), steps=()) == 1
    assert "main job: FAILED at data plane" in capsys.readouterr().out


@pytest.fixture(scope="module")
def watched_stack(stack: Stack) -> Iterator[Stack]:
    """The whole product, innocent until here; what culprits do in these tests is not held against it afterwards."""
    no_data_bytes_in_the_control_plane(Check(stack))
    yield stack
    (stack.places.archive / "data/ten/ten.bin").unlink()
    (stack.places.archive / "data/ten").rmdir()
    stack.started_at = datetime.now(UTC)


def start_as(stack: Stack, service: Service) -> None:
    """Stop the service of this name and run this one in its place."""
    stack.supervisor.hold(service.name)
    stack.supervisor.add(service)
    stack.supervisor.wait_ready(service.name)


@pytest.mark.journey
@pytest.mark.parametrize("name", CONTROL_PLANE)
def test_puller_among_the_processes_of_the_control_plane_is_caught(watched_stack, name):
    """The real program runs, and beside it, in its process group, one that fetches the bytes itself."""
    stack, beside = watched_stack, puller(watched_stack)
    [service] = [one for one in stack.supervisor.services if one.name == name]
    words = " ".join(f'"${{{n}}}"' for n in range(1, len(beside) + 1))
    both = f'(until {words}; do sleep 0.3; done) & shift {len(beside)}; exec "$@"'
    guilty = replace(
        service,
        command=lambda: ["sh", "-c", both, "sh", *beside, *service.command()],
        environment=lambda: {**service.environment(), **stack.globus_environment},
    )
    log = stack.supervisor.log_of(name)
    offset = log.stat().st_size
    began = datetime.now(UTC)
    start_as(stack, guilty)
    try:
        pulled = says(f"^pulled {TEN_MB}$")
        deadline = time.monotonic() + 120
        while not pulled(log, offset):
            assert time.monotonic() < deadline, f"nothing was pulled; see {log}"
            time.sleep(0.1)  # a log is looked at again and again
        check = settled(stack, since=began)
        with pytest.raises(CheckError) as caught:
            no_data_bytes_in_the_control_plane(check)
    finally:
        start_as(stack, service)
    told = re.search(rf"(\d+) data bytes passed {name}\b", str(caught.value))
    assert told, caught.value
    assert int(told[1]) >= TEN_MB


def test_later_steps_are_left_out_after_a_failure(globus_stack, capsys):
    ran = []

    def fail(_check: Check) -> str:
        raise CheckError("no button")

    assert run_check(Check(globus_stack, settle_s=0), steps=(("first", fail), ("second", lambda _check: ran.append(1) or ""))) == 1
    assert ran == []
    assert "FAILED: CheckError: no button" in capsys.readouterr().out
