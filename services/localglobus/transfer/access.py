"""Access rules of guest collections: who else may read or write which folder, and until when.

One rule for a principal and a path; at most 1,000 in a collection (https://docs.globus.org/api/transfer/permissions/). Administrators and
access managers appear in the list as implicit rules with `id` null, which can be neither fetched nor changed here.
"""

from __future__ import annotations

import re
import sqlite3
import uuid
from collections.abc import Mapping
from typing import Any

from services.localglobus import mails
from services.localglobus.auth import identities
from services.localglobus.errors import ApiError
from services.localglobus.transfer.collections import Collection, raise_rule_version
from services.localglobus.transfer.paths import rule_path
from services.localglobus.transfer.permissions import RULE_ROLES
from services.localglobus.transfer.times import now_text, parse_future

MOST_RULES = 1000
OPEN_PRINCIPALS = ("all_authenticated_users", "anonymous")
PRINCIPAL_TYPES = (*OPEN_PRINCIPALS, "identity", "group")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MESSAGE_LENGTH = 2048


def describe(row: sqlite3.Row) -> dict[str, Any]:
    """Returns a rule as an `access` document."""
    return {
        "DATA_TYPE": "access",
        "id": row["id"],
        "principal_type": row["principal_type"],
        "principal": row["principal"],
        "path": row["path"],
        "permissions": row["permissions"],
        "role_id": None,
        "role_type": None,
        "create_time": row["created_at"],
        "expiration_date": row["expires_at"],
    }


def list_rules(db: sqlite3.Connection, collection: Collection) -> list[dict[str, Any]]:
    """Returns the rules in force, then those that roles imply."""
    rows = db.execute(
        "SELECT * FROM access_rule WHERE collection_id = ? AND (expires_at IS NULL OR expires_at > ?) ORDER BY created_at, id",
        (collection.id, now_text()),
    )
    return [*map(describe, rows), *_implicit(db, collection)]


def get_rule(db: sqlite3.Connection, collection: Collection, rule_id: str) -> dict[str, Any]:
    """Returns one rule. Raises `ApiError` 404 `AccessRuleNotFound`."""
    return describe(_row(db, collection, rule_id))


def create_rule(db: sqlite3.Connection, collection: Collection, asked: Mapping[str, Any]) -> str:
    """Adds a rule; returns its id. Raises `ApiError` 409 `Exists` for a principal and path that have one, `LimitExceeded` at 1,000."""
    if collection.is_mapped:
        raise ApiError("PermissionDenied", "Access rules can be set on guest collections only", 403)
    principal_type, principal = _principal(db, asked)
    path = rule_path(asked.get("path"))
    permissions = _permissions(asked.get("permissions"), collection, principal_type)
    expires_at = _expiration(asked)
    purge_expired(db, collection)
    held = db.execute(
        "SELECT id FROM access_rule WHERE collection_id = ? AND principal_type = ? AND principal = ? AND path = ?",
        (collection.id, principal_type, principal, path),
    ).fetchone()
    if held is not None:
        raise ApiError("Exists", f"This principal already has an access rule on {path}", 409)
    (count,) = db.execute("SELECT count(*) FROM access_rule WHERE collection_id = ?", (collection.id,)).fetchone()
    if count >= MOST_RULES:
        raise ApiError("LimitExceeded", f"A guest collection has at most {MOST_RULES} access rules", 409)
    rule_id = str(uuid.uuid4())
    notes = [_note(asked, "notify_email"), _note(asked, "notify_message")]
    db.execute(
        "INSERT INTO access_rule VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (rule_id, collection.id, principal_type, principal, path, permissions, now_text(), expires_at, *notes),
    )
    raise_rule_version(db, collection.id)
    words = f"You may {'read and write' if permissions == 'rw' else 'read'} {path} in the collection {collection.display_name}."
    message = f"\n\n{notes[1]}" if notes[1] else ""
    mails.queue(db, to=notes[0], subject=f"{collection.display_name} is shared with you", text=f"{words}{message}\n")
    return rule_id


