"""What changed between two versions of a dataset, from the validity of their file rows alone."""

# ruff: noqa: S608  (statements are put together from this module's own constants; every value is a parameter)

from dataclasses import dataclass
from typing import Any

from django.db import connection

from datasets.errors import InvalidError
from datasets.files.bounding import TOO_DIFFERENT, bounded
from datasets.models import Version

# Rows that hold in both versions are the same file; only those that hold in one of them are looked at. A row that was there from the first
# version on and never ended holds in all: an index leaves these out.
IN_ONE = """
    select f.path, fi.name, fi.size_bytes, fi.sha256, {holds_in_old} as is_old
    from datasets_folder f join datasets_file fi on fi.folder_id = f.id
    where f.dataset_id = %(dataset)s and (fi.first_version > 1 or fi.last_version is not null) and {holds_in_old} <> {holds_in_new}
"""
SIDES = """
    with one_sided as materialized ({in_one}), sides as (
        select path, name,
            bool_or(is_old) as was, bool_or(not is_old) as is_now,
            max(size_bytes) filter (where is_old) as old_size, max(size_bytes) filter (where not is_old) as new_size,
            count(distinct sha256) = 1 and count(sha256) = 2 and count(distinct size_bytes) = 1 as is_same
        from one_sided group by path, name
    )
"""
KIND = "case when was and is_now then 'changed' when was then 'removed' else 'added' end"
CHANGES = f"""{SIDES}
    select path || name, {KIND}, old_size, new_size
    from sides where not is_same and (path, name) > (%(after_path)s, %(after_name)s)
    order by path, name limit %(limit)s
"""
COUNTS = f"""{SIDES}
    select {KIND}, count(*), coalesce(sum(old_size), 0), coalesce(sum(new_size), 0) from sides where not is_same group by 1
"""


@dataclass(frozen=True)
class Change:
    """`kind` is added, changed or removed; a size is None on the side where the file is not."""

    path: str
    kind: str
    old_size_bytes: int | None
    new_size_bytes: int | None


@dataclass(frozen=True)
class Count:
    """How many files of a kind of change, and their bytes before and after."""

    n_files: int = 0
    old_size_bytes: int = 0
    new_size_bytes: int = 0


def count_changes(old: Version, new: Version) -> dict[str, Count]:
    """The files that were added, changed and removed, by these words. Raises InvalidError where that takes too long."""
    counted = {kind: Count(int(n), int(before), int(after)) for kind, n, before, after in _rows(COUNTS, old, new)}
    return {kind: counted.get(kind, Count()) for kind in ("added", "changed", "removed")}


def changes(old: Version, new: Version, *, after: str = "", limit: int = 1_000) -> list[Change]:
    """Files that differ between two versions of one dataset, in order of (folder path, name), from the one after path `after` on.

    Raises InvalidError where that takes too long.
    """
    folder, _, file_name = after.rpartition("/")
    rows = _rows(CHANGES, old, new, after_path=f"{folder}/" if after else "", after_name=file_name, limit=limit)
    return [Change(*row) for row in rows]


def _rows(sql: str, old: Version, new: Version, **parameters: Any) -> list[tuple[Any, ...]]:
    if old.dataset_id != new.dataset_id:
        raise InvalidError("These are versions of two datasets.")
    sides = {f"holds_in_{name}": _holds(name) for name in ("old", "new")}
    with bounded(field="since", advice=TOO_DIFFERENT), connection.cursor() as cursor:
        keys: dict[str, Any] = {"dataset": old.dataset_id, "old": old.number, "new": new.number}
        cursor.execute(sql.format(in_one=IN_ONE.format(**sides)), keys | parameters)
        return list(cursor.fetchall())


def _holds(side: str) -> str:
    return f"(fi.first_version <= %({side})s and (fi.last_version is null or fi.last_version >= %({side})s))"
