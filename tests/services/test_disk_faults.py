"""What disks and people do to a copy under way: told with Globus's own codes, tried again until the deadline, never passed off as done."""

import ctypes
import datetime as dt
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from globus_sdk import TransferData

from tests.services.localglobus.conftest import use
from tests.services.localglobus.transfer.conftest import NODES, make_sites, wait_until

pytestmark = pytest.mark.long

MIB = 1 << 20
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def start_bound(sites, node):
    """Start a node that is bound by the modes of files, also as root: its thread gives the capabilities up before it starts it."""

    def start():
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 and os.geteuid() == 0:
                pytest.skip("root cannot give up capabilities here (no CAP_SETPCAP)")
        sites.start_node(node)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(start).result()


@pytest.fixture(scope="module")
def bound_sites(tmp_path_factory):
    """localglobus and two nodes for whom the modes of files count; everybody may read what is public."""
    made = make_sites(tmp_path_factory.mktemp("bound"))
    for node in NODES:
        made.stop_node(node)
        start_bound(made, node)
    rule = {"DATA_TYPE": "access", "principal_type": "all_authenticated_users", "principal": "", "path": "/public/", "permissions": "r"}
    with pytest.MonkeyPatch.context() as patch:
        use(made.globus, patch)
        made.service("portal").add_endpoint_acl_rule(made.collection("archive"), rule)
    yield made
    made.stop()


class Copy:
    """A copy of `/public/<name>/` to ada's home, and what became of it."""

    def __init__(self, sites, name):
        self.sites, self.name = sites, name
        self.ada = sites.person("ada", data_access="campus")
        self.there, self.here = sites.root("archive") / "data/public" / name, sites.root("campus") / "home/ada" / name
        self.there.mkdir()
        self.here.mkdir()
        (self.there / "good.txt").write_text("good")
        self.task_id = ""
        self.modes = {}

    def shut(self, path, *, mode=0):
        """Take rights to a file or folder from everybody; `reopen` gives them back, and the end of the test does."""
        self.modes.setdefault(path, path.stat().st_mode)
        path.chmod(mode)

    def reopen(self, path):
        path.chmod(self.modes[path])

    def begin(self, *, lasts_s=600, **options):
        deadline = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=lasts_s)
        asked = TransferData(self.sites.collection("archive"), self.sites.collection("campus"), deadline=deadline, **options)
        asked.add_item(f"/public/{self.name}/", f"/~/{self.name}/", recursive=True)
        self.task_id = self.ada.submit_transfer(asked)["task_id"]
        return self

    def task(self):
        return self.ada.get_task(self.task_id).data

    def faults(self):
        return [event["code"] for event in self.ada.task_event_list(self.task_id, query_params={"filter": "is_error:1"})]

    def wait_for_fault(self, code):
        """The task goes on, and says what hinders it."""
        told = wait_until(lambda: (found := self.task())["nice_status"] == code and found)
        assert (told["status"], told["is_ok"]) == ("ACTIVE", False)
        assert code in self.faults()

    def wait_for_end(self, status="SUCCEEDED"):
        task = wait_until(lambda: (found := self.task())["status"] != "ACTIVE" and found, timeout_s=150)
        assert task["status"] == status, (task, list(self.ada.task_event_list(self.task_id)))
        return task

    def arrived(self):
        return sorted(path.name for path in self.here.iterdir())


@pytest.fixture
def copy(bound_sites, monkeypatch, request):
    use(bound_sites.globus, monkeypatch)
    made = Copy(bound_sites, "".join(letter for letter in request.node.name if letter.isalnum()))
    yield made
    for path, mode in made.modes.items():  # what a test that failed left closed
        path.chmod(mode)
    for node in NODES:
        if node not in bound_sites.nodes:
            start_bound(bound_sites, node)
        bound_sites.clear_node_faults(node)


@pytest.fixture
def secret(copy):
    """A file at the source that its node may not read."""
    path = copy.there / "secret.nc"
    path.write_bytes(b"secret")
    copy.shut(path)
    return path


def test_what_the_source_may_not_read_is_told_and_tried_again(copy, secret):
    copy.begin().wait_for_fault("PERMISSION_DENIED")
    wait_until(lambda: copy.arrived() == ["good.txt"])
    copy.reopen(secret)
    assert copy.wait_for_end()["files_transferred"] == 2
    assert (copy.here / "secret.nc").read_bytes() == b"secret"


def test_it_fails_at_the_deadline_with_all_the_rest_there(copy, secret):
    copy.begin(lasts_s=8)
    task = copy.wait_for_end("FAILED")
    assert task["fatal_error"]["code"] == "EXPIRED"
    assert "PERMISSION_DENIED" in copy.faults()
    assert copy.arrived() == ["good.txt"]


