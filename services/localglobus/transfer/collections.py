"""Endpoints and their collections: what there is, where its files lie, who owns it.

An endpoint is one data host with a GCS Manager, a storage gateway and a node. A mapped collection shows the node's storage to people
with a local account there; a guest collection shows one folder of a mapped one under rules. `base_path` is relative to the node's root.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.localglobus.auth import clients, scopes
from services.localglobus.errors import ApiError
from services.localglobus.transfer import gateway_accounts
from services.localglobus.transfer.connectors import Connector
from services.localglobus.transfer.paths import folder, normalise
from services.localglobus.transfer.times import now_text

DEFAULT_TIMEOUT_MINS = 15840
"""For how long a sign-in is good at a storage gateway that says nothing of it."""
HEARD_S = 30.0
"""A node asks for orders every twenty seconds at least; one not heard for longer is gone."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    id: str
    node: str
    display_name: str
    gcs_address: str
    organization: str
    owner_id: str
    node_url: str
    gateway_id: str
    texts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Collection:
    id: str
    endpoint_id: str
    gateway_id: str
    kind: str
    mapped_id: str | None
    display_name: str
    description: str | None
    organization: str
    base_path: str
    owner_id: str
    user_credential_id: str | None
    is_public: bool
    is_high_assurance: bool
    has_anonymous_writes: bool
    engine: str
    forces_encryption: bool
    s3_endpoint: str | None
    rule_version: int
    created_at: str
    node: str
    node_url: str
    node_seen_at: float | None
    gcs_address: str
    timeout_mins: int
    requires_mfa: bool
    texts: Mapping[str, Any]
    policies: Mapping[str, Any]
    mapped_policies: Mapping[str, Any]

    @property
    def is_mapped(self) -> bool:
        return self.kind == "mapped"

    @property
    def is_personal(self) -> bool:
        """Whether it is on a host of the Connect Personal kind, which has no GCS Manager."""
        return not self.gcs_address

    @property
    def is_connected(self) -> bool:
        """Whether its node was heard a moment ago."""
        return self.node_seen_at is not None and time.time() - self.node_seen_at < HEARD_S

    @property
    def needs_data_access(self) -> bool:
        """Whether callers must have consented to `data_access`: mapped, by a GCS Manager, and not high assurance."""
        return self.is_mapped and not self.is_high_assurance and not self.is_personal

    @property
    def serves_https(self) -> bool:
        """Whether browsers and programs read and write files here by HTTPS; nodes copy either way."""
        return bool(self.policies.get("enable_https", True))

    @property
    def allows_guests(self) -> bool:
        """Whether guest collections are made on this mapped one, and reached."""
        return self.is_mapped and bool(self.policies.get("allow_guest_collections", True))

    @property
    def is_suspended(self) -> bool:
        """Whether it is a guest collection whose mapped one allows none any more."""
        return not self.is_mapped and not self.mapped_policies.get("allow_guest_collections", True)

    @property
    def default_folder(self) -> str:
        """Where a listing begins that names no path."""
        return str(self.texts.get("default_directory") or ("/~/" if self.is_mapped else "/"))

    @property
    def connector(self) -> Connector:
        return Connector.at(self.s3_endpoint)

    @property
    def https_server(self) -> str:
        return f"{self.node_url}/{self.id}"

    @property
    def redirect_uri(self) -> str:
        """Where Auth sends a browser back that the node sent to sign in."""
        return f"{self.node_url}/.dtn/callback"


