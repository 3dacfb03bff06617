"""The gateway to Globus Auth and Groups, with the portal's own credentials: who a token is, who a name is, who is in a group.

Nothing here reads or writes the database; `portal/signin.py` does with what it learns. Errors leave as ours, without tokens in them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import globus_sdk
from django.conf import settings
from globus_sdk.scopes import Scope, ScopeParser
from globus_sdk.transport import RequestsTransport, RetryConfig

from datasets.errors import InvalidError
from transfers.errors import GlobusRefusedError, GlobusUnavailableError

TIMEOUT_S = 10.0
MOST_SCOPES, LONGEST_SCOPES = 30, 4_000  # of one consent: that many collections, and their characters


@dataclass(frozen=True)
class Introspection:
    """What Globus Auth says about a bearer token (https://docs.globus.org/api/auth/reference/#token-introspect)."""

    is_active: bool
    identity_id: uuid.UUID | None
    audience: frozenset[str]
    scopes: frozenset[str]
    expires_at: int
    username: str
    name: str
    email: str
    identities: tuple[dict[str, Any], ...]
    authentications: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By identity: how and when it was shown in the session of the token."""


@dataclass(frozen=True)
class Principal:
    """An identity or a group, by the name that Globus has for it."""

    kind: str
    id: uuid.UUID
    name: str


@dataclass(frozen=True)
class Group:
    id: uuid.UUID
    name: str
    active_identity_ids: frozenset[uuid.UUID]


@contextmanager
def refusals_of_ours() -> Iterator[None]:
    """The SDK's errors as ours: no answer, too many requests and 5xx may be tried again, the rest not."""
    try:
        yield
    except globus_sdk.NetworkError as error:
        raise GlobusUnavailableError("Globus Auth or Groups did not answer.") from error
    except globus_sdk.GlobusAPIError as error:
        if error.http_status == 429 or error.http_status >= 500:
            raise GlobusUnavailableError("Globus Auth or Groups is busy.") from error
        raise GlobusRefusedError(error.message or "", globus_code=error.code or "", globus_status=error.http_status) from error


# People wait for these calls: one repeat at most, after a moment.
def transport() -> RequestsTransport:
    return RequestsTransport(http_timeout=TIMEOUT_S)


def retries() -> RetryConfig:
    return RetryConfig(max_retries=1, max_sleep=2)


@cache
def auth_client() -> globus_sdk.ConfidentialAppAuthClient:
    return globus_sdk.ConfidentialAppAuthClient(
        settings.GLOBUS_CLIENT_ID, settings.GLOBUS_CLIENT_SECRET, transport=transport(), retry_config=retries()
    )


def own_token(scope: Scope) -> globus_sdk.ClientCredentialsAuthorizer:
    """The portal's own token for a scope, renewed as needed."""
    return globus_sdk.ClientCredentialsAuthorizer(auth_client(), str(scope))


@cache
def groups_client() -> globus_sdk.GroupsClient:
    authorizer = own_token(globus_sdk.GroupsClient.scopes.view_my_groups_and_memberships)
    return globus_sdk.GroupsClient(authorizer=authorizer, transport=transport(), retry_config=retries())


@cache
def identities_client() -> globus_sdk.AuthClient:
    authorizer = own_token(globus_sdk.AuthClient.scopes.view_identities)
    return globus_sdk.AuthClient(authorizer=authorizer, transport=transport(), retry_config=retries())


def introspect(token: str) -> Introspection:
    """What the token is good for, asked of Globus Auth as the portal's own client."""
    with refusals_of_ours():
        told = auth_client().oauth2_token_introspect(token, include="identity_set_detail,session_info").data
    subject = told.get("sub")
    return Introspection(
        is_active=bool(told.get("active")),
        identity_id=uuid.UUID(subject) if subject else None,
        audience=frozenset(as_words(told.get("aud"))),
        scopes=frozenset(as_words(told.get("scope"))),
        expires_at=int(told.get("exp") or 0),
        username=told.get("username") or "",
        name=told.get("name") or "",
        email=told.get("email") or "",
        identities=tuple(told.get("identity_set_detail") or ()),
        authentications=(told.get("session_info") or {}).get("authentications") or {},
    )


def read_scopes(asked: str) -> list[str]:
    """Scopes as Globus writes them, `all[*dependent]` in one piece. Raises InvalidError for what is not a list of scopes, or too long."""
    if len(asked) > LONGEST_SCOPES or asked.count("[") > MOST_SCOPES or len(asked.split()) > MOST_SCOPES:
        raise InvalidError("These are more scopes than anything here needs.", fields={"scope": [f"At most {MOST_SCOPES}."]})
    try:
        scopes = ScopeParser.parse(asked)
    except globus_sdk.scopes.ScopeParseError as error:
        raise InvalidError("These are not scopes of Globus.", fields={"scope": ["Not readable."]}) from error
    if not scopes:
        raise InvalidError("No scope is named.", fields={"scope": ["Missing."]})
    return sorted(str(scope) for scope in scopes)


def with_dependencies(scope: str) -> Iterator[str]:
    """The scope's own name, then those that it depends on, however deep."""
    for one in ScopeParser.parse(scope):
        yield one.scope_string
        for inner in one.dependencies:
            yield from with_dependencies(str(inner))


def as_words(told: str | list[str] | None) -> list[str]:
    return told.split() if isinstance(told, str) else list(told or ())


def read_group(group_id: uuid.UUID) -> Group:
    """A group and its active members; the portal's client must be its manager or administrator."""
    with refusals_of_ours():
        told = groups_client().get_group(group_id, include="memberships").data
    members = frozenset(uuid.UUID(one["identity_id"]) for one in told.get("memberships") or () if one.get("status") == "active")
    return Group(id=group_id, name=told.get("name") or "", active_identity_ids=members)


def find_principal(named: str) -> Principal:
    """The identity or group that `named` means: a username, or the id of an identity or of a group that the portal's client can read."""
    try:
        wanted = uuid.UUID(named)
    except ValueError:
        with refusals_of_ours():
            found = identities_client().get_identities(usernames=named)["identities"]
    else:
        with refusals_of_ours():
            found = identities_client().get_identities(ids=str(wanted))["identities"]
        if not found:
            return find_group(wanted)
    if not found:
        message = f"Globus knows no identity named {named}."
        raise GlobusRefusedError(message, globus_code="NotFound", globus_status=404)
    return Principal(kind="identity", id=uuid.UUID(found[0]["id"]), name=found[0]["username"])


def find_group(group_id: uuid.UUID) -> Principal:
    try:
        group = read_group(group_id)
    except GlobusRefusedError as error:
        message = f"Globus knows no identity {group_id}, and no group of this id whose members the portal may see."
        raise GlobusRefusedError(message, globus_code=error.globus_code, globus_status=error.globus_status) from error
    return Principal(kind="group", id=group.id, name=group.name)
