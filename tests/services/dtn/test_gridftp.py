"""The engine `gridftp`: real GridFTP servers (Grid Community Toolkit), started by the nodes for each order."""

import contextlib
import hashlib
import os
import signal
import sqlite3
import ssl
import uuid
from datetime import UTC, datetime

import pytest

from services.dtn.gridftp_credentials import GridAuthority
from tests.conftest import require_program
from tests.services.dtn.conftest import IS_BOUND_BY_MODES, grid_servers, new_collection

pytestmark = pytest.mark.long

ODD_NAMES = (
    "plain", "with space", " leading", "trailing ", "a,b;c:d", "quo\"te's", "per%41cent", "star*?[z]", "back\\slash", "ünï-日本", "$HOME~",
    "-dash", "#hash", "tab\tbed", "type=dir;size=9; x", "x" * 255, "e",
)  # fmt: skip
LARGE = 256 << 20


@pytest.fixture(autouse=True)
def servers_are_installed(control):
    """Tickets end with each test: the servers of a source live as long."""
    require_program("globus-gridftp-server", "apt-get install globus-gridftp-server-progs")
    yield
    for ticket in control.tickets.values():
        ticket["active"] = False


@pytest.fixture
def ends(control, archive, campus, request):
    """A collection on each node: ((source node's url, id), folder, id, folder)."""
    source, source_folder = new_collection(control, archive, request.node.name)
    target, target_folder = new_collection(control, campus, request.node.name)
    return (archive.url, source), source_folder, target, target_folder


def fill(folder, n_bytes=20_000):
    for name in ODD_NAMES:
        (folder / name).write_bytes(os.urandom(n_bytes))
    (folder / "empty").write_bytes(b"")
    (folder / "sub [dir] $USER, é").mkdir()
    (folder / "sub [dir] $USER, é" / "deep").mkdir()
    (folder / "sub [dir] $USER, é" / "deep" / "x y").write_bytes(os.urandom(n_bytes))
    (folder / "no files").mkdir()


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def servers_of(node):
    """Command lines of the GridFTP servers that run below a node's state."""
    return [words for _, words in grid_servers(node.state)]


def test_a_tree_with_odd_names_arrives_verified(control, ends):
    source, source_folder, target, target_folder = ends
    fill(source_folder)
    os.utime(source_folder / "plain", (1_700_000_000, 1_700_000_000))
    order = control.order(source, target, [("/", "/copy/", True)], engine="gridftp", preserve_timestamp=True)
    end = control.wait_for_end(order, 60)
    assert end["status"] == "SUCCEEDED", end
    assert tree(target_folder / "copy") == tree(source_folder)
    results = {result["source_path"]: result for result in control.results(order)}
    assert len(results) == len(control.results(order)) == len(ODD_NAMES) + 2
    for path, result in results.items():
        assert result["checksum"] == hashlib.sha256((source_folder / path[1:]).read_bytes()).hexdigest()
    assert end["counters"]["files_transferred"] == len(results)
    assert end["counters"]["bytes_transferred"] == end["counters"]["bytes_checksummed"] == (len(ODD_NAMES) + 1) * 20_000
    assert (target_folder / "copy/plain").stat().st_mtime == 1_700_000_000


def children_of(node):
    return [line for line in servers_of(node) if "-inetd" in line]


def signal_servers(node, number):
    for pid, _ in grid_servers(node.state):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def arrived_bytes(folder):
    """Of a file under way: blocks on the disk, however far the last of them is from the first."""
    with contextlib.suppress(FileNotFoundError):  # it got its name
        return sum(path.stat().st_blocks * 512 for path in folder.glob(".large.*.part"))
    return 0


