"""What a caller may do in a collection: her whole identity set, groups and roles, all signed-in users, and anonymous, added together.

Start at `rights_of`. There is no deny: rules only add. A mapped collection knows no rules, only local accounts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from services.localglobus.auth.identities import linked
from services.localglobus.auth.scopes import TRANSFER_ALL, data_access
from services.localglobus.auth.tokens import Caller
from services.localglobus.errors import ApiError
from services.localglobus.transfer import gateway_accounts
from services.localglobus.transfer.collections import Collection, Endpoint
from services.localglobus.transfer.paths import covers
from services.localglobus.transfer.times import now_text

RULE_ROLES = frozenset({"administrator", "access_manager"})  # they hold rw on "/" and set rules
DELETE_RULE_ROLES = RULE_ROLES | {"restricted_administrator"}
ADMIN_ROLES = frozenset({"administrator"})


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who asks. Nobody (`identity_id` None) is anonymous."""

    identity_id: str | None = None
    identities: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    @property
    def principals(self) -> list[tuple[str, str]]:
        """(principal type, principal) of every rule that holds for this person."""
        found = [("anonymous", "")]
        if self.identity_id is not None:
            found.append(("all_authenticated_users", ""))
            found += [("identity", each) for each in sorted(self.identities)]
            found += [("group", each) for each in sorted(self.groups)]
        return found


@dataclass(frozen=True, kw_only=True)
class Grant:
    """One thing that gives access: a rule, a role or a local account."""

    path: str
    permissions: str
    expires_at: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rights:
    """Everything that a person holds in one collection. `home` is her home folder there, if she has a local account."""

    grants: tuple[Grant, ...] = ()
    roles: frozenset[str] = frozenset()
    home: str | None = None

    def may_read(self, path: str) -> bool:
        return any(covers(grant.path, path) for grant in self.grants)

    def may_write(self, path: str) -> bool:
        return any("w" in grant.permissions and covers(grant.path, path) for grant in self.grants)

    def may_see(self, path: str, *, is_folder: bool) -> bool:
        """Readable, or a folder on the way to something readable: a listing shows no more of it than that way."""
        return self.may_read(path) or (is_folder and any(covers(path, grant.path) for grant in self.grants))

    @property
    def is_any(self) -> bool:
        return bool(self.grants or self.roles)

    @property
    def expires_at(self) -> str | None:
        """When the first of the grants ends: an answer built on them is good no longer than that."""
        return min((grant.expires_at for grant in self.grants if grant.expires_at), default=None)


def rules_document(rights: Rights) -> list[dict[str, str]]:
    """Returns rights as nodes are told them."""
    return [{"path": grant.path, "permissions": grant.permissions} for grant in rights.grants]


def rights_of(db: sqlite3.Connection, collection: Collection, person: Person, *, local_user: str | None = None) -> Rights:
    """Returns what `person` may do in `collection` at this moment, from fresh rows. `local_user` names one of her accounts there.

    In a guest collection that is suspended, or whose account its storage gateway lets in no more, roles remain, so that it can be looked
    after; nobody reaches its files.
    """
    roles = roles_of(db, collection, person)
    if collection.is_suspended or not gateway_accounts.admits_credential(db, collection.gateway_id, collection.user_credential_id):
        return Rights(roles=roles)
    if collection.is_mapped:
        account = _account(db, collection, person, local_user)
        grants = () if account is None else (Grant(path="/", permissions="rw"),)
        return Rights(grants=grants, roles=roles, home=None if account is None else account[1])
    return Rights(grants=(*_rules(db, collection, person), *_implicit(db, collection, person)), roles=roles)


def roles_of(db: sqlite3.Connection, collection: Collection, person: Person) -> frozenset[str]:
    """Returns the roles that `person` holds on the collection itself or on the endpoint that serves it."""
    found = set(_roles_on(db, collection.id, person)) | set(_roles_on(db, collection.endpoint_id, person))
    if collection.owner_id in person.identities:
        found.add("administrator")
    return frozenset(found)


def roles_on_endpoint(db: sqlite3.Connection, endpoint: Endpoint, person: Person) -> frozenset[str]:
    """Returns the roles that `person` holds on an endpoint; its owner is its administrator."""
    owned = {"administrator"} if endpoint.owner_id in person.identities else set()
    return frozenset({*_roles_on(db, endpoint.id, person), *owned})


