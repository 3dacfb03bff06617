"""A real browser profile that trusts the local certificate authority: Debian's Chromium, driven by Playwright."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
expect.set_options(timeout=60_000)  # instead of five seconds: the machine may be busy


@contextmanager
def open_browser(home: Path, *, ca_file: Path) -> Iterator[Browser]:
    """Chromium with a home of its own, in whose certificate store the authority is trusted."""
    store = home / ".pki/nssdb"
    store.mkdir(parents=True)
    for words in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "causeway", "-i", str(ca_file)]):
        subprocess.run(["certutil", "-d", f"sql:{store}", *words], check=True, capture_output=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], env={"HOME": str(home), "PATH": "/usr/bin:/bin"}
        )
        yield browser
        browser.close()


def pass_globus(page: Page, *, person: str) -> None:
    """Answer the pages of Globus Auth until they end: who you are, what you allow."""
    for _ in range(6):
        page.wait_for_load_state()
        if "/v2/" not in page.url:
            return
        if page.get_by_role("button", name="Allow").count():
            page.get_by_role("button", name="Allow").click()
        else:
            page.get_by_role("button", name=person).first.click()
    raise AssertionError(f"Globus Auth asks without end at {page.url}")
