"""A folder is shared by a guest collection and permissions; who may not, cannot; and collections say what they are."""

import os
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

import pytest

from tests.services.localglobus.transfer.conftest import wait_until
from tests.services.localglobus.webapp.conftest import find, notices

pytestmark = pytest.mark.long


@pytest.fixture
def shared(sites, person):
    """A guest collection that Ada made of a fresh folder of hers: its id and the folder. It goes at the end."""
    home = sites.root("campus") / "home/ada" / f"shared-{os.urandom(5).hex()}"
    (home / "inside").mkdir(parents=True)
    (home / "inside/x.nc").write_bytes(b"x")
    ada, campus = person("ada"), sites.collection("campus")
    ada.open("/file-manager?" + urlencode({"origin_id": campus, "origin_path": "/home/ada/"}))
    page = ada.press("share:origin", origin_entry=f"d:{home.name}")
    assert f"Share /home/ada/{home.name}/ of Campus storage" in page.text
    fields = {"collection_id": campus, "path": f"/home/ada/{home.name}/", "display_name": home.name, "description": "tried out"}
    page = ada.send("/file-manager/share", {**fields, "keywords": "ice, sea", "public": "true"})
    assert "Nobody but you may use it yet" in notices(page)
    guest = find(r"/collections/([0-9a-f-]{36})/sharing", str(page.url))
    yield guest, home
    if ada.open(f"/file-manager/collections/{guest}/overview").status_code == 200:
        fields = {"act": "delete", "display_name": home.name}
        ada.send(f"/file-manager/collections/{guest}/overview", fields)


def share(ada, guest, **fields):
    address = f"/file-manager/collections/{guest}/sharing/add"
    ada.open(address + "?path=/inside/")
    return ada.send(address, {"path": "/inside/", **fields})


def rules_of(ada, guest):
    """(who, may, until) of each rule that is not a role's."""
    page = ada.open(f"/file-manager/collections/{guest}/sharing").text
    rows = [re.sub(r"<[^>]+>", "|", row) for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL)]
    return [[cell.strip() for cell in row.split("|") if cell.strip()] for row in rows if "Remove" in row]


def test_a_person_is_let_in_until_a_day_and_told_by_mail(sites, shared, person):
    guest, home = shared
    ada, cy = person("ada"), person("cy")
    inside = f"/file-manager?origin_id={guest}&origin_path=/inside/"
    assert cy.open(inside).status_code == 403
    day = f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%d}"
    fields = {"principal_type": "identity", "person": "cy@elsewhere.example", "expires_on": day, "notify": "true"}
    page = share(ada, guest, **fields, message="Have a look at the ice")
    assert "Shared with cy@elsewhere.example, who may read /inside/" in notices(page)
    assert f"{day} 23:59" in page.text
    assert "x.nc" in cy.open(inside).text
    mails = sites.globus.data / "mail"
    wait_until(lambda: any("Have a look at the ice" in path.read_text() for path in mails.glob("*.eml")))
    assert home.name in cy.open("/collections?list=shared").text

    rule = find(r'name="rule" value="([0-9a-f-]{36})"', ada.open(f"/file-manager/collections/{guest}/sharing").text)
    address = f"/file-manager/collections/{guest}/sharing"
    ada.send(address, {"rule": rule, "act": "update", "permissions": "rw", "expires_on": ""})
    assert rules_of(ada, guest) == [["/inside/", "cy@elsewhere.example", "read and write", "no end", *rules_of(ada, guest)[0][4:]]]
    cy.open(inside)
    assert "was made" in notices(cy.press("mkdir:origin", name="by-cy"))
    assert "removed" in notices(ada.send(address, {"rule": rule, "act": "delete"}))
    assert rules_of(ada, guest) == []
    assert cy.open(inside).status_code == 403


def test_groups_all_users_and_the_public_are_let_in(sites, shared, person):
    guest, _ = shared
    ada = person("ada")
    group = sites.globus.env["CAUSEWAY_STEWARD_GROUPS"]
    assert "Shared with group" in notices(share(ada, guest, principal_type="group", group_id=group))
    assert person("ben").open(f"/file-manager?origin_id={guest}&origin_path=/inside/").status_code == 200
    assert "all users of Globus" in notices(share(ada, guest, principal_type="all_authenticated_users"))
    assert person("cy").open(f"/file-manager?origin_id={guest}&origin_path=/inside/").status_code == 200
    assert "public" in notices(share(ada, guest, principal_type="anonymous"))
    assert len(rules_of(ada, guest)) == 3


