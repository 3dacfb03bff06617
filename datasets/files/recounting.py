"""Recursive counts, sizes and digests of the folders of a draft, written anew where something changed below, and nowhere else."""

from typing import Any

from django.db import connection, transaction

from datasets.digests import DOMAIN, UNKNOWN
from datasets.models import FolderState, Version

# Folders that the draft changed, in files or (in an earlier count of the same draft) in totals, and all the folders above them.
TOUCHED = """
    create temporary table touched on commit drop as
    with recursive changed as (
        select fi.folder_id as id from datasets_file fi join datasets_folder f on f.id = fi.folder_id
        where f.dataset_id = %(dataset)s and (fi.first_version = %(version)s or fi.last_version = %(version)s - 1)
            and (%(version)s = 1 or fi.first_version > 1 or fi.last_version is not null)
        union
        select s.folder_id from datasets_folderstate s join datasets_folder f on f.id = s.folder_id
        where f.dataset_id = %(dataset)s and s.from_version = %(version)s
    ), upward as (
        select f.id, f.parent_id, f.depth from datasets_folder f join changed on changed.id = f.id
        union
        select parent.id, parent.parent_id, parent.depth from upward join datasets_folder parent on parent.id = upward.parent_id
    )
    select id, depth from upward
"""

FORGET = """
    delete from datasets_folderstate s using touched where s.folder_id = touched.id and s.from_version = %(version)s
"""

# The entry of each child is the byte format of digests.py; int4send and int8send are big-endian.
COUNT = """
    with entries as (
        select fi.folder_id as parent, case when fi.sha256 is null then 'u' else 'f' end as kind, fi.name,
            1::bigint as n_files, fi.size_bytes, coalesce(fi.sha256, %(unknown)s) as digest
        from touched join datasets_file fi on fi.folder_id = touched.id
        where touched.depth = %(depth)s and fi.first_version <= %(version)s and (fi.last_version is null or fi.last_version >= %(version)s)
        union all
        select child.parent_id, 'd', child.name, state.n_files, state.size_bytes, state.digest
        from touched join datasets_folder child on child.parent_id = touched.id
        cross join lateral (
            select s.n_files, s.size_bytes, s.digest from datasets_folderstate s
            where s.folder_id = child.id and s.from_version <= %(version)s order by s.from_version desc limit 1
        ) state
        where touched.depth = %(depth)s and state.n_files > 0
    ), totals as (
        select touched.id, coalesce(sum(entries.n_files), 0) as n_files, coalesce(sum(entries.size_bytes), 0) as size_bytes,
            case when count(entries.parent) > 0 then sha256(%(domain)s || string_agg(
                convert_to(kind, 'UTF8') || int4send(octet_length(convert_to(name, 'UTF8'))) || convert_to(name, 'UTF8')
                || int8send(entries.size_bytes) || entries.digest,
                ''::bytea order by kind collate "C", name collate "C")) end as digest
        from touched left join entries on entries.parent = touched.id
        where touched.depth = %(depth)s group by touched.id
    )
    insert into datasets_folderstate (folder_id, from_version, n_files, size_bytes, digest)
    select totals.id, %(version)s, totals.n_files, totals.size_bytes, totals.digest
    from totals left join lateral (
        select s.n_files, s.size_bytes, s.digest from datasets_folderstate s
        where s.folder_id = totals.id and s.from_version < %(version)s order by s.from_version desc limit 1
    ) before on true
    where (totals.n_files, totals.size_bytes, totals.digest)
        is distinct from (coalesce(before.n_files, 0), coalesce(before.size_bytes, 0), before.digest)
"""


@transaction.atomic
def recount(version: Version) -> None:
    """Bring the folder states of a draft in line with its files, from the deepest folder up. Safe to repeat.

    The cost follows the number of folders with a change below them. Only for drafts: the states of a published version are frozen.
    """
    keys: dict[str, Any] = {"dataset": version.dataset_id, "version": version.number, "unknown": UNKNOWN, "domain": DOMAIN}
    with connection.cursor() as cursor:
        cursor.execute("drop table if exists touched")
        cursor.execute(TOUCHED, keys)
        cursor.execute(FORGET, keys)
        cursor.execute("select coalesce(max(depth), -1) from touched")
        deepest = cursor.fetchone()[0]
        for depth in range(deepest, -1, -1):
            cursor.execute(COUNT, {**keys, "depth": depth})
        cursor.execute("drop table touched")


def root_state(version: Version) -> FolderState | None:
    """Totals and digest of a whole version; None while nothing is counted."""
    states = FolderState.objects.filter(folder__dataset_id=version.dataset_id, folder__path="/", from_version__lte=version.number)
    return states.order_by("-from_version").first()


def n_without_checksum(version: Version) -> int:
    """How many files of a version have no SHA-256."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from datasets_file fi join datasets_folder f on f.id = fi.folder_id where f.dataset_id = %(dataset)s "
            "and fi.first_version <= %(version)s and (fi.last_version is null or fi.last_version >= %(version)s) and fi.sha256 is null",
            {"dataset": version.dataset_id, "version": version.number},
        )
        return int(cursor.fetchone()[0])
