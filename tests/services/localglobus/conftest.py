"""A real localglobus in a process of its own, a browser for its pages, and the environment of the unmodified Globus clients."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import globus_sdk
import httpx
import pytest

from services.embedded.addresses import free_port
from services.embedded.visitor import Form, FormReader

CHECKOUT = Path(__file__).parents[3]


@dataclass
class LocalGlobus:
    """A running localglobus: `env` holds what its three env files say."""

    data: Path
    port: int
    options: list[str] = field(default_factory=list)
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.2:{self.port}"

    @property
    def portal_redirect(self) -> str:
        return f"http://127.0.0.1:{self.port}/complete/globus/"

    @property
    def env(self) -> dict[str, str]:
        words = [shlex.split(line) for name in ("env", "portal.env", "graph.env") for line in (self.data / name).read_text().splitlines()]
        return dict(word.split("=", 1) for _, word in words)

    def start(self) -> "LocalGlobus":
        command = [sys.executable, "-m", "services.localglobus", "--data", str(self.data), "--port", str(self.port), *self.options]
        self.log = (self.data.parent / f"{self.data.name}.log").open("ab")
        self.process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=self.log)
        line = self.process.stdout.readline()
        if line != b"ready\n":
            pytest.fail(f"localglobus did not start: {Path(self.log.name).read_text()}")
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        status = self.process.wait(timeout=60)
        self.process.stdout.close()
        self.log.close()
        return status

    def client(self, name: str) -> globus_sdk.ConfidentialAppAuthClient:
        """The demo's `portal`, `graph` or `demo` client."""
        prefix = {"portal": "CAUSEWAY_GLOBUS", "graph": "CAUSEWAY_GRAPH", "demo": "GLOBUS_CLI"}[name]
        return globus_sdk.ConfidentialAppAuthClient(self.env[f"{prefix}_CLIENT_ID"], self.env[f"{prefix}_CLIENT_SECRET"])

    def browser(self) -> "Browser":
        return Browser(self)

    def sign_in(self, who: str, scope: str, *, client: str = "portal", offline: bool = False) -> globus_sdk.OAuthTokenResponse:
        """Tokens of a person for one of the demo's clients, by the pages and a code."""
        flow = self.client(client)
        flow.oauth2_start_flow(self.portal_redirect, requested_scopes=scope, refresh_tokens=offline)
        with self.browser() as browser:
            back = browser.authorize(flow.oauth2_get_authorize_url(), who)
        return flow.oauth2_exchange_code_for_tokens(back["code"])


def form_of(page: str) -> Form:
    """The one form of a page."""
    reader = FormReader()
    reader.feed(page)
    (form,) = reader.forms
    return form


class Browser(httpx.Client):
    """Cookies and pages of one browser; `seen` are the pages that a person had to act on."""

    def __init__(self, globus: LocalGlobus) -> None:
        super().__init__(base_url=globus.url, trust_env=False)
        self.site = urlsplit(globus.url).netloc
        self.seen: list[str] = []

    def authorize(self, address: str, who: str, *, decision: str = "allow") -> dict[str, str]:
        """Go through the pages as `who`; the query with which the client gets the browser back."""
        response = self.get(address)
        for _ in range(10):
            if response.is_redirect:
                target = urljoin(str(response.url), response.headers["location"])
                if urlsplit(target).netloc != self.site or urlsplit(target).path == "/v2/web/auth-code":
                    return {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
                response = self.get(target)
                continue
            assert response.status_code == 200, response.text
            response = self.act(response, who, decision)
        raise AssertionError(f"no end of pages: {self.seen}")

    def act(self, response: httpx.Response, who: str, decision: str) -> httpx.Response:
        form = form_of(response.text)
        self.seen.append(form.action)
        choice = {"decision": decision}
        if form.action == "/v2/web/sign-in":
            choice = {"identity": next(button.value for button in form.buttons if who in button.text)}
        if form.action == "/v2/web/second-factor":
            choice = {"code": re.findall(r'id="sent">(\d{6})<', response.text)[0]}
        return self.post(form.action, data={**dict(form.fields), **choice})


@pytest.fixture(scope="session")
def localglobus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGlobus]:
    """One localglobus for all tests that do not stop it."""
    globus = LocalGlobus(tmp_path_factory.mktemp("globus"), free_port()).start()
    yield globus
    globus.stop()


@pytest.fixture
def start_localglobus(tmp_path: Path) -> Iterator[Callable[..., LocalGlobus]]:
    """Starts a localglobus of the test's own; what still runs at the end is killed."""
    started: list[LocalGlobus] = []

    def start(*options: str) -> LocalGlobus:
        globus = LocalGlobus(tmp_path / f"globus{len(started)}", free_port(), list(options)).start()
        started.append(globus)
        return globus

    yield start
    for globus in started:
        if globus.process.poll() is None:
            globus.stop(signal.SIGKILL)


@pytest.fixture
def globus(localglobus: LocalGlobus, monkeypatch: pytest.MonkeyPatch) -> LocalGlobus:
    """The running localglobus, with the environment by which the Globus SDK finds it."""
    use(localglobus, monkeypatch)
    return localglobus


def use(globus: LocalGlobus, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("GLOBUS_"):
            monkeypatch.delenv(name)
    for name, value in globus.env.items():
        if name.startswith("GLOBUS_SDK_"):
            monkeypatch.setenv(name, value)
