"""From a `transfer` or `delete` document to a checked `Submission`: shapes, paths, limits. What it names is resolved by the caller."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from services.localglobus.errors import ApiError
from services.localglobus.transfer import collection_policies, data_paths
from services.localglobus.transfer.collections import Collection
from services.localglobus.transfer.connectors import S3
from services.localglobus.transfer.deadlines import LIFETIME, MOVES
from services.localglobus.transfer.paths import folder, normalise
from services.localglobus.transfer.tasks import MOST_ITEMS, NOTIFY_FLAGS, TRANSFER_FLAGS, Item, Submission, read_label
from services.localglobus.transfer.times import now_text, parse_future

HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")
DIGITS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
"""What `checksum_algorithm` may name, and how long such a digest is in hexadecimal."""
ASSUMED_ALGORITHM = "md5"
LEAST_BANDWIDTH = 1024


def read_transfer(
    document: Mapping[str, Any], *, source: Collection, destination: Collection, homes: tuple[str | None, str | None]
) -> Submission:
    """Checks a transfer document. `homes` are those of the owner at source and destination. Raises `ApiError` 400."""
    items = [_transfer_item(item, homes) for item in read_items(document, "ClientError.BadRequest.NoTransferItems", "A transfer")]
    if source.id == destination.id:
        for item in items:
            _refuse_into_itself(item)
    sync_level = document.get("sync_level")
    if sync_level is not None and (isinstance(sync_level, bool) or sync_level not in (0, 1, 2, 3)):
        raise ApiError("BadRequest", "sync_level must be 0, 1, 2, 3 or null", 400)
    options = {
        "sync_level": sync_level,
        "filter_rules": _filter_rules(document),
        "recursive_symlinks": _symlinks(document, source, destination),
        MOVES: not document.get("deadline"),
        "most_bytes_per_s": _bandwidth(document),
        **_flags(document, TRANSFER_FLAGS, default=False),
        **_flags(document, NOTIFY_FLAGS, default=True),
    }
    options["verify_checksum"] = collection_policies.is_verified(source, destination, asked=bool(options["verify_checksum"]))
    options["encrypt_data"] = data_paths.is_private(source, destination, options)
    return _submission(document, source=source, destination=destination, options=options, items=items)


def read_delete(document: Mapping[str, Any], *, collection: Collection, home: str | None) -> Submission:
    """Checks a delete document. Raises `ApiError` 400, also for the root of a collection, which nobody means."""
    flags = _flags(document, ("recursive", "ignore_missing", "interpret_globs"), default=False)
    items = []
    for item in read_items(document, "ClientError.BadRequest.NoDeleteItems", "A delete"):
        path = normalise(item.get("path"), home=home)
        if path == "/":
            raise ApiError("BadRequest", "The root of a collection cannot be deleted", 400)
        items.append(Item(source_path=path, destination_path=None, is_recursive=flags["recursive"]))
    options = {**flags, **_flags(document, NOTIFY_FLAGS, default=True)}
    return _submission(document, source=collection, destination=None, options=options, items=items)


def _submission(document: Mapping[str, Any], **parts: Any) -> Submission:
    deadline = document.get("deadline")
    return Submission(
        submission_id=str(document.get("submission_id")).lower(),
        label=read_label(document),
        deadline=parse_future(deadline, field="deadline") if deadline else now_text(plus=LIFETIME),
        **parts,
    )


def read_items(document: Mapping[str, Any], code: str, what: str) -> list[Mapping[str, Any]]:
    """Returns the items of a document. Raises `ApiError` 400 with `code` if there are none."""
    items = document.get("DATA")
    if not isinstance(items, list) or not items:
        raise ApiError(code, f"{what} requires at least one item", 400)
    if len(items) > MOST_ITEMS:
        raise ApiError("LimitExceeded", f"{what} has at most {MOST_ITEMS} items", 400)
    if not all(isinstance(item, dict) for item in items):
        raise ApiError("BadRequest", "Every item must be a document", 400)
    return items


def _bandwidth(document: Mapping[str, Any]) -> int | None:
    """Returns the cap of the task's bandwidth, which Globus has not: an addition of ours."""
    cap = document.get("most_bytes_per_s")
    if cap is not None and (isinstance(cap, bool) or not isinstance(cap, int) or not LEAST_BANDWIDTH <= cap < 2**63):
        raise ApiError("BadRequest", f"most_bytes_per_s must be a whole number of at least {LEAST_BANDWIDTH}, or null", 400)
    return cap


