"""HTTPS access as a client sees it: rules, ranges, conditions, digests, listings, uploads, memory."""

import base64
import contextlib
import email
import hashlib
import http.client
import json
import threading
import time

import httpx
import pytest

from tests.services.dtn.conftest import new_collection

pytestmark = pytest.mark.long

MIB = 1 << 20
ADA = {"Authorization": "Bearer ada-token"}


@pytest.fixture
def client(archive):
    with archive.client() as client:
        yield client


@pytest.fixture
def opened(control, files):
    """The collection with everything readable for ada."""
    collection, folder = files
    control.grant(collection, "ada-token", ("/", "r"))
    return f"/{collection}", folder


@pytest.fixture
def writable(control, files):
    collection, folder = files
    control.grant(collection, "ada-token", ("/", "rw"))
    return f"/{collection}", folder


def repr_digest(content):
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def test_whole_file_with_its_fields(client, opened):
    base, folder = opened
    (folder / "air temperature.nc").write_bytes(b"0123456789")
    answer = client.get(f"{base}/air%20temperature.nc", headers=ADA)
    assert answer.status_code == 200
    assert answer.content == b"0123456789"
    assert answer.headers["content-type"] == "application/netcdf"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == "10"
    assert answer.headers["etag"].startswith('"')
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers
    assert "content-disposition" not in answer.headers
    download = client.get(f"{base}/air%20temperature.nc?download", headers=ADA)
    assert download.headers["content-disposition"] == "attachment; filename*=UTF-8''air%20temperature.nc"
    head = client.head(f"{base}/air%20temperature.nc", headers=ADA)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "10")
    assert head.headers["etag"] == answer.headers["etag"]


