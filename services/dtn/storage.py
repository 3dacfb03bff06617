"""The seam: what a node asks of the storage behind a collection. `posix.py` is a folder of the data host, `objects.py` a bucket.

Everything here blocks and is called in threads; paths are a collection's, absolute; what goes wrong is a NodeError or an OSError, which
`errors.from_os_error` puts into words. A path may lead through symbolic links where a storage has them: what an answer calls `real_path`
is where it led, and rights are judged for both. A file that is written takes its name in one step, when it is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from services.dtn.digests import Readable, Stamp
from services.dtn.entries import Entry, MaySee, everything
from services.dtn.faults import Faults
from services.dtn.journal import FileEntry
from services.dtn.small_files import Answered

MadeFolders = dict[str, bool]
"""The folders that an order has seen to, without a slash at the end (but "/"), and whether they were not there before it."""
Judge = Callable[[str], None]
"""Raises ForbiddenError for a real path that is not to be touched."""


def anywhere(real_path: str) -> None:
    """Judge nothing."""


class File(Readable, Protocol):
    """An open file. Reads at any offset, from any thread but from one at a time; whoever opened it closes it."""

    stamp: Stamp  # when it was opened
    real_path: str

    @property
    def fd(self) -> int | None:
        """A descriptor for the kernel's own ways (sendfile, mmap), or None where the bytes are not on a disk of this host."""
        ...

    def read(self, length: int, offset: int) -> bytes:
        """Return up to `length` bytes, none at the end."""
        ...

    def announce(self, offset: int, length: int) -> None:
        """Say what will be read in order, so that it is asked for at once."""
        ...


class Unfinished(Protocol):
    """A file on its way by pieces, found again after a restart. A piece is written in order, by one thread at a time."""

    @property
    def is_readable(self) -> bool:
        """Whether `feed` works already: for each piece as it comes, or (False) only after `complete`."""
        ...

    def exists(self) -> bool:
        """Tell whether what an earlier process brought is still there."""
        ...

    def create(self, size: int) -> None:
        """Begin from nothing. Raises IsDirectoryError when the destination is a folder."""
        ...

    def write(self, chunk: memoryview, offset: int) -> None: ...

    def flush(self, offset: int, length: int) -> None:
        """Make this piece safe against a kill."""
        ...

    def complete(self, size: int) -> None:
        """All pieces are safe: make one file of them, still without its name."""
        ...

    def feed(self, digest: Any, offset: int, length: int, buffer: memoryview) -> None:
        """Hash what the storage holds from `offset`."""
        ...

    def make_durable(self, mtime_ns: int | None) -> str:
        """Bring all of it to where it survives, with its time where a storage keeps one; returns a mark for `Storage.is_in_place`."""
        ...

    def put_in_place(self, digest: str) -> Stamp:
        """Give it its name, replacing what was there. `digest` is the SHA-256 that was found right."""
        ...

    def close(self) -> None: ...

    def remove(self) -> None:
        """Leave nothing of it. Safe to repeat."""
        ...


class Landing(Protocol):
    """Small whole files on their way to their names, many at a time. For one thread; `close` removes what did not get there."""

    def write(self, entry: FileEntry, body: bytes) -> str:
        """Take a file; returns the SHA-256 of the bytes. Raises `landing.UnusualError` for one that needs the way of a single file."""
        ...

    def take_back(self) -> None:
        """Drop the file that was taken last."""
        ...

    def make_durable(self) -> list[tuple[FileEntry, str, str]]:
        """Bring what was taken to where it survives; returns whose it is, with digest and mark. An OSError: nothing of it is safe."""
        ...

    def put_in_place(self, failed: Callable[[FileEntry, Exception], None]) -> list[tuple[FileEntry, str, Stamp | None]]:
        """Give every file its name; returns who arrived, with digest and stamp (None where asking for it would cost)."""
        ...

    def give_up(self) -> list[FileEntry]:
        """Remove what was taken and not put in place; returns whose it was."""
        ...

    def close(self) -> None: ...


class Upload(Protocol):
    """A file that comes in order, from its beginning."""

    @property
    def size(self) -> int:
        """How many bytes are there."""
        ...

    def append(self, chunk: bytes) -> None: ...

    def truncate(self, size: int) -> None:
        """Take back what the request at work has brought beyond `size`."""
        ...

    def sync(self) -> None:
        """Make what came safe against a kill."""
        ...

    def digest(self) -> str:
        """Return the SHA-256 of all that the storage holds of it."""
        ...

    def commit(self) -> Stamp:
        """Make it durable and give it its name, replacing what was there."""
        ...

    def discard(self) -> None: ...

    def close(self) -> None: ...


