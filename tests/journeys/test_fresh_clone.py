"""`script/demo --check` by its command line, in what a fresh clone would hold, as an ordinary user: what the README promises first."""

import hashlib
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.embedded.addresses import free_port
from services.embedded.stack import CHECKOUT
from tests.databases import make_passable_folder

ORDINARY = "nobody"
STEPS_SEEN = ("signs in", "share open", "HTTPS download", "sends to her collection", "graph", "0 data bytes passed the portal")


WAYS = (
    ["runuser", "-u", ORDINARY, "--"],
    # Where this Python lies in a folder that is closed to others: not root, but may read everything.
    [
        "setpriv",
        f"--reuid={ORDINARY}",
        f"--regid={pwd.getpwnam(ORDINARY).pw_gid}",
        "--clear-groups",
        "--inh-caps=+dac_read_search",
        "--ambient-caps=+dac_read_search",
    ],
)


@pytest.fixture(scope="module")
def as_ordinary_user() -> list[str]:
    """What goes before a command so that somebody who is not root runs it; nothing when we are not root ourselves."""
    for way in [[]] if os.geteuid() else WAYS:
        tried = [*way, sys.executable, "-c", "import granian, celery"]
        if (not way or shutil.which(way[0])) and subprocess.run(tried, cwd="/", capture_output=True, check=False).returncode == 0:
            return way
    pytest.skip(f"{ORDINARY} may not use {sys.executable}, and script/demo is not for root alone")


@pytest.fixture
def clone() -> Iterator[Path]:
    """What git would hand out if everything here was committed; `.venv` is this one's, under the stamp that script/python looks for."""
    folder = make_passable_folder()
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=CHECKOUT, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (CHECKOUT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, folder / name)
    python = folder / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (folder / ".venv/installed-locks").write_text(hashlib.sha256((folder / "requirements.lock").read_bytes()).hexdigest() + "\n")
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", ORDINARY, str(folder)], check=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(900)
def test_the_check_passes_in_a_fresh_clone_for_an_ordinary_user(clone, as_ordinary_user):
    command = [*as_ordinary_user, str(clone / "script/demo"), "--check", "--port", str(free_port())]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False, timeout=780)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "main job: ok" in done.stdout
    assert [words for words in STEPS_SEEN if words not in done.stdout] == []
    assert "installing" not in done.stdout
    assert (clone / ".causeway/mail").is_dir()
    assert not (clone / ".causeway/run/processes.json").exists()
