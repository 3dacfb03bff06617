"""The GCS Manager's storage gateways.

An endpoint begins with one gateway, the POSIX folder of its node; more are to the same folder or to buckets (S3), and may ask for
more assurance. Which accounts may use one is shown to administrators of the endpoint alone.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.localglobus.auth.tokens import Caller
from services.localglobus.errors import ApiError
from services.localglobus.gcs_documents import envelope, gateway_document
from services.localglobus.gcs_requests import answer_list, manager, require_endpoint_admin
from services.localglobus.transfer import assurance, connectors, gateway_accounts
from services.localglobus.transfer.assurance import Assurance
from services.localglobus.transfer.collections import Endpoint
from services.localglobus.transfer.describing import read_name
from services.localglobus.transfer.permissions import ADMIN_ROLES, person_behind, roles_on_endpoint
from services.localglobus.transfer.requests import read_document, store_of


async def list_gateways(request: Request) -> Response:
    caller, endpoint = await manager(request)
    return answer_list(request, await store_of(request).read(_gateways, endpoint, caller))


async def create_gateway(request: Request) -> Response:
    """Another gateway: to the folder of the node, or to buckets; it may ask for more assurance. Accounts are those of the first one."""
    caller, endpoint = await manager(request)
    asked = await read_document(request)
    if not str(asked.get("DATA_TYPE", "")).startswith("storage_gateway#") or not isinstance(asked.get("display_name"), str):
        raise ApiError("unprocessable_entity", "Data Validation Error", 422)
    made = await store_of(request).write(_create_gateway, endpoint, caller, asked)
    return JSONResponse(envelope([made], message=f"Created Storage Gateway {made['id']}", status=201), status_code=201)


async def one_gateway(request: Request) -> Response:
    caller, endpoint = await manager(request)
    return JSONResponse(envelope([await store_of(request).read(_shown_gateway, endpoint, caller, request.path_params["gateway_id"])]))


async def update_gateway(request: Request) -> Response:
    caller, endpoint = await manager(request)
    asked = await read_document(request)
    return JSONResponse(
        envelope([await store_of(request).write(_update_gateway, endpoint, caller, request.path_params["gateway_id"], asked)])
    )


async def delete_gateway(request: Request) -> Response:
    caller, endpoint = await manager(request)
    gateway_id = request.path_params["gateway_id"]
    await store_of(request).write(_delete_gateway, endpoint, caller, gateway_id)
    return JSONResponse(envelope([], message=f"Deleted Storage Gateway {gateway_id}"))


def _gateways(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller) -> list[dict[str, Any]]:
    rows = db.execute("SELECT id FROM storage_gateway WHERE endpoint_id = ? ORDER BY rowid", (endpoint.id,)).fetchall()
    return [_shown_gateway(db, endpoint, caller, row["id"]) for row in rows]


def _shown_gateway(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, gateway_id: str) -> dict[str, Any]:
    found = get_gateway(db, endpoint, gateway_id)
    is_admin = ADMIN_ROLES & roles_on_endpoint(db, endpoint, person_behind(caller))
    return found if is_admin else {**found, "users_allow": None, "users_deny": None}


def get_gateway(db: sqlite3.Connection, endpoint: Endpoint, gateway_id: str) -> dict[str, Any]:
    """Returns the document of one of the endpoint's gateways. Raises `ApiError` 404."""
    row = db.execute("SELECT * FROM storage_gateway WHERE id = ? AND endpoint_id = ?", (gateway_id, endpoint.id)).fetchone()
    if row is None:
        raise ApiError("not_found", f"No storage gateway '{gateway_id}' on this endpoint", 404)
    accounts = gateway_accounts.of_gateway(db, gateway_id)
    return gateway_document(row, assurance.of_gateway(db, gateway_id) or Assurance(), connectors.of_gateway(db, gateway_id), accounts)


def _create_gateway(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, asked: Mapping[str, Any]) -> dict[str, Any]:
    require_endpoint_admin(db, endpoint, caller)
    gateway_id = str(uuid.uuid4())
    db.execute("INSERT INTO storage_gateway VALUES (?, ?, ?)", (gateway_id, endpoint.id, read_name(asked["display_name"])))
    db.execute(
        "INSERT INTO identity_mapping SELECT ?, identity_id, account, home FROM identity_mapping WHERE gateway_id = ?",
        (gateway_id, endpoint.gateway_id),
    )
    assurance.keep(db, gateway_id, asked, is_new=True)
    connectors.keep(db, gateway_id, asked, is_new=True)
    gateway_accounts.keep(db, gateway_id, asked)
    return get_gateway(db, endpoint, gateway_id)


def _delete_gateway(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, gateway_id: str) -> None:
    require_endpoint_admin(db, endpoint, caller)
    get_gateway(db, endpoint, gateway_id)
    if gateway_id == endpoint.gateway_id or db.execute("SELECT 1 FROM collection WHERE gateway_id = ?", (gateway_id,)).fetchone():
        raise ApiError("permission_denied", "Collections stand on this storage gateway", 403)
    for table in ("identity_mapping", "user_credential"):
        db.execute(f"DELETE FROM {table} WHERE gateway_id = ?", (gateway_id,))  # noqa: S608 (our own words)
    db.execute("DELETE FROM storage_gateway WHERE id = ?", (gateway_id,))


def _update_gateway(
    db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, gateway_id: str, asked: Mapping[str, Any]
) -> dict[str, Any]:
    require_endpoint_admin(db, endpoint, caller)
    get_gateway(db, endpoint, gateway_id)
    assurance.keep(db, gateway_id, asked, is_new=False)
    connectors.keep(db, gateway_id, asked, is_new=False)
    gateway_accounts.keep(db, gateway_id, asked)
    if "display_name" in asked:
        db.execute("UPDATE storage_gateway SET display_name = ? WHERE id = ?", (read_name(asked["display_name"]), gateway_id))
    return get_gateway(db, endpoint, gateway_id)


routes = [
    Route("/api/storage_gateways", list_gateways, methods=["GET"]),
    Route("/api/storage_gateways", create_gateway, methods=["POST"]),
    Route("/api/storage_gateways/{gateway_id}", one_gateway, methods=["GET"]),
    Route("/api/storage_gateways/{gateway_id}", update_gateway, methods=["PATCH"]),
    Route("/api/storage_gateways/{gateway_id}", delete_gateway, methods=["DELETE"]),
]
