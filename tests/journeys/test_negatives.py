"""What must not happen in J1 and J2, on the real processes: twice, by others, by a link, beyond the policy."""

import ssl

import httpx
import pytest

from tests.journeys.conftest import Person, Site, wait_until


@pytest.fixture
def send(site: Site):
    """Ask that files are sent to Campus storage; answers the id of the request."""

    def ask(person: Person, dataset: str, folder: str) -> str:
        site.give_transfer_consents(person)
        place = {"collection_id": site.stack.globus_environment["CAUSEWAY_CAMPUS_COLLECTION"], "path": f"/home/ada/{folder}/"}
        return person.api("data-requests", {"kind": "transfer", "selections": [{"dataset": dataset}], "destination": place})["id"]

    return ask


def break_archive(site: Site, kind: str, **fault) -> None:
    """The archive's node fails the next call of this kind."""
    secret = (site.stack.places.globus / "dtn-archive.secret").read_text().strip()
    trusted = ssl.create_default_context(cafile=str(site.stack.ca_file))
    headers = {"Authorization": f"Bearer {secret}"}
    with httpx.Client(verify=trusted, headers=headers, trust_env=False) as client:
        client.post(f"{site.stack.addresses.archive}/.dtn/faults", json={"kind": kind, **fault}).raise_for_status()


def test_a_file_that_may_not_be_read_is_told_in_words_and_sent_alone_on_retry(site: Site, ada: Person, send):
    for n_tries in range(5):  # whoever reads next meets the fault: just after a start that may be a quick look being drawn
        break_archive(site, "get", error={"http_status": 403, "code": "PERMISSION_DENIED", "message": "no"})
        request_id = send(ada, "nemo-monthly", f"retried-{n_tries}")
        failed = ada.wait(request_id, "failed", "sent")
        if failed["status"] == "failed":
            break
    assert len(failed["failed_files"]) == 1
    assert "may not be read" in failed["failed_files"][0]["reason"]
    page = ada.open(f"/requests/{request_id}/")
    assert failed["failed_files"][0]["path"] in page.text
    ada.submit(page, "Retry 1 failed file")
    sent = ada.wait(request_id, "sent")
    assert [task["n_files"] for task in sent["tasks"]] == [3, 1]
    assert len(list((site.stack.places.campus / "home/ada" / f"retried-{n_tries}").rglob("*.nc"))) == 3


def test_a_form_sent_twice_makes_one_request(site: Site, ada: Person):
    fill_basket(ada, "orca2-potential-temperature")
    form = ada.open("/requests/new/")
    first = ada.submit(form, "Prepare 1 file")
    second = ada.submit(form, "Prepare 1 file")
    assert first.url == second.url
    request_id = first.url.rstrip("/").split("/")[-1]
    ada.wait(request_id, "open")
    assert len([task for task in site.tasks(f"Causeway share {request_id}") if task["type"] == "TRANSFER"]) == 1


def test_a_basket_that_another_tab_changed_is_looked_at_again_before_it_is_asked_for(ada: Person):
    fill_basket(ada, "ostia-sst")
    form = ada.open("/requests/new/")
    fill_basket(ada, "toa-brightness", is_more=True)
    before = [one["id"] for one in ada.api("data-requests")["results"]]
    answer = ada.submit(form, "Prepare 1 file")
    assert "/requests/new/" in answer.url or answer.status == 409, answer.summary()
    assert [one["id"] for one in ada.api("data-requests")["results"]] == before
    assert "2 files" in ada.open("/basket/").text


def fill_basket(person: Person, dataset: str, *, is_more: bool = False) -> None:
    """Put a whole dataset into the basket, alone or beside what is there."""
    basket = person.open("/basket/")
    if not is_more and basket.has_button("Empty the basket"):
        person.submit(basket, "Empty the basket")
    page = person.open(f"/datasets/{dataset}/files/")
    person.submit(page, "Add 1 file" if page.has_button("Add 1 file") else "Add all")


def test_a_request_of_somebody_else_is_not_there(ada: Person, cy: Person):
    request_id = ada.ask_for_share("space-weather")
    ada.wait(request_id, "open")
    assert cy.open(f"/requests/{request_id}/").status == 404
    cy.api(f"data-requests/{request_id}", expected=404)
    cy.api(f"data-requests/{request_id}/cancel", {}, expected=404)
    assert ada.api(f"data-requests/{request_id}")["status"] == "open"


@pytest.mark.parametrize(
    "address", ["/basket/add/?dataset=colpex&version=1", "/send/confirm/", "/requests/{request}/cancel/", "/requests/{request}/extend/"]
)
def test_a_link_changes_nothing(ada: Person, address: str):
    request_id = ada.ask_for_share("hybrid-height") if not LINKED else LINKED[0]
    LINKED[:] = [request_id]
    ada.wait(request_id, "open")
    before = ada.api(f"data-requests/{request_id}")
    assert ada.visitor.open(address.replace("{request}", request_id)).status == 405
    assert ada.api(f"data-requests/{request_id}") == before


LINKED: list[str] = []  # one share for all of the links


def test_a_share_is_extended_once_by_its_owner_and_again_by_an_operator(site: Site, ada: Person):
    request_id = ada.ask_for_share("scenario-fields-2098")
    ada.wait(request_id, "open")
    site.let_time_pass(request_id, days=28.5)
    wait_until(lambda: [mail for mail in site.mails(request_id) if mail["Subject"].startswith("Until")], "the reminder")
    ada.api(f"data-requests/{request_id}/extend", {})
    ada.api(f"data-requests/{request_id}/extend", {}, expected=409)
    site.person("dee").api(f"data-requests/{request_id}/extend", {})
    assert ada.api(f"data-requests/{request_id}")["share"]["extended_count"] == 2
