"""J3: a restricted dataset, from the request in a real browser to the end of access; groups, linked identities, drift, a second factor."""

import datetime as dt
import re
from functools import cache
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from services.embedded.main_job import call_api
from tests.journeys import second_factor
from tests.journeys.chromium import pass_globus
from tests.journeys.conftest import PEOPLE, Person, Site, wait_until

SLUG = "glosea4-ensemble"
DATASET = f"/datasets/{SLUG}/"
API = f"datasets/{SLUG}"
LINKED = "ada@observatory.example"
TERMS = "Cite the paper, and tell us what you found."
GROUPS = "urn:globus:auth:scope:groups.api.globus.org:all"


@pytest.fixture
def open_page(browser, site: Site):
    """A page in a browser profile of its own, signed in as somebody."""
    contexts: list[BrowserContext] = []

    def opened(name: str, address: str) -> Page:
        context = browser.new_context(base_url=site.stack.base_url, viewport={"width": 1280, "height": 900})
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.goto(f"/signin/?next={address}")
        page.get_by_role("button", name="Continue to Globus").click()
        pass_globus(page, person=PEOPLE[name])
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(autouse=True)
def as_it_was(site: Site):
    """Whatever a test gave or asked is taken back, so that the dataset is as others expect it."""
    yield
    ben = site.person("ben")
    for given in ben.api(f"{API}/grants")["results"]:
        if given["revoked_at"] is None:
            call_api(ben.visitor, f"{API}/grants/{given['id']}", method="DELETE", expected=204)
    call_api(ben.visitor, API, {"classification": "public", "access_policy": "restricted"}, method="PATCH", expected=200)
    call_api(ben.visitor, f"{API}/terms", method="DELETE", expected=204)
    ada = site.person("ada")
    for asked in ada.api("access-requests")["results"]:
        if asked["status"] == "waiting":
            ada.api(f"access-requests/{asked['id']}/withdraw", {})
        elif asked["status"] in {"granted", "renewing"}:  # its grant is gone; the sweep ends it
            wait_for_end(ada, asked["id"])


def wait_for_end(person: Person, request_id: str) -> None:
    over = {"ended", "waiting"}
    wait_until(lambda: person.api(f"access-requests/{request_id}")["status"] in over, "the end of access")


@cache
def in_days(days: int) -> str:
    """The same day at each call, also when midnight passes between typing a date and looking for it."""
    return f"{dt.datetime.now(dt.UTC) + dt.timedelta(days=days):%Y-%m-%d}"


def access_of(person: Person) -> Any:
    return person.api(API)["access"]


def give(site: Site, **facts: Any) -> Any:
    return site.person("ben").api(f"{API}/grants", facts, expected=201)


def let_access_end(site: Site) -> None:
    """The clock of Ada's grant, moved as if its days had gone by: no person could."""
    site.manage(
        "shell",
        "--no-imports",
        "-c",
        "from datetime import timedelta; from django.utils import timezone; from datasets.models import Grant; now = timezone.now(); "
        f"Grant.objects.filter(dataset__slug={SLUG!r}, revoked_at=None).update("
        "granted_at=now - timedelta(days=30), expires_at=now - timedelta(seconds=1))",
    )


@pytest.mark.browser
def test_j3_access_is_asked_given_renewed_and_ends_by_itself(open_page, site: Site):
    site.person("ben").api(f"{API}/terms", {"text": TERMS}, expected=201)
    ada = open_page("ada", DATASET)
    request_id = ask_for_access(ada, site)
    ben = open_page("ben", "/steward/access-requests/")
    approve_in_the_queue(ben, site, request_id)
    share = prepare_share(ada, site)
    ask_for_more_time_in_vain(ada, ben, request_id)

    ben.goto(f"/steward/datasets/{SLUG}/who-can-see/")
    expect(ben.get_by_role("row").filter(has_text=PEOPLE["ada"])).to_contain_text(in_days(30))
    while_she_had_it = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=2)
    let_access_end(site)
    wait_until(lambda: not site.share_folder(share).exists(), "the share gone with the access")
    assert site.rules(f"/requests/{share}/") == []
    wait_until(lambda: [mail for mail in site.mails(request_id) if "has ended" in mail["Subject"]], "the last mail")
    ada.goto(DATASET)
    expect(ada.get_by_role("link", name="Request access")).to_be_visible()
    ben.reload()
    expect(ben.get_by_role("row").filter(has_text=PEOPLE["ada"])).to_have_count(0)
    ben.goto(f"/steward/datasets/{SLUG}/who-can-see/?at={while_she_had_it:%Y-%m-%dT%H:%M:%SZ}")
    expect(ben.get_by_role("row").filter(has_text=PEOPLE["ada"])).to_have_count(1)


