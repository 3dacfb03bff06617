"""What a page lacks is asked for at Auth, and then the page goes on: a consent, or a sign-in that is fresher or with another identity.

The request is kept in memory under a random word, which is the `state` of the authorization; `/web/callback` brings it back, once, for
the person who made it. A form that was sent is sent again then, so that she need not fill it in twice.
"""

from __future__ import annotations

import urllib.parse
from typing import Any

from starlette.requests import Request

from services.localglobus.auth.scopes import TRANSFER_ALL
from services.localglobus.auth.sessions import COOKIE, Cookies, Session
from services.localglobus.errors import ApiError
from services.localglobus.settings import Settings
from services.localglobus.webapp.memory import Memory

CALLBACK = "/web/callback"
SESSION_PARAMETERS = (
    "session_message",
    "session_required_identities",
    "session_required_single_domain",
    "session_required_policies",
    "session_required_mfa",
    "prompt",
)


async def way_to_agree(request: Request, session: Session, error: ApiError, *, returned_for: str | None) -> str | None:
    """Returns the address at Auth that leads to what `error` lacks and back here; None when it lacks nothing that can be had there.

    `returned_for` is what the person has just been there for: asking for the same again would not help.
    """
    wanted = error.extra.get("authorization_parameters") or {}
    required = error.extra.get("required_scopes") or wanted.get("required_scopes")
    if not required and not wanted:
        return None
    asked = {"scope": " ".join(required or [TRANSFER_ALL])}
    asked |= {name: _as_text(wanted[name]) for name in SESSION_PARAMETERS if wanted.get(name)}
    lacked = urllib.parse.urlencode(asked)
    if lacked == returned_for:
        return None
    fields = None
    if request.method == "POST":
        cookies: Cookies = request.app.state.cookies
        fields = [(name, value) for name, value in (await request.form()).multi_items() if isinstance(value, str)]
        if not cookies.is_form_token(request.cookies.get(COOKIE), dict(fields).get("form_token", "")):
            return None
    memory: Memory = request.app.state.web
    settings: Settings = request.app.state.settings
    query = {
        "client_id": request.app.state.world.webapp_client,
        "redirect_uri": settings.url + CALLBACK,
        "response_type": "code",
        "state": memory.keep(session.identity_id, address_of(request), fields, lacked=lacked),
        **asked,
    }
    return f"/v2/oauth2/authorize?{urllib.parse.urlencode(query)}"


def address_of(request: Request) -> str:
    """Returns path and query of the request."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _as_text(value: Any) -> str:
    """A parameter of an error document as it goes into an address."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else str(value)
