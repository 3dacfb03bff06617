"""How a refusal is said: one exception, drawn in the shape of the API that was asked.

    ApiError(code, message, http_status)         any API; the request's path chooses the shape
    ├── SessionError(message, ...)               sign in anew: `authorization_parameters`
    └── OAuthError(error, description)           the OAuth endpoints of Auth: {"error", "error_description"}

The shapes are those that the unmodified Globus clients read: Transfer and Groups want string `code` and `message`, Auth a list
`errors`, the GCS Manager an envelope. All are `application/json`, or the clients would not look inside.
"""

import logging
import secrets
import uuid
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

log = logging.getLogger(__name__)

TITLES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict"}


class ApiError(Exception):
    """A refusal that a client is meant to read. `extra` adds members to the body (`required_scopes`, `authorization_parameters`)."""

    def __init__(
        self, code: str, message: str, http_status: int, *, extra: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status
        self.extra = extra or {}
        self.headers = headers or {}


class SessionError(ApiError):
    """The identities shown in the caller's session are not enough: `parameters` say what a client should ask the person for.

    It is said as `authorization_parameters`, and by a GCS Manager with a document `authentication_timeout` besides.
    """

    def __init__(
        self, message: str, *, identities: list[str], is_high_assurance: bool, requires_mfa: bool, parameters: dict[str, Any]
    ) -> None:
        super().__init__("AuthorizationRequired", message, 403, extra={"authorization_parameters": parameters})
        self.detail = {
            "DATA_TYPE": "authentication_timeout#1.1.0",
            "high_assurance": is_high_assurance,
            "identities": identities,
            "require_mfa": requires_mfa,
        }


class OAuthError(ApiError):
    """A refusal by an OAuth endpoint, RFC 6749 section 5.2: `error` is the code."""

    def __init__(self, error: str, description: str, http_status: int = 400, *, extra: dict[str, Any] | None = None) -> None:
        super().__init__(error, description, http_status, extra=extra)


def make_request_id() -> str:
    """Nine letters and digits, as Transfer writes them."""
    return "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789") for _ in range(9))


def shape_auth(error: ApiError) -> dict[str, Any]:
    """`{"errors": [{status, id, code, detail, title}], "error", "error_description"}` of Globus Auth."""
    title = TITLES.get(error.http_status, "Error")
    item = {"status": str(error.http_status), "id": str(uuid.uuid4()), "code": error.code, "detail": error.message, "title": title}
    return {"errors": [item], "error": title.lower().replace(" ", "_"), "error_description": title, **error.extra}


def shape_oauth(error: ApiError) -> dict[str, Any]:
    """`{"error", "error_description"}`, RFC 6749 section 5.2."""
    return {"error": error.code, "error_description": error.message, **error.extra}


def shape_transfer(error: ApiError, *, resource: str) -> dict[str, Any]:
    """`{"code", "message", "request_id", "resource"}`, the "type zero" body of Globus Transfer."""
    return {"code": error.code, "message": error.message, "request_id": make_request_id(), "resource": resource, **error.extra}


def shape_groups(error: ApiError) -> dict[str, Any]:
    """`{"code", "message", "request_id"}`-alike of Globus Groups, with its list of errors."""
    item = {"code": error.code, "status": error.http_status, "title": TITLES.get(error.http_status, "Error"), "detail": error.message}
    return {"code": error.code, "message": error.message, "request_id": make_request_id(), "errors": [item], **error.extra}


def shape_gcs(error: ApiError) -> dict[str, Any]:
    """The `result#1.0.0` envelope of a Globus Connect Server Manager."""
    session = error if isinstance(error, SessionError) else None
    return {
        "DATA_TYPE": "result#1.0.0",
        "code": "permission_denied" if session else error.code,
        "http_response_code": error.http_status,
        "message": error.message,
        "detail": session.detail if session else error.extra or None,
        "has_next_page": False,
        "marker": "",
        "data": [],
        **error.extra,
    }


def shape_search(error: ApiError) -> dict[str, Any]:
    """A `GError` of Globus Search, whose codes have two parts."""
    return {
        "@datatype": "GError",
        "@version": "2017-09-01",
        "code": error.code if "." in error.code else f"{error.code}.Generic",
        "message": error.message,
        "request_id": uuid.uuid4().hex,
        "status": error.http_status,
        **error.extra,
    }


