"""Collections and the people and groups of rules and roles in words, and which pages of a collection a person has."""

from __future__ import annotations

from services.localglobus.errors import ApiError
from services.localglobus.store import Connection, Store
from services.localglobus.transfer.seeing import name_of
from services.localglobus.webapp.calls import Calls, Document, quote
from services.localglobus.webapp.wording import OPEN_PRINCIPALS

GUESTS = frozenset({"GCSv5_guest_collection", "GCP_guest_collection"})
MAPPED = frozenset({"GCSv5_mapped_collection", "GCP_mapped_collection"})
PERSONAL = "GCP_mapped_collection"
"""Somebody's own computer: endpoint and mapped collection in one."""
TABS = {"overview": "Overview", "sharing": "Permissions", "shares": "Guest collections", "roles": "Roles"}


def kind_of(collection: Document) -> str:
    """Returns the kind of an `endpoint` document in words."""
    if collection["entity_type"] in GUESTS:
        return "guest collection"
    if collection["entity_type"] == PERSONAL:
        return "personal computer" if collection["gcp_connected"] else "personal computer, not connected"
    return "mapped collection" if collection["entity_type"] in MAPPED else "endpoint"


def tabs_of(collection: Document) -> dict[str, str]:
    """Returns the tabs that this person has of a collection."""
    is_admin = "administrator" in collection["my_effective_roles"]
    may_see_rules = bool({"administrator", "access_manager", "restricted_administrator"} & set(collection["my_effective_roles"]))
    shown = {
        "overview": True,
        "sharing": collection["entity_type"] in GUESTS and may_see_rules,
        "shares": collection["entity_type"] in MAPPED,
        "roles": is_admin,
    }
    return {name: words for name, words in TABS.items() if shown[name]}


async def name_principal(calls: Calls, kind: str, principal: str) -> str:
    """Returns who a rule or role is for, in words; a group that the person may not see is its id."""
    if kind in OPEN_PRINCIPALS:
        return OPEN_PRINCIPALS[kind]
    if kind == "group":
        try:
            return f"group {(await calls.groups('GET', f'/{quote(principal)}'))['name']}"
        except ApiError:
            return f"group {principal}"
    store: Store = calls.request.app.state.store
    return await store.read(_name, principal)


def _name(db: Connection, identity_id: str) -> str:
    return name_of(db, identity_id)
