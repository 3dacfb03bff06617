"""Principals as Search writes them: `public`, `all_authenticated_users`, and URNs of identities and groups.

https://docs.globus.org/api/search/overview/#principal_urns
"""

from __future__ import annotations

import re
from typing import Any

from services.localglobus.auth.tokens import Caller
from services.localglobus.errors import ApiError

PUBLIC, SIGNED_IN = "public", "all_authenticated_users"
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
URN = re.compile(rf"urn:globus:(auth:identity|groups:id):({UUID})")
KINDS = {"auth:identity": "identity", "groups:id": "group"}


def of_caller(caller: Caller | None) -> list[str]:
    """Returns every principal that the caller is: her whole identity set and her groups; without a token the public alone."""
    if caller is None:
        return [PUBLIC]
    own = [f"urn:globus:auth:identity:{each}" for each in sorted(caller.identity_ids)]
    return [PUBLIC, SIGNED_IN, *own, *(f"urn:globus:groups:id:{each}" for each in sorted(caller.group_ids))]


def read(value: object) -> tuple[str, str]:
    """Returns (kind, URN) of an identity or a group. Raises `ApiError` 400 for anything else."""
    match = URN.fullmatch(value.lower()) if isinstance(value, str) else None
    if match is None:
        raise ApiError("BadRequest.Generic", "principal must be the URN of an identity or a group", 400)
    return KINDS[match[1]], match[0]


def read_visible_to(value: Any) -> list[str]:
    """Returns who may see an entry. Raises `ApiError` 400 unless it is a list of principals that names somebody."""
    if not isinstance(value, list) or not value:
        raise ApiError("BadRequest.Generic", "visible_to must be a list of at least one principal", 400)
    return [each if each in (PUBLIC, SIGNED_IN) else read(each)[1] for each in value]


def read_sets(value: Any) -> dict[str, list[str]]:
    """Returns the named sets of principals of an entry. Raises `ApiError` 400."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(each, list) for each in value.values()):
        raise ApiError("BadRequest.Generic", "principal_sets must hold a list of principals for each name", 400)
    return {name: [read(each)[1] for each in found] for name, found in value.items()}
