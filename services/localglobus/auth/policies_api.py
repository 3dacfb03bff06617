"""The HTTP side of authentication policies: for tokens with the scope `manage_projects`, each its own person's."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.localglobus.auth import policies, tokens
from services.localglobus.auth.tokens import Caller
from services.localglobus.bodies import read_object
from services.localglobus.errors import ApiError
from services.localglobus.store import Store


async def _caller(request: Request) -> tuple[Caller, Store]:
    return await tokens.authenticate(request, scope=policies.MANAGE_PROJECTS), request.app.state.store


async def _document(request: Request) -> dict[str, Any]:
    found = (await read_object(request, code="BAD_REQUEST")).get("policy")
    if not isinstance(found, dict):
        raise ApiError("BAD_REQUEST", "a document with the member policy is needed", 400)
    return found


async def list_policies(request: Request) -> Response:
    caller, store = await _caller(request)
    found = await store.read(policies.list_owned, caller.identity_ids)
    return JSONResponse({"policies": [policy.describe() for policy in found]})


async def create_policy(request: Request) -> Response:
    caller, store = await _caller(request)
    made = await store.write(policies.create, await _document(request), owner_id=caller.identity_id)
    return JSONResponse({"policy": made.describe()}, status_code=201)


async def get_policy(request: Request) -> Response:
    caller, store = await _caller(request)
    found = await store.read(policies.get_owned, request.path_params["policy_id"], caller.identity_ids)
    return JSONResponse({"policy": found.describe()})


async def update_policy(request: Request) -> Response:
    caller, store = await _caller(request)
    asked = await _document(request)
    changed = await store.write(policies.update, request.path_params["policy_id"], asked, owners=caller.identity_ids)
    return JSONResponse({"policy": changed.describe()})


async def delete_policy(request: Request) -> Response:
    caller, store = await _caller(request)
    gone = await store.write(policies.delete, request.path_params["policy_id"], owners=caller.identity_ids)
    return JSONResponse({"policy": gone.describe()})


ONE = "/v2/api/policies/{policy_id}"
routes: list[Route] = [
    Route("/v2/api/policies", list_policies, methods=["GET"]),
    Route("/v2/api/policies", create_policy, methods=["POST"]),
    Route(ONE, get_policy, methods=["GET"]),
    Route(ONE, update_policy, methods=["PUT"]),
    Route(ONE, delete_policy, methods=["DELETE"]),
]
