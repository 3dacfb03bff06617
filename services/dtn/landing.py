"""Small files that arrive in bundles: written beside their names, made durable together, renamed, recorded in one step.

A file costs four calls of the system here and no transaction of its own. What is unusual about a destination (a link, a folder in the
way) is left to the way of a single file, `Copy._pull`.
"""

import ctypes
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from services.dtn.digests import WORTH_BYTES, Stamp
from services.dtn.errors import NodeError
from services.dtn.journal import FileEntry, Journal
from services.dtn.partials import part_name_for, partial_key
from services.dtn.paths import Root, is_plain_name
from services.dtn.storage import MadeFolders, Storage

_LIBC = ctypes.CDLL(None, use_errno=True)


class UnusualError(Exception):
    """The destination needs more care than a bundle takes."""


@dataclass(slots=True)
class _Written:
    entry: FileEntry
    folder_fd: int
    part: str
    name: str
    digest: str
    stamp: Stamp | None  # of one whose digest is worth keeping


class Landing:
    """A group of files on their way to their names. For one thread; `close` removes what did not get there."""

    def __init__(self, root: Root, *, order_id: str, made_folders: MadeFolders, keeps_times: bool) -> None:
        self._root = root
        self._order_id = order_id
        self._made_folders = made_folders
        self._keeps_times = keeps_times
        self._folders: dict[str, int] = {}
        self._held = ExitStack()
        self._written: list[_Written] = []

    def write(self, entry: FileEntry, body: bytes) -> str:
        """Write a file under its unfinished name; returns the SHA-256 of the bytes. Raises UnusualError, NodeError or OSError."""
        folder, _, name = entry.destination_path.rpartition("/")
        if not is_plain_name(name):
            raise UnusualError
        folder_fd = self._folders.get(folder)
        if folder_fd is None:
            folder_fd = self._enter(folder)
        if not self._made_folders.get(folder) and not _is_plain(folder_fd, name):  # only this order writes in one that it made
            raise UnusualError
        part = part_name_for(name, partial_key(self._order_id, entry.id))
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=folder_fd)
        try:
            _write_whole(fd, body)
            if self._keeps_times and entry.mtime_ns is not None:
                os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
            stamp = Stamp.of(os.fstat(fd)) if len(body) >= WORTH_BYTES else None
        except OSError:
            os.unlink(part, dir_fd=folder_fd)
            raise
        finally:
            os.close(fd)
        digest = hashlib.sha256(body).hexdigest()
        self._written.append(_Written(entry, folder_fd, part, name, digest, stamp))
        return digest

    def take_back(self) -> None:
        """Remove the file that was written last."""
        last = self._written.pop()
        os.unlink(last.part, dir_fd=last.folder_fd)

    def make_durable(self) -> list[tuple[FileEntry, str, str]]:
        """Bring the bytes to the disk; returns whose they are, with digest and no mark: `arrived_before` knows the unfinished names."""
        for folder_fd in {os.fstat(fd).st_dev: fd for fd in self._folders.values()}.values():
            if self._written and _LIBC.syncfs(folder_fd) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
        return [(one.entry, one.digest, "") for one in self._written]

    def put_in_place(self, failed: Callable[[FileEntry, Exception], None]) -> list[tuple[FileEntry, str, Stamp | None]]:
        """Give every file its name; returns who arrived, with digest and stamp."""
        arrived: list[tuple[FileEntry, str, Stamp | None]] = []
        written, self._written = self._written, []
        for one in written:
            try:
                os.rename(one.part, one.name, src_dir_fd=one.folder_fd, dst_dir_fd=one.folder_fd)
            except OSError as error:
                failed(one.entry, error)
            else:
                arrived.append((one.entry, one.digest, one.stamp))
        return arrived

    def give_up(self) -> list[FileEntry]:
        """Remove what was written and not put in place; returns whose it was."""
        entries = [one.entry for one in self._written]
        while self._written:
            self.take_back()
        return entries

    def close(self) -> None:
        self.give_up()
        self._held.close()

    def _enter(self, folder: str) -> int:
        if (folder or "/") not in self._made_folders:
            self._made_folders[folder or "/"] = self._root.make_folder(folder or "/")
        fd, _ = self._held.enter_context(self._root.folder_fd(folder + "/"))
        self._folders[folder] = fd
        return fd


def arrived_before(journal: Journal, storage: Storage, *, order_id: str) -> Iterator[tuple[FileEntry, str]]:
    """What a node that was killed had put into its place and not recorded: files with digests. The same bytes still lie there."""
    for entry, digest, mark in journal.interrupted():
        part = part_name_for(entry.destination_path.rpartition("/")[2], partial_key(order_id, entry.id))
        with suppress(NodeError, OSError):  # who cannot read it brings it again
            if storage.is_in_place(entry.destination_path, mark=mark or part, digest=digest):
                yield entry, digest
    journal.forget_interrupted()


def _is_plain(folder_fd: int, name: str) -> bool:
    """Nothing is there, or a file that may be replaced."""
    try:
        status = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return True
    return stat.S_ISREG(status.st_mode)


def _write_whole(fd: int, body: bytes) -> None:
    n_bytes = os.write(fd, body)
    while n_bytes < len(body):
        n_bytes += os.write(fd, memoryview(body)[n_bytes:])
