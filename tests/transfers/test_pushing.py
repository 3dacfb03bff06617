"""Records in an index of Globus Search: told of every change that the public sees, of nothing else, however often Search is out."""

import time
import uuid
from dataclasses import dataclass
from io import StringIO

import globus_sdk
import pytest
from datacite import schema45
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from datasets import sweeping
from datasets.curation import publishing, registering
from datasets.metadata.pushing import outbox
from datasets.models import Dataset, PushedRecord, Version
from portal import health
from transfers import globus, pushing
from transfers.errors import GlobusRefusedError

ALL = "urn:globus:auth:scope:search.api.globus.org:all"
BALTIC = {"west": 8.0, "south": 53.0, "east": 30.0, "north": 66.0, "temporal_start": "1961-01-01", "temporal_end": "1990-12-31"}


@dataclass
class Index:
    """An index of somebody else, on which the portal may write."""

    owner: globus_sdk.SearchClient
    id: str
    portal: str

    def let_in(self) -> None:
        urn = f"urn:globus:auth:identity:{self.portal}"
        self.owner.create_role(self.id, {"role_name": "writer", "principal": urn})

    def find(self, *, q="*", **asked):
        """What the public finds."""
        with globus_sdk.SearchClient() as anybody:
            return anybody.post_search(self.id, globus_sdk.SearchQueryV1(q=q, **asked)).data

    def entries(self):
        return {one["subject"]: one["entries"] for one in self.find(limit=100)["gmeta"]}


@pytest.fixture
def browser():
    def make(person):
        client = Client()
        client.force_login(person)
        return client

    return make


@pytest.fixture
def closed_index(world, settings):
    environment = world.environment
    demo = globus_sdk.ConfidentialAppAuthClient(environment["GLOBUS_CLI_CLIENT_ID"], environment["GLOBUS_CLI_CLIENT_SECRET"])
    token = demo.oauth2_client_credentials_tokens(ALL).by_resource_server["search.api.globus.org"]["access_token"]
    with globus_sdk.SearchClient(authorizer=globus_sdk.AccessTokenAuthorizer(token)) as owner:
        index_id = owner.create_index(f"Index {uuid.uuid4().hex[:8]}", "of a test")["id"]
        settings.SEARCH_INDEX = index_id
        try:
            yield Index(owner, index_id, environment["CAUSEWAY_GLOBUS_CLIENT_ID"])
        finally:
            owner.delete_index(index_id)


@pytest.fixture
def index(closed_index):
    closed_index.let_in()
    return closed_index


def work(*, until=lambda: not outbox().n_waiting):
    """What workers do once the waits are over."""
    deadline = time.monotonic() + 90
    while not until():
        assert time.monotonic() < deadline, list(PushedRecord.objects.values())
        PushedRecord.objects.working().update(due_at=timezone.now())
        pushing.push()
        time.sleep(0.05)  # polled: there is no event to wait for


def push_once():
    """One attempt, whatever comes of it."""
    PushedRecord.objects.working().update(due_at=timezone.now())
    pushing.push_due()


def subject_of(version):
    return f"http://127.0.0.1:8000{version.dataset.get_absolute_url()}"


def run(*options):
    said = StringIO()
    call_command("push_records", *options, stdout=said)
    return said.getvalue()


def test_a_published_dataset_is_found_by_words_facets_time_and_place(index, publish):
    version = publish("sea-level", subjects=["Oceans"], variables=[{"name": "tos", "standard_name": "sea_surface_temperature"}], **BALTIC)
    assert index.entries() == {}  # nothing is sent in the request of who publishes
    work()
    ((subject, (entry,)),) = index.entries().items()
    assert (subject, entry["entry_id"]) == (subject_of(version), str(version.dataset_id))
    own = entry["content"]["causeway"]
    assert (own["subjects"], own["variables"], own["decades"]) == (["Oceans"], ["sea_surface_temperature"], [1960, 1970, 1980, 1990])
    datacite = {name: value for name, value in entry["content"].items() if name not in {"causeway", "url"}}
    assert schema45.validator.is_valid(datacite)
    assert datacite["titles"] == [{"title": "Dataset sea-level"}]
    during = {"type": "range", "field_name": "causeway.start", "values": [{"gte": "1960-01-01", "lt": "1970-01-01"}]}
    here = {"type": "geo_bounding_box", "field_name": "causeway.place"}
    near = here | {"top_left": {"lat": 60, "lon": 0}, "bottom_right": {"lat": 50, "lon": 10}}
    far = here | {"top_left": {"lat": -10, "lon": 0}, "bottom_right": {"lat": -20, "lon": 10}}
    facets = [{"name": "access", "type": "terms", "field_name": "causeway.access"}]
    found = index.find(q="levels", filters=[during, near], facets=facets)
    assert found["total"] == 1
    assert [(each["value"], each["count"]) for each in found["facet_results"][0]["buckets"]] == [("public", 1)]
    assert index.find(filters=[far])["total"] == 0
    row = PushedRecord.objects.get()
    assert (row.status, row.told, row.wanted, row.error) == ("told", 1, 1, "")


