"""J8 on the real processes: two datasets and a range of years, drawn near the data for one person."""

import re
from html import escape

import httpx
import pytest

from services.embedded.visitor import Page
from tests.journeys.conftest import Person, Site, wait_until

SCENARIOS = ["a1b-north-america/air_temperature", "e1-north-america/air_temperature"]


@pytest.fixture(scope="module", autouse=True)
def signed_in_anew(site: Site):
    """The portal holds nothing of what she allowed before, which other tests have taken back at Globus."""
    ada = site.person("ada")
    ada.submit(ada.open("/profile/"), "Sign out everywhere")


def press_draw(person: Person, *sources: str, start_year: str = "", end_year: str = "") -> Page:
    page = person.open("/graphs/new/")
    return person.submit(page, "Draw the graph", source=list(sources), kind=["series"], start_year=start_year, end_year=end_year)


def draw(person: Person, *sources: str, start_year: str = "", end_year: str = ""):
    """The page of the job, after the permissions that are asked on the way."""
    page = give_consents(person, press_draw(person, *sources, start_year=start_year, end_year=end_year))
    assert re.search(r"/graphs/[0-9a-f-]{36}/$", page.url), page.summary()
    wait_for_job(person, page.url, "done", "partial", "failed")
    return page


def give_consents(person: Person, page: Page) -> Page:
    while "/consent/" in page.url:
        page = person.submit(page, "Continue to Globus")
    return page


def wait_for_job(person: Person, url: str, *statuses: str):
    job_id = url.rstrip("/").split("/")[-1]

    def look():
        job = person.api(f"graphs/{job_id}")
        return job if job["status"] in statuses else None

    return wait_until(look, f"graph {job_id} in {statuses}")


@pytest.fixture
def results_rules(site: Site):
    """The rules that the results collection has for a folder, as the graph service's own client sees them."""
    environment = site.stack.graph_environment()
    token = httpx.post(
        f"{site.stack.addresses.localglobus}/v2/oauth2/token",
        auth=(environment["CAUSEWAY_GRAPH_CLIENT_ID"], environment["CAUSEWAY_GRAPH_CLIENT_SECRET"]),
        data={"grant_type": "client_credentials", "scope": "urn:globus:auth:scope:transfer.api.globus.org:all"},
        trust_env=False,
    ).json()["access_token"]

    def listed(owner: str) -> list[dict]:
        address = f"{site.stack.addresses.localglobus}/v0.10/endpoint/{environment['CAUSEWAY_RESULTS_COLLECTION']}/access_list"
        rules = httpx.get(address, headers={"Authorization": f"Bearer {token}"}, trust_env=False).json()["DATA"]
        return [rule for rule in rules if rule["principal"] == owner and rule["id"]]

    return listed


def test_j8_two_scenarios_are_drawn_shown_kept_and_cleaned_up(site: Site, ada: Person, cy: Person, results_rules):
    page = draw(ada, *SCENARIOS, start_year="1950", end_year="2050")
    job = wait_for_job(ada, page.url, "done")
    assert len(job["results"]) == 2
    assert all(re.search(r"warms by \d", result["text_alternative"]) for result in job["results"])

    again = draw(ada, *SCENARIOS, start_year="1950", end_year="2050")
    assert again.url == page.url, "the same request is answered with the job that she has"

    shown = ada.open(page.url)
    for result in job["results"]:
        assert f'alt="{escape(result["text_alternative"])}"' in shown.text
    chart = ada.visitor.client.get(shown.url + re.search(r"/(\d+\.svg)\"", shown.text).group(1))
    assert chart.headers["content-type"].startswith("image/svg+xml")
    assert "script" not in chart.headers["content-security-policy"].replace("script-src 'none'", "")
    assert "North America" in chart.text
    numbers = ada.open(shown.link("Numbers (CSV)"))
    assert numbers.status == 200
    assert numbers.text.count("\n") > 90

    assert cy.open(page.url).status == 404
    assert cy.open(shown.link("Numbers (CSV)")).status == 403

    owner = results_rules_owner(ada)
    folder = f"/graphs/{shown.link('Numbers (CSV)').split('/graphs/')[1].split('/')[0]}/"
    assert [rule["path"] for rule in results_rules(owner)].count(folder) == 1
    ada.submit(ada.open(page.url), "Clean up")
    wait_for_job(ada, page.url, "cleaned")
    assert folder not in [rule["path"] for rule in results_rules(owner)]
    assert not (site.stack.places.archive / "results" / folder.strip("/")).exists()


def results_rules_owner(person: Person) -> str:
    """The identity of a person, as her profile shows it."""
    found = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", person.open("/profile/").text)
    assert found
    return found.group()


def test_j8_the_permission_is_asked_at_the_first_press_and_the_graph_goes_on(site: Site, ada: Person):
    site.forget_consents(ada)
    ada.submit(ada.open("/profile/"), "Sign out everywhere")
    ada = site.person("ada")
    asking = press_draw(ada, SCENARIOS[1], start_year="1970", end_year="1990")
    assert "/consent/" in asking.url
    assert "graph" in asking.text.lower()
    drawn = give_consents(ada, asking)
    assert wait_for_job(ada, drawn.url, "done")["results"]
    assert "/consent/" not in press_draw(ada, SCENARIOS[1], start_year="1971", end_year="1990").url, "it is asked once"


def test_j8_one_dataset_that_cannot_be_drawn_leaves_the_others_graph_and_a_reason(ada: Person):
    page = draw(ada, SCENARIOS[0], "ostia-sst/surface_temperature", start_year="1900", end_year="1950")
    job = wait_for_job(ada, page.url, "partial")
    assert [result["source"] for result in job["results"]] != []
    assert len(job["failures"]) == 1
    shown = ada.open(page.url)
    assert "Not drawn" in shown.text
    assert job["failures"][0]["reason"] in shown.text
