"""Groups by their pages: made, joined, led, left; nothing of a private group to those outside it."""

import os
import re

import pytest

from tests.services.localglobus.webapp.conftest import find, notices

pytestmark = pytest.mark.long


@pytest.fixture
def group(person):
    """A group that Ada made, with its address; it goes at the end."""
    ada, name = person("ada"), f"Group {os.urandom(5).hex()}"
    ada.open("/groups")
    page = ada.send("/groups", {"name": name, "description": "tried out"})
    assert f"The group {name} was made" in notices(page)
    group_id = find(r"/groups/([0-9a-f-]{36})", str(page.url))
    yield f"/groups/{group_id}", name
    if ada.open(f"/groups/{group_id}/settings").status_code == 200:
        ada.send(f"/groups/{group_id}", {"act": "delete", "name": name})
        assert ada.open(f"/groups/{group_id}").status_code == 404


def member_rows(page):
    rows = [
        re.sub(r"<select.*?</select>|<[^>]+>", " ", row, flags=re.DOTALL).split()
        for row in re.findall(r"<tr>.*?</tr>", page.text, re.DOTALL)
    ]
    return {next(word for word in row if "@" in word): row for row in rows if any("@" in word for word in row)}


def test_invited_accepted_promoted_and_left(sites, group, person):
    address, name = group
    ada, cy = person("ada"), person("cy")
    assert cy.open(address).status_code == 404
    ada.open(f"{address}/members")
    page = ada.send(address, {"act": "invite", "person": "cy@elsewhere.example", "role": "member", "tab": "members"})
    assert "was invited" in notices(page)
    assert "invited" in member_rows(page)["cy@elsewhere.example"]
    assert name in cy.open("/groups").text
    cy.send(address, {"act": "accept", "identity_id": sites.identity("cy@elsewhere.example")})
    assert "The members of this group are not shown to you" in cy.open(f"{address}/members").text
    assert cy.send(address, {"act": "invite", "person": "ben@archive.example"}).status_code == 403, "members invite nobody"
    ada.open(f"{address}/members")
    page = ada.send(
        address, {"act": "change_role", "identity_id": sites.identity("cy@elsewhere.example"), "role": "manager", "tab": "members"}
    )
    assert "manager" in member_rows(page)["cy@elsewhere.example"]
    assert "Invite somebody" in cy.open(f"{address}/members").text
    cy.send(address, {"act": "leave", "identity_id": sites.identity("cy@elsewhere.example")})
    assert name not in cy.open("/groups").text


def test_asked_to_join_and_approved(sites, group, person):
    address, name = group
    ada, cy = person("ada"), person("cy")
    ada.open(f"{address}/settings")
    fields = {"act": "update", "name": name, "is_visible": "true", "are_members_visible": "true", "join_requests": "true"}
    assert "is changed" in notices(ada.send(address, fields))
    assert "Ask to join" in cy.open(address).text
    cy.send(address, {"act": "request_join"})
    page = ada.open(f"{address}/members")
    assert "pending" in member_rows(page)["cy@elsewhere.example"]
    page = ada.send(address, {"act": "approve", "identity_id": sites.identity("cy@elsewhere.example"), "tab": "members"})
    assert "active" in member_rows(page)["cy@elsewhere.example"]
    assert "ada@university.example" in member_rows(cy.open(f"{address}/members"))
    ada.send(address, {"act": "remove", "identity_id": sites.identity("cy@elsewhere.example"), "tab": "members"})
    assert name not in cy.open("/groups").text


def test_the_last_admin_stays_and_strangers_delete_nothing(sites, group, person):
    address, name = group
    ada, cy = person("ada"), person("cy")
    ada.open(address)
    assert ada.send(address, {"act": "leave", "identity_id": sites.identity("ada@university.example")}).status_code == 409
    cy.open("/groups")
    assert cy.send(address, {"act": "delete", "name": name}).status_code == 404
    assert cy.send(address, {"act": "update", "name": "Taken"}).status_code == 404
    forged = ada.browser.post(address, data={"act": "delete", "name": name, "form_token": "0" * 64})
    assert forged.status_code == 403
    assert name in ada.open(address).text
