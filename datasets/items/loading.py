"""Items from a CSV table: staged by COPY, checked as a whole, merged by sets. Read `load` first.

A dry run does everything and takes it back, so it finds exactly what the run itself would find. A run that finds anything wrong changes
nothing. Columns: `item` (its name), `files` (paths from the root of the version, or folders with all they hold, separated by |), and those
of the schema. `urls`, which exports have, is not read.
"""

# ruff: noqa: S608  (statements are put together from this module's own constants and the slots of the schema; every value is a parameter)

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.db import connection, transaction

from datasets.access import Visitor
from datasets.errors import InvalidError
from datasets.items.filters import columns_of, split_words
from datasets.items.schema import RESERVED, check_draft
from datasets.items.values import ValueReadError, read_value
from datasets.models import Dataset, DatasetEvent, ItemColumn, Version
from datasets.models.items import LONGEST_KEY

MOST_ROWS = 200_000
MOST_TOLD = 1_000
MOST_FILES = 10_000
LONGEST_CELL = 2_000_000
CHUNK = 5_000
NOTHING = "\\N"  # how COPY is told that there is no value

STAGING = (
    "drop table if exists load_item, load_path, load_file, load_key",
    """create temporary table load_item (
        line int, key text collate "C", signature text, words text, has_folder boolean{slots}) on commit drop""",
    'create temporary table load_path (line int, folder text collate "C", name text collate "C") on commit drop',
)
INDEX = ("create index on load_item (key)", "create index on load_item (line)", "analyze load_item", "analyze load_path")

REPEATED = """
    select line, key from (select line, key, row_number() over (partition by key order by line) as nth from load_item) seen
    where nth > 1 and key <> '' order by line limit %(most)s
"""
VALID = "fi.first_version <= %(version)s and (fi.last_version is null or fi.last_version >= %(version)s)"
FILES = f"""
    create temporary table load_file on commit drop as
    select distinct p.line, f.id as folder_id, fi.name from load_path p
    join datasets_folder f on f.dataset_id = %(dataset)s and f.path = p.folder
    join datasets_file fi on fi.folder_id = f.id and fi.name = p.name and {VALID}
    where p.name <> ''
    union
    select p.line, f.id, fi.name from load_path p
    join datasets_folder f on f.dataset_id = %(dataset)s and f.path >= p.folder and f.path < left(p.folder, -1) || '0'
    join datasets_file fi on fi.folder_id = f.id and {VALID}
    where p.name = ''
"""
ABSENT = f"""
    select p.line, p.folder || p.name from load_path p where p.name <> '' and not exists (
        select 1 from datasets_folder f join datasets_file fi on fi.folder_id = f.id
        where f.dataset_id = %(dataset)s and f.path = p.folder and fi.name = p.name and {VALID})
    union all
    select p.line, p.folder from load_path p where p.name = '' and not exists (
        select 1 from datasets_folder f join datasets_file fi on fi.folder_id = f.id
        where f.dataset_id = %(dataset)s and f.path >= p.folder and f.path < left(p.folder, -1) || '0' and {VALID})
    order by 1, 2 limit %(most)s
"""
TOO_MANY = "select line, count(*) from load_file group by line having count(*) > %(most_files)s order by line limit %(most)s"

SAME = "now.dataset_id = %(dataset)s and now.last_version is null and now.key = s.key"
# What is as it was is left alone; an item with whole folders may have other files by now.
FORGET_SAME = f"""
    delete from load_item s using datasets_item now where {SAME}
    and now.signature = s.signature and now.signature <> '' and not s.has_folder
"""
COUNT = f"""
    select count(*) filter (where now.id is null), count(now.id) from load_item s left join datasets_item now on {SAME}
"""
GONE = """
    now.dataset_id = %(dataset)s and now.last_version is null and not exists (select 1 from load_key s where s.key = now.key)
"""
KEYS = "create temporary table load_key on commit drop as select key from load_item"


@dataclass(frozen=True)
class Wrong:
    """One thing to mend: the line of the table (the header is line 1), the column, the words."""

    line: int
    column: str
    words: str


@dataclass
class LoadedItems:
    """What a run did, or a dry run would do, and what is wrong: the first of it, and how much there is."""

    n_new: int = 0
    n_changed: int = 0
    n_same: int = 0
    n_removed: int = 0
    wrong: list[Wrong] = field(default_factory=list)
    n_wrong: int = 0
    is_done: bool = False

    def add(self, line: int, column: str, words: str) -> None:
        self.n_wrong += 1
        if len(self.wrong) < MOST_TOLD:
            self.wrong.append(Wrong(line, column, words))


