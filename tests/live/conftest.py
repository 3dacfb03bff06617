"""Two sides for the same calls: the local Globus, and the one whose credentials are in the environment.

CAUSEWAY_LIVE_CLIENT_ID, CAUSEWAY_LIVE_CLIENT_SECRET   a confidential client ("service account") of https://app.globus.org/settings/developers
CAUSEWAY_LIVE_SOURCE=<collection id>:/folder/          small, that client may read it
CAUSEWAY_LIVE_DESTINATION=<collection id>:/folder/     that client may write it; with the role access manager, rules are compared too
CAUSEWAY_LIVE_ENV=FILE                                 optional: `export GLOBUS_SDK_...` lines of a Globus that is not the real one

CAUSEWAY_TEST_PROCESSES=0 script/test -m live tests/live
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.embedded.environment import read_environment
from tests.live.sides import Place, Side
from tests.services.localglobus.transfer.conftest import Sites, running_sites

__all__ = ["running_sites"]  # a fixture
NEEDED = tuple(f"CAUSEWAY_LIVE_{name}" for name in ("CLIENT_ID", "CLIENT_SECRET", "SOURCE", "DESTINATION"))
IS_GIVEN = all(os.environ.get(name) for name in NEEDED)
if IS_GIVEN:
    os.environ.setdefault("CAUSEWAY_LIVE", "1")  # the guard of tests/conftest.py lets connections out


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without credentials there is nothing to compare with."""
    if IS_GIVEN:
        return
    left_out = [item for item in items if item.get_closest_marker("live")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("live")]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print every difference that was seen, the recorded ones too."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    found = [words for report in reports for name, words in report.user_properties if name == "difference"]
    if any("test_live.py" in report.nodeid for report in reports):
        terminalreporter.section("differences from the other Globus")
        for words in found or ["none"]:
            terminalreporter.write_line(str(words))


@pytest.fixture(scope="session")
def here(running_sites: Sites) -> Iterator[Side]:
    globus = running_sites.globus.env
    side = Side(
        "here",
        globus,
        globus["GLOBUS_CLI_CLIENT_ID"],
        globus["GLOBUS_CLI_CLIENT_SECRET"],
        Place(running_sites.collection("archive"), "/public/"),
        Place(running_sites.collection("share"), "/"),
    )
    yield side
    side.clean_up()


@pytest.fixture(scope="session")
def there() -> Iterator[Side]:
    client_id, secret, source, destination = (os.environ[name] for name in NEEDED)
    pointers = read_environment(Path(os.environ["CAUSEWAY_LIVE_ENV"])) if "CAUSEWAY_LIVE_ENV" in os.environ else {}
    side = Side("there", pointers, client_id, secret, Place.read(source), Place.read(destination))
    yield side
    side.clean_up()
