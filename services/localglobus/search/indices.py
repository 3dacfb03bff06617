"""Indices and roles on them: owners and admins look after an index, writers fill it, everybody may query.

A deleted index is closed at once and gone a day later; until then it can be opened again.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from services.localglobus.auth import identities
from services.localglobus.auth.tokens import Caller
from services.localglobus.errors import ApiError
from services.localglobus.search import principals
from services.localglobus.search.documents import index_document, role_document, role_name_of
from services.localglobus.transfer.times import now_text

OWNER = frozenset({"owner"})
ADMINS = frozenset({"owner", "admin"})
WRITERS = frozenset({"owner", "admin", "writer"})
MOST_OWNED = 3  # "Cannot create more ownership roles on trial indices than the limit (3)", as recorded in the SDK
MAX_SIZE_MB = 100  # a query reads what it may see of an index from the disk; Globus gives a trial index 1 MB
MOST_ROLES = 100
TEXT_LENGTH = 4096
KEPT = timedelta(days=1)
"""How long a deleted index can be opened again."""
SELECT = (
    "SELECT search_index.*, (SELECT count(*) FROM search_entry WHERE index_id = search_index.id) AS n_entries,"
    " (SELECT count(DISTINCT subject) FROM search_entry WHERE index_id = search_index.id) AS n_subjects,"
    " (SELECT coalesce(sum(length(content)), 0) FROM search_entry WHERE index_id = search_index.id) AS size_bytes FROM search_index"
)


def moment_text() -> str:
    """Now as Search writes it: `2021-04-05 15:05:18`."""
    return now_text().replace("T", " ").removesuffix("+00:00")


def find(db: sqlite3.Connection, index_id: str) -> sqlite3.Row:
    """Returns an index, whoever asks. Raises `ApiError` 404."""
    row: sqlite3.Row | None = db.execute(f"{SELECT} WHERE search_index.id = ?", (index_id.lower(),)).fetchone()
    if row is None:
        raise ApiError("NotFound.Generic", f"No index found with id={index_id}", 404)
    return row


def open_index(db: sqlite3.Connection, index_id: str) -> sqlite3.Row:
    """Returns an index that can be used. Raises `ApiError` 404, or 409 for one that is to be deleted."""
    row = find(db, index_id)
    _require_status(row, "open")
    return row


def roles_of(db: sqlite3.Connection, index_id: str, caller: Caller | None) -> frozenset[str]:
    """Returns the names of the roles that the caller holds on an index."""
    held = principals.of_caller(caller)
    marks = ",".join("?" * len(held))
    rows = db.execute(f"SELECT role_name FROM search_role WHERE index_id = ? AND principal IN ({marks})", (index_id.lower(), *held))  # noqa: S608 (only marks)
    return frozenset(name for (name,) in rows)


def require_role(db: sqlite3.Connection, index_id: str, caller: Caller | None, allowed: Iterable[str], act: str) -> None:
    """Raises `ApiError` 403 `Forbidden.Generic` unless the caller holds one of the roles."""
    if not roles_of(db, index_id, caller) & set(allowed):
        causes = {
            "cause": f"You do not have the proper roles to perform the {act} operation.",
            "recommended_resolution": "Ensure you are making a call authenticated with a valid Search token and that you have been"
            " granted the required roles for this operation",
        }
        raise ApiError("Forbidden.Generic", f"{act} request denied by service", 403, extra={"error_data": causes})


def describe(db: sqlite3.Connection, index_id: str, caller: Caller | None) -> dict[str, Any]:
    return {**index_document(find(db, index_id), max_size_mb=MAX_SIZE_MB), "permissions": sorted(roles_of(db, index_id, caller))}


def list_own(db: sqlite3.Connection, caller: Caller) -> list[dict[str, Any]]:
    """Returns the indices on which the caller holds a role, the oldest first."""
    held = principals.of_caller(caller)
    marks = ",".join("?" * len(held))
    own = f"SELECT index_id FROM search_role WHERE principal IN ({marks})"  # noqa: S608 (only marks)
    rows = db.execute(f"SELECT id FROM search_index WHERE id IN ({own}) ORDER BY created_at, id", held).fetchall()  # noqa: S608 (our words)
    return [describe(db, row["id"], caller) for row in rows]


def create(db: sqlite3.Connection, caller: Caller, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Makes an index that the caller owns. Raises `ApiError` 409 `Conflict.LimitExceeded` for who owns three already."""
    texts = read_texts(asked, required=True)
    index_id = str(uuid.uuid4())
    db.execute("INSERT INTO search_index VALUES (?, ?, ?, ?, NULL)", (index_id, texts["display_name"], texts["description"], moment_text()))
    _add_role(db, index_id, ("identity", f"urn:globus:auth:identity:{caller.identity_id}"), "owner")
    return describe(db, index_id, caller)


