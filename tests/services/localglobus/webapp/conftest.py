"""The web app of a localglobus with its nodes, in browsers without a script engine: one for each person."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urljoin

import httpx
import pytest

from tests.services.localglobus.conftest import Browser, form_of
from tests.services.localglobus.transfer.conftest import Sites, folder, running_sites, sites

__all__ = ["folder", "running_sites", "sites"]


@dataclass
class Visitor:
    """A person in front of the web app: `seen` are the pages of Auth that she passed."""

    browser: Browser
    who: str
    decision: str = "allow"
    seen: list[str] = field(default_factory=list)
    token: str = ""
    page: httpx.Response = field(default_factory=lambda: httpx.Response(200))

    def open(self, address: str) -> httpx.Response:
        """A page, through sign-in and consents where they are asked."""
        return self._follow(self.browser.get(address))

    def send(self, address: str, fields: dict) -> httpx.Response:
        """A form of the page that is open, with its token; lists are fields given several times."""
        if "form_token" in self.page.text:
            self.token = read_token(self.page)
        return self._follow(self.browser.post(address, data={"form_token": self.token, **fields}))

    def press(self, act: str, **fields) -> httpx.Response:
        """A button of the file manager."""
        view = unescape(find(r'name="view" value="([^"]*)"', self.page.text))
        nonce = find(r'name="nonce" value="([^"]*)"', self.page.text)
        return self.send("/file-manager", {"view": view, "nonce": nonce, "act": act, **fields})

    def _follow(self, response: httpx.Response) -> httpx.Response:
        for _ in range(12):
            if response.is_redirect:
                response = self.browser.get(urljoin(str(response.url), response.headers["location"]))
            elif str(response.url.path).startswith("/v2/"):
                form = form_of(response.text)
                self.seen.append(form.action)
                choice = {"decision": self.decision}
                if form.action == "/v2/web/sign-in":
                    choice = {"identity": next(button.value for button in form.buttons if self.who in button.text)}
                response = self.browser.post(form.action, data={**dict(form.fields), **choice})
            else:
                self.page = response
                return response
        raise AssertionError(f"no end of pages: {self.seen}")


@pytest.fixture
def person(sites: Sites) -> Iterator[Callable[[str], Visitor]]:
    """A person by the beginning of her user name, signed in and with no consent given to the web app: always the same browser."""
    visitors: dict[str, Visitor] = {}

    def make(who: str) -> Visitor:
        if who not in visitors:
            visitors[who] = Visitor(sites.globus.browser(), f"{who}@")
            visitors[who].open("/activity")
        return visitors[who]

    yield make
    for visitor in visitors.values():
        forget_consents(visitor)
        visitor.browser.close()


def forget_consents(visitor: Visitor) -> None:
    """Takes back what she agreed to for the web app, so that it is asked for again."""
    for _ in range(20):
        page = visitor.browser.get("/v2/web/consents")
        section = page.text.partition("<h2>Globus web app")[2].partition("<h2>")[0]
        found = re.search(r'name="consent" value="(\d+)"', section)
        if found is None:
            return
        visitor.browser.post("/v2/web/consents", data={"form_token": read_token(page), "consent": found[1]})
    raise AssertionError("consents do not end")


@pytest.fixture
def visit(person: Callable[[str], Visitor]) -> Callable[[str, str], httpx.Response]:
    """Opens an address as someone, by way of the sign-in page at first."""
    return lambda who, address: person(who.removesuffix("@")).open(address)


@pytest.fixture
def admin(sites: Sites) -> Iterator[httpx.Client]:
    """A browser in which nobody is signed in."""
    with httpx.Client(base_url=sites.globus.url, trust_env=False, follow_redirects=True) as browser:
        yield browser


def act(admin: httpx.Client, page: str, **fields: str) -> httpx.Response:
    """What a button of an admin page does."""
    shown = admin.get("/admin/identities")  # it has a form, whatever there is
    return admin.post("/admin/act", data={"form_token": read_token(shown), "back": f"/admin/{page}", **fields})


@pytest.fixture
def cut_off(admin: httpx.Client) -> Iterator[None]:
    """The campus node is disconnected for the time of a test, so that its tasks wait."""
    act(admin, "collections", act="disconnect", node="campus")
    yield
    act(admin, "collections", act="connect", node="campus")


def find(pattern: str, text: str) -> str:
    """What the group of a pattern holds in a text that must have it."""
    found = re.search(pattern, text)
    assert found is not None, f"{pattern} is not in {text[-2000:]}"
    return found[1]


def read_token(page: httpx.Response) -> str:
    return find(r'name="form_token" value="([0-9a-f]+)"', page.text)


def notices(page: httpx.Response) -> str:
    """The lines on top of a page that say what was done, or not."""
    return " ".join(re.findall(r'<p class="told.*?</p>', page.text, re.DOTALL))
