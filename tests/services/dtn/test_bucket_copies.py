"""Copies from and to buckets between real nodes: bytes, digests, folders, kills, faults; and deleting."""

import hashlib
import os
import random
import time
from datetime import UTC, datetime

import pytest

from tests.services.dtn.conftest import new_bucket_collection, new_collection

pytestmark = pytest.mark.long

MIB = 1 << 20
LARGE = 19 * MIB + 17


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def disk(control, archive, request):
    """(collection, folder) on the archive node's disk."""
    return new_collection(control, archive, request.node.name)


@pytest.fixture
def bucket(bucket_files):
    return bucket_files


def tree():
    """Small files in folders, one of several pieces, an empty one."""
    files = {f"set/part {number % 3}/{number}.csv": f"value\n{number}\n".encode() for number in range(30)}
    return {**files, "set/nothing.txt": b"", "set/é #1?.nc": os.urandom(3 * MIB), "set/big.nc": os.urandom(LARGE)}


def check_results(control, order, files, *, top="/copy/"):
    found = {result["destination_path"]: result for result in control.results(order)}
    assert len(found) == len(control.results(order)) == len(files)
    for key, content in files.items():
        result = found[top + key.removeprefix("set/")]
        assert (result["status"], result["size"], result["checksum"]) == ("transferred", len(content), sha256(content))


def test_a_tree_comes_out_of_a_bucket(control, vault, disk, bucket):
    (source, there), (destination, here) = bucket, disk
    files = tree()
    for key, content in files.items():
        there.put(key, content)
    assert vault.ask("mkdir", collection=source, path="/set/empty").status_code == 200
    order = control.order((vault.url, source), destination, [("/set/", "/copy/", True)])
    end = control.wait_for_end(order, 60)
    assert end["status"] == "SUCCEEDED"
    assert {name: (here / "copy" / name.removeprefix("set/")).read_bytes() for name in files} == files
    assert (here / "copy" / "empty").is_dir()
    check_results(control, order, files)
    assert end["counters"]["bytes_transferred"] == sum(len(content) for content in files.values())


def test_a_tree_goes_into_a_bucket_encrypted(control, s3, archive, vault, disk, bucket):
    (source, there), (destination, here) = disk, bucket
    files = tree()
    for key, content in files.items():
        (there / key).parent.mkdir(parents=True, exist_ok=True)
        (there / key).write_bytes(content)
    (there / "set" / "empty").mkdir()
    s3.requests.clear()
    order = control.order((archive.url, source), destination, [("/set/", "/copy/", True)])
    end = control.wait_for_end(order, 60)
    assert end["status"] == "SUCCEEDED"
    assert here.names() == sorted("copy/" + key.removeprefix("set/") for key in files)
    assert {key: here.read("copy/" + key.removeprefix("set/")) for key in files} == files
    assert vault.ask("stat", collection=destination, path="/copy/empty").json()["type"] == "dir"
    check_results(control, order, files)
    assert here.uploads() == []
    begun = [headers for _, path, headers in s3.requests if path.endswith("?uploads")]
    assert begun
    writes = [*begun, *(headers for method, path, headers in s3.requests if method == "PUT" and "partNumber" not in path)]
    assert {headers.get("x-amz-server-side-encryption") for headers in writes} == {"AES256"}


def test_from_bucket_to_bucket_of_one_node(control, vault, s3, bucket, request):
    (source, there) = bucket
    destination, here = new_bucket_collection(control, vault, s3, f"{request.node.name} 2")
    files = {"set/a.txt": b"a", "set/big.nc": os.urandom(LARGE)}
    for key, content in files.items():
        there.put(key, content)
    order = control.order((vault.url, source), destination, [("/set/", "/copy/", True)])
    assert control.wait_for_end(order, 60)["status"] == "SUCCEEDED"
    assert here.read("copy/big.nc") == files["set/big.nc"]
    check_results(control, order, files)


