"""Browsers that come without a token: through Globus Auth and back to the file (authorization code with PKCE, RFC 7636).

A collection is a public client whose id is the collection's and whose redirect URI is `<node>/.dtn/callback`. The browser holds one
opaque cookie; tokens stay in this process's memory, under the cookie's hash, and a restart of the node only means a redirect more.
"""

import base64
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.dtn.errors import BadRequestError, UnauthorizedError
from services.dtn.node import Collection, Node

MOST_SESSIONS = 10_000
MOST_PENDING = 20
PENDING_S = 600.0
CALLBACK = "/.dtn/callback"


@dataclass
class Pending:
    collection_id: str
    back_to: str  # percent-encoded path and query on this node
    verifier: str
    started_at: float


@dataclass
class Session:
    tokens: dict[str, tuple[str, float]] = field(default_factory=dict)  # collection -> (token, monotonic end)
    pending: OrderedDict[str, Pending] = field(default_factory=OrderedDict)  # by state


class Sessions:
    def __init__(self, node: Node) -> None:
        self._node = node
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self.cookie = f"dtn_{node.settings.name}"

    def token(self, request: Request, collection_id: str) -> str | None:
        session = self._find(request)
        token, end = session.tokens.get(collection_id, (None, 0.0)) if session else (None, 0.0)
        return token if time.monotonic() < end else None

    def forget_token(self, request: Request, collection_id: str) -> None:
        session = self._find(request)
        if session is not None:
            session.tokens.pop(collection_id, None)

    def begin(
        self,
        request: Request,
        collection: Collection,
        *,
        back_to: str,
        asks_again: bool = False,
        parameters: Mapping[str, Any] | None = None,
    ) -> Response:
        """Send the browser to sign in (302), remembering where it wanted to go. `parameters` say what must be shown there."""
        session, cookie = self._find(request), None
        if session is None:
            cookie, session = self._open(Session())
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        session.pending[state] = Pending(collection.id, back_to, verifier, time.monotonic())
        while len(session.pending) > MOST_PENDING:
            session.pending.popitem(last=False)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        extra = {"state": state, "code_challenge": challenge, "code_challenge_method": "S256"}
        if asks_again:
            extra["prompt"] = "login"
        extra |= _as_query(parameters or {})
        response = RedirectResponse(self.authorize_url(collection, extra), status_code=302, headers={"Cache-Control": "no-store"})
        if cookie is not None:
            self._set_cookie(response, cookie)
        return response

    def authorize_url(self, collection: Collection, extra: dict[str, str] | None = None) -> str:
        """Return the address of sign-in for a collection, with exactly one `client_id`: clients learn the collection's id from it."""
        parts = urlsplit(collection.authorize_url)
        asked = {
            **dict(parse_qsl(parts.query)),
            "client_id": collection.client_id,
            "response_type": "code",
            "redirect_uri": self._redirect_uri,
            "scope": collection.scope,
            **(extra or {}),
        }
        return urlunsplit(parts._replace(query=urlencode(asked)))

    @property
    def _redirect_uri(self) -> str:
        return self._node.settings.url.rstrip("/") + CALLBACK

    async def finish(self, request: Request) -> Response:
        """Take the browser back from sign-in: trade the code, keep the token, send it to its file under a new session id."""
        session = self._find(request)
        pending = session.pending.pop(request.query_params.get("state", ""), None) if session else None
        if session is None or pending is None or time.monotonic() - pending.started_at > PENDING_S:
            raise BadRequestError("This sign-in was not begun in this browser, or took too long. Open the file's address again.")
        code = request.query_params.get("code")
        if not code:
            raise UnauthorizedError("Sign-in was not completed.")
        tokens = await self._node.control.exchange_code(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._redirect_uri,
                "client_id": self._node.collections[pending.collection_id].client_id,
                "code_verifier": pending.verifier,
            }
        )
        lifetime_s = float(tokens.get("expires_in", 0))
        session.tokens[pending.collection_id] = (str(tokens["access_token"]), time.monotonic() + lifetime_s)
        self._drop(request)
        cookie, _ = self._open(session)  # a new id, so that one planted before sign-in is worth nothing
        response = RedirectResponse(pending.back_to, status_code=303, headers={"Cache-Control": "no-store"})
        self._set_cookie(response, cookie)
        return response

    def end(self, request: Request) -> None:
        self._drop(request)

    def _key(self, cookie: str) -> bytes:
        return hashlib.sha256(cookie.encode()).digest()

    def _find(self, request: Request) -> Session | None:
        cookie = request.cookies.get(self.cookie)
        return self._sessions.get(self._key(cookie)) if cookie else None

    def _open(self, session: Session) -> tuple[str, Session]:
        cookie = secrets.token_urlsafe(32)
        self._sessions[self._key(cookie)] = session
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return cookie, session

    def _drop(self, request: Request) -> None:
        cookie = request.cookies.get(self.cookie)
        if cookie:
            self._sessions.pop(self._key(cookie), None)

    def _set_cookie(self, response: Response, cookie: str) -> None:
        response.set_cookie(self.cookie, cookie, path="/", secure=True, httponly=True, samesite="lax")


def _as_query(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Authorization parameters as the query of an authorize request: lists by commas, true as a word."""
    told = {name: ",".join(map(str, value)) if isinstance(value, list) else value for name, value in parameters.items()}
    return {name: "True" if value is True else str(value) for name, value in told.items() if value}
