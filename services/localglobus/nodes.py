"""What data transfer nodes ask of control (services/dtn/PROTOCOL.md): registration, who may read or write, orders, tickets.

A node is known by its secret alone, which also says which node it is: it sees its own collections and orders and no others.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.localglobus import mails, node_addresses, node_reports, recent
from services.localglobus.auth import scopes
from services.localglobus.auth.tokens import find_caller, read_bearer
from services.localglobus.certificates import Authority
from services.localglobus.errors import ApiError
from services.localglobus.numbers import read_whole
from services.localglobus.settings import Settings
from services.localglobus.store import Store
from services.localglobus.transfer import assurance, collections, orders, tasks, times
from services.localglobus.transfer.collections import Collection
from services.localglobus.transfer.permissions import Person, Rights, person_behind, rights_of, rules_document
from services.localglobus.transfer.requests import most_active, nodes_of, read_document, store_of
from services.localglobus.transfer.waiting import ROOM

log = logging.getLogger(__name__)

PROTOCOL = 1
MOST_WAIT_S = 30.0
MOST_ORDERS = 32
MOST_ITEMS = 1000
FORGET_S = 3600.0
LOOK_S = 1.0
"""How often a waiting lease looks for orders that time alone made ready: a lease that ran out, a fault to try again."""


async def run(app: Starlette) -> None:
    """Ends tasks whose time is over and writes mails, every second as long as the program runs; forgets old history every hour."""
    store: Store = app.state.store
    forget_at = time.monotonic()
    while True:
        try:
            if await store.read(tasks.needs_settling):
                await store.write(tasks.settle)
                ROOM.wake("tasks")
                ROOM.wake("orders")
            if await store.read(mails.has_waiting):
                await mails.deliver(store, app.state.settings.data / "mail")
            if time.monotonic() >= forget_at:
                await store.write(tasks.forget_history)
                forget_at = time.monotonic() + FORGET_S
        except (sqlite3.Error, OSError):
            log.exception("what is due could not be done; trying again")
        await asyncio.sleep(LOOK_S)


async def register(request: Request) -> Response:
    node = _node(request)
    asked = await read_document(request)
    if asked.get("protocol") != PROTOCOL or asked.get("name") != node:
        raise ApiError("BadRequest", f"protocol must be {PROTOCOL} and name {node}", 400)
    url, instance = node_addresses.read_url(asked.get("url")), _text(asked, "instance")
    csr = None if asked.get("csr") is None else _text(asked, "csr")
    authority: Authority = request.app.state.authority
    certificate = await store_of(request).write(_register, request.app.state.settings, authority, node, url=url, instance=instance, csr=csr)
    ROOM.wake("orders")
    found = await _collections(request, node)
    log.info("node %s registered as instance %s at %s", node, instance, url)
    return JSONResponse({"certificate": certificate, "ca": authority.pem, "collections": found})


async def list_collections(request: Request) -> Response:
    return JSONResponse({"collections": await _collections(request, _node(request))})


async def access(request: Request) -> Response:
    node = _node(request)
    asked = await read_document(request)
    token = None if asked.get("token") is None else _text(asked, "token")
    return JSONResponse(await store_of(request).read(_access, node, str(asked.get("collection")), token))


async def lease(request: Request) -> Response:
    node = _node(request)
    asked = await read_document(request)
    most = min(_whole(asked, "most", default=1), MOST_ORDERS)
    until = time.monotonic() + min(node_reports.read_seconds(asked.get("wait_s"), "wait_s"), MOST_WAIT_S)
    store, instance, active = store_of(request), str(asked.get("instance")), most_active(request)
    await _hear(request, node)
    while node not in nodes_of(request).cut_off:
        if await store.read(orders.has_ready, node=node, instance=instance, most_active=active):
            found = await store.write(orders.lease, node=node, instance=instance, most=most, most_active=active)
            if found:
                return JSONResponse({"orders": found})
        left_s = until - time.monotonic()
        if left_s <= 0 or ROOM.is_closed or await request.is_disconnected():
            return JSONResponse({"orders": []})
        await ROOM.wait("orders", min(left_s, LOOK_S))
    return JSONResponse({"orders": []})


async def items(request: Request) -> Response:
    node = _node(request)
    query = request.query_params
    limit, after = read_whole(query.get("limit", str(MOST_ITEMS))), query.get("after", "-1")
    since = -1 if after == "-1" else read_whole(after)
    if limit is None or since is None:
        raise ApiError("BadRequest", "after and limit must be whole numbers", 400)
    order_id, limit = request.path_params["order_id"], max(1, min(limit, MOST_ITEMS))
    found = await store_of(request).read(orders.items, node=node, order_id=order_id, after=since, limit=limit)
    return JSONResponse({"items": found})


async def heartbeat(request: Request) -> Response:
    node = _node(request)
    await _hear(request, node)
    asked = await read_document(request)
    action, deadline = await store_of(request).write(
        orders.heartbeat,
        node=node,
        order_id=request.path_params["order_id"],
        instance=str(asked.get("instance")),
        counters=node_reports.read_counters(asked),
        fault=node_reports.read_fault(asked.get("fault"), "fault"),
    )
    return JSONResponse({"action": action, "lease_s": orders.LEASE_S, "deadline": deadline})


async def results(request: Request) -> Response:
    node = _node(request)
    batch = node_reports.read_batch(await read_document(request))
    accepted = await store_of(request).write(orders.store_results, node=node, order_id=request.path_params["order_id"], batch=batch)
    return JSONResponse({"accepted_sequence": accepted})


async def finish(request: Request) -> Response:
    node = _node(request)
    report = await read_document(request)
    if report.get("status") not in ("SUCCEEDED", "FAILED"):
        raise ApiError("BadRequest", "status must be SUCCEEDED or FAILED", 400)
    fatal, counters = node_reports.read_fault(report.get("fatal_error"), "fatal_error"), node_reports.read_counters(report)
    report = {**report, "fatal_error": fatal, "counters": counters}
    await store_of(request).write(orders.finish, node=node, order_id=request.path_params["order_id"], report=report)
    ROOM.wake("tasks")
    ROOM.wake("orders")
    return JSONResponse({})


async def check_ticket(request: Request) -> Response:
    node = _node(request)
    asked = await read_document(request)
    collection_id = str(asked.get("collection"))
    await store_of(request).read(_own, node, collection_id)
    ticket, known = str(asked.get("ticket")), asked.get("known")
    found = await store_of(request).read(
        orders.check_ticket, collection_id=collection_id, ticket=ticket, known=known if isinstance(known, str) else None
    )
    return JSONResponse(found)


def _node(request: Request) -> str:
    """Returns which node calls. Raises `ApiError` 401 for a secret that belongs to none."""
    given = read_bearer(request) or ""
    calls = nodes_of(request)
    for node in _known(request):
        if hmac.compare_digest(given.encode(), calls.secret(node).encode()):
            recent.heard(request.scope, node)
            if node in calls.cut_off:
                raise ApiError("ServiceUnavailable", "This node was disconnected on the admin page", 503)
            return node
    raise ApiError("AuthenticationFailed", "No node has this secret", 401)


def _known(request: Request) -> Iterator[str]:
    """The nodes of the demo world, then hosts of the Connect Personal kind."""
    own = request.app.state.settings.nodes
    yield from own
    yield from (name for name in nodes_of(request).names() if name not in own)


def _register(
    db: sqlite3.Connection, settings: Settings, authority: Authority, node: str, *, url: str, instance: str, csr: str | None
) -> str | None:
    """Notes where the node is; returns the certificate that it asks for. A host of the Connect Personal kind is not to pose as another."""
    only = None
    if node not in settings.nodes:
        node_addresses.require_free(db, settings, node=node, url=url)
        only = node_addresses.host_of(url)
    certificate = None if csr is None else authority.sign(csr, only=only)
    _note_node(db, node, url, instance)
    return certificate


def _note_node(db: sqlite3.Connection, node: str, url: str, instance: str) -> None:
    """Where the node is, and that its former process holds nothing any more."""
    db.execute("UPDATE endpoint SET node_url = ?, node_instance = ?, node_seen_at = ? WHERE node = ?", (url, instance, time.time(), node))
    orders.release_other_instances(db, node=node, instance=instance)
    for each in collections.all_collections(db, endpoint_id=collections.endpoint_of(db, node).id):
        if each.is_personal:
            collections.register(db, each)


async def _hear(request: Request, node: str) -> None:
    """Keeps that the node is there, every few seconds."""
    if await store_of(request).read(_is_late, node):
        await store_of(request).write(_note_heard, node)


def _note_heard(db: sqlite3.Connection, node: str) -> None:
    db.execute("UPDATE endpoint SET node_seen_at = ? WHERE node = ?", (time.time(), node))


def _is_late(db: sqlite3.Connection, node: str) -> bool:
    """Whether it is time to note that the node is heard: a cheap look that spares the disk a write at every call."""
    row = db.execute("SELECT node_seen_at FROM endpoint WHERE node = ?", (node,)).fetchone()
    return row is None or time.time() - (row["node_seen_at"] or 0.0) > collections.HEARD_S / 3


async def _collections(request: Request, node: str) -> list[dict[str, Any]]:
    found = await store_of(request).read(_collections_of, node)
    authorize_url = f"{request.app.state.settings.url}/v2/oauth2/authorize"
    return [
        {
            "id": each.id,
            "name": each.display_name,
            "base_path": each.base_path,
            "https_server": each.https_server,
            "client_id": each.id,
            "authorize_url": authorize_url,
            "scope": _sign_in_scope(each),
            "storage": each.connector.for_node(),
        }
        for each in found
    ]


def _sign_in_scope(collection: Collection) -> str:
    """What a browser must agree to before it reads files here."""
    needed = f"[{scopes.data_access(collection.id)}]" if collection.needs_data_access else ""
    return scopes.https(collection.id) + needed


def _collections_of(db: sqlite3.Connection, node: str) -> list[Collection]:
    return collections.all_collections(db, endpoint_id=collections.endpoint_of(db, node).id)


def _own(db: sqlite3.Connection, node: str, collection_id: str) -> Collection:
    collection = collections.find(db, collection_id)
    if collection is None or collection.node != node:
        raise ApiError("ClientError.NotFound", f"No collection '{collection_id}' on this node", 404)
    return collection


def _access(db: sqlite3.Connection, node: str, collection_id: str, token: str | None) -> dict[str, Any]:
    """What a bearer, or anybody, may do now. A mapped collection also asks for the `data_access` consent below `https`."""
    collection = _own(db, node, collection_id)
    scope = scopes.https(collection.id)
    caller = find_caller(db, token, scope=scope) if token else None
    if caller is not None and collection.needs_data_access and (scope, scopes.data_access(collection.id)) not in caller.consents:
        caller = None
    lack = None if caller is None else assurance.shortfall(db, collection, caller)
    rights = rights_of(db, collection, Person() if caller is None or lack else person_behind(caller))
    if not collection.serves_https:
        rights = Rights()
    ends = [] if caller is None else [times.text(datetime.fromtimestamp(caller.expires_at, UTC))]
    ends += [rights.expires_at] if rights.expires_at else []
    return {
        "active": caller is not None,
        "identity": caller and caller.identity_id,
        "username": caller and caller.username,
        "rules": rules_document(rights),
        "session": lack and lack.extra["authorization_parameters"],
        "rule_version": collection.rule_version,
        "expires_at": min(ends, default=None),
    }


def _text(asked: dict[str, Any], name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or not value:
        raise ApiError("BadRequest", f"{name} must be a text", 400)
    return value


def _whole(asked: dict[str, Any], name: str, *, default: int) -> int:
    value = asked.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ApiError("BadRequest", f"{name} must be a whole number", 400)
    return value


ORDER = "/dtn/v1/orders/{order_id}"
routes = [
    Route("/dtn/v1/register", register, methods=["POST"]),
    Route("/dtn/v1/collections", list_collections, methods=["GET"]),
    Route("/dtn/v1/access", access, methods=["POST"]),
    Route("/dtn/v1/orders/lease", lease, methods=["POST"]),
    Route(f"{ORDER}/items", items, methods=["GET"]),
    Route(f"{ORDER}/heartbeat", heartbeat, methods=["POST"]),
    Route(f"{ORDER}/results", results, methods=["POST"]),
    Route(f"{ORDER}/finish", finish, methods=["POST"]),
    Route("/dtn/v1/tickets/check", check_ticket, methods=["POST"]),
]
