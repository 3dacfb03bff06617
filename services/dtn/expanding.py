"""What there is to copy: the items of an order become files, those of a folder by asking the source to walk it."""

from collections.abc import Callable

from services.dtn.copy_state import CopyState
from services.dtn.errors import NodeError
from services.dtn.journal import Item
from services.dtn.scheduling import FIRST_WAIT_S, MOST_WAIT_S
from services.dtn.sources import PullError, as_fault, mtime_of

ROWS_AT_ONCE = 1000


def expand(state: CopyState) -> None:
    """Note every file of every item in the journal. Blocks; safe to repeat after a kill."""
    singles = [item for item in state.journal.items(only_unexpanded=True) if not item.is_recursive]
    for at in range(0, len(singles), ROWS_AT_ONCE):
        some = singles[at : at + ROWS_AT_ONCE]
        state.journal.add_single_entries(some)
        state.progress.add(files=len(some))
        state.schedule.wake()
    for item in state.journal.items(only_unexpanded=True):
        _until_it_works(state, item, lambda one=item: _expand_folder(state, one))  # type: ignore[misc]  # bound to this item
        state.journal.mark_expanded([item])
        state.schedule.wake()


def _until_it_works(state: CopyState, item: Item, act: Callable[[], None]) -> None:
    wait_s = FIRST_WAIT_S
    while not state.is_late():
        try:
            act()
            return
        except (PullError, NodeError, OSError) as raised:
            error = as_fault(raised, item.destination_path)
            if state.passes_over(error) or error.is_final:
                _end_item(state, item, "skipped" if state.passes_over(error) else "failed", error)
                return
            state.progress.set_fault(error.code, error.description, item.source_path)
        state.rest(wait_s)
        wait_s = min(wait_s * 2, MOST_WAIT_S)
    _end_item(state, item, "failed", PullError("EXPIRED", "The deadline passed before the folder could be read."))


def _end_item(state: CopyState, item: Item, status: str, error: PullError) -> None:
    state.journal.end_item(item, status, code=error.code, details=error.description)


def _expand_folder(state: CopyState, item: Item) -> None:
    rows: list[tuple[str, str, str, int | None, int | None, str | None]] = []
    top, target = item.source_path.rstrip("/") + "/", item.destination_path.rstrip("/") + "/"
    for entry in state.source.walk(top, state.options.filter_rules):
        path = target + str(entry["path"])[len(top) :]
        if entry["type"] == "dir":
            state.storage.make_folder(path)
            rows.append(("dir", entry["path"], path, None, None, None))
        else:
            rows.append(("file", entry["path"], path, int(entry["size"]), mtime_of(entry), None))
        if len(rows) >= ROWS_AT_ONCE:
            state.raise_if_stopped()
            _note(state, item, rows)
            rows = []
    _note(state, item, rows)


def _note(state: CopyState, item: Item, rows: list[tuple[str, str, str, int | None, int | None, str | None]]) -> None:
    n_files, n_folders = state.journal.add_entries(item, rows)
    state.progress.add(files=n_files, directories=n_folders)
    state.schedule.wake()
