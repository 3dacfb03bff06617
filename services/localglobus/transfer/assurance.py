"""How sure a storage gateway wants to be of who is there: which domains, how lately shown, by what means, in the same session or not.

`require` is asked wherever a caller reaches the files of a collection. With *high assurance* the identity that holds the right must have
been shown in the session of this very token, for guest collections too; without, in any session (the gateway's timeout, mapped
collections only). What is lacking is said with `authorization_parameters`, by which a client asks the person to sign in anew.
(https://docs.globus.org/globus-connect-server/v5/high-assurance/)
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.localglobus.auth import identities, policies
from services.localglobus.auth.authentications import MFA
from services.localglobus.auth.tokens import Caller
from services.localglobus.errors import ApiError, SessionError
from services.localglobus.transfer.collections import DEFAULT_TIMEOUT_MINS, Collection
from services.localglobus.transfer.permissions import Person, rights_of

MOST_TIMEOUT_MINS = 10 * 365 * 24 * 60


@dataclass(frozen=True, kw_only=True)
class Assurance:
    """What a gateway asks for. `policy_id` names an authentication policy of Auth that must be met as well."""

    is_high_assurance: bool = False
    timeout_mins: int = DEFAULT_TIMEOUT_MINS
    requires_mfa: bool = False
    domains: tuple[str, ...] = ()
    policy_id: str | None = None

    def document(self) -> dict[str, Any]:
        """The members of a storage gateway and of its collections."""
        return {
            "high_assurance": self.is_high_assurance,
            "require_high_assurance": self.is_high_assurance,
            "require_mfa": self.requires_mfa,
            "authentication_assurance_timeout": self.timeout_mins,
            "authentication_timeout_mins": self.timeout_mins,
            "authentication_policy_id": self.policy_id,
        }


@dataclass(frozen=True)
class Shown:
    """When an identity that holds the right was shown last, and whether by a second factor."""

    identity_id: str
    username: str
    at: float
    by_mfa: bool


def of_gateway(db: sqlite3.Connection, gateway_id: str) -> Assurance | None:
    """Returns what was asked for; None where nothing was."""
    row = db.execute("SELECT * FROM gateway_assurance WHERE gateway_id = ?", (gateway_id,)).fetchone()
    if row is None:
        return None
    return Assurance(
        is_high_assurance=bool(row["is_high_assurance"]),
        timeout_mins=row["timeout_mins"],
        requires_mfa=bool(row["requires_mfa"]),
        domains=tuple(json.loads(row["domains"])),
        policy_id=row["policy_id"],
    )


def keep(db: sqlite3.Connection, gateway_id: str, asked: Mapping[str, Any], *, is_new: bool) -> None:
    """Keeps what a gateway document asks for; the rest stays. Raises `ApiError` 400; high assurance is for a new gateway to choose."""
    named = {"high_assurance", "require_mfa", "authentication_timeout_mins", "allowed_domains", "authentication_policy_id"} & set(asked)
    if not named:
        return
    held = of_gateway(db, gateway_id) or Assurance()
    is_high = _flag(asked, "high_assurance", held.is_high_assurance)
    if is_high != held.is_high_assurance and not is_new:
        raise ApiError("bad_request", "high_assurance is chosen when a storage gateway is made", 400)
    policy_id = asked.get("authentication_policy_id", held.policy_id)
    if policy_id is not None and policies.find(db, str(policy_id)) is None:
        raise ApiError("bad_request", "No such authentication policy", 400)
    db.execute(
        "INSERT OR REPLACE INTO gateway_assurance VALUES (?, ?, ?, ?, ?, ?)",
        (
            gateway_id,
            is_high,
            _minutes(asked, held.timeout_mins),
            _flag(asked, "require_mfa", held.requires_mfa),
            json.dumps(_domains(asked, held.domains)),
            policy_id and str(policy_id),
        ),
    )


def require(db: sqlite3.Connection, collection: Collection, caller: Caller) -> None:
    """Raises `SessionError` 403 if the caller's session is not enough for the collection."""
    lack = shortfall(db, collection, caller)
    if lack is not None:
        raise lack


