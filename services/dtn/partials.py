"""The unfinished file that a pull writes into: beside its destination, under a name of its own, so that the rename is one step."""

import contextlib
import hashlib
import os
import stat
import threading
from typing import Any

from services.dtn.digests import Stamp
from services.dtn.errors import IsDirectoryError, NodeError
from services.dtn.journal import FileEntry, Journal
from services.dtn.paths import Root, part_name
from services.dtn.storage import MadeFolders, Storage, Unfinished


class Partial:
    """Named by the order and the file, so that a restarted node finds it again. Pieces may be written from several threads."""

    def __init__(self, root: Root, path: str, key: str, made_folders: MadeFolders) -> None:
        self._root = root
        self._path = path
        self._made_folders = made_folders
        folder, _, name = path.rpartition("/")
        self._folder = folder or "/"
        self._name = part_name_for(name, key)
        self._fd: int | None = None
        self._lock = threading.Lock()

    def exists(self) -> bool:
        try:
            with self._root.place(f"{self._folder.rstrip('/')}/{self._name}", follows_last=False) as place:
                return place.status is not None
        except NodeError:
            return False

    @property
    def is_readable(self) -> bool:
        return True

    def create(self, size: int) -> None:
        """Begin from nothing. Raises IsDirectoryError when the destination is a folder."""
        if self._path.endswith("/"):
            raise IsDirectoryError("A file's destination does not end with '/'.")
        if self._folder not in self._made_folders:
            self._made_folders[self._folder] = self._root.make_folder(self._folder)
        self._open(os.O_TRUNC)

    def _open(self, flags: int = 0) -> int:
        with self._lock:
            if self._fd is None:
                with self._root.place(self._path, makes_parents=True) as place:
                    if place.status is not None and stat.S_ISDIR(place.status.st_mode):
                        raise IsDirectoryError(f"{self._path} is a folder.")
                with self._root.place(f"{self._folder.rstrip('/')}/{self._name}", follows_last=False) as place:
                    mode = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | flags
                    self._fd = os.open(place.name, mode, 0o644, dir_fd=place.folder_fd)
            return self._fd

    def write(self, chunk: memoryview, offset: int) -> None:
        fd = self._open() if self._fd is None else self._fd
        while chunk:
            n_bytes = os.pwrite(fd, chunk, offset)
            chunk, offset = chunk[n_bytes:], offset + n_bytes

    def flush(self, offset: int, length: int) -> None:
        os.fdatasync(self._open())

    def complete(self, size: int) -> None:
        """A file is one from the beginning."""

    def feed(self, digest: Any, offset: int, length: int, buffer: memoryview) -> None:
        """Hash what lies on the disk from `offset`."""
        fd = self._open()
        end = offset + length
        while offset < end:
            n_bytes = os.preadv(fd, [buffer[: end - offset]], offset)
            if n_bytes == 0:
                break
            digest.update(buffer[:n_bytes])
            offset += n_bytes

    def make_durable(self, mtime_ns: int | None) -> str:
        """Bring all of it to the disk, with its time; returns the mark that it keeps under its name."""
        fd = self._open()
        if mtime_ns is not None:
            os.utime(fd, ns=(mtime_ns, mtime_ns))
        os.fsync(fd)
        return Stamp.of(os.fstat(fd)).etag

    def put_in_place(self, digest: str) -> Stamp:
        """Give it its name, replacing what was there."""
        with self._root.place(f"{self._folder.rstrip('/')}/{self._name}", follows_last=False) as place:
            final = self._path.rsplit("/", 1)[-1]
            os.rename(place.name, final, src_dir_fd=place.folder_fd, dst_dir_fd=place.folder_fd)
        stamp = Stamp.of(os.fstat(self._open()))
        self.close()
        return stamp

    def close(self) -> None:
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None

    def remove(self) -> None:
        self.close()
        with (
            contextlib.suppress(NodeError, OSError),
            self._root.place(f"{self._folder.rstrip('/')}/{self._name}", follows_last=False) as place,
        ):
            os.unlink(place.name, dir_fd=place.folder_fd)


def part_name_for(name: str, key: str) -> str:
    """Return the unfinished name of an order's file; the same one after a restart. `key` is `partial_key` of it."""
    return part_name(name, hashlib.sha256(key.encode()).hexdigest()[:12])


def partial_key(order_id: str, entry_id: int) -> str:
    return f"{order_id}:{entry_id}"


def partial_of(storage: Storage, entry: FileEntry, *, order_id: str, made_folders: MadeFolders) -> Unfinished:
    """Return the unfinished file of an order's file; the same one after a restart."""
    return storage.unfinished(entry.destination_path, partial_key(order_id, entry.id), made_folders, size=entry.size or 0)


def remove_partials(journal: Journal, storage: Storage, *, order_id: str) -> None:
    """Remove the unfinished files of an order's files that are still pending."""
    after = 0
    while entries := journal.pending(after=after, limit=1000):
        after = entries[-1].id
        for entry in entries:
            with contextlib.suppress(NodeError):  # of a destination that no path can name nothing came
                partial_of(storage, entry, order_id=order_id, made_folders={}).remove()
