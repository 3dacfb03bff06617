"""Every route, walked as a stranger to the site, a stranger to the data, the researcher, a steward and an operator.

The table says what each is answered; a route without a row fails, and so does a row without a route. POST and the like are sent without a
body, so 400 means "let in, but the form is empty".
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from django.urls import URLResolver, get_resolver

from datasets.files import FileQuery
from transfers import selecting, sharing
from transfers.requesting import Wanted

WHO = ("nobody", "cy", "ada", "ben", "dee")

# fmt: off
# (route, method, path): (nobody, cy, ada, ben, dee)
TABLE: dict[tuple[str, str], tuple[str, tuple[int, int, int, int, int]]] = {
}
# fmt: on


def walk(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    """Every route of the site but those of the admin, which have one rule for all."""
    for one in resolver.url_patterns:
        route = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from walk(one, route)
        else:
            yield route


ROUTES = sorted(set(walk(get_resolver())))


def test_every_route_has_a_row_and_every_row_a_route():
    assert sorted({route for route, _ in TABLE}) == [route for route in ROUTES if not route.startswith("admin/")]


@pytest.fixture
def places(people, archive) -> dict[str, object]:
    """What the paths of the table name: ada's request and her basket's selection."""
    asked = sharing.request_share(user=people["ada"], wanted=[Wanted(archive["open"], FileQuery())], lifetime_days=7)
    basket = selecting.open_basket(user=people["ada"], session_key=None)
    chosen = selecting.add_selection(basket, version=archive["open"], query=FileQuery())
    return {"request": asked.pk, "selection": chosen.pk, "unknown": uuid.UUID(int=1)}


@pytest.mark.django_db
@pytest.mark.parametrize(("route", "method"), list(TABLE))
def test_the_route_answers_everybody_as_the_table_says(browser, people, places, route, method):
    path, expected = TABLE[route, method]
    answers = tuple(getattr(browser(people.get(who)), method.lower())(path.format(**places)).status_code for who in WHO)
    assert answers == expected


ADMIN = [route for route in ROUTES if route.startswith("admin/") and "<" not in route and "(?P" not in route]


@pytest.mark.django_db
@pytest.mark.parametrize("route", ADMIN)
def test_the_administration_is_closed_to_all_but_operators(browser, people, route):
    for who in ("nobody", "cy", "ada", "ben"):
        for method in ("get", "post"):
            response = getattr(browser(people.get(who)), method)(f"/{route}")
            assert response.status_code in {302, 403, 404, 405}
            assert response.headers.get("Location", "/signin/").startswith(("/signin/", "/admin/login/", "/"))
            assert b"Users" not in response.content
