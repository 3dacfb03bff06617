"""A bucket as the storage of a collection: read, listed, written and changed over HTTPS and by control, through a real S3 server."""

import base64
import contextlib
import hashlib
import os
import xml.etree.ElementTree as ET
from urllib.parse import quote

import httpx
import pytest

from services.dtn.errors import NodeError
from services.dtn.objects import open_bucket
from services.dtn.s3_accounts import Account, AccountsError, read_accounts
from tests.services.dtn.conftest import NodeProcess
from tests.services.dtn.s3_server import KEYS

pytestmark = pytest.mark.long

MIB = 1 << 20
ADA = {"Authorization": "Bearer ada-token"}
SSE = "x-amz-server-side-encryption"
NAMES = ["with space.txt", "100%.txt", "a#b?c.txt", "é ü 测试.txt", "x" * 255, "quote'\"&<>.txt"]


@pytest.fixture
def client(vault):
    with vault.client() as client:
        yield client


@pytest.fixture
def opened(control, bucket_files):
    """(id, BucketFolder) that ada may read and write."""
    control.grant(bucket_files[0], "ada-token", ("/", "rw"))
    return bucket_files


def digest_field(content):
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def names_of(answer):
    return sorted((entry["name"], entry["type"]) for entry in answer.json()["entries"])


# --- reading -----------------------------------------------------------------------------------------------------------------------


def test_a_file_is_read_whole_by_ranges_and_by_condition(client, opened):
    collection, bucket = opened
    content = os.urandom(3 * MIB + 11)
    bucket.put("in/model.nc", content)
    url = f"/{collection}/in/model.nc"
    whole = client.get(url, headers={**ADA, "Want-Repr-Digest": "sha-256=10"})
    assert (whole.status_code, whole.content) == (200, content)
    assert whole.headers["repr-digest"] == digest_field(content)
    assert whole.headers["content-type"] == "application/netcdf"
    head = client.head(url, headers=ADA)
    assert (head.headers["content-length"], head.headers["etag"]) == (str(len(content)), whole.headers["etag"])
    part = client.get(url, headers={**ADA, "Range": "bytes=1000000-2000000"})
    assert (part.status_code, part.content) == (206, content[1_000_000:2_000_001])
    several = client.get(url, headers={**ADA, "Range": "bytes=0-9,-5"})
    assert several.status_code == 206
    assert content[:10] in several.content
    assert content[-5:] in several.content
    assert client.get(url, headers={**ADA, "Range": f"bytes={len(content)}-"}).status_code == 416
    assert client.get(url, headers={**ADA, "If-None-Match": whole.headers["etag"]}).status_code == 304
    assert client.get(url, headers={**ADA, "If-Modified-Since": whole.headers["last-modified"]}).status_code == 304
    bucket.put("in/model.nc", content[::-1])
    changed = client.get(url, headers={**ADA, "If-Match": whole.headers["etag"]})
    assert changed.status_code == 412


def test_reading_needs_the_right_and_tells_a_stranger_nothing(control, client, bucket_files):
    collection, bucket = bucket_files
    bucket.put("open/a.txt", b"a")
    bucket.put("closed/b.txt", b"b")
    control.grant(collection, "cy-token", ("/open/", "r"))
    cy = {"Authorization": "Bearer cy-token"}
    assert client.get(f"/{collection}/open/a.txt", headers=cy).content == b"a"
    assert client.get(f"/{collection}/closed/b.txt", headers=cy).status_code == 403
    assert client.get(f"/{collection}/closed/none.txt", headers=cy).status_code == 403
    assert client.get(f"/{collection}/open/a.txt").status_code == 401
    assert client.put(f"/{collection}/open/new.txt", content=b"x", headers=cy).status_code == 403
    assert bucket.names() == ["closed/b.txt", "open/a.txt"]


@pytest.mark.parametrize("name", NAMES)
def test_hard_names_are_written_listed_read_and_deleted(control, vault, client, opened, name):
    collection, bucket = opened
    url = f"/{collection}/sub folder/{quote(name, safe='')}"
    assert client.put(url, content=name.encode(), headers=ADA).status_code == 201
    assert bucket.names() == [f"sub folder/{name}"]
    assert client.get(url, headers=ADA).content == name.encode()
    assert names_of(vault.ask("ls", collection=collection, path="/sub folder/")) == [(name, "file")]
    assert client.delete(url, headers=ADA).status_code == 204
    assert bucket.names() == []


