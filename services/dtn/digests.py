"""SHA-256 of files, computed once: kept in the node's SQLite by what identifies the bytes (device, inode, size, mtime).

A file that was written within the clock's grain is not kept, since a second write could leave the same stamp.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, NamedTuple, Protocol

READ_BYTES = 1 << 20
WORTH_BYTES = 64 << 10  # a smaller file is hashed as fast as its digest is looked up
GRAIN_NS = 20_000_000  # file times step by up to 10 ms on Linux
MOST_FOLLOWED = 64
AT_ONCE_BYTES = 256 << 20  # a digest that takes longer is computed beside, and offered later


class Stamp(NamedTuple):
    """What identifies a file's bytes without reading them; for an object of a bucket, numbers made of its key and its ETag."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    @property
    def etag(self) -> str:
        return f'"{self.size:x}-{self.mtime_ns:x}-{self.inode:x}"'


class Readable(Protocol):
    """An open file, as far as hashing it needs (`storage.File`)."""

    def read_into(self, buffer: memoryview, offset: int) -> int: ...

    def announce(self, offset: int, length: int) -> None: ...

    def stamp_now(self) -> Stamp: ...

    def duplicate(self) -> Readable: ...

    def close(self) -> None: ...


class Following:
    """The SHA-256 of a file, taken from its bytes as they flow in order; for whoever holds it alone (`DigestBook.follow`)."""

    def __init__(self, stamp: Stamp) -> None:
        self.stamp = stamp
        self.since_ns = time.time_ns()
        self.offset = 0
        self._digest = hashlib.sha256()

    def feed(self, chunk: memoryview) -> None:
        self._digest.update(chunk)
        self.offset += len(chunk)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


