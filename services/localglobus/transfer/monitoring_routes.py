"""The Transfer API under /v0.10/endpoint_manager: `monitoring.py` over HTTP."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.localglobus.auth.tokens import Caller
from services.localglobus.errors import ApiError
from services.localglobus.numbers import read_whole
from services.localglobus.transfer import access, collections, listing, monitoring, operations, pausing, searching, task_routes, tasks
from services.localglobus.transfer.documents import event_document, skipped_document, successful_document, task_document
from services.localglobus.transfer.permissions import Person, person_behind, require_role, roles_of
from services.localglobus.transfer.requests import done, most_active, read_document, store_of, transfer_caller
from services.localglobus.transfer.seeing import describe_collection, describe_endpoint
from services.localglobus.transfer.times import parse
from services.localglobus.transfer.waiting import ROOM

PAGE = 100
MOST_ROWS = 1000


async def monitored_endpoints(request: Request) -> Response:
    _, person = await _who(request)
    found = await store_of(request).read(_monitored, person)
    return JSONResponse({"DATA_TYPE": "monitored_endpoints", "DATA": found})


async def hosted_endpoints(request: Request) -> Response:
    _, person = await _who(request)
    found = await store_of(request).read(_hosted, request.path_params["endpoint_id"], person)
    return JSONResponse({"DATA_TYPE": "hosted_endpoint_list", "DATA": found})


async def one_endpoint(request: Request) -> Response:
    _, person = await _who(request)
    return JSONResponse(await store_of(request).read(describe_endpoint, request.path_params["endpoint_id"], person))


async def access_list(request: Request) -> Response:
    _, person = await _who(request)
    return JSONResponse(await store_of(request).read(_rules, request.path_params["endpoint_id"], person))


async def list_tasks(request: Request) -> Response:
    """Paged by `last_key`; a filter leaves rows of a page out, so a page may be short before the end."""
    _, person = await _who(request)
    query = request.query_params
    most = read_whole(query.get("limit", str(PAGE)))
    if most is None or not 1 <= most <= MOST_ROWS:
        raise ApiError("BadRequest", f"limit must be a whole number from 1 to {MOST_ROWS}", 400)
    check = _read_filters(query)
    page = await store_of(request).read(_task_page, person, _read_key(query.get("last_key")), most, most_active(request))
    rows = [row for row in page["DATA"] if check(row)]
    return JSONResponse({**page, "DATA": rows})


async def one_task(request: Request) -> Response:
    _, person = await _who(request)
    return JSONResponse(await store_of(request).read(_one_task, request.path_params["task_id"], person, most_active(request)))


async def list_events(request: Request) -> Response:
    await _require_task(request)
    query = listing.read_query(request.query_params, fields=task_routes.EVENT_FIELDS, limit=10, most=MOST_ROWS)
    page = await store_of(request).read(tasks.list_events, request.path_params["task_id"].lower(), query, event_document)
    return task_routes.offset_page("event_list", page, query)


async def list_successful(request: Request) -> Response:
    await _require_task(request)
    return await task_routes.results_page(request, "successful_transfers", "transferred", successful_document)


async def list_skipped(request: Request) -> Response:
    await _require_task(request)
    return await task_routes.results_page(request, "skipped_errors", "skipped", skipped_document)


async def pause_info(request: Request) -> Response:
    row = await _require_task(request)
    return JSONResponse(await store_of(request).read(pausing.explain, row))


async def cancel(request: Request) -> Response:
    _, person = await _who(request)
    asked = await read_document(request)
    cancel_id = await store_of(request).write(monitoring.cancel, person, asked)
    ROOM.wake("tasks")
    return JSONResponse(await store_of(request).read(monitoring.describe_cancel, person, cancel_id))


async def cancel_status(request: Request) -> Response:
    _, person = await _who(request)
    return JSONResponse(await store_of(request).read(monitoring.describe_cancel, person, request.path_params["cancel_id"]))


async def pause(request: Request) -> Response:
    _, person = await _who(request)
    await store_of(request).write(monitoring.pause, person, await read_document(request))
    return done(request, "PauseAccepted", "The tasks are paused")


async def resume(request: Request) -> Response:
    _, person = await _who(request)
    await store_of(request).write(monitoring.resume, person, await read_document(request))
    ROOM.wake("orders")
    return done(request, "ResumeAccepted", "The tasks go on")


async def list_rules(request: Request) -> Response:
    _, person = await _who(request)
    subject_id = request.query_params.get("filter_endpoint") or request.query_params.get("filter_host_endpoint")
    found = await store_of(request).read(monitoring.list_rules, person, subject_id=subject_id)
    return JSONResponse({"DATA_TYPE": "pause_rule_list", "DATA": found})


async def create_rule(request: Request) -> Response:
    _, person = await _who(request)
    asked = await read_document(request, data_type="pause_rule")
    rule_id = await store_of(request).write(monitoring.create_rule, person, asked)
    return done(request, "Created", "Pause rule created successfully", status=201, data_type="pause_rule_create_result", id=rule_id)


async def one_rule(request: Request) -> Response:
    """GET reads, PUT changes, DELETE removes."""
    _, person = await _who(request)
    store, rule_id = store_of(request), request.path_params["rule_id"]
    if request.method == "PUT":
        await store.write(monitoring.update_rule, person, rule_id, await read_document(request))
        ROOM.wake("orders")
        return done(request, "Updated", "Pause rule updated successfully")
    if request.method == "DELETE":
        await store.write(monitoring.delete_rule, person, rule_id)
        ROOM.wake("orders")
        return done(request, "Deleted", "Pause rule deleted successfully")
    return JSONResponse(await store.read(_one_rule, person, rule_id))


async def _who(request: Request) -> tuple[Caller, Person]:
    caller = await transfer_caller(request)
    return caller, person_behind(caller)


async def _require_task(request: Request) -> sqlite3.Row:
    _, person = await _who(request)
    return await store_of(request).read(monitoring.find_task, request.path_params["task_id"], person)


def _read_key(text: str | None) -> tuple[bool, int] | None:
    """`active,<number>` or `complete,<number>`: after which task the page begins."""
    if not text:
        return None
    phase, _, place = text.partition(",")
    number = read_whole(place)
    if phase not in ("active", "complete") or number is None:
        raise ApiError("BadRequest", "last_key must be one that a former page gave", 400)
    return phase == "complete", number


def _read_filters(query: Mapping[str, str]) -> Any:
    """The `filter_*` parameters as one test of a task document. Raises `ApiError` 400."""
    lists = {name: set(query[f"filter_{name}"].split(",")) for name in ("status", "task_id") if query.get(f"filter_{name}")}
    endpoint, use = query.get("filter_endpoint"), query.get("filter_endpoint_use")
    if query.get("filter_owner_id") and not endpoint and lists.get("status", {""}) - {"ACTIVE", "INACTIVE"}:
        raise ApiError("BadRequest", "filter_owner_id needs filter_endpoint, or a filter_status of ACTIVE and INACTIVE", 400)
    faults = read_whole(query.get("filter_min_faults", "0"))
    if faults is None or use not in (None, "source", "destination"):
        raise ApiError("BadRequest", "filter_min_faults is a number, filter_endpoint_use source or destination", 400)
    since, _, until = query.get("filter_completion_time", ",").partition(",")
    since, until = (parse(each, field="filter_completion_time") if each else "" for each in (since, until))
    paused = query.get("filter_is_paused")
    sides = [f"{use}_endpoint_id"] if use else ["source_endpoint_id", "destination_endpoint_id"]

    def check(row: Mapping[str, Any]) -> bool:
        ended = row["completion_time"] or "9999"
        return (
            all(row[name] in wanted for name, wanted in lists.items())
            and (not query.get("filter_owner_id") or row["owner_id"] == query["filter_owner_id"])
            and (not endpoint or endpoint in [row.get(side) for side in sides])
            and (paused is None or row["is_paused"] == (paused.lower() in ("1", "true")))
            and row["faults"] >= faults
            and ended >= since
            and (not until or ended <= until)
        )

    return check


def _task_page(db: sqlite3.Connection, person: Person, after: tuple[bool, int] | None, most: int, active: int) -> dict[str, Any]:
    rows = monitoring.list_tasks(db, person, after=after, most=most + 1)
    page = rows[:most]
    last = page[-1] if page else None
    key = f"{'complete' if last['completed_at'] else 'active'},{monitoring.number_of(db, last['id'])}" if last else None
    documents = [{**task_document(row, most_active=active), **monitoring.describe_extra(db, row)} for row in page]
    return {"DATA_TYPE": "task_list", "has_next_page": len(rows) > most, "last_key": key, "DATA": documents}


def _one_task(db: sqlite3.Connection, task_id: str, person: Person, active: int) -> dict[str, Any]:
    row = monitoring.find_task(db, task_id, person)
    return {**task_document(row, most_active=active), **monitoring.describe_extra(db, row)}


def _one_rule(db: sqlite3.Connection, person: Person, rule_id: str) -> dict[str, Any]:
    return pausing.describe(db, monitoring.find_rule(db, person, rule_id))


def _monitored(db: sqlite3.Connection, person: Person) -> list[dict[str, Any]]:
    return [describe_collection(db, each, person) for each in searching.looked_after(db, person, monitoring.MONITOR_ROLES)]


def _hosted(db: sqlite3.Connection, endpoint_id: str, person: Person) -> list[dict[str, Any]]:
    found = searching.looked_after(db, person, monitoring.MONITOR_ROLES)
    return [describe_collection(db, each, person) for each in found if endpoint_id.lower() in (each.mapped_id, each.endpoint_id)]


def _rules(db: sqlite3.Connection, endpoint_id: str, person: Person) -> dict[str, Any]:
    collection, _ = operations.visible(db, endpoint_id, person)
    require_role(roles_of(db, collection, person), monitoring.MANAGER_ROLES, "see the access rules")
    return {"DATA_TYPE": "access_list", "endpoint": collection.id, "DATA": access.list_rules(db, collections.get(db, collection.id))}


MANAGER = "/v0.10/endpoint_manager"
TASK = f"{MANAGER}/task/{{task_id}}"
routes = [
    Route(f"{MANAGER}/monitored_endpoints", monitored_endpoints, methods=["GET"]),
    Route(f"{MANAGER}/endpoint/{{endpoint_id}}", one_endpoint, methods=["GET"]),
    Route(f"{MANAGER}/endpoint/{{endpoint_id}}/hosted_endpoint_list", hosted_endpoints, methods=["GET"]),
    Route(f"{MANAGER}/endpoint/{{endpoint_id}}/access_list", access_list, methods=["GET"]),
    Route(f"{MANAGER}/task_list", list_tasks, methods=["GET"]),
    Route(TASK, one_task, methods=["GET"]),
    Route(f"{TASK}/event_list", list_events, methods=["GET"]),
    Route(f"{TASK}/successful_transfers", list_successful, methods=["GET"]),
    Route(f"{TASK}/skipped_errors", list_skipped, methods=["GET"]),
    Route(f"{TASK}/pause_info", pause_info, methods=["GET"]),
    Route(f"{MANAGER}/admin_cancel", cancel, methods=["POST"]),
    Route(f"{MANAGER}/admin_cancel/{{cancel_id}}", cancel_status, methods=["GET"]),
    Route(f"{MANAGER}/admin_pause", pause, methods=["POST"]),
    Route(f"{MANAGER}/admin_resume", resume, methods=["POST"]),
    Route(f"{MANAGER}/pause_rule_list", list_rules, methods=["GET"]),
    Route(f"{MANAGER}/pause_rule", create_rule, methods=["POST"]),
    Route(f"{MANAGER}/pause_rule/{{rule_id}}", one_rule, methods=["GET", "PUT", "DELETE"]),
]