@pytest.mark.parametrize("path", ["/a\nb", "/a\rb", "/" + "x" * 256, "/a/" + "/".join(["y" * 200] * 6)])
def test_names_that_cannot_be_are_refused(vault, client, opened, path):
    collection, bucket = opened
    answer = client.put(f"/{collection}{quote(path)}", content=b"x", headers=ADA)
    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidPath")
    assert vault.ask("stat", collection=collection, path=path).json()["code"] == "InvalidPath"
    assert bucket.names() == []


# --- listing -----------------------------------------------------------------------------------------------------------------------


def test_folders_are_what_keys_begin_with(vault, client, opened):
    collection, bucket = opened
    for key in ("a.txt", "sub/b.txt", "sub/deeper/c.txt", "sub/.hidden", "sub/.x.nc.0123456789ab.part"):
        bucket.put(key, key.encode())
    assert names_of(vault.ask("ls", collection=collection, path="/")) == [("a.txt", "file"), ("sub", "dir")]
    assert names_of(vault.ask("ls", collection=collection, path="/sub")) == [(".hidden", "file"), ("b.txt", "file"), ("deeper", "dir")]
    assert names_of(vault.ask("ls", collection=collection, path="/sub/", show_hidden=False)) == [("b.txt", "file"), ("deeper", "dir")]
    entry = vault.ask("stat", collection=collection, path="/a.txt").json()
    assert (entry["name"], entry["type"], entry["size"], entry["link_target"]) == ("a.txt", "file", 5, None)
    assert vault.ask("stat", collection=collection, path="/sub").json()["type"] == "dir"
    listed = client.get(f"/{collection}/sub/", headers={**ADA, "Accept": "application/json"}).json()
    assert sorted(entry["name"] for entry in listed) == [".hidden", "b.txt", "deeper"]
    page = client.get(f"/{collection}/sub/", headers={**ADA, "Accept": "text/html"})
    assert 'href="b.txt"' in page.text
    assert 'href="deeper/"' in page.text
    assert client.get(f"/{collection}/sub/.x.nc.0123456789ab.part", headers=ADA).status_code == 404


def test_what_is_not_there_is_told_as_on_a_disk(vault, client, opened):
    collection, bucket = opened
    bucket.put("file.txt", b"x")
    for path, code in (("/none", "ClientError.NotFound"), ("/file.txt/", "ExternalError.DirListingFailed.NotDirectory")):
        assert vault.ask("ls", collection=collection, path=path).json()["code"] == code
        assert vault.ask("stat", collection=collection, path=path).json()["code"] == code
    assert vault.ask("ls", collection=collection, path="/file.txt").json()["code"] == "ExternalError.DirListingFailed.NotDirectory"
    assert client.get(f"/{collection}/none", headers=ADA).status_code == 404


def test_a_large_folder_is_listed_in_pages(client, vault, opened):
    """More than one answer of S3 holds."""
    collection, bucket = opened
    for number in range(1010):
        bucket.put(f"many/{number:04}.txt", b"")
    assert len(vault.ask("ls", collection=collection, path="/many/").json()["entries"]) == 1010
    first = client.get(f"/{collection}/many/?limit=600", headers={**ADA, "Accept": "application/json"})
    assert (len(first.json()), first.json()[-1]["name"]) == (600, "0599.txt")
    rest = client.get(first.links["next"]["url"], headers={**ADA, "Accept": "application/json"}).json()
    assert (rest[0]["name"], len(rest)) == ("0600.txt", 410)
    deleted = vault.ask("delete", collection=collection, path="/many/", recursive=True)
    assert deleted.json()["deleted"] >= 1010
    assert bucket.names() == []


def test_webdav_reads_a_bucket(client, opened):
    collection, bucket = opened
    bucket.put("sub/b.txt", b"bytes")
    answer = client.request("PROPFIND", f"/{collection}/sub/", headers={**ADA, "Depth": "1"})
    assert answer.status_code == 207
    hrefs = [one.text for one in ET.fromstring(answer.text).iter("{DAV:}href")]
    assert hrefs == [f"/{collection}/sub/", f"/{collection}/sub/b.txt"]
    assert "<D:getcontentlength>5</D:getcontentlength>" in answer.text


