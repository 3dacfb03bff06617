"""A harvest of another archive is a job: ordered, gone on with over kills and silence, paused, cancelled, repeated for what changed."""

import datetime as dt
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError, connection
from django.utils import timezone

from datasets.curation import waiting
from datasets.errors import ConflictError, ForbiddenError, IllegalMoveError, InvalidError, NotFoundError
from datasets.importing import harvest_api, harvests
from datasets.models import Dataset, Harvest, HarvestedPart
from datasets.sweeping import sweep
from portal.models import RoleGrant
from tests.datasets.oai_provider import Archive, Kept, Mood

FIVE = ["One", "Two", "", "Four", "Five"]


@pytest.fixture
def archive(settings) -> Iterator[Archive]:
    settings.LINK_NETWORKS = ["127.0.0.0/8"]
    server = Archive([Kept(f"oai:sea:{number}", title) for number, title in enumerate(FIVE, start=1)])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def order(db, ben, archive):
    def ordered(**asked) -> Harvest:
        return harvests.order(user=ben, base_url=archive.url, **asked)

    return ordered


def to_the_end(run: Harvest) -> Harvest:
    while harvests.go_on(run.pk):
        run.refresh_from_db()
        if not run.is_working:
            break
    run.refresh_from_db()
    return run


def told(run: Harvest) -> dict[str, int]:
    return {act: n for act, n in harvests.counts(run).items() if n}


def test_a_task_follows_the_pages_and_reports_each_record(order, ben, archive):
    archive.records[3].is_deleted = True
    run = order(set_spec="seas", since="2025-01-01")
    assert harvests.is_due()
    assert harvests.harvest() == 3
    run.refresh_from_db()
    assert (run.status, run.n_pages, run.n_announced, run.repository, run.token) == ("done", 3, 5, "Sea Archive", "")
    assert told(run) == {"new": 3, "refused": 1, "deleted": 1}
    assert archive.seen[1:3] == [
        {"verb": "ListRecords", "metadataPrefix": "oai_dc", "set": "seas", "from": "2025-01-01"},
        {"verb": "ListRecords", "resumptionToken": "2025-01-01|2"},
    ]
    made = Dataset.objects.get(origin__identifier="oai:sea:1")
    assert (made.title, made.is_published, made.stewards.get()) == ("One", False, ben)
    assert harvests.unplaced(run)[0].n_records == 4
    refused = harvests.lines(run, act="refused", limit=10)
    assert [(one.identifier, one.wrong[0]["field"]) for one in refused] == [("oai:sea:3", "title")]


@contextmanager
def meanwhile(archive: Archive, token: str, act: Callable[[], object]) -> Iterator[None]:
    """What happens to the worker while the archive is asked for a page: it stands in the way of the answer, once."""
    asked_once = threading.Event()

    def interrupt(asked: dict[str, str]) -> None:
        if asked.get("resumptionToken") == token and not asked_once.is_set():
            asked_once.set()
            os.kill(os.getpid(), signal.SIGUSR1)

    archive.mood.before, before = interrupt, signal.signal(signal.SIGUSR1, lambda *_: act())
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert asked_once.is_set()


def test_a_killed_worker_costs_the_asking_of_one_page_again(order, archive):
    class KilledError(BaseException):
        pass

    def die() -> None:
        raise KilledError

    run = order()
    with meanwhile(archive, "|2", die), pytest.raises(KilledError):
        to_the_end(run)
    run.refresh_from_db()
    assert (run.status, run.token, run.n_pages) == ("running", "|2", 1)
    assert not harvests.go_on(run.pk)  # its claim still holds
    Harvest.objects.filter(pk=run.pk).update(claimed_until=timezone.now() - dt.timedelta(seconds=1))
    archive.seen.clear()
    assert to_the_end(run).status == "done"
    assert [one.get("resumptionToken") for one in archive.seen] == ["|2", "|4"]
    assert (told(run), Dataset.objects.count()) == ({"new": 4, "refused": 1}, 4)


@pytest.mark.long
def test_a_repeat_asks_for_what_changed_and_brings_drafts_up_to_date(order, ben, archive):
    run = to_the_end(order())
    archive.records[0].title, archive.records[0].stamp, archive.mood.now = "One, mended", "2026-07-01", "2026-08-01T00:00:00Z"
    archive.records.append(Kept("oai:sea:6", "Six", "2026-07-02"))
    archive.seen.clear()
    harvests.again(run, user=ben)
    to_the_end(run)
    assert archive.seen[1]["from"] == "2026-06-01"
    assert (told(run), run.harvested_until) == ({"new": 1, "changed": 1}, "2026-08-01T00:00:00Z")
    assert Dataset.objects.get(origin__identifier="oai:sea:1").title == "One, mended"
    harvests.anew(run, user=ben)
    to_the_end(run)
    assert (told(run), Dataset.objects.count()) == ({"same": 5, "refused": 1}, 5)


