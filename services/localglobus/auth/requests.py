"""What a client asks for at `/v2/oauth2/authorize`, checked before a person is shown anything.

PageError       the client or its redirect URI is wrong: said on a page, never by a redirect
RedirectError   everything else: said to the client, at its redirect URI (RFC 6749 section 4.1.2.1)
"""

import math
import re
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from services.localglobus.auth import clients, identities, policies, scopes
from services.localglobus.auth.authentications import MFA
from services.localglobus.auth.policies import Policy, Shortfall
from services.localglobus.auth.scopes import Scope
from services.localglobus.auth.sessions import Session
from services.localglobus.errors import OAuthError
from services.localglobus.store import Connection, Row

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


class PageError(Exception):
    """Nobody to send the browser back to."""


class RedirectError(Exception):
    """A refusal that the client is told at its redirect URI."""

    def __init__(self, redirect_uri: str, state: str, error: str, description: str) -> None:
        super().__init__(description)
        self.address = with_query(redirect_uri, {"error": error, "error_description": description, "state": state})


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One checked request for authorization. What was shown before `after` (seconds since 1970) does not count."""

    client_id: str
    client_name: str
    redirect_uri: str
    wanted: tuple[Scope, ...]
    state: str
    nonce: str | None
    challenge: str | None
    is_offline: bool
    prompt: str
    login_hint: str
    message: str
    required_identities: tuple[str, ...]
    required_domain: tuple[str, ...]
    required_policies: tuple[Policy, ...]
    requires_mfa: bool
    after: float

    def refuse(self, error: str, description: str) -> RedirectError:
        return RedirectError(self.redirect_uri, self.state, error, description)

    def lacking(self, session: Session, people: Sequence[Row]) -> Shortfall | None:
        """What the person must still show for this request; None when the session is enough.

        `people` are the linked identities of the session's account.
        """
        shown = {name: facts for name, facts in session.authentications.items() if session.shown_at[name] >= self.after}
        ids = {row["username"].lower(): row["id"] for row in people}
        missing = tuple(name for name in self.required_identities if ids.get(name.lower(), name.lower()) not in shown)
        if missing:
            return Shortfall(usernames=missing)
        if self.required_domain and not any(row["id"] in shown and _domain(row) in self.required_domain for row in people):
            fitting = tuple(row["username"] for row in people if _domain(row) in self.required_domain)
            return Shortfall(usernames=fitting or (f"someone@{self.required_domain[0]}",))
        if not shown:
            return Shortfall()
        for policy in self.required_policies:
            lack = policies.shortfall(policy, people, shown)
            if lack is not None:
                return lack
        if self.requires_mfa and not any(MFA in (facts["amr"] or ()) for facts in shown.values()):
            return Shortfall(factor_of=max(shown, key=lambda name: session.shown_at[name]))
        return None


def read(connection: Connection, query: Mapping[str, str], *, asked_at: float | None) -> Asked:
    """The request in `query`, which was first seen at `asked_at` if that is known. Raises PageError or RedirectError.

    With `prompt=login`, only what is shown after that moment counts; as long as there is none, nothing does.
    """
    client = clients.get(connection, query.get("client_id", ""))
    if client is None:
        raise PageError("No client of that id is registered here.")
    redirect_uri = query.get("redirect_uri", "")
    if not clients.is_redirect_allowed(client, redirect_uri):
        raise PageError(f"“{redirect_uri}” is not a registered address of {client['name']}.")
    state = query.get("state", "")

    def refuse(error: str, description: str) -> RedirectError:
        return RedirectError(redirect_uri, state, error, description)

    if query.get("response_type", "code") != "code":
        raise refuse("unsupported_response_type", "response_type must be code")
    challenge = query.get("code_challenge")
    if challenge is None and client["is_public"]:
        raise refuse("invalid_request", "a public client must use PKCE")
    if challenge is not None and (query.get("code_challenge_method") != "S256" or not CHALLENGE.fullmatch(challenge)):
        raise refuse("invalid_request", "code_challenge must be given by the method S256")
    try:
        wanted = scopes.resolve(connection, query.get("scope", ""))
    except OAuthError as error:
        raise refuse(error.code, error.message) from error
    return Asked(
        client_id=client["id"],
        client_name=client["name"],
        redirect_uri=redirect_uri,
        wanted=wanted,
        state=state,
        nonce=query.get("nonce"),
        challenge=challenge,
        is_offline=query.get("access_type") == "offline",
        prompt=query.get("prompt", ""),
        login_hint=query.get("login_hint", ""),
        message=query.get("session_message", ""),
        required_identities=_split(query.get("session_required_identities", "")),
        required_domain=_split(query.get("session_required_single_domain", "").lower()),
        required_policies=_read_policies(connection, query, refuse),
        requires_mfa=query.get("session_required_mfa", "").lower() == "true",
        after=(math.inf if asked_at is None else asked_at) if query.get("prompt") == "login" else 0.0,
    )


def _read_policies(connection: Connection, query: Mapping[str, str], refuse: Callable[[str, str], RedirectError]) -> tuple[Policy, ...]:
    found = []
    for policy_id in _split(query.get("session_required_policies", "")):
        policy = policies.find(connection, policy_id)
        if policy is None:
            raise refuse("invalid_request", f"no policy {policy_id}")
        found.append(policy)
    return tuple(found)


def _domain(person: Row) -> str:
    return str(person["username"]).rpartition("@")[2].lower()


def with_query(address: str, added: Mapping[str, str]) -> str:
    """`address` with parameters added to those it has; empty ones are left out."""
    parts = urllib.parse.urlsplit(address)
    pairs = urllib.parse.parse_qsl(parts.query, keep_blank_values=True)
    query = urllib.parse.urlencode([*pairs, *((name, value) for name, value in added.items() if value)])
    return urllib.parse.urlunsplit(parts._replace(query=query))


def describe_wanted(connection: Connection, wanted: tuple[Scope, ...], missing: set[scopes.Path]) -> list[dict[str, object]]:
    """The scopes in words for the consent page: parents first, `depth` for what hangs below, `is_new` for what was not agreed to yet."""
    lines: list[dict[str, object]] = []
    for path, _ in scopes.walk(wanted):
        scope = scopes.get(connection, path[-1])
        if scope is not None:
            by = scopes.get(connection, path[-2]) if len(path) > 1 else None
            line = {"title": scope["title"], "server": scope["server_title"], "name": path[-1], "depth": len(path) - 1}
            lines.append({**line, "by": by["server_title"] if by else None, "is_new": path in missing})
    return lines


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def linked_people(connection: Connection, session: Session) -> list[Row]:
    """The identities of the account that is signed in, the primary first."""
    return identities.linked(connection, session.identity_id)
