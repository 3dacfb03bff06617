"""Many small files in one answer: what it holds, what the ticket keeps out of it, and how they land at the destination."""

import hashlib
import json
import os
import time

import pytest

from services.dtn.faults import DropError, Faults
from services.dtn.paths import Root
from services.dtn.small_files import SmallFiles
from tests.services.dtn.conftest import new_collection

pytestmark = pytest.mark.long

MIB = 1 << 20


@pytest.fixture
def ends(control, archive, campus, request):
    return new_collection(control, archive, request.node.name), new_collection(control, campus, request.node.name)


@pytest.fixture
def bundle(control, archive, files):
    """Asks for paths of the collection with a ticket for `/open/`; the lines of the answer, each with its bytes."""
    collection, _ = files
    control.tickets["small"] = {"collection": collection, "paths": ["/open/", "/one.txt"], "active": True, "task_id": "t"}

    def ask(*paths, ticket="small", **also):
        with archive.client() as client:
            asked = {"collection": collection, "paths": list(paths), **also}
            answer = client.post("/.dtn/v1/bundle", json=asked, headers={"Authorization": f"Ticket {ticket}"})
        return answer if answer.status_code != 200 else list(parsed(answer.content))

    return ask


def parsed(content):
    while content:
        line, _, content = content.partition(b"\n")
        said = json.loads(line)
        size = said.get("size", 0) + sum(file[1] for file in said.get("files", ()))
        yield said, content[:size]
        content = content[size:]


def fill(folder, n_files):
    for number in range(n_files):
        path = folder / f"part {number % 7}" / f"{number}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(1 + number % 3000))


def same(there, here):
    return {path.relative_to(there): path.read_bytes() for path in there.rglob("*") if path.is_file()} == {
        path.relative_to(here): path.read_bytes() for path in here.rglob("*") if path.is_file()
    }


def left_over(folder):
    return [path.name for path in folder.rglob(".*.part")]


def test_a_bundle_holds_bytes_with_their_digest_and_ends(bundle, files):
    folder = files[1]
    (folder / "open").mkdir()
    (folder / "open/a").write_bytes(b"line\nbreak\n")
    (folder / "open/empty").touch()
    (folder / "one.txt").write_text("1")
    answers = bundle("/open/a", "/open/empty", "/one.txt")
    assert [body for _, body in answers] == [b"line\nbreak\n", b"", b"1", b""]
    assert [said["sha256"] for said, _ in answers[:-1]] == [hashlib.sha256(body).hexdigest() for _, body in answers[:-1]]
    assert answers[0][0]["mtime_ns"] == (folder / "open/a").stat().st_mtime_ns
    assert answers[-1][0] == {"end": True}


def test_files_of_a_bundle_are_told_together_where_that_is_asked_for(bundle, files):
    folder = files[1]
    (folder / "open").mkdir()
    bodies = {f"/open/{number}": os.urandom(number) for number in range(260)}
    for path, body in bodies.items():
        (folder / path[1:]).write_bytes(body)
    answers = bundle(*list(bodies)[:100], "/open/absent", *list(bodies)[100:], is_grouped=True)
    groups = [len(said["files"]) for said, _ in answers if "files" in said]
    assert (sum(groups), max(groups) <= 250, len(groups) < 100) == (260, True, True), "a busy machine sends sooner what it has"
    assert [(said["index"], said["http_status"]) for said, _ in answers if "index" in said] == [(100, 404)]
    assert b"".join(body for _, body in answers) == b"".join(bodies.values())
    told = [file for said, _ in answers for file in said.get("files", ())]
    assert [sha256 for _, _, _, sha256 in told] == [hashlib.sha256(body).hexdigest() for body in bodies.values()]
    assert [index for index, *_ in told] == [*range(100), *range(101, 261)]
    assert answers[-1][0] == {"end": True}


def test_files_of_a_folder_are_walked_together_where_that_is_asked_for(archive, bundle, files):
    collection, folder = files
    for name in ("a/1", "a/2", "b/1", "b/sub/3"):
        (folder / "open" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "open" / name).write_text(name)
    asked = {"collection": collection, "path": "/open/", "is_brief": True}
    with archive.client() as client:
        brief, grouped = (
            client.post("/.dtn/v1/walk", json={**asked, **also}, headers={"Authorization": "Ticket small"}).text.splitlines()
            for also in ({}, {"is_grouped": True})
        )
    alone, together = [json.loads(line) for line in brief], [json.loads(line) for line in grouped]
    assert [line["folder"] for line in together if "files" in line] == ["/open/a/"]
    told = [
        {"path": line["folder"] + name, "type": "file", "size": size, "mtime_ns": mtime_ns}
        for line in together if "files" in line for name, size, mtime_ns in line["files"]
    ]  # fmt: skip
    told += [line for line in together if "files" not in line]
    assert sorted(told, key=lambda line: line.get("path", "")) == sorted(alone, key=lambda line: line.get("path", ""))