@pytest.fixture
def stalled(control, ends, archive):
    """A copy of a large file whose source stands still, after some of it has come: (order, source folder, target folder)."""
    source, source_folder, target, target_folder = ends
    with (source_folder / "large").open("wb") as file:
        file.write(os.urandom(1 << 20))
        file.truncate(LARGE)
    for _ in range(5):  # a busy machine may come back to us when all has come
        order = control.order(source, target, [("/large", "/large")], engine="gridftp")
        control.wait(lambda order=order: arrived_bytes(target_folder) or order in control.finished)
        signal_servers(archive, signal.SIGSTOP)
        if 0 < arrived_bytes(target_folder) < LARGE // 2:
            break
        signal_servers(archive, signal.SIGCONT)
        control.wait_for_end(order)
        control.tickets[f"ticket-{order}"]["active"] = False  # so that its server ends
        (target_folder / "large").unlink()
    else:
        raise AssertionError("the machine is too fast for this size")
    yield order, source_folder, target_folder
    signal_servers(archive, signal.SIGCONT)


@pytest.mark.parametrize("is_listed", [True, False])
@pytest.mark.parametrize(
    ("level", "expected"),
    [(0, {"absent"}), (1, {"absent", "longer"}), (2, {"absent", "longer", "newer"}), (3, {"absent", "longer", "other"})],
)
def test_by_sync_level_files_are_decided_and_sent_together(control, ends, archive, level, expected, is_listed):
    source, there, target, here = ends
    for name, theirs, ours, age in [
        ("same", "abc", "abc", 0), ("longer", "abcd", "abc", 0), ("newer", "abc", "abc", -100), ("other", "abX", "abc", 100),
        ("absent", "abc", None, 0),
    ]:  # fmt: skip
        (there / name).write_text(theirs)
        os.utime(there / name, (1_700_000_000, 1_700_000_000))
        if ours is not None:
            (here / name).write_text(ours)
            os.utime(here / name, (1_700_000_000 + age, 1_700_000_000 + age))
    items = [("/", "/", True)] if is_listed else [(f"/{path.name}", f"/{path.name}") for path in there.iterdir()]
    order = control.order(source, target, items, engine="gridftp", sync_level=level, paths=["/"])
    end = control.wait_for_end(order, 60)
    results = {result["destination_path"].strip("/"): result for result in control.results(order)}
    assert end["status"] == "SUCCEEDED", end
    assert {name for name, result in results.items() if result["status"] == "transferred"} == expected
    assert (end["counters"]["files_skipped"], len(results)) == (5 - len(expected), 5)
    assert {name: (here / name).read_text() for name in expected} == {name: (there / name).read_text() for name in expected}
    asked = [line for line in archive.log.read_text().splitlines() if '"GET"' in line and f"/{source[1]}/" in line]
    assert asked == [], "none is asked for alone"


def test_a_single_file_and_what_is_beside_it(control, ends, archive):
    """Of a folder, the order of one file opens that file alone."""
    source, source_folder, target, target_folder = ends
    (source_folder / "one").write_bytes(b"one")
    (source_folder / "two").write_bytes(b"two")
    (source_folder / "link").symlink_to("two")
    order = control.order(
        source, target, [("/one", "/one"), ("/link", "/link")], engine="gridftp", skip_source_errors=True, verify_checksum=False
    )
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    results = {result["source_path"]: result for result in control.results(order)}
    assert (target_folder / "one").read_bytes() == b"one"
    assert results["/one"]["status"] == "transferred"
    assert (results["/link"]["status"], results["/link"]["error_code"]) == ("skipped", "PERMISSION_DENIED")
    assert not (target_folder / "link").exists()
    control.tickets[f"ticket-{order}"]["active"] = False
    control.wait(lambda: not servers_of(archive))


def test_a_file_with_another_name_elsewhere_is_not_read(control, ends, archive):
    """A hard link may lie outside: refused by the source's node, as over HTTPS."""
    source, source_folder, target, target_folder = ends
    outside = archive.data / "outside"
    outside.write_bytes(b"not in any collection")
    (source_folder / "inside").hardlink_to(outside)
    order = control.order(source, target, [("/inside", "/inside")], engine="gridftp", skip_source_errors=True)
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert [result["error_code"] for result in control.results(order)] == ["PERMISSION_DENIED"]
    assert not list(target_folder.iterdir())


