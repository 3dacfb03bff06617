"""The unmodified Globus CLI in a virtual environment of its own, and a quick way to run many of its commands.

`requirements-cli.lock` is installed into `.venv-cli` of the checkout at the first use (`uv pip compile --universal --generate-hashes
requirements-cli.in` writes it anew). A start of the CLI is 0.7 s of imports; `Server` imports once and forks a child for each command, so
that a command sees a fresh process, its own environment and its own exit status all the same.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[2]
LOCK = Path(__file__).with_name("requirements-cli.lock")
VENV = CHECKOUT / ".venv-cli"
FORKER = Path(__file__).with_name("cli_forker.py")


class InstallError(Exception):
    """The CLI could not be installed: there is no package index to be reached."""


def install() -> Path:
    """The virtual environment of the CLI as the lock file says, made if it is missing or out of date. Safe beside another run."""
    stamp, wanted = VENV / "installed-lock", hashlib.sha256(LOCK.read_bytes()).hexdigest()
    with (CHECKOUT / ".venv-cli.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(VENV, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(VENV)])
            options = ["--require-hashes", "--no-deps", "--prefer-binary", "--disable-pip-version-check", "--no-input", "--quiet"]
            _run([str(VENV / "bin/python"), "-m", "pip", "install", *options, "-r", str(LOCK)])
            stamp.write_text(wanted)
    return VENV


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InstallError(f"{' '.join(command)} failed: {done.stdout}\n{done.stderr}")


@dataclass(frozen=True)
class Answer:
    """What a command wrote and how it ended."""

    status: int
    text: str
    errors: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def lines(self) -> list[list[str]]:
        """Rows of a table, split at its bars; the two lines of its head are left out."""
        return [[cell.strip() for cell in line.split("|")] for line in self.text.splitlines()[2:]]

    @property
    def record(self) -> dict[str, str]:
        """A record: `Name: value` lines."""
        pairs = (line.split(":", 1) for line in self.text.splitlines() if ":" in line)
        return {name.strip(): value.strip() for name, value in pairs}


class Server:
    """The process that has imported the CLI and forks for each command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        command = [str(install() / "bin/python"), str(FORKER)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, words: list[str], env: dict[str, str], stdin: str) -> Answer:
        self.count += 1
        paths = {name: str(self.folder / f"{self.count}.{name}") for name in ("in", "out", "err")}
        Path(paths["in"]).write_text(stdin)
        self.process.stdin.write(json.dumps({"words": words, "env": env, **paths}) + "\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        return Answer(status, Path(paths["out"]).read_text(), Path(paths["err"]).read_text())

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


@dataclass
class Cli:
    """`cli("ls", "...")` runs `globus ls ...` as one person or client and insists on its exit status."""

    server: Server
    env: dict[str, str] = field(default_factory=dict)

    def __call__(self, *words: object, status: int = 0, stdin: str = "") -> Answer:
        answer = self.server.run([str(word) for word in words], self.env, stdin)
        assert answer.status == status, f"globus {' '.join(map(str, words))}: {answer}"
        return answer

    def json(self, *words: object, status: int = 0) -> Any:
        """The answer of the command with `--format json`."""
        return self(*words, "--format", "json", status=status).json


def environment(globus_env: dict[str, str], home: Path, *, is_service: bool) -> dict[str, str]:
    """The variables of a shell that has read localglobus's env file; a person has no client secrets in it."""
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in globus_env.items() if name.startswith("GLOBUS_SDK_")}
    if is_service:
        kept |= {name: globus_env[name] for name in ("GLOBUS_CLI_CLIENT_ID", "GLOBUS_CLI_CLIENT_SECRET")}
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", "COLUMNS": "200", **kept}


def sign_in(cli: Cli, words: list[str], approve: Callable[[str], str]) -> Answer:
    """A command that shows an address and asks for a code (`globus login --no-local-server`), run as the installed script.

    `approve(address)` goes through the pages in place of a person and returns the code.
    """
    command = [str(install() / "bin/globus"), *words]
    with subprocess.Popen(
        command, env=cli.env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        seen = ""
        while not (line := process.stdout.readline()).startswith("http"):
            seen += line
            assert line, f"{words} showed no address: {seen} {process.stderr.read()}"
        text, errors = process.communicate(approve(line.strip()) + "\n", timeout=150)
        return Answer(process.returncode, seen + line + text, errors)
