"""Fixity: bytes of published files, read again near the data by the calendar and held against their checksums. Read `verify_some` first.

A few files at a time, those that were read longest ago first, in datasets whose stewards chose it. The callable that reads comes from
outside (`transfers.ingesting`); no byte passes here. A lease (`verify_due_at` moved ahead) lets one worker in and lapses if that dies.
"""

# ruff: noqa: S608  (statements are put together from this module's own constants; every value is a parameter)

import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from datasets.errors import RefusedError, UnavailableError
from datasets.models import Dataset, FixityCadence, Location, Version, Watch
from datasets.preservation import damaging
from datasets.scans.inspecting import Inspect
from datasets.states import VersionStatus

logger = logging.getLogger(__name__)

PERIODS = {
    FixityCadence.MONTHLY: dt.timedelta(days=30),
    FixityCadence.QUARTERLY: dt.timedelta(days=91),
    FixityCadence.YEARLY: dt.timedelta(days=365),
}
AT_ONCE = 100
RECORD_AT_ONCE = 20
LEASE = dt.timedelta(minutes=60)
AGAIN = dt.timedelta(days=1)
"""Files with other bytes are read again this soon: somebody may have brought them back."""
RETRY, RETRY_REFUSED = dt.timedelta(minutes=5), dt.timedelta(hours=1)
MOST_DUE = 20
NO_READER = "Nothing reads files near the data here: no graph service is set up, or they are in a bucket or off line."

# Published rows with a checksum; each is read at the location of the newest version that holds it and is given out.
HELD = """
    from datasets_file fi join datasets_folder f on f.id = fi.folder_id cross join lateral (
        select max(v.number) as number from datasets_version v where v.dataset_id = %(dataset)s and v.status in ('published', 'superseded')
        and v.number >= fi.first_version and (fi.last_version is null or v.number <= fi.last_version)
    ) held
    where f.dataset_id = %(dataset)s and fi.sha256 is not null and held.number is not null
"""
READ_AT = "coalesce(fi.checked_at, fi.inspected_at)"
DAMAGED = "exists (select 1 from datasets_damage d where d.file_id = fi.id and d.healed_at is null)"
ROTTEN = "exists (select 1 from datasets_damage d where d.file_id = fi.id and d.healed_at is null and d.kind = 'checksum')"
OLDEST = f"""
    select fi.id, f.path || fi.name, fi.collection_path, encode(fi.sha256, 'hex'), held.number {HELD}
    and not exists (select 1 from unnest(%(cold)s::text[]) as cold(path) where starts_with(f.path, cold.path))
    and ({READ_AT} is null or {READ_AT} < %(before)s or ({READ_AT} < %(damaged_before)s and {ROTTEN}))
    order by {READ_AT} nulls first, fi.id limit %(limit)s
"""
COUNT = f"""
    select count(*), count(*) filter (where {READ_AT} >= %(before)s and not {DAMAGED}
            and (fi.checked_at is null or fi.verified_at = fi.checked_at)),
        count(*) filter (where fi.checked_at is not null and fi.verified_at is distinct from fi.checked_at and not {DAMAGED}),
        count(*) filter (where {ROTTEN}),
        max(coalesce(fi.verified_at, fi.inspected_at)), min({READ_AT}) {HELD}
"""

Reader = Callable[[Location], Inspect | None]


@dataclass(frozen=True)
class Held:
    """A published file and the checksum that its bytes are to have."""

    file_id: int
    path: str
    displaced: str
    sha256: str
    number: int


def due_datasets() -> list[UUID]:
    """Datasets some of whose files are to be read again now."""
    return list(Watch.objects.filter(verify_due_at__lte=timezone.now()).values_list("dataset_id", flat=True)[:MOST_DUE])


