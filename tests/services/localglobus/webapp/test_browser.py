"""The web app in a real browser: a transfer between two panes, a folder shared, narrow windows, and the keyboard alone."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.journeys.chromium import open_browser, pass_globus
from tests.services.localglobus.transfer.conftest import Sites, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.long]
ADA, CY = "ada@university.example", "cy@elsewhere.example"


@pytest.fixture(scope="module")
def browser(running_sites: Sites, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("home"), ca_file=running_sites.globus.data / "ca.pem") as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, sites: Sites) -> Iterator[Page]:
    """Without scripts: the pages have none, and would be as good without."""
    context = browser.new_context(base_url=sites.globus.url, java_script_enabled=False)
    yield context.new_page()
    context.close()


@pytest.fixture
def home(sites: Sites) -> Path:
    """A fresh folder of Ada's at the campus."""
    path = sites.root("campus") / "home/ada" / f"browser-{os.urandom(5).hex()}"
    (path / "from/cores").mkdir(parents=True)
    (path / "to").mkdir()
    (path / "from/cores/a.nc").write_bytes(b"a" * 300)
    (path / "from/cores/scratch.tmp").write_text("t")
    (path / "from/b.nc").write_bytes(b"b" * 3000)
    (path / "from/other.nc").write_bytes(b"o")
    return path


def panes(sites: Sites, home: Path) -> str:
    campus = sites.collection("campus")
    query = {"origin_id": campus, "origin_path": f"/home/ada/{home.name}/from/", "destination_id": campus}
    return "/file-manager?" + urlencode({**query, "destination_path": f"/home/ada/{home.name}/to/", "two_pane": "true"})


def go(page: Page, address: str, person: str = ADA) -> None:
    page.goto(address)
    pass_globus(page, person=person)