def test_wrong_bytes_are_fetched_anew(control, ends, campus):
    source, source_folder, target, target_folder = ends
    (source_folder / "file").write_bytes(b"right" * 1000)
    campus.order_fault("write", corrupt=True)
    order = control.order(source, target, [("/file", "/file")], engine="gridftp")
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert control.faults(order) == ["CHECKSUM_MISMATCH"]
    assert (target_folder / "file").read_bytes() == b"right" * 1000
    assert len(control.results(order)) == 1


def test_another_checksum_than_the_item_names_is_final(control, ends):
    source, source_folder, target, target_folder = ends
    (source_folder / "file").write_bytes(b"bytes")
    order = control.order(source, target, [("/file", "/file")], engine="gridftp", checksums={"/file": "0" * 64})
    end = control.wait_for_end(order)
    assert (end["status"], end["fatal_error"]["code"]) == ("FAILED", "EXTERNAL_CHECKSUM_MISMATCH")
    assert list(target_folder.iterdir()) == []


def test_missing_files_are_told_until_they_are_there(control, ends):
    source, source_folder, target, target_folder = ends
    order = control.order(source, target, [("/late", "/late")], engine="gridftp")
    control.wait(lambda: "FILE_NOT_FOUND" in control.faults(order))
    (source_folder / "late").write_bytes(b"here")
    assert control.wait_for_end(order, 60)["status"] == "SUCCEEDED"
    assert (target_folder / "late").read_bytes() == b"here"


@pytest.mark.skipif(not IS_BOUND_BY_MODES, reason="root without setpriv (apt-get install util-linux): no mode keeps it out")
def test_what_the_disk_forbids_is_told_and_tried_again(control, ends):
    source, source_folder, target, _ = ends
    (source_folder / "closed").write_bytes(b"secret")
    (source_folder / "closed").chmod(0)
    order = control.order(source, target, [("/closed", "/closed")], engine="gridftp")
    control.wait(lambda: "PERMISSION_DENIED" in control.faults(order))
    (source_folder / "closed").chmod(0o644)
    assert control.wait_for_end(order, 60)["status"] == "SUCCEEDED"


@pytest.mark.skipif(not IS_BOUND_BY_MODES, reason="root without setpriv (apt-get install util-linux): no mode keeps it out")
def test_a_destination_that_may_not_be_written(control, ends):
    source, source_folder, target, target_folder = ends
    (source_folder / "file").write_bytes(b"bytes")
    target_folder.joinpath("shut").mkdir(mode=0o500)
    order = control.order(source, target, [("/file", "/shut/file")], engine="gridftp")
    control.wait(lambda: "PERMISSION_DENIED" in control.faults(order))
    target_folder.joinpath("shut").chmod(0o700)
    assert control.wait_for_end(order, 60)["status"] == "SUCCEEDED"


def kept_bytes(node, order):
    with contextlib.closing(sqlite3.connect(node.state / "orders" / f"{order}.sqlite3")) as db:
        return db.execute("SELECT coalesce(sum(length), 0) FROM piece").fetchone()[0]


def whole(source_folder, target_folder):
    digests = [hashlib.sha256((folder / "large").read_bytes()).digest() for folder in (source_folder, target_folder)]
    return digests[0] == digests[1]


def test_killed_in_the_middle_the_destination_goes_on_where_it_was(control, stalled, archive, campus):
    order, source_folder, target_folder = stalled
    control.wait(lambda: kept_bytes(campus, order) > 0)  # the servers tell every five seconds what is on the disk
    control.wait(lambda: 0 < control.heartbeats[order][-1]["counters"]["bytes_transferred"] < LARGE)
    campus.kill()
    control.wait(lambda: not servers_of(campus))
    had = kept_bytes(campus, order)
    assert had < LARGE
    assert not (target_folder / "large").exists()
    signal_servers(archive, signal.SIGCONT)
    campus.start()
    end = control.wait_for_end(order, 60)
    assert end["status"] == "SUCCEEDED"
    assert whole(source_folder, target_folder)
    assert [path.name for path in target_folder.iterdir()] == ["large"]
    assert len(control.results(order)) == 1
    assert end["counters"]["bytes_transferred"] == LARGE
    assert f'"had": {had}' in campus.log.read_text()


