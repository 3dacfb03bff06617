"""Globus Groups: groups, memberships and the acts on them that portals use. All of `/v2/groups`.

A caller acts with its whole linked identity set. A group that a caller may not see is 404.
"""

import json
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.localglobus import mails
from services.localglobus.auth import identities, scopes, tokens
from services.localglobus.auth.tokens import Caller
from services.localglobus.bodies import read_object
from services.localglobus.errors import ApiError
from services.localglobus.store import Connection, Row, Store
from services.localglobus.transfer import collections

SCHEMA = """
create table if not exists "group" (
    id text primary key,
    name text not null,
    description text,
    visibility text not null default 'private',             -- or 'authenticated'
    members_visibility text not null default 'managers'     -- or 'members'
);
create table if not exists membership (
    group_id text not null references "group"(id) on delete cascade,
    identity_id text not null references identity(id) on delete cascade,
    role text not null,                                     -- member, manager, admin
    status text not null,                                   -- active, invited, pending, left, removed, rejected, declined
    primary key (group_id, identity_id)
);
create index if not exists membership_identity on membership (identity_id);
create table if not exists group_detail (
    group_id text primary key references "group"(id) on delete cascade,
    parent_id text,
    terms text,
    policies text not null default '{}'                     -- JSON: what was set beside the two visibilities
);
"""

READ = (scopes.GROUPS_ALL, scopes.VIEW_MY_GROUPS)
ROLES = ("member", "manager", "admin")
MOST_ACTS = 1000
SELECT = (
    'select "group".*, parent_id, terms, coalesce(policies, \'{}\') as policies from "group"'
    ' left join group_detail on group_detail.group_id = "group".id'
)
POLICIES: dict[str, Any] = {
    "is_high_assurance": False,
    "authentication_assurance_timeout": 28800,
    "group_visibility": "private",
    "group_members_visibility": "managers",
    "join_requests": False,
    "signup_fields": [],
}


def create(connection: Connection, *, group_id: str, name: str, description: str | None = None) -> None:
    """Make or update a group without members. Safe to repeat."""
    connection.execute(
        'insert into "group" (id, name, description) values (?, ?, ?)'
        " on conflict (id) do update set name = excluded.name, description = excluded.description",
        (group_id, name, description),
    )


def set_member(connection: Connection, group_id: str, identity_id: str, *, role: str = "member", status: str = "active") -> None:
    """Make, or change, one membership; what rules and roles give to the group is given or taken with it. Safe to repeat."""
    connection.execute(
        "insert into membership (group_id, identity_id, role, status) values (?, ?, ?, ?)"
        " on conflict (group_id, identity_id) do update set role = excluded.role, status = excluded.status",
        (group_id, identity_id, role, status),
    )
    collections.raise_group_version(connection, group_id)


def _memberships(connection: Connection, group_id: str) -> list[dict[str, Any]]:
    rows = connection.execute(
        "select membership.*, identity.username, identity.name, identity.email, coalesce(fields, '{}') as membership_fields from membership"
        " join identity on identity.id = membership.identity_id left join membership_field using (group_id, identity_id)"
        " where group_id = ? order by identity.username",
        (group_id,),
    )
    return [{**dict(row), "membership_fields": json.loads(row["membership_fields"])} for row in rows]


def _mine(connection: Connection, group_id: str, caller: Caller) -> list[dict[str, Any]]:
    """The memberships of the caller's own identities."""
    rows = connection.execute(
        "select group_id, identity_id, username, role, membership.status from membership join identity on identity.id = identity_id"
        " where group_id = ? and identity_id in (select value from json_each(?)) order by username",
        (group_id, json.dumps([*caller.identity_ids])),
    )
    return [dict(row) for row in rows]


def rank_of(mine: list[dict[str, Any]]) -> int:
    """Highest role among memberships of one's own: 0 none, 1 member, 2 manager, 3 admin."""
    return max((ROLES.index(one["role"]) + 1 for one in mine if one["status"] == "active"), default=0)


def _describe(group: Row, mine: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": group["id"],
        "name": group["name"],
        "description": group["description"],
        "parent_id": group["parent_id"],
        "terms_and_conditions": group["terms"],
        "subscription_admin_verified_id": None,
        "group_type": "regular",
        "enforce_session": False,
        "session_limit": 28800,
        "session_timeouts": {},
        "my_memberships": mine,
        "policies": policies_of(group),
        "subscription_id": None,
        "subscription_info": None,
    }


