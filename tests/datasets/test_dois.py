"""DOIs through the outbox: publication never waits for DataCite, nothing is told twice over, and what is not registered is not cited."""

import threading

import pytest
from datacite import schema45
from django.utils import timezone

from datasets import dois
from datasets.curation import publishing, registering
from datasets.dois import datacite as gateway
from datasets.errors import ConflictError, ForbiddenError
from datasets.metadata.describing import find_record
from datasets.models import Doi, Version
from datasets.sweeping import sweep
from portal.celery import app
from tests.datasets.conftest import scan
from tests.datasets.datacite_server import ACCOUNT, PASSWORD, PREFIX, Datacite, make_server

CREATORS = [{"name": "Lindqvist, Ada", "orcid": "0000-0002-1825-0097"}]


@pytest.fixture
def datacite(settings):
    datacite = Datacite()
    server = make_server(datacite)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    settings.DATACITE_URL = f"http://127.0.0.1:{server.server_port}"
    settings.DATACITE_ACCOUNT, settings.DATACITE_PASSWORD, settings.DATACITE_PREFIX = ACCOUNT, PASSWORD, PREFIX
    yield datacite
    server.shutdown()
    thread.join()
    server.server_close()


def do_what_is_due() -> None:
    """What workers do once the waits are over."""
    Doi.objects.filter(status="pending").update(due_at=timezone.now())
    for pk in dois.due():
        dois.register(pk)


def next_version(version, disk, ben):
    disk.write("/sea/b", "2")
    draft = publishing.open_draft(version.dataset, user=ben)
    scan(draft, disk, ben)
    return publishing.publish(draft, user=ben)


def test_a_published_version_gets_a_doi_that_leads_to_its_page(published, datacite):
    version = published(creators=CREATORS)
    doi = Doi.objects.get()
    assert (doi.status, doi.name.startswith(f"{PREFIX}/"), datacite.n_calls) == ("pending", True, 0)
    assert find_record("sea").doi == ""
    do_what_is_due()
    doi.refresh_from_db()
    assert (doi.status, doi.error, list(datacite.dois)) == ("registered", "", [doi.name])
    told = datacite.dois[doi.name]
    assert (told["event"], told["url"]) == ("publish", f"http://127.0.0.1:8000{version.get_absolute_url()}")
    assert schema45.validator.is_valid({key: value for key, value in told.items() if key not in {"event", "url"}})
    assert find_record("sea").doi == doi.name
    do_what_is_due()
    assert datacite.n_calls == 1


def test_a_reserved_doi_is_the_one_that_is_registered(draft, datacite, ben, ada):
    version = draft(creators=CREATORS)
    with pytest.raises(ForbiddenError):
        dois.reserve(version, user=ada)
    reserved = dois.reserve(version, user=ben)
    assert dois.reserve(version, user=ben) == reserved
    do_what_is_due()
    assert datacite.n_calls == 0
    publishing.publish(version, user=ben)
    do_what_is_due()
    assert list(datacite.dois) == [reserved.name]


def test_datacite_being_out_holds_nothing_up_and_doubles_nothing(published, datacite):
    datacite.faults = [503, "lost", 429]
    version = published(creators=CREATORS)
    for words in ("503", "does not answer", "429"):
        do_what_is_due()
        doi = Doi.objects.get()
        assert (doi.status, words in doi.error, doi.due_at > timezone.now()) == ("pending", True, True)
    do_what_is_due()
    assert (Doi.objects.get().status, list(datacite.dois), datacite.n_calls) == ("registered", [version.doi.name], 4)


def test_the_waits_grow(published, datacite):
    published(creators=CREATORS)
    datacite.faults, waits = [500] * 4, []
    for _ in range(4):
        do_what_is_due()
        waits.append((Doi.objects.get().due_at - timezone.now()).total_seconds())
    assert waits == sorted(waits)
    assert waits[-1] > 4 * waits[0]


def test_what_datacite_refuses_is_said_on_the_desk_and_asked_again_there(published, datacite, browser, ben):
    datacite.faults = [422]
    version = published(creators=CREATORS)
    do_what_is_due()
    desk = "/steward/datasets/sea/"
    assert "DataCite answers 422: out of order" in browser(ben).get(desk).content.decode()
    publishing.open_draft(version.dataset, user=ben)  # a newer draft does not hide it
    assert "DataCite answers 422: out of order" in browser(ben).get(desk).content.decode()
    for number in ("0", "9" * 5000):
        assert browser(ben).post(f"{desk}register-doi/", {"doi": number}).status_code == 404
    assert browser(ben).post(f"{desk}register-doi/", {"doi": version.doi.pk}).status_code == 302
    do_what_is_due()
    assert Doi.objects.get().status == "registered"


