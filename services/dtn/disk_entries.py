"""What is in a folder of a disk, in the shape of `PROTOCOL.md` (ENTRY).

`user` and `group` are the names that the data host gives the owners, or their numbers.
"""

import grp
import os
import pwd
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from services.dtn.entries import Entry, MaySee, everything
from services.dtn.errors import NodeError, NotDirectoryError
from services.dtn.paths import Root, is_part_name


def describe(name: str, status: os.stat_result, *, link_target: str | None = None, is_broken: bool = False) -> Entry:
    """Return the ENTRY of something whose status is known."""
    return {
        "name": name,
        "type": "invalid_symlink" if is_broken else _type_of(status.st_mode),
        "size": status.st_size,
        "last_modified": datetime.fromtimestamp(status.st_mtime_ns // 1000 / 1e6, tz=UTC).isoformat(),
        "permissions": f"{stat.S_IMODE(status.st_mode):04o}",
        "user": _user_name(status.st_uid),
        "group": _group_name(status.st_gid),
        "link_target": link_target,
    }


def _type_of(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    return "dir" if stat.S_ISDIR(mode) else "other"


@lru_cache(256)
def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@lru_cache(256)
def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def brief(name: str, status: os.stat_result, *, link_target: str | None = None, is_broken: bool = False) -> Entry:
    """Return what a copy needs of an ENTRY, and the time in nanoseconds: a third of the work."""
    kind = "invalid_symlink" if is_broken else _type_of(status.st_mode)
    return {"name": name, "type": kind, "size": status.st_size, "mtime_ns": status.st_mtime_ns, "link_target": link_target}


def list_folder(
    root: Root, path: str, *, show_hidden: bool = True, may_see: MaySee = everything, is_brief: bool = False
) -> tuple[str, list[Entry]]:
    """Return the real path (with a trailing slash) and the entries of a folder, unsorted; `is_brief`: in the form of `brief`.

    Left out: the node's own unfinished files, names that are no UTF-8 (nobody could ask for them), and what may not be seen. A link to
    something that may not be seen is told as one that leads nowhere.
    """
    with root.folder_fd(path) as (fd, real_path):
        entries = []
        for name in os.listdir(fd):  # noqa: PTH208  # by descriptor
            if (name[0] == "." and (is_part_name(name) or not show_hidden)) or not (name.isascii() or _is_utf8(name)):
                continue
            entry = _entry_at(root, fd, real_path, name, may_see, brief if is_brief else describe)
            if entry is not None and (may_see is everything or may_see(real_path + name, is_folder=entry["type"] == "dir")):
                entries.append(entry)
    return real_path, entries


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _entry_at(root: Root, folder_fd: int, real_path: str, name: str, may_see: MaySee, tell: Callable[..., Entry]) -> Entry | None:
    try:
        status = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            return tell(name, status)
        target = os.readlink(name, dir_fd=folder_fd)
    except FileNotFoundError:  # gone since the folder was read
        return None
    try:
        with root.place(real_path + name) as place:
            if place.status is not None and may_see(place.real_path, is_folder=stat.S_ISDIR(place.status.st_mode)):
                return tell(name, place.status, link_target=target)
    except NodeError:  # leads out, or in a circle
        pass
    return tell(name, status, link_target=target if not target.startswith("/") else None, is_broken=True)


def stat_path(root: Root, path: str) -> tuple[str, Entry]:
    """Return the real path and the ENTRY of what is at `path`. Raises MissingError, and NotDirectoryError for `file/`."""
    with root.place(path) as place:
        status = place.require(path)
        if path.endswith("/") and not stat.S_ISDIR(status.st_mode):
            raise NotDirectoryError(f"{path} is not a folder.")
        name = path.rstrip("/").rsplit("/", 1)[-1]
        return place.real_path, describe(name, status)
