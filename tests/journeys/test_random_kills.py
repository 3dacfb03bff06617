"""Any process of the product may be killed at any moment, several at once: every share still opens once, and later is gone."""

import random
import time
from collections.abc import Iterator

import httpx
import psycopg2
import pytest

from tests.journeys.conftest import Person, Site, wait_until

DATASET = "darwin-soi"
VICTIMS = ("web", "worker", "beat", "postgres", "valkey", "localglobus", "dtn-archive")
KILLS_A_SHARE = 4


@pytest.fixture(scope="module")
def quick_site(site: Site) -> Iterator[Site]:
    """Steps of a killed worker are taken over after two seconds instead of thirty, and PostgreSQL keeps what it said that it kept."""
    before = dict(site.stack.settings)
    site.stack.settings = {**before, "CAUSEWAY_CLAIM_SECONDS": "2"}
    tell_postgres(site, "alter database causeway set synchronous_commit to on")
    site.stack.restart("worker")
    yield site
    site.stack.settings = before
    tell_postgres(site, "alter database causeway reset synchronous_commit")
    site.stack.restart("worker")


def tell_postgres(site: Site, words: str) -> None:
    """Tests run it without waiting for its log, so a kill would lose what was committed just before; connections are made anew."""
    connection = psycopg2.connect(site.stack.postgres.dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(words)
    connection.close()
    site.stack.restart("postgres")
    wait_until(lambda: is_whole(site), "the site whole again")


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("n_kills", [20, pytest.param(200, marks=pytest.mark.soak)])
def test_shares_open_once_and_end_whatever_is_killed_meanwhile(quick_site: Site, ada: Person, seed: int, n_kills: int):
    dice = random.Random(seed)
    for _ in range(0, n_kills, KILLS_A_SHARE):
        request_id = ada.ask_for_share(DATASET)
        kill_some(quick_site, dice)
        assert_open_once(quick_site, ada, request_id)
        ada.api(f"data-requests/{request_id}/cancel", {})
        kill_some(quick_site, dice)
        ada.wait(request_id, "expired")
        assert quick_site.rules(f"/requests/{request_id}/") == []
        assert not quick_site.share_folder(request_id).exists()


def kill_some(site: Site, dice: random.Random) -> None:
    """Kill some processes within a second or so; returns when all of them are back and the site answers."""
    victims = dice.sample(VICTIMS, KILLS_A_SHARE // 2)
    for name in victims:
        time.sleep(dice.uniform(0, 0.7))  # the moment is the point
        site.stack.kill(name)
    for name in victims:
        site.stack.supervisor.release(name)
    wait_until(lambda: is_whole(site), "the site whole again")


def is_whole(site: Site) -> bool:
    try:
        return httpx.get(f"{site.stack.base_url}/readyz", trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def assert_open_once(site: Site, ada: Person, request_id: str) -> None:
    request = ada.wait(request_id, "open")
    tasks = [task for task in site.tasks(f"Causeway share {request_id}") if task["type"] == "TRANSFER"]
    assert len(tasks) == 1
    assert [rule["id"] for rule in site.rules(f"/requests/{request_id}/")] == [request["share"]["rule_id"]]
    assert len({mail["Message-ID"] for mail in wait_until(lambda: site.mails(request_id), "the mail")}) == 1
