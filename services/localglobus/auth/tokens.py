"""Access and refresh tokens: issued, recognised, refreshed, revoked. Only their SHA-256 is stored.

A token belongs to one identity, one client and one resource server. A *dependent* token is one that a resource server got in exchange
for a token it was given: it rests on the consents of the first client, below `root_path`.
Services ask `authenticate(request, scope=...)`, or `find_caller` where the token comes otherwise.
"""

import json
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from services.localglobus import errors, recent
from services.localglobus.auth import authentications, consents, scopes
from services.localglobus.auth.clients import hash_secret
from services.localglobus.auth.scopes import Path
from services.localglobus.store import Connection, Row, Store

SCHEMA = """
create table if not exists token (
    id integer primary key autoincrement,
    hash text not null unique,
    is_refresh integer not null,
    client_id text not null references client(id) on delete cascade,
    identity_id text not null references identity(id) on delete cascade,
    resource_server text not null references resource_server(name) on delete cascade,
    scopes text not null,               -- separated by spaces
    root_client_id text not null,       -- whose consents it rests on
    root_path text not null,            -- JSON list: the scopes above, [] for a token that the first client holds
    session text not null,              -- JSON: id and authentications of the sign-in behind it
    refresh_id integer references token(id) on delete cascade,
    code_id integer,
    issued_at integer not null,
    expires_at integer not null,
    revoked_at integer
);
create index if not exists token_refresh on token (refresh_id);
create index if not exists token_code on token (code_id);
create table if not exists retired_refresh (    -- refresh tokens that were replaced by another one
    token_id integer primary key references token(id) on delete cascade,
    retired_at real not null
);
"""

ACCESS_LIFETIME_S = 48 * 3600
REFRESH_LIFETIME_S = 183 * 86400
"""A refresh token dies after six months without use."""
REPEAT_S = 60
"""How long a replaced refresh token is still taken, for a client whose answer was lost on the way."""


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What tokens are issued for: who agreed, for whom, on which sign-in."""

    client_id: str
    identity_id: str
    session: str
    root_client_id: str
    root_path: Path = ()
    code_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who stands behind a bearer token.

    `identity_ids` is the whole linked set and `group_ids` the groups in which any of it is an active member.
    `consents` are the scope paths that start at one of this token's scopes: `(TRANSFER_ALL, data_access(id)) in caller.consents`.
    """

    identity_id: str
    username: str
    identity_ids: frozenset[str]
    client_id: str
    group_ids: frozenset[str]
    scopes: frozenset[str]
    resource_server: str
    consents: frozenset[Path]
    token_id: int
    expires_at: int
    session: dict[str, Any]
    issued_at: int = 0


def issue(
    connection: Connection,
    grant: Grant,
    *,
    resource_server: str,
    names: Iterable[str],
    is_refresh: bool = False,
    refresh_id: int | None = None,
) -> tuple[int, str]:
    """`(id, token)` of a new token; the token itself is not kept."""
    token = f"{'Rg' if is_refresh else 'Ag'}{secrets.token_urlsafe(48)}"
    now = int(time.time())
    cursor = connection.execute(
        "insert into token (hash, is_refresh, client_id, identity_id, resource_server, scopes, root_client_id, root_path, session,"
        " refresh_id, code_id, issued_at, expires_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            hash_secret(token),
            is_refresh,
            grant.client_id,
            grant.identity_id,
            resource_server,
            " ".join(names),
            grant.root_client_id,
            json.dumps(grant.root_path),
            grant.session,
            refresh_id,
            grant.code_id,
            now,
            now + (REFRESH_LIFETIME_S if is_refresh else ACCESS_LIFETIME_S),
        ),
    )
    return int(cursor.lastrowid or 0), token


def grant_of(row: Row) -> Grant:
    """The grant behind a stored token, to issue another one on it."""
    return Grant(
        client_id=row["client_id"],
        identity_id=row["identity_id"],
        session=row["session"],
        root_client_id=row["root_client_id"],
        root_path=tuple(json.loads(row["root_path"])),
        code_id=row["code_id"],
    )


def find(connection: Connection, token: str, *, is_refresh: bool | None = None) -> Row | None:
    """The live token of that value: known, not expired, not revoked, and every one of its scopes still agreed to."""
    row = connection.execute("select * from token where hash = ?", (hash_secret(token),)).fetchone()
    if row is None or row["revoked_at"] is not None or row["expires_at"] <= time.time():
        return None
    if is_refresh is not None and bool(row["is_refresh"]) != is_refresh:
        return None
    if row["is_refresh"] and _is_retired(connection, row):
        return None
    held = consents.paths(connection, identity_id=row["identity_id"], client_id=row["root_client_id"])
    root = tuple(json.loads(row["root_path"]))
    return row if all((*root, name) in held for name in row["scopes"].split()) else None


def touch(connection: Connection, row: Row) -> None:
    """A refresh token was used: its six months start again."""
    connection.execute("update token set expires_at = ? where id = ?", (int(time.time()) + REFRESH_LIFETIME_S, row["id"]))


def rotate(connection: Connection, row: Row) -> str:
    """Replace the refresh token of a public client (RFC 9700, section 4.14.2): the new one; the old one is soon no longer taken."""
    _, token = issue(
        connection,
        grant_of(row),
        resource_server=row["resource_server"],
        names=row["scopes"].split(),
        is_refresh=True,
        refresh_id=family_of(row),
    )
    connection.execute("insert or ignore into retired_refresh (token_id, retired_at) values (?, ?)", (row["id"], time.time()))
    return token


