"""The engine `gridftp`: the files of one order are sent from server to server, and this node tells both what to do.

`GridCopy` does for each file what `pulling.Copy` does, of which it is one: expand, decide by sync level, copy into an unfinished file,
compare checksums, rename, retry. Only the bytes take another way: read `_transfer` first. The servers are in `gridftp_ends.py`,
`gridftp_opening.py` (the source's side) and `gridftp_servers.py`, the protocol in `gridftp_control.py` and `gridftp_transfers.py`.
"""

import logging
import threading
from collections.abc import Mapping
from typing import Any

from services.dtn.digests import asked_of
from services.dtn.gridftp_control import GridLostError
from services.dtn.gridftp_ends import Ends
from services.dtn.gridftp_small import MOST_TOGETHER, Sent, begin_many, end_many
from services.dtn.gridftp_transfers import Listener, Pair, TransferError
from services.dtn.journal import FileEntry, Journal
from services.dtn.node import Node
from services.dtn.partials import part_name_for, partial_key
from services.dtn.progress import Options
from services.dtn.pulling import Copy
from services.dtn.sources import PullError, Source, StoppedError
from services.dtn.storage import Storage, Unfinished
from services.dtn.syncing import without_current

logger = logging.getLogger("dtn.gridftp")
MOST_PAIRS = 4
CODES = {
    "no such file": "FILE_NOT_FOUND",
    "not a directory": "FILE_NOT_FOUND",
    "permission denied": "PERMISSION_DENIED",
    "operation not permitted": "PERMISSION_DENIED",
    "path not allowed": "PERMISSION_DENIED",
    "read-only file system": "PERMISSION_DENIED",
    "no space left": "NO_SPACE",
    "disk quota exceeded": "NO_SPACE",
    "file name too long": "InvalidPath",
    "is a directory": "IsDirectory",
}
"""What the servers say (they hand on the system's words), and Globus's codes for it."""
FINAL_CODES = frozenset({"InvalidPath", "IsDirectory"})
NAMED_CODES = frozenset(CODES.values())


class PausedError(StoppedError):
    """A transfer was broken off because the order rests; it goes on later."""


