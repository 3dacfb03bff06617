"""The pages of Globus Auth that ask for a second factor, which show the code that a telephone would get."""

import re

from services.embedded.visitor import Page, Visitor


def pass_globus(visitor: Visitor, page: Page, *, person: str) -> tuple[Page, list[str]]:
    """Answer Globus Auth's pages, the code of the second factor among them; the page behind, and which were met."""
    met = []
    for _ in range(8):
        if "/v2/" not in page.url:
            return page, met
        if "/second-factor" in page.url:
            met.append("second factor")
            code = re.search(r'id="sent">(\d{6})<', page.text)
            assert code, page.summary()
            page = visitor.submit(page, "Go on", code=code[1])
        elif page.has_button("Allow"):
            page = visitor.submit(page, "Allow")
        else:
            met.append("sign-in")
            page = visitor.submit(page, person)
    raise AssertionError(f"no end of pages at {page.url}")
