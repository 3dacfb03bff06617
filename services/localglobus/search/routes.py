"""The Search API under /v1: indices, roles, queries, ingest, subjects, entries and tasks.

Queries need no token: without one the caller is the public. Everything else does.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.localglobus.auth.tokens import Caller
from services.localglobus.errors import ApiError
from services.localglobus.numbers import read_whole
from services.localglobus.search import indices, ingesting, queries, tasks
from services.localglobus.transfer.requests import metered_caller, read_document, store_of
from services.localglobus.transfer.waiting import ROOM

PREFIX = "urn:globus:auth:scope:search.api.globus.org:"
ALL = f"{PREFIX}all"
TO_SEARCH, TO_INGEST = (ALL, f"{PREFIX}search"), (ALL, f"{PREFIX}ingest")
MOST_SUBJECTS = 1000


async def create_index(request: Request) -> Response:
    caller = await metered_caller(request, ALL)
    return JSONResponse(await store_of(request).write(indices.create, caller, await read_document(request)))


async def list_indices(request: Request) -> Response:
    caller = await metered_caller(request, *TO_SEARCH)
    return JSONResponse({"index_list": await store_of(request).read(indices.list_own, caller)})


async def get_index(request: Request) -> Response:
    caller = await _anyone(request)
    return JSONResponse(await store_of(request).read(indices.describe, request.path_params["index_id"], caller))


async def update_index(request: Request) -> Response:
    caller = await metered_caller(request, ALL)
    asked = await read_document(request)
    return JSONResponse(await store_of(request).write(indices.update, request.path_params["index_id"], caller, asked))


async def delete_index(request: Request) -> Response:
    caller = await metered_caller(request, ALL)
    return JSONResponse(await store_of(request).write(indices.close, request.path_params["index_id"], caller))


async def reopen_index(request: Request) -> Response:
    caller = await metered_caller(request, ALL)
    return JSONResponse(await store_of(request).write(indices.reopen, request.path_params["index_id"], caller))


async def list_roles(request: Request) -> Response:
    caller = await metered_caller(request, ALL)
    return JSONResponse({"role_list": await store_of(request).read(indices.list_roles, request.path_params["index_id"], caller)})


async def create_role(request: Request) -> Response:
    caller = await metered_caller(request, ALL)
    asked = await read_document(request)
    return JSONResponse(await store_of(request).write(indices.create_role, request.path_params["index_id"], caller, asked))


async def delete_role(request: Request) -> Response:
    caller = await metered_caller(request, ALL)
    index_id, role_id = request.path_params["index_id"], request.path_params["role_id"]
    return JSONResponse(await store_of(request).write(indices.delete_role, index_id, caller, role_id))


async def search_get(request: Request) -> Response:
    caller = await _anyone(request)
    if "q" not in request.query_params:
        raise ApiError("BadRequest.Generic", "q is required", 400)
    return await _search(request, caller, _read_parameters(request))


async def search_post(request: Request) -> Response:
    caller = await _anyone(request)
    return await _search(request, caller, await read_document(request))


async def scroll(request: Request) -> Response:
    caller = await _anyone(request)
    asked = await read_document(request)
    return JSONResponse(await store_of(request).read(queries.scroll, request.path_params["index_id"], caller, asked))


async def ingest(request: Request) -> Response:
    caller = await metered_caller(request, *TO_INGEST)
    entries = ingesting.read_ingest(await _read_to_ingest(request))
    task_id = await _submit(request, caller, "ingest", {"entries": entries})
    return JSONResponse(
        {"task_id": task_id, "acknowledged": True, "success": True, "num_documents_ingested": len(entries)}, status_code=202
    )


async def get_subject(request: Request) -> Response:
    caller = await _anyone(request)
    name = ingesting.read_subject(request.query_params.get("subject"))
    return JSONResponse(await store_of(request).read(queries.subject, request.path_params["index_id"], caller, name, None))


async def delete_subject(request: Request) -> Response:
    caller = await metered_caller(request, *TO_INGEST)
    name = ingesting.read_subject(request.query_params.get("subject"))
    return _accepted(await _submit(request, caller, "delete-by-subject", {"subjects": [name]}))


async def delete_subjects(request: Request) -> Response:
    caller = await metered_caller(request, *TO_INGEST)
    names = (await read_document(request)).get("subjects")
    if not isinstance(names, list) or not 0 < len(names) <= MOST_SUBJECTS:
        raise ApiError("BadRequest.Generic", f"subjects must be a list of 1 to {MOST_SUBJECTS}", 400)
    found = [ingesting.read_subject(each) for each in names]
    return _accepted(await _submit(request, caller, "delete-by-subject", {"subjects": found}))


async def delete_by_query(request: Request) -> Response:
    """The query is read now, so that a wrong one is refused, and asked when its task's turn comes."""
    caller = await metered_caller(request, *TO_INGEST)
    asked = {name: value for name, value in (await read_document(request)).items() if name in ("q", "advanced", "filters")}
    queries.read(asked)
    return _accepted(await _submit(request, caller, "delete-by-query", asked))


