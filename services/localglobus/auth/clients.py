"""Clients: the programs that ask for tokens. Secrets are stored as hashes; redirect URIs match exactly.

Each client is an identity as well (`identities.py`), so that it can own tasks, hold roles and be in groups.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
import urllib.parse
import uuid
from collections.abc import Mapping, Sequence

from services.localglobus.auth import identities
from services.localglobus.errors import OAuthError
from services.localglobus.store import Connection, Row

SCHEMA = """
create table if not exists client (
    id text primary key,
    name text not null,
    is_public integer not null,         -- has no secret, must use PKCE
    redirect_uris text not null,        -- JSON list
    parent_id text,                     -- the template it was made from
    created_at integer not null
);
create table if not exists client_secret (
    id text primary key,
    client_id text not null references client(id) on delete cascade,
    hash text not null,
    created_at integer not null
);
"""

CLI_TEMPLATE = "95fdeba8-fac2-42bd-a357-e068d82ff78e"
"""The published template id of the Globus CLI: an unauthenticated POST makes an instance of it."""

LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1"}


def hash_secret(value: str) -> str:
    """SHA-256: the values are long and random, so that nothing slower is called for."""
    return hashlib.sha256(value.encode()).hexdigest()


def create(
    connection: Connection,
    *,
    client_id: str,
    name: str,
    is_public: bool = False,
    redirect_uris: Sequence[str] = (),
    parent_id: str | None = None,
) -> None:
    """Make or update a client and its identity. Safe to repeat; secrets stay."""
    connection.execute(
        "insert into client (id, name, is_public, redirect_uris, parent_id, created_at) values (?, ?, ?, ?, ?, ?)"
        " on conflict (id) do update set name = excluded.name, redirect_uris = excluded.redirect_uris",
        (client_id, name, is_public, json.dumps(list(redirect_uris)), parent_id, int(time.time())),
    )
    username = f"{client_id}@{identities.CLIENT_DOMAIN}"
    identities.create(connection, identity_id=client_id, username=username, name=name, kind="service")


def delete(connection: Connection, client_id: str) -> None:
    """Forget a client with its secrets, tokens and consents; its identity stays as closed. Safe to repeat."""
    connection.execute("delete from client where id = ?", (client_id,))
    connection.execute("update identity set status = 'closed' where id = ?", (client_id,))


def get(connection: Connection, client_id: str) -> Row | None:
    row: Row | None = connection.execute("select * from client where id = ?", (client_id,)).fetchone()
    return row


def make_secret(connection: Connection, client_id: str) -> tuple[str, str]:
    """`(credential id, secret)` of a new secret beside the old ones; the secret is not kept."""
    secret = base64.b64encode(secrets.token_bytes(32)).decode()
    return set_secret(connection, client_id, secret), secret


def set_secret(connection: Connection, client_id: str, secret: str) -> str:
    """Let the client sign in by `secret` too. Safe to repeat. Answers the id of the credential."""
    hashed = hash_secret(secret)
    known = connection.execute("select id from client_secret where client_id = ? and hash = ?", (client_id, hashed)).fetchone()
    if known:
        return str(known["id"])
    credential_id = str(uuid.uuid4())
    connection.execute(
        "insert into client_secret (id, client_id, hash, created_at) values (?, ?, ?, ?)",
        (credential_id, client_id, hashed, int(time.time())),
    )
    return credential_id


def has_secret(connection: Connection, client_id: str, secret: str) -> bool:
    """Is this one of the client's secrets? Compared in constant time."""
    hashed = hash_secret(secret)
    rows = connection.execute("select hash from client_secret where client_id = ?", (client_id,)).fetchall()
    return sum(hmac.compare_digest(row["hash"], hashed) for row in rows) > 0


def read_credentials(authorization: str | None, form: Mapping[str, str]) -> tuple[str, str | None]:
    """`(client id, secret or None)` from HTTP Basic or the form, RFC 6749 section 2.3.1. Raises OAuthError invalid_client."""
    if authorization and authorization.lower().startswith("basic "):
        try:
            text = base64.b64decode(authorization[6:].strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise OAuthError("invalid_client", "the Authorization header is not Basic", 401) from None
        client_id, colon, secret = text.partition(":")
        if not colon:
            raise OAuthError("invalid_client", "the Authorization header is not Basic", 401)
        return urllib.parse.unquote(client_id), urllib.parse.unquote(secret)
    if not form.get("client_id"):
        raise OAuthError("invalid_client", "client authentication is missing", 401)
    return form["client_id"], form.get("client_secret")


def authenticate(connection: Connection, client_id: str, secret: str | None, *, allow_public: bool = False) -> Row:
    """The client that gave these credentials. Raises OAuthError invalid_client, without saying which part was wrong."""
    client = get(connection, client_id)
    if client is not None:
        if client["is_public"] and allow_public and not secret:
            return client
        if secret and has_secret(connection, client_id, secret):
            return client
    raise OAuthError("invalid_client", "client authentication failed", 401)


def is_redirect_allowed(client: Row, redirect_uri: str) -> bool:
    """Exact match with a registered URI; a registered loopback URI allows any port, RFC 8252 section 7.3."""
    registered = json.loads(client["redirect_uris"])
    return redirect_uri in registered or any(_is_same_loopback(known, redirect_uri) for known in registered)


def _is_same_loopback(known: str, asked: str) -> bool:
    try:
        left, right = urllib.parse.urlsplit(known), urllib.parse.urlsplit(asked)
        right_port = right.port
    except ValueError:
        return False
    if left.hostname not in LOOPBACK_HOSTS or left.scheme != "http" or left.port is not None or right_port is None:
        return False
    plain = right.username is None and right.password is None and not right.fragment
    return plain and (left.scheme, left.hostname, left.path, left.query) == (right.scheme, right.hostname, right.path, right.query)


def is_site_known(connection: Connection, address: str) -> bool:
    """Is this http(s) address on the site (scheme, host, port) of any client's redirect URI?"""
    try:
        asked = urllib.parse.urlsplit(address)
    except ValueError:
        return False
    if asked.scheme not in ("http", "https") or "\\" in address:
        return False
    rows = connection.execute("select redirect_uris from client").fetchall()
    known = [urllib.parse.urlsplit(uri) for row in rows for uri in json.loads(row["redirect_uris"])]
    return any((uri.scheme, uri.netloc) == (asked.scheme, asked.netloc) for uri in known)
