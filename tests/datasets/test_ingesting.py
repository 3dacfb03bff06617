import datetime as dt
import random
import threading
import uuid

import pytest
from django.utils import timezone

from datasets.curation import publishing
from datasets.errors import ForbiddenError, NotClaimedError, NotReadyError, RefusedError, UnavailableError
from datasets.files import FileQuery, iterate, measure
from datasets.files.recounting import n_without_checksum
from datasets.models import File, ScanRun
from datasets.scans import ingesting
from datasets.scans.inspecting import Inspected
from datasets.scans.listing import Entry, walk
from datasets.states import ScanStatus
from datasets.sweeping import sweep
from tests.datasets.conftest import scan


def content(version) -> dict[str, tuple[int, str]]:
    return {row.path: (row.size_bytes, row.sha256[:6]) for row in iterate(version, FileQuery())}


def test_a_scan_finds_everything_with_checksums(draft, disk):
    files = {f"/{n % 3}/{n}.nc": str(n) for n in range(30)} | {"/ünïcode \t\\N.txt": "odd", "/top": ""}
    version = draft(files=files)
    run = version.scans.get()
    assert (run.n_files, run.n_new, run.n_inspected, run.n_folders) == (32, 32, 32, 4)
    assert set(content(version)) == set(files)
    assert all(checksum for _, checksum in content(version).values())
    assert measure(version, FileQuery()).n_files == 32


def test_a_second_scan_touches_only_what_changed(draft, disk, ben):
    version = draft(files={f"/{n}.nc": str(n) for n in range(20)})
    rows = {row.name: row.pk for row in File.objects.all()}
    asked: list[str] = []

    def inspect(paths):
        asked.extend(paths)
        return disk.inspect(paths)

    run = ingesting.scan(version, disk.list_folder, inspect, user=ben)
    assert (run.n_new, run.n_changed, run.n_missing, asked) == (0, 0, 0, [])
    disk.write("/sea/new.nc", "n")
    disk.write("/sea/3.nc", "other", day=9)
    disk.remove("/sea/4.nc")
    run = ingesting.scan(version, disk.list_folder, inspect, user=ben)
    assert (run.n_new, run.n_changed, run.n_missing) == (1, 1, 1)
    assert sorted(asked) == ["/sea/3.nc", "/sea/new.nc"]
    kept = {row.name: row.pk for row in File.objects.all()}
    assert all(kept[name] == rows[name] for name in rows if name != "4.nc")


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(6, 200))])
def test_after_any_history_each_version_holds_what_the_disk_held(published, disk, ben, seed):
    """The invariant of validity: whatever happened between scans, a version equals the disk at its own scan."""
    dice = random.Random(seed)
    version = published(files={f"/{n % 2}/{n}": str(n) for n in range(6)})
    expected = {version.number: content(version)}
    for day in range(2, 6):
        for _ in range(dice.randrange(5)):
            path = f"/sea/{dice.randrange(2)}/{dice.randrange(9)}"
            if dice.random() < 0.3 and (disk.root / path.lstrip("/")).exists():
                disk.remove(path)
            else:
                disk.write(path, "x" * dice.randrange(4), day=dice.choice([1, day]))
        draft = publishing.open_draft(version.dataset, user=ben)
        scan(draft, disk, ben)
        if dice.random() < 0.3:
            scan(draft, disk, ben)
        on_disk = {
            f"/{path.relative_to(disk.root / 'sea')}": path.stat().st_size for path in (disk.root / "sea").rglob("*") if path.is_file()
        }
        assert {path: size for path, (size, _) in content(draft).items()} == on_disk
        if dice.random() < 0.3:
            publishing.remove_draft(draft, user=ben)
        elif on_disk:
            publishing.publish(draft, user=ben)
            expected[draft.number] = content(draft)
    for number, files in expected.items():
        kept = version.dataset.versions.get(number=number)
        assert content(kept) == files
        assert measure(kept, FileQuery()).size_bytes == sum(size for size, _ in files.values())


def test_a_file_that_was_touched_but_not_changed_is_no_change(published, disk, ben):
    version = published(files={"/a": "1", "/b": "2"})
    disk.touch("/sea/a", day=5)
    draft = publishing.open_draft(version.dataset, user=ben)
    run = scan(draft, disk, ben)
    assert run.n_changed == 0
    assert not File.objects.filter(first_version=2).exists()
    version.refresh_from_db()
    assert version.damage == ""