SELECT = (
    "SELECT collection.id, collection.endpoint_id, gateway_id, kind, mapped_id, collection.display_name, description,"  # noqa: S608 (ours)
    " collection.organization, base_path, collection.owner_id, user_credential_id, is_public, collection.is_high_assurance,"
    " has_anonymous_writes, rule_version, collection.created_at, node, node_url, node_seen_at, gcs_address, coalesce(texts, '{}') AS texts,"
    f" coalesce(timeout_mins, {DEFAULT_TIMEOUT_MINS}) AS timeout_mins, coalesce(requires_mfa, 0) AS requires_mfa,"
    " coalesce(engine, 'https') AS engine, coalesce(forces_encryption, 0) AS forces_encryption,"
    " gateway_bucket.endpoint AS s3_endpoint, coalesce(own_policy.policies, '{}') AS policies,"
    " coalesce(ruling_policy.policies, '{}') AS mapped_policies FROM collection"
    " JOIN endpoint ON endpoint.id = collection.endpoint_id LEFT JOIN described ON subject_id = collection.id"
    " LEFT JOIN gateway_assurance USING (gateway_id) LEFT JOIN gateway_bucket USING (gateway_id)"
    " LEFT JOIN data_path ON data_path.collection_id = coalesce(collection.mapped_id, collection.id)"
    " LEFT JOIN collection_policy AS own_policy ON own_policy.collection_id = collection.id"
    " LEFT JOIN collection_policy AS ruling_policy ON ruling_policy.collection_id = collection.mapped_id"
)
SELECT_ENDPOINT = (
    "SELECT endpoint.id, node, endpoint.display_name, gcs_address, organization, owner_id, node_url, coalesce(texts, '{}') AS texts,"
    " (SELECT id FROM storage_gateway WHERE endpoint_id = endpoint.id ORDER BY rowid LIMIT 1) AS gateway_id"
    " FROM endpoint LEFT JOIN described ON subject_id = endpoint.id"
)


def from_row(row: sqlite3.Row) -> Collection:
    names = ("is_public", "is_high_assurance", "has_anonymous_writes", "requires_mfa", "forces_encryption")
    flags = {name: bool(row[name]) for name in names}
    documents = {name: json.loads(row[name]) for name in ("texts", "policies", "mapped_policies")}
    return Collection(**{**dict(row), **flags, **documents})


def not_found(endpoint_id: str) -> ApiError:
    return ApiError("EndpointNotFound", f"No such endpoint or collection '{endpoint_id}'", 404)


def find(db: sqlite3.Connection, collection_id: str) -> Collection | None:
    row = db.execute(f"{SELECT} WHERE collection.id = ?", (str(collection_id).lower(),)).fetchone()
    return None if row is None else from_row(row)


def get(db: sqlite3.Connection, collection_id: str) -> Collection:
    """Returns the collection, whoever asks. Raises `ApiError` 404 `EndpointNotFound`."""
    found = find(db, collection_id)
    if found is None:
        raise not_found(collection_id)
    return found


def all_collections(db: sqlite3.Connection, *, endpoint_id: str | None = None) -> list[Collection]:
    """Returns the collections (of one endpoint) by name."""
    rows = db.execute(
        f"{SELECT} WHERE ? IS NULL OR collection.endpoint_id = ? ORDER BY collection.display_name, collection.id", (endpoint_id,) * 2
    )
    return [from_row(row) for row in rows]


def find_endpoint(db: sqlite3.Connection, *, endpoint_id: str | None = None, node: str | None = None) -> Endpoint | None:
    """Returns the endpoint with that id or of that node."""
    row = db.execute(f"{SELECT_ENDPOINT} WHERE endpoint.id = ? OR node = ?", (endpoint_id, node)).fetchone()
    return None if row is None else endpoint_from(row)


def endpoint_from(row: sqlite3.Row) -> Endpoint:
    return Endpoint(**{**dict(row), "texts": json.loads(row["texts"])})


def endpoint_of(db: sqlite3.Connection, node: str) -> Endpoint:
    """Returns the endpoint that the node serves. Raises `ApiError` 404."""
    found = find_endpoint(db, node=node)
    if found is None:
        raise not_found(node)
    return found


def create_endpoint(
    db: sqlite3.Connection, *, node: str, display_name: str, gcs_address: str, node_url: str, owner_id: str, organization: str = ""
) -> str:
    """Makes the endpoint of a node with its storage gateway; returns its id, which is also its GCS Manager client id."""
    endpoint_id = str(uuid.uuid4())
    db.execute(
        "INSERT INTO endpoint (id, node, display_name, gcs_address, organization, owner_id, node_url, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (endpoint_id, node, display_name, gcs_address, organization, owner_id, node_url, now_text()),
    )
    db.execute("INSERT INTO storage_gateway VALUES (?, ?, ?)", (str(uuid.uuid4()), endpoint_id, f"{display_name} storage"))
    scopes.register_endpoint(db, endpoint_id, title=display_name)
    return endpoint_id


def move_endpoint(db: sqlite3.Connection, *, node: str, node_url: str, gcs_address: str) -> None:
    """Records where node and GCS Manager listen now (another port at another start). Safe to repeat."""
    db.execute("UPDATE endpoint SET node_url = ?, gcs_address = ? WHERE node = ?", (node_url, gcs_address, node))


