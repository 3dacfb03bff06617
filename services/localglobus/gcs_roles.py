"""The GCS Manager's roles, on the endpoint and on its collections."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.localglobus.auth.tokens import Caller
from services.localglobus.errors import ApiError
from services.localglobus.gcs_documents import envelope, role_document
from services.localglobus.gcs_requests import answer_list, manager
from services.localglobus.transfer import collections
from services.localglobus.transfer.collections import Endpoint
from services.localglobus.transfer.permissions import ADMIN_ROLES, person_behind, roles_of, roles_on_endpoint
from services.localglobus.transfer.requests import read_document, store_of
from services.localglobus.transfer.roles import check_role, delete_role

PRINCIPAL = re.compile(r"urn:globus:(auth:identity|groups:id):([0-9a-f-]{36})")


async def list_roles(request: Request) -> Response:
    caller, endpoint = await manager(request)
    collection_id = request.query_params.get("collection_id", request.query_params.get("collection"))
    rows = await store_of(request).read(_roles, endpoint, caller, collection_id)
    return answer_list(request, [role_document(row, endpoint) for row in rows])


async def create_role(request: Request) -> Response:
    caller, endpoint = await manager(request)
    asked = await read_document(request)
    row = await store_of(request).write(_create_role, endpoint, caller, asked)
    return JSONResponse(envelope([role_document(row, endpoint)], message="Created the role", status=201), status_code=201)


async def one_role(request: Request) -> Response:
    caller, endpoint = await manager(request)
    row = await store_of(request).read(_role, endpoint, caller, request.path_params["role_id"])
    return JSONResponse(envelope([role_document(row, endpoint)]))


async def remove_role(request: Request) -> Response:
    caller, endpoint = await manager(request)
    await store_of(request).write(_remove_role, endpoint, caller, request.path_params["role_id"])
    return JSONResponse(envelope([], message="Deleted the role"))


def _require_admin(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, collection_id: str | None) -> str:
    """Returns what the role is on. Raises `ApiError` 403 unless the caller administers it."""
    person = person_behind(caller)
    if collection_id is None:
        held, subject_id = roles_on_endpoint(db, endpoint, person), endpoint.id
    else:
        collection = collections.find(db, collection_id)
        if collection is None or collection.endpoint_id != endpoint.id:
            raise ApiError("not_found", f"No collection '{collection_id}' on this endpoint", 404)
        held, subject_id = roles_of(db, collection, person), collection.id
    if not ADMIN_ROLES & held:
        raise ApiError("permission_denied", "You need the role administrator", 403)
    return subject_id


def _roles(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, collection_id: str | None) -> list[sqlite3.Row]:
    subject_id = _require_admin(db, endpoint, caller, collection_id)
    return db.execute("SELECT * FROM role WHERE subject_id = ? ORDER BY role, principal", (subject_id,)).fetchall()


def _create_role(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, asked: Mapping[str, Any]) -> sqlite3.Row:
    collection_id = asked.get("collection")
    subject_id = _require_admin(db, endpoint, caller, None if collection_id is None else str(collection_id))
    match = PRINCIPAL.fullmatch(str(asked.get("principal")))
    if match is None:
        raise ApiError("bad_request", "principal must be the URN of an identity or a group", 400)
    kind = "identity" if match[1] == "auth:identity" else "group"
    principal_type, principal, role = check_role(db, {"principal_type": kind, "principal": match[2], "role": asked.get("role")})
    before = db.execute("SELECT 1 FROM role WHERE subject_id = ? AND principal = ? AND role = ?", (subject_id, principal, role)).fetchone()
    if before is not None:
        raise ApiError("conflict", "The principal holds this role already", 409)
    collections.require_room_for_role(db, subject_id)
    role_id = collections.grant_role(db, subject_id=subject_id, principal_type=principal_type, principal=principal, role=role)
    return _role(db, endpoint, caller, role_id)


def _role(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, role_id: str) -> sqlite3.Row:
    row: sqlite3.Row | None = db.execute("SELECT * FROM role WHERE id = ?", (role_id,)).fetchone()
    if row is None:
        raise ApiError("not_found", f"No role '{role_id}' on this endpoint", 404)
    _require_admin(db, endpoint, caller, None if row["subject_id"] == endpoint.id else row["subject_id"])
    return row


def _remove_role(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, role_id: str) -> None:
    row = _role(db, endpoint, caller, role_id)
    delete_role(db, row["subject_id"], role_id)


routes = [
    Route("/api/roles", list_roles, methods=["GET"]),
    Route("/api/roles", create_role, methods=["POST"]),
    Route("/api/roles/{role_id}", one_role, methods=["GET"]),
    Route("/api/roles/{role_id}", remove_role, methods=["DELETE"]),
]
