"""Pushing the records of published datasets to a Globus Search index, from the outbox that `metadata.pushing` fills. Read `push_due` first.

Rows are claimed in batches and sent as one document; Search takes it as a task, which is followed to its end. Search being out keeps rows
waiting, longer each time; what is sent twice replaces itself. A batch that is refused is sent again one by one, so that one record that
Search does not take holds up no other. A removal is the same, without an entry.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from celery import shared_task
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from datasets.formats import globus_search
from datasets.metadata.describing import current_record, with_description
from datasets.models import Dataset, PushedRecord
from datasets.models.moving import claim_end
from datasets.states import PushStatus
from transfers import globus
from transfers.errors import GlobusRefusedError, GlobusUnavailableError

BATCH = 100
DOCUMENT_BYTES = 9_900_000  # of 10 MB, https://docs.globus.org/api/search/limits/
MOST_ROUNDS, MOST_TASKS = 20, 50
FIRST_WAIT_S, LONGEST_WAIT_S, LONGEST_FOLLOW_S = 10, 3600, 60
BAD_DOCUMENT = frozenset({400, 413, 422})
REMEDY = 'Globus Search refuses the portal: name an index that is there, and give the client {client} the role "writer" on it. {words}'

Send = Callable[[Sequence["Outgoing"]], str]


@dataclass(frozen=True)
class Outgoing:
    """A claimed row with what is sent of it; without an entry its subject is removed."""

    row: PushedRecord
    subject: str
    entry: dict[str, Any] | None = None
    size_bytes: int = 0


@shared_task(name="transfers.push_records", acks_late=True, soft_time_limit=300)
def push() -> None:
    """Push what waits and follow what was sent. Safe to repeat: the claims let one worker in."""
    for _ in range(MOST_ROUNDS):
        if not settings.SEARCH_INDEX or not push_due() + follow_due():
            return


def push_due() -> int:
    """Send one batch of what waits; how many rows of it Search answered. Content is read after the claim: at least what was asked for."""
    rows = PushedRecord.objects.claim_some(timezone.now(), most=BATCH)
    chosen = Dataset.objects.listed().filter(pk__in=[row.pk for row in rows])
    datasets = {one.pk: one for one in with_description(chosen)}
    entries, gone = [], []
    for row in rows:
        record = current_record(datasets[row.pk]) if row.pk in datasets else None
        if record is not None:
            entry = globus_search.entry(record)
            entries.append(Outgoing(row, entry["subject"], entry, len(json.dumps(entry).encode())))
        elif row.subject:
            gone.append(Outgoing(row, row.subject))
        else:
            _leave_out(row)
    documents = [(one, _ingest) for one in _documents(entries)] + [(one, _remove) for one in _documents(gone)]
    n_late, outage = 0, None
    for document, send in documents:
        try:
            if outage:  # one call has waited for Search in vain: no other does
                raise outage
            _send(document, send)
        except GlobusUnavailableError as error:
            outage, n_late = error, n_late + len(document)
            _try_later(document, error.detail, at_least_s=error.retry_after_s)
    PushedRecord.objects.filter(claim_id__in={row.held for row in rows}).update(claimed_until=None, claim_id=None)
    return len(rows) - n_late


@transaction.atomic
def _leave_out(row: PushedRecord) -> None:
    """Never sent and not listed: the index need not be told. What was asked for meanwhile is looked at next."""
    now = PushedRecord.objects.select_for_update().get(pk=row.pk)
    if (now.status, now.wanted) == (PushStatus.PENDING, row.wanted):
        now.move_to(PushStatus.TOLD, sent=row.wanted, told=row.wanted, told_at=timezone.now(), due_at=None, error="", is_alone=False)


def _documents(rows: Sequence[Outgoing]) -> Iterator[list[Outgoing]]:
    """Rows that travel together: within the size of a document; those that must be alone, alone."""
    document: list[Outgoing] = []
    for one in rows:
        if one.row.is_alone:
            yield [one]
            continue
        if document and sum(each.size_bytes for each in document) + one.size_bytes > DOCUMENT_BYTES:
            yield document
            document = []
        document.append(one)
    if document:
        yield document


def _ingest(document: Sequence[Outgoing]) -> str:
    entries = [one.entry for one in document if one.entry]
    return globus.ingest_entries(settings.SEARCH_INDEX, entries, field_mapping=globus_search.FIELD_MAPPING)


def _remove(document: Sequence[Outgoing]) -> str:
    return globus.delete_subjects(settings.SEARCH_INDEX, [one.subject for one in document])


def _send(document: Sequence[Outgoing], send: Send) -> None:
    """Send one document, with the subjects written down before, and record what came of it. Raises GlobusUnavailableError."""
    if document[0].size_bytes > DOCUMENT_BYTES:
        return _refuse(document, "The record of this dataset is larger than the 10 MB that Globus Search takes.")
    try:
        moved = [one.row.subject for one in document if one.row.subject not in {"", one.subject}]
        if moved:  # the address of the site is another one now
            globus.delete_subjects(settings.SEARCH_INDEX, moved)
        document = _keep(document)
        if document:
            task_id = send(document)
            _record_sent(document, task_id)
    except GlobusRefusedError as error:
        if error.globus_status in BAD_DOCUMENT:
            return _refuse(document, error.detail)
        _try_later(document, REMEDY.format(client=settings.GLOBUS_CLIENT_ID, words=error.detail))


def _keep(document: Sequence[Outgoing]) -> list[Outgoing]:
    """The rows that are still this worker's, held for the call that follows; subjects are kept, in case its answer is lost."""
    kept = []
    for one in document:
        own = one.row.row().filter(claim_id=one.row.held, status=PushStatus.PENDING)
        if own.update(claimed_until=claim_end(), subject=one.subject, is_present=one.entry is not None):
            kept.append(one)
    return kept


