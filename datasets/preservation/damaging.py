"""What is known of published files that are no longer what was published: found, healed, replaced, and the alarm that follows from it.

A finding belongs to a file and thereby to every version that holds the file. `assess` brings the marks and alarms of all versions of a
dataset in line with its findings; every verb here ends with it.
"""

# ruff: noqa: S608  (statements are put together from this module's own constants; every value is a parameter)

import logging
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from datasets.models import Alarm, Damage, DamageKind, Dataset, DatasetEvent, LiftedAs, Version

logger = logging.getLogger(__name__)

HELD = """
    fi.first_version <= %(version)s and (fi.last_version is null or fi.last_version >= %(version)s) and fi.collection_path = ''
"""
INSERT = "insert into datasets_damage (dataset_id, file_id, kind, found_at)"
AGAIN = """
    on conflict (file_id) where healed_at is null do update set kind = excluded.kind, replaced_at = null
    where datasets_damage.kind <> excluded.kind
"""
# What a report says of the files of a version.
REPORTED = f"""
    {INSERT} select %(dataset)s, fi.id, c.kind, now() from datasets_scanchange c
    join datasets_folder f on f.dataset_id = %(dataset)s and f.path = c.folder
    join datasets_file fi on fi.folder_id = f.id and fi.name = c.name and {HELD}
    where c.scan_id = %(scan)s and c.kind in ('missing', 'changed') {AGAIN}
"""
# What the report does not speak of is as it was published.
HEALED = f"""
    update datasets_damage d set healed_at = now() from datasets_file fi join datasets_folder f on f.id = fi.folder_id
    where d.dataset_id = %(dataset)s and d.healed_at is null and d.kind <> 'checksum' and fi.id = d.file_id and {HELD}
    and not exists (select 1 from datasets_scanchange c where c.scan_id = %(scan)s and c.folder = f.path and c.name = fi.name)
"""
# Published files that a draft ended although the bytes were to stay: gone, or other bytes under the same name.
SPOILT = f"""
    {INSERT} select %(dataset)s, before.id, case when now.id is null then 'missing' else 'changed' end, now()
    from datasets_file before join datasets_folder f on f.id = before.folder_id
    left join datasets_file now on now.folder_id = before.folder_id and now.name = before.name and now.first_version = %(version)s
    where f.dataset_id = %(dataset)s and before.last_version = %(version)s - 1 and before.collection_path = ''
    and (now.id is null or now.size_bytes <> before.size_bytes or now.sha256 <> before.sha256) {AGAIN}
"""
# Files that the draft goes on with were seen where they were published.
SEEN = """
    update datasets_damage d set healed_at = now() from datasets_file fi
    where d.dataset_id = %(dataset)s and d.healed_at is null and d.kind <> 'checksum' and fi.id = d.file_id and fi.last_version is null
"""
READ = """
    select fi.id from datasets_file fi join datasets_folder f on f.id = fi.folder_id
    where f.dataset_id = %(dataset)s and f.path = any(%(folders)s) and f.path || fi.name = any(%(paths)s)
    and fi.first_version <= %(version)s and (fi.last_version is null or fi.last_version >= %(version)s)
"""
COUNT = """
    select v.id, count(*) filter (where d.kind = 'missing'), count(*) filter (where d.kind <> 'missing'),
        count(*) filter (where d.replaced_at is null)
    from datasets_damage d join datasets_file fi on fi.id = d.file_id
    join datasets_version v on v.dataset_id = d.dataset_id and fi.first_version <= v.number
        and (fi.last_version is null or fi.last_version >= v.number)
    where d.dataset_id = %(dataset)s and d.healed_at is null group by v.id
"""
LIST = """
    select f.path || fi.name, fi.size_bytes, d.kind, d.found_at, d.replaced_at is not null
    from datasets_damage d join datasets_file fi on fi.id = d.file_id join datasets_folder f on f.id = fi.folder_id
    where d.dataset_id = %(dataset)s and d.healed_at is null and fi.first_version <= %(version)s
    and (fi.last_version is null or fi.last_version >= %(version)s) and (f.path, fi.name) > (%(folder)s, %(name)s)
    order by f.path, fi.name limit %(limit)s
"""


@dataclass(frozen=True)
class DamagedFile:
    """A file of a version that is not what was published; the size is the published one."""

    path: str
    size_bytes: int
    kind: str
    found_at: Any
    is_replaced: bool

    @property
    def words(self) -> str:
        return str(DamageKind(self.kind).label)


@transaction.atomic
def learn_from_report(version: Version, scan_id: int, *, is_whole: bool) -> None:
    """Write down which published files a report says are gone or changed, and with `is_whole` that all others are as they were.

    For a draft: those of the version before it, which its location holds too.
    """
    _lock(version.dataset_id)
    keys: dict[str, Any] = {"dataset": version.dataset_id, "scan": scan_id, "version": version.number - version.is_draft}
    with connection.cursor() as cursor:
        cursor.execute(REPORTED, keys)
        if is_whole:
            cursor.execute(HEALED, keys)
    assess(version.dataset)


@transaction.atomic
def learn_from_draft(version: Version) -> None:
    """Write down what a draft that was scanned at the published location found spoilt, and what it found whole."""
    _lock(version.dataset_id)
    keys: dict[str, Any] = {"dataset": version.dataset_id, "version": version.number}
    with connection.cursor() as cursor:
        cursor.execute(SPOILT, keys)
        cursor.execute(SEEN, keys)
    assess(version.dataset)


