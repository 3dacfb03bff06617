"""A steward describes a dataset in a real browser: a box drawn by mouse and by keys, words suggested, fields checked as they are left."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.chromium import open_browser, pass_globus
from tests.journeys.conftest import PEOPLE, Site

pytestmark = pytest.mark.browser
DESCRIBE = "/steward/datasets/darwin-soi/describe/"
SIDES = ("west", "south", "east", "north")


@pytest.fixture
def page(site: Site, tmp_path):
    with open_browser(tmp_path, ca_file=site.stack.ca_file) as browser:
        context = browser.new_context(base_url=site.stack.base_url, viewport={"width": 1280, "height": 900})
        context.set_default_timeout(60_000)
        page = context.new_page()
        yield page
        page.goto(DESCRIBE)
        with page.expect_navigation():
            page.locator("#discard").evaluate("form => form.submit()")  # what was typed is kept for her, and the lock too
        context.close()


def sides(page: Page) -> list[str]:
    return [page.locator(f'[data-side="{side}"]').input_value() for side in SIDES]


def test_a_steward_draws_a_box_and_is_told_what_is_wrong(page: Page, site: Site):
    page.goto(f"/signin/?next={DESCRIBE}")
    page.get_by_role("button", name="Continue to Globus").click()
    pass_globus(page, person=PEOPLE["ben"])
    expect(page.get_by_role("heading", name="When and where")).to_be_visible()
    sea = page.get_by_role("application")
    sea.scroll_into_view_if_needed()
    frame = sea.bounding_box()
    assert frame
    page.mouse.move(frame["x"] + frame["width"] / 4, frame["y"] + frame["height"] / 4)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2, steps=4)
    page.mouse.up()
    west, south, east, north = map(float, sides(page))
    assert (abs(west + 90) < 2, abs(east) < 2, abs(north - 45) < 2, abs(south) < 2) == (True,) * 4
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert float(sides(page)[0]) == pytest.approx(west + 5)
    page.get_by_label("ORCID", exact=True).first.fill("0000-0002-1825-0098")
    page.keyboard.press("Tab")
    expect(page.get_by_text("a digit is wrong")).to_be_visible()
    page.get_by_label("Keyword", exact=True).last.press_sequentially("salin")
    expect(page.locator("datalist option[value$=SALINITY]").first).to_be_attached()
    page.goto("/datasets/")
    page.get_by_role("application").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("west=-30"))
    expect(page.get_by_text("Box -30, -20, 30, 20")).to_be_visible()