def shape_timers(error: ApiError) -> dict[str, Any]:
    """`{"error": {"code", "detail", "status"}}` of Globus Timers; what must be agreed to stands at the top, where clients look."""
    if "detail" in error.extra:  # what is wrong with a document, place by place
        return {"detail": error.extra["detail"]}
    named = {"code": error.code} if "authorization_parameters" in error.extra else {}
    return {"error": {"code": error.code, "detail": error.message, "status": error.http_status}, **named, **error.extra}


def shape_node(error: ApiError) -> dict[str, Any]:
    """`{"code", "message"}` of services/dtn/PROTOCOL.md."""
    return {"code": error.code, "message": error.message}


def _is_auth(request: Request) -> bool:
    return request.url.path.startswith(("/v2/oauth2", "/v2/api", "/.well-known", "/jwk.json"))


def _is_groups(request: Request) -> bool:
    return request.url.path.startswith(("/v2/groups", "/v2/preferences", "/v2/subscription_info"))


def _is_search(request: Request) -> bool:
    return request.url.path.startswith("/v1/")


def _is_timers(request: Request) -> bool:
    return request.url.path.startswith(("/jobs", "/v2/timer"))


def unauthenticated(request: Request) -> ApiError:
    """401 with the code that the clients of this API look for."""
    if _is_search(request):
        return ApiError("Unauthorized.Generic", "The call is not authenticated, or its token is not active", 401)
    if _is_auth(request) or _is_groups(request) or _is_timers(request):
        return ApiError("UNAUTHORIZED", "Call must be authenticated", 401)
    if hasattr(request.app.state, "gcs_endpoint"):
        return ApiError("authentication_required", "a live bearer token for this endpoint is required", 401)
    return ApiError("ClientError.AuthenticationFailed", "No credentials supplied, or the token is not active", 401)


def forbidden(request: Request, message: str) -> ApiError:
    """403 with the code that the clients of this API look for."""
    if _is_search(request):
        return ApiError("Forbidden.Generic", message, 403)
    if _is_auth(request) or _is_groups(request) or _is_timers(request):
        return ApiError("FORBIDDEN", message, 403)
    if hasattr(request.app.state, "gcs_endpoint"):
        return ApiError("permission_denied", message, 403)
    return ApiError("PermissionDenied", message, 403)


def render(request: Request, error: ApiError) -> JSONResponse:
    """The answer for `error` in the shape of the API that `request` asked."""
    path = request.url.path
    if isinstance(error, OAuthError):
        body = shape_oauth(error)
    elif hasattr(request.app.state, "gcs_endpoint"):
        body = shape_gcs(error)
    elif _is_groups(request):
        body = shape_groups(error)
    elif _is_search(request):
        body = shape_search(error)
    elif _is_timers(request):
        body = shape_timers(error)
    elif path.startswith("/dtn/"):
        body = shape_node(error)
    elif _is_auth(request):
        body = shape_auth(error)
    else:
        body = shape_transfer(error, resource=path)
    headers = dict(error.headers)
    if error.http_status == 401:
        headers.setdefault("WWW-Authenticate", "Basic" if error.code == "invalid_client" else "Bearer")
    return JSONResponse(body, status_code=error.http_status, headers=headers)


async def answer_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 (registered for this class alone)
    return render(request, error)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """No such route, wrong method: said in the API's own shape."""
    assert isinstance(error, HTTPException)  # noqa: S101
    codes = {404: "ClientError.NotFound", 405: "ClientError.MethodNotAllowed"}
    code = codes.get(error.status_code, "ClientError.BadRequest")
    return render(request, ApiError(code, str(error.detail), error.status_code, headers=dict(error.headers or {})))


async def answer_fault(request: Request, error: Exception) -> Response:
    """A defect of ours: logged whole, answered without particulars."""
    log.error("fault at %s %s", request.method, request.url.path, exc_info=error)
    return render(request, ApiError("ServiceError.InternalError", "localglobus failed; see its log", 500))
