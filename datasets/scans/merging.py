"""Bringing what a scan listed into the inventory, by sets, so that a second run touches only what changed.

Draft n may close a published row (`last_version = n - 1`) and may do anything with its own rows (`first_version = n`); nothing else.
"""

# ruff: noqa: S608  (statements are put together from this module's own constants; every value is a parameter)

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, connection, transaction

from datasets.models import Dataset, Version
from datasets.scans.staging import check_whole

# A million rows to be sorted, or kept for a trigger, take about so much; with the usual 4 MB they go through files. For one transaction.
SORT_IN_MEMORY = "set local work_mem = '128MB'"
ROOT = """
    insert into datasets_folder (dataset_id, parent_id, path, name, depth) values (%(dataset)s, null, '/', '', 0) on conflict do nothing
"""

FOLDERS = """
    insert into datasets_folder (dataset_id, parent_id, path, name, depth)
    select %(dataset)s, parent.id, l.path || named.name || '/', named.name, l.depth + 1
    from datasets_listedpart l join datasets_folder parent on parent.dataset_id = %(dataset)s and parent.path = l.path
    cross join lateral unnest(l.folders) as named(name)
    where l.scan_id = %(scan)s and l.depth = %(depth)s and l.folders <> '{}'
    order by parent.id, named.name collate "C"
    on conflict do nothing
"""

ENTRIES = "unnest(l.names, l.sizes, l.modified, l.formats) as e(name, size_bytes, modified_at, format)"
# The same in the list of what is selected: no array becomes a table of its own first.
SIDE_BY_SIDE = "unnest(l.names) as name, unnest(l.sizes) as size_bytes, unnest(l.modified) as modified_at, unnest(l.formats) as format"
FORMAT = "coalesce(e.format, l.formats[1])"  # one for all files of a part that are of one
FILES = f"""
    create temporary table scan_file as
    select distinct on (folder_id, name) * from (
        select f.id as folder_id, e.name collate "C" as name, e.size_bytes, e.modified_at, {FORMAT} as format
        from datasets_listedpart l join datasets_folder f on f.dataset_id = %(dataset)s and f.path = l.path cross join lateral {ENTRIES}
        where l.scan_id = %(scan)s
    ) listed order by folder_id, name
"""

CURRENT = "fi.last_version is null and fi.folder_id in (select id from datasets_folder where dataset_id = %(dataset)s)"
DIFFERS = "(fi.size_bytes <> s.size_bytes or fi.modified_at <> s.modified_at)"

# A file that this draft ended and that is back as it was.
REOPEN = """
    update datasets_file fi set last_version = null from scan_file s
    where fi.folder_id = s.folder_id and fi.name = s.name and fi.last_version = %(version)s - 1
    and fi.size_bytes = s.size_bytes and fi.modified_at is not distinct from s.modified_at
    and not exists (select 1 from datasets_file now where now.folder_id = fi.folder_id and now.name = fi.name and now.last_version is null)
"""
GONE = f"and {CURRENT} and not exists (select 1 from scan_file s where s.folder_id = fi.folder_id and s.name = fi.name)"
DELETE_GONE = f"delete from datasets_file fi where fi.first_version = %(version)s {GONE}"
END_GONE = f"update datasets_file fi set last_version = %(version)s - 1 where fi.first_version < %(version)s {GONE}"
CHANGE_OWN = f"""
    update datasets_file fi set size_bytes = s.size_bytes, modified_at = s.modified_at, format = s.format,
        sha256 = null, inspected_at = null, inspection_error = ''
    from scan_file s where fi.folder_id = s.folder_id and fi.name = s.name and fi.last_version is null
    and fi.first_version = %(version)s and {DIFFERS}
"""
END_CHANGED = f"""
    update datasets_file fi set last_version = %(version)s - 1
    from scan_file s where fi.folder_id = s.folder_id and fi.name = s.name and fi.last_version is null
    and fi.first_version < %(version)s and {DIFFERS}
"""
INSERT = """
    insert into datasets_file (folder_id, name, first_version, last_version, size_bytes, sha256, modified_at, format, collection_path,
        inspected_at, inspection_error)
    select s.folder_id, s.name, %(version)s, null, s.size_bytes, null, s.modified_at, s.format, '', null, ''
    from scan_file s
    where not exists (select 1 from datasets_file fi where fi.folder_id = s.folder_id and fi.name = s.name and fi.last_version is null)
"""

