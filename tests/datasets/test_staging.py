import datetime as dt
import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from datasets.curation import publishing
from datasets.errors import InvalidError, NotClaimedError, RefusedError, UnavailableError
from datasets.files import FileQuery, iterate, measure
from datasets.models import Damage, File, Folder, ListedPart, ScanRun
from datasets.scans import ingesting, merging, scanning, staging
from datasets.scans.listing import Chunk, Entry, walk
from datasets.states import ScanStatus

CHECKOUT = Path(__file__).resolve().parents[2]
# Lists as the disk does, tells each folder, and stands still at the fifth: there it is killed.
WORKER = """
    import sys, time
    from pathlib import Path
    import django
    django.setup()
    from datasets.scans import ingesting, listing, staging
    from tests.datasets.conftest import Disk
    scan_id, root, log = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    listing.SIDE_BY_SIDE = staging.ROWS_AT_ONCE = 1
    disk = Disk(root)

    def list_folder(path):
        with log.open("a") as told:
            print(path, file=told)
        while len(log.read_text().splitlines()) >= 5:
            time.sleep(0.05)
        return disk.list_folder(path)

    ingesting.run_scan(scan_id, list_folder)
"""


def parts_of(run: ScanRun) -> set[str]:
    return set(ListedPart.objects.filter(scan=run, is_last=True).values_list("path", flat=True))


