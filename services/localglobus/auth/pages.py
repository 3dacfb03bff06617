"""The pages on which a person signs in to the stand-in and agrees to what a client asks for.

`GET /v2/oauth2/authorize` is the way in. It sends to the sign-in page, shows the consent page, or goes straight back to the client with
a code, as the browser's session and the recorded consents allow. Both pages post to routes of their own, with a form token; nothing
changes by GET, but for signing out, which is a link at Globus too.
"""

import functools
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from services.localglobus.auth import clients, consents, grants, identities, requests, sessions
from services.localglobus.auth.policies import Shortfall
from services.localglobus.auth.requests import Asked, PageError, RedirectError
from services.localglobus.auth.sessions import COOKIE, Session
from services.localglobus.errors import ApiError
from services.localglobus.numbers import read_whole
from services.localglobus.store import Connection, Store

Page = Callable[[Request], Awaitable[Response]]
AUTHORIZE = "/v2/oauth2/authorize"
SECOND_FACTOR = "/v2/web/second-factor"
STAMP = "localglobus_asked_at"
"""A parameter of our own: when a request with `prompt=login` first came, signed, so that one sign-in after that is enough."""
HEADERS = {
    "Cache-Control": "no-store",
    # No form-action: browsers apply it to the redirect back to the client, too.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def render(
    request: Request, template: str, context: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] = HEADERS
) -> HTMLResponse:
    """A page of `templates/`, with a cookie for its form token when the browser has none yet."""
    cookies: sessions.Cookies = request.app.state.cookies
    templates: jinja2.Environment = request.app.state.templates
    kept = request.cookies.get(COOKIE)
    cookie = kept if kept and cookies.read(kept) else cookies.make()
    page = templates.get_template(template).render(form_token=cookies.form_token(cookie), **context)
    response = HTMLResponse(page, status_code=status, headers=headers)
    if cookie != kept:
        sessions.set_cookie(response, cookie)
    return response


def refuse(request: Request, message: str, *, status: int = 400) -> Response:
    """A page that says why it does not go on."""
    return render(request, "refused.html", {"message": message}, status=status)


def refuse_in(request: Request, message: str, *, wait_s: int) -> Response:
    """A page that says when to try again."""
    response = refuse(request, f"{message} Try again in {wait_s} seconds.", status=429)
    response.headers["Retry-After"] = str(wait_s)
    return response


def metered(page: Page) -> Page:
    """The page, refused on a page of its own to a browser that asks too often."""

    @functools.wraps(page)
    async def answer(request: Request) -> Response:
        try:
            cookies: sessions.Cookies = request.app.state.cookies
            known = cookies.read(request.cookies.get(COOKIE)) or (request.client.host if request.client else "")
            request.app.state.meter.count(f"browser {known}")
        except ApiError as error:
            return refuse_in(request, "These pages are asked for too often.", wait_s=int(error.headers["Retry-After"]))
        return await page(request)

    return answer


def see(address: str) -> RedirectResponse:
    return RedirectResponse(address, status_code=303, headers={"Cache-Control": "no-store"})


async def authorize(request: Request) -> Response:
    """Sign in, agree, or go back with a code."""
    query = dict(request.query_params)
    if len(query) != len(request.query_params.multi_items()):
        return refuse(request, "A parameter is given twice.")
    store: Store = request.app.state.store
    session = await sessions.read(request)
    try:
        return await _decide(request, store, query, session)
    except PageError as error:
        return refuse(request, str(error))
    except RedirectError as error:
        return see(error.address)


async def _decide(request: Request, store: Store, query: dict[str, str], session: Session | None) -> Response:
    cookies: sessions.Cookies = request.app.state.cookies
    asked_at = _asked_at(cookies, query)
    asked, missing, lack, lines = await store.read(_look, query, session, asked_at)
    if session is None or lack is not None:
        if asked.prompt == "none":
            raise asked.refuse("login_required", "nobody is signed in")
        if asked.prompt == "login" and asked_at is None:
            query = {**query, STAMP: cookies.stamp(_stamped(query))}
        return see(_address_of(asked, lack or Shortfall(), f"{AUTHORIZE}?{urllib.parse.urlencode(query)}"))
    if missing or asked.prompt == "consent":
        if asked.prompt == "none":
            raise asked.refuse("consent_required", "the person has not agreed yet")
        person = await store.read(identities.get, session.identity_id)
        context = {"asked": asked, "lines": lines, "person": person, "query": urllib.parse.urlencode(query)}
        return render(request, "consent.html", context)
    return see(await store.write(_answer, asked, session))