class GridCopy(Copy):
    """One copy order at work, by third-party transfers."""

    def __init__(
        self, node: Node, journal: Journal, *, order: Mapping[str, Any], source: Source, destination: Storage, options: Options
    ) -> None:  # fmt: skip
        super().__init__(node, journal, order_id=str(order["id"]), source=source, destination=destination, options=options)
        self._ends = Ends(node, order, destination)
        self._is_private = bool(order["options"].get("encrypt_data"))
        self._pairs = threading.local()
        self._may_pair = threading.Semaphore(MOST_PAIRS)
        self._state.schedule.bundle(most_files=MOST_TOGETHER, at_once=MOST_PAIRS)

    def _work(self) -> None:
        if not self._may_pair.acquire(blocking=False):
            return  # enough workers have servers to talk to
        try:
            super()._work()
        finally:
            self._drop_pair()

    def _close(self) -> None:
        super()._close()
        self._ends.close()  # no server writes any more

    # --- files -------------------------------------------------------------------------------------------------------------------

    def _pull_many(self, entries: list[FileEntry]) -> None:
        """Small files together, but for those that are there already by the sync level."""
        self._state.raise_if_stopped()
        entries, had = without_current(self._state, entries)
        if not entries:
            return
        sent: list[Sent] = []
        is_begun = False
        try:
            pair = self._pair() or self._make_pair(entries[0])
            sent, alone = begin_many(self._state, entries, had, self._paths_of)
            is_begun = True
            self._state.schedule.put_back(alone)
            pair.copy_many([(one.source_path, one.host_path) for one in sent], self._look)
            end_many(self._state, sent, pair, self._strike_write)
        except (TransferError, StoppedError) as raised:
            self._drop_pair()
            if isinstance(raised, (TransferError, PausedError)):
                left = [one.entry for one in sent] if is_begun else entries
                self._state.schedule.put_back(left, are_alone=isinstance(raised, TransferError))
            if isinstance(raised, StoppedError):
                raise
        except PullError as error:
            for entry in [one.entry for one in sent] if is_begun else entries:
                self._state.settle(entry, error)

    def _paths_of(self, entry: FileEntry) -> tuple[str, str]:
        return self._ends.source_folder + entry.source_path, self._host_path(entry)

    def _pull_first(self, entry: FileEntry, partial: Unfinished) -> dict[int, int]:
        self._transfer(entry, partial, {})
        return {}

    def _begin_pieces(self, entry: FileEntry, partial: Unfinished, done: dict[int, int]) -> None:
        self._transfer(entry, partial, done)

    def _transfer(self, entry: FileEntry, partial: Unfinished, done: dict[int, int]) -> None:
        """Bring one file to its place; `done` are the parts that are there from before a fault or a kill."""
        try:
            pair = self._pair() or self._make_pair(entry)
            source_path = self._ends.source_folder + entry.source_path
            done = self._begin(entry, partial, done)
            path = self._host_path(entry)
            if sum(done.values()) < (entry.size or 0) or not done:
                self._move(entry, partial, done, pair, source_path, path)
            self._strike_write(entry, partial)
            expected, digest = pair.checksums(source_path if self._state.options.verify_checksum else None, path, size=entry.size or 0)
            own = self._own_digest(entry, pair, path)
            self._ask_source(entry, etag=entry.etag)
            self._state.put_in_place(entry, partial, digest, expected, own=own)
        except TransferError as error:
            self._drop_pair()
            raise self._fault(entry, error) from error
        except StoppedError as stopped:
            self._drop_pair()
            if isinstance(stopped, PausedError):
                self._state.schedule.put_back([entry])
            raise

    def _own_digest(self, entry: FileEntry, pair: Pair, path: str) -> str | None:
        """Let the destination's server take the digest of the item's own checksum, where that is by another algorithm."""
        algorithm, _ = asked_of(entry.checksum)
        return None if algorithm in {"", "sha256"} else pair.checksum_at_destination(path, algorithm=algorithm, size=entry.size or 0)

    def _begin(self, entry: FileEntry, partial: Unfinished, done: dict[int, int]) -> dict[int, int]:
        """Learn what the file is now, and make the unfinished one unless parts of the same file are in it."""
        size, mtime_ns, etag = self._ask_source(entry)
        if done and etag == entry.etag:
            return done
        if done:
            self._state.discard(entry, partial)
        entry.size, entry.etag = size, etag
        entry.mtime_ns = entry.mtime_ns if entry.mtime_ns is not None else mtime_ns
        self._state.journal.set_facts(entry)
        partial.create(entry.size)
        return {}

    def _ask_source(self, entry: FileEntry, *, etag: str | None = None) -> tuple[int, int, str]:
        """Return size, time and tag of a file, as the source's node sees it: what that would not give is not copied past it either.

        Raises PullError, FILE_CHANGED where it is no longer the one with `etag`.
        """
        with self._state.source.fetch(entry.source_path, offset=0, length=1, etag=etag, wants_digest=False) as fetched:
            return fetched.size, fetched.mtime_ns, fetched.etag

    def _move(
        self, entry: FileEntry, partial: Unfinished, done: dict[int, int], pair: Pair, source_path: str, path: str
    ) -> None:  # fmt: skip
        """Let the servers copy what is missing. What a large file has when it breaks off is kept for the next try."""
        size = entry.size or 0
        is_large = size > self._state.piece_bytes(entry)
        if done:
            logger.info(
                "file resumed", extra={"facts": {"order": self._state.order_id, "path": entry.source_path, "had": sum(done.values())}}
            )
        before = sum(done.values())
        counted, kept = 0, before

        def moved(n_bytes: int) -> None:
            nonlocal counted
            if is_large:
                self.progress.add(bytes_transferred=n_bytes - counted)
                counted = n_bytes

        def arrived(ranges: Mapping[int, int]) -> None:
            nonlocal kept
            if is_large:
                partial.flush(0, size)
                self._keep(entry, ranges)
                kept = sum(ranges.values())

        try:
            pair.copy(source_path, path, size=size, done=done, listener=Listener(self._look, moved, arrived))
            arrived({0: size})
        finally:
            if is_large:
                self.progress.add(bytes_transferred=kept - before - counted)

    def _strike_write(self, entry: FileEntry, partial: Unfinished) -> None:
        fault = self._state.node.faults.take("write")
        if fault is not None:
            self._state.rest(fault.delay_s)
            if fault.corrupt and entry.size:
                partial.write(memoryview(b"\xff"), 0)
            fault.strike()

    def _keep(self, entry: FileEntry, ranges: Mapping[int, int]) -> None:
        self._state.journal.forget_pieces(entry)
        self._state.journal.set_facts(entry)
        for offset, length in ranges.items():
            self._state.journal.add_piece(entry, offset, length)

    def _host_path(self, entry: FileEntry) -> str:
        """Return where the unfinished file lies for the destination's server."""
        folder, _, name = entry.destination_path.rpartition("/")
        part = part_name_for(name, partial_key(self._state.order_id, entry.id))
        return self._ends.destination_folder + self._state.storage.real_path(f"{folder}/{part}")

    # --- the servers -------------------------------------------------------------------------------------------------------------

    def _pair(self) -> Pair | None:
        pair: Pair | None = getattr(self._pairs, "pair", None)
        return pair

    def _make_pair(self, entry: FileEntry) -> Pair:
        try:
            pair = self._pairs.pair = Pair(*self._ends.logins(), is_private=self._is_private, look=self._look)
        except TransferError as error:
            raise self._fault(entry, error) from error
        return pair

    def _drop_pair(self) -> None:
        pair = self._pair()
        self._pairs.pair = None
        if pair is not None:
            pair.close()

    def _look(self) -> None:
        """End a transfer that is not to go on."""
        if self.stop.is_set() or self._state.options.is_late():
            raise StoppedError
        if self.is_paused:
            raise PausedError

    def _fault(self, entry: FileEntry, error: TransferError) -> PullError:
        """Say what went wrong in the words of an order. What names a cause counts more than that the other end broke off."""
        sides = (("source", error.source, entry.source_path), ("destination", error.destination, entry.destination_path))
        found = [(side, raised, path, _code(raised)) for side, raised, path in sides if raised is not None]
        side, raised, path, code = min(found, key=lambda one: (one[3] not in NAMED_CODES, one[3] != "CONNECT_FAILED"))
        words = str(raised)
        for folder in (self._ends.source_folder, self._ends.destination_folder):
            words = words.replace(folder, "") if folder else words
        return PullError(
            code, f"{path}: the {side}'s GridFTP server: {' '.join(words.split())}", is_final=code in FINAL_CODES,
            is_shared=code not in NAMED_CODES or code == "NO_SPACE", is_source=side == "source",
        )  # fmt: skip


def _code(error: Exception) -> str:
    if isinstance(error, GridLostError):
        return "CONNECT_FAILED"
    words = str(error).lower()
    return next((code for said, code in CODES.items() if said in words), "ENDPOINT_ERROR")
