"""What all parts of one copy order share: source, destination, journal, schedule, and what a fault or an arrival means for a file.

`pulling.py` is the order at work; `expanding.py` finds the files, `pulling_small.py` and `pulling_large.py` bring them, `syncing.py` says
what is there already. Used from every worker thread.
"""

import contextlib
import sys
import threading
from collections.abc import Iterator

from services.dtn.digests import READ_BYTES, asked_of, by
from services.dtn.errors import NodeError
from services.dtn.journal import FileEntry, Journal
from services.dtn.node import Node
from services.dtn.pacing import Pace
from services.dtn.partials import partial_of
from services.dtn.progress import Options, Progress
from services.dtn.scheduling import Schedule
from services.dtn.small_files import MOST_BYTES
from services.dtn.sources import SOURCE_ERRORS, PullError, Source, StoppedError, as_fault
from services.dtn.storage import MadeFolders, Storage, Unfinished

PART_BYTES = 64 << 20  # read between looks at whether the order goes on
TURN_S = 0.02  # a slow disk is better asked by several


class CopyState:
    def __init__(self, node: Node, journal: Journal, *, order_id: str, source: Source, destination: Storage, options: Options) -> None:
        self.node = node
        self.journal = journal
        self.order_id = order_id
        self.source = source
        self.storage = destination
        self.options = options
        self.progress = Progress(journal)
        self.stop = threading.Event()
        self.schedule = Schedule(journal, lambda: self.stop.is_set() or options.is_late(), bundled_bytes=MOST_BYTES)
        self.pace = Pace(options.most_bytes_per_s)
        self.made_folders: MadeFolders = {}
        self._turn = threading.Lock()

    def raise_if_stopped(self) -> None:
        if self.stop.is_set():
            raise StoppedError

    def raise_if_over(self) -> None:
        """Raise StoppedError when nothing is to go on, not even what is under way: stopped, or past the deadline."""
        if self.stop.is_set() or self.options.is_late():
            raise StoppedError

    def rest(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise StoppedError

    @property
    def most_at_once(self) -> int:
        """How many bytes to take between two waits of `hold_to_pace`: a source cuts a connection that rests for minutes."""
        return self.options.most_bytes_per_s or sys.maxsize

    def hold_to_pace(self, n_bytes: int) -> None:
        """Wait as long as the task's bandwidth cap asks for these bytes."""
        if self.options.most_bytes_per_s is not None and (wait_s := self.pace.take(n_bytes)) > 0:
            self.rest(wait_s)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """One bundle at a time calls the system file by file: two would hand the interpreter to each other at every call."""
        is_ours = self._turn.acquire(timeout=TURN_S)
        try:
            yield
        finally:
            if is_ours:
                self._turn.release()

    def strike_fault(self, kind: str) -> None:
        fault = self.node.faults.take(kind)
        if fault is not None:
            self.rest(fault.delay_s)
            fault.strike()

    def partial(self, entry: FileEntry) -> Unfinished:
        return partial_of(self.storage, entry, order_id=self.order_id, made_folders=self.made_folders)

    def piece_bytes(self, entry: FileEntry) -> int:
        return self.storage.piece_bytes(entry.size or 0)

    # --- the end of a file -------------------------------------------------------------------------------------------------------

    def put_in_place(self, entry: FileEntry, partial: Unfinished, digest: str, expected: str | None, *, own: str | None = None) -> None:
        """Give a file that is there whole its name, if its digest is right. Raises the PullError of a mismatch.

        `own` is the digest by the algorithm of the item's own checksum, where somebody has read the file for it already.
        """
        mismatch = self.mismatch(entry, digest, expected, own or self._own_digest(entry, partial))
        if mismatch is not None:
            self.discard(entry, partial)
            raise mismatch
        mark = partial.make_durable(entry.mtime_ns if self.options.preserve_timestamp else None)
        note = self.journal.begin_landing([(entry, digest, mark)])
        stamp = partial.put_in_place(digest)
        self.strike_fault("unrecorded")
        self.node.digests.keep(stamp, digest)
        self.note_arrival(entry, digest, note)

    def note_arrival(self, entry: FileEntry, digest: str, note: int = 0) -> None:
        was_in_pieces = (entry.size or 0) > self.piece_bytes(entry)
        self.journal.end(entry, "transferred", digest=digest, landing=note)
        self.progress.add(files_transferred=1, bytes_checksummed=entry.size or 0, bytes_transferred=0 if was_in_pieces else entry.size or 0)
        self.schedule.note_success()

    def _own_digest(self, entry: FileEntry, partial: Unfinished) -> str | None:
        """Read what has come for the item's own checksum, where that is not the SHA-256 that was taken on the way."""
        algorithm, _ = asked_of(entry.checksum)
        if algorithm in {"", "sha256"}:
            return None
        digest, size, buffer = by(algorithm), entry.size or 0, memoryview(bytearray(READ_BYTES))
        for offset in range(0, size, PART_BYTES):
            self.raise_if_over()
            partial.feed(digest, offset, min(PART_BYTES, size - offset), buffer)
        return str(digest.hexdigest())

    def mismatch(self, entry: FileEntry, digest: str, expected: str | None, own: str | None = None) -> PullError | None:
        if expected is not None and expected != digest:
            return PullError("CHECKSUM_MISMATCH", f"{entry.source_path} arrived with another checksum than the source has.")
        wanted = asked_of(entry.checksum)[1]
        if wanted and wanted != (own or digest):
            words = f"{entry.source_path} does not have the checksum that was asked for."
            return PullError("EXTERNAL_CHECKSUM_MISMATCH", words, is_final=True)
        return None

    def discard(self, entry: FileEntry, partial: Unfinished) -> None:
        """Forget what has come of a file."""
        lost = sum(self.journal.pieces(entry).values())
        self.journal.forget_pieces(entry)
        self.progress.add(bytes_transferred=-lost)
        partial.remove()

    # --- what can go wrong -------------------------------------------------------------------------------------------------------

    def settle(self, entry: FileEntry, raised: PullError | NodeError | OSError) -> None:
        """Decide what a fault means for a file: passed over, failed for good, or tried again after a rest."""
        self.raise_if_stopped()
        error = as_fault(raised, entry.destination_path)
        if self.passes_over(error):
            self._give_up(entry)
            self.journal.end(entry, "skipped", code=error.code, details=error.description)
            self.progress.add(files_skipped=1)
            return
        if error.is_final:
            self._give_up(entry)
            self.journal.end(entry, "failed", code=error.code, details=error.description)
            return
        if error.code == "FILE_CHANGED":
            self.discard(entry, self.partial(entry))
        self.journal.set_error(entry, error.code, error.description)
        if self.schedule.try_again(entry, is_shared=error.is_shared):
            self.progress.set_fault(error.code, error.description, entry.source_path)

    def _give_up(self, entry: FileEntry) -> None:
        """Leave nothing of a file that does not come, also of what a process that was killed has brought."""
        with contextlib.suppress(NodeError):  # of a destination that no path can name nothing came
            self.discard(entry, self.partial(entry))

    def passes_over(self, error: PullError) -> bool:
        return self.options.skip_source_errors and error.is_source and error.code in SOURCE_ERRORS
