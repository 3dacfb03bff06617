"""Sign-in, consent, sign-out and bearer tokens against the running processes, driven as a browser and a script drive them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from services.embedded.stack import Stack
from services.embedded.visitor import Page, Visitor

pytestmark = pytest.mark.journey

CHECKOUT = Path(__file__).resolve().parents[2]

TRANSFER = "urn:globus:auth:scope:transfer.api.globus.org:all"


@pytest.fixture
def visitor(stack: Stack) -> Iterator[Callable[[], Visitor]]:
    """Browser profiles at the portal's address, closed at the end."""
    opened: list[Visitor] = []

    def made() -> Visitor:
        opened.append(Visitor(ca_file=stack.ca_file, start=stack.base_url))
        return opened[-1]

    yield made
    for one in opened:
        one.close()


def sign_in(browser: Visitor, who: str, next_url: str = "/profile/") -> Page:
    page = browser.submit(browser.open(f"/signin/?next={quote(next_url)}"), "Continue to Globus")
    return allow(browser, browser.submit(page, who) if page.has_button(who) else page)


def allow(browser: Visitor, page: Page) -> Page:
    return browser.submit(page, "Allow") if page.has_button("Allow") else page


def test_sign_in_returns_to_where_it_began_and_asks_login_scopes_only(visitor, stack):
    browser = visitor()
    page = browser.submit(browser.open("/signin/?next=/profile/"), "Continue to Globus")
    page = browser.submit(page, "ada@university.example")
    if page.has_button("Allow"):
        assert "transfer" not in page.text.lower().replace("globus transfer.", "")
        page = browser.submit(page, "Allow")
    assert page.url == f"{stack.base_url}/profile/"
    assert "ada@observatory.example" in page.text


@pytest.mark.parametrize("address", ["https://evil.example/", "//evil.example/", "/\\evil.example/"])
def test_a_forged_way_back_leads_home(visitor, stack, address):
    browser = visitor()
    page = browser.submit(browser.open("/signin/"), "Continue to Globus", next=address)
    page = allow(browser, browser.submit(page, "cy@elsewhere.example"))
    assert page.url == f"{stack.base_url}/"


def test_roles_come_from_the_groups_of_globus(visitor):
    assert "Operator" in sign_in(visitor(), "dee@archive.example").text
    assert "Steward" in sign_in(visitor(), "ben@archive.example").text
    assert "You are in none of the Globus groups" in sign_in(visitor(), "cy@elsewhere.example").text


def test_an_operator_enters_the_administration_without_a_password(visitor):
    browser = visitor()
    page = sign_in(browser, "dee@archive.example", "/admin/")
    assert "Causeway administration" in page.text


def test_a_consent_is_asked_on_the_way_and_returns_there(visitor, stack):
    browser = visitor()
    sign_in(browser, "ada@university.example")
    campus = stack.globus_environment["CAUSEWAY_CAMPUS_COLLECTION"]
    scope = quote(f"{TRANSFER}[*https://auth.globus.org/scopes/{campus}/data_access]")
    asked = browser.open(f"/consent/?scope={scope}&next=/profile/")
    assert "Read and write files in Campus storage" in asked.text
    page = allow(browser, browser.submit(asked, "Continue to Globus"))
    assert page.url == f"{stack.base_url}/profile/"
    assert "Copying files between collections" in page.text
    page = browser.submit(page, "Forget Copying files")
    assert page.url == f"{stack.base_url}/profile/"
    assert "Copying files between collections" not in page.text
    allow(browser, browser.submit(browser.open(f"/consent/?scope={scope}&next=/profile/"), "Continue to Globus"))
    page = browser.submit(browser.open("/profile/"), "Sign out everywhere")
    assert "Copying files between collections" not in sign_in(browser, "ada@university.example").text