# The first files of a dataset have nothing to be compared with. In order of folder and name the indexes grow at their end; `offset 0` keeps
# the planner from another order.
HAS_FILES = """
    select exists (select 1 from datasets_folder f cross join lateral (
        select 1 from datasets_file fi where fi.folder_id = f.id limit 1) held where f.dataset_id = %(dataset)s)
"""
FILL = f"""
    insert into datasets_file (folder_id, name, first_version, last_version, size_bytes, sha256, modified_at, format, collection_path,
        inspected_at, inspection_error)
    select e.folder_id, e.name, %(version)s, null, e.size_bytes, null, e.modified_at, coalesce(e.format, e.formats[1]), '', null, ''
    from (
        select f.id as folder_id, {SIDE_BY_SIDE}, l.formats
        from (select id, path from datasets_folder where dataset_id = %(dataset)s order by id) f cross join lateral (
            select * from datasets_listedpart l where l.scan_id = %(scan)s and l.path = f.path order by l.part offset 0
        ) l
    ) e
"""

# A row of the draft that turned out to be its predecessor (touched, not changed): the predecessor goes on.
SAME_AS_BEFORE = """
    delete from datasets_file fi using datasets_file before
    where fi.first_version = %(version)s and fi.last_version is null
    and fi.folder_id in (select id from datasets_folder where dataset_id = %(dataset)s)
    and before.folder_id = fi.folder_id and before.name = fi.name and before.last_version = %(version)s - 1
    and before.size_bytes = fi.size_bytes
    and (before.sha256 = fi.sha256 or (fi.sha256 is null and before.modified_at = fi.modified_at))
    returning before.id, fi.modified_at
"""

# What a version holds at its own location. A draft's rows are those without an end.
DRAFT = """
    select fi.id, fi.folder_id, fi.name, fi.size_bytes, fi.modified_at, fi.sha256 from datasets_file fi
    join datasets_folder f on f.id = fi.folder_id where f.dataset_id = %(dataset)s and fi.last_version is null
"""
PUBLISHED = """
    select fi.id, fi.folder_id, fi.name, fi.size_bytes, fi.modified_at, fi.sha256 from datasets_file fi
    join datasets_folder f on f.id = fi.folder_id where f.dataset_id = %(dataset)s and fi.first_version <= %(version)s
    and (fi.last_version is null or fi.last_version >= %(version)s) and fi.collection_path = ''
"""
# What all versions at one location need to be there: of a path the newest row, and nothing that is known to be damaged.
NEEDED = """
    select distinct on (fi.folder_id, fi.name) fi.id, fi.folder_id, fi.name, fi.size_bytes, fi.modified_at, fi.sha256 from datasets_file fi
    join datasets_folder f on f.id = fi.folder_id where f.dataset_id = %(dataset)s and fi.collection_path = ''
    and exists (select 1 from unnest(%(numbers)s::int[]) as n
        where fi.first_version <= n and (fi.last_version is null or fi.last_version >= n))
    and not exists (select 1 from datasets_damage d where d.file_id = fi.id and d.healed_at is null)
    order by fi.folder_id, fi.name, fi.first_version desc
"""
# Another size is a proof of a change; another time of modification is none.
KIND = """
    case when fi.id is null then 'new' when s.name is null then 'missing'
        when fi.size_bytes <> s.size_bytes then 'changed' else 'touched' end
"""
REPORT = f"""
    insert into datasets_scanchange (scan_id, kind, folder, name, old_size_bytes, size_bytes, old_modified_at, modified_at, format)
    select %(scan)s, {KIND}, f.path, coalesce(fi.name, s.name), fi.size_bytes, s.size_bytes, fi.modified_at, s.modified_at,
        coalesce(s.format, '')
    from ({{valid}}) fi full join scan_file s on s.folder_id = fi.folder_id and s.name = fi.name
    join datasets_folder f on f.id = coalesce(fi.folder_id, s.folder_id)
    where fi.id is null or s.name is null or {DIFFERS}
    on conflict do nothing
"""
COUNT_REPORT = "select kind, count(*) from datasets_scanchange where scan_id = %(scan)s group by kind"

