"""The GCS Manager of one endpoint, over TLS: what it is, and its collections made, read, changed and deleted.

Every act but `info` needs a token for the endpoint's `manage_collections`; making a guest collection also the consent to `data_access` of
the mapped one below it, and a local account. Roles are in `gcs_roles.py`, gateways in `gcs_storage.py`, user credentials in
`gcs_credentials.py`, the documents in `gcs_documents.py`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.localglobus import gcs_credentials, gcs_roles, gcs_storage
from services.localglobus.auth import scopes
from services.localglobus.auth.tokens import Caller
from services.localglobus.errors import ApiError
from services.localglobus.gcs_documents import collection_document, endpoint_document, envelope, info_document
from services.localglobus.gcs_requests import answer_list, endpoint_of_request, manager, require_endpoint_admin
from services.localglobus.transfer import assurance, collection_policies, collections, connectors, data_paths, describing, operations
from services.localglobus.transfer.collections import Collection, Endpoint
from services.localglobus.transfer.paths import normalise
from services.localglobus.transfer.permissions import ADMIN_ROLES, person_behind, rights_of, roles_of
from services.localglobus.transfer.requests import nodes_of, read_document, store_of


async def info(request: Request) -> Response:
    """Unauthenticated: clients learn here which scope to ask for."""
    return JSONResponse(envelope([info_document(await endpoint_of_request(request))], data_type="result#1.1.0"))


async def get_endpoint(request: Request) -> Response:
    _, endpoint = await manager(request)
    return JSONResponse(envelope([endpoint_document(endpoint)]))


async def update_endpoint(request: Request) -> Response:
    """Name and texts, by an administrator; answered without the document unless `include=endpoint` asks for it."""
    caller, endpoint = await manager(request)
    changed = await store_of(request).write(_update_endpoint, endpoint, caller, await read_document(request))
    found = [endpoint_document(changed)] if request.query_params.get("include") == "endpoint" else []
    return JSONResponse(envelope(found, message=f"Updated endpoint {endpoint.id}"))


async def set_subscription(request: Request) -> Response:
    """Null alone is possible, by an administrator: there are no subscriptions here."""
    caller, endpoint = await manager(request)
    asked = await read_document(request)
    await store_of(request).read(require_endpoint_admin, endpoint, caller)
    if asked.get("subscription_id") is not None:
        raise ApiError("bad_request", "You manage no subscription; localglobus has none", 400)
    return JSONResponse(envelope([], message=f"Updated endpoint {endpoint.id}"))


async def list_collections(request: Request) -> Response:
    caller, endpoint = await manager(request)
    kinds = set(",".join(request.query_params.getlist("filter")).split(",")) & {"mapped_collections", "guest_collections"}
    mapped_id = request.query_params.get("mapped_collection_id")
    found = [
        collection_document(collection, mapped)
        for collection, mapped in await store_of(request).read(_known, endpoint, caller)
        if (not kinds or f"{collection.kind}_collections" in kinds) and (mapped_id is None or collection.mapped_id == mapped_id)
    ]
    return answer_list(request, found)


async def create_collection(request: Request) -> Response:
    """A guest collection of a folder that is there, the caller its owner; or, by an administrator of the endpoint, a mapped one."""
    caller, endpoint = await manager(request)
    asked = await read_document(request)
    if not str(asked.get("DATA_TYPE", "")).startswith("collection#1.") or asked.get("collection_type") not in ("guest", "mapped"):
        raise ApiError("bad_request", "A collection is made by a collection#1.x.0 document of the type guest or mapped", 400)
    if asked["collection_type"] == "mapped":
        mapped = await store_of(request).write(_create_mapped, endpoint, caller, asked)
        return JSONResponse(
            envelope([collection_document(mapped, mapped, with_private=True)], message="Created mapped collection", status=201),
            status_code=201,
        )
    opened, path = await store_of(request).read(_open_mapped, endpoint, caller, asked)
    entry = await nodes_of(request).call(opened.collection, "stat", path=path.rstrip("/") or "/", rules=opened.rules)
    if entry["type"] != "dir":
        raise ApiError("bad_request", "collection_base_path is not a folder", 400)
    made, mapped = await store_of(request).write(_create, opened.collection, path, caller, asked)
    shown = collection_document(made, mapped, with_private=True)
    return JSONResponse(envelope([shown], message="Created guest collection", status=201), status_code=201)


async def get_collection(request: Request) -> Response:
    """With `include=private_policies` also who may share, for an administrator of the collection."""
    caller, endpoint = await manager(request)
    is_private = "private_policies" in ",".join(request.query_params.getlist("include")).split(",")
    find = _one_administered if is_private else _one
    collection, mapped = await store_of(request).read(find, endpoint, caller, request.path_params["collection_id"])
    return JSONResponse(envelope([collection_document(collection, mapped, with_private=is_private)]))


async def update_collection(request: Request) -> Response:
    caller, endpoint = await manager(request)
    asked = await read_document(request)
    changed = await store_of(request).write(_update, endpoint, caller, request.path_params["collection_id"], asked)
    return JSONResponse(envelope([collection_document(*changed, with_private=True)]))


async def delete_collection(request: Request) -> Response:
    caller, endpoint = await manager(request)
    await store_of(request).write(_delete, endpoint, caller, request.path_params["collection_id"])
    return JSONResponse(envelope([], message="Deleted the collection"))


def _update_endpoint(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, asked: Mapping[str, Any]) -> Endpoint:
    require_endpoint_admin(db, endpoint, caller)
    describing.change_endpoint(db, endpoint.id, asked)
    return collections.endpoint_of(db, endpoint.node)


def _known(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller) -> list[tuple[Collection, Collection]]:
    """The collections that the caller may know of, each with its mapped one."""
    found = {each.id: each for each in collections.all_collections(db, endpoint_id=endpoint.id)}
    return [(each, found[each.mapped_id or each.id]) for each in found.values() if _may_know(db, each, caller)]


def _may_know(db: sqlite3.Connection, collection: Collection, caller: Caller) -> bool:
    return collection.is_public or rights_of(db, collection, person_behind(caller)).is_any


def _one(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, collection_id: str) -> tuple[Collection, Collection]:
    collection = collections.find(db, collection_id)
    if collection is None or collection.endpoint_id != endpoint.id or not _may_know(db, collection, caller):
        raise ApiError("not_found", f"No collection '{collection_id}' on this endpoint", 404)
    return collection, collections.get(db, collection.mapped_id or collection.id)


def _administered(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, collection_id: str) -> Collection:
    collection, _ = _one(db, endpoint, caller, collection_id)
    if not ADMIN_ROLES & roles_of(db, collection, person_behind(caller)):
        raise ApiError("permission_denied", "You need the role administrator on this collection", 403)
    return collection


def _one_administered(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, collection_id: str) -> tuple[Collection, Collection]:
    _administered(db, endpoint, caller, collection_id)
    return _one(db, endpoint, caller, collection_id)


def _open_mapped(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, asked: Mapping[str, Any]) -> tuple[operations.Opened, str]:
    """The mapped collection as the caller may use it, and the folder to share in it."""
    mapped = collections.find(db, str(asked.get("mapped_collection_id")))
    if mapped is None or mapped.endpoint_id != endpoint.id or not mapped.is_mapped:
        raise ApiError("not_found", "No such mapped collection on this endpoint", 404)
    manage, data_access = scopes.manage_collections(endpoint.id), scopes.data_access(mapped.id)
    if mapped.needs_data_access and (manage, data_access) not in caller.consents:
        raise ApiError(
            "ConsentRequired", "Missing required data_access consent", 403, extra={"required_scopes": [f"{manage}[{data_access}]"]}
        )
    assurance.require(db, mapped, caller)
    opened = operations.open_as(db, mapped, person_behind(caller))
    return opened, normalise(asked.get("collection_base_path"), home=opened.rights.home)


def _create(
    db: sqlite3.Connection, mapped: Collection, path: str, caller: Caller, asked: Mapping[str, Any]
) -> tuple[Collection, Collection]:
    owner_id = str(asked.get("identity_id") or caller.identity_id)
    if owner_id not in caller.identity_ids:
        raise ApiError("permission_denied", "identity_id must be one of your own", 403)
    credential = _credential(db, mapped, caller, asked.get("user_credential_id"))
    collection_policies.require_sharing(mapped, path, account=credential["username"])
    collection_id = collections.create_guest(
        db,
        mapped_id=mapped.id,
        display_name=describing.read_name(asked.get("display_name")),
        base_path=path,
        owner_id=owner_id,
        description=describing.read_text(asked, "description"),
        organization=describing.read_text(asked, "organization"),
        is_public=bool(asked.get("public", False)),
        user_credential_id=credential["id"],
    )
    describing.keep_texts(db, collection_id, asked, home=None)
    collection_policies.change(db, collections.get(db, collection_id), asked)
    return collections.get(db, collection_id), mapped


def _create_mapped(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, asked: Mapping[str, Any]) -> Collection:
    require_endpoint_admin(db, endpoint, caller)
    gateway = gcs_storage.get_gateway(db, endpoint, str(asked.get("storage_gateway_id")))
    base_path = normalise(asked.get("collection_base_path") or "/")
    connectors.of_gateway(db, gateway["id"]).require_base(base_path)
    collection_id = collections.create_mapped(
        db,
        endpoint_id=endpoint.id,
        display_name=describing.read_name(asked.get("display_name")),
        base_path=base_path,
        is_public=bool(asked.get("public", False)),
        gateway_id=gateway["id"],
        is_high_assurance=gateway["high_assurance"],
    )
    describing.change_collection(db, collection_id, asked)
    data_paths.change(db, collections.get(db, collection_id), asked)
    collection_policies.change(db, collections.get(db, collection_id), asked)
    return collections.get(db, collection_id)


def _credential(db: sqlite3.Connection, mapped: Collection, caller: Caller, credential_id: object) -> sqlite3.Row:
    if credential_id is None:
        credential_id = collections.ensure_credential(db, gateway_id=mapped.gateway_id, identity_id=caller.identity_id)
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM user_credential WHERE id = ? AND gateway_id = ?", (str(credential_id), mapped.gateway_id)
    ).fetchone()
    if row is None or row["identity_id"] not in caller.identity_ids:
        raise ApiError("bad_request", "user_credential_id is none of yours on this storage gateway", 400)
    return row


def _update(
    db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, collection_id: str, asked: Mapping[str, Any]
) -> tuple[Collection, Collection]:
    collection = _administered(db, endpoint, caller, collection_id)
    describing.change_collection(db, collection.id, asked)
    data_paths.change(db, collection, asked)
    collection_policies.change(db, collection, asked)
    if isinstance(asked.get("disable_anonymous_writes"), bool) and collection.is_mapped:
        allowed = not asked["disable_anonymous_writes"]
        db.execute("UPDATE collection SET has_anonymous_writes = ? WHERE ? IN (id, mapped_id)", (allowed, collection.id))
    return _one(db, endpoint, caller, collection.id)


def _delete(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller, collection_id: str) -> None:
    collection = _administered(db, endpoint, caller, collection_id)
    if collection.policies.get("delete_protected"):
        raise ApiError("permission_denied", "This collection is protected from deletion", 403)
    if db.execute("SELECT 1 FROM collection WHERE mapped_id = ?", (collection.id,)).fetchone():
        raise ApiError("conflict", "Guest collections stand on this mapped collection; delete them first", 409)
    collections.delete(db, collection.id)


ONE = "/api/collections/{collection_id}"
routes = [
    Route("/api/info", info, methods=["GET"]),
    Route("/api/endpoint", get_endpoint, methods=["GET"]),
    Route("/api/endpoint", update_endpoint, methods=["PATCH", "PUT"]),
    Route("/api/endpoint/subscription_id", set_subscription, methods=["PUT"]),
    Route("/api/collections", list_collections, methods=["GET"]),
    Route("/api/collections", create_collection, methods=["POST"]),
    Route(ONE, get_collection, methods=["GET"]),
    Route(ONE, update_collection, methods=["PATCH", "PUT"]),
    Route(ONE, delete_collection, methods=["DELETE"]),
    *gcs_roles.routes,
    *gcs_storage.routes,
    *gcs_credentials.routes,
]
