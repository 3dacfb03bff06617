"""What a storage gateway stands on: the folder of its node (POSIX), or buckets of an S3 server that its node has an account for.

The gateway names server and buckets; keys are the node's alone and never come here. A collection on an S3 gateway begins with its bucket:
`collection_base_path` is `/bucket/` or a folder of it. (The real one also shows all buckets at `/`.)
Documents: https://docs.globus.org/globus-connect-server/v5/api/schemas/S3StoragePolicies_1_0_0_schema/
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from services.localglobus.errors import ApiError

POSIX = "145812c8-decc-41f1-83cf-bb2a85a2a70b"  # the connectors' published ids
S3 = "7643e831-5f6c-4b47-a07f-8ee90f401d23"
AMAZON = "https://s3.amazonaws.com"
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class Connector:
    id: str = POSIX
    endpoint: str | None = None
    buckets: tuple[str, ...] = ()

    @classmethod
    def at(cls, endpoint: str | None) -> Connector:
        """The connector of a collection: S3 where its gateway names a server."""
        return cls() if endpoint is None else cls(S3, endpoint)

    def policies(self) -> dict[str, Any]:
        if self.id == POSIX:
            return {"DATA_TYPE": "posix_storage_policies#1.0.0", "groups_allow": None, "groups_deny": None}
        return {
            "DATA_TYPE": "s3_storage_policies#1.0.0",
            "s3_endpoint": self.endpoint,
            "s3_buckets": [*self.buckets],
            "s3_user_credential_required": False,
        }

    @property
    def credential_kind(self) -> str:
        """How the DATA_TYPE of a user credential's policies begins."""
        return f"{'posix' if self.id == POSIX else 's3'}_user_credential_policies#"

    def credential_policies(self) -> dict[str, Any]:
        return {"DATA_TYPE": f"{self.credential_kind}1.0.0"}

    def for_node(self) -> dict[str, Any]:
        """What a node is told of a collection's storage (services/dtn/PROTOCOL.md, section 2)."""
        if self.id == POSIX:
            return {"connector": "posix"}
        return {"connector": "s3", "endpoint": None if self.endpoint == AMAZON else self.endpoint}

    def require_base(self, base_path: str) -> None:
        """Raises `ApiError` 400 for a base path of a mapped collection that leads into none of the gateway's buckets."""
        if self.id == S3 and base_path.strip("/").partition("/")[0] not in self.buckets:
            raise ApiError("bad_request", f"collection_base_path begins with one of the buckets {', '.join(self.buckets)}", 400)


def of_gateway(db: sqlite3.Connection, gateway_id: str) -> Connector:
    row = db.execute("SELECT * FROM gateway_bucket WHERE gateway_id = ?", (gateway_id,)).fetchone()
    return Connector() if row is None else Connector(S3, row["endpoint"], tuple(json.loads(row["buckets"])))


def keep(db: sqlite3.Connection, gateway_id: str, asked: Mapping[str, Any], *, is_new: bool) -> None:
    """Keeps what a gateway document says of S3. Raises `ApiError` 400; the connector is for a new gateway to choose."""
    held = of_gateway(db, gateway_id)
    connector_id = asked.get("connector_id", held.id)
    if connector_id not in (POSIX, S3) or (connector_id != held.id and not is_new):
        raise ApiError("bad_request", "A storage gateway is made of the POSIX or the S3 connector, and stays so", 400)
    if connector_id == POSIX or (not is_new and "policies" not in asked):
        return
    policies = asked.get("policies")
    if not isinstance(policies, Mapping) or policies.get("s3_user_credential_required") is True:
        raise ApiError("bad_request", "policies are s3_storage_policies; keys of S3 are the node's, not a user's", 400)
    endpoint, buckets = policies.get("s3_endpoint", held.endpoint or AMAZON), policies.get("s3_buckets", [*held.buckets])
    if not isinstance(endpoint, str) or urlsplit(endpoint).scheme not in ("http", "https") or not urlsplit(endpoint).hostname:
        raise ApiError("bad_request", "s3_endpoint is an http or https address", 400)
    if not isinstance(buckets, list) or not buckets or not all(isinstance(one, str) and BUCKET.fullmatch(one) for one in buckets):
        raise ApiError("bad_request", "s3_buckets are names of buckets", 400)
    db.execute("INSERT OR REPLACE INTO gateway_bucket VALUES (?, ?, ?)", (gateway_id, endpoint.rstrip("/"), json.dumps(buckets)))