def family_of(row: Row) -> int:
    """Id of the first of the refresh tokens that replaced one another; access tokens name it as their origin."""
    return int(row["refresh_id"] or row["id"])


def _is_retired(connection: Connection, row: Row) -> bool:
    retired = connection.execute("select retired_at from retired_refresh where token_id = ?", (row["id"],)).fetchone()
    return retired is not None and retired["retired_at"] + REPEAT_S < time.time()


def end_if_reused(connection: Connection, token: str, *, client_id: str) -> None:
    """A replaced refresh token was shown again, by its owner or a thief: nobody can tell, so all of its family end."""
    row = connection.execute("select * from token where hash = ? and client_id = ?", (hash_secret(token), client_id)).fetchone()
    if row is not None and row["is_refresh"] and _is_retired(connection, row):
        _revoke_family(connection, row)


def revoke(connection: Connection, token: str) -> None:
    """End a token, and with a refresh token all that came from it. Safe to repeat; unknown tokens are no error."""
    row = connection.execute("select * from token where hash = ?", (hash_secret(token),)).fetchone()
    if row is not None:
        revoke_row(connection, row)


def revoke_row(connection: Connection, row: Row) -> int:
    """End the token of a row, and with a refresh token all that came from it; returns how many ended."""
    if row["is_refresh"]:
        return _revoke_family(connection, row)
    gone = connection.execute("update token set revoked_at = ? where id = ? and revoked_at is null", (int(time.time()), row["id"]))
    return gone.rowcount


def _revoke_family(connection: Connection, row: Row) -> int:
    first = family_of(row)
    gone = connection.execute(
        "update token set revoked_at = ? where (id = ? or refresh_id = ?) and revoked_at is null", (int(time.time()), first, first)
    )
    return gone.rowcount


def revoke_code(connection: Connection, code_id: int) -> None:
    """End every token that came from an authorization code which was shown twice, RFC 6749 section 4.1.2."""
    connection.execute("update token set revoked_at = ? where code_id = ? and revoked_at is null", (int(time.time()), code_id))


def find_caller(connection: Connection, token: str, *, scope: str | None = None) -> Caller | None:
    """Who stands behind an access token, or None when it is not live or has not that scope."""
    row = find(connection, token, is_refresh=False)
    if row is None or (scope is not None and scope not in row["scopes"].split()):
        return None
    return Caller(
        **describe_account(connection, row["identity_id"]),
        client_id=row["client_id"],
        scopes=frozenset(row["scopes"].split()),
        resource_server=row["resource_server"],
        consents=_consents_below(connection, row),
        token_id=row["id"],
        expires_at=row["expires_at"],
        session=authentications.of_token(connection, row["session"]),
        issued_at=row["issued_at"],
    )


def describe_account(connection: Connection, identity_id: str) -> dict[str, Any]:
    """The members of Caller that say who it is: identity, linked identities, groups."""
    people = connection.execute(
        "select id, username from identity where account_id = (select account_id from identity where id = ?)", (identity_id,)
    ).fetchall()
    ids = frozenset(person["id"] for person in people)
    groups = connection.execute(
        "select distinct group_id from membership where status = 'active' and identity_id in (select value from json_each(?))",
        (json.dumps([*ids]),),
    )
    return {
        "identity_id": identity_id,
        "username": next(person["username"] for person in people if person["id"] == identity_id),
        "identity_ids": ids,
        "group_ids": frozenset(group["group_id"] for group in groups),
    }


def _consents_below(connection: Connection, row: Row) -> frozenset[Path]:
    root = tuple(json.loads(row["root_path"]))
    names = set(row["scopes"].split())
    held = consents.paths(connection, identity_id=row["identity_id"], client_id=row["root_client_id"])
    return frozenset(path[len(root) :] for path in held if path[: len(root)] == root and len(path) > len(root) and path[len(root)] in names)


def read_bearer(request: Request) -> str | None:
    """The bearer token in the Authorization header; never one from the address."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() or None if kind.lower() == "bearer" else None


async def authenticate(request: Request, *, scope: str | Iterable[str] | None = None) -> Caller:
    """Who calls, by bearer token with `scope` (one of them, if several are given).

    Raises ApiError in the shape of the API that was asked: 401 without a live token for it, 403 when the token lacks the scope.
    """
    wanted = {scope} if isinstance(scope, str) else set(scope or ())
    token = read_bearer(request)
    store: Store = request.app.state.store
    caller = await store.read(find_caller, token) if token else None
    if caller is None:
        raise errors.unauthenticated(request)
    request.scope[recent.CALLER] = caller.username
    if wanted and not wanted & caller.scopes:
        raise errors.forbidden(request, f"the token lacks the scope {' or '.join(sorted(wanted))}")
    return caller


def servers(connection: Connection, names: Iterable[str]) -> dict[str, list[str]]:
    """Scope names by resource server: `auth.globus.org` first, the others in order of mention."""
    found: dict[str, list[str]] = {}
    for name in names:
        scope = scopes.get(connection, name)
        if scope is not None:
            found.setdefault(scope["resource_server"], []).append(name)
    return dict(sorted(found.items(), key=lambda item: item[0] != scopes.AUTH_SERVER))