def test_a_bundle_opens_no_more_than_its_ticket(bundle, files, control):
    folder = files[1]
    (folder / "open/sub").mkdir(parents=True)
    (folder / "closed").mkdir()
    (folder / "closed/secret").write_text("secret")
    (folder / "openly").write_text("secret")
    (folder.parent / "beside").write_text("secret")
    (folder / "open/in").symlink_to("sub/file")
    (folder / "open/sub/file").write_text("mine")
    (folder / "open/link").symlink_to("../closed/secret")
    (folder / "open/way").symlink_to("../closed")
    (folder / "open/out").symlink_to("../../beside")
    (folder / "open/.x.0123456789ab.part").write_text("unfinished")
    os.mkfifo(folder / "open/pipe")
    with (folder / "open/large").open("wb") as large:
        large.truncate(MIB + 1)
    paths = {
        "/closed/secret": 403, "/openly": 403, "/open/link": 403, "/open/way/secret": 403, "/open/out": 403, "/open/absent": 404,
        "/open/.x.0123456789ab.part": 404, "/open/../closed/secret": 400, "/open/sub": 400, "/open/sub/": 400, "/open/pipe": 400,
        "open/sub/file": 403, "/open/in": None, "/open/large": None,
    }  # fmt: skip
    answers = bundle(*paths)
    assert {path: said.get("http_status") for path, (said, _) in zip(paths, answers, strict=False)} | {"open/sub/file": 403} == paths
    assert [body for said, body in answers if "size" in said] == [b"mine"]
    assert answers[13][0] == {"index": 13, "is_large": True}
    assert b"secret" not in b"".join(body for _, body in answers)
    control.tickets["small"]["active"] = False
    control.wait(lambda: getattr(bundle("/open/in"), "status_code", 0) == 401)
    assert bundle("/open/in", ticket="other").status_code == 401


def test_a_wrong_byte_in_a_bundle_is_found_and_fetched_again(control, archive, ends):
    (source, there), (destination, here) = ends
    fill(there, 20)
    archive.order_fault("get", corrupt=True)
    order = control.order((archive.url, source), destination, [("/", "/", True)])
    end = control.wait_for_end(order)
    assert (end["status"], end["counters"]["faults"]) == ("SUCCEEDED", 1)
    assert "CHECKSUM_MISMATCH" in control.faults(order)
    assert same(there, here)
    assert left_over(here) == []


def test_a_bundle_that_is_cut_goes_on(control, archive, ends):
    (source, there), (destination, here) = ends
    fill(there, 900)
    archive.order_fault("get", times=300)
    archive.order_fault("get", drop=True)
    order = control.order((archive.url, source), destination, [("/", "/", True)])
    counters = control.wait_for_end(order)["counters"]
    assert counters["files_transferred"] == 900
    assert counters["faults"] >= 1
    assert same(there, here)


def test_a_destination_killed_among_small_files_delivers_each_once(control, archive, campus, ends):
    (source, there), (destination, here) = ends
    fill(there, 400)
    archive.order_fault("get", times=400, delay_s=0.03)
    order = control.order((archive.url, source), destination, [("/", "/", True)])
    control.wait(lambda: sum(1 for _ in here.rglob("*.csv")) > 50)
    campus.kill()
    archive.clear_faults()
    campus.start()
    end = control.wait_for_end(order)
    assert (end["status"], end["counters"]["files_transferred"]) == ("SUCCEEDED", 400)
    names = [result["destination_path"] for result in control.results(order)]
    assert len(names) == len(set(names)) == 400
    assert same(there, here)
    assert left_over(here) == []


def test_times_are_kept_and_unusual_places_are_heeded(control, archive, ends):
    (source, there), (destination, here) = ends
    for name in ("plain", "over a file", "over a link", "over a folder", "a\nb"):
        (there / name).write_text(name)
        os.utime(there / name, ns=(1_600_000_000_123_456_000, 1_600_000_000_123_456_000))
    (here / "over a file").write_text("old")
    (here / "kept").write_text("kept")
    (here / "over a link").symlink_to("kept")
    (here / "over a folder").mkdir()
    deadline = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 20))
    order = control.order((archive.url, source), destination, [("/", "/", True)], preserve_timestamp=True, deadline=deadline)
    assert control.wait_for_end(order)["status"] == "FAILED"
    errors = {result["source_path"]: result["error_code"] for result in control.results(order) if result["status"] == "failed"}
    assert errors == {"/over a folder": "IsDirectory", "/a\nb": "InvalidPath"}
    for name in ("plain", "over a file"):
        assert ((here / name).read_text(), (here / name).stat().st_mtime_ns) == (name, 1_600_000_000_123_456_000)
    assert (here / "over a link").read_text() == "over a link"
    assert left_over(here) == []


@pytest.mark.parametrize(("after_bytes", "is_struck"), [(0, True), (100, True), (101, False)])
def test_a_fault_after_some_bytes_strikes_a_file_that_is_as_long(tmp_path, after_bytes, is_struck):
    (tmp_path / "a").write_bytes(b"x" * 100)
    faults = Faults(is_enabled=True)
    faults.order({"kind": "get", "drop": True, "after_bytes": after_bytes})
    answers = SmallFiles(Root(tmp_path), lambda _: True, faults).read(["/a"])
    if is_struck:
        with pytest.raises(DropError):
            next(answers)
    else:
        assert len(next(answers).body) == 100
    answers.close()
