"""The gateway to the REST APIs: called inside the process, with a token of the signed-in person that this program's web app holds.

So every act of a page is an API call with its checks, consents, pauses and rate limit. Like Globus's own web app this one is agreed to
without asking; `data_access` to a mapped collection is not, and its consents are asked on the way (`consenting.py`). Tokens are
kept in memory alone, each for the sign-in that it was made for.
"""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.requests import Request

from services.localglobus import recent
from services.localglobus.auth import consents, scopes, tokens
from services.localglobus.auth.scopes import Scope
from services.localglobus.auth.sessions import Session
from services.localglobus.errors import ApiError
from services.localglobus.settings import Settings
from services.localglobus.store import Connection, Store
from services.localglobus.webapp.memory import Memory, forget_oldest

TRANSFER = "transfer.api.globus.org"
GROUPS = "groups.api.globus.org"
VIEW_IDENTITIES = "urn:globus:auth:scope:auth.globus.org:view_identities"
SCOPES = {TRANSFER: scopes.TRANSFER_ALL, GROUPS: scopes.GROUPS_ALL, scopes.AUTH_SERVER: VIEW_IDENTITIES}
KEEP_S = 3600.0
TIMEOUT_S = 60.0

Document = dict[str, Any]
Parameters = Mapping[str, str | int]


@dataclass(frozen=True, kw_only=True)
class Calls:
    """The APIs as one person calls them. Every method raises `ApiError` for what the API refuses, with its code, words and extras."""

    request: Request
    session: Session

    async def transfer(self, method: str, path: str, *, asked: Document | None = None, query: Parameters | None = None) -> Document:
        """Calls `/v0.10/<path>`."""
        return dict(await self._call(TRANSFER, method, f"/v0.10/{path}", asked, query))

    async def groups(self, method: str, path: str, *, asked: Document | None = None, query: Parameters | None = None) -> Any:
        """Calls `/v2/groups<path>`."""
        return await self._call(GROUPS, method, f"/v2/groups{path}", asked, query)

    async def find_identity(self, name: str) -> Document:
        """Returns the identity of a user name or id, made where nobody has that name yet. Raises `ApiError` 404."""
        is_id = "@" not in name
        query = {"ids": name} if is_id else {"usernames": name, "provision": "true"}
        found = (await self._call(scopes.AUTH_SERVER, "GET", "/v2/api/identities", None, query))["identities"]
        if not found:
            raise ApiError("IdentityNotFound", f"Nobody is known as {name}", 404)
        return dict(found[0])

    async def manager(self, collection: Document, method: str, path: str, *, asked: Document | None = None) -> Document:
        """Calls `/api/<path>` at the GCS Manager of a collection (an `endpoint` document); returns the first document of its answer."""
        settings: Settings = self.request.app.state.settings
        node = next((name for name in settings.nodes if settings.gcs_url(name) == collection["gcs_manager_url"]), None)
        if node is None:
            raise ApiError("BadRequest", "This collection has no GCS Manager: it lies on a personal computer", 400)
        answer = await self._call(str(collection["owner_id"]), method, f"/api/{path}", asked, None, node=node)
        return dict(answer["data"][0]) if answer.get("data") else {}

    async def _call(
        self, server: str, method: str, path: str, asked: Document | None, query: Parameters | None, *, node: str | None = None
    ) -> Any:
        client = client_of(self.request, node)
        for is_last in (False, True):
            token = await self._token(server, is_new=is_last)
            headers = {"Authorization": f"Bearer {token}"}
            response = await client.request(method, path, json=asked, params=query, headers=headers)
            if response.status_code != 401:
                break
        if response.status_code >= 400:
            raise read_refusal(response)
        return response.json()

    async def _token(self, server: str, *, is_new: bool) -> str:
        """A token for a resource server that rests on this session; made again when the one at hand was refused."""
        memory: Memory = self.request.app.state.web
        held = memory.tokens
        key = (self.session.identity_id, self.session.as_json(), server)
        token, until = held.get(key, ("", 0.0))
        if is_new or until <= time.monotonic():
            store: Store = self.request.app.state.store
            name = SCOPES.get(server) or scopes.manage_collections(server)
            token = await store.write(_issue, self.request.app.state.world.webapp_client, self.session, server, name)
            held[key] = (token, time.monotonic() + KEEP_S)
            forget_oldest(held)
        return token


def quote(part: str) -> str:
    """Returns a text from a person as one segment of a path. Raises `ApiError` 404 for what would be more or less than one."""
    if not part or part in (".", "..") or "/" in part:
        raise ApiError("ClientError.NotFound", f"There is nothing with the id '{part}'", 404)
    return urllib.parse.quote(part, safe="")


def client_of(request: Request, node: str | None = None) -> httpx.AsyncClient:
    """Returns the client for the main APIs or, with `node`, for that endpoint's GCS Manager; no socket is involved."""
    memory: Memory = request.app.state.web
    if node not in memory.clients:
        app = request.app if node is None else request.app.state.managers[node]
        transport = httpx.ASGITransport(app=recent.wrap(app, via="web app"), raise_app_exceptions=False)
        settings: Settings = request.app.state.settings
        base_url = settings.url if node is None else settings.gcs_url(node)
        memory.clients[node] = httpx.AsyncClient(transport=transport, base_url=base_url, timeout=TIMEOUT_S, trust_env=False)
    return memory.clients[node]


def _issue(db: Connection, client_id: str, session: Session, server: str, name: str) -> str:
    consents.record(db, [Scope(name)], identity_id=session.identity_id, client_id=client_id, allows_refresh=False, is_auto_approved=True)
    grant = tokens.Grant(client_id=client_id, identity_id=session.identity_id, session=session.as_json(), root_client_id=client_id)
    return tokens.issue(db, grant, resource_server=server, names=[name])[1]


def read_refusal(response: httpx.Response) -> ApiError:
    """Returns the error that an API answered with, in whichever of their shapes."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    listed = body.get("errors")
    first = listed[0] if isinstance(listed, list) and listed else {}
    code = body.get("code") or first.get("code") or body.get("error") or "Error"
    message = body.get("message") or first.get("detail") or body.get("error_description") or f"Refused with {response.status_code}"
    detail = body.get("detail")
    extra = {**(detail if isinstance(detail, dict) else {}), **body}
    return ApiError(
        str(code),
        str(message),
        response.status_code,
        extra={name: extra[name] for name in ("required_scopes", "authorization_parameters") if extra.get(name)},
    )
