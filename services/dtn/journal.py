"""What is done of one copy or delete order, so that a killed node goes on where it was: one SQLite file per order in the state folder.

A row is written after its bytes are safe: a piece after its data reached the disk, a file after its rename. A batch of results gets
its number here before it is sent, so that a repeat after a crash is the same batch under the same number.
"""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.dtn.accounting import now_text

BATCH_ROWS = 1000
Row = tuple[Any, ...]
EntryRow = tuple[str, str, str, int | None, int | None, str | None]
"""What an item holds: kind, source path, destination path, size, time, checksum."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS item (
    idx INTEGER PRIMARY KEY, source_path TEXT NOT NULL, destination_path TEXT NOT NULL, is_recursive INTEGER NOT NULL,
    checksum TEXT, is_expanded INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS entry (
    id INTEGER PRIMARY KEY, item_idx INTEGER NOT NULL, kind TEXT NOT NULL, source_path TEXT NOT NULL, destination_path TEXT NOT NULL,
    size INTEGER, mtime_ns INTEGER, checksum TEXT, status TEXT NOT NULL DEFAULT 'pending', etag TEXT, digest TEXT,
    bytes INTEGER NOT NULL DEFAULT 0, error_code TEXT, error_details TEXT, sequence INTEGER, UNIQUE (item_idx, source_path));
CREATE INDEX IF NOT EXISTS entry_failed ON entry (id) WHERE status = 'failed';
CREATE INDEX IF NOT EXISTS entry_sequence ON entry (sequence) WHERE sequence IS NOT NULL;
CREATE TABLE IF NOT EXISTS piece (entry_id INTEGER, offset INTEGER, length INTEGER, PRIMARY KEY (entry_id, offset)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY, body TEXT NOT NULL, sequence INTEGER);
CREATE TABLE IF NOT EXISTS landing (id INTEGER PRIMARY KEY, files TEXT NOT NULL);
"""
_ADD_ENTRY = (
    "INSERT OR IGNORE INTO entry (item_idx, kind, source_path, destination_path, size, mtime_ns, checksum, status)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_ADD_ENTRIES = (
    "INSERT OR IGNORE INTO entry (item_idx, kind, source_path, destination_path, size, mtime_ns, checksum, status)"
    " SELECT ?, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), json_extract(value, '$[3]'),"
    " json_extract(value, '$[4]'), json_extract(value, '$[5]'), ? FROM json_each(?) ORDER BY key"
)
_END_ENTRIES = (
    "UPDATE entry SET status = 'transferred', digest = ended.value, bytes = coalesce(size, 0), error_code = NULL, error_details = NULL,"
    " sequence = ? FROM json_each(?) AS ended WHERE entry.id = CAST(ended.key AS INTEGER)"
)
_UNNUMBERED = "sequence IS NULL AND status <> 'pending' AND kind = 'file'"


@dataclass
class Item:
    index: int
    source_path: str
    destination_path: str
    is_recursive: bool
    checksum: str | None


@dataclass
class FileEntry:
    """One file to be copied (or, in a delete order, one path to be deleted)."""

    id: int
    source_path: str
    destination_path: str
    size: int | None
    mtime_ns: int | None
    checksum: str | None
    etag: str | None
    is_recursive: bool = False
    has_news: bool = False  # size or time are others than the journal has


@dataclass
class Counters:
    """Totals since the order began (PROTOCOL.md, section 5)."""

    files: int = 0
    files_transferred: int = 0
    files_skipped: int = 0
    directories: int = 0
    bytes_transferred: int = 0
    bytes_checksummed: int = 0
    faults: int = 0
    symlinks: int = 0


@dataclass(frozen=True)
class Batch:
    """Results and events that control is told under one number, in the form of PROTOCOL.md, section 5."""

    number: int
    arrived: list[dict[str, Any]]
    results: list[dict[str, Any]]
    events: list[dict[str, Any]]