@pytest.mark.parametrize(
    ("field", "status", "content", "content_range"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-30", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=8-30", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=5-2", 200, b"0123456789", None),
        ("bytes=10-12,-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-12,20-", 416, None, "bytes */10"),
        ("bytes=0-8,1-9", 200, b"0123456789", None),
        ("bytes=0-1,4-3", 200, b"0123456789", None),
        ("bytes=" + ",".join(["0-0"] * 65), 200, b"0123456789", None),
        ("lines=0-1", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("bytes=x-2", 200, b"0123456789", None),
    ],
)
def test_ranges(client, opened, field, status, content, content_range):
    base, folder = opened
    (folder / "a").write_bytes(b"0123456789")
    answer = client.get(f"{base}/a", headers={**ADA, "Range": field})
    assert answer.status_code == status
    assert answer.headers.get("content-range") == content_range
    if content is not None:
        assert answer.content == content


def test_several_ranges_come_as_parts(client, opened):
    base, folder = opened
    (folder / "a.nc").write_bytes(bytes(range(256)) * 8192)
    whole = (folder / "a.nc").read_bytes()
    answer = client.get(f"{base}/a.nc", headers={**ADA, "Range": "bytes=0-3, 1000000-1999999,-5"})
    assert answer.status_code == 206
    assert int(answer.headers["content-length"]) == len(answer.content)
    message = email.message_from_bytes(b"Content-Type: " + answer.headers["content-type"].encode() + b"\r\n\r\n" + answer.content)
    assert message.get_content_type() == "multipart/byteranges"
    boundary = message.get_boundary().encode()
    parts = [part.split(b"\r\n\r\n", 1) for part in answer.content.split(b"\r\n--" + boundary)[1:-1]]
    assert [content for _, content in parts] == [whole[:4], whole[1_000_000:2_000_000], whole[-5:]]
    assert b"Content-Range: bytes 1000000-1999999/2097152" in parts[1][0]
    assert all(b"Content-Type: application/netcdf" in heading for heading, _ in parts)


def test_empty_file(client, opened):
    base, folder = opened
    (folder / "empty").touch()
    assert client.get(f"{base}/empty", headers=ADA).content == b""
    answer = client.get(f"{base}/empty", headers={**ADA, "Range": "bytes=0-9"})
    assert (answer.status_code, answer.content) == (200, b"")


def test_conditions(client, opened):
    base, folder = opened
    (folder / "a").write_bytes(b"0123456789")
    first = client.get(f"{base}/a", headers=ADA)
    etag, modified = first.headers["etag"], first.headers["last-modified"]

    def status(**fields):
        return client.get(f"{base}/a", headers={**ADA, **{name.replace("_", "-"): value for name, value in fields.items()}}).status_code

    assert status(If_None_Match=etag) == 304
    assert status(If_None_Match=f'"other", W/{etag}') == 304
    assert status(If_None_Match='"other"') == 200
    assert status(If_Modified_Since=modified) == 304
    assert status(If_Modified_Since="Sat, 01 Jan 2000 00:00:00 GMT") == 200
    assert status(If_Match=etag) == 200
    assert status(If_Match='"other"') == 412
    assert status(If_Unmodified_Since="Sat, 01 Jan 2000 00:00:00 GMT") == 412
    assert status(Range="bytes=0-1", If_Range=etag) == 206
    assert status(Range="bytes=0-1", If_Range='"other"') == 200
    assert status(Range="bytes=0-1", If_Range=modified) == 206
    (folder / "a").write_bytes(b"9876543210")
    assert status(If_None_Match=etag) == 200
    assert status(Range="bytes=0-1", If_Range=etag) == 200


def test_digest_when_wanted_and_from_then_on(client, opened):
    base, folder = opened
    (folder / "a").write_bytes(b"0123456789")
    time.sleep(0.05)  # beyond the grain of file times
    assert "repr-digest" not in client.head(f"{base}/a", headers=ADA).headers
    wanted = client.head(f"{base}/a", headers={**ADA, "Want-Repr-Digest": "sha-256=10"})
    assert wanted.headers["repr-digest"] == repr_digest(b"0123456789")
    ranged = client.get(f"{base}/a", headers={**ADA, "Range": "bytes=0-1"})
    assert ranged.headers["repr-digest"] == repr_digest(b"0123456789"), "of the whole representation (RFC 9530)"
    (folder / "a").write_bytes(b"9876543210")
    changed = client.get(f"{base}/a", headers={**ADA, "Want-Repr-Digest": "sha-256=1"})
    assert changed.headers["repr-digest"] == repr_digest(b"9876543210")


def test_rules_are_folders_and_add_up(control, client, files):
    collection, folder = files
    for name in ("a/b/file", "a/file", "ab/file", "c/file", "open/file"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    control.grant(collection, "ada-token", ("/a/", "r"), ("/c/", "r"))
    control.grant(collection, None, ("/open/", "r"))

    def status(path, headers=ADA):
        return client.get(f"/{collection}{path}", headers=headers).status_code

    assert status("/a/file") == status("/a/b/file") == status("/c/file") == 200
    assert status("/ab/file") == 403
    assert status("/open/file") == 200
    assert status("/open/file", {}) == 200
    assert status("/a/file", {}) == 401
    assert status("/none/at/all") == 403, "whether something is there is not told"
    assert status("/a/none") == 404
    assert status("/a/file", {"Authorization": "Bearer unknown"}) == 401
    assert status("/a/file", {"Authorization": "Basic YTpi"}) == 401
    assert client.get(f"/{collection}/a/file?access_token=ada-token").status_code == 401
    assert client.get("/7d5a4f1e-0000-4000-8000-00000000dead/a", headers=ADA).json()["code"] == "EndpointNotFound"


def test_a_link_from_one_share_to_another_is_judged_by_both_names(control, client, files):
    collection, folder = files
    for name in ("mine", "theirs"):
        (folder / name).mkdir()
        (folder / name / "file").write_text(name)
    (folder / "mine" / "link").symlink_to("../theirs/file")
    (folder / "mine" / "folder").symlink_to("../theirs")
    control.grant(collection, "ada-token", ("/mine/", "rw"))
    for path in ("/mine/link", "/mine/folder/file", "/mine/folder/"):
        assert client.get(f"/{collection}{path}", headers=ADA).status_code == 403
    assert client.put(f"/{collection}/mine/folder/new", headers=ADA, content=b"x").status_code == 403
    control.grant(collection, "ada-token", ("/mine/", "r"), ("/theirs/", "r"))
    time.sleep(1.1)  # how long an answer of control may be kept
    assert client.get(f"/{collection}/mine/link", headers=ADA).text == "theirs"


def test_nothing_is_written_behind_a_link_to_another_share(control, client, files):
    collection, folder = files
    for name in ("mine", "theirs"):
        (folder / name).mkdir()
        (folder / name / "file").write_text(name)
    (folder / "mine" / "link").symlink_to("../theirs/file")
    (folder / "mine" / "absent").symlink_to("../theirs/absent")
    (folder / "mine" / "own").symlink_to("file")
    control.grant(collection, "ada-token", ("/mine/", "rw"))
    for path in ("/mine/link", "/mine/absent", "/mine/absent/file"):
        assert client.put(f"/{collection}{path}", headers=ADA, content=b"x").status_code == 403
    assert [(path.name, path.read_text()) for path in (folder / "theirs").iterdir()] == [("file", "theirs")]
    assert client.put(f"/{collection}/mine/own", headers=ADA, content=b"new").status_code == 204
    assert (folder / "mine" / "file").read_text() == "new"
    assert client.delete(f"/{collection}/mine/link", headers=ADA).status_code == 204
    assert (folder / "theirs" / "file").exists()


def test_climbing_is_refused_on_the_wire(archive, client, opened):
    base, folder = opened
    (folder.parent / "outside").write_text("secret")
    (folder / "link").symlink_to("../outside")
    for raw in ("/../outside", "/%2e%2e/outside", "/..%2foutside", "/%252e%252e/outside", "/a%00b", "/a%0d%0ab", "/..%5coutside/../x"):
        with contextlib.closing(http.client.HTTPSConnection(archive.address, context=archive.trust())) as connection:
            connection.request("GET", base + raw, headers=ADA)  # sends what it is given
            answer = connection.getresponse()
            said = answer.read()
        assert (answer.status, json.loads(said)["code"]) == (400, "InvalidPath"), (raw, said)
    assert client.get(f"{base}/link", headers=ADA).status_code == 403
    assert client.get(f"{base}/" + "x" * 256, headers=ADA).json()["code"] == "InvalidPath"


def test_listing_as_json_and_as_a_page(control, client, files):
    collection, folder = files
    (folder / "shares" / "one").mkdir(parents=True)
    (folder / "shares" / "two").mkdir()
    (folder / "shares" / "one" / "<b>.txt").write_text("x" * 2048)
    (folder / "top").write_text("")
    (folder / "shares" / "one" / ".x.0123456789ab.part").write_text("unfinished")
    control.grant(collection, "ada-token", ("/shares/one/", "r"))
    wants_json = {**ADA, "Accept": "application/json"}
    entries = client.get(f"/{collection}/shares/one/", headers=wants_json).json()
    assert [entry["name"] for entry in entries] == ["<b>.txt"]
    assert set(entries[0]) == {"name", "type", "size", "last_modified", "permissions", "user", "group", "link_target"}
    assert [entry["name"] for entry in client.get(f"/{collection}/", headers=wants_json).json()] == ["shares"], "only what leads on"
    assert [entry["name"] for entry in client.get(f"/{collection}/shares/", headers=wants_json).json()] == ["one"]
    assert client.get(f"/{collection}/shares/two/", headers=wants_json).status_code == 403
    page = client.get(f"/{collection}/shares/one/", headers=ADA)
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "&lt;b&gt;.txt" in page.text
    assert "<b>" not in page.text
    assert "2.0 KiB" in page.text
    assert f'href="/{collection}/shares/"' in page.text
    assert client.get(f"/{collection}/shares/one", headers=ADA).headers["location"] == f"/{collection}/shares/one/"
    assert client.get(f"/{collection}/shares/one/.x.0123456789ab.part", headers=ADA).status_code == 404


@pytest.mark.parametrize("name", ["page.html", "page.xhtml", "drawing.svg", "feed.atom", "graph.rdf", "sheet.xsl", "sheet.xslt", "any.xml"])
def test_stored_pages_cannot_act(client, opened, name):
    base, folder = opened
    (folder / name).write_text('<script xmlns="http://www.w3.org/1999/xhtml">alert(1)</script>')
    assert "sandbox" in client.get(f"{base}/{name}", headers=ADA).headers["content-security-policy"]


def test_put_makes_and_replaces_a_file_durably(client, writable):
    base, folder = writable
    made = client.put(f"{base}/new/folders/a.bin", headers=ADA, content=b"one")
    assert (made.status_code, made.headers["repr-digest"]) == (201, repr_digest(b"one"))
    assert (folder / "new/folders/a.bin").read_bytes() == b"one"
    replaced = client.put(f"{base}/new/folders/a.bin", headers=ADA, content=b"two")
    assert replaced.status_code == 204
    assert replaced.headers["etag"] == client.head(f"{base}/new/folders/a.bin", headers=ADA).headers["etag"] != made.headers["etag"]
    assert client.put(f"{base}/new/folders/a.bin", headers={**ADA, "If-None-Match": "*"}, content=b"three").status_code == 412
    assert client.put(f"{base}/new/folders/a.bin", headers={**ADA, "If-Match": made.headers["etag"]}, content=b"x").status_code == 412
    assert client.put(f"{base}/new", headers=ADA, content=b"x").json()["code"] == "IsDirectory"
    wrong = client.put(f"{base}/b", headers={**ADA, "Repr-Digest": repr_digest(b"other")}, content=b"x")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "DigestMismatch")
    assert sorted(path.name for path in folder.rglob("*")) == ["a.bin", "folders", "new"]
    assert client.delete(f"{base}/new/folders/a.bin", headers=ADA).status_code == 204
    assert client.delete(f"{base}/new/folders/a.bin", headers=ADA).status_code == 404
    assert client.delete(f"{base}/new/folders", headers=ADA).json()["code"] == "IsDirectory"


def test_large_folders_come_in_parts(client, opened):
    base, folder = opened
    for number in range(7):
        (folder / f"file {number} & more").touch()
    (folder / "z folder").mkdir()
    (folder / "a").touch()
    names = ["z folder", "a", *(f"file {number} & more" for number in range(7))]
    wants_json, url, seen = {**ADA, "Accept": "application/json"}, f"{base}/?limit=4", []
    while url:
        answer = client.get(url, headers=wants_json)
        seen.append([entry["name"] for entry in answer.json()])
        url = answer.links.get("next", {}).get("url")
        (folder / "a").unlink(missing_ok=True)  # shifts nothing
    assert seen == [names[:4], names[4:8], names[8:]]
    assert len(client.get(f"{base}/", headers=wants_json).json()) == 8
    page = client.get(f"{base}/?limit=2", headers={**ADA, "Accept": "text/html"})
    assert "More of this folder" in page.text
    assert "file 6" not in page.text
    last = client.get(f"{base}/", params={"after": "file 5 & more"}, headers={**ADA, "Accept": "text/html"})
    assert "file 6" in last.text
    assert "More of this folder" not in last.text
    assert client.get(f"{base}/?limit=x", headers=wants_json).status_code == 400
    assert client.get(f"{base}/?limit=0", headers=wants_json).status_code == 400


def test_reading_is_not_writing(client, opened):
    base, folder = opened
    (folder / "a").write_text("a")
    assert client.put(f"{base}/a", headers=ADA, content=b"x").status_code == 403
    assert client.delete(f"{base}/a", headers=ADA).status_code == 403
    assert client.put(f"{base}/a", content=b"x").status_code == 401
    assert (folder / "a").read_text() == "a"


def test_writing_does_not_tell_a_stranger_what_is_there(client, opened):
    base, folder = opened
    (folder / "secret.nc").write_text("x")
    for headers in ({}, ADA):
        told = {client.put(f"{base}/{name}/x/y", headers=headers, content=b"x").text for name in ("secret.nc", "absent.nc")}
        assert len({text.replace("secret", "absent") for text in told}) == 1


def test_a_broken_upload_leaves_nothing(archive, control, writable):
    base, folder = writable

    def body():
        yield b"x" * (2 * MIB)
        raise RuntimeError("the client dies")

    with archive.client() as client, pytest.raises(RuntimeError):
        client.put(f"{base}/big", headers={**ADA, "Content-Length": str(8 * MIB)}, content=body())
    control.wait(lambda: list(folder.iterdir()) == [])


def test_an_upload_that_a_kill_breaks_off_is_swept_at_the_next_start(archive, control, writable):
    base, folder = writable
    first_sent, go_on = threading.Event(), threading.Event()

    def body():
        yield b"x" * (2 * MIB)
        first_sent.set()
        go_on.wait(60)
        yield b"x"

    def upload():
        with archive.client() as client, pytest.raises(httpx.TransportError):
            client.put(f"{base}/big", headers={**ADA, "Content-Length": str(2 * MIB + 1)}, content=body())

    thread = threading.Thread(target=upload)
    thread.start()
    assert first_sent.wait(60)
    control.wait(lambda: [path.name for path in folder.iterdir()])
    archive.kill()
    go_on.set()
    thread.join()
    assert len(list(folder.iterdir())) == 1
    archive.start()
    assert list(folder.iterdir()) == []


def test_no_space_while_uploading(archive, client, writable):
    base, folder = writable
    archive.order_fault("put", no_space=True)
    answer = client.put(f"{base}/a", headers=ADA, content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (507, "ExternalError.NoSpace")
    assert list(folder.iterdir()) == []


def test_a_rule_removed_bites_within_a_second(control, client, files):
    collection, folder = files
    (folder / "a").write_text("a")
    control.grant(collection, "ada-token", ("/", "r"))
    assert client.get(f"/{collection}/a", headers=ADA).status_code == 200
    control.grants.pop((collection, "ada-token"))
    removed_at, began_at = time.monotonic(), []

    def is_refused():
        began_at.append(time.monotonic())
        return client.get(f"/{collection}/a", headers=ADA).status_code == 401

    control.wait(is_refused)
    allowed_at = max(at for asked, _, at in control.access_asked if asked == collection and at < removed_at)
    assert all(at - allowed_at < 1 for at in began_at[:-1]), "nobody is let in by an answer that is a second old"


def test_a_rule_removed_cuts_a_running_download(control, client, files):
    collection, folder = files
    with (folder / "big").open("wb") as stream:
        stream.truncate(512 * MIB)
    control.grant(collection, "ada-token", ("/", "r"))
    received = 0
    with pytest.raises(httpx.RemoteProtocolError), client.stream("GET", f"/{collection}/big", headers=ADA) as answer:  # noqa: PT012
        for chunk in answer.iter_raw(MIB):
            received += len(chunk)
            if received > 8 * MIB:
                time.sleep(0.2)  # a slow reader: all of it would take two minutes
                control.grants.pop((collection, "ada-token"), None)
    assert received < 64 * MIB


def test_control_away_lets_nobody_in_and_nothing_flow(control, archive, client, files):
    collection, folder = files
    (folder / "a").write_text("a")
    control.grant(collection, "ada-token", ("/", "r"))
    assert client.get(f"/{collection}/a", headers=ADA).status_code == 200
    control.stop()
    try:
        control.wait(lambda: client.get(f"/{collection}/a", headers=ADA).status_code == 503)
    finally:
        control.start()
    control.wait(lambda: client.get(f"/{collection}/a", headers=ADA).status_code == 200)


def test_memory_stays_flat_for_a_large_file(control, nodes, archive, request):
    collection, folder = new_collection(control, archive, request.node.name)
    control.grant(collection, "ada-token", ("/", "rw"))
    archive.stop()
    archive.start()
    with (folder / "big").open("wb") as stream:
        stream.truncate(512 * MIB)
    before = archive.peak_memory_mib()
    with archive.client() as client:
        with client.stream("GET", f"/{collection}/big", headers=ADA) as answer:
            assert sum(len(chunk) for chunk in answer.iter_raw(MIB)) == 512 * MIB
        sent = client.put(f"/{collection}/copy", headers=ADA, content=(b"\0" * MIB for _ in range(512)))
        assert sent.status_code == 201
    assert (folder / "copy").stat().st_size == 512 * MIB
    assert archive.peak_memory_mib() - before < 48


def test_faults_stop_and_delay_and_are_closed_to_strangers(archive, client, opened):
    base, folder = opened
    (folder / "a").write_bytes(b"x" * (3 * MIB))
    archive.order_fault("get", times=2, error={"http_status": 503, "code": "ServiceUnavailable", "message": "ordered"})
    assert [client.get(f"{base}/a", headers=ADA).status_code for _ in range(3)] == [503, 503, 200]
    archive.order_fault("get", drop=True)
    with pytest.raises(httpx.TransportError):
        client.get(f"{base}/a", headers=ADA)
    archive.order_fault("get", drop=True, after_bytes=2 * MIB)
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(f"{base}/a", headers=ADA)
    assert client.post("/.dtn/faults", json={"kind": "get"}).status_code == 401
    assert client.post("/.dtn/faults", json={"kind": "get", "nonsense": 1}, headers=archive.secret_header).status_code == 400