@pytest.mark.long
def test_the_calendar_begins_it_again_from_where_it_ended(order, archive):
    run = to_the_end(order(every="weekly"))
    assert dt.timedelta(days=6) < run.next_at - timezone.now() < dt.timedelta(days=8)
    assert harvests.queue_recurring() == 0
    Harvest.objects.filter(pk=run.pk).update(next_at=timezone.now() - dt.timedelta(seconds=1))
    sweep()
    run.refresh_from_db()
    assert (run.status, run.asked_from, run.next_at) == ("queued", "2026-06-01T00:00:00Z", None)
    archive.seen.clear()
    assert to_the_end(run).status == "done"
    assert archive.seen[1]["from"] == "2026-06-01"  # as coarse as the provider's days are
    assert told(run) == {}


def test_a_calendar_that_is_changed_while_the_last_page_is_read_holds(order, ben, archive):
    run = order(every="daily")
    with meanwhile(archive, "|4", lambda: harvests.change_calendar(run, user=ben, every="monthly")):
        assert to_the_end(run).status == "done"
    assert run.every == "monthly"
    assert run.next_at - timezone.now() > dt.timedelta(days=20)


def test_a_moment_of_the_provider_is_asked_from_as_the_protocol_writes_it(order, archive):
    archive.mood.now, archive.mood.per_page = "2026-06-01T02:00:00.123+02:00", 5
    assert to_the_end(order()).harvested_until == "2026-06-01T00:00:00Z"


def test_a_refusal_that_comes_after_it_was_cancelled_changes_nothing(order, ben, archive):
    run = order()

    def refuse(asked):
        if asked["verb"] == "Identify":
            return None
        return 200, {}, '<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"><error code="noSetHierarchy"/></OAI-PMH>'

    harvests.go_on(run.pk)
    with meanwhile(archive, "|2", lambda: harvests.cancel(Harvest.objects.get(pk=run.pk), user=ben)):
        interrupt = archive.mood.before
        archive.mood.before = lambda asked: interrupt(asked) or refuse(asked)
        assert not harvests.go_on(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error) == ("cancelled", "")


def test_a_page_that_takes_too_long_is_asked_for_again_later_and_does_not_hold_up_the_others(order, archive):
    def run_out() -> None:
        raise SoftTimeLimitExceeded

    run = order()
    harvests.go_on(run.pk)
    with meanwhile(archive, "|2", run_out):
        assert harvests.go_on(run.pk)
    run.refresh_from_db()
    assert (run.status, run.n_attempts, run.claim_id, "took too long" in run.error) == ("running", 1, None, True)
    assert run.due_at > timezone.now()


