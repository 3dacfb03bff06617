"""Copying the files of one order: expand what is recursive, decide by sync level, pull, verify, rename.

A file comes into an unfinished file beside its destination; the SHA-256 of what came is compared with the source's before the rename.
Every worker thread runs `Copy._work`: bundles of small files are in `pulling_small.py`, large files in `pulling_large.py`, a file alone
here in `_pull`. `orders.py` talks to control meanwhile.
"""

import functools
import hashlib
import logging
import threading

from services.dtn.copy_state import CopyState
from services.dtn.errors import NodeError
from services.dtn.expanding import expand
from services.dtn.journal import FileEntry, Journal
from services.dtn.landing import arrived_before
from services.dtn.node import Node
from services.dtn.partials import remove_partials
from services.dtn.paths import normalise
from services.dtn.progress import Options
from services.dtn.pulling_large import BLOCK_BYTES, LargeFile, LargeFiles
from services.dtn.pulling_small import pull_many
from services.dtn.sources import Fetched, PullError, Source, StoppedError
from services.dtn.storage import Storage, Unfinished
from services.dtn.syncing import delete_extra, digest_if_current

logger = logging.getLogger("dtn.orders")


class Copy:
    """One copy order at work. `run` blocks until every file has come to an end, and is called in a thread of its own."""

    def __init__(self, node: Node, journal: Journal, *, order_id: str, source: Source, destination: Storage, options: Options) -> None:
        self._state = CopyState(node, journal, order_id=order_id, source=source, destination=destination, options=options)
        self._large = LargeFiles(self._state)
        self._buffers = threading.local()
        self.progress = self._state.progress
        self.stop = self._state.stop

    def run(self) -> None:
        """Copy everything that can be copied; what cannot is recorded as failed. Raises StoppedError when stopped before the end."""
        state = self._state
        for entry, digest in arrived_before(state.journal, state.storage, order_id=state.order_id):
            state.note_arrival(entry, digest)
        workers = [threading.Thread(target=self._work, name=f"pull-{n}", daemon=True) for n in range(state.node.settings.workers)]
        if state.source.is_apart:
            _start(workers)
        try:
            expand(state, functools.partial(_start, workers))
        finally:
            state.source.release()
            state.schedule.end_filling()
            _start(workers)  # of a local copy: what is written must not be met by the walk
            for worker in workers:
                worker.join()
            self._close()
        state.raise_if_stopped()
        self.remove_partials()
        if state.options.is_late():
            state.journal.fail_pending(code="EXPIRED", details="The deadline passed before this file could be copied.")
        state.journal.fail_pending(code="INTERNAL_ERROR", details="The node met an error of its own at this file; its log tells more.")
        if state.options.delete_destination_extra and state.journal.first_failure() is None:
            delete_extra(state)

    def _work(self) -> None:
        while (unit := self._state.schedule.take()) is not None:
            try:
                if isinstance(unit, FileEntry):
                    self._pull(unit)
                elif isinstance(unit, list):
                    self._pull_many(unit)
                else:
                    unit()
            except StoppedError:
                pass
            except Exception:  # one file must not end the others; `run` records it as failed
                logger.exception("file not copied", extra={"facts": {"order": self._state.order_id}})
            finally:
                self._state.schedule.give_back(unit)
        self._state.source.release()

    @property
    def is_paused(self) -> bool:
        return self._state.schedule.is_paused

    @is_paused.setter
    def is_paused(self, wanted: bool) -> None:
        self._state.schedule.is_paused = wanted

    def wake(self) -> None:
        """Let the workers look at `stop` and `is_paused` now."""
        self._state.schedule.wake()
        if self.stop.is_set():
            self._state.source.interrupt()

    def remove_partials(self) -> None:
        """Remove what is unfinished of files that are still pending: the order was cancelled, or is late."""
        remove_partials(self._state.journal, self._state.storage, order_id=self._state.order_id)

    # --- what another engine does in its own way ---------------------------------------------------------------------------------

    def _close(self) -> None:
        """Let go of what the workers held, when they have ended."""
        self._large.close()

    def _pull_many(self, entries: list[FileEntry]) -> None:
        pull_many(self._state, entries)

    def _begin_pieces(self, entry: FileEntry, partial: Unfinished, done: dict[int, int]) -> None:
        self._large.begin(entry, partial, done)

    # --- one file ----------------------------------------------------------------------------------------------------------------

    def _pull(self, entry: FileEntry) -> None:
        """Bring one file to its end, or into pieces, or to a later try."""
        state = self._state
        try:
            partial = state.partial(entry)
        except NodeError as error:  # no name that the storage takes
            state.settle(entry, error)
            return
        try:
            normalise(entry.destination_path)
            digest = digest_if_current(state, entry)
            if digest is not None:
                state.journal.end(entry, "skipped", digest=digest or None)
                state.progress.add(files_skipped=1)
                return
            done = state.journal.pieces(entry)
            if done and not (entry.etag is not None and partial.exists()):
                state.discard(entry, partial)
                done = {}
            if not done:
                done = self._pull_first(entry, partial)
            if done:
                self._begin_pieces(entry, partial, done)
        except (PullError, NodeError, OSError) as error:
            partial.close()
            state.settle(entry, error)
        except StoppedError:
            partial.close()
            raise

    def _pull_first(self, entry: FileEntry, partial: Unfinished) -> dict[int, int]:
        """Fetch the first piece, or the whole file where it comes in order. Returns the pieces that are there when more is to begin."""
        state = self._state
        in_order = self._large.comes_in_order(partial)
        asked = None if in_order else state.piece_bytes(entry)
        with state.source.fetch(
            entry.source_path, offset=0, length=asked, etag=None, wants_digest=state.options.verify_checksum
        ) as fetched:  # fmt: skip
            self._take_facts(entry, fetched)
            size, piece = entry.size or 0, state.piece_bytes(entry)
            partial.create(size)
            is_whole = asked is None or min(size, piece) <= asked
            if size > piece and in_order:
                large = LargeFile(entry, partial)
                reached = self._large.absorb(large, fetched, 0, size)
            elif size > piece and is_whole:
                self._large.begin_around(entry, partial, fetched, min(size, asked - asked % piece) if asked else piece)
            elif is_whole:
                digest = self._copy_bytes(fetched, partial, length=size)
            expected = fetched.digest
        if not is_whole:  # its size was not known, and asks for longer pieces
            return self._pull_first(entry, partial)
        if size > piece:
            return self._end_in_order(large, reached) if in_order else {}
        if state.options.verify_checksum and expected is None:
            expected = state.source.digest(entry.source_path, entry.etag or "", state.stop)
        state.put_in_place(entry, partial, digest, expected)
        return {}

    def _end_in_order(self, large: LargeFile, reached: int) -> dict[int, int]:
        if reached == large.entry.size:
            self._large.complete(large)
            return {}
        if not large.done:  # paused before a piece was there
            self._state.schedule.put_back([large.entry])
        return large.done

    def _take_facts(self, entry: FileEntry, fetched: Fetched) -> None:
        entry.size, entry.etag = fetched.size, fetched.etag
        entry.mtime_ns = entry.mtime_ns if entry.mtime_ns is not None else fetched.mtime_ns
        self._state.journal.set_facts(entry)

    def _copy_bytes(self, fetched: Fetched, partial: Unfinished, *, length: int) -> str:
        """Write the first bytes of a file; returns their SHA-256."""
        state, buffer, digest = self._state, self._buffer(), hashlib.sha256()
        state.strike_fault("write")
        offset = 0
        while offset < length:
            state.raise_if_over()
            n_bytes = fetched.read_into(buffer[: min(length - offset, state.most_at_once)])
            if n_bytes == 0:
                raise PullError("CONNECT_FAILED", "The source ended early.", is_shared=True, is_source=True)
            digest.update(buffer[:n_bytes])
            partial.write(buffer[:n_bytes], offset)
            offset += n_bytes
            state.hold_to_pace(n_bytes)
        return digest.hexdigest()

    def _buffer(self) -> memoryview:
        buffer: memoryview | None = getattr(self._buffers, "buffer", None)
        if buffer is None:
            buffer = self._buffers.buffer = memoryview(bytearray(BLOCK_BYTES))
        return buffer


def _start(workers: list[threading.Thread]) -> None:
    """Safe to repeat."""
    for worker in workers:
        if worker.ident is None:
            worker.start()