class Journal:
    """Safe to use from any thread."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.RLock()
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA wal_autocheckpoint=4000")
        is_former = self._rows("SELECT 1 FROM sqlite_master WHERE name = 'entry_unsent'")
        self._db.executescript(_SCHEMA)
        (last,) = self._db.execute(
            "SELECT max(n) FROM (SELECT max(sequence) n FROM entry UNION ALL SELECT max(sequence) FROM event)"
        ).fetchone()
        self._filling, self._n_filled = (last or 0) + 1, 0  # the batch that results go into: never one that may have been sent
        with self._transaction() as db:
            if is_former and last is not None:  # a former version gave the numbers as it sent: control may have had the last one
                db.execute("INSERT OR IGNORE INTO meta VALUES ('sending', ?)", (json.dumps((last, last)),))
            db.execute("DROP INDEX IF EXISTS entry_unsent")
            self._number_rest(db)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:  # whatever ends it, no transaction stays open
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _run(self, sql: str, *values: Any) -> None:
        with self._lock:
            self._db.execute(sql, values)

    def get(self, key: str) -> Any:
        rows = self._rows("SELECT value FROM meta WHERE key = ?", key)
        return json.loads(rows[0][0]) if rows else None

    def set(self, key: str, value: Any) -> None:
        self._run("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, json.dumps(value))

    # items and entries

    def last_item(self) -> int:
        return int(self._rows("SELECT coalesce(max(idx), -1) FROM item")[0][0])

    def add_items(self, items: Iterable[Item]) -> None:
        rows = [(one.index, one.source_path, one.destination_path, one.is_recursive, one.checksum) for one in items]
        with self._transaction() as db:
            db.executemany(
                "INSERT OR IGNORE INTO item (idx, source_path, destination_path, is_recursive, checksum) VALUES (?, ?, ?, ?, ?)", rows
            )

    def items(self, *, only_unexpanded: bool = False, only_recursive: bool = False) -> list[Item]:
        rows = self._rows(
            "SELECT idx, source_path, destination_path, is_recursive, checksum FROM item"
            " WHERE (NOT ? OR NOT is_expanded) AND (NOT ? OR is_recursive) ORDER BY idx",
            only_unexpanded, only_recursive,
        )  # fmt: skip
        return [Item(row[0], row[1], row[2], bool(row[3]), row[4]) for row in rows]

    def add_entries(self, item: Item, rows: Sequence[EntryRow]) -> list[int]:
        """Note what an item holds. Safe to repeat.

        Returns how many files, folders and kept links are new.
        """
        found = []
        with self._transaction() as db:
            for kind, status in (("file", "pending"), ("dir", "made"), ("link", "made")):
                values = [row for row in rows if row[0] == kind]
                text = json.dumps(values, ensure_ascii=False)
                if "\\u0000" in text:  # where SQLite's JSON ends a text
                    found.append(db.executemany(_ADD_ENTRY, [(item.index, *row, status) for row in values]).rowcount)
                else:
                    found.append(db.execute(_ADD_ENTRIES, (item.index, status, text)).rowcount if values else 0)
        return found

    def add_single_entries(self, items: Sequence[Item]) -> None:
        """Note items that are one file each, and that they are expanded. Safe to repeat."""
        with self._transaction() as db:
            db.executemany(
                _ADD_ENTRY,
                [(one.index, "file", one.source_path, one.destination_path, None, None, one.checksum, "pending") for one in items],
            )
            db.executemany("UPDATE item SET is_expanded = 1 WHERE idx = ?", [(one.index,) for one in items])

    def split(self, item: Item, below: Sequence[tuple[str, str]]) -> list[Item]:
        """Note that an item is expanded but for folders (source_path, destination_path) below it, which become items of their own."""
        with self._transaction() as db:
            db.executemany(
                "DELETE FROM entry WHERE item_idx = ? AND source_path = ? AND kind = 'dir'", [(item.index, one[0]) for one in below]
            )
            (last,) = db.execute("SELECT max(idx) FROM item").fetchone()
            items = [Item(last + n, *paths, is_recursive=True, checksum=None) for n, paths in enumerate(below, start=1)]
            db.executemany(
                "INSERT INTO item (idx, source_path, destination_path, is_recursive) VALUES (?, ?, ?, 1)",
                [(one.index, one.source_path, one.destination_path) for one in items],
            )
            db.execute("UPDATE item SET is_expanded = 1 WHERE idx = ?", (item.index,))
        return items

    def mark_expanded(self, items: Iterable[Item]) -> None:
        with self._transaction() as db:
            db.executemany("UPDATE item SET is_expanded = 1 WHERE idx = ?", [(item.index,) for item in items])

    def pending(self, *, after: int, limit: int) -> list[FileEntry]:
        return self._pending("e.id > ? ORDER BY e.id LIMIT ?", after, limit)

    def _pending(self, which: str, *values: int) -> list[FileEntry]:
        ((found,),) = self._rows(
            "SELECT json_group_array(json_array(id, source_path, destination_path, size, mtime_ns, checksum, etag, is_recursive)) FROM ("  # noqa: S608 (our own words)
            "SELECT e.id, e.source_path, e.destination_path, e.size, e.mtime_ns, e.checksum, e.etag, i.is_recursive FROM entry e"
            f" JOIN item i ON i.idx = e.item_idx WHERE e.status = 'pending' AND {which})", *values,
        )  # fmt: skip
        return [FileEntry(row[0], row[1], row[2], row[3], row[4], row[5], row[6], bool(row[7])) for row in json.loads(found)]

    def index_destinations(self) -> None:
        """Before the first `has_destination`: most orders never ask, and an index that is not there costs nothing."""
        self._run("CREATE INDEX IF NOT EXISTS entry_destination ON entry (destination_path)")

    def has_destination(self, path: str) -> bool:
        return bool(self._rows("SELECT 1 FROM entry WHERE destination_path = ? LIMIT 1", path))

    def set_facts(self, entry: FileEntry) -> None:
        self._run("UPDATE entry SET size = ?, mtime_ns = ?, etag = ? WHERE id = ?", entry.size, entry.mtime_ns, entry.etag, entry.id)

    def set_error(self, entry: FileEntry, code: str, details: str) -> None:
        """Note the latest fault of a file that is tried again."""
        self._run("UPDATE entry SET error_code = ?, error_details = ? WHERE id = ?", code, details, entry.id)

    def begin_landing(self, files: Sequence[tuple[FileEntry, str, str]]) -> int:
        """Note files (digest, etag, of which all or none are empty) that are about to get their names; `end` and `end_many` strike it off.

        A node that is killed in between finds in `interrupted` what may be in its place already, and need not be delivered twice.
        """
        if any(etag for _, _, etag in files):
            noted = json.dumps([(entry.id, entry.size, digest, etag) for entry, digest, etag in files])
        else:
            noted = json.dumps({entry.id: digest for entry, digest, _ in files})
        news = [(entry.size, entry.mtime_ns, entry.id) for entry, _, _ in files if entry.has_news]
        with self._transaction() as db:
            db.executemany("UPDATE entry SET size = ?, mtime_ns = ? WHERE id = ?", news)
            return int(db.execute("INSERT INTO landing (files) VALUES (?)", (noted,)).lastrowid or 0)

    def interrupted(self) -> list[tuple[FileEntry, str, str]]:
        """Return the files (digest, etag) that a killed node was about to put into their places."""
        found = []
        for (noted,) in self._rows("SELECT files FROM landing"):
            files = json.loads(noted)
            if isinstance(files, dict):
                files = [(key, None, digest, "") for key, digest in files.items()]
            for entry_id, size, digest, etag in files:
                for entry in self._pending("e.id = ?", int(entry_id)):
                    entry.size = entry.size if size is None else size
                    found.append((entry, digest, etag))
        return found

    def forget_interrupted(self) -> None:
        self._run("DELETE FROM landing")

    def end(
        self, entry: FileEntry, status: str, *, digest: str | None = None, code: str | None = None, details: str | None = None,
        landing: int = 0,
    ) -> None:  # fmt: skip
        """Record what became of a file; its pieces are forgotten."""
        n_bytes = (entry.size or 0) if status == "transferred" else 0
        with self._transaction() as db:
            db.execute(
                "UPDATE entry SET status = ?, digest = ?, size = ?, bytes = ?, error_code = ?, error_details = ?, sequence = ?"
                " WHERE id = ?",
                (status, digest, entry.size, n_bytes, code, details, self._batch_for(1), entry.id),
            )
            db.execute("DELETE FROM piece WHERE entry_id = ?", (entry.id,))
            db.execute("DELETE FROM landing WHERE id = ?", (landing,))

    def end_many(self, entries: Iterable[tuple[FileEntry, str]], *, landing: int) -> None:
        """Record in one step that files (with their digests) of a landing were transferred whole."""
        rows = [(entry.id, digest) for entry, digest in entries]
        with self._transaction() as db:
            for number, some in self._in_batches(rows):
                db.execute(_END_ENTRIES, (number, json.dumps(dict(some))))
            db.execute("DELETE FROM landing WHERE id = ?", (landing,))

    def skip_many(self, entries: Iterable[tuple[FileEntry, str | None]]) -> None:
        """Record in one step that files (with their digests, where known) were up to date."""
        rows = [(digest, entry.size, entry.id) for entry, digest in entries]
        with self._transaction() as db:
            for number, some in self._in_batches(rows):
                db.executemany(
                    "UPDATE entry SET status = 'skipped', digest = ?, size = ?, error_code = NULL, error_details = NULL,"  # noqa: S608 (a number)
                    f" sequence = {number} WHERE id = ?", some,
                )  # fmt: skip

    def end_folder(self, item: Item, status: str, *, source_path: str, destination_path: str, code: str, details: str) -> bool:
        """Record that a folder of an item could not be read: one result stands for it. What was found below it keeps its own.

        Returns False when that is recorded already.
        """
        with self._transaction() as db:
            done = db.execute(
                "INSERT INTO entry (item_idx, kind, source_path, destination_path, status, error_code, error_details, sequence)"
                " VALUES (?, 'file', ?, ?, ?, ?, ?, ?) ON CONFLICT (item_idx, source_path) DO UPDATE SET kind = 'file',"
                " status = excluded.status, error_code = excluded.error_code, error_details = excluded.error_details,"
                " sequence = excluded.sequence WHERE kind = 'dir'",
                (item.index, source_path, destination_path, status, code, details, self._batch_for(1)),
            )  # fmt: skip
            return done.rowcount > 0

    def has_passed_over(self) -> bool:
        """Whether something at the source was skipped because it could not be read."""
        return bool(self._rows("SELECT 1 FROM entry WHERE status = 'skipped' AND error_code IS NOT NULL LIMIT 1"))

    def fail_pending(self, *, code: str, details: str) -> None:
        """Give up on what is left: each file keeps its own last fault, or gets this one."""
        with self._transaction() as db:
            failed = db.execute(
                "UPDATE entry SET status = 'failed', error_code = coalesce(error_code, ?), error_details = coalesce(error_details, ?)"
                " WHERE status = 'pending'", (code, details),
            )  # fmt: skip
            if failed.rowcount:
                self._number_rest(db)

    def first_failure(self) -> tuple[str, str] | None:
        rows = self._rows("SELECT error_code, error_details FROM entry WHERE status = 'failed' ORDER BY id LIMIT 1")
        return (str(rows[0][0]), str(rows[0][1])) if rows else None

    # pieces of large files

    def pieces(self, entry: FileEntry) -> dict[int, int]:
        return {int(row[0]): int(row[1]) for row in self._rows("SELECT offset, length FROM piece WHERE entry_id = ?", entry.id)}

    def add_piece(self, entry: FileEntry, offset: int, length: int) -> None:
        self._run("INSERT OR REPLACE INTO piece VALUES (?, ?, ?)", entry.id, offset, length)

    def forget_pieces(self, entry: FileEntry) -> None:
        with self._transaction() as db:
            db.execute("DELETE FROM piece WHERE entry_id = ?", (entry.id,))
            db.execute("UPDATE entry SET etag = NULL WHERE id = ?", (entry.id,))

    # counting and reporting

    def count(self) -> Counters:
        """Add up from the rows; for the start of a run."""
        files, transferred, skipped, folders, links, n_bytes, checked = self._rows(
            "SELECT count(*) FILTER (WHERE kind = 'file'), count(*) FILTER (WHERE kind = 'file' AND status = 'transferred'),"
            " count(*) FILTER (WHERE kind = 'file' AND status = 'skipped'), count(*) FILTER (WHERE kind = 'dir'),"
            " count(*) FILTER (WHERE kind = 'link'),"
            " coalesce(sum(bytes), 0), coalesce(sum(bytes) FILTER (WHERE digest IS NOT NULL), 0) FROM entry"
        )[0]
        pieces = self._rows("SELECT coalesce(sum(length), 0) FROM piece")[0][0]
        return Counters(files, transferred, skipped, folders, n_bytes + pieces, checked, int(self.get("faults") or 0), links)

    def add_event(self, code: str, description: str, *, details: str = "", is_error: bool = False) -> None:
        body = {"code": code, "description": description, "details": details, "is_error": is_error, "time": now_text()}
        self._run("INSERT INTO event (body) VALUES (?)", json.dumps(body))

    def _batch_for(self, n_results: int) -> int:
        """Return the number of the batch that takes so many results (at most `BATCH_ROWS`) more."""
        if self._n_filled + n_results > BATCH_ROWS:
            self._filling, self._n_filled = self._filling + 1, 0
        self._n_filled += n_results
        return self._filling

    def _in_batches(self, rows: Sequence[Row]) -> Iterator[tuple[int, Sequence[Row]]]:
        for at in range(0, len(rows), BATCH_ROWS):
            some = rows[at : at + BATCH_ROWS]
            yield self._batch_for(len(some)), some

    def _number_rest(self, db: sqlite3.Connection) -> None:
        """Put what came to its end without a number into batches."""
        ids = [(0,)]
        while ids:
            ids = db.execute(f"SELECT id FROM entry WHERE id > ? AND {_UNNUMBERED} ORDER BY id LIMIT ?", (*ids[-1], BATCH_ROWS)).fetchall()  # noqa: S608
            db.executemany(f"UPDATE entry SET sequence = {self._batch_for(len(ids))} WHERE id = ?", ids)  # noqa: S608 (a number)

    def next_batch(self, *, last_accepted: int) -> Batch | None:
        """Return the batch to send now; the same one until `accept` is called. None when nothing is new.

        The numbers that control sees have no gaps; those in the rows may have.
        """
        heard = int(self.get("accepted") or 0)
        accepted = max(last_accepted, heard)
        number, filled = self.get("sending") or (heard, heard)
        with self._transaction() as db:
            if number <= accepted:
                db.execute("UPDATE event SET sequence = ? WHERE sequence IS NULL", (self._filling,))
                (filled,) = db.execute(
                    "SELECT min(n) FROM (SELECT min(sequence) n FROM entry WHERE sequence > ?"
                    " UNION ALL SELECT min(sequence) FROM event WHERE sequence > ?)", (filled, filled),
                ).fetchone()  # fmt: skip
                if filled is None:
                    return None
                number = accepted + 1
                db.execute("INSERT OR REPLACE INTO meta VALUES ('sending', ?)", (json.dumps((number, filled)),))
            if filled == self._filling:  # it is sent now: nothing more goes into it
                self._filling, self._n_filled = filled + 1, 0
        bodies = self._rows("SELECT body FROM event WHERE sequence = ?", filled)
        return Batch(number, *self._results(filled), [json.loads(body[0]) for body in bodies])

    def _results(self, number: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the results of a batch: those of files that arrived under their own names by folders, all others one by one."""
        ((told,),) = self._rows(
            "SELECT json_group_array(json_array(source_path, destination_path, size, digest, status, error_code, error_details))"
            " FROM entry WHERE sequence = ?", number,
        )  # fmt: skip
        folders: dict[tuple[str, str], list[tuple[str, int, str]]] = {}
        others = []
        names = ("source_path", "destination_path", "size", "checksum", "status", "error_code", "error_details")
        for row in json.loads(told):
            source_path, destination_path, size, digest, status = row[:5]
            source, name = source_path[: source_path.rfind("/") + 1], source_path[source_path.rfind("/") + 1 :]
            destination = destination_path[: destination_path.rfind("/") + 1]
            if status == "transferred" and digest is not None and destination_path == destination + name:
                folders.setdefault((source, destination), []).append((name, size, digest))
            else:
                others.append(dict(zip(names, row, strict=True)))
        arrived = [{"source_folder": one[0], "destination_folder": one[1], "files": files} for one, files in folders.items()]
        return arrived, others

    def accept(self, number: int) -> None:
        self.set("accepted", number)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def remove(self) -> None:
        """Forget the order."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            self.file.with_name(self.file.name + suffix).unlink(missing_ok=True)
