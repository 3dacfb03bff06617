"""Copies between two real nodes: bytes, digests, kills, faults, cancel, counters."""

import hashlib
import json
import os
import time

import pytest

from tests.services.dtn.conftest import NodeProcess, new_collection

pytestmark = pytest.mark.long

MIB = 1 << 20


def sha256(path):
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fill(path, size, seed=1):
    """Bytes that repeat nowhere near, cheaply made."""
    block = hashlib.sha256(str(seed).encode()).digest() * 2048
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        for number in range(size // len(block) + 1):
            stream.write(number.to_bytes(8, "big") + block[8:])
        stream.truncate(size)
    return path


@pytest.fixture
def ends(control, archive, campus, request):
    """(source collection, its folder), (destination collection, its folder)."""
    return new_collection(control, archive, request.node.name), new_collection(control, campus, request.node.name)


def left_over(folder):
    return [path.name for path in folder.rglob(".*.part")]


def test_a_large_file_arrives_whole_with_its_digest_and_time(control, archive, campus, ends):
    (source, there), (destination, here) = ends
    original = fill(there / "model output.nc", 50 * MIB + 17)
    os.utime(original, (1_600_000_000, 1_600_000_000))
    order = control.order((archive.url, source), destination, [("/model output.nc", "/in/run 1.nc")], preserve_timestamp=True)
    end = control.wait_for_end(order)
    assert end["status"] == "SUCCEEDED"
    arrived = here / "in" / "run 1.nc"
    assert sha256(arrived) == sha256(original)
    assert arrived.stat().st_mtime == 1_600_000_000
    assert control.results(order) == [
        {
            "source_path": "/model output.nc",
            "destination_path": "/in/run 1.nc",
            "size": 50 * MIB + 17,
            "checksum": sha256(original),
            "status": "transferred",
            "error_code": None,
            "error_details": None,
        }
    ]
    assert end["counters"] == {
        "files": 1,
        "files_transferred": 1,
        "files_skipped": 0,
        "directories": 0,
        "bytes_transferred": 50 * MIB + 17,
        "bytes_checksummed": 50 * MIB + 17,
        "faults": 0,
        "symlinks": 0,
    }
    assert left_over(here) == []


def test_a_thousand_small_files_in_folders_arrive_each_once(control, archive, ends):
    (source, there), (destination, here) = ends
    for number in range(1000):
        path = there / "set" / f"part {number % 10}" / f"{number}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"value\n{number}\n")
    (there / "set" / "empty").mkdir()
    (there / "set" / "nothing.txt").touch()
    order = control.order((archive.url, source), destination, [("/set/", "/copy/", True)])
    end = control.wait_for_end(order)
    assert end["status"] == "SUCCEEDED"
    assert end["counters"]["files"] == end["counters"]["files_transferred"] == 1001
    assert end["counters"]["directories"] == 12
    names = [result["destination_path"] for result in control.results(order)]
    assert len(names) == len(set(names)) == 1001
    assert (here / "copy" / "part 7" / "997.csv").read_text() == "value\n997\n"
    assert (here / "copy" / "empty").is_dir()
    assert (here / "copy" / "nothing.txt").stat().st_size == 0
    assert left_over(here) == []


def test_destination_killed_mid_copy_goes_on_where_it_was(control, archive, campus, ends):
    (source, there), (destination, here) = ends
    size = 128 * MIB
    original = fill(there / "big.nc", size)
    for number in range(5):
        (there / f"small {number}").write_text(str(number))
    items = [(f"/small {number}", f"/small {number}") for number in range(5)] + [("/big.nc", "/big.nc")]
    archive.order_fault("get", times=6, after_bytes=48 * MIB, delay_s=12)  # the small ones come at once, and three pieces
    order = control.order((archive.url, source), destination, items)
    control.wait(lambda: control.heartbeats[order] and control.heartbeats[order][-1]["counters"]["bytes_transferred"] == 48 * MIB + 5)
    campus.kill()
    assert not (here / "big.nc").exists()
    assert left_over(here)
    archive.clear_faults()
    campus.start()
    end = control.wait_for_end(order)
    assert end["status"] == "SUCCEEDED"
    assert sha256(here / "big.nc") == sha256(original)
    assert end["counters"]["bytes_transferred"] == size + 5
    fetched = lambda: sum(one["out"] for one in requests_for(archive, f"/{source}/big.nc"))  # noqa: E731
    control.wait(lambda: fetched() >= size)
    assert fetched() - size < MIB, "no piece was fetched twice: only a chunk was sent to a peer that is gone"
    beats = [beat["counters"]["bytes_transferred"] for beat in control.heartbeats[order]]
    assert beats == sorted(beats)
    names = [result["destination_path"] for result in control.results(order)]
    assert sorted(names) == sorted({item[1] for item in items})
    assert left_over(here) == []


def requests_for(node, path):
    """The node's own log lines of requests for a path or what is below it."""
    written = node.log.read_text().rpartition("\n")[0]  # the last line may be half written
    lines = [json.loads(line) for line in written.splitlines() if '"event": "request"' in line]
    return [line for line in lines if line["path"].startswith(path)]


def test_source_killed_and_back_is_a_fault_and_not_the_end(control, archive, campus, ends):
    (source, there), (destination, here) = ends
    original = fill(there / "big.nc", 96 * MIB)
    archive.order_fault("get", after_bytes=40 * MIB, delay_s=60)
    order = control.order((archive.url, source), destination, [("/big.nc", "/big.nc")])
    control.wait(lambda: left_over(here))
    archive.kill()
    control.wait(lambda: "CONNECT_FAILED" in control.faults(order))
    archive.start()
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert sha256(here / "big.nc") == sha256(original)


def test_an_order_lost_to_another_instance_is_dropped_at_once(control, archive, ends):
    (source, there), (destination, here) = ends
    fill(there / "big.nc", 128 * MIB)
    archive.order_fault("get", times=1, after_bytes=40 * MIB, delay_s=60)
    order = control.order((archive.url, source), destination, [("/big.nc", "/big.nc")])
    control.wait(lambda: control.heartbeats[order])
    control.leases[order] = "somebody else"
    told = lambda: [beat for beat in control.heartbeats[order] if beat["action"] == "lost"]  # noqa: E731
    control.wait(told)
    time.sleep(1.5)  # several heartbeats' time, in which none comes
    assert len(told()) == 1
    assert order not in control.finished
    assert not (here / "big.nc").exists()


def test_paused_order_waits_and_goes_on(control, archive, ends):
    (source, there), (destination, here) = ends
    original = fill(there / "big.nc", 48 * MIB)
    archive.order_fault("get", delay_s=3)
    order = control.order((archive.url, source), destination, [("/big.nc", "/big.nc")], action="pause")
    control.wait(lambda: len(control.heartbeats[order]) >= 4)
    assert order not in control.finished
    assert not (here / "big.nc").exists()
    control.actions[order] = "continue"
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert sha256(here / "big.nc") == sha256(original)


@pytest.mark.parametrize("size", [3 * MIB, 40 * MIB])
def test_a_wrong_byte_is_found_by_its_digest_and_fetched_again(control, archive, ends, size):
    (source, there), (destination, here) = ends
    original = fill(there / "field.nc", size)
    archive.order_fault("get", times=1, corrupt=True)
    order = control.order((archive.url, source), destination, [("/field.nc", "/field.nc")])
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert "CHECKSUM_MISMATCH" in control.faults(order)
    assert sha256(here / "field.nc") == sha256(original)


def test_without_verification_a_wrong_byte_arrives(control, archive, ends):
    """Shows that the test above sees the verification and not luck."""
    (source, there), (destination, here) = ends
    original = fill(there / "field.nc", 3 * MIB)
    archive.order_fault("get", times=1, corrupt=True)
    order = control.order((archive.url, source), destination, [("/field.nc", "/field.nc")], verify_checksum=False)
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert sha256(here / "field.nc") != sha256(original)


def test_no_space_is_told_and_tried_again(control, archive, campus, ends):
    (source, there), (destination, here) = ends
    fill(there / "a", 2 * MIB)
    campus.order_fault("write", times=2, no_space=True)
    order = control.order((archive.url, source), destination, [("/a", "/a")])
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert "NO_SPACE" in control.faults(order)
    assert sha256(here / "a") == sha256(there / "a")


def test_a_connection_cut_in_the_middle_is_taken_up_again(control, archive, ends):
    (source, there), (destination, here) = ends
    fill(there / "a", 40 * MIB)
    archive.order_fault("get", times=2, drop=True, after_bytes=5 * MIB)
    order = control.order((archive.url, source), destination, [("/a", "/a")])
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert "CONNECT_FAILED" in control.faults(order)
    assert sha256(here / "a") == sha256(there / "a")


def test_at_the_deadline_missing_files_fail_and_the_others_have_arrived(control, archive, ends):
    (source, there), (destination, here) = ends
    (there / "present").write_text("here")
    deadline = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 6))
    order = control.order((archive.url, source), destination, [("/absent", "/absent"), ("/present", "/present")], deadline=deadline)
    end = control.wait_for_end(order)
    assert end["status"] == "FAILED"
    assert end["fatal_error"]["code"] == "FILE_NOT_FOUND"
    assert {result["destination_path"]: result["status"] for result in control.results(order)} == {
        "/absent": "failed",
        "/present": "transferred",
    }
    assert (here / "present").read_text() == "here"


