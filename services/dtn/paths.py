"""Paths of a collection, and opening what they name without ever leaving the collection.

`normalise` and `from_url` judge the text; `Root` walks the disk component by component with directory descriptors and
`O_NOFOLLOW`, expanding symbolic links itself. Because every step holds the folder it came through, a link or a folder that is swapped
while the walk goes on cannot lead outside.

Hard cases. A symbolic link is followed when its target, relative or absolute, stays inside the collection; one that leaves answers
403. Links are followed with the rules of *both* names: callers check `Place.real_path` as well. Where another hard link of a file lies
cannot be seen from here: a file with several is not read, unless the host's administrator says that they are meant (`--hard-links`).
A bind mount inside the collection is her decision too and looks like an ordinary folder. A folder that somebody moves out of
the collection while a descriptor on it is open stays readable through that descriptor, as on every POSIX system.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_to_bytes

from services.dtn.errors import ForbiddenError, InvalidPathError, MissingError, from_os_error

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4096
MAX_LINKS = 40  # as in the kernel's own path walk
FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PART_NAME = re.compile(r"\A\..*\.[0-9a-f]{12}\.part\Z", re.DOTALL)
_FORBIDDEN = re.compile(r"[\0\r\n]")


def normalise(path: str) -> str:
    """Return the collection path in its one form: absolute, no empty or `.` segment, a trailing slash kept.

    Raises InvalidPathError for `..`, a relative path, NUL, CR, LF, a text that is no UTF-8, or names longer than a disk takes.
    """
    if not path.startswith("/"):
        raise InvalidPathError("A path starts with '/'.")
    if _FORBIDDEN.search(path):
        raise InvalidPathError("A path holds no NUL, carriage return or line feed.")
    segments = [segment for segment in path.split("/") if segment not in {"", "."}]
    if ".." in segments:
        raise InvalidPathError("A path does not climb with '..'.")
    try:
        lengths = [len(segment.encode()) for segment in segments]
    except UnicodeEncodeError as error:
        raise InvalidPathError("A path is UTF-8.") from error
    if any(length > MAX_NAME_BYTES for length in lengths) or sum(lengths) + len(lengths) > MAX_PATH_BYTES:
        raise InvalidPathError("The path or one of its names is too long.")
    if not segments:
        return "/"
    is_folder = path.endswith(("/", "/."))
    return "/" + "/".join(segments) + ("/" if is_folder else "")


def from_url(raw_path: str) -> str:
    """Return the collection path that a percent-encoded URL path names; each segment is decoded once.

    A segment that would become a climb or gain a slash is refused, also when it was encoded twice: no honest client sends it.
    """
    segments = [_decode_segment(segment) for segment in raw_path.split("/")]
    return normalise("/" + "/".join(segments).lstrip("/"))


def _decode_segment(segment: str) -> str:
    try:
        decoded = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError as error:
        raise InvalidPathError("A path is UTF-8.") from error
    if "/" in decoded:
        raise InvalidPathError("A name holds no '/'.")
    seen = decoded
    for _ in range(3):
        again = unquote_to_bytes(seen).decode(errors="replace")
        if again == seen:
            break
        seen = again
        if ".." in re.split(r"/", seen) or _FORBIDDEN.search(seen):
            raise InvalidPathError("A path does not climb with '..', however it is encoded.")
    return decoded


def is_plain_name(name: str) -> bool:
    """Tell whether `name` is one segment that `normalise` would keep as it is; its length is the disk's to judge."""
    return bool(name) and name not in {".", ".."} and "/" not in name and _FORBIDDEN.search(name) is None


def can_be_asked_for(name: str) -> bool:
    """Tell whether a path may hold this name; keys of a bucket have others too."""
    return is_plain_name(name) and len(name.encode()) <= MAX_NAME_BYTES


def is_part_name(name: str) -> bool:
    """Tell whether `name` is one of the node's own unfinished files, which nobody may read, write or list."""
    return PART_NAME.match(name) is not None


def part_name(name: str, identifier: str) -> str:
    """Return the name under which a file is written until it is whole; `identifier` is 12 hexadecimal digits."""
    kept = name.encode()[: MAX_NAME_BYTES - len(identifier) - 7].decode(errors="ignore")
    return f".{kept}.{identifier}.part"


def is_folder_path(path: str) -> bool:
    return path.endswith("/")


@dataclass
class Place:
    """Where a path led: an open descriptor of the folder that holds it, and the name in it (`.` for the root itself)."""

    folder_fd: int
    name: str
    real_path: str  # in the collection, after all links, without a trailing slash (but "/" for the root)
    status: os.stat_result | None  # of the thing itself, never of a link; None when nothing is there

    def require(self, path: str) -> os.stat_result:
        """Return the status of what is there, or raise MissingError."""
        if self.status is None:
            raise MissingError(f"Nothing is at {path}.")
        return self.status


@dataclass
class _Walk:
    """The state of one walk: descriptors of the folders entered so far (the first is the root), and the names that led there."""

    fds: list[int]
    names: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)  # reversed: the next name is the last element
    n_links: int = 0

    def climb(self) -> None:
        if not self.names:
            raise ForbiddenError("A link leads out of the collection.")
        os.close(self.fds.pop())
        self.names.pop()

    def restart(self) -> None:
        while self.names:
            self.climb()

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)