def test_versions_know_each_other_and_an_edit_is_told(published, datacite, disk, ben):
    first = published(creators=CREATORS)
    do_what_is_due()
    second = next_version(first, disk, ben)
    do_what_is_due()
    one, two = Doi.objects.get(version=first), Doi.objects.get(version=second)

    def related(doi):
        return [(each["relationType"], each["relatedIdentifier"]) for each in datacite.dois[doi.name].get("relatedIdentifiers", [])]

    do_what_is_due()
    registering.describe(second.dataset, user=ben, title="Renamed")
    do_what_is_due()
    assert related(two) == [("IsNewVersionOf", one.name)]
    assert related(one) == [("IsPreviousVersionOf", two.name)]
    assert datacite.dois[two.name]["titles"] == [{"title": "Renamed"}]
    publishing.withdraw(Version.objects.get(pk=second.pk), user=ben, reason="wrong")
    do_what_is_due()
    assert datacite.dois[two.name]["event"] == "hide"
    assert datacite.dois[one.name]["event"] == "publish"


def test_what_changes_during_the_call_is_told_after_it(published, datacite, ben, monkeypatch):
    version = published(creators=CREATORS)
    # the second change arrives while DataCite is being told of the first
    real = gateway.put_doi

    def slow(*args, **more):
        real(*args, **more)
        Doi.objects.filter(version=version).update(wanted=2)
        monkeypatch.undo()

    monkeypatch.setattr(gateway, "put_doi", slow)  # the real call, with somebody else's edit at its end
    do_what_is_due()
    doi = Doi.objects.get()
    assert (doi.status, doi.told, doi.wanted) == ("pending", 1, 2)
    do_what_is_due()
    doi.refresh_from_db()
    assert (doi.status, doi.told, datacite.n_calls) == ("registered", 2, 2)


def test_without_an_account_dois_are_reserved_under_the_prefix_for_tests_and_not_cited(published, ben, browser):
    version = published(creators=CREATORS)
    assert (version.doi.status, version.doi.name.partition("/")[0]) == ("reserved", "10.5072")
    page = browser().get("/datasets/sea/").content.decode()
    assert f"{version.doi.name}</code>" in page
    assert "leads nowhere yet" in page
    assert f"https://doi.org/{version.doi.name}" not in page
    with pytest.raises(ConflictError):
        dois.try_again(version.doi, user=ben)


def test_a_registered_doi_is_what_is_cited(published, datacite, browser):
    version = published(creators=CREATORS)
    do_what_is_due()
    page = browser().get("/datasets/sea/").content.decode()
    assert page.count(f"https://doi.org/{version.doi.name}") >= 3
    assert f"doi = {{{version.doi.name}}}" in browser().get("/datasets/sea/?format=bibtex").content.decode()
    body = browser().get("/api/v1/datasets/sea").json()
    assert body["versions"][0]["doi"] == {"name": version.doi.name, "status": "registered"}


def test_a_discarded_draft_takes_its_reserved_doi_along(published, ben):
    draft = publishing.open_draft(published().dataset, user=ben)
    dois.reserve(draft, user=ben)
    publishing.discard_draft(draft, user=ben)
    assert Doi.objects.count() == 2, "what can be restored keeps its name"
    publishing.remove_draft(draft, user=ben)
    assert Doi.objects.count() == 1


def test_the_sweep_hints_at_what_waits(published, datacite):
    published(creators=CREATORS)
    app.conf.task_always_eager = True  # no worker here: what is hinted at is done at once
    try:
        sweep()
    finally:
        app.conf.task_always_eager = False
    assert Doi.objects.get().status == "registered"


def test_reserving_on_the_desk_and_over_the_api(draft, browser, ben):
    draft()
    desk = "/steward/datasets/sea/"
    assert "Reserve a DOI" in browser(ben).get(desk).content.decode()
    browser(ben).post(f"{desk}reserve-doi/")
    name = Doi.objects.get().name
    assert name in browser(ben).get(desk).content.decode()
    answer = browser(ben).post("/api/v1/datasets/sea/versions/1/doi", content_type="application/json")
    assert (answer.status_code, answer.json()) == (201, {"name": name, "status": "reserved"})
