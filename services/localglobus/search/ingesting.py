"""What is written to an index: `GIngest` documents read and checked, entries kept with who may see them, and deleted again.

Checking is done when a document is sent; writing is a task's (`tasks.py`). An entry is known by its subject and its id, which may be null.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.localglobus.search import fields, principals
from services.localglobus.search.filters import refuse

MAX_DOCUMENT_BYTES = 10 * 2**20  # https://docs.globus.org/api/search/limits/
SUBJECT_LENGTH = 512
MOST_DEEP = 50
MOST_INTEGER = 2**64
GEO_TYPES = ("geo_point", "geo_shape")


def read_ingest(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the entries of a `GIngest` document. Raises `ApiError` 400 for what is none."""
    kind, found = asked.get("ingest_type"), asked.get("ingest_data")
    if asked.get("@datatype", "GIngest") != "GIngest" or kind not in ("GMetaEntry", "GMetaList") or not isinstance(found, dict):
        raise refuse("a GIngest document has an ingest_type, GMetaEntry or GMetaList, and ingest_data")
    _check_mapping(asked.get("field_mapping"))
    entries = [found] if kind == "GMetaEntry" else found.get("gmeta")
    if not isinstance(entries, list) or not entries:
        raise refuse("a GMetaList has a list gmeta of at least one entry")
    return [read_entry(each) for each in entries]


def _check_mapping(asked: Any) -> None:
    """Which fields are points and shapes: https://docs.globus.org/api/search/guides/geo_search/. Here they are told by their form."""
    if asked is not None and (not isinstance(asked, dict) or not all(kind in GEO_TYPES for kind in asked.values())):
        raise refuse("field_mapping names for each field one of geo_point and geo_shape")


def read_entry(asked: Any) -> dict[str, Any]:
    """Returns a `GMetaEntry` as it is kept. Raises `ApiError` 400."""
    if not isinstance(asked, dict):
        raise refuse("a GMetaEntry must be an object")
    content = asked.get("content")
    if not isinstance(content, dict):
        raise refuse("the content of a GMetaEntry must be an object")
    _refuse_odd(content, MOST_DEEP)
    return {
        "subject": read_subject(asked.get("subject")),
        "entry_id": read_entry_id(asked.get("id")),
        "content": content,
        "visible_to": principals.read_visible_to(asked.get("visible_to")),
        "principal_sets": principals.read_sets(asked.get("principal_sets")),
    }


def read_subject(value: object) -> str:
    """Returns a subject. Raises `ApiError` 400 for what is no text, or too long."""
    if not isinstance(value, str) or not 0 < len(value) <= SUBJECT_LENGTH:
        raise refuse(f"subject must be a text of at most {SUBJECT_LENGTH} characters")
    return value


def read_entry_id(value: object) -> str:
    """Returns the id of an entry, '' for null. Raises `ApiError` 400."""
    if value is None:
        return ""
    if not isinstance(value, str) or not 0 < len(value) <= SUBJECT_LENGTH:
        raise refuse(f"the id of an entry must be null or a text of at most {SUBJECT_LENGTH} characters")
    return value


def _refuse_odd(value: Any, depth: int) -> None:
    """No content deeper than can be walked, no NaN, which JSON does not know, and no integers that take long to be written."""
    if depth < 0:
        raise refuse(f"the content of an entry is nested deeper than {MOST_DEEP}")
    if isinstance(value, float) and not math.isfinite(value):
        raise refuse("numbers in the content of an entry must be finite")
    if isinstance(value, int) and abs(value) >= MOST_INTEGER:
        raise refuse("integers in the content of an entry have 64 bits")
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_odd(each, depth - 1)


def put(db: sqlite3.Connection, index_id: str, entries: Iterable[Mapping[str, Any]]) -> None:
    """Writes entries; one that is there under the same subject and id is replaced. Safe to repeat."""
    for entry in entries:
        delete(db, _ids(db, "index_id = ? AND subject = ? AND entry_id = ?", (index_id, entry["subject"], entry["entry_id"])))
        made = db.execute(
            "INSERT INTO search_entry (index_id, subject, entry_id, content, visible_to, principal_sets) VALUES (?, ?, ?, ?, ?, ?)",
            (
                index_id,
                entry["subject"],
                entry["entry_id"],
                json.dumps(entry["content"]),
                json.dumps(entry["visible_to"]),
                json.dumps(entry["principal_sets"]),
            ),
        )
        db.executemany("INSERT OR IGNORE INTO search_visible VALUES (?, ?)", ((made.lastrowid, each) for each in entry["visible_to"]))
        db.execute("INSERT INTO search_text (rowid, words) VALUES (?, ?)", (made.lastrowid, fields.all_words(entry["content"])))


def delete(db: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Removes entries by their numbers. Safe to repeat."""
    for number in numbers:
        db.execute("DELETE FROM search_text WHERE rowid = ?", (number,))
        db.execute("DELETE FROM search_entry WHERE id = ?", (number,))


def delete_subjects(db: sqlite3.Connection, index_id: str, subjects: Iterable[str]) -> None:
    for subject in subjects:
        delete(db, _ids(db, "index_id = ? AND subject = ?", (index_id, subject)))


def delete_entry(db: sqlite3.Connection, index_id: str, subject: str, entry_id: str) -> None:
    delete(db, _ids(db, "index_id = ? AND subject = ? AND entry_id = ?", (index_id, subject, entry_id)))


def _ids(db: sqlite3.Connection, where: str, values: Sequence[str]) -> list[int]:
    return [number for (number,) in db.execute(f"SELECT id FROM search_entry WHERE {where}", values)]  # noqa: S608 (our own words)
