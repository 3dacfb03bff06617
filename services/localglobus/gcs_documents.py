"""The wire shapes of the GCS Manager API (https://docs.globus.org/globus-connect-server/v5/api/)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from services.localglobus.transfer import collection_policies
from services.localglobus.transfer.assurance import Assurance
from services.localglobus.transfer.collections import Collection, Endpoint
from services.localglobus.transfer.connectors import Connector
from services.localglobus.transfer.gateway_accounts import Accounts


def envelope(
    data: Sequence[dict[str, Any]], *, message: str = "Operation successful", status: int = 200, data_type: str = "result#1.0.0"
) -> dict[str, Any]:
    """Returns the `result` around every answer."""
    return {
        "DATA_TYPE": data_type,
        "code": "success",
        "detail": "success",
        "http_response_code": status,
        "message": message,
        "has_next_page": False,
        "marker": "",
        "data": list(data),
    }


def info_document(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "DATA_TYPE": "info#1.0.0",
        "api_version": "1.29.0",
        "client_id": endpoint.id,
        "domain_name": _host(endpoint.gcs_address),
        "endpoint_id": endpoint.id,
        "manager_version": "5.4.76",
    }


def endpoint_document(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "DATA_TYPE": "endpoint#1.2.0",
        "id": endpoint.id,
        "display_name": endpoint.display_name,
        "gcs_manager_url": endpoint.gcs_address,
        "organization": endpoint.organization,
        "department": None,
        "contact_email": None,
        "contact_info": None,
        "description": None,
        "info_link": None,
        **{name: value for name, value in endpoint.texts.items() if value is not None},
        "keywords": _keywords(endpoint.texts),
        "allow_udt": False,
        "gridftp_control_channel_port": 443,
        "network_use": "normal",
        "public": True,
        "subscription_id": None,
    }


def collection_document(collection: Collection, mapped: Collection, *, with_private: bool = False) -> dict[str, Any]:
    """Returns a collection, with its private policies or null for them; `collection_base_path` of a guest is relative to its mapped one."""
    relative = "/" + collection.base_path.removeprefix(mapped.base_path) if not collection.is_mapped else collection.base_path
    address = collection.node_url.removeprefix("https://")
    return {
        "DATA_TYPE": "collection#1.10.0",
        "id": collection.id,
        "collection_type": collection.kind,
        "display_name": collection.display_name,
        "description": collection.description,
        "organization": collection.organization,
        "department": None,
        "contact_email": None,
        "contact_info": None,
        "info_link": None,
        "user_message": None,
        "user_message_link": None,
        "mapped_collection_id": collection.mapped_id,
        "storage_gateway_id": collection.gateway_id,
        "connector_id": collection.connector.id,
        "user_credential_id": collection.user_credential_id,
        "identity_id": collection.owner_id,
        "collection_base_path": relative,
        "root_path": collection.base_path,
        "default_directory": collection.default_folder,
        "domain_name": address,
        "https_url": collection.https_server if collection.serves_https else None,
        "manager_url": collection.gcs_address,
        "tlsftp_url": f"tlsftp://{address}",
        "public": collection.is_public,
        "high_assurance": collection.is_high_assurance,
        "require_high_assurance": collection.is_high_assurance,
        "require_mfa": collection.requires_mfa,
        "authentication_assurance_timeout": collection.timeout_mins,
        "authentication_timeout_mins": collection.timeout_mins,
        "disable_anonymous_writes": not collection.has_anonymous_writes,
        "force_encryption": collection.forces_encryption,
        "engine": collection.engine,  # beyond the real one: which of a node's two engines carries the bytes
        "created_at": collection.created_at,
        "last_access": None,
        **collection_policies.document(collection, with_private=with_private),
        **{name: value for name, value in collection.texts.items() if value is not None},
        "keywords": _keywords(collection.texts),
    }


def _keywords(texts: Mapping[str, Any]) -> list[str]:
    """A list here, one text at Transfer."""
    found = texts.get("keywords") or []
    return found if isinstance(found, list) else [word.strip() for word in str(found).split(",")]


def role_document(row: sqlite3.Row, endpoint: Endpoint) -> dict[str, Any]:
    return {
        "DATA_TYPE": "role#1.0.0",
        "id": row["id"],
        "collection": None if row["subject_id"] == endpoint.id else row["subject_id"],
        "principal": f"urn:globus:{'auth:identity' if row['principal_type'] == 'identity' else 'groups:id'}:{row['principal']}",
        "role": row["role"],
    }


def credential_document(row: sqlite3.Row) -> dict[str, Any]:
    connector = Connector.at(row["s3_endpoint"])
    return {
        "DATA_TYPE": "user_credential#1.0.0",
        "id": row["id"],
        "connector_id": connector.id,
        "display_name": row["display_name"],
        "identity_id": row["identity_id"],
        "invalid": False,
        "policies": {**connector.credential_policies(), **json.loads(row["policies"])},
        "provisioned": False,
        "storage_gateway_id": row["gateway_id"],
        "username": row["username"],
    }


def gateway_document(row: sqlite3.Row, assurance: Assurance, connector: Connector, accounts: Accounts) -> dict[str, Any]:
    return {
        "DATA_TYPE": "storage_gateway#1.0.0",
        "id": row["id"],
        "display_name": row["display_name"],
        "connector_id": connector.id,
        **assurance.document(),
        "allowed_domains": [*assurance.domains],
        "mapping": None,
        "policies": connector.policies(),
        "restrict_paths": None,
        "users_allow": accounts.allowed,
        "users_deny": accounts.denied,
    }


def _host(address: str) -> str:
    return address.removeprefix("https://").partition("/")[0]