def test_another_identity_that_comes_back_is_refused_in_words(visitor, stack):
    browser = visitor()
    sign_in(browser, "ada@university.example")
    page = browser.open(f"/consent/?scope={quote(TRANSFER)}&next=/profile/")
    browser.open(f"{stack.globus_environment['GLOBUS_SDK_SERVICE_URL_AUTH']}v2/web/logout")
    page = browser.submit(page, "Continue to Globus")
    page = allow(browser, browser.submit(page, "cy@elsewhere.example"))
    assert page.status == 403
    assert "another identity" in page.text
    assert "ada@university.example" in browser.open("/profile/").text


def test_refusing_at_globus_says_so(visitor, stack):
    browser = visitor()
    sign_in(browser, "ben@archive.example")
    scope = quote(stack.globus_environment["CAUSEWAY_GRAPH_SCOPE"])
    page = browser.submit(browser.open(f"/consent/?scope={scope}&next=/profile/"), "Continue to Globus")
    page = browser.submit(page, "Deny")
    assert page.status == 403
    assert "did not agree" in page.text


def token_for(stack: Stack, scope: str) -> str:
    env = stack.globus_environment
    client = (env["GLOBUS_CLI_CLIENT_ID"], env["GLOBUS_CLI_CLIENT_SECRET"])
    asked = {"grant_type": "client_credentials", "scope": scope}
    answer = httpx.post(f"{env['GLOBUS_SDK_SERVICE_URL_AUTH']}v2/oauth2/token", auth=client, data=asked)
    return str(answer.raise_for_status().json()["access_token"])


def ask_with(stack: Stack, token: str) -> httpx.Response:
    return httpx.get(f"{stack.base_url}/api/v1/data-requests/", headers={"Authorization": f"Bearer {token}"})


def test_a_token_for_the_portals_scope_opens_the_api(stack):
    answer = ask_with(stack, token_for(stack, stack.globus_environment["CAUSEWAY_API_SCOPE"]))
    assert answer.status_code == 200
    assert answer.json()["results"] == []


def test_the_lines_of_the_readme_use_the_api(stack):
    """As they stand, but for the place and the port of this stack."""
    readme = (CHECKOUT / "README.md").read_text().split("\n## Use the API\n")[1].split("\n## ")[0]
    lines = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)[0]
    lines = lines.replace(".causeway/globus", str(stack.places.globus)).replace("http://127.0.0.1:8000", stack.base_url)
    lines = lines.replace(".venv/bin/python", sys.executable).replace("curl ", "curl --silent --show-error --fail --noproxy '*' ")
    done = subprocess.run(["sh", "-euc", lines], cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert '"results":[]' in done.stdout
    assert '"total":' in done.stdout


def test_a_token_for_another_service_is_not_accepted(stack):
    answer = ask_with(stack, token_for(stack, TRANSFER))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "token-refused"


def test_a_revoked_or_made_up_token_is_not_accepted(stack):
    env = stack.globus_environment
    token = token_for(stack, env["CAUSEWAY_API_SCOPE"])
    client = (env["GLOBUS_CLI_CLIENT_ID"], env["GLOBUS_CLI_CLIENT_SECRET"])
    httpx.post(f"{env['GLOBUS_SDK_SERVICE_URL_AUTH']}v2/oauth2/token/revoke", auth=client, data={"token": token}).raise_for_status()
    assert ask_with(stack, token).status_code == 401
    assert ask_with(stack, "made-up").status_code == 401


def test_the_log_of_the_portal_holds_no_token_code_or_address(visitor, stack):
    token = token_for(stack, stack.globus_environment["CAUSEWAY_API_SCOPE"])
    ask_with(stack, token)
    sign_in(visitor(), "ada@university.example")
    log = "".join(path.read_text(errors="replace") for path in stack.places.logs.glob("web*"))
    assert '"message": "signed in"' in log
    assert token not in log
    assert "ada@university.example" not in log
    assert not re.search(r"[?&]code=", log)
