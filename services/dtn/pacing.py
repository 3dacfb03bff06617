"""The bandwidth cap of a task: a token bucket that all its workers take from."""

import threading
import time
from collections.abc import Callable

BURST_S = 0.25  # how much of a second's bytes may come at once


class Pace:
    """At most `bytes_per_s`, on average over any time longer than a moment; None: no cap. Safe to use from any thread."""

    def __init__(self, bytes_per_s: int | None, *, now: Callable[[], float] = time.monotonic) -> None:
        self._bytes_per_s = bytes_per_s
        self._now = now
        self._lock = threading.Lock()
        self._spent_until = 0.0  # the moment at which everything that was taken so far is paid for

    def take(self, n_bytes: int) -> float:
        """Take bytes that have come; returns for how many seconds the taker is to wait before it goes on."""
        if self._bytes_per_s is None:
            return 0.0
        with self._lock:
            now = self._now()
            self._spent_until = max(self._spent_until, now - BURST_S) + n_bytes / self._bytes_per_s
            return max(0.0, self._spent_until - now)
