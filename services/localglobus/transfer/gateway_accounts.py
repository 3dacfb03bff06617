"""Which accounts a storage gateway lets in: a name that is denied stays out; where names are allowed, nobody else is.

(https://docs.globus.org/globus-connect-server/v5/api/schemas/StorageGateway_1_1_0_schema/)
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.localglobus.errors import ApiError

MOST_NAMES = 1000


@dataclass(frozen=True)
class Accounts:
    """The two lists; None where there is none."""

    allowed: list[str] | None = None
    denied: list[str] | None = None

    def admit(self, account: str) -> bool:
        return account not in (self.denied or ()) and (not self.allowed or account in self.allowed)


def of_gateway(db: sqlite3.Connection, gateway_id: str) -> Accounts:
    row = db.execute("SELECT users_allow, users_deny FROM gateway_restriction WHERE gateway_id = ?", (gateway_id,)).fetchone()
    return Accounts() if row is None else Accounts(*(each and json.loads(each) for each in row))


def admits_credential(db: sqlite3.Connection, gateway_id: str, credential_id: str | None) -> bool:
    """Whether the account of a user credential may use the gateway now; what works without one, on hosts without a GCS Manager, does."""
    row = db.execute("SELECT username FROM user_credential WHERE id = ?", (credential_id,)).fetchone()
    return row is None or of_gateway(db, gateway_id).admit(row["username"])


def keep(db: sqlite3.Connection, gateway_id: str, asked: Mapping[str, Any]) -> None:
    """Keeps what a gateway document says of accounts; the rest stays. Raises `ApiError` 400."""
    if asked.get("restrict_paths") is not None:
        raise ApiError("bad_request", "restrict_paths of a storage gateway is not supported", 400)
    if not {"users_allow", "users_deny"} & set(asked):
        return
    held = of_gateway(db, gateway_id)
    lists = [read_names(asked.get(name, value), name) for name, value in (("users_allow", held.allowed), ("users_deny", held.denied))]
    db.execute(
        "INSERT OR REPLACE INTO gateway_restriction VALUES (?, ?, ?)",
        (gateway_id, *(None if each is None else json.dumps(each) for each in lists)),
    )
    db.execute("UPDATE collection SET rule_version = rule_version + 1 WHERE gateway_id = ?", (gateway_id,))


def read_names(value: object, name: str) -> list[str] | None:
    """Returns a list of names of accounts, None for null. Raises `ApiError` 400."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MOST_NAMES or not all(isinstance(one, str) and len(one) < 256 for one in value):
        raise ApiError("bad_request", f"{name} is a list of names, or null", 400)
    return value
