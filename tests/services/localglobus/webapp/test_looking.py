"""The web app in a browser of its own: it asks who one is, lists as that person, and says in words what is not allowed."""

import re
from urllib.parse import quote

import pytest
from globus_sdk import TransferData

from tests.services.localglobus.transfer.conftest import wait_until

pytestmark = pytest.mark.long


def open_to_everyone(sites, folder):
    rule = {
        "DATA_TYPE": "access",
        "principal_type": "all_authenticated_users",
        "principal": "",
        "path": f"/{folder.name}/",
        "permissions": "r",
    }
    sites.service("portal").add_endpoint_acl_rule(sites.collection("share"), rule)


def test_folder_is_listed_folders_first_with_links_to_the_data_host(sites, folder, visit):
    open_to_everyone(sites, folder)
    (folder / "a file & more.nc").write_bytes(b"x" * 1500)
    (folder / "zebra").mkdir()
    address = f"/file-manager?origin_id={sites.collection('share')}&origin_path={quote(f'/{folder.name}/', safe='')}"
    page = visit("ada@", address)
    assert page.status_code == 200
    assert page.text.index("zebra/") < page.text.index("a file &amp; more.nc")
    assert "1.5 KiB" in page.text
    assert f'href="{sites.node_url("archive")}/{sites.collection("share")}/{folder.name}/a%20file%20%26%20more.nc"' in page.text
    assert "ada@university.example" in page.text


def test_folder_of_another_person_is_refused_in_words(sites, folder, visit):
    (folder / "secret.nc").write_bytes(b"x")
    page = visit("cy@", f"/file-manager?origin_id={sites.collection('share')}&origin_path=/{folder.name}/")
    assert page.status_code == 403
    assert "You may not see this folder" in page.text
    assert "secret.nc" not in page.text


def test_name_that_looks_like_markup_is_shown_as_text(sites, folder, visit):
    open_to_everyone(sites, folder)
    (folder / "<img src=x onerror=alert(1)>").write_bytes(b"x")
    page = visit("ada@", f"/file-manager?origin_id={sites.collection('share')}&origin_path=/{folder.name}/")
    assert "<img" not in page.text
    assert "&lt;img src=x" in page.text


def test_collections_are_those_that_one_may_use(sites, visit):
    assert "Campus storage" in visit("ada@", "/file-manager").text
    assert "Campus storage" not in visit("cy@", "/file-manager").text


def test_unknown_collection_and_wrong_path_are_said(sites, visit):
    assert visit("ada@", "/file-manager?origin_id=00000000-0000-0000-0000-000000000000").status_code == 404
    assert visit("ada@", f"/file-manager?origin_id={sites.collection('share')}&origin_path=/../x/").status_code == 400


def test_task_page_shows_progress_to_its_owner_only(sites, visit):
    ada = sites.person("ada", data_access="campus")
    (sites.root("campus") / "home/ada/in.txt").write_text("x" * 2048)
    asked = TransferData(sites.collection("campus"), sites.collection("campus"), label="my own copy")
    asked.add_item("/~/in.txt", "/~/out.txt")
    task_id = ada.submit_transfer(asked)["task_id"]
    wait_until(lambda: ada.get_task(task_id)["status"] == "SUCCEEDED")
    page = visit("ada@", f"/activity/{task_id}")
    assert re.search(r"<strong[^>]*>Done</strong>", page.text)
    assert "2.0 KiB" in page.text
    assert "my own copy" in visit("ada@", "/activity").text
    assert visit("cy@", f"/activity/{task_id}").status_code == 404
    assert "my own copy" not in visit("cy@", "/activity").text


def test_sign_in_never_leads_to_another_site(sites):
    with sites.globus.browser() as browser:
        page = browser.get("/v2/web/sign-in?next=//elsewhere.example/")
        assert page.status_code == 400
        assert "<form" not in page.text
