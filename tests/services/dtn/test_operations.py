"""What control asks of a node under `/.dtn/`, and who else may."""

import pytest

from services.dtn.filters import filters_from, is_included


@pytest.fixture
def ask(archive, files):
    def ask(verb, **asked):
        answer = archive.ask(verb, collection=files[0], **asked)
        return answer.status_code, answer.json()

    return ask


def test_ls_and_stat(ask, files):
    folder = files[1]
    (folder / "a").mkdir()
    (folder / "a" / "file").write_text("12345")
    (folder / "a" / ".hidden").write_text("")
    status, listed = ask("ls", path="/a", show_hidden=False)
    assert (status, listed["path"], [entry["name"] for entry in listed["entries"]]) == (200, "/a/", ["file"])
    assert len(ask("ls", path="/a/", show_hidden=True)[1]["entries"]) == 2
    status, entry = ask("stat", path="/a/file")
    assert (status, entry["name"], entry["type"], entry["size"]) == (200, "file", "file", 5)
    assert ask("stat", path="/a/")[1]["type"] == "dir"
    assert ask("stat", path="/none")[1]["code"] == "ClientError.NotFound"
    assert ask("ls", path="/none")[0] == 404
    assert ask("ls", path="/a/file")[1]["code"] == "ExternalError.DirListingFailed.NotDirectory"
    assert ask("ls", path="/../")[1]["code"] == "InvalidPath"
    assert ask("ls", path=7)[0] == 400


def test_mkdir(ask, files):
    assert ask("mkdir", path="/new/") == (200, {})
    assert ask("mkdir", path="/new/") == (409, {"code": "ExternalError.MkdirFailed.Exists", "message": "Something is already at /new/."})
    assert ask("mkdir", path="/none/new/")[0] == 404
    assert (files[1] / "new").is_dir()


def test_rename(ask, files):
    folder = files[1]
    (folder / "a").write_text("a")
    (folder / "b").write_text("b")
    assert ask("rename", old_path="/a", new_path="/b")[0] == 409
    assert ask("rename", old_path="/a", new_path="/c") == (200, {})
    assert ask("rename", old_path="/a", new_path="/d")[0] == 404
    assert ask("rename", old_path="/b", new_path="/../d")[1]["code"] == "InvalidPath"
    assert sorted(path.name for path in folder.iterdir()) == ["b", "c"]


def test_delete_is_safe_to_repeat(ask, files, tmp_path):
    folder = files[1]
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "c").write_text("c")
    (tmp_path / "kept").write_text("kept")
    (folder / "a" / "link").symlink_to(tmp_path)
    assert ask("delete", path="/a/", recursive=False)[0] == 409
    assert ask("delete", path="/a/", recursive=True) == (200, {"deleted": 4})
    assert ask("delete", path="/a/", recursive=True)[0] == 404
    assert ask("delete", path="/a/", recursive=True, ignore_missing=True) == (200, {"deleted": 0})
    assert ask("delete", path="/", recursive=True)[1]["code"] == "EndpointPermissionDenied"
    assert (tmp_path / "kept").exists()
    assert folder.is_dir()


def test_rules_given_with_an_operation_hold_for_the_real_path(ask, files):
    folder = files[1]
    for name in ("mine", "theirs"):
        (folder / name).mkdir()
    (folder / "mine" / "link").symlink_to("../theirs")
    rules = [{"path": "/mine/", "permissions": "rw"}]
    assert ask("ls", path="/mine/", rules=rules)[0] == 200
    assert ask("ls", path="/", rules=rules)[0] == 200
    assert ask("ls", path="/mine/link/")[0] == 200
    assert ask("ls", path="/mine/link/", rules=rules)[1]["code"] == "EndpointPermissionDenied"
    assert ask("mkdir", path="/mine/link/new/", rules=rules)[1]["code"] == "EndpointPermissionDenied"
    told = {entry["name"]: entry["type"] for entry in ask("ls", path="/mine/", rules=rules)[1]["entries"]}
    assert told == {"link": "invalid_symlink"}
    assert [entry["name"] for entry in ask("ls", path="/", rules=rules)[1]["entries"]] == ["mine"]
    assert ask("delete", path="/mine/link", rules=rules) == (200, {"deleted": 1})
    assert (folder / "theirs").is_dir()


def test_only_control_asks(archive, files):
    with archive.client() as client:
        body = {"collection": files[0], "path": "/"}
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Ticket {archive.control.secret}"}):
            for path in ("/.dtn/v1/operations/ls", "/.dtn/v1/walk", "/.dtn/v1/digest"):
                assert client.post(path, json=body, headers=headers).status_code == 401
        assert client.post("/.dtn/v1/operations/chmod", json=body, headers=archive.secret_header).status_code == 404
        assert client.post("/.dtn/v1/operations/ls", content=b"[]", headers=archive.secret_header).status_code == 400
        unknown = client.post("/.dtn/v1/operations/ls", json={"collection": "x", "path": "/"}, headers=archive.secret_header)
        assert unknown.json()["code"] == "EndpointNotFound"


@pytest.mark.parametrize(
    ("name", "kind", "expected"), [("a.nc", "file", True), ("a.txt", "file", False), ("tmp", "dir", False), ("keep.txt", "file", True)]
)
def test_filter_rules_apply_in_order(name, kind, expected):
    rules = filters_from(
        [
            {"method": "include", "type": "file", "name": "keep*"},
            {"method": "exclude", "type": "file", "name": "*.txt"},
            {"method": "exclude", "type": "dir", "name": "tmp"},
        ]
    )
    assert is_included(name, kind, rules) is expected
