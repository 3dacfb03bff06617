"""Globus Groups beside groups and memberships: policies, membership fields, preferences, subscriptions (of which there are none)."""

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.localglobus import groups
from services.localglobus.auth import scopes, tokens
from services.localglobus.auth.tokens import Caller
from services.localglobus.errors import ApiError
from services.localglobus.store import Connection, Store

SCHEMA = """
create table if not exists membership_field (
    identity_id text not null, group_id text not null references "group"(id) on delete cascade, fields text not null,
    primary key (identity_id, group_id)
);
create table if not exists group_preference (identity_id text primary key, preferences text not null);
"""

KINDS: dict[str, Any] = {
    "is_high_assurance": bool,
    "authentication_assurance_timeout": int,
    "join_requests": bool,
    "signup_fields": list,
}
VISIBILITIES = {"group_visibility": ("authenticated", "private"), "group_members_visibility": ("members", "managers")}


def read_policies(connection: Connection, group_id: str, caller: Caller) -> dict[str, Any]:
    """The policies of a group, for its members."""
    return groups.policies_of(groups.find(connection, group_id, caller)[0])


def set_policies(connection: Connection, group_id: str, caller: Caller, asked: dict[str, Any]) -> dict[str, Any]:
    """Replace policies as an admin; what is not named, or null, stays. Raises ApiError 400, 403, 404."""
    asked = {name: value for name, value in asked.items() if value is not None}
    group, mine = groups.find(connection, group_id, caller)
    if groups.rank_of(mine) < 3:
        raise ApiError("FORBIDDEN", "only an admin may set policies", 403)
    for name, kind in KINDS.items():
        if name in asked and not isinstance(asked[name], kind):
            raise ApiError("BAD_REQUEST", f"{name} is of the wrong type", 400)
    for name, allowed in VISIBILITIES.items():
        if asked.get(name, allowed[0]) not in allowed:
            raise ApiError("BAD_REQUEST", f"{name} is {' or '.join(allowed)}", 400)
    held = {**groups.policies_of(group), **{name: asked[name] for name in (*KINDS, *VISIBILITIES) if name in asked}}
    connection.execute(
        'update "group" set visibility = ?, members_visibility = ? where id = ?',
        (held["group_visibility"], held["group_members_visibility"], group_id),
    )
    connection.execute(
        "insert into group_detail (group_id, policies) values (?, ?) on conflict (group_id) do update set policies = excluded.policies",
        (group_id, json.dumps({name: held[name] for name in KINDS})),
    )
    return read_policies(connection, group_id, caller)


def read_fields(connection: Connection, group_id: str, caller: Caller) -> dict[str, Any]:
    """What the caller says of herself as a member."""
    groups.find(connection, group_id, caller)
    row = connection.execute(
        "select fields from membership_field where identity_id = ? and group_id = ?", (caller.identity_id, group_id)
    ).fetchone()
    return dict(json.loads(row["fields"])) if row else {}


def set_fields(connection: Connection, group_id: str, caller: Caller, asked: dict[str, Any]) -> dict[str, Any]:
    """Replace what the caller says of herself as a member."""
    groups.find(connection, group_id, caller)
    connection.execute("insert or replace into membership_field values (?, ?, ?)", (caller.identity_id, group_id, json.dumps(asked)))
    return asked


def read_preferences(connection: Connection, caller: Caller) -> dict[str, Any]:
    """Preferences by identity of the caller's account."""
    marks = json.dumps([*caller.identity_ids])
    query = "select * from group_preference where identity_id in (select value from json_each(?))"
    found = {row["identity_id"]: json.loads(row["preferences"]) for row in connection.execute(query, (marks,))}
    return {identity_id: found.get(identity_id, {"allow_add": True}) for identity_id in sorted(caller.identity_ids)}


def set_preferences(connection: Connection, caller: Caller, asked: dict[str, Any]) -> dict[str, Any]:
    """Replace preferences of one's own identities. Raises ApiError 403 for any other one."""
    for identity_id, preferences in asked.items():
        if identity_id not in caller.identity_ids:
            raise ApiError("FORBIDDEN", "only preferences of your own identities", 403)
        connection.execute("insert or replace into group_preference values (?, ?)", (identity_id, json.dumps(preferences)))
    return read_preferences(connection, caller)


async def _act(request: Request, read: Callable[..., Any], write: Callable[..., Any], *args: Any) -> Response:
    caller = await tokens.authenticate(request, scope=groups.READ if request.method == "GET" else scopes.GROUPS_ALL)
    store: Store = request.app.state.store
    if request.method == "GET":
        return JSONResponse(await store.read(lambda connection: read(connection, *args, caller)))
    asked = await groups.read_json(request)
    return JSONResponse(await store.write(lambda connection: write(connection, *args, caller, asked)))


async def policies(request: Request) -> Response:
    return await _act(request, read_policies, set_policies, request.path_params["group_id"])


async def membership_fields(request: Request) -> Response:
    return await _act(request, read_fields, set_fields, request.path_params["group_id"])


async def preferences(request: Request) -> Response:
    return await _act(request, read_preferences, set_preferences)


async def subscription_info(request: Request) -> Response:
    await tokens.authenticate(request, scope=groups.READ)
    raise ApiError("SUBSCRIPTION_NOT_FOUND", "localglobus has no subscriptions", 404)


async def subscription_verified(request: Request) -> Response:
    """Null takes away what no group here has; a subscription cannot be named."""
    caller = await tokens.authenticate(request, scope=scopes.GROUPS_ALL)
    store: Store = request.app.state.store
    asked = await groups.read_json(request)
    group, mine = await store.read(groups.find, request.path_params["group_id"], caller)
    if groups.rank_of(mine) < 3 or asked.get("subscription_admin_verified_id") is not None:
        raise ApiError("FORBIDDEN", "only for managers of a subscription, of which localglobus has none", 403)
    return JSONResponse({"group_id": group["id"], "subscription_admin_verified_id": None})


routes: list[Route] = [
    Route("/v2/groups/{group_id}/policies", policies, methods=["GET", "PUT"]),
    Route("/v2/groups/{group_id}/membership_fields", membership_fields, methods=["GET", "PUT"]),
    Route("/v2/groups/{group_id}/subscription_admin_verified", subscription_verified, methods=["PUT"]),
    Route("/v2/preferences", preferences, methods=["GET", "PUT"]),
    Route("/v2/subscription_info/{subscription_id}", subscription_info, methods=["GET"]),
]