def policies_of(group: Row) -> dict[str, Any]:
    """The policies document of a group."""
    return {
        **POLICIES,
        **json.loads(group["policies"]),
        "group_visibility": group["visibility"],
        "group_members_visibility": group["members_visibility"],
    }


def find(connection: Connection, group_id: str, caller: Caller) -> tuple[Row, list[dict[str, Any]]]:
    """A group that the caller may see, and her memberships in it. Raises ApiError 404."""
    group = connection.execute(f"{SELECT} where id = ?", (group_id,)).fetchone()
    mine = _mine(connection, group_id, caller)
    if group is None or (group["visibility"] == "private" and not mine):
        raise ApiError("GROUP_NOT_FOUND", f"no group {group_id}", 404)
    return group, mine


def list_mine(connection: Connection, caller: Caller, statuses: set[str]) -> list[dict[str, Any]]:
    """Groups in which any of the caller's identities has a membership of these statuses."""
    groups = connection.execute(
        f"{SELECT} where id in (select group_id from membership where identity_id in (select value from json_each(?))) order by name",  # noqa: S608 (our own words)
        (json.dumps([*caller.identity_ids]),),
    ).fetchall()
    described = []
    for group in groups:
        mine = [one for one in _mine(connection, group["id"], caller) if one["status"] in statuses]
        if mine:
            described.append(_describe(group, mine))
    return described


def read(connection: Connection, group_id: str, caller: Caller, include: set[str]) -> dict[str, Any]:
    """One group with what `include` asks for; memberships only for those who may see them."""
    group, mine = find(connection, group_id, caller)
    described = _describe(group, mine)
    rank = rank_of(mine)
    if "memberships" in include:
        if rank < (2 if group["members_visibility"] == "managers" else 1):
            raise ApiError("FORBIDDEN", "the members of this group are not shown to you", 403)
        described["memberships"] = _memberships(connection, group_id)
    if "allowed_actions" in include:
        described["allowed_actions"] = ["view", *(["add", "remove", "change_role"] if rank >= 2 else [])]
    if "child_ids" in include:
        rows = connection.execute("select group_id from group_detail where parent_id = ? order by group_id", (group_id,))
        described["child_ids"] = [row["group_id"] for row in rows]
    return described


def make(connection: Connection, caller: Caller, asked: dict[str, Any]) -> dict[str, Any]:
    """A new group, the caller its admin."""
    name = asked.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ApiError("BAD_REQUEST", "a group needs a name", 400)
    group_id = str(uuid.uuid4())
    if asked.get("parent_id") is not None and rank_of(find(connection, str(asked["parent_id"]), caller)[1]) < 3:
        raise ApiError("FORBIDDEN", "only an admin of the parent group may add a group below it", 403)
    create(connection, group_id=group_id, name=name, description=asked.get("description"))
    if asked.get("parent_id") is not None:
        connection.execute("insert into group_detail (group_id, parent_id) values (?, ?)", (group_id, str(asked["parent_id"])))
    set_member(connection, group_id, caller.identity_id, role="admin")
    return read(connection, group_id, caller, set())


def remove(connection: Connection, group_id: str, caller: Caller) -> dict[str, Any]:
    """Delete a group as its admin."""
    group, mine = find(connection, group_id, caller)
    if rank_of(mine) < 3:
        raise ApiError("FORBIDDEN", "only an admin may delete the group", 403)
    connection.execute('delete from "group" where id = ?', (group_id,))
    collections.raise_group_version(connection, group_id)
    return _describe(group, [])


def update(connection: Connection, group_id: str, caller: Caller, asked: dict[str, Any]) -> dict[str, Any]:
    """Name, description and terms of a group, as its admin; what is not named stays."""
    group, mine = find(connection, group_id, caller)
    if rank_of(mine) < 3:
        raise ApiError("FORBIDDEN", "only an admin may change the group", 403)
    name = asked.get("name", group["name"])
    if not isinstance(name, str) or not name.strip():
        raise ApiError("BAD_REQUEST", "a group needs a name", 400)
    texts = {"description": asked.get("description", group["description"]), "terms": asked.get("terms_and_conditions", group["terms"])}
    if not all(text is None or isinstance(text, str) for text in texts.values()):
        raise ApiError("BAD_REQUEST", "description and terms_and_conditions are texts", 400)
    create(connection, group_id=group_id, name=name, description=texts["description"])
    connection.execute(
        "insert into group_detail (group_id, terms) values (?, ?) on conflict (group_id) do update set terms = excluded.terms",
        (group_id, texts["terms"]),
    )
    return read(connection, group_id, caller, set())


