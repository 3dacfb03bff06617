"""Endpoints and collections as a person sees them: the `endpoint` document with her roles in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from services.localglobus.auth.identities import find_by_username
from services.localglobus.auth.identities import get as get_identity
from services.localglobus.transfer import collections, operations
from services.localglobus.transfer.collections import Collection, Endpoint
from services.localglobus.transfer.documents import endpoint_document, gcs_endpoint_document
from services.localglobus.transfer.permissions import RULE_ROLES, Person, rights_of, roles_on_endpoint

SEARCHED = ("display_name", "description", "organization", "department", "keywords", "id")
"""Members of an `endpoint` document that a search by words looks into."""


def describe_endpoint(db: sqlite3.Connection, endpoint_id: str, person: Person) -> dict[str, Any]:
    """Returns an endpoint or a collection that the person may know of. Raises `ApiError` 404 `EndpointNotFound`."""
    endpoint = collections.find_endpoint(db, endpoint_id=endpoint_id.lower())
    if endpoint is not None:
        return _describe(db, endpoint, person)
    return describe_collection(db, operations.visible(db, endpoint_id, person)[0], person)


def describe_collection(db: sqlite3.Connection, collection: Collection, person: Person) -> dict[str, Any]:
    """Returns a collection, whoever asks."""
    held = rights_of(db, collection, person).roles
    owner_name = name_of(db, collection.owner_id)
    return endpoint_document(collection, owner_name=owner_name, roles=held, can_manage_rules=bool(held & RULE_ROLES))


def search(db: sqlite3.Connection, person: Person, *, scope: str, words: Sequence[str], owner: str | None) -> list[dict[str, Any]]:
    """Returns what a search scope holds whose texts have all words: collections, then endpoints. `owner` is an identity or its name."""
    owner_id = owner if owner is None else _identity_called(db, owner)
    documents = [describe_collection(db, each, person) for each, _ in operations.search(db, person, scope=scope, owner_id=owner_id)]
    documents += [_describe(db, each, person) for each in operations.search_endpoints(db, person, scope=scope, owner_id=owner_id)]
    return [each for each in documents if _has_words(each, words)]


def _has_words(document: Mapping[str, Any], words: Sequence[str]) -> bool:
    text = " ".join(str(document[name]) for name in SEARCHED if document[name]).lower()
    return all(word.lower() in text for word in words)


def _identity_called(db: sqlite3.Connection, owner: str) -> str:
    row = find_by_username(db, owner)
    return owner.lower() if row is None else str(row["id"])


def _describe(db: sqlite3.Connection, endpoint: Endpoint, person: Person) -> dict[str, Any]:
    return gcs_endpoint_document(endpoint, owner_name=name_of(db, endpoint.owner_id), roles=roles_on_endpoint(db, endpoint, person))


def name_of(db: sqlite3.Connection, identity_id: str) -> str:
    """Returns the user name of an identity, or its id when it is not known."""
    row = get_identity(db, identity_id)
    return identity_id if row is None else str(row["username"])
