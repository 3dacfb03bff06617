"""Share a folder: make a guest collection of it, then say who may do what in which folder of it, and until when.

/file-manager/share?collection_id=&path=             from a folder: the guest collections on it, and a form for a new one
/file-manager/collections/<id>/sharing               the access rules of a guest collection
/file-manager/collections/<id>/sharing/add?path=     a new rule
"""

from __future__ import annotations

import urllib.parse
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from services.localglobus.errors import ApiError
from services.localglobus.webapp import panes
from services.localglobus.webapp.calls import Calls, Document, quote
from services.localglobus.webapp.naming import GUESTS, MAPPED, PERSONAL, name_principal, tabs_of
from services.localglobus.webapp.pages import Form, draw, read_form, see, tell
from services.localglobus.webapp.wording import PERMISSIONS


def sharing_address(collection_id: str, *, path: str | None = None) -> str:
    """Returns the address of the rules of a collection or, with `path`, of the form for a new one."""
    base = f"/file-manager/collections/{collection_id}/sharing"
    return base if path is None else f"{base}/add?{urllib.parse.urlencode({'path': path})}"


async def share(request: Request, calls: Calls) -> Response:
    """GET shows what there is on the folder and a form; POST makes the guest collection. A guest collection needs no second one."""
    if request.method == "POST":
        return await _make_guest(request, calls)
    query = request.query_params
    collection = await calls.transfer("GET", f"endpoint/{quote(query.get('collection_id', ''))}")
    path = query.get("path", "/")
    if collection["entity_type"] in GUESTS:
        return see(sharing_address(collection["id"], path=path))
    if collection["entity_type"] not in MAPPED:
        raise ApiError("NotSupported", "Folders of collections are shared, not of endpoints", 409)
    found = (await calls.transfer("GET", f"endpoint/{collection['id']}/my_shared_endpoint_list"))["DATA"]
    context = {
        "collection": collection,
        "path": path,
        "back": panes.folder_address(collection["id"], path),
        "guests": [each for each in found if each["host_path"] == path],
        "name": path.rstrip("/").rpartition("/")[2] or collection["display_name"],
    }
    return await draw(request, calls, "share.html", context)


async def _make_guest(request: Request, calls: Calls) -> Response:
    form = await read_form(request)
    collection = await calls.transfer("GET", f"endpoint/{quote(form.text('collection_id'))}")
    if collection["entity_type"] == PERSONAL:
        return await _make_personal_guest(request, calls, collection, form)
    keywords = [word.strip() for word in form.text("keywords").split(",") if word.strip()]
    made = await calls.manager(
        collection,
        "POST",
        "collections",
        asked={
            "DATA_TYPE": "collection#1.0.0",
            "collection_type": "guest",
            "mapped_collection_id": collection["id"],
            "collection_base_path": next(iter(form.texts("path")), ""),
            "display_name": form.text("display_name"),
            "description": form.text("description") or None,
            "public": form.has("public"),
            **({"keywords": keywords} if keywords else {}),
        },
    )
    tell(request, calls.session, f"The guest collection {made['display_name']} was made. Nobody but you may use it yet.")
    return see(sharing_address(made["id"]))


async def _make_personal_guest(request: Request, calls: Calls, collection: Document, form: Form) -> Response:
    """On somebody's own computer, which has no GCS Manager, a guest collection is made at Transfer."""
    texts = {name: form.text(name) or None for name in ("description", "keywords")}
    asked = {
        "DATA_TYPE": "shared_endpoint",
        "host_endpoint": collection["id"],
        "host_path": next(iter(form.texts("path")), ""),
        "display_name": form.text("display_name"),
        "public": form.has("public"),
        **texts,
    }
    made = await calls.transfer("POST", "shared_endpoint", asked=asked)
    tell(request, calls.session, f"The guest collection {form.text('display_name')} was made. Nobody but you may use it yet.")
    return see(sharing_address(made["id"]))


