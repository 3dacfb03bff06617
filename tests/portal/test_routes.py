"""Every route, walked as a stranger to the site, a stranger to the data, the researcher, a steward and an operator.

The tables of `routes` say what each is answered; a route without a row fails, and so does a row without a route.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLResolver, get_resolver
from django.utils import timezone

from datasets import series
from datasets.files import FileQuery
from datasets.importing import harvests
from datasets.models import SavedSearch, Variable
from tests.portal.routes import FILLED, TABLE, WHO
from transfers import selecting, sharing
from transfers.access import asking
from transfers.analysis import previews
from transfers.analysis.models import AnalysisJob, AnalysisSource, FilePreview, QuickLook
from transfers.analysis.states import LookStatus, PreviewStatus
from transfers.models import GlobusToken
from transfers.requesting import Wanted


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
    assert sorted({row[0] for row in (*TABLE, *FILLED)}) == [route for route in ROUTES if not route.startswith("admin/")]
    rows = [(row[1], row[2], "" if row in TABLE else str(row[3])) for row in (*TABLE, *FILLED)]
    assert [row for row in rows if rows.count(row) > 1] == []


@pytest.fixture
def places(people, archive, settings, closed_address) -> dict[str, object]:
    """What the paths of the table name: ada's request, her basket's selection, her graph; and a Globus that does not answer."""
    settings.SOCIAL_AUTH_GLOBUS_OIDC_ENDPOINT = settings.GLOBUS_AUTH_URL = settings.GLOBUS_TRANSFER_URL = closed_address
    settings.GRAPH_URL = closed_address
    settings.GRAPH_SCOPE = f"https://auth.globus.org/scopes/{uuid.UUID(int=8)}/graph"
    for person in people.values():
        token = {"resource_server": str(uuid.UUID(int=8)), "access_token_encrypted": b"unread", "expires_at": timezone.now()}
        GlobusToken.objects.create(user=person, **token)
    for slug in ("open", "closed"):
        Variable.objects.create(dataset=archive[slug].dataset, name="u", units="K", example_path="/one.nc")
    asked = sharing.request_share(user=people["ada"], wanted=[Wanted(archive["open"], FileQuery())], lifetime_days=7)
    basket = selecting.open_basket(user=people["ada"], session_key=None)
    chosen = selecting.add_selection(basket, version=archive["open"], query=FileQuery(), user=people["ada"])
    graph = AnalysisJob.objects.create(user=people["ada"], content_key="a graph", due_at=timezone.now())
    AnalysisSource.objects.create(job=graph, position=0, version=archive["open"], variable="t", collection_id=uuid.uuid4(), paths=["/a"])
    look = QuickLook.objects.create(version=archive["open"], variable="t", status=LookStatus.READY, svg="<svg/>")
    seas = series.create(user=people["dee"], slug="seas", title="Seas")
    series.put(archive["open"].dataset, user=people["dee"], series=seas)
    series.create(user=people["dee"], slug="empty", title="Empty", parent=seas)
    picture = {"kind": "image", "png": "", "width": 1, "height": 1}
    shown = previews.key_of(previews.find_file(archive["closed"], "/one.nc"), archive["closed"].primary_location)
    FilePreview.objects.create(
        dataset=archive["closed"].dataset, key=shown, collection_id=uuid.uuid4(), collection_path="/one.nc",
        status=PreviewStatus.READY, document=picture,
    )  # fmt: skip
    access = asking.request_access(archive["closed"].dataset, user=people["ada"], purpose="A study of seas.")
    saved = SavedSearch.objects.create(user=people["ada"], name="Seas", query="?q=sea")
    return {
        "access": access.pk,
        "saved": saved.pk,
        "ada": people["ada"].pk,
        "request": asked.pk,
        "selection": chosen.pk,
        "graph": graph.pk,
        "look": look.pk,
        "nowhere": uuid.UUID(int=9),
        "harvest": harvests.order(user=people["dee"], base_url="https://archive.example/oai").pk,
        "scan": archive["open"].scans.get().pk,
        "location": archive["open"].locations.get().pk,
    }


@pytest.mark.django_db
@pytest.mark.parametrize("who", WHO)
def test_everybody_is_answered_as_the_table_says(browser, people, places, who):
    client, others = browser(people.get(who)), {}
    cookies = {name: one.value for name, one in client.cookies.items()}
    for _, method, path, body, expected in [*((*row[:3], {}, row[3]) for row in TABLE), *FILLED]:
        client.cookies.load(cookies)
        with transaction.atomic():
            status = answer(client, method, path.format(**places), body)
            transaction.set_rollback(True)
        if status != expected[WHO.index(who)]:
            others[method, path, str(body)] = status
    assert others == {}


@pytest.mark.django_db
def test_pages_answer_no_other_method(browser, people, places):
    """What is not looked at or sent by a form is refused as such, before anything else is asked."""
    client, others = browser(people["dee"]), {}
    forms = {row[0] for row in (*TABLE, *FILLED) if row[1] == "POST"}
    paths = {row[0]: row[2].format(**places) for row in (*TABLE, *FILLED) if not row[0].startswith("api/")}
    for route, path in paths.items():
        for method in ("PUT", "PATCH", "DELETE", *([] if route in forms else ["POST"])):
            status = answer(client, method, path)
            if status != 405:
                others[method, path] = status
    assert others == {}


def answer(client: Client, method: str, path: str, body: dict[str, Any] | None = None) -> int:
    """The status for a form, or for an object of the API; an empty one unless given."""
    if method == "GET":
        return client.get(path, body or None).status_code
    if path.startswith("/api/"):
        return client.generic(method, path, json.dumps(body or {}), content_type="application/json").status_code
    return client.generic(method, path, urlencode(body or {}), content_type="application/x-www-form-urlencoded").status_code


ADMIN = [route for route in ROUTES if route.startswith("admin/") and "(?P" not in route]


ADMIN_ROWS = {
    "transfers/datarequest/": "request",
    "analysis/analysisjob/": "graph",
    "analysis/quicklook/": "look",
    "access/accessrequest/": "access",
}


def admin_path(route: str, places: dict[str, object]) -> str:
    """The route with a row that is there, where this test has one, so that 404 is not the reason."""
    model = route.removeprefix("admin/").partition("<")[0]
    row = str(places[ADMIN_ROWS[model]]) if model in ADMIN_ROWS else "1"
    kinds = {"<path:object_id>": row, "<path:content_type_id>": "1", "<int:content_type_id>": "1", "<app_label>": "transfers"}
    for kind, value in kinds.items():
        route = route.replace(kind, value)
    return f"/{route}"


@pytest.mark.django_db
@pytest.mark.parametrize("who", ["nobody", "cy", "ada", "ben"])
def test_the_administration_is_closed_to_all_but_operators(browser, people, places, who):
    client = browser(people.get(who))
    for route in ADMIN:
        for method in ("get", "post"):
            response = getattr(client, method)(admin_path(route, places))
            is_signing_out = route == "admin/logout/" and method == "post"
            assert is_signing_out or response.status_code in {302, 403, 404, 405}, (route, method, response.status_code)
            assert b"Causeway administration" not in response.content
            assert str(places["request"]).encode() not in response.content


@pytest.mark.django_db
def test_the_rows_of_the_administration_are_there_for_operators(browser, people, places):
    client = browser(people["dee"])
    rows = [admin_path(route, places) for route in ADMIN if route.endswith("<path:object_id>/change/")]
    shown = [path for path in rows if client.get(path).status_code == 200]
    assert {f"/admin/{model}{places[place]}/change/" for model, place in ADMIN_ROWS.items()} <= set(shown)
