"""The items of a version: pages of them, how many fit, the files that they are of, and all of it as a table.

Paging is by key, in byte order. `datasets.items.filters` says what is asked; the table is that which `datasets.items.loading` reads.
"""

# ruff: noqa: S608  (statements are put together from this module's own constants; every value is a parameter)

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from datasets.items.filters import VALID, ItemFilter, columns_of
from datasets.items.values import plain_cell, value_text
from datasets.models import ItemColumn, Version

MOST_COUNTED = 1_000
WALKED = 20_000
FILES_SHOWN = 3
BATCH, PIECE = 200, 100_000  # items may have ten thousand files each
FEW_FILES = 10_000
ALL_FILES = 2_000_000_000

# Nobody knows beforehand how far apart the items that fit stand: first some rows are walked in order of key, and where they hold too few,
# what fits is picked by the indexes of the columns and sorted. Left alone the planner takes the first way to its end.
WALK = f"""
    select i.id, i.key{{slots}} from (
        select * from datasets_item i where {VALID} and i.key > %(after)s order by i.key limit %(walked)s
    ) i where {{where}} order by i.key limit %(limit)s"""
PICK = """
    select * from (select i.id, i.key{slots} from datasets_item i where {where} and i.key > %(after)s offset 0) i
    order by i.key limit %(limit)s"""
WITH_FILES = """
    with page as materialized ({page})
    select page.*, held.paths, held.n_files from page cross join lateral (
        select (array_agg(f.path || l.name order by f.path, l.name))[1:%(shown)s] as paths, count(*) as n_files
        from datasets_itemfile l join datasets_folder f on f.id = l.folder_id where l.item_id = page.id
    ) held order by page.key"""


@dataclass(frozen=True)
class ItemRow:
    """One item; `values` by column name, in the schema's order, None where it has none. `files` are paths, `n_files` all of them."""

    key: str
    values: Mapping[str, Any]
    files: list[str] = field(default_factory=list)
    n_files: int = 0


@dataclass(frozen=True)
class ItemListing:
    """A page of items; `next_after` is empty on the last one. `is_more`: more fit than `n_items` says."""

    columns: list[ItemColumn]
    rows: list[ItemRow]
    n_items: int
    is_more: bool
    next_after: str


def having_items(versions: QuerySet[Version]) -> QuerySet[Version]:
    """The same versions, each with `has_items`: whether it has columns for items."""
    valid = Q(last_version=None) | Q(last_version__gte=OuterRef("number"))
    columns = ItemColumn.objects.filter(valid, dataset=OuterRef("dataset"), first_version__lte=OuterRef("number"))
    return versions.annotate(has_items=Exists(columns))


def list_items(version: Version, asked: ItemFilter, *, after: str = "", limit: int = 50) -> ItemListing:
    """The items that fit, from the one that follows `after` on. Raises InvalidError for what the schema does not take."""
    columns = columns_of(version)
    rows = list(_page(version, asked, columns, after, limit + 1, FILES_SHOWN))
    is_all = not after and len(rows) <= limit
    n_items, is_more = (len(rows), False) if is_all else count_up_to(version, asked)
    return ItemListing(columns, rows[:limit], n_items, is_more, rows[limit - 1].key if len(rows) > limit else "")


def count_up_to(version: Version, asked: ItemFilter, most: int = MOST_COUNTED) -> tuple[int, bool]:
    """How many items fit, counted to `most` of them, and whether there are more."""
    where, parameters = asked.conditions(version)
    sql = f"select count(*) from (select 1 from datasets_item i where {where} limit %(most)s) found"
    (n_items,) = _rows(sql, {**parameters, "most": most + 1})[0]
    return min(int(n_items), most), n_items > most


def iterate(version: Version, asked: ItemFilter, *, batch: int = BATCH) -> Iterator[ItemRow]:
    """All items that fit, each with all its files; flat memory for any number of items."""
    columns, after = columns_of(version), ""
    while True:
        rows = list(_page(version, asked, columns, after, batch, None))
        yield from rows
        if len(rows) < batch:
            return
        after = rows[-1].key


def export(version: Version, asked: ItemFilter, *, address: Callable[[str], str]) -> Iterator[str]:
    """The items as CSV in pieces: item, the columns, files and their addresses (both separated by |). It can be loaded again."""
    columns = columns_of(version)
    kept = io.StringIO()
    writer = csv.writer(kept)
    writer.writerow(["item", *(column.name for column in columns), "files", "urls"])
    for row in iterate(version, asked):
        cells = map(plain_cell, [row.key, *(value_text(value) for value in row.values.values())])
        writer.writerow([*cells, "|".join(map(escape_path, row.files)), "|".join(map(address, row.files))])
        if kept.tell() > PIECE:
            yield kept.getvalue()
            kept.seek(0)
            kept.truncate()
    yield kept.getvalue()


