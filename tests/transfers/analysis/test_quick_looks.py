"""Quick looks: drawn once, of public data only, with nothing left at the service."""

import time

import pytest
from django.utils import timezone

from tests.services.graph.running import wait_until
from transfers.analysis import quick_looks
from transfers.analysis.models import QuickLook

pytestmark = pytest.mark.long


def draw(look, *statuses):
    deadline = time.monotonic() + 90
    while look.status not in statuses:
        assert time.monotonic() < deadline, look.status
        QuickLook.objects.filter(pk=look.pk).update(due_at=timezone.now())
        quick_looks.draw(look.pk)
        look.refresh_from_db()
        time.sleep(0.05)  # polled: there is no event to wait for
    return look


def test_a_published_variable_gets_its_chart_and_nothing_is_left(drawable, service):
    version = drawable("A1B_north_america.nc", "air_temperature", is_open=False)
    before = {rule["id"] for rule in service.rules()}
    assert quick_looks.request(version) == 1
    assert quick_looks.request(version) == 0
    look = draw(version.quick_looks.get(), "ready")
    assert look.kind == "series"
    assert "warms by 4.5 K" in look.text_alternative
    folder = service.stack.places.archive / "results" / "graphs" / look.service_id
    wait_until(lambda: not folder.exists())
    assert {rule["id"] for rule in service.rules()} <= before


def test_what_cannot_be_drawn_says_why(drawable):
    version = drawable("space_weather.nc", "TEC", content=b"CDF\x01 broken")
    quick_looks.request(version)
    assert "not a sound" in draw(version.quick_looks.get(), "empty").reason


def test_a_dataset_without_a_time_axis_gets_a_map(drawable):
    version = drawable("orca2_votemper.nc", "votemper")
    quick_looks.request(version)
    assert draw(version.quick_looks.get(), "ready").kind == "map"


def test_only_public_datasets_get_quick_looks(described, settings):
    settings.GRAPH_URL = "http://127.0.0.5:9"
    *_, public = (described(slug, policy=slug) for slug in ("restricted", "registered", "public"))
    now = timezone.now()
    quick_looks.sweep(now)
    assert [look.version for look in QuickLook.objects.all()] == [public]


def test_a_dataset_that_is_no_longer_public_is_not_drawn(described, settings):
    settings.GRAPH_URL = "http://127.0.0.5:9"
    version = described()
    quick_looks.request(version)
    version.dataset.access_policy = "restricted"
    version.dataset.save()
    look = version.quick_looks.get()
    quick_looks.draw(look.pk)
    look.refresh_from_db()
    assert (look.status, look.svg) == ("empty", "")