def told(disk, listed: list[str]):
    def list_folder(path):
        listed.append(path)
        return disk.list_folder(path)

    return list_folder


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_a_scan_whose_worker_is_killed_while_listing_goes_on_from_the_folder_where_it_was(draft, disk, ben, tmp_path):
    version = draft(files={})
    for n in range(6):
        disk.write(f"/sea/{n}/a.nc", str(n))
        disk.write(f"/sea/{n}/below/b.nc", str(n))
    run = ingesting.request_scan(version, user=ben)
    log = tmp_path / "listed"
    with (tmp_path / "worker.log").open("wb") as words:
        worker = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WORKER), str(run.pk), str(disk.root), str(log)],
            cwd=CHECKOUT,
            env={**os.environ, "DATABASE_URL": address_of_the_test_database()},
            stdout=words,
            stderr=words,
        )
        try:
            deadline = time.monotonic() + 90
            while len(parts_of(run)) < 4:
                assert worker.poll() is None, (tmp_path / "worker.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
    kept = parts_of(run)
    ScanRun.objects.filter(pk=run.pk).update(claimed_until=timezone.now() - dt.timedelta(seconds=1))
    listed: list[str] = []
    again = ingesting.run_scan(run.pk, told(disk, listed), disk.inspect)
    assert (again.status, again.n_folders, again.n_files, again.n_new) == ("done", 13, 12, 12)
    assert len(listed) == 13 - len(kept)
    assert not {f"/sea{path}" for path in kept} & set(listed), "what was listed is not listed again"
    assert measure(version, FileQuery()).n_files == 12
    assert not ListedPart.objects.filter(scan=run).exists()


def address_of_the_test_database() -> str:
    given = connection.settings_dict
    return f"postgres://{given['USER']}:{given['PASSWORD']}@/{given['NAME']}?host={given['HOST']}"


def all_but(disk, unavailable):
    """Lists as the disk does, but for one folder."""

    def list_folder(path):
        if path == unavailable:
            raise UnavailableError("The collection does not answer.")
        return disk.list_folder(path)

    return list_folder


@pytest.fixture
def half_listed(draft, disk, ben):
    """A scan that an outage ended in the second of three folders; it is to be tried again."""
    version = draft(files={})
    for n in range(3):
        disk.write(f"/sea/{n}/a.nc", str(n))
    run = ingesting.run_scan(ingesting.request_scan(version, user=ben).pk, all_but(disk, "/sea/1/"))
    assert run.status == ScanStatus.RUNNING
    assert "/" in parts_of(run)
    return run


def go_on(run, disk) -> list[str]:
    ScanRun.objects.filter(pk=run.pk).update(claimed_until=None, due_at=timezone.now())
    listed: list[str] = []
    done = ingesting.run_scan(run.pk, told(disk, listed), disk.inspect)
    assert (done.status, done.n_files, done.n_new) == ("done", 3, 3)
    return listed


def test_a_paused_scan_goes_on_with_what_it_had_listed(half_listed, disk, ben):
    paused = scanning.pause_scan(half_listed, user=ben)
    kept = parts_of(paused)
    scanning.resume_scan(paused, user=ben)
    listed = go_on(paused, disk)
    assert "/sea/1/" in listed
    assert not {f"/sea{path}" for path in kept} & set(listed)


@pytest.mark.parametrize("reason", ["old", "moved"])
def test_a_listing_of_long_ago_or_of_another_place_is_not_gone_on_with(half_listed, disk, reason):
    changed = {"old": {"listed_at": timezone.now() - staging.KEPT}, "moved": {"listed_from": "elsewhere"}}[reason]
    ScanRun.objects.filter(pk=half_listed.pk).update(**changed)
    assert set(go_on(half_listed, disk)) == {"/sea/", "/sea/0/", "/sea/1/", "/sea/2/"}


@pytest.mark.parametrize(("hours", "is_kept"), [(11, True), (13, False)])
def test_published_files_are_held_against_no_listing_of_yesterday(published, disk, ben, hours, is_kept):
    version = published(files={"/a": "1", "/below/b": "2"})
    run = ingesting.run_scan(ingesting.request_scan(version, user=ben).pk, all_but(disk, "/sea/below/"))
    paused = scanning.pause_scan(run, user=ben)
    ScanRun.objects.filter(pk=run.pk).update(listed_at=timezone.now() - dt.timedelta(hours=hours))
    scanning.resume_scan(paused, user=ben)
    listed: list[str] = []
    assert ingesting.run_scan(run.pk, told(disk, listed), disk.inspect).status == "done"
    assert listed == (["/sea/below/"] if is_kept else ["/sea/", "/sea/below/"])


def test_a_discarded_draft_keeps_no_listing(published, disk, ben):
    version = publishing.open_draft(published(files={"/a": "1"}).dataset, user=ben)

    disk.write("/sea/below/b")
    run = ingesting.run_scan(ingesting.request_scan(version, user=ben).pk, all_but(disk, "/sea/below/"))
    assert parts_of(run)
    publishing.discard_draft(version, user=ben)
    run.refresh_from_db()
    assert (parts_of(run), run.listed_at) == (set(), None)


def test_formats_of_a_folder_are_of_its_files(draft, disk, ben):
    one, many = ["a.nc", "b.NC", "c.nc4"], ["a.nc", "b.csv", "c", "d.odd", "e.nc"]
    version = draft(files={**{f"/one/{name}": "1" for name in one}, **{f"/many/{name}": "1" for name in many}})
    names = ["NetCDF"] * 3, ["NetCDF", "CSV", "", "", "NetCDF"]
    for _ in range(2):
        found = [row.format for row in iterate(version, FileQuery())]
        assert found == [*names[1], *names[0]], "those of many come before those of one"
        File.objects.filter(folder__dataset=version.dataset, name="e.nc").delete()
        ingesting.scan(version, disk.list_folder, user=ben)


def test_listings_that_nobody_went_on_with_are_taken_away(half_listed):
    staging.forget_old()
    assert parts_of(half_listed)
    ScanRun.objects.filter(pk=half_listed.pk).update(listed_at=timezone.now() - staging.KEPT, claimed_until=None)
    staging.forget_old()
    assert not parts_of(half_listed)


def test_a_cancelled_scan_keeps_no_listing(half_listed, ben):
    scanning.cancel_scan(half_listed, user=ben)
    assert not ListedPart.objects.filter(scan=half_listed).exists()


def test_a_worker_that_lost_its_claim_keeps_nothing_of_what_it_lists(draft, disk, ben):
    version = draft(files={})
    run = ingesting.request_scan(version, user=ben)
    with ScanRun.objects.due(timezone.now()).claim(run.pk, expected=["queued"]) as held:
        staged = staging.Staging.open(held, version.primary_location)
        ScanRun.objects.filter(pk=run.pk).update(claim_id=uuid.uuid4())
        staged.add(ingesting.walk(disk.list_folder, "/sea/").__next__())
        with pytest.raises(NotClaimedError):
            staged.write()
    assert not ListedPart.objects.filter(scan=run).exists()


def test_a_listing_of_which_a_crash_took_a_part_is_compared_with_nothing_and_begins_anew(draft, disk, ben):
    version = draft(files={"/a": "1", "/below/b": "2"})
    before = {row.path for row in iterate(version, FileQuery())}
    run = ingesting.request_scan(version, user=ben)
    with ScanRun.objects.due(timezone.now()).claim(run.pk, expected=["queued"]) as held:
        staged = staging.Staging.open(held, version.primary_location)
        for chunk in walk(disk.list_folder, "/sea/", staged.waiting):
            staged.add(chunk)
            staged.write()
            ListedPart.objects.filter(scan=run, path="/").delete()
        staged.finish()
        for compare in (merging.report, merging.merge):
            with pytest.raises(staging.ListingLostError):
                compare(version, run.pk)
        assert staging.Staging.open(held, version.primary_location).waiting == ["/"]
    assert parts_of(run) == set()
    assert {row.path for row in iterate(version, FileQuery())} == before
    done = ingesting.run_scan(run.pk, disk.list_folder, disk.inspect)
    assert (done.status, done.n_folders, done.n_files, done.n_differences) == ("done", 2, 2, 0)


def test_parts_of_a_huge_folder_that_a_crash_took_are_missed_as_well(draft, ben):
    version = draft(files={})
    run = ingesting.request_scan(version, user=ben)
    with ScanRun.objects.due(timezone.now()).claim(run.pk, expected=["queued"]) as held:
        staged = staging.Staging.open(held, version.primary_location)
        staged.add(Chunk("/", [Entry("a", is_folder=False)], is_last=False))
        staged.write()
        ListedPart.objects.filter(scan=run).delete()
        staged.add(Chunk("/", [Entry("b", is_folder=False)], is_last=True))
        staged.finish()
        with pytest.raises(staging.ListingLostError):
            staging.check_whole(run.pk)


def test_what_is_below_a_folder_that_was_not_listed_to_its_end_is_listed_once(draft, ben):
    version = draft(files={})
    run = ingesting.request_scan(version, user=ben)
    with ScanRun.objects.due(timezone.now()).claim(run.pk, expected=["queued"]) as held:
        staged = staging.Staging.open(held, version.primary_location)
        staged.add(Chunk("/", [Entry("a", is_folder=True), Entry("b", is_folder=True)], is_last=True))
        staged.add(Chunk("/a/", [Entry("c", is_folder=True)], is_last=False))
        staged.add(Chunk("/a/c/", [Entry("gone", is_folder=False)], is_last=True))
        staged.add(Chunk("/b/", [Entry("d", is_folder=False)], is_last=True))
        staged.write()
        again = staging.Staging.open(held, version.primary_location)
        assert (again.waiting, again.n_folders, again.n_files) == (["/a/"], 2, 1)
        assert staging.Staging.open(held, version.primary_location).waiting == ["/a/"]


def test_a_scan_that_is_cancelled_while_it_compares_finds_nothing_missing(published, disk, ben):
    version = published(files={"/a": "1", "/below/b": "2"})
    run = ingesting.request_scan(version, user=ben)
    ended = []

    def cancel_before_it_compares(execute, sql, *rest):
        if sql.startswith("analyze datasets_listedpart"):
            ended.append(scanning.cancel_scan(ScanRun.objects.get(pk=run.pk), user=ben))
        return execute(sql, *rest)

    with connection.execute_wrapper(cancel_before_it_compares):
        assert ingesting.run_scan(run.pk, disk.list_folder, disk.inspect) is None
    run.refresh_from_db()
    version.refresh_from_db()
    assert (len(ended), run.status, run.error) == (1, "cancelled", "")
    assert not Damage.objects.filter(dataset=version.dataset).exists()
    assert (version.damage, version.alarms.count()) == ("", 0)


def test_a_scan_that_failed_after_its_listing_lists_anew(draft, disk, ben):
    version = draft(files={"/a": "1"})
    disk.write("/sea/b", "2")

    def refuse(paths):
        raise RefusedError("No reader here.")

    run = ingesting.scan(version, disk.list_folder, refuse, user=ben)
    assert run.status == ScanStatus.FAILED
    disk.write("/sea/b", "longer than it was")
    ingesting.retry_scan(run, user=ben)
    assert ingesting.run_scan(run.pk, disk.list_folder, disk.inspect).status == "done"
    assert {row.path: row.size_bytes for row in iterate(version, FileQuery())} == {"/a": 1, "/b": 18}


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\0", "a\udc80"], ids=["empty", "up", "slash", "nul", "half a pair"])
def test_a_name_that_no_path_can_hold_is_refused_in_words(name):
    with pytest.raises(InvalidError, match="no path can hold"):
        list(walk(lambda path: iter([Entry(name, is_folder=False)]), "/"))


ODD = ['"', "\\", '\\"', "{", "}", "a,b", "NULL", "null", " ", "\t", "\n", "\r\n", "\\N", "ü", "'", '""', "\\.", "%s", "{}"]


def test_names_of_any_kind_are_kept_as_they_are(draft, ben):
    version = draft(files={})

    def list_folder(path):
        if path == "/sea/":
            return iter([Entry(name, is_folder=True) for name in ODD])
        return iter([Entry(name, is_folder=False, size_bytes=at) for at, name in enumerate(ODD)])

    run = ingesting.scan(version, list_folder, user=ben)
    assert (run.status, run.n_files) == ("done", len(ODD) ** 2)
    found = {row.path: row.size_bytes for row in iterate(version, FileQuery())}
    assert found == {f"/{folder}/{name}": at for folder in ODD for at, name in enumerate(ODD)}


def test_times_of_any_kind_are_kept_to_the_microsecond(draft, ben):
    version = draft(files={})
    east = dt.timezone(dt.timedelta(hours=5, minutes=30))
    moments = [
        dt.datetime(1, 1, 2, tzinfo=dt.UTC),
        dt.datetime(999, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC),
        dt.datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=dt.UTC),
        dt.datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=east),
        None,
    ]
    entries = [Entry(f"{at}", is_folder=False, modified_at=moment) for at, moment in enumerate(moments)]
    ingesting.scan(version, lambda _: iter(entries), user=ben)
    assert [row.modified_at for row in iterate(version, FileQuery())] == moments