# --- writing -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 5, 8 * MIB, 20 * MIB + 3])
def test_a_file_is_put_encrypted_and_shows_its_name_only_when_whole(s3, client, opened, size):
    collection, bucket = opened
    content = os.urandom(size)
    s3.requests.clear()
    url = f"/{collection}/in/file.nc"
    answer = client.put(url, content=content, headers={**ADA, "Repr-Digest": digest_field(content)})
    assert (answer.status_code, answer.headers["repr-digest"]) == (201, digest_field(content))
    assert bucket.read("in/file.nc") == content
    assert client.get(url, headers=ADA).headers["etag"] == answer.headers["etag"]
    assert (bucket.names(), bucket.uploads()) == (["in/file.nc"], [])
    begun = [headers for method, path, headers in s3.requests if path.endswith("?uploads")]
    writes = [*begun, *(headers for method, path, headers in s3.requests if method == "PUT" and "partNumber" not in path)]
    assert writes
    assert {headers.get(SSE) for headers in writes} == {"AES256"}
    again = client.put(url, content=b"new", headers=ADA)
    assert (again.status_code, bucket.read("in/file.nc")) == (204, b"new")


def test_an_upload_with_a_wrong_digest_or_a_condition_leaves_what_was_there(client, opened):
    collection, bucket = opened
    bucket.put("a.txt", b"old")
    url = f"/{collection}/a.txt"
    wrong = client.put(url, content=os.urandom(9 * MIB), headers={**ADA, "Repr-Digest": digest_field(b"other")})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "DigestMismatch")
    assert client.put(url, content=b"new", headers={**ADA, "If-None-Match": "*"}).status_code == 412
    assert client.put(url, content=b"new", headers={**ADA, "If-Match": '"another"'}).status_code == 412
    assert (bucket.read("a.txt"), bucket.names(), bucket.uploads()) == (b"old", ["a.txt"], [])


def put_part(client, url, content, first, last, **fields):
    headers = {**ADA, "Content-Range": f"bytes {first}-{last}/{len(content)}", **fields}
    return client.put(url, headers=headers, content=content[first : last + 1])


def test_an_upload_goes_on_after_a_kill_of_the_node(vault, opened):
    collection, bucket = opened
    content = os.urandom(21 * MIB + 5)
    url = f"/{collection}/in/big.nc"
    with vault.client() as client:
        first = put_part(client, url, content, 0, 11 * MIB - 1)
        assert (first.status_code, first.headers["range"]) == (308, f"bytes=0-{11 * MIB - 1}")
        assert client.get(url, headers=ADA).status_code == 404
    vault.kill()
    vault.start()
    with vault.client() as client:
        asked = client.put(url, headers={**ADA, "Content-Range": f"bytes */{len(content)}"})
        assert (asked.status_code, asked.headers["range"]) == (308, f"bytes=0-{11 * MIB - 1}")
        assert put_part(client, url, content, 12 * MIB, 13 * MIB).headers["range"] == f"bytes=0-{11 * MIB - 1}"
        last = put_part(client, url, content, 11 * MIB, len(content) - 1, **{"Repr-Digest": digest_field(content)})
        assert (last.status_code, last.headers["repr-digest"]) == (201, digest_field(content))
    assert bucket.read("in/big.nc") == content
    assert (bucket.names(), bucket.uploads()) == (["in/big.nc"], [])
    assert list((vault.state / "spool").iterdir()) == []


def test_what_a_kill_left_of_a_part_that_s3_has_is_removed(s3, opened, tmp_path):
    _, bucket = opened
    storage, spool = open_by(s3, tmp_path, bucket.bucket), tmp_path / "spool"

    def resumed(target):
        return contextlib.closing(target.resume("0123456789ab", total=20 * MIB, makes=True))

    with storage.target("/big.nc") as target:
        with resumed(target) as upload:
            upload.append(os.urandom(9 * MIB))
        (tail,) = spool.iterdir()
        tail.with_suffix(".1").write_bytes(os.urandom(8 * MIB))  # killed between storing the part and dropping it
        with resumed(target) as upload:
            assert (upload.size, list(spool.iterdir())) == (9 * MIB, [tail])
            upload.discard()
    assert (bucket.uploads(), list(spool.iterdir())) == ([], [])