@transaction.atomic
def load(
    version: Version, table: Iterable[str], *, user: Visitor, is_dry_run: bool, is_complete: bool = False, most_rows: int | None = MOST_ROWS
) -> LoadedItems:
    """Add the items of a table to a draft, or replace those of the same name; `is_complete`: items that it does not name go.

    `table` are the lines of a CSV. Raises ForbiddenError, ConflictError for a version that is no draft, InvalidError for what is no table.
    """
    Dataset.objects.held().get(pk=version.dataset_id)
    version.refresh_from_db(fields=["status"])  # it may have been published while this waited
    check_draft(version, user)
    columns = columns_of(version)
    loaded = LoadedItems()
    keys: dict[str, Any] = {
        "dataset": version.dataset_id, "version": version.number, "most": MOST_TOLD, "most_files": MOST_FILES,
    }  # fmt: skip
    with transaction.atomic():
        with connection.cursor() as cursor:
            _start(cursor, columns)
            n_rows = _stage(cursor, _rows(table, columns, loaded, most_rows), columns)
            for statement in INDEX:
                cursor.execute(statement)
            _check(cursor, keys, loaded)
            if not loaded.wrong:
                loaded.n_removed = _merge(cursor, keys, columns, loaded, is_complete=is_complete)
                loaded.n_same = n_rows - loaded.n_new - loaded.n_changed
        loaded.wrong.sort(key=lambda wrong: (wrong.line, wrong.column))
        loaded.is_done = not is_dry_run and not loaded.wrong
        if loaded.is_done:
            note = f"{loaded.n_new:,} new, {loaded.n_changed:,} changed, {loaded.n_removed:,} removed"
            DatasetEvent.objects.create(dataset_id=version.dataset_id, version=version, act="items", actor=user, note=note)
        transaction.set_rollback(not loaded.is_done)
    return loaded


def _start(cursor: Any, columns: Sequence[ItemColumn]) -> None:
    types = {"text": "text", "choice": "text", "number": "double precision", "time": "timestamptz"}
    slots = "".join(f", {column.slot} {types[column.kind]}" for column in columns)
    for statement in STAGING:
        cursor.execute(statement.format(slots=slots))


def _rows(
    table: Iterable[str], columns: Sequence[ItemColumn], loaded: LoadedItems, most_rows: int | None
) -> Iterator[tuple[list[Any], list[tuple[Any, ...]]]]:
    """(row of load_item, rows of load_path) of each line; what is wrong goes to `loaded`."""
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(_without_mark(table), strict=True)
    by_name = {column.name: column for column in columns}
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header, by_name)
        at = {name: number for number, name in enumerate(header)}
        n_rows = 0
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            n_rows += 1
            if most_rows is not None and n_rows > most_rows:
                words = f"At most {most_rows:,} rows at once: load it in parts, or have an operator load it by the command load_items."
                raise InvalidError(fields={"table": [words]})
            if len(cells) > len(header):
                loaded.add(reader.line_num, "", "It has more cells than the header has columns. Quote a cell that holds a comma.")
                continue
            yield _read_row(reader.line_num, {name: cells[n].strip() for name, n in at.items() if n < len(cells)}, columns, loaded)
    except csv.Error as error:
        raise InvalidError(fields={"table": [f"Line {reader.line_num} is not CSV: {error}."]}) from error


