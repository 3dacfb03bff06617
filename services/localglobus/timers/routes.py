"""The Timers API: `/v2/timer` makes timers, `/jobs/` handles them (https://docs.globus.org/api/timers/)."""

from __future__ import annotations

import sqlite3
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.localglobus.auth.tokens import Caller
from services.localglobus.settings import Settings
from services.localglobus.timers import timers
from services.localglobus.timers.authority import TIMER
from services.localglobus.timers.documents import timer_document
from services.localglobus.timers.schedules import invalid
from services.localglobus.transfer.requests import metered_caller, most_active, read_document, store_of


async def create_timer(request: Request) -> Response:
    caller = await metered_caller(request, TIMER)
    asked = (await read_document(request)).get("timer")
    row = await store_of(request).write(timers.create, caller, asked, least_interval_s=_least_interval_s(request))
    return JSONResponse({"timer": timer_document(row)}, status_code=201)


async def list_jobs(request: Request) -> Response:
    caller = await metered_caller(request, TIMER)
    is_newest_first = request.query_params.get("order", "").lower().endswith("desc")
    found = await store_of(request).read(
        timers.list_own, caller.identity_id, is_newest_first=is_newest_first, most_active=most_active(request)
    )
    return JSONResponse({"jobs": found})


async def create_job(request: Request) -> Response:
    caller = await metered_caller(request, TIMER)
    asked = await read_document(request)
    row = await store_of(request).write(timers.create_job, caller, asked, least_interval_s=_least_interval_s(request))
    return JSONResponse(await store_of(request).read(timers.describe, row, most_active=most_active(request)), status_code=201)


async def get_job(request: Request) -> Response:
    caller = await metered_caller(request, TIMER)
    return JSONResponse(await store_of(request).read(_describe, request.path_params["timer_id"], caller, most_active(request)))


async def update_job(request: Request) -> Response:
    caller = await metered_caller(request, TIMER)
    asked = await read_document(request)
    await store_of(request).write(timers.rename, request.path_params["timer_id"], caller.identity_id, asked)
    return JSONResponse(await store_of(request).read(_describe, request.path_params["timer_id"], caller, most_active(request)))


async def delete_job(request: Request) -> Response:
    caller = await metered_caller(request, TIMER)
    timer_id = request.path_params["timer_id"]
    return JSONResponse(await store_of(request).write(timers.delete, timer_id, caller.identity_id, most_active=most_active(request)))


async def pause_job(request: Request) -> Response:
    caller = await metered_caller(request, TIMER)
    timer_id = request.path_params["timer_id"]
    await store_of(request).write(timers.pause, timer_id, caller.identity_id)
    return JSONResponse({"message": f"Successfully paused job {timer_id}."})


async def resume_job(request: Request) -> Response:
    caller = await metered_caller(request, TIMER)
    timer_id = request.path_params["timer_id"]
    asked = await read_document(request) if await request.body() else {}
    updates = asked.get("update_credentials")
    if updates is not None and not isinstance(updates, bool):
        raise invalid("update_credentials", message="update_credentials is true or false")
    await store_of(request).write(timers.resume, timer_id, caller, updates_credentials=updates, least_interval_s=_least_interval_s(request))
    return JSONResponse({"message": f"Successfully resumed job {timer_id}."})


def _describe(db: sqlite3.Connection, timer_id: str, caller: Caller, most: int) -> dict[str, Any]:
    return timers.describe(db, timers.get(db, timer_id, caller.identity_id), most_active=most)


def _least_interval_s(request: Request) -> float:
    settings: Settings = request.app.state.settings
    return settings.least_timer_interval_s


JOB = "/jobs/{timer_id}"
routes = [
    Route("/v2/timer", create_timer, methods=["POST"]),
    Route("/jobs/", list_jobs, methods=["GET"]),
    Route("/jobs/", create_job, methods=["POST"]),
    Route(JOB, get_job, methods=["GET"]),
    Route(JOB, update_job, methods=["PATCH"]),
    Route(JOB, delete_job, methods=["DELETE"]),
    Route(f"{JOB}/pause", pause_job, methods=["POST"]),
    Route(f"{JOB}/resume", resume_job, methods=["POST"]),
]
