"""The wire shapes of the Transfer API, with every key that the SDK and the CLI read (https://docs.globus.org/api/transfer/)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from services.localglobus.errors import make_request_id
from services.localglobus.transfer.collections import Collection, Endpoint
from services.localglobus.transfer.connectors import S3
from services.localglobus.transfer.pausing import PAUSED
from services.localglobus.transfer.tasks import HISTORY

VOLUME = "0.10"


def result(code: str, message: str, *, resource: str, data_type: str = "result", **more: Any) -> dict[str, Any]:
    """Returns the document that answers a successful act."""
    return {"DATA_TYPE": data_type, "code": code, "message": message, "request_id": make_request_id(), "resource": resource, **more}


def entity_type(*, is_mapped: bool, is_personal: bool) -> str:
    """Returns what kind of collection it is, in the word of an `endpoint` document."""
    return f"{'GCP' if is_personal else 'GCSv5'}_{'mapped' if is_mapped else 'guest'}_collection"


def endpoint_document(collection: Collection, *, owner_name: str, roles: Iterable[str], can_manage_rules: bool) -> dict[str, Any]:
    """Returns a collection as an `endpoint` document; `owner_id` is the GCS endpoint, as Globus has it for version 5."""
    is_guest = not collection.is_mapped
    document = {
        **_empty_endpoint(),
        "id": collection.id,
        "canonical_name": f"{collection.owner_id}#{collection.id}",
        "name": collection.id,
        "display_name": collection.display_name,
        "description": collection.description,
        "organization": collection.organization or None,
        "entity_type": entity_type(is_mapped=collection.is_mapped, is_personal=collection.is_personal),
        "owner_id": collection.endpoint_id,
        "owner_string": owner_name,
        "username": owner_name,
        "gcs_manager_url": collection.gcs_address,
        "gcs_version": "5.4.76",
        "https_server": collection.https_server if collection.serves_https else None,
        "force_verify": bool(collection.policies.get("force_verify", False)),
        "disable_verify": bool(collection.policies.get("disable_verify", False)),
        "tlsftp_server": f"tlsftp://{collection.node_url.removeprefix('https://')}",
        "host_endpoint_id": collection.mapped_id,
        "host_endpoint": collection.mapped_id,
        "mapped_collection_id": collection.mapped_id,
        "host_path": collection.base_path if is_guest else None,
        "is_share": is_guest,
        "is_globus_connect": False,
        "high_assurance": collection.is_high_assurance,
        "authentication_timeout_mins": collection.timeout_mins,
        "authentication_assurance_timeout": collection.timeout_mins,
        "disable_anonymous_writes": not collection.has_anonymous_writes,
        "force_encryption": collection.forces_encryption,
        "public": collection.is_public,
        "default_directory": collection.default_folder,
        "sharing_target_root_path": collection.base_path if is_guest else None,
        "shareable": collection.allows_guests,
        "storage_type": "S3" if collection.connector.id == S3 else "POSIX",
        **_own_words(collection.texts),
        "acl_available": is_guest,
        "acl_editable": is_guest and can_manage_rules,
        "my_effective_roles": sorted(roles),
        "local_user_info_available": collection.is_mapped,
        "DATA": [server_document(collection.node_url)],
    }
    notified = collection.policies.get("activity_notification_policy")
    if notified is not None:
        document["guest_collection_activity_notification_policy"] = notified
    return {**document, **_personal_part(collection)} if collection.is_personal else document


def _personal_part(collection: Collection) -> dict[str, Any]:
    """What is otherwise on a host of the Connect Personal kind: it belongs to a person, and is there or not."""
    return {
        "owner_id": collection.owner_id,
        "gcs_manager_url": None,
        "gcs_version": None,
        "https_server": None,
        "tlsftp_server": None,
        "is_globus_connect": collection.is_mapped,
        "gcp_connected": collection.is_connected if collection.is_mapped else None,
        "gcp_paused": False if collection.is_mapped else None,
        "local_user_info_available": False,
        "DATA": [{**server_document(collection.node_url), "is_connected": collection.is_connected}] if collection.node_url else [],
    }


def gcs_endpoint_document(endpoint: Endpoint, *, owner_name: str, roles: Iterable[str]) -> dict[str, Any]:
    """Returns the endpoint itself (not a collection) as an `endpoint` document."""
    return {
        **_empty_endpoint(),
        "id": endpoint.id,
        "canonical_name": f"{endpoint.owner_id}#{endpoint.id}",
        "name": endpoint.id,
        "display_name": endpoint.display_name,
        "organization": endpoint.organization or None,
        "entity_type": "GCSv5_endpoint",
        "owner_id": endpoint.id,
        "owner_string": owner_name,
        "username": owner_name,
        "gcs_manager_url": endpoint.gcs_address,
        "gcs_version": "5.4.76",
        "public": True,
        "my_effective_roles": sorted(roles),
        "non_functional": True,
        **_own_words(endpoint.texts),
        "DATA": [server_document(endpoint.node_url)],
    }


def _own_words(texts: Mapping[str, Any]) -> dict[str, Any]:
    """What a collection says of itself; keywords are one text here and a list at the GCS Manager."""
    words = {name: value for name, value in texts.items() if value is not None}
    if isinstance(words.get("keywords"), list):
        words["keywords"] = ",".join(words["keywords"])
    return words


def _empty_endpoint() -> dict[str, Any]:
    """What every endpoint document has, with the values of something that has no such thing."""
    nothing = (
        "authentication_assurance_timeout", "authentication_timeout_mins", "authentication_policy_id", "contact_email", "contact_info",
        "department", "description",
        "default_directory", "expire_time", "expires_in", "gcs_manager_url", "globus_connect_setup_key",
        "host_endpoint", "host_endpoint_display_name", "host_endpoint_id", "host_path",
        "https_server", "info_link", "keywords", "last_accessed_time",
        "location", "mapped_collection_display_name", "mapped_collection_id", "max_concurrency", "max_parallelism", "myproxy_dn",
        "myproxy_server", "network_use", "oauth_server", "preferred_concurrency", "preferred_parallelism", "requester_pays",
        "sharing_target_endpoint", "sharing_target_root_path", "storage_type", "subscription_id", "subscription_admin_verified",
        "tlsftp_server", "user_message", "user_message_link",
    )  # fmt: skip
    return {
        "DATA_TYPE": "endpoint",
        **dict.fromkeys(nothing),
        "acl_available": False,
        "acl_editable": False,
        "acl_max_expiration_period_mins": None,
        "activated": True,
        "disable_anonymous_writes": False,
        "disable_verify": False,
        "force_encryption": False,
        "force_verify": False,
        "french_english_bilingual": False,
        "gcp_connected": None,
        "gcp_paused": None,
        "high_assurance": False,
        "in_use": False,
        "is_go_storage": False,
        "is_globus_connect": False,
        "is_share": False,
        "local_user_info_available": False,
        "mfa_required": False,
        "my_effective_roles": [],
        "non_functional": False,
        "non_functional_endpoint_display_name": None,
        "non_functional_endpoint_id": None,
        "public": False,
        "s3_owner_activated": False,
        "s3_url": None,
        "shareable": False,
    }


def server_document(node_url: str) -> dict[str, Any]:
    host, _, port = node_url.removeprefix("https://").partition(":")
    return {
        "DATA_TYPE": "server",
        "id": 1,
        "hostname": host,
        "port": int(port or 443),
        "uri": node_url,
        "scheme": "https",
        "subject": None,
        "is_connected": True,
        "is_paused": False,
        "incoming_data_port_start": None,
        "incoming_data_port_end": None,
        "outgoing_data_port_start": None,
        "outgoing_data_port_end": None,
    }


def file_document(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an ENTRY of services/dtn/PROTOCOL.md as a `file` document: its time has a space, not a `T`."""
    moment = datetime.fromisoformat(str(entry["last_modified"])).astimezone(UTC).replace(microsecond=0)
    return {
        "DATA_TYPE": "file",
        "name": entry["name"],
        "type": entry["type"],
        "size": entry["size"],
        "permissions": entry["permissions"],
        "user": entry["user"],
        "group": entry["group"],
        "last_modified": moment.isoformat(sep=" "),
        "link_target": entry["link_target"],
        "link_user": None,
        "link_group": None,
        "link_size": None,
        "link_last_modified": None,
    }