@pytest.mark.parametrize("is_rewritten", [True, False])
def test_a_published_file_that_was_rewritten_or_lost_marks_the_version_damaged(published, disk, ben, is_rewritten, caplog):
    version = published(files={"/a": "1", "/b": "2"})
    if is_rewritten:
        disk.write("/sea/a", "X", day=5)
    else:
        disk.remove("/sea/a")
    draft = publishing.open_draft(version.dataset, user=ben)
    scan(draft, disk, ben)
    version.refresh_from_db()
    assert version.damaged_at is not None
    assert "1" in version.damage
    assert version.dataset.events.filter(act="damage").count() == 1
    assert any(record.levelname == "ERROR" for record in caplog.records)


def test_a_rescan_of_a_published_version_compares_and_changes_nothing(published, disk, ben):
    version = published(files={"/a": "1", "/b": "2"})
    before, digest = content(version), version.digest_hex
    assert scan(version, disk, ben).n_differences == 0
    disk.write("/sea/a", "longer", day=5)
    disk.write("/sea/extra", "e")
    run = scan(version, disk, ben)
    assert (run.n_new, run.n_changed, run.n_missing) == (1, 1, 0)
    version.refresh_from_db()
    assert version.damage
    assert (content(version), version.digest_hex) == (before, digest)


def test_a_published_file_that_was_only_touched_is_no_damage_once_its_checksum_is_compared(published, disk, ben):
    version = published(files={"/a": "1", "/b": "2"})
    disk.touch("/sea/a", day=5)
    run = scan(version, disk, ben)
    assert (run.n_differences, run.n_inspected, run.n_to_check) == (0, 1, 0)
    version.refresh_from_db()
    assert version.damage == ""


def test_a_published_file_that_was_rewritten_in_its_own_size_is_damage(published, disk, ben):
    version = published(files={"/a": "1", "/b": "2"})
    disk.write("/sea/a", "X", day=5)
    run = scan(version, disk, ben)
    assert (run.n_changed, run.n_to_check) == (1, 0)
    version.refresh_from_db()
    assert "1 file is not what was published" in version.damage


@pytest.mark.parametrize("is_known", [True, False])
def test_what_a_scan_cannot_prove_is_to_be_checked_and_no_damage(draft, disk, ben, is_known):
    version = draft(files={})
    disk.write("/sea/a", "1")
    scan(version, disk, ben, is_inspected=is_known)
    publishing.publish(version, user=ben)
    disk.write("/sea/a", "X", day=5)
    run = scan(version, disk, ben, is_inspected=not is_known)
    assert (run.n_differences, run.n_to_check) == (0, 1)
    version.refresh_from_db()
    assert version.damage == ""


def test_new_files_in_the_folder_damage_nothing(published, disk, ben):
    version = published(files={"/a": "1"})
    disk.write("/sea/b", "2")
    draft = publishing.open_draft(version.dataset, user=ben)
    scan(draft, disk, ben)
    version.refresh_from_db()
    assert version.damage == ""


def test_checksums_learned_later_leave_the_published_digest_alone(draft, disk, ben):
    version = draft(files={})
    disk.write("/sea/a", "1")
    scan(version, disk, ben, is_inspected=False)
    publishing.publish(version, user=ben)
    digest = version.digest_hex
    assert n_without_checksum(version) == 1
    later = publishing.open_draft(version.dataset, user=ben)
    scan(later, disk, ben)
    publishing.publish(later, user=ben)
    assert n_without_checksum(later) == 0
    version.refresh_from_db()
    assert n_without_checksum(version) == 1
    assert (version.digest_hex, version.damage) == (digest, "")
    assert later.digest_hex != digest


def test_headers_state_variables_and_coverage_where_the_dataset_does_not(draft, disk, ben):
    version = draft(files={"/a.nc": "a", "/b.nc": "b", "/c.pp": "c"}, temporal_start="1900-01-01", temporal_end="1950-01-01")

    def inspect(paths):
        tas = {"name": "tas", "standard_name": "air_temperature", "units": "K", "dims": ["time", "lat"]}
        lat = {"name": "lat", "units": "degrees", "dims": ["lat"]}
        for path in paths:
            if path.endswith("pp"):
                yield Inspected(path, sha256="00" * 32, error="No reader for this format")
            else:
                yield Inspected(
                    path,
                    sha256="11" * 32,
                    variables=(tas, lat),
                    time_start="1990-02-30T00:00:00",
                    time_end="1999-12-30",
                    bbox=(225, 15, 315, 60),
                )

    File.objects.all().update(sha256=None, inspected_at=None)
    run = ingesting.scan(version, disk.list_folder, inspect, user=ben)
    assert (run.status, run.n_unreadable) == ("done", 1)
    dataset = version.dataset
    dataset.refresh_from_db()
    variable = dataset.variables.get()
    assert (variable.name, variable.units, variable.dimensions, variable.example_path) == ("tas", "K", ["time", "lat"], "/a.nc")
    assert dataset.bbox == (-135.0, 15.0, -45.0, 60.0)
    assert dataset.temporal_start == dt.date(1900, 1, 1)
    assert dataset.format_facet == ["Met Office PP", "NetCDF"]
    assert File.objects.get(name="c.pp").inspection_error


