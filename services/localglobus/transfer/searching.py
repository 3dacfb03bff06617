"""Searching for collections and endpoints. One statement narrows a search scope to what the person's principals may know of; what each
right is worth is looked at only where that decides, and only until enough is found: a search costs no more where thousands of
collections stand.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.localglobus.auth.identities import find_by_username
from services.localglobus.errors import ApiError
from services.localglobus.transfer import collections
from services.localglobus.transfer.collections import Collection, Endpoint
from services.localglobus.transfer.documents import entity_type
from services.localglobus.transfer.permissions import Person, rights_of, roles_of
from services.localglobus.transfer.times import now_text

OWNED = "collection.owner_id IN (SELECT value FROM json_each(:identities))"
ROLES = "SELECT subject_id FROM role WHERE principal IN (SELECT value FROM json_each(:holders))"
LOOKED_AFTER = f"({OWNED} OR collection.id IN ({ROLES}) OR collection.endpoint_id IN ({ROLES}))"
RULES = "SELECT collection_id FROM access_rule WHERE (expires_at IS NULL OR expires_at > :now) AND principal IN"
SHARED = f"collection.id IN ({RULES} (SELECT value FROM json_each(:holders)))"  # noqa: S608 (our own words)
OPEN = f"collection.id IN ({RULES} (SELECT '' UNION SELECT value FROM json_each(:holders)))"  # noqa: S608 (our own words)
MAPPED = "gateway_id IN (SELECT gateway_id FROM identity_mapping WHERE identity_id IN (SELECT value FROM json_each(:identities)))"
REACHED = f"({OPEN} OR {LOOKED_AFTER} OR (kind = 'mapped' AND {MAPPED}))"
KNOWN = f"(is_public OR {REACHED})"
BUSY = "SELECT {} FROM task WHERE owner_id = :identity AND completed_at IS NULL AND {} IS NOT NULL"
SCOPES = {
    "all": KNOWN,
    "my-endpoints": OWNED,
    "my-gcp-endpoints": f"{OWNED} AND gcs_address = ''",
    "shared-by-me": f"kind = 'guest' AND {OWNED}",
    "shared-with-me": f"kind = 'guest' AND NOT {OWNED} AND {SHARED}",
    "administered-by-me": LOOKED_AFTER,
    "recently-used": f"collection.id IN (SELECT collection_id FROM recent_use WHERE identity_id = :identity) AND {KNOWN}",  # noqa: S608 (our own words)
    "in-use": f"collection.id IN ({BUSY.format(*2 * ['source_id'])} UNION {BUSY.format(*2 * ['destination_id'])}) AND {KNOWN}",
}
OF_OWNERS = frozenset({"my-endpoints", "my-gcp-endpoints", "shared-by-me"})
"""Scopes that say whose the collections are."""
ENDPOINT_SCOPES = {
    "all": "1",
    "my-endpoints": "endpoint.owner_id IN (SELECT value FROM json_each(:identities))",
    "administered-by-me": f"(endpoint.owner_id IN (SELECT value FROM json_each(:identities)) OR endpoint.id IN ({ROLES}))",  # noqa: S608 (our own words)
}
MEMBERS = ("description", "organization", "department", "keywords")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is searched for. `owner` is an identity or its name; `types` and `hosts` are all where they are empty."""

    scope: str = "all"
    words: Sequence[str] = ()
    owner: str | None = None
    types: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    functional: frozenset[bool] = field(default_factory=lambda: frozenset({True, False}))  # values of `non_functional`


def find(db: sqlite3.Connection, person: Person, wanted: Wanted, *, most: int) -> list[Collection | Endpoint]:
    """Returns collections, then endpoints, each by name: the first `most`. Raises `ApiError` 400 for an unknown scope."""
    if wanted.scope not in SCOPES:
        raise ApiError("BadRequest", f"Unknown filter_scope {wanted.scope!r}", 400)
    found: list[Collection | Endpoint] = []
    for each in _all(db, person, wanted):
        if len(found) == most:
            break
        found.append(each)
    return found


