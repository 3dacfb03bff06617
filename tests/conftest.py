"""Every run gets a PostgreSQL and a Valkey of its own, from the wheels, before Django reads its settings.

`DATABASE_URL` and `REDIS_URL` given from outside are used instead. What needs the whole product asks for `stack`."""

import base64
import os
import random
import shutil
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import httpx
import hypothesis
import pytest

from services.embedded.addresses import free_port
from services.embedded.stack import Stack
from tests import order
from tests.databases import PROCESS, drop_template, make_passable_folder, migrated_template, start_databases

SETTINGS_OF_TESTS = {
    "CAUSEWAY_SECRET_KEY": "only-for-tests",
    "CAUSEWAY_TOKEN_KEYS": base64.urlsafe_b64encode(b"0123456789abcdef0123456789abcdef").decode(),
    "CAUSEWAY_ALLOW_STANDIN": "1",
    "CAUSEWAY_BASE_URL": "http://127.0.0.1:8000",
    "CAUSEWAY_GLOBUS_CLIENT_ID": "7d5a4f1e-0000-4000-8000-000000000001",
    "CAUSEWAY_GLOBUS_CLIENT_SECRET": "only-for-tests",
    "CAUSEWAY_ARCHIVE_COLLECTION": "7d5a4f1e-0000-4000-8000-000000000002",
    "CAUSEWAY_SHARE_COLLECTION": "7d5a4f1e-0000-4000-8000-000000000003",
    "CAUSEWAY_STORAGE_COLLECTION": "7d5a4f1e-0000-4000-8000-000000000004",
    "CAUSEWAY_RESULTS_COLLECTION": "7d5a4f1e-0000-4000-8000-000000000005",
}


def set_django_up() -> None:
    """pytest-django reads settings before any conftest when the ini file names them; so it is done here, after the start."""
    for name, value in SETTINGS_OF_TESTS.items():
        os.environ.setdefault(name, value)
    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    import django

    django.setup()


def refuse_the_network(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook: tests talk to loopback and unix sockets only; `-m live` with CAUSEWAY_LIVE=1 may go out."""
    if event != "socket.connect" or "CAUSEWAY_LIVE" in os.environ:
        return
    address = arguments[1]
    if isinstance(address, tuple) and not str(address[0]).startswith(("127.", "::1", "localhost")):
        raise RuntimeError(f"a test connects to {address[0]}: tests stay on this machine")


def wait_long_for_answers() -> None:
    """httpx waits five seconds unless told; an answer that a busy machine gives later is no fault of what is tested."""
    for kind in ("connect", "read", "write", "pool"):
        setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, kind, 60.0)


# A busy machine makes no example wrong: those of Hypothesis's own checks that measure time are left out.
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")
start_databases()
set_django_up()
wait_long_for_answers()
sys.addaudithook(refuse_the_network)


@pytest.hookimpl(trylast=True)  # after the order was shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(900))  # the first one waits for the whole product to start
    order.put_longest_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> order.Scheduler:
    return order.Scheduler(config, log)


def pytest_unconfigure() -> None:
    if not PROCESS:
        drop_template()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("browser"):
        require_program("chromium", "apt-get install chromium")
        require_program("certutil", "apt-get install libnss3-tools")


def refuse(words: str) -> NoReturn:
    """Skip by name what cannot run here; under CAUSEWAY_REQUIRE_ALL=1 that is a failure."""
    if os.environ.get("CAUSEWAY_REQUIRE_ALL") == "1":
        pytest.fail(words, pytrace=False)
    pytest.skip(words)  # a laptop without that program tests all the rest


def require_program(name: str, remedy: str) -> None:
    """Refuse a test whose program is not installed."""
    if shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):  # where servers are, off an ordinary user's path
        return
    refuse(f"{name} is not installed ({remedy})")


@pytest.fixture
def seed(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> int:
    """Of what a test leaves to chance: told at once, and taken from CAUSEWAY_SEED, or from what Hypothesis was given, to repeat a run."""
    given = os.environ.get("CAUSEWAY_SEED") or request.config.getoption("hypothesis_seed")
    chosen = int(given or random.SystemRandom().randrange(2**32))
    with capsys.disabled():
        print(f"\nCAUSEWAY_SEED={chosen} repeats {request.node.nodeid}", flush=True)
    return chosen


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None, django_db_blocker: Any) -> None:
    """Migrations run once, whatever number of processes tests run in (pytest-django's fixture of that name)."""
    if PROCESS:
        from django.conf import settings

        with django_db_blocker.unblock():
            settings.DATABASES["default"]["TEST"]["TEMPLATE"] = migrated_template()


@pytest.fixture(scope="session")
def redis_url() -> str:
    """`REDIS_URL` of this run's Valkey."""
    return os.environ["REDIS_URL"]


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole product, real processes and a database of its own, with the demonstration's archive loaded."""
    settings = {"CAUSEWAY_SWEEP_SECONDS": "1"}
    yield from started(Stack(make_passable_folder(), port=free_port(), faults=True, durable=False, settings=settings))


@pytest.fixture(scope="session")
def globus_stack() -> Iterator[Stack]:
    """The local Globus and its two data transfer nodes alone."""
    yield from started(Stack(make_passable_folder(), port=free_port(), with_portal=False, faults=True))


def started(stack: Stack) -> Iterator[Stack]:
    try:
        yield stack.start()
    finally:
        stack.stop()
        stack.discard()
        shutil.rmtree(stack.state, ignore_errors=True)