def ask_for_access(ada: Page, site: Site) -> str:
    """Ada asks on the dataset's page, with its terms; the id of her request, of which the stewards hear."""
    expect(ada.get_by_role("heading", level=1)).to_be_visible()
    expect(ada.get_by_text("You have no access to the files yet")).to_be_visible()
    expect(ada.get_by_role("button", name="Prepare a share")).to_have_count(0)
    ada.get_by_role("link", name="Request access").click()
    ada.get_by_label("What you want to do with the data").fill("Warm events in seasonal forecasts.")
    ada.get_by_label(re.compile("^Until when")).fill(in_days(60))
    expect(ada.get_by_text(TERMS)).to_be_visible()
    ada.get_by_role("button", name="Request access").click()
    expect(ada.get_by_label("I accept these terms")).not_to_be_checked()  # the browser holds the form back until they are
    ada.get_by_label("I accept these terms").check()
    ada.get_by_role("button", name="Request access").click()
    ada.wait_for_url(re.compile("/access-requests/[0-9a-f-]{36}/"))
    request_id = ada.url.rstrip("/").split("/")[-1]
    (mail,) = wait_until(lambda: site.mails("Warm events in seasonal forecasts."), "the mail to the stewards")
    assert PEOPLE["ben"] in mail["To"]
    return request_id


def approve_in_the_queue(ben: Page, site: Site, request_id: str) -> None:
    """Ben gives access for thirty days, and Ada is told."""
    row = ben.get_by_role("row").filter(has_text="Warm events in seasonal forecasts.")
    expect(row).to_contain_text("Accepted terms version")
    row.get_by_label("Until").fill(in_days(30))
    row.get_by_role("button", name="Approve").click()
    expect(ben.get_by_text("has access to")).to_be_visible()
    expect(ben.get_by_role("row").filter(has_text="Warm events in seasonal forecasts.")).to_have_count(0)
    approved = wait_until(lambda: [mail for mail in site.mails(request_id) if mail["Subject"].startswith("Access until")], "the answer")
    assert in_days(30) in approved[0]["Subject"]


def prepare_share(ada: Page, site: Site) -> str:
    """Ada has the files prepared; the id of the share, once it is open to her."""
    ada.goto(DATASET)
    expect(ada.get_by_text(f"You have access through the identity {PEOPLE['ada']} until {in_days(30)}")).to_be_visible()
    site.empty_basket(site.person("ada"))
    ada.get_by_role("button", name="Prepare a share").click()
    ada.wait_for_url(re.compile("/requests/new/"))  # the terms are accepted: they are not asked again
    ada.get_by_role("button", name=re.compile("^Prepare [0-9]+ files?$")).click()
    ada.wait_for_url(re.compile("/requests/[0-9a-f-]{36}/$"))
    share = ada.url.rstrip("/").split("/")[-1]
    expect(ada.get_by_role("status").filter(has_text="Ready to download")).to_be_visible()
    assert len(site.rules(f"/requests/{share}/")) == 1
    return share


