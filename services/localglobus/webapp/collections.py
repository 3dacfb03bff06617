"""Collections: searched, and one with what it is, who looks after it, and what its administrator may change."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from services.localglobus.errors import ApiError
from services.localglobus.webapp import choosing, panes
from services.localglobus.webapp.calls import Calls, Document, quote
from services.localglobus.webapp.naming import GUESTS, PERSONAL, kind_of, name_principal, tabs_of
from services.localglobus.webapp.pages import draw, read_form, see, tell

ROLES = {
    "administrator": "Administrator: may do everything",
    "access_manager": "Access manager: gives and takes permissions",
    "activity_manager": "Activity manager: sees, pauses and cancels tasks",
    "activity_monitor": "Activity monitor: sees tasks",
}
TEXTS = (
    "display_name",
    "description",
    "organization",
    "department",
    "keywords",
    "contact_email",
    "contact_info",
    "info_link",
    "user_message",
)


async def collections(request: Request, calls: Calls) -> Response:
    """The lists of the chooser, and a search of everything that is public or the person's."""
    query = request.query_params
    words, name = query.get("q", "").strip(), query.get("list", "")
    tabs = {key: label for key, label in choosing.LISTS.items() if key != "bookmarks"}
    name = name if name in tabs else "usable"
    found = await choosing.list_collections(calls, name=name, words=words)
    rows = [{"collection": each, "kind": kind_of(each), "address": panes.folder_address(each["id"])} for each in found]
    context = {"rows": rows, "words": words, "list": name, "tabs": tabs, "empty": choosing.EMPTY[name]}
    return await draw(request, calls, "collections.html", context)


async def one_collection(request: Request, calls: Calls) -> Response:
    """What a collection is; POST changes its texts or deletes it, by its administrator."""
    collection = await calls.transfer("GET", f"endpoint/{quote(request.path_params['collection_id'])}")
    if request.method == "POST":
        return await _change(request, calls, collection)
    host = collection["mapped_collection_id"]
    mapped = await _find(calls, host) if host else None
    pauses = await _pauses(calls, collection) if kind_of(collection) != "endpoint" else []
    context = {
        "collection": collection,
        "kind": kind_of(collection),
        "tabs": tabs_of(collection),
        "tab": "overview",
        "mapped": mapped,
        "pauses": pauses,
        "open_address": panes.folder_address(collection["id"]),
        "may_change": "administrator" in collection["my_effective_roles"],
        "may_delete": "administrator" in collection["my_effective_roles"] and collection["entity_type"] in (*GUESTS, PERSONAL),
    }
    return await draw(request, calls, "collection.html", context)


async def _find(calls: Calls, endpoint_id: str) -> Document | None:
    """A collection that the person may not even know of is None."""
    try:
        return await calls.transfer("GET", f"endpoint/{quote(endpoint_id)}")
    except ApiError as error:
        if error.http_status != 404:
            raise
        return None


async def _pauses(calls: Calls, collection: Document) -> list[dict[str, Any]]:
    return list((await calls.transfer("GET", f"endpoint/{collection['id']}/my_effective_pause_rule_list"))["DATA"])


async def _change(request: Request, calls: Calls, collection: Document) -> Response:
    form = await read_form(request)
    path = f"endpoint/{collection['id']}"
    if form.text("act") == "update":
        asked = {"DATA_TYPE": "endpoint", **{name: form.text(name) or None for name in TEXTS}, "public": form.has("public")}
        await calls.transfer("PUT", path, asked=asked)
        tell(request, calls.session, "The collection is changed.")
        return see(f"/file-manager/collections/{collection['id']}/overview")
    if form.text("act") == "delete":
        if form.text("display_name") != collection["display_name"]:
            raise ApiError("BadRequest", "Type the name of the collection to delete it", 400)
        await calls.transfer("DELETE", path)
        tell(
            request,
            calls.session,
            f"The collection {collection['display_name']} is deleted with its permissions. The files stay where they are.",
        )
        return see("/collections")
    raise ApiError("BadRequest", "There is no such button on this page", 400)


async def guests(request: Request, calls: Calls) -> Response:
    """The guest collections on a mapped one that the person looks after."""
    collection = await calls.transfer("GET", f"endpoint/{quote(request.path_params['collection_id'])}")
    found = (await calls.transfer("GET", f"endpoint/{collection['id']}/my_shared_endpoint_list"))["DATA"]
    context = {"collection": collection, "guests": found, "tabs": tabs_of(collection), "tab": "shares"}
    return await draw(request, calls, "guests.html", context)


async def roles(request: Request, calls: Calls) -> Response:
    """GET lists the roles on a collection; POST gives or takes one."""
    collection = await calls.transfer("GET", f"endpoint/{quote(request.path_params['collection_id'])}")
    if request.method == "POST":
        return await _change_roles(request, calls, collection)
    found = (await calls.transfer("GET", f"endpoint/{collection['id']}/role_list"))["DATA"]
    rows = [{**role, "words": await name_principal(calls, role["principal_type"], role["principal"])} for role in found]
    context = {"collection": collection, "rows": rows, "roles": ROLES, "tabs": tabs_of(collection), "tab": "roles"}
    return await draw(request, calls, "roles.html", context)


async def _change_roles(request: Request, calls: Calls, collection: Document) -> Response:
    form = await read_form(request)
    path = f"endpoint/{collection['id']}/role"
    if form.text("act") == "add":
        kind = "group" if form.text("group_id") else "identity"
        principal = form.text("group_id") or (await calls.find_identity(form.text("person")))["id"]
        await calls.transfer(
            "POST", path, asked={"DATA_TYPE": "role", "principal_type": kind, "principal": principal, "role": form.text("role")}
        )
        tell(request, calls.session, "The role is given.")
    elif form.text("act") == "delete":
        await calls.transfer("DELETE", f"{path}/{quote(form.text('role_id'))}")
        tell(request, calls.session, "The role is taken away.")
    else:
        raise ApiError("BadRequest", "There is no such button on this page", 400)
    return see(f"/file-manager/collections/{collection['id']}/roles")


async def personal(request: Request, calls: Calls) -> Response:
    """GET shows the form for one's own computer; POST registers it and shows the setup key, which is told once."""
    made = None
    if request.method == "POST":
        form = await read_form(request)
        asked = {
            "DATA_TYPE": "endpoint",
            "is_globus_connect": True,
            "display_name": form.text("display_name"),
            "public": form.has("public"),
        }
        made = await calls.transfer("POST", "endpoint", asked=asked)
    return await draw(request, calls, "personal.html", {"made": made, "control": request.app.state.settings.url})
