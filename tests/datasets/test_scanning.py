import contextlib
import datetime as dt
import json
import resource

import psycopg2
import pytest
from django.db import connection
from django.utils import timezone

from datasets.curation import publishing, registering
from datasets.errors import ConflictError, ForbiddenError, IllegalMoveError
from datasets.files import FileQuery, iterate, measure
from datasets.files.recounting import n_without_checksum, root_state
from datasets.models import ScanRun
from datasets.preservation import watching
from datasets.scans import ingesting, scanning
from datasets.states import ScanStatus
from tests.datasets.conftest import COLLECTION

MOMENT = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def paths(version) -> set[str]:
    return {row.path for row in iterate(version, FileQuery())}


def reported(version, disk, ben) -> ScanRun:
    """A scan that ran and waits for its answer."""
    run = ingesting.run_scan(ingesting.request_scan(version, user=ben).pk, disk.list_folder, disk.inspect)
    assert run is not None
    assert run.status == ScanStatus.REPORTED, run.error
    return run


@pytest.fixture
def rewritten(draft, disk):
    """A draft whose folder has one new, one changed, one touched and one missing file since its scan."""
    version = draft(files={"/a": "1", "/b/c": "22", "/b/d": "333", "/e": "4"})
    disk.write("/sea/new/f", "55555")
    disk.write("/sea/b/c", "2222", day=5)
    disk.touch("/sea/b/d", day=5)
    disk.remove("/sea/e")
    return version


def test_a_scan_of_a_filled_draft_ends_in_a_report_and_takes_nothing(rewritten, disk, ben):
    run = reported(rewritten, disk, ben)
    assert (run.n_new, run.n_changed, run.n_missing) == (1, 2, 1)
    assert {total.kind: (total.n_files, total.size_bytes) for total in scanning.totals(run)} == {
        "new": (1, 5), "changed": (1, 4), "touched": (1, 3), "missing": (1, 1),
    }  # fmt: skip
    (change,) = scanning.list_changes(run, kind="changed").changes
    assert (change.path, change.old_size_bytes, change.size_bytes) == ("/b/c", 2, 4)
    assert paths(rewritten) == {"/a", "/b/c", "/b/d", "/e"}
    assert n_without_checksum(rewritten) == 0


def test_an_accepted_report_is_taken_as_a_whole_and_read_near_the_data(rewritten, disk, ben):
    run = reported(rewritten, disk, ben)
    scanning.accept_scan(run, user=ben)
    disk.write("/sea/later", "not in the report")
    run = ingesting.run_scan(run.pk, disk.list_folder, disk.inspect)
    assert (run.status, run.accepted_by, run.n_new, run.n_missing) == ("done", ben, 1, 1)
    assert paths(rewritten) == {"/a", "/b/c", "/b/d", "/new/f"}
    assert measure(rewritten, FileQuery()).size_bytes == 1 + 4 + 3 + 5
    assert n_without_checksum(rewritten) == 0
    assert [event.new for event in run.events.all()] == ["running", "reported", "queued", "running", "done"]


def test_a_discarded_report_leaves_the_draft_and_the_next_scan_finds_the_same(rewritten, disk, ben):
    run = reported(rewritten, disk, ben)
    scanning.discard_report(run, user=ben)
    assert paths(rewritten) == {"/a", "/b/c", "/b/d", "/e"}
    assert scanning.list_changes(run, kind="new").changes
    again = reported(rewritten, disk, ben)
    assert again.pk != run.pk
    assert (again.n_new, again.n_changed, again.n_missing) == (1, 2, 1)
    assert not scanning.list_changes(run, kind="new").changes, "a report is kept until the next one"
    with pytest.raises(IllegalMoveError):
        scanning.accept_scan(run, user=ben)


def test_the_report_on_a_new_version_leaves_the_published_one_alone(published, disk, ben):
    version = published(files={"/a": "1", "/b": "2"})
    following = publishing.open_draft(version.dataset, user=ben)
    disk.write("/sea/c", "3")
    run = reported(following, disk, ben)
    with pytest.raises(ConflictError):
        publishing.publish(following, user=ben)
    scanning.accept_scan(run, user=ben)
    ingesting.run_scan(run.pk, disk.list_folder, disk.inspect)
    assert (paths(version), paths(following)) == ({"/a", "/b"}, {"/a", "/b", "/c"})


