"""Unfinished files that a killed node would leave behind: each is noted before it is made, and removed at the next start.

Those of resumable uploads outlive a start: their writer may come back for a week.
"""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from services.dtn.accounting import Connection

KEPT_S = 7 * 86_400.0


class UploadBook:
    def __init__(self, file: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS upload (file TEXT PRIMARY KEY) WITHOUT ROWID")
        self._db.execute("CREATE TABLE IF NOT EXISTS resumable (file TEXT PRIMARY KEY, touched_at REAL NOT NULL) WITHOUT ROWID")
        self._at_work: dict[str, tuple[Connection, asyncio.Event]] = {}

    @contextlib.asynccontextmanager
    async def alone(self, noted: str, connection: Connection) -> AsyncIterator[None]:
        """One request at a time writes a resumable file: the latest, since its writer comes back when the former has broken off.

        That one may not have noticed yet: its connection is cut, and what it brought is kept before the new one begins.
        """
        while (former := self._at_work.get(noted)) is not None:
            former[0].abort()
            await former[1].wait()
        ended = asyncio.Event()
        self._at_work[noted] = (connection, ended)
        try:
            yield
        finally:
            del self._at_work[noted]
            ended.set()

    def touch(self, noted: str) -> None:
        """Note a resumable file before it is made, and whenever more of it comes."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO resumable VALUES (?, ?)", (noted, time.time()))

    def forget(self, noted: str) -> None:
        """A resumable file is whole, or gone."""
        with self._lock:
            self._db.execute("DELETE FROM resumable WHERE file = ?", (noted,))

    def begin(self, noted: str) -> None:
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO upload VALUES (?)", (noted,))

    def end(self, noted: str) -> None:
        with self._lock:
            self._db.execute("DELETE FROM upload WHERE file = ?", (noted,))

    def sweep(self, forget: Callable[[str], bool]) -> int:
        """Remove what an earlier run left unfinished; returns how many. For the start, before anything is taken in.

        `forget` removes what a note tells of; False: it cannot be reached now, and is tried at the next start.
        """
        with self._lock:
            oldest = time.time() - KEPT_S
            found = self._db.execute("SELECT file FROM upload UNION SELECT file FROM resumable WHERE touched_at < ?", (oldest,))
            gone = [row for row in found.fetchall() if forget(str(row[0]))]
            self._db.executemany("DELETE FROM upload WHERE file = ?", gone)
            self._db.executemany("DELETE FROM resumable WHERE file = ?", gone)
        return len(gone)
