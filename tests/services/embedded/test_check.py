import sys
from pathlib import Path

import pytest

from services.embedded.check import Check, CheckError, no_data_bytes_in_the_control_plane, run_check
from services.embedded.environment import plain_environment
from services.embedded.probes import says
from services.embedded.stack import Stack
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


def pull_ten_megabytes(stack: Stack, name: str) -> None:
    """Let a service called `name` read 10 MB of the archive."""
    folder = stack.places.archive / "data" / "ten"
    folder.mkdir(exist_ok=True)
    (folder / "ten.bin").write_bytes(bytes(TEN_MB))
    collection = stack.globus_environment["CAUSEWAY_ARCHIVE_COLLECTION"]
    addresses = [f"{stack.addresses.localglobus}/v2/oauth2/token", f"{stack.addresses.archive}/{collection}/ten/ten.bin"]
    stack.supervisor.add(
        Service(
            name,
            command=lambda: [sys.executable, "-c", PULL, collection, *addresses],
            environment=lambda: {**plain_environment(), **stack.globus_environment},
            probe=says(f"^pulled {TEN_MB}$"),
            folder=Path("/"),
        )
    )
    stack.supervisor.wait_ready(name)


def test_ten_megabytes_through_the_portal_are_caught_and_through_others_are_not(globus_stack, capsys):
    pull_ten_megabytes(globus_stack, "somebody")
    assert "somebody" in no_data_bytes_in_the_control_plane(Check(globus_stack, settle_s=0.5))
    pull_ten_megabytes(globus_stack, "web")
    with pytest.raises(CheckError, match=f"{TEN_MB} data bytes passed web"):
        no_data_bytes_in_the_control_plane(Check(globus_stack, settle_s=0.5))
    assert run_check(Check(globus_stack, settle_s=0), steps=()) == 1
    assert "main job: FAILED at data plane" in capsys.readouterr().out


def test_later_steps_are_left_out_after_a_failure(globus_stack, capsys):
    ran = []

    def fail(_check: Check) -> str:
        raise CheckError("no button")

    assert run_check(Check(globus_stack, settle_s=0), steps=(("first", fail), ("second", lambda _check: ran.append(1) or ""))) == 1
    assert ran == []
    assert "FAILED: CheckError: no button" in capsys.readouterr().out