class DigestBook:
    """Known digests, and those being computed. Safe to use from any thread."""

    def __init__(self, file: Path, executor: Executor) -> None:
        self._lock = threading.Lock()
        self._executor = executor
        self._running: dict[Stamp, tuple[Future[str], list[int]]] = {}
        self._followed: OrderedDict[Stamp, Following] = OrderedDict()  # interrupted: whoever goes on at the same byte takes it up
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS digest (device INTEGER, inode INTEGER, size INTEGER, mtime_ns INTEGER, sha256 TEXT NOT NULL,"
            " PRIMARY KEY (device, inode)) WITHOUT ROWID"
        )

    def known(self, stamp: Stamp) -> str | None:
        """Return the digest (hexadecimal) if it is known."""
        with self._lock:
            row = self._db.execute(
                "SELECT sha256 FROM digest WHERE device = ? AND inode = ? AND size = ? AND mtime_ns = ?",
                (stamp.device, stamp.inode, stamp.size, stamp.mtime_ns),
            ).fetchone()
        return None if row is None else str(row[0])

    def keep(self, stamp: Stamp, digest: str, *, since_ns: int | None = None) -> None:
        """Remember a digest of bytes that were read after `since_ns` (default: now)."""
        if (since_ns or time.time_ns()) - stamp.mtime_ns < GRAIN_NS:
            return
        with self._lock:
            self._db.execute(
                "INSERT OR REPLACE INTO digest VALUES (?, ?, ?, ?, ?)", (stamp.device, stamp.inode, stamp.size, stamp.mtime_ns, digest)
            )

    def keep_many(self, digests: Iterable[tuple[Stamp, str]]) -> None:
        """Remember digests of files that were written just now, in one step; of very small ones none."""
        now = time.time_ns()
        rows = [
            (stamp.device, stamp.inode, stamp.size, stamp.mtime_ns, digest)
            for stamp, digest in digests if stamp.size >= WORTH_BYTES and now - stamp.mtime_ns >= GRAIN_NS
        ]  # fmt: skip
        if not rows:
            return
        with self._lock:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR REPLACE INTO digest VALUES (?, ?, ?, ?, ?)", rows)
            self._db.execute("COMMIT")

    def compute(self, file: Readable, progress: Callable[[int], None] = lambda _: None) -> str:
        """Read the whole file and return its digest; kept if the file did not change meanwhile. Blocks: call it in a thread."""
        stamp, since_ns = file.stamp_now(), time.time_ns()
        known = self.known(stamp)
        if known is not None:
            return known
        file.announce(0, stamp.size)
        digest = digest_of(file, progress)
        if file.stamp_now() == stamp:
            self.keep(stamp, digest, since_ns=since_ns)
        return digest

    def start(self, file: Readable) -> tuple[Future[str], int]:
        """Compute beside, on a copy of the open file; returns the future and the bytes read so far. Safe to repeat: it runs once."""
        stamp = file.stamp_now()
        with self._lock:
            running = self._running.get(stamp)
            if running is not None:
                return running[0], running[1][0]
            done = [0]
            future = self._executor.submit(self._compute_and_close, file.duplicate(), done)
            self._running[stamp] = (future, done)
        future.add_done_callback(lambda _: self._forget(stamp))
        return future, 0

    def _compute_and_close(self, file: Readable, done: list[int]) -> str:
        def note(n_bytes: int) -> None:
            done[0] += n_bytes

        try:
            return self.compute(file, note)
        finally:
            file.close()

    def follow(self, file: Readable, offset: int) -> Following | None:
        """Return what takes the digest of bytes that are read from `offset` on; None when those before have not been seen.

        It is the caller's alone until `release`; `finish` keeps the digest when the end was reached and the file is still the same.
        """
        stamp = file.stamp_now()
        with self._lock:
            followed = self._followed.get(stamp)
            if followed is not None and followed.offset == offset:
                return self._followed.pop(stamp)
        return Following(stamp) if offset == 0 else None

    def finish(self, following: Following, file: Readable) -> None:
        """Keep the digest of a file whose last byte was fed."""
        stamp = following.stamp
        if following.offset == stamp.size and file.stamp_now() == stamp:
            self.keep(stamp, following.hexdigest(), since_ns=following.since_ns)

    def release(self, following: Following) -> None:
        """Let somebody else go on with it."""
        if following.offset == following.stamp.size:
            return
        with self._lock:
            self._followed[following.stamp] = following
            while len(self._followed) > MOST_FOLLOWED:
                self._followed.popitem(last=False)

    def _forget(self, stamp: Stamp) -> None:
        with self._lock:
            self._running.pop(stamp, None)

    def close(self) -> None:
        self._db.close()


def digest_of(file: Readable, progress: Callable[[int], None] = lambda _: None) -> str:
    """Return the SHA-256 (hexadecimal) of what the file reads from its beginning. Memory stays flat."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(READ_BYTES))
    offset = 0
    while n_bytes := file.read_into(buffer, offset):
        digest.update(buffer[:n_bytes])
        offset += n_bytes
        progress(n_bytes)
    return digest.hexdigest()


def asked_of(checksum: str | None) -> tuple[str, str]:
    """Return algorithm and digest (hexadecimal) of an item's own checksum: `md5:...`, or a SHA-256 alone; nothing where there is none."""
    algorithm, found, digest = (checksum or "").lower().rpartition(":")
    return (algorithm if found or not digest else "sha256"), digest


def by(algorithm: str, body: bytes = b"") -> Any:
    """Return what takes the digest by `md5`, `sha1`, `sha256` or `sha512`, to compare, not to trust."""
    return hashlib.new(algorithm, body, usedforsecurity=False)


def as_field(digest: str) -> str:
    """Return the value of a `Repr-Digest` field (RFC 9530, section 3)."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:"


def from_field(field: str) -> str | None:
    """Return the SHA-256 (hexadecimal) of a `Repr-Digest` or `Content-Digest` field, if it has one that can be read."""
    for member in field.split(","):
        algorithm, _, value = member.strip().partition("=")
        if algorithm.lower() == "sha-256" and len(value) > 2 and value[0] == value[-1] == ":":
            try:
                digest = base64.b64decode(value[1:-1], validate=True)
            except ValueError:
                return None
            return digest.hex() if len(digest) == 32 else None
    return None
