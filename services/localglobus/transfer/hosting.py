"""Collections and endpoints as things that are looked after at Transfer: changed, deleted, and asked what they host and where they run."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.localglobus.errors import ApiError
from services.localglobus.numbers import read_whole
from services.localglobus.transfer import collections, describing, operations, personal
from services.localglobus.transfer.collections import Collection, Endpoint
from services.localglobus.transfer.documents import server_document
from services.localglobus.transfer.permissions import (
    ADMIN_ROLES,
    RULE_ROLES,
    Person,
    person_behind,
    require_role,
    roles_of,
    roles_on_endpoint,
)
from services.localglobus.transfer.requests import done, nodes_of, read_document, store_of, transfer_caller
from services.localglobus.transfer.seeing import describe_collection

MOST_SHARED = 1000
SERVER_ID = 1


async def update_endpoint(request: Request) -> Response:
    caller = await transfer_caller(request)
    asked = await read_document(request, data_type="endpoint")
    await store_of(request).write(_update, request.path_params["endpoint_id"], person_behind(caller), asked)
    return done(request, "Updated", "Endpoint updated successfully")


async def delete_endpoint(request: Request) -> Response:
    """A guest collection or a Connect Personal host, by its administrator; what a GCS Manager holds is not Transfer's to delete."""
    caller = await transfer_caller(request)
    node = await store_of(request).write(_delete, request.path_params["endpoint_id"], person_behind(caller))
    if node is not None:
        nodes_of(request).forget(node)
    return done(request, "EndpointDeleted", "Endpoint deleted successfully")


async def set_subscription(request: Request) -> Response:
    """Null alone is possible: there are no subscriptions here."""
    caller = await transfer_caller(request)
    asked = await read_document(request)
    held = await store_of(request).read(_held, request.path_params["endpoint_id"], person_behind(caller))
    if asked.get("subscription_id") is not None:
        raise ApiError("BadRequest", "You have access to no subscription; localglobus has none", 400)
    require_role(held, ADMIN_ROLES, "set the subscription")
    return done(request, "Updated", "Endpoint updated successfully")


async def set_subscription_verified(request: Request) -> Response:
    caller = await transfer_caller(request)
    asked = await read_document(request)
    held = await store_of(request).read(_held, request.path_params["endpoint_id"], person_behind(caller))
    if not isinstance(asked.get("subscription_admin_verified"), bool):
        raise ApiError("BadRequest", "subscription_admin_verified must be true or false", 400)
    if not ADMIN_ROLES & held:
        raise ApiError(
            "PermissionDenied", "User does not have an admin role on the collection's subscription to set subscription_admin_verified", 403
        )
    raise ApiError("BadRequest", "The collection must be associated with a subscription to set subscription_admin_verified", 400)


async def list_my_shared(request: Request) -> Response:
    caller = await transfer_caller(request)
    found = await store_of(request).read(_my_shared, request.path_params["endpoint_id"], person_behind(caller))
    return JSONResponse({"DATA_TYPE": "shared_endpoint_list", "DATA": found})


async def list_shared(request: Request) -> Response:
    """Ids of every guest collection on a host, for those who look after it; paged by `next_token`."""
    caller = await transfer_caller(request)
    after, most = request.query_params.get("next_token") or "", read_whole(request.query_params.get("max_results", str(MOST_SHARED)))
    if most is None or not 1 <= most <= MOST_SHARED:
        raise ApiError("BadRequest", f"max_results must be a whole number from 1 to {MOST_SHARED}", 400)
    found = await store_of(request).read(_shared, request.path_params["endpoint_id"], person_behind(caller), after, most + 1)
    page = found[:most]
    next_token = page[-1] if len(found) > len(page) else None
    return JSONResponse(
        {"DATA_TYPE": "shared_endpoint_list", "shared_endpoints": [{"id": each} for each in page], "next_token": next_token}
    )


async def list_servers(request: Request) -> Response:
    caller = await transfer_caller(request)
    node_url = await store_of(request).read(_node_url, request.path_params["endpoint_id"], person_behind(caller))
    found = [server_document(node_url)]
    return JSONResponse({"DATA_TYPE": "endpoint_server_list", "endpoint": request.path_params["endpoint_id"], "DATA": found})