def _asked_at(cookies: sessions.Cookies, query: Mapping[str, str]) -> float | None:
    """When we first saw this very request, if it carries our stamp."""
    return cookies.read_stamp(query.get(STAMP, ""), _stamped(query))


def _stamped(query: Mapping[str, str]) -> str:
    return urllib.parse.urlencode(sorted(pair for pair in query.items() if pair[0] != STAMP))


def _address_of(asked: Asked, lack: Shortfall, target: str) -> str:
    """Where the person shows what is lacking, to come back to `target`."""
    if lack.factor_of is not None:
        return requests.with_query(SECOND_FACTOR, {"identity": lack.factor_of, "next": target, "message": asked.message})
    only = ",".join(lack.usernames)
    return requests.with_query("/v2/web/sign-in", {"next": target, "hint": asked.login_hint, "message": asked.message, "only": only})


def _look(
    connection: Connection, query: Mapping[str, str], session: Session | None, asked_at: float | None
) -> tuple[Asked, list[tuple[str, ...]], Shortfall | None, list[dict[str, object]]]:
    """The checked request; consent paths, what the session still lacks; its scopes in words."""
    asked = requests.read(connection, query, asked_at=asked_at)
    if session is None:
        return asked, [], Shortfall(usernames=asked.required_identities), []
    missing = consents.missing(connection, asked.wanted, identity_id=session.identity_id, client_id=asked.client_id)
    lack = asked.lacking(session, requests.linked_people(connection, session))
    return asked, missing, lack, requests.describe_wanted(connection, asked.wanted, set(missing))


def _answer(connection: Connection, asked: Asked, session: Session, *, agreed: bool = False) -> str:
    """The client's address with a code. With `agreed`, the consents are recorded first; without, they must be there still."""
    if agreed:
        consents.record(
            connection,
            asked.wanted,
            identity_id=session.identity_id,
            client_id=asked.client_id,
            allows_refresh=asked.is_offline,
            is_auto_approved=False,
        )
    elif consents.missing(connection, asked.wanted, identity_id=session.identity_id, client_id=asked.client_id):
        raise asked.refuse("access_denied", "the consent was withdrawn")
    code = grants.make_code(
        connection,
        client_id=asked.client_id,
        identity_id=session.identity_id,
        redirect_uri=asked.redirect_uri,
        names=[scope.name for scope in asked.wanted],
        state=asked.state,
        nonce=asked.nonce,
        challenge=asked.challenge,
        is_offline=asked.is_offline,
        session=session.as_json(),
    )
    return requests.with_query(asked.redirect_uri, {"code": code, "state": asked.state})


async def read_form(request: Request) -> dict[str, str] | None:
    """The fields of a form that one of our pages showed to this browser; None for any other."""
    form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    cookies: sessions.Cookies = request.app.state.cookies
    return form if cookies.is_form_token(request.cookies.get(COOKIE), form.get("form_token", "")) else None


def is_local(path: str) -> bool:
    """Is this a path of our own, and of no other host however a browser reads it?"""
    return path.startswith("/") and not path.startswith("//") and "\\" not in path and not any(ord(letter) < 33 for letter in path)


async def sign_in(request: Request) -> Response:
    """GET shows who can sign in; POST signs in as one of them and goes on to `next`."""
    store: Store = request.app.state.store
    if request.method == "POST":
        return await _sign_in(request, store)
    query = request.query_params
    target = query.get("next", "/v2/web/sign-in")
    if not is_local(target):
        return refuse(request, "That address is not one of this service.")
    people = await store.read(identities.list_people)
    only = {name.lower() for name in query.get("only", "").split(",") if name}
    shown = [row for row in people if not only or row["username"].lower() in only or row["id"] in only]
    session = await sessions.read(request)
    current = session.identity_id if session else None
    hint = query.get("hint", "").lower()
    shown.sort(key=lambda row: (row["username"].lower() != hint and row["id"] != hint, row["id"] != current))
    return render(request, "sign-in.html", {"people": shown, "current": current, "next": target, "message": query.get("message", "")})


