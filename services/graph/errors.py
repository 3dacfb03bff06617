"""The errors of this service, one tree; `app.py` alone turns them into problem+json (RFC 9457).

GraphServiceError
├── InvalidRequestError     400  the request cannot be understood; `fields` says where
├── TokenError              401  no token, or one that is not active or not for this service
├── ScopeError              403  the token lacks the scope
├── ConsentNeededError      403  the caller has not let this service read for her; `required_scopes` says what to ask for
├── NotFoundError           404  no such job for this identity
├── ConflictError           409  the job is in a state that does not allow it
├── GlobusRefusedError      502  Globus said no: do not repeat
├── GlobusUnavailableError  503  Globus did not answer: repeat later
└── SourceError                  one source cannot be read or drawn: becomes the reason of a failure, never an answer
    ├── SessionError             the collection wants a fresh sign-in; `authorization_parameters` say what it must show
    └── SourceUnavailableError   the same, but may pass: repeat later
"""

from typing import Any


class GraphServiceError(Exception):
    code = "internal-error"
    http_status = 500
    message = "The graph service failed."

    def __init__(self, detail: str = "", *, fields: dict[str, list[str]] | None = None) -> None:
        super().__init__(detail or self.message)
        self.detail = detail or self.message
        self.fields = fields or {}


class InvalidRequestError(GraphServiceError):
    code, http_status, message = "invalid", 400, "The request is not valid."


class TokenError(GraphServiceError):
    code, http_status, message = "invalid-token", 401, "A valid access token for the graph service is needed."


class ScopeError(GraphServiceError):
    code, http_status, message = "insufficient-scope", 403, "The access token lacks the scope of the graph service."


class ConsentNeededError(GraphServiceError):
    code, http_status, message = "consent-required", 403, "The graph service may not yet read these data for you."

    def __init__(self, detail: str = "", *, required_scopes: list[str]) -> None:
        super().__init__(detail)
        self.required_scopes = required_scopes


class NotFoundError(GraphServiceError):
    code, http_status, message = "not-found", 404, "There is no such job."


class ConflictError(GraphServiceError):
    code, http_status, message = "conflict", 409, "The job is in a state that does not allow this."


class GlobusRefusedError(GraphServiceError):
    code, http_status, message = "globus-refused", 502, "Globus refused a call of the graph service."

    def __init__(self, detail: str = "", *, globus_code: str = "", status: int = 0) -> None:
        super().__init__(detail)
        self.globus_code, self.globus_status = globus_code, status


class GlobusUnavailableError(GraphServiceError):
    code, http_status, message = "globus-unavailable", 503, "Globus does not answer."


class SourceError(GraphServiceError):
    code, http_status, message = "source", 422, "The source cannot be read."


class SessionError(SourceError):
    """`authorization_parameters` are `session_required_identities` and so on, as Globus says them."""

    code, http_status, message = "reauthentication-needed", 403, "The collection asks for a fresh sign-in. Sign in anew, then try again."

    def __init__(self, *, authorization_parameters: dict[str, Any]) -> None:
        super().__init__()
        self.authorization_parameters = authorization_parameters


class SourceUnavailableError(SourceError):
    code, http_status, message = "source-unavailable", 503, "The data transfer node does not answer."
