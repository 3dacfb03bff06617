"""Uploads in parts that go on after a break, a kill, a wrong byte; and who may not go on with them."""

import base64
import contextlib
import hashlib
import re
import sqlite3
import threading

import httpx
import pytest

MIB = 1 << 20
ADA = {"Authorization": "Bearer ada-token"}
CONTENT = hashlib.sha256(b"seed").digest() * (5 * MIB // 32)
TOTAL = len(CONTENT)


@pytest.fixture
def client(archive):
    with archive.client() as client:
        yield client


@pytest.fixture
def address(control, files):
    collection, folder = files
    control.grant(collection, "ada-token", ("/", "rw"))
    return f"/{collection}/in/big.nc", folder / "in"


def put(client, url, first, last, *, content=None, headers=ADA, total=TOTAL, **fields):
    content = CONTENT[first : last + 1] if content is None else content
    return client.put(url, headers={**headers, "Content-Range": f"bytes {first}-{last}/{total}", **fields}, content=content)


def ask(client, url, *, headers=ADA):
    answer = client.put(url, headers={**headers, "Content-Range": f"bytes */{TOTAL}"})
    return answer.status_code, answer.headers.get("range")


def digest_field(content):
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def test_a_file_comes_in_parts_and_takes_its_name_when_it_is_whole(client, address):
    url, folder = address
    assert ask(client, url) == (308, None)
    first = put(client, url, 0, 2 * MIB - 1)
    assert (first.status_code, first.headers["range"]) == (308, f"bytes=0-{2 * MIB - 1}")
    assert not (folder / "big.nc").exists()
    assert client.get(url, headers=ADA).status_code == 404
    assert ask(client, url) == (308, f"bytes=0-{2 * MIB - 1}")
    last = put(client, url, 2 * MIB, TOTAL - 1, **{"Repr-Digest": digest_field(CONTENT)})
    assert (last.status_code, last.headers["repr-digest"]) == (201, digest_field(CONTENT))
    assert (folder / "big.nc").read_bytes() == CONTENT
    assert [path.name for path in folder.iterdir()] == ["big.nc"]


def test_a_part_at_the_wrong_place_changes_nothing_and_is_told_the_right_one(client, address):
    url, folder = address
    put(client, url, 0, MIB - 1)
    for first in (0, 2 * MIB):
        answer = put(client, url, first, first + MIB - 1)
        assert (answer.status_code, answer.headers["range"]) == (308, f"bytes=0-{MIB - 1}")
    assert put(client, url, MIB, TOTAL - 1).status_code == 201
    assert (folder / "big.nc").read_bytes() == CONTENT


def test_an_upload_goes_on_after_a_broken_connection_and_a_killed_node(archive, control, address):
    url, folder = address

    def broken():
        yield CONTENT[: 3 * MIB]
        control.wait(lambda: any(path.stat().st_size >= MIB for path in folder.glob(".*.part")))
        raise RuntimeError("the client dies")

    with archive.client() as client, pytest.raises(RuntimeError):
        put(client, url, 0, TOTAL - 1, content=broken(), **{"Content-Length": str(TOTAL)})
    with archive.client() as client:
        status, range_field = ask(client, url)
    assert (status, range_field is not None) == (308, True), "what came is kept"
    archive.kill()
    archive.start()
    with archive.client() as client:
        assert ask(client, url) == (308, range_field)
        there = int(re.fullmatch(r"bytes=0-(\d+)", range_field)[1]) + 1
        assert put(client, url, there, TOTAL - 1).status_code == 201
    assert (folder / "big.nc").read_bytes() == CONTENT


def test_a_writer_who_comes_back_need_not_wait_for_her_own_dead_connection(archive, control, address):
    url, folder = address
    stalled = threading.Event()

    def stall():
        yield CONTENT[: 2 * MIB]
        stalled.wait(20)
        raise RuntimeError("the client gives up")

    def upload():
        with archive.client() as client, contextlib.suppress(httpx.HTTPError, RuntimeError):  # whichever she sees first
            put(client, url, 0, TOTAL - 1, content=stall(), **{"Content-Length": str(TOTAL)})

    thread = threading.Thread(target=upload)
    thread.start()
    control.wait(lambda: any(path.stat().st_size >= MIB for path in folder.glob(".*.part")))
    with archive.client() as client:
        status, range_field = ask(client, url)
        assert status == 308
        there = int(re.fullmatch(r"bytes=0-(\d+)", range_field)[1]) + 1
        assert put(client, url, there, TOTAL - 1).status_code == 201
    stalled.set()
    thread.join()
    assert (folder / "big.nc").read_bytes() == CONTENT


def test_wrong_digests_are_refused_the_part_alone_or_the_whole(client, address):
    url, folder = address
    put(client, url, 0, MIB - 1)
    wrong = put(client, url, MIB, 2 * MIB - 1, **{"Content-Digest": digest_field(b"other")})
    assert wrong.json()["code"] == "DigestMismatch"
    assert ask(client, url) == (308, f"bytes=0-{MIB - 1}")
    whole = put(client, url, MIB, TOTAL - 1, **{"Repr-Digest": digest_field(b"other")})
    assert whole.json()["code"] == "DigestMismatch"
    assert list(folder.iterdir()) == []


def test_another_identity_and_another_size_are_other_uploads(control, client, files, address):
    url, _ = address
    control.grant(files[0], "ben-token", ("/", "rw"), username="ben@archive.example")
    put(client, url, 0, MIB - 1)
    assert ask(client, url, headers={"Authorization": "Bearer ben-token"}) == (308, None)
    assert "range" not in client.put(url, headers={**ADA, "Content-Range": f"bytes */{TOTAL + 1}"}).headers
    assert ask(client, url) == (308, f"bytes=0-{MIB - 1}")


@pytest.mark.parametrize("field", ["bytes 0-9/5", "bytes 5-2/10", "bytes 0-9/*", "lines 0-9/10", "bytes */0", "bytes 0-9", "0-9/10"])
def test_fields_that_say_nothing_are_refused(client, address, field):
    url, folder = address
    assert client.put(url, headers={**ADA, "Content-Range": field}, content=b"x" * 10).status_code == 400
    assert not folder.exists()


def test_more_bytes_than_announced_are_refused(client, address):
    url, _ = address
    put(client, url, 0, MIB - 1)
    assert put(client, url, MIB, MIB + 9, content=b"x" * 3 * MIB).status_code == 400
    assert ask(client, url) == (308, f"bytes=0-{MIB - 1}")


def test_who_may_not_write_neither_begins_nor_asks(control, client, files):
    collection, folder = files
    control.grant(collection, "ada-token", ("/", "r"))
    assert put(client, f"/{collection}/a", 0, 9, total=10).status_code == 403
    assert ask(client, f"/{collection}/a")[0] == 403
    assert put(client, f"/{collection}/a", 0, 9, total=10, headers={}).status_code == 401
    assert list(folder.iterdir()) == []


def test_an_upload_that_nobody_goes_on_with_is_swept_after_a_week(archive, address):
    url, folder = address
    with archive.client() as client:
        put(client, url, 0, MIB - 1)
    assert len(list(folder.iterdir())) == 1
    archive.stop()
    with sqlite3.connect(archive.state / "uploads.sqlite3") as book:
        book.execute("UPDATE resumable SET touched_at = touched_at - 8 * 86400 WHERE file LIKE ?", (f"{folder}%",))
    book.close()
    archive.start()
    assert list(folder.iterdir()) == []