def test_a_destination_killed_mid_copy_keeps_the_parts_that_the_bucket_has(control, archive, vault, disk, bucket):
    (source, there), (destination, here) = disk, bucket
    content = os.urandom(40 * MIB)
    (there / "big.nc").write_bytes(content)
    archive.order_fault("get", times=3)  # three pieces come at once
    archive.order_fault("get", times=100, delay_s=60)
    order = control.order((archive.url, source), destination, [("/big.nc", "/in/big.nc")])
    control.wait(lambda: control.heartbeats[order] and control.heartbeats[order][-1]["counters"]["bytes_transferred"] >= 24 * MIB)
    vault.kill()
    assert here.names() == []
    upload = here.uploads()[0]
    kept = here.s3.client.list_parts(Bucket=here.bucket, Key=upload["Key"], UploadId=upload["UploadId"])["Parts"]
    archive.clear_faults()
    vault.start()
    end = control.wait_for_end(order, 60)
    assert end["status"] == "SUCCEEDED"
    assert here.read("in/big.nc") == content
    assert (here.names(), here.uploads()) == (["in/big.nc"], [])
    assert control.results(order)[0]["checksum"] == sha256(content)
    sent = [path for method, path, _ in here.s3.requests if method == "PUT" and f"uploadId={upload['UploadId']}" in path]
    again = {one["PartNumber"] for one in kept if sum(f"partNumber={one['PartNumber']}&" in path for path in sent) > 1}
    assert len(kept) >= 3
    assert not again


def test_a_node_killed_before_it_recorded_delivers_nothing_twice(control, s3, archive, vault, disk, bucket):
    (source, there), (destination, here) = disk, bucket
    names = ["small.nc", "large.nc"]
    for name, size in zip(names, (2000, 9 * MIB), strict=True):
        (there / name).write_bytes(os.urandom(size))
    for name in names:
        vault.order_fault("unrecorded", delay_s=60)
        order = control.order((archive.url, source), destination, [(f"/{name}", f"/{name}")])
        control.wait(lambda name=name: name in here.names())
        s3.requests.clear()
        vault.kill()
        vault.start()
        assert control.wait_for_end(order)["status"] == "SUCCEEDED"
        assert [path for method, path, _ in s3.requests if method in {"PUT", "POST"}] == []
        assert here.read(name) == (there / name).read_bytes()


def test_wrong_bytes_from_a_source_never_get_the_name(control, archive, vault, disk, bucket):
    (source, there), (destination, here) = disk, bucket
    (there / "small.nc").write_bytes(b"right")
    (there / "large.nc").write_bytes(os.urandom(9 * MIB))
    archive.order_fault("get", times=2, corrupt=True)
    order = control.order((archive.url, source), destination, [("/small.nc", "/small.nc"), ("/large.nc", "/large.nc")])
    assert control.wait_for_end(order, 60)["status"] == "SUCCEEDED"
    assert "CHECKSUM_MISMATCH" in control.faults(order)
    assert here.read("small.nc") == b"right"
    assert here.read("large.nc") == (there / "large.nc").read_bytes()


@pytest.mark.parametrize(("status", "said", "code"), [(403, "AccessDenied", "PERMISSION_DENIED"), (507, "QuotaExceeded", "NO_SPACE")])
def test_what_a_bucket_refuses_is_told_and_tried_again(control, s3, archive, disk, bucket, status, said, code):
    (source, there), (destination, here) = disk, bucket
    (there / "a.nc").write_bytes(b"bytes")
    s3.order_fault("PUT", f"{here.bucket}/data/a.nc", status=status, code=said, times=4)
    order = control.order((archive.url, source), destination, [("/a.nc", "/a.nc")])
    assert control.wait_for_end(order, 60)["status"] == "SUCCEEDED"
    assert code in control.faults(order)
    assert here.read("a.nc") == b"bytes"


def test_a_missing_object_is_passed_over_where_that_is_asked(control, vault, disk, bucket):
    (source, there), (destination, here) = bucket, disk
    there.put("a.txt", b"a")
    items = [("/a.txt", "/a.txt"), ("/none.txt", "/none.txt")]
    order = control.order((vault.url, source), destination, items, skip_source_errors=True)
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    skipped = [(one["source_path"], one["error_code"]) for one in control.results(order) if one["status"] == "skipped"]
    assert skipped == [("/none.txt", "FILE_NOT_FOUND")]
    assert [path.name for path in here.iterdir()] == ["a.txt"]


