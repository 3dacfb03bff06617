"""Two paths to the same node, in network namespaces: a clean one, and one through a firewall that loses packets and has a small MTU.

What the engine does is told apart from what the path does: on the same lossy path several streams against one, and the same question by
two ways of congestion control. A short file is sent where a long one would take minutes; speeds are compared, not seconds. A stream is
fast until it has lost some packets: four streams and one bring as many bytes each, so that this counts alike.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from services.embedded.bench.netns import FAR, Line, allowed, joined_by, why_not
from services.embedded.bench.rows import Row, figure, noted, skipped
from services.embedded.bench.site import BenchError

CLEAN = Line("20 ms, MTU 9000, no loss, no cap", round_trip_ms=20, mtu=9000)
FIREWALLED = Line("20 ms, MTU 1500, 0.05 % loss each way, 200 Mbit/s, 256 KiB queue", round_trip_ms=20, mtu=1500, loss=0.0005, mbit=200)
GOALS = {"paths": ">=10", "streams": ">=3"}


def rows(folder: Path, *, clean_mib: int, lossy_mib: int, runs: int) -> Iterator[Row]:
    """Print what can be measured here; what cannot is skipped by its name. `lossy_mib` is what one stream brings on the lossy path."""
    missing = why_not()
    for congestion in ("cubic", "bbr"):
        names = {
            "ceiling": f"what the delay box lets through of the clean path, {congestion}",
            "paths": f"{clean_mib} MiB DTN to DTN over a clean path, against HTTPS through a firewalled path, {congestion}",
            "streams": f"firewalled path, DTN to DTN on 4 streams against 1, {congestion}",
            "engine": f"firewalled path, DTN to DTN (8 streams) against one HTTPS download, {congestion}",
        }
        with contextlib.nullcontext(False) if missing else allowed(congestion) as is_allowed:
            if not is_allowed:
                why = missing or f"the kernel has no {congestion}, or does not permit it"
                for which, name in names.items():
                    yield skipped(name, why, goal=GOALS.get(which, ""), unit="Mbit/s")
                continue
            yield from _measured(folder, names, congestion, clean_mib, lossy_mib, runs)


def _measured(folder: Path, names: dict[str, str], congestion: str, clean_mib: int, lossy_mib: int, runs: int) -> Iterator[Row]:
    ceiling = [_ceiling(CLEAN, congestion, mib=clean_mib) for _ in range(runs)]
    note = noted(f"plain TCP on 8 streams, {clean_mib} MiB; no copy is faster", congestion=congestion)
    yield Row(names["ceiling"], figure(median(ceiling)), None, None, "", "Mbit/s", runs, note)
    clean = _speeds(folder, CLEAN, congestion, "copy", mib=clean_mib, runs=runs)
    legacy = _speeds(folder, FIREWALLED, congestion, "get", mib=lossy_mib, runs=runs)
    yield _row(
        names["paths"], clean, legacy, GOALS["paths"], f"ours: {CLEAN.words}; against: {FIREWALLED.words}, {lossy_mib} MiB", congestion
    )
    four = _speeds(folder, FIREWALLED, congestion, "copy", mib=4 * lossy_mib, runs=runs, workers=4)
    one = _speeds(folder, FIREWALLED, congestion, "copy", mib=lossy_mib, runs=runs, workers=1)
    goal = GOALS["streams"] if congestion == "cubic" else ""
    yield _row(
        names["streams"],
        four,
        one,
        goal,
        f"both: {FIREWALLED.words}, {lossy_mib} MiB a stream; the path is the same: this is the engine",
        congestion,
    )
    eight = _speeds(folder, FIREWALLED, congestion, "copy", mib=4 * lossy_mib, runs=runs)
    yield _row(
        names["engine"],
        eight,
        legacy,
        "",
        f"both: {FIREWALLED.words}, {4 * lossy_mib} MiB on 8 streams, {lossy_mib} MiB on one; the path is the same: this is the engine",
        congestion,
    )


def _ceiling(line: Line, congestion: str, *, mib: int, streams: int = 8) -> float:
    """Mbit/s of plain TCP over a path: what is left when nothing is read, hashed or encrypted is the path, and the box that makes it."""
    program = [sys.executable, "-m", "services.embedded.bench.ceiling"]
    each = [FAR, str((mib << 20) // streams), "--streams", str(streams)]
    with joined_by(line) as pair:
        pair.set_congestion_control(congestion)
        with subprocess.Popen(pair.in_far(*program, "send", *each), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as sender:
            try:
                if not sender.stdout or sender.stdout.readline() != b"ready\n":
                    raise BenchError("nothing sends over the clean path")
                taken = subprocess.run(pair.in_near(*program, "take", *each), capture_output=True, text=True, check=False)
            finally:
                sender.kill()
    if taken.returncode:
        raise BenchError(f"over {line.words}: {taken.stderr.strip()[-500:]}")
    return mib * 8 * 1.048576 / float(taken.stdout)


def _row(name: str, ours: list[float], against: list[float], goal: str, note: str, congestion: str) -> Row:
    spread = f"ours {min(ours):.4g}-{max(ours):.4g}; rival {min(against):.4g}-{max(against):.4g}; delay box in user space"
    ratio = median(ours) / median(against)
    return Row(
        name,
        figure(median(ours)),
        figure(median(against)),
        figure(ratio),
        goal,
        "Mbit/s",
        len(ours),
        noted(note, spread, congestion=congestion),
    )


def _speeds(folder: Path, line: Line, congestion: str, what: str, *, mib: int, runs: int, workers: int = 8) -> list[float]:
    """Mbit/s of each run over a path of its own."""
    with joined_by(line) as pair:
        pair.set_congestion_control(congestion)
        command = pair.in_near(
            sys.executable, "-m", "services.embedded.bench.far", str(folder / "network"), "--namespaces", pair.near, pair.far,
            "--what", what, "--workers", str(workers), "--mib", str(mib), "--runs", str(runs),
        )  # fmt: skip
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            seconds, said = process.communicate()
        finally:
            if process.poll() is None:  # we are asked to stop: its own programs end with it
                process.terminate()
                process.wait()
    if process.returncode:
        raise BenchError(f"over {line.words}: {said.strip()[-1500:]}")
    return [mib * 8 * 1.048576 / float(one) for one in seconds.split()]
