"""Paths of the Transfer API: what a path may look like, and which path covers which.

Paths are POSIX, absolute within a collection; `/~/` is the home folder of the local account. Confinement on disk is the node's work;
what is refused here never reaches a node.
"""

from __future__ import annotations

from services.localglobus.errors import ApiError

FORBIDDEN = ("\0", "\r", "\n")
MAX_LENGTH = 4096


def normalise(path: object, *, home: str | None = None) -> str:
    """Returns `path` absolute, without empty or `.` segments; a trailing `/` is kept. `home` (folder) stands for `/~/`.

    Raises `ApiError` 400 `InvalidPath` for what Globus forbids: NUL, CR, LF, `..`, a relative path, a home that there is not.
    """
    if not isinstance(path, str) or not path or len(path) > MAX_LENGTH or any(mark in path for mark in FORBIDDEN):
        raise ApiError("InvalidPath", "A path is a non-empty text without NUL, CR and LF", 400)
    if path.startswith("~/") or path == "~":
        path = "/" + path
    if path == "/~" or path.startswith("/~/"):
        if home is None:
            raise ApiError("InvalidPath", "This collection has no home folder, so /~/ stands for nothing", 400)
        path = home + path[2:].lstrip("/")
    if not path.startswith("/"):
        raise ApiError("InvalidPath", f"The path {path!r} is not absolute", 400)
    segments = [segment for segment in path.split("/") if segment not in {"", "."}]
    if ".." in segments:
        raise ApiError("InvalidPath", "'..' is not allowed in a path", 400)
    return "/" + "/".join(segments) + ("/" if segments and path.endswith(("/", "/.")) else "")


def rule_path(path: object) -> str:
    """Returns the path of an access rule as it is kept. Raises `ApiError` 400 unless it is a folder: starts and ends with `/`."""
    if not isinstance(path, str) or not path.startswith("/") or not path.endswith("/"):
        raise ApiError("InvalidPath", "The path of an access rule must start and end with '/'", 400)
    return normalise(path)


def folder(path: str) -> str:
    """Returns `path` in the form of a folder: with one `/` at its end."""
    return path if path.endswith("/") else path + "/"


def covers(covering: str, path: str) -> bool:
    """Whether the folder `covering` is `path` or holds it."""
    return folder(path).startswith(folder(covering))


def parent(path: str) -> str:
    """Returns the folder that holds `path`."""
    return path.rstrip("/").rpartition("/")[0] + "/"