def event_document(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "DATA_TYPE": "event",
        "code": row["code"],
        "description": row["description"],
        "details": row["details"],
        "is_error": bool(row["is_error"]),
        "time": row["time"],
    }


def successful_document(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "DATA_TYPE": "successful_transfer",
        "source_path": row["source_path"],
        "destination_path": row["destination_path"],
        "size": row["size_bytes"],
        "checksum": row["checksum"],
        "checksum_algorithm": "sha256" if row["checksum"] else None,
        "dynamic": False,
    }


def skipped_document(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "DATA_TYPE": "skipped_error",
        "source_path": row["source_path"],
        "destination_path": row["destination_path"],
        "error_code": row["error_code"],
        "error_details": row["error_details"],
        "error_time": row["recorded_at"],
        "is_directory": row["source_path"].endswith("/"),
        "is_symlink": False,
        "is_delete_destination_extra": False,
        "checksum_algorithm": None,
        "external_checksum": None,
    }


def task_document(row: sqlite3.Row, *, most_active: int) -> dict[str, Any]:
    """Returns a task with all of its keys; those that end with the task are null afterwards. Beyond `most_active` a task is queued."""
    options = json.loads(row["options"])
    is_open = row["completed_at"] is None
    is_queued = row["status"] == "ACTIVE" and bool(row["is_ok"]) and row["nice_status"] == "OK" and row["n_before"] >= most_active
    nice_status = "Queued" if is_queued else row["nice_status"]
    nice_details = f"The task waits until fewer than {most_active} older ones are under way" if is_queued else row["nice_details"]
    document = {
        "DATA_TYPE": "task",
        "task_id": row["id"],
        "type": row["type"],
        "status": row["status"],
        "label": row["label"],
        "owner_id": row["owner_id"],
        "username": f"u_{row['owner_id'].replace('-', '')}",
        "command": f"API {VOLUME}",
        "request_time": row["requested_at"],
        "deadline": row["deadline"],
        "completion_time": row["completed_at"],
        "source_endpoint": f"u_{row['source_id'].replace('-', '')}#{row['source_id']}",
        "source_endpoint_id": row["source_id"],
        "source_endpoint_display_name": row["source_name"],
        "fatal_error": {"code": row["fatal_code"], "description": row["fatal_description"]} if row["fatal_code"] else None,
        "is_ok": bool(row["is_ok"]) if is_open else None,
        "is_paused": is_open and row["nice_status"] == PAUSED,
        "nice_status": nice_status if is_open else None,
        "nice_status_details": nice_details if is_open else None,
        "nice_status_short_description": nice_status if is_open else None,
        "nice_status_expires_in": -1 if is_open else None,
        "history_deleted": not is_open and datetime.fromisoformat(row["completed_at"]) <= datetime.now(UTC) - HISTORY,
        "canceled_by_admin": row["admin_side"],
        "canceled_by_admin_message": row["admin_message"],
        "effective_bytes_per_second": _rate(row),
        **{name: row[name] for name in ("files", "directories", "files_transferred", "files_skipped", "bytes_transferred")},
        **{name: row[name] for name in ("bytes_checksummed", "faults")},
        **_subtasks(row),
        "symlinks": row["symlinks"],
        "filter_rules": options.get("filter_rules") or None,
        "recursive_symlinks": options.get("recursive_symlinks", "ignore"),
        **{name: bool(options.get(name, False)) for name in ("encrypt_data", "fail_on_quota_errors", "skip_source_errors")},
    }
    if row["type"] == "TRANSFER":
        document |= _transfer_part(row, options)
    return document


