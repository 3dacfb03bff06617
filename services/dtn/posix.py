"""Storage in a folder of the data host: the disk's own calls below the confinement of `paths.Root`."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

from services.dtn import disk_entries
from services.dtn.digests import Stamp, digest_of
from services.dtn.entries import Entry, MaySee, everything, leads_out
from services.dtn.errors import ExistsError, ForbiddenError, InvalidPathError, IsDirectoryError, MissingError, NodeError, from_os_error
from services.dtn.faults import Faults
from services.dtn.landing import Landing
from services.dtn.partials import Partial
from services.dtn.paths import Place, Root, is_part_name, open_entry, part_name
from services.dtn.small_files import MOST_BYTES, Answered, SmallFiles
from services.dtn.storage import Judge, MadeFolders, anywhere

LEAST_PIECE_BYTES, MOST_PIECE_BYTES = 4 << 20, 16 << 20
N_PIECES = 64  # or more, of a long file


class PosixFile:
    """A file by its descriptor."""

    def __init__(self, fd: int, real_path: str, status: os.stat_result | None = None) -> None:
        self._fd = fd
        self.real_path = real_path
        self.stamp = Stamp.of(status or os.fstat(fd))

    @property
    def fd(self) -> int:
        return self._fd

    def read(self, length: int, offset: int) -> bytes:
        return os.pread(self._fd, length, offset)

    def read_into(self, buffer: memoryview, offset: int) -> int:
        return os.preadv(self._fd, [buffer], offset)

    def announce(self, offset: int, length: int) -> None:
        """The kernel reads ahead by itself."""

    def stamp_now(self) -> Stamp:
        return Stamp.of(os.fstat(self._fd))

    def duplicate(self) -> PosixFile:
        return PosixFile(os.dup(self._fd), self.real_path)

    def close(self) -> None:
        os.close(self._fd)


class PosixStorage:
    """The folder that a collection is confined to (`storage.Storage`)."""

    def __init__(self, root: Root) -> None:
        self.root = root

    def held_to(self, may_write: Callable[[str], bool]) -> PosixStorage:
        return PosixStorage(self.root.held_to(may_write))

    def list_folder(
        self, path: str, *, show_hidden: bool = True, may_see: MaySee = everything, is_brief: bool = False
    ) -> tuple[str, list[Entry]]:
        return disk_entries.list_folder(self.root, path, show_hidden=show_hidden, may_see=may_see, is_brief=is_brief)

    def stat(self, path: str) -> tuple[str, Entry]:
        return disk_entries.stat_path(self.root, path)

    def open(self, path: str) -> PosixFile:
        fd, status, real_path = self.root.open_file(path)
        return PosixFile(fd, real_path, status)

    def read_small(self, paths: Sequence[str], may_read: Callable[[str], bool], faults: Faults) -> Generator[Answered, None, None]:
        return SmallFiles(self.root, may_read, faults).read(paths)

    def real_path(self, path: str) -> str:
        """Return where writing `path` lands: its deepest existing folder without links, then the rest of the names."""
        names = [name for name in path.split("/") if name]
        for depth in range(len(names) - 1, -1, -1):
            try:
                with self.root.place("/" + "/".join(names[:depth])) as place:
                    if place.status is not None:
                        return "/".join([place.real_path.rstrip("/"), *names[depth:]])
            except MissingError:
                continue
        return path

    def find(self, path: str) -> Stamp | None:
        try:
            with self.root.place(path) as place:
                status = place.status
        except MissingError:
            return None
        return Stamp.of(status) if status is not None and stat.S_ISREG(status.st_mode) else None

    def is_in_place(self, path: str, *, mark: str, digest: str) -> bool:
        with self.root.place(path, follows_last=False) as place:
            if place.status is None or not stat.S_ISREG(place.status.st_mode):
                return False
            if not is_part_name(mark):
                return Stamp.of(place.status).etag == mark
            if place.status.st_size > MOST_BYTES or os.access(mark, os.F_OK, dir_fd=place.folder_fd, follow_symlinks=False):
                return False
            fd = open_entry(place.folder_fd, place.name)
        try:
            return digest_of(PosixFile(fd, "")) == digest
        finally:
            os.close(fd)

    def make_folder(self, path: str) -> bool:
        return self.root.make_folder(path)

    def make_link(self, path: str, target: str, *, top: str) -> None:
        with self.root.place(top) as above:
            real_top = above.real_path.rstrip("/") + "/"
        with self.root.place(path, makes_parents=True, follows_last=False) as place:
            if not place.real_path.startswith(real_top) or leads_out(real_top, place.real_path, target):
                raise InvalidPathError(f"The link {path} leads out of {top}.")
            if place.status is not None and not stat.S_ISLNK(place.status.st_mode):
                raise ExistsError(f"Something that is no symbolic link is at {path}.")
            if place.status is not None and os.readlink(place.name, dir_fd=place.folder_fd) == target:
                return
            if place.status is not None:
                os.unlink(place.name, dir_fd=place.folder_fd)
            os.symlink(target, place.name, dir_fd=place.folder_fd)

    def mkdir(self, path: str, *, judge: Judge = anywhere) -> None:
        with self.root.place(path, follows_last=False) as place:
            judge(place.real_path)
            if place.status is not None:
                raise ExistsError(f"Something is already at {path}.")
            os.mkdir(place.name, dir_fd=place.folder_fd)

    def rename(self, old_path: str, new_path: str, *, judge: Judge = anywhere) -> None:
        with self.root.place(old_path, follows_last=False) as old, self.root.place(new_path, follows_last=False) as new:
            old.require(old_path)
            judge(old.real_path)
            judge(new.real_path)
            if old.name == "." or new.status is not None:
                raise ExistsError(f"Something is already at {new_path}.")
            os.rename(old.name, new.name, src_dir_fd=old.folder_fd, dst_dir_fd=new.folder_fd)

    def delete(self, path: str, *, recursive: bool, ignore_missing: bool, judge: Judge = anywhere) -> int:
        try:
            with self.root.place(path, follows_last=False) as place:
                status = place.require(path)
                judge(place.real_path)
                return _delete_at(place, status, recursive=recursive)
        except (MissingError, FileNotFoundError) as error:
            if ignore_missing:
                return 0
            raise error if isinstance(error, NodeError) else MissingError(f"Nothing is at {path}.") from error
        except OSError as error:
            raise from_os_error(error, path=path) from error

    def unlink(self, path: str, *, check: Callable[[Stamp], None]) -> None:
        with self.root.place(path, follows_last=False) as place:
            status = place.require(path)
            if stat.S_ISDIR(status.st_mode):
                raise IsDirectoryError(f"{path} is a folder.")
            check(Stamp.of(status))
            try:
                os.unlink(place.name, dir_fd=place.folder_fd)
            except OSError as error:
                raise from_os_error(error, path=path) from error

    def unfinished(self, path: str, key: str, made_folders: MadeFolders, *, size: int) -> Partial:
        return Partial(self.root, path, key, made_folders)

    def piece_bytes(self, size: int) -> int:
        return piece_bytes(size)

    def landing(self, *, order_id: str, made_folders: MadeFolders, keeps_times: bool) -> Landing:
        return Landing(self.root, order_id=order_id, made_folders=made_folders, keeps_times=keeps_times)

    @contextlib.contextmanager
    def target(self, path: str) -> Iterator[PosixTarget]:
        with self.root.place(path, makes_parents=True) as place:
            if place.status is not None and not stat.S_ISREG(place.status.st_mode):
                raise IsDirectoryError(f"{path} is not a file.")
            yield PosixTarget(self.root, place)

    def forget_upload(self, note: str) -> bool:
        if not note.startswith("/"):
            return False
        with contextlib.suppress(OSError):
            Path(note).unlink()
        return True

    def free_bytes(self) -> int | None:
        found = os.statvfs(self.root.folder)
        return found.f_bavail * found.f_frsize


class PosixTarget:
    """Where an upload lands, held by the descriptor of its folder as long as the upload lasts."""

    def __init__(self, root: Root, place: Place) -> None:
        self._root = root
        self._place = place
        self.real_path = place.real_path
        self.replaces = Stamp.of(place.status) if place.status is not None else None

    def note(self, identifier: str) -> str:
        file = self._root.folder / self.real_path.lstrip("/")
        return str(file.with_name(part_name(self._place.name, identifier)))

    def begin(self, identifier: str, *, total: int | None) -> PosixUpload:
        return PosixUpload(self._place, part_name(self._place.name, identifier), os.O_CREAT | os.O_EXCL)

    def resume(self, identifier: str, *, total: int, makes: bool) -> PosixUpload:
        return PosixUpload(self._place, part_name(self._place.name, identifier), os.O_CREAT if makes else 0)


class PosixUpload:
    """An unfinished file beside the place of the whole one."""

    def __init__(self, place: Place, name: str, flags: int) -> None:
        self._place = place
        self._name = name
        self._fd = os.open(name, flags | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=place.folder_fd)
        self._size = os.fstat(self._fd).st_size

    @property
    def size(self) -> int:
        return self._size

    def append(self, chunk: bytes) -> None:
        left = memoryview(chunk)
        while left:
            n_bytes = os.pwrite(self._fd, left, self._size)
            self._size += n_bytes
            left = left[n_bytes:]

    def truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)
        self._size = size

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def digest(self) -> str:
        return digest_of(PosixFile(self._fd, ""))

    def commit(self) -> Stamp:
        place = self._place
        os.fsync(self._fd)
        os.rename(self._name, place.name, src_dir_fd=place.folder_fd, dst_dir_fd=place.folder_fd)
        folder_fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place.folder_fd)
        try:
            os.fsync(folder_fd)
        finally:
            os.close(folder_fd)
        return Stamp.of(os.fstat(self._fd))

    def discard(self) -> None:
        os.unlink(self._name, dir_fd=self._place.folder_fd)

    def close(self) -> None:
        os.close(self._fd)


def piece_bytes(size: int) -> int:
    """Return a power of two, so short that the streams of a far source end nearly together: who has no piece left is idle."""
    if size <= MOST_PIECE_BYTES:
        return MOST_PIECE_BYTES
    return min(MOST_PIECE_BYTES, max(LEAST_PIECE_BYTES, 1 << (size // N_PIECES).bit_length() - 1))


def _delete_at(place: Place, status: os.stat_result, *, recursive: bool) -> int:
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(place.name, dir_fd=place.folder_fd)
        return 1
    if place.name == ".":
        raise ForbiddenError("The collection's own folder stays.")
    if not recursive:
        os.rmdir(place.name, dir_fd=place.folder_fd)
        return 1
    deleted = 1 + sum(len(folders) + len(files) for _, folders, files, _ in os.fwalk(place.name, dir_fd=place.folder_fd))
    shutil.rmtree(place.name, dir_fd=place.folder_fd)
    return deleted
