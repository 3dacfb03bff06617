"""The way back from Auth: `/web/callback` goes on with what waited for a consent or a sign-in."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from services.localglobus.auth import sessions
from services.localglobus.auth.sessions import COOKIE
from services.localglobus.errors import ApiError
from services.localglobus.webapp.calls import Calls, client_of
from services.localglobus.webapp.memory import Kept, Memory
from services.localglobus.webapp.pages import HEADERS, draw, see


async def callback(request: Request, calls: Calls) -> Response:
    """Goes on, or says that it was not agreed to. The code that comes along is not needed: this is Auth's own process."""
    memory: Memory = request.app.state.web
    kept = memory.take(request.query_params.get("state", ""))
    if kept is None:
        raise ApiError("FormExpired", "This way back was used before, or is too old", 400)
    if kept.identity_id != calls.session.identity_id and kept.fields is not None:
        raise ApiError("FormExpired", "Somebody else began this; you are signed in as another person now", 400)
    if "error" in request.query_params:
        return await draw(request, calls, "not-agreed.html", {"target": kept.target if kept.fields is None else ""}, status=403)
    if kept.identity_id == calls.session.identity_id:
        memory.note_return(kept)
    return see(kept.target) if kept.fields is None else await _send_again(request, kept)


async def _send_again(request: Request, kept: Kept) -> Response:
    """Posts a kept form as this browser, whose session may be a new one by now, and hands on the answer."""
    cookies: sessions.Cookies = request.app.state.cookies
    cookie = request.cookies.get(COOKIE, "")
    fields: dict[str, list[str]] = {}
    for name, value in kept.fields or ():
        fields.setdefault(name, []).append(value)
    fields["form_token"] = [cookies.form_token(cookie)]
    answer = await client_of(request).post(kept.target, data=fields, headers={"Cookie": f"{COOKIE}={cookie}"})
    passed = {name: answer.headers[name] for name in ("location", "content-type") if name in answer.headers}
    return Response(answer.content, status_code=answer.status_code, headers={**HEADERS, **passed})
