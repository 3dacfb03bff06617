"""Scanning the location of a version: ask, claim, list, report, merge what is accepted, inspect, finish. Read `run_scan` first.

The callables come from outside (`transfers.ingesting` joins them with Globus and the graph service), so that this module knows neither.
A scan is a row; a worker that dies leaves it, and the next claim goes on listing and inspecting where the last one stopped. What people
do to a scan (pause, cancel, accept its report) is in `scanning`.
"""

import contextlib
import datetime as dt
import logging
import threading
from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeVar

from django.conf import settings
from django.db import connections, transaction
from django.db.models import F
from django.utils import timezone

from datasets.access import Visitor, check_curator
from datasets.curation.publishing import check_not_in_review
from datasets.errors import ConflictError, NotClaimedError, NotReadyError, RefusedError, StaleStateError, UnavailableError
from datasets.files.recounting import recount
from datasets.metadata import pushing
from datasets.models import Acceptance, Dataset, Location, ScanRun, Version, Watch
from datasets.preservation import damaging, locating
from datasets.scans import staging
from datasets.scans.inspecting import Inspect, Inspected, complete_description, count_uninspected, gather, record, uninspected
from datasets.scans.listing import Entry, ListFolder, walk
from datasets.scans.merging import (
    Differences,
    is_empty,
    merge,
    report,
    resolve_touched,
    settle,
    touched,
)
from datasets.search.indexing import index_dataset
from datasets.states import SCAN_WORKING, ScanStatus

logger = logging.getLogger(__name__)

MOST_ATTEMPTS = 20
RETRY_S = 30
INSPECT_BATCH = 500
RECORD_BATCH = 50

Item = TypeVar("Item")


@transaction.atomic
def request_scan(version: Version, *, user: Visitor, is_automatic: bool = False) -> ScanRun:
    """Ask for a scan; a worker picks it up. Safe to repeat: an open scan of the version is answered as it is.

    What it finds on a draft is a report that a steward accepts (`scanning.accept_scan`); `is_automatic` takes it as it is, and so does the
    dataset's own setting. A published version is only compared: a proven difference marks it damaged.
    Raises ForbiddenError unless asked by a steward of the dataset or an operator, NotReadyError without a location.
    """
    check_curator(user, version.dataset)
    Version.objects.select_for_update().get(pk=version.pk)
    check_not_in_review(version)
    if not version.locations.exists():
        raise NotReadyError(fields={"location": ["Say first where the files are."]})
    present = version.scans.open().first()
    return present or ScanRun.objects.create(version=version, asked_by_id=user.id, is_automatic=is_automatic)


def ask_for_scan(version: Version, *, user: Visitor) -> ScanRun:
    """As `request_scan`, for somebody who waits for the answer: a place that the portal may not manage is refused before it is queued.

    Raises NotReadyError with the remedy for that.
    """
    check_curator(user, version.dataset)
    locating.check_place(version.primary_location)
    return request_scan(version, user=user)


def retry_scan(run: ScanRun, *, user: Visitor) -> ScanRun:
    """Queue a failed scan again; an unfinished listing and what was inspected are kept. Raises as `ask_for_scan`.

    What was listed to its end is listed anew, as it may be other now, and so is a place that is checked.
    """
    check_curator(user, run.version.dataset)
    locating.check_place(run.place)
    if run.version.scans.open().exists():
        raise ConflictError("Another scan of this version is open.")
    with transaction.atomic():
        queued = run.move_to(ScanStatus.QUEUED, actor=user, finished_at=None, error="", n_attempts=0, due_at=timezone.now())
        if queued.is_check or queued.step != "listing":
            staging.forget(queued)
    return queued


def scan(version: Version, list_folder: ListFolder, inspect: Inspect | None = None, *, user: Visitor) -> ScanRun:
    """Ask for a scan, run it here and now, and take what it finds. Raises ConflictError while another worker runs it."""
    asked = request_scan(version, user=user, is_automatic=True)
    run = run_scan(asked.pk, list_folder, inspect)
    if run is None:
        raise ConflictError("Another worker is running this scan.")
    return run


def run_scan(scan_id: int, list_folder: ListFolder, inspect: Inspect | None = None) -> ScanRun | None:
    """Run a queued or abandoned scan to its end; None when another worker holds it or it has ended. Safe to repeat.

    `list_folder(collection_path)` yields the `Entry`s of a folder and is called from several threads. `inspect(collection_paths)` yields
    `Inspected`s; without it checksums stay unknown. What they raise ends this attempt: UnavailableError is tried again, any other
    RefusedError fails the scan with its words. No file byte passes here.
    """
    try:
        with ScanRun.objects.due(timezone.now()).claim(scan_id, expected=SCAN_WORKING, n_attempts=F("n_attempts") + 1) as run:
            _attempt(run, list_folder, inspect)
    except (NotClaimedError, StaleStateError):
        logger.info("scan left to another worker", extra={"scan": scan_id})
        return None
    run.refresh_from_db()
    return run