def test_what_no_path_can_name_is_told_and_the_rest_arrives(control, vault, disk, bucket):
    """As on a disk: a line feed in a key is refused, of a file or a folder."""
    (source, there), (destination, here) = bucket, disk
    for key in ("set/a.txt", "set/line\nfeed.txt", "set/fold\ner/inside.txt", "set/z/last.txt"):
        there.put(key, key.encode())
    order = control.order((vault.url, source), destination, [("/set/", "/set/", True)])
    end = control.wait_for_end(order)
    assert (end["status"], end["fatal_error"]["code"]) == ("FAILED", "InvalidPath")
    failed = {one["source_path"]: one["error_code"] for one in control.results(order) if one["status"] == "failed"}
    assert failed == {"/set/line\nfeed.txt": "InvalidPath", "/set/fold\ner/": "InvalidPath"}
    assert sorted(path.name for path in (here / "set").rglob("*")) == ["a.txt", "last.txt", "z"]


ODD_KEYS = ("set//inside.txt", "set/./inside.txt", "set/../inside.txt", f"set/{'x' * 256}/inside.txt")


def test_names_that_only_keys_can_have_are_told_too(control, s3, vault, disk, bucket):
    """No disk below a server can hold them: what S3 would list stands in its place."""
    (source, there), (destination, here) = bucket, disk
    there.put("set/a.txt", b"a")
    listed = "".join(f"<CommonPrefixes><Prefix>data/{key.removesuffix('inside.txt')}</Prefix></CommonPrefixes>" for key in ODD_KEYS)
    file = '<Contents><Key>data/set/a.txt</Key><LastModified>2026-01-01T00:00:00Z</LastModified><ETag>"e"</ETag><Size>1</Size></Contents>'
    s3.answer("GET", "delimiter=%2F", f"<ListBucketResult>{file}{listed}</ListBucketResult>")
    entries = {entry["name"]: entry["type"] for entry in vault.ask("ls", collection=source, path="/set/").json()["entries"]}
    assert entries == {"a.txt": "file", "": "other", ".": "other", "..": "other", "x" * 256: "dir"}
    order = control.order((vault.url, source), destination, [("/set/", "/set/", True)])
    assert control.wait_for_end(order)["fatal_error"]["code"] == "InvalidPath"
    failed = {one["source_path"] for one in control.results(order) if one["error_code"] == "InvalidPath"}
    assert failed == {f"/{key.removesuffix('inside.txt')}" for key in ODD_KEYS}
    assert [path.name for path in (here / "set").iterdir()] == ["a.txt"]


@pytest.mark.parametrize("size", [5, 9 * MIB])
def test_a_file_over_a_folders_name_is_refused(control, archive, disk, bucket, size):
    (source, there), (destination, here) = disk, bucket
    (there / "a").write_bytes(b"x" * size)
    here.put("a/inside.txt", b"1")
    order = control.order((archive.url, source), destination, [("/a", "/a")])
    assert control.wait_for_end(order)["fatal_error"]["code"] == "IsDirectory"
    assert here.names() == ["a/inside.txt"]


@pytest.mark.parametrize("size", [5, 9 * MIB])
def test_a_destination_that_no_key_can_be_is_told(control, archive, disk, bucket, size):
    (source, there), (destination, here) = disk, bucket
    (there / "a").write_bytes(b"x" * size)
    order = control.order((archive.url, source), destination, [("/a", "/in/" + "/".join(["y" * 200] * 6))])
    assert control.wait_for_end(order)["fatal_error"]["code"] == "InvalidPath"
    assert here.names() == []


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_what_is_in_the_bucket_already_is_left_there(control, s3, archive, disk, bucket, level):
    (source, there), (destination, here) = disk, bucket
    for name in ("same.txt", "large.nc"):
        content = b"x" * (9 * MIB if name == "large.nc" else 10)
        (there / name).write_bytes(content)
        os.utime(there / name, (1_600_000_000, 1_600_000_000))
        here.put(name, content)
    s3.requests.clear()
    items = [("/same.txt", "/same.txt"), ("/large.nc", "/large.nc")]
    order = control.order((archive.url, source), destination, items, sync_level=level)
    assert control.wait_for_end(order)["counters"]["files_skipped"] == 2
    assert [path for method, path, _ in s3.requests if method in {"PUT", "POST"}] == []


def test_what_the_source_does_not_have_is_deleted_in_the_bucket(control, archive, disk, bucket):
    (source, there), (destination, here) = disk, bucket
    (there / "set").mkdir()
    (there / "set" / "a.txt").write_bytes(b"a")
    here.put("copy/old/x.txt", b"x")
    here.put("copy/y.txt", b"y")
    here.put("other.txt", b"z")
    order = control.order((archive.url, source), destination, [("/set/", "/copy/", True)], delete_destination_extra=True)
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert here.names() == ["copy/a.txt", "other.txt"]


