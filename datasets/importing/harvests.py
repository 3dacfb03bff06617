"""Harvests as jobs: ordered by a steward, gone on with page by page by workers, paused, cancelled, and begun again by the calendar.

Read `order`, then `go_on`. What is asked and how a record becomes a draft is in `gathering`. Each record and its line of the report are one
transaction, and the provider's resumption token is kept after each page: a worker that is killed costs the asking of one page again.
"""

import datetime as dt
import logging
import time
from dataclasses import asdict
from typing import Any
from xml.etree.ElementTree import Element

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import Count
from django.utils import timezone

from datasets.access import Visitor, check_staff
from datasets.curation import registering
from datasets.errors import (
    ConflictError,
    IllegalMoveError,
    InvalidError,
    NotClaimedError,
    NotFoundError,
    RefusedError,
    StaleStateError,
    UnavailableError,
)
from datasets.importing import Outcome, Wrong, bounded, gathering
from datasets.models import Cadence, Dataset, Harvest, HarvestedPart, HarvestedRecord
from datasets.models.harvest import HarvestAct
from datasets.models.moving import one_worker
from datasets.preservation.watching import PERIODS
from datasets.states import HARVEST_WORKING, HarvestStatus

logger = logging.getLogger(__name__)

MOST_OPEN = 20
MOST_PAGES, MOST_RECORDS = 20_000, 200_000  # of one go; then a person says whether it goes on
MOST_ATTEMPTS = 8
MOST_RESTARTS = 3
MOST_UNMAPPED = 100  # kept of one record
FIRST_WAIT, LONGEST_WAIT = dt.timedelta(seconds=30), dt.timedelta(hours=6)
BUDGET_S = 40  # of one message; then other work of the queue has its turn
RECORDS_A_CLAIM = 10
MOST_DUE = 20
ALONE = 0x68617276  # the key of the advisory lock
SUM_UP = r"""
with came as (
  select regexp_replace(part ->> 'path', '\.\d+', '', 'g') as path, record.id, part ->> 'words' as words
  from datasets_harvestedrecord record, jsonb_array_elements(record.unmapped) part where record.harvest_id = %s and record.id > %s
), summed as (
  insert into datasets_harvestedpart (harvest_id, path, n_records, words)
  select %s, left(path, 300), count(distinct id), left(min(words), 500) from came group by left(path, 300)
  on conflict (harvest_id, path) do update set n_records = datasets_harvestedpart.n_records + excluded.n_records
)
select coalesce(max(id), 0) from (select id from datasets_harvestedrecord where harvest_id = %s and id > %s) new"""
# Classes of PostgreSQL's SQLSTATE: connection, rollback, resources, locks, shutdown (https://www.postgresql.org/docs/current/errcodes-appendix.html).
PASSING = ("08", "40", "53", "55", "57P")


@transaction.atomic
def order(
    *,
    user: Visitor,
    base_url: str,
    prefix: str = "oai_dc",
    set_spec: str = "",
    since: str = "",
    until: str = "",
    every: str = Cadence.NEVER,
    is_dry_run: bool = False,
) -> Harvest:
    """Ask for a harvest; a worker picks it up. Safe to repeat: an open one of the same records is answered as it is.

    A dry run reports what would come of each record and makes nothing; `import_seen` then makes it.
    `since` and `until` are days or moments as OAI-PMH writes them; `every` repeats it, from when it last ended well. Raises ForbiddenError
    unless she is a steward or an operator, InvalidError naming every wrong field, ConflictError where an open one asks for another period,
    or too many are open.
    """
    registering.check_may_register(user)
    base_url, set_spec, since, until = (one.strip() for one in (base_url, set_spec, since, until))
    gathering.check_order(base_url, prefix, since, until)
    wrong: dict[str, list[str]] = {}
    if len(set_spec) > 200:
        wrong["set"] = ["At most 200 characters."]
    if every not in Cadence.values:
        wrong["every"] = [f"One of {', '.join(Cadence.values)}."]
    elif until and every != Cadence.NEVER:
        wrong["until"] = ["What is repeated has no end: leave it empty."]
    if wrong:
        raise InvalidError(fields=wrong)
    mine = Harvest.objects.filter(asked_by_id=user.pk)
    present = mine.open().filter(base_url=base_url, prefix=prefix, set_spec=set_spec).first()
    if present is not None and (present.since, present.until, present.is_dry_run) == (since, until, is_dry_run):
        return present
    if present is not None:
        raise ConflictError(f"Harvest {present.pk} of the same records is open. Wait for its end, or cancel it.")
    if mine.open().count() >= MOST_OPEN:
        raise ConflictError(f"{MOST_OPEN} harvests of yours are open. Wait for their end, or cancel one.")
    actor: Any = user
    made = Harvest(base_url=base_url, prefix=prefix, set_spec=set_spec, since=since, until=until, asked_from=since, asked_by=actor)
    made.every, made.is_dry_run = every, is_dry_run
    try:
        with transaction.atomic():
            made.save()
    except IntegrityError as error:
        raise ConflictError("The same harvest was asked for at this moment. Look at your harvests.") from error
    made.events.create(new=HarvestStatus.QUEUED, actor=actor, note=_words_of_order(made))
    return made


