"""Starts services in the order of what they need, waits until each is ready, restarts the one that dies, and stops them all.

    stopped --start--> starting --ready--> running --dies--> waiting (back-off) --> starting
                          '--dies during the first start--> StartError, everything is stopped again

Knows nothing of the product: that is `stack.py`. Each service is a process group of its own with a log of its own.
`run/processes.json` says who is who now, `run/history.jsonl` who was since the start. After a crash of ourselves
`watchdog.py` cleans up, and the next start does too.
"""

import contextlib
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from services.embedded import groups
from services.embedded.probes import Probe, read_from

MARK = "CAUSEWAY_EMBEDDED"  # in every service's environment: whose it is, should we be gone
TICK_S = 0.05
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0  # before a service that died is started again: twice as long each time
CALM_S = 60.0  # for one that lived this long it begins anew


class StartError(Exception):
    """Something did not come up; the message says what, and shows the end of its log."""


@dataclass(frozen=True)
class Service:
    """One program. `environment` is asked at each start, because some of it is written by services started before."""

    name: str
    command: Callable[[], Sequence[str]]
    environment: Callable[[], Mapping[str, str]]
    probe: Probe
    after: tuple[str, ...] = ()
    prepare: Callable[[], None] = lambda: None
    folder: Path = Path("/")
    user: str | None = None
    stop_signal: int = signal.SIGTERM
    is_step: bool = False  # runs once and ends; ready when it ended well
    is_told: bool = False  # a step whose lines are progress that people want to see
    timeout_s: float = 90


@dataclass
class Running:
    """What the supervisor remembers of one service."""

    service: Service
    process: subprocess.Popen[bytes] | None = None
    offset: int = 0
    told: str = ""
    started: float = 0.0
    next_start: float = 0.0
    pause_s: float = SHORTEST_PAUSE_S
    is_ready: bool = False
    is_done: bool = False
    is_held: bool = False
    starts: int = 0