# What a report says that the draft is to hold, put together from what it holds and what differs.
ACCEPTED = f"""
    create temporary table scan_file as
    select fi.folder_id, fi.name, fi.size_bytes, fi.modified_at, ''::varchar as format from ({DRAFT}) fi
    join datasets_folder f on f.id = fi.folder_id
    where not exists (select 1 from datasets_scanchange c where c.scan_id = %(scan)s and c.folder = f.path and c.name = fi.name)
    union all
    select f.id, c.name, c.size_bytes, c.modified_at, c.format from datasets_scanchange c
    join datasets_folder f on f.dataset_id = %(dataset)s and f.path = c.folder
    where c.scan_id = %(scan)s and c.kind <> 'missing'
"""
TOUCHED = """
    select c.folder, c.name, encode(fi.sha256, 'hex') from datasets_scanchange c
    join datasets_folder f on f.dataset_id = %(dataset)s and f.path = c.folder
    join ({valid}) fi on fi.folder_id = f.id and fi.name = c.name
    where c.scan_id = %(scan)s and c.kind = 'touched' and fi.sha256 is not null and (c.folder, c.name) > (%(folder)s, %(name)s)
    order by c.folder, c.name limit %(limit)s
"""


@dataclass(frozen=True)
class Differences:
    """What a scan found against what was known."""

    n_new: int
    n_changed: int
    n_missing: int
    n_touched: int = 0
    """Of the known size but another time of modification: among the changed ones in a draft, to be checked in a published version."""

    @property
    def is_none(self) -> bool:
        return not (self.n_new or self.n_changed or self.n_missing or self.n_touched)


@transaction.atomic
def merge(version: Version, scan_id: int, *, is_accepted: bool = False) -> Differences:
    """Make the draft hold exactly what a scan listed, or what its report says of it, once accepted. Safe to repeat.

    Checksums of what is new or changed are unknown afterwards. Raises ListingLostError when what was listed is not all there.
    """
    keys = {**_keys(version), "scan": scan_id}
    Dataset.objects.held().get(pk=version.dataset_id)
    with connection.cursor() as cursor:
        cursor.execute(SORT_IN_MEMORY)
        if is_accepted:
            _resolve_report(cursor, keys)
        else:
            _make_folders(cursor, keys)
            n_filled = _fill(cursor, keys)
            if n_filled is not None:
                check_whole(scan_id)
                return Differences(n_new=n_filled, n_changed=0, n_missing=0)
            _resolve_files(cursor, keys)
            check_whole(scan_id)
        cursor.execute(REOPEN, keys)
        n_back = cursor.rowcount
        n_missing = 0
        for statement in (DELETE_GONE, END_GONE):
            cursor.execute(statement, keys)
            n_missing += cursor.rowcount
        cursor.execute(CHANGE_OWN, keys)
        n_changed = cursor.rowcount
        cursor.execute(END_CHANGED, keys)
        n_ended = cursor.rowcount
        cursor.execute(INSERT, keys)
        return Differences(n_new=cursor.rowcount - n_ended + n_back, n_changed=n_changed + n_ended, n_missing=n_missing)


def is_empty(version: Version) -> bool:
    """Whether a draft holds no file yet."""
    with connection.cursor() as cursor:
        cursor.execute(f"select exists ({DRAFT})", _keys(version))
        return not cursor.fetchone()[0]


@transaction.atomic
def report(version: Version, scan_id: int, *, numbers: Sequence[int] = (), is_anew: bool = True) -> Differences:
    """Write down how the staged files differ from a version, which stays as it is. Its earlier reports are forgotten. Safe to repeat.

    With `numbers`: from what all versions of these numbers need together. Without `is_anew` lines of an earlier attempt stay: what they say
    is taken into the draft already. Raises ListingLostError when what was listed is not all there.
    """
    keys = {**_keys(version), "scan": scan_id, "numbers": list(numbers)}
    with connection.cursor() as cursor:
        cursor.execute(SORT_IN_MEMORY)
        _make_folders(cursor, keys)
        _resolve_files(cursor, keys)
        check_whole(scan_id)
        cursor.execute(
            "delete from datasets_scanchange where scan_id in (select id from datasets_scanrun where version_id = %s and id < %s)",
            [version.pk, scan_id + is_anew],
        )
        cursor.execute(REPORT.format(valid=NEEDED if numbers else DRAFT if version.is_draft else PUBLISHED), keys)
        cursor.execute(COUNT_REPORT, keys)
        found = dict(cursor.fetchall())
    n_touched = found.get("touched", 0)
    n_changed = found.get("changed", 0) + (n_touched if version.is_draft else 0)
    return Differences(found.get("new", 0), n_changed, found.get("missing", 0), n_touched)