def test_a_delete_order_empties_a_folder_of_a_bucket_and_waits_for_a_busy_one(control, s3, bucket):
    collection, here = bucket
    for key in ("a/x.txt", "a/sub/y.txt", "ab.txt"):
        here.put(key, b"1")
    s3.order_fault("POST", "?delete", status=503, code="SlowDown", times=5)
    order = control.order(None, collection, ["/a/"], kind="delete")
    end = control.wait_for_end(order, 60)
    assert (end["status"], here.names()) == ("SUCCEEDED", ["ab.txt"])


def test_a_cancelled_copy_leaves_no_parts(control, archive, disk, bucket):
    (source, there), (destination, here) = disk, bucket
    (there / "big.nc").write_bytes(os.urandom(40 * MIB))
    archive.order_fault("get", times=2)
    archive.order_fault("get", times=100, delay_s=60)
    order = control.order((archive.url, source), destination, [("/big.nc", "/big.nc")])
    control.wait(here.uploads)
    control.actions[order] = "cancel"
    assert control.wait_for_end(order)["status"] == "FAILED"
    assert (here.names(), here.uploads()) == ([], [])


def test_the_deadline_ends_a_copy_into_a_bucket_and_leaves_no_parts(control, archive, disk, bucket):
    (source, there), (destination, here) = disk, bucket
    (there / "big.nc").write_bytes(os.urandom(40 * MIB))
    order = control.order((archive.url, source), destination, [("/big.nc", "/big.nc")], most_bytes_per_s=2 * MIB)
    control.wait(here.uploads)
    control.deadlines[order] = datetime.now(UTC)
    end = control.wait_for_end(order, 60)
    assert (end["status"], end["fatal_error"]["code"]) == ("FAILED", "EXPIRED")
    assert (here.names(), here.uploads()) == ([], [])


def test_parts_that_somebody_else_removed_are_sent_anew(control, archive, disk, bucket):
    """As a lifecycle rule of the bucket does with uploads that take long."""
    (source, there), (destination, here) = disk, bucket
    content = os.urandom(40 * MIB)
    (there / "big.nc").write_bytes(content)
    archive.order_fault("get", times=2)
    archive.order_fault("get", times=3, delay_s=4)
    order = control.order((archive.url, source), destination, [("/big.nc", "/big.nc")])
    control.wait(here.uploads)
    upload = here.uploads()[0]
    here.s3.client.abort_multipart_upload(Bucket=here.bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    assert control.wait_for_end(order, 60)["status"] == "SUCCEEDED"
    assert here.read("big.nc") == content
    assert left_over(here) == []


def left_over(bucket):
    return [name for name in bucket.names() if name.endswith(".part")] + bucket.uploads()


@pytest.mark.soak
@pytest.mark.parametrize("into_bucket", [True, False], ids=["into the bucket", "out of it"])
def test_random_kills_of_either_node_deliver_everything_once(control, archive, vault, disk, bucket, seed, into_bucket):
    chance = random.Random(seed)
    (on_disk, folder), (in_bucket, there) = disk, bucket
    files = {f"set/{number % 7}/{number}.csv": os.urandom(chance.randrange(3000)) for number in range(400)}
    files |= {f"set/large {number}.nc": os.urandom(30 * MIB + number) for number in range(4)}
    for key, content in files.items():
        if into_bucket:
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / key).write_bytes(content)
        else:
            there.put(key, content)
    source, destination = ((archive.url, on_disk), in_bucket) if into_bucket else ((vault.url, in_bucket), on_disk)
    order = control.order(source, destination, [("/set/", "/copy/", True)])
    for _ in range(20):
        time.sleep(chance.uniform(0.05, 1.5))  # the moment is the point
        if order in control.finished:
            break
        killed = chance.choice([archive, vault])
        killed.kill()
        time.sleep(chance.uniform(0, 0.5))  # how long it is away, too
        killed.start()
    assert control.wait_for_end(order, 240)["status"] == "SUCCEEDED"
    check_results(control, order, files)
    for key, content in files.items():
        target = "copy/" + key.removeprefix("set/")
        assert (there.read(target) if into_bucket else (folder / target).read_bytes()) == content
    assert left_over(there) == []
    assert list((vault.state / "spool").iterdir()) == []