def test_a_wrong_whole_begins_anew(client, opened):
    collection, bucket = opened
    content = os.urandom(10 * MIB)
    url = f"/{collection}/big.nc"
    wrong = put_part(client, url, content, 0, len(content) - 1, **{"Repr-Digest": digest_field(b"other")})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "DigestMismatch")
    asked = client.put(url, headers={**ADA, "Content-Range": f"bytes */{len(content)}"})
    assert (asked.status_code, "range" in asked.headers) == (308, False)
    assert (bucket.names(), bucket.uploads()) == ([], [])


def test_uploads_that_a_killed_node_left_are_removed_at_its_start(control, vault, opened):
    collection, bucket = opened

    def body():
        yield os.urandom(10 * MIB)
        control.wait(bucket.uploads)
        vault.kill()
        yield b"more"

    with vault.client() as client, pytest.raises(httpx.TransportError):
        client.put(f"/{collection}/big.nc", content=body(), headers={**ADA, "Content-Length": str(40 * MIB)})
    assert bucket.uploads()
    vault.start()
    assert (bucket.names(), bucket.uploads()) == ([], [])


# --- folders and names --------------------------------------------------------------------------------------------------------------


def test_made_folders_stay_without_files(vault, s3, opened):
    collection, bucket = opened
    assert vault.ask("mkdir", collection=collection, path="/new/").status_code == 200
    assert vault.ask("mkdir", collection=collection, path="/new/deeper").status_code == 200
    assert names_of(vault.ask("ls", collection=collection, path="/new/deeper")) == []
    assert names_of(vault.ask("ls", collection=collection, path="/new")) == [("deeper", "dir")]
    assert vault.ask("mkdir", collection=collection, path="/new").json()["code"] == "ExternalError.MkdirFailed.Exists"
    assert vault.ask("mkdir", collection=collection, path="/none/x").json()["code"] == "ClientError.NotFound"
    assert vault.ask("delete", collection=collection, path="/new/deeper/").json() == {"deleted": 1}
    assert names_of(vault.ask("ls", collection=collection, path="/new")) == []
    assert [headers[SSE] for headers in s3.asked("PUT", f"{bucket.bucket}/data/new/")] == ["AES256", "AES256"]


def test_files_and_folders_are_renamed_and_nothing_is_replaced(vault, opened):
    collection, bucket = opened
    for key in ("a.txt", "b.txt", "old/x.txt", "old/sub/y.txt"):
        bucket.put(key, key.encode())

    def rename(old, new):
        return vault.ask("rename", collection=collection, old_path=old, new_path=new)

    assert rename("/a.txt", "/c.txt").status_code == 200
    assert rename("/c.txt", "/b.txt").json()["code"] == "ExternalError.MkdirFailed.Exists"
    assert rename("/none", "/x").json()["code"] == "ClientError.NotFound"
    assert rename("/old", "/old/inner").status_code == 409
    assert rename("/old/", "/new/").status_code == 200
    assert bucket.names() == ["b.txt", "c.txt", "new/sub/y.txt", "new/x.txt"]
    assert bucket.read("new/sub/y.txt") == b"old/sub/y.txt"


def test_what_lands_in_a_folder_while_it_is_renamed_stays_there(vault, s3, opened):
    collection, bucket = opened
    for key in ("old/a.txt", "old/b.txt"):
        bucket.put(key, key.encode())

    def land():
        bucket.put("old/late.txt", b"late")
        bucket.put("old/a.txt", b"changed")

    s3.before("PUT", "data/new/", land)
    assert vault.ask("rename", collection=collection, old_path="/old", new_path="/new").status_code == 200
    assert bucket.names() == ["new/a.txt", "new/b.txt", "old/a.txt", "old/late.txt"]
    assert (bucket.read("old/late.txt"), bucket.read("old/a.txt"), bucket.read("new/b.txt")) == (b"late", b"changed", b"old/b.txt")


def test_a_file_that_changes_while_it_is_renamed_is_kept(vault, s3, opened):
    collection, bucket = opened
    bucket.put("a.txt", b"before")
    s3.before("PUT", "data/b.txt", lambda: bucket.put("a.txt", b"after"))
    assert vault.ask("rename", collection=collection, old_path="/a.txt", new_path="/b.txt").status_code == 200
    assert (bucket.names(), bucket.read("a.txt")) == (["a.txt", "b.txt"], b"after")


