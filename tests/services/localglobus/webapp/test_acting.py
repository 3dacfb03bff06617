"""What the buttons of the file manager do, and that they do no more than the API would."""

import os
import re
from urllib.parse import urlencode

import pytest

from tests.services.localglobus.transfer.conftest import wait_until
from tests.services.localglobus.webapp.conftest import find, notices, read_token

pytestmark = pytest.mark.long


@pytest.fixture
def home(sites):
    """A fresh folder of Ada's at the campus, as it lies on the disk; `/home/ada/<name>/` in Campus storage."""
    path = sites.root("campus") / "home/ada" / os.urandom(6).hex()
    (path / "from/inside").mkdir(parents=True)
    (path / "to").mkdir()
    (path / "from/a.nc").write_bytes(b"a" * 2000)
    (path / "from/b & c.txt").write_text("b")
    (path / "from/inside/d.nc").write_bytes(b"d" * 10)
    (path / "from/inside/e.tmp").write_text("e")
    return path


def address(sites, home, **more):
    campus = sites.collection("campus")
    query = {"origin_id": campus, "origin_path": f"/home/ada/{home.name}/from/", "destination_id": campus}
    return "/file-manager?" + urlencode({**query, "destination_path": f"/home/ada/{home.name}/to/", "two_pane": "true", **more})


def task_of(sites, page):
    task_id = find(r"/activity/([0-9a-f-]{36})", notices(page))
    return sites.person("ada", data_access="campus"), task_id


def test_a_transfer_takes_the_ticked_with_every_option(sites, home, person):
    ada = person("ada")
    page = ada.open(address(sites, home))
    assert page.status_code == 200
    assert "a.nc" in page.text
    chosen = {"origin_entry": ["f:a.nc", "d:inside"], "label": "with options", "sync_level": "3", "verify_checksum": "true"}
    flags = {"preserve_timestamp": "true", "encrypt_data": "true", "skip_source_errors": "true", "delete_destination_extra": "true"}
    rules = {"filter_1_method": "exclude", "filter_1_type": "file", "filter_1_name": "*.tmp"}
    page = ada.press("transfer:origin", **chosen, **flags, **rules)
    client, task_id = task_of(sites, page)
    task = wait_until(lambda: (found := client.get_task(task_id))["status"] != "ACTIVE" and found)
    assert task["status"] == "SUCCEEDED"
    assert (task["label"], task["sync_level"]) == ("with options", 3)
    assert all(task[name] for name in ("verify_checksum", "preserve_timestamp", "encrypt_data", "skip_source_errors"))
    assert task["delete_destination_extra"] is True
    assert task["fail_on_quota_errors"] is False
    assert [(rule["method"], rule["type"], rule["name"]) for rule in task["filter_rules"]] == [("exclude", "file", "*.tmp")]
    assert sorted(str(path.relative_to(home / "to")) for path in (home / "to").rglob("*") if path.is_file()) == ["a.nc", "inside/d.nc"]
    assert f"{task['files_transferred']} of" in ada.open("/activity?q=with options").text


def test_the_same_press_twice_is_one_task_and_another_choice_is_another(sites, home, person):
    ada = person("ada")
    first_page = ada.open(address(sites, home))
    _, first = task_of(sites, ada.press("transfer:origin", origin_entry="f:a.nc"))
    ada.page = first_page
    again = ada.press("transfer:origin", origin_entry="f:a.nc")
    assert "submitted before" in notices(again)
    assert task_of(sites, again)[1] == first
    ada.page = first_page
    assert task_of(sites, ada.press("transfer:origin", origin_entry="d:inside"))[1] != first


def test_nothing_ticked_is_said_and_the_options_stay(sites, home, person):
    ada = person("ada")
    ada.open(address(sites, home))
    page = ada.press("transfer:destination", label="kept label", sync_level="2")
    assert page.status_code == 400
    assert "Tick the files and folders first" in notices(page)
    assert 'value="kept label"' in page.text
    assert re.search(r'<option value="2" selected>', page.text)


def test_a_refused_transfer_keeps_what_was_ticked(sites, home, person):
    ada = person("ada")
    ada.open(address(sites, home))
    page = ada.press("transfer:origin", origin_entry=["f:b & c.txt"], label=" x" * 100)
    assert page.status_code == 400
    assert "label must be" in notices(page)
    assert re.search(r'value="f:b &amp; c.txt"[^>]*checked', page.text)
    assert not re.search(r'value="f:a.nc"[^>]*checked', page.text)


def test_folders_are_made_renamed_and_deleted(sites, home, person):
    ada = person("ada")
    ada.open(address(sites, home))
    page = ada.press("mkdir:destination", name="new one")
    assert (home / "to/new one").is_dir()
    assert "The folder new one was made" in notices(page)
    assert ada.press("mkdir:destination", name="new one").status_code == 502
    assert ada.press("mkdir:destination", name="../elsewhere").status_code == 400

    ada.open(address(sites, home))
    asked = ada.press("rename:origin", origin_entry="f:b & c.txt")
    assert "Rename b &amp; c.txt" in asked.text
    view = address(sites, home).partition("?")[2]
    ada.send("/file-manager", {"view": view, "act": "rename:origin", "origin_entry": "f:b & c.txt", "new_name": "better.txt"})
    assert (home / "from/better.txt").read_text() == "b"
    assert not (home / "from/b & c.txt").exists()
    ada.open(address(sites, home))
    assert "Tick the one" in notices(ada.press("rename:origin", origin_entry=["f:a.nc", "f:better.txt"]))

    ada.open(address(sites, home))
    asked = ada.press("delete:origin", origin_entry=["f:better.txt", "d:inside"])
    assert "Delete 2 items from Campus storage?" in asked.text
    assert (home / "from/better.txt").exists(), "asking deletes nothing"
    fields = {"view": view, "act": "delete:origin", "origin_entry": ["f:better.txt", "d:inside"], "is_sure": "true", "nonce": "n"}
    client, task_id = task_of(sites, ada.send("/file-manager", fields))
    wait_until(lambda: client.get_task(task_id)["status"] == "SUCCEEDED")
    assert sorted(path.name for path in (home / "from").iterdir()) == ["a.nc"]