def map_identity(db: sqlite3.Connection, *, endpoint_id: str, identity_id: str, account: str, home: str = "/") -> str:
    """Gives an identity a local account on the endpoint's storage and a user credential, whose id it returns. Safe to repeat."""
    (gateway_id,) = db.execute("SELECT id FROM storage_gateway WHERE endpoint_id = ?", (endpoint_id,)).fetchone()
    db.execute("INSERT OR REPLACE INTO identity_mapping VALUES (?, ?, ?, ?)", (gateway_id, identity_id, account, folder(home)))
    db.execute("UPDATE collection SET rule_version = rule_version + 1 WHERE gateway_id = ?", (gateway_id,))
    return ensure_credential(db, gateway_id=gateway_id, identity_id=identity_id)


def ensure_credential(db: sqlite3.Connection, *, gateway_id: str, identity_id: str) -> str:
    """Returns the identity's user credential on a gateway, made if missing. Raises `ApiError` 403 if no local account maps to it."""
    row = db.execute(
        "SELECT id FROM user_credential WHERE gateway_id = ? AND identity_id = ? ORDER BY created_at, rowid", (gateway_id, identity_id)
    ).fetchone()
    if row is not None:
        return str(row["id"])
    account = account_of(db, gateway_id=gateway_id, identity_id=identity_id)
    return create_credential(db, gateway_id=gateway_id, identity_id=identity_id, account=account)


def account_of(db: sqlite3.Connection, *, gateway_id: str, identity_id: str) -> str:
    """Returns the local account that an identity maps to at a gateway. Raises `ApiError` 403 if none does, or none that may use it."""
    row = db.execute("SELECT account FROM identity_mapping WHERE gateway_id = ? AND identity_id = ?", (gateway_id, identity_id)).fetchone()
    if row is None or not gateway_accounts.of_gateway(db, gateway_id).admit(row["account"]):
        raise ApiError("permission_denied", "No local account maps to this identity", 403)
    return str(row["account"])


def create_credential(db: sqlite3.Connection, *, gateway_id: str, identity_id: str, account: str, display_name: str | None = None) -> str:
    """Makes one more user credential of an identity, by an account of hers; returns its id."""
    credential_id = str(uuid.uuid4())
    db.execute(
        "INSERT INTO user_credential VALUES (?, ?, ?, ?, ?, ?)", (credential_id, gateway_id, identity_id, account, display_name, now_text())
    )
    return credential_id


def create_mapped(
    db: sqlite3.Connection,
    *,
    endpoint_id: str,
    display_name: str,
    base_path: str = "/",
    description: str | None = None,
    is_public: bool = True,
    is_high_assurance: bool = False,
    gateway_id: str | None = None,
    collection_id: str | None = None,
) -> str:
    """Makes a mapped collection over the endpoint's storage, through its first gateway or another one; returns its id."""
    endpoint = find_endpoint(db, endpoint_id=endpoint_id)
    if endpoint is None:
        raise not_found(endpoint_id)
    collection_id = collection_id or str(uuid.uuid4())
    db.execute(
        "INSERT INTO collection (id, endpoint_id, gateway_id, kind, display_name, description, organization, base_path, owner_id,"
        " is_public, is_high_assurance, created_at) VALUES (?, ?, ?, 'mapped', ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            collection_id, endpoint_id, gateway_id or endpoint.gateway_id, display_name, description, endpoint.organization,
            folder(base_path),
            endpoint.owner_id, is_public, is_high_assurance, now_text(),
        ),
    )  # fmt: skip
    register(db, get(db, collection_id))
    return collection_id


