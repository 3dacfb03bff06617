"""Who asks a GCS Manager, and which endpoint is asked: each manager listens on a port of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from services.localglobus.auth.scopes import manage_collections
from services.localglobus.auth.tokens import Caller, authenticate
from services.localglobus.errors import ApiError
from services.localglobus.gcs_documents import envelope
from services.localglobus.numbers import read_whole
from services.localglobus.transfer import collections
from services.localglobus.transfer.collections import Endpoint
from services.localglobus.transfer.permissions import ADMIN_ROLES, person_behind, roles_on_endpoint
from services.localglobus.transfer.requests import store_of

MOST_LISTED = 1000


async def endpoint_of_request(request: Request) -> Endpoint:
    """Returns the endpoint whose manager is asked."""
    return await store_of(request).read(collections.endpoint_of, request.app.state.gcs_endpoint)


async def manager(request: Request) -> tuple[Caller, Endpoint]:
    """Returns who asks with a token for this endpoint's `manage_collections`, and the endpoint. Raises `ApiError` 401 or 403."""
    endpoint = await endpoint_of_request(request)
    return await authenticate(request, scope=manage_collections(endpoint.id)), endpoint


def answer_list(request: Request, found: Sequence[dict[str, Any]]) -> JSONResponse:
    """Answers with a page of documents that have an id, in their order: `page_size` of them after the one that `marker` names.

    Raises `ApiError` 400 for a marker that no former page gave, or whose document is gone.
    """
    size, marker = read_whole(request.query_params.get("page_size", str(MOST_LISTED))), request.query_params.get("marker")
    if size is None or not 1 <= size <= MOST_LISTED:
        raise ApiError("bad_request", f"page_size must be a whole number from 1 to {MOST_LISTED}", 400)
    begin = 0
    if marker:
        begin = next((number for number, each in enumerate(found, start=1) if each["id"] == marker), -1)
        if begin < 0:
            raise ApiError("bad_request", "marker must be one that a former page gave", 400)
    page = found[begin : begin + size]
    has_next = begin + len(page) < len(found)
    return JSONResponse({**envelope(page), "has_next_page": has_next, "marker": page[-1]["id"] if has_next else ""})


def require_endpoint_admin(db: sqlite3.Connection, endpoint: Endpoint, caller: Caller) -> None:
    """Raises `ApiError` 403 unless the caller administers the endpoint itself."""
    if not ADMIN_ROLES & roles_on_endpoint(db, endpoint, person_behind(caller)):
        raise ApiError("permission_denied", "You need the role administrator on this endpoint", 403)
