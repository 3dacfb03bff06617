"""A local Globus with two nodes for a bench: started by their command lines, used over HTTP alone as any client would, gone at the end."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from services.embedded.addresses import Addresses, free_port
from services.embedded.bench.relay import Relay
from services.embedded.environment import plain_environment, read_environment
from services.embedded.stack import CHECKOUT, module
from services.embedded.visitor import Visitor

TRANSFER = "urn:globus:auth:scope:transfer.api.globus.org:all"
SCOPES = "https://auth.globus.org/scopes/"
LOOK_S = 0.01
SELDOM_S = 0.2
"""How often the task is asked for before anything has arrived: each question costs processor time that the copy lacks."""


class BenchError(Exception):
    """A program did not start, or a copy did not end well; the message holds what it said."""


class Program:
    """One program, from its start to its end; `ready_s` is how long it took to say `ready`."""

    def __init__(self, command: list[str], *, log: Path) -> None:
        began = time.monotonic()
        with log.open("ab") as lines:
            self.process = subprocess.Popen(
                command, cwd=CHECKOUT, env=plain_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=lines
            )
        line = self.process.stdout.readline() if self.process.stdout else b""
        self.ready_s = time.monotonic() - began
        if not line.startswith(b"ready"):
            self.stop()
            raise BenchError(f"{' '.join(command[:4])} did not start: {log.read_text(errors='replace')[-2000:]}")

    def memory_mib(self, field: str = "VmRSS") -> float:
        """What the kernel says of the program's memory: `VmRSS` now, `VmHWM` at its most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.split(f"{field}:")[1].split()[0]) / 1024

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


@dataclass(frozen=True)
class Far:
    """Where the archive node is when another path leads to it: what its command begins with, its address there, and ours."""

    prefix: list[str]
    host: str
    near: str


