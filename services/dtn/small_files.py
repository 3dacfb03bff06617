"""Small files as they travel many at a time (`PROTOCOL.md`, section 6), and reading them from a disk."""

import errno
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from services.dtn.errors import ChangedError, ForbiddenError, InvalidPathError, IsDirectoryError, MissingError, NodeError, from_os_error
from services.dtn.faults import Fault, Faults
from services.dtn.paths import Root, is_part_name, is_plain_name, normalise, open_entry

MOST_BYTES = 1 << 20  # a larger file is asked for alone, in pieces
GROUP_BYTES = 256 << 10
GROUP_FILES = 250
GROUP_S = 0.1  # what is read is not kept back longer than this


@dataclass(frozen=True)
class Had:
    """What a destination has already of a file. `sha256` is given where contents are to be compared."""

    size: int
    mtime_ns: int
    sha256: str | None = None

    def is_current(self, level: int, *, size: int, mtime_ns: int, sha256: str | None = None) -> bool:
        """Tell whether it is up to date with a source of this size, time and digest, by Globus' sync levels."""
        if level == 0:
            return True
        if size != self.size or (level == 2 and mtime_ns // 10**9 > self.mtime_ns // 10**9):
            return False
        return level < 3 or (sha256 is not None and sha256 == self.sha256)


@dataclass(slots=True)
class Answered:
    """What became of one path: the file's bytes, or why there are none. `is_large`: to be asked for alone; `is_same`: not needed."""

    index: int
    size: int = 0
    mtime_ns: int = 0
    sha256: str = ""
    body: bytes = b""
    error: NodeError | None = None
    is_large: bool = False
    is_same: bool = False

    def encoded(self) -> list[bytes]:
        """A line of JSON, then the bytes."""
        if self.error is not None:
            error = self.error
            line = {"index": self.index, "code": error.code, "message": error.message, "http_status": error.http_status}
            return [json.dumps(line).encode() + b"\n"]
        if self.is_large:
            return [b'{"index": %d, "is_large": true}\n' % self.index]
        said = ', "is_same": true' if self.is_same else ""
        line_text = f'{{"index": {self.index}, "size": {self.size}, "mtime_ns": {self.mtime_ns}, "sha256": "{self.sha256}"{said}}}\n'
        return [line_text.encode(), self.body]


def in_groups(answers: Iterator[Answered]) -> Generator[list[Answered], None, None]:
    """Gather answers into groups of a good size to send, and to write."""
    group: list[Answered] = []
    n_bytes, began = 0, time.monotonic()
    for answer in answers:
        group.append(answer)
        n_bytes += len(answer.body)
        if n_bytes >= GROUP_BYTES or len(group) >= GROUP_FILES or time.monotonic() - began > GROUP_S:
            yield group
            group, n_bytes, began = [], 0, time.monotonic()
    if group:
        yield group


def encoded_together(group: Sequence[Answered]) -> list[bytes]:
    """One line of JSON for all files of a group that have bytes, then the bytes; what became of the others, each in a line, behind them."""
    whole = [one for one in group if one.error is None and not one.is_large and not one.is_same]
    lines = [b"".join(one.encoded()) for one in group if one.error is not None or one.is_large or one.is_same]
    if not whole:
        return lines
    files = json.dumps([(one.index, one.size, one.mtime_ns, one.sha256) for one in whole], separators=(",", ":"))
    return [b'{"files": %b}\n' % files.encode(), *(one.body for one in whole), *lines]


def without_same(answers: Iterator[Answered], had: Sequence[Had | None], level: int) -> Iterator[Answered]:
    """Pass answers on, without the bytes of those that the destination has already."""
    for one in answers:
        present = had[one.index]
        if present is None or one.error is not None or one.is_large:
            yield one
        elif present.is_current(level, size=one.size, mtime_ns=one.mtime_ns, sha256=one.sha256):
            yield replace(one, body=b"", is_same=True)
        else:
            yield one


class SmallFiles:
    """Reads files of one collection one after the other; a folder is walked to once for all files of it that follow each other."""

    def __init__(self, root: Root, may_read: Callable[[str], bool], faults: Faults) -> None:
        self._root = root
        self._may_read = may_read
        self._faults = faults
        self._folder: str | None = None
        self._folder_fd = -1
        self._real_folder, self._is_elsewhere = "/", False
        self._held = ExitStack()

    def read(self, paths: Sequence[str]) -> Generator[Answered, None, None]:
        """Yield an answer a path, in order. Faults of one file are its answer; an ordered cut of the connection is raised (DropError)."""
        try:
            for index, path in enumerate(paths):
                try:
                    yield self._read_one(index, path)
                except NodeError as error:
                    yield Answered(index, error=error)
                except OSError as error:
                    yield Answered(index, error=from_os_error(error, path=path))
                except UnicodeEncodeError:
                    yield Answered(index, error=InvalidPathError("A path is UTF-8."))
        finally:
            self._held.close()

    def _read_one(self, index: int, path: str) -> Answered:
        fd = self._open(path)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise IsDirectoryError(f"{path} is not a file.")
            self._root.require_one_name(status, path)
            if status.st_size > MOST_BYTES:
                return Answered(index, is_large=True)
            fault = strike_get(self._faults, status.st_size)
            body = os.pread(fd, status.st_size + 1, 0)
            after = os.fstat(fd)
        finally:
            os.close(fd)
        if len(body) != status.st_size or (after.st_mtime_ns, after.st_size) != (status.st_mtime_ns, status.st_size):
            raise ChangedError(f"{path} changed while it was read.")
        digest = hashlib.sha256(body).hexdigest()
        return Answered(index, status.st_size, status.st_mtime_ns, digest, body if fault is None else bytes(fault.spoil(body)))

    def _open(self, path: str) -> int:
        folder, _, name = path.rpartition("/")
        if not is_plain_name(name) or is_part_name(name) or not self._may_read(path):
            raise self._refusal(path, name)
        if folder != self._folder:
            self._enter(folder)
        if self._is_elsewhere and not self._may_read(self._real_folder + name):
            raise ForbiddenError(f"The ticket does not open {path}.")
        try:
            return open_entry(self._folder_fd, name)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
        fd, _, real_path = self._root.open_file(path)  # a link: its target's own rights count too
        if not self._may_read(real_path):
            os.close(fd)
            raise ForbiddenError(f"The ticket does not open {path}.")
        return fd

    def _refusal(self, path: str, name: str) -> NodeError:
        normalise(path)
        if not name:
            return IsDirectoryError(f"{path} is a folder.")
        return MissingError(f"Nothing is at {path}.") if is_part_name(name) else ForbiddenError(f"The ticket does not open {path}.")

    def _enter(self, folder: str) -> None:
        self._folder = None
        self._held.close()
        self._folder_fd, self._real_folder = self._held.enter_context(self._root.folder_fd(normalise(folder + "/")))
        self._folder, self._is_elsewhere = folder, self._real_folder != folder + "/"


def strike_get(faults: Faults, size: int) -> Fault | None:
    """Let an ordered fault of a read happen, unless the file ends before; what is left for `Fault.spoil` is returned."""
    fault = faults.take("get")
    if fault is not None and fault.after_bytes <= size:
        time.sleep(fault.delay_s)
        fault.strike()
    return fault
