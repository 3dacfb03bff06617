"""The GCS Manager's storage gateway and user credentials, as far as making and handing over guest collections needs them.

An endpoint begins with one gateway, the POSIX folder of its node; more are to the same folder or to buckets (S3), and may ask for
more assurance. A credential is made for an identity that has a local account there.
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
from services.localglobus.gcs_documents import credential_document, envelope, gateway_document
from services.localglobus.gcs_requests import answer_list, manager, require_endpoint_admin
from services.localglobus.transfer import assurance, collections, connectors
from services.localglobus.transfer.assurance import Assurance
from services.localglobus.transfer.collections import Endpoint
from services.localglobus.transfer.describing import read_name, read_text
from services.localglobus.transfer.requests import read_document, store_of


async def list_gateways(request: Request) -> Response:
    _, endpoint = await manager(request)
    return answer_list(request, await store_of(request).read(_gateways, endpoint))


async def create_gateway(request: Request) -> Response:
    """Another gateway: to the folder of the node, or to buckets; it may ask for more assurance. Accounts are those of the first one."""
    caller, endpoint = await manager(request)
    asked = await read_document(request)
    if not str(asked.get("DATA_TYPE", "")).startswith("storage_gateway#") or not isinstance(asked.get("display_name"), str):
        raise ApiError("unprocessable_entity", "Data Validation Error", 422)
    made = await store_of(request).write(_create_gateway, endpoint, caller, asked)
    return JSONResponse(envelope([made], message=f"Created Storage Gateway {made['id']}", status=201), status_code=201)


async def one_gateway(request: Request) -> Response:
    _, endpoint = await manager(request)
    return JSONResponse(envelope([await store_of(request).read(get_gateway, endpoint, request.path_params["gateway_id"])]))


async def update_gateway(request: Request) -> Response:
    caller, endpoint = await manager(request)
    asked = await read_document(request)
    return JSONResponse(
        envelope([await store_of(request).write(_rename_gateway, endpoint, caller, request.path_params["gateway_id"], asked)])
    )


async def delete_gateway(request: Request) -> Response:
    caller, endpoint = await manager(request)
    gateway_id = request.path_params["gateway_id"]
    await store_of(request).write(_delete_gateway, endpoint, caller, gateway_id)
    return JSONResponse(envelope([], message=f"Deleted Storage Gateway {gateway_id}"))


async def list_credentials(request: Request) -> Response:
    caller, endpoint = await manager(request)
    gateway_id = request.query_params.get("storage_gateway", endpoint.gateway_id)
    rows = await store_of(request).read(_credentials, endpoint, caller)
    return answer_list(request, [credential_document(row) for row in rows if row["gateway_id"] == gateway_id])


async def create_credential(request: Request) -> Response:
    caller, endpoint = await manager(request)
    asked = await read_document(request)
    row = await store_of(request).write(_create_credential, endpoint, caller, asked)
    return JSONResponse(envelope([credential_document(row)], message=f"Created User Credential {row['id']}", status=201), status_code=201)


async def one_credential(request: Request) -> Response:
    caller, endpoint = await manager(request)
    row = await store_of(request).read(_credential, endpoint, caller, request.path_params["credential_id"])
    return JSONResponse(envelope([credential_document(row)]))


async def update_credential(request: Request) -> Response:
    caller, endpoint = await manager(request)
    asked = await read_document(request)
    row = await store_of(request).write(_update_credential, endpoint, caller, request.path_params["credential_id"], asked)
    return JSONResponse(envelope([credential_document(row)], message=f"Updated User Credential {row['id']}"))


async def delete_credential(request: Request) -> Response:
    caller, endpoint = await manager(request)
    credential_id = request.path_params["credential_id"]
    await store_of(request).write(_delete_credential, endpoint, caller, credential_id)
    return JSONResponse(envelope([], message=f"Deleted User Credential {credential_id}"))


def _gateways(db: sqlite3.Connection, endpoint: Endpoint) -> list[dict[str, Any]]:
    rows = db.execute("SELECT id FROM storage_gateway WHERE endpoint_id = ? ORDER BY rowid", (endpoint.id,)).fetchall()
    return [get_gateway(db, endpoint, row["id"]) for row in rows]


def get_gateway(db: sqlite3.Connection, endpoint: Endpoint, gateway_id: str) -> dict[str, Any]:
    """Returns the document of one of the endpoint's gateways. Raises `ApiError` 404."""
    row = db.execute("SELECT * FROM storage_gateway WHERE id = ? AND endpoint_id = ?", (gateway_id, endpoint.id)).fetchone()
    if row is None:
        raise ApiError("not_found", f"No storage gateway '{gateway_id}' on this endpoint", 404)
    return gateway_document(row, assurance.of_gateway(db, gateway_id) or Assurance(), connectors.of_gateway(db, gateway_id))


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
    return get_gateway(db, endpoint, gateway_id)


