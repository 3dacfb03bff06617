"""Which identities were shown in a session, when and by what means.

A session is one person's sign-in in one browser. Tokens remember its id, so that an identity that is shown again counts at once for the
tokens that were given before (`globus session update`). Whether that is enough is asked in `policies.py` and `transfer/assurance.py`.
"""

import json
import time
from typing import Any

from services.localglobus.store import Connection

SCHEMA = """
create table if not exists authentication (
    session_id text not null,
    identity_id text not null references identity(id) on delete cascade,
    provider_id text not null,
    shown_at real not null,             -- seconds since 1970
    methods text not null default '',   -- of RFC 8176, separated by spaces: mfa
    primary key (session_id, identity_id)
);
"""

MFA = "mfa"

Authentications = dict[str, dict[str, Any]]
"""By identity, as introspection tells them: `{"idp", "auth_time", "acr", "amr", "custom_claims"}`."""


def note(connection: Connection, *, session_id: str, identity_id: str, provider_id: str) -> None:
    """The identity was shown just now; a second factor must be shown anew."""
    connection.execute(
        "insert into authentication (session_id, identity_id, provider_id, shown_at) values (?, ?, ?, ?)"
        " on conflict (session_id, identity_id) do update set shown_at = excluded.shown_at, methods = ''",
        (session_id, identity_id, provider_id, time.time()),
    )
    connection.execute("update identity set last_signed_in_at = ? where id = ?", (int(time.time()), identity_id))


def note_factor(connection: Connection, *, session_id: str, identity_id: str) -> bool:
    """A second factor was shown for an identity of the session; False when the session does not hold it."""
    found = connection.execute(
        "update authentication set methods = ? where session_id = ? and identity_id = ?", (MFA, session_id, identity_id)
    )
    return found.rowcount > 0


def shown_at(connection: Connection, session_id: str) -> dict[str, float]:
    """When each identity of the session was shown last."""
    rows = connection.execute("select identity_id, shown_at from authentication where session_id = ?", (session_id,))
    return {row["identity_id"]: row["shown_at"] for row in rows}


def of_session(connection: Connection, session_id: str | None) -> Authentications:
    """What was shown in the session so far; nothing for a client's own tokens, which have no session."""
    rows = connection.execute("select * from authentication where session_id = ?", (session_id,))
    return {
        row["identity_id"]: {
            "idp": row["provider_id"],
            "auth_time": int(row["shown_at"]),
            "acr": None,
            "amr": row["methods"].split() or None,
            "custom_claims": {},
        }
        for row in rows
    }


def of_token(connection: Connection, session: str) -> dict[str, Any]:
    """`{"session_id", "authentications"}` behind a token, from what the token remembers: a JSON text. Both are empty for a client's own."""
    remembered = json.loads(session)
    session_id = remembered.get("session_id")
    return {"session_id": session_id, "authentications": {**remembered.get("authentications", {}), **of_session(connection, session_id)}}