@pytest.mark.long
def test_drafts_never_leave(index, publish, dee):
    version = publish("seen")
    secret = registering.register(user=dee, slug="unseen", title="Quokka counts", abstract="quokka")
    registering.describe(secret.dataset, user=dee, abstract="quokka, again")
    publishing.open_draft(version.dataset, user=dee, reason="quokka")
    PushedRecord.objects.create(dataset_id=secret.dataset_id, wanted=1, due_at=timezone.now())  # even if one was asked for
    work()
    run()
    assert list(index.entries()) == [subject_of(version)]
    assert index.find(q="quokka")["total"] == 0
    assert "No difference" in run("--compare")


def test_changes_are_told_and_what_is_withdrawn_is_taken_out(index, publish, dee):
    version, other = publish("mine"), publish("other")
    work()
    registering.describe(version.dataset, user=dee, title="Renamed", access_policy="restricted")
    work()
    content = index.entries()[subject_of(version)][0]["content"]
    assert (content["titles"][0]["title"], content["causeway"]["access"]) == ("Renamed", "restricted")
    publishing.withdraw(Version.objects.get(pk=version.pk), user=dee, reason="wrong")
    work()
    assert list(index.entries()) == [subject_of(other)]
    row = PushedRecord.objects.get(pk=version.dataset_id)
    assert (row.status, row.is_present) == ("told", False)


@pytest.mark.long
def test_what_is_deleted_by_any_way_is_taken_out(index, publish):
    version = publish("gone")
    subject = subject_of(version)
    work()
    assert list(index.entries()) == [subject]
    Version.objects.filter(dataset=version.dataset).delete()
    Dataset.objects.filter(pk=version.dataset_id).delete()
    work()
    assert index.entries() == {}


def test_search_being_out_holds_nothing_up_and_doubles_nothing(index, publish, world, dee):
    for fault in ({"error": {"http_status": 503}}, {"drop": True, "after": True}, {"error": {"http_status": 429, "retry_after": 50}}):
        world.inject("search.ingest", **fault)
    version, waits = publish("late"), []
    for _ in range(3):
        push_once()
        row = PushedRecord.objects.get()
        waits.append((row.due_at - timezone.now()).total_seconds())
        assert (row.status, bool(row.error)) == ("pending", True)
    assert waits == sorted(waits)
    assert health.search_verdict(outbox())[:2] == ("attention", "Late")
    publishing.withdraw(version, user=dee, reason="wrong")  # its answer was lost, but it may be there
    work()
    assert index.entries() == {}
    next_one = publishing.publish(publishing.open_draft(version.dataset, user=dee), user=dee)
    work()
    assert [len(each) for each in index.entries().values()] == [1]
    assert index.entries()[subject_of(next_one)][0]["content"]["version"] == "2"
    assert health.search_verdict(outbox()) == ("ok", "Up to date", "")


@pytest.mark.long
def test_one_record_that_search_refuses_holds_up_no_other(index, publish, world, browser, dee):
    world.inject("search.ingest", times=2, error={"http_status": 400, "code": "BadRequest.Generic", "message": "odd content"})
    publish("one"), publish("two")
    work()
    refused, told = PushedRecord.objects.order_by("status")
    assert (refused.status, told.status) == ("failed", "told")
    assert "odd content" in refused.error
    assert list(index.entries()) == [told.subject]
    assert health.search_verdict(outbox())[:2] == ("attention", "Refuses")
    slug = Dataset.objects.get(pk=refused.pk).slug
    desk = browser(dee).get(f"/steward/datasets/{slug}/").content.decode()
    assert "odd content" in desk
    assert "Push the record again" in desk
    assert browser(dee).post(f"/steward/datasets/{slug}/push-record/").status_code == 302
    work()
    assert len(index.entries()) == 2


