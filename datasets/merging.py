"""Bringing what a scan found into the inventory: staged by COPY, then merged by sets, so that a second run touches only what changed.

Draft n may close a published row (`last_version = n - 1`) and may do anything with its own rows (`first_version = n`); nothing else.
"""

# ruff: noqa: S608  (statements are put together from this module's own constants; every value is a parameter)

import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from datasets.models import Dataset, Version

StagedFile = tuple[str, str, int, datetime | None, str]

STAGING = (
    "drop table if exists scan_entry, scan_folder, scan_file",
    """create temporary table scan_entry (
        path text collate "C", name text collate "C", size_bytes bigint, modified_at timestamptz, format text)""",
    'create temporary table scan_folder (path text collate "C", parent_path text collate "C", name text collate "C", depth int)',
)

ROOT = """
    insert into datasets_folder (dataset_id, parent_id, path, name, depth) values (%(dataset)s, null, '/', '', 0) on conflict do nothing
"""

FOLDERS = """
    insert into datasets_folder (dataset_id, parent_id, path, name, depth)
    select %(dataset)s, parent.id, staged.path, staged.name, staged.depth
    from scan_folder staged join datasets_folder parent on parent.dataset_id = %(dataset)s and parent.path = staged.parent_path
    where staged.depth = %(depth)s
    on conflict do nothing
"""

FILES = """
    create temporary table scan_file as
    select distinct on (f.id, e.name) f.id as folder_id, e.name, e.size_bytes, e.modified_at, e.format
    from scan_entry e join datasets_folder f on f.dataset_id = %(dataset)s and f.path = e.path
    order by f.id, e.name
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

# Published files that this draft ended although the bytes were to stay: gone, or other bytes under the same name.
SPOILT = """
    select min(before.first_version), count(*) filter (where now.id is null), count(*) filter (where now.id is not null)
    from datasets_file before join datasets_folder f on f.id = before.folder_id
    left join datasets_file now on now.folder_id = before.folder_id and now.name = before.name and now.first_version = %(version)s
    where f.dataset_id = %(dataset)s and before.last_version = %(version)s - 1 and before.collection_path = ''
    and (now.id is null or now.size_bytes <> before.size_bytes or now.sha256 <> before.sha256)
"""

VALID = """
    select fi.*, f.path as folder from datasets_file fi join datasets_folder f on f.id = fi.folder_id
    where f.dataset_id = %(dataset)s and fi.first_version <= %(version)s and (fi.last_version is null or fi.last_version >= %(version)s)
    and fi.collection_path = ''
"""
# Another size is a proof; another time of modification is none.
COMPARE = f"""
    with valid as ({VALID})
    select count(*) filter (where fi.id is null), count(*) filter (where fi.size_bytes <> s.size_bytes),
        count(*) filter (where s.name is null)
    from valid fi full join scan_file s on s.folder_id = fi.folder_id and s.name = fi.name
"""
TOUCHED = f"""
    with valid as ({VALID})
    select fi.folder || fi.name, encode(fi.sha256, 'hex') from valid fi join scan_file s on s.folder_id = fi.folder_id and s.name = fi.name
    where fi.size_bytes = s.size_bytes and fi.modified_at <> s.modified_at order by 1
"""


@dataclass(frozen=True)
class Differences:
    """What a scan found against what was known."""

    n_new: int
    n_changed: int
    n_missing: int


def start_staging() -> None:
    """Empty staging tables, of this database session alone."""
    with connection.cursor() as cursor:
        for statement in STAGING:
            cursor.execute(statement)


def stage_files(rows: Iterable[StagedFile]) -> None:
    """Add (folder path, name, size in bytes, modified, format) rows to the staging table."""
    _copy("scan_entry", rows)


def stage_folders(paths: Iterable[str]) -> None:
    """Add folders, all of them but the root, to the staging table."""
    _copy("scan_folder", ((path, *_above(path), path.count("/") - 1) for path in paths))


@transaction.atomic
def merge(version: Version) -> Differences:
    """Make the draft hold exactly the staged files. Safe to repeat. Checksums of what is new or changed are unknown afterwards."""
    keys = _keys(version)
    Dataset.objects.select_for_update().get(pk=version.dataset_id)
    with connection.cursor() as cursor:
        _resolve_folders(cursor, keys)
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


@transaction.atomic
def compare(version: Version) -> Differences:
    """How the staged files differ from a version, without changing the version."""
    keys = _keys(version)
    with connection.cursor() as cursor:
        _resolve_folders(cursor, keys)
        cursor.execute(COMPARE, keys)
        return Differences(*cursor.fetchone())


def touched(version: Version) -> dict[str, str]:
    """Staged files of the published size but of another time: their logical path, and the SHA-256 that was published ("" if unknown)."""
    with connection.cursor() as cursor:
        cursor.execute(TOUCHED, _keys(version))
        return {path: sha256 or "" for path, sha256 in cursor.fetchall()}


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


def spoilt_since(version: Version) -> tuple[int, str] | None:
    """The first version whose published bytes a draft at the same location found gone or rewritten, and the words for it."""
    with connection.cursor() as cursor:
        cursor.execute(SPOILT, _keys(version))
        first, n_gone, n_rewritten = cursor.fetchone()
    return None if first is None else (first, f"{n_gone} files are gone and {n_rewritten} are not what was published")


def _resolve_folders(cursor: Any, keys: dict[str, Any]) -> None:
    cursor.execute(ROOT, keys)
    cursor.execute("select coalesce(max(depth), 0) from scan_folder")
    for depth in range(1, cursor.fetchone()[0] + 1):
        cursor.execute(FOLDERS, {**keys, "depth": depth})
    cursor.execute("drop table if exists scan_file")
    cursor.execute(FILES, keys)
    cursor.execute("create index on scan_file (folder_id, name)")
    cursor.execute("analyze scan_file")


def _copy(table: str, rows: Iterable[tuple[object, ...]]) -> None:
    lines = io.StringIO("".join("\t".join(map(_field, row)) + "\n" for row in rows))
    with connection.cursor() as cursor:
        cursor.copy_expert(f"copy {table} from stdin", lines)


def _field(value: object) -> str:
    """One value in COPY's text format. Source: https://www.postgresql.org/docs/current/sql-copy.html, "Text Format"."""
    if value is None:
        return "\\N"
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _above(path: str) -> tuple[str, str]:
    parent, _, name = path.rstrip("/").rpartition("/")
    return parent + "/", name


def _keys(version: Version) -> dict[str, Any]:
    return {"dataset": version.dataset_id, "version": version.number}
