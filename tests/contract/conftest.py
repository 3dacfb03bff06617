"""localglobus and its nodes for the contract tests, and the CLI as the demo's service client and as signed-in people."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import refuse
from tests.contract.cli import Cli, InstallError, Server, environment, sign_in
from tests.services.localglobus.conftest import use
from tests.services.localglobus.transfer.conftest import Sites, folder, make_sites, running_sites, sites  # noqa: F401 (fixtures)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    try:
        running = Server(tmp_path_factory.mktemp("cli"))
    except InstallError as error:
        refuse(f"the Globus CLI cannot be installed into .venv-cli (pip needs a package index): {error}")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def service(server: Server, running_sites: Sites, tmp_path_factory: pytest.TempPathFactory) -> Cli:  # noqa: F811 (a fixture)
    """The CLI of the demo's service client."""
    return Cli(server, environment(running_sites.globus.env, tmp_path_factory.mktemp("service"), is_service=True))


def person(server: Server, sites: Sites, home: Path, who: str, *words: str) -> Cli:  # noqa: F811 (not the fixture)
    """The CLI of somebody who has just signed in through the pages."""
    cli = Cli(server, environment(sites.globus.env, home, is_service=False))
    answer = sign_in(cli, ["login", "--no-local-server", *words], lambda address: approve(sites, address, who))
    assert answer.status == 0, answer
    return cli


def approve(sites: Sites, address: str, who: str) -> str:  # noqa: F811 (not the fixture)
    with sites.globus.browser() as browser:
        return browser.authorize(address, who)["code"]


@pytest.fixture(scope="session")
def ada(server: Server, running_sites: Sites, tmp_path_factory: pytest.TempPathFactory) -> Cli:  # noqa: F811 (a fixture)
    return person(server, running_sites, tmp_path_factory.mktemp("ada"), "ada@university.example")


@pytest.fixture(scope="session")
def cy(server: Server, running_sites: Sites, tmp_path_factory: pytest.TempPathFactory) -> Cli:  # noqa: F811 (a fixture)
    return person(server, running_sites, tmp_path_factory.mktemp("cy"), "cy@elsewhere.example")


@pytest.fixture
def archive(sites: Sites) -> str:  # noqa: F811 (a fixture)
    return sites.collection("archive")


@pytest.fixture
def share(sites: Sites) -> str:  # noqa: F811 (a fixture)
    return sites.collection("share")


@pytest.fixture
def storage(sites: Sites) -> str:  # noqa: F811 (a fixture)
    return sites.collection("storage")


@pytest.fixture
def endpoint(service: Cli, archive: str) -> str:
    """The archive's endpoint."""
    return str(service.json("api", "transfer", "GET", f"/v0.10/endpoint/{archive}")["owner_id"])


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """A localglobus whose demo world may be spoiled, and that answers however often it is asked."""
    sites = make_sites(tmp_path_factory.mktemp("own"), "--rate-limit", "0")  # noqa: F811 (not the fixture)
    with pytest.MonkeyPatch.context() as patch:
        use(sites.globus, patch)
        yield sites
    sites.stop()