MANAGE: dict[str, str] = {"add": "active", "invite": "invited", "approve": "active", "reject": "rejected", "remove": "removed"}
"""Acts of a manager and the status that they lead to."""

OWN: dict[str, tuple[str, str]] = {
    "accept": ("invited", "active"),
    "decline": ("invited", "declined"),
    "leave": ("active", "left"),
}
"""Acts on one's own membership: the status that it must have, and the one that it gets."""

ENTER = ("join", "request_join")
"""Acts of somebody who is not in the group, where its policy has join requests: they ask, and wait until a manager approves."""


def act(connection: Connection, group_id: str, caller: Caller, asked: dict[str, Any]) -> dict[str, Any]:
    """A batch of membership actions: what went well under the same key, what was refused under `errors`."""
    group, mine = find(connection, group_id, caller)
    rank = rank_of(mine)
    is_open = bool(policies_of(group)["join_requests"])
    answer: dict[str, Any] = {}
    if sum(len(entries) for entries in asked.values() if isinstance(entries, list)) > MOST_ACTS:
        raise ApiError("BAD_REQUEST", f"at most {MOST_ACTS} memberships are changed at once", 400)
    for action, entries in asked.items():
        if action not in {*MANAGE, *OWN, *ENTER, "change_role"} or not isinstance(entries, list):
            raise ApiError("BAD_REQUEST", f"unknown action {action}", 400)
        if not all(isinstance(entry, dict) for entry in entries):
            raise ApiError("BAD_REQUEST", f"{action} is a list of documents with an identity_id", 400)
        for entry in entries:
            try:
                answer.setdefault(action, []).append(_act_once(connection, group_id, caller, rank, action, entry, is_open=is_open))
            except ApiError as refused:
                failed = {**entry, "code": refused.code, "detail": refused.message}
                answer.setdefault("errors", {}).setdefault(action, []).append(failed)
    return answer


def _act_once(
    connection: Connection, group_id: str, caller: Caller, rank: int, action: str, entry: dict[str, Any], *, is_open: bool
) -> dict[str, Any]:
    identity_id = str(entry.get("identity_id", "")).lower()
    person = identities.get(connection, identity_id)
    if person is None:
        raise ApiError("IDENTITY_NOT_FOUND", "no such identity", 404)
    known = connection.execute("select * from membership where group_id = ? and identity_id = ?", (group_id, identity_id)).fetchone()
    if action in OWN or action in ENTER:
        if identity_id not in caller.identity_ids:
            raise ApiError("FORBIDDEN", "only for a membership of your own", 403)
        role, status = _own_step(connection, group_id, action, known, is_open=is_open)
    else:
        role = entry.get("role") or (known["role"] if known else "member")
        if role not in ROLES:
            raise ApiError("BAD_REQUEST", "role is member, manager or admin", 400)
        if rank < 2 or (rank < 3 and "admin" in {role, known["role"] if known else ""}):
            raise ApiError("FORBIDDEN", "only for managers of the group", 403)
        if action in ("add", "invite") and known and known["status"] == "active":
            raise ApiError("ALREADY_ACTIVE", "is a member already", 409)
        if action not in ("add", "invite") and known is None:
            raise ApiError("MEMBERSHIP_NOT_FOUND", "is not a member", 404)
        if action in ("approve", "reject") and known["status"] != "pending":
            raise ApiError("MEMBERSHIP_NOT_FOUND", "there is no request of this identity to join", 404)
        if action == "add" and identity_id not in caller.identity_ids and not _may_be_added(connection, identity_id):
            raise ApiError("FORBIDDEN", "this identity is added by nobody; invite it", 403)
        if action in ("remove", "change_role"):
            _require_other_admin(connection, group_id, known, is_kept=action == "change_role" and role == "admin")
        status = known["status"] if action == "change_role" else MANAGE[action]
    set_member(connection, group_id, identity_id, role=role, status=status)
    if action == "invite":
        invite(connection, group_id, person)
    return {"group_id": group_id, "identity_id": identity_id, "username": person["username"], "role": role, "status": status}


