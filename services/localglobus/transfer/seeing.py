"""Endpoints and collections as a person sees them: the `endpoint` document with her roles in it."""

from __future__ import annotations

import sqlite3
from typing import Any

from services.localglobus.auth.identities import get as get_identity
from services.localglobus.transfer import collections, operations, searching
from services.localglobus.transfer.collections import Collection, Endpoint
from services.localglobus.transfer.documents import endpoint_document, gcs_endpoint_document
from services.localglobus.transfer.permissions import RULE_ROLES, Person, rights_of, roles_on_endpoint

MOST_FOUND = 1000
"""The hard cap of a search (https://docs.globus.org/api/transfer/endpoint_and_collection_search/)."""


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


def search(
    db: sqlite3.Connection, person: Person, wanted: searching.Wanted, *, limit: int, offset: int
) -> tuple[list[dict[str, Any]], bool]:
    """Returns a page of what a search finds within the first `MOST_FOUND`, and whether there is more."""
    found = searching.find(db, person, wanted, most=min(offset + limit + 1, MOST_FOUND))
    page = [
        describe_collection(db, each, person) if isinstance(each, Collection) else _describe(db, each, person)
        for each in found[offset : offset + limit]
    ]
    return page, len(found) > offset + limit


def _describe(db: sqlite3.Connection, endpoint: Endpoint, person: Person) -> dict[str, Any]:
    return gcs_endpoint_document(endpoint, owner_name=name_of(db, endpoint.owner_id), roles=roles_on_endpoint(db, endpoint, person))


def name_of(db: sqlite3.Connection, identity_id: str) -> str:
    """Returns the user name of an identity, or its id when it is not known."""
    row = get_identity(db, identity_id)
    return identity_id if row is None else str(row["username"])