def test_a_name_that_is_listed_twice_is_one_file(draft, ben):
    version = draft(files={})
    entries = [Entry("b", is_folder=False), Entry("a", is_folder=False), Entry("b", is_folder=False), Entry("d", is_folder=True)] * 2
    run = ingesting.scan(version, lambda path: iter(entries if path == "/sea/" else []), user=ben)
    assert run.status == "done"
    assert [row.path for row in iterate(version, FileQuery())] == ["/a", "/b"]


def test_a_file_has_a_folder_that_is_there(draft):
    folder = draft().dataset.folders.get(path="/")
    absent = Folder.objects.latest("id").pk + 1_000_000
    rows = [File(folder_id=pk, name="x", first_version=1, size_bytes=0) for pk in (folder.pk, absent)]
    for refused in (
        lambda: File.objects.bulk_create(rows),
        lambda: File.objects.filter(folder=folder).update(folder_id=absent),
        lambda: Folder.objects.filter(pk=folder.pk)._raw_delete(using="default"),
    ):
        with pytest.raises(IntegrityError, match="folder"), transaction.atomic():
            refused()
    assert File.objects.filter(folder=folder).count() == 1


def test_folders_are_truncated_with_their_files_alone(draft):
    draft()
    with connection.cursor() as cursor:
        cursor.execute("set constraints all immediate")
        with pytest.raises(IntegrityError, match="together with datasets_file"), transaction.atomic():
            cursor.execute("truncate datasets_folder cascade")
        cursor.execute("truncate datasets_folder, datasets_file cascade")
    assert not Folder.objects.exists()
