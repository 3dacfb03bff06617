"""The web app of a localglobus with its nodes, in browsers without a script engine: one for each person."""

import pytest

from tests.services.localglobus.transfer.conftest import folder, running_sites, sites

__all__ = ["folder", "running_sites", "sites"]


@pytest.fixture
def visit(sites):
    """Opens an address as someone, by way of the sign-in page at first."""
    browsers = {}

    def visit(who, address):
        browser = browsers.setdefault(who, sites.globus.browser())
        response = browser.get(address, follow_redirects=True)
        if response.url.path == "/v2/web/sign-in":
            response = browser.act(response, who, "allow")
            assert response.headers["location"] == address
            response = browser.get(address)
        return response

    yield visit
    for browser in browsers.values():
        browser.close()
