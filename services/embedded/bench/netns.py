"""Two network namespaces joined by a path that has a delay, loss and a rate: what a firewalled campus and a Science DMZ look like.

Needs root, `ip` (iproute2) and /dev/net/tun; `why_not` says what is missing. Everything has a name of its own and is gone at the end.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from services.embedded.bench.site import BenchError

TUN = Path("/dev/net/tun")
ALLOWED = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
AVAILABLE = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
NEAR, FAR = "10.203.77.1", "10.203.77.2"


@dataclass(frozen=True)
class Line:
    """What a path is like; loss is of each way."""

    words: str
    round_trip_ms: float
    mtu: int
    loss: float = 0.0
    mbit: float = 0.0


@dataclass(frozen=True)
class Pair:
    """The two namespaces: commands run in the near one, where all programs but the far node are."""

    near: str
    far: str

    def in_near(self, *command: str) -> list[str]:
        return [ip_program(), "netns", "exec", self.near, *command]

    def in_far(self, *command: str) -> list[str]:
        return [ip_program(), "netns", "exec", self.far, *command]

    def set_congestion_control(self, name: str) -> None:
        for command in (self.in_near, self.in_far):
            _run(*command("sysctl", "-q", "-w", f"net.ipv4.tcp_congestion_control={name}"))


def ip_program() -> str:
    return shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""


def why_not() -> str | None:
    """Return what keeps this machine from making the namespaces; None when nothing does."""
    if os.getuid() != 0:
        return "network namespaces need root"
    if not ip_program():
        return "ip (iproute2) is not installed"
    if not TUN.exists():
        return f"{TUN} is not there"
    probe = f"causeway-probe-{os.getpid()}"
    made = subprocess.run([ip_program(), "netns", "add", probe], capture_output=True, text=True, check=False)
    subprocess.run([ip_program(), "netns", "delete", probe], capture_output=True, check=False)
    return f"network namespaces are not allowed: {made.stderr.strip()}" if made.returncode else None


@contextlib.contextmanager
def allowed(congestion_control: str) -> Iterator[bool]:
    """Let namespaces use a congestion control while the block runs; False when this machine has it not, or does not permit that."""
    if congestion_control not in AVAILABLE.read_text().split():
        yield False
        return
    before = ALLOWED.read_text()
    if congestion_control in before.split():
        yield True
        return
    try:
        ALLOWED.write_text(f"{before.strip()} {congestion_control}\n")
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        ALLOWED.write_text(before)


@contextlib.contextmanager
def joined_by(line: Line) -> Iterator[Pair]:
    """Two namespaces whose only way to each other is the line: `NEAR` and `FAR` are their addresses on it."""
    number = os.getpid() % 100_000
    pair = Pair(f"causeway-near-{number}", f"causeway-far-{number}")
    names = (f"cwn{number}", f"cwf{number}")
    with contextlib.ExitStack() as undo:
        for namespace in (pair.near, pair.far):
            _run(ip_program(), "netns", "add", namespace)
            undo.callback(_run, ip_program(), "netns", "delete", namespace)
        _start_box(undo, names, line)
        for name, namespace, own, other in ((names[0], pair.near, NEAR, FAR), (names[1], pair.far, FAR, NEAR)):
            _run(ip_program(), "link", "set", name, "netns", namespace)
            inside = [ip_program(), "-n", namespace]
            _run(*inside, "address", "add", own, "peer", other, "dev", name)
            _run(*inside, "link", "set", name, "mtu", str(line.mtu), "txqueuelen", "2000", "up")
            _run(*inside, "link", "set", "lo", "up")
        yield pair


def _start_box(undo: contextlib.ExitStack, names: tuple[str, str], line: Line) -> None:
    command = [
        sys.executable, "-m", "services.embedded.bench.delaybox", *names, "--one-way-ms", str(line.round_trip_ms / 2),
        "--loss", str(line.loss), "--mbit", str(line.mbit),
    ]  # fmt: skip
    box = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    undo.enter_context(box)
    undo.callback(box.kill)
    if not box.stdout or box.stdout.readline() != b"ready\n":
        raise BenchError(f"the delay box did not start: {box.stderr.read().decode() if box.stderr else ''}")


def _run(*command: str) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise BenchError(f"{' '.join(command)}: {ran.stderr.strip()}")
