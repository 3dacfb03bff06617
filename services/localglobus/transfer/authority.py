"""On what a task acts once its token is forgotten: the consents of the client that submitted it, as they are at the moment of asking.

A task whose consents are gone is INACTIVE: it holds no node, and goes on by itself when its owner has agreed again.
"""

from __future__ import annotations

import json
import sqlite3

from services.localglobus.auth import consents
from services.localglobus.auth.scopes import TRANSFER_ALL, Path, data_access
from services.localglobus.transfer import collections


def record(db: sqlite3.Connection, task_id: str, token_id: int) -> None:
    """Remembers whose consents the token of a submission rests on."""
    db.execute("INSERT INTO task_authority SELECT ?, root_client_id, root_path FROM token WHERE id = ?", (task_id, token_id))


def record_as(db: sqlite3.Connection, task_id: str, *, client_id: str, root: Path) -> None:
    """Remembers the same for a service that acts without a token: consents of `client_id` below the scopes `root`."""
    db.execute("INSERT INTO task_authority VALUES (?, ?, ?)", (task_id, client_id, json.dumps(root)))


def missing_consent(db: sqlite3.Connection, task: sqlite3.Row) -> str | None:
    """Returns in words which consent the task lacks now, or None."""
    held = db.execute("SELECT client_id, root FROM task_authority WHERE task_id = ?", (task["id"],)).fetchone()
    if held is None:
        return None
    root = tuple(json.loads(held["root"]))
    paths = consents.paths(db, identity_id=task["owner_id"], client_id=held["client_id"])
    if (*root, TRANSFER_ALL) not in paths:
        return "The consent to transfer files was taken back"
    for collection_id in (task["source_id"], task["destination_id"]):
        collection = collections.find(db, collection_id) if collection_id else None
        needed = collection is not None and collection.needs_data_access
        if needed and (*root, TRANSFER_ALL, data_access(collection_id)) not in paths:
            return f"Missing required data_access consent for {collection.display_name if collection else collection_id}"
    return None