def test_a_file_that_could_not_be_read_is_asked_for_again_by_the_next_scan(published, disk, ben):
    version = publishing.open_draft(published(files={"/old": "o"}).dataset, user=ben)
    disk.write("/sea/a", "1")

    def unreachable(paths):
        return (Inspected(path, error="The node does not answer.") for path in paths)

    run = ingesting.scan(version, disk.list_folder, unreachable, user=ben)
    assert (run.status, run.n_unreadable) == ("done", 1)
    assert n_without_checksum(version) == 1
    scan(version, disk, ben)
    assert n_without_checksum(version) == 0
    assert File.objects.get(name="a").inspection_error == ""
    assert File.objects.count() == 2


def test_a_day_that_our_calendar_lacks_becomes_the_last_of_its_month(draft, disk, ben):
    version = draft(files={"/a.nc": "a"})
    File.objects.all().update(sha256=None, inspected_at=None)

    def inspect(paths):
        yield Inspected(paths[0], sha256="11" * 32, time_start="1990-02-30", time_end="1990-02-30", bbox=(0, -90, 360, 90))

    ingesting.scan(version, disk.list_folder, inspect, user=ben)
    version.dataset.refresh_from_db()
    assert version.dataset.temporal_start == dt.date(1990, 2, 28)
    assert version.dataset.bbox == (-180, -90, 180, 90)


def test_the_years_of_a_model_that_counts_from_one_are_no_dates(draft, disk, ben):
    version = draft(files={"/a.nc": "a"})
    File.objects.all().update(sha256=None)
    stated = Inspected("/sea/a.nc", sha256="11" * 32, time_start="0001-01-01T12:00:00", time_end="0001-01-01T12:00:00")
    ingesting.scan(version, disk.list_folder, lambda paths: iter([stated]), user=ben)
    version.dataset.refresh_from_db()
    assert version.dataset.temporal_start is None


def test_what_refuses_fails_the_scan_with_its_words_and_it_can_be_tried_again(draft, disk, ben):
    version = draft(files={"/a": "1"})

    def refuse(path):
        raise RefusedError("The portal is not access manager there.")

    run = ingesting.scan(version, refuse, user=ben)
    assert (run.status, run.error) == ("failed", "The portal is not access manager there.")
    assert content(version)
    ingesting.retry_scan(run, user=ben)
    again = ingesting.run_scan(run.pk, disk.list_folder, disk.inspect)
    assert again is not None
    assert (again.status, again.error) == ("done", "")


def test_what_is_unavailable_is_tried_again_later(draft, disk, ben):
    version = draft()

    def fail(path):
        raise UnavailableError("Globus does not answer.")

    run = ingesting.scan(version, fail, user=ben)
    assert run.is_open
    assert run.due_at > timezone.now()
    assert "Globus" in run.error
    assert ingesting.run_scan(run.pk, disk.list_folder) is None
    ScanRun.objects.filter(pk=run.pk).update(due_at=timezone.now())
    assert ingesting.run_scan(run.pk, disk.list_folder).status == "done"


def test_a_scan_gives_up_after_many_attempts(draft, disk, ben):
    run = ingesting.request_scan(draft(), user=ben)
    ScanRun.objects.filter(pk=run.pk).update(n_attempts=ingesting.MOST_ATTEMPTS)
    assert ingesting.run_scan(run.pk, disk.list_folder).status == "failed"


class KilledError(BaseException):
    """Stands for SIGKILL: nothing of ours runs after it."""