@pytest.mark.long
def test_an_index_on_which_the_portal_has_no_role_is_waited_for_with_the_remedy(closed_index, publish):
    publish("waits")
    push_once()
    row = PushedRecord.objects.get()
    assert row.status == "pending"
    assert f'the client {closed_index.portal} the role "writer"' in row.error
    closed_index.let_in()
    work()
    assert len(closed_index.entries()) == 1


@pytest.mark.long
def test_a_task_that_search_forgot_is_sent_anew_and_one_that_failed_is_said(index, publish):
    version = publish("forgotten")
    push_once()
    PushedRecord.objects.update(task_id=str(uuid.uuid4()))
    work()
    assert PushedRecord.objects.get().status == "told"
    registering.describe(version.dataset, user=version.dataset.events.first().actor, title="Too late")
    push_once()
    index.owner.delete_index(index.id)
    try:
        PushedRecord.objects.update(due_at=timezone.now())
        pushing.follow_due()
    finally:
        index.owner.reopen_index(index.id)
    work()
    row = PushedRecord.objects.get()
    assert (row.status == "failed") is bool(row.error)  # which of them depends on who was first: the task, or the deletion


@pytest.mark.long
def test_what_changes_while_it_is_sent_is_sent_next(index, publish, monkeypatch):
    version = publish("moving")
    real = globus.ingest_entries

    def slow(*args, **more):
        task_id = real(*args, **more)
        monkeypatch.setattr(globus, "ingest_entries", real)
        registering.describe(Dataset.objects.get(pk=version.dataset_id), user=version.dataset.events.first().actor, title="Newer")
        return task_id

    monkeypatch.setattr(globus, "ingest_entries", slow)  # the real call, with somebody's edit at its end
    push_once()
    row = PushedRecord.objects.get()
    assert (row.status, row.sent, row.wanted) == ("pending", 1, 2)
    work()
    assert index.entries()[subject_of(version)][0]["content"]["titles"] == [{"title": "Newer"}]


@pytest.mark.long
def test_the_command_pushes_all_in_documents_that_fit_and_compares(index, publish, settings, monkeypatch, dee):
    name, settings.SEARCH_INDEX = index.id, ""
    versions = [publish(slug) for slug in ("a", "b", "c")]
    assert not PushedRecord.objects.exists()  # no index is named: nothing is asked for
    with pytest.raises(CommandError, match="names no index"):
        run()
    settings.SEARCH_INDEX = name
    monkeypatch.setattr(pushing, "DOCUMENT_BYTES", 3000)  # a document of 10 MB would say the same, later
    with pytest.raises(CommandError, match="3 differences"):
        run("--compare")
    assert "3 records pushed" in run()
    assert len({row.task_id for row in PushedRecord.objects.all()}) > 1
    assert "No difference" in run("--compare")
    settings.SEARCH_INDEX = ""
    registering.describe(versions[0].dataset, user=dee, title="Unheard")
    publishing.withdraw(versions[1], user=dee, reason="wrong")
    settings.SEARCH_INDEX = name
    globus.delete_subjects(name, [subject_of(versions[2])])
    work(until=lambda: subject_of(versions[2]) not in index.entries())
    said = StringIO()
    with pytest.raises(CommandError, match="3 differences"):
        call_command("push_records", "--compare", stdout=said)
    assert sorted(line.split("\t")[0] for line in said.getvalue().splitlines()) == ["missing", "outdated", "stray"]
    run()
    work(until=lambda: len(index.entries()) == 2)
    assert "No difference" in run("--compare")


def test_a_record_that_is_too_large_is_refused_here(index, publish, monkeypatch):
    publish("large")
    monkeypatch.setattr(pushing, "DOCUMENT_BYTES", 100)
    push_once()
    row = PushedRecord.objects.get()
    assert (row.status, "10 MB" in row.error, index.entries()) == ("failed", True, {})


@pytest.mark.long
def test_entries_of_others_in_the_same_index_stay(index, publish):
    theirs = {"subject": "https://elsewhere.example/1", "id": "x", "visible_to": ["public"], "content": {"name": "theirs"}}
    globus.ingest_entries(index.id, [theirs], field_mapping={})
    version = publish("ours")
    work()
    run()
    assert set(index.entries()) == {theirs["subject"], subject_of(version)}
    with pytest.raises(GlobusRefusedError):
        globus.ingest_entries(index.id, [theirs], field_mapping={"name": "geo_line"})


def test_the_sweep_names_the_task_of_the_worker():
    assert pushing.push.name == sweeping.PUSH_TASK
