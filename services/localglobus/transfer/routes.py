"""The Transfer API under /v0.10: endpoints, folder operations, access rules and roles; tasks are in `task_routes.py`.

A route reads the request, calls one act in a transaction of the store, and writes the document. Errors are `ApiError`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.localglobus.auth.tokens import Caller
from services.localglobus.errors import ApiError
from services.localglobus.transfer import (
    access,
    bookmarks,
    collections,
    hosting,
    listing,
    monitoring_routes,
    operations,
    pausing,
    personal,
    roles,
    task_routes,
)
from services.localglobus.transfer.collections import Collection
from services.localglobus.transfer.permissions import (
    ADMIN_ROLES,
    DELETE_RULE_ROLES,
    RULE_ROLES,
    Person,
    person_behind,
    require_role,
    roles_on_endpoint,
)
from services.localglobus.transfer.requests import done, nodes_of, read_document, store_of, transfer_caller
from services.localglobus.transfer.searching import OF_OWNERS, Wanted
from services.localglobus.transfer.seeing import MOST_FOUND, describe_endpoint, search

FILE_FIELDS = frozenset({"name", "type", "size", "last_modified", "permissions", "user", "group"})


async def get_endpoint(request: Request) -> Response:
    caller = await transfer_caller(request)
    return JSONResponse(await store_of(request).read(describe_endpoint, request.path_params["endpoint_id"], person_behind(caller)))


async def search_endpoints(request: Request) -> Response:
    caller = await transfer_caller(request)
    scope = request.query_params.get("filter_scope", "all")
    words = request.query_params.get("filter_fulltext", "").split()
    if scope == "all" and not words:
        raise ApiError("BadRequest", "filter_fulltext is required with filter_scope=all", 400)
    owner = request.query_params.get("filter_owner_id") or None
    if owner is not None and scope in OF_OWNERS:
        raise ApiError("BadRequest", f"filter_owner_id conflicts with filter_scope={scope}", 400)
    query = listing.read_query(request.query_params, fields=frozenset(), limit=100, most=MOST_FOUND)
    wanted = Wanted(
        scope=scope,
        words=words,
        owner=owner,
        types=_several(request.query_params, "filter_entity_type"),
        hosts=_several(request.query_params, "filter_host_endpoint"),
        functional=_which_functional(request.query_params),
    )
    page, has_more = await store_of(request).read(_search, person_behind(caller), wanted, query)
    found = {"limit": query.limit, "offset": query.offset, "has_next_page": has_more, "DATA": page}
    return JSONResponse({"DATA_TYPE": "endpoint_list", **found})


def _several(asked: Mapping[str, str], name: str) -> frozenset[str]:
    return frozenset(filter(None, asked.get(name, "").split(",")))


def _which_functional(asked: Mapping[str, str]) -> frozenset[bool]:
    """The values of `non_functional` that are looked for: endpoints of a GCS Manager have it, and are found by their type or by it."""
    flag = asked.get("filter_non_functional")
    if flag is None:
        return frozenset({True, False} if asked.get("filter_entity_type") else {False})
    if asked.get("filter_entity_type"):
        raise ApiError("BadRequest", "filter_non_functional and filter_entity_type exclude each other", 400)
    return frozenset({flag in {"1", "true"}})


async def pause_rules(request: Request) -> Response:
    caller = await transfer_caller(request)
    found = await store_of(request).read(_pause_rules, request.path_params["endpoint_id"], person_behind(caller))
    return JSONResponse({"DATA_TYPE": "pause_rule_limited_list", "DATA": found})


async def list_folder(request: Request) -> Response:
    caller, opened = await _open(request, "pause_ls", local_user=request.query_params.get("local_user"))
    query = listing.read_query(request.query_params, fields=FILE_FIELDS, limit=100_000, most=100_000)
    path = opened.path(request.query_params.get("path"))
    show_hidden = request.query_params.get("show_hidden", "1") not in {"0", "false", "False"}
    document = await operations.list_folder(nodes_of(request), opened, path, show_hidden=show_hidden, query=query)
    await store_of(request).write(collections.note_use, identity_id=caller.identity_id, collection_id=opened.collection.id)
    return JSONResponse(document)


async def stat(request: Request) -> Response:
    _, opened = await _open(request, local_user=request.query_params.get("local_user"))
    return JSONResponse(await operations.stat(nodes_of(request), opened, opened.path(request.query_params.get("path"))))


async def make_folder(request: Request) -> Response:
    document = await read_document(request, data_type="mkdir")
    _, opened = await _open(request, "pause_mkdir", local_user=document.get("local_user"))
    await operations.make_folder(nodes_of(request), opened, opened.path(document.get("path", "")))
    return done(request, "DirectoryCreated", "The directory was created successfully", status=202, data_type="mkdir_result")


async def rename(request: Request) -> Response:
    document = await read_document(request, data_type="rename")
    _, opened = await _open(request, "pause_rename", local_user=document.get("local_user"))
    old_path, new_path = opened.path(document.get("old_path", "")), opened.path(document.get("new_path", ""))
    await operations.rename(nodes_of(request), opened, old_path, new_path)
    return done(request, "FileRenamed", "File or directory renamed successfully")


async def list_rules(request: Request) -> Response:
    return await _as_role(request, DELETE_RULE_ROLES, "see the access rules", _rule_list)


async def create_rule(request: Request) -> Response:
    asked = await read_document(request, data_type="access")
    rule_id = await _write_as_role(request, RULE_ROLES, "set access rules", access.create_rule, asked)
    return done(request, "Created", "Access rule created successfully.", status=201, data_type="access_create_result", access_id=rule_id)


async def get_rule(request: Request) -> Response:
    return await _as_role(request, DELETE_RULE_ROLES, "see the access rules", access.get_rule, request.path_params["rule_id"])


async def update_rule(request: Request) -> Response:
    asked = await read_document(request, data_type="access")
    await _write_as_role(request, RULE_ROLES, "set access rules", access.update_rule, request.path_params["rule_id"], asked)
    return done(request, "Updated", "Access rule updated successfully.")


async def delete_rule(request: Request) -> Response:
    await _write_as_role(request, DELETE_RULE_ROLES, "delete access rules", access.delete_rule, request.path_params["rule_id"])
    return done(request, "Deleted", "Access rule deleted successfully.")


async def list_roles(request: Request) -> Response:
    """Of a collection, or of an endpoint itself, whose roles the GCS Manager assigns."""
    caller = await transfer_caller(request)
    return JSONResponse(await store_of(request).read(_role_list, request.path_params["endpoint_id"], person_behind(caller)))


async def create_role(request: Request) -> Response:
    asked = await read_document(request, data_type="role")
    return JSONResponse(await _write_as_role(request, ADMIN_ROLES, "assign roles", roles.create_role, asked), status_code=201)


async def get_role(request: Request) -> Response:
    return await _as_role(request, ADMIN_ROLES, "see the roles", _one_role, request.path_params["role_id"])


async def delete_role(request: Request) -> Response:
    await _write_as_role(request, ADMIN_ROLES, "remove roles", _remove_role, request.path_params["role_id"])
    return done(request, "Deleted", "Role deleted successfully.")


async def _open(request: Request, operation: str | None = None, *, local_user: object = None) -> tuple[Caller, operations.Opened]:
    caller = await transfer_caller(request)
    endpoint_id = request.path_params["endpoint_id"]
    return caller, await store_of(request).read(_open_unpaused, endpoint_id, caller, operation, local_user)


def _open_unpaused(
    db: sqlite3.Connection, endpoint_id: str, caller: Caller, operation: str | None, local_user: object
) -> operations.Opened:
    opened = operations.open_collection(db, endpoint_id, caller, local_user=local_user)
    if operation is not None:
        pausing.refuse_paused(db, opened.collection, identity_id=caller.identity_id, operation=operation)
    return opened


async def _as_role(request: Request, allowed: frozenset[str], act: str, what: Any, *args: Any) -> Response:
    caller = await transfer_caller(request)
    return JSONResponse(await store_of(request).read(_do_as_role, request.path_params["endpoint_id"], caller, allowed, act, what, *args))


async def _write_as_role(request: Request, allowed: frozenset[str], act: str, what: Any, *args: Any) -> Any:
    caller = await transfer_caller(request)
    return await store_of(request).write(_do_as_role, request.path_params["endpoint_id"], caller, allowed, act, what, *args)


def _do_as_role(db: sqlite3.Connection, endpoint_id: str, caller: Caller, allowed: frozenset[str], act: str, what: Any, *args: Any) -> Any:
    """`what(db, collection, ...)` if the caller holds one of the roles, in the same transaction."""
    person = person_behind(caller)
    collection, rights = operations.visible(db, endpoint_id, person)
    require_role(rights.roles, allowed, act)
    return what(db, collection, *args)


def _rule_list(db: sqlite3.Connection, collection: Collection) -> dict[str, Any]:
    return {"DATA_TYPE": "access_list", "endpoint": collection.id, "DATA": access.list_rules(db, collection)}


def _role_list(db: sqlite3.Connection, endpoint_id: str, person: Person) -> dict[str, Any]:
    endpoint = collections.find_endpoint(db, endpoint_id=endpoint_id.lower())
    held = operations.visible(db, endpoint_id, person)[1].roles if endpoint is None else roles_on_endpoint(db, endpoint, person)
    require_role(held, ADMIN_ROLES, "see the roles")
    return {"DATA_TYPE": "role_list", "DATA": roles.list_roles(db, endpoint_id.lower())}


def _one_role(db: sqlite3.Connection, collection: Collection, role_id: str) -> dict[str, Any]:
    return roles.get_role(db, collection.id, role_id)


def _remove_role(db: sqlite3.Connection, collection: Collection, role_id: str) -> None:
    roles.delete_role(db, collection.id, role_id)


def _pause_rules(db: sqlite3.Connection, endpoint_id: str, person: Person) -> list[dict[str, Any]]:
    collection, _ = operations.visible(db, endpoint_id, person)
    found = pausing.rules_on(db, collection, identity_id=person.identity_id)
    return [pausing.describe(db, row, is_limited=True) for row in found]


def _search(db: sqlite3.Connection, person: Person, wanted: Wanted, query: listing.Query) -> tuple[list[dict[str, Any]], bool]:
    return search(db, person, wanted, limit=query.limit, offset=query.offset)


ENDPOINT = "/v0.10/endpoint/{endpoint_id}"
OPERATION = "/v0.10/operation/endpoint/{endpoint_id}"
routes = [
    Route("/v0.10/endpoint_search", search_endpoints, methods=["GET"]),
    Route(ENDPOINT, get_endpoint, methods=["GET"]),
    Route(f"{ENDPOINT}/my_effective_pause_rule_list", pause_rules, methods=["GET"]),
    Route(f"{ENDPOINT}/access_list", list_rules, methods=["GET"]),
    Route(f"{ENDPOINT}/access", create_rule, methods=["POST"]),
    Route(f"{ENDPOINT}/access/{{rule_id}}", get_rule, methods=["GET"]),
    Route(f"{ENDPOINT}/access/{{rule_id}}", update_rule, methods=["PUT"]),
    Route(f"{ENDPOINT}/access/{{rule_id}}", delete_rule, methods=["DELETE"]),
    Route(f"{ENDPOINT}/role_list", list_roles, methods=["GET"]),
    Route(f"{ENDPOINT}/role", create_role, methods=["POST"]),
    Route(f"{ENDPOINT}/role/{{role_id}}", get_role, methods=["GET"]),
    Route(f"{ENDPOINT}/role/{{role_id}}", delete_role, methods=["DELETE"]),
    Route(f"{OPERATION}/ls", list_folder, methods=["GET"]),
    Route(f"{OPERATION}/stat", stat, methods=["GET"]),
    Route(f"{OPERATION}/mkdir", make_folder, methods=["POST"]),
    Route(f"{OPERATION}/rename", rename, methods=["POST"]),
    *hosting.routes,
    *personal.routes,
    *bookmarks.routes,
    *monitoring_routes.routes,
    *task_routes.routes,
]