def test_source_errors_are_passed_over_when_asked(control, archive, ends):
    (source, there), (destination, _) = ends
    (there / "present").write_text("here")
    order = control.order((archive.url, source), destination, [("/absent", "/absent"), ("/present", "/present")], skip_source_errors=True)
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert {result["destination_path"]: (result["status"], result["error_code"]) for result in control.results(order)} == {
        "/absent": ("skipped", "FILE_NOT_FOUND"),
        "/present": ("transferred", None),
    }


@pytest.mark.parametrize("is_local", [False, True])
def test_what_a_held_task_may_not_read_is_waited_for_and_not_passed_over(control, archive, campus, request, is_local):
    source, there = new_collection(control, archive, request.node.name)
    destination, here = new_collection(control, archive if is_local else campus, request.node.name)
    (there / "set").mkdir()
    (there / "set" / "a").write_text("a")
    (there / "b").write_text("b")
    items = [("/set/", "/set/", True), ("/b", "/b")]
    order = control.order((archive.url, source), destination, items, held=True, skip_source_errors=True)
    control.wait(lambda: control.faults(order))
    assert control.results(order) == []
    control.tickets[f"ticket-{order}"] |= {"active": True, "held": False}
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert {result["status"] for result in control.results(order)} == {"transferred"}
    assert [(here / name).read_text() for name in ("set/a", "b")] == ["a", "b"]


