"""A graph service with its worker, as processes beside a local Globus and its nodes: for tests here and of the portal."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import globus_sdk
import httpx
import pytest

from services.embedded.addresses import free_port
from services.embedded.environment import read_environment
from services.embedded.groups import Watchdog
from services.embedded.stack import Stack
from services.embedded.visitor import Visitor

CHECKOUT = Path(__file__).parents[3]


@dataclass
class Running:
    """A graph service beside a local Globus with its nodes."""

    stack: Stack
    url: str
    folder: Path
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen]
    watchdog: Watchdog

    def start(self, name: str) -> None:
        role = ["worker"] if name == "worker" else ["--host", "127.0.0.5", "--port", self.url.rsplit(":", 1)[1]]
        log = (self.folder.parent / f"{name}.log").open("ab")
        command = [sys.executable, "-m", "services.graph", *role, "--data", str(self.folder)]
        self.processes[name] = subprocess.Popen(command, cwd=CHECKOUT, env=self.environment, stdout=log, stderr=log, start_new_session=True)
        log.close()
        self.watchdog.watch(self.processes[name])

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        self.watchdog.forget(process)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def tokens(self, who: str | None, *scopes: str) -> str:
        """An access token for the graph service: of a person by sign-in and consent, or (None) of the portal itself."""
        client = globus_sdk.ConfidentialAppAuthClient(self.environment["PORTAL_ID"], self.environment["PORTAL_SECRET"])
        if who is None:
            answer: globus_sdk.OAuthTokenResponse = client.oauth2_client_credentials_tokens(requested_scopes=" ".join(scopes))
        else:
            client.oauth2_start_flow(f"{self.environment['PORTAL_URL']}/complete/globus/", requested_scopes=" ".join(scopes))
            answer = client.oauth2_exchange_code_for_tokens(self._sign_in(who, client.oauth2_get_authorize_url()))
        found = list(answer.by_resource_server.values())
        return found[-1]["access_token"]

    def _sign_in(self, who: str, address: str) -> str:
        """The code that comes back to the portal, whose address nobody serves here."""
        visitor = Visitor(ca_file=Path(self.environment["GLOBUS_SDK_VERIFY_SSL"]), start=self.environment["GLOBUS_SDK_SERVICE_URL_AUTH"])
        try:
            page = visitor.open(address)
            for _ in range(5):
                page = visitor.submit(page, who if page.has_button(who) else "Allow")
        except httpx.ConnectError as error:
            return error.request.url.params["code"]
        finally:
            visitor.close()
        raise AssertionError(f"no code came back: {page.summary()}")

    def call(self, method: str, path: str, *, token: str | None, status: int | None = None, **options) -> dict:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = httpx.request(method, f"{self.url}{path}", headers=headers, trust_env=False, timeout=60, **options)
        if status is not None:
            assert answer.status_code == status, answer.text
        return answer.json() if answer.content else {}

    def follow(self, path: str, *, token: str, until=("done", "partial", "failed", "cleaned")) -> dict:
        deadline = time.monotonic() + 150
        while time.monotonic() < deadline:
            document = self.call("GET", path, token=token, status=200)
            if document["status"] in until:
                return document
            time.sleep(0.05)  # polled: there is no event to wait for
        raise AssertionError(f"{path} is still {document['status']}: {(self.folder.parent / 'worker.log').read_text()[-2000:]}")

    def source(self, dataset: str, file: str, **more: str) -> dict:
        found = {
            "dataset": dataset,
            "title": f"Title of {dataset}",
            "version": "1",
            "collection_id": self.archive,
            "path": f"/{dataset}/{file}",
        }
        return {**found, **more}

    @property
    def archive(self) -> str:
        return self.environment["CAUSEWAY_ARCHIVE_COLLECTION"]

    @property
    def results(self) -> str:
        return self.environment["CAUSEWAY_RESULTS_COLLECTION"]

    @property
    def scope(self) -> str:
        return f"{self.environment['CAUSEWAY_GRAPH_SCOPE']}[*https://auth.globus.org/scopes/{self.archive}/https]"

    def rules(self) -> list[dict]:
        """The rules of the results collection, as an administrator sees them."""
        return [rule for rule in self.transfer().endpoint_acl_list(self.results)["DATA"] if rule["id"]]

    def open_to_everybody(self, path: str) -> None:
        """Let everybody who is signed in read a folder of the archive."""
        rule = {"DATA_TYPE": "access", "principal_type": "all_authenticated_users", "principal": "", "path": path, "permissions": "r"}
        try:
            self.transfer().add_endpoint_acl_rule(self.archive, rule)
        except globus_sdk.TransferAPIError as error:
            if "Exists" not in str(error.code):
                raise

    def transfer(self) -> globus_sdk.TransferClient:
        client = globus_sdk.ConfidentialAppAuthClient(self.environment["ADMIN_ID"], self.environment["ADMIN_SECRET"])
        return globus_sdk.TransferClient(
            authorizer=globus_sdk.ClientCredentialsAuthorizer(client, str(globus_sdk.TransferClient.scopes.all))
        )

    def files_of(self, job_id: str) -> list[str]:
        folder = self.stack.places.archive / "results" / "graphs" / job_id
        return sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []


@contextmanager
def run_service(globus_stack, redis_url: str, folder: Path) -> Iterator[Running]:
    """The service and its worker, until the end of the block; two datasets of the archive are open to everybody signed in."""
    globus = globus_stack.places.globus
    told = {**read_environment(globus / "env"), **read_environment(globus / "graph.env")}
    portal = read_environment(globus / "portal.env")
    environment = {
        **os.environ,
        **told,
        "REDIS_URL": redis_url,
        "PORTAL_ID": portal["CAUSEWAY_GLOBUS_CLIENT_ID"],
        "PORTAL_SECRET": portal["CAUSEWAY_GLOBUS_CLIENT_SECRET"],
        "PORTAL_URL": globus_stack.addresses.web,
        "ADMIN_ID": told["GLOBUS_CLI_CLIENT_ID"],
        "ADMIN_SECRET": told["GLOBUS_CLI_CLIENT_SECRET"],
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in told.items():
            if name.startswith("GLOBUS_SDK"):
                patch.setenv(name, value)
        service = Running(globus_stack, f"http://127.0.0.5:{free_port()}", folder, environment, {}, Watchdog())
        for dataset in ("a1b-north-america", "ostia-sst"):
            service.open_to_everybody(f"/{dataset}/")
        service.start("web")
        service.start("worker")
        wait_until(lambda: httpx.get(f"{service.url}/livez", trust_env=False).status_code == 200)
        yield service
        for name in list(service.processes):
            service.kill(name)
        service.watchdog.close()


def wait_until(is_true, *, timeout_s: float = 120):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if is_true():
                return
        time.sleep(0.1)  # polled: there is no event to wait for
    raise AssertionError("it did not happen")