async def _sign_in(request: Request, store: Store) -> Response:
    form = await read_form(request)
    if form is None:
        return refuse(request, "This form was not shown in this browser, or is old. Go back and try again.", status=403)
    target = form.get("next", "")
    if not is_local(target):
        return refuse(request, "That address is not one of this service.")
    cookies: sessions.Cookies = request.app.state.cookies
    cookie = cookies.make()
    value, old_value = cookies.read(cookie) or "", cookies.read(request.cookies.get(COOKIE))
    opened = await store.write(sessions.open_session, value=value, identity_id=form.get("identity", ""), old_value=old_value)
    if not opened:
        return refuse(request, "Nobody of that id can sign in here.")
    response = see(target)
    sessions.set_cookie(response, cookie)
    return response


async def consent(request: Request) -> Response:
    """The decision of the consent page: `allow` records it and goes back with a code, anything else with access_denied."""
    form = await read_form(request)
    session = await sessions.read(request)
    if form is None or session is None:
        return refuse(request, "This form was not shown in this browser, or is old. Go back and try again.", status=403)
    query = dict(urllib.parse.parse_qsl(form.get("query", ""), keep_blank_values=True))
    again = f"{AUTHORIZE}?{urllib.parse.urlencode(query)}"
    if form.get("person") != session.identity_id:
        return see(again)
    store: Store = request.app.state.store
    asked_at = _asked_at(request.app.state.cookies, query)
    try:
        address = await store.write(_decide_consent, query, session, asked_at, agreed=form.get("decision") == "allow")
    except PageError as error:
        return refuse(request, str(error))
    except RedirectError as error:
        return see(error.address)
    return see(address or again)


def _decide_consent(
    connection: Connection, query: Mapping[str, str], session: Session, asked_at: float | None, *, agreed: bool
) -> str | None:
    """The client's address; None when the session is no longer enough for what is asked."""
    asked = requests.read(connection, query, asked_at=asked_at)
    if not agreed:
        raise asked.refuse("access_denied", "the person did not agree")
    if asked.lacking(session, requests.linked_people(connection, session)) is not None:
        return None
    return _answer(connection, asked, session, agreed=True)


async def auth_code(request: Request) -> Response:
    """Where a program without a browser of its own sends the person: shows the code to copy."""
    query = request.query_params
    if "code" not in query:
        return refuse(request, query.get("error_description") or query.get("error") or "There is no code here.")
    return render(request, "auth-code.html", {"code": query["code"]})


async def logout(request: Request) -> Response:
    """Sign out of the stand-in; a link leads back to `redirect_uri` when it is on the site of a registered client."""
    store: Store = request.app.state.store
    cookies: sessions.Cookies = request.app.state.cookies
    value = cookies.read(request.cookies.get(COOKIE))
    if value:
        await store.write(sessions.close_session, value)
    query = request.query_params
    target = query.get("redirect_uri", "")
    if not await store.read(clients.is_site_known, target):
        target = ""
    response = render(request, "signed-out.html", {"target": target, "name": query.get("redirect_name", "")})
    sessions.set_cookie(response, cookies.make())
    return response


async def held_consents(request: Request) -> Response:
    """GET lists what the person agreed to; POST takes one back, with all below it."""
    session = await sessions.read(request)
    if session is None:
        return see("/v2/web/sign-in?next=/v2/web/consents")
    store: Store = request.app.state.store
    if request.method == "POST":
        form = await read_form(request)
        consent_id = read_whole(form.get("consent", "")) if form else None
        if consent_id is None:
            return refuse(request, "This form was not shown in this browser, or is old. Go back and try again.", status=403)
        await store.write(consents.withdraw, consent_id, identity_id=session.identity_id)
        return see("/v2/web/consents")
    held = await store.read(consents.list_held, identity_id=session.identity_id)
    return render(request, "consents.html", {"held": held, "person": await store.read(identities.get, session.identity_id)})


routes: list[Route] = [
    Route(AUTHORIZE, metered(authorize), methods=["GET"]),
    Route("/v2/web/sign-in", metered(sign_in), methods=["GET", "POST"]),
    Route("/v2/web/consent", metered(consent), methods=["POST"]),
    Route("/v2/web/consents", metered(held_consents), methods=["GET", "POST"]),
    Route("/v2/web/auth-code", auth_code, methods=["GET"]),
    Route("/v2/web/logout", logout, methods=["GET"]),
]
