"""Globus bearer tokens for /api/v1/: Globus Auth is asked about the token, which must be active, for this portal, in time and in scope.

What Globus said is kept for at most a minute under a hash of the token, so a revoked token bites within a minute. The person comes from
the token alone. A token in the query string is never looked at.
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import Any

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from datasets.errors import RefusedError
from portal import assurance, auth, signin
from portal.models import User

log = logging.getLogger("portal.bearer")

KEPT_S = 60


class TokenRefusedError(AuthenticationFailed):
    default_code = "token_refused"


class ScopeMissingError(RefusedError):
    code = "scope-missing"
    http_status = 403
    message = "The token does not carry the scope that is needed here."

    def __init__(self) -> None:
        super().__init__(f"Needed: {settings.API_SCOPE}")
        self.auth_header = f'Bearer error="insufficient_scope", scope="{settings.API_SCOPE}"'


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>` with a Globus token for the portal's own scope."""

    def authenticate(self, request: Request) -> tuple[User, auth.Introspection] | None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        token = token.strip()
        if not token:
            raise TokenRefusedError("The header Authorization holds no token.")
        told = ask_about(token)
        check(told)
        person = person_of(told)
        assurance.mark_present(person, assurance.second_factor_at(told.authentications))
        return person, told

    def authenticate_header(self, request: Request) -> str:
        return f'Bearer realm="causeway", scope="{settings.API_SCOPE}"'


def check(told: auth.Introspection) -> None:
    """Refuse a token that is not active, not in time, not for this portal (401), or without the scope (403)."""
    if not told.is_active or told.identity_id is None:
        raise TokenRefusedError("Globus Auth says that this token is not active: it is mistyped, expired or revoked.")
    if told.expires_at <= time.time():
        raise TokenRefusedError("This token has expired.")
    if settings.GLOBUS_CLIENT_ID not in told.audience:
        raise TokenRefusedError("This token is meant for another service.")
    if settings.API_SCOPE not in told.scopes:
        raise ScopeMissingError


def ask_about(token: str) -> auth.Introspection:
    """What Globus says about the token, not older than a minute. Raises GlobusUnavailableError when it cannot be asked."""
    key = "bearer:" + hashlib.sha256(token.encode()).hexdigest()
    kept: auth.Introspection | None = read_kept(key)
    if kept is None:
        kept = auth.introspect(token)
        if kept.is_active:
            keep(key, kept)
    return kept


def read_kept(key: str) -> Any:
    try:
        return cache.get(key)
    except RedisError:
        log.warning("the cache does not answer; Globus is asked every time")
        return None


def keep(key: str, told: auth.Introspection) -> None:
    try:
        cache.set(key, told, timeout=min(KEPT_S, max(int(told.expires_at - time.time()), 1)))
    except RedisError:
        log.warning("the cache does not answer; nothing is kept")


def person_of(told: auth.Introspection) -> User:
    """The user of the token; one who never signed in here is recorded now, with the groups that count."""
    identity_id = told.identity_id
    if identity_id is None:
        raise TokenRefusedError("This token stands for nobody.")
    known = User.objects.filter(pk=identity_id).first()
    if known is not None:
        if not known.is_active:
            raise TokenRefusedError("This person may not use the portal at present.")
        return known
    facts = {"preferred_username": told.username, "name": told.name, "email": told.email, "identity_set": list(told.identities)}
    person, _ = signin.record_person(identity_id, facts)
    signin.refresh_groups_of(person)
    return person
