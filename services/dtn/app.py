"""The node as an ASGI application: routes, and the edge that counts bytes, logs, sets security headers and words refusals."""

import functools
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route, request_response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.dtn import bundles, operations, resuming, serving, uploading, webdav
from services.dtn.accounting import SCOPE_KEY, Connection
from services.dtn.conditions import RangeError
from services.dtn.errors import BadRequestError, MissingError, NodeError, SessionNeededError, UnauthorizedError
from services.dtn.faults import DropError
from services.dtn.gridftp_opening import Openings
from services.dtn.node import Node
from services.dtn.pages import STYLE, refusal_page
from services.dtn.signing_in import CALLBACK, Sessions

logger = logging.getLogger("dtn.requests")
PAGE_POLICY = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
}
TITLES = {400: "This address cannot be read", 401: "Sign-in is needed", 403: "Not for this identity", 404: "Nothing is here"}


def make_app(node: Node) -> ASGIApp:
    """Return the application of one node."""
    sessions = Sessions(node)
    openings = Openings(node)

    def bound(endpoint: Callable[..., Awaitable[Response]], **shared: Any) -> Callable[[Request], Awaitable[Response]]:
        return functools.partial(endpoint, **shared)

    async def refused(request: Request, error: Exception) -> Response:
        return _refusal(request, error, node, sessions)

    routes = [
        Route(CALLBACK, bound(_finish_sign_in, sessions=sessions), methods=["GET"]),
        Route("/.dtn/sign-in", bound(_begin_sign_in, node=node, sessions=sessions), methods=["GET"]),
        Route("/.dtn/sign-out", bound(_sign_out, sessions=sessions), methods=["POST"]),
        Route("/.dtn/style.css", _style, methods=["GET"]),
        Route("/.dtn/v1/operations/{verb}", bound(operations.operate, node=node), methods=["POST"]),
        Route("/.dtn/v1/walk", bound(operations.walk_tree, node=node), methods=["POST"]),
        Route("/.dtn/v1/bundle", bound(bundles.send_bundle, node=node), methods=["POST"]),
        Route("/.dtn/v1/gridftp", openings.tell, methods=["POST"]),
        Route("/.dtn/v1/digest", bound(operations.tell_digest, node=node), methods=["POST"]),
        Route("/.dtn/", bound(_home, node=node), methods=["GET"]),
        Route("/", bound(_home, node=node), methods=["GET"]),
    ]
    if node.faults.is_enabled:
        routes.append(Route("/.dtn/faults", bound(_order_faults, node=node), methods=["GET", "POST", "DELETE"]))
    app = Starlette(routes=routes, exception_handlers={NodeError: refused, DropError: _drop})
    app.router.redirect_slashes = False
    files = bound(_files, node=node, sessions=sessions)
    app.router.default = request_response(files)  # a route's pattern would not match every name
    return Edge(app)


async def _files(request: Request, node: Node, sessions: Sessions) -> Response:
    """Everything below a collection's id."""
    if request.scope["raw_path"].startswith(b"/.dtn/"):
        raise MissingError("Nothing is here.")
    if request.method == "PUT" and "content-range" in request.headers:
        return await resuming.write_part(request, node, sessions)
    if request.method == "PUT":
        return await uploading.write_path(request, node, sessions)
    if request.method == "DELETE":
        return await uploading.delete_path(request, node, sessions)
    if request.method == "PROPFIND":
        return await webdav.find_properties(request, node, sessions)
    if request.method == "OPTIONS":
        return await webdav.tell_options(request, node)
    if request.method not in {"GET", "HEAD"}:
        raise BadRequestError("Files are read (GET, HEAD, PROPFIND), written (PUT) and deleted (DELETE).", http_status=405)
    return await serving.read_path(request, node, sessions)


async def _finish_sign_in(request: Request, sessions: Sessions) -> Response:
    return await sessions.finish(request)


async def _begin_sign_in(request: Request, node: Node, sessions: Sessions) -> Response:
    raw_path, query = _own_address(request)
    inner = Request({**request.scope, "raw_path": raw_path.encode(), "query_string": query.encode()})
    collection, _ = await serving.locate(inner, node)
    return sessions.begin(request, collection, back_to=serving.back_to(inner), asks_again=True)


async def _sign_out(request: Request, sessions: Sessions) -> Response:
    sessions.end(request)
    response = RedirectResponse("/.dtn/", status_code=303)
    response.delete_cookie(sessions.cookie, path="/", secure=True, httponly=True, samesite="lax")
    return response


async def _style(request: Request) -> Response:
    return Response(STYLE, media_type="text/css", headers={"Cache-Control": "max-age=3600"})