def _words_of_order(run: Harvest) -> str:
    parts = ["only to look" if run.is_dry_run else "", run.prefix, f"set {run.set_spec}" if run.set_spec else ""]
    parts += [f"from {run.asked_from}" if run.asked_from else ""]
    parts += [f"until {run.until}" if run.until else "", run.get_every_display().lower() if run.every != Cadence.NEVER else ""]
    return ", ".join(filter(None, parts))


def find_harvest(user: Visitor, pk: int) -> Harvest:
    """A harvest of hers; any for an operator. Raises ForbiddenError for who curates nothing, NotFoundError."""
    check_staff(user)
    found = Harvest.objects.visible_to(user).select_related("asked_by").filter(pk=pk).first()
    if found is None:
        raise NotFoundError
    return found


def pause(run: Harvest, *, user: Visitor) -> Harvest:
    """Let it wait; its worker stops within seconds."""
    return run.move_to(HarvestStatus.PAUSED, actor=user, claimed_until=None, claim_id=None, error="")


def resume(run: Harvest, *, user: Visitor) -> Harvest:
    """Go on with a paused harvest where it stopped; with one that reached the limit of a go, for another."""
    if run.status != HarvestStatus.PAUSED:
        raise IllegalMoveError(run.status, "resumed")
    n_goes = run.n_goes + 1 if _is_at_limit(run) else run.n_goes
    facts: dict[str, Any] = {"due_at": timezone.now(), "n_attempts": 0, "n_restarts": 0, "n_goes": n_goes, "error": ""}
    return run.move_to(HarvestStatus.QUEUED, actor=user, **facts)


def cancel(run: Harvest, *, user: Visitor) -> Harvest:
    """End it. Drafts that it made stay, and it is not repeated until somebody begins it again."""
    facts: dict[str, Any] = {"finished_at": timezone.now(), "claimed_until": None, "claim_id": None}
    facts |= {"token": "", "every": Cadence.NEVER, "next_at": None}
    return run.move_to(HarvestStatus.CANCELLED, actor=user, **facts)


def retry(run: Harvest, *, user: Visitor) -> Harvest:
    """Go on with a failed harvest at the page where it failed."""
    if run.status != HarvestStatus.FAILED:
        raise IllegalMoveError(run.status, "tried again")
    facts = {"finished_at": None, "error": "", "n_attempts": 0, "n_restarts": 0, "due_at": timezone.now(), "next_at": None}
    return _queue(run, user, "", facts)


def again(run: Harvest, *, user: Visitor) -> Harvest:
    """Harvest what changed since the last run that ended well; all of it where none did, or where the order names its end."""
    return _begin(run, user, _changed_since(run))


def anew(run: Harvest, *, user: Visitor) -> Harvest:
    """Harvest all of it again, also what was refused before and has not changed at its source."""
    return _begin(run, user, run.since)


def look(run: Harvest, *, user: Visitor) -> Harvest:
    """Report what `again` would do, record by record, and make nothing. Records are judged one by one: two of the same work are two."""
    return _begin(run, user, _changed_since(run), is_dry_run=True)


def import_seen(run: Harvest, *, user: Visitor) -> Harvest:
    """Make what a dry run saw. The archive is asked anew, so what changed there meanwhile comes too. Raises IllegalMoveError."""
    if not run.is_dry_run:
        raise IllegalMoveError(run.status, "imported")
    return _begin(run, user, run.asked_from)


