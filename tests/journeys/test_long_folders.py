"""A long folder in a real browser: pages of rows come and go while one scrolls, and what was ticked stays."""

import re
import time

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.journeys.chromium import pass_globus
from tests.journeys.conftest import PEOPLE, Site

pytestmark = [pytest.mark.browser, pytest.mark.long]
SLUG = "long-folder-of-a-test"
MAKE = f"""
from django.utils import timezone
from datasets.models import Dataset, File, Folder, FolderState, Version
made = Dataset.objects.create(slug='{SLUG}', title='A long folder', listed_at=timezone.now())
Version.objects.create(dataset=made, number=1)
root = Folder.objects.create(dataset=made, path='/', depth=0)
FolderState.objects.create(folder=root, from_version=1, n_files=450, size_bytes=450, digest=bytes(32))
File.objects.bulk_create(File(folder=root, name=f'f{{at:04}}', first_version=1, size_bytes=1) for at in range(450))
"""
FORGET = f"from datasets.models import Dataset; Dataset.objects.filter(slug='{SLUG}').delete()"


@pytest.fixture
def address(site: Site):
    """The files of a draft with 450 of them in one folder, which operators see."""
    try:
        site.manage("shell", "-c", MAKE)
        yield f"/datasets/{SLUG}/files/"
    finally:
        site.manage("shell", "-c", FORGET)


@pytest.fixture
def context(browser, site: Site):
    context: BrowserContext = browser.new_context(base_url=site.stack.base_url, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    yield context
    context.close()


def scroll(page: Page, to: str, *, until: str) -> None:
    """Scroll there, again and again as the page grows, until a file has its row."""
    deadline = time.monotonic() + 60
    while page.locator(f"tbody input[name=file][value='{until}']").count() == 0:
        assert time.monotonic() < deadline, f"scrolling brings {until}"
        page.evaluate("scrollBy(0, scrollY > 100 ? -40 : 40)")
        page.wait_for_timeout(100)
        page.evaluate(f"scrollTo(0, {to})")
        page.wait_for_timeout(100)


def test_a_long_folder_scrolls_and_keeps_what_was_ticked(address, context):
    page = context.new_page()
    page.goto(f"/signin/?next={address}")
    page.get_by_role("button", name="Continue to Globus").click()
    pass_globus(page, person=PEOPLE["dee"])
    page.get_by_label("File /f0003", exact=True).check()
    page.evaluate("document.activeElement.blur()")  # rows with the focus stay
    scroll(page, "document.body.scrollHeight", until="/f0449")
    expect(page.locator("tr.before")).to_have_count(0)  # each page follows the one before
    page.wait_for_url(re.compile(r"after=%2Ff0[2-4]99"))
    expect(page.locator("tbody[data-emptied]").first).to_be_attached()
    expect(page.locator("input[type=hidden][name=file][value='/f0003']")).to_be_attached()
    assert page.locator("tbody input[name=file]").count() < 450, "what is far away is not kept in the page"

    page.evaluate("scrollTo(0, 0)")
    expect(page.get_by_label("File /f0003", exact=True)).to_be_checked()
    expect(page.locator("input[type=hidden][name=file]")).to_have_count(0)
    scroll(page, "document.body.scrollHeight", until="/f0449")
    page.wait_for_url(re.compile(r"after=%2Ff0[2-4]99"))
    page.reload()
    expect(page.get_by_role("link", name="Back to the first files")).to_be_visible()
    expect(page.get_by_label("File /f0003", exact=True)).to_have_count(0)

    began = page.locator("tbody input[name=file]").first
    name, top = began.get_attribute("value"), began.evaluate("box => { scrollTo(0, 50); return box.getBoundingClientRect().top }")
    expect(page.get_by_label(f"File /f{int(name[2:]) - 100:04}", exact=True)).to_be_attached()
    now = page.locator(f"tbody input[value='{name}']").evaluate("box => box.getBoundingClientRect().top")
    assert abs(now - top) < 5, "what she looked at stays where it was"
    scroll(page, "0", until="/f0000")
    shown = page.locator("tbody:not([data-emptied]) input[name=file]").evaluate_all("boxes => boxes.map(box => box.value)")
    assert shown == sorted(set(shown)), "no row comes twice, and none out of order"
