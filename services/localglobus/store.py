"""The one SQLite file in which localglobus keeps everything, and the only way to it.

Writes run one at a time, in a thread of their own, each in one transaction; reads run beside them in a small pool. The event loop
never waits on the disk. WAL with `synchronous=FULL`: what was answered is on the disk, whatever kills the process afterwards.
Each noun declares its own tables in a `SCHEMA` string; `app.py` lists them. Nothing here knows what a table means.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

Connection = sqlite3.Connection
Row = sqlite3.Row

VERSION = 1
"""Of the schema; a file written by a newer program is refused rather than misread."""

READERS = 4


class StoreVersionError(RuntimeError):
    """The file was written by another version of localglobus: start with an empty folder."""


def connect(path: Path) -> Connection:
    """A connection in WAL mode with full sync, foreign keys on and transactions left to the caller."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.row_factory = sqlite3.Row
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA busy_timeout=30000;")
    return connection


OF_THE_STATEMENT = frozenset(
    {
        sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_MISUSE,
        sqlite3.SQLITE_RANGE,
    }
)  # fmt: skip
"""Primary result codes (https://www.sqlite.org/rescode.html) of what fails as often as it is tried."""


def may_pass(error: Exception) -> bool:
    """Whether an error is the disk's or another process's, so that the same act may succeed later."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF not in OF_THE_STATEMENT


class Store:
    """A database file with one writer thread and a pool of readers. Closing it waits for the writes already asked for."""

    def __init__(self, path: Path, schemas: Sequence[str]) -> None:
        self.path = path
        self._writer = connect(path)
        apply_schemas(self._writer, schemas)
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_forever, name="store-writer", daemon=True)
        self._thread.start()
        self._local = threading.local()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")

    async def write(self, act: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`act(connection, ...)` in one transaction: committed when it returns, undone when it raises. The error is raised here too."""
        return await asyncio.wrap_future(self._enqueue(act, *args, **kwargs))

    async def read(self, act: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`act(connection, ...)` on one consistent snapshot that includes every write answered before. It must not write."""
        return await asyncio.wrap_future(self._readers.submit(lambda: self._read(act, *args, **kwargs)))

    def write_now(self, act: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like `write`, for the start of the program, before there is an event loop."""
        return self._enqueue(act, *args, **kwargs).result()

    def close(self) -> None:
        """Finish what was asked for and close the file."""
        self._jobs.put(None)
        self._thread.join()
        self._readers.shutdown()
        self._writer.close()

    def _enqueue(self, act: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        answer: Future[T] = Future()
        self._jobs.put((lambda: act(self._writer, *args, **kwargs), answer))
        return answer

    def _write_forever(self) -> None:
        while (job := self._jobs.get()) is not None:
            act, answer = job
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                result = in_transaction(self._writer, act)
            except BaseException as error:  # noqa: BLE001 (belongs to the caller, who awaits it)
                answer.set_exception(error)
            else:
                answer.set_result(result)

    def _read(self, act: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect(self.path)
            connection.execute("PRAGMA query_only=ON")
            self._local.connection = connection
        connection.execute("BEGIN")
        try:
            return act(connection, *args, **kwargs)
        finally:
            connection.execute("ROLLBACK")


def in_transaction(connection: Connection, act: Callable[[], T]) -> T:
    """Run `act` between BEGIN and COMMIT of the writing connection; ROLLBACK when it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = act()
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return result


def apply_schemas(connection: Connection, schemas: Sequence[str]) -> None:
    """Create what is missing. Every statement says `if not exists`, so that this is safe at each start."""
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > VERSION:
        raise StoreVersionError(f"the store has schema version {found}, this program knows {VERSION}: start with an empty folder")
    for schema in schemas:
        connection.executescript(schema)
    connection.execute(f"PRAGMA user_version={VERSION}")