def update_rule(db: sqlite3.Connection, collection: Collection, rule_id: str, asked: Mapping[str, Any]) -> None:
    """Changes permissions and expiration of a rule; principal and path may be repeated but not changed."""
    row = _row(db, collection, rule_id)
    for name in ("principal_type", "principal", "path"):
        if asked.get(name) not in (None, row[name]):
            raise ApiError("BadRequest", f"The {name} of an access rule cannot be changed", 400)
    permissions = _permissions(asked.get("permissions", row["permissions"]), collection, row["principal_type"])
    expires_at = _expiration(asked) if "expiration_date" in asked else row["expires_at"]
    db.execute("UPDATE access_rule SET permissions = ?, expires_at = ? WHERE id = ?", (permissions, expires_at, rule_id))
    raise_rule_version(db, collection.id)


def delete_rule(db: sqlite3.Connection, collection: Collection, rule_id: str) -> None:
    """Removes a rule; the node hears of it within a second. Raises `ApiError` 404 if there is none."""
    _row(db, collection, rule_id)
    db.execute("DELETE FROM access_rule WHERE id = ?", (rule_id,))
    raise_rule_version(db, collection.id)


def purge_expired(db: sqlite3.Connection, collection: Collection) -> None:
    """Forgets the rules whose time is over: they hold no longer and take no place."""
    gone = db.execute("DELETE FROM access_rule WHERE collection_id = ? AND expires_at <= ?", (collection.id, now_text()))
    if gone.rowcount:
        raise_rule_version(db, collection.id)


def _row(db: sqlite3.Connection, collection: Collection, rule_id: str) -> sqlite3.Row:
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM access_rule WHERE id = ? AND collection_id = ? AND (expires_at IS NULL OR expires_at > ?)",
        (rule_id, collection.id, now_text()),
    ).fetchone()
    if row is None:
        raise ApiError("AccessRuleNotFound", f"No access rule '{rule_id}' on this collection", 404)
    return row


def _principal(db: sqlite3.Connection, asked: Mapping[str, Any]) -> tuple[str, str]:
    kind, principal = asked.get("principal_type"), asked.get("principal")
    if kind not in PRINCIPAL_TYPES:
        raise ApiError("BadRequest", f"principal_type must be one of {', '.join(sorted(PRINCIPAL_TYPES))}", 400)
    if kind in OPEN_PRINCIPALS:
        if principal not in (None, ""):
            raise ApiError("BadRequest", f"principal must be empty for {kind}", 400)
        return str(kind), ""
    if not isinstance(principal, str) or not UUID.fullmatch(principal.lower()):
        raise ApiError("BadRequest", "principal must be a UUID", 400)
    if kind == "identity" and identities.get(db, principal.lower()) is None:
        raise ApiError("BadRequest", f"No such identity {principal}", 400)
    return str(kind), principal.lower()


def _permissions(value: object, collection: Collection, principal_type: str) -> str:
    if value not in ("r", "rw"):
        raise ApiError("BadRequest", "permissions must be 'r' or 'rw'", 400)
    if value == "rw" and principal_type == "anonymous" and not collection.has_anonymous_writes:
        raise ApiError("PermissionDenied", "The policy of this collection allows no anonymous writes", 403)
    return str(value)


def _expiration(asked: Mapping[str, Any]) -> str | None:
    value = asked.get("expiration_date")
    return None if value in (None, "") else parse_future(value, field="expiration_date")


def _note(asked: Mapping[str, Any], field: str) -> str | None:
    value = asked.get(field)
    if value is not None and (not isinstance(value, str) or len(value) > MESSAGE_LENGTH):
        raise ApiError("BadRequest", f"{field} must be a text of at most {MESSAGE_LENGTH} characters", 400)
    return value


def _implicit(db: sqlite3.Connection, collection: Collection) -> list[dict[str, Any]]:
    rows = db.execute("SELECT * FROM role WHERE subject_id = ? ORDER BY principal, role", (collection.id,))
    return [
        {
            "DATA_TYPE": "access",
            "id": None,
            "principal_type": row["principal_type"],
            "principal": row["principal"],
            "path": "/",
            "permissions": "rw",
            "role_id": row["id"],
            "role_type": row["role"],
            "create_time": None,
            "expiration_date": None,
        }
        for row in rows
        if row["role"] in RULE_ROLES and not collection.is_mapped
    ]
