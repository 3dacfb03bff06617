"""J4 in a real browser: two people at one description, autosave, and the bin."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from services.embedded.main_job import call_api
from tests.journeys.chromium import open_browser, pass_globus
from tests.journeys.conftest import PEOPLE, Site

pytestmark = pytest.mark.browser
SLUG = "journey-of-two-curators"
API = f"datasets/{SLUG}"


@pytest.fixture
def open_page(site: Site, tmp_path: Path):
    """A page in a browser profile of its own, signed in as somebody."""
    with open_browser(tmp_path, ca_file=site.stack.ca_file) as browser:

        def opened(name: str, address: str) -> Page:
            context: BrowserContext = browser.new_context(base_url=site.stack.base_url, viewport={"width": 1280, "height": 900})
            context.set_default_timeout(60_000)
            page = context.new_page()
            page.goto(f"/signin/?next={address}")
            page.get_by_role("button", name="Continue to Globus").click()
            pass_globus(page, person=PEOPLE[name])
            return page

        yield opened


@pytest.fixture
def draft(site: Site):
    """A draft of ben's, in the bin again after the test."""
    ben = site.person("ben")
    call_api(ben.visitor, "datasets", {"slug": SLUG, "title": "Two curators"}, expected=201)
    yield SLUG
    call_api(ben.visitor, f"{API}/edit-lock", {"take_over": True}, method="PUT", expected=200)
    call_api(ben.visitor, f"{API}?name={SLUG}", method="DELETE", expected=200)


def test_j4_the_second_editor_sees_the_lock_and_loses_nothing(site: Site, open_page, draft: str):
    expect.set_options(timeout=60_000)
    ben = open_page("ben", f"/steward/datasets/{draft}/")
    ben.get_by_role("button", name="Edit the description").click()
    expect(ben.get_by_text("You edit this")).to_be_visible()
    ben.get_by_label("Title", exact=True).fill("Ben's title")
    expect(ben.locator("#autosaved")).to_contain_text(re.compile(r"Saved \d\d:\d\d"))
    assert site.person("ben").api(API)["title"] == "Ben's title"

    dee = open_page("dee", f"/steward/datasets/{draft}/describe/")
    expect(dee.get_by_text("Ben Okafor is editing this description")).to_be_visible()
    dee.get_by_label("Title", exact=True).fill("Dee's title")
    expect(dee.locator("#autosaved")).to_contain_text("not saved")
    assert site.person("ben").api(API)["title"] == "Ben's title"
    dee.get_by_role("button", name="Take the editing over").click()
    expect(dee.get_by_text("You edit this")).to_be_visible()
    expect(dee.get_by_label("Title", exact=True)).to_have_value("Dee's title")
    dee.get_by_label("Title", exact=True).fill("Dee's better title")
    expect(dee.locator("#autosaved")).to_contain_text(re.compile(r"^\s*Saved \d\d:\d\d"))
    assert site.person("ben").api(API)["title"] == "Dee's better title"

    ben.get_by_label("Title", exact=True).fill("Ben's last word")
    ben.locator("#describe").get_by_role("button", name="Save the description").last.click()
    expect(ben.get_by_text("Dee Romero has been editing this description")).to_be_visible()
    expect(ben.get_by_label("Title", exact=True)).to_have_value("Ben's last word")
    ben.get_by_role("button", name="Take over and save mine").click()
    expect(ben.get_by_text("The description was changed since you read it")).to_be_visible()
    expect(ben.locator("dl.facts")).to_contain_text("Dee's better title")
    expect(ben.get_by_label("Title", exact=True)).to_have_value("Ben's last word")
    ben.locator("#describe").get_by_role("button", name="Save the description").last.click()
    expect(ben.get_by_text("The description is saved.")).to_be_visible()
    assert site.person("ben").api(API)["title"] == "Ben's last word"