@dataclass
class Supervisor:
    """`start` returns when everything is ready; from then on a thread watches until `stop`."""

    services: Sequence[Service]
    run: Path
    logs: Path
    tell: Callable[[str], None] = print
    _all: dict[str, Running] = field(init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _watching: threading.Thread | None = None
    _watchdog: groups.Watchdog | None = None
    _is_first_start: bool = True

    def __post_init__(self) -> None:
        self._all = {service.name: Running(service) for service in self.services}

    def start(self, *, remove_at_end: Iterable[Path] = ()) -> None:
        """Start everything; raises StartError after stopping what had come up."""
        for folder in (self.run, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        (self.run / "history.jsonl").unlink(missing_ok=True)
        self._watchdog = groups.Watchdog()
        for folder in remove_at_end:
            self._watchdog.remove_at_end(folder)
        try:
            while not all(self.is_ready(name) for name in self._all):
                self._tick()
                time.sleep(TICK_S)
        except BaseException:  # also Ctrl-C: what had come up must not go on alone
            self.stop()
            raise
        self._is_first_start = False
        self._watching = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watching.start()

    def stop(self) -> None:
        """Stop everything: first what was started after something else, then that. Safe to repeat."""
        self._stopping.set()
        if self._watching is not None and self._watching is not threading.current_thread():
            self._watching.join()
        with self._lock:
            for is_first in (False, True):
                self._end([one for one in self._all.values() if (not one.service.after) == is_first])
            (self.run / "processes.json").unlink(missing_ok=True)
        if self._watchdog is not None:
            self._watchdog.close()

    def add(self, service: Service) -> None:
        """Start one more service beside those that run; `wait_ready` tells when it is up."""
        with self._lock:
            self._all[service.name] = Running(service)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a service's whole group, as an accident would; the supervisor will start it again."""
        with self._lock:
            process = self._all[name].process
            if process is not None:
                groups.send(process.pid, number)
                if number == signal.SIGKILL:
                    process.wait()

    def hold(self, name: str) -> None:
        """Stop one service and keep it stopped until `release`."""
        with self._lock:
            one = self._all[name]
            one.is_held = True
            self._end([one])
            self._write_processes()

    def release(self, name: str, *, timeout_s: float = 60) -> None:
        """Start a service that was held, and wait until it is ready."""
        with self._lock:
            one = self._all[name]
            one.is_held, one.next_start, one.pause_s = False, 0.0, SHORTEST_PAUSE_S
        self.wait_ready(name, timeout_s=timeout_s)

    def restart(self, name: str) -> None:
        """Stop one service and start it again; returns when it is ready."""
        self.hold(name)
        self.release(name)

    def wait_ready(self, name: str, *, timeout_s: float = 60) -> None:
        """Wait until a service is ready (again); raises StartError after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not self.is_ready(name):
            if time.monotonic() > deadline:
                raise StartError(f"{name} is not ready after {timeout_s:.0f} s; see {self.log_of(name)}")
            time.sleep(TICK_S)

    def is_ready(self, name: str) -> bool:
        """Has it come up, and is it still there? A step that ended well stays ready."""
        with self._lock:
            one = self._all[name]
            return one.is_done or (one.is_ready and one.process is not None and one.process.poll() is None)

    def group_of(self, name: str) -> int | None:
        """The process group of a service, None while it does not run."""
        with self._lock:
            process = self._all[name].process
            return process.pid if process is not None else None

    def starts_of(self, name: str) -> int:
        """How often a service was started so far."""
        return self._all[name].starts

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _watch(self) -> None:
        while not self._stopping.wait(TICK_S * 2):
            self._tick()

    def _tick(self) -> None:
        with self._lock:
            for one in list(self._all.values()):
                if one.process is not None and one.process.poll() is not None:
                    self._note_end(one, one.process.returncode)
                if one.process is None and self._may_start(one):
                    self._launch(one)
                elif one.process is not None and not one.is_ready and not one.service.is_step:
                    self._ask(one)
                elif one.process is not None and one.service.is_told:
                    self._tell_progress(one)
                self._check_time(one)

    def _may_start(self, one: Running) -> bool:
        if one.is_held or one.is_done or time.monotonic() < one.next_start:
            return False
        return not self._is_first_start or all(self.is_ready(name) for name in one.service.after)

    def _launch(self, one: Running) -> None:
        service, log = one.service, self.log_of(one.service.name)
        service.prepare()
        one.offset = log.stat().st_size if log.exists() else 0
        environment = {**service.environment(), MARK: str(self.run)}
        one.process = groups.spawn(service.command(), env=environment, log=log, folder=service.folder, user=service.user)
        one.started, one.is_ready, one.starts = time.monotonic(), False, one.starts + 1
        if self._watchdog is not None:
            self._watchdog.watch(one.process, number=service.stop_signal)
        self._write_processes()
        with (self.run / "history.jsonl").open("a") as history:
            history.write(json.dumps({"name": service.name, **describe(one.process)}) + "\n")

    def _ask(self, one: Running) -> None:
        if one.service.probe(self.log_of(one.service.name), one.offset):
            one.is_ready = True
            self.tell(f"{one.service.name} is ready ({time.monotonic() - one.started:.1f} s)")

    def _tell_progress(self, one: Running) -> None:
        lines = [
            line for line in read_from(self.log_of(one.service.name), one.offset).splitlines() if not line.startswith("{")
        ]  # not the log
        if lines and lines[-1] != one.told:
            one.told = lines[-1]
            self.tell(f"{one.service.name}: {one.told}")

    def _note_end(self, one: Running, status: int) -> None:
        assert one.process is not None  # noqa: S101 - asked by the only caller
        self._forget(one)
        if one.service.is_step and status == 0:
            one.is_done = True
            self.tell(f"{one.service.name} is done ({time.monotonic() - one.started:.1f} s)")
        elif self._is_first_start:
            raise StartError(f"{one.service.name} ended while starting ({in_words(status)}):\n{self._end_of_log(one)}")
        else:
            if time.monotonic() - one.started > CALM_S:
                one.pause_s = SHORTEST_PAUSE_S
            one.next_start = time.monotonic() + one.pause_s
            paused, one.pause_s = one.pause_s, min(LONGEST_PAUSE_S, one.pause_s * 2)
            log = self.log_of(one.service.name)
            self.tell(f"{one.service.name} ended ({in_words(status)}), starting it again in {paused:.1f} s; see {log}")
            self._write_processes()

    def _check_time(self, one: Running) -> None:
        if not self._is_first_start or one.process is None or one.is_ready:
            return
        if time.monotonic() - one.started > one.service.timeout_s:
            raise StartError(f"{one.service.name} is not ready after {one.service.timeout_s:.0f} s:\n{self._end_of_log(one)}")

    def _end_of_log(self, one: Running, lines: int = 15) -> str:
        log = self.log_of(one.service.name)
        return "\n".join(["  " + line for line in read_from(log, one.offset).splitlines()[-lines:]] + [f"  (all of it: {log})"])

    def _forget(self, one: Running) -> None:
        if one.process is not None:
            groups.send(one.process.pid, signal.SIGKILL)  # whatever it left behind
            if self._watchdog is not None:
                self._watchdog.forget(one.process)
        one.process, one.is_ready = None, False

    def _end(self, those: Iterable[Running]) -> None:
        ended = [one for one in those if one.process is not None]
        groups.end([(one.process, one.service.stop_signal) for one in ended if one.process is not None])
        for one in ended:
            self._forget(one)

    def _write_processes(self) -> None:
        living = {name: one.process for name, one in self._all.items() if one.process is not None}
        described = {
            name: {"pid": process.pid, "group": process.pid, "started": groups.started_at(process.pid)} for name, process in living.items()
        }
        new = self.run / "processes.json.new"
        new.write_text(json.dumps(described, indent=2))
        new.replace(self.run / "processes.json")


def describe(process: subprocess.Popen[bytes]) -> dict[str, float | None]:
    """Who it is: `started` tells it from another process that gets its pid later."""
    return {"pid": process.pid, "group": process.pid, "started": groups.started_at(process.pid)}


def in_words(status: int) -> str:
    """An exit status for people."""
    if status >= 0:
        return f"exit status {status}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-status).name}"
    return f"killed by signal {-status}"


def end_stale(run: Path) -> list[str]:
    """Kill what an earlier supervisor of the same folder left behind; returns the names. Safe to repeat.

    A pid may have been given to somebody else since: only a leader that started at the noted time, or a process that
    carries our mark, is ours.
    """
    path = run / "processes.json"
    if not path.exists():
        return []
    ended = []
    for name, noted in json.loads(path.read_text()).items():
        alive = groups.members(noted["group"])
        if groups.started_at(noted["pid"]) == noted["started"] or any(is_marked(pid, run) for pid in alive):
            groups.send(noted["group"], signal.SIGTERM if name != "postgres" else signal.SIGINT)
            wait_gone(noted["group"])
            groups.send(noted["group"], signal.SIGKILL)
            ended.append(name)
    path.unlink()
    return ended


def is_marked(pid: int, run: Path) -> bool:
    """Was this process started by a supervisor of `run`?"""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).environ().get(MARK) == str(run)
    return False


def wait_gone(group: int, *, timeout_s: float = 5) -> None:
    deadline = time.monotonic() + timeout_s
    while groups.members(group) and time.monotonic() < deadline:
        time.sleep(TICK_S)
