"""Roles on collections: who administers one, who sets its access rules, who watches its tasks."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from services.localglobus.auth import identities
from services.localglobus.errors import ApiError
from services.localglobus.transfer.access import UUID
from services.localglobus.transfer.collections import Collection, grant_role, raise_rule_version, require_room_for_role

ROLES = ("administrator", "access_manager", "activity_manager", "activity_monitor", "restricted_administrator")


def describe(row: sqlite3.Row) -> dict[str, Any]:
    """Returns a role as a `role` document."""
    return {
        "DATA_TYPE": "role",
        "id": row["id"],
        "principal_type": row["principal_type"],
        "principal": row["principal"],
        "role": row["role"],
    }


def list_roles(db: sqlite3.Connection, subject_id: str) -> list[dict[str, Any]]:
    """Returns the roles on a collection or endpoint."""
    return [describe(row) for row in db.execute("SELECT * FROM role WHERE subject_id = ? ORDER BY role, principal", (subject_id,))]


def get_role(db: sqlite3.Connection, subject_id: str, role_id: str) -> dict[str, Any]:
    """Returns one role. Raises `ApiError` 404 `RoleNotFound`."""
    row = db.execute("SELECT * FROM role WHERE id = ? AND subject_id = ?", (role_id, subject_id)).fetchone()
    if row is None:
        raise ApiError("RoleNotFound", f"No role '{role_id}' here", 404)
    return describe(row)


def create_role(db: sqlite3.Connection, collection: Collection, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Gives a role; returns it. Raises `ApiError` 409 `Exists` if the principal holds it already."""
    principal_type, principal, role = check_role(db, asked)
    if role == "access_manager" and collection.is_mapped:
        raise ApiError("BadRequest", "A mapped collection has no access rules and so no access managers", 400)
    held = db.execute(
        "SELECT 1 FROM role WHERE subject_id = ? AND principal_type = ? AND principal = ? AND role = ?",
        (collection.id, principal_type, principal, role),
    ).fetchone()
    if held is not None:
        raise ApiError("Exists", "The principal holds this role already", 409)
    require_room_for_role(db, collection.id)
    return get_role(
        db, collection.id, grant_role(db, subject_id=collection.id, principal_type=principal_type, principal=principal, role=role)
    )


def check_role(db: sqlite3.Connection, asked: Mapping[str, Any]) -> tuple[str, str, str]:
    """Returns (principal type, principal, role) of a role document. Raises `ApiError` 400 for what cannot be."""
    principal_type, principal, role = asked.get("principal_type"), asked.get("principal"), asked.get("role")
    if principal_type not in ("identity", "group"):
        raise ApiError("BadRequest", "principal_type must be identity or group", 400)
    if not isinstance(principal, str) or not UUID.fullmatch(principal.lower()):
        raise ApiError("BadRequest", "principal must be a UUID", 400)
    if principal_type == "identity" and identities.get(db, principal.lower()) is None:
        raise ApiError("BadRequest", f"No such identity {principal}", 400)
    if role not in ROLES:
        raise ApiError("BadRequest", f"role must be one of {', '.join(sorted(ROLES))}", 400)
    return str(principal_type), principal.lower(), str(role)


def delete_role(db: sqlite3.Connection, subject_id: str, role_id: str) -> None:
    """Takes a role away. Raises `ApiError` 404 if there is none."""
    get_role(db, subject_id, role_id)
    db.execute("DELETE FROM role WHERE id = ?", (role_id,))
    raise_rule_version(db, subject_id)