def test_a_rename_that_a_fault_broke_off_can_be_asked_for_again(vault, s3, opened):
    collection, bucket = opened
    for number in range(5):
        bucket.put(f"old/{number}.txt", b"%d" % number)
    s3.order_fault("PUT", "data/new/3.txt", status=403, code="AccessDenied")
    asked = {"collection": collection, "old_path": "/old", "new_path": "/new"}
    assert vault.ask("rename", **asked).status_code == 403
    assert bucket.names() == [f"old/{number}.txt" for number in range(5)]
    assert vault.ask("rename", **asked).status_code == 200
    assert bucket.names() == [f"new/{number}.txt" for number in range(5)]


def test_what_an_object_says_of_itself_is_renamed_with_it(s3, opened, tmp_path, monkeypatch):
    _, bucket = opened
    said = {"Metadata": {"origin": "buoy 5"}, "ContentType": "application/netcdf"}
    s3.client.put_object(Bucket=bucket.bucket, Key="data/set/a.nc", Body=b"a", **said)
    storage = open_by(s3, tmp_path, bucket.bucket)
    with monkeypatch.context() as patch:
        patch.setattr("services.dtn.s3.MOST_COPY_BYTES", 0)  # as a file above 5 GiB
        with pytest.raises(NodeError, match="copies no parts"):
            storage.rename("/set/a.nc", "/set/b.nc")
    (begun,) = s3.asked("POST", f"{bucket.bucket}/data/set/b.nc?uploads")
    assert begun["x-amz-meta-origin"] == "buoy 5"
    assert (bucket.names(), bucket.uploads()) == (["set/a.nc"], [])
    storage.rename("/set", "/kept")
    storage.rename("/kept/a.nc", "/b.nc")
    for name in ("kept/a.nc", "b.nc"):
        (copied,) = s3.asked("PUT", f"{bucket.bucket}/data/{name}")
        assert copied["x-amz-metadata-directive"] == "COPY"  # a server that heeds it keeps all
    assert bucket.names() == ["b.nc"]


def test_deleting_spares_what_is_not_named(vault, opened):
    collection, bucket = opened
    for key in ("a/x.txt", "a/sub/y.txt", "ab/z.txt"):
        bucket.put(key, b"1")
    assert vault.ask("delete", collection=collection, path="/a", recursive=False).status_code == 409
    assert vault.ask("delete", collection=collection, path="/a", recursive=True).json()["deleted"] >= 2
    assert bucket.names() == ["ab/z.txt"]
    assert vault.ask("delete", collection=collection, path="/a", recursive=True).json()["code"] == "ClientError.NotFound"
    assert vault.ask("delete", collection=collection, path="/a", ignore_missing=True).json() == {"deleted": 0}
    assert vault.ask("delete", collection=collection, path="/", recursive=True).status_code == 403


def test_rules_of_an_operation_hold_in_a_bucket(vault, opened):
    collection, bucket = opened
    bucket.put("a/x.txt", b"1")
    only_b = [{"path": "/b/", "permissions": "rw"}]
    assert vault.ask("mkdir", collection=collection, path="/a/new", rules=only_b).status_code == 403
    assert vault.ask("delete", collection=collection, path="/a/x.txt", rules=only_b).status_code == 403
    assert vault.ask("ls", collection=collection, path="/a/", rules=only_b).status_code == 403
    assert bucket.names() == ["a/x.txt"]


# --- settings of an account ----------------------------------------------------------------------------------------------------------


def open_by(s3, tmp_path, bucket, **settings):
    keys = dict(zip(("access_key_id", "secret_access_key"), KEYS, strict=True))
    return open_bucket(Account(endpoint=s3.url, **keys, **settings), bucket, "data/", tmp_path / "spool")


@pytest.mark.parametrize("size", [5, 9 * MIB])
def test_a_key_of_the_key_management_is_asked_for_on_every_write(s3, opened, tmp_path, size):
    _, bucket = opened
    storage = open_by(s3, tmp_path, bucket.bucket, encryption="aws:kms", kms_key_id="alias/archive")
    s3.requests.clear()
    with storage.target("/in/a.nc") as target:
        upload = target.begin("0123456789ab", total=size)
        upload.append(b"x" * size)
        upload.commit()
        upload.close()
    begun = [headers for method, path, headers in s3.requests if path.endswith("?uploads")]
    writes = [*begun, *(headers for method, path, headers in s3.requests if method == "PUT" and "partNumber" not in path)]
    assert {(headers[SSE], headers[f"{SSE}-aws-kms-key-id"]) for headers in writes} == {("aws:kms", "alias/archive")}
    assert len(begun) == (1 if size > 8 * MIB else 0)


