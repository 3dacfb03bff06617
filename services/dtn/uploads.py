"""Unfinished files that a killed node would leave behind: each is noted before it is made, and removed at the next start."""

import contextlib
import sqlite3
import threading
from pathlib import Path


class UploadBook:
    def __init__(self, file: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS upload (file TEXT PRIMARY KEY) WITHOUT ROWID")

    def begin(self, file: Path) -> None:
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO upload VALUES (?)", (str(file),))

    def end(self, file: Path) -> None:
        with self._lock:
            self._db.execute("DELETE FROM upload WHERE file = ?", (str(file),))

    def sweep(self) -> int:
        """Remove what an earlier run left unfinished; returns how many. For the start, before anything is taken in."""
        with self._lock:
            files = [str(row[0]) for row in self._db.execute("SELECT file FROM upload")]
            for file in files:
                with contextlib.suppress(OSError):
                    Path(file).unlink()
            self._db.execute("DELETE FROM upload")
        return len(files)
