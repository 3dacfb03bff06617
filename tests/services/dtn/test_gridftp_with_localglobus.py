"""Tasks of localglobus whose collections say `gridftp`: by the unmodified SDK, from the setting to the bytes."""

import hashlib
import os
import shutil
import ssl

import httpx
import pytest
from globus_sdk import AccessTokenAuthorizer, GCSAPIError, GCSClient, TransferData
from globus_sdk.scopes import GCSEndpointScopes

from services.dtn.gridftp_credentials import GridAuthority
from tests.conftest import require_program
from tests.services.localglobus.conftest import use
from tests.services.localglobus.transfer.conftest import make_sites, wait_until

pytestmark = pytest.mark.long

SHIM = '#!/bin/sh\nexec {program} "$@" -d ALL -l {log} -log-module stdio:buffer=0\n'


@pytest.fixture(scope="module")
def grid_log(tmp_path_factory):
    """What the servers that the nodes start are told, line by line: a program of that name in front of the real one asks for it."""
    require_program("globus-gridftp-server", "apt-get install globus-gridftp-server-progs")
    folder = tmp_path_factory.mktemp("bin")
    shim, log = folder / "globus-gridftp-server", folder / "log"
    program = shutil.which("globus-gridftp-server", path=f"{os.environ['PATH']}:/usr/sbin")
    shim.write_text(SHIM.format(program=program, log=log))
    shim.chmod(0o755)
    log.touch()
    return log


@pytest.fixture(scope="module")
def grid_sites(tmp_path_factory, grid_log):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{grid_log.parent}:{os.environ['PATH']}")
        sites = make_sites(tmp_path_factory.mktemp("grid"))
    yield sites
    sites.stop()


@pytest.fixture
def sites(grid_sites, monkeypatch):
    use(grid_sites.globus, monkeypatch)
    return grid_sites


def manager_of(sites, collection):
    """The administrator's client of the GCS Manager that a collection is on."""
    address = sites.service("demo").get_endpoint(collection)["gcs_manager_url"]
    scope = GCSEndpointScopes(GCSClient(address).endpoint_client_id).manage_collections
    tokens = sites.globus.client("demo").oauth2_client_credentials_tokens(str(scope))
    return GCSClient(address, authorizer=AccessTokenAuthorizer(tokens["access_token"]))


@pytest.fixture
def gridftp(sites):
    """Both storages go by GridFTP; taken back afterwards."""
    for name in ("storage", "campus"):
        set_of(sites, name, engine="gridftp")
    yield sites
    for name in ("storage", "campus"):
        set_of(sites, name, engine="https", force_encryption=False)


def set_of(sites, name, **settings):
    collection = sites.collection(name)
    return manager_of(sites, collection).update_collection(collection, {"DATA_TYPE": "collection#1.10.0", **settings})


def run_copy(sites, source, target, **options):
    demo = sites.service("demo", data_access="campus")
    asked = TransferData(sites.collection("campus"), sites.collection("share"), verify_checksum=True, **options)
    asked.add_item(source, target, recursive=source.endswith("/"))
    return demo, end_of(demo, demo.submit_transfer(asked)["task_id"])


def end_of(demo, task_id):
    """The task when it is over; one that is not tells why."""
    demo.task_wait(task_id, timeout=60, polling_interval=1)
    task = demo.get_task(task_id)
    assert task["status"] in {"SUCCEEDED", "FAILED"}, (task["nice_status"], [dict(event) for event in demo.task_event_list(task_id)])
    return task


def told(grid_log, word):
    return [line for line in grid_log.read_text(errors="replace").splitlines() if word in line]


def test_a_tree_goes_from_server_to_server(gridftp, grid_log):
    folder = gridftp.root("campus") / "home/ada/tree"
    (folder / "deep (1)").mkdir(parents=True)
    for name in ("a b", "ü", "deep (1)/c,d"):
        (folder / name).write_bytes(os.urandom(30_000))
    demo, task = run_copy(gridftp, "/home/ada/tree/", "/from campus/")
    assert task["status"] == "SUCCEEDED", list(demo.task_event_list(task["task_id"]))
    arrived = gridftp.root("archive") / "shares/from campus"
    assert {str(path.relative_to(arrived)) for path in arrived.rglob("*")} == {"a b", "ü", "deep (1)", "deep (1)/c,d"}
    assert (arrived / "deep (1)/c,d").read_bytes() == (folder / "deep (1)/c,d").read_bytes()
    delivered = [one["destination_path"] for one in demo.task_successful_transfers(task["task_id"])]
    assert sorted(delivered) == ["/from campus/a b", "/from campus/deep (1)/c,d", "/from campus/ü"]
    assert task["bytes_transferred"] == task["bytes_checksummed"] == 90_000
    assert told(grid_log, "/shares/from campus/")
    assert told(grid_log, "PROT C")


def test_one_end_alone_goes_by_https(sites, grid_log):
    (sites.root("campus") / "home/ada/alone").write_bytes(b"by https")
    set_of(sites, "campus", engine="gridftp")
    try:
        _, task = run_copy(sites, "/home/ada/alone", "/alone by https")
    finally:
        set_of(sites, "campus", engine="https")
    assert task["status"] == "SUCCEEDED"
    assert not told(grid_log, "alone by https")


