"""Hosts of the Connect Personal kind: somebody's own computer, registered at Transfer, without a GCS Manager.

The mapped collection and the endpoint are one thing to clients. Making it gives a *setup key*: the secret of a node whose name is the
collection's id (`python -m services.dtn --name <id> --secret-file <file with the key>`). It is connected while such a node is heard. Guest
collections on it are made at Transfer (`POST /v0.10/shared_endpoint`); nobody needs a `data_access` consent.
"""

from __future__ import annotations

import secrets
import sqlite3
import uuid
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.localglobus.auth.keys import write_private
from services.localglobus.auth.tokens import Caller
from services.localglobus.errors import ApiError
from services.localglobus.transfer import collections, describing, operations
from services.localglobus.transfer.collections import Collection
from services.localglobus.transfer.documents import result
from services.localglobus.transfer.paths import folder, normalise
from services.localglobus.transfer.permissions import person_behind
from services.localglobus.transfer.requests import nodes_of, read_document, store_of, transfer_caller
from services.localglobus.transfer.times import now_text

MOST_HOSTS = 100
"""Of one owner; Globus has a limit for all endpoints of a user."""


async def create_host(request: Request) -> Response:
    """Registers a computer; the setup key is told once and kept as the node's secret."""
    caller = await transfer_caller(request)
    asked = await read_document(request, data_type="endpoint")
    if asked.get("is_globus_connect") is not True:
        raise ApiError("NotSupported", "Endpoints of other kinds than Connect Personal are made by Globus Connect Server", 409)
    if asked.get("subscription_id") is not None:
        raise ApiError("BadRequest", "You have access to no subscription; localglobus has none", 400)
    collection_id, setup_key = str(uuid.uuid4()), secrets.token_urlsafe(32)
    path = nodes_of(request).secret_path(collection_id)
    write_private(path, setup_key.encode())
    try:
        await store_of(request).write(_create, collection_id, caller, asked)
    except ApiError:
        path.unlink()
        raise
    told = {"id": collection_id, "globus_connect_setup_key": setup_key, "canonical_name": f"{caller.identity_id}#{collection_id}"}
    words = "Endpoint created successfully"
    document = result("Created", words, resource=request.url.path, data_type="endpoint_create_result", **told)
    return JSONResponse(document, status_code=201)


async def create_share(request: Request) -> Response:
    """A guest collection of a folder on a host that is connected, by who has an account there: its owner."""
    caller = await transfer_caller(request)
    asked = await read_document(request, data_type="shared_endpoint")
    opened = await store_of(request).read(_open_host, caller, asked)
    path = normalise(asked.get("host_path"), home=opened.rights.home)
    entry = await nodes_of(request).call(opened.collection, "stat", path=path.rstrip("/") or "/", rules=opened.rules)
    if entry["type"] != "dir":
        raise ApiError("BadRequest", "host_path is not a folder", 400)
    made = await store_of(request).write(_create_share, opened.collection, path, caller, asked)
    document = result(
        "Created", "Shared endpoint created successfully", resource=request.url.path, data_type="shared_endpoint_create_result", id=made
    )
    return JSONResponse(document, status_code=201)


def delete(db: sqlite3.Connection, host: Collection) -> None:
    """Removes a host with the guest collections on it; its files stay where they are."""
    for each in sorted(collections.all_collections(db, endpoint_id=host.endpoint_id), key=lambda each: each.is_mapped):
        collections.delete(db, each.id)
    for table in ("user_credential", "identity_mapping"):
        db.execute(f"DELETE FROM {table} WHERE gateway_id = ?", (host.gateway_id,))  # noqa: S608 (our own names)
    db.execute("DELETE FROM storage_gateway WHERE id = ?", (host.gateway_id,))
    db.execute("DELETE FROM role WHERE subject_id = ?", (host.endpoint_id,))
    db.execute("DELETE FROM endpoint WHERE id = ?", (host.endpoint_id,))


def _create(db: sqlite3.Connection, collection_id: str, caller: Caller, asked: Mapping[str, Any]) -> None:
    owned = "SELECT count(*) FROM endpoint WHERE owner_id = ? AND gcs_address = ''"
    (count,) = db.execute(owned, (caller.identity_id,)).fetchone()
    if count >= MOST_HOSTS:
        raise ApiError("LimitExceeded", f"You have {MOST_HOSTS} hosts of the Connect Personal kind; delete one of them", 409)
    name = describing.read_name(asked.get("display_name"))
    endpoint_id, gateway_id = str(uuid.uuid4()), str(uuid.uuid4())
    db.execute(
        "INSERT INTO endpoint (id, node, display_name, gcs_address, organization, owner_id, node_url, created_at)"
        " VALUES (?, ?, ?, '', '', ?, '', ?)",
        (endpoint_id, collection_id, name, caller.identity_id, now_text()),
    )
    db.execute("INSERT INTO storage_gateway VALUES (?, ?, ?)", (gateway_id, endpoint_id, name))
    account = caller.username.partition("@")[0]
    db.execute("INSERT INTO identity_mapping VALUES (?, ?, ?, '/')", (gateway_id, caller.identity_id, account))
    is_public = asked.get("public", True) is True
    collections.create_mapped(db, endpoint_id=endpoint_id, display_name=name, is_public=is_public, collection_id=collection_id)
    collections.grant_role(db, subject_id=collection_id, principal=caller.identity_id, role="administrator")
    describing.change_at_transfer(db, collection_id, {key: value for key, value in asked.items() if value is not None and key != "public"})


def _open_host(db: sqlite3.Connection, caller: Caller, asked: Mapping[str, Any]) -> operations.Opened:
    host, _ = operations.visible(db, str(asked.get("host_endpoint", asked.get("host_endpoint_id"))), person_behind(caller))
    if not host.is_personal:
        raise ApiError(
            "NotSupported", "The host is a Globus Connect Server version 5: its guest collections are made by its GCS Manager", 409
        )
    if not host.is_mapped:
        raise ApiError("BadRequest", "A guest collection cannot be the host of another one", 400)
    return operations.open_collection(db, host.id, caller)


def _create_share(db: sqlite3.Connection, host: Collection, path: str, caller: Caller, asked: Mapping[str, Any]) -> str:
    made = collections.create_guest(
        db,
        mapped_id=host.id,
        display_name=describing.read_name(asked.get("display_name")),
        base_path=folder(path),
        owner_id=caller.identity_id,
        is_public=asked.get("public", True) is True,
    )
    describing.change_at_transfer(db, made, {key: value for key, value in asked.items() if value is not None and key != "public"})
    return made


routes = [
    Route("/v0.10/endpoint", create_host, methods=["POST"]),
    Route("/v0.10/shared_endpoint", create_share, methods=["POST"]),
]
