"""What people do to a scan: pause it, go on, cancel it, accept or discard what it found, and read its report."""

from dataclasses import dataclass

from django.db import OperationalError, connection, transaction
from django.utils import timezone
from psycopg2.errors import LockNotAvailable

from datasets.access import Visitor, check_curator
from datasets.curation.publishing import check_not_in_review
from datasets.errors import ConflictError, IllegalMoveError, InvalidError, NotFoundError
from datasets.models import ChangeKind, ScanChange, ScanRun, Version
from datasets.scans import staging
from datasets.states import ScanStatus

MOST = 500
LONGEST_WAIT_MS = 3_000


@dataclass(frozen=True)
class KindTotal:
    """How much of a report is of one kind: files, and bytes as they were found (as they are known, for missing ones)."""

    kind: str
    label: str
    n_files: int
    size_bytes: int


@dataclass(frozen=True)
class ChangePage:
    """Some lines of a report; `next_after` is empty on the last page."""

    changes: list[ScanChange]
    next_after: str


def find_scan(version: Version, scan_id: int, *, user: Visitor) -> ScanRun:
    """A scan of a version, for its stewards and operators. Raises ForbiddenError, NotFoundError."""
    check_curator(user, version.dataset)
    run = version.scans.filter(pk=scan_id).select_related("version__dataset", "asked_by", "accepted_by").first()
    if run is None:
        raise NotFoundError
    return run


def pause_scan(run: ScanRun, *, user: Visitor) -> ScanRun:
    """Let it wait. Its worker stops within seconds; resumed, it goes on from the folder and the file where it stopped."""
    return _answer(run, ScanStatus.PAUSED, user, claimed_until=None, claim_id=None)


def resume_scan(run: ScanRun, *, user: Visitor) -> ScanRun:
    """Go on with a paused scan."""
    if run.status != ScanStatus.PAUSED:
        raise IllegalMoveError(run.status, "resumed")
    return _answer(run, ScanStatus.QUEUED, user, due_at=timezone.now(), n_attempts=0)


@transaction.atomic
def cancel_scan(run: ScanRun, *, user: Visitor) -> ScanRun:
    """End it without a report; what was accepted before stays in the draft. A failed one is left so, and waits for nobody any more."""
    ended = _answer(run, ScanStatus.CANCELLED, user, finished_at=timezone.now(), claimed_until=None, claim_id=None)
    staging.forget(ended)
    return ended


@transaction.atomic
def accept_scan(run: ScanRun, *, user: Visitor) -> ScanRun:
    """Take all that was reported into the draft: a worker does it, and has new and changed files read near the data.

    Raises IllegalMoveError when there is no report to accept, ConflictError while the draft is in review.
    """
    check_curator(user, run.version.dataset)
    check_not_in_review(run.version)
    now = timezone.now()
    if run.status != ScanStatus.REPORTED:
        raise IllegalMoveError(run.status, "accepted")
    return _answer(run, ScanStatus.QUEUED, user, note="accepted", accepted_at=now, accepted_by=user, due_at=now, n_attempts=0)


def discard_report(run: ScanRun, *, user: Visitor) -> ScanRun:
    """Leave the draft as it is. The report can still be read until the next one."""
    return _answer(run, ScanStatus.DISCARDED, user, finished_at=timezone.now())


def _answer(run: ScanRun, new: ScanStatus, user: Visitor, note: str = "", **facts: object) -> ScanRun:
    """Who asks for it waits for a moment, not for the minutes in which a worker takes millions of files into the draft."""
    check_curator(user, run.version.dataset)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("select set_config('lock_timeout', %s, true)", [str(LONGEST_WAIT_MS)])
            return run.move_to(new, actor=user, note=note, **facts)
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise ConflictError("What was found is being taken into the draft, as a whole. Try again when that is done.") from error
        raise


def totals(run: ScanRun) -> list[KindTotal]:
    """How much a report holds of each kind, counted once for the page that shows it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select kind, count(*), sum(coalesce(size_bytes, old_size_bytes)) from datasets_scanchange where scan_id = %s group by kind",
            [run.pk],
        )
        found = {kind: (n_files, int(size_bytes or 0)) for kind, n_files, size_bytes in cursor.fetchall()}
    return [KindTotal(kind.value, str(kind.label), *found.get(kind.value, (0, 0))) for kind in ChangeKind]


def list_changes(run: ScanRun, *, kind: str, after: str = "", limit: int = 100) -> ChangePage:
    """One page of a report, of one kind, in order of (folder, name). Raises InvalidError for a kind that there is not."""
    if kind not in ChangeKind.values:
        raise InvalidError(fields={"kind": [f"One of {', '.join(ChangeKind.values)}."]})
    folder, slash, name = after.rpartition("/")
    rows = ScanChange.objects.raw(
        "select * from datasets_scanchange where scan_id = %s and kind = %s and (folder, name) > (%s, %s) order by folder, name limit %s",
        [run.pk, kind, folder + slash, name, min(limit, MOST) + 1],
    )
    shown = list(rows)
    next_after = shown[limit - 1].path if len(shown) > limit else ""
    return ChangePage(shown[:limit], next_after)