@pytest.mark.parametrize(
    ("chosen", "of_empty", "of_filled"), [("first", "done", "reported"), ("never", "reported", "reported"), ("always", "done", "done")]
)
def test_the_dataset_says_what_becomes_of_what_a_scan_finds(ben, disk, chosen, of_empty, of_filled):
    version = registering.register(user=ben, slug="sea", title="Sea")
    registering.place(version, user=ben, collection_id=COLLECTION, base_path="/sea/")
    watching.change_watch(version.dataset, user=ben, acceptance=chosen)
    disk.write("/sea/a", "1")
    run = ingesting.run_scan(ingesting.request_scan(version, user=ben).pk, disk.list_folder, disk.inspect)
    assert run.status == of_empty
    if run.status == ScanStatus.REPORTED:
        scanning.accept_scan(run, user=ben)
        assert ingesting.run_scan(run.pk, disk.list_folder, disk.inspect).status == "done"
    disk.write("/sea/b", "2")
    assert ingesting.run_scan(ingesting.request_scan(version, user=ben).pk, disk.list_folder, disk.inspect).status == of_filled


def test_a_scan_that_finds_nothing_new_asks_nobody(draft, disk, ben):
    version = draft(files={"/a": "1"})
    run = ingesting.run_scan(ingesting.request_scan(version, user=ben).pk, disk.list_folder, disk.inspect)
    assert (run.status, run.n_differences) == ("done", 0)


def test_a_scan_is_paused_while_it_reads_and_goes_on_where_it_stopped(draft, disk, ben):
    version = draft(files={})
    for number in range(120):
        disk.write(f"/sea/{number:03}", str(number))
    run, asked = ingesting.request_scan(version, user=ben), []

    def inspect(some):
        for answer in disk.inspect(some):
            if len(asked) == 60:
                scanning.pause_scan(ScanRun.objects.get(pk=run.pk), user=ben)
            asked.append(answer.path)
            yield answer

    assert ingesting.run_scan(run.pk, disk.list_folder, inspect) is None
    run.refresh_from_db()
    assert (run.status, run.n_inspected) == ("paused", 50)
    assert ingesting.run_scan(run.pk, disk.list_folder, disk.inspect) is None
    first = len(asked)
    scanning.resume_scan(run, user=ben)
    run = ingesting.run_scan(run.pk, disk.list_folder, inspect)
    assert (run.status, run.n_inspected, len(asked) - first) == ("done", 120, 70)


def test_a_cancelled_scan_takes_nothing_and_another_may_be_asked_for(draft, disk, ben):
    version = draft(files={"/a": "1"})
    disk.write("/sea/b", "2")
    run = ingesting.request_scan(version, user=ben)

    def list_folder(path):
        entries = list(disk.list_folder(path))
        scanning.cancel_scan(ScanRun.objects.get(pk=run.pk), user=ben)
        return iter(entries)

    entries = {"/sea/": list(list_folder("/sea/"))}  # in this thread, whose transaction the others do not see
    assert ingesting.run_scan(run.pk, entries.__getitem__, disk.inspect) is None
    run.refresh_from_db()
    assert (run.status, paths(version)) == ("cancelled", {"/a"})
    assert ingesting.request_scan(version, user=ben).pk != run.pk


def test_what_was_taken_before_a_cancellation_is_counted(draft, disk, ben):
    version = draft(files={})
    disk.write("/sea/a", "123")
    run = ingesting.request_scan(version, user=ben)

    def inspect(some):
        scanning.cancel_scan(ScanRun.objects.get(pk=run.pk), user=ben)
        return disk.inspect(some)

    assert ingesting.run_scan(run.pk, disk.list_folder, inspect) is None
    assert (root_state(version).n_files, root_state(version).size_bytes) == (1, 3)


def test_a_location_with_an_open_report_does_not_move_away_under_it(rewritten, disk, ben):
    reported(rewritten, disk, ben)
    with pytest.raises(ConflictError):
        registering.place(rewritten, user=ben, collection_id=COLLECTION, base_path="/elsewhere/")


def test_only_its_curators_answer_a_report(rewritten, disk, ben, ada):
    run = reported(rewritten, disk, ben)
    for verb in (scanning.accept_scan, scanning.discard_report, scanning.pause_scan, scanning.cancel_scan):
        with pytest.raises(ForbiddenError):
            verb(run, user=ada)