def _changed_since(run: Harvest) -> str:
    return run.since if run.until else run.harvested_until or run.since


@transaction.atomic
def _begin(run: Harvest, user: Visitor | None, asked_from: str, *, is_dry_run: bool = False) -> Harvest:
    if run.is_open:
        raise IllegalMoveError(run.status, "begun again")
    facts = {
        "asked_from": asked_from, "token": "", "began": "", "n_pages": 0, "n_announced": None, "n_attempts": 0, "n_restarts": 0,
        "n_listed": 0, "n_goes": 1, "summed_to": 0, "error": "", "due_at": timezone.now(), "started_at": None, "finished_at": None,
        "next_at": None, "granularity": "", "is_dry_run": is_dry_run,
    }  # fmt: skip
    run.records.all().delete()
    run.parts.all().delete()
    note = f"from {asked_from}" if asked_from else "all of it"
    return _queue(run, user, f"only to look, {note}" if is_dry_run else note, facts)


def _queue(run: Harvest, user: Visitor | None, note: str, facts: dict[str, Any]) -> Harvest:
    try:
        with transaction.atomic():
            return run.move_to(HarvestStatus.QUEUED, actor=user, note=note, **facts)
    except IntegrityError as error:
        raise ConflictError("Another harvest of the same records is open. Wait for its end, or cancel it.") from error


@transaction.atomic
def change_calendar(run: Harvest, *, user: Visitor, every: str) -> Harvest:
    """Repeat it by another calendar, or not any more. Raises InvalidError."""
    row = Harvest.objects.select_for_update().get(pk=run.pk)
    if every not in Cadence.values:
        raise InvalidError(fields={"every": [f"One of {', '.join(Cadence.values)}."]})
    if row.until and every != Cadence.NEVER:
        raise InvalidError(fields={"every": ["It was asked for until a day. Order one without an end to repeat it."]})
    row.every = every
    row.next_at = None if row.is_open else _next_of(row)
    row.save(update_fields=["every", "next_at"])
    row.events.create(actor_id=user.pk, note=f"repeated: {Cadence(every).label.lower()}")
    return row


def _next(every: str) -> dt.datetime | None:
    return None if every == Cadence.NEVER else timezone.now() + PERIODS[Cadence(every)]


def _next_of(run: Harvest) -> dt.datetime | None:
    """When the calendar begins it again: not before somebody imported it once, as a dry run asks what to do and is not the answer."""
    return None if run.is_dry_run and not run.harvested_until else _next(run.every)


def queue_recurring() -> int:
    """Begin what the calendar has due; how many. Safe to repeat."""
    n_queued = 0
    for pk in list(Harvest.objects.filter(next_at__lte=timezone.now()).values_list("pk", flat=True)[:MOST_DUE]):
        with transaction.atomic():
            run = Harvest.objects.select_for_update(skip_locked=True).filter(pk=pk, next_at__lte=timezone.now()).first()
            if run is None:
                continue
            try:
                with transaction.atomic():
                    _begin(run, None, run.harvested_until or run.since)
            except ConflictError:  # the same was ordered by hand meanwhile: the calendar waits for its next day
                Harvest.objects.filter(pk=pk).update(next_at=_next(run.every))
            else:
                n_queued += 1
    return n_queued


def is_due() -> bool:
    """Whether a harvest waits for a worker."""
    return Harvest.objects.working().due(timezone.now()).exists()


@shared_task(name="datasets.harvest", acks_late=True, soft_time_limit=300, time_limit=360)
def harvest() -> int:
    """Go on with harvests that are due for some seconds, in turn; how many pages. Safe to repeat.

    One worker at a time does this, so that slow servers of other people hold up none of the archive's own work.
    """
    until, n_pages = time.monotonic() + BUDGET_S, 0
    with one_worker(ALONE) as is_alone:
        while is_alone and time.monotonic() < until and (run := Harvest.objects.working().due(timezone.now()).first()):
            n_pages += go_on(run.pk)
    return n_pages