def test_a_folder_is_kept_by_an_empty_object_of_its_name(s3, opened, tmp_path):
    """As other programs keep folders in S3; the server of these tests forgets the slash, so only what was asked is seen."""
    _, bucket = opened
    open_by(s3, tmp_path, bucket.bucket).mkdir("/plain")
    (asked,) = s3.asked("PUT", f"{bucket.bucket}/data/plain/")
    assert (asked["content-length"], asked[SSE]) == ("0", "AES256")


# --- what can go wrong ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "said", "answered", "code"),
    [
        (403, "AccessDenied", 403, "EndpointPermissionDenied"),
        (403, "QuotaExceeded", 507, "ExternalError.NoSpace"),
        (507, "XMinioStorageFull", 507, "ExternalError.NoSpace"),
        (404, "NoSuchBucket", 404, "ClientError.NotFound"),
        (403, "InvalidAccessKeyId", 403, "EndpointPermissionDenied"),
        (501, "NotImplemented", 503, "ServiceUnavailable"),
    ],
)
def test_what_the_bucket_refuses_has_a_code_of_globus(s3, client, opened, status, said, answered, code):
    collection, bucket = opened
    s3.order_fault("PUT", "refused.txt", status=status, code=said, times=10)
    answer = client.put(f"/{collection}/refused.txt", content=b"x", headers=ADA)
    assert (answer.status_code, answer.json()["code"]) == (answered, code)
    assert bucket.bucket not in answer.text
    assert bucket.names() == []


def test_a_busy_bucket_is_asked_again(s3, client, opened):
    collection, bucket = opened
    s3.order_fault("PUT", "later.txt", status=503, code="SlowDown", times=2)
    assert client.put(f"/{collection}/later.txt", content=b"x", headers=ADA).status_code == 201
    assert bucket.read("later.txt") == b"x"


@pytest.mark.parametrize(("method", "word"), [("POST", "uploadId="), ("PUT", "lost.nc"), ("POST", "?uploads")])
def test_an_answer_that_is_lost_is_asked_for_again(s3, client, opened, method, word):
    collection, bucket = opened
    content = os.urandom(9 * MIB)
    s3.order_fault(method, word)
    assert client.put(f"/{collection}/lost.nc", content=content, headers=ADA).status_code == 201
    assert bucket.read("lost.nc") == content
    assert not any(fault["times"] for fault in s3.faults)
    assert bucket.names() == ["lost.nc"]


def test_an_accounts_file_that_others_may_read_stops_the_start(control, tmp_path):
    accounts = tmp_path / "accounts.toml"
    accounts.write_text('[[account]]\nsecret_access_key = "s"\n')
    accounts.chmod(0o644)
    node = NodeProcess(control, tmp_path, "careless", options=("--s3-accounts", accounts))
    node.launch()
    assert node.process.wait(60) != 0
    node.process.stdout.close()
    assert "chmod 600" in node.log.read_text()


def test_a_bucket_without_an_account_is_not_served(control, vault):
    storage = {"connector": "s3", "endpoint": "http://127.0.0.6:9"}
    collection = control.add_collection("vault", base_path="/other/", storage=storage)
    assert vault.ask("ls", collection=collection, path="/").json()["code"] == "EndpointNotFound"


def test_without_a_file_the_environment_makes_one_account(monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    assert read_accounts(None) == []
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.example.org/")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    (account,) = read_accounts(None)
    assert account.region == "eu-central-1"
    assert account.serves("https://s3.example.org", "any")
    assert not account.serves(None, "any")


@pytest.mark.parametrize(
    "text",
    ["[[account]]\nsecret = 1\n", "account = 5\n", "[[account", '[[account]]\nencryption = "none"\n', '[account]\nregion = "x"\n'],
)
def test_a_file_that_is_no_list_of_accounts_is_refused(tmp_path, text):
    file = tmp_path / "accounts.toml"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(AccountsError):
        read_accounts(file)


def test_an_account_shows_no_secret(tmp_path):
    assert "hidden" not in repr(Account(access_key_id="AKIA", secret_access_key="hidden", session_token="hidden"))
