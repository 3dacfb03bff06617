"""What an administrator lays down for a collection beside its texts: HTTPS, checksums, deletion, and who may share which folder of it.

A mapped collection rules the guest collections on it: `require_sharing` is asked when one is made; one that was made before its mapped
collection stopped allowing them is there, and nobody reaches its files (`Collection.is_suspended`). Who may share is hidden from everybody
but administrators (`PRIVATE`). (https://docs.globus.org/globus-connect-server/v5/api/schemas/Collection_1_10_0_schema/)
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from services.localglobus.errors import ApiError
from services.localglobus.transfer.collections import Collection
from services.localglobus.transfer.connectors import S3
from services.localglobus.transfer.gateway_accounts import read_names
from services.localglobus.transfer.paths import covers, folder, normalise

FLAGS = {"enable_https": True, "force_verify": False, "disable_verify": False}
MAPPED_FLAGS = {"allow_guest_collections": True, "delete_protected": False}
PRIVATE = ("sharing_users_allow", "sharing_users_deny", "sharing_restrict_paths", "policies")
NOTIFICATIONS = {"status": {"SUCCEEDED", "FAILED"}, "transfer_use": {"SOURCE", "DESTINATION"}}
GROUPS = ("sharing_groups_allow", "sharing_groups_deny")
ACCESS = ("read_write", "read", "none")
MOST_PATHS = 1000


def change(db: sqlite3.Connection, collection: Collection, asked: Mapping[str, Any]) -> None:
    """Keeps the policies that `asked` names; the rest stays. Raises `ApiError` 400 for what is none or is of another kind of collection."""
    named = _flags(collection, asked)
    for name in ("sharing_users_allow", "sharing_users_deny"):
        if name in asked:
            named[name] = read_names(asked[name], name)
    if "sharing_restrict_paths" in asked:
        named["sharing_restrict_paths"] = _restrictions(asked["sharing_restrict_paths"])
    if "policies" in asked:
        named["policies"] = _connector_policies(collection, asked["policies"])
    of_mapped = [name for name in named if name not in FLAGS and named[name] not in (None, False)]
    if of_mapped and not collection.is_mapped:
        raise ApiError("bad_request", f"{', '.join(of_mapped)}: for a mapped collection", 400)
    if "activity_notification_policy" in asked:
        named["activity_notification_policy"] = _notifications(collection, asked["activity_notification_policy"])
    held = {**collection.policies, **named}
    if held.get("force_verify") and held.get("disable_verify"):
        raise ApiError("bad_request", "force_verify and disable_verify exclude each other", 400)
    if named:
        db.execute("INSERT OR REPLACE INTO collection_policy VALUES (?, ?)", (collection.id, json.dumps(held)))
        db.execute("UPDATE collection SET rule_version = rule_version + 1 WHERE ? IN (id, mapped_id)", (collection.id,))


def document(collection: Collection, *, with_private: bool) -> dict[str, Any]:
    """Returns the policies as members of a collection document of the GCS Manager; those in `PRIVATE` are null for who may not see them."""
    held = collection.policies
    shown = {name: held.get(name, default) for name, default in FLAGS.items()}
    if collection.is_mapped:
        shown |= {name: held.get(name, default) for name, default in MAPPED_FLAGS.items()}
    else:
        shown |= {"allow_guest_collections": False, "activity_notification_policy": held.get("activity_notification_policy")}
    return shown | {name: held.get(name) if with_private else None for name in PRIVATE}


def require_sharing(mapped: Collection, path: str, *, account: str) -> None:
    """Raises `ApiError` 403 `permission_denied` unless `account` may make a guest collection of the folder `path` of a mapped one.

    A name that is denied stays denied; where names or groups are allowed, nobody else is (no account here is in a POSIX group).
    """
    held = mapped.policies
    if not mapped.allows_guests:
        raise ApiError("permission_denied", "This collection does not allow guest collections", 403)
    allowed = held.get("sharing_users_allow") or []
    is_closed = bool(allowed or (held.get("policies") or {}).get("sharing_groups_allow"))
    if account in (held.get("sharing_users_deny") or []) or (is_closed and account not in allowed):
        raise ApiError("permission_denied", f"The account {account} may not share folders of this collection", 403)
    if not _is_shareable(held.get("sharing_restrict_paths"), path):
        raise ApiError("permission_denied", f"Path not allowed for sharing: {path}", 403)


def is_verified(source: Collection, destination: Collection, *, asked: bool) -> bool:
    """Whether a task's files are compared by checksum: as it asks, unless one of its collections forces or, none forcing, disables that."""
    ends = (source.policies, destination.policies)
    if any(each.get("force_verify") for each in ends):
        return True
    return asked and not any(each.get("disable_verify") for each in ends)