def test_two_panes_and_a_transfer_with_options(page: Page, sites: Sites, home: Path):
    campus = sites.collection("campus")
    go(page, f"/file-manager?origin_id={campus}&origin_path=/home/ada/{home.name}/from/")
    page.get_by_role("link", name="Transfer to").click()
    second = page.get_by_role("region", name="Second pane")
    second.get_by_role("searchbox", name="Search all collections").fill("campus")
    second.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Campus storage").first.click()
    second.get_by_role("textbox", name="Path").fill(f"/home/ada/{home.name}/to/")
    second.get_by_role("button", name="Go").click()
    expect(second).to_contain_text("This folder is empty")

    page.get_by_role("checkbox", name="Tick cores").check()
    page.get_by_role("checkbox", name="Tick b.nc").check()
    page.get_by_text("Transfer options").click()
    page.get_by_label("Label").fill("Cores of ice")
    page.get_by_role("combobox", name=re.compile("^Transfer")).select_option("3")
    page.get_by_label("Preserve the times").check()
    page.get_by_label("Rule 1: of what").select_option("file")
    page.get_by_label("Rule 1: names").fill("*.tmp")
    page.get_by_role("button", name="Transfer what is ticked to Campus storage").first.click()
    page.get_by_role("link", name="See its progress").click()
    wait_until(lambda: page.reload() and page.get_by_role("status").filter(has_text="Done").count())
    expect(page.get_by_role("heading", name="Cores of ice")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("exclude file *.tmp")
    arrived = [str(path.relative_to(home / "to")) for path in (home / "to").rglob("*") if path.is_file()]
    assert sorted(arrived) == ["b.nc", "cores/a.nc"]
    page.get_by_role("link", name="Files transferred").click()
    expect(page.get_by_role("main")).to_contain_text(f"/home/ada/{home.name}/from/cores/a.nc")
    assert (home / "to/b.nc").stat().st_mtime == pytest.approx((home / "from/b.nc").stat().st_mtime, abs=2)


def test_a_folder_is_shared_with_a_person_who_then_sees_it(page: Page, browser: Browser, sites: Sites, home: Path):
    go(page, f"/file-manager?origin_id={sites.collection('campus')}&origin_path=/home/ada/{home.name}/from/")
    page.get_by_role("checkbox", name="Tick cores").check()
    page.get_by_role("button", name="Share").click()
    page.get_by_label("Display name").fill(home.name)
    page.get_by_role("button", name="Create the guest collection").click()
    pass_globus(page, person=ADA)
    page.get_by_role("link", name="Add a permission").click()
    page.get_by_label("User name").fill(CY)
    page.get_by_role("button", name="Add the permission").click()
    expect(page.get_by_role("status")).to_contain_text(f"Shared with {CY}, who may read /.")
    shared = page.get_by_role("link", name="Open in the file manager").get_attribute("href") or ""

    context = browser.new_context(base_url=sites.globus.url)
    theirs = context.new_page()
    go(theirs, "/collections?list=shared", person=CY)
    theirs.get_by_role("link", name=home.name, exact=True).click()
    expect(theirs.get_by_role("link", name="a.nc")).to_be_visible()
    expect(theirs.get_by_text("for reading")).to_be_visible()
    expect(theirs.get_by_role("button", name="Delete")).to_have_count(0)
    context.close()

    page.get_by_role("link", name="Overview").click()
    page.get_by_text("Delete the collection").first.click()
    page.get_by_label("Type its name").fill(home.name)
    page.get_by_role("button", name="Delete the collection").click()
    expect(page.get_by_role("status")).to_contain_text("is deleted")
    page.goto(shared)
    expect(page.get_by_role("main")).to_contain_text("There is no such collection")


ADDRESSES = ["/file-manager", "/file-manager/choose", "/bookmarks", "/activity", "/console", "/collections", "/groups", "/activity/none"]
UNNAMED = "[...document.querySelectorAll('input:not([type=hidden]), select, textarea')].filter(e => !e.labels.length && !e.ariaLabel)"
ADMIN = ["", "identities", "groups", "collections", "rules", "tasks", "consents", "tokens", "calls", "faults"]


@pytest.mark.parametrize("width", [360, 1600])
def test_no_page_is_wider_than_the_window(browser: Browser, sites: Sites, home: Path, width: int):
    campus = sites.collection("campus")
    more = [panes(sites, home), f"/file-manager/collections/{campus}/overview", f"/file-manager/share?collection_id={campus}&path=/"]
    context = browser.new_context(base_url=sites.globus.url, viewport={"width": width, "height": 900})
    page = context.new_page()
    for address in [*ADDRESSES, *more, *(f"/admin/{name}" for name in ADMIN)]:
        go(page, address)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        assert page.evaluate("document.querySelectorAll('h1').length") == 1, address
        assert page.evaluate(f"{UNNAMED}.length") == 0, f"{address} has a field without a name"
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(browser: Browser, sites: Sites, home: Path, scheme: Literal["light", "dark"]):
    context = browser.new_context(base_url=sites.globus.url, color_scheme=scheme)
    page = context.new_page()
    for address in [panes(sites, home), "/activity", "/groups", "/admin/", "/admin/faults"]:
        go(page, address)
        assert page.evaluate(CONTRAST) == [], f"{address}: WCAG 2.2 asks for 4.5 to 1"
    context.close()


CONTRAST = """() => {
  const parse = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length > 3 ? n : [...n, 1] }
  const light = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 });
    return .2126 * r + .7152 * g + .0722 * b }
  const behind = e => { for (; e; e = e.parentElement) { const s = getComputedStyle(e); if (s.backgroundImage !== 'none') return null;
    const c = parse(s.backgroundColor); if (!s.backgroundColor.startsWith('rgb')) return null; if (c[3] === 1) return c }
    return parse(getComputedStyle(document.body).backgroundColor) }
  const found = [];
  for (const e of document.querySelectorAll('main *, header *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.disabled) continue;
    const back = behind(e); if (!back) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color).slice(0, 3)), light(back.slice(0, 3))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) found.push(`${e.tagName} ${e.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return found
}"""


def test_files_are_transferred_with_the_keyboard_alone(browser: Browser, sites: Sites, home: Path):
    context = browser.new_context(base_url=sites.globus.url)
    page = context.new_page()
    go(page, panes(sites, home))
    tab_to(page, "input[value='f:b.nc']")
    page.keyboard.press("Space")
    tab_to(page, "summary:has-text('Transfer options')")
    page.keyboard.press("Enter")
    tab_to(page, "input[name=label]")
    page.keyboard.type("by keys")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("two_pane=true"))
    assert page.get_by_role("link", name="See its progress").count() == 0, "Enter in a field submits nothing"
    page.keyboard.press("Shift+Tab")
    for _ in range(80):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.value") == "transfer:origin":
            break
    page.keyboard.press("Enter")
    page.get_by_role("link", name="See its progress").wait_for()
    wait_until((home / "to/b.nc").exists)
    context.close()


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the element has the focus, and see that it shows."""
    wanted = page.locator(selector).first
    for _ in range(120):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            assert wanted.evaluate("element => getComputedStyle(element).outlineStyle") != "none", f"{selector} shows no focus"
            return
    raise AssertionError(f"Tab does not reach {selector}")
