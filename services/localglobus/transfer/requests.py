"""What the edges of the Transfer API share: who calls, what the body says, and one answer in JSON."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from services.localglobus.auth.scopes import TRANSFER_ALL
from services.localglobus.auth.tokens import Caller, authenticate
from services.localglobus.bodies import read_object
from services.localglobus.errors import ApiError
from services.localglobus.settings import Settings
from services.localglobus.store import Store
from services.localglobus.transfer.documents import result
from services.localglobus.transfer.node_calls import NodeCalls


async def metered_caller(request: Request, *scope: str) -> Caller:
    """Returns who calls with a token for one of the scopes. Raises `ApiError` 401, 403, or 429 for who calls too often."""
    caller = await authenticate(request, scope=scope)
    request.app.state.meter.count(caller.identity_id)
    return caller


async def transfer_caller(request: Request) -> Caller:
    """Returns who calls with a token for all of Transfer. Raises `ApiError` as `metered_caller`."""
    return await metered_caller(request, TRANSFER_ALL)


def most_active(request: Request) -> int:
    """Returns how many tasks an owner has under way at once."""
    settings: Settings = request.app.state.settings
    return settings.active_tasks


def store_of(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def nodes_of(request: Request) -> NodeCalls:
    """Returns the program's one gateway to the nodes, opened at its first use."""
    if not hasattr(request.app.state, "node_calls"):
        request.app.state.node_calls = NodeCalls(request.app.state.settings.data)
    calls: NodeCalls = request.app.state.node_calls
    return calls


async def read_document(request: Request, *, data_type: str | None = None) -> dict[str, Any]:
    """Returns the JSON object of the body. Raises `ApiError` 400 for anything else, and for another DATA_TYPE than the one given."""
    document = await read_object(request)
    if data_type is not None and document.get("DATA_TYPE", data_type) != data_type:
        raise ApiError("BadRequest", f"DATA_TYPE must be {data_type}", 400)
    return document


def done(request: Request, code: str, message: str, *, status: int = 200, data_type: str = "result", **more: Any) -> JSONResponse:
    """Answers a successful act."""
    return JSONResponse(result(code, message, resource=request.url.path, data_type=data_type, **more), status_code=status)
