"""Names that are hard for shells, addresses and disks: read, listed, copied; those that no path can hold are told and hinder nothing."""

import os
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest

from tests.services.dtn.conftest import new_collection

ADA = {"Authorization": "Bearer ada-token"}
NAMES = [
    "with  spaces .txt", " begins.txt", "100%.txt", "%41.txt", "a#b?c&d=e.txt", "é ü 测试 🜁.txt", "e\u0301.txt", "x" * 255, "é" * 127,
    "tab\there.txt", "quote'\"`<>|*.txt", "back\\slash.txt", "~", "-rf", ".hidden", "a+b.txt", "semi;colon,comma.txt", "\u202egnp.txt",
]  # fmt: skip


@pytest.fixture
def opened(control, files):
    control.grant(files[0], "ada-token", ("/", "rw"))
    return files


def test_they_are_written_read_listed_and_deleted(archive, opened):
    collection, folder = opened
    with archive.client() as client:
        for name in NAMES:
            url = f"/{collection}/sub/{quote(name, safe='')}"
            assert client.put(url, content=name.encode(), headers=ADA).status_code == 201, name
            assert (folder / "sub" / name).read_bytes() == name.encode()
            assert client.get(url, headers={**ADA, "Range": "bytes=0-"}).content == name.encode()
        listed = client.get(f"/{collection}/sub/", headers={**ADA, "Accept": "application/json"}).json()
        assert sorted(entry["name"] for entry in listed) == sorted(NAMES)
        assert sorted(entry["name"] for entry in archive.ask("ls", collection=collection, path="/sub/").json()["entries"]) == sorted(NAMES)
        found = ET.fromstring(client.request("PROPFIND", f"/{collection}/sub/", headers={**ADA, "Depth": "1"}).text)
        hrefs = [one.text for one in found.iter("{DAV:}href")][1:]
        assert sorted(hrefs) == sorted(f"/{collection}/sub/{quote(name, safe='')}" for name in NAMES)
        for href in hrefs:
            assert client.delete(href, headers=ADA).status_code == 204
    assert list((folder / "sub").iterdir()) == []


@pytest.mark.parametrize("size", [7, 6000])
def test_they_are_copied_in_a_folder_and_one_by_one(control, archive, campus, opened, request, size):
    collection, folder = opened
    destination, here = new_collection(control, campus, request.node.name)
    (folder / "set").mkdir()
    for name in NAMES:
        (folder / "set" / name).write_bytes(name.encode() * size)
    items = [("/set/", "/all of it #1/", True), *((f"/set/{name}", f"/one/{name}") for name in NAMES)]
    order = control.order((archive.url, collection), destination, items)
    assert control.wait_for_end(order, 60)["status"] == "SUCCEEDED"
    for target in ("all of it #1", "one"):
        assert {path.name: path.read_bytes() for path in (here / target).iterdir()} == {name: name.encode() * size for name in NAMES}


def test_what_no_path_can_name_is_told_and_the_rest_arrives(control, archive, campus, opened, request):
    """A line feed in a name is refused, of a file or a folder; a name that is no UTF-8 is not seen at all."""
    collection, folder = opened
    destination, here = new_collection(control, campus, request.node.name)
    for path in ("set/a.txt", "set/line\nfeed.txt", "set/fold\ner/inside.txt", "set/z/last.txt"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    with open(os.fsencode(folder) + b"/set/\xff.txt", "wb") as stream:  # noqa: PTH123  # no path of pathlib's
        stream.write(b"unseen")
    order = control.order((archive.url, collection), destination, [("/set/", "/set/", True)])
    end = control.wait_for_end(order)
    assert (end["status"], end["fatal_error"]["code"]) == ("FAILED", "InvalidPath")
    failed = {one["source_path"]: one["error_code"] for one in control.results(order) if one["status"] == "failed"}
    assert failed == {"/set/line\nfeed.txt": "InvalidPath", "/set/fold\ner/": "InvalidPath"}
    assert (here / "set/a.txt").exists()
    assert (here / "set/z/last.txt").exists()
    assert not any("\n" in path.name or "\udcff" in path.name for path in here.rglob("*"))


def test_what_no_path_can_name_stays_where_extra_files_are_deleted(control, archive, campus, opened, request):
    collection, folder = opened
    destination, here = new_collection(control, campus, request.node.name)
    (folder / "set").mkdir()
    (here / "set").mkdir()
    (folder / "set" / "a.txt").write_text("a")
    (here / "set" / "line\nfeed.txt").write_text("odd")
    (here / "set" / "extra.txt").write_text("extra")
    order = control.order((archive.url, collection), destination, [("/set/", "/set/", True)], delete_destination_extra=True)
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert sorted(path.name for path in (here / "set").iterdir()) == ["a.txt", "line\nfeed.txt"]
