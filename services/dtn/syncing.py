"""What a destination has already: whether a file is up to date by the sync level, and what is there that the source has not.

Levels as Globus has them: 0 the destination exists, 1 sizes are equal, 2 the source is not newer either, 3 the SHA-256 are equal.
"""

from services.dtn.copy_state import CopyState
from services.dtn.digests import digest_of
from services.dtn.errors import ForbiddenError, NodeError
from services.dtn.journal import FileEntry
from services.dtn.paths import can_be_asked_for
from services.dtn.small_files import Had


def had_at(state: CopyState, entry: FileEntry) -> Had | None:
    """Return what is at a file's destination; None when nothing is there, or no file."""
    stamp = state.storage.find(entry.destination_path)
    return None if stamp is None else Had(stamp.size, stamp.mtime_ns)


def is_known_to_be_current(level: int, entry: FileEntry, present: Had) -> bool:
    """Tell whether a file needs no copy, as far as that is known without the source: a walk tells size and time."""
    if level == 0:
        return True
    if level == 3 or entry.size is None or entry.mtime_ns is None:
        return False
    return present.is_current(level, size=entry.size, mtime_ns=entry.mtime_ns)


def own_digest(state: CopyState, path: str) -> str:
    """Return the SHA-256 of what is at the destination; "" for what the node may not read: it is replaced, as by the other levels."""
    try:
        file = state.storage.open(path)
    except (ForbiddenError, PermissionError):
        return ""
    try:
        file.announce(0, file.stamp.size)
        return state.node.digests.known(file.stamp) or digest_of(file, lambda _: state.raise_if_stopped())
    finally:
        file.close()


def digest_if_current(state: CopyState, entry: FileEntry) -> str | None:
    """Return the digest ("" if not computed) when the sync level finds the destination up to date, else None."""
    level = state.options.sync_level
    present = None if level is None else had_at(state, entry)
    if level is None or present is None:
        return None
    if level == 0:
        return ""
    with state.source.fetch(entry.source_path, offset=0, length=1, etag=None, wants_digest=level == 3) as fetched:
        size, mtime_ns, etag, digest = fetched.size, fetched.mtime_ns, fetched.etag, fetched.digest
    if not present.is_current(1 if level == 3 else level, size=size, mtime_ns=mtime_ns):
        return None
    entry.has_news = entry.has_news or entry.size != size  # it may come in a bundle after a fault
    entry.size = size
    if level < 3:
        return ""
    own = own_digest(state, entry.destination_path)
    return own if own == (digest or state.source.digest(entry.source_path, etag, state.stop)) else None


def without_current(state: CopyState, entries: list[FileEntry]) -> tuple[list[FileEntry], list[Had | None] | None]:
    """Return which of many small files are to be asked for, and what is there of them; those known to be up to date are skipped."""
    level = state.options.sync_level
    if level is None:
        return entries, None
    wanted: list[FileEntry] = []
    had: list[Had | None] = []
    current: list[tuple[FileEntry, str | None]] = []
    for entry in entries:
        state.raise_if_stopped()
        try:
            present = had_at(state, entry)
            if present is not None and is_known_to_be_current(level, entry, present):
                current.append((entry, None))
                continue
            if present is not None and level == 3:
                present = Had(present.size, present.mtime_ns, own_digest(state, entry.destination_path))
        except (NodeError, OSError) as error:
            state.settle(entry, error)
            continue
        wanted.append(entry)
        had.append(present)
    skip(state, current)
    return wanted, had


def skip(state: CopyState, entries: list[tuple[FileEntry, str | None]]) -> None:
    """Note files that are up to date, with the SHA-256 where it was compared."""
    if entries:
        state.journal.skip_many(entries)
        state.progress.add(files_skipped=len(entries))


def delete_extra(state: CopyState) -> None:
    """Delete at the destination what the source folders do not have, deepest last so that whole folders go at once.

    Nothing, when something at the source could not be read and was passed over: it may be there all the same.
    """
    if state.journal.has_passed_over():
        state.journal.add_event("DELETE_DESTINATION_EXTRA_SKIPPED", "Nothing is deleted: not all of the source could be read.")
        return
    state.journal.index_destinations()
    for item in state.journal.items(only_recursive=True):
        waiting = [item.destination_path.rstrip("/") + "/"]
        while waiting:
            folder = waiting.pop()
            for entry in state.storage.list_folder(folder)[1]:
                if not can_be_asked_for(entry["name"]):  # nobody could have copied it here
                    continue
                is_folder = entry["type"] == "dir" and entry["link_target"] is None
                path = folder + entry["name"] + ("/" if is_folder else "")
                if not state.journal.has_destination(path):
                    state.storage.delete(path, recursive=True, ignore_missing=True)
                    state.journal.add_event("DELETED", f"{path} is not at the source and was deleted.")
                elif is_folder:
                    waiting.append(path)
            state.raise_if_stopped()