def _transfer_part(row: sqlite3.Row, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "destination_endpoint": f"u_{row['destination_id'].replace('-', '')}#{row['destination_id']}",
        "destination_endpoint_id": row["destination_id"],
        "destination_endpoint_display_name": row["destination_name"],
        "sync_level": options.get("sync_level"),
        "verify_checksum": bool(options.get("verify_checksum", False)),
        "preserve_timestamp": bool(options.get("preserve_timestamp", False)),
        "delete_destination_extra": bool(options.get("delete_destination_extra", False)),
    }


def _subtasks(row: sqlite3.Row) -> dict[str, int]:
    """One subtask to expand each item and one for each file and folder found."""
    total = row["n_items"] + row["files"] + row["directories"]
    done = row["files_transferred"] + row["files_skipped"] + row["directories"] + (row["n_items"] if row["files_transferred"] else 0)
    open_ones = max(0, total - done) if row["status"] != "SUCCEEDED" else 0
    is_canceled = row["fatal_code"] == "CANCELED"
    is_failed = row["status"] == "FAILED" and not is_canceled
    retrying = open_ones if row["completed_at"] is None and not row["is_ok"] else 0
    return {
        "subtasks_total": total,
        "subtasks_succeeded": total - open_ones,
        "subtasks_pending": 0 if row["completed_at"] else open_ones - retrying,
        "subtasks_retrying": retrying,
        "subtasks_failed": open_ones if is_failed and row["fatal_code"] != "EXPIRED" else 0,
        "subtasks_expired": open_ones if row["fatal_code"] == "EXPIRED" else 0,
        "subtasks_canceled": open_ones if is_canceled else 0,
        "subtasks_skipped_errors": row["files_skipped"] if row["has_skipped_errors"] else 0,
    }


def _rate(row: sqlite3.Row) -> int:
    until = datetime.fromisoformat(row["completed_at"]) if row["completed_at"] else datetime.now(UTC)
    elapsed_s = max(1.0, (until - datetime.fromisoformat(row["requested_at"])).total_seconds())
    return int(row["bytes_transferred"] / elapsed_s)
