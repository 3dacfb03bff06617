"""Files in a bucket that no collection serves: addresses signed by the portal, given out by a real S3 server (rclone's)."""

import datetime as dt
import subprocess
import sys
from html import unescape
from urllib.parse import parse_qs, urlsplit

import boto3
import httpx
import pytest
from django.utils import timezone

from datasets.curation import publishing, registering
from datasets.files import FileQuery
from datasets.models import Dataset, Version
from datasets.scans import ingesting as scans
from datasets.scans import storage
from tests.transfers.test_scanning_buckets import bucket, put, s3
from transfers import ingesting, linking, snippets
from transfers.requesting import Wanted

__all__ = ["bucket", "s3"]
pytestmark = pytest.mark.long

NAME = "/deep/b 'c'.nc"


@pytest.fixture
def version(dee, s3, bucket):
    put(s3, bucket, f"sea{NAME}", b"of the bucket")
    draft = registering.register(user=dee, slug="sea", title="Sea", abstract="Of a bucket.", access_policy="registered")
    registering.place(draft, user=dee, bucket=bucket, base_path="/sea/")
    ingesting.run_scan(scans.ask_for_scan(draft, user=dee))
    return Version.objects.get(pk=publishing.publish(draft, user=dee).pk)


def ask(client):
    return client.get("/datasets/sea/versions/1/https/", {"path": NAME})


def signed_in(client, person):
    client.force_login(person)
    return client


def test_a_file_is_downloaded_from_its_bucket_by_a_signed_address_that_ends(version, client, ada, s3):
    assert ask(client).status_code in {302, 401, 403}
    assert "X-Amz-Signature" not in str(ask(client).headers), "nobody gets an address before the check"
    address = ask(signed_in(client, ada))["Location"]
    asked = parse_qs(urlsplit(address).query)
    assert (asked["X-Amz-Expires"], address.startswith(s3.url)) == (["900"], True)
    answer = httpx.get(address, trust_env=False)
    assert (answer.status_code, answer.content) == (200, b"of the bucket")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert httpx.get(address.replace("/sea/", "/seb/"), trust_env=False).status_code == 403, "an address is of one object"


def test_pages_of_files_in_a_bucket_offer_what_works_and_nothing_else(version, client, ada):
    signed_in(client, ada)
    page = unescape(client.get("/datasets/sea/").content.decode())
    assert "straight from the object store" in page
    assert "Send to my collection" not in page
    assert "/datasets/sea/versions/1/https/?path=" in client.get("/datasets/sea/files/?folder=/deep/").content.decode()
    client.post("/basket/add/", {"dataset": "sea", "version": "1", "everything": "1", "next": "/basket/"})
    page = unescape(client.get("/basket/").content.decode())
    assert "Globus moves nothing from there" in page
    assert "X-Amz-Signature" in page
    assert "The addresses hold for an hour" in page
    asked = {"kind": "share", "selections": [{"dataset": "sea", "version": 1}]}
    refused = client.post("/api/v1/data-requests/", asked, content_type="application/json")
    assert refused.status_code in {400, 409}
    assert "object store" in refused.content.decode()


def test_lines_are_for_those_alone_who_may_have_the_files(version, client, cy):
    add = {"dataset": "sea", "version": "1", "everything": "1", "next": "/basket/"}
    client.post("/basket/add/", add)
    page = client.get("/basket/").content.decode()
    assert ("Sea" in page, "X-Amz-Signature" in page) == (True, False), "nobody is signed in"
    signed_in(client, cy).post("/basket/add/", add)
    shown = client.get("/basket/")
    assert "X-Amz-Signature" in shown.content.decode()
    assert ["no-store" in answer["Cache-Control"] for answer in (shown, ask(client))] == [True, True]
    Dataset.objects.filter(pk=version.dataset_id).update(embargo_ends_at=timezone.now() + dt.timedelta(days=1))
    page = client.get("/basket/").content.decode()
    assert ("Sea" in page, "X-Amz-Signature" in page) == (True, False), "an embargo began"


def test_ready_lines_fetch_what_lies_in_a_bucket(version, tmp_path):
    found = {one.title: one for one in snippets.snippets_of([Wanted(version, FileQuery())])}
    assert set(found) == {"curl", "wget", "aria2", "rclone", "Python", "R", "xarray"}
    subprocess.run([sys.executable, "-c", found["Python"].code], cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / f"sea-v1{NAME}").read_bytes() == b"of the bucket"


def test_controlled_files_get_no_signed_address(version, client, dee):
    Dataset.objects.filter(pk=version.dataset_id).update(classification="controlled", access_policy="restricted")
    changed = Version.objects.get(pk=version.pk)
    assert snippets.snippets_of([Wanted(changed, FileQuery())]) == []
    refused = ask(signed_in(client, dee))
    assert "X-Amz-Signature" not in str(refused.headers)
    assert refused["Location"].startswith("/signin/second-factor/")
    assert not linking.is_addressed(changed), "nor after that"


def test_a_portal_without_an_account_at_the_store_says_what_lacks(version, client, ada, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # a test asks no host of Amazon for a role
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps what it once found
    storage._client.cache_clear()
    refused = ask(signed_in(client, ada))
    assert refused.status_code == 502
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in refused.content.decode()