@transaction.atomic
def _record_sent(document: Sequence[Outgoing], task_id: str) -> None:
    """Search has them. What changed during the call is sent next."""
    now = timezone.now()
    seen = {one.row.pk: one.row for one in document}
    for row in PushedRecord.objects.filter(pk__in=seen, status=PushStatus.PENDING).select_for_update().order_by("pk"):
        if row.claim_id != seen[row.pk].held:
            continue
        if row.wanted > seen[row.pk].wanted:
            row.record(due_at=now, sent=seen[row.pk].wanted, error="")
        else:
            due_at = now + dt.timedelta(seconds=1)
            row.move_to(PushStatus.SENT, task_id=task_id, sent=row.wanted, due_at=due_at, n_attempts=0, error="")


def _try_later(document: Sequence[Outgoing], words: str, *, at_least_s: int = 0) -> None:
    for one in document:
        wait_s = max(min(FIRST_WAIT_S * 2 ** min(one.row.n_attempts, 10), LONGEST_WAIT_S), at_least_s)
        one.row.row().filter(claim_id=one.row.held).update(due_at=timezone.now() + dt.timedelta(seconds=wait_s), error=words)


def _refuse(document: Sequence[Outgoing], words: str) -> None:
    _part_or_fail([one.row for one in document], words)


@transaction.atomic
def _part_or_fail(rows: Sequence[PushedRecord], words: str) -> None:
    """Together they were refused: each is sent alone. Alone: it waits for a person, unless it was changed meanwhile."""
    seen, now = {row.pk: row.wanted for row in rows}, timezone.now()
    for row in PushedRecord.objects.filter(pk__in=seen, status__in={row.status for row in rows}).select_for_update().order_by("pk"):
        if len(rows) == 1 and row.wanted == seen[row.pk]:
            row.move_to(PushStatus.FAILED, note=words, error=words, due_at=None)
            continue
        if row.status == PushStatus.SENT:
            row.move_to(PushStatus.PENDING)
        row.record(is_alone=True, due_at=now, error=words)


def follow_due() -> int:
    """Look at tasks of Search that are due; how many of them are over."""
    due = PushedRecord.objects.filter(status=PushStatus.SENT, due_at__lte=timezone.now())
    tasks = dict.fromkeys(due.order_by("due_at").values_list("task_id", flat=True)[: BATCH * MOST_TASKS])
    n_over, outage = 0, None
    for task_id in list(tasks)[:MOST_TASKS]:
        try:
            if outage:
                raise outage
            n_over += _follow(task_id)
        except GlobusUnavailableError as error:
            outage = error
            _look_later(task_id, error.detail)
    return n_over


def _follow(task_id: str) -> bool:
    """Whether a task is over; what it did is recorded. Raises GlobusUnavailableError."""
    try:
        task = globus.search_task(task_id)
    except GlobusRefusedError as error:
        if not error.is_missing:
            return _look_later(task_id, error.detail)
        _end(task_id, lambda rows: [row.move_to(PushStatus.PENDING, due_at=timezone.now()) for row in rows])  # forgotten: send anew
        return True
    if task.status == "pending":
        return _look_later(task_id, "")
    if task.status == "succeeded":
        _end(task_id, _tell)
    else:
        _end(task_id, lambda rows: _part_or_fail(rows, f"Globus Search could not do it: {task.message or 'no reason given'}"))
    return True


@transaction.atomic
def _end(task_id: str, act: Callable[[list[PushedRecord]], object]) -> None:
    act(list(PushedRecord.objects.filter(task_id=task_id, status=PushStatus.SENT).select_for_update().order_by("pk")))


def _tell(rows: list[PushedRecord]) -> None:
    for row in rows:
        row.move_to(PushStatus.TOLD, told=row.sent, told_at=timezone.now(), due_at=None, n_attempts=0, is_alone=False, error="")


def _look_later(task_id: str, words: str) -> bool:
    rows = PushedRecord.objects.filter(task_id=task_id, status=PushStatus.SENT)
    n_looks = rows.values_list("n_attempts", flat=True).first() or 0
    due_at = timezone.now() + dt.timedelta(seconds=min(2 ** min(n_looks, 10), LONGEST_FOLLOW_S))
    rows.update(due_at=due_at, n_attempts=n_looks + 1, error=words)
    return False
