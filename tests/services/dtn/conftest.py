"""Real nodes (processes) and a scripted control (a server in a thread) for them."""

import contextlib
import functools
import os
import select
import shutil
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from services.embedded.addresses import free_port
from tests.services.dtn.s3_server import KEYS, S3Server
from tests.services.dtn.scripted_control import ScriptedControl

REPOSITORY = Path(__file__).parents[3]
HOSTS = {"archive": "127.0.0.3", "campus": "127.0.0.4"}
OTHER_HOST = "127.0.0.6"
PASSES_OVER = "dac_override,-dac_read_search"  # what lets root read and write whatever a file's mode says
IS_BOUND_BY_MODES = os.getuid() != 0 or shutil.which("setpriv") is not None
BOUND_BY_MODES = (
    ["setpriv", f"--bounding-set=-{PASSES_OVER}", f"--inh-caps=-{PASSES_OVER}"] if os.getuid() == 0 and IS_BOUND_BY_MODES else []
)


class NodeProcess:
    """One `python -m services.dtn`, its data folder, and a client that trusts its certificate."""

    def __init__(self, control, folder, name, *, options=("--faults",)):
        self.control, self.folder, self.name, self.options = control, folder, name, options
        port = free_port()  # not of the system's choice: while the node is down, some connection of its own would take that
        self.address = f"{HOSTS.get(name, OTHER_HOST)}:{port}"
        self.url = f"https://{self.address}"
        self.data, self.state = folder / name, folder / f"{name}.state"
        self.data.mkdir(parents=True)
        (folder / f"{name}.secret").write_text(control.secret + "\n")
        control.nodes[name] = {"url": self.url, "instances": [], "collections": []}
        self.process = None
        self.has_faults = False
        self.log = folder / f"{name}.log"

    def launch(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*BOUND_BY_MODES, sys.executable, "-m", "services.dtn", "--name", self.name, "--data", self.data, "--state", self.state,
                 "--url", self.url, "--control", self.control.url, "--secret-file", self.folder / f"{self.name}.secret", *self.options],
                cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        return self

    def wait_until_ready(self, timeout_s=60):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            readable, _, _ = select.select([self.process.stdout], [], [], 0.1)
            if readable:
                line = self.process.stdout.readline()
                assert line == b"ready\n", (line, self.log.read_text()[-2000:])
                return self
        raise AssertionError(f"not ready: {self.log.read_text()[-2000:]}")

    def start(self):
        return self.launch().wait_until_ready()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(8)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        with contextlib.suppress(OSError):
            self.process.stdout.close()

    @functools.cache  # noqa: B019  # a node lives as long as the tests
    def trust(self):
        return ssl.create_default_context(cadata=self.control.ca.pem)

    def client(self, **settings):
        return httpx.Client(base_url=self.url, verify=self.trust(), trust_env=False, timeout=60, **settings)

    def ask(self, verb, **asked):
        with self.client() as client:
            return client.post(f"/.dtn/v1/operations/{verb}", json=asked, headers=self.secret_header)

    def order_fault(self, kind, **fault):
        self.has_faults = True
        with self.client() as client:
            client.post("/.dtn/faults", json={"kind": kind, **fault}, headers=self.secret_header).raise_for_status()

    def clear_faults(self):
        if not self.has_faults:
            return
        self.has_faults = False
        if self.process.poll() is not None:  # they ended with it
            return
        with self.client() as client:
            client.delete("/.dtn/faults", headers=self.secret_header).raise_for_status()

    @property
    def secret_header(self):
        return {"Authorization": f"Bearer {self.control.secret}"}

    def peak_memory_mib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) // 1024


def grid_servers(folder):
    """(pid, command line) of each GridFTP server that runs on something below a folder."""
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = status.read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it has ended since
            continue
        if "gridftp-server" in words[0] and any(word.startswith(f"{folder}/") for word in words):
            yield int(status.parent.name), " ".join(words)


@pytest.fixture(scope="package")
def control():
    control = ScriptedControl().start()
    yield control
    control.stop()


