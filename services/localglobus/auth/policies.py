"""Authentication policies: from which domains, how lately and by what means an identity must have been shown in a session.

A client names them in `session_required_policies` (https://docs.globus.org/api/auth/reference/#policy_resource). They are made, read and
changed here by whoever holds the scope `manage_projects`; a project is a UUID and no more.
"""

import json
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from services.localglobus.auth.authentications import MFA, Authentications
from services.localglobus.errors import ApiError
from services.localglobus.store import Connection, Row

SCHEMA = """
create table if not exists policy (
    id text primary key,
    owner_id text not null,
    project_id text not null,
    display_name text not null,
    description text not null,
    is_high_assurance integer not null,
    timeout_s integer,
    requires_mfa integer not null,
    domains_include text,               -- JSON list, or null for all
    domains_exclude text                -- JSON list, or null for none
);
"""

MANAGE_PROJECTS = "urn:globus:auth:scope:auth.globus.org:manage_projects"
TEXT_LENGTH = 2048
MOST_TIMEOUT_S = 10 * 365 * 86400


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What a session must hold: one identity that fits. No domains at all means every domain."""

    id: str
    owner_id: str
    project_id: str
    display_name: str
    description: str
    is_high_assurance: bool
    timeout_s: int | None
    requires_mfa: bool
    domains_include: tuple[str, ...] | None
    domains_exclude: tuple[str, ...] | None

    def allows(self, username: str) -> bool:
        """Is this identity from a domain that the policy takes?"""
        domain = username.rpartition("@")[2].lower()
        is_included = self.domains_include is None or any(_covers(pattern, domain) for pattern in self.domains_include)
        return is_included and not any(_covers(pattern, domain) for pattern in self.domains_exclude or ())

    def is_recent(self, auth_time: int) -> bool:
        return self.timeout_s is None or auth_time + self.timeout_s >= time.time()

    def describe(self) -> dict[str, Any]:
        """The policy document of the Auth API."""
        return {
            "id": self.id,
            "project_id": self.project_id,
            "display_name": self.display_name,
            "description": self.description,
            "high_assurance": self.is_high_assurance,
            "authentication_assurance_timeout": self.timeout_s,
            "required_mfa": self.requires_mfa,
            "domain_constraints_include": self.domains_include and [*self.domains_include],
            "domain_constraints_exclude": self.domains_exclude and [*self.domains_exclude],
        }


@dataclass(frozen=True, kw_only=True)
class Shortfall:
    """What a session still lacks: a sign-in with one of these user names (anybody's, if there are none), or else a second factor."""

    usernames: tuple[str, ...] = ()
    factor_of: str | None = None


def shortfall(policy: Policy, people: Iterable[Row], shown: Authentications) -> Shortfall | None:
    """What the session lacks for the policy; None when it is met. `people` are the linked identities of the account."""
    fitting = [row for row in people if policy.allows(row["username"])]
    recent = [row for row in fitting if row["id"] in shown and policy.is_recent(shown[row["id"]]["auth_time"])]
    if not recent:
        return Shortfall(usernames=tuple(row["username"] for row in fitting) or (f"nobody of {policy.display_name}",))
    if policy.requires_mfa and not any(MFA in (shown[row["id"]]["amr"] or ()) for row in recent):
        return Shortfall(factor_of=recent[0]["id"])
    return None


def _covers(pattern: str, domain: str) -> bool:
    """`*.example.org` covers every domain below example.org."""
    return domain.endswith(pattern[1:]) if pattern.startswith("*.") else domain == pattern


def find(connection: Connection, policy_id: str) -> Policy | None:
    row = connection.execute("select * from policy where id = ?", (policy_id.lower(),)).fetchone()
    return None if row is None else _from_row(row)


def list_owned(connection: Connection, owners: Iterable[str]) -> list[Policy]:
    held = set(owners)
    rows = connection.execute("select * from policy order by display_name, id").fetchall()
    return [_from_row(row) for row in rows if row["owner_id"] in held]


def get_owned(connection: Connection, policy_id: str, owners: Iterable[str]) -> Policy:
    """Raises ApiError 404 for somebody else's, too."""
    policy = find(connection, policy_id)
    if policy is None or policy.owner_id not in set(owners):
        raise ApiError("NOT_FOUND", "no such policy", 404)
    return policy


def create(connection: Connection, asked: Mapping[str, Any], *, owner_id: str) -> Policy:
    """Raises ApiError 400 for a document that is none."""
    policy = _read(asked, {"id": str(uuid.uuid4()), "owner_id": owner_id})
    _save(connection, policy)
    return policy


def update(connection: Connection, policy_id: str, asked: Mapping[str, Any], *, owners: Iterable[str]) -> Policy:
    """Change what is given and keep the rest."""
    kept = get_owned(connection, policy_id, owners)
    policy = _read({**kept.describe(), **asked}, {"id": kept.id, "owner_id": kept.owner_id})
    _save(connection, policy)
    return policy


def delete(connection: Connection, policy_id: str, *, owners: Iterable[str]) -> Policy:
    policy = get_owned(connection, policy_id, owners)
    connection.execute("delete from policy where id = ?", (policy.id,))
    return policy


def _from_row(row: Row) -> Policy:
    kept = dict(row)
    for name in ("domains_include", "domains_exclude"):
        kept[name] = tuple(json.loads(kept[name])) if kept[name] is not None else None
    for name in ("is_high_assurance", "requires_mfa"):
        kept[name] = bool(kept[name])
    return Policy(**kept)


def _save(connection: Connection, policy: Policy) -> None:
    fields = vars(policy) | {
        name: None if (value := getattr(policy, name)) is None else json.dumps(value) for name in ("domains_include", "domains_exclude")
    }
    names = ", ".join(fields)
    marks = ", ".join("?" * len(fields))
    connection.execute(f"insert or replace into policy ({names}) values ({marks})", tuple(fields.values()))  # noqa: S608 (our own words)


def _read(asked: Mapping[str, Any], given: Mapping[str, str]) -> Policy:
    timeout, is_high = asked.get("authentication_assurance_timeout"), _flag(asked, "high_assurance")
    is_number = isinstance(timeout, int) and not isinstance(timeout, bool) and 0 < timeout <= MOST_TIMEOUT_S
    if not is_number and (timeout is not None or is_high):
        raise _bad("authentication_assurance_timeout is a number of seconds, and high assurance needs one")
    try:
        project_id = str(uuid.UUID(str(asked.get("project_id"))))
    except ValueError:
        raise _bad("project_id is a UUID") from None
    return Policy(
        **given,
        project_id=project_id,
        display_name=_text(asked, "display_name"),
        description=_text(asked, "description"),
        is_high_assurance=is_high,
        timeout_s=timeout,
        requires_mfa=_flag(asked, "required_mfa"),
        domains_include=_domains(asked, "domain_constraints_include"),
        domains_exclude=_domains(asked, "domain_constraints_exclude"),
    )


def _flag(asked: Mapping[str, Any], name: str) -> bool:
    value = asked.get(name, False)
    if not isinstance(value, bool):
        raise _bad(f"{name} is true or false")
    return value


def _text(asked: Mapping[str, Any], name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or not value or len(value) > TEXT_LENGTH:
        raise _bad(f"{name} is a text of at most {TEXT_LENGTH} characters")
    return value


def _domains(asked: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    value = asked.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > 100 or not all(isinstance(domain, str) and 0 < len(domain) < 256 for domain in value):
        raise _bad(f"{name} is a list of domains, or null")
    return tuple(domain.lower() for domain in value)


def _bad(words: str) -> ApiError:
    return ApiError("INVALID_PARAMETERS", words, 400)
