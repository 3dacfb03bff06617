"""J1 and J2 in a real browser: one profile, signed in to the portal and to both data transfer nodes."""

import hashlib
import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.journeys.chromium import pass_globus
from tests.journeys.conftest import PEOPLE, Site, wait_until

pytestmark = pytest.mark.browser
ADA = PEOPLE["ada"]


@pytest.fixture
def context(browser, site: Site):
    context = browser.new_context(base_url=site.stack.base_url, viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(60_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def sign_in(page: Page) -> None:
    page.get_by_role("button", name="Continue to Globus").click()
    pass_globus(page, person=ADA)


def give_consents(page: Page) -> int:
    """Agree on the portal's page and on those of Globus, as often as one is asked; answers how often that was."""
    for n_given in range(4):
        page.wait_for_load_state()
        if "/consent/" not in page.url:
            return n_given
        page.get_by_role("button", name="Continue to Globus").click()
        pass_globus(page, person=ADA)
    raise AssertionError("consent is asked again and again")


def test_j1_a_researcher_finds_data_and_sends_them_to_her_collection(page: Page, site: Site):
    site.forget_consents(site.person("ada"))
    site.empty_basket(site.person("ada"))
    page.goto("/")
    page.get_by_label("Search datasets").first.fill("tempeature")
    page.get_by_label("Search datasets").first.press("Enter")
    expect(page.get_by_role("link", name="Air temperature over North America, A1B scenario, 1860 to 2099")).to_be_visible()

    page.get_by_label(re.compile("^NetCDF")).check()
    page.wait_for_url(re.compile("format=NetCDF"))
    before = page.url
    page.reload()
    assert page.url == before
    expect(page.get_by_label(re.compile("^NetCDF"))).to_be_checked()
    page.go_back()
    expect(page.get_by_label(re.compile("^NetCDF"))).not_to_be_checked()

    page.goto("/datasets/um-sea-ice-velocity/")
    for words in ("Version 1", "120 files", "OGL-UK-3.0", "Cite as", "Prepare a share", "Send to my collection"):
        expect(page.get_by_text(words).first).to_be_visible()

    page.goto("/datasets/um-sea-ice-velocity/files/")
    page.get_by_role("checkbox", name="Folder 1893").check()
    page.get_by_role("checkbox", name="Folder 1894").check()
    expect(page.get_by_role("status").filter(has_text="24 files")).to_be_visible()
    page.get_by_role("button", name="Add the ticked to my basket").click()
    page.goto("/basket/")
    expect(page.get_by_role("main")).to_contain_text("24 files")

    page.get_by_role("link", name="Send 24 files to").click()
    sign_in(page)
    assert give_consents(page) == 1, "the permission to transfer is asked when it is first needed"
    page.wait_for_url(re.compile("/send/"))
    page.get_by_label("Search collections by name").fill("campus")
    page.get_by_label("Search collections by name").press("Enter")
    page.get_by_role("link", name="Campus storage").first.click()
    assert give_consents(page) == 1, "a mapped collection asks for its own"
    page.wait_for_url(re.compile("/send/review/"))
    page.get_by_label("Send into").fill("/home/ada/ice/")
    page.get_by_role("button", name="Send 24 files to Campus storage").click()
    page.wait_for_url(re.compile("/requests/[0-9a-f-]+/"))
    expect(page.get_by_role("status").filter(has_text="Sent")).to_be_visible()

    request_id = page.url.rstrip("/").split("/")[-1]
    arrived = [path for path in (site.stack.places.campus / "home/ada/ice").rglob("*.pp") if path.is_file()]
    assert len(arrived) == 24
    assert_same_bytes(arrived, site.stack.places.archive / "data/um-sea-ice-velocity")
    mail = wait_until(lambda: site.mails(request_id), "the mail")
    assert len(mail) == 1
    with page.expect_download() as download:
        page.get_by_role("link", name="Receipt with all files and checksums").click()
    receipt = Path(download.value.path()).read_text().splitlines()
    assert len(receipt) == 25

    campus = site.stack.globus_environment["CAUSEWAY_CAMPUS_COLLECTION"]
    page.goto(f"{site.stack.addresses.campus}/{campus}/home/ada/ice/um-sea-ice-velocity-v1/1893/")
    pass_globus(page, person=ADA)
    expect(page.get_by_role("link", name=re.compile(r"\.pp$"))).to_have_count(12)


def assert_same_bytes(arrived: list[Path], source: Path) -> None:
    wanted = {path.name: hashlib.sha256(path.read_bytes()).digest() for path in source.rglob("*.pp")}
    assert all(hashlib.sha256(path.read_bytes()).digest() == wanted[path.name] for path in arrived)


def test_j2_a_researcher_gets_a_prepared_share(page: Page, site: Site):
    site.empty_basket(site.person("ada"))
    page.goto("/datasets/nyc-airport-weather/files/")
    page.get_by_role("button", name=re.compile("^Add (all )?1 file")).click()
    page.goto("/basket/")
    page.get_by_role("link", name=re.compile("^Prepare 1 file")).click()
    sign_in(page)
    page.wait_for_url(re.compile("/requests/new/"))
    page.get_by_role("button", name=re.compile("^Prepare 1 file")).click()
    page.wait_for_url(re.compile("/requests/[0-9a-f-]{36}/"))
    request_id = page.url.rstrip("/").split("/")[-1]
    expect(page.get_by_role("status").filter(has_text="Ready to download")).to_be_visible()
    assert len(wait_until(lambda: site.mails(request_id), "the mail")) == 1

    theirs = site.person("cy").ask_for_share("darwin-soi")
    site.person("cy").wait(theirs, "open")
    sees_only_her_folder_in_the_file_manager(page, request_id, theirs)
    page.goto(f"/requests/{request_id}/")
    downloads_from_the_node(page, site)

    page.goto(f"/requests/{request_id}/")
    page.get_by_role("button", name=re.compile("^Extend by")).click()
    page.wait_for_load_state()
    expect(page.get_by_text("Extended until").first).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Extend by"))).to_have_count(0)

    site.let_time_pass(request_id, days=61)
    wait_until(lambda: not site.share_folder(request_id).exists(), "the folder gone")
    page.goto(f"/requests/{request_id}/")
    expect(page.get_by_role("status").filter(has_text="Expired")).to_be_visible()
    assert site.rules(f"/requests/{request_id}/") == []
    page.get_by_role("button", name="Ask for the same files again").click()
    page.wait_for_url(lambda url: request_id not in url)
    expect(page.get_by_role("status").filter(has_text="Ready to download")).to_be_visible()


def sees_only_her_folder_in_the_file_manager(page: Page, hers: str, theirs: str) -> None:
    page.get_by_role("link", name="Open in the Globus file manager").click()
    pass_globus(page, person=ADA)
    expect(page.get_by_role("link", name="nyc-airport-weather").first).to_be_visible()
    folder = page.url
    page.goto(re.sub(r"origin_path=[^&]*", "origin_path=/requests/", folder))
    expect(page.get_by_role("link", name=hers)).to_be_visible()
    expect(page.get_by_role("link", name=theirs)).to_have_count(0)
    page.goto(folder.replace(hers, theirs))
    expect(page.get_by_role("main")).not_to_contain_text("darwin-soi")
    expect(page.get_by_role("main")).to_contain_text("may not")


def downloads_from_the_node(page: Page, site: Site) -> None:
    """By the node's own sign-in, which finds her signed in already."""
    page.get_by_role("link", name="Open over HTTPS").click()
    pass_globus(page, person=ADA)
    page.get_by_role("link", name=re.compile("nyc-airport-weather")).first.click()
    name = "weather.csv"
    link = page.get_by_role("link", name=re.compile(name)).first
    link.evaluate("a => { a.href += '?download' }")
    with page.expect_download() as download:
        link.click()
    got = Path(download.value.path()).read_bytes()
    assert got == next((site.stack.places.archive / "data/nyc-airport-weather").rglob(name)).read_bytes()


PAGES = [
    "/", "/datasets/", "/datasets/?q=zzqq", "/datasets/a1b-north-america/", "/datasets/glosea4-ensemble/",
    "/datasets/um-sea-ice-velocity/files/", "/datasets/um-sea-ice-velocity/files/?folder=/1893/",
    "/basket/", "/signin/", "/status/", "/nothing-here/", "/graphs/new/",
]  # fmt: skip
SIGNED_IN = ["/profile/", "/requests/", "/requests/new/", "/send/", "/graphs/"]


@pytest.mark.parametrize("width", [320, 1600])  # 320: a window of 1280 at 400 %
def test_no_page_is_wider_than_the_window(page: Page, width: int):
    page.set_viewport_size({"width": width, "height": 900})
    for address in PAGES:
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
    page.goto("/signin/?next=/profile/")
    sign_in(page)
    for address in SIGNED_IN:
        page.goto(address)
        give_consents(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address


def test_files_are_chosen_and_asked_for_with_the_keyboard_alone(page: Page, site: Site):
    site.empty_basket(site.person("ada"))
    page.goto("/datasets/nemo-monthly/files/?folder=/2015/")
    tab_to(page, "input[name=file]")
    page.keyboard.press("Space")
    tab_to(page, "button:has-text('Add the ticked')")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Added to your basket")).to_be_visible()
    page.goto("/basket/")
    expect(page.get_by_role("main")).to_contain_text("1 file")
    tab_to(page, "a:has-text('Prepare 1 file')")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/signin/"))
    tab_to(page, "button:has-text('Continue to Globus')")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/v2/"))
    pass_globus(page, person=ADA)
    page.wait_for_url(re.compile("/requests/new/"))


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the element has the focus, and see that it shows."""
    wanted = page.locator(selector).first
    for _ in range(80):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            ring = wanted.evaluate("element => getComputedStyle(element).outlineStyle")
            assert ring != "none", f"{selector} shows no focus"
            return
    raise AssertionError(f"Tab does not reach {selector}")