def _without_mark(table: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(table):
        if "\0" in line:
            raise InvalidError(fields={"table": ["This is not text."]})
        yield line.removeprefix("\ufeff") if not number else line


def _check_header(header: Sequence[str], columns: Mapping[str, ItemColumn]) -> None:
    known = [*sorted(RESERVED), *columns]
    unknown = [name for name in header if name not in known]
    if "item" not in header or "files" not in header:
        raise InvalidError(fields={"table": ["The first line names the columns; two of them are item and files."]})
    if unknown or len(set(header)) != len(header):
        words = f"There is no column {', '.join(map(repr, unknown))}." if unknown else "A column stands there twice."
        raise InvalidError(fields={"table": [f"{words} Columns: item, files, {', '.join(columns)}. Others are defined above the table."]})


def _read_row(
    line: int, cells: Mapping[str, str], columns: Sequence[ItemColumn], loaded: LoadedItems
) -> tuple[list[Any], list[tuple[Any, ...]]]:
    """What is right of a line is staged even so: what only the whole table and the files tell of it is told in the same run."""
    key = cells.get("item", "")
    if not key or key == NOTHING or len(key) > LONGEST_KEY:
        loaded.add(line, "item", f"Name the item, in up to {LONGEST_KEY} characters.")
        key = "" if key == NOTHING else key
    paths = split_paths(cells.get("files", ""))
    if not paths:
        loaded.add(line, "files", "Name one file at least, by its path in the version.")
    if bad := [path for path in paths if any(part in {".", ".."} for part in path.split("/")) or "//" in path]:
        loaded.add(line, "files", f"{bad[0][:100]!r} is no path: no empty, . or .. parts.")
        paths = [path for path in paths if path not in bad]
    values: list[Any] = []
    for column in columns:
        cell, value = cells.get(column.name, ""), None
        if cell == NOTHING:
            loaded.add(line, column.name, "Leave the cell empty where there is no value.")
        try:
            value = read_value(column, cell) if cell else None
        except ValueReadError as error:
            loaded.add(line, column.name, str(error))
        values.append(value)
    slots = sorted((column.slot, str(value)) for column, value in zip(columns, values, strict=True) if value is not None)
    signature = hashlib.sha256(repr((slots, sorted(set(paths)))).encode()).hexdigest()[:32]
    words = [key, *(str(value) for column, value in zip(columns, values, strict=True) if column.kind in {"text", "choice"} and value)]
    has_folder = any(path.endswith("/") for path in paths)
    return [line, key, signature, split_words(" ".join(words)), has_folder, *values], [(line, *_split(path)) for path in paths]


def split_paths(cell: str) -> list[str]:
    r"""Paths separated by |, with \ before a | or \ of their own; the first / may be left out."""
    parts, part, is_escaped = list[str](), "", False
    for character in cell:
        if is_escaped or character not in "\\|":
            part, is_escaped = part + character, False
        elif character == "\\":
            is_escaped = True
        else:
            parts.append(part)
            part = ""
    return ["/" + one.strip().removeprefix("/") for one in (*parts, part) if one.strip()]


def _stage(cursor: Any, rows: Iterator[tuple[list[Any], list[tuple[Any, ...]]]], columns: Sequence[ItemColumn]) -> int:
    names = ["line", "key", "signature", "words", "has_folder", *(column.slot for column in columns)]
    n_rows = 0
    while piece := list(islice(rows, CHUNK)):
        n_rows += len(piece)
        _copy(cursor, f"load_item ({', '.join(names)})", (row for row, _ in piece))
        _copy(cursor, "load_path (line, folder, name)", (path for _, paths in piece for path in paths))
    return n_rows


def _copy(cursor: Any, table: str, rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([[NOTHING if value is None else value for value in row] for row in rows])
    text.seek(0)
    cursor.copy_expert(f"copy {table} from stdin with (format csv, null '{NOTHING}')", text)


def _check(cursor: Any, keys: Mapping[str, Any], loaded: LoadedItems) -> None:
    """What only the whole table and the files of the version tell."""
    cursor.execute(REPEATED, keys)
    for line, key in cursor.fetchall():
        loaded.add(line, "item", f"{key[:60]!r} stands in an earlier line too.")
    cursor.execute(ABSENT, keys)
    for line, path in cursor.fetchall():
        kind = "holds nothing below" if path.endswith("/") else "holds no file"
        loaded.add(line, "files", f"This version {kind} {path[:200]}. Correct the path, or scan its location first.")
    if loaded.wrong:
        return
    cursor.execute(FILES, keys)
    cursor.execute("create index on load_file (line)")
    cursor.execute(TOO_MANY, keys)
    for line, n_files in cursor.fetchall():
        loaded.add(line, "files", f"{n_files:,} files in one item; at most {MOST_FILES:,}. Make several items of them.")


def _merge(cursor: Any, keys: Mapping[str, Any], columns: Sequence[ItemColumn], loaded: LoadedItems, *, is_complete: bool) -> int:
    """Bring the draft's items in line with what is staged; answers how many went."""
    cursor.execute(KEYS)
    cursor.execute("create index on load_key (key)")
    cursor.execute("analyze load_key")
    n_removed = _end(cursor, keys, GONE) if is_complete else 0
    cursor.execute(FORGET_SAME, keys)
    cursor.execute(COUNT, keys)
    loaded.n_new, loaded.n_changed = cursor.fetchone()
    replaced = """
        now.dataset_id = %(dataset)s and now.last_version is null and exists (select 1 from load_item s where s.key = now.key)"""
    _end(cursor, keys, replaced)
    slots = "".join(f", {column.slot}" for column in columns)
    cursor.execute(
        f"""
        with made as (
            insert into datasets_item (dataset_id, key, first_version, signature, words{slots})
            select %(dataset)s, key, %(version)s, signature, to_tsvector('simple', words){slots} from load_item order by key
            returning id, key
        )
        insert into datasets_itemfile (item_id, folder_id, name)
        select made.id, l.folder_id, l.name from made join load_item s on s.key = made.key join load_file l on l.line = s.line
        """,
        keys,
    )
    return n_removed


def _end(cursor: Any, keys: Mapping[str, Any], which: str) -> int:
    """Take the current items `now` out of the draft: its own rows go, those of earlier versions end before it."""
    own = f"select now.id from datasets_item now where now.first_version = %(version)s and {which}"
    cursor.execute(f"delete from datasets_itemfile where item_id in ({own})", keys)
    cursor.execute(f"delete from datasets_item where id in ({own})", keys)
    n_own = cursor.rowcount
    cursor.execute(f"update datasets_item now set last_version = %(version)s - 1 where now.first_version < %(version)s and {which}", keys)
    return int(n_own + cursor.rowcount)


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder + "/", name
