"""The GCS Manager's user credentials: by which account an identity works at a storage gateway.

An account must be the identity's own there. Of a key to S3 the id alone is kept: keys that are used are the node's, and a secret that
nobody needs is not stored. Gateways are in `gcs_storage.py`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.localglobus.auth.tokens import Caller
from services.localglobus.errors import ApiError
from services.localglobus.gcs_documents import credential_document, envelope
from services.localglobus.gcs_requests import answer_list, manager
from services.localglobus.gcs_storage import get_gateway
from services.localglobus.transfer import collections
from services.localglobus.transfer.collections import Endpoint
from services.localglobus.transfer.connectors import S3, Connector
from services.localglobus.transfer.describing import read_text
from services.localglobus.transfer.requests import read_document, store_of

FIXED = ("identity_id", "username", "storage_gateway_id", "connector_id")


async def list_credentials(request: Request) -> Response:
    caller, endpoint = await manager(request)
    gateway_id = request.query_params.get("storage_gateway")
    rows = await store_of(request).read(_credentials, endpoint, caller)
    return answer_list(request, [credential_document(row) for row in rows if gateway_id in (None, row["gateway_id"])])


async def create_credential(request: Request) -> Response:
    caller, endpoint = await manager(request)
    asked = await read_document(request)
    if not str(asked.get("DATA_TYPE", "")).startswith("user_credential#"):
        raise ApiError("unprocessable_entity", "Data Validation Error", 422)
    row = await store_of(request).write(_create, endpoint, caller, asked)
    return JSONResponse(envelope([credential_document(row)], message=f"Created User Credential {row['id']}", status=201), status_code=201)


async def one_credential(request: Request) -> Response:
    caller, endpoint = await manager(request)
    row = await store_of(request).read(_credential, endpoint, caller, request.path_params["credential_id"])
    return JSONResponse(envelope([credential_document(row)]))


async def update_credential(request: Request) -> Response:
    caller, endpoint = await manager(request)
    asked = await read_document(request)
    row = await store_of(request).write(_update, endpoint, caller, request.path_params["credential_id"], asked)
    return JSONResponse(envelope([credential_document(row)], message=f"Updated User Credential {row['id']}"))


async def delete_credential(request: Request) -> Response:
    caller, endpoint = await manager(request)
    credential_id = request.path_params["credential_id"]
    await store_of(request).write(_delete, endpoint, caller, credential_id)
    return JSONResponse(envelope([], message=f"Deleted User Credential {credential_id}"))


def _credentials(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller) -> list[sqlite3.Row]:
    rows = db.execute(
        "SELECT user_credential.*, gateway_bucket.endpoint AS s3_endpoint, coalesce(policies, '{}') AS policies FROM user_credential"
        " LEFT JOIN gateway_bucket USING (gateway_id) LEFT JOIN credential_policy ON credential_id = user_credential.id"
        " WHERE gateway_id IN (SELECT id FROM storage_gateway WHERE endpoint_id = ?)"
        " AND identity_id IN (SELECT value FROM json_each(?)) ORDER BY created_at, user_credential.rowid",
        (endpoint.id, json.dumps([*caller.identity_ids])),
    )
    return rows.fetchall()


def _credential(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, credential_id: str) -> sqlite3.Row:
    for row in _credentials(db, endpoint, caller):
        if row["id"] == credential_id:
            return row
    raise ApiError("not_found", "No such user credential of yours", 404)


def _create(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, asked: Mapping[str, Any]) -> sqlite3.Row:
    identity_id = str(asked.get("identity_id") or caller.identity_id)
    if identity_id not in caller.identity_ids:
        raise ApiError("permission_denied", "A user credential is made for yourself", 403)
    gateway = get_gateway(db, endpoint, str(asked.get("storage_gateway_id") or endpoint.gateway_id))
    if asked.get("connector_id") not in (None, gateway["connector_id"]):
        raise ApiError("bad_request", "connector_id is not that of the storage gateway", 400)
    account = collections.account_of(db, gateway_id=gateway["id"], identity_id=identity_id)
    if asked.get("username") not in (None, account):
        raise ApiError("permission_denied", "This account does not map to the identity", 403)
    policies = _policies(gateway["connector_id"], asked.get("policies"))
    credential_id = collections.create_credential(
        db, gateway_id=gateway["id"], identity_id=identity_id, account=account, display_name=read_text(asked, "display_name")
    )
    _keep(db, credential_id, policies)
    return _credential(db, endpoint, caller, credential_id)


def _update(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, credential_id: str, asked: Mapping[str, Any]) -> sqlite3.Row:
    row = _credential(db, endpoint, caller, credential_id)
    held = credential_document(row)
    for name in FIXED:
        if asked.get(name) not in (None, held[name]):
            raise ApiError("bad_request", f"The {name} of a user credential cannot be changed", 400)
    if "display_name" in asked:
        db.execute("UPDATE user_credential SET display_name = ? WHERE id = ?", (read_text(asked, "display_name"), row["id"]))
    if "policies" in asked:
        _keep(db, row["id"], _policies(held["connector_id"], asked["policies"]))
    return _credential(db, endpoint, caller, credential_id)


def _delete(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, credential_id: str) -> None:
    row = _credential(db, endpoint, caller, credential_id)
    if db.execute("SELECT 1 FROM collection WHERE user_credential_id = ?", (row["id"],)).fetchone():
        raise ApiError("conflict", "A guest collection works through this user credential", 409)
    db.execute("DELETE FROM user_credential WHERE id = ?", (row["id"],))


def _keep(db: sqlite3.Connection, credential_id: str, policies: Mapping[str, str]) -> None:
    db.execute("INSERT OR REPLACE INTO credential_policy VALUES (?, ?)", (credential_id, json.dumps(policies)))


def _policies(connector_id: str, value: object) -> dict[str, str]:
    """Returns what is kept of a credential's policies. Raises `ApiError` 400 for those of another connector, or half of a key."""
    if value is None:
        return {}
    kind = Connector(connector_id).credential_kind
    if not isinstance(value, Mapping) or not str(value.get("DATA_TYPE", kind)).startswith(kind):
        raise ApiError("bad_request", f"policies are those of the storage gateway's connector, {kind}1.0.0", 400)
    key = {name: value[name] for name in ("s3_key_id", "s3_secret_key") if value.get(name) is not None}
    if not set(value) <= {"DATA_TYPE", *(("s3_key_id", "s3_secret_key") if connector_id == S3 else ())}:
        raise ApiError("bad_request", "policies have a member that is unknown", 400)
    if len(key) == 1 or not all(isinstance(each, str) and 0 < len(each) < 1024 for each in key.values()):
        raise ApiError("bad_request", "A key is two texts: s3_key_id and s3_secret_key", 400)
    return {name: key[name] for name in ("s3_key_id",) if name in key}


routes = [
    Route("/api/user_credentials", list_credentials, methods=["GET"]),
    Route("/api/user_credentials", create_credential, methods=["POST"]),
    Route("/api/user_credentials/{credential_id}", one_credential, methods=["GET"]),
    Route("/api/user_credentials/{credential_id}", update_credential, methods=["PATCH", "PUT"]),
    Route("/api/user_credentials/{credential_id}", delete_credential, methods=["DELETE"]),
]
