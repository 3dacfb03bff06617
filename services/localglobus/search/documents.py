"""The wire shapes of Search (https://docs.globus.org/api/search/)."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterable
from typing import Any

VERSION = "2017-09-01"
RESULT_VERSION = "2019-08-27"
DESCRIPTIONS = {
    "PENDING": "The task has not started yet",
    "SUCCESS": "Task succeeded",
    "FAILED": "Task failed",
}


def index_document(row: sqlite3.Row, *, max_size_mb: int) -> dict[str, Any]:
    return {
        "@datatype": "GSearchIndex",
        "@version": VERSION,
        "id": row["id"],
        "display_name": row["display_name"],
        "description": row["description"],
        "creation_date": row["created_at"],
        "is_trial": True,
        "subscription_id": None,
        "max_size_in_mb": max_size_mb,
        "size_in_mb": row["size_bytes"] // 2**20,
        "num_entries": row["n_entries"],
        "num_subjects": row["n_subjects"],
        "status": "open" if row["deleted_at"] is None else "delete_pending",
    }


def role_document(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": role_name_of(row["id"]),
        "index_id": row["index_id"],
        "principal": row["principal"],
        "principal_type": row["principal_type"],
        "role_name": row["role_name"],
        "creation_date": row["created_at"],
    }


def role_name_of(number: int) -> str:
    """The id of a role as Search writes it: base64 of a number of six digits."""
    return base64.b64encode(f"{number:06d}".encode()).decode()


def task_document(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "task_id": row["id"],
        "task_type": row["task_type"],
        "index_id": row["index_id"],
        "state": row["state"],
        "state_description": DESCRIPTIONS[row["state"]],
        "message": row["message"],
        "additional_details": None,
        "creation_date": row["created_at"],
        "completion_date": row["completed_at"],
    }


def entry_document(row: sqlite3.Row, matched: Iterable[str] = ()) -> dict[str, Any]:
    """One entry of a result. `matched` are the names of the principal sets that the caller is in."""
    return {"content": json.loads(row["content"]), "entry_id": row["entry_id"] or None, "matched_principal_sets": sorted(matched)}


def subject_document(subject: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"@datatype": "GMetaResult", "@version": RESULT_VERSION, "subject": subject, "entries": entries}


def result_document(gmeta: list[dict[str, Any]], *, total: int, **more: Any) -> dict[str, Any]:
    return {"@datatype": "GSearchResult", "@version": VERSION, "count": len(gmeta), "total": total, "gmeta": gmeta, **more}
