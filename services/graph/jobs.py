"""The job store: one SQLite file in WAL that the web process and the workers share. It is the queue of record.

A job that waits for work has `due_at` and `claimed_until`; messages of the broker are hints. Tokens that a job needs are kept
encrypted and wiped when it ends. Every function opens its own connection: cheap, and safe across forks and threads.

    queued ──▶ running ──▶ done | partial | failed
                  ▲  │
                  └──┘ (again later: what failed may pass)
    done | partial | failed ──▶ cleaning ──▶ cleaned
"""

import contextlib
import hashlib
import json
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

CLAIM_S = 10.0
RESULTS_LIFETIME_S = 30 * 86400.0
RECORD_LIFETIME_S = 90 * 86400.0
INSPECTION_LIFETIME_S = 86400.0

MOVES: dict[str, set[str]] = {
    "queued": {"running", "cleaning"},
    "running": {"queued", "done", "partial", "failed", "cleaning"},
    "done": {"cleaning"},
    "partial": {"cleaning"},
    "failed": {"cleaning"},
    "cleaning": {"cleaned"},
    "cleaned": set(),
}
WAITING = "status in ('queued', 'running', 'cleaning')"
SCHEMA = """
create table if not exists job (
    id text primary key,
    kind text not null check (kind in ('graph', 'inspection')),
    identity_id text not null,
    username text not null,
    status text not null default 'queued',
    request text not null,
    request_key text not null,
    tokens blob,
    done integer not null default 0,
    total integer not null default 0,
    results text not null default '[]',
    failures text not null default '[]',
    submission_id text not null default '',
    task_id text not null default '',
    attempts integer not null default 0,
    created_at real not null,
    updated_at real not null,
    due_at real not null,
    claimed_until real not null default 0,
    claimed_by text not null default '',
    expires_at real
);
create index if not exists job_due on job (due_at) where status in ('queued', 'running', 'cleaning');
create index if not exists job_request on job (identity_id, request_key);
create table if not exists inspected (
    job_id text not null references job (id) on delete cascade,
    number integer not null,
    document text not null,
    primary key (job_id, number)
) without rowid;
"""


class StaleJobError(Exception):
    """Somebody else moved the job, or its claim was lost: stop, without a word about it."""


@dataclass(frozen=True)
class Job:
    """One row; `request`, `results` and `failures` as Python values."""

    id: str
    kind: str
    identity_id: str
    username: str
    status: str
    request: dict[str, Any]
    done: int
    total: int
    results: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    submission_id: str
    task_id: str
    attempts: int
    claimed_by: str

    @property
    def folder(self) -> str:
        """Where the results of a graph lie in the results collection."""
        return f"/graphs/{self.id}/"


