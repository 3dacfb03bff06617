"""A collection as other people's WebDAV programs see it: rclone lists and copies it; what may not be seen is not told."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ADA = {"Authorization": "Bearer ada-token"}
RCLONE = Path(sys.executable).parent / "rclone"
DAV = "{DAV:}"


@pytest.fixture
def client(archive):
    with archive.client() as client:
        yield client


@pytest.fixture
def opened(control, files):
    collection, folder = files
    control.grant(collection, "ada-token", ("/open/", "r"))
    for path in ("open/sub folder", "closed"):
        (folder / path).mkdir(parents=True)
    (folder / "open/air & sea #1 100%.nc").write_bytes(os.urandom(300_000))
    (folder / "open/sub folder/ü.csv").write_text("a,b\n")
    (folder / "closed/secret").write_text("secret")
    return f"/{collection}", folder


@pytest.fixture
def rclone(control, archive, opened, tmp_path):
    """Runs an rclone command on the collection, which its configuration names `node`."""
    authority = tmp_path / "ca.pem"
    authority.write_text(control.ca.pem)
    settings = tmp_path / "rclone.conf"
    settings.write_text(f"[node]\ntype = webdav\nurl = {archive.url}{opened[0]}\nvendor = other\nbearer_token = ada-token\n")

    def run(*words):
        command = [RCLONE, "--config", settings, "--ca-cert", authority, "--retries", "1", "--low-level-retries", "1", *words]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    return run


def ask(client, path, **fields):
    return client.request("PROPFIND", path, headers={**ADA, "Depth": "1", **fields})


def hrefs(answer):
    return [found.text for found in ET.fromstring(answer.content).iter(f"{DAV}href")]


def test_rclone_lists_and_copies_a_collection(rclone, opened, tmp_path):
    _, folder = opened
    listed = json.loads(rclone("lsjson", "--recursive", "node:"))
    assert sorted((one["Path"], one["IsDir"]) for one in listed) == [
        ("open", True), ("open/air & sea #1 100%.nc", False), ("open/sub folder", True), ("open/sub folder/ü.csv", False),
    ]  # fmt: skip
    rclone("copy", "node:open", tmp_path / "copied")
    for name in ("air & sea #1 100%.nc", "sub folder/ü.csv"):
        digests = {hashlib.sha256((above / name).read_bytes()).hexdigest() for above in (folder / "open", tmp_path / "copied")}
        assert len(digests) == 1
    assert rclone("cat", "--offset", "2", "--count", "2", "node:open/sub folder/ü.csv") == "b\n"


def test_who_may_write_is_told_the_free_space(control, client, opened):
    base, folder = opened
    control.grant(base.strip("/"), "ben-token", ("/", "rw"))
    free = "quota-available-bytes"
    assert free not in ask(client, f"{base}/").text
    told = ET.fromstring(ask(client, f"{base}/", Authorization="Bearer ben-token").content)
    (found,) = [int(one.text) for one in told.iter(f"{DAV}{free}")]
    assert abs(found - shutil.disk_usage(folder).free) < found // 2


def test_properties_of_a_file_and_a_folder(client, opened):
    base, _folder = opened
    answer = ask(client, f"{base}/open/", Depth="0")
    assert answer.status_code == 207
    assert hrefs(answer) == [f"{base}/open/"]
    answer = ask(client, f"{base}/open")
    assert hrefs(answer)[0] == f"{base}/open/", "a folder's address ends with a slash, however it was asked for"
    assert set(hrefs(answer)[1:]) == {f"{base}/open/air%20%26%20sea%20%231%20100%25.nc", f"{base}/open/sub%20folder/"}
    file = ET.fromstring(ask(client, f"{base}/open/air%20%26%20sea%20%231%20100%25.nc").content)
    assert file.find(f".//{DAV}getcontentlength").text == "300000"
    assert file.find(f".//{DAV}displayname").text == "air & sea #1 100%.nc"
    assert file.find(f".//{DAV}getcontenttype").text == "application/netcdf"
    assert file.find(f".//{DAV}collection") is None


def test_only_the_way_to_what_may_be_read_is_told(client, opened):
    base, folder = opened
    assert hrefs(ask(client, f"{base}/")) == [f"{base}/", f"{base}/open/"]
    assert ask(client, f"{base}/closed/").status_code == 403
    assert ask(client, f"{base}/closed/secret").status_code == 403
    assert client.request("PROPFIND", f"{base}/open/", headers={"Depth": "1"}).status_code == 401
    refused = client.request("PROPFIND", f"{base}/open/", headers={"Depth": "1", "Authorization": "Basic YWRhOmFkYQ=="})
    assert (refused.status_code, "bearer tokens" in refused.text) == (401, True)
    (folder / "open/way out").symlink_to("../closed")
    (folder / "open/to file").symlink_to("../closed/secret")
    assert not any("way" in href or "to%20file" in href for href in hrefs(ask(client, f"{base}/open/")))
    assert ask(client, f"{base}/open/way%20out/").status_code == 403


def test_a_whole_tree_and_an_odd_depth_are_refused(client, opened):
    base, _ = opened
    assert ask(client, f"{base}/open/", Depth="infinity").json()["code"] == "propfind-finite-depth"
    assert ask(client, f"{base}/open/", Depth="2").status_code == 400
    assert ask(client, f"{base}/open/absent").status_code == 404


def test_names_that_xml_cannot_hold_are_told_by_their_address(client, opened):
    base, folder = opened
    (folder / "open/bell\a<&>").touch()
    assert f"{base}/open/bell%07%3C%26%3E" in hrefs(ask(client, f"{base}/open/"))


def test_options_tell_what_may_be_done(client, opened):
    answer = client.options(f"{opened[0]}/open/")
    assert answer.headers["dav"] == "1"
    assert {"PROPFIND", "GET", "PUT"} <= set(answer.headers["allow"].split(", "))