class Target(Protocol):
    """A place that a file is uploaded to."""

    real_path: str
    replaces: Stamp | None  # the file that has the name now

    def note(self, identifier: str) -> str:
        """Return what `UploadBook` keeps, so that `Storage.forget_upload` finds it in a later process."""
        ...

    def begin(self, identifier: str, *, total: int | None) -> Upload:
        """Begin an upload under an identifier (12 hexadecimal digits) that was never used; `total` is None where nobody knows."""
        ...

    def resume(self, identifier: str, *, total: int, makes: bool) -> Upload:
        """Go on with the upload of this identifier. Raises FileNotFoundError when there is none, unless it `makes` one."""
        ...


class Storage(Protocol):
    def held_to(self, may_write: Callable[[str], bool]) -> Storage:
        """Return the same storage, in which symbolic links lead only to real paths that `may_write` allows."""
        ...

    def list_folder(
        self, path: str, *, show_hidden: bool = True, may_see: MaySee = everything, is_brief: bool = False
    ) -> tuple[str, list[Entry]]:
        """Return the real path (with a trailing slash) and the entries of a folder, unsorted; `is_brief`: what a copy needs is enough.

        Left out: the node's own unfinished files, names that nobody could ask for, and what may not be seen.
        """
        ...

    def stat(self, path: str) -> tuple[str, Entry]:
        """Return the real path and the ENTRY of what is at `path`. Raises MissingError, and NotDirectoryError for `file/`."""
        ...

    def open(self, path: str) -> File:
        """Open a file for reading. A path with a trailing slash, and a folder, raise IsDirectoryError."""
        ...

    def read_small(self, paths: Sequence[str], may_read: Callable[[str], bool], faults: Faults) -> Generator[Answered, None, None]:
        """Yield the bytes of small files, in order (`PROTOCOL.md`, section 6)."""
        ...

    def real_path(self, path: str) -> str:
        """Return where writing `path` would really land."""
        ...

    def find(self, path: str) -> Stamp | None:
        """Return the stamp of the file at `path`; None when nothing is there, or no file."""
        ...

    def is_in_place(self, path: str, *, mark: str, digest: str) -> bool:
        """Tell whether a file that was marked so, with these bytes, has got its name: asked after a kill.

        `mark` is what `make_durable` answered or, where that was nothing, the unfinished name that it had before.
        """
        ...

    def make_folder(self, path: str) -> bool:
        """Make a folder and its missing parents. Safe to repeat; returns whether it was not there (False where that is not known)."""
        ...

    def make_link(self, path: str, target: str, *, top: str) -> None:
        """Make a symbolic link, replacing another one. Safe to repeat. Raises ExistsError where anything else is.

        Raises InvalidPathError for one that leads out of the folder `top`, judged by where both really lie: other links may lead there.
        """
        ...

    def mkdir(self, path: str, *, judge: Judge = anywhere) -> None:
        """Make a folder in one that exists. Raises ExistsError."""
        ...

    def rename(self, old_path: str, new_path: str, *, judge: Judge = anywhere) -> None:
        """Rename a file or a folder; never replaces. Raises ExistsError."""
        ...

    def delete(self, path: str, *, recursive: bool, ignore_missing: bool, judge: Judge = anywhere) -> int:
        """Delete a file, a link itself, or a folder with all below it; returns how many. Safe to repeat with `ignore_missing`."""
        ...

    def unlink(self, path: str, *, check: Callable[[Stamp], None]) -> None:
        """Delete one file, if `check` lets its stamp pass."""
        ...

    def unfinished(self, path: str, key: str, made_folders: MadeFolders, *, size: int) -> Unfinished:
        """Return the unfinished file of that key, the same one after a restart; `size` is the whole file's, 0 where it is not known yet."""
        ...

    def piece_bytes(self, size: int) -> int:
        """Return how long the pieces of a file of `size` are (all but the last); the same answer after a restart."""
        ...

    def landing(self, *, order_id: str, made_folders: MadeFolders, keeps_times: bool) -> Landing: ...

    def target(self, path: str) -> AbstractContextManager[Target]:
        """Yield where an upload to `path` lands; missing parents are made. Raises IsDirectoryError when no file can be there."""
        ...

    def forget_upload(self, note: str) -> bool:
        """Remove what a former process left unfinished; False when the note is of another storage."""
        ...

    def free_bytes(self) -> int | None:
        """Return how much more can be stored, None where nobody knows."""
        ...
