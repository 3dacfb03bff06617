"""Folder operations as a caller: list, look at, make and rename, each decided here and done by the node.

`open_collection` is the first step of all of them: the collection, its consents, the local account, the caller's rights.
"""

from __future__ import annotations

import fnmatch
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.localglobus.auth.tokens import Caller
from services.localglobus.errors import ApiError
from services.localglobus.transfer import assurance, collections, listing
from services.localglobus.transfer.collections import Collection
from services.localglobus.transfer.documents import file_document
from services.localglobus.transfer.node_calls import NodeCalls
from services.localglobus.transfer.paths import folder, normalise, parent
from services.localglobus.transfer.permissions import (
    Person,
    Rights,
    person_behind,
    require_account,
    require_data_access,
    rights_of,
    rules_document,
)
from services.localglobus.transfer.tasks import MOST_ITEMS

MOST_LISTED = 100
"""Folders in which the patterns of one deletion are looked for."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A collection with what the caller may do there."""

    collection: Collection
    rights: Rights

    @property
    def rules(self) -> list[dict[str, str]]:
        """What holds for the caller, for the node: it alone sees where a symbolic link leads (services/dtn/PROTOCOL.md, section 3)."""
        return rules_document(self.rights)

    def path(self, asked: str | None) -> str:
        """Returns the absolute path; without one, the default folder of the collection."""
        return normalise(self.collection.default_folder if asked is None else asked, home=self.rights.home)


def open_collection(db: sqlite3.Connection, collection_id: str, caller: Caller, *, local_user: object = None) -> Opened:
    """Returns the collection as the caller finds it, by the account `local_user` if she names one of hers.

    Raises `ApiError` 404, 403 `ConsentRequired`, 403 `EndpointPermissionDenied`, or 400 for a local user where there is none.
    """
    collection = collections.find(db, collection_id)
    if collection is None:
        raise _endpoint_itself(db, collection_id)
    require_data_access(collection, caller)
    assurance.require(db, collection, caller)
    return open_as(db, collection, person_behind(caller), local_user=local_user)


def open_as(db: sqlite3.Connection, collection: Collection, person: Person, *, local_user: object = None) -> Opened:
    """Returns the collection as a person finds it who gave her consents elsewhere."""
    if local_user is not None and (not isinstance(local_user, str) or not collection.is_mapped):
        raise ApiError("BadRequest", "local_user names an account, and only a mapped collection has accounts", 400)
    rights = rights_of(db, collection, person, local_user=local_user)
    require_account(collection, rights)
    return Opened(collection=collection, rights=rights)


async def list_folder(nodes: NodeCalls, opened: Opened, path: str, *, show_hidden: bool, query: listing.Query) -> dict[str, Any]:
    """Returns a `file_list` document. On the way to something readable a listing shows that way only."""
    at = folder(path)
    _require(opened, opened.rights.may_see(at, is_folder=True), path)
    answer = await nodes.call(opened.collection, "ls", path=at, show_hidden=show_hidden, rules=opened.rules)
    seen = [
        file_document(entry) for entry in answer["entries"] if opened.rights.may_see(at + entry["name"], is_folder=entry["type"] == "dir")
    ]
    found = listing.select(seen, query)
    return {
        "DATA_TYPE": "file_list",
        "path": at,
        "absolute_path": at,
        "endpoint": opened.collection.id,
        "rename_supported": True,
        "symlink_supported": False,
        "length": len(found.rows),
        "total": found.total,
        "DATA": found.rows,
    }


async def stat(nodes: NodeCalls, opened: Opened, path: str) -> dict[str, Any]:
    """Returns a `file` document of one file or folder."""
    if not opened.rights.may_see(path, is_folder=True):
        raise _denied(opened, path)
    entry = await nodes.call(opened.collection, "stat", path=path, rules=opened.rules)
    _require(opened, opened.rights.may_see(path, is_folder=entry["type"] == "dir"), path)
    return file_document(entry)


async def make_folder(nodes: NodeCalls, opened: Opened, path: str) -> None:
    """Makes one folder; its parent must be there. Raises `ApiError` 502 `ExternalError.MkdirFailed.Exists` if something has the name."""
    _require(opened, opened.rights.may_write(path), path)
    await nodes.call(opened.collection, "mkdir", path=folder(path), rules=opened.rules)


async def rename(nodes: NodeCalls, opened: Opened, old_path: str, new_path: str) -> None:
    """Moves a file or folder within the collection; what both paths name must be writable, and not itself the top of a rule."""
    for path in (old_path, new_path):
        _require(opened, path != "/" and opened.rights.may_write(path) and opened.rights.may_write(parent(path)), path)
    await nodes.call(opened.collection, "rename", old_path=old_path, new_path=new_path, rules=opened.rules)


async def expand_globs(nodes: NodeCalls, opened: Opened, paths: Sequence[str]) -> list[str]:
    """Returns the paths with `*`, `?` and `[` in their last part replaced by what they match; one that matches nothing stays as it is."""
    found: list[str] = []
    names: dict[tuple[str, bool], list[str]] = {}
    for path in paths:
        name = path.rstrip("/").rpartition("/")[2]
        if not set(name) & set("*?["):
            found.append(path)
            continue
        at = (parent(path), name.startswith("."))
        if at not in names:
            if len(names) == MOST_LISTED:
                raise ApiError("BadRequest", f"The patterns of one deletion are in at most {MOST_LISTED} folders", 400)
            listed = await list_folder(nodes, opened, at[0], show_hidden=at[1], query=listing.Query())
            names[at] = [str(entry["name"]) for entry in listed["DATA"]]
        matches = [at[0] + each for each in names[at] if fnmatch.fnmatchcase(each, name)]
        found += matches or [path]
        if len(found) > MOST_ITEMS:
            raise ApiError("LimitExceeded", f"A delete has at most {MOST_ITEMS} items", 400)
    return found


def visible(db: sqlite3.Connection, endpoint_id: str, person: Person) -> tuple[Collection, Rights]:
    """Returns a collection that the person may know of: public, or with any right there. Raises `ApiError` 404 `EndpointNotFound`."""
    collection = collections.get(db, endpoint_id)
    rights = rights_of(db, collection, person)
    if not collection.is_public and not rights.is_any:
        raise collections.not_found(endpoint_id)
    return collection, rights


def _require(opened: Opened, is_allowed: bool, path: str) -> None:
    if not is_allowed:
        raise _denied(opened, path)


def _denied(opened: Opened, path: str) -> ApiError:
    return ApiError("EndpointPermissionDenied", f"Denied by endpoint {opened.collection.display_name}: Path not allowed: {path}", 403)


def _endpoint_itself(db: sqlite3.Connection, endpoint_id: str) -> ApiError:
    if collections.find_endpoint(db, endpoint_id=endpoint_id) is not None:
        return ApiError("NotSupported", "This is an endpoint; its files are reached through its collections", 409)
    return collections.not_found(endpoint_id)
