"""Who calls: the bearer token introspected with this service's own credentials, never a field of the request.

A caller is let in when the token is active, meant for this service (audience), has its scope and has not expired. What introspection
said is kept for at most 30 seconds, by the token's hash.
"""

import hashlib
import threading
import time
from dataclasses import dataclass
from typing import Any

from services.graph.errors import ScopeError, TokenError
from services.graph.globus import Globus

KEPT_S = 30
MOST_KEPT = 10_000


@dataclass(frozen=True)
class Caller:
    """The identity behind a token."""

    identity_id: str
    username: str
    token: str


class Gate:
    """Turns tokens into callers."""

    def __init__(self, globus: Globus, *, client_id: str, scope: str) -> None:
        self._globus, self._client_id, self._scope = globus, client_id, scope
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def admit(self, authorization: str | None) -> Caller:
        """The caller behind an Authorization header. Raises TokenError (401) or ScopeError (403)."""
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or any(character.isspace() for character in token):
            raise TokenError
        told = self._introspect(token)
        now = time.time()
        if not told.get("active"):
            raise TokenError("The access token is not active.")
        if self._client_id not in _as_list(told.get("aud")):
            raise TokenError("The access token is not for the graph service.")
        if float(told.get("exp") or 0) <= now or float(told.get("nbf") or 0) > now + 60:
            raise TokenError("The access token has expired.")
        if self._scope not in str(told.get("scope", "")).split():
            raise ScopeError(f"The access token lacks the scope {self._scope}.")
        if not told.get("sub"):
            raise TokenError("The access token has no identity.")
        return Caller(str(told["sub"]), str(told.get("username", "")), token)

    def _introspect(self, token: str) -> dict[str, Any]:
        key = hashlib.sha256(token.encode()).hexdigest()
        now = time.monotonic()
        with self._lock:
            kept_at, told = self._kept.get(key, (float("-inf"), {}))
        if now - kept_at < KEPT_S:
            return told
        told = self._globus.introspect(token)
        with self._lock:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            if told.get("active"):
                self._kept[key] = (now, told)
        return told


def _as_list(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