def test_a_form_without_the_token_of_this_browser_does_nothing(sites, home, person):
    ada, cy = person("ada"), person("cy")
    page = ada.open(address(sites, home))
    view = address(sites, home).partition("?")[2]
    token_of_cy = read_token(cy.open("/groups"))
    for token in ("", "0" * 64, token_of_cy):
        fields = {"form_token": token, "view": view, "act": "mkdir:destination", "name": "forged"}
        answer = ada.browser.post("/file-manager", data=fields)
        assert answer.status_code == 403
        assert "not shown in this browser" in answer.text
    assert not (home / "to/forged").exists()
    ada.page = page
    ada.press("mkdir:destination", name="honest")
    assert (home / "to/honest").is_dir()


def test_getting_the_address_of_an_act_does_nothing(sites, home, person):
    ada = person("ada")
    query = urlencode({"view": address(sites, home).partition("?")[2], "act": "mkdir:destination", "name": "by-get"})
    assert ada.open(f"/file-manager?{query}").status_code == 200
    assert not (home / "to/by-get").exists()


def test_who_may_read_only_is_offered_no_writing_and_refused_it(sites, folder, person):
    rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": sites.identity("cy@elsewhere.example")}
    rule |= {"path": f"/{folder.name}/", "permissions": "r"}
    sites.service("portal").add_endpoint_acl_rule(sites.collection("share"), rule)
    (folder / "theirs.nc").write_bytes(b"x")
    cy = person("cy")
    query = urlencode({"origin_id": sites.collection("share"), "origin_path": f"/{folder.name}/"})
    page = cy.open(f"/file-manager?{query}")
    assert "for reading" in page.text
    assert "delete:origin" not in page.text
    for act, fields in (("mkdir", {"name": "mine"}), ("rename", {"origin_entry": "f:theirs.nc", "new_name": "mine.nc"})):
        cy.page = page
        assert cy.press(f"{act}:origin", **fields).status_code == 403
    assert [path.name for path in folder.iterdir()] == ["theirs.nc"]


def test_listings_are_ordered_filtered_and_ticked_by_the_address(sites, home, person):
    ada = person("ada")
    (home / "from/.hidden.nc").write_text("")

    def names(**more):
        return re.findall(r'name="origin_entry" value="[df]:([^"]+)"', ada.open(address(sites, home, **more)).text)

    assert names() == ["inside", "a.nc", "b &amp; c.txt"]
    assert names(origin_order="-name") == ["inside", "b &amp; c.txt", "a.nc"]
    assert names(origin_order="size") == ["inside", "b &amp; c.txt", "a.nc"]
    assert names(origin_filter="nc") == ["a.nc"]
    assert names(origin_filter="*.t?t") == ["b &amp; c.txt"]
    assert names(origin_hidden="true") == ["inside", ".hidden.nc", "a.nc", "b &amp; c.txt"]
    assert names(origin_order="nonsense", origin_offset="-1") == ["inside", "a.nc", "b &amp; c.txt"]
    page = ada.open(address(sites, home, origin_all="true"))
    assert len(re.findall(r'name="origin_entry"[^>]*checked', page.text)) == 3
    assert 'name="destination_entry"' not in page.text


def test_bookmarks_are_made_opened_renamed_and_forgotten(sites, home, person):
    ada = person("ada")
    ada.open(address(sites, home))
    name = f"Work {home.name}"
    assert name in notices(ada.press("bookmark:origin", name=name))
    page = ada.open("/bookmarks")
    assert f"origin_path=%2Fhome%2Fada%2F{home.name}%2Ffrom%2F" in page.text
    mark = find(rf'value="([0-9a-f-]{{36}})">\s*<input name="name" value="{name}"', page.text)
    assert f"{name} again" in ada.send("/bookmarks", {"bookmark": mark, "act": "rename", "name": f"{name} again"}).text
    assert "pinned" in ada.send("/bookmarks", {"bookmark": mark, "act": "pin"}).text
    assert person("cy").open("/bookmarks").text.count(name) == 0
    assert name not in ada.send("/bookmarks", {"bookmark": mark, "act": "delete"}).text


def test_collections_are_found_by_words_and_lists(sites, home, person):
    ada = person("ada")
    ada.open(address(sites, home))
    found = ada.open("/file-manager/choose?side=destination&q=campus&origin_id=" + sites.collection("campus")).text
    assert re.search(r"origin_id=[^\"]*destination_id=" + sites.collection("campus"), found)
    assert "Campus storage" in ada.open("/file-manager/choose?list=recent").text
    assert "Campus storage" not in ada.open("/collections?list=mine").text
    assert "Campus storage" in person("dee").open("/collections?list=mine").text
    assert "Archive storage" not in ada.open("/collections?q=storage").text, "what is not public is not found"
