"""localglobus and both nodes are killed without warning, at any moment: every task ends, every file arrives whole, once, or not at all."""

import ctypes
import hashlib
import os
import random
import signal
import struct
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from globus_sdk import DeleteData, NetworkError, TransferAPIError, TransferData
from globus_sdk.transport import RetryConfig

from tests.services.localglobus.transfer.conftest import own_sites

pytestmark = pytest.mark.long

__all__ = ["own_sites"]  # a fixture
VICTIMS = ("localglobus", "archive", "campus")
FOLDERS, FILES = 6, 240
LARGE = {"model.nc": 50_000_017, "field.nc": 35_000_000}  # they come in pieces
SLOWLY = {"kind": "get", "times": 1_000_000, "delay_s": 0.012}  # a file, or a piece: a task lasts for several kills
IN_MOVED_TO, IN_NONBLOCK, IN_CLOEXEC = 0x80, os.O_NONBLOCK, os.O_CLOEXEC


class Arrivals:
    """How often each name of some folders was given to a file, told by the kernel: a second delivery cannot hide."""

    def __init__(self, folders: list[Path]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(IN_NONBLOCK | IN_CLOEXEC)
        self._folders = {self._libc.inotify_add_watch(self._fd, bytes(folder), IN_MOVED_TO): folder for folder in folders}
        assert self._fd >= 0
        assert min(self._folders) >= 0

    def close(self) -> Counter[Path]:
        """What was seen; more than the kernel's queue holds (16,384 events) would fail here."""
        found: Counter[Path] = Counter()
        while heads := self._read():
            while heads:
                watch, mask, _, length = struct.unpack_from("iIII", heads)
                assert mask & IN_MOVED_TO
                found[self._folders[watch] / os.fsdecode(heads[16 : 16 + length].rstrip(b"\0"))] += 1
                heads = heads[16 + length :]
        os.close(self._fd)
        return found

    def _read(self) -> bytes:
        try:
            return os.read(self._fd, 1 << 20)
        except BlockingIOError:
            return b""


class Killer(threading.Thread):
    """Kills and starts again, until `n_kills` are done: one process, or two at once, each at a moment of the dice."""

    def __init__(self, sites, dice: random.Random, n_kills: int) -> None:
        super().__init__(name="killer")
        self.sites, self.dice, self.n_left = sites, dice, n_kills
        self.killed: Counter[str] = Counter()
        self.error: Exception | None = None
        self.stop = threading.Event()

    def run(self) -> None:
        try:
            while self.n_left > 0 and not self.stop.wait(self.dice.uniform(0, 1.2)):
                self.kill(self.dice.sample(VICTIMS, min(self.n_left, self.dice.choice((1, 1, 2)))))
        except Exception as error:  # noqa: BLE001 (told by the test)
            self.error = error

    def kill(self, victims: list[str]) -> None:
        for name in victims:
            self.killed[name] += 1
            self.n_left -= 1
            if name == "localglobus":
                self.sites.globus.stop(signal.SIGKILL)
            else:
                self.sites.stop_node(name, signal.SIGKILL)
        time.sleep(self.dice.uniform(0, 0.3))  # how long it is away is left to chance too
        for name in sorted(victims, key=VICTIMS.index):  # a node says that it is ready once localglobus knows it
            if name == "localglobus":
                self.sites.globus.start()
            else:
                self.sites.start_node(name)
            if name == "archive":
                self.sites.node_fault("archive", **SLOWLY)


def patiently(act):
    """What a client does whose calls meet a dead server: it asks again."""
    end = time.monotonic() + 60
    while True:
        try:
            return act()
        except (NetworkError, TransferAPIError) as error:
            if time.monotonic() > end or (isinstance(error, TransferAPIError) and error.http_status < 500):
                raise
            time.sleep(0.1)  # until it is back


def digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def original(own_sites):
    """A folder at the archive, its digests; everybody may read it."""
    folder = own_sites.root("archive") / "data/public/set"
    for number in range(FILES):
        path = folder / f"part {number % FOLDERS}" / f"{number}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(1 + number * 37))
    for name, size in LARGE.items():
        (folder / "part 0" / name).write_bytes(os.urandom(size))
    rule = {"DATA_TYPE": "access", "principal_type": "all_authenticated_users", "principal": "", "path": "/public/", "permissions": "r"}
    own_sites.service("portal").add_endpoint_acl_rule(own_sites.collection("archive"), rule)
    own_sites.node_fault("archive", **SLOWLY)
    return digests(folder)


@contextmanager
def killing(sites, dice, n_kills):
    killer = Killer(sites, dice, n_kills)
    killer.start()
    try:
        yield killer
    finally:  # also where a test has failed: nothing is killed behind the back of the next
        killer.stop.set()
        killer.join()
    assert killer.error is None, killer.error


@pytest.fixture
def ada(own_sites):
    client = own_sites.person("ada", data_access="campus")
    client.retry_config = RetryConfig(max_retries=0)
    return client


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("n_kills", [20, pytest.param(200, marks=pytest.mark.soak)])
def test_every_task_ends_and_every_file_arrives_once_whatever_is_killed(own_sites, ada, original, seed, n_kills):
    n_tasks = 0
    with killing(own_sites, random.Random(seed), n_kills) as killer:
        while killer.is_alive():
            copy_and_delete(own_sites, ada, original, f"copy {n_tasks}")
            n_tasks += 1
    assert killer.n_left == 0
    print(f"{n_tasks} copies through the kills of {dict(killer.killed)}")


def copy_and_delete(sites, ada, original, name):
    campus, target = sites.collection("campus"), sites.root("campus") / "home/ada" / name
    for number in range(FOLDERS):
        (target / f"part {number}").mkdir(parents=True)
    arrivals = Arrivals(list(target.iterdir()))
    asked = TransferData(sites.collection("archive"), campus, label=name, verify_checksum=True)
    asked.add_item("/public/set/", f"/~/{name}/", recursive=True)
    task = ended(ada, submit(ada, ada.submit_transfer, asked), lambda: require_whole(sites.root("archive") / "data/public/set", target))
    assert task["status"] == "SUCCEEDED", task
    assert digests(target) == original
    assert set(arrivals.close().values()) == {1}, "a file was delivered twice"
    reported = patiently(lambda: [each["source_path"] for each in ada.paginated.task_successful_transfers(task["task_id"]).items()])
    assert sorted(reported) == sorted(f"/public/set/{path}" for path in original)
    assert (task["files"], task["files_transferred"], task["files_skipped"]) == (len(original), len(original), 0)
    assert patiently(lambda: [each["task_id"] for each in ada.task_list(filter={"label": name})]) == [task["task_id"]]
    asked = DeleteData(campus, recursive=True)
    asked.add_item(f"/~/{name}/")
    task = ended(ada, submit(ada, ada.submit_delete, asked), lambda: None)
    assert task["status"] == "SUCCEEDED", task
    assert not target.exists()


def submit(ada, verb, asked):
    """With one submission id, as often as it takes: the first task is meant each time."""
    asked["submission_id"] = patiently(lambda: ada.get_submission_id()["value"])
    return patiently(lambda: verb(asked)["task_id"])


def ended(ada, task_id, look):
    deadline = time.monotonic() + 300
    while (task := patiently(lambda: ada.get_task(task_id).data))["status"] == "ACTIVE":
        look()
        assert time.monotonic() < deadline, (task, patiently(lambda: list(ada.task_event_list(task_id))))
        time.sleep(0.1)  # a task is looked at again and again while it goes on
    return task


def require_whole(source: Path, target: Path) -> None:
    """What has its name is whole."""
    for path in target.rglob("[!.]*.*"):
        assert path.stat().st_size == (source / path.relative_to(target)).stat().st_size, f"{path} has its name too early"