def test_a_report_is_paged_and_answered_by_the_api(draft, disk, ben, browser):
    version = draft(files={"/a": "1"})
    for number in range(5):
        disk.write(f"/sea/new/{number}", "x")
    run = reported(version, disk, ben)
    client, address = browser(ben), f"/api/v1/datasets/sea/versions/1/scans/{run.pk}/"
    for number in ("0", "x", "9" * 5000):
        assert client.get(f"{address}changes/?limit={number}").json()["fields"].keys() == {"limit"}
    first = client.get(f"{address}changes/?kind=new&limit=3").json()
    rest = client.get(first["next"]).json()
    assert first["totals"]["new"] == {"n_files": 5, "size_bytes": 5}
    assert [line["path"] for line in first["results"] + rest["results"]] == [f"/new/{number}" for number in range(5)]
    assert rest["next"] is None
    assert client.get(f"{address}changes/?kind=odd").status_code == 400
    assert client.post(f"{address}pause/").status_code == 409
    assert client.post(f"{address}accept/").json()["status"] == "queued"
    assert ScanRun.objects.due(timezone.now()).filter(pk=run.pk).exists()
    answer = client.patch("/api/v1/datasets/sea/watch/", json.dumps({"acceptance": "odd"}), content_type="application/json")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["acceptance"])


def test_a_report_is_read_and_answered_in_the_browser(rewritten, disk, ben, browser):
    run = reported(rewritten, disk, ben)
    client = browser(ben)
    assert run.get_absolute_url() in client.get("/steward/datasets/sea/").content.decode()
    shown = client.get(run.get_absolute_url()).content.decode()
    assert "Nothing is taken into the draft yet" in shown
    assert "/new/f" in shown
    assert "/e" in client.get(f"{run.get_absolute_url()}?kind=missing").content.decode()
    assert client.post(f"{run.get_absolute_url()}accept/").status_code == 302
    assert ScanRun.objects.get(pk=run.pk).status == "queued"
    assert client.post("/steward/datasets/sea/watch/", {"acceptance": "always"}).status_code == 302
    assert watching.watch_of(rewritten.dataset).acceptance == "always"


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_a_million_files_are_listed_reported_and_taken_in_flat_memory(ben):
    """1,000 folders of 1,000 files; then 1,000 other files. What this process holds at its most grows by less than 150 MB."""
    version = registering.register(user=ben, slug="sea", title="Sea")
    registering.place(version, user=ben, collection_id=COLLECTION, base_path="/")
    changed: set[str] = set()

    def list_folder(path):
        if path == "/":
            return (ingesting.Entry(f"{number:03}", is_folder=True) for number in range(1000))
        size = 2 if path in changed else 1
        return (ingesting.Entry(f"{number:03}.nc", is_folder=False, size_bytes=size, modified_at=MOMENT) for number in range(1000))

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run = ingesting.run_scan(ingesting.request_scan(version, user=ben).pk, list_folder)
    assert (run.status, run.n_new) == ("done", 1_000_000)
    changed.add("/500/")
    run = ingesting.run_scan(ingesting.request_scan(version, user=ben).pk, list_folder)
    assert (run.status, run.n_new, run.n_changed) == ("reported", 0, 1000)
    scanning.accept_scan(run, user=ben)
    assert ingesting.run_scan(run.pk, list_folder).status == "done"
    assert measure(version, FileQuery()).size_bytes == 1_001_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # KiB on Linux


@pytest.mark.django_db(transaction=True)
def test_who_cancels_while_files_are_taken_is_told_to_wait_and_does_not(draft, disk, ben, browser, monkeypatch):
    monkeypatch.setattr(scanning, "LONGEST_WAIT_MS", 50)
    version = draft(files={})
    run = ingesting.request_scan(version, user=ben)
    address = f"/api/v1/datasets/sea/versions/1/scans/{run.pk}/cancel"
    with contextlib.closing(psycopg2.connect(**connection.get_connection_params())) as worker:
        worker.cursor().execute("update datasets_scanrun set step = 'comparing' where id = %s", [run.pk])
        refused = browser(ben).post(address)
        assert (refused.status_code, refused.json()["detail"].startswith("What was found is being taken")) == (409, True)
        worker.rollback()
    assert browser(ben).post(address).status_code == 202
    assert scanning.find_scan(version, run.pk, user=ben).status == "cancelled"