def go_on(pk: int) -> bool:
    """Take one page of a harvest; whether there was one to take. Safe to repeat: the claim lets one worker in.

    A provider that is not there is asked again, later each time; one that refuses ends the harvest with its words. A person who paused or
    cancelled it meanwhile is obeyed before the next records.
    """
    try:
        with Harvest.objects.due(timezone.now()).claim(pk, expected=HARVEST_WORKING) as run:
            try:
                _take_page(run)
            except UnavailableError as error:
                _wait(run, error)
            except SoftTimeLimitExceeded:  # a server that drips, or a page of very many records: those that were taken stay taken
                _wait(run, UnavailableError("One page took too long to come or to be read."))
            except (NotClaimedError, StaleStateError):
                raise NotClaimedError(str(pk)) from None
            except RefusedError as error:
                _fail(run, " ".join(words for texts in error.fields.values() for words in texts) or error.detail)
    except NotClaimedError:
        return False
    return True


def _take_page(run: Harvest) -> None:
    if run.asked_by is None:
        raise InvalidError("Nobody owns this harvest any more.")
    registering.check_may_register(run.asked_by)
    if run.status == HarvestStatus.QUEUED:
        run.move_to(HarvestStatus.RUNNING, started_at=run.started_at or timezone.now())
    if not run.granularity:
        identity = gathering.identify(run.base_url)
        run.keep_claim(repository=identity.repository, granularity=identity.granularity or "YYYY-MM-DD")
    asked_from, until = (one[:10] if len(run.granularity) == 10 else one for one in (run.asked_from, run.until))
    page = gathering.list_records(run.base_url, prefix=run.prefix, set_spec=run.set_spec, since=asked_from, until=until, token=run.token)
    run.keep_claim()
    if page.is_lost:
        if run.n_restarts >= MOST_RESTARTS:
            raise InvalidError("The provider forgets again and again where the list was. Ask for a set, or for a shorter period.")
        # Counted anew with it, or a go that is resumed would stop where the one before did, for ever.
        run.keep_claim(token="", n_pages=0, n_listed=0, n_restarts=run.n_restarts + 1, due_at=timezone.now())
        return
    if page.token and page.token == run.token:
        raise InvalidError("The provider repeats itself. Ask for a set, or for a shorter period.")
    for at, record in enumerate(page.records):
        if at % RECORDS_A_CLAIM == 0:
            run.keep_claim()
        _take_record(run, run.asked_by, record)
    facts = {
        "n_pages": run.n_pages + 1, "n_listed": run.n_listed + len(page.records), "n_attempts": 0,
        "n_announced": run.n_announced if page.n_announced is None else page.n_announced,
        "error": "", "due_at": timezone.now(), "began": run.began or page.answered_at,
    }  # fmt: skip
    if page.token:
        facts["token"] = page.token
    with transaction.atomic():
        run.keep_claim(**facts, summed_to=_sum_up(run))
    if not page.token:
        _finish(run)
    elif _is_at_limit(run):
        words = f"{run.n_listed:,} records in {run.n_pages:,} pages are as many as one go takes. Go on for as many again, from here."
        run.move_to(HarvestStatus.PAUSED, note=words, error=words)


def _is_at_limit(run: Harvest) -> bool:
    return run.n_listed >= MOST_RECORDS * run.n_goes or run.n_pages >= MOST_PAGES * run.n_goes