def meet(trouble: str) -> None:
    """Each record that is taken from now on meets this trouble of the database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "create function pg_temp.meet() returns trigger language plpgsql as"
            f" $$ begin raise exception 'met' using errcode = '{trouble}'; end $$"
        )
        cursor.execute("create trigger meet before insert on datasets_origin for each row execute function pg_temp.meet()")


def test_a_record_that_is_too_much_for_the_database_is_refused_and_not_taken_for_ever(order):
    run = order()
    meet("program_limit_exceeded")
    assert (to_the_end(run).status, told(run), Dataset.objects.count()) == ("done", {"refused": 5}, 0)
    assert "could not be read" in harvests.lines(run, limit=1)[0].wrong[0]["words"]


def test_a_record_that_met_trouble_of_the_database_is_taken_again_and_not_refused(order):
    run = order()
    meet("deadlock_detected")
    with pytest.raises(OperationalError):
        harvests.go_on(run.pk)
    with connection.cursor() as cursor:
        cursor.execute("drop trigger meet on datasets_origin")
    Harvest.objects.filter(pk=run.pk).update(claimed_until=timezone.now() - dt.timedelta(seconds=1))
    run = to_the_end(Harvest.objects.get(pk=run.pk))
    assert (run.status, told(run)) == ("done", {"new": 4, "refused": 1})


@pytest.mark.long
def test_pausing_is_obeyed_at_once_and_going_on_takes_the_rest(order, ben, archive):
    run = order()
    with meanwhile(archive, "|2", lambda: harvests.pause(Harvest.objects.get(pk=run.pk), user=ben)):
        assert [harvests.go_on(run.pk), harvests.go_on(run.pk), harvests.go_on(run.pk)] == [True, False, False]
    run.refresh_from_db()
    assert (run.status, run.n_pages, told(run), harvests.is_due()) == ("paused", 1, {"new": 2}, False)
    harvests.resume(run, user=ben)
    assert (to_the_end(run).status, told(run)) == ("done", {"new": 4, "refused": 1})
    with pytest.raises(IllegalMoveError):
        harvests.pause(run, user=ben)


@pytest.mark.long
def test_a_cancelled_one_keeps_its_drafts_and_leaves_the_calendar(order, ben):
    run = order(every="daily")
    harvests.go_on(run.pk)
    run.refresh_from_db()
    harvests.cancel(run, user=ben)
    assert (run.status, run.every, run.next_at, Dataset.objects.count()) == ("cancelled", "never", None, 2)
    assert not harvests.go_on(run.pk)


@pytest.mark.long
def test_a_provider_that_forgot_its_list_is_asked_from_the_beginning_and_nothing_doubles(order, archive):
    forgotten = []

    def forget(asked):
        if asked.get("resumptionToken") == "|4" and not forgotten:
            forgotten.append(asked)
            return 200, {}, '<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"><error code="badResumptionToken">gone</error></OAI-PMH>'
        return None

    archive.mood.before = forget
    run = to_the_end(order())
    assert (run.status, run.n_restarts, told(run), Dataset.objects.count()) == ("done", 1, {"new": 4, "refused": 1}, 4)


@pytest.mark.long
def test_silence_is_waited_for_and_then_told_in_words(order, ben, archive, settings):
    archive.mood.before = lambda _: (503, {"Retry-After": "900"}, "")
    run = order()
    harvests.go_on(run.pk)
    run.refresh_from_db()
    assert (run.status, run.n_attempts) == ("running", 1)
    assert "answers 503" in run.error
    assert run.due_at > timezone.now() + dt.timedelta(minutes=14)  # as long as it asks for
    Harvest.objects.filter(pk=run.pk).update(due_at=timezone.now(), n_attempts=harvests.MOST_ATTEMPTS - 1)
    harvests.go_on(run.pk)
    run.refresh_from_db()
    assert run.status == "failed"
    assert [queue.kind for queue in waiting.queues_of(ben)] == ["harvest-failed"]
    archive.mood = Mood()
    harvests.retry(run, user=ben)
    assert to_the_end(run).status == "done"
    assert waiting.queues_of(ben) == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ('<error code="cannotDisseminateFormat">only oai_dc</error>', "not give its records in this format. It says: only oai_dc"),
        ('<error code="noSetHierarchy"/>', "has no sets"),
        ("<ListRecords><resumptionToken>again</resumptionToken></ListRecords>", "repeats itself"),
    ],
)
def test_a_provider_that_refuses_ends_it_with_words(order, archive, answer, words):
    body = f'<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">{answer}</OAI-PMH>'
    archive.mood.before = lambda asked: (200, {}, body) if asked["verb"] == "ListRecords" else None
    run = to_the_end(order())
    assert run.status == "failed"
    assert words in run.error


def test_a_private_network_is_not_asked_and_who_lost_the_role_harvests_no_more(order, ben, archive, settings):
    run = order()
    settings.LINK_NETWORKS = []
    harvests.go_on(run.pk)
    run.refresh_from_db()
    assert run.status == "failed", "it will not change by waiting"
    assert "private network" in run.error
    assert "CAUSEWAY_LINK_NETWORKS" in run.error
    with pytest.raises(InvalidError) as refused:  # said at once where no name has to be looked up
        order(set_spec="other")
    assert set(refused.value.fields) == {"base_url"}
    assert archive.seen == []
    settings.LINK_NETWORKS = ["127.0.0.0/8"]
    harvests.retry(run, user=ben)
    RoleGrant.objects.filter(principal=ben.pk).delete()
    harvests.go_on(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error) == ("failed", "Only stewards and operators register datasets.")
    assert archive.seen == []


def test_a_go_has_a_limit_and_another_goes_on_from_there(order, ben, archive, browser, monkeypatch):
    monkeypatch.setattr(harvests, "MOST_RECORDS", 2)
    run = to_the_end(order())
    assert (run.status, run.n_listed, run.token) == ("paused", 2, "|2")
    words = "2 records in 1 pages are as many as one go takes"
    assert words in run.error
    assert words in browser(ben).get(run.get_absolute_url()).content.decode()
    assert [one.note for queue in waiting.queues_of(ben) for one in queue.items if queue.kind == "harvest-failed"] == [run.error]
    archive.seen.clear()
    harvests.resume(run, user=ben)
    assert to_the_end(run).status == "paused"
    assert [one.get("resumptionToken") for one in archive.seen] == ["|2"]
    harvests.resume(run, user=ben)
    assert (to_the_end(run).status, told(run)) == ("done", {"new": 4, "refused": 1})


def test_a_provider_that_forgot_its_list_while_a_go_waited_is_asked_past_the_limit(order, ben, archive, monkeypatch):
    monkeypatch.setattr(harvests, "MOST_RECORDS", 2)
    run = to_the_end(order())
    forgotten = '<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"><error code="badResumptionToken"/></OAI-PMH>'
    answers = iter([(200, {}, forgotten)])
    archive.mood.before = lambda _: next(answers, None)
    harvests.resume(run, user=ben)
    run = to_the_end(run)
    assert (run.status, run.n_restarts, run.n_listed, sum(told(run).values())) == ("paused", 1, 4, 4)
    harvests.resume(run, user=ben)
    assert (to_the_end(run).status, told(run)) == ("done", {"new": 4, "refused": 1})


def test_parts_without_a_place_are_summed_up_page_by_page_and_listed_in_pages(order, ben, browser, monkeypatch, archive):
    monkeypatch.setattr(harvest_api, "PAGE", 1)
    run = order()
    sums = []
    while harvests.go_on(run.pk) and Harvest.objects.get(pk=run.pk).is_working:
        sums.append(harvests.unplaced(run)[0].n_records)
    assert sums == [2, 4]
    run.refresh_from_db()
    assert harvests.unplaced(run)[0].n_records == 5
    HarvestedPart.objects.create(harvest=run, path="a", n_records=1, words="x")
    client, url, paths = browser(ben), f"/api/v1/harvests/{run.pk}/unmapped", []
    while url:
        answer = client.get(url).json()
        paths += [one["path"] for one in answer["results"]]
        url = answer["next"]
    assert paths == sorted(one.path for one in run.parts.all())
    assert len(paths) > 1
    harvests.anew(run, user=ben)
    assert not harvests.unplaced(run)
    assert harvests.unplaced(to_the_end(run))[0].n_records == 5


def test_what_is_wrong_with_an_order_is_told_at_once_and_a_repeat_makes_no_second(order, ada, ben, dee, archive):
    with pytest.raises(InvalidError) as refused:
        harvests.order(user=ben, base_url="ftp://x", prefix="marc", since="yesterday", until="2026-01")
    assert set(refused.value.fields) == {"base_url", "prefix", "since", "until"}
    with pytest.raises(InvalidError) as refused:
        order(until="2026-01-01", every="daily", set_spec="s" * 201)
    assert set(refused.value.fields) == {"until", "set"}
    with pytest.raises(ForbiddenError):
        harvests.order(user=ada, base_url=archive.url)
    first = order(set_spec="seas")
    assert order(set_spec="seas").pk == first.pk
    with pytest.raises(ConflictError):
        order(set_spec="seas", since="2026-01-01")
    assert harvests.find_harvest(dee, first.pk) == first
    with pytest.raises(ForbiddenError):
        harvests.find_harvest(ada, first.pk)
    with pytest.raises(NotFoundError):
        harvests.find_harvest(ben, first.pk + 1_000)


def test_the_pages_order_show_and_act(db, ben, archive, browser):
    client = browser(ben)
    wrong = client.post("/steward/harvests/", {"base_url": "x", "prefix": "oai_dc", "every": "never"})
    assert (wrong.status_code, b"without a question mark" in wrong.content) == (400, True)
    made = client.post("/steward/harvests/", {"base_url": archive.url, "prefix": "oai_dc", "every": "never"})
    run = Harvest.objects.get()
    assert made.headers["Location"] == run.get_absolute_url()
    harvests.go_on(run.pk)
    shown = client.get(run.get_absolute_url()).content.decode()
    assert "2 of 5 records" in shown
    client.post(f"{run.get_absolute_url()}pause/")
    assert "Go on" in client.get(run.get_absolute_url()).content.decode()
    client.post(f"{run.get_absolute_url()}resume/")
    client.post(f"{run.get_absolute_url()}calendar/", {"every": "monthly"})
    to_the_end(run)
    assert run.next_at is not None
    shown = client.get(f"{run.get_absolute_url()}?act=refused").content.decode()
    assert ("Sea Archive" in shown, "Sea Office" in shown, "Harvest what changed since" in shown) == (True, True, True)
    assert "Sea Archive" in client.get("/steward/harvests/").content.decode()
    client.post(f"{run.get_absolute_url()}again/")
    run.refresh_from_db()
    assert run.status == "queued"


def test_a_dry_run_reports_what_would_come_and_makes_nothing_until_it_is_imported(order, ben, archive):
    run = to_the_end(order(is_dry_run=True, every="daily"))
    assert (run.status, run.is_dry_run, told(run), run.next_at, run.harvested_until) == ("done", True, {"new": 4, "refused": 1}, None, "")
    seen = harvests.lines(run, act="new", limit=10)[0]
    assert (seen.title, seen.dataset, Dataset.with_bin.count()) == ("One", None, 0)
    assert harvests.unplaced(run)[0].n_records == 5
    harvests.import_seen(run, user=ben)
    to_the_end(run)
    assert (run.is_dry_run, told(run), Dataset.objects.count()) == (False, {"new": 4, "refused": 1}, 4)
    assert run.next_at is not None
    with pytest.raises(IllegalMoveError):
        harvests.import_seen(run, user=ben)

    archive.records[0].title, archive.records[0].stamp, archive.mood.now = "One, mended", "2026-07-01", "2026-08-01T00:00:00Z"
    archive.seen.clear()
    to_the_end(harvests.look(run, user=ben))
    run.refresh_from_db()
    assert (archive.seen[1]["from"], told(run), run.harvested_until) == ("2026-06-01", {"changed": 1}, "2026-06-01T00:00:00Z")
    assert harvests.lines(run, limit=1)[0].changed
    assert (Dataset.objects.filter(title="One, mended").count(), run.next_at is not None) == (0, True)
    harvests.import_seen(run, user=ben)
    to_the_end(run)
    assert (told(run), Dataset.objects.filter(title="One, mended").count()) == ({"changed": 1}, 1)


def test_the_pages_preview_then_import(db, ben, archive, browser):
    client = browser(ben)
    asked = {"base_url": archive.url, "prefix": "oai_dc", "every": "never"}
    assert client.post("/steward/harvests/", {**asked, "act": "look"}).status_code == 302
    run = Harvest.objects.get()
    assert client.post("/steward/harvests/", asked).status_code == 409  # the same as a harvest, while the preview is open
    to_the_end(run)
    shown = client.get(run.get_absolute_url()).content.decode()
    assert ("Nothing was made yet" in shown, "Would be a draft" in shown, "Import 4 records as drafts" in shown) == (True, True, True)
    assert "Preview" in client.get("/steward/harvests/").content.decode()
    client.post(f"{run.get_absolute_url()}import/")
    to_the_end(run)
    assert (Dataset.objects.count(), "Nothing was made" in client.get(run.get_absolute_url()).content.decode()) == (4, False)


def test_the_api_orders_shows_and_acts(db, ben, archive, browser):
    client = browser(ben)
    asked = {"base_url": archive.url, "set": "seas", "every": "daily"}
    made = client.post("/api/v1/harvests", asked, content_type="application/json")
    assert (made.status_code, made.json()["status"], made.json()["set"]) == (202, "queued", "seas")
    where = made.headers["Location"]
    assert client.post("/api/v1/harvests", asked, content_type="application/json").headers["Location"] == where
    to_the_end(Harvest.objects.get())
    one = client.get(where).json()
    assert (one["status"], one["n_records"]["new"], one["unmapped"][0]["n_records"]) == ("done", 4, 5)
    lines = client.get(f"{where}/records?act=new").json()["results"]
    assert (lines[0]["identifier"], lines[0]["dataset"], len(lines)) == ("oai:sea:1", "one", 4)
    assert client.patch(where, {"every": "never"}, content_type="application/json").json()["next_at"] is None
    assert client.post(f"{where}/anew").json()["status"] == "queued"
    assert client.post(f"{where}/retry").status_code == 409
    assert client.get(f"{where}/records?act=odd").status_code == 400
    assert len(client.get("/api/v1/harvests").json()["results"]) == 1
    seen = client.post("/api/v1/harvests", {"base_url": archive.url, "dry_run": True}, content_type="application/json")
    assert (seen.status_code, seen.json()["is_dry_run"]) == (202, True)