@transaction.atomic
def learn_from_reading(version: Version, *, same: list[str], other: list[str]) -> None:
    """Write down which touched files of a published version have the published checksum, and which have another.

    Other bytes that fixity found stay so: what a scan is told may be a digest that the node remembers.
    """
    _lock(version.dataset_id)
    Damage.objects.open().filter(file_id__in=_ids(version, same)).exclude(kind=DamageKind.CHECKSUM).update(healed_at=timezone.now())
    _insert(version.dataset, _ids(version, other), DamageKind.CHANGED)
    if same or other:
        assess(version.dataset)


@transaction.atomic
def learn_from_bytes(dataset: Dataset, *, same: list[int], other: list[int]) -> None:
    """Write down of which files (by the id of their rows) all bytes were read now: with the published checksum, and with another."""
    _lock(dataset.pk)
    Damage.objects.open().filter(dataset=dataset, file_id__in=same).update(healed_at=timezone.now())
    _insert(dataset, other, DamageKind.CHECKSUM)
    if other or dataset.damages.exists():
        assess(dataset)


def _insert(dataset: Dataset, ids: list[int], kind: DamageKind) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"{INSERT} select %s, unnest(%s::bigint[]), %s, now() {AGAIN}", [dataset.pk, ids, kind.value])


@transaction.atomic
def note_replacement(version: Version) -> None:
    """A new version does without the damaged files of those before it: their loss is known, and the alarm ends."""
    _lock(version.dataset_id)
    held = Damage.objects.open().filter(dataset_id=version.dataset_id, file__last_version__lt=version.number)
    held.filter(replaced_at=None).update(replaced_at=timezone.now())
    assess(version.dataset)


@transaction.atomic
def assess(dataset: Dataset) -> None:
    """Make the marks and alarms of every published version what the findings say. Safe to repeat."""
    _lock(dataset.pk)
    with connection.cursor() as cursor:
        cursor.execute(COUNT, {"dataset": dataset.pk})
        counted = {row[0]: row[1:] for row in cursor.fetchall()}
    marked = Version.objects.published().filter(dataset=dataset).exclude(damage="", alarms=None)
    for version in Version.objects.published().filter(dataset=dataset, pk__in=[*counted, *marked.values_list("pk", flat=True)]):
        n_gone, n_changed, n_alarming = counted.get(version.pk, (0, 0, 0))
        words = in_words(n_gone, n_changed)
        _mark(version, words)
        _alarm(version, words, is_alarming=n_alarming > 0 and not version.is_withdrawn)


def _lock(dataset_id: Any) -> None:
    """One who learns at a time: findings of two would count without each other. Before anything is written, or two would wait for ever."""
    Dataset.objects.held().get(pk=dataset_id)


def in_words(n_gone: int, n_changed: int) -> str:
    """How a page says it; empty when nothing is damaged."""
    gone = f"{n_gone:,} {'file is' if n_gone == 1 else 'files are'} gone" if n_gone else ""
    changed = f"{n_changed:,} {'file is' if n_changed == 1 else 'files are'} not what was published" if n_changed else ""
    return " and ".join(filter(None, (gone, changed)))


def list_damaged(version: Version, *, after: str = "", limit: int = 100) -> list[DamagedFile]:
    """The files of a version that are not what was published, in order of path, from the one that follows `after` on."""
    folder, slash, name = after.rpartition("/")
    keys: dict[str, Any] = {
        "dataset": version.dataset_id,
        "version": version.number,
        "folder": folder + slash,
        "name": name,
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(LIST, keys)
        return [DamagedFile(*row) for row in cursor.fetchall()]


def _mark(version: Version, words: str) -> None:
    if words == version.damage:
        return
    row = Version.objects.filter(pk=version.pk)
    if words:
        row.update(damaged_at=Coalesce("damaged_at", timezone.now()), damage=words)
        logger.error("published files are not what they were", extra={"dataset": str(version.dataset_id), "version": version.number})
    else:
        row.update(damaged_at=None, damage="")
        logger.info("published files are whole again", extra={"dataset": str(version.dataset_id), "version": version.number})
    note = f"version {version.number}: {words or 'every file was found whole again'}"
    DatasetEvent.objects.create(dataset_id=version.dataset_id, version=version, act="damage" if words else "repair", note=note)


def _alarm(version: Version, words: str, *, is_alarming: bool) -> None:
    now = timezone.now()
    alarm = version.alarms.open().first()
    if is_alarming and alarm is None:
        Alarm.objects.create(version=version, words=words, mail_due_at=now)
    elif is_alarming and alarm is not None and alarm.words != words:
        Alarm.objects.filter(pk=alarm.pk).update(words=words)
    elif not is_alarming and alarm is not None:
        why = LiftedAs.WITHDRAWN if version.is_withdrawn else LiftedAs.REPLACED if words else LiftedAs.WHOLE
        Alarm.objects.filter(pk=alarm.pk).update(lifted_at=now, lifted_as=why, mail_due_at=None)
        DatasetEvent.objects.create(dataset_id=version.dataset_id, version=version, act="alarm", new="lifted", note=str(why.label))


def _ids(version: Version, paths: list[str]) -> list[int]:
    folders = sorted({path.rpartition("/")[0] + "/" for path in paths})
    keys: dict[str, Any] = {"dataset": version.dataset_id, "version": version.number, "paths": paths, "folders": folders}
    with connection.cursor() as cursor:
        cursor.execute(READ, keys)
        return [row[0] for row in cursor.fetchall()]
