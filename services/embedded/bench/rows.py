"""A row of a bench, and how it is printed: one JSON object a line, the same keys in every bench.

`ratio` is how many times as fast as the rival (or, for a size and a time, ours alone against the goal); `ours` and `against` are medians.
"""

import json
import os
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

WHO = ("ours", "rival")
CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")


@dataclass(frozen=True)
class Row:
    """What one line says. `ours` is None in a row that was skipped; its note then names what is missing."""

    name: str
    ours: float | None
    against: float | None
    ratio: float | None
    goal: str
    unit: str
    runs: int
    note: str

    def print(self) -> None:
        print(json.dumps(asdict(self)), flush=True)


def compared(
    name: str, *, ours: Callable[[], float], against: Callable[[], float], amount: float, unit: str, goal: str, runs: int, note: str = ""
) -> Row:
    """Run both in turn, so that both meet the same noise. The callables return seconds; medians of `amount` per second are told."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        seconds[0].append(ours())
        seconds[1].append(against())
    speeds = [amount / statistics.median(one) for one in seconds]
    spread = "; ".join(
        f"{who} {amount / max(one):.4g}-{amount / min(one):.4g}" for who, one in zip(("ours", "rival"), seconds, strict=True)
    )
    return Row(name, figure(speeds[0]), figure(speeds[1]), figure(speeds[0] / speeds[1]), goal, unit, runs, noted(note, spread))


def alone(name: str, values: list[float], *, unit: str, goal: str, note: str = "") -> Row:
    """A row without a rival."""
    return Row(name, figure(statistics.median(values)), None, None, goal, unit, len(values), noted(note))


def skipped(name: str, why: str, *, goal: str, unit: str) -> Row:
    return Row(name, None, None, None, goal, unit, 0, noted(f"skipped: {why}"))


def noted(*words: str, congestion: str = "") -> str:
    """Words, and what a reader must know of the machine: TCP congestion control (the machine's unless given) and how busy it was."""
    congestion = congestion or (CONGESTION.read_text().strip() if CONGESTION.exists() else "unknown")
    machine = f"tcp {congestion}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    return "; ".join([*(word for word in words if word), machine])


def figure(value: float) -> float:
    return float(f"{value:.4g}")