def test_control_that_forgot_results_is_told_that_the_order_failed(control, archive, campus, request):
    source, there = new_collection(control, archive, request.node.name)
    destination, here = new_collection(control, campus, request.node.name)
    (there / "a").write_text("a")
    order = control.order((archive.url, source), destination, [("/a", "/a")], held=True)
    control.forgotten[order] = 0
    control.tickets[f"ticket-{order}"] |= {"active": True, "held": False}
    end = control.wait_for_end(order)
    assert (end["status"], end["fatal_error"]["code"]) == ("FAILED", "INTERNAL_ERROR")
    assert "older state" in end["fatal_error"]["description"]
    assert [path.name for path in here.iterdir()] == ["a"]


def test_a_ticket_opens_its_paths_only_and_dies_with_its_task(control, archive, ends):
    (source, there), (destination, here) = ends
    (there / "mine").write_text("mine")
    (there / "other").write_text("other")
    (there / "mine and more").write_text("no")
    items = [("/mine", "/mine"), ("/other", "/other"), ("/mine and more", "/mine and more")]
    order = control.order((archive.url, source), destination, items, paths=["/mine"], skip_source_errors=True)
    control.wait_for_end(order)
    assert [path.name for path in here.iterdir()] == ["mine"]
    ticket = {"Authorization": f"Ticket ticket-{order}"}
    with archive.client() as client:
        assert client.get(f"/{source}/mine", headers=ticket).status_code == 200
        assert client.put(f"/{source}/mine", headers=ticket, content=b"x").status_code == 403
        control.tickets[f"ticket-{order}"]["active"] = False
        time.sleep(1.1)  # how long an answer of control may be kept
        assert client.get(f"/{source}/mine", headers=ticket).status_code == 401
        assert client.post("/.dtn/v1/walk", json={"collection": source, "path": "/"}, headers=ticket).status_code == 401


