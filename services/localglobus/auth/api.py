"""The HTTP side of the Auth API: token, introspection, userinfo, identities, consents, clients. The pages are in `pages.py`."""

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.localglobus import errors
from services.localglobus.auth import clients, consents, grants, identities, introspection, scopes, tokens
from services.localglobus.auth.tokens import Caller
from services.localglobus.bodies import read_object
from services.localglobus.errors import ApiError, OAuthError
from services.localglobus.numbers import read_whole
from services.localglobus.settings import Settings
from services.localglobus.store import Connection, Store

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


async def _read_form(request: Request) -> dict[str, str]:
    """The form's fields as text; a repeated field or an upload is refused."""
    form = await request.form()
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        if not isinstance(value, str) or name in fields:
            raise OAuthError("invalid_request", f"{name} must be given once, as text")
        fields[name] = value
    return fields


async def discovery(request: Request) -> Response:
    settings: Settings = request.app.state.settings
    url = settings.url
    return JSONResponse(
        {
            "issuer": url,
            "authorization_endpoint": f"{url}/v2/oauth2/authorize",
            "userinfo_endpoint": f"{url}/v2/oauth2/userinfo",
            "token_endpoint": f"{url}/v2/oauth2/token",
            "revocation_endpoint": f"{url}/v2/oauth2/token/revoke",
            "introspection_endpoint": f"{url}/v2/oauth2/token/introspect",
            "jwks_uri": f"{url}/jwk.json",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", grants.DEPENDENT_GRANT],
            "id_token_signing_alg_values_supported": ["RS512"],
            "scopes_supported": ["openid", "email", "profile"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "claims_supported": ["sub", "name", "email", "preferred_username", "organization", "identity_provider", "nonce", "iat", "exp"],
            "subject_types_supported": ["public"],
            "code_challenge_methods_supported": ["S256"],
        }
    )


async def jwks(request: Request) -> Response:
    return JSONResponse({"keys": [request.app.state.issuer.key.jwk]})


async def token(request: Request) -> Response:
    form = await _read_form(request)
    client_id, secret = clients.read_credentials(request.headers.get("authorization"), form)
    answer = await _store(request).write(_grant, form, client_id, secret, request.app.state.issuer)
    if isinstance(answer, OAuthError):
        raise answer
    return JSONResponse(answer, headers=NO_STORE)


def _grant(
    connection: Connection, form: Mapping[str, str], client_id: str, secret: str | None, issuer: grants.Issuer
) -> dict[str, Any] | list[dict[str, Any]] | OAuthError:
    kind = form.get("grant_type")
    client = clients.authenticate(connection, client_id, secret, allow_public=kind in ("authorization_code", "refresh_token"))
    if kind == "authorization_code":
        return grants.exchange_code(connection, form, client, issuer)
    if kind == "refresh_token":
        return grants.refresh(connection, form, client)
    if kind == "client_credentials":
        return grants.client_credentials(connection, form, client, issuer)
    if kind == grants.DEPENDENT_GRANT:
        return grants.dependent_tokens(connection, form, client)
    raise OAuthError("unsupported_grant_type", f"grant_type {kind!r} is not supported")


async def introspect(request: Request) -> Response:
    form = await _read_form(request)
    client_id, secret = clients.read_credentials(request.headers.get("authorization"), form)
    settings: Settings = request.app.state.settings
    answer = await _store(request).read(_introspect, form, client_id, secret, settings.url)
    return JSONResponse(answer, headers=NO_STORE)


def _introspect(connection: Connection, form: Mapping[str, str], client_id: str, secret: str | None, url: str) -> dict[str, Any]:
    client = clients.authenticate(connection, client_id, secret)
    return introspection.describe(connection, form.get("token", ""), client, include=set(form.get("include", "").split(",")), issuer=url)


async def validate(request: Request) -> Response:
    """Is this token, of the asking client, live? The Globus CLI asks at every command."""
    form = await _read_form(request)
    client_id, secret = clients.read_credentials(request.headers.get("authorization"), form)
    return JSONResponse({"active": await _store(request).read(_validate, form.get("token", ""), client_id, secret)}, headers=NO_STORE)


def _validate(connection: Connection, value: str, client_id: str, secret: str | None) -> bool:
    client = clients.authenticate(connection, client_id, secret, allow_public=True)
    row = tokens.find(connection, value)
    return row is not None and row["client_id"] == client["id"]


async def revoke(request: Request) -> Response:
    """Always `{"active": false}`. Holding the token is right enough: the CLI names its template here and gives no secret.

    Without a token nothing is revoked: the CLI of a client, which has no refresh tokens, asks so at its logout.
    """
    form = await _read_form(request)
    await _store(request).write(_revoke, form, request.headers.get("authorization"))
    return JSONResponse({"active": False}, headers=NO_STORE)


def _revoke(connection: Connection, form: Mapping[str, str], authorization: str | None) -> None:
    if authorization:
        clients.authenticate(connection, *clients.read_credentials(authorization, form))
    tokens.revoke(connection, form.get("token", ""))


async def userinfo(request: Request) -> Response:
    caller = await tokens.authenticate(request)
    if "openid" not in caller.scopes:
        raise errors.forbidden(request, "the token lacks the scope openid")
    return JSONResponse(await _store(request).read(grants.describe_person, caller.identity_id, caller.scopes), headers=NO_STORE)


async def _authenticate(request: Request) -> Caller:
    """Who calls with a token for Auth itself: what a collection or another service was given is good there alone."""
    caller = await tokens.authenticate(request)
    if caller.resource_server != scopes.AUTH_SERVER:
        raise errors.unauthenticated(request)
    return caller


async def _authenticate_any(request: Request) -> Caller | str:
    """A bearer token, or a client's own credentials: its id."""
    header = request.headers.get("authorization", "")
    if not header.lower().startswith("basic "):
        return await _authenticate(request)
    client_id, secret = clients.read_credentials(header, {})
    await _store(request).read(clients.authenticate, client_id, secret)
    return client_id


async def list_identities(request: Request) -> Response:
    await _authenticate_any(request)
    query = request.query_params
    if ("usernames" in query) == ("ids" in query):
        raise ApiError("INVALID_PARAMETERS", "give either usernames or ids", 400)
    provisions = query.get("provision", "false").lower() == "true"
    if provisions and "ids" in query:
        raise ApiError("INVALID_PARAMETERS", "provision goes with usernames only", 400)
    wanted = [part.strip() for part in (query.get("usernames") or query.get("ids") or "").split(",") if part.strip()]
    if len(wanted) > 500:
        raise ApiError("INVALID_PARAMETERS", "at most 500 at a time", 400)
    if "ids" in query and not all(UUID.fullmatch(value.lower()) for value in wanted):
        raise ApiError("INVALID_PARAMETERS", "ids are UUIDs", 400)
    act = _store(request).write if provisions else _store(request).read
    with_providers = "identity_provider" in query.get("include", "")
    return JSONResponse(await act(_list_identities, wanted, "ids" in query, provisions=provisions, with_providers=with_providers))


def _list_identities(connection: Connection, wanted: list[str], by_id: bool, *, provisions: bool, with_providers: bool) -> dict[str, Any]:
    found = []
    for value in dict.fromkeys(wanted):
        if by_id:
            row = identities.get(connection, value.lower())
        else:
            row = identities.provision(connection, value) if provisions else identities.find_by_username(connection, value)
        if row is not None:
            found.append(row)
    answer: dict[str, Any] = {"identities": [identities.describe(row) for row in found]}
    if with_providers:
        ids = {row["provider_id"] for row in found}
        providers = connection.execute("select * from identity_provider").fetchall()
        answer["included"] = {"identity_providers": [identities.describe_provider(row) for row in providers if row["id"] in ids]}
    return answer


async def list_providers(request: Request) -> Response:
    await _authenticate_any(request)
    query = request.query_params
    if ("domains" in query) == ("ids" in query):
        raise ApiError("INVALID_PARAMETERS", "give either domains or ids", 400)
    wanted = set((query.get("domains") or query.get("ids") or "").split(","))
    rows = await _store(request).read(lambda connection: connection.execute("select * from identity_provider").fetchall())
    found = [identities.describe_provider(row) for row in rows]
    kept = [one for one in found if one["id"] in wanted or wanted & set(one["domains"])]
    return JSONResponse({"identity_providers": kept})


async def list_consents(request: Request) -> Response:
    """Of oneself; also for a client asking by its own token."""
    caller = await _authenticate(request)
    identity_id = request.path_params["identity_id"]
    if identity_id not in caller.identity_ids:
        raise errors.forbidden(request, "only the consents of one's own identity")
    return JSONResponse({"consents": await _store(request).read(consents.describe_all, identity_id=identity_id)})


async def withdraw_consent(request: Request) -> Response:
    caller = await _authenticate(request)
    identity_id, consent_id = request.path_params["identity_id"], read_whole(request.path_params["consent_id"])
    if identity_id not in caller.identity_ids:
        raise errors.forbidden(request, "only the consents of one's own identity")
    if consent_id is None or not await _store(request).write(consents.withdraw, consent_id, identity_id=identity_id):
        raise ApiError("NOT_FOUND", "no such consent", 404)
    return Response(status_code=204)


async def make_client(request: Request) -> Response:
    """An instance of the Globus CLI's template, without authentication: with a secret of its own and loopback redirects."""
    try:
        asked = (await read_object(request, code="BAD_REQUEST"))["client"]
        template, name = str(asked["template_id"]), str(asked["name"])
    except (KeyError, TypeError):
        raise ApiError("BAD_REQUEST", "client.template_id and client.name are needed", 400) from None
    if template != clients.CLI_TEMPLATE:
        raise ApiError("FORBIDDEN", "only the template of the Globus CLI makes clients here", 403)
    settings: Settings = request.app.state.settings
    return JSONResponse(await _store(request).write(_make_client, template, name, settings.url), status_code=201)


def _make_client(connection: Connection, template: str, name: str, url: str) -> dict[str, Any]:
    client_id = str(uuid.uuid4())
    redirects = [f"{url}/v2/web/auth-code", "http://localhost", "http://127.0.0.1"]
    clients.create(connection, client_id=client_id, name=name, redirect_uris=redirects, parent_id=template)
    credential_id, secret = clients.make_secret(connection, client_id)
    credential = {"name": "Auto-created at client creation", "id": credential_id, "client": client_id, "secret": secret}
    return {"client": _describe_client(connection, client_id), "included": {"client_credential": credential}}


def _describe_client(connection: Connection, client_id: str) -> dict[str, Any]:
    row = clients.get(connection, client_id)
    if row is None:
        raise ApiError("NOT_FOUND", "no such client", 404)
    return {
        "id": row["id"],
        "name": row["name"],
        "fqdns": [],
        "public_client": bool(row["is_public"]),
        "client_type": "public_installed_client" if row["is_public"] else "confidential_client",
        "scopes": [],
        "grant_types": ["authorization_code", "client_credentials", "refresh_token"],
        "redirect_uris": json.loads(row["redirect_uris"]),
        "required_idp": None,
        "preselect_idp": None,
        "userinfo_from_effective_identity": True,
        "prompt_for_named_grant": False,
        "links": {"privacy_policy": None, "terms_and_conditions": None},
        "visibility": "private",
        "parent_client": row["parent_id"],
        "project": None,
    }


async def delete_client(request: Request) -> Response:
    """By the client itself, with its own secret."""
    client_id, secret = clients.read_credentials(request.headers.get("authorization"), {})
    return JSONResponse({"client": await _store(request).write(_delete_client, request.path_params["client_id"], client_id, secret)})


def _delete_client(connection: Connection, wanted: str, client_id: str, secret: str | None) -> dict[str, Any]:
    client = clients.authenticate(connection, client_id, secret)
    if client["id"] != wanted or client["parent_id"] is None:
        raise ApiError("FORBIDDEN", "a client instance deletes itself only", 403)
    described = _describe_client(connection, wanted)
    clients.delete(connection, wanted)
    return described


routes: list[Route] = [
    Route("/.well-known/openid-configuration", discovery, methods=["GET"]),
    Route("/jwk.json", jwks, methods=["GET"]),
    Route("/v2/oauth2/token", token, methods=["POST"]),
    Route("/v2/oauth2/token/introspect", introspect, methods=["POST"]),
    Route("/v2/oauth2/token/validate", validate, methods=["POST"]),
    Route("/v2/oauth2/token/revoke", revoke, methods=["POST"]),
    Route("/v2/oauth2/userinfo", userinfo, methods=["GET"]),
    Route("/v2/api/identities", list_identities, methods=["GET"]),
    Route("/v2/api/identity_providers", list_providers, methods=["GET"]),
    Route("/v2/api/identities/{identity_id}/consents", list_consents, methods=["GET"]),
    Route("/v2/api/identities/{identity_id}/consents/{consent_id}", withdraw_consent, methods=["DELETE"]),
    Route("/v2/api/clients", make_client, methods=["POST"]),
    Route("/v2/api/clients/{client_id}", delete_client, methods=["DELETE"]),
]
