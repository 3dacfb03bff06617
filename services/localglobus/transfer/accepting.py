"""A document becomes a task: the collections that it names are opened as its owner, and what the task rests on is kept with it."""

from __future__ import annotations

import sqlite3
from typing import Any, Literal

from services.localglobus.auth.scopes import Path
from services.localglobus.auth.tokens import Caller
from services.localglobus.transfer import authority, collections, operations, submitting, tasks

Kind = Literal["transfer", "delete"]


def submit(db: sqlite3.Connection, document: dict[str, Any], caller: Caller, *, kind: Kind) -> tuple[str, str, str]:
    """Returns (submission id, task id, code) of a document of that kind: the second time the first task."""
    submission_id, task_id, code = _accept(db, document, caller, kind)
    if code == "Accepted":
        authority.record(db, task_id, caller.token_id)
    return submission_id, task_id, code


def submit_as(db: sqlite3.Connection, document: dict[str, Any], caller: Caller, *, client_id: str, root: Path) -> tuple[str, str, str]:
    """The same of a transfer document, for a service without the owner's token: on the consents of `client_id` below the scopes `root`."""
    submission_id, task_id, code = _accept(db, document, caller, "transfer")
    if code == "Accepted":
        authority.record_as(db, task_id, client_id=client_id, root=root)
    return submission_id, task_id, code


def _accept(db: sqlite3.Connection, document: dict[str, Any], caller: Caller, kind: Kind) -> tuple[str, str, str]:
    duplicate = tasks.find_duplicate(db, document.get("submission_id"), caller.identity_id)
    if duplicate is not None:
        return str(document["submission_id"]).lower(), duplicate, "Duplicate"
    if kind == "delete":
        opened = operations.open_collection(db, str(document.get("endpoint")), caller, local_user=document.get("local_user"))
        submission = submitting.read_delete(document, collection=opened.collection, home=opened.rights.home)
    else:
        source = operations.open_collection(db, str(document.get("source_endpoint")), caller, local_user=document.get("source_local_user"))
        target = operations.open_collection(
            db, str(document.get("destination_endpoint")), caller, local_user=document.get("destination_local_user")
        )
        homes = (source.rights.home, target.rights.home)
        submission = submitting.read_transfer(document, source=source.collection, destination=target.collection, homes=homes)
    for collection in {submission.source.id, (submission.destination or submission.source).id}:
        collections.note_use(db, identity_id=caller.identity_id, collection_id=collection)
    task_id = tasks.create(db, submission, owner_id=caller.identity_id)
    return submission.submission_id, task_id, "Accepted"
