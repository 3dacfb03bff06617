"""The tables of the README name every endpoint that is served, and tests that are there."""

import re
from pathlib import Path

from services.localglobus import gcs, group_policies, groups
from services.localglobus.auth import api, factors, pages, policies_api
from services.localglobus.search import routes as search_routes
from services.localglobus.timers import routes as timer_routes
from services.localglobus.transfer import routes as transfer_routes

CHECKOUT = Path(__file__).parents[2]
README = CHECKOUT / "services/localglobus/README.md"
ROW = re.compile(r"^\| `((?:[A-Z]+ )+)(/\S+)` \|[^|]*\| (.*) \|$", re.MULTILINE)


def served():
    found = set()
    for route in (
        *api.routes,
        *policies_api.routes,
        *pages.routes,
        *factors.routes,
        *groups.routes,
        *group_policies.routes,
        *transfer_routes.routes,
        *search_routes.routes,
        *timer_routes.routes,
        *gcs.routes,
    ):
        path = re.sub(r":\w+}", "}", route.path)
        found |= {(method, path) for method in route.methods if method != "HEAD"}
    return found


def test_every_endpoint_is_in_a_table():
    written = {(method, path) for methods, path, _ in ROW.findall(README.read_text()) for method in methods.split()}
    assert written == served()


def test_every_test_that_a_table_names_is_there():
    folders = (CHECKOUT / "tests/services/localglobus", CHECKOUT / "tests/contract")
    named = {name for _, _, tests in ROW.findall(README.read_text()) for name in re.findall(r"`([^`]+)`", tests)}
    assert named
    assert [name for name in named if not any((folder / name).exists() for folder in folders)] == []