class Root:
    """The folder that a collection is confined to; `held_to` confines it further for somebody who writes."""

    def __init__(self, folder: Path, *, may_write: Callable[[str], bool] | None = None, has_hard_links: bool = False) -> None:
        self.folder = folder.resolve()
        self._may_write = may_write
        self._has_hard_links = has_hard_links

    def held_to(self, may_write: Callable[[str], bool]) -> Root:
        """Return the same folder, in which symbolic links lead only to real paths that `may_write` allows."""
        return Root(self.folder, may_write=may_write, has_hard_links=self._has_hard_links)

    def require_one_name(self, status: os.stat_result, path: str) -> None:
        """Raise ForbiddenError for a file that may be read under a name outside as well."""
        if status.st_nlink > 1 and not self._has_hard_links:
            raise ForbiddenError(f"{path} has other names (hard links), which may lie outside of the collection.")

    @contextmanager
    def place(self, path: str, *, makes_parents: bool = False, follows_last: bool = True) -> Iterator[Place]:
        """Walk to `path` and yield where it is; the descriptors close when the block ends.

        Raises InvalidPathError, ForbiddenError (a link leads out), NotDirectoryError or MissingError (a parent is missing).
        """
        normal = normalise(path)
        try:
            walk = _Walk(fds=[os.open(self.folder, FOLDER)])
        except OSError as error:
            raise from_os_error(error, path="/") from error
        try:
            walk.pending = [segment for segment in reversed(normal.split("/")) if segment]
            try:
                place = self._walk(walk, makes_parents=makes_parents, follows_last=follows_last)
            except OSError as error:
                raise from_os_error(error, path=normal) from error
            yield place
        finally:
            walk.close()

    def _walk(self, walk: _Walk, *, makes_parents: bool, follows_last: bool) -> Place:
        last: Place | None = None
        while walk.pending:
            name = walk.pending.pop()
            if name == "..":  # only ever from a link's target: paths with it are refused
                walk.climb()
                continue
            is_last = not walk.pending
            status = _lstat(walk.fds[-1], name)
            if status is not None and stat.S_ISLNK(status.st_mode) and (not is_last or follows_last):
                self._expand_link(walk, name)
            elif is_last:
                last = Place(walk.fds[-1], name, "/" + "/".join([*walk.names, name]), status)
            else:
                if status is None and makes_parents:
                    self._judge_links(walk, name)
                    _make_folder(walk.fds[-1], name)
                walk.fds.append(os.open(name, FOLDER, dir_fd=walk.fds[-1]))
                walk.names.append(name)
        self._judge_links(walk, *([] if last is None else [last.name]))
        if last is not None:
            return last
        return Place(walk.fds[-1], ".", "/" + "/".join(walk.names), os.fstat(walk.fds[-1]))

    def _judge_links(self, walk: _Walk, *names: str) -> None:
        """Raise ForbiddenError where links led to what may not be written; a path without links was judged by whoever gave it."""
        if walk.n_links and self._may_write is not None and not self._may_write("/" + "/".join([*walk.names, *names])):
            raise ForbiddenError("A link leads to what may not be written.")

    def _expand_link(self, walk: _Walk, name: str) -> None:
        walk.n_links += 1
        if walk.n_links > MAX_LINKS:
            raise InvalidPathError("Links lead in a circle.")
        target = os.readlink(name, dir_fd=walk.fds[-1])
        if target.startswith("/"):
            inside = os.path.relpath(os.path.normpath(target), self.folder)
            if inside == ".." or inside.startswith("../"):
                raise ForbiddenError("A link leads out of the collection.")
            walk.restart()
            target = inside
        walk.pending.extend(segment for segment in reversed(target.split("/")) if segment not in {"", "."})

    def open_file(self, path: str) -> tuple[int, os.stat_result, str]:
        """Open a regular file for reading: its descriptor (the caller closes it), its status, and its real path in the collection.

        A path with a trailing slash, and a folder, raise IsDirectoryError; pipes, sockets and devices are refused.
        """
        with self.place(path) as place:
            try:
                fd = open_entry(place.folder_fd, place.name, is_folder_path(path))
            except OSError as error:
                raise from_os_error(error, path=path) from error
            status = os.fstat(fd)
            try:
                if stat.S_ISREG(status.st_mode):
                    self.require_one_name(status, path)
                    return fd, status, place.real_path
            except ForbiddenError:
                os.close(fd)
                raise
            os.close(fd)
            if stat.S_ISDIR(status.st_mode):
                raise from_os_error(IsADirectoryError(errno.EISDIR, ""), path=path)
            raise ForbiddenError(f"{path} is neither a file nor a folder.")

    def make_folder(self, path: str) -> bool:
        """Make a folder and its missing parents. Safe to repeat; returns whether it was not there."""
        with self.place(path, makes_parents=True) as place:
            if place.status is None:
                try:
                    return _make_folder(place.folder_fd, place.name)
                except OSError as error:
                    raise from_os_error(error, path=path) from error
            if not stat.S_ISDIR(place.status.st_mode):
                raise from_os_error(NotADirectoryError(errno.ENOTDIR, ""), path=path)
            return False

    @contextmanager
    def folder_fd(self, path: str) -> Iterator[tuple[int, str]]:
        """Yield a descriptor for listing the folder at `path`, and its real path (with a trailing slash)."""
        with self.place(path) as place:
            place.require(path)
            try:
                fd = os.open(place.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.folder_fd)
            except OSError as error:
                raise from_os_error(error, path=path) from error
            try:
                yield fd, place.real_path.rstrip("/") + "/"
            finally:
                os.close(fd)


def open_entry(folder_fd: int, name: str, is_folder: bool = False) -> int:
    """Open `name` in the folder for reading, never a link; O_NONBLOCK so that a pipe without a writer does not hang the node."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_DIRECTORY if is_folder else 0)
    return os.open(name, flags, dir_fd=folder_fd)


def _lstat(folder_fd: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _make_folder(folder_fd: int, name: str) -> bool:
    try:
        os.mkdir(name, dir_fd=folder_fd)
    except FileExistsError:
        if not stat.S_ISDIR(os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_mode):
            raise
        return False
    return True
