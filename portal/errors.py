"""Errors told to people and programs: a page in the browser, RFC 9457 problem+json under /api/; both carry the request's reference.

The tree of refusals is drawn in `datasets.errors` and `transfers.errors`; nothing else turns them into answers.
Every answer of 400 and above that is made here is one log line with the same reference.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from rest_framework import exceptions as api_exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback
from social_core.exceptions import AuthCanceled, AuthProviderError, SocialAuthBaseException

from datasets.addresses import is_local, page_of
from datasets.errors import AssuranceNeededError, RefusedError, TermsNeededError
from portal.requests import reference
from transfers import requirements
from transfers.errors import ConsentNeededError, SignInNeededError

log = logging.getLogger("portal.errors")

MOST_BODY_BYTES = 2_621_440

TITLES = {
    400: "This request does not make sense",
    401: "Sign in, or send a token that is accepted",
    403: "You may not do this",
    404: "There is nothing here that you may see",
    405: "This address does not do that",
    409: "This does not fit what is there now",
    429: "Too many requests",
    500: "Something failed in the portal",
    502: "Globus refused this",
    503: "Not available at the moment",
}


class SignInFailedError(RefusedError):
    code = "sign-in-failed"
    http_status = 403
    message = "Signing in did not work."


def problem(
    *, status: int, code: str, title: str = "", detail: str = "", instance: str = "", fields: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """The body of a problem+json answer (RFC 9457), with our `code`, `fields` and `reference`."""
    made: dict[str, Any] = {
        "type": f"urn:causeway:problem:{code}",
        "title": title or TITLES.get(status, HTTPStatus(status).phrase),
        "status": status,
    }
    made |= {"detail": detail, "instance": instance, "code": code, "fields": dict(fields or {}), "reference": reference.get()}
    return made | more


def wants_problem(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def answer(
    request: HttpRequest, *, status: int, code: str, title: str = "", detail: str = "", fields: Mapping[str, Any] | None = None, **more: Any
) -> HttpResponse:
    """One refusal as a page or as problem+json; logged."""
    level = logging.ERROR if status >= 500 else logging.INFO
    log.log(level, "refused: %s", code, extra={"status": status, "code": code, "path": request.path, "detail": detail})
    body = problem(status=status, code=code, title=title, detail=detail, instance=request.path, fields=fields, **more)
    if wants_problem(request):
        return JsonResponse(body, status=status, content_type="application/problem+json")
    if status == 500 or not hasattr(request, "user"):  # without what every page knows: that may be what failed, or not known yet
        return HttpResponse(render_to_string("errors/500.html", {"problem": body}), status=status)
    return render(request, "errors/refused.html", {"problem": body}, status=status)


def answer_refusal(request: HttpRequest, error: RefusedError) -> HttpResponse:
    more: dict[str, Any] = {}
    if isinstance(error, ConsentNeededError):
        asked = requirements.document(
            code=error.code, scopes=error.required_scopes, session=error.session, next_url="/", user_id=whose(request)
        )
        more = {"required_scopes": error.required_scopes, **asked}
        del more["code"]
    if isinstance(error, AssuranceNeededError):  # in the words of Globus, which its SDK understands
        more["authorization_parameters"] = {"session_required_mfa": True, "session_message": error.detail, "prompt": "login"}
    if isinstance(error, TermsNeededError):
        more["terms"] = [{"dataset": slug, "version": number} for slug, number in error.terms]
    response = answer(
        request, status=error.http_status, code=error.code, title=error.message, detail=error.detail, fields=error.fields, **more
    )
    if getattr(error, "retry_after_s", 0):
        response["Retry-After"] = str(getattr(error, "retry_after_s", 0))
    return response


def whose(request: HttpRequest) -> str:
    """The id of who is signed in; of nobody before that is known."""
    return str(request.user.pk) if hasattr(request, "user") else ""


def lead_to(request: HttpRequest, route: str, **query: Any) -> HttpResponse:
    """Redirect a page to sign-in or consent, from where the person comes back; htmx is told to load a whole page."""
    target = page_of(reverse(route), next=came_from(request), **query)
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=204, headers={"HX-Redirect": target})
    return HttpResponseRedirect(target, status=303)


def came_from(request: HttpRequest) -> str:
    """Where to return to: this page, or for a form the page that held it."""
    if request.method in {"GET", "HEAD"} and request.headers.get("HX-Request") != "true":
        return request.get_full_path()
    page = request.headers.get("HX-Current-URL") or request.headers.get("Referer") or "/"
    local = page.removeprefix(f"{request.scheme}://{request.get_host()}")
    return local if is_local(local) else "/"


def sign_in_failure(error: SocialAuthBaseException) -> SignInFailedError:
    """What sign-in through Globus may answer, in plain words."""
    if isinstance(error, AuthCanceled):
        return SignInFailedError("You, or Globus on your behalf, did not agree. Nothing was stored. You can try again.")
    failure = SignInFailedError(
        "The answer of Globus did not belong to a sign-in that this browser began here, or it came too late. Begin again."
    )
    if isinstance(error, AuthProviderError):
        failure = SignInFailedError(
            "Globus Auth does not answer at the moment. Searching and reading about datasets works without signing in."
        )
        failure.http_status = 503
    return failure


class RefusalMiddleware:
    """Turns what a page raises into an answer; what it does not know goes on to Django's handler of failures."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponse | None:
        """Refuse a body larger than any form or document here, and a NUL in an address or a form: no text in the database can hold one."""
        length = str(request.META.get("CONTENT_LENGTH") or "0")
        # Django asks this of forms only; documents are read whole, too.
        if length.isdecimal() and (len(length) > 18 or int(length) > MOST_BODY_BYTES):
            return answer(request, status=413, code="too-large", detail=f"A request here has at most {MOST_BODY_BYTES:,} bytes.")
        given = [request.path, *(text for query in (request.GET, request.POST) for _, texts in query.lists() for text in texts)]
        return bad_request(request, ValueError("NUL")) if any("\0" in text for text in given) else None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, SocialAuthBaseException):
            log.warning("sign-in failed: %s", error.code, extra={"stage": error.stage, "kind": type(error).__name__})
            return answer_refusal(request, sign_in_failure(error))
        if not isinstance(error, RefusedError):
            return None
        if not wants_problem(request):
            if isinstance(error, ConsentNeededError):
                sealed = requirements.seal(error.session, user_id=whose(request))
                return lead_to(request, "portal:consent", scope=error.required_scopes, session=sealed)
            if isinstance(error, SignInNeededError):
                return lead_to(request, "portal:signin")
            if isinstance(error, AssuranceNeededError):
                return lead_to(request, "portal:assure")
            if isinstance(error, TermsNeededError):
                return lead_to(request, "datasets:accept-terms", dataset=[slug for slug, _ in error.terms])
        return answer_refusal(request, error)


