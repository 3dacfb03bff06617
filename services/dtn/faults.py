"""The fault switch, present only with `--faults`: the next calls of a kind fail, wait, are cut, find no space or carry a wrong byte.

`POST /.dtn/faults` takes `{"kind", "times", ...}` with one of `error: {http_status, code, message}`, `delay_s`, `drop`, `no_space`,
`corrupt`; `after_bytes` lets a body begin first, and what was ordered, a delay too, comes there. Kinds: `get`, `head`, `put`, `delete`,
`walk`, `digest`, `operations.<verb>`, `write` (this node writing what it pulls) and `unrecorded` (what it pulled has its name, or what it
deleted is gone, and its journal does not say so yet). `GET` tells what is left, `DELETE` forgets all.
"""

import errno
import os
import threading
from dataclasses import asdict, dataclass
from typing import Any

from services.dtn.errors import BadRequestError, NodeError


class DropError(Exception):
    """The connection is to be cut."""


@dataclass
class Fault:
    kind: str
    times: int = 1
    error: dict[str, Any] | None = None
    delay_s: float = 0.0
    drop: bool = False
    no_space: bool = False
    corrupt: bool = False
    after_bytes: int = 0

    def strike(self) -> None:
        """Raise what was ordered (a delay and a wrong byte are the caller's)."""
        if self.drop:
            raise DropError
        if self.no_space:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.error is not None:
            status = int(self.error.get("http_status", 500))
            raise NodeError(str(self.error.get("message", "ordered fault")), code=str(self.error.get("code", "Fault")), http_status=status)

    def comes_within(self, n_sent: int, n_bytes: int) -> bool:
        """Tell whether it was ordered for the bytes that follow the `n_sent` of a body."""
        return self.after_bytes > 0 and n_sent <= self.after_bytes < n_sent + n_bytes

    def spoil(self, chunk: bytes | memoryview, n_sent: int = 0) -> bytes | memoryview:
        """Make the first byte of a body wrong when that was ordered."""
        return bytes([chunk[0] ^ 0xFF]) + bytes(chunk[1:]) if self.corrupt and chunk and not n_sent else chunk


class Faults:
    """What was ordered. Without `--faults` nothing can be, and `take` always answers None."""

    def __init__(self, *, is_enabled: bool) -> None:
        self.is_enabled = is_enabled
        self._lock = threading.Lock()
        self._ordered: list[Fault] = []

    def order(self, asked: dict[str, Any]) -> None:
        try:
            fault = Fault(**asked)
        except TypeError as error:
            raise BadRequestError(f"Not a fault: {error}") from error
        with self._lock:
            self._ordered.append(fault)

    def take(self, kind: str) -> Fault | None:
        """Return the fault for this call, counting it down."""
        if not self._ordered:
            return None
        with self._lock:
            for fault in self._ordered:
                if fault.kind == kind and fault.times > 0:
                    fault.times -= 1
                    if fault.times == 0:
                        self._ordered.remove(fault)
                    return fault
        return None

    def left(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._ordered]

    def clear(self) -> None:
        with self._lock:
            self._ordered.clear()
