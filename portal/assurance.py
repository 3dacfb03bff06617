"""How well a person is known in this request: whether her sign-in carries a second factor, and since when.

Globus Auth tells it of a token's session: for each identity that was shown `auth_time`, `amr` (RFC 8176) and `acr`
(https://docs.globus.org/api/auth/sessions/). The session keeps the moment, `User.is_assured` judges it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.contrib.auth.middleware import get_user
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from portal.models import User

SESSION_KEY = "second_factor_at"
METHOD = "mfa"
PROFILE = "https://refeds.org/profile/mfa"


def second_factor_at(authentications: Mapping[str, Mapping[str, Any]]) -> datetime | None:
    """When the latest of these authentications with a second factor happened; None without one."""
    moments = [int(told["auth_time"]) for told in authentications.values() if has_second_factor(told) and told.get("auth_time")]
    return datetime.fromtimestamp(max(moments), UTC) if moments else None


def has_second_factor(told: Mapping[str, Any]) -> bool:
    """By the method (RFC 8176 section 2) or by the profile of the research federations (https://refeds.org/profile/mfa)."""
    methods = told.get("amr") or ()
    return METHOD in (methods.split() if isinstance(methods, str) else methods) or told.get("acr") == PROFILE


def as_text(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


class PresenceMiddleware:
    """Marks who is signed in as present, with what her session knows; costs nothing where nobody asks who it is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.user = SimpleLazyObject(partial(present_user, request))  # type: ignore[assignment]  # as Django's own middleware does
        return self.get_response(request)


def present_user(request: HttpRequest) -> Any:
    user = get_user(request)
    if isinstance(user, User):
        told = request.session.get(SESSION_KEY) or ""
        mark_present(user, datetime.fromisoformat(told) if told else None)
    return user


def mark_present(user: User, moment: datetime | None) -> None:
    """She is at the other end of this request, and gave a second factor at that moment."""
    user.is_present, user.second_factor_at = True, moment