def escape_path(path: str) -> str:
    r"""A path for a cell with several: \ and | stand behind a \."""
    return path.replace("\\", "\\\\").replace("|", "\\|")


def n_without_file(version: Version) -> int:
    """How many items of a version name a file that it does not hold."""
    sql = """
        select count(distinct l.item_id) from datasets_item i join datasets_itemfile l on l.item_id = i.id
        where i.dataset_id = %(dataset)s and i.first_version <= %(version)s and (i.last_version is null or i.last_version >= %(version)s)
        and not exists (select 1 from datasets_file fi where fi.folder_id = l.folder_id and fi.name = l.name
            and fi.first_version <= %(version)s and (fi.last_version is null or fi.last_version >= %(version)s))"""
    return int(_rows(sql, {"dataset": version.dataset_id, "version": version.number})[0][0])


def items_of_file(version: Version, folder: str, name: str, *, most: int = 20) -> list[ItemRow]:
    """The items that a file belongs to."""
    sql = """
        select i.key from datasets_folder f join datasets_itemfile l on l.folder_id = f.id and l.name = %(name)s
        join datasets_item i on i.id = l.item_id
        where f.dataset_id = %(dataset)s and f.path = %(folder)s and i.first_version <= %(version)s
        and (i.last_version is null or i.last_version >= %(version)s) order by i.key limit %(most)s"""
    keys = {"dataset": version.dataset_id, "version": version.number, "folder": folder, "name": name, "most": most}
    found = tuple(key for (key,) in _rows(sql, keys))
    return list(_page(version, ItemFilter(keys=found), columns_of(version), "", most, FILES_SHOWN)) if found else []


def rows_of(version: Version, keys: Sequence[str]) -> list[ItemRow]:
    """The items of these names, without the paths of their files, which may be ten thousand each."""
    return list(_page(version, ItemFilter(keys=tuple(keys)), columns_of(version), "", len(keys), 0))


def few_files(version: Version, asked: ItemFilter, most: int = FEW_FILES) -> tuple[list[int], list[str]] | None:
    """(folder ids, names) of the files of the items that fit; None when there are more than `most`: then they are found by walking."""
    where, parameters = asked.conditions(version)
    sql = f"""
        select l.folder_id, l.name from datasets_item i join datasets_itemfile l on l.item_id = i.id where {where} limit %(most)s"""
    rows = _rows(sql, {**parameters, "most": most + 1})
    if len(rows) > most:  # before what several items share is taken once: what was cut off is not known
        return None
    rows = list(set(rows))
    return [folder for folder, _ in rows], [name for _, name in rows]


def end_with_draft(version: Version) -> None:
    """Take back what a draft did to items and columns: its own rows go, what it ended is open again."""
    keys: dict[str, Any] = {"dataset": version.dataset_id, "version": version.number}
    own = "select id from datasets_item where dataset_id = %(dataset)s and first_version = %(version)s"
    with connection.cursor() as cursor:
        cursor.execute(f"delete from datasets_itemfile where item_id in ({own})", keys)
        for table in ("datasets_item", "datasets_itemcolumn"):
            cursor.execute(f"delete from {table} where dataset_id = %(dataset)s and first_version = %(version)s", keys)
            cursor.execute(
                f"update {table} set last_version = null where dataset_id = %(dataset)s and last_version = %(version)s - 1", keys
            )


def _page(version: Version, asked: ItemFilter, columns: list[ItemColumn], after: str, limit: int, n_files: int | None) -> Iterator[ItemRow]:
    """Up to `limit` items after the key `after`, each with up to `n_files` of its files (None: all)."""
    where, parameters = asked.conditions(version)
    slots = "".join(f", i.{column.slot}" for column in columns)
    parameters |= {"after": after, "limit": limit, "walked": WALKED, "shown": ALL_FILES if n_files is None else n_files}
    rows = _rows(WITH_FILES.format(page=WALK.format(where=where, slots=slots)), parameters)
    if len(rows) < limit and asked:
        rows = _rows(WITH_FILES.format(page=PICK.format(where=where, slots=slots)), parameters)
    for _, key, *values, paths, n_held in rows:
        yield ItemRow(key, dict(zip((column.name for column in columns), values, strict=True)), list(paths or ()), int(n_held))


def _rows(sql: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