def _may_be_added(connection: Connection, identity_id: str) -> bool:
    """Whether others may make the identity a member without asking: its preference `allow_add`."""
    row = connection.execute("select preferences from group_preference where identity_id = ?", (identity_id,)).fetchone()
    preferences = json.loads(row["preferences"]) if row else {}
    return not (isinstance(preferences, dict) and preferences.get("allow_add") is False)


def _own_step(connection: Connection, group_id: str, action: str, known: Row | None, *, is_open: bool) -> tuple[str, str]:
    """`(role, status)` of somebody who acts for herself."""
    if action in ENTER:
        if known and known["status"] == "active":
            raise ApiError("ALREADY_ACTIVE", "is a member already", 409)
        if known and known["status"] == "invited":
            return str(known["role"]), "active"
        if not is_open:
            raise ApiError("FORBIDDEN", "this group takes members by invitation only", 403)
        return "member", "pending"
    needed, status = OWN[action]
    if known is None or known["status"] != needed:
        raise ApiError("MEMBERSHIP_NOT_FOUND", f"there is no {needed} membership of yours", 404)
    if action == "leave":
        _require_other_admin(connection, group_id, known, is_kept=False)
    return str(known["role"]), status


def _require_other_admin(connection: Connection, group_id: str, known: Row, *, is_kept: bool) -> None:
    """A group keeps one active admin, as Globus insists."""
    if known["role"] != "admin" or known["status"] != "active" or is_kept:
        return
    query = "select count(*) from membership where group_id = ? and role = 'admin' and status = 'active' and identity_id <> ?"
    if connection.execute(query, (group_id, known["identity_id"])).fetchone()[0] == 0:
        raise ApiError("LAST_ADMIN", "the last admin stays in the group", 409)


def invite(connection: Connection, group_id: str, person: Row) -> None:
    """Tell a person by mail that she is invited."""
    (name,) = connection.execute('select name from "group" where id = ?', (group_id,)).fetchone()
    words = f"You are invited to the group {name}.\n\nAccept or decline with: globus group invite accept {group_id}\n"
    mails.queue(connection, to=person["email"], subject=f"Invitation to the group {name}", text=words)


async def read_json(request: Request) -> dict[str, Any]:
    """The body, a JSON object. Raises ApiError 400."""
    return await read_object(request, code="BAD_REQUEST")


def _split(request: Request, name: str) -> set[str]:
    return {part for value in request.query_params.getlist(name) for part in value.split(",") if part}


async def my_groups(request: Request) -> Response:
    caller = await tokens.authenticate(request, scope=READ)
    store: Store = request.app.state.store
    return JSONResponse(await store.read(list_mine, caller, _split(request, "statuses") or {"active"}))


async def group(request: Request) -> Response:
    """GET reads, PUT changes, DELETE removes, POST acts on memberships."""
    caller = await tokens.authenticate(request, scope=READ if request.method == "GET" else scopes.GROUPS_ALL)
    store: Store = request.app.state.store
    group_id = request.path_params["group_id"]
    if request.method == "GET":
        return JSONResponse(await store.read(read, group_id, caller, _split(request, "include")))
    if request.method == "DELETE":
        return JSONResponse(await store.write(remove, group_id, caller))
    if request.method == "PUT":
        return JSONResponse(await store.write(update, group_id, caller, await read_json(request)))
    return JSONResponse(await store.write(act, group_id, caller, await read_json(request)))


async def make_group(request: Request) -> Response:
    caller = await tokens.authenticate(request, scope=scopes.GROUPS_ALL)
    store: Store = request.app.state.store
    return JSONResponse(await store.write(make, caller, await read_json(request)))


routes: list[Route] = [
    Route("/v2/groups/my_groups", my_groups, methods=["GET"]),
    Route("/v2/groups", make_group, methods=["POST"]),
    Route("/v2/groups/{group_id}", group, methods=["GET", "PUT", "POST", "DELETE"]),
]