def _flags(collection: Collection, asked: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: asked[name] for name in (*FLAGS, *MAPPED_FLAGS) if asked.get(name) is not None}
    if not all(isinstance(value, bool) for value in named.values()):
        raise ApiError("bad_request", f"{', '.join(named)}: true or false", 400)
    if collection.is_personal:
        named.pop("enable_https", None)
    return named


def _restrictions(value: object) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or not set(value) <= {"DATA_TYPE", *ACCESS}:
        raise ApiError("bad_request", f"sharing_restrict_paths is a document with {', '.join(ACCESS)}", 400)
    paths = {kind: value.get(kind) for kind in ACCESS}
    if not all(each is None or (isinstance(each, list) and len(each) <= MOST_PATHS) for each in paths.values()):
        raise ApiError("bad_request", "sharing_restrict_paths names lists of paths", 400)
    return {
        "DATA_TYPE": "path_restrictions#1.0.0",
        **{kind: None if each is None else [folder(normalise(path)) for path in each] for kind, each in paths.items()},
    }


def _is_shareable(restrictions: Mapping[str, Any] | None, path: str) -> bool:
    """Whether all of a folder may be read and written: the longest path that covers it says so, and none below it says otherwise."""
    if not restrictions:
        return True
    named = [(each, kind) for kind in ACCESS for each in restrictions.get(kind) or []]
    covering = max((each for each in named if covers(each[0], path)), key=lambda each: len(each[0]), default=("", "none"))
    return covering[1] == "read_write" and all(kind == "read_write" for each, kind in named if covers(path, each))


def _connector_policies(collection: Collection, value: object) -> dict[str, Any] | None:
    if value is None:
        return None
    kind = "s3_collection_policies#" if collection.connector.id == S3 else "posix_collection_policies#"
    if not isinstance(value, Mapping) or not str(value.get("DATA_TYPE", kind)).startswith(kind):
        raise ApiError("bad_request", f"policies are those of the connector, {kind}1.0.0", 400)
    names = GROUPS if collection.connector.id != S3 else ()
    if not set(value) <= {"DATA_TYPE", *names}:
        raise ApiError("bad_request", "policies have a member that is unknown", 400)
    return {"DATA_TYPE": f"{kind}1.0.0", **{name: read_names(value.get(name), name) for name in names}}


def _notifications(collection: Collection, value: object) -> dict[str, list[str]] | None:
    if value is None:
        return None
    if collection.is_mapped or not isinstance(value, Mapping) or not set(value) <= set(NOTIFICATIONS):
        raise ApiError("bad_request", "activity_notification_policy is a document of a guest collection: status, transfer_use", 400)
    for name, words in value.items():
        if not isinstance(words, list) or not all(isinstance(word, str) and word.upper() in NOTIFICATIONS[name] for word in words):
            raise ApiError(
                "bad_request", f"activity_notification_policy: {name} is a list of {', '.join(sorted(NOTIFICATIONS[name]))}", 400
            )
    return {name: [*words] for name, words in value.items()}