def test_killed_in_the_middle_the_source_is_asked_again(control, stalled, archive):
    order, source_folder, target_folder = stalled
    archive.kill()
    control.wait(lambda: not servers_of(archive))
    control.wait(lambda: "CONNECT_FAILED" in control.faults(order))
    archive.start()
    assert control.wait_for_end(order, 60)["status"] == "SUCCEEDED"
    assert whole(source_folder, target_folder)
    assert len(control.results(order)) == 1


def test_a_killed_server_is_started_anew(control, stalled, archive, campus):
    order, source_folder, target_folder = stalled
    signal_servers(campus, signal.SIGKILL)
    signal_servers(archive, signal.SIGCONT)
    assert control.wait_for_end(order, 60)["status"] == "SUCCEEDED"
    assert "CONNECT_FAILED" in control.faults(order)
    assert whole(source_folder, target_folder)


def test_cancelled_in_the_middle_nothing_is_left(control, stalled, archive, campus):
    order, _, target_folder = stalled
    control.actions[order] = "cancel"
    end = control.wait_for_end(order)
    assert (end["status"], end["fatal_error"]["code"]) == ("FAILED", "CANCELED")
    control.tickets[f"ticket-{order}"]["active"] = False  # as control does
    control.wait(lambda: not servers_of(campus) and not servers_of(archive))
    assert list(target_folder.iterdir()) == []


def test_a_right_taken_away_stops_a_transfer_and_given_back_lets_it_go_on(control, stalled, archive):
    order, source_folder, target_folder = stalled
    control.tickets[f"ticket-{order}"]["active"] = False
    control.wait(lambda: not servers_of(archive))
    control.wait(lambda: "PERMISSION_DENIED" in control.faults(order))
    assert not (target_folder / "large").exists()
    control.tickets[f"ticket-{order}"]["active"] = True
    assert control.wait_for_end(order, 60)["status"] == "SUCCEEDED"
    assert whole(source_folder, target_folder)


def test_a_file_that_changes_under_the_transfer_is_fetched_anew(control, stalled, archive):
    order, source_folder, target_folder = stalled
    with (source_folder / "large").open("r+b") as file:
        file.seek(LARGE - 1)
        file.write(b"!")
    os.utime(source_folder / "large", (1_600_000_000, 1_600_000_000))
    signal_servers(archive, signal.SIGCONT)
    assert control.wait_for_end(order, 60)["status"] == "SUCCEEDED"
    assert "FILE_CHANGED" in control.faults(order)
    assert whole(source_folder, target_folder)


def test_paused_and_resumed(control, stalled, archive, campus):
    order, source_folder, target_folder = stalled
    control.actions[order] = "pause"
    control.wait(lambda: not children_of(campus))
    signal_servers(archive, signal.SIGCONT)
    assert not (target_folder / "large").exists()
    del control.actions[order]
    assert control.wait_for_end(order, 60)["status"] == "SUCCEEDED"
    assert whole(source_folder, target_folder)
    assert control.faults(order) == []


def test_the_deadline_ends_a_transfer_in_the_middle(control, stalled, campus):
    order, _, target_folder = stalled
    control.deadlines[order] = datetime.now(UTC)
    end = control.wait_for_end(order, 60)
    assert (end["status"], end["fatal_error"]["code"]) == ("FAILED", "EXPIRED")
    control.wait(lambda: not servers_of(campus))
    assert list(target_folder.iterdir()) == []


def test_many_small_files_paused_among_them(control, ends, archive):
    source, source_folder, target, target_folder = ends
    for number in range(1000):
        (source_folder / f"{number}").write_bytes(b"%d" % number)
    order = control.order(source, target, [("/", "/", True)], engine="gridftp")
    control.wait(lambda: any(target_folder.glob(".*.part")))
    signal_servers(archive, signal.SIGSTOP)
    control.actions[order] = "pause"
    beats = len(control.heartbeats[order])
    control.wait(lambda: len(control.heartbeats[order]) >= beats + 3)
    signal_servers(archive, signal.SIGCONT)
    del control.actions[order]
    assert control.wait_for_end(order, 60)["status"] == "SUCCEEDED"
    assert {path.name: path.read_bytes() for path in target_folder.iterdir()} == {f"{number}": b"%d" % number for number in range(1000)}
    assert len(control.results(order)) == 1000


