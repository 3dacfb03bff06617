"""Where a copy reads from: another node (`remote_source.py`), or this node's own disk when both ends are here.

Used from threads. What goes wrong is a `PullError` with the code that the task's events show.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from services.dtn.entries import Entry, everything, walk
from services.dtn.errors import NodeError, from_os_error
from services.dtn.filters import filters_from
from services.dtn.node import Collection, Node
from services.dtn.rights import FRESH_S, Access
from services.dtn.small_files import Answered, Had, in_groups, without_same
from services.dtn.storage import File

CODES = {
    401: "PERMISSION_DENIED",
    403: "PERMISSION_DENIED",
    404: "FILE_NOT_FOUND",
    412: "FILE_CHANGED",
    416: "FILE_CHANGED",
    507: "NO_SPACE",
}
FINAL_CODES = frozenset({"InvalidPath", "IsDirectory", "ExternalError.DirListingFailed.NotDirectory", "ExternalError.MkdirFailed.Exists"})
SOURCE_ERRORS = frozenset({"PERMISSION_DENIED", "FILE_NOT_FOUND"})  # what `skip_source_errors` passes over


class PullError(Exception):
    """A fault. `is_final`: trying again cannot help. `is_shared`: it hits every file alike (the source is gone, the disk is full)."""

    def __init__(self, code: str, description: str, *, is_final: bool = False, is_shared: bool = False, is_source: bool = False) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.is_final = is_final
        self.is_shared = is_shared
        self.is_source = is_source


def as_fault(error: Exception, path: str) -> PullError:
    """Say what an error of the disk or of this node means for the file at `path`. What is none of these is raised again."""
    if isinstance(error, PullError):
        return error
    if isinstance(error, OSError):
        error = from_os_error(error, path=path)
    if not isinstance(error, NodeError):
        raise error
    if error.code == "ExternalError.NoSpace":
        return PullError("NO_SPACE", error.message, is_shared=True)
    if error.code == "EndpointPermissionDenied":
        return PullError("PERMISSION_DENIED", error.message)
    if error.http_status == 503:
        return PullError("ENDPOINT_ERROR", error.message, is_shared=True)
    return PullError(error.code, error.message, is_final=error.code in FINAL_CODES)


class StoppedError(Exception):
    """The order is to stop: cancelled, lost, or the node ends."""


class Fetched(Protocol):
    """An open answer: what the file is, and its bytes from the offset that was asked for."""

    size: int
    etag: str
    mtime_ns: int
    digest: str | None

    def read_into(self, buffer: memoryview) -> int: ...


class Source(Protocol):
    @property
    def n_streams(self) -> int:
        """On how many connections a large file comes fastest: one where it is near. Asks the source when that is not known yet."""
        ...

    @property
    def is_apart(self) -> bool:
        """Whether it cannot be changed by what is written meanwhile, so that a folder may be copied while it is walked."""
        ...

    def walk(self, path: str, filter_rules: Sequence[dict[str, Any]], *, follows_links: bool, keeps_links: bool = False) -> Iterator[Entry]:
        """Yield everything below a folder, folders before what they hold; many files perhaps together.

        They are `{"folder", "files": [[name, size, mtime_ns], ...]}` then, instead of an ENTRY each.
        """
        ...

    def fetch(
        self, path: str, *, offset: int, length: int | None, etag: str | None, wants_digest: bool
    ) -> contextlib.AbstractContextManager[Fetched]:
        """Open a part of a file (`length` None: to its end); with `etag` only if it is still that file."""
        ...

    def fetch_many(
        self, paths: Sequence[str], had: Sequence[Had | None] | None = None, sync_level: int | None = None
    ) -> Iterator[Sequence[Answered]]:
        """Yield small files as they come, some together, an answer a path; not those that are up to date by what is `had`.

        Raises PullError when the source cannot go on.
        """
        ...

    def release(self) -> None:
        """Close what this thread holds open."""
        ...

    def interrupt(self) -> None:
        """End what other threads wait for: the order has been stopped."""
        ...

    def digest(self, path: str, etag: str, stop: threading.Event) -> str:
        """Return the SHA-256 of the file, waiting as long as the source needs."""
        ...


def source_fault(status: int, code: str, message: str, *, path: str) -> PullError:
    """Say what a source's answer means for a file."""
    if status == 400:
        return PullError(code or "BAD_REQUEST", f"{path}: {message}", is_final=True, is_source=True)
    known = CODES.get(status)
    if known is None:
        return PullError("ENDPOINT_ERROR", f"The source answers {status}: {message}", is_shared=True, is_source=True)
    return PullError(known, f"{path}: {message}", is_source=True)


