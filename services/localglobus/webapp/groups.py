"""Groups: one's own, invitations; a group with its members, and what its members, managers and admins may do."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from services.localglobus.errors import ApiError
from services.localglobus.webapp.calls import Calls, Document, quote
from services.localglobus.webapp.pages import Form, draw, read_form, see, tell

ROLES = ("member", "manager", "admin")
OWN_ACTS = {"accept": "You are a member now.", "decline": "You declined.", "leave": "You left the group.", "join": "You are a member now."}
OWN_ACTS |= {"request_join": "You asked to join. A manager of the group decides."}
MEMBER_ACTS = {"approve": "approved", "reject": "rejected", "remove": "removed", "change_role": "given another role"}
STATUSES = ("active", "invited", "pending")


async def groups(request: Request, calls: Calls) -> Response:
    """GET lists the person's groups, invitations first; POST makes a group."""
    if request.method == "POST":
        form = await read_form(request)
        asked = {"name": form.text("name"), "description": form.text("description") or None}
        made = await calls.groups("POST", "", asked=asked)
        tell(request, calls.session, f"The group {made['name']} was made. You are its admin.")
        return see(group_address(made["id"]))
    found = await calls.groups("GET", "/my_groups", query={"statuses": ",".join(STATUSES)})
    rows = [{**group, "mine": group["my_memberships"]} for group in found]
    rows.sort(key=lambda row: ("invited" not in {one["status"] for one in row["mine"]}, row["name"].lower()))
    return await draw(request, calls, "groups.html", {"rows": rows})


def group_address(group_id: str, tab: str = "about") -> str:
    return f"/groups/{group_id}/{tab}"


async def one_group(request: Request, calls: Calls) -> Response:
    """GET shows a group by one of its tabs; POST acts on memberships, texts and policies."""
    group_id = request.path_params["group_id"]
    if request.method == "POST":
        return await _act(request, calls, group_id)
    group = await calls.groups("GET", f"/{quote(group_id)}", query={"include": "allowed_actions"})
    members = await _members(calls, group_id)
    mine = group["my_memberships"]
    rank = max((ROLES.index(one["role"]) + 1 for one in mine if one["status"] == "active"), default=0)
    tab = request.path_params.get("tab", "about")
    context = {
        "group": group,
        "mine": mine,
        "members": members,
        "rank": rank,
        "roles": ROLES,
        "tab": tab if tab in ("about", "members", "settings") else "about",
        "is_in": any(one["status"] == "active" for one in mine),
        "order": {status: n for n, status in enumerate(("pending", "invited", "active"))},
    }
    return await draw(request, calls, "group.html", context)


async def _members(calls: Calls, group_id: str) -> list[dict[str, Any]] | None:
    """The memberships, or None where the group does not show them to the person."""
    try:
        group = await calls.groups("GET", f"/{quote(group_id)}", query={"include": "memberships"})
    except ApiError as error:
        if error.http_status != 403:
            raise
        return None
    return list(group["memberships"])


async def _act(request: Request, calls: Calls, group_id: str) -> Response:
    form = await read_form(request)
    verb, address = form.text("act"), group_address(group_id, form.text("tab") or "about")
    if verb in OWN_ACTS:
        await _one(calls, group_id, verb, {"identity_id": form.text("identity_id") or calls.session.identity_id})
        tell(request, calls.session, OWN_ACTS[verb])
        return see("/groups" if verb in ("decline", "leave") else address)
    if verb in MEMBER_ACTS:
        changed = {"role": form.text("role")} if verb == "change_role" else {}
        member = await _one(calls, group_id, verb, {"identity_id": form.text("identity_id"), **changed})
        tell(request, calls.session, f"{member['username']} was {MEMBER_ACTS[verb]}.")
        return see(address)
    if verb in ("invite", "add"):
        person = await calls.find_identity(form.text("person"))
        member = await _one(calls, group_id, verb, {"identity_id": person["id"], "role": form.text("role") or "member"})
        tell(request, calls.session, f"{member['username']} was {'invited' if verb == 'invite' else 'added'}.")
        return see(address)
    return await _settle(request, calls, group_id, form)


async def _one(calls: Calls, group_id: str, action: str, entry: Document) -> Document:
    """One action of the batch. Raises `ApiError` with what the batch says under `errors`."""
    answer = await calls.groups("POST", f"/{quote(group_id)}", asked={action: [entry]})
    for failed in answer.get("errors", {}).get(action, []):
        raise ApiError(failed["code"], failed["detail"], 403 if failed["code"] == "FORBIDDEN" else 409)
    return dict(answer[action][0])


async def _settle(request: Request, calls: Calls, group_id: str, form: Form) -> Response:
    if form.text("act") == "update":
        asked = {
            "name": form.text("name"),
            "description": form.text("description") or None,
            "terms_and_conditions": form.text("terms") or None,
        }
        await calls.groups("PUT", f"/{quote(group_id)}", asked=asked)
        policies = {
            "group_visibility": "authenticated" if form.has("is_visible") else "private",
            "group_members_visibility": "members" if form.has("are_members_visible") else "managers",
            "join_requests": form.has("join_requests"),
        }
        await calls.groups("PUT", f"/{quote(group_id)}/policies", asked=policies)
        tell(request, calls.session, "The group is changed.")
        return see(group_address(group_id, "settings"))
    if form.text("act") == "delete":
        group = await calls.groups("GET", f"/{quote(group_id)}")
        if form.text("name") != group["name"]:
            raise ApiError("BadRequest", "Type the name of the group to delete it", 400)
        await calls.groups("DELETE", f"/{quote(group_id)}")
        tell(request, calls.session, f"The group {group['name']} is deleted.")
        return see("/groups")
    raise ApiError("BadRequest", "There is no such button on this page", 400)
