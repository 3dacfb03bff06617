"""Delete orders: each path of the task is removed from this node's storage, in order; safe to repeat after a kill."""

import threading

from services.dtn.errors import NodeError, UnavailableError
from services.dtn.faults import Faults
from services.dtn.journal import FileEntry, Journal
from services.dtn.progress import Options, Progress
from services.dtn.sources import StoppedError
from services.dtn.storage import Storage

RETRY_WAIT_S = 2.0


class Delete:
    """One delete order at work; the same outside as `pulling.Copy`."""

    def __init__(self, journal: Journal, *, destination: Storage, options: Options, faults: Faults) -> None:
        self._journal = journal
        self._storage = destination
        self._options = options
        self._faults = faults
        self.progress = Progress(journal)
        self.stop = threading.Event()
        self.is_paused = False

    def run(self) -> None:
        """Delete everything. Raises StoppedError when stopped before the end."""
        while items := self._journal.items(only_unexpanded=True)[:1000]:
            for item in items:
                self._journal.add_entries(item, [("file", item.source_path, item.destination_path, None, None, None)])
            self._journal.mark_expanded(items)
            self.progress.add(files=len(items))
        after = 0
        while entries := self._journal.pending(after=after, limit=500):
            for entry in entries:
                after = entry.id
                self._rest_while_paused()
                while not self._delete(entry):
                    if self.stop.wait(RETRY_WAIT_S):
                        raise StoppedError
                    self._rest_while_paused()

    def _rest_while_paused(self) -> None:
        while self.is_paused and not self.stop.wait(0.2):
            pass
        if self.stop.is_set():
            raise StoppedError

    def _delete(self, entry: FileEntry) -> bool:
        """Bring one path to its end. False when its storage cannot answer now: try again."""
        was_begun = self._journal.get("deleting") == entry.id  # before a kill, or a try without an answer: what that took away is no fault
        self._journal.set("deleting", entry.id)
        try:
            recursive = entry.is_recursive or self._options.recursive
            ignore_missing = self._options.ignore_missing or was_begun
            self._storage.delete(entry.source_path, recursive=recursive, ignore_missing=ignore_missing)
            self._rest_unrecorded()
        except NodeError as error:
            code = {404: "FILE_NOT_FOUND", 403: "PERMISSION_DENIED", 503: "ENDPOINT_ERROR"}.get(error.http_status, error.code)
            self.progress.set_fault(code, error.message, entry.source_path)
            if isinstance(error, UnavailableError) and not self._options.is_late():
                return False
            self._journal.end(entry, "failed", code=code, details=error.message)
        else:
            self._journal.end(entry, "deleted")
            self.progress.add(files_transferred=1)
        return True

    def _rest_unrecorded(self) -> None:
        fault = self._faults.take("unrecorded")
        if fault is not None and self.stop.wait(fault.delay_s):
            raise StoppedError

    def wake(self) -> None:
        """Nothing sleeps here."""

    def remove_partials(self) -> None:
        """A delete leaves nothing unfinished."""
