"""The supervisor with small programs in place of the product's."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.embedded import groups
from services.embedded.environment import plain_environment
from services.embedded.probes import says
from services.embedded.supervisor import Service, StartError, Supervisor, end_stale

CHECKOUT = Path(__file__).resolve().parents[3]
SERVE = "print('ready', flush=True); import time; time.sleep(600)"
# A server with a child of its own that would not hear of the parent's end.
WITH_CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); {SERVE}"


def small(name: str, code: str = SERVE, **more: Any) -> Service:
    return Service(name, lambda: [sys.executable, "-c", code], plain_environment, says("^ready"), **more)


def wait_until(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + 90
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # polled: there is no event to wait for


class Told(list):
    def __call__(self, words: str) -> None:
        self.append(words)


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    made = []

    def make(*services: Service, tell: Callable[[str], None] = lambda _: None) -> Supervisor:
        made.append(Supervisor(services, run=tmp_path / "run", logs=tmp_path / "logs", tell=tell))
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.stop()


def test_start_keeps_the_order_of_what_is_needed(supervise):
    told = Told()
    supervisor = supervise(small("c", after=("b",)), small("b", "print('done')", after=("a",), is_step=True), small("a"), tell=told)
    supervisor.start()
    assert [words.split(" (")[0] for words in told] == ["a is ready", "b is done", "c is ready"]


def test_each_service_has_a_group_and_a_log_and_is_written_down(supervise, tmp_path):
    supervisor = supervise(small("a"), small("b"))
    supervisor.start()
    noted = json.loads((tmp_path / "run" / "processes.json").read_text())
    assert {name: (one["pid"], one["group"]) for name, one in noted.items()} == {
        name: (supervisor.group_of(name), os.getpgid(supervisor.group_of(name))) for name in ("a", "b")
    }
    assert len({one["group"] for one in noted.values()} | {os.getpgrp()}) == 3
    assert (tmp_path / "logs" / "a.log").read_text() == "ready\n"


def test_killed_service_is_started_again_with_another_group(supervise):
    told = Told()
    supervisor = supervise(small("a"), tell=told)
    supervisor.start()
    before = supervisor.group_of("a")
    supervisor.kill("a")
    supervisor.wait_ready("a")
    assert supervisor.group_of("a") != before
    assert supervisor.starts_of("a") == 2
    assert any("a ended (killed by SIGKILL)" in words for words in told)


def test_kill_takes_the_children_too(supervise):
    supervisor = supervise(small("a", WITH_CHILD))
    supervisor.start()
    before = supervisor.group_of("a")
    assert len(groups.members(before)) == 2
    supervisor.kill("a")
    wait_until(lambda: not groups.members(before))


def test_held_service_stays_down_until_it_is_released(supervise):
    supervisor = supervise(small("a"), small("b"))
    supervisor.start()
    supervisor.hold("a")
    time.sleep(1.5)  # longer than the first back-off
    assert not supervisor.is_ready("a")
    assert supervisor.is_ready("b")
    supervisor.release("a")
    assert supervisor.is_ready("a")


def test_service_that_ends_while_starting_stops_the_start_and_shows_its_log(supervise):
    supervisor = supervise(small("a"), small("b", "print('no such setting: X'); raise SystemExit(3)", after=("a",)))
    with pytest.raises(StartError, match=r"(?s)b ended while starting \(exit status 3\).*no such setting: X"):
        supervisor.start()
    assert supervisor.group_of("a") is None


def test_service_that_never_gets_ready_stops_the_start(supervise):
    supervisor = supervise(small("a", "import time; time.sleep(600)", timeout_s=0.3))
    with pytest.raises(StartError, match="a is not ready after"):
        supervisor.start()


def test_stop_ends_those_that_need_others_first_and_leaves_nothing(supervise, tmp_path):
    order = tmp_path / "order"
    code = """
import signal, sys, time
def end(*_):
    open({path!r}, "a").write({name!r} + " ")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(600)
"""
    services = [
        small(name, code.format(path=str(order), name=name), after=after) for name, after in (("database", ()), ("web", ("database",)))
    ]
    supervisor = supervise(*services)
    supervisor.start()
    those = [supervisor.group_of(name) for name in ("database", "web")]
    supervisor.stop()
    assert order.read_text().split() == ["web", "database"]
    assert [groups.members(group) for group in those] == [[], []]


SUPERVISE = """
import sys; sys.path.insert(0, {checkout!r})
from pathlib import Path
from tests.services.embedded.test_supervisor import Supervisor, small, WITH_CHILD
folder = Path({folder!r})
supervisor = Supervisor([small("a", WITH_CHILD), small("b")], run=folder / "run", logs=folder / "logs", tell=lambda _: None)
supervisor.start()
print("up", flush=True)
import time; time.sleep(600)
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A supervisor in a process of its own, up and running."""
    program = SUPERVISE.format(checkout=str(CHECKOUT), folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def noted_groups(folder: Path) -> list[int]:
    return [one["group"] for one in json.loads((folder / "run" / "processes.json").read_text()).values()]


def test_killed_supervisor_takes_everything_with_it(other, tmp_path):
    those = noted_groups(tmp_path)
    assert all(groups.members(group) for group in those)
    other.kill()
    wait_until(lambda: not any(groups.members(group) for group in those))


def test_next_start_ends_what_is_left_when_the_watchdog_was_killed_too(other, tmp_path):
    those = noted_groups(tmp_path)
    for child in psutil.Process(other.pid).children():
        if "watchdog.py" in " ".join(child.cmdline()):
            child.kill()
    other.kill()
    other.wait()
    assert all(groups.members(group) for group in those)
    assert sorted(end_stale(tmp_path / "run")) == ["a", "b"]
    assert not any(groups.members(group) for group in those)
    assert end_stale(tmp_path / "run") == []


def test_a_process_that_got_an_old_number_is_left_alone(tmp_path):
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        run = tmp_path / "run"
        run.mkdir()
        noted = {"web": {"pid": bystander.pid, "group": bystander.pid, "started": groups.started_at(bystander.pid) - 1000}}
        (run / "processes.json").write_text(json.dumps(noted))
        assert end_stale(run) == []
        assert bystander.poll() is None
    finally:
        bystander.send_signal(signal.SIGKILL)
        bystander.wait()