def test_what_the_api_refuses_is_told_beside_the_form_as_it_was(shared, person):
    guest, _ = shared
    ada = person("ada")
    page = share(ada, guest, principal_type="anonymous", write="true", message="kept")
    assert page.status_code == 403
    assert "no anonymous writes" in page.text
    assert ">kept</textarea>" in page.text
    page = share(ada, guest, principal_type="identity", person="00000000-0000-0000-0000-000000000000")
    assert (page.status_code, "Nobody is known as" in page.text) == (404, True)
    page = share(ada, guest, principal_type="identity", person="cy@elsewhere.example", expires_on="2001-01-01")
    assert (page.status_code, "in the past" in page.text) == (400, True)
    share(ada, guest, principal_type="all_authenticated_users")
    assert share(ada, guest, principal_type="all_authenticated_users").status_code == 409
    assert len(rules_of(ada, guest)) == 1


def test_who_does_not_look_after_a_collection_changes_nothing_of_it(shared, person):
    guest, home = shared
    ada, cy = person("ada"), person("cy")
    share(ada, guest, principal_type="all_authenticated_users")
    base = f"/file-manager/collections/{guest}"
    page = cy.open(f"{base}/overview")
    assert "Permissions" not in page.text
    assert "Delete the collection" not in page.text
    assert cy.open(f"{base}/sharing").status_code == 403
    assert cy.open(f"{base}/roles").status_code == 403
    rule = find(r'name="rule" value="([0-9a-f-]{36})"', ada.open(f"{base}/sharing").text)
    for address, fields in (
        (f"{base}/sharing/add", {"principal_type": "identity", "person": "cy@elsewhere.example", "path": "/", "write": "true"}),
        (f"{base}/sharing", {"act": "delete", "rule": rule}),
        (f"{base}/roles", {"act": "add", "person": "cy@elsewhere.example", "role": "administrator"}),
        (f"{base}/overview", {"act": "update", "display_name": "Mine now"}),
        (f"{base}/overview", {"act": "delete", "display_name": home.name}),
    ):
        cy.open("/groups")
        assert cy.send(address, fields).status_code == 403, address
    assert len(rules_of(ada, guest)) == 1
    assert home.name in ada.open(f"{base}/overview").text


def test_details_roles_and_texts_of_a_collection(sites, shared, person):
    guest, home = shared
    ada = person("ada")
    base = f"/file-manager/collections/{guest}"
    page = ada.open(f"{base}/overview").text
    for words in (
        guest,
        "guest collection",
        "ada@university.example",
        f"/home/ada/{home.name}/",
        f"{sites.node_url('campus')}/{guest}",
        "ice,sea",
    ):
        assert words in page, words
    assert "Campus storage" in page
    texts = {
        "display_name": home.name,
        "description": "Cores of ice",
        "organization": "Ice group",
        "contact_email": "ada@university.example",
    }
    page = ada.send(f"{base}/overview", {"act": "update", **texts, "public": "true"})
    assert "Cores of ice" in page.text
    assert home.name in person("cy").open("/collections?q=" + quote(home.name)).text
    ada.open(f"{base}/roles")
    page = ada.send(f"{base}/roles", {"act": "add", "person": "ben@archive.example", "role": "activity_monitor"})
    assert "ben@archive.example" in page.text
    role = find(r'ben@archive.*?name="role_id" value="([0-9a-f-]{36})"', page.text.replace("\n", ""))
    assert "activity monitor" not in re.sub(r"<option.*?</option>", "", ada.send(f"{base}/roles", {"act": "delete", "role_id": role}).text)
    assert home.name in ada.open(f"/file-manager/collections/{sites.collection('campus')}/shares").text
    ada.open(f"{base}/overview")
    assert ada.send(f"{base}/overview", {"act": "delete", "display_name": "another name"}).status_code == 400
    ada.open(f"{base}/overview")
    assert "is deleted" in notices(ada.send(f"{base}/overview", {"act": "delete", "display_name": home.name}))
    assert ada.open(f"{base}/overview").status_code == 404
    assert (home / "inside/x.nc").exists(), "the files stay"
