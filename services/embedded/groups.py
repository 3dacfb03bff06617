"""Process groups: start a program in a session of its own, end it with everything it started, and make sure that
nothing outlives us. Knows no product; the supervisor and the embedded servers are built on it. Start at `spawn`.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

WATCHDOG = Path(__file__).with_name("watchdog.py")


def spawn(argv: Sequence[str], *, env: Mapping[str, str], log: Path, folder: Path, user: str | None = None) -> subprocess.Popen[bytes]:
    """Start `argv` in its own session and process group (group id = pid), output appended to `log`.

    Signals of our terminal do not reach it. As root, `user` names whom it runs as, without root's extra groups.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            list(argv),
            env=dict(env),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=group_of(user),
            extra_groups=[] if user else None,
        )


def group_of(user: str | None) -> int | None:
    """The primary group of `user`, or None to stay in ours."""
    if user is None:
        return None
    import pwd

    return pwd.getpwnam(user).pw_gid


def started_at(pid: int) -> float | None:
    """When the process started (seconds of the epoch); None when there is none. Tells a reused pid from the old one."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def members(group: int) -> list[int]:
    """Living pids of a process group, zombies left out."""
    found = []
    for process in psutil.process_iter(["pid", "status"]):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process.info["pid"]) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process.info["pid"])
    return found


def send(group: int, number: int) -> None:
    """Send a signal to a whole group; one that is gone already is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def end(processes: Iterable[tuple[subprocess.Popen[bytes], int]], *, grace_s: float = 10) -> None:
    """Ask every process (with the signal it knows) to stop, all at once; kill the groups that are left after `grace_s`."""
    waiting = list(processes)
    for process, number in waiting:
        if process.poll() is None:
            # Only the leader is asked: a pre-forking server tells its children itself, and a second signal would make it impatient.
            process.send_signal(number)
    deadline = time.monotonic() + grace_s
    for process, _ in waiting:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.05, deadline - time.monotonic()))
        send(process.pid, signal.SIGKILL)
        process.wait()


class Watchdog:
    """A tiny process that kills the groups it was told of, and removes the folders, when we are gone (also by SIGKILL).

    It reads our end of a pipe, so it needs no parent-death signal, which follows threads rather than processes.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(WATCHDOG)], stdin=subprocess.PIPE, start_new_session=True, text=True, cwd="/"
        )

    def watch(self, process: subprocess.Popen[bytes], *, number: int = signal.SIGTERM) -> None:
        self._tell(f"watch {process.pid} {int(number)}")

    def forget(self, process: subprocess.Popen[bytes]) -> None:
        self._tell(f"forget {process.pid}")

    def remove_at_end(self, folder: Path) -> None:
        self._tell(f"remove {folder}")

    def close(self) -> None:
        """End the watchdog: what it still knows it ends and removes. Safe to repeat."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        if self._process.stdin is None or self._process.stdin.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