async def rules(request: Request, calls: Calls) -> Response:
    """GET lists who may do what; POST changes or removes one rule."""
    collection = await calls.transfer("GET", f"endpoint/{quote(request.path_params['collection_id'])}")
    if request.method == "POST":
        return await _change_rule(request, calls, collection)
    found = (await calls.transfer("GET", f"endpoint/{collection['id']}/access_list"))["DATA"]
    context = {
        "collection": collection,
        "rules": [await _describe(calls, rule) for rule in found],
        "permissions": PERMISSIONS,
        "tabs": tabs_of(collection),
        "tab": "sharing",
    }
    return await draw(request, calls, "sharing.html", context)


async def _describe(calls: Calls, rule: Document) -> dict[str, Any]:
    return {**rule, "words": await name_principal(calls, rule["principal_type"], rule["principal"])}


async def _change_rule(request: Request, calls: Calls, collection: Document) -> Response:
    form = await read_form(request)
    path = f"endpoint/{collection['id']}/access/{quote(form.text('rule'))}"
    if form.text("act") == "delete":
        await calls.transfer("DELETE", path)
        tell(request, calls.session, "The permission is removed. It ends at the data host within a second.")
    elif form.text("act") == "update":
        asked = {"DATA_TYPE": "access", "permissions": form.text("permissions"), "expiration_date": _moment(form) or None}
        await calls.transfer("PUT", path, asked=asked)
        tell(request, calls.session, "The permission is changed.")
    else:
        raise ApiError("BadRequest", "There is no such button on this page", 400)
    return see(sharing_address(collection["id"]))


async def add_rule(request: Request, calls: Calls) -> Response:
    """GET shows the form, POST adds the rule; a refused one is shown again as it was sent."""
    collection = await calls.transfer("GET", f"endpoint/{quote(request.path_params['collection_id'])}")
    if request.method == "GET":
        return await _rule_form(request, calls, collection, Form([("path", request.query_params.get("path", "/"))]))
    form = await read_form(request)
    try:
        asked = await _read_rule(calls, form)
        await calls.transfer("POST", f"endpoint/{collection['id']}/access", asked=asked)
    except ApiError as error:
        if error.extra:
            raise
        return await _rule_form(request, calls, collection, form, failure=error)
    who = await name_principal(calls, asked["principal_type"], asked["principal"])
    may = PERMISSIONS[asked["permissions"]]
    tell(request, calls.session, f"Shared with {who}, who may {may} {asked['path']}.")
    return see(sharing_address(collection["id"]))


async def _rule_form(request: Request, calls: Calls, collection: Document, form: Form, *, failure: ApiError | None = None) -> Response:
    groups = await calls.groups("GET", "/my_groups")
    context = {"collection": collection, "form": form, "groups": groups, "failure": failure, "path": next(iter(form.texts("path")), "/")}
    return await draw(request, calls, "add-permission.html", context, status=failure.http_status if failure else 200)


async def _read_rule(calls: Calls, form: Form) -> dict[str, Any]:
    """Returns the `access` document of the form; a person is given by user name or id."""
    kind, principal, email = form.text("principal_type"), "", None
    if kind == "identity":
        person = await calls.find_identity(form.text("person"))
        principal, email = person["id"], person["email"] or (person["username"] if "@" in form.text("person") else None)
    elif kind == "group":
        principal = form.text("group") or form.text("group_id")
    path = next(iter(form.texts("path")), "")
    asked = {
        "DATA_TYPE": "access",
        "principal_type": kind,
        "principal": principal,
        "path": path if path.endswith("/") else path + "/",
        "permissions": "rw" if form.has("write") else "r",
        "expiration_date": _moment(form) or None,
    }
    return asked | ({"notify_email": email, "notify_message": form.text("message") or None} if form.has("notify") and email else {})


def _moment(form: Form) -> str:
    """The end of a rule: a day and perhaps a time, UTC."""
    day, time = form.text("expires_on"), form.text("expires_at")
    return f"{day}T{time or '23:59'}:00+00:00" if day else ""