def ask_for_more_time_in_vain(ada: Page, ben: Page, request_id: str) -> None:
    """Her renewal is denied with a reason, and what she has stays."""
    ada.goto(f"/access-requests/{request_id}/")
    ada.get_by_label("What for").fill("Cold events too.")
    ada.get_by_role("button", name="Ask for more time").click()
    expect(ada.get_by_role("status").filter(has_text="more time is asked for")).to_be_visible()
    ben.goto(f"/access-requests/{request_id}/")
    ben.get_by_label("Or say why not").fill("One event is enough.")
    ben.get_by_role("button", name="Deny").click()
    expect(ben.get_by_text("Denied.").first).to_be_visible()
    ada.reload()
    expect(ada.get_by_text("One event is enough.").first).to_be_visible()
    expect(ada.get_by_role("status").filter(has_text=f"Access until {in_days(30)}")).to_be_visible()


def test_j3_what_must_not_happen(site: Site, ada: Person, ben: Person, cy: Person):
    made = ada.api("access-requests", {"dataset": SLUG, "purpose": "A study."})
    again = ada.api("access-requests", {"dataset": SLUG, "purpose": "Pressed twice."})
    assert again["id"] == made["id"]
    until = {"until": f"{in_days(9)}T00:00:00Z"}
    cy.api(f"access-requests/{made['id']}/approve", until, expected=404)
    ada.api(f"access-requests/{made['id']}/approve", until, expected=403)
    assert cy.visitor.open(f"/access-requests/{made['id']}/").status == 404
    ben.visitor.open(f"/access-requests/{made['id']}/approve/?until={in_days(9)}")
    assert ada.api(f"access-requests/{made['id']}")["status"] == "waiting", "a link decides nothing"
    ada.api("data-requests", {"kind": "share", "selections": [{"dataset": SLUG}]}, expected=403)
    ada.api(f"{API}/versions/1/files", expected=403)
    ben.api(f"access-requests/{made['id']}/deny", {"reason": ""}, expected=400)
    assert ben.api(f"access-requests/{made['id']}/deny", {"reason": "Not clear."})["status"] == "denied"
    ben.api(f"access-requests/{made['id']}/approve", until, expected=409)
    assert not access_of(ada)["is_allowed"]
    denied = wait_until(lambda: [mail for mail in site.mails("Not clear.") if mail["Subject"].startswith("No access")], "the mail")
    assert denied[0]["To"] == PEOPLE["ada"]


@pytest.fixture
def readers(site: Site, ada: Person):
    """A Globus group that the portal may see; `put(True)` puts Ada into it, `put(False)` takes her out."""
    environment = site.stack.portal_environment()
    token = httpx.post(
        f"{site.stack.addresses.localglobus}/v2/oauth2/token",
        auth=(environment["CAUSEWAY_GLOBUS_CLIENT_ID"], environment["CAUSEWAY_GLOBUS_CLIENT_SECRET"]),
        data={"grant_type": "client_credentials", "scope": GROUPS},
        trust_env=False,
    ).json()["access_token"]
    address = f"{site.stack.globus_environment['GLOBUS_SDK_SERVICE_URL_GROUPS'].rstrip('/')}/v2/"
    member = [{"identity_id": identity_of(ada), "role": "member"}]
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client:
        made = client.post("groups", json={"name": "Ensemble readers", "description": "May read"})
        made.raise_for_status()
        group_id = made.json()["id"]

        def put(is_in: bool) -> None:
            act = {"add": member} if is_in else {"remove": [{"identity_id": one["identity_id"]} for one in member]}
            client.post(f"groups/{group_id}", json=act).raise_for_status()

        yield group_id, put
        client.delete(f"groups/{group_id}").raise_for_status()


def identity_of(person: Person) -> str:
    return re.search(r"Identity id</dt><dd><code>([0-9a-f-]{36})", person.open("/profile/").text).group(1)


def sync_groups(site: Site) -> None:
    """What beat has done every five minutes."""
    site.manage("shell", "--no-imports", "-c", "from portal import tasks; tasks.refresh_groups()")


