"""Copying the files of one order: expand what is recursive, decide by sync level, pull, verify, rename.

A file comes into an unfinished file beside its destination, large ones in pieces on several connections; SHA-256 of what lies on the
disk is compared with the source's before the rename. Every worker thread runs `Copy._work`; read `_pull` first. `orders.py` talks to
control meanwhile.
"""

import functools
import hashlib
import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.dtn.digests import READ_BYTES, digest_of
from services.dtn.errors import NodeError
from services.dtn.journal import FileEntry, Item, Journal
from services.dtn.landing import UnusualError, arrived_before
from services.dtn.node import Node
from services.dtn.partials import partial_of, remove_partials
from services.dtn.paths import normalise
from services.dtn.progress import Options, Progress
from services.dtn.scheduling import FIRST_WAIT_S, MOST_WAIT_S, Schedule
from services.dtn.small_files import MOST_BYTES, Answered
from services.dtn.sources import SOURCE_ERRORS, PullError, Source, StoppedError, as_fault, mtime_of, source_fault
from services.dtn.storage import Landing, Storage, Unfinished

logger = logging.getLogger("dtn.orders")
LANDED_S = 0.25  # small files that arrived wait no longer than this for their names


@dataclass(eq=False)
class _LargeFile:
    """A file that comes in pieces; whoever finishes a piece hashes what has become contiguous."""

    entry: FileEntry
    partial: Unfinished
    done: dict[int, int]
    n_open: int = 0
    error: Exception | None = None
    hashed: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    hashing: threading.Lock = field(default_factory=threading.Lock)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Copy:
    """One copy order at work. `run` blocks until every file has come to an end, and is called in a thread of its own."""

    def __init__(self, node: Node, journal: Journal, *, order_id: str, source: Source, destination: Storage, options: Options) -> None:
        self._node = node
        self._journal = journal
        self._order_id = order_id
        self._source = source
        self._storage = destination
        self._options = options
        self.progress = Progress(journal)
        self.stop = threading.Event()
        bundled_bytes = MOST_BYTES if options.sync_level is None else 0
        self._schedule = Schedule(journal, lambda: self.stop.is_set() or self._is_late(), bundled_bytes=bundled_bytes)
        self._buffers = threading.local()
        self._made_folders: set[str] = set()
        self._large: set[_LargeFile] = set()

    def run(self) -> None:
        """Copy everything that can be copied; what cannot is recorded as failed. Raises StoppedError when stopped before the end."""
        for entry, digest in arrived_before(self._journal, self._storage):
            self._note_arrival(entry, digest)
        try:
            self._expand()
        finally:
            self._source.release()
        workers = [threading.Thread(target=self._work, name=f"pull-{n}", daemon=True) for n in range(self._node.settings.workers)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        for large in self._large:
            large.partial.close()
        self._raise_if_stopped()
        if self._is_late():
            self._journal.fail_pending(code="EXPIRED", details="The deadline passed before this file could be copied.")
        self._journal.fail_pending(code="INTERNAL_ERROR", details="The node met an error of its own at this file; its log tells more.")
        if self._options.delete_destination_extra and self._journal.first_failure() is None:
            self._delete_extra()

    # --- what there is to copy ---------------------------------------------------------------------------------------------------

    def _expand(self) -> None:
        while single := [item for item in self._journal.items(only_unexpanded=True) if not item.is_recursive][:1000]:
            for item in single:
                self._journal.add_entries(item, [("file", item.source_path, item.destination_path, None, None, item.checksum)])
            self._journal.mark_expanded(single)
            self.progress.add(files=len(single))
        for item in self._journal.items(only_unexpanded=True):
            self._until_it_works(item, lambda one=item: self._expand_folder(one))  # type: ignore[misc]  # bound to this item
            self._journal.mark_expanded([item])

    def _until_it_works(self, item: Item, act: Callable[[], None]) -> None:
        wait_s = FIRST_WAIT_S
        while not self._is_late():
            try:
                act()
                return
            except (PullError, NodeError, OSError) as raised:
                error = as_fault(raised, item.destination_path)
                is_skipped = self._options.skip_source_errors and error.is_source and error.code in SOURCE_ERRORS
                if is_skipped or error.is_final:
                    status = "skipped" if is_skipped else "failed"
                    self._end_item(item, status, error)
                    return
                self.progress.set_fault(error.code, error.description, item.source_path)
            self._rest(wait_s)
            wait_s = min(wait_s * 2, MOST_WAIT_S)
        self._end_item(item, "failed", PullError("EXPIRED", "The deadline passed before the folder could be read."))

    def _end_item(self, item: Item, status: str, error: PullError) -> None:
        self._journal.end_item(item, status, code=error.code, details=error.description)

    def _expand_folder(self, item: Item) -> None:
        before = self._journal.count()
        rows: list[tuple[str, str, str, int | None, int | None, str | None]] = []
        top, target = item.source_path.rstrip("/") + "/", item.destination_path.rstrip("/") + "/"
        for entry in self._source.walk(top, self._options.filter_rules):
            path = target + str(entry["path"])[len(top) :]
            if entry["type"] == "dir":
                self._storage.make_folder(path)
                rows.append(("dir", entry["path"], path, None, None, None))
            else:
                rows.append(("file", entry["path"], path, int(entry["size"]), mtime_of(entry), None))
            if len(rows) >= 1000:
                self._raise_if_stopped()
                self._journal.add_entries(item, rows)
                rows.clear()
        self._journal.add_entries(item, rows)
        after = self._journal.count()
        self.progress.add(files=after.files - before.files, directories=after.directories - before.directories)

    # --- who does what when ------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (unit := self._schedule.take()) is not None:
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
                logger.exception("file not copied", extra={"facts": {"order": self._order_id}})
            finally:
                self._schedule.give_back(unit)
        self._source.release()

    @property
    def is_paused(self) -> bool:
        return self._schedule.is_paused

    @is_paused.setter
    def is_paused(self, wanted: bool) -> None:
        self._schedule.is_paused = wanted

    def wake(self) -> None:
        """Let the workers look at `stop` and `is_paused` now."""
        self._schedule.wake()

    def _is_late(self) -> bool:
        deadline = self._options.deadline
        return deadline is not None and datetime.now(deadline.tzinfo) >= deadline

    def _raise_if_stopped(self) -> None:
        if self.stop.is_set():
            raise StoppedError

    def _rest(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise StoppedError

    # --- many small files --------------------------------------------------------------------------------------------------------

    def _pull_many(self, entries: list[FileEntry]) -> None:
        """Bring small files to their ends by one stream; what is large or lands in an unusual place goes alone."""
        landing = self._storage.landing(
            order_id=self._order_id, made_folders=self._made_folders, keeps_times=self._options.preserve_timestamp
        )  # fmt: skip
        unanswered = dict(enumerate(entries))
        alone: list[FileEntry] = []
        with closing(landing):
            try:
                landed_at = time.monotonic()
                for answer in self._source.fetch_many([entry.source_path for entry in entries]):
                    self._raise_if_stopped()
                    entry = unanswered.pop(answer.index)
                    if not self._land(landing, entry, answer):
                        alone.append(entry)
                    if time.monotonic() - landed_at > LANDED_S:
                        self._put_all_in_place(landing)
                        landed_at = time.monotonic()
            except (PullError, NodeError, OSError) as error:
                fault = as_fault(error, entries[0].destination_path)
                for entry in unanswered.values():
                    self._settle(entry, fault)
            self._put_all_in_place(landing)
        self._schedule.put_back(alone)

    def _land(self, landing: Landing, entry: FileEntry, answer: Answered) -> bool:
        """Write one file of a bundle, or settle why not. False when it is to be pulled alone."""
        if answer.is_large:
            return False
        try:
            if answer.error is not None:
                error = answer.error
                raise source_fault(error.http_status, error.code, error.message, path=entry.source_path)
            self._strike_fault("write")
            entry.size = answer.size
            entry.mtime_ns = entry.mtime_ns if entry.mtime_ns is not None else answer.mtime_ns
            digest = landing.write(entry, answer.body)
            mismatch = self._mismatch(entry, digest, answer.sha256 if self._options.verify_checksum else None)
            if mismatch is not None:
                landing.take_back()
                raise mismatch
        except UnusualError:
            return False
        except (PullError, NodeError, OSError) as error:
            self._settle(entry, as_fault(error, entry.destination_path))
        return True

    def _put_all_in_place(self, landing: Landing) -> None:
        try:
            written = landing.make_durable()
        except (NodeError, OSError) as error:  # nothing of it is safe
            for entry in landing.give_up():
                self._settle(entry, as_fault(error, entry.destination_path))
            return
        if not written:
            return
        note = self._journal.begin_landing(written)
        arrived = landing.put_in_place(lambda entry, error: self._settle(entry, as_fault(error, entry.destination_path)))
        self._strike_fault("unrecorded")
        self._journal.end_many(((entry, digest) for entry, digest, _ in arrived), landing=note)
        self._node.digests.keep_many((stamp, digest) for _, digest, stamp in arrived if stamp is not None)
        n_bytes = sum(entry.size or 0 for entry, _, _ in arrived)
        self.progress.add(files_transferred=len(arrived), bytes_checksummed=n_bytes, bytes_transferred=n_bytes)
        self._schedule.note_success()

    # --- one file ----------------------------------------------------------------------------------------------------------------

    def _pull(self, entry: FileEntry) -> None:
        """Bring one file to its end, or into pieces, or to a later try."""
        partial = self._partial(entry)
        try:
            normalise(entry.destination_path)
            digest = self._digest_if_current(entry)
            if digest is not None:
                self._journal.end(entry, "skipped", digest=digest or None)
                self.progress.add(files_skipped=1)
                return
            done = self._journal.pieces(entry)
            if done and not (entry.etag is not None and partial.exists()):
                self._discard(entry, partial)
                done = {}
            if done or self._pull_first(entry, partial):
                self._begin_pieces(entry, partial, done or {0: self._piece_bytes(entry)})
        except (PullError, NodeError, OSError) as error:
            partial.close()
            self._settle(entry, as_fault(error, entry.destination_path))
        except StoppedError:
            partial.close()
            raise

    def _partial(self, entry: FileEntry) -> Unfinished:
        return partial_of(self._storage, entry, order_id=self._order_id, made_folders=self._made_folders)

    def _pull_first(self, entry: FileEntry, partial: Unfinished) -> bool:
        """Fetch the first piece; most files end with it. Returns True when there is more to come."""
        asked = self._piece_bytes(entry)
        with self._source.fetch(
            entry.source_path, offset=0, length=asked, etag=None, wants_digest=self._options.verify_checksum
        ) as fetched:  # fmt: skip
            entry.size, entry.etag = fetched.size, fetched.etag
            entry.mtime_ns = entry.mtime_ns if entry.mtime_ns is not None else fetched.mtime_ns
            self._journal.set_facts(entry)
            digest = hashlib.sha256()
            partial.create(entry.size)
            length = min(entry.size, self._piece_bytes(entry))
            if length <= asked:
                self._copy_bytes(fetched, partial, offset=0, length=length, digest=digest)
            expected = fetched.digest
        if length > asked:  # its size was not known, and asks for longer pieces
            return self._pull_first(entry, partial)
        if entry.size > length:
            self._finish_piece(entry, partial, 0, length)
            return True
        if self._options.verify_checksum and expected is None:
            expected = self._source.digest(entry.source_path, entry.etag, self.stop)
        self._put_in_place(entry, partial, digest.hexdigest(), expected)
        return False

    def _copy_bytes(self, fetched: Any, partial: Unfinished, *, offset: int, length: int, digest: Any = None) -> None:
        self._strike_fault("write")
        buffer = self._buffer()
        end = offset + length
        while offset < end:
            self._raise_if_stopped()
            n_bytes = fetched.read_into(buffer[: end - offset])
            if n_bytes == 0:
                raise PullError("CONNECT_FAILED", "The source ended early.", is_shared=True, is_source=True)
            partial.write(buffer[:n_bytes], offset)
            if digest is not None:
                digest.update(buffer[:n_bytes])
            offset += n_bytes

    def _strike_fault(self, kind: str) -> None:
        fault = self._node.faults.take(kind)
        if fault is not None:
            self._rest(fault.delay_s)
            fault.strike()

    def _piece_bytes(self, entry: FileEntry) -> int:
        return self._storage.piece_bytes(entry.size or 0)

    def _buffer(self) -> memoryview:
        buffer: memoryview | None = getattr(self._buffers, "buffer", None)
        if buffer is None:
            buffer = self._buffers.buffer = memoryview(bytearray(READ_BYTES))
        return buffer

    def _begin_pieces(self, entry: FileEntry, partial: Unfinished, done: dict[int, int]) -> None:
        large = _LargeFile(entry, partial, done)
        missing = [offset for offset in range(0, entry.size or 0, self._piece_bytes(entry)) if offset not in done]
        large.n_open = len(missing) + 1
        self._large.add(large)
        self._schedule.add_pieces(functools.partial(self._pull_piece, large, offset) for offset in missing)
        self._close_piece(large, None)

    def _pull_piece(self, large: _LargeFile, offset: int) -> None:
        error: Exception | None = None
        entry = large.entry
        try:
            if large.error is None:
                length = min(self._piece_bytes(entry), (entry.size or 0) - offset)
                with self._source.fetch(entry.source_path, offset=offset, length=length, etag=entry.etag, wants_digest=False) as fetched:
                    self._copy_bytes(fetched, large.partial, offset=offset, length=length)
                self._finish_piece(entry, large.partial, offset, length)
                with large.lock:
                    large.done[offset] = length
                self._hash_contiguous(large)
        except (PullError, NodeError, OSError, StoppedError) as raised:
            error = raised
        self._close_piece(large, error)

    def _finish_piece(self, entry: FileEntry, partial: Unfinished, offset: int, length: int) -> None:
        partial.flush(offset, length)
        self._journal.add_piece(entry, offset, length)
        self.progress.add(bytes_transferred=length)
        self._schedule.note_success()

    def _hash_contiguous(self, large: _LargeFile) -> None:
        """Hash pieces in order from the disk, if nobody else is at it; look again after letting go, for one that came meanwhile."""
        while large.partial.is_readable and large.hashed in large.done and large.hashing.acquire(blocking=False):
            try:
                while (length := large.done.get(large.hashed)) is not None:
                    self._raise_if_stopped()
                    large.partial.feed(large.digest, large.hashed, length, self._buffer())
                    large.hashed += length
            finally:
                large.hashing.release()

    def _close_piece(self, large: _LargeFile, error: Exception | None) -> None:
        with large.lock:
            large.error = large.error or error
            large.n_open -= 1
            is_last = large.n_open == 0
        if not is_last:
            return
        self._large.discard(large)
        entry = large.entry
        try:
            if large.error is not None:
                raise large.error
            large.partial.complete(entry.size or 0)
            self._hash_contiguous(large)
            expected = None
            if self._options.verify_checksum:
                expected = self._source.digest(entry.source_path, entry.etag or "", self.stop)
            self._put_in_place(entry, large.partial, large.digest.hexdigest(), expected)
        except (PullError, NodeError, OSError) as raised:
            large.partial.close()
            self._settle(entry, as_fault(raised, entry.destination_path))
        except StoppedError:
            large.partial.close()
            raise

    def _put_in_place(self, entry: FileEntry, partial: Unfinished, digest: str, expected: str | None) -> None:
        mismatch = self._mismatch(entry, digest, expected)
        if mismatch is not None:
            self._discard(entry, partial)
            raise mismatch
        mtime_ns = entry.mtime_ns if self._options.preserve_timestamp else None
        mark = partial.make_durable(mtime_ns)
        note = self._journal.begin_landing([(entry, digest, mark)])
        stamp = partial.put_in_place(digest)
        self._strike_fault("unrecorded")
        self._node.digests.keep(stamp, digest)
        self._note_arrival(entry, digest, note)

    def _note_arrival(self, entry: FileEntry, digest: str, note: int = 0) -> None:
        was_in_pieces = (entry.size or 0) > self._piece_bytes(entry)
        self._journal.end(entry, "transferred", digest=digest, landing=note)
        self.progress.add(files_transferred=1, bytes_checksummed=entry.size or 0, bytes_transferred=0 if was_in_pieces else entry.size or 0)
        self._schedule.note_success()

    def _mismatch(self, entry: FileEntry, digest: str, expected: str | None) -> PullError | None:
        if expected is not None and expected != digest:
            return PullError("CHECKSUM_MISMATCH", f"{entry.source_path} arrived with another checksum than the source has.")
        if entry.checksum and entry.checksum.lower() != digest:
            return PullError("CHECKSUM_MISMATCH", f"{entry.source_path} does not have the checksum that was asked for.", is_final=True)
        return None

    def _discard(self, entry: FileEntry, partial: Unfinished) -> None:
        lost = sum(self._journal.pieces(entry).values())
        self._journal.forget_pieces(entry)
        self.progress.add(bytes_transferred=-lost)
        partial.remove()

    # --- what can go wrong -------------------------------------------------------------------------------------------------------

    def _settle(self, entry: FileEntry, error: PullError) -> None:
        """Decide what a fault means for a file: passed over, failed for good, or tried again after a rest."""
        if self._options.skip_source_errors and error.is_source and error.code in SOURCE_ERRORS:
            self._journal.end(entry, "skipped", code=error.code, details=error.description)
            self.progress.add(files_skipped=1)
            return
        if error.is_final:
            self._journal.end(entry, "failed", code=error.code, details=error.description)
            return
        if error.code == "FILE_CHANGED":
            self._discard(entry, self._partial(entry))
        self._journal.set_error(entry, error.code, error.description)
        if self._schedule.try_again(entry, is_shared=error.is_shared):
            self.progress.set_fault(error.code, error.description, entry.source_path)

    def _digest_if_current(self, entry: FileEntry) -> str | None:
        """Return the digest ("" if not computed) when the sync level finds the destination up to date, else None."""
        level = self._options.sync_level
        if level is None:
            return None
        present = self._storage.find(entry.destination_path)
        if present is None:
            return None
        if level == 0:
            return ""
        with self._source.fetch(entry.source_path, offset=0, length=1, etag=None, wants_digest=level == 3) as fetched:
            size, mtime_ns, etag, digest = fetched.size, fetched.mtime_ns, fetched.etag, fetched.digest
        if size != present.size or (level == 2 and mtime_ns // 10**9 > present.mtime_ns // 10**9):
            return None
        entry.size = size
        if level < 3:
            return ""
        file = self._storage.open(entry.destination_path)
        try:
            file.announce(0, file.stamp.size)
            own = self._node.digests.known(file.stamp) or digest_of(file, lambda _: self._raise_if_stopped())
        finally:
            file.close()
        return own if own == (digest or self._source.digest(entry.source_path, etag, self.stop)) else None

    def _delete_extra(self) -> None:
        """Delete at the destination what the source folders do not have, deepest last so that whole folders go at once."""
        self._journal.index_destinations()
        for item in self._journal.items(only_recursive=True):
            waiting = [item.destination_path.rstrip("/") + "/"]
            while waiting:
                folder = waiting.pop()
                for entry in self._storage.list_folder(folder)[1]:
                    is_folder = entry["type"] == "dir" and entry["link_target"] is None
                    path = folder + entry["name"] + ("/" if is_folder else "")
                    if not self._journal.has_destination(path):
                        self._storage.delete(path, recursive=True, ignore_missing=True)
                        self._journal.add_event("DELETED", f"{path} is not at the source and was deleted.")
                    elif is_folder:
                        waiting.append(path)
                self._raise_if_stopped()

    def remove_partials(self) -> None:
        """Remove what a cancelled order left unfinished."""
        remove_partials(self._journal, self._storage, order_id=self._order_id)
