"""On what a timer acts: not on a token, which would end, but on what its owner agrees to when a run is due.

The consents are those of the client that made the timer: to Timers, below it to Transfer, below that to the data of mapped collections.
What is missing is said as a client can ask for it: `authorization_parameters` with `required_scopes` from the scope of Timers down.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from services.localglobus.auth import authentications, consents
from services.localglobus.auth.scopes import TRANSFER_ALL, URL_PREFIX, Path
from services.localglobus.auth.tokens import Caller, describe_account
from services.localglobus.errors import ApiError
from services.localglobus.transfer.operations import open_collection

SERVER = "524230d7-ea86-4a52-8312-86065a9e0417"
TIMER = f"{URL_PREFIX}{SERVER}/timer"


@dataclass(frozen=True, kw_only=True)
class Authority:
    """Whose consents and which sign-in: what is kept of the token by which a timer was made."""

    owner_id: str
    client_id: str
    root: Path  # the scopes above Transfer's, the last of them TIMER
    session: str
    issued_at: int


def of_token(db: sqlite3.Connection, caller: Caller) -> Authority:
    """Returns what the caller's token rests on."""
    row = db.execute("SELECT * FROM token WHERE id = ?", (caller.token_id,)).fetchone()
    root = (*json.loads(row["root_path"]), TIMER)
    return Authority(
        owner_id=row["identity_id"], client_id=row["root_client_id"], root=root, session=row["session"], issued_at=row["issued_at"]
    )


def of_timer(row: sqlite3.Row) -> Authority:
    return Authority(
        owner_id=row["owner_id"],
        client_id=row["client_id"],
        root=tuple(json.loads(row["root"])),
        session=row["session"],
        issued_at=row["token_issued_at"],
    )


def caller_at_transfer(db: sqlite3.Connection, authority: Authority) -> Caller:
    """Returns the owner as Transfer would see her by a dependent token. Raises `ApiError` 403 `ConsentRequired` if she agreed to none."""
    root = authority.root
    held = consents.paths(db, identity_id=authority.owner_id, client_id=authority.client_id)
    below = frozenset(path[len(root) :] for path in held if path[: len(root)] == root and path[len(root) :][:1] == (TRANSFER_ALL,))
    if (TRANSFER_ALL,) not in below:
        raise required(f"{TIMER}[{TRANSFER_ALL}]", "Missing required consent to transfer files")
    return Caller(
        **describe_account(db, authority.owner_id),
        client_id=authority.client_id,
        scopes=frozenset({TRANSFER_ALL}),
        resource_server="transfer.api.globus.org",
        consents=below,
        token_id=0,
        expires_at=0,
        session=authentications.of_token(db, authority.session),
        issued_at=authority.issued_at,
    )


def require_collections(db: sqlite3.Connection, caller: Caller, body: dict[str, Any]) -> None:
    """Raises `ApiError` for a collection that the owner may not use now: unknown, without consent, without access."""
    for name in ("source_endpoint", "destination_endpoint"):
        try:
            open_collection(db, str(body.get(name)), caller)
        except ApiError as error:
            raise below_timers(error) from error


def below_timers(error: ApiError) -> ApiError:
    """The refusal of Transfer as Timers passes it on: what must be agreed to begins with Timers' own scope."""
    scopes = error.extra.get("required_scopes")
    if error.code != "ConsentRequired" or not scopes:
        return error
    return required(f"{TIMER}[{scopes[0]}]", error.message)


def required(scope: str, message: str) -> ApiError:
    parameters = {"session_message": message, "required_scopes": [scope]}
    return ApiError("ConsentRequired", message, 403, extra={"authorization_parameters": parameters})
