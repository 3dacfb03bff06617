"""What a collection or endpoint says of itself: name, organization, visibility, texts. Transfer and the GCS Manager change it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from services.localglobus.errors import ApiError
from services.localglobus.transfer import collection_policies, collections
from services.localglobus.transfer.paths import normalise

NAME_LENGTH = 128
TEXT_LENGTH = 4096
TEXTS = (
    "contact_email", "contact_info", "default_directory", "department", "info_link", "keywords", "user_message", "user_message_link",
)  # fmt: skip
"""Texts beside the columns, kept as they were sent; `keywords` is one text at Transfer and a list at the GCS Manager."""
AT_TRANSFER = {
    "force_verify": "force_verify",
    "disable_verify": "disable_verify",
    "activity_notification_policy": "guest_collection_activity_notification_policy",
}
"""The policies of a collection that are set at Transfer too, and their names there."""


def change_collection(db: sqlite3.Connection, collection_id: str, asked: Mapping[str, Any]) -> None:
    """Keeps what `asked` names of a collection; the rest stays. Raises `ApiError` 400 for what is no text or no folder of it."""
    _change_columns(db, "collection", collection_id, asked, ("display_name", "description", "organization"))
    if "public" in asked:
        db.execute("UPDATE collection SET is_public = ? WHERE id = ?", (asked["public"] is True, collection_id))
    keep_texts(db, collection_id, asked, home="/" if collections.get(db, collection_id).is_mapped else None)


def change_at_transfer(db: sqlite3.Connection, collection_id: str, asked: Mapping[str, Any]) -> None:
    """`change_collection`, with the policies that are set at Transfer."""
    change_collection(db, collection_id, asked)
    policies = {name: asked[AT_TRANSFER[name]] for name in AT_TRANSFER if asked.get(AT_TRANSFER[name]) is not None}
    collection_policies.change(db, collections.get(db, collection_id), policies)


def change_endpoint(db: sqlite3.Connection, endpoint_id: str, asked: Mapping[str, Any]) -> None:
    """Keeps what `asked` names of an endpoint; the rest stays. Raises `ApiError` 400."""
    _change_columns(db, "endpoint", endpoint_id, asked, ("display_name", "organization"))
    keep_texts(db, endpoint_id, asked, home="/", names=(*TEXTS, "description"))


def keep_texts(
    db: sqlite3.Connection, subject_id: str, asked: Mapping[str, Any], *, home: str | None, names: tuple[str, ...] = TEXTS
) -> None:
    """Keeps the texts among `names` that `asked` gives; `home` is None where there are no home folders. Raises `ApiError` 400."""
    named = {name: _text(asked, name) for name in names if name in asked}
    if named.get("default_directory") is not None:
        normalise(named["default_directory"], home=home)
    if not named:
        return
    row = db.execute("SELECT texts FROM described WHERE subject_id = ?", (subject_id,)).fetchone()
    held = json.loads(row["texts"]) if row else {}
    db.execute("INSERT OR REPLACE INTO described VALUES (?, ?)", (subject_id, json.dumps({**held, **named})))


def read_name(value: object) -> str:
    """Returns a display name. Raises `ApiError` 400 for what is none."""
    if not isinstance(value, str) or not value.strip() or len(value) > NAME_LENGTH:
        raise ApiError("bad_request", f"display_name must be a text of at most {NAME_LENGTH} characters", 400)
    return value


def read_text(asked: Mapping[str, Any], name: str) -> str | None:
    """Returns a text for people or None. Raises `ApiError` 400."""
    value = asked.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > TEXT_LENGTH):
        raise ApiError("bad_request", f"{name} must be a text of at most {TEXT_LENGTH} characters", 400)
    return value


def _text(asked: Mapping[str, Any], name: str) -> str | list[str] | None:
    words = asked[name]
    if name != "keywords" or not isinstance(words, list):
        return read_text(asked, name)
    if not all(isinstance(word, str) for word in words) or sum(map(len, words)) > TEXT_LENGTH:
        raise ApiError("bad_request", "keywords must be a list of texts", 400)
    return words


def _change_columns(db: sqlite3.Connection, table: str, subject_id: str, asked: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if name in asked:
            value = read_name(asked[name]) if name == "display_name" else read_text(asked, name)
            value = value or "" if name == "organization" else value
            db.execute(f"UPDATE {table} SET {name} = ? WHERE id = ?", (value, subject_id))  # noqa: S608 (our own names)