def test_from_a_node_to_itself(control, ends, archive):
    source, source_folder, _, _ = ends
    target, target_folder = new_collection(control, archive, "itself")
    (source_folder / "file").write_bytes(b"both ends here")
    order = control.order(source, target, [("/file", "/file")], engine="gridftp")
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert (target_folder / "file").read_bytes() == b"both ends here"


def test_a_file_that_vanishes_is_told_and_taken_when_it_is_back(control, stalled, archive):
    order, source_folder, target_folder = stalled
    away = (source_folder / "large").rename(source_folder / "away")
    signal_servers(archive, signal.SIGCONT)
    control.wait(lambda: "FILE_NOT_FOUND" in control.faults(order), 60)
    assert not (target_folder / "large").exists()
    away.rename(source_folder / "large")
    assert control.wait_for_end(order, 60)["status"] == "SUCCEEDED"
    assert whole(source_folder, target_folder)


def test_a_full_disk_is_told_and_tried_again_when_there_is_room(control, ends, small_disk):
    source, source_folder, target, target_folder = ends
    disk = target_folder / "disk"
    disk.mkdir()
    small_disk(disk, 4)
    (source_folder / "file").write_bytes(os.urandom(2 << 20))
    (disk / "filler").write_bytes(bytes(3 << 20))
    order = control.order(source, target, [("/file", "/disk/file")], engine="gridftp")
    control.wait(lambda: "NO_SPACE" in control.faults(order))
    assert not (disk / "file").exists()
    (disk / "filler").unlink()
    assert control.wait_for_end(order, 60)["status"] == "SUCCEEDED"
    assert (disk / "file").read_bytes() == (source_folder / "file").read_bytes()


def ask_for_server(archive, source, ticket, pem):
    asked = {"collection": source[1], "user": "/O=causeway/OU=campus/CN=order x", "ca": pem}
    with archive.client() as client:
        return client.post("/.dtn/v1/gridftp", json=asked, headers={"Authorization": f"Ticket {ticket}"})


@pytest.fixture
def ticket(control, ends):
    """A ticket of its own for the source's collection."""
    made = f"ticket-{uuid.uuid4()}"
    control.tickets[made] = {"collection": ends[0][1], "paths": ["/"], "active": True, "task_id": made}
    return made


def test_each_server_has_a_folder_of_its_own(control, archive, ends, ticket, tmp_path):
    """So that the end of one takes nothing from the next."""
    folders, servers = [], archive.state / "gridftp/servers"
    for name in ("one", "two"):  # another CA: the server is started anew
        before = set(servers.glob("*"))
        assert ask_for_server(archive, ends[0], ticket, GridAuthority(tmp_path / name, "campus").pem).status_code == 200
        folders += set(servers.glob("*")) - before
    assert len(folders) == 2
    assert [folder.exists() for folder in folders] == [False, True]
    control.tickets[ticket]["active"] = False
    control.wait(lambda: not folders[1].exists())


def test_the_word_of_a_ca_counts_and_nothing_else(archive, ends, ticket, tmp_path):
    """Nothing that a stranger sends is looked at."""
    authority = GridAuthority(tmp_path, "campus")
    encoded = ssl.PEM_cert_to_DER_cert(authority.pem)
    of_no_version = ssl.DER_cert_to_PEM_cert(encoded.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020105"), 1))
    for pem in ("", "garbage", of_no_version, authority.order("x").certificate.read_text()):
        refused = ask_for_server(archive, ends[0], ticket, pem)
        assert (refused.status_code, refused.json()["code"]) == (400, "BadRequest")
        assert ask_for_server(archive, ends[0], "made-up", pem).status_code == 401