class Site:
    """The programs `globus`, `archive` and `campus`, their data roots, and Ada's and the demo client's tokens."""

    def __init__(self, folder: Path, *, is_counted: bool = False, far: Far | None = None, workers: int = 8) -> None:
        self.folder = folder
        self.addresses = Addresses(free_port())
        self._far, self._workers = far, workers
        self.archive_url = self.addresses.archive if far is None else f"https://{far.host}:{self.addresses.port}"
        self.archive_root, self.campus_root = folder / "archive", folder / "campus"
        (self.archive_root / "data/bench").mkdir(parents=True)
        (self.campus_root / "home/ada").mkdir(parents=True)
        is_relayed = is_counted or far is not None
        self.relay = Relay(("127.0.0.2", self.addresses.port), host=far.near if far else "127.0.0.1") if is_relayed else None
        self._running = contextlib.ExitStack()
        try:
            self._start()
        except BaseException:  # also Ctrl-C: what had come up must not go on alone
            self.stop()
            raise

    def _start(self) -> None:
        data = self.folder / "globus"
        self.globus = self._program(
            "localglobus", "--data", data, "--host", "127.0.0.2", "--port", self.addresses.port,
            "--node", f"archive={self.archive_url}", "--node", f"campus={self.addresses.campus}", "--portal-url", self.addresses.web,
            *(("--allow-host", self._far.host, "--allow-host", self._far.near) if self._far else ()),
        )  # fmt: skip
        control = self.addresses.localglobus
        if self.relay is not None:
            self._running.callback(self.relay.stop)
            control = self.relay.url
        prefix = self._far.prefix if self._far else []
        self.archive = self._node("archive", self.archive_root, self.archive_url, control=control, prefix=prefix)
        self.campus = self._node("campus", self.campus_root, self.addresses.campus, control=control)
        self.ca_file = data / "ca.pem"
        self._env = read_environment(data / "env") | read_environment(data / "portal.env")
        self._http = self._running.enter_context(httpx.Client(base_url=self.addresses.localglobus, trust_env=False, timeout=30))
        self.archive_collection, self.campus_collection = self._env["CAUSEWAY_ARCHIVE_COLLECTION"], self._env["CAUSEWAY_CAMPUS_COLLECTION"]
        rule = {"DATA_TYPE": "access", "principal_type": "all_authenticated_users", "principal": "", "path": "/bench/", "permissions": "r"}
        self._ask(self.client_token(TRANSFER), "POST", f"/v0.10/endpoint/{self.archive_collection}/access", rule)
        self._ada = self._sign_in(f"{TRANSFER}[*{SCOPES}{self.campus_collection}/data_access]")

    def _node(self, name: str, root: Path, url: str, *, control: str, prefix: Sequence[str] = ()) -> Program:
        secret = self.folder / "globus" / f"dtn-{name}.secret"
        return self._program(
            "dtn", "--name", name, "--data", root, "--url", url, "--control", control, "--secret-file", secret, "--workers", self._workers,
            prefix=prefix,
        )  # fmt: skip

    def _program(self, name: str, *options: object, prefix: Sequence[str] = ()) -> Program:
        command = [*prefix, *module(f"services.{name}"), *(str(word) for word in options)]
        program = Program(command, log=self.folder / f"{name}.log")
        self._running.callback(program.stop)
        return program

    def stop(self) -> None:
        """End the programs. The folder is the caller's to remove."""
        self._running.close()

    def client_token(self, scope: str) -> str:
        """A token of the demo's service client, which administers the archive's collections."""
        client = (self._env["GLOBUS_CLI_CLIENT_ID"], self._env["GLOBUS_CLI_CLIENT_SECRET"])
        answer = self._http.post("/v2/oauth2/token", data={"grant_type": "client_credentials", "scope": scope}, auth=client)
        return str(answer.raise_for_status().json()["access_token"])

    def https_token(self) -> str:
        return self.client_token(f"{SCOPES}{self.archive_collection}/https")

    def file_url(self, name: str) -> str:
        """The HTTPS address of `data/bench/<name>` below the archive's root."""
        return f"{self.archive_url}/{self.archive_collection}/bench/{name}"

    def _sign_in(self, scope: str) -> str:
        """Ada's token, by the pages and a code. Nothing listens at the portal's address: the code is in the address that fails."""
        back = f"{self.addresses.web}/complete/globus/"
        client_id, secret = self._env["CAUSEWAY_GLOBUS_CLIENT_ID"], self._env["CAUSEWAY_GLOBUS_CLIENT_SECRET"]
        asked = {"client_id": client_id, "redirect_uri": back, "response_type": "code", "scope": scope, "state": "bench"}
        with contextlib.closing(Visitor(ca_file=self.ca_file, start=self.addresses.localglobus)) as visitor:
            try:
                page = visitor.open(f"/v2/oauth2/authorize?{httpx.QueryParams(asked)}")
                page = visitor.submit(page, "ada@university")
                visitor.submit(page, "allow")
            except httpx.ConnectError as error:
                code = error.request.url.params["code"]
            else:
                raise BenchError("the sign-in did not come to its end")
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": back}
        answer = self._http.post("/v2/oauth2/token", data=form, auth=(client_id, secret)).raise_for_status().json()
        found = [answer, *answer.get("other_tokens", [])]
        return str(next(one["access_token"] for one in found if one["resource_server"] == "transfer.api.globus.org"))

    def _ask(self, token: str, method: str, path: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self._http.request(method, path, json=document, headers={"Authorization": f"Bearer {token}"})
        if answer.is_error:
            raise BenchError(f"{method} {path}: {answer.status_code} {answer.text}")
        said: dict[str, Any] = answer.json()
        return said

    def copy(self, name: str, *, is_folder: bool, timeout_s: float = 600, options: dict[str, Any] | None = None) -> float:
        """Copy `data/bench/<name>` of the archive to Ada's home as a verified transfer task; seconds from submission to its end.

        A file is known to have come when it has its name, a folder when its last file has: only then is the task looked at closely.
        """
        last = self.archive_root / "data/bench" / name
        while last.is_dir():
            last = max(last.iterdir())
        arrived = self.campus_root / "home/ada" / last.relative_to(self.archive_root / "data/bench")
        item = {"DATA_TYPE": "transfer_item", "source_path": f"/bench/{name}", "destination_path": f"/~/{name}", "recursive": is_folder}
        number = self._ask(self._ada, "GET", "/v0.10/submission_id")["value"]
        document = {
            "DATA_TYPE": "transfer", "submission_id": number, "source_endpoint": self.archive_collection,
            "destination_endpoint": self.campus_collection, "verify_checksum": True, "notify_on_succeeded": False, "DATA": [item],
            **(options or {}),
        }  # fmt: skip
        began = time.monotonic()
        task_id = self._ask(self._ada, "POST", "/v0.10/transfer", document)["task_id"]
        while True:
            task = self._ask(self._ada, "GET", f"/v0.10/task/{task_id}")
            seconds = time.monotonic() - began
            if task["status"] == "SUCCEEDED":
                return seconds
            if task["status"] == "FAILED" or seconds > timeout_s:
                raise BenchError(f"the copy of {name} ended as {task['status']}: {task.get('nice_status')} {task.get('fatal_error')}")
            look_at = time.monotonic() + SELDOM_S
            while not arrived.exists() and time.monotonic() < look_at:
                time.sleep(LOOK_S)
            time.sleep(LOOK_S)


@contextlib.contextmanager
def site_at(folder: Path, *, is_counted: bool = False, far: Far | None = None, workers: int = 8) -> Iterator[Site]:
    """A running site in a folder of its own, removed at the end."""
    site = Site(folder, is_counted=is_counted, far=far, workers=workers)
    try:
        yield site
    finally:
        site.stop()
        shutil.rmtree(folder, ignore_errors=True)
