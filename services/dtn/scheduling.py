"""Who of an order's workers does what when: pieces of files that are begun, files to be tried again, new files; and rests after faults.

A fault that hits every file alike (the source is gone, the disk is full) holds all workers back, with growing rests; a fault of one file
puts off that file alone.
"""

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from services.dtn.journal import FileEntry, Journal

FIRST_WAIT_S = 0.25
MOST_WAIT_S = 20.0
READ_AHEAD_ROWS = 1000
MOST_TOGETHER = 1000
BYTES_TOGETHER = 8 << 20
UNKNOWN_BYTES = 64 << 10  # what a file counts whose size nobody told
BUNDLES_AT_ONCE = 2  # one is written while the next is on its way; more would only fight for the interpreter
Piece = Callable[[], None]
Bundle = list[FileEntry]
Unit = FileEntry | Bundle | Piece


class Schedule:
    """Safe to use from any thread. `is_over` tells that nothing more is to be begun (stopped, or past the deadline)."""

    def __init__(self, journal: Journal, is_over: Callable[[], bool], *, bundled_bytes: int = 0) -> None:
        """Files of at most `bundled_bytes`, or of unknown size, are handed out together."""
        self._journal = journal
        self._is_over = is_over
        self._bundled_bytes = bundled_bytes
        self._most_together, self._bundles_at_once = MOST_TOGETHER, BUNDLES_AT_ONCE
        self._n_bundles = 0
        self._alone: set[int] = set()
        self._condition = threading.Condition()
        self._pieces: deque[Piece] = deque()
        self._new: deque[FileEntry] = deque()
        self._last_id = 0
        self._waiting: list[tuple[float, int, FileEntry]] = []
        self._attempts: dict[int, int] = {}
        self._n_busy = 0
        self._hold_until = 0.0
        self._hold_s = FIRST_WAIT_S
        self._is_filling = True
        self.is_paused = False

    def bundle(self, *, most_files: int, at_once: int) -> None:
        """Hand out other bundles than those that suit one stream."""
        self._most_together, self._bundles_at_once = most_files, at_once

    def take(self) -> Unit | None:
        """Wait for something to do; None when there is nothing any more. Each taken unit ends with `give_back`."""
        with self._condition:
            while not self._is_over():
                now, wait_s = time.monotonic(), 0.5
                if self.is_paused or now < self._hold_until:
                    wait_s = min(wait_s, max(0.01, self._hold_until - now)) if not self.is_paused else wait_s
                else:
                    unit = self._ready(now)
                    if unit is not None:
                        self._n_busy += 1
                        self._n_bundles += isinstance(unit, list)
                        return unit
                    if not self._n_busy and not self._waiting and not self._is_filling:
                        break
                    if self._waiting:
                        wait_s = min(wait_s, max(0.01, self._waiting[0][0] - now))
                self._condition.wait(wait_s)
            self._condition.notify_all()
            return None

    def _ready(self, now: float) -> Unit | None:
        if self._pieces:
            return self._pieces.popleft()
        while self._waiting and self._waiting[0][0] <= now:
            self._new.appendleft(heapq.heappop(self._waiting)[2])
        if not self._new:
            self._new.extend(self._journal.pending(after=self._last_id, limit=READ_AHEAD_ROWS))
            if self._new:
                self._last_id = self._new[-1].id
        if self._new and self._is_small(self._new[0]):
            return self._bundle() if self._n_bundles < self._bundles_at_once else None
        return self._new.popleft() if self._new else None

    def _is_small(self, entry: FileEntry) -> bool:
        return entry.id not in self._alone and entry.etag is None and (entry.size or 0) <= self._bundled_bytes and self._bundled_bytes > 0

    def _bundle(self) -> Bundle:
        found: Bundle = []
        n_bytes = 0
        while self._new and len(found) < self._most_together and n_bytes < BYTES_TOGETHER and self._is_small(self._new[0]):
            found.append(self._new.popleft())
            n_bytes += UNKNOWN_BYTES if found[-1].size is None else found[-1].size
        return found

    def give_back(self, unit: Unit) -> None:
        """Say that a taken unit has ended."""
        with self._condition:
            self._n_busy -= 1
            self._n_bundles -= isinstance(unit, list)
            self._condition.notify_all()

    def put_back(self, entries: Sequence[FileEntry], *, are_alone: bool = True) -> None:
        """Hand these out anew, each alone where they turned out to be large, or to land in an unusual place."""
        with self._condition:
            if are_alone:
                self._alone.update(entry.id for entry in entries)
            self._new.extendleft(reversed(entries))
            self._condition.notify_all()

    def add_pieces(self, pieces: Iterable[Piece]) -> None:
        with self._condition:
            self._pieces.extend(pieces)
            self._condition.notify_all()

    def end_filling(self) -> None:
        """Say that the journal has all there is to do: whoever then finds nothing may go."""
        with self._condition:
            self._is_filling = False
            self._condition.notify_all()

    def note_success(self) -> None:
        """Something arrived: the next rest is a short one again."""
        self._hold_s = FIRST_WAIT_S

    def try_again(self, entry: FileEntry, *, is_shared: bool) -> bool:
        """Put a file off; returns False when the fault is one that all workers meet just now and is told already."""
        now = time.monotonic()
        with self._condition:
            is_news = not is_shared or now >= self._hold_until
            if is_shared:
                if is_news:
                    self._hold_until = now + self._hold_s
                    self._hold_s = min(self._hold_s * 2, MOST_WAIT_S)
                due = self._hold_until
            else:
                attempt = self._attempts[entry.id] = self._attempts.get(entry.id, 0) + 1
                due = now + min(FIRST_WAIT_S * 2**attempt, MOST_WAIT_S)
            heapq.heappush(self._waiting, (due, entry.id, entry))
        return is_news

    def wake(self) -> None:
        """Let the workers look anew at what changed outside."""
        with self._condition:
            self._condition.notify_all()
