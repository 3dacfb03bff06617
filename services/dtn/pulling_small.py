"""Many small files of an order by one stream: written, made durable together, renamed, recorded in one step.

What is up to date by the sync level never travels: where the source's size and time are known it is not even asked for, else the source
is told what is there and answers whether it is the same.
"""

import time
from contextlib import closing

from services.dtn.copy_state import CopyState
from services.dtn.digests import asked_of, by
from services.dtn.errors import NodeError
from services.dtn.journal import FileEntry
from services.dtn.landing import UnusualError
from services.dtn.small_files import Answered
from services.dtn.sources import PullError, as_fault, source_fault
from services.dtn.storage import Landing
from services.dtn.syncing import skip, without_current

LANDED_S = 0.25  # small files that arrived wait no longer than this for their names


def pull_many(state: CopyState, entries: list[FileEntry]) -> None:
    """Bring small files to their ends; what is large or lands in an unusual place is put back, to go alone."""
    wanted, had = without_current(state, entries)
    if not wanted:
        return
    landing = state.storage.landing(
        order_id=state.order_id, made_folders=state.made_folders, keeps_times=state.options.preserve_timestamp
    )  # fmt: skip
    unanswered = dict(enumerate(wanted))
    alone: list[FileEntry] = []
    same: list[tuple[FileEntry, str | None]] = []
    with closing(landing):
        try:
            landed_at = time.monotonic()
            answers = state.source.fetch_many([entry.source_path for entry in wanted], had, state.options.sync_level)
            for group in answers:
                with state.turn():
                    for answer in group:
                        state.raise_if_stopped()
                        entry = unanswered.pop(answer.index)
                        if answer.is_same:
                            entry.size = answer.size
                            same.append((entry, answer.sha256 or None))
                        elif not _land(state, landing, entry, answer):
                            alone.append(entry)
                state.hold_to_pace(sum(len(answer.body) for answer in group))
                if time.monotonic() - landed_at > LANDED_S:
                    _put_all_in_place(state, landing)
                    landed_at = time.monotonic()
                    if state.options.is_late():
                        break
        except (PullError, NodeError, OSError) as error:
            for entry in unanswered.values():
                state.settle(entry, as_fault(error, entry.destination_path))
        _put_all_in_place(state, landing)
    skip(state, same)
    state.schedule.put_back(alone)


def _land(state: CopyState, landing: Landing, entry: FileEntry, answer: Answered) -> bool:
    """Write one file of a bundle, or settle why not. False when it is to be pulled alone."""
    if answer.is_large:
        return False
    try:
        if answer.error is not None:
            error = answer.error
            raise source_fault(error.http_status, error.code, error.message, path=entry.source_path)
        state.strike_fault("write")
        if entry.size != answer.size or entry.mtime_ns is None:
            entry.size, entry.has_news = answer.size, True
            entry.mtime_ns = entry.mtime_ns if entry.mtime_ns is not None else answer.mtime_ns
        digest = landing.write(entry, answer.body)
        own = None
        if entry.checksum is not None and (algorithm := asked_of(entry.checksum)[0]) != "sha256":
            own = by(algorithm, answer.body).hexdigest()
        mismatch = state.mismatch(entry, digest, answer.sha256 if state.options.verify_checksum else None, own)
        if mismatch is not None:
            landing.take_back()
            raise mismatch
    except UnusualError:
        return False
    except (PullError, NodeError, OSError) as raised:
        state.settle(entry, raised)
    return True


def _put_all_in_place(state: CopyState, landing: Landing) -> None:
    try:
        written = landing.make_durable()
    except (NodeError, OSError) as error:  # nothing of it is safe
        for entry in landing.give_up():
            state.settle(entry, as_fault(error, entry.destination_path))
        return
    if not written:
        return
    note = state.journal.begin_landing(written)
    with state.turn():
        arrived = landing.put_in_place(lambda entry, error: state.settle(entry, as_fault(error, entry.destination_path)))
    state.strike_fault("unrecorded")
    state.journal.end_many(((entry, digest) for entry, digest, _ in arrived), landing=note)
    state.node.digests.keep_many((stamp, digest) for _, digest, stamp in arrived if stamp is not None)
    n_bytes = sum(entry.size or 0 for entry, _, _ in arrived)
    state.progress.add(files_transferred=len(arrived), bytes_checksummed=n_bytes, bytes_transferred=n_bytes)
    state.schedule.note_success()
    state.progress.stir.set()