def touched(version: Version, scan_id: int, *, batch: int, numbers: Sequence[int] = ()) -> Iterator[dict[str, str]]:
    """Reported files of the published size but of another time, in pieces: their logical path, and the SHA-256 that was published."""
    statement = TOUCHED.format(valid=NEEDED if numbers else PUBLISHED)
    position = {"folder": "", "name": ""}
    while True:
        with connection.cursor() as cursor:
            cursor.execute(statement, {**_keys(version), "scan": scan_id, "numbers": list(numbers), "limit": batch, **position})
            rows = cursor.fetchall()
        if not rows:
            return
        yield {folder + name: sha256 for folder, name, sha256 in rows}
        position = {"folder": rows[-1][0], "name": rows[-1][1]}


@transaction.atomic
def resolve_touched(scan_id: int, *, same: Iterable[str], other: Iterable[str]) -> None:
    """Correct a report, now that touched files were read: those with the known checksum leave it, the others are changed."""
    with connection.cursor() as cursor:
        mine = "scan_id = %s and kind = 'touched' and folder || name = any(%s)"
        folders = "and folder = any(%s)"
        for statement, paths in (
            (f"delete from datasets_scanchange where {mine} {folders}", list(same)),
            (f"update datasets_scanchange set kind = 'changed' where {mine} {folders}", list(other)),
        ):
            if paths:
                cursor.execute(statement, [scan_id, paths, sorted({path.rpartition("/")[0] + "/" for path in paths})])


@transaction.atomic
def settle(version: Version) -> int:
    """Undo changes of a draft that are none: same size and same checksum as before. How many."""
    with connection.cursor() as cursor:
        cursor.execute(SAME_AS_BEFORE, _keys(version))
        same = cursor.fetchall()
        cursor.execute(
            "update datasets_file fi set last_version = null, modified_at = same.modified_at "
            "from unnest(%s::bigint[], %s::timestamptz[]) as same(id, modified_at) where fi.id = same.id",
            [[row[0] for row in same], [row[1] for row in same]],
        )
    return len(same)


def _resolve_report(cursor: Any, keys: dict[str, Any]) -> None:
    """The folders of new files were made with the report."""
    cursor.execute("drop table if exists scan_file")
    cursor.execute(ACCEPTED, keys)
    cursor.execute("create index on scan_file (folder_id, name)")
    cursor.execute("analyze scan_file")


def _make_folders(cursor: Any, keys: dict[str, Any]) -> None:
    cursor.execute(ROOT, keys)
    cursor.execute("select coalesce(max(depth), -1) from datasets_listedpart where scan_id = %(scan)s and folders <> '{}'", keys)
    for depth in range(cursor.fetchone()[0] + 1):
        cursor.execute(FOLDERS, {**keys, "depth": depth})


def _fill(cursor: Any, keys: dict[str, Any]) -> int | None:
    """Write the first files of a dataset straight from the listing, and how many; None where some are known, or a name is listed twice."""
    cursor.execute(HAS_FILES, keys)
    if cursor.fetchone()[0]:
        return None
    try:
        with transaction.atomic():
            cursor.execute(FILL, keys)
            return int(cursor.rowcount)
    except IntegrityError:
        return None


def _resolve_files(cursor: Any, keys: dict[str, Any]) -> None:
    cursor.execute("drop table if exists scan_file")
    cursor.execute(FILES, keys)
    cursor.execute("create index on scan_file (folder_id, name)")
    cursor.execute("analyze scan_file")


def _keys(version: Version) -> dict[str, Any]:
    return {"dataset": version.dataset_id, "version": version.number}
