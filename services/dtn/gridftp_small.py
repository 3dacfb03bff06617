"""Small files from server to server, many at a time: asked for together, sent one behind the other without a pause, checked together.

One file after the other costs four round trips each. Here the source's node is asked once for all what they are, both servers are told of
some files before the first is through (pipelining, as `globus-url-copy -pp` does), and so is the destination's of checksums. A file that
makes trouble breaks off what comes behind it: `gridftp.py` then takes each alone, which tells whose fault it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.dtn.copy_state import CopyState
from services.dtn.errors import NodeError
from services.dtn.gridftp_transfers import Pair
from services.dtn.journal import FileEntry
from services.dtn.small_files import Answered, Had
from services.dtn.sources import PullError, as_fault, source_fault
from services.dtn.storage import Unfinished
from services.dtn.syncing import skip

MOST_TOGETHER = 100
ANYTHING = Had(0, 0)


@dataclass
class Sent:
    """A file on its way: what the source's node says of it, and where it comes to."""

    entry: FileEntry
    told: Answered
    partial: Unfinished
    source_path: str
    host_path: str


def begin_many(
    state: CopyState, entries: Sequence[FileEntry], had: Sequence[Had | None] | None, paths: Callable[[FileEntry], tuple[str, str]]
) -> tuple[list[Sent], list[FileEntry]]:
    """Ask the source what the files are and make the unfinished ones; returns them, and those that are to go alone.

    `had` is what is at their destinations: by the sync level some are skipped. `paths` gives a file's place on both servers. Raises
    PullError when the source cannot go on.
    """
    begun: list[Sent] = []
    alone: list[FileEntry] = []
    same: list[tuple[FileEntry, str | None]] = []
    level = state.options.sync_level
    for number, (entry, told) in enumerate(zip(entries, _ask(state, entries), strict=True)):
        try:
            if told.is_large or entry.checksum is not None or state.journal.pieces(entry):
                alone.append(entry)
                continue
            if told.error is not None:
                error = told.error
                raise source_fault(error.http_status, error.code, error.message, path=entry.source_path)
            present = had[number] if had is not None else None
            if (
                level is not None
                and present is not None
                and present.is_current(level, size=told.size, mtime_ns=told.mtime_ns, sha256=told.sha256)
            ):
                entry.size = told.size
                same.append((entry, told.sha256 if level == 3 else None))
                continue
            partial = state.partial(entry)
            entry.size, entry.mtime_ns = told.size, told.mtime_ns if entry.mtime_ns is None else entry.mtime_ns
            partial.create(entry.size)
            partial.close()  # many are on their way, and descriptors are few
            begun.append(Sent(entry, told, partial, *paths(entry)))
        except (PullError, NodeError, OSError) as raised:
            state.settle(entry, raised)
    skip(state, same)
    return begun, alone


def end_many(state: CopyState, sent: list[Sent], pair: Pair, strike: Callable[[FileEntry, Unfinished], None]) -> None:
    """Check what has come and give it its name. Raises TransferError and PullError before any has got it; `sent` is what is left then."""
    for one in list(sent):
        try:
            strike(one.entry, one.partial)
        except (PullError, NodeError, OSError) as raised:
            sent.remove(one)
            _settle(state, one, raised)
    digests = pair.checksums_at_destination([one.host_path for one in sent])
    again = _ask(state, [one.entry for one in sent])
    for one, digest, told in zip(sent, digests, again, strict=True):
        try:
            _require_same(one, told)
            state.put_in_place(one.entry, one.partial, digest, told.sha256 if state.options.verify_checksum else None)
        except (PullError, NodeError, OSError) as raised:
            _settle(state, one, raised)


def _require_same(one: Sent, told: Answered) -> None:
    if (told.size, told.mtime_ns, told.sha256) != (one.told.size, one.told.mtime_ns, one.told.sha256):
        raise PullError("FILE_CHANGED", f"{one.entry.source_path} changed at the source while it was copied.", is_source=True)


def _settle(state: CopyState, one: Sent, raised: PullError | NodeError | OSError) -> None:
    one.partial.close()
    state.settle(one.entry, as_fault(raised, one.entry.destination_path))


def _ask(state: CopyState, entries: Sequence[FileEntry]) -> list[Answered]:
    """What the source's node reads in the files, without the bytes: whatever the destination has is enough."""
    paths = [entry.source_path for entry in entries]
    told = [one for some in state.source.fetch_many(paths, [ANYTHING] * len(paths), 0) for one in some] if paths else []
    return sorted(told, key=lambda one: one.index)
