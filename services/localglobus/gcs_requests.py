"""Who asks a GCS Manager, and which endpoint is asked: each manager listens on a port of its own."""

from __future__ import annotations

import sqlite3

from starlette.requests import Request

from services.localglobus.auth.scopes import manage_collections
from services.localglobus.auth.tokens import Caller, authenticate
from services.localglobus.errors import ApiError
from services.localglobus.transfer import collections
from services.localglobus.transfer.collections import Endpoint
from services.localglobus.transfer.permissions import ADMIN_ROLES, person_behind, roles_on_endpoint
from services.localglobus.transfer.requests import store_of


async def endpoint_of_request(request: Request) -> Endpoint:
    """Returns the endpoint whose manager is asked."""
    return await store_of(request).read(collections.endpoint_of, request.app.state.gcs_endpoint)


async def manager(request: Request) -> tuple[Caller, Endpoint]:
    """Returns who asks with a token for this endpoint's `manage_collections`, and the endpoint. Raises `ApiError` 401 or 403."""
    endpoint = await endpoint_of_request(request)
    return await authenticate(request, scope=manage_collections(endpoint.id)), endpoint


def require_endpoint_admin(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller) -> None:
    """Raises `ApiError` 403 unless the caller administers the endpoint itself."""
    if not ADMIN_ROLES & roles_on_endpoint(db, endpoint, person_behind(caller)):
        raise ApiError("permission_denied", "You need the role administrator on this endpoint", 403)
