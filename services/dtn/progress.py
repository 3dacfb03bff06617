"""What an order was asked for, and how far it is: options, counters, the latest fault."""

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.dtn.journal import Counters, Journal


@dataclass
class Options:
    """What the task asked for (PROTOCOL.md, section 5)."""

    sync_level: int | None
    verify_checksum: bool
    preserve_timestamp: bool
    skip_source_errors: bool
    delete_destination_extra: bool
    filter_rules: list[dict[str, Any]]
    deadline: datetime | None
    recursive: bool
    ignore_missing: bool
    most_bytes_per_s: int | None = None
    follows_links: bool = False
    keeps_links: bool = False

    @classmethod
    def read(cls, asked: dict[str, Any]) -> "Options":
        deadline = asked.get("deadline")
        level = asked.get("sync_level")
        return cls(
            sync_level=None if level is None else int(level),
            verify_checksum=bool(asked.get("verify_checksum", True)),
            preserve_timestamp=bool(asked.get("preserve_timestamp")),
            skip_source_errors=bool(asked.get("skip_source_errors")),
            delete_destination_extra=bool(asked.get("delete_destination_extra")),
            filter_rules=list(asked.get("filter_rules") or []),
            deadline=datetime.fromisoformat(deadline) if deadline else None,
            recursive=bool(asked.get("recursive", True)),
            ignore_missing=bool(asked.get("ignore_missing")),
            most_bytes_per_s=int(asked.get("most_bytes_per_s") or 0) or None,
            follows_links=asked.get("recursive_symlinks") == "copy",
            keeps_links=asked.get("recursive_symlinks") == "keep",
        )

    def is_late(self) -> bool:
        """Tell whether the deadline, which control may move, has passed."""
        return self.deadline is not None and datetime.now(self.deadline.tzinfo) >= self.deadline


class Progress:
    """Counters and the latest fault, shared by the workers and whoever reports to control."""

    def __init__(self, journal: Journal) -> None:
        self._lock = threading.Lock()
        self._journal = journal
        self._counters = journal.count()
        self._highest = Counters(**(journal.get("counters") or {}))
        self.fault: dict[str, str] | None = None
        self.news = threading.Event()
        self.stir = threading.Event()  # something is to be told to control: a fault, results of many files, the end

    def add(self, **amounts: int) -> None:
        with self._lock:
            for name, amount in amounts.items():
                setattr(self._counters, name, getattr(self._counters, name) + amount)

    def set_fault(self, code: str, description: str, path: str) -> None:
        with self._lock:
            self._counters.faults += 1
            self.fault = {"code": code, "description": description, "path": path}
            n_faults = self._counters.faults
        self._journal.set("faults", n_faults)
        self.news.set()
        self.stir.set()

    def forget_fault(self, told: dict[str, str] | None) -> None:
        """The fault was told; a newer one stays."""
        with self._lock:
            if self.fault is told:
                self.fault = None

    def totals(self) -> dict[str, int]:
        """Return the counters, never less than what was told before, also by a process that was killed."""
        with self._lock:
            totals = {name: max(value, getattr(self._highest, name)) for name, value in vars(self._counters).items()}
            self._highest = Counters(**totals)
        self._journal.set("counters", totals)
        return totals
