"""Folder entries in the shape of `PROTOCOL.md` (ENTRY), and walking a tree of any storage."""

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, Protocol

from services.dtn.errors import InvalidPathError, NodeError, from_os_error
from services.dtn.filters import FilterRule, is_included
from services.dtn.paths import can_be_asked_for

Entry = dict[str, Any]
STEPS = frozenset({"", ".", ".."})  # between the slashes of some keys of buckets: told of type `other`, since no path leads there


class MaySee(Protocol):
    """Whether a real path may be known of, as `Access.may_see` says it."""

    def __call__(self, path: str, *, is_folder: bool) -> bool: ...


def everything(path: str, *, is_folder: bool) -> bool:
    return True


class Listed(Protocol):
    """A storage, as far as walking needs it (`storage.Storage`)."""

    def list_folder(
        self, path: str, *, show_hidden: bool = True, may_see: MaySee = everything, is_brief: bool = False
    ) -> tuple[str, list[Entry]]: ...

    def stat(self, path: str) -> tuple[str, Entry]: ...


def walk(
    storage: Listed, path: str, rules: Sequence[FilterRule] = (), *, follows_links: bool = False, may_see: MaySee = everything,
    is_brief: bool = False, keeps_links: bool = False,
) -> Iterator[Entry]:  # fmt: skip
    """Yield an ENTRY with `path` for everything below a folder, folders before what they hold, the folder itself first.

    Symbolic links are left out, as Globus does by default (`recursive_symlinks: ignore`); with `follows_links` (`copy`) they are what they
    lead to, but for those that lead out, back to a folder on the way, or to what may not be seen; with `keeps_links` (`keep`) they are
    told of type `link` with their `link_target`, and with an `error` where that leads out of the folder that is walked. Memory is one
    folder at a time. A folder that cannot be read, but for the first, comes once more with its `error` alone, and so does what has a name
    that no path can hold; what is beside it follows all the same.
    """
    top = path.rstrip("/") + "/"
    _, entry = storage.stat(top)
    yield {**entry, "path": top}
    waiting: list[tuple[str, tuple[str, ...]]] = [(top, ())]
    while waiting:
        folder, above = waiting.pop()
        try:
            real_path, entries = storage.list_folder(folder, may_see=may_see, is_brief=is_brief)
        except (NodeError, OSError) as raised:
            error = raised if isinstance(raised, NodeError) else from_os_error(raised, path=folder)
            if folder == top:
                raise error from raised
            yield _unreadable(folder, error)
            continue
        folders = []
        way = (*above, real_path)
        entries.sort(key=itemgetter("name"), reverse=True)
        while entries:
            found = entries.pop()  # there may be very many: what is told is let go
            name, kind = found["name"], found["type"]
            is_link = found["link_target"] is not None
            if keeps_links and (is_link or kind == "invalid_symlink"):
                if is_included(name, "dir" if kind == "dir" else "file", rules):
                    yield _as_link(top, folder + name, found["link_target"])
                continue
            is_step = name in STEPS
            if (is_link and not follows_links) or (kind not in {"file", "dir"} and not is_step):
                continue
            if rules and not is_included(name, kind, rules):
                continue
            is_folder = kind == "dir"
            found_path = folder + name + ("/" if is_folder or is_step else "")
            if not can_be_asked_for(name):
                yield _unreadable(
                    found_path, InvalidPathError("A path holds no line feed, no step as a name, and no name above 255 bytes.")
                )
                continue
            if is_folder and is_link and storage.stat(found_path)[0].rstrip("/") + "/" in way:
                continue
            if is_folder:
                folders.append((found_path, way if follows_links else ()))
            found["path"] = found_path
            yield found
        waiting.extend(reversed(folders))


def leads_out(top: str, path: str, target: str) -> bool:
    """Tell whether a link at `path`, below the folder `top`, may lead out of it; what it points to need not be there.

    It climbs at its beginning alone: behind a name, which may be a link itself (`b -> .`), `..` leads nobody knows where.
    """
    n_above = sum(step not in STEPS for step in path[len(top) :].split("/")[:-1])
    steps = [step for step in target.split("/") if step not in {"", "."}]
    n_up = next((number for number, step in enumerate(steps) if step != ".."), len(steps))
    return target.startswith("/") or n_up > n_above or ".." in steps[n_up:] or not can_be_kept(target)


def can_be_kept(target: str) -> bool:
    return all(step in STEPS or can_be_asked_for(step) for step in target.split("/"))


def _as_link(top: str, path: str, target: str | None) -> Entry:
    """`target` is None for one that leads to a path of the host itself."""
    if not can_be_asked_for(path.rsplit("/", 1)[-1]) or target is None or leads_out(top, path, target):
        return _unreadable(path, InvalidPathError("A symbolic link is kept where it leads to a place in the folder that is copied."))
    return {"path": path, "type": "link", "size": 0, "link_target": target}


def _unreadable(path: str, error: NodeError) -> Entry:
    return {"path": path, "error": {"code": error.code, "message": error.message, "http_status": error.http_status}}