async def one_server(request: Request) -> Response:
    caller = await transfer_caller(request)
    node_url = await store_of(request).read(_node_url, request.path_params["endpoint_id"], person_behind(caller))
    if request.path_params["server_id"] != SERVER_ID:
        raise ApiError("ServerNotFound", f"No server '{request.path_params['server_id']}' on this endpoint", 404)
    return JSONResponse(server_document(node_url))


def _found(db: sqlite3.Connection, endpoint_id: str, person: Person) -> Collection | Endpoint:
    endpoint = collections.find_endpoint(db, endpoint_id=endpoint_id.lower())
    return endpoint or operations.visible(db, endpoint_id, person)[0]


def _held(db: sqlite3.Connection, endpoint_id: str, person: Person) -> frozenset[str]:
    found = _found(db, endpoint_id, person)
    return roles_on_endpoint(db, found, person) if isinstance(found, Endpoint) else roles_of(db, found, person)


def _update(db: sqlite3.Connection, endpoint_id: str, person: Person, asked: Mapping[str, Any]) -> None:
    found = _found(db, endpoint_id, person)
    require_role(_held(db, endpoint_id, person), ADMIN_ROLES, "change it")
    change = describing.change_endpoint if isinstance(found, Endpoint) else describing.change_at_transfer
    change(db, found.id, asked)


def _delete(db: sqlite3.Connection, endpoint_id: str, person: Person) -> str | None:
    """Returns the node that went with it."""
    found = _found(db, endpoint_id, person)
    require_role(_held(db, endpoint_id, person), ADMIN_ROLES, "delete it")
    if isinstance(found, Collection) and found.is_personal and found.is_mapped:
        personal.delete(db, found)
        return found.node
    if isinstance(found, Endpoint) or found.is_mapped:
        raise ApiError("PermissionDenied", "Endpoints and mapped collections are deleted at their GCS Manager", 403)
    collections.delete(db, found.id)
    return None


def _hosted(db: sqlite3.Connection, endpoint_id: str, person: Person) -> list[Collection]:
    """The guest collections on a mapped collection or on an endpoint."""
    found = _found(db, endpoint_id, person)
    own = collections.all_collections(db, endpoint_id=found.id if isinstance(found, Endpoint) else found.endpoint_id)
    return [each for each in own if not each.is_mapped and (isinstance(found, Endpoint) or each.mapped_id == found.id)]


def _my_shared(db: sqlite3.Connection, endpoint_id: str, person: Person) -> list[dict[str, Any]]:
    return [describe_collection(db, each, person) for each in _hosted(db, endpoint_id, person) if roles_of(db, each, person) & RULE_ROLES]


def _shared(db: sqlite3.Connection, endpoint_id: str, person: Person, after: str, most: int) -> list[str]:
    hosted = _hosted(db, endpoint_id, person)
    require_role(_held(db, endpoint_id, person), ADMIN_ROLES | {"activity_manager", "activity_monitor"}, "see what it hosts")
    return sorted(each.id for each in hosted if each.id > after)[:most]


def _node_url(db: sqlite3.Connection, endpoint_id: str, person: Person) -> str:
    return _found(db, endpoint_id, person).node_url


ENDPOINT = "/v0.10/endpoint/{endpoint_id}"
routes = [
    Route(ENDPOINT, update_endpoint, methods=["PUT"]),
    Route(ENDPOINT, delete_endpoint, methods=["DELETE"]),
    Route(f"{ENDPOINT}/subscription", set_subscription, methods=["PUT"]),
    Route(f"{ENDPOINT}/subscription_admin_verified", set_subscription_verified, methods=["PUT"]),
    Route(f"{ENDPOINT}/my_shared_endpoint_list", list_my_shared, methods=["GET"]),
    Route(f"{ENDPOINT}/shared_endpoint_list", list_shared, methods=["GET"]),
    Route(f"{ENDPOINT}/server_list", list_servers, methods=["GET"]),
    Route(f"{ENDPOINT}/server/{{server_id:int}}", one_server, methods=["GET"]),
]
