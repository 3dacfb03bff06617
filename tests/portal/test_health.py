from collections.abc import Iterator

import pytest
from django.core.cache import cache

from portal import health, tasks


@pytest.fixture(autouse=True)
def unkept() -> Iterator[None]:
    """Every test asks anew, and leaves nothing to the next."""
    health._kept.until = 0.0
    health._trouble.cache_clear()
    cache.clear()
    yield
    health._kept.until = 0.0
    cache.clear()
    health._trouble.cache_clear()


@pytest.fixture
def globus_out(settings, closed_address) -> None:
    settings.GLOBUS_AUTH_URL = settings.GLOBUS_TRANSFER_URL = settings.GRAPH_URL = closed_address


@pytest.mark.django_db
def test_the_status_page_is_readable_when_globus_is_out(browser, globus_out):
    response = browser().get("/status/")
    page = response.content.decode()
    assert response.status_code == 200
    assert "Copies and shares are delayed" in page
    assert "Does not answer" in page


@pytest.mark.django_db
def test_the_site_is_ready_though_degraded_when_globus_is_out(browser, globus_out):
    response = browser().get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"ready": True, "degraded": ["Worker", "Globus Auth", "Globus Transfer", "Graph service"]}


@pytest.mark.django_db
def test_what_is_out_stands_above_every_page_once_the_worker_found_it(browser, globus_out):
    assert "Copies and shares are delayed" not in browser().get("/signin/").content.decode()
    tasks.heartbeat()
    assert "Copies and shares are delayed" in browser().get("/signin/").content.decode()
    assert health.check_worker()[:2] == ("ok", "Works")


def test_a_silent_worker_is_noticed(settings):
    assert health.check_worker()[1] == "Silent"
    cache.set(health.HEARTBEAT_KEY, 1.0)
    assert health.check_worker()[1] == "Silent"


def test_a_broker_that_is_out_is_said_and_nothing_breaks(settings, tmp_path):
    settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock"
    assert health.check_broker()[1] == "Out"


def test_a_refused_connection_counts_as_out():
    assert health.asks("http://127.0.0.1:1/", "Wait.")() == ("attention", "Does not answer", "Wait.")


def test_livez_asks_nothing(client):
    assert client.get("/livez").content == b"ok\n"
