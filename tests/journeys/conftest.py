"""The whole product as real processes, and the people who use it through its pages and its API."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_string, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser

from services.embedded.check import Check
from services.embedded.main_job import call_api, let_time_pass, pass_globus
from services.embedded.stack import CHECKOUT, Stack
from services.embedded.visitor import Page, Visitor
from tests.journeys.chromium import open_browser

PEOPLE = {
    "ada": "ada@university.example",
    "ben": "ben@archive.example",
    "cy": "cy@elsewhere.example",
    "dee": "dee@archive.example",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.journey)


@dataclass
class Person:
    """Somebody with a browser, signed in to the portal."""

    name: str
    visitor: Visitor
    stack: Stack

    @property
    def identity(self) -> str:
        return PEOPLE[self.name]

    def open(self, address: str) -> Page:
        """A page, through Globus Auth where it asks."""
        return pass_globus(self.visitor, self.visitor.open(address), person=self.identity)

    def submit(self, page: Page, words: str, **values: Any) -> Page:
        return pass_globus(self.visitor, self.visitor.submit(page, words, **values), person=self.identity)

    def api(self, path: str, asked: dict[str, Any] | None = None, *, expected: int = 0) -> Any:
        return call_api(self.visitor, path, asked, expected=expected)

    def ask_for_share(self, dataset: str, **selection: Any) -> str:
        """The id of a new data request for a share."""
        made = self.api("data-requests", {"kind": "share", "selections": [{"dataset": dataset, **selection}]})
        return str(made["id"])

    def wait(self, request_id: str, *statuses: str, timeout_s: float = 120) -> Any:
        """The request's document once it has one of the statuses."""

        def look() -> Any:
            found = self.api(f"data-requests/{request_id}")
            return found if found["status"] in statuses else None

        return wait_until(look, f"request {request_id} in {statuses}", timeout_s=timeout_s)


def wait_until(look: Callable[[], Any], what: str, *, timeout_s: float = 120) -> Any:
    """Ask until the answer is true; fails the test naming `what`."""
    deadline = time.monotonic() + timeout_s
    while not (seen := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"not seen within {timeout_s:.0f} s: {what}")
        time.sleep(0.2)  # polling real processes has no event to wait for
    return seen


@dataclass
class Site:
    """The running product, and what an observer outside of it can see."""

    stack: Stack
    people: dict[str, Person]

    def person(self, name: str) -> Person:
        """One of the cast, signed in; the same browser in all tests, as long as none of them signs her out everywhere."""
        known = self.people.get(name)
        if known is not None and urlsplit(known.visitor.open("/profile/").url).path == "/profile/":
            return known
        if known is not None:
            known.visitor.close()
        self.people[name] = self.new_person(name)
        return self.people[name]

    def new_person(self, name: str) -> Person:
        """One of the cast in a browser of her own."""
        person = Person(name, self.stranger(), self.stack)
        page = person.submit(person.open("/signin/?next=/profile/"), "Continue to Globus")
        assert person.identity in page.text
        return person

    def stranger(self) -> Visitor:
        """A browser in which nobody is signed in."""
        return Visitor(ca_file=self.stack.ca_file, start=self.stack.base_url + "/")

    def mails(self, words: str) -> list[EmailMessage]:
        """The mails with `words` in them."""
        texts = [path.read_text() for path in sorted(self.stack.places.mail.rglob("*.eml"))]  # not those half written
        return [mail for mail in (message_from_string(t, policy=policy.default) for t in texts) if words in body_of(mail)]

    def share_folder(self, request_id: str) -> Path:
        return self.stack.places.archive / "shares/requests" / request_id

    def globus(self) -> httpx.Client:
        """Globus Transfer as the portal's own client sees it: for looking at rules and tasks from outside."""
        environment = self.stack.portal_environment()
        token = httpx.post(
            f"{self.stack.addresses.localglobus}/v2/oauth2/token",
            auth=(environment["CAUSEWAY_GLOBUS_CLIENT_ID"], environment["CAUSEWAY_GLOBUS_CLIENT_SECRET"]),
            data={"grant_type": "client_credentials", "scope": "urn:globus:auth:scope:transfer.api.globus.org:all"},
            trust_env=False,
        ).json()["access_token"]
        return httpx.Client(
            base_url=f"{self.stack.addresses.localglobus}/v0.10/", headers={"Authorization": f"Bearer {token}"}, trust_env=False
        )

    def rules(self, path: str, *, collection: str = "") -> list[dict[str, Any]]:
        """The access rules on a path of the share collection."""
        collection = collection or self.stack.globus_environment["CAUSEWAY_SHARE_COLLECTION"]
        with self.globus() as client:
            listed = client.get(f"endpoint/{collection}/access_list").json()["DATA"]
        return [rule for rule in listed if rule["path"] == path and rule["id"]]

    def tasks(self, label: str) -> list[dict[str, Any]]:
        """The portal's own Globus tasks with `label` in their label."""
        with self.globus() as client:
            listed = client.get("task_list", params={"limit": 1000}).json()["DATA"]
        return [task for task in listed if label in (task["label"] or "")]

    def manage(self, *words: str, settings: dict[str, str] | None = None) -> str:
        """Run manage.py as the portal would; its output."""
        done = subprocess.run(
            [sys.executable, str(CHECKOUT / "manage.py"), *words],
            env={**self.stack.portal_environment(), **(settings or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def let_time_pass(self, request_id: str, *, days: float) -> None:
        """Move a request's dates into the past, as if `days` had gone by."""
        let_time_pass(self.stack, request_id, days=days)

    def empty_basket(self, person: Person) -> None:
        """What earlier tests left in her basket would come along with hers."""
        basket = person.open("/basket/")
        if basket.has_button("Empty the basket"):
            person.submit(basket, "Empty the basket")

    def give_transfer_consents(self, person: Person) -> None:
        """She allows the portal to copy into Campus storage for her, on the consent page."""
        campus = self.stack.globus_environment["CAUSEWAY_CAMPUS_COLLECTION"]
        scope = f"urn:globus:auth:scope:transfer.api.globus.org:all[*https://auth.globus.org/scopes/{campus}/data_access]"
        page = person.open("/consent/?" + urlencode({"scope": scope, "next": "/profile/"}))
        if page.has_button("Continue to Globus"):
            person.submit(page, "Continue to Globus")

    def forget_consents(self, person: Person) -> None:
        """She takes back at Globus whatever she allowed the portal, so that it is asked for again."""
        address = f"{self.stack.addresses.localglobus}/v2/web/consents"
        while (page := person.open(address)).has_button("Take back"):
            person.submit(page, "Take back")


def body_of(mail: Any) -> str:
    part = mail.get_body(("plain",))
    return str(mail["Subject"]) + "\n" + (part.get_content() if part else "")


@pytest.fixture(scope="session")
def site(stack: Stack) -> Iterator[Site]:
    """The whole product with the demonstration's archive."""
    site = Site(stack, {})
    yield site
    for person in site.people.values():
        person.visitor.close()


@pytest.fixture(scope="module")
def browser(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("home"), ca_file=site.stack.ca_file) as browser:
        yield browser


@pytest.fixture
def ada(site: Site) -> Person:
    return site.person("ada")


@pytest.fixture
def ben(site: Site) -> Person:
    return site.person("ben")


@pytest.fixture
def cy(site: Site) -> Person:
    return site.person("cy")


@pytest.fixture
def check(stack: Stack) -> Check:
    return Check(stack)