def verify_some(dataset_id: UUID, reader_of: Reader) -> int:
    """Have the files that were read longest ago read again; how many were. Safe to repeat: another worker's lease is left alone.

    `reader_of(location)` gives what reads there, or None. A file with other bytes is damage; one that could not be read is tried last
    the next time.
    """
    now = timezone.now()
    watch = Watch.objects.select_related("dataset").filter(dataset_id=dataset_id, verify_due_at__lte=now).first()
    if watch is None or not Watch.objects.filter(pk=watch.pk, verify_due_at=watch.verify_due_at).update(verify_due_at=now + LEASE):
        return 0
    period = PERIODS[FixityCadence(watch.verify_every)]
    try:
        n_read = _verify(watch, reader_of, before=now - period)
    except UnavailableError as error:
        _state(watch, period, due_at=timezone.now() + RETRY, error=error.detail)
        return 0
    except RefusedError as error:
        _state(watch, period, due_at=timezone.now() + RETRY_REFUSED, error=error.detail)
        return 0
    _state(watch, period, due_at=None if n_read else timezone.now() + RETRY_REFUSED, error="")
    return n_read


def _verify(watch: Watch, reader_of: Reader, *, before: dt.datetime) -> int:
    batch = _oldest(watch.dataset, before)
    places = {number: _place(watch.dataset, number) for number in {one.number for one in batch}}
    n_read = 0
    readable = {place: reader_of(place) if place.is_online else None for place in places.values() if place is not None}
    for place, read in readable.items():
        if read is None:
            continue
        files = {one.displaced or place.collection_path(one.path): one for one in batch if places[one.number] == place}
        answers = read(list(files))
        while piece := list(islice(answers, RECORD_AT_ONCE)):
            n_read += _record(watch, [(files[answer.path], answer.sha256) for answer in piece if answer.path in files])
    if batch and not any(readable.values()):
        raise RefusedError(NO_READER)
    return n_read


@transaction.atomic
def _record(watch: Watch, answers: list[tuple[Held, str]]) -> int:
    """Write down what was read, and hold the lease longer."""
    same = [one.file_id for one, sha256 in answers if sha256 == one.sha256]
    other = [one.file_id for one, sha256 in answers if sha256 and sha256 != one.sha256]
    with connection.cursor() as cursor:
        cursor.execute(
            "update datasets_file set checked_at = now(), verified_at = case when id = any(%s) then now() else verified_at end "
            "where id = any(%s)",
            [same, [one.file_id for one, _ in answers]],
        )
    damaging.learn_from_bytes(watch.dataset, same=same, other=other)
    Watch.objects.filter(pk=watch.pk).exclude(verify_every=FixityCadence.NEVER).update(verify_due_at=timezone.now() + LEASE)
    return len(answers)


def _state(watch: Watch, period: dt.timedelta, *, due_at: dt.datetime | None, error: str) -> None:
    """Count how far the verification is; without `due_at` the next files are due when the oldest reading is older than the period."""
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(COUNT, {"dataset": watch.dataset_id, "before": now - period})
        n_files, n_verified, n_unread, n_rotten, last, oldest = cursor.fetchone()
    facts = {"n_to_verify": n_files, "n_verified": n_verified, "n_unread": n_unread, "last_verified_at": last, "verify_error": error}
    following = due_at or (oldest + period if oldest else now + RETRY_REFUSED)
    following = min(following, now + AGAIN) if n_rotten and not due_at else following
    Watch.objects.filter(pk=watch.pk).exclude(verify_every=FixityCadence.NEVER).update(verify_due_at=max(following, now), **facts)
    logger.info("files were verified", extra={"dataset": str(watch.dataset_id), "verified": n_verified, "of": n_files, "error": error})


def _oldest(dataset: Dataset, before: dt.datetime) -> list[Held]:
    """What was read longest ago, but for what is cold in the current version: it is not brought back from tape for this."""
    current = Version.objects.filter(dataset=dataset, status=VersionStatus.PUBLISHED).first()
    asked: dict[str, Any] = {"dataset": dataset.pk, "before": before, "damaged_before": timezone.now() - AGAIN, "limit": AT_ONCE}
    with connection.cursor() as cursor:
        cursor.execute(OLDEST, {**asked, "cold": list(current.cold_folders) if current else []})
        return [Held(*row) for row in cursor.fetchall()]


def _place(dataset: Dataset, number: int) -> Location | None:
    version = Version.objects.filter(dataset=dataset, number=number).first()
    return version.primary_location if version else None