@pytest.fixture(scope="package")
def nodes(control, tmp_path_factory):
    """The two nodes, started once: `archive` and `campus`."""
    folder = tmp_path_factory.mktemp("nodes")
    made = {name: NodeProcess(control, folder, name, options=("--faults", "--name-peers")).launch() for name in HOSTS}
    for node in made.values():
        node.wait_until_ready()
    yield made
    for node in made.values():
        node.stop()


@pytest.fixture(autouse=True)
def nothing_left_running(control):
    """An order that a failed test leaves would take the next test's faults."""
    yield
    for order in control.orders:
        if order not in control.finished:
            control.actions[order] = "cancel"


@pytest.fixture
def archive(nodes):
    yield standing(nodes["archive"])
    nodes["archive"].clear_faults()


@pytest.fixture
def campus(nodes):
    yield standing(nodes["campus"])
    nodes["campus"].clear_faults()


def standing(node):
    """The node, started again where a test that failed left it killed."""
    return node if node.process.poll() is None else node.start()


@pytest.fixture
def files(control, archive, request):
    """A collection of its own on the archive node: (id, folder on the disk)."""
    return new_collection(control, archive, request.node.name)


def new_collection(control, node, name):
    folder = "".join(letter if letter.isalnum() else "_" for letter in name)[:80]
    base = f"/{folder}_{len(control.nodes[node.name]['collections'])}/"
    collection = control.add_collection(node.name, base_path=base)
    path = node.data / base.strip("/")
    path.mkdir()
    return collection, path


@pytest.fixture(scope="package")
def s3(tmp_path_factory):
    server = S3Server(tmp_path_factory.mktemp("s3"))
    yield server
    server.stop()


@pytest.fixture(scope="package")
def vault_node(control, s3, tmp_path_factory):
    """A node with an account at the S3 server."""
    folder = tmp_path_factory.mktemp("vault")
    accounts = folder / "accounts.toml"
    accounts.write_text(
        f'[[account]]\nendpoint = "{s3.url}"\naccess_key_id = "{KEYS[0]}"\nsecret_access_key = "{KEYS[1]}"\nfolder_marker = "{s3.marker}"\n'
    )
    accounts.chmod(0o600)
    node = NodeProcess(control, folder, "vault", options=("--faults", "--s3-accounts", accounts)).start()
    yield node
    node.stop()


@pytest.fixture
def vault(vault_node, s3):
    yield standing(vault_node)
    vault_node.clear_faults()
    s3.faults.clear()


class BucketFolder:
    """What a test sees of a collection's part of a bucket, past the node."""

    def __init__(self, s3, bucket):
        self.s3, self.bucket = s3, bucket

    def put(self, key, content):
        self.s3.client.put_object(Bucket=self.bucket, Key=f"data/{key}", Body=content)

    def read(self, key):
        return self.s3.client.get_object(Bucket=self.bucket, Key=f"data/{key}")["Body"].read()

    def names(self):
        """Every key, without the objects that keep folders."""
        pages = self.s3.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix="data/")
        keys = [one["Key"].removeprefix("data/") for page in pages for one in page.get("Contents", ())]
        return sorted(key for key in keys if not key.endswith(("/", "/.folder")) and key not in {"", ".folder"})

    def uploads(self):
        try:
            return self.s3.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        except self.s3.client.exceptions.NoSuchUpload:  # so says rclone when there are none
            return []


def new_bucket_collection(control, node, s3, name):
    """A collection in a bucket of its own: (id, BucketFolder)."""
    known = control.nodes[node.name]["collections"]
    bucket = f"bucket-{len(known)}"
    s3.client.create_bucket(Bucket=bucket)
    storage = {"connector": "s3", "endpoint": s3.url}
    collection = control.add_collection(node.name, base_path=f"/{bucket}/data/", name=name, storage=storage)
    return collection, BucketFolder(s3, bucket)


@pytest.fixture
def bucket_files(control, vault, s3, request):
    return new_bucket_collection(control, vault, s3, request.node.name)
