"""Large files of an order: fetched in order by one answer where the source is near, in pieces on several connections where it is far.

A piece is noted in the journal when it is safe, so that a killed node goes on behind it. SHA-256 is taken from the bytes while they flow
in order; what came out of order is hashed from the storage as soon as it is contiguous.
"""

import functools
import hashlib
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from services.dtn.copy_state import CopyState
from services.dtn.errors import NodeError
from services.dtn.journal import FileEntry
from services.dtn.sources import Fetched, PullError, StoppedError
from services.dtn.storage import Unfinished

BLOCK_BYTES = 1 << 20
N_BLOCKS = 4  # on their way between the thread that receives and the one that hashes and writes


@dataclass(eq=False)
class LargeFile:
    """A file on its way. `done` are its pieces by offset; whoever finishes one hashes what has become contiguous."""

    entry: FileEntry
    partial: Unfinished
    done: dict[int, int] = field(default_factory=dict)
    n_open: int = 0
    error: Exception | None = None
    hashed: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    hashing: threading.Lock = field(default_factory=threading.Lock)
    lock: threading.Lock = field(default_factory=threading.Lock)


class LargeFiles:
    """The large files of one order. `begin` hands their parts to the schedule; `close` lets go of what is left."""

    def __init__(self, state: CopyState) -> None:
        self._state = state
        self._under_way: set[LargeFile] = set()
        self._local = threading.local()

    def close(self) -> None:
        for large in self._under_way:
            large.partial.close()

    def comes_in_order(self, partial: Unfinished) -> bool:
        """Whether one answer brings the whole file: the source is near, and the storage needs no pieces side by side."""
        return partial.is_readable and self._state.source.n_streams == 1

    def begin(self, entry: FileEntry, partial: Unfinished, done: dict[int, int]) -> None:
        """Fetch what is missing of a file whose pieces `done` are there."""
        large = LargeFile(entry, partial, dict(done))
        units: list[Callable[[], None]] = [
            functools.partial(self._pull_part, large, offset, length) for offset, length in self._missing(large)
        ]
        if self.comes_in_order(partial) and done:
            units.insert(0, functools.partial(self._catch_up, large))
        self._hand_out(large, units)
        self._close_part(large, None)

    def begin_around(self, entry: FileEntry, partial: Unfinished, fetched: Fetched, length: int) -> None:
        """Take the first pieces from an answer that is open, while others fetch the rest of the file. Its faults are settled here."""
        large = LargeFile(entry, partial)
        rest = [functools.partial(self._pull_part, large, offset, n_bytes) for offset, n_bytes in self._missing(large) if offset >= length]
        self._hand_out(large, rest)
        error: Exception | None = None
        try:
            self._go_on_later(large, self.absorb(large, fetched, 0, length), length)
        except (PullError, NodeError, OSError, StoppedError) as raised:
            error = raised
        self._close_part(large, error)

    def _hand_out(self, large: LargeFile, units: Sequence[Callable[[], None]]) -> None:
        """Let other workers have these parts; one more is the caller's own."""
        large.n_open = len(units) + 1
        self._under_way.add(large)
        self._state.schedule.add_pieces(units)

    def _go_on_later(self, large: LargeFile, reached: int, end: int) -> None:
        """The order was paused: the rest of a part is for later."""
        if reached < end:
            with large.lock:
                large.n_open += 1
            self._state.schedule.add_pieces([functools.partial(self._pull_part, large, reached, end - reached)])

    def _missing(self, large: LargeFile) -> list[tuple[int, int]]:
        """Return (offset, length) of what is missing: stretches as long as possible where it comes in order, else piece by piece."""
        size, piece = large.entry.size or 0, self._state.piece_bytes(large.entry)
        held = {at for offset, length in large.done.items() for at in range(offset, offset + length, piece)}  # some may be long ones
        missing = [(offset, min(piece, size - offset)) for offset in range(0, size, piece) if offset not in held]
        if not self.comes_in_order(large.partial):
            return missing
        joined: list[tuple[int, int]] = []
        for offset, length in missing:
            if joined and sum(joined[-1]) == offset:
                joined[-1] = (joined[-1][0], joined[-1][1] + length)
            else:
                joined.append((offset, length))
        return joined

    def _pull_part(self, large: LargeFile, offset: int, length: int) -> None:
        error: Exception | None = None
        entry = large.entry
        try:
            if large.error is None:
                with self._state.source.fetch(
                    entry.source_path, offset=offset, length=length, etag=entry.etag, wants_digest=self._state.options.verify_checksum
                ) as fetched:  # fmt: skip
                    reached = self.absorb(large, fetched, offset, offset + length)
                self._go_on_later(large, reached, offset + length)
        except (PullError, NodeError, OSError, StoppedError) as raised:
            error = raised
        self._close_part(large, error)

    def _catch_up(self, large: LargeFile) -> None:
        """Hash what an earlier try brought, while the rest is on its way."""
        error: Exception | None = None
        try:
            self.hash_contiguous(large)
        except (NodeError, OSError, StoppedError) as raised:
            error = raised
        self._close_part(large, error)

    def absorb(self, large: LargeFile, fetched: Fetched, offset: int, end: int) -> int:
        """Take the bytes of an open answer; returns how far it came: to the end, or to that of a piece when the order was paused."""
        state, piece = self._state, self._state.piece_bytes(large.entry)
        state.strike_fault("write")
        is_hashed_as_it_flows = large.hashed == offset and large.hashing.acquire(blocking=False)
        try:
            write = functools.partial(self._write_block, large, piece, is_hashed_as_it_flows)
            with _Sink(write, self._blocks()) as sink:
                while offset < end and not (state.schedule.is_paused and offset % piece == 0):
                    state.raise_if_over()
                    block = sink.block()
                    n_bytes = fetched.read_into(block[: min(end - offset, piece - offset % piece, state.most_at_once)])
                    if n_bytes == 0:
                        raise PullError("CONNECT_FAILED", "The source ended early.", is_shared=True, is_source=True)
                    sink.put(block, n_bytes, offset)
                    offset += n_bytes
                    state.hold_to_pace(n_bytes)
        finally:
            if is_hashed_as_it_flows:
                large.hashing.release()
        return offset

    def _write_block(self, large: LargeFile, piece: int, is_hashed: bool, block: memoryview, offset: int) -> None:
        if is_hashed:
            large.digest.update(block)
            large.hashed += len(block)
        large.partial.write(block, offset)
        reached = offset + len(block)
        if reached % piece and reached != large.entry.size:
            return
        start = offset - offset % piece
        self.note_piece(large, start, reached - start)
        if not is_hashed:
            self.hash_contiguous(large)

    def note_piece(self, large: LargeFile, offset: int, length: int) -> None:
        large.partial.flush(offset, length)
        self._state.journal.add_piece(large.entry, offset, length)
        self._state.progress.add(bytes_transferred=length)
        self._state.schedule.note_success()
        with large.lock:
            large.done[offset] = length

    def hash_contiguous(self, large: LargeFile) -> None:
        """Hash pieces in order from the storage, if nobody else is at it; look again after letting go, for one that came meanwhile."""
        while large.partial.is_readable and large.hashed in large.done and large.hashing.acquire(blocking=False):
            try:
                buffer = memoryview(bytearray(BLOCK_BYTES))
                while (length := large.done.get(large.hashed)) is not None:
                    self._state.raise_if_stopped()
                    large.partial.feed(large.digest, large.hashed, length, buffer)
                    large.hashed += length
            finally:
                large.hashing.release()

    def _close_part(self, large: LargeFile, error: Exception | None) -> None:
        with large.lock:
            large.error = large.error or error
            large.n_open -= 1
            is_last = large.n_open == 0
        if not is_last:
            return
        self._under_way.discard(large)
        try:
            if large.error is not None:
                raise large.error
            self.complete(large)
        except (PullError, NodeError, OSError) as raised:
            large.partial.close()
            self._state.settle(large.entry, raised)
        except StoppedError:
            large.partial.close()
            raise

    def complete(self, large: LargeFile) -> None:
        """All pieces are there: compare the digests and give the file its name."""
        entry = large.entry
        large.partial.complete(entry.size or 0)
        self.hash_contiguous(large)
        expected = None
        if self._state.options.verify_checksum:
            expected = self._state.source.digest(entry.source_path, entry.etag or "", self._state.stop)
        self._state.put_in_place(entry, large.partial, large.digest.hexdigest(), expected)

    def _blocks(self) -> list[memoryview]:
        blocks: list[memoryview] | None = getattr(self._local, "blocks", None)
        if blocks is None:
            blocks = self._local.blocks = [memoryview(bytearray(BLOCK_BYTES)) for _ in range(N_BLOCKS)]
        return blocks


class _Sink:
    """Gives blocks to `write` in a thread of its own while the next ones are received; what goes wrong there is raised here."""

    def __init__(self, write: Callable[[memoryview, int], None], blocks: list[memoryview]) -> None:
        self._write = write
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        self._full: queue.SimpleQueue[tuple[memoryview, int, int] | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        for block in blocks:
            self._free.put(block)
        self._thread = threading.Thread(target=self._run, name="sink", daemon=True)

    def __enter__(self) -> "_Sink":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._full.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def block(self) -> memoryview:
        """Return a block to fill."""
        block = self._free.get()
        if self._error is not None:
            raise self._error
        return block

    def put(self, block: memoryview, n_bytes: int, offset: int) -> None:
        self._full.put((block, n_bytes, offset))

    def _run(self) -> None:
        while (filled := self._full.get()) is not None:
            block, n_bytes, offset = filled
            if self._error is None:
                try:
                    self._write(block[:n_bytes], offset)
                except BaseException as error:  # noqa: BLE001  # carried over to the thread that receives
                    self._error = error
            self._free.put(block)