class Store:
    """The jobs of this service. `name` tells this store from that of another graph service at the same broker."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = folder / "jobs.sqlite3"
        key = _own_key(folder / "tokens.key")
        self._fernet = Fernet(key)
        self.name = hashlib.sha256(b"causeway graph store " + key).hexdigest()[:12]
        db = sqlite3.connect(self._file, timeout=20, isolation_level=None)
        db.execute("pragma journal_mode=wal")
        db.executescript(SCHEMA)
        db.close()
        self._file.chmod(0o600)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """One transaction that takes the write lock at its start."""
        db = sqlite3.connect(self._file, timeout=20, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            db.execute("pragma foreign_keys=on")
            db.execute("begin immediate")
            yield db
            if db.in_transaction:
                db.execute("commit")
        finally:
            db.close()

    def add(
        self, *, kind: str, identity_id: str, username: str, request: dict[str, Any], key: str, tokens: dict[str, str], total: int
    ) -> Job:
        """A new job, due now."""
        now, job_id = time.time(), str(uuid.uuid4())
        sealed = self._fernet.encrypt(json.dumps(tokens).encode())
        with self._open() as db:
            db.execute(
                "insert into job (id, kind, identity_id, username, request, request_key, tokens, total, created_at, updated_at, due_at)"
                " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (job_id, kind, identity_id, username, json.dumps(request), key, sealed, total, now, now, now),
            )
        return self.get(job_id)

    def get(self, job_id: str) -> Job:
        """Raises KeyError."""
        with self._open() as db:
            row = db.execute("select * from job where id = ?", (job_id,)).fetchone()
        if row is None:
            raise KeyError(job_id)
        return _to_job(row)

    def find_same(self, identity_id: str, key: str) -> Job | None:
        """The latest job of an identity for the same request that has results or is on its way to them."""
        with self._open() as db:
            row = db.execute(
                "select * from job where identity_id = ? and request_key = ? and status in ('queued', 'running', 'done', 'partial')"
                " order by created_at desc limit 1",
                (identity_id, key),
            ).fetchone()
        return _to_job(row) if row else None

    def due(self, *, limit: int = 100) -> list[tuple[str, str, str]]:
        """(id, kind, status) of jobs that wait for work and that nobody works on."""
        now = time.time()
        with self._open() as db:
            rows = db.execute(
                f"select id, kind, status from job where {WAITING} and due_at <= ? and claimed_until <= ? order by due_at limit ?",  # noqa: S608
                (now, now, limit),
            ).fetchall()
        return [(row["id"], row["kind"], row["status"]) for row in rows]

    def expired(self) -> list[str]:
        """Jobs whose results are past their time."""
        with self._open() as db:
            rows = db.execute("select id from job where status in ('done', 'partial') and expires_at <= ?", (time.time(),)).fetchall()
        return [row["id"] for row in rows]

    def forget_old(self) -> None:
        """Delete records that nobody will ask for again."""
        now = time.time()
        with self._open() as db:
            db.execute("delete from job where status in ('cleaned', 'failed') and updated_at < ?", (now - RECORD_LIFETIME_S,))
            old = now - INSPECTION_LIFETIME_S
            db.execute(f"delete from job where kind = 'inspection' and not {WAITING} and updated_at < ?", (old,))  # noqa: S608

    @contextmanager
    def claim(self, job_id: str, *, expected: Sequence[str]) -> Iterator[Job | None]:
        """Hold a job while working on it; None when it is gone, elsewhere, or held by another. The claim is renewed until the end."""
        holder, now = uuid.uuid4().hex, time.time()
        marks = ",".join("?" * len(expected))
        with self._open() as db:
            taken = db.execute(
                f"update job set claimed_until = ?, claimed_by = ?, attempts = attempts + 1"  # noqa: S608
                f" where id = ? and status in ({marks}) and claimed_until <= ? and due_at <= ?",
                (now + CLAIM_S, holder, job_id, *expected, now, now),
            ).rowcount
        if not taken:
            yield None
            return
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(job_id, holder, ended), daemon=True)
        renewing.start()
        try:
            yield self.get(job_id)
        finally:
            ended.set()
            renewing.join()
            with self._open() as db:
                db.execute("update job set claimed_until = 0, claimed_by = '' where id = ? and claimed_by = ?", (job_id, holder))

    def _renew(self, job_id: str, holder: str, ended: threading.Event) -> None:
        while not ended.wait(CLAIM_S / 4):
            with self._open() as db:
                db.execute("update job set claimed_until = ? where id = ? and claimed_by = ?", (time.time() + CLAIM_S, job_id, holder))

    def move_to(self, job: Job, new: str, *, due_in_s: float = 0.0, **facts: Any) -> Job:
        """The only writer of `status`. Raises StaleJobError when the row is no longer what `job` says. Tokens are wiped when work ends."""
        if new not in MOVES[job.status]:
            raise StaleJobError(f"{job.status} -> {new}")
        now = time.time()
        facts = {name: json.dumps(value) if isinstance(value, (list, dict)) else value for name, value in facts.items()}
        facts |= {"status": new, "updated_at": now, "due_at": now + due_in_s}
        if new in {"done", "partial", "failed", "cleaned", "cleaning"}:
            facts["tokens"] = None
        if new in {"done", "partial"} and job.kind == "graph":
            facts["expires_at"] = now + RESULTS_LIFETIME_S
        if new == "cleaning":  # whoever works on it loses it
            facts |= {"claimed_until": 0, "claimed_by": "", "attempts": 0}
        columns = ", ".join(f"{name} = ?" for name in facts)
        with self._open() as db:
            where, values = "id = ? and status = ?", [*facts.values(), job.id, job.status]
            if job.claimed_by and new != "cleaning":
                where, values = f"{where} and claimed_by = ?", [*values, job.claimed_by]
            if not db.execute(f"update job set {columns} where {where}", values).rowcount:  # noqa: S608
                raise StaleJobError(job.id)
        return self.get(job.id)

    def keep(self, job: Job, **facts: Any) -> None:
        """Write facts that are no state: keys that must be saved before a call, progress. Raises StaleJobError."""
        columns = ", ".join(f"{name} = ?" for name in facts)
        with self._open() as db:
            values = [*facts.values(), time.time(), job.id, job.claimed_by]
            if not db.execute(f"update job set {columns}, updated_at = ? where id = ? and claimed_by = ?", values).rowcount:  # noqa: S608
                raise StaleJobError(job.id)

    def tokens_of(self, job: Job) -> dict[str, str]:
        """The tokens by collection that the job was given; empty once it ended."""
        with self._open() as db:
            row = db.execute("select tokens from job where id = ?", (job.id,)).fetchone()
        return dict(json.loads(self._fernet.decrypt(row["tokens"]))) if row and row["tokens"] else {}

    def add_inspected(self, job: Job, number: int, document: dict[str, Any]) -> None:
        """Record one inspected file under its number (from 1). Safe to repeat."""
        with self._open() as db:
            db.execute("insert or replace into inspected values (?, ?, ?)", (job.id, number, json.dumps(document)))
            db.execute("update job set done = (select count(*) from inspected where job_id = job.id) where id = ?", (job.id,))

    def inspected(self, job: Job, *, after: int, limit: int) -> list[dict[str, Any]]:
        """Inspected files with numbers above `after`, each with its `index`."""
        with self._open() as db:
            rows = db.execute("select * from inspected where job_id = ? and number > ? order by number limit ?", (job.id, after, limit))
            return [{"index": row["number"], **json.loads(row["document"])} for row in rows]

    def delete(self, job: Job) -> None:
        """Forget a job."""
        with self._open() as db:
            db.execute("delete from job where id = ?", (job.id,))

    def counts(self) -> dict[str, int]:
        """Jobs by status."""
        with self._open() as db:
            return {row["status"]: row["n"] for row in db.execute("select status, count(*) as n from job group by status")}


def _to_job(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"], kind=row["kind"], identity_id=row["identity_id"], username=row["username"], status=row["status"],
        request=json.loads(row["request"]), done=row["done"], total=row["total"], results=json.loads(row["results"]),
        failures=json.loads(row["failures"]), submission_id=row["submission_id"], task_id=row["task_id"], attempts=row["attempts"],
        claimed_by=row["claimed_by"],
    )  # fmt: skip


def _own_key(file: Path) -> bytes:
    """The key that tokens are kept under, made at the first start, readable by this service alone."""
    fresh = file.with_name(f".{uuid.uuid4().hex}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(Fernet.generate_key())
    try:
        with contextlib.suppress(FileExistsError):
            os.link(fresh, file)  # whole or not at all, whoever starts first
    finally:
        fresh.unlink()
    return file.read_bytes()