def test_a_destination_outside_the_collection_is_refused_for_good(control, archive, ends, tmp_path):
    (source, there), (destination, here) = ends
    (there / "a").write_text("a")
    (here / "link").symlink_to(tmp_path)
    items = [("/a", "/../../escaped"), ("/a", "/ok")]
    order = control.order((archive.url, source), destination, items)
    assert control.wait_for_end(order)["fatal_error"]["code"] == "InvalidPath"
    assert (here / "ok").exists()
    deadline = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 6))
    order = control.order((archive.url, source), destination, [("/a", "/link/a")], deadline=deadline)
    assert control.wait_for_end(order)["fatal_error"]["code"] == "PERMISSION_DENIED"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (None, {"same", "longer", "newer", "other", "absent"}),
        (0, {"absent"}),
        (1, {"absent", "longer"}),
        (2, {"absent", "longer", "newer"}),
        (3, {"absent", "longer", "other"}),
    ],
)
def test_sync_level_says_what_is_copied_again(control, archive, ends, level, expected):
    (source, there), (destination, here) = ends
    for name, theirs, ours, age in [
        ("same", "abc", "abc", 0),
        ("longer", "abcd", "abc", 0),
        ("newer", "abc", "abc", -100),
        ("other", "abX", "abc", 100),
        ("absent", "abc", None, 0),
    ]:
        (there / name).write_text(theirs)
        os.utime(there / name, (1_700_000_000, 1_700_000_000))
        if ours is not None:
            (here / name).write_text(ours)
            os.utime(here / name, (1_700_000_000 + age, 1_700_000_000 + age))
    order = control.order((archive.url, source), destination, [("/", "/", True)], sync_level=level, paths=["/"])
    end = control.wait_for_end(order)
    assert {r["destination_path"].strip("/") for r in control.results(order) if r["status"] == "transferred"} == expected
    assert end["counters"]["files_skipped"] == 5 - len(expected)


@pytest.mark.parametrize(
    ("level", "expected"),
    [(0, {"absent"}), (1, {"absent", "longer"}), (2, {"absent", "longer", "newer"}), (3, {"absent", "longer", "other", "large other"})],
)
def test_sync_level_counts_for_files_that_are_named_one_by_one(control, archive, ends, level, expected):
    """Nobody told their sizes and times before: the source is asked, and told what is there."""
    (source, there), (destination, here) = ends
    large = b"x" * (2 * MIB)
    for name, theirs, ours, age in [
        ("same", b"abc", b"abc", 0), ("longer", b"abcd", b"abc", 0), ("newer", b"abc", b"abc", -100), ("other", b"abX", b"abc", 100),
        ("absent", b"abc", None, 0), ("large same", large, large, 0), ("large other", large, large[:-1] + b"y", 100),
    ]:  # fmt: skip
        (there / name).write_bytes(theirs)
        os.utime(there / name, (1_700_000_000, 1_700_000_000))
        if ours is not None:
            (here / name).write_bytes(ours)
            os.utime(here / name, (1_700_000_000 + age, 1_700_000_000 + age))
    names = [path.name for path in there.iterdir()]
    order = control.order((archive.url, source), destination, [(f"/{name}", f"/{name}") for name in names], sync_level=level)
    end = control.wait_for_end(order)
    results = {result["destination_path"].strip("/"): result for result in control.results(order)}
    assert {name for name, result in results.items() if result["status"] == "transferred"} == expected
    assert end["counters"]["files_skipped"] == len(names) - len(expected)
    assert all(result["size"] == (there / name).stat().st_size for name, result in results.items() if level)
    for name in expected:
        assert (here / name).read_bytes() == (there / name).read_bytes()


def test_filter_rules_choose_and_extra_files_go(control, archive, ends):
    (source, there), (destination, here) = ends
    for name in ("a.nc", "b.txt", "sub/c.nc", "sub/d.txt", "tmp/e.nc"):
        (there / name).parent.mkdir(exist_ok=True)
        (there / name).write_text(name)
    (here / "old").mkdir()
    (here / "old" / "x").write_text("x")
    rules = [{"method": "exclude", "type": "dir", "name": "tmp"}, {"method": "exclude", "type": "file", "name": "*.txt"}]
    order = control.order(
        (archive.url, source), destination, [("/", "/", True)], paths=["/"], filter_rules=rules, delete_destination_extra=True
    )
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert sorted(str(path.relative_to(here)) for path in here.rglob("*")) == ["a.nc", "sub", "sub/c.nc"]


def test_both_ends_on_one_node_copy_without_a_connection(control, archive, request):
    source, there = new_collection(control, archive, request.node.name)
    destination, here = new_collection(control, archive, request.node.name)
    fill(there / "set" / "big.nc", 40 * MIB)
    (there / "set" / "small").write_text("small")
    order = control.order((archive.url, source), destination, [("/set/", "/copy/", True)])
    end = control.wait_for_end(order)
    assert end["status"] == "SUCCEEDED"
    assert sha256(here / "copy" / "big.nc") == sha256(there / "set" / "big.nc")
    assert (here / "copy" / "small").read_text() == "small"
    assert end["counters"]["bytes_transferred"] == 40 * MIB + 5
    assert requests_for(archive, f"/{source}/") == []