async def get_entry(request: Request) -> Response:
    caller = await _anyone(request)
    name, entry_id = _entry_of(request)
    return JSONResponse(await store_of(request).read(queries.subject, request.path_params["index_id"], caller, name, entry_id))


async def put_entry(request: Request) -> Response:
    """One entry, made or replaced, as a task like any other."""
    caller = await metered_caller(request, *TO_INGEST)
    entry = ingesting.read_entry(await _read_to_ingest(request))
    return _accepted(await _submit(request, caller, "ingest", {"entries": [entry]}))


async def delete_entry(request: Request) -> Response:
    caller = await metered_caller(request, *TO_INGEST)
    name, entry_id = _entry_of(request)
    return _accepted(await _submit(request, caller, "delete-by-entry-id", {"subject": name, "entry_id": entry_id}))


async def get_task(request: Request) -> Response:
    caller = await metered_caller(request, *TO_INGEST)
    return JSONResponse(await store_of(request).read(tasks.get, request.path_params["task_id"], caller))


async def list_tasks(request: Request) -> Response:
    caller = await metered_caller(request, *TO_INGEST)
    index_id = request.path_params["index_id"]
    return JSONResponse({"index_id": index_id, "tasks": await store_of(request).read(tasks.list_tasks, index_id, caller)})


async def _anyone(request: Request) -> Caller | None:
    return await metered_caller(request, *TO_SEARCH) if "authorization" in request.headers else None


async def _search(request: Request, caller: Caller | None, asked: dict[str, Any]) -> Response:
    query = queries.read(asked)
    return JSONResponse(await store_of(request).read(queries.search, request.path_params["index_id"], caller, query))


async def _read_to_ingest(request: Request) -> dict[str, Any]:
    if len(await request.body()) > ingesting.MAX_DOCUMENT_BYTES:
        raise ApiError("BadRequest.Generic", f"An ingest document has at most {ingesting.MAX_DOCUMENT_BYTES} bytes", 413)
    return await read_document(request)


def _read_parameters(request: Request) -> dict[str, Any]:
    """The query document that the parameters of a GET stand for."""
    asked: dict[str, Any] = {"q": request.query_params["q"]}
    for name in ("limit", "offset"):
        text = request.query_params.get(name)
        if text is not None:
            number = read_whole(text)
            asked[name] = text if number is None else number
    for name in ("advanced", "bypass_visible_to"):
        if name in request.query_params:
            text = request.query_params[name]
            asked[name] = {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    if "filter_principal_sets" in request.query_params:
        asked["filter_principal_sets"] = request.query_params["filter_principal_sets"].split(",")
    return asked


def _entry_of(request: Request) -> tuple[str, str]:
    name = ingesting.read_subject(request.query_params.get("subject"))
    return name, ingesting.read_entry_id(request.query_params.get("entry_id"))


async def _submit(request: Request, caller: Caller, task_type: str, document: dict[str, Any]) -> str:
    task_id = await store_of(request).write(tasks.create, request.path_params["index_id"], caller, task_type, document)
    ROOM.wake("search")
    return task_id


def _accepted(task_id: str) -> Response:
    return JSONResponse({"task_id": task_id}, status_code=202)


INDEX = "/v1/index/{index_id}"
routes = [
    Route("/v1/index", create_index, methods=["POST"]),
    Route("/v1/index_list", list_indices, methods=["GET"]),
    Route(INDEX, get_index, methods=["GET"]),
    Route(INDEX, update_index, methods=["PATCH"]),
    Route(INDEX, delete_index, methods=["DELETE"]),
    Route(f"{INDEX}/reopen", reopen_index, methods=["POST"]),
    Route(f"{INDEX}/role_list", list_roles, methods=["GET"]),
    Route(f"{INDEX}/role", create_role, methods=["POST"]),
    Route(f"{INDEX}/role/{{role_id}}", delete_role, methods=["DELETE"]),
    Route(f"{INDEX}/search", search_get, methods=["GET"]),
    Route(f"{INDEX}/search", search_post, methods=["POST"]),
    Route(f"{INDEX}/scroll", scroll, methods=["POST"]),
    Route(f"{INDEX}/ingest", ingest, methods=["POST"]),
    Route(f"{INDEX}/subject", get_subject, methods=["GET"]),
    Route(f"{INDEX}/subject", delete_subject, methods=["DELETE"]),
    Route(f"{INDEX}/batch_delete_by_subject", delete_subjects, methods=["POST"]),
    Route(f"{INDEX}/delete_by_query", delete_by_query, methods=["POST"]),
    Route(f"{INDEX}/entry", get_entry, methods=["GET"]),
    Route(f"{INDEX}/entry", put_entry, methods=["POST", "PUT"]),
    Route(f"{INDEX}/entry", delete_entry, methods=["DELETE"]),
    Route("/v1/task/{task_id}", get_task, methods=["GET"]),
    Route("/v1/task_list/{index_id}", list_tasks, methods=["GET"]),
]
