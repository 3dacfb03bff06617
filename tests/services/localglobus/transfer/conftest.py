"""A real localglobus with its two real data transfer nodes, and the cast as unmodified SDK clients."""

import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import globus_sdk
import httpx
import pytest
from globus_sdk import AccessTokenAuthorizer, GCSClient, TransferClient
from globus_sdk.scopes import GCSCollectionScopes, GCSEndpointScopes, TransferScopes

from services.embedded.addresses import free_port
from tests.services.localglobus.conftest import CHECKOUT, LocalGlobus, use

NODES = {"archive": "127.0.0.3", "campus": "127.0.0.4"}


@dataclass
class Sites:
    """localglobus, both nodes, and the folders below them."""

    folder: Path
    globus: LocalGlobus
    nodes: dict[str, subprocess.Popen] = field(default_factory=dict)
    tokens: dict[tuple, globus_sdk.OAuthTokenResponse] = field(default_factory=dict)

    def root(self, node: str) -> Path:
        return self.folder / node

    def node_url(self, node: str) -> str:
        return f"https://{NODES[node]}:{self.globus.port}"

    def start_node(self, node: str) -> None:
        command = [sys.executable, "-m", "services.dtn", "--name", node, "--data", str(self.root(node)), "--url", self.node_url(node)]
        command += ["--control", self.globus.url, "--secret-file", str(self.globus.data / f"dtn-{node}.secret"), "--faults"]
        with (self.folder / f"{node}.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=log)
        self.nodes[node] = process
        assert process.stdout.readline() == b"ready\n", (self.folder / f"{node}.log").read_text()

    def stop_node(self, node: str, number: int = signal.SIGTERM) -> None:
        process = self.nodes.pop(node)
        process.send_signal(number)
        process.wait(timeout=60)
        process.stdout.close()

    def collection(self, name: str) -> str:
        return self.globus.env[f"CAUSEWAY_{name.upper()}_COLLECTION"]

    def token(self, who: str, scope: str, resource_server: str, *, client: str = "portal") -> str:
        key = (who, scope, client)
        if key not in self.tokens:
            self.tokens[key] = self.globus.sign_in(who, scope, client=client)
        return self.tokens[key].by_resource_server[resource_server]["access_token"]

    def person(self, who: str, *, data_access: str | None = None) -> TransferClient:
        """A person's TransferClient through the portal; `data_access` names a collection whose consent she gives."""
        scope = str(TransferScopes.all)
        if data_access is not None:
            scope += f"[*{GCSCollectionScopes(self.collection(data_access)).data_access}]"
        return TransferClient(authorizer=AccessTokenAuthorizer(self.token(f"{who}@", scope, "transfer.api.globus.org")))

    def identity(self, who: str) -> str:
        tokens = self.globus.client("demo").oauth2_client_credentials_tokens("urn:globus:auth:scope:auth.globus.org:view_identities")
        found = globus_sdk.AuthClient(authorizer=AccessTokenAuthorizer(tokens["access_token"])).get_identities(usernames=who)
        return found["identities"][0]["id"]

    def service(self, name: str, *, data_access: str | None = None) -> TransferClient:
        """The TransferClient of a demo client acting as itself."""
        scope = TransferScopes.all
        if data_access is not None:
            scope = scope.with_dependency(GCSCollectionScopes(self.collection(data_access)).data_access.with_optional(True))
        tokens = self.globus.client(name).oauth2_client_credentials_tokens(str(scope))
        return TransferClient(authorizer=AccessTokenAuthorizer(tokens["access_token"]))

    def manager(self, name: str, *, has_consent: bool = True) -> GCSClient:
        """The GCSClient of a demo client acting as itself at the archive's manager."""
        address = self.globus.env["CAUSEWAY_GCS_ADDRESS"]
        endpoint_id = GCSClient(address).endpoint_client_id
        scope = GCSEndpointScopes(endpoint_id).manage_collections
        if has_consent:
            scope = scope.with_dependency(GCSCollectionScopes(self.collection("storage")).data_access)
        tokens = self.globus.client(name).oauth2_client_credentials_tokens(str(scope))
        return GCSClient(address, authorizer=AccessTokenAuthorizer(tokens["access_token"]))

    def fetch(self, client: str, collection: str, path: str) -> httpx.Response:
        """GET of a file from its node with the client's own token for that collection."""
        tokens = self.globus.client(client).oauth2_client_credentials_tokens(str(GCSCollectionScopes(collection).https))
        verify = ssl.create_default_context(cafile=self.globus.data / "ca.pem")
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        return httpx.get(f"{self.node_url('archive')}/{collection}{path}", headers=headers, verify=verify, trust_env=False)

    def fault(self, **asked: object) -> None:
        httpx.post(f"{self.globus.url}/faults", json=asked, trust_env=False).raise_for_status()

    def node_fault(self, node: str, **asked: object) -> None:
        with self.node_client(node) as client:
            client.post("/.dtn/faults", json=asked).raise_for_status()

    def clear_node_faults(self, node: str) -> None:
        with self.node_client(node) as client:
            client.delete("/.dtn/faults").raise_for_status()

    def node_client(self, node: str) -> httpx.Client:
        """What control says to a node is said with the node's secret."""
        secret = (self.globus.data / f"dtn-{node}.secret").read_text().strip()
        verify = ssl.create_default_context(cafile=self.globus.data / "ca.pem")
        return httpx.Client(base_url=self.node_url(node), headers={"Authorization": f"Bearer {secret}"}, verify=verify, trust_env=False)

    def clear_faults(self) -> None:
        httpx.delete(f"{self.globus.url}/faults", trust_env=False).raise_for_status()

    def stop(self) -> None:
        for node in list(self.nodes):
            self.stop_node(node, signal.SIGKILL)
        if self.globus.process.poll() is None:
            self.globus.stop(signal.SIGKILL)


def wait_until(condition: Callable[[], object], *, timeout_s: float = 90) -> object:
    """The first true value of `condition`."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if value := condition():
            return value
        time.sleep(0.05)  # polled: there is no event to wait for
    raise AssertionError("it did not happen in time")


def make_sites(folder: Path, *options: str) -> Sites:
    """Start localglobus, with further options, and both nodes."""
    globus = LocalGlobus(folder / "globus", free_port(), ["--faults", "--timer-interval", "0.1", *options]).start()
    sites = Sites(folder, globus)
    for path in ("archive/data/public", "archive/data/closed", "archive/shares", "archive/results", "campus/home/ada"):
        (folder / path).mkdir(parents=True)
    (folder / "archive/data/public/air.nc").write_bytes(os.urandom(200_000))
    (folder / "archive/data/public/notes.txt").write_text("read me\n")
    (folder / "archive/data/closed/secret.nc").write_bytes(b"closed")
    for node in NODES:
        sites.start_node(node)
    return sites


@pytest.fixture(scope="session")
def running_sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """One set of processes for all tests that kill none of them."""
    sites = make_sites(tmp_path_factory.mktemp("sites"))
    yield sites
    sites.stop()


@pytest.fixture
def sites(running_sites: Sites, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sites]:
    use(running_sites.globus, monkeypatch)
    yield running_sites
    running_sites.clear_faults()


@pytest.fixture
def own_sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sites]:
    """A set of processes of the test's own, to be killed."""
    made = make_sites(tmp_path)
    use(made.globus, monkeypatch)
    yield made
    made.stop()


@pytest.fixture
def folder(sites: Sites) -> Iterator[Path]:
    """A fresh folder in the shares, as it lies on the disk: `/<name>/` in Causeway Shares. It goes with its rules."""
    path = sites.root("archive") / "shares" / os.urandom(6).hex()
    path.mkdir()
    yield path
    sites.clear_faults()
    demo, share = sites.service("demo"), sites.collection("share")
    for rule in demo.endpoint_acl_list(share):
        if rule["id"] and rule["path"].startswith(f"/{path.name}/"):
            demo.delete_endpoint_acl_rule(share, rule["id"])
    shutil.rmtree(path, ignore_errors=True)