def test_j3_a_group_gives_access_until_she_leaves_it(site: Site, ada: Person, readers):
    group_id, put = readers
    put(True)
    give(site, principal_type="group", principal=group_id, label="Ensemble readers")
    sync_groups(site)
    assert access_of(ada)["words"] == "You have access through the group Ensemble readers."
    put(False)
    sync_groups(site)
    assert access_of(ada)["reason"] == "grant-needed", "left, and gone at the next sync"
    put(True)
    sync_groups(site)
    assert access_of(ada)["is_allowed"]
    put(False)
    anew = site.new_person("ada")
    assert access_of(anew)["reason"] == "grant-needed", "at once for who signs in anew"
    anew.visitor.close()


def test_j3_access_through_a_linked_identity_works_and_is_named(site: Site, ada: Person, ben: Person, cy: Person):
    desk = ben.open(f"/steward/datasets/{SLUG}/")
    ben.submit(desk, "Give access", principal=LINKED)
    page = ada.open(DATASET).text
    assert f"You have access through the identity {LINKED}." in page
    assert not access_of(cy)["is_allowed"]
    share = ada.ask_for_share(SLUG)
    ada.wait(share, "open")
    assert [rule["principal"] for rule in site.rules(f"/requests/{share}/")] == [identity_of(ada)]
    seen = ben.open(f"/steward/people/?q={PEOPLE['ada']}").text
    assert LINKED in seen
    assert "GloSea4" in seen
    (given,) = [one for one in ben.api(f"{API}/grants")["results"] if one["label"] == LINKED and one["revoked_at"] is None]
    call_api(ben.visitor, f"{API}/grants/{given['id']}", method="DELETE", expected=204)
    ada.wait(share, "expired")
    assert site.rules(f"/requests/{share}/") == []


def test_j3_a_rule_that_somebody_added_by_hand_is_reported(site: Site, cy: Person):
    archive = site.stack.globus_environment["CAUSEWAY_ARCHIVE_COLLECTION"]
    rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": identity_of(cy), "path": f"/{SLUG}/", "permissions": "r"}
    with site.globus() as client:
        made = client.post(f"endpoint/{archive}/access", json=rule)
        made.raise_for_status()
        rule_id = made.json()["access_id"]
        try:
            site.manage("reconcile")
            found = site.person("dee").open(f"/admin/transfers/drift/?q={rule_id}").text
            assert f"/{SLUG}/" in found
            assert "not made by the portal" in found
            assert "Rules that Causeway did not make" in site.person("ben").open(f"/steward/datasets/{SLUG}/who-can-see/").text
            kept = {one["id"] for one in client.get(f"endpoint/{archive}/access_list").json()["DATA"]}
            assert rule_id in kept, "reported, not removed"
        finally:
            client.delete(f"endpoint/{archive}/access/{rule_id}").raise_for_status()


def test_controlled_files_ask_for_a_second_factor_and_travel_encrypted(site: Site, ben: Person):
    ada = site.new_person("ada")
    give(site, principal_type="identity", principal=identity_of(ada))
    call_api(ben.visitor, API, {"classification": "controlled"}, method="PATCH", expected=200)
    assert access_of(ada)["reason"] == "assurance-needed"
    told = ada.api("data-requests", {"kind": "share", "selections": [{"dataset": SLUG}]}, expected=403)
    assert told["authorization_parameters"]["session_required_mfa"] is True
    page = ada.open(DATASET)
    assert "Sign in with a second factor" in page.text
    assert "Prepare a share</button>" not in page.text
    asked = ada.visitor.submit(ada.open(f"/signin/second-factor/?next={DATASET}"), "Continue to Globus")
    page, _ = second_factor.pass_globus(ada.visitor, asked, person=ada.identity)
    assert page.url.endswith(DATASET)
    assert "Prepare a share</button>" in page.text
    share = ada.ask_for_share(SLUG)
    ada.wait(share, "open")
    (task,) = [task for task in site.tasks(f"Causeway share {share}") if task["type"] == "TRANSFER"]
    assert task["encrypt_data"] is True
    other_browser = site.new_person("ada")
    assert access_of(other_browser)["reason"] == "assurance-needed", "another session has no factor"
    ada.api(f"data-requests/{share}/cancel", {})
    ada.wait(share, "expired")
    for person in (ada, other_browser):
        person.visitor.close()
