"""The second factor: a code of six digits, good once and for ten minutes, and a page to type it on.

At Globus the person's own provider asks for it. This stand-in has no telephone to send it to, so the page shows it; a wrong one is refused
all the same, and five wrong ones lock the identity's second factor for five minutes.
"""

import hmac
import math
import secrets
import time
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.localglobus.auth import authentications, identities, pages, sessions
from services.localglobus.auth.clients import hash_secret
from services.localglobus.auth.sessions import Session
from services.localglobus.store import Connection, Store

SCHEMA = """
create table if not exists second_factor (
    identity_id text primary key references identity(id) on delete cascade,
    code_hash text,                     -- null once it was used
    expires_at real not null,
    failures integer not null default 0,
    locked_until real not null default 0
);
"""

LIFETIME_S = 600
MOST_FAILURES = 5
LOCK_S = 300


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """What the page shows: the code of the person's telephone, or for how long it is locked."""

    username: str
    code: str = ""
    locked_s: int = 0


def challenge(connection: Connection, identity_id: str) -> Challenge | None:
    """A new code for an identity, the old one void; None for an identity that there is not."""
    person = identities.get(connection, identity_id)
    if person is None:
        return None
    locked_s = _locked_s(connection, identity_id)
    if locked_s:
        return Challenge(username=person["username"], locked_s=locked_s)
    code = f"{secrets.randbelow(10**6):06}"
    connection.execute(
        "insert into second_factor (identity_id, code_hash, expires_at) values (?, ?, ?)"
        " on conflict (identity_id) do update set code_hash = excluded.code_hash, expires_at = excluded.expires_at",
        (identity_id, hash_secret(code), time.time() + LIFETIME_S),
    )
    return Challenge(username=person["username"], code=code)


def answer(connection: Connection, session: Session, identity_id: str, code: str) -> bool:
    """Was that the code? Then the session holds the second factor from now on. A wrong one is counted."""
    row = connection.execute("select * from second_factor where identity_id = ?", (identity_id,)).fetchone()
    if row is None or _locked_s(connection, identity_id):
        return False
    is_right = hmac.compare_digest(row["code_hash"] or "", hash_secret(code.strip())) and row["expires_at"] > time.time()
    if is_right and authentications.note_factor(connection, session_id=session.session_id, identity_id=identity_id):
        connection.execute("update second_factor set code_hash = null, failures = 0 where identity_id = ?", (identity_id,))
        return True
    failures = row["failures"] + 1
    is_last = failures >= MOST_FAILURES
    connection.execute(
        "update second_factor set failures = ?, locked_until = ? where identity_id = ?",
        (0 if is_last else failures, time.time() + LOCK_S if is_last else 0, identity_id),
    )
    return False


def _locked_s(connection: Connection, identity_id: str) -> int:
    row = connection.execute("select locked_until from second_factor where identity_id = ?", (identity_id,)).fetchone()
    return max(0, math.ceil(row["locked_until"] - time.time())) if row else 0


async def second_factor(request: Request) -> Response:
    """GET shows the code and asks for it; POST goes on to `next` with the right one, else asks again."""
    session = await sessions.read(request)
    asked = await pages.read_form(request) if request.method == "POST" else dict(request.query_params)
    if asked is None or session is None:
        return pages.refuse(request, "This form was not shown in this browser, or is old. Go back and try again.", status=403)
    identity_id, target = asked.get("identity", ""), asked.get("next", "")
    if not pages.is_local(target) or identity_id not in session.authentications:
        return pages.refuse(request, "That is not for this sign-in.")
    store: Store = request.app.state.store
    is_wrong = False
    if request.method == "POST":
        if await store.write(answer, session, identity_id, asked.get("code", "")):
            return pages.see(target)
        is_wrong = True
    shown = await store.write(challenge, identity_id)
    if shown is None:
        return pages.refuse(request, "Nobody of that id can sign in here.")
    if shown.locked_s:
        return pages.refuse_in(request, f"Too many wrong codes for {shown.username}.", wait_s=shown.locked_s)
    context = {"shown": shown, "identity": identity_id, "next": target, "message": asked.get("message", ""), "is_wrong": is_wrong}
    return pages.render(request, "second-factor.html", context, status=403 if is_wrong else 200)


routes: list[Route] = [Route(pages.SECOND_FACTOR, pages.metered(second_factor), methods=["GET", "POST"])]