def _transfer_item(item: Mapping[str, Any], homes: tuple[str | None, str | None]) -> Item:
    if item.get("DATA_TYPE", "transfer_item") != "transfer_item":
        raise ApiError("BadRequest", f"Items of type {item.get('DATA_TYPE')!r} are not supported", 400)
    is_recursive = item.get("recursive", False)
    if not isinstance(is_recursive, bool):
        raise ApiError("BadRequest", "recursive must be true or false", 400)
    source_path, destination_path = (
        normalise(item.get("source_path"), home=homes[0]),
        normalise(item.get("destination_path"), home=homes[1]),
    )
    if is_recursive:
        source_path, destination_path = folder(source_path), folder(destination_path)
    elif source_path.endswith("/") or destination_path.endswith("/"):
        raise ApiError("BadRequest", "The paths of a file are whole file paths; for a folder say recursive", 400)
    return Item(source_path=source_path, destination_path=destination_path, is_recursive=is_recursive, checksum=_checksum(item))


def _symlinks(document: Mapping[str, Any], *ends: Collection) -> str:
    """Returns what becomes of symbolic links in folders: left out, kept, or copied as what they lead to. Raises `ApiError` 400."""
    asked = document.get("recursive_symlinks") or "ignore"
    if asked not in ("ignore", "keep", "copy"):
        raise ApiError("BadRequest", "recursive_symlinks must be 'ignore', 'keep' or 'copy'", 400)
    if asked == "keep" and any(each.connector.id == S3 for each in ends):
        raise ApiError("BadRequest", "recursive_symlinks must not be 'keep': a bucket holds no symbolic links", 400)
    if asked == "copy" and any(each.engine != "https" for each in ends):
        raise ApiError("BadRequest", "recursive_symlinks must be 'ignore' on this data path", 400)
    return str(asked)


def _checksum(item: Mapping[str, Any]) -> str | None:
    """Returns what must arrive: a SHA-256, or algorithm and digest as `md5:...`. Without a `checksum_algorithm` it is an MD5.

    Raises `ApiError` 400 (https://docs.globus.org/api/transfer/task_submit/#transfer_item_fields).
    """
    named, value = item.get("checksum_algorithm"), item.get("external_checksum")
    algorithm = ASSUMED_ALGORITHM if named is None else str(named).lower().replace("-", "")
    if algorithm not in DIGITS:
        raise ApiError("BadRequest", f"checksum_algorithm {named!r} is none of MD5, SHA1, SHA256 and SHA512", 400)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) != DIGITS[algorithm] or not HEXADECIMAL.fullmatch(value):
        words = f"external_checksum must be {algorithm.upper()} in hexadecimal, {DIGITS[algorithm]} digits"
        raise ApiError("BadRequest", words if named else f"{words}: it is taken for MD5 without a checksum_algorithm", 400)
    return value.lower() if algorithm == "sha256" else f"{algorithm}:{value.lower()}"


def _refuse_into_itself(item: Item) -> None:
    if item.is_recursive and folder(str(item.destination_path)).startswith(folder(item.source_path)):
        raise ApiError("BadRequest", f"{item.source_path} cannot be copied into itself", 400)


def _filter_rules(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    rules = document.get("filter_rules") or []
    if not isinstance(rules, list) or not all(isinstance(rule, dict) and isinstance(rule.get("name"), str) for rule in rules):
        raise ApiError("BadRequest", "filter_rules must be a list of filter_rule documents with a name", 400)
    found = [
        {"DATA_TYPE": "filter_rule", "method": rule.get("method") or "exclude", "name": rule["name"], "type": rule.get("type")}
        for rule in rules
    ]
    for rule in found:
        if rule["method"] not in ("include", "exclude") or rule["type"] not in (None, "file", "dir"):
            raise ApiError("BadRequest", "A filter_rule has the method include or exclude and the type file, dir or null", 400)
    return found


def _flags(document: Mapping[str, Any], names: tuple[str, ...], *, default: bool) -> dict[str, bool]:
    flags = {name: document.get(name, default) for name in names}
    for name, value in flags.items():
        if value is None:
            flags[name] = default
        elif not isinstance(value, bool):
            raise ApiError("BadRequest", f"{name} must be true or false", 400)
    return flags
