"""What goes with every HTTP request: a reference, one log line, the content security policy; and the log's format.

The reference of a request stands on the error page, in the header `X-Request-ID` and in every log line written while it ran.
Log lines are JSON on stdout. Tokens, codes and e-mail addresses are blotted out here, whatever a caller passes to the logger.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse

log = logging.getLogger("portal.requests")
reference: ContextVar[str] = ContextVar("reference", default="")

SECRETS = re.compile(
    r"(?i)(?P<kept>\bbearer\s+|\bbasic\s+|\b(?:access_token|refresh_token|id_token|token|code|code_verifier|client_secret|state)[\"']?\s*[=:]\s*[\"']?)[\w\-.~+/=]{6,}"
)
EMAILS = re.compile(r"[\w.+\-]+@[\w\-]+(?:\.[\w\-]+)+")
OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request", "server_time", "data"}


def without_secrets(words: str) -> str:
    """The same words with tokens, codes and e-mail addresses blotted out."""
    return EMAILS.sub("[address]", SECRETS.sub(r"\g<kept>[removed]", words))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, reference, what was given as `extra`, and the traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        if reference.get():
            line["reference"] = reference.get()
        for name, value in vars(record).items():
            if name not in OWN_FIELDS:
                line[name] = value if isinstance(value, int | float | bool | None) else without_secrets(str(value))
        if record.exc_info:
            line["traceback"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class RequestIdMiddleware:
    """Gives the request its reference and writes one line when it is answered (never the query, which may carry a code)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        reset = reference.set(secrets.token_hex(6))
        began = time.monotonic()
        try:
            response = self.get_response(request)
            response["X-Request-ID"] = reference.get()
            if not request.path.startswith((settings.STATIC_URL, "/livez", "/readyz")):
                person = getattr(request, "_cached_user", None)  # only where somebody has asked already: logging costs no query
                facts = {
                    "method": request.method,
                    "path": request.path,
                    "status": response.status_code,
                    "user_id": getattr(person, "pk", None),
                }
                facts["ms"] = round(1000 * (time.monotonic() - began))
                log.info("request", extra=facts)
            return response
        finally:
            reference.reset(reset)


def content_security_policy() -> str:
    """Own scripts and styles only, none inline. Forms may end at Globus, where sign-in is redirected to: browsers check the chain."""
    globus = {f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in (settings.GLOBUS_AUTH_URL, settings.GLOBUS_APP_URL)}
    rules = {
        "default-src": "'self'",
        "img-src": "'self' data:",
        "style-src": "'self'",
        "object-src": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "form-action": " ".join(["'self'", *sorted(globus)]),
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


class ContentSecurityPolicyMiddleware:
    """Sets the policy where a view has not set its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.policy = content_security_policy()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", self.policy)
        response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        return response
