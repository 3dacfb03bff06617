"""Whose data bytes passed a data transfer node: sums each node's `connections.jsonl` (services/dtn/PROTOCOL.md, section 7)
by the service that the peer's process group belongs to, as `run/history.jsonl` of the supervisor tells.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

CONTROL_PLANE = ("web", "worker", "beat", "localglobus")
UNKNOWN = "unknown"


@dataclass
class Passed:
    """What one peer exchanged with the nodes, in bytes."""

    who: str
    connections: int = 0
    data_bytes: int = 0
    control_bytes: int = 0
    samples: list[str] = field(default_factory=list)

    @property
    def is_control_plane(self) -> bool:
        """One of the portal or the local Globus, or somebody who could be: no process was found for the peer."""
        return self.who in CONTROL_PLANE or self.who == UNKNOWN


def count_bytes(journals: Iterable[Path], run: Path, *, since: datetime | None = None, ourselves: str = "") -> list[Passed]:
    """Everybody who talked to a node, most data first. Connections that ended before `since` (aware) do not count.

    `ourselves` names what this process itself exchanged.
    """
    services = read_groups(run) | ({os.getpgrp(): ourselves} if ourselves else {})
    sums: dict[str, Passed] = {}
    for journal in journals:
        for line in last_lines(journal):
            if since is not None and datetime.fromisoformat(line["closed"] or line["opened"]) < since:
                continue
            who = name_of(line["process"], services)
            passed = sums.setdefault(who, Passed(who))
            data = line["data_bytes_in"] + line["data_bytes_out"]
            passed.connections += 1
            passed.data_bytes += data
            passed.control_bytes += line["control_bytes_in"] + line["control_bytes_out"]
            if data and len(passed.samples) < 3:
                passed.samples.append(f"{journal.parent.name}: {data} bytes, peer {line['peer']}, {line['process']}")
    return sorted(sums.values(), key=lambda passed: (-passed.data_bytes, passed.who))


def last_lines(journal: Path) -> list[dict[str, Any]]:
    """The last line of each connection: one that is open is written every few seconds, its totals so far."""
    if not journal.exists():
        return []
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for text in journal.read_text().splitlines():
        line = json.loads(text)
        last[(line["peer"], line["opened"])] = line
    return list(last.values())


def read_groups(run: Path) -> dict[int, str]:
    """Process group -> service, of everything that was started since the supervisor's start (a service may have died and come back)."""
    history = run / "history.jsonl"
    noted = [json.loads(line) for line in history.read_text().splitlines()] if history.exists() else []
    return {line["group"]: line["name"] for line in noted}


def name_of(process: dict[str, Any] | None, services: dict[int, str]) -> str:
    """The service, else the command of a process that is none of ours."""
    if process is None:
        return UNKNOWN
    return services.get(process["group"], f"other: {process['command'][:60]}")