def test_local_copy_needs_the_ticket_too(control, archive, request):
    source, there = new_collection(control, archive, request.node.name)
    destination, here = new_collection(control, archive, request.node.name)
    (there / "a").write_text("a")
    order = control.order((archive.url, source), destination, [("/a", "/a")], paths=["/other/"], skip_source_errors=True)
    control.wait_for_end(order)
    assert control.results(order)[0]["error_code"] == "PERMISSION_DENIED"
    assert list(here.iterdir()) == []


def test_delete_order_removes_folders_and_files_and_reports_them(control, campus, request):
    collection, here = new_collection(control, campus, request.node.name)
    (here / "a" / "b").mkdir(parents=True)
    (here / "a" / "b" / "c").write_text("c")
    (here / "d").write_text("d")
    (here / "kept").write_text("kept")
    order = control.order(None, collection, ["/a/", "/d", "/absent"], kind="delete", ignore_missing=True)
    end = control.wait_for_end(order)
    assert end["status"] == "SUCCEEDED"
    assert [path.name for path in here.iterdir()] == ["kept"]
    assert len(control.results(order)) == 3
    order = control.order(None, collection, ["/absent"], kind="delete")
    assert control.wait_for_end(order)["fatal_error"]["code"] == "FILE_NOT_FOUND"


def test_control_away_for_a_while_loses_nothing(control, archive, ends):
    (source, there), (destination, here) = ends
    fill(there / "big.nc", 64 * MIB)
    archive.order_fault("get", after_bytes=20 * MIB, delay_s=3)  # so that it is under way when control goes
    order = control.order((archive.url, source), destination, [("/big.nc", "/big.nc")])
    control.wait(lambda: control.heartbeats[order])
    n_registrations = len(control.nodes["campus"]["instances"])
    control.stop()
    time.sleep(1.5)  # heartbeats meet nobody
    control.start()
    control.wait(lambda: len(control.nodes["campus"]["instances"]) > n_registrations)
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert sha256(here / "big.nc") == sha256(there / "big.nc")


@pytest.fixture
def many_streams(control, tmp_path):
    """A node that fetches a large file by four connections, as all do from far away."""
    made = NodeProcess(control, tmp_path, "other", options=("--faults", "--near-streams", "4"))
    yield made.start()
    made.stop()
    del control.nodes["other"]


def test_a_large_file_comes_in_pieces_on_several_connections(control, archive, many_streams, files, request):
    source, there = files
    destination, here = new_collection(control, many_streams, request.node.name)
    original = fill(there / "big.nc", 100 * MIB + 17)
    archive.order_fault("get", times=1)
    archive.order_fault("get", times=2, delay_s=0.5)  # later pieces overtake these
    archive.order_fault("get", times=1, drop=True, after_bytes=5 * MIB)
    order = control.order((archive.url, source), destination, [("/big.nc", "/big.nc")])
    end = control.wait_for_end(order)
    assert (end["status"], end["counters"]["bytes_transferred"]) == ("SUCCEEDED", 100 * MIB + 17)
    assert sha256(here / "big.nc") == sha256(original)
    assert control.results(order)[0]["checksum"] == sha256(original)
    control.wait(lambda: len(requests_for(archive, f"/{source}/big.nc")) >= 7)  # a request is written after its last byte is sent
    assert left_over(here) == []


def test_pieces_that_came_before_a_kill_are_not_fetched_again(control, archive, many_streams, files, request):
    source, there = files
    destination, here = new_collection(control, many_streams, request.node.name)
    original = fill(there / "big.nc", 96 * MIB)
    archive.order_fault("get", times=3)  # the first brings 16 MiB, before the length of the file is known; then pieces of 4 MiB
    archive.order_fault("get", times=20, delay_s=60)
    order = control.order((archive.url, source), destination, [("/big.nc", "/big.nc")])
    control.wait(lambda: control.heartbeats[order] and control.heartbeats[order][-1]["counters"]["bytes_transferred"] == 24 * MIB)
    many_streams.kill()
    archive.clear_faults()
    many_streams.start()
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert sha256(here / "big.nc") == sha256(original)
