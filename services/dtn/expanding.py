"""What there is to copy: the items of an order become files, those of a folder by asking the source to walk it.

A folder that cannot be read now is asked for again until the deadline, after all others: it keeps nothing else from being copied.
"""

from collections.abc import Callable

from services.dtn.copy_state import CopyState
from services.dtn.entries import Entry
from services.dtn.errors import NodeError
from services.dtn.journal import EntryRow, Item
from services.dtn.scheduling import FIRST_WAIT_S, MOST_WAIT_S
from services.dtn.sources import PullError, as_fault, mtime_of, source_fault

ROWS_AT_ONCE = 1000
FIRST_ROWS = 250  # so that the first bundle is soon on its way


def expand(state: CopyState, after_first: Callable[[], None]) -> None:
    """Note every file of every item in the journal. Blocks; safe to repeat after a kill.

    `after_first` is called, perhaps more than once, when all has been tried and some of it must be tried again.
    """
    singles = [item for item in state.journal.items(only_unexpanded=True) if not item.is_recursive]
    for at in range(0, len(singles), ROWS_AT_ONCE):
        some = singles[at : at + ROWS_AT_ONCE]
        state.journal.add_single_entries(some)
        state.progress.add(files=len(some))
        state.schedule.wake()
    waiting = state.journal.items(only_unexpanded=True)
    wait_s = FIRST_WAIT_S
    while waiting and not state.options.is_late():
        waiting = [rest for item in waiting for rest in _expand_item(state, item)]
        if waiting:
            after_first()
            state.rest(wait_s)
            wait_s = min(wait_s * 2, MOST_WAIT_S)
    for item in waiting:
        _end_folder(state, item, item.source_path, "failed", PullError("EXPIRED", "The deadline passed before the folder could be read."))


def _expand_item(state: CopyState, item: Item) -> list[Item]:
    """Return what is to be asked for again: the folder itself, or those below it that could not be read.

    Where links are kept it is the folder itself: they may lead anywhere in it, and a walk of a part would refuse them.
    """
    try:
        unread = _expand_folder(state, item)
    except (PullError, NodeError, OSError) as raised:
        state.raise_if_stopped()
        fault = as_fault(raised, item.destination_path)
        if not state.passes_over(fault) and not fault.is_final:
            state.progress.set_fault(fault.code, fault.description, item.source_path)
            return [item]
        _end_folder(state, item, item.source_path, "skipped" if state.passes_over(fault) else "failed", fault)
        unread = {}
    for path, fault in unread.items():
        state.progress.set_fault(fault.code, fault.description, path)
    if unread and state.options.keeps_links:
        return [item]
    again = state.journal.split(item, [(path, _target(item, path)) for path in unread])
    state.progress.add(directories=-len(again))  # counted when they are read
    state.schedule.wake()
    return again


def _end_folder(state: CopyState, item: Item, path: str, status: str, error: PullError) -> None:
    facts = {"source_path": path, "destination_path": _target(item, path), "code": error.code, "details": error.description}
    if state.journal.end_folder(item, status, **facts):
        state.progress.add(files=1, files_skipped=int(status == "skipped"))


def _target(item: Item, path: str) -> str:
    return item.destination_path.rstrip("/") + "/" + path[len(item.source_path.rstrip("/")) + 1 :]


def _expand_folder(state: CopyState, item: Item) -> dict[str, PullError]:
    """Note what is below a folder; returns the folders, with their faults, that could not be read and are not passed over."""
    rows: list[EntryRow] = []
    unread: dict[str, PullError] = {}
    most = FIRST_ROWS
    top, options = item.source_path.rstrip("/") + "/", state.options
    for entry in state.source.walk(top, options.filter_rules, follows_links=options.follows_links, keeps_links=options.keeps_links):
        if "files" in entry:
            folder = str(entry["folder"])
            target = _target(item, folder)
            rows += [("file", folder + name, target + name, int(size), int(mtime), None) for name, size, mtime in entry["files"]]
        else:
            _take(state, item, entry, rows, unread)
        if len(rows) >= most:
            state.raise_if_stopped()
            _note(state, item, rows)
            rows, most = [], ROWS_AT_ONCE
    _note(state, item, rows)
    ended = {path: fault for path, fault in unread.items() if state.passes_over(fault) or fault.is_final}
    for path, fault in ended.items():
        _end_folder(state, item, path, "skipped" if state.passes_over(fault) else "failed", fault)
    return {path: fault for path, fault in unread.items() if path not in ended}


def _take(state: CopyState, item: Item, entry: Entry, rows: list[EntryRow], unread: dict[str, PullError]) -> None:
    """Make a folder or a link that was found and note it among the rows, as a file; or among what could not be read."""
    source_path = str(entry["path"])
    path = _target(item, source_path)
    if "error" in entry:
        unread[source_path] = _fault_of(entry)
    elif entry["type"] == "dir":
        if state.storage.make_folder(path):
            state.made_folders[path.rstrip("/")] = True
        rows.append(("dir", source_path, path, None, None, None))
    elif entry["type"] == "link":
        unkept = _keep_link(state, item, path, str(entry["link_target"]))
        if unkept is None:
            rows.append(("link", source_path, path, None, None, None))
        else:
            unread[source_path] = unkept
    else:
        rows.append(("file", source_path, path, int(entry["size"]), mtime_of(entry), None))


def _keep_link(state: CopyState, item: Item, path: str, target: str) -> PullError | None:
    """Make a link at the destination; returns why it never can be. Whatever the source says, it leads nowhere out of what is copied.

    Raises what may pass: the whole folder is asked for again then.
    """
    try:
        state.storage.make_link(path, target, top=item.destination_path)
    except (NodeError, OSError) as error:
        fault = as_fault(error, path)
        if not fault.is_final:
            raise fault from error
        return fault
    return None


def _fault_of(entry: Entry) -> PullError:
    said = entry["error"]
    return source_fault(int(said["http_status"]), str(said["code"]), str(said["message"]), path=str(entry["path"]))


def _note(state: CopyState, item: Item, rows: list[EntryRow]) -> None:
    n_files, n_folders, n_links = state.journal.add_entries(item, rows)
    state.progress.add(files=n_files, directories=n_folders, symlinks=n_links)
    state.schedule.wake()
