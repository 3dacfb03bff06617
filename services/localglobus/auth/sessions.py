"""Who is signed in to the stand-in in this browser: a signed cookie of its own name, and a row with the identity and when.

The cookie holds a random id and its HMAC; the store holds the id's hash only. Signing in changes the id. Forms carry a token made from
the id, so that another site cannot post them.
"""

import hashlib
import hmac
import json
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from services.localglobus.auth import authentications, identities
from services.localglobus.auth.authentications import Authentications
from services.localglobus.auth.clients import hash_secret
from services.localglobus.auth.keys import write_private
from services.localglobus.store import Connection, Store

SCHEMA = """
create table if not exists session (
    hash text primary key,
    session_id text not null,
    identity_id text not null references identity(id) on delete cascade,
    authentications text not null,      -- of older versions: they are in a table of their own
    expires_at integer not null
);
"""

COOKIE = "localglobus_session"
LIFETIME_S = 7 * 86400
STAMP_LIFETIME_S = 3600


class Cookies:
    """Signs and reads cookie values with a key that is kept on disk (0600)."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            write_private(path, secrets.token_bytes(32))
        self._key = path.read_bytes()

    def make(self) -> str:
        """A fresh signed value."""
        value = secrets.token_urlsafe(32)
        return f"{value}.{self._mac('cookie', value)}"

    def read(self, text: str | None) -> str | None:
        """The value when its signature is right, else None."""
        value, _, mac = (text or "").partition(".")
        return value if value and hmac.compare_digest(mac.encode(), self._mac("cookie", value).encode()) else None

    def form_token(self, cookie: str) -> str:
        """What a form of this browser must carry."""
        return self._mac("form", self.read(cookie) or "")

    def is_form_token(self, cookie: str | None, given: str) -> bool:
        """Does a posted form come from a page of ours in this browser?"""
        value = self.read(cookie)
        return value is not None and hmac.compare_digest(self._mac("form", value).encode(), given.encode())

    def stamp(self, text: str) -> str:
        """The time of now, signed together with `text`."""
        moment = f"{time.time():.6f}"
        return f"{moment}-{self._mac('stamp', f'{moment} {text}')}"

    def read_stamp(self, given: str, text: str) -> float | None:
        """The moment of a stamp that was made for `text` within the last hour, else None."""
        moment, _, mac = given.partition("-")
        if not hmac.compare_digest(mac.encode(), self._mac("stamp", f"{moment} {text}").encode()):
            return None
        return float(moment) if float(moment) > time.time() - STAMP_LIFETIME_S else None

    def _mac(self, purpose: str, value: str) -> str:
        return hmac.new(self._key, f"{purpose}:{value}".encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Session:
    """A signed-in browser. `identity_id` is the primary identity; `authentications` says which were shown, and when."""

    session_id: str
    identity_id: str
    authentications: Authentications
    shown_at: Mapping[str, float]

    def as_json(self) -> str:
        """What tokens remember of it."""
        return json.dumps({"session_id": self.session_id})


def find(connection: Connection, value: str) -> Session | None:
    """The session of a cookie value, or None."""
    row = connection.execute("select * from session where hash = ? and expires_at > ?", (hash_secret(value), int(time.time()))).fetchone()
    if row is None:
        return None
    return Session(
        session_id=row["session_id"],
        identity_id=row["identity_id"],
        authentications=authentications.of_session(connection, row["session_id"]),
        shown_at=authentications.shown_at(connection, row["session_id"]),
    )


async def read(request: Request) -> Session | None:
    """Who is signed in, or None."""
    store: Store = request.app.state.store
    value = request.app.state.cookies.read(request.cookies.get(COOKIE))
    return await store.read(find, value) if value else None


def open_session(connection: Connection, *, value: str, identity_id: str, old_value: str | None) -> bool:
    """Sign in as an identity that people can sign in with; False for any other. The session acts as its primary identity.

    A session of the same account in this browser goes on, with one authentication more.
    """
    person = identities.get(connection, identity_id)
    if person is None or person["kind"] != "login" or person["status"] != "used":
        return False
    now = int(time.time())
    before = find(connection, old_value) if old_value else None
    session_id = before.session_id if before and before.identity_id == person["account_id"] else str(uuid.uuid4())
    if old_value:
        close_session(connection, old_value)
    connection.execute(
        "insert into session (hash, session_id, identity_id, authentications, expires_at) values (?, ?, ?, '{}', ?)",
        (hash_secret(value), session_id, person["account_id"], now + LIFETIME_S),
    )
    authentications.note(connection, session_id=session_id, identity_id=identity_id, provider_id=person["provider_id"])
    connection.execute("update identity set last_signed_in_at = ? where id = ?", (now, person["account_id"]))
    return True


def close_session(connection: Connection, value: str) -> None:
    """Sign out. Safe to repeat."""
    connection.execute("delete from session where hash = ? or expires_at <= ?", (hash_secret(value), int(time.time())))


def set_cookie(response: Response, value: str) -> None:
    """HttpOnly, and not sent along by other sites' forms; plain HTTP on loopback, so not Secure."""
    response.set_cookie(COOKIE, value, max_age=LIFETIME_S, httponly=True, samesite="lax", path="/")