def _attempt(run: ScanRun, list_folder: ListFolder, inspect: Inspect | None) -> None:
    try:
        if run.n_attempts > MOST_ATTEMPTS:
            raise ConflictError(f"Given up after {MOST_ATTEMPTS} attempts. {run.error}".strip())
        if run.status == ScanStatus.QUEUED:
            run.move_to(ScanStatus.RUNNING, started_at=timezone.now(), step="listing")
        with _heartbeat(run):
            if run.accepted_at is None:
                _list(run, list_folder)
            if not run.version.is_draft:
                _compare(run, inspect)
            elif _take(run) and inspect:
                _inspect(run, inspect)
            if not run.is_reported:
                _finish(run)
    except StaleStateError:
        raise
    except UnavailableError as error:
        _try_later(run, error)
    except RefusedError as error:
        _fail(run, error)


def _list(run: ScanRun, list_folder: ListFolder) -> None:
    """Walk the folders that no earlier attempt listed, and keep what they hold."""
    location = run.place
    if location is None:
        raise NotReadyError(fields={"location": ["Say first where the files are."]})
    staged = staging.Staging.open(run, location)
    try:
        for chunk in walk(list_folder, location.base_path, staged.waiting):
            staged.add(chunk)
    except UnavailableError:
        staged.write()  # the next attempt goes on from here
        raise
    staged.finish()


def _take(run: ScanRun) -> bool:
    """Bring the draft in line with what was found, once that is accepted; False when it waits for a steward.

    Totals are counted here and again at the end, so that a scan which is cancelled in between leaves none that are wrong.
    """
    version = run.version
    if run.accepted_at is None and not _is_automatic(run):
        found = _report(run)
        if not found.is_none:
            facts: dict[str, Any] = {"n_new": found.n_new, "n_changed": found.n_changed, "n_missing": found.n_missing}
            run.move_to(ScanStatus.REPORTED, step="", error="", **facts)
            staging.forget(run)
            return False
    elif run.accepted_at is None and not is_empty(version):
        _report(run)
    with transaction.atomic():
        _hold(run)  # who pauses or cancels now waits for the end of this
        found = merge(version, run.pk, is_accepted=run.accepted_at is not None)
        if run.accepted_at is None:
            counts = {
                "n_new": run.n_new + found.n_new,
                "n_changed": run.n_changed + found.n_changed,
                "n_missing": run.n_missing + found.n_missing,
            }
            run.keep_claim(**counts)
        recount(version)
    return True


def _hold(run: ScanRun) -> None:
    """Hold the dataset, then the scan, until the transaction ends. Raises NotClaimedError when the scan is no more this worker's."""
    Dataset.objects.held().get(pk=run.version.dataset_id)
    run.keep_claim()


def _report(run: ScanRun) -> Differences:
    """Write down what differs, and what that says of published files, whatever becomes of the report."""
    with transaction.atomic():
        found = report(run.version, run.pk, is_anew=not run.is_automatic)
        _hold(run)  # nothing is learned for a scan that was cancelled meanwhile
        if _shares_location_with_published(run.version):
            damaging.learn_from_report(run.version, run.pk, is_whole=False)
    return found


def _is_automatic(run: ScanRun) -> bool:
    """Whether what is found is taken without a question. Kept with the scan, as a second attempt finds the draft filled by the first."""
    if not run.is_automatic:
        chosen = Watch.objects.filter(dataset_id=run.version.dataset_id).values_list("acceptance", flat=True).first() or Acceptance.FIRST
        if chosen == Acceptance.ALWAYS or (chosen == Acceptance.FIRST and is_empty(run.version)):
            run.keep_claim(is_automatic=True)
    return run.is_automatic