class LocalSource:
    """A collection of this node: bytes go from file to file, and control is still asked each second."""

    is_apart = False
    n_streams = 1

    def __init__(self, order_source: dict[str, Any], node: Node, collection: Collection) -> None:
        self._ticket = str(order_source["ticket"])
        self._node = node
        self._collection = collection
        self._lock = threading.Lock()
        self._access: Access | None = None

    def walk(self, path: str, filter_rules: Sequence[dict[str, Any]], *, follows_links: bool, keeps_links: bool = False) -> Iterator[Entry]:
        may_see = self.require(path).may_see if follows_links else everything
        with _disk_faults(path):
            self.require(self._collection.storage.stat(path.rstrip("/") + "/")[0])
            rules = filters_from(filter_rules)
            found = walk(
                self._collection.storage, path, rules, follows_links=follows_links, may_see=may_see, is_brief=True, keeps_links=keeps_links
            )  # fmt: skip
            for entry in found:
                self.require(entry["path"])
                yield entry

    @contextlib.contextmanager
    def fetch(self, path: str, *, offset: int, length: int | None, etag: str | None, wants_digest: bool) -> Iterator[Fetched]:
        self.require(path)
        with _disk_faults(path):
            file = self._collection.storage.open(path)
        try:
            self.require(file.real_path)
            if etag is not None and file.stamp.etag != etag:
                raise PullError("FILE_CHANGED", f"{path} changed at the source while it was copied.", is_source=True)
            length = max(0, file.stamp.size - offset) if length is None else length
            yield _LocalFile(self, file, path, offset, length, self._node.digests.known(file.stamp))
        finally:
            file.close()

    def fetch_many(
        self, paths: Sequence[str], had: Sequence[Had | None] | None = None, sync_level: int | None = None
    ) -> Iterator[Sequence[Answered]]:
        def may_read(path: str) -> bool:
            try:
                self.require(path)
            except PullError as error:
                if error.code in SOURCE_ERRORS:
                    return False
                raise  # nobody can say at the moment: that is no refusal
            return True

        answers = self._collection.storage.read_small(paths, may_read, self._node.faults)
        return in_groups(answers if had is None or sync_level is None else without_same(answers, had, sync_level))

    def digest(self, path: str, etag: str, stop: threading.Event) -> str:
        self.require(path)
        with _disk_faults(path):
            file = self._collection.storage.open(path)
        try:
            self.require(file.real_path)
            if file.stamp.etag != etag:
                raise PullError("FILE_CHANGED", f"{path} changed at the source while it was copied.", is_source=True)
            with _disk_faults(path):
                return self._node.digests.compute(file, lambda _: _raise_if(stop))
        finally:
            file.close()

    def release(self) -> None:
        """Nothing is kept between files."""

    def interrupt(self) -> None:
        """Nobody waits for long."""

    def require(self, path: str) -> Access:
        """Return what the ticket opens; raise unless that holds `path`. Control's answer is kept for a second."""
        with self._lock:
            if self._access is None or time.monotonic() - self._access.asked_at > FRESH_S:
                try:
                    self._access = self._node.control.check_ticket(self._collection.id, self._ticket)
                except NodeError as error:
                    raise PullError("ENDPOINT_ERROR", error.message, is_shared=True, is_source=True) from error
            access = self._access
        if not access.may_read(path):
            raise PullError("PERMISSION_DENIED", f"{path}: the ticket does not open this.", is_source=True)
        return access


class _LocalFile:
    def __init__(self, source: LocalSource, file: File, path: str, offset: int, length: int, digest: str | None) -> None:
        self._source, self._file, self._path, self._offset, self._left = source, file, path, offset, length
        stamp = file.stamp
        self.size, self.etag, self.mtime_ns, self.digest = stamp.size, stamp.etag, stamp.mtime_ns, digest
        file.announce(offset, min(length, max(0, stamp.size - offset)))

    def read_into(self, buffer: memoryview) -> int:
        self._source.require(self._path)
        with _disk_faults(self._path):
            n_bytes = self._file.read_into(buffer[: self._left], self._offset)
        self._offset += n_bytes
        self._left -= n_bytes
        return n_bytes


def _raise_if(stop: threading.Event) -> None:
    if stop.is_set():
        raise StoppedError


@contextlib.contextmanager
def _disk_faults(path: str) -> Iterator[None]:
    try:
        yield
    except NodeError as error:
        raise source_fault(error.http_status, error.code, error.message, path=path) from error
    except OSError as error:
        said = from_os_error(error, path=path)
        raise source_fault(said.http_status, said.code, said.message, path=path) from error


def mtime_of(entry: Entry) -> int:
    """Return the time of an ENTRY in nanoseconds; that of a walk tells them."""
    if "mtime_ns" in entry:
        return int(entry["mtime_ns"])
    moment = datetime.fromisoformat(entry["last_modified"])
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000