def shortfall(db: sqlite3.Connection, collection: Collection, caller: Caller) -> SessionError | None:
    """Returns what to tell a caller whose session is not enough; None when it is, or when she holds no right anyway."""
    wanted = of_gateway(db, collection.gateway_id)
    if wanted is None or not (collection.is_mapped or wanted.is_high_assurance):
        return None
    holders = _holders(db, collection, caller, wanted)
    if not holders:
        return None
    fitting = [each for each in holders if not wanted.domains or each.username.rpartition("@")[2].lower() in wanted.domains]
    if not fitting:
        words = f"You must sign in with an identity of {' or '.join(wanted.domains)} in order to access this resource"
        return _error(wanted, words, holders, {"session_required_single_domain": [*wanted.domains]})
    recent = [each for each in fitting if each.at + wanted.timeout_mins * 60 >= time.time()]
    names = ", ".join(each.username for each in fitting)
    parameters: dict[str, Any] = {"session_required_identities": [each.identity_id for each in fitting], "prompt": "login"}
    if not recent:
        words = f"You must reauthenticate one of your identities ({names}) in order to access this resource"
        more = {"session_required_mfa": True} if wanted.requires_mfa else {}
        return _error(wanted, words, fitting, parameters | more)
    if wanted.requires_mfa and not any(each.by_mfa for each in recent):
        words = f"You must authenticate one of your identities ({names}) with multiple factors in order to access this resource"
        return _error(wanted, words, fitting, parameters | {"session_required_mfa": True})
    return _policy_shortfall(db, wanted, caller, fitting)


def _policy_shortfall(db: sqlite3.Connection, wanted: Assurance, caller: Caller, fitting: Sequence[Shown]) -> SessionError | None:
    policy = policies.find(db, wanted.policy_id) if wanted.policy_id and not _is_client(caller) else None
    if policy is None:
        return None
    lack = policies.shortfall(policy, identities.linked(db, caller.identity_id), caller.session["authentications"])
    words = f"You must meet the authentication policy {policy.display_name} in order to access this resource"
    return None if lack is None else _error(wanted, words, fitting, {"session_required_policies": [policy.id]})


def _holders(db: sqlite3.Connection, collection: Collection, caller: Caller, wanted: Assurance) -> list[Shown]:
    """The caller's identities that hold a right by themselves, each with when it was shown."""
    found = []
    for person in identities.linked(db, caller.identity_id):
        groups = db.execute("SELECT group_id FROM membership WHERE status = 'active' AND identity_id = ?", (person["id"],))
        alone = Person(identity_id=person["id"], identities=frozenset({person["id"]}), groups=frozenset(row["group_id"] for row in groups))
        if rights_of(db, collection, alone).is_any:
            shown = caller.session["authentications"].get(person["id"])
            at = float(shown["auth_time"]) if shown else 0.0
            if not wanted.is_high_assurance:
                at = max(at, float(person["last_signed_in_at"] or 0))
            is_client = _is_client(caller)  # its secret was shown when it got the token
            by_mfa = is_client or MFA in ((shown or {}).get("amr") or ())
            found.append(Shown(person["id"], person["username"], float(caller.issued_at) if is_client else at, by_mfa))
    return found


def _is_client(caller: Caller) -> bool:
    return caller.username.endswith(f"@{identities.CLIENT_DOMAIN}")


def _error(wanted: Assurance, words: str, holders: Sequence[Shown], parameters: Mapping[str, Any]) -> SessionError:
    return SessionError(
        words,
        identities=[each.identity_id for each in holders],
        is_high_assurance=wanted.is_high_assurance,
        requires_mfa=wanted.requires_mfa,
        parameters={"session_message": words, **parameters},
    )


def _flag(asked: Mapping[str, Any], name: str, held: bool) -> bool:
    value = asked.get(name, held)
    if not isinstance(value, bool):
        raise ApiError("bad_request", f"{name} is true or false", 400)
    return value


def _minutes(asked: Mapping[str, Any], held: int) -> int:
    value = asked.get("authentication_timeout_mins", held)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MOST_TIMEOUT_MINS:
        raise ApiError("bad_request", "authentication_timeout_mins is a whole number of minutes", 400)
    return value


def _domains(asked: Mapping[str, Any], held: tuple[str, ...]) -> list[str]:
    value = asked.get("allowed_domains", list(held))
    if not isinstance(value, list) or len(value) > 100 or not all(isinstance(one, str) and 0 < len(one) < 256 for one in value):
        raise ApiError("bad_request", "allowed_domains is a list of domains", 400)
    return [one.lower() for one in value]