def _delete_gateway(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, gateway_id: str) -> None:
    require_endpoint_admin(db, endpoint, caller)
    get_gateway(db, endpoint, gateway_id)
    if gateway_id == endpoint.gateway_id or db.execute("SELECT 1 FROM collection WHERE gateway_id = ?", (gateway_id,)).fetchone():
        raise ApiError("permission_denied", "Collections stand on this storage gateway", 403)
    for table in ("identity_mapping", "user_credential"):
        db.execute(f"DELETE FROM {table} WHERE gateway_id = ?", (gateway_id,))  # noqa: S608 (our own words)
    db.execute("DELETE FROM storage_gateway WHERE id = ?", (gateway_id,))


def _rename_gateway(
    db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, gateway_id: str, asked: Mapping[str, Any]
) -> dict[str, Any]:
    require_endpoint_admin(db, endpoint, caller)
    get_gateway(db, endpoint, gateway_id)
    assurance.keep(db, gateway_id, asked, is_new=False)
    connectors.keep(db, gateway_id, asked, is_new=False)
    if "display_name" in asked:
        db.execute("UPDATE storage_gateway SET display_name = ? WHERE id = ?", (read_name(asked["display_name"]), gateway_id))
    return get_gateway(db, endpoint, gateway_id)


def _credentials(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller) -> list[sqlite3.Row]:
    rows = db.execute(
        "SELECT user_credential.*, gateway_bucket.endpoint AS s3_endpoint FROM user_credential LEFT JOIN gateway_bucket USING (gateway_id)"
        " WHERE gateway_id IN (SELECT id FROM storage_gateway WHERE endpoint_id = ?) ORDER BY created_at, id",
        (endpoint.id,),
    )
    return [row for row in rows if row["identity_id"] in caller.identity_ids]


def _credential(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, credential_id: str) -> sqlite3.Row:
    for row in _credentials(db, endpoint, caller):
        if row["id"] == credential_id:
            return row
    raise ApiError("not_found", "No such user credential of yours", 404)


def _create_credential(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, asked: Mapping[str, Any]) -> sqlite3.Row:
    identity_id = str(asked.get("identity_id") or caller.identity_id)
    if identity_id not in caller.identity_ids:
        raise ApiError("permission_denied", "A user credential is made for yourself", 403)
    gateway = get_gateway(db, endpoint, str(asked.get("storage_gateway_id") or endpoint.gateway_id))
    credential_id = collections.ensure_credential(db, gateway_id=gateway["id"], identity_id=identity_id)
    return _credential(db, endpoint, caller, credential_id)


def _update_credential(
    db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, credential_id: str, asked: Mapping[str, Any]
) -> sqlite3.Row:
    row = _credential(db, endpoint, caller, credential_id)
    if "display_name" in asked:
        db.execute("UPDATE user_credential SET display_name = ? WHERE id = ?", (read_text(asked, "display_name"), row["id"]))
    return _credential(db, endpoint, caller, credential_id)


def _delete_credential(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, credential_id: str) -> None:
    row = _credential(db, endpoint, caller, credential_id)
    if db.execute("SELECT 1 FROM collection WHERE user_credential_id = ?", (row["id"],)).fetchone():
        raise ApiError("conflict", "A guest collection works through this user credential", 409)
    db.execute("DELETE FROM user_credential WHERE id = ?", (row["id"],))


routes = [
    Route("/api/storage_gateways", list_gateways, methods=["GET"]),
    Route("/api/storage_gateways", create_gateway, methods=["POST"]),
    Route("/api/storage_gateways/{gateway_id}", one_gateway, methods=["GET"]),
    Route("/api/storage_gateways/{gateway_id}", update_gateway, methods=["PATCH"]),
    Route("/api/storage_gateways/{gateway_id}", delete_gateway, methods=["DELETE"]),
    Route("/api/user_credentials", list_credentials, methods=["GET"]),
    Route("/api/user_credentials", create_credential, methods=["POST"]),
    Route("/api/user_credentials/{credential_id}", one_credential, methods=["GET"]),
    Route("/api/user_credentials/{credential_id}", update_credential, methods=["PATCH", "PUT"]),
    Route("/api/user_credentials/{credential_id}", delete_credential, methods=["DELETE"]),
]
