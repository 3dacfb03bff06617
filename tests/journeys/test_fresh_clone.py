"""`script/demo --check` by its command line, in what a fresh clone would hold, as an ordinary user: what the README promises first."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.embedded.addresses import free_port
from services.embedded.stack import CHECKOUT
from tests.conftest import make_passable_folder

ORDINARY = "nobody"
STEPS_SEEN = ("signs in", "share open", "HTTPS download", "sends to her collection", "graph", "0 data bytes passed the portal")


def as_ordinary_user(command: list[str]) -> list[str]:
    """The command as somebody who is not root."""
    return ["runuser", "-u", ORDINARY, "--", *command] if os.geteuid() == 0 else command


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


@pytest.fixture(scope="module", autouse=True)
def _ordinary_user_can_run_this_python() -> None:
    if os.geteuid() == 0 and not shutil.which("runuser"):
        pytest.skip("runuser is not installed (apt-get install util-linux), and the check is not run as root")
    tried = subprocess.run(
        as_ordinary_user([sys.executable, "-c", "import granian, celery"]), cwd="/", capture_output=True, text=True, check=False
    )
    if tried.returncode != 0:
        pytest.skip(f"{ORDINARY} may not use {sys.executable}: the checkout is closed to other users")


def test_the_check_passes_in_a_fresh_clone_for_an_ordinary_user(clone):
    command = as_ordinary_user([str(clone / "script/demo"), "--check", "--port", str(free_port())])
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False, timeout=380)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "main job: ok" in done.stdout
    assert [words for words in STEPS_SEEN if words not in done.stdout] == []
    assert "installing" not in done.stdout
    assert (clone / ".causeway/mail").is_dir()
    assert not (clone / ".causeway/run/processes.json").exists()