def test_it_is_passed_over_when_asked(copy, secret):
    (copy.here / "older").write_text("from before")
    task = copy.begin(skip_source_errors=True).wait_for_end()
    assert (task["files_transferred"], task["files_skipped"]) == (1, 1)
    (skipped,) = copy.ada.task_skipped_errors(copy.task_id)
    assert (skipped["error_code"], skipped["source_path"]) == ("PERMISSION_DENIED", f"/public/{copy.name}/secret.nc")
    assert copy.arrived() == ["good.txt", "older"]


def test_extra_files_stay_where_the_source_could_not_be_read(copy, secret):
    """What is missing at the source because it could not be read is not extra at the destination."""
    closed = copy.there / "closed"
    closed.mkdir()
    (closed / "kept").write_text("kept")
    (copy.here / "closed").mkdir()
    (copy.here / "closed" / "kept").write_text("kept")
    copy.shut(closed)
    copy.begin(skip_source_errors=True, delete_destination_extra=True).wait_for_end()
    copy.reopen(closed)
    assert (copy.here / "closed" / "kept").read_text() == "kept"
    assert "DELETE_DESTINATION_EXTRA_SKIPPED" in [event["code"] for event in copy.ada.task_event_list(copy.task_id)]


def test_a_folder_that_may_not_be_read_keeps_nothing_else_from_being_copied(copy):
    closed = copy.there / "closed"
    (closed / "below").mkdir(parents=True)
    (closed / "below" / "late.nc").write_text("late")
    copy.shut(closed)
    copy.begin().wait_for_fault("PERMISSION_DENIED")
    wait_until((copy.here / "good.txt").exists)
    copy.reopen(closed)
    task = copy.wait_for_end()
    assert (copy.here / "closed/below/late.nc").read_text() == "late"
    assert (task["files"], task["files_transferred"], task["directories"]) == (2, 2, 3)


def test_a_destination_that_may_not_be_written_is_told_and_tried_again(copy):
    copy.shut(copy.here, mode=0o555)
    copy.begin().wait_for_fault("PERMISSION_DENIED")
    assert copy.arrived() == []
    copy.reopen(copy.here)
    copy.wait_for_end()
    assert copy.arrived() == ["good.txt"]


@pytest.fixture
def half_done(copy):
    """A large file of which a part has come; the source says that it is busy until its faults are cleared."""
    (copy.there / "good.txt").unlink()
    big = copy.there / "big.nc"
    big.write_bytes(os.urandom(60 * MIB))
    copy.sites.node_fault("archive", kind="get", drop=True, after_bytes=20 * MIB)
    copy.sites.node_fault("archive", kind="get", times=10_000, error={"http_status": 503, "code": "Busy", "message": "busy"})
    copy.begin().wait_for_fault("ENDPOINT_ERROR")
    assert [path.name.startswith(".big.nc") for path in copy.here.iterdir()] == [True]
    return big


def test_a_file_that_changes_meanwhile_is_copied_anew(copy, half_done):
    half_done.write_bytes(os.urandom(60 * MIB + 5))
    copy.sites.clear_node_faults("archive")
    copy.wait_for_end()
    assert "FILE_SIZE_CHANGED" in copy.faults()
    assert (copy.here / "big.nc").read_bytes() == half_done.read_bytes()
    assert copy.arrived() == ["big.nc"]


def test_a_file_that_vanishes_is_told_and_taken_when_it_is_back(copy, half_done):
    away = half_done.rename(copy.there.parent / f"{copy.name} away")
    copy.sites.clear_node_faults("archive")
    copy.wait_for_fault("FILE_NOT_FOUND")
    away.rename(half_done)
    copy.wait_for_end()
    assert (copy.here / "big.nc").read_bytes() == half_done.read_bytes()


def test_a_source_that_is_gone_is_told_and_waited_for(copy, half_done):
    copy.sites.stop_node("archive", signal.SIGKILL)
    copy.wait_for_fault("CONNECT_FAILED")
    start_bound(copy.sites, "archive")
    copy.wait_for_end()
    assert (copy.here / "big.nc").read_bytes() == half_done.read_bytes()


@pytest.fixture
def full_disk(copy, small_disk):
    """The destination is a disk of four MiB, of which three are taken; returns who takes them."""
    filler = small_disk(copy.here, 4) / "filler"
    filler.write_bytes(bytes(3 * MIB))
    return filler


def test_a_full_disk_is_told_and_tried_again_when_there_is_room(copy, full_disk):
    (copy.there / "big.nc").write_bytes(os.urandom(2 * MIB))
    copy.begin().wait_for_fault("NO_SPACE_LEFT")
    assert not (copy.here / "big.nc").exists()
    full_disk.unlink()
    copy.wait_for_end()
    assert (copy.here / "big.nc").read_bytes() == (copy.there / "big.nc").read_bytes()
    assert copy.arrived() == ["big.nc", "good.txt"]


def test_no_space_by_order_is_the_same(copy):
    """Where nothing can be mounted: the fault switch raises the disk's own error."""
    copy.sites.node_fault("campus", kind="write", times=4, no_space=True)
    copy.begin().wait_for_fault("NO_SPACE_LEFT")
    copy.wait_for_end()
    assert copy.arrived() == ["good.txt"]
