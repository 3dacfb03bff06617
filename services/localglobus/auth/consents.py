"""What an identity agreed that a client may do: a tree per (identity, client), one row a scope path.

A top-level row says "this client may use that service as me"; a row below it says "and that service may use this one for it".
A token carries no consents of its own: what holds is what the tree says at the moment of asking, so that a consent given later helps
a token given earlier, and one taken back stops it.
"""

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from services.localglobus.auth import scopes
from services.localglobus.auth.scopes import Path, Scope
from services.localglobus.store import Connection, Row

SCHEMA = """
create table if not exists consent (
    id integer primary key autoincrement,
    identity_id text not null references identity(id) on delete cascade,
    client_id text not null references client(id) on delete cascade,
    path text not null,                 -- JSON list of scope names, top first
    parent_id integer references consent(id) on delete cascade,
    is_optional integer not null,
    allows_refresh integer not null,
    is_auto_approved integer not null,
    created_at integer not null,
    updated_at integer not null,
    last_used_at integer not null,
    unique (identity_id, client_id, path)
);
"""


def paths(connection: Connection, *, identity_id: str, client_id: str) -> frozenset[Path]:
    """Every scope path agreed to."""
    rows = connection.execute("select path from consent where identity_id = ? and client_id = ?", (identity_id, client_id))
    return frozenset(tuple(json.loads(row["path"])) for row in rows)


def missing(connection: Connection, wanted: Iterable[Scope], *, identity_id: str, client_id: str) -> list[Path]:
    """The paths of `wanted` that were not agreed to yet, in order."""
    held = paths(connection, identity_id=identity_id, client_id=client_id)
    return [path for path, _ in scopes.walk(wanted) if path not in held]


def record(
    connection: Connection, wanted: Iterable[Scope], *, identity_id: str, client_id: str, allows_refresh: bool, is_auto_approved: bool
) -> None:
    """Write down the agreement to every path of `wanted`, beside what was agreed to before. Safe to repeat."""
    now = int(time.time())
    for path, scope in scopes.walk(wanted):
        parent = _find(connection, identity_id, client_id, path[:-1]) if len(path) > 1 else None
        connection.execute(
            "insert into consent (identity_id, client_id, path, parent_id, is_optional, allows_refresh, is_auto_approved,"
            " created_at, updated_at, last_used_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " on conflict (identity_id, client_id, path) do update set allows_refresh = max(allows_refresh, excluded.allows_refresh),"
            " updated_at = excluded.updated_at, last_used_at = excluded.last_used_at",
            (
                identity_id,
                client_id,
                json.dumps(path),
                parent["id"] if parent else None,
                scope.is_optional,
                allows_refresh,
                is_auto_approved,
                now,
                now,
                now,
            ),
        )


def withdraw(connection: Connection, consent_id: int, *, identity_id: str) -> bool:
    """Take back one agreement and all below it; False when there is no such one. Tokens that rested on it stop at once."""
    return connection.execute("delete from consent where id = ? and identity_id = ?", (consent_id, identity_id)).rowcount > 0


def _find(connection: Connection, identity_id: str, client_id: str, path: Path) -> Row | None:
    row: Row | None = connection.execute(
        "select * from consent where identity_id = ? and client_id = ? and path = ?", (identity_id, client_id, json.dumps(path))
    ).fetchone()
    return row


def describe_all(connection: Connection, *, identity_id: str) -> list[dict[str, Any]]:
    """The consent documents of the Auth API for one identity, parents first.

    Below the top, `client` is the service that holds the consent: the resource server of the scope above.
    """
    rows = connection.execute("select * from consent where identity_id = ? order by id", (identity_id,)).fetchall()
    chains: dict[int, list[int]] = {}
    described = []
    for row in rows:
        path = json.loads(row["path"])
        scope = scopes.get(connection, path[-1])
        above = scopes.get(connection, path[-2]) if len(path) > 1 else None
        if scope is None or (len(path) > 1 and above is None):
            continue
        chains[row["id"]] = [*chains.get(row["parent_id"], []), row["id"]]
        described.append(
            {
                "id": row["id"],
                "client": above["client_id"] if above else row["client_id"],
                "scope": scope["id"],
                "scope_name": path[-1],
                "dependency_path": chains[row["id"]],
                "created": _iso(row["created_at"]),
                "updated": _iso(row["updated_at"]),
                "last_used": _iso(row["last_used_at"]),
                "status": "approved",
                "allows_refresh": bool(row["allows_refresh"]),
                "auto_approved": bool(row["is_auto_approved"]),
                "atomically_revocable": bool(row["is_optional"]),
                "effective_identity": row["identity_id"],
            }
        )
    return described


def list_held(connection: Connection, *, identity_id: str) -> list[dict[str, Any]]:
    """For the person's page: each consent with its client's name and its scope in words, parents first, `depth` for what hangs below."""
    rows = connection.execute(
        "select consent.*, client.name as client_name from consent join client on client.id = consent.client_id"
        " where identity_id = ? order by client.name, client.id, path",
        (identity_id,),
    ).fetchall()
    held = []
    for row in rows:
        path = json.loads(row["path"])
        scope = scopes.get(connection, path[-1])
        if scope is not None:
            words = {"title": scope["title"], "server": scope["server_title"], "since": _iso(row["created_at"])[:10]}
            held.append({"id": row["id"], "client": row["client_name"], "depth": len(path) - 1, **words})
    return held


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
