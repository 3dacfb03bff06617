"""What changed between two versions in items and their columns: as in files, only the rows that hold in one of the two are looked at."""

# ruff: noqa: S608  (statements are put together from this module's own constants; every value is a parameter)

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from datasets.errors import InvalidError
from datasets.files.bounding import TOO_DIFFERENT, bounded
from datasets.items import ItemRow, rows_of
from datasets.items.filters import columns_of
from datasets.models import ItemColumn, Version

HOLDS = "(i.first_version <= %({side})s and (i.last_version is null or i.last_version >= %({side})s))"
FILES = "(select array_agg(l.folder_id || '/' || l.name order by l.folder_id, l.name) from datasets_itemfile l where l.item_id = {side}_id)"
# An item that was loaded again with whole folders may be as it was: the signature is of what was loaded, not of the files that it names.
SIDES = f"""
    with one_sided as materialized (
        select i.id, i.key, i.signature, {HOLDS.format(side="old")} as is_old from datasets_item i
        where i.dataset_id = %(dataset)s and (i.first_version > 1 or i.last_version is not null)
        and {HOLDS.format(side="old")} <> {HOLDS.format(side="new")}
    ), pairs as (
        select key, min(id) filter (where is_old) as old_id, min(id) filter (where not is_old) as new_id,
            count(*) = 2 and min(signature) = max(signature) and min(signature) <> '' as is_alike
        from one_sided group by key
    ), sides as (
        select key, case when old_id is null then 'added' when new_id is null then 'removed' else 'changed' end as kind,
            case when is_alike then {FILES.format(side="old")} is not distinct from {FILES.format(side="new")} else false end as is_same
        from pairs
    )
"""
COUNTS = f"{SIDES} select kind, count(*) from sides where not is_same group by kind"
OTHER_FILES = f"""
    select key from (
        select i.key, min(i.id) filter (where {HOLDS.format(side="old")}) as old_id,
            min(i.id) filter (where {HOLDS.format(side="new")}) as new_id
        from datasets_item i where i.dataset_id = %(dataset)s and i.key = any(%(keys)s) group by i.key
    ) pair where {FILES.format(side="old")} is distinct from {FILES.format(side="new")}
"""
CHANGES = f"{SIDES} select key, kind from sides where not is_same and key > %(after)s order by key limit %(limit)s"


@dataclass(frozen=True)
class ItemChange:
    """`kind` is added, changed or removed; `changed` names the columns whose values differ, and `files`."""

    key: str
    kind: str
    changed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ColumnChange:
    """A column of items that one of the versions lacks, or that is defined otherwise."""

    name: str
    kind: str


@dataclass(frozen=True)
class ItemChanges:
    """A page of them with the counts of all; `next_after` is empty on the last page."""

    counts: dict[str, int]
    columns: list[ColumnChange]
    changes: list[ItemChange]
    next_after: str = ""

    @property
    def is_none(self) -> bool:
        return not (self.columns or any(self.counts.values()))


def item_changes(old: Version, new: Version, *, after: str = "", limit: int = 100) -> ItemChanges | None:
    """The items that differ between two versions of one dataset, by name from the one after `after` on; None where neither has items.

    Raises InvalidError where that takes too long.
    """
    if old.dataset_id != new.dataset_id:
        raise InvalidError("These are versions of two datasets.")
    before, now = columns_of(old), columns_of(new)
    if not before and not now:
        return None
    keys: dict[str, Any] = {"dataset": old.dataset_id, "old": old.number, "new": new.number}
    counted = dict(_rows(COUNTS, keys))
    found = _rows(CHANGES, {**keys, "after": after, "limit": limit + 1}) if counted else []
    counts = {kind: int(counted.get(kind, 0)) for kind in ("added", "changed", "removed")}
    next_after = found[limit - 1][0] if len(found) > limit else ""
    return ItemChanges(counts, _columns(before, now), _named(old, new, found[:limit]), next_after)


def _columns(before: Sequence[ItemColumn], now: Sequence[ItemColumn]) -> list[ColumnChange]:
    was, is_now = ({column.name: column for column in columns} for columns in (before, now))
    kinds = {name: "added" if name not in was else "removed" if name not in is_now else "changed" for name in {**was, **is_now}}
    same = {name for name in was.keys() & is_now.keys() if was[name].definition == is_now[name].definition}
    return [ColumnChange(name, kind) for name, kind in kinds.items() if name not in same]


def _named(old: Version, new: Version, found: Sequence[tuple[str, str]]) -> list[ItemChange]:
    """The same with what changed of each: both sides of a page are read at once, and files are compared where they are."""
    changed = [key for key, kind in found if kind == "changed"]
    before, now = ({row.key: row for row in rows_of(version, changed)} if changed else {} for version in (old, new))
    keys: dict[str, Any] = {"dataset": old.dataset_id, "old": old.number, "new": new.number, "keys": changed}
    with_others = {key for (key,) in _rows(OTHER_FILES, keys)} if changed else set()
    parts = {key: _columns_changed(before[key], now[key]) + ["files"] * (key in with_others) for key in changed}
    return [ItemChange(key, kind, parts.get(key, [])) for key, kind in found]


def _columns_changed(before: ItemRow, now: ItemRow) -> list[str]:
    return [name for name in {**before.values, **now.values} if before.values.get(name) != now.values.get(name)]


def _rows(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with bounded(field="since", advice=TOO_DIFFERENT), connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