def require_role(roles: Iterable[str], allowed: frozenset[str], act: str) -> None:
    """Raises `ApiError` 403 `PermissionDenied` unless one of `roles` is `allowed`."""
    if not allowed & set(roles):
        raise ApiError("PermissionDenied", f"You need the role {' or '.join(sorted(allowed))} to {act}", 403)


def _roles_on(db: sqlite3.Connection, subject_id: str, person: Person) -> list[str]:
    principals = [*person.identities, *person.groups]
    marks = ",".join("?" * len(principals))
    rows = db.execute(f"SELECT DISTINCT role FROM role WHERE subject_id = ? AND principal IN ({marks})", (subject_id, *principals))  # noqa: S608 (only marks)
    return [role for (role,) in rows]


def _account(db: sqlite3.Connection, collection: Collection, person: Person, local_user: str | None) -> tuple[str, str] | None:
    """The local account (of that name) to which one of the person's identities maps, the token's own identity first."""
    rows = db.execute("SELECT identity_id, account, home FROM identity_mapping WHERE gateway_id = ?", (collection.gateway_id,)).fetchall()
    admitted = gateway_accounts.of_gateway(db, collection.gateway_id)
    mapped = {
        identity: (account, home)
        for identity, account, home in rows
        if identity in person.identities and local_user in (None, account) and admitted.admit(account)
    }
    first = min(mapped, key=lambda identity: (identity != person.identity_id, identity), default=None)
    return None if first is None else mapped[first]


def _rules(db: sqlite3.Connection, collection: Collection, person: Person) -> list[Grant]:
    held = set(person.principals)
    rows = db.execute(
        "SELECT principal_type, principal, path, permissions, expires_at FROM access_rule"
        " WHERE collection_id = ? AND (expires_at IS NULL OR expires_at > ?)",
        (collection.id, now_text()),
    )
    return [
        Grant(path=path, permissions=permissions, expires_at=expires_at)
        for kind, principal, path, permissions, expires_at in rows
        if (kind, principal) in held
    ]


def _implicit(db: sqlite3.Connection, collection: Collection, person: Person) -> list[Grant]:
    """Administrators and access managers of a guest collection itself read and write all of it."""
    held = set(_roles_on(db, collection.id, person))
    if collection.owner_id in person.identities:
        held.add("administrator")
    return [Grant(path="/", permissions="rw")] if held & RULE_ROLES else []


def person_of(db: sqlite3.Connection, identity_id: str) -> Person:
    """Returns the person behind an identity as she is now, with linked identities and groups: for tasks, which outlive tokens."""
    identities = frozenset(row["id"] for row in linked(db, identity_id)) | {identity_id}
    marks = ",".join("?" * len(identities))
    rows = db.execute(f"SELECT DISTINCT group_id FROM membership WHERE status = 'active' AND identity_id IN ({marks})", (*identities,))  # noqa: S608 (only marks)
    return Person(identity_id=identity_id, identities=identities, groups=frozenset(row["group_id"] for row in rows))


def person_behind(caller: Caller) -> Person:
    """Returns the person behind a bearer token."""
    return Person(identity_id=caller.identity_id, identities=caller.identity_ids, groups=caller.group_ids)


def require_data_access(collection: Collection, caller: Caller) -> None:
    """Raises `ApiError` 403 `ConsentRequired` if the collection needs a `data_access` consent that the caller's client does not hold."""
    if collection.needs_data_access and (TRANSFER_ALL, data_access(collection.id)) not in caller.consents:
        raise ApiError(
            "ConsentRequired",
            "Missing required data_access consent",
            403,
            extra={"required_scopes": [f"{TRANSFER_ALL}[*{data_access(collection.id)}]"]},
        )


def require_account(collection: Collection, rights: Rights) -> None:
    """Raises `ApiError` 403 `EndpointPermissionDenied` if no local account of a mapped collection maps to the person."""
    if collection.is_mapped and not rights.grants:
        raise ApiError(
            "EndpointPermissionDenied", f"Denied by endpoint {collection.display_name}: no local account maps to your identity", 403
        )