async def _home(request: Request, node: Node) -> Response:
    words = f"This is the data transfer node {node.settings.name}. Files are reached by their own addresses."
    return refusal_page(status=200, title="Data transfer node", words=words)


def _own_address(request: Request) -> tuple[str, str]:
    """Return path and query of `next`, which must be an address of this node."""
    parts = urlsplit(request.query_params.get("next", ""))
    if parts.scheme or parts.netloc or not parts.path.startswith("/") or parts.path.startswith("//") or "\\" in parts.path:
        raise BadRequestError("The address to come back to is not on this node.")
    return parts.path, parts.query


async def _order_faults(request: Request, node: Node) -> Response:
    operations.require_secret(request, node)
    if request.method == "POST":
        node.faults.order(await operations.read_json(request))
    elif request.method == "DELETE":
        node.faults.clear()
    return JSONResponse({"faults": node.faults.left()})


async def _drop(request: Request, error: Exception) -> Response:
    connection: Connection = request.scope[SCOPE_KEY]
    connection.abort()
    return Response(status_code=503)


def _refusal(request: Request, error: Exception, node: Node, sessions: Sessions) -> Response:
    if not isinstance(error, NodeError):
        raise TypeError("only refusals come here")
    fields: dict[str, str] = {"Cache-Control": "no-store"}
    request.scope[serving.IS_DATA] = False
    raw_path: bytes = request.scope["raw_path"]
    is_file = not raw_path.startswith(b"/.dtn/")
    if isinstance(error, UnauthorizedError) and is_file:
        collection = node.collections.get(raw_path.decode("ascii", "replace").lstrip("/").split("/")[0])
        if collection is not None:
            fields |= serving.challenge(request, sessions, collection, has_token="authorization" in request.headers)
    if isinstance(error, RangeError):
        fields["Content-Range"] = f"bytes */{error.size}"
    if isinstance(error, SessionNeededError):
        return _ask_for_session(request, error, node, sessions)
    if serving.wants_page(request) and request.method == "GET":
        page = refusal_page(
            status=error.http_status, title=TITLES.get(error.http_status, "This did not work"), words=error.message,
            username=request.scope.get("dtn.username"), other_url=request.scope.get("dtn.other_url"),
        )  # fmt: skip
        page.headers.update(fields)
        return page
    return JSONResponse({"code": error.code, "message": error.message}, status_code=error.http_status, headers=fields)


def _ask_for_session(request: Request, error: SessionNeededError, node: Node, sessions: Sessions) -> Response:
    """A browser signs in anew; a client is told what to ask its user for."""
    collection = node.collections.get(request.scope["raw_path"].decode("ascii", "replace").lstrip("/").split("/")[0])
    has_token = "authorization" in request.headers
    if collection is not None and not has_token and serving.wants_page(request) and request.method == "GET":
        return sessions.begin(request, collection, back_to=serving.back_to(request), parameters=error.parameters)
    told = {"code": error.code, "message": error.message, "authorization_parameters": dict(error.parameters)}
    return JSONResponse(told, status_code=error.http_status, headers={"Cache-Control": "no-store"})


class Edge:
    """The outermost layer: bytes are counted, headers set, one line logged per request (path only: a query may hold a code)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        connection: Connection = scope[SCOPE_KEY]
        started_at = time.monotonic()
        seen: dict[str, Any] = {"status": 0, "in": 0, "out": 0}

        async def count_in() -> Message:
            message = await receive()
            n_bytes = len(message.get("body", b""))
            seen["in"] += n_bytes
            if scope.get(serving.IS_DATA):
                connection.data_in += n_bytes
            else:
                connection.control_in += n_bytes
            return message

        async def count_out(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                _secure(message)
                if connection.named is not None:
                    await connection.named
            else:
                n_bytes = len(message.get("body", b""))
                seen["out"] += n_bytes
                if scope.get(serving.IS_DATA):
                    connection.data_out += n_bytes
                else:
                    connection.control_out += n_bytes
            await send(message)

        try:
            await self._app(scope, count_in, count_out)
        finally:
            seconds = time.monotonic() - started_at
            facts = {"method": scope["method"], "path": scope["path"], "peer": f"{connection.peer[0]}:{connection.peer[1]}", **seen}
            logger.info("request", extra={"facts": {**facts, "ms": round(seconds * 1000)}})


def _secure(message: Message) -> None:
    headers = MutableHeaders(raw=message["headers"])
    message["headers"] = headers.raw
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    if Headers(raw=message["headers"]).get("content-type", "").startswith("text/html"):
        headers.setdefault("Content-Security-Policy", PAGE_POLICY)


class JsonLines(logging.Formatter):
    """One JSON object a line, with the facts of `extra={"facts": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"), "level": record.levelname, "event": record.getMessage()}
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)
