"""Scans of a prefix of a bucket at a real S3 server (rclone's)."""

import base64
import hashlib
import uuid

import pytest

from datasets.curation import publishing, registering
from datasets.errors import NotReadyError
from datasets.files import FileQuery, iterate
from datasets.scans import ingesting as scans
from datasets.scans import scanning, storage
from tests.services.dtn.s3_server import KEYS, S3Server
from transfers import ingesting

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    server = S3Server(tmp_path_factory.mktemp("s3"))
    yield server
    server.stop()


@pytest.fixture
def bucket(s3, monkeypatch):
    """A bucket of the test's own, which the portal's account may list."""
    name = f"archive-{uuid.uuid4().hex[:12]}"
    for variable, value in zip(
        ("AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"), (s3.url, *KEYS, "us-east-1"), strict=True
    ):
        monkeypatch.setenv(variable, value)
    storage._client.cache_clear()
    s3.client.create_bucket(Bucket=name)
    yield name
    s3.faults.clear()
    storage._client.cache_clear()


def put(s3, bucket, key, content):
    s3.client.put_object(Bucket=bucket, Key=key, Body=content)


@pytest.fixture
def draft(dee, s3, bucket):
    put(s3, bucket, "sea/a.nc", b"aa")
    put(s3, bucket, "sea/deep/er/b c.nc", b"bbb")
    put(s3, bucket, "seaside/other.nc", b"not below the prefix")
    version = registering.register(user=dee, slug="sea", title="Sea", abstract="Of a bucket.")
    registering.place(version, user=dee, bucket=bucket, base_path="/sea/")
    return version


def content(version):
    return {row.path: row.size_bytes for row in iterate(version, FileQuery())}


def test_a_prefix_is_scanned_and_nothing_beside_it(draft, s3):
    s3.requests.clear()
    run = ingesting.run_scan(scans.ask_for_scan(draft, user=draft.dataset.stewards.get()))
    assert (run.status, run.error, run.n_files, run.size_bytes) == ("done", "", 2, 5)
    assert content(draft) == {"/a.nc": 2, "/deep/er/b c.nc": 3}
    assert run.n_unreadable == 2, "this server keeps no checksums"
    assert not [path for method, path, _ in s3.requests if method == "GET" and "list-type=2" not in path], "no object is opened"


AA = hashlib.sha256(b"aa")
STATED = base64.b64encode(AA.digest()).decode()


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ({"ChecksumSHA256": STATED, "ChecksumType": "FULL_OBJECT"}, AA.hexdigest()),
        ({"ChecksumSHA256": STATED}, AA.hexdigest()),
        ({"ChecksumSHA256": f"{STATED}-3", "ChecksumType": "COMPOSITE"}, ""),
        ({"ChecksumSHA256": STATED, "ChecksumType": "COMPOSITE"}, ""),
        ({"Metadata": {"sha256": AA.hexdigest()}}, AA.hexdigest()),
        ({"Metadata": {"sha256": "odd"}}, ""),
        ({"Metadata": {}}, ""),
    ],
)
def test_only_a_checksum_of_the_whole_object_counts(head, expected):
    assert storage._sha256(head) == expected


def test_what_changed_in_a_bucket_is_reported_and_accepted(draft, dee, s3, bucket):
    ingesting.run_scan(scans.request_scan(draft, user=dee))
    put(s3, bucket, "sea/a.nc", b"longer")
    put(s3, bucket, "sea/new.nc", b"n")
    s3.client.delete_object(Bucket=bucket, Key="sea/deep/er/b c.nc")
    run = ingesting.run_scan(scans.request_scan(draft, user=dee))
    assert (run.status, run.n_new, run.n_changed, run.n_missing) == ("reported", 1, 1, 1)
    scanning.accept_scan(run, user=dee)
    assert ingesting.run_scan(run).status == "done"
    assert set(content(draft)) == {"/a.nc", "/new.nc"}


def test_a_published_object_that_is_gone_marks_the_version_damaged(draft, dee, s3, bucket):
    ingesting.run_scan(scans.request_scan(draft, user=dee))
    version = publishing.publish(draft, user=dee)
    s3.client.delete_object(Bucket=bucket, Key="sea/a.nc")
    ingesting.run_scan(scans.request_scan(version, user=dee))
    version.refresh_from_db()
    assert version.damage == "1 file is gone"


@pytest.mark.parametrize(("code", "status", "expected"), [("SlowDown", 503, "queued"), ("AccessDenied", 403, "failed")])
def test_a_store_that_does_not_answer_is_tried_again_and_a_refusal_is_told(draft, dee, s3, code, status, expected):
    run = scans.request_scan(draft, user=dee)
    s3.order_fault("GET", "list-type=2", status=status, code=code, times=20)
    run = ingesting.run_scan(run)
    assert run.is_working is (expected == "queued")
    assert run.error
    if expected == "failed":
        assert "s3:ListBucket" in run.error


def test_a_bucket_that_is_not_there_is_told_before_a_scan_is_queued(draft, dee):
    registering.place(draft, user=dee, bucket="no-such-bucket-anywhere", base_path="/")
    draft.refresh_from_db()
    with pytest.raises(NotReadyError) as refusal:
        scans.ask_for_scan(draft, user=dee)
    assert "no-such-bucket-anywhere" in str(refusal.value.fields)
    assert not draft.scans.exists()
