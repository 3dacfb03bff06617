"""The grants of `POST /v2/oauth2/token`: how a code, a refresh token, a client's secret or a user's token becomes tokens.

Each function runs in one transaction of the store and answers the JSON body. What is refused raises OAuthError; where a refusal must
leave a trace (a code shown twice), the function answers the error for the route to raise, so that the transaction is kept.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from services.localglobus.auth import clients, consents, identities, scopes, tokens
from services.localglobus.auth.keys import SigningKey
from services.localglobus.auth.scopes import Path, Scope
from services.localglobus.auth.tokens import Grant
from services.localglobus.errors import OAuthError
from services.localglobus.store import Connection, Row

SCHEMA = """
create table if not exists code (
    id integer primary key autoincrement,
    hash text not null unique,
    client_id text not null references client(id) on delete cascade,
    identity_id text not null references identity(id) on delete cascade,
    redirect_uri text not null,
    scopes text not null,               -- top-level names, separated by spaces
    state text not null,
    nonce text,
    challenge text,                     -- PKCE S256
    is_offline integer not null,
    session text not null,
    expires_at integer not null,
    used_at integer
);
"""

CODE_LIFETIME_S = 600
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
DEPENDENT_GRANT = "urn:globus:auth:grant_type:dependent_token"


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """What id tokens are signed with, and in whose name."""

    url: str
    key: SigningKey


def make_code(
    connection: Connection,
    *,
    client_id: str,
    identity_id: str,
    redirect_uri: str,
    names: Iterable[str],
    state: str,
    nonce: str | None,
    challenge: str | None,
    is_offline: bool,
    session: str,
) -> str:
    """A single-use authorization code, good for ten minutes; stored as a hash."""
    code = secrets.token_urlsafe(24)
    connection.execute(
        "insert into code (hash, client_id, identity_id, redirect_uri, scopes, state, nonce, challenge, is_offline, session, expires_at)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            clients.hash_secret(code),
            client_id,
            identity_id,
            redirect_uri,
            " ".join(names),
            state,
            nonce,
            challenge,
            is_offline,
            session,
            int(time.time()) + CODE_LIFETIME_S,
        ),
    )
    return code


def exchange_code(connection: Connection, form: Mapping[str, str], client: Row, issuer: Issuer) -> dict[str, Any] | OAuthError:
    """RFC 6749 section 4.1.3 with RFC 7636. A code shown twice ends the tokens it gave."""
    row = connection.execute("select * from code where hash = ?", (clients.hash_secret(form.get("code", "")),)).fetchone()
    if row is None or row["client_id"] != client["id"]:
        raise _invalid_grant("the code is unknown")
    if row["used_at"] is not None:
        tokens.revoke_code(connection, row["id"])
        return _invalid_grant("the code was used before")
    if row["expires_at"] <= time.time():
        raise _invalid_grant("the code has expired")
    if row["redirect_uri"] != form.get("redirect_uri"):
        raise _invalid_grant("redirect_uri is not the one the code was asked with")
    connection.execute("update code set used_at = ? where id = ?", (int(time.time()), row["id"]))
    if not _is_verified(row["challenge"], form.get("code_verifier")):
        return _invalid_grant("code_verifier does not match the challenge")
    grant = Grant(
        client_id=client["id"],
        identity_id=row["identity_id"],
        session=row["session"],
        root_client_id=client["id"],
        code_id=row["id"],
    )
    answer = _respond(connection, grant, row["scopes"].split(), is_offline=bool(row["is_offline"]))
    answer["state"] = row["state"]
    if "openid" in row["scopes"].split():
        answer["id_token"] = make_id_token(connection, grant, answer, issuer, nonce=row["nonce"])
    return answer


def _is_verified(challenge: str | None, verifier: str | None) -> bool:
    if challenge is None:
        return not verifier
    if not verifier or not VERIFIER.fullmatch(verifier):
        return False
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(digest, challenge)


def refresh(connection: Connection, form: Mapping[str, str], client: Row) -> dict[str, Any] | OAuthError:
    """A new access token with the scopes of the refresh token, which the answer carries too.

    That of a client with a secret stays good. A public client gets another one in its place; the old one shown again later ends both.
    """
    given = form.get("refresh_token", "")
    row = tokens.find(connection, given, is_refresh=True)
    if row is None or row["client_id"] != client["id"]:
        tokens.end_if_reused(connection, given, client_id=client["id"])
        return _invalid_grant("the refresh token is not active")
    names = row["scopes"].split()
    if asked := form.get("scope", "").split():
        if not set(asked) <= set(names):
            raise OAuthError("invalid_scope", "a refresh cannot widen the scopes")
        names = [name for name in names if name in asked]
    tokens.touch(connection, row)
    refresh_token = tokens.rotate(connection, row) if client["is_public"] else given
    origin = tokens.family_of(row)
    _, token = tokens.issue(connection, tokens.grant_of(row), resource_server=row["resource_server"], names=names, refresh_id=origin)
    return {**_describe(row["resource_server"], names, token), "refresh_token": refresh_token, "other_tokens": []}


def client_credentials(connection: Connection, form: Mapping[str, str], client: Row, issuer: Issuer) -> dict[str, Any]:
    """Tokens for the client itself. What it asks for it thereby agrees to: the consents are recorded, dependencies and all."""
    if client["is_public"]:
        raise OAuthError("unauthorized_client", "a public client has no credentials of its own")
    wanted = scopes.resolve(connection, form.get("scope", ""))
    client_id = client["id"]
    consents.record(connection, wanted, identity_id=client_id, client_id=client_id, allows_refresh=False, is_auto_approved=True)
    grant = Grant(client_id=client_id, identity_id=client_id, session=json.dumps({}), root_client_id=client_id)
    names = [scope.name for scope in wanted]
    answer = _respond(connection, grant, names, is_offline=False)
    if "openid" in names:
        answer["id_token"] = make_id_token(connection, grant, answer, issuer, nonce=None)
    return answer


def dependent_tokens(connection: Connection, form: Mapping[str, str], client: Row) -> list[dict[str, Any]]:
    """For a resource server that was given a token: tokens for the services that its own scope depends on, as the same identity.

    Without `scope`, everything that was agreed to below the token's scopes. A wanted or required dependency without consent raises
    OAuthError dependent_consent_required, 403, with `unapproved_scopes` as full scope strings to ask for.
    """
    row = tokens.find(connection, form.get("token", ""), is_refresh=False)
    if row is None or row["resource_server"] not in scopes.servers_of(connection, client["id"]):
        raise _invalid_grant("the token is not active for this client")
    root = tuple(json.loads(row["root_path"]))
    held = consents.paths(connection, identity_id=row["identity_id"], client_id=row["root_client_id"])
    wanted = scopes.parse(form.get("scope", ""))
    found: dict[Path, list[str]] = {}
    unapproved: list[str] = []
    for name in row["scopes"].split():
        above = (*root, name)
        below = [path[-1] for path in sorted(held) if path[:-1] == above]
        tree = wanted or tuple(Scope(dependency) for dependency in sorted(_required(connection, name)))
        unapproved += [f"{name}[{scope}]" for scope in tree if any((*above, *path) not in held for path, _ in scopes.walk([scope]))]
        found[above] = [dependency for dependency in below if not wanted or dependency in {scope.name for scope in wanted}]
    if unapproved:
        raise _consent_required(unapproved)
    is_offline = form.get("access_type") == "offline"
    return [
        entry for above, names in found.items() for entry in _issue_dependent(connection, client, row, above, names, is_offline=is_offline)
    ]


def _required(connection: Connection, scope: str) -> set[str]:
    rows = connection.execute("select dependency from scope_dependency where scope = ? and not is_optional", (scope,))
    return {row["dependency"] for row in rows}


def _issue_dependent(
    connection: Connection, client: Row, row: Row, above: Path, names: Iterable[str], *, is_offline: bool
) -> list[dict[str, Any]]:
    grant = Grant(
        client_id=client["id"],
        identity_id=row["identity_id"],
        session=row["session"],
        root_client_id=row["root_client_id"],
        root_path=above,
    )
    return [
        _issue_pair(connection, grant, server, list(held), is_offline=is_offline)
        for server, held in tokens.servers(connection, names).items()
    ]


def _respond(connection: Connection, grant: Grant, names: Iterable[str], *, is_offline: bool) -> dict[str, Any]:
    """One token per resource server: the first at the top, the rest in `other_tokens`, which is always there."""
    by_server = tokens.servers(connection, names)
    first, *others = [_issue_pair(connection, grant, server, held, is_offline=is_offline) for server, held in by_server.items()]
    return {**first, "other_tokens": others}


def _issue_pair(connection: Connection, grant: Grant, server: str, names: list[str], *, is_offline: bool) -> dict[str, Any]:
    refresh_id, refresh_token = None, None
    if is_offline:
        refresh_id, refresh_token = tokens.issue(connection, grant, resource_server=server, names=names, is_refresh=True)
    _, token = tokens.issue(connection, grant, resource_server=server, names=names, refresh_id=refresh_id)
    described = _describe(server, names, token)
    return {**described, "refresh_token": refresh_token} if refresh_token else described


def _describe(server: str, names: Iterable[str], token: str) -> dict[str, Any]:
    return {
        "access_token": token,
        "scope": " ".join(names),
        "expires_in": tokens.ACCESS_LIFETIME_S,
        "token_type": "Bearer",
        "resource_server": server,
    }


def make_id_token(connection: Connection, grant: Grant, answer: dict[str, Any], issuer: Issuer, *, nonce: str | None) -> str:
    """The OpenID Connect id token for the top-level access token of `answer`; claims follow its scopes."""
    now = int(time.time())
    half = hashlib.sha512(answer["access_token"].encode()).digest()[:32]
    claims = {
        "iss": issuer.url,
        "aud": grant.client_id,
        "iat": now,
        "exp": now + tokens.ACCESS_LIFETIME_S,
        "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
        **describe_person(connection, grant.identity_id, answer["scope"].split()),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    return issuer.key.sign(claims)


def describe_person(connection: Connection, identity_id: str, names: Iterable[str]) -> dict[str, Any]:
    """The claims about an identity that these scopes open: `openid`, `profile`, `email`, view_identity_set."""
    held = set(names)
    linked = identities.linked(connection, identity_id)
    person = next(row for row in linked if row["id"] == identity_id)
    claims: dict[str, Any] = {"sub": person["id"], "last_authentication": person["last_signed_in_at"]}
    if "profile" in held:
        claims |= {
            "name": person["name"],
            "preferred_username": person["username"],
            "organization": person["organization"],
            "identity_provider": person["provider_id"],
            "identity_provider_display_name": person["provider_name"],
        }
    if "email" in held:
        claims["email"] = person["email"]
    if scopes.VIEW_IDENTITY_SET in held:
        claims["identity_set"] = [describe_linked(row) for row in linked]
    return claims


def describe_linked(row: Row) -> dict[str, Any]:
    """One entry of `identity_set` in userinfo and `identity_set_detail` in introspection."""
    return {
        "sub": row["id"],
        "username": row["username"],
        "name": row["name"],
        "email": row["email"],
        "organization": row["organization"],
        "status": row["status"],
        "identity_provider": row["provider_id"],
        "identity_provider_display_name": row["provider_name"],
        "identity_type": row["kind"],
        "last_authentication": row["last_signed_in_at"],
    }


def _invalid_grant(description: str) -> OAuthError:
    return OAuthError("invalid_grant", description, 401)


def _consent_required(unapproved: list[str]) -> OAuthError:
    item = {"status": "403", "code": "DEPENDENT_CONSENT_REQUIRED", "unapproved_scopes": unapproved, "title": "Dependent consent required"}
    return OAuthError(
        "dependent_consent_required", "the user has not agreed to what this service depends on", 403, extra={"errors": [item]}
    )