def usable(db: sqlite3.Connection, person: Person) -> Iterator[Collection]:
    """Yields the collections by name whose files the person reaches."""
    return (each for each in _narrowed(db, person, REACHED) if rights_of(db, each, person).grants)


def looked_after(db: sqlite3.Connection, person: Person, roles: frozenset[str]) -> list[Collection]:
    """Returns the collections by name on which, or on whose endpoint, the person holds one of the roles."""
    return [each for each in _narrowed(db, person, LOOKED_AFTER) if roles_of(db, each, person) & roles]


def _narrowed(db: sqlite3.Connection, person: Person, condition: str) -> Iterator[Collection]:
    query = f"{collections.SELECT} WHERE {condition} ORDER BY collection.display_name, collection.id"
    return map(collections.from_row, db.execute(query, _principals(person)).fetchall())


def _all(db: sqlite3.Connection, person: Person, wanted: Wanted) -> Iterator[Collection | Endpoint]:
    owner = None if wanted.owner is None else _identity_called(db, wanted.owner)
    parameters = {**_principals(person), "owner": owner}
    if False in wanted.functional:
        where = f"{SCOPES[wanted.scope]} AND (:owner IS NULL OR collection.owner_id = :owner)"
        query = f"{collections.SELECT} WHERE {where} ORDER BY collection.display_name, collection.id"
        for row in db.execute(query, parameters):
            if _fits(row, wanted) and _is_told(db, collection := collections.from_row(row), person, wanted.scope):
                yield collection
    has_type = not wanted.types or "GCSv5_endpoint" in wanted.types
    if True in wanted.functional and wanted.scope in ENDPOINT_SCOPES and has_type and not wanted.hosts:
        where = f"{ENDPOINT_SCOPES[wanted.scope]} AND gcs_address != '' AND (:owner IS NULL OR endpoint.owner_id = :owner)"
        query = f"{collections.SELECT_ENDPOINT} WHERE {where} ORDER BY endpoint.display_name, endpoint.id"
        yield from (collections.endpoint_from(row) for row in db.execute(query, parameters) if _has_words(row, None, wanted.words))


def _principals(person: Person) -> dict[str, Any]:
    return {
        "identity": person.identity_id,
        "identities": json.dumps(sorted(person.identities)),
        "holders": json.dumps(sorted(person.identities | person.groups)),
        "now": now_text(),
    }


def _fits(row: sqlite3.Row, wanted: Wanted) -> bool:
    kind = entity_type(is_mapped=row["kind"] == "mapped", is_personal=not row["gcs_address"])
    has_type = not wanted.types or kind in wanted.types
    return has_type and (not wanted.hosts or row["mapped_id"] in wanted.hosts) and _has_words(row, row["description"], wanted.words)


def _is_told(db: sqlite3.Connection, collection: Collection, person: Person, scope: str) -> bool:
    """Whether rights that do not hold (of a suspended collection, of an account that is shut out) are all that speaks for it."""
    if scope == "shared-with-me":
        return bool(rights_of(db, collection, person).grants)
    if scope in {"all", "recently-used", "in-use"} and not collection.is_public:
        return rights_of(db, collection, person).is_any
    return True


def _has_words(row: sqlite3.Row, description: str | None, words: Sequence[str]) -> bool:
    """Every word, in any of the texts by which a collection describes itself."""
    if not words:
        return True
    own = {"description": description, "organization": row["organization"]}
    texts: Mapping[str, Any] = json.loads(row["texts"])
    own |= {name: texts[name] for name in MEMBERS if texts.get(name) is not None}
    said = [row["id"], row["display_name"], *(",".join(one) if isinstance(one, list) else str(one) for one in own.values() if one)]
    whole = " ".join(said).lower()
    return all(word.lower() in whole for word in words)


def _identity_called(db: sqlite3.Connection, owner: str) -> str:
    row = find_by_username(db, owner)
    return owner.lower() if row is None else str(row["id"])