def test_a_scan_survives_a_worker_that_is_killed_while_inspecting(draft, disk, ben):
    version = draft(files={})
    for n in range(120):
        disk.write(f"/sea/{n:03}.nc", str(n))
    run = ingesting.request_scan(version, user=ben)
    asked: list[str] = []

    def inspect(paths, *, until):
        for answer in disk.inspect(paths):
            if len(asked) == until:
                raise KilledError
            asked.append(answer.path)
            yield answer

    with pytest.raises(KilledError):
        ingesting.run_scan(run.pk, disk.list_folder, lambda paths: inspect(paths, until=70))
    assert ScanRun.objects.get(pk=run.pk).status == ScanStatus.RUNNING
    assert ingesting.run_scan(run.pk, disk.list_folder, disk.inspect) is None, "its claim still holds"
    ScanRun.objects.filter(pk=run.pk).update(claimed_until=timezone.now() - dt.timedelta(seconds=1))
    first = len(asked)
    again = ingesting.run_scan(run.pk, disk.list_folder, lambda paths: inspect(paths, until=10_000))
    assert (again.status, again.n_new, again.n_inspected) == ("done", 120, 120)
    assert len(asked) - first == 70, "the 50 that were written down are not read again"
    assert n_without_checksum(version) == 0


def test_a_worker_that_lost_its_claim_writes_nothing_more(draft, disk, ben):
    version = draft(files={"/a": "1"})
    disk.write("/sea/b", "2")
    run = ingesting.request_scan(version, user=ben)

    def listing_during_which_another_takes_over(path):
        ScanRun.objects.filter(pk=run.pk).update(claimed_until=timezone.now() + dt.timedelta(minutes=5), claim_id=uuid.uuid4())
        return disk.list_folder(path)

    # The listing runs in a thread with a database connection of its own; here it must be this one, so it is called first.
    entries = {"/sea/": list(disk.list_folder("/sea/"))}
    with ScanRun.objects.claim(run.pk, expected={run.status}) as held:
        list(listing_during_which_another_takes_over("/sea/"))
        with pytest.raises(NotClaimedError):
            held.keep_claim(n_files=99)
    assert ingesting.run_scan(run.pk, lambda path: iter(entries[path])) is None
    assert set(content(version)) == {"/a"}
    assert ScanRun.objects.get(pk=run.pk).n_files == 0


@pytest.mark.django_db(transaction=True)
def test_a_silent_scan_keeps_its_claim_while_its_process_lives(draft, disk, ben, settings):
    settings.CLAIM_SECONDS = 0.2
    run = ingesting.request_scan(draft(), user=ben)
    seen = []

    def slow_inspect(paths):
        before = ScanRun.objects.get(pk=run.pk).claimed_until
        for _ in range(1200):
            if ScanRun.objects.get(pk=run.pk).claimed_until != before:
                break
            stop.wait(0.05)
        seen.append(ScanRun.objects.get(pk=run.pk).claimed_until != before)
        return disk.inspect(paths)

    stop = threading.Event()
    File.objects.all().update(sha256=None)
    assert ingesting.run_scan(run.pk, disk.list_folder, slow_inspect).status == "done"
    assert seen == [True]


def test_one_scan_of_a_version_is_open_at_a_time_and_only_curators_ask(draft, ben, ada):
    version = draft()
    assert ingesting.request_scan(version, user=ben) == ingesting.request_scan(version, user=ben)
    with pytest.raises(ForbiddenError):
        ingesting.request_scan(version, user=ada)
    version.scans.all().delete()
    version.locations.all().delete()
    with pytest.raises(NotReadyError):
        ingesting.request_scan(version, user=ben)


def test_the_sweep_hints_at_due_scans_alone(draft, ben):
    run = ingesting.request_scan(draft(), user=ben)
    assert sweep() == 1
    ScanRun.objects.filter(pk=run.pk).update(claimed_until=timezone.now() + dt.timedelta(minutes=1))
    assert sweep() == 0
    ScanRun.objects.filter(pk=run.pk).update(claimed_until=timezone.now() - dt.timedelta(minutes=1))
    assert sweep() == 1


def test_folders_are_listed_side_by_side():
    together = threading.Barrier(4, timeout=90)

    def list_folder(path):
        if path == "/":
            return iter([Entry(f"d{n}", is_folder=True) for n in range(4)])
        together.wait()
        return iter([Entry("f", is_folder=False)])

    found = [chunk.path for chunk in walk(list_folder, "/") for entry in chunk.entries if not entry.is_folder]
    assert sorted(found) == ["/d0/", "/d1/", "/d2/", "/d3/"]


def test_a_folder_of_many_entries_comes_in_pieces():
    def list_folder(path):
        return (Entry(str(n), is_folder=False) for n in range(2_500))

    chunks = list(walk(list_folder, "/x/"))
    assert [len(chunk.entries) for chunk in chunks] == [1000, 1000, 500]
    assert [chunk.is_last for chunk in chunks] == [False, False, True]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0"])
def test_names_that_no_path_can_hold_end_the_walk(name):
    with pytest.raises(RefusedError):
        list(walk(lambda path: iter([Entry(name, is_folder=False)]), "/"))