def api_refusal(error: Exception) -> RefusedError | None:
    """The exceptions of Django and of the REST framework as refusals of ours; None for what is a failure."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, Http404):
        error = api_exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = api_exceptions.PermissionDenied()
    if not isinstance(error, api_exceptions.APIException):
        return None
    refusal = RefusedError()
    refusal.http_status = error.status_code
    refusal.code = str(error.default_code).replace("_", "-")
    refusal.message = TITLES.get(error.status_code, HTTPStatus(error.status_code).phrase)
    if isinstance(error.detail, dict):
        refusal.code, refusal.fields = "invalid", {name: as_list(found) for name, found in error.detail.items()}
        refusal.detail = "Something in the request is missing or wrong."
    else:
        refusal.detail = " ".join(as_list(error.detail))
    return refusal


def as_list(found: Any) -> list[str]:
    """Messages of the REST framework, however nested, as a flat list of words."""
    if isinstance(found, dict):
        return [f"{name}: {words}" for name, inner in found.items() for words in as_list(inner)]
    if isinstance(found, list | tuple):
        return [words for inner in found for words in as_list(inner)]
    return [str(found)]


def answer_api(error: Exception, context: dict[str, Any]) -> HttpResponse | Response | None:
    """The REST framework's exception handler."""
    refusal = api_refusal(error)
    if refusal is None:
        return None
    set_rollback()
    request = context["request"]._request  # noqa: SLF001  (the REST framework offers no public way to the request beneath)
    response = answer_refusal(request, refusal)
    if challenge := getattr(error, "auth_header", ""):
        response["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        response["Retry-After"] = str(round(wait))
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(request, status=400, code="bad-request", detail="The address or the form cannot be read.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(request, status=403, code="forbidden", detail=str(exception))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(request, status=404, code="not-found", detail="The address may be mistyped, or it is for people with another identity.")


def failed(request: HttpRequest) -> HttpResponse:
    return answer(
        request, status=500, code="failed", detail="What you asked for was not done. The reference below finds the cause in the log."
    )


def csrf_page(request: HttpRequest, reason: str = "") -> HttpResponse:
    return answer(
        request,
        status=403,
        code="form-not-ours",
        title="This form is too old, or does not come from this site",
        detail=f"Go back, load the page again and send the form once more. ({reason})",
    )
