"""The HTTP edge: tokens in the Authorization header only, JSON in and out, errors as problem+json (RFC 9457).

POST   /v1/graphs            202, Location
GET    /v1/graphs/<id>       state, progress, results, failures
DELETE /v1/graphs/<id>       202: the rule and the folder go
POST   /v1/inspections       202, Location
GET    /v1/inspections/<id>  ?after=<index>: files inspected after that one
DELETE /v1/inspections/<id>  204
GET    /v1/health, /livez    no token
"""

import asyncio
import contextlib
import json
import logging
import sqlite3
import uuid
from collections.abc import AsyncIterator
from typing import Any

from kombu.exceptions import OperationalError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from services.graph import asking, graphs, inspections
from services.graph.authorizing import Caller
from services.graph.errors import ConsentNeededError, GraphServiceError, InvalidRequestError
from services.graph.jobs import Job
from services.graph.service import Service

SWEEP_S = 2.0
MOST_BODY_BYTES = 2 * 2**20

log = logging.getLogger(__name__)


def make_app(service: Service) -> Starlette:
    """The application, with the sweep of due jobs beside it."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep_forever(service))
        yield
        sweeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweeping

    app = Starlette(
        routes=[
            Route("/v1/graphs", request_graph, methods=["POST"]),
            Route("/v1/graphs/{job_id:uuid}", show_graph, methods=["GET"]),
            Route("/v1/graphs/{job_id:uuid}", remove_graph, methods=["DELETE"]),
            Route("/v1/inspections", request_inspection, methods=["POST"]),
            Route("/v1/inspections/{job_id:uuid}", show_inspection, methods=["GET"]),
            Route("/v1/inspections/{job_id:uuid}", remove_inspection, methods=["DELETE"]),
            Route("/v1/health", show_health, methods=["GET"]),
            Route("/livez", show_life, methods=["GET"]),
        ],
        exception_handlers={GraphServiceError: _tell_problem, HTTPException: _tell_http_problem, Exception: _tell_failure},
        lifespan=lifespan,
    )
    app.state.service = service
    return app


async def _sweep_forever(service: Service) -> None:
    while True:
        try:
            await run_in_threadpool(service.sweep)
        except Exception:  # the sweep must go on
            log.exception("the sweep failed")
        await asyncio.sleep(SWEEP_S)


async def _admit(request: Request) -> tuple[Service, Caller]:
    service: Service = request.app.state.service
    return service, await run_in_threadpool(service.gate.admit, request.headers.get("Authorization"))


async def _read_json(request: Request) -> Any:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BODY_BYTES:
            raise InvalidRequestError("The request is too large.")
    try:
        return json.loads(body)
    except ValueError as error:
        raise InvalidRequestError("The body is not JSON.") from error


async def request_graph(request: Request) -> Response:
    """Ask for graphs of one to four datasets."""
    service, caller = await _admit(request)
    asked = asking.read_graph_request(await _read_json(request))
    job, is_old = await run_in_threadpool(graphs.request_graph, service, caller, asked)
    location = {"Location": f"/v1/graphs/{job.id}"}
    return JSONResponse(_graph_document(service, job) | {"cached": is_old}, status_code=202, headers=location)


async def show_graph(request: Request) -> Response:
    """How far a graph is, and what it found."""
    service, caller = await _admit(request)
    job = await run_in_threadpool(graphs.find_job, service, caller, str(request.path_params["job_id"]), kind="graph")
    return JSONResponse(_graph_document(service, job), headers={"Cache-Control": "no-store"})


async def remove_graph(request: Request) -> Response:
    """Remove what a graph left behind."""
    service, caller = await _admit(request)
    job = await run_in_threadpool(graphs.find_job, service, caller, str(request.path_params["job_id"]), kind="graph")
    job = await run_in_threadpool(graphs.request_clean_up, service, job)
    return JSONResponse(_graph_document(service, job), status_code=202)


def _graph_document(service: Service, job: Job) -> dict[str, Any]:
    is_there = job.status in {"done", "partial"}
    return {
        "id": job.id,
        "status": job.status,
        "progress": {"done": job.done, "total": job.total},
        "results": job.results if is_there else [],
        "failures": job.failures,
        "collection_id": service.settings.results_collection,
        "path": job.folder if is_there else None,
        "folder_url": service.globus.folder_url(job.folder) if is_there else None,
    }


async def request_inspection(request: Request) -> Response:
    """Ask for digests and headers of files."""
    service, caller = await _admit(request)
    asked = asking.read_inspection_request(await _read_json(request))
    job = await run_in_threadpool(inspections.request_inspection, service, caller, asked)
    answer = {"id": job.id, "status": job.status, "done": 0, "total": job.total}
    return JSONResponse(answer, status_code=202, headers={"Location": f"/v1/inspections/{job.id}"})


async def show_inspection(request: Request) -> Response:
    """How far an inspection is, and a page of what it found: `next` is the `after` of the following page."""
    service, caller = await _admit(request)
    after = request.query_params.get("after", "0")
    if not after.isdigit():
        raise InvalidRequestError(fields={"after": ["Give the index of the last file you have."]})
    job = await run_in_threadpool(graphs.find_job, service, caller, str(request.path_params["job_id"]), kind="inspection")
    files = await run_in_threadpool(service.store.inspected, job, after=int(after), limit=inspections.PAGE)
    answer = {"id": job.id, "status": job.status, "done": job.done, "total": job.total, "files": files, "failures": job.failures}
    return JSONResponse(answer | {"next": files[-1]["index"] if files else int(after)}, headers={"Cache-Control": "no-store"})


async def remove_inspection(request: Request) -> Response:
    """Forget an inspection."""
    service, caller = await _admit(request)
    job = await run_in_threadpool(graphs.find_job, service, caller, str(request.path_params["job_id"]), kind="inspection")
    await run_in_threadpool(service.store.delete, job)
    return Response(status_code=204)


async def show_health(request: Request) -> Response:
    """Whether the job store and the broker answer."""
    service: Service = request.app.state.service
    found: dict[str, Any] = {}
    try:
        found["jobs"] = await run_in_threadpool(service.store.counts)
    except sqlite3.Error:
        found["jobs"] = None
    found["broker"] = await run_in_threadpool(_has_broker, service)
    is_well = found["jobs"] is not None and found["broker"]
    return JSONResponse({"status": "ok" if is_well else "degraded", **found}, status_code=200 if is_well else 503)


def _has_broker(service: Service) -> bool:
    try:
        with service.celery.connection_for_write() as connection:
            connection.ensure_connection(max_retries=0, timeout=2)
    except OperationalError:
        return False
    return True


async def show_life(_: Request) -> Response:
    """Say that the process answers."""
    return PlainTextResponse("ok")


def _problem(*, status: int, code: str, detail: str, **more: Any) -> JSONResponse:
    reference = uuid.uuid4().hex[:12]
    log.info("answered %s %s, reference %s", status, code, reference)
    body = {
        "type": "about:blank",
        "title": code.replace("-", " "),
        "status": status,
        "code": code,
        "detail": detail,
        "reference": reference,
    }
    return JSONResponse(body | more, status_code=status, media_type="application/problem+json")


async def _tell_problem(_: Request, error: Exception) -> Response:
    if not isinstance(error, GraphServiceError):
        raise error
    more: dict[str, Any] = {"fields": error.fields} if error.fields else {}
    if isinstance(error, ConsentNeededError):
        more["required_scopes"] = error.required_scopes
    answer = _problem(status=error.http_status, code=error.code, detail=error.detail, **more)
    if error.http_status == 401:
        answer.headers["WWW-Authenticate"] = f'Bearer error="invalid_token", error_description="{error.detail}"'
    elif error.code == "insufficient-scope":
        answer.headers["WWW-Authenticate"] = 'Bearer error="insufficient_scope"'
    elif error.http_status == 503:
        answer.headers["Retry-After"] = "5"
    return answer


async def _tell_http_problem(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _problem(
        status=status, code={404: "not-found", 405: "method-not-allowed"}.get(status, "invalid"), detail="There is nothing here."
    )


async def _tell_failure(_: Request, error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return _problem(status=500, code="internal-error", detail=GraphServiceError.message)
