"""What all pages of the web app share: who is signed in, one way to draw a page, forms with their token, refusals in words.

A page takes the request and the APIs as its person; what an API refuses for want of a consent or a fresher sign-in is asked for at Auth
(`consenting.py`), and everything else that is refused is told on a page.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from services.localglobus.auth import identities, sessions
from services.localglobus.auth import pages as auth_pages
from services.localglobus.auth.sessions import COOKIE, Session
from services.localglobus.errors import ApiError
from services.localglobus.numbers import read_whole
from services.localglobus.store import Store
from services.localglobus.webapp import consenting
from services.localglobus.webapp.calls import Calls
from services.localglobus.webapp.consenting import address_of
from services.localglobus.webapp.memory import Memory, Notice
from services.localglobus.webapp.wording import explain

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
MOST_FIELDS = 5000
MOST = 10**9  # what a listing of Transfer goes on from

see = auth_pages.see

Page = Callable[[Request, Calls], Awaitable[Response]]


def signed_in(page: Page) -> Callable[[Request], Awaitable[Response]]:
    """Returns the page for people who are signed in; anyone else signs in first and comes back to it."""

    async def asked(request: Request) -> Response:
        session = await sessions.read(request)
        if session is None:
            here = address_of(request) if request.method == "GET" else "/file-manager"
            query = {"next": here, "message": "The web app shows files as the person you are."}
            return see(f"/v2/web/sign-in?{urllib.parse.urlencode(query)}")
        calls = Calls(request=request, session=session)
        memory: Memory = request.app.state.web
        returned_for = memory.take_return(session.identity_id, address_of(request))
        try:
            return await page(request, calls)
        except ApiError as error:
            way = await consenting.way_to_agree(request, session, error, returned_for=returned_for)
            return see(way) if way else await refuse(request, calls, error)

    return asked


async def refuse(request: Request, calls: Calls, error: ApiError) -> Response:
    """A page that says in words why it does not go on."""
    return await draw(request, calls, "refused.html", {"words": explain(error), "error": error}, status=error.http_status)


async def draw(request: Request, calls: Calls, template: str, context: Mapping[str, Any], *, status: int = 200) -> HTMLResponse:
    """A page of `templates/webapp/` for the signed-in person, with the notices that wait for her."""
    memory: Memory = request.app.state.web
    store: Store = request.app.state.store
    person = await store.read(identities.get, calls.session.identity_id)
    shared = {
        "who": person["username"] if person else calls.session.identity_id,
        "here": address_of(request) if request.method == "GET" else "/file-manager",
        "notices": memory.take_notices(calls.session.session_id),
    }
    return render(request, f"webapp/{template}", {**shared, **context}, status=status)


def render(request: Request, template: str, context: Mapping[str, Any], *, status: int = 200) -> HTMLResponse:
    """A page with a form token, and a cookie for it when the browser has none yet."""
    return auth_pages.render(request, template, {"area": request.url.path, **context}, status=status, headers=HEADERS)


class Form:
    """The fields of a posted form of ours: texts without blanks around them."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self.fields = fields

    def text(self, name: str) -> str:
        return next((value.strip() for key, value in self.fields if key == name), "")

    def texts(self, name: str) -> list[str]:
        """All values of a field as they were sent: names of files may begin or end with a blank."""
        return [value for key, value in self.fields if key == name]

    def has(self, name: str) -> bool:
        """Whether a box is ticked."""
        return any(key == name for key, _ in self.fields)


async def read_form(request: Request) -> Form:
    """Returns the form that one of our pages showed to this browser. Raises `ApiError` 403 `FormExpired` for any other one."""
    posted = await request.form(max_fields=MOST_FIELDS)
    form = Form([(name, value) for name, value in posted.multi_items() if isinstance(value, str)])
    cookies: sessions.Cookies = request.app.state.cookies
    if not cookies.is_form_token(request.cookies.get(COOKIE), form.text("form_token")):
        raise ApiError("FormExpired", "The form's token is not the one of this browser", 403)
    return form


def tell(request: Request, session: Session, words: str, *, address: str = "", link: str = "", kind: str = "done") -> None:
    """Shows a line on the person's next page."""
    memory: Memory = request.app.state.web
    memory.tell(session.session_id, Notice(words=words, kind=kind, address=address, link=link))


def number(request: Request, name: str, default: int = 0) -> int:
    """Returns a whole number of the query; the default for anything else."""
    found = read_whole(request.query_params.get(name, ""))
    return default if found is None or found > MOST else found