def update(db: sqlite3.Connection, index_id: str, caller: Caller, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Changes what an index says of itself."""
    open_index(db, index_id)
    require_role(db, index_id, caller, ADMINS, "index_update")
    for name, text in read_texts(asked, required=False).items():
        db.execute(f"UPDATE search_index SET {name} = ? WHERE id = ?", (text, index_id.lower()))  # noqa: S608 (one of two names)
    return describe(db, index_id, caller)


def close(db: sqlite3.Connection, index_id: str, caller: Caller) -> dict[str, Any]:
    """Marks an index for deletion."""
    row = find(db, index_id)
    require_role(db, index_id, caller, OWNER, "index_delete")
    _require_status(row, "open")
    db.execute("UPDATE search_index SET deleted_at = ? WHERE id = ?", (now_text(), row["id"]))
    return {"index_id": row["id"], "acknowledged": True}


def reopen(db: sqlite3.Connection, index_id: str, caller: Caller) -> dict[str, Any]:
    """Takes the deletion of an index back."""
    row = find(db, index_id)
    require_role(db, index_id, caller, OWNER, "index_reopen")
    _require_status(row, "delete_pending")
    db.execute("UPDATE search_index SET deleted_at = NULL WHERE id = ?", (row["id"],))
    return {"index_id": row["id"], "acknowledged": True}


def forget_deleted(db: sqlite3.Connection) -> None:
    """Removes what was deleted a day ago, for good. Safe to repeat."""
    old = "SELECT id FROM search_index WHERE deleted_at <= ?"
    limit = (now_text(plus=-KEPT),)
    db.execute(f"DELETE FROM search_text WHERE rowid IN (SELECT id FROM search_entry WHERE index_id IN ({old}))", limit)  # noqa: S608 (our words)
    db.execute(f"DELETE FROM search_index WHERE id IN ({old})", limit)  # noqa: S608 (our words)


def read_texts(asked: Mapping[str, Any], *, required: bool) -> dict[str, str]:
    """Returns name and description. Raises `ApiError` 400 for what is no text."""
    found = {name: asked[name] for name in ("display_name", "description") if required or name in asked if asked.get(name) is not None}
    if required and len(found) < 2:
        raise ApiError("BadRequest.Generic", "display_name and description are required", 400)
    if not all(isinstance(text, str) and 0 < len(text) <= TEXT_LENGTH for text in found.values()):
        raise ApiError("BadRequest.Generic", f"display_name and description are texts of at most {TEXT_LENGTH} characters", 400)
    return found


def list_roles(db: sqlite3.Connection, index_id: str, caller: Caller) -> list[dict[str, Any]]:
    find(db, index_id)
    require_role(db, index_id, caller, ADMINS, "role_list")
    rows = db.execute("SELECT * FROM search_role WHERE index_id = ? ORDER BY id", (index_id.lower(),))
    return [role_document(row) for row in rows]


def create_role(db: sqlite3.Connection, index_id: str, caller: Caller, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Gives a role; owners alone make owners. Raises `ApiError` 409 for one that is held already."""
    open_index(db, index_id)
    name = asked.get("role_name")
    if not isinstance(name, str) or name not in WRITERS:
        raise ApiError("BadRequest.Generic", "role_name must be owner, admin or writer", 400)
    require_role(db, index_id, caller, OWNER if name == "owner" else ADMINS, "role_create")
    kind, principal = principals.read(asked.get("principal"))
    if kind == "identity" and identities.get(db, principal.rpartition(":")[2]) is None:
        raise ApiError("BadRequest.Generic", f"no such identity: {principal}", 400)
    return _add_role(db, index_id.lower(), (kind, principal), name)


def delete_role(db: sqlite3.Connection, index_id: str, caller: Caller, role_id: str) -> dict[str, Any]:
    """Takes a role away, never the last owner's."""
    open_index(db, index_id)
    rows = db.execute("SELECT * FROM search_role WHERE index_id = ?", (index_id.lower(),)).fetchall()
    require_role(db, index_id, caller, ADMINS, "role_delete")
    row = next((row for row in rows if role_name_of(row["id"]) == role_id), None)
    if row is None:
        raise ApiError("NotFound.Generic", f"No role found with id={role_id}", 404)
    if row["role_name"] == "owner":
        require_role(db, index_id, caller, OWNER, "role_delete")
        if sum(each["role_name"] == "owner" for each in rows) == 1:
            raise ApiError("Conflict.Generic", "An index must have an owner", 409)
    db.execute("DELETE FROM search_role WHERE id = ?", (row["id"],))
    return {"deleted": role_document(row), "success": True}


def _add_role(db: sqlite3.Connection, index_id: str, principal: tuple[str, str], name: str) -> dict[str, Any]:
    kind, urn = principal
    held = db.execute("SELECT role_name FROM search_role WHERE index_id = ? AND principal = ?", (index_id, urn)).fetchall()
    if name in {row["role_name"] for row in held}:
        raise ApiError("Conflict.Generic", "The principal holds this role already", 409)
    open_ones = "SELECT count(*) FROM search_role JOIN search_index ON search_index.id = index_id WHERE deleted_at IS NULL"
    (owned,) = db.execute(f"{open_ones} AND principal = ? AND role_name = 'owner'", (urn,)).fetchone()
    (all_roles,) = db.execute("SELECT count(*) FROM search_role WHERE index_id = ?", (index_id,)).fetchone()
    if name == "owner" and owned >= MOST_OWNED:
        raise _limit(f"Cannot create more ownership roles on trial indices than the limit ({MOST_OWNED})")
    if all_roles >= MOST_ROLES:
        raise _limit(f"Cannot create more roles on an index than the limit ({MOST_ROLES})")
    made = db.execute(
        "INSERT INTO search_role (index_id, principal_type, principal, role_name, created_at) VALUES (?, ?, ?, ?, ?)",
        (index_id, kind, urn, name, moment_text()),
    )
    return role_document(db.execute("SELECT * FROM search_role WHERE id = ?", (made.lastrowid,)).fetchone())


def _limit(constraint: str) -> ApiError:
    cause = (
        "When creating an index, an 'owner' role is created automatically. If this would exceed ownership limits, this error is raised"
        " instead."
    )
    return ApiError("Conflict.LimitExceeded", "Role limit exceeded", 409, extra={"error_data": {"cause": cause, "constraint": constraint}})


def _require_status(row: sqlite3.Row, wanted: str) -> None:
    found = "open" if row["deleted_at"] is None else "delete_pending"
    if found != wanted:
        words = f"Index status ({found}) did not match required status for this operation: {wanted}"
        raise ApiError("Conflict.IncompatibleIndexStatus", words, 409)