def test_a_task_with_a_bandwidth_cap_goes_by_https(gridftp, grid_log):
    (gridftp.root("campus") / "home/ada/capped").write_bytes(b"slowly")
    _, task = run_copy(gridftp, "/home/ada/capped", "/with a cap", additional_fields={"most_bytes_per_s": 10_000_000})
    assert task["status"] == "SUCCEEDED"
    assert not told(grid_log, "with a cap")


@pytest.mark.parametrize("way", ["asked", "forced"])
def test_private_when_asked_or_forced(gridftp, grid_log, way):
    (gridftp.root("campus") / f"home/ada/{way}").write_bytes(b"not for others")
    before = len(told(grid_log, "PROT P"))
    if way == "forced":
        set_of(gridftp, "campus", force_encryption=True)
    _, task = run_copy(gridftp, f"/home/ada/{way}", f"/{way}", encrypt_data=way == "asked")
    assert task["status"] == "SUCCEEDED"
    assert (gridftp.root("archive") / "shares" / way).read_bytes() == b"not for others"
    assert len(told(grid_log, "PROT P")) >= before + 2
    set_of(gridftp, "campus", force_encryption=False)


def test_the_setting_is_shown_and_is_the_mapped_collections(gridftp):
    set_of(gridftp, "storage", force_encryption=True)
    share = gridftp.collection("share")
    manager = manager_of(gridftp, share)
    for collection in (gridftp.collection("storage"), share):
        shown = manager.get_collection(collection)
        assert (shown["engine"], shown["force_encryption"]) == ("gridftp", True)
    assert gridftp.service("demo").get_endpoint(share)["force_encryption"] is True
    for asked, status in (({"engine": "https"}, 403), ({"force_encryption": False}, 403)):
        with pytest.raises(GCSAPIError) as refused:
            manager.update_collection(share, {"DATA_TYPE": "collection#1.10.0", **asked})
        assert refused.value.http_status == status
    with pytest.raises(GCSAPIError) as refused:
        set_of(gridftp, "storage", engine="carrier pigeon")
    assert refused.value.http_status == 400


def test_the_checksum_that_the_item_names(gridftp):
    (gridftp.root("campus") / "home/ada/named").write_bytes(b"bytes")
    demo = gridftp.service("demo", data_access="campus")
    right = TransferData(gridftp.collection("campus"), gridftp.collection("share"))
    wrong = TransferData(gridftp.collection("campus"), gridftp.collection("share"))
    for algorithm in ("MD5", "SHA1", "SHA256", "SHA512"):
        digest = hashlib.new(algorithm, b"bytes").hexdigest()
        right.add_item("/home/ada/named", f"/{algorithm}", external_checksum=digest, checksum_algorithm=algorithm)
        wrong.add_item("/home/ada/named", f"/no-{algorithm}", external_checksum="0" * len(digest), checksum_algorithm=algorithm)
    task = end_of(demo, demo.submit_transfer(right)["task_id"])
    assert (task["status"], task["files_transferred"]) == ("SUCCEEDED", 4), task
    task = end_of(demo, demo.submit_transfer(wrong)["task_id"])
    assert (task["status"], task["fatal_error"]["code"], task["files_transferred"]) == ("FAILED", "EXTERNAL_CHECKSUM_MISMATCH", 0), task
    assert not list((gridftp.root("archive") / "shares").glob("no-*"))


def test_a_task_that_is_cancelled_stops_its_servers(gridftp):
    """A file that is not there keeps the task, and the servers, until then."""
    demo = gridftp.service("demo", data_access="campus")
    asked = TransferData(gridftp.collection("campus"), gridftp.collection("share"))
    asked.add_item("/home/ada/never", "/never")
    task_id = demo.submit_transfer(asked)["task_id"]
    running = {node: gridftp.folder / f"{node}.state/gridftp/servers" for node in ("archive", "campus")}
    wait_until(lambda: all(list(servers.glob("*")) for servers in running.values()))
    demo.cancel_task(task_id)
    wait_until(lambda: demo.get_task(task_id)["status"] == "FAILED")
    wait_until(lambda: not any(list(servers.glob("*")) for servers in running.values()))


def test_strangers_start_no_servers(gridftp, tmp_path):
    servers = gridftp.folder / "archive.state/gridftp/servers"
    wait_until(lambda: not list(servers.glob("*")))  # of tasks before
    verify = ssl.create_default_context(cafile=gridftp.globus.data / "ca.pem")
    asked = {"collection": gridftp.collection("share"), "user": "/O=causeway/OU=campus/CN=order x"}
    asked["ca"] = GridAuthority(tmp_path, "campus").pem
    for headers in ({}, {"Authorization": "Ticket made-up"}):
        answer = httpx.post(
            f"{gridftp.node_url('archive')}/.dtn/v1/gridftp", json=asked, headers=headers, verify=verify, trust_env=False
        )  # fmt: skip
        assert answer.status_code == 401
        assert list(servers.glob("*")) == []