def _sum_up(run: Harvest) -> int:
    """Add what has no place of the records that came since to the sums of the run; up to which record they go then. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(SUM_UP, [run.pk, run.summed_to, run.pk, run.pk, run.summed_to])
        return max(run.summed_to, int(cursor.fetchone()[0]))


def _take_record(run: Harvest, user: Visitor, record: Element) -> None:
    """One record with its line of the report, unless it was taken before the worker of this page was killed."""
    named, datestamp = gathering.header_of(record)
    identifier = bounded(named) or "without an identifier"
    if run.records.filter(identifier=identifier, datestamp=datestamp[:30]).exists():
        return
    try:
        with transaction.atomic():
            outcome = gathering.take(record, 0, run.prefix, user, is_dry_run=run.is_dry_run)
            _write_line(run, identifier, datestamp, outcome)
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:  # a record of strangers may break what reads it: it is told, logged, and the others are taken
        if _is_passing(error):
            raise
        logger.exception("a harvested record could not be read", extra={"harvest_id": run.pk, "identifier": identifier})
        outcome = Outcome(0, "", identifier, wrong=[Wrong("record", "It could not be read. Operators find why in the log.")])
        _write_line(run, identifier, datestamp, outcome)


def _is_passing(error: Exception) -> bool:
    """Whether the database was in trouble (lost, full, deadlocked), and not the record: the page is taken again when the claim runs out."""
    state = getattr(error.__cause__, "pgcode", None) or "08000"  # a connection that is lost has no word for it
    return isinstance(error, OperationalError | InterfaceError) and state.startswith(PASSING)


def _write_line(run: Harvest, identifier: str, datestamp: str, outcome: Outcome) -> None:
    dataset = Dataset.with_bin.filter(slug=outcome.slug).first() if outcome.slug else None
    said = {
        "datestamp": datestamp[:30], "act": outcome.act, "title": outcome.title[:300], "dataset": dataset, "changed": outcome.changed,
        "unmapped": [asdict(one) for one in outcome.unmapped[:MOST_UNMAPPED]], "wrong": [asdict(one) for one in outcome.wrong],
    }  # fmt: skip
    HarvestedRecord.objects.update_or_create(harvest=run, identifier=identifier, defaults=said)


def _finish(run: Harvest) -> None:
    told = ", ".join(f"{n:,} {HarvestAct(act).label.lower()}" for act, n in counts(run).items() if n) or "nothing new"
    until = run.harvested_until if run.is_dry_run else run.began
    with transaction.atomic():
        # the calendar may have changed while the page was read, and does not change between here and the end
        run.refresh_from_db(fields=["every"], from_queryset=Harvest.objects.select_for_update())
        facts = {"finished_at": timezone.now(), "token": "", "harvested_until": until, "next_at": _next_of(run), "error": ""}
        run.move_to(HarvestStatus.DONE, note=told, **facts)


def _wait(run: Harvest, error: UnavailableError) -> None:
    """Ask later: what the provider wants as pause (503 with Retry-After, section 3.1.2.2), else twice as long each time."""
    if run.n_attempts + 1 >= MOST_ATTEMPTS:
        _fail(run, f"{error.detail} It was asked {MOST_ATTEMPTS} times.")
        return
    wait = max(FIRST_WAIT * 2**run.n_attempts, dt.timedelta(seconds=error.retry_after_s))
    run.keep_claim(n_attempts=run.n_attempts + 1, error=error.detail[:500], due_at=timezone.now() + min(wait, LONGEST_WAIT))


def _fail(run: Harvest, words: str) -> None:
    """End it with what is wrong, unless a person paused, cancelled or began it anew. By the calendar it begins again on its next day."""
    row = Harvest.objects.filter(pk=run.pk, claim_id=run.held).first()
    if row is None:
        raise NotClaimedError(str(run.pk))
    facts = {"finished_at": timezone.now(), "error": words[:1_000], "next_at": _next_of(row)}
    row.move_to(HarvestStatus.FAILED, note=words[:1_000], **facts)


def counts(run: Harvest) -> dict[str, int]:
    """How many records of each act the report holds. One statement."""
    found = dict(run.records.order_by().values_list("act").annotate(n=Count("pk")))
    return {act: found.get(act, 0) for act in HarvestAct.values}


def unplaced(run: Harvest, *, most: int = 30) -> list[HarvestedPart]:
    """The parts of records that have no place here, the most frequent first."""
    return list(run.parts.order_by("-n_records", "path")[:most])


def parts(run: Harvest, *, after: str = "", limit: int) -> list[HarvestedPart]:
    """Up to `limit` of them in the order of their paths, after one."""
    return list(run.parts.filter(path__gt=after).order_by("path")[:limit])


def lines(run: Harvest, *, act: str = "", after: int = 0, limit: int) -> list[HarvestedRecord]:
    """Up to `limit` lines of the report after one, of one act or all. Raises InvalidError for an act that there is not."""
    if act and act not in HarvestAct.values:
        raise InvalidError(fields={"act": [f"One of {', '.join(HarvestAct.values)}."]})
    found = run.records.filter(pk__gt=after, **({"act": act} if act else {})).select_related("dataset")
    return list(found.order_by("pk")[:limit])