def _compare(run: ScanRun, inspect: Inspect | None) -> None:
    """Hold a published version against what is staged. A file of the same size that was touched is read again, where it can be."""
    version, location = run.version, run.place
    if location is None:
        raise NotReadyError(fields={"location": ["Say first where the files are."]})
    numbers = locating.needed_versions(run)
    with transaction.atomic():
        found = report(version, run.pk, numbers=numbers)
        _hold(run)  # nothing is learned for a scan that was cancelled meanwhile
        if not run.is_check:
            damaging.learn_from_report(version, run.pk, is_whole=True)
    n_proven = n_rewritten = 0
    if inspect:
        run.keep_claim(step="inspecting", n_to_inspect=found.n_touched, n_inspected=0)
        for batch in touched(version, run.pk, batch=INSPECT_BATCH, numbers=numbers):
            published = {location.collection_path(path): (path, sha256) for path, sha256 in batch.items()}
            for answers in _pieces(inspect(list(published)), RECORD_BATCH):
                read = [(*published[answer.path], answer.sha256) for answer in answers if answer.sha256 and answer.path in published]
                same = [path for path, known, sha256 in read if known == sha256]
                other = [path for path, known, sha256 in read if known != sha256]
                resolve_touched(run.pk, same=same, other=other)
                if not run.is_check:
                    damaging.learn_from_reading(version, same=same, other=other)
                n_proven, n_rewritten = n_proven + len(read), n_rewritten + len(other)
                run.keep_claim(n_inspected=n_proven)
    found = Differences(found.n_new, found.n_changed + n_rewritten, found.n_missing, found.n_touched - n_proven)
    run.keep_claim(n_new=found.n_new, n_changed=found.n_changed, n_missing=found.n_missing, n_to_check=found.n_touched)


def _inspect(run: ScanRun, inspect: Inspect) -> None:
    """Have the files without a checksum read where they are, and write down each piece as it comes."""
    run.keep_claim(step="inspecting", n_to_inspect=run.n_inspected + count_uninspected(run.version))
    for batch in uninspected(run.version, batch=INSPECT_BATCH):
        logical = {row.collection_path: row.path for row in batch}
        for answers in _pieces(inspect(list(logical)), RECORD_BATCH):
            piece = {logical[answer.path]: answer for answer in answers if answer.path in logical}
            with transaction.atomic():
                run.keep_claim(
                    n_inspected=run.n_inspected + len(piece),
                    n_unreadable=run.n_unreadable + sum(bool(answer.error) for answer in piece.values()),
                    found=gather(run.found, piece),
                )
                record(run.version, piece)


@transaction.atomic
def _finish(run: ScanRun) -> None:
    """Settle what was touched without a change, count folders again, state coverage, and end the scan."""
    version = run.version
    Dataset.objects.held().get(pk=version.dataset_id)
    facts: dict[str, Any] = {}
    if run.is_check:
        locating.settle(run)
    elif version.is_draft:
        same = settle(version)
        facts["n_changed"] = max(run.n_changed - same, 0)
        if _shares_location_with_published(version):
            damaging.learn_from_draft(version)
        recount(version)
        if run.found:
            complete_description(version.dataset, run.found)
        index_dataset(version.dataset, has_other_files=True)
        pushing.ask_for_push(version.dataset)
    run.move_to(ScanStatus.DONE, finished_at=timezone.now(), step="", error="", **facts)
    staging.forget(run)


def _shares_location_with_published(version: Version) -> bool:
    here = version.primary_location
    return (
        here is not None
        and Location.objects.filter(
            version__in=Version.objects.published().filter(dataset_id=version.dataset_id),
            collection_id=here.collection_id,
            bucket=here.bucket,
            base_path=here.base_path,
        ).exists()
    )


def _try_later(run: ScanRun, error: UnavailableError) -> None:
    """Leave the scan open for a later attempt. Raises NotClaimedError when it was cancelled, or is another worker's."""
    run.keep_claim(due_at=timezone.now() + dt.timedelta(seconds=RETRY_S), error=error.detail)


def _fail(run: ScanRun, error: RefusedError) -> None:
    words = " ".join([error.detail, *(f"{name}: {' '.join(text)}" for name, text in error.fields.items())])
    run.move_to(ScanStatus.FAILED, note=error.code, finished_at=timezone.now(), error=words)


@contextlib.contextmanager
def _heartbeat(run: ScanRun) -> Iterator[None]:
    """Hold the claim while this process lives, however long a listing or the checksum of one huge file keeps the scan silent."""
    stop = threading.Event()

    def beat() -> None:
        try:
            with contextlib.suppress(NotClaimedError):  # the next thing that the scan writes says so too
                while not stop.wait(settings.CLAIM_SECONDS / 4):
                    run.keep_claim()
        finally:
            connections.close_all()

    thread = threading.Thread(target=beat, name="scan-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _pieces(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while piece := list(islice(items, size)):
        yield piece


__all__ = ["Entry", "Inspected", "ask_for_scan", "request_scan", "retry_scan", "run_scan", "scan"]