def create_guest(
    db: sqlite3.Connection,
    *,
    mapped_id: str,
    display_name: str,
    base_path: str,
    owner_id: str,
    description: str | None = None,
    organization: str | None = None,
    is_public: bool = True,
    user_credential_id: str | None = None,
) -> str:
    """Makes a guest collection over the folder `base_path` of a mapped one; its owner is its administrator. Returns its id."""
    mapped = get(db, mapped_id)
    if not mapped.is_mapped:
        raise ApiError("bad_request", "A guest collection needs a mapped collection", 400)
    collection_id = str(uuid.uuid4())
    base_path = folder(mapped.base_path.rstrip("/") + folder(normalise(base_path)))
    db.execute(
        "INSERT INTO collection (id, endpoint_id, gateway_id, kind, mapped_id, display_name, description, organization, base_path,"
        " owner_id, user_credential_id, is_public, is_high_assurance, created_at) VALUES (?, ?, ?, 'guest', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            collection_id, mapped.endpoint_id, mapped.gateway_id, mapped.id, display_name, description,
            mapped.organization if organization is None else organization, base_path,
            owner_id, user_credential_id, is_public, mapped.is_high_assurance, now_text(),
        ),
    )  # fmt: skip
    grant_role(db, subject_id=collection_id, principal=owner_id, role="administrator")
    register(db, get(db, collection_id))
    return collection_id


def register(db: sqlite3.Connection, collection: Collection) -> None:
    """Makes the collection known to Auth: a resource server with its scopes, and the client as which its node signs browsers in.

    Safe to repeat, when the node is elsewhere.
    """
    scopes.register_collection(
        db, collection.id, title=collection.display_name, is_mapped=collection.is_mapped and not collection.is_personal
    )
    clients.create(db, client_id=collection.id, name=collection.display_name, is_public=True, redirect_uris=[collection.redirect_uri])


def delete(db: sqlite3.Connection, collection_id: str) -> None:
    """Removes a collection with its rules and roles; the files stay. Guest collections on a mapped one must be gone before."""
    db.execute("DELETE FROM role WHERE subject_id = ?", (collection_id,))
    db.execute("DELETE FROM recent_use WHERE collection_id = ?", (collection_id,))
    db.execute("DELETE FROM described WHERE subject_id = ?", (collection_id,))
    db.execute("DELETE FROM pause_rule WHERE subject_id = ?", (collection_id,))
    db.execute("DELETE FROM collection WHERE id = ?", (collection_id,))
    scopes.remove_resource_server(db, collection_id)
    clients.delete(db, collection_id)


MOST_ROLES = 1000


def require_room_for_role(db: sqlite3.Connection, subject_id: str) -> None:
    """Raises `ApiError` 409 `LimitExceeded` where a collection or endpoint has as many roles as it may have."""
    (count,) = db.execute("SELECT count(*) FROM role WHERE subject_id = ?", (subject_id,)).fetchone()
    if count >= MOST_ROLES:
        raise ApiError("LimitExceeded", f"At most {MOST_ROLES} roles are given on one collection or endpoint", 409)


def grant_role(db: sqlite3.Connection, *, subject_id: str, principal: str, role: str, principal_type: str = "identity") -> str:
    """Gives a role on a collection or an endpoint; returns the role's id. Safe to repeat: a role held already keeps its id."""
    db.execute(
        "INSERT INTO role VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", (str(uuid.uuid4()), subject_id, principal_type, principal, role)
    )
    raise_rule_version(db, subject_id)
    (role_id,) = db.execute(
        "SELECT id FROM role WHERE subject_id = ? AND principal_type = ? AND principal = ? AND role = ?",
        (subject_id, principal_type, principal, role),
    ).fetchone()
    return str(role_id)


def raise_rule_version(db: sqlite3.Connection, subject_id: str) -> None:
    """Says that who may do what has changed, in one collection or in all of an endpoint."""
    db.execute("UPDATE collection SET rule_version = rule_version + 1 WHERE id = ? OR endpoint_id = ?", (subject_id, subject_id))


def raise_group_version(db: sqlite3.Connection, group_id: str) -> None:
    """Says that who is in a group has changed, wherever a rule or a role names it."""
    named = "SELECT collection_id FROM access_rule WHERE principal_type = 'group' AND principal = :group"
    holding = "SELECT subject_id FROM role WHERE principal_type = 'group' AND principal = :group"
    where = f"id IN ({named} UNION {holding}) OR endpoint_id IN ({holding})"
    db.execute(f"UPDATE collection SET rule_version = rule_version + 1 WHERE {where}", {"group": group_id})  # noqa: S608 (our own words)


def note_use(db: sqlite3.Connection, *, identity_id: str, collection_id: str) -> None:
    """Remembers that an identity used a collection, for the search scope `recently-used`."""
    db.execute("INSERT OR REPLACE INTO recent_use VALUES (?, ?, ?)", (identity_id, collection_id, now_text()))
