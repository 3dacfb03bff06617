import datetime as dt
import hashlib
import os

import pytest
from django.utils import timezone

from datasets.curation import publishing
from datasets.errors import UnavailableError
from datasets.models import File, Watch
from datasets.preservation import fixity, watching
from datasets.preservation.damaging import list_damaged
from datasets.scans.inspecting import Inspected
from tests.datasets.conftest import scan


class Near:
    """Reads files again where they are, and notes which."""

    def __init__(self, disk):
        self.disk, self.read = disk, []

    def reader_of(self, location):
        return self.inspect

    def inspect(self, paths):
        for path in paths:
            self.read.append(path)
            try:
                content = (self.disk.root / path.lstrip("/")).read_bytes()
            except FileNotFoundError:
                yield Inspected(path, error="The file is not there.")
            else:
                yield Inspected(path, hashlib.sha256(content).hexdigest(), len(content))


@pytest.fixture
def near(disk):
    return Near(disk)


@pytest.fixture
def watched(published, ben):
    """A published version of three files that were last read a long time ago, /b before /a before /c, verified monthly."""
    version = published(files={"/a": "1", "/b": "22", "/c": "333"})
    watching.change_watch(version.dataset, user=ben, verify_every="monthly")
    for days, name in ((90, "b"), (80, "a"), (70, "c")):
        File.objects.filter(name=name).update(inspected_at=timezone.now() - dt.timedelta(days=days))
    return version


def state(version):
    watch = Watch.objects.get(pk=version.dataset_id)
    return watch.n_verified, watch.n_to_verify, watch.n_unread, watch.verify_error


def due_now(version):
    Watch.objects.filter(pk=version.dataset_id).update(verify_due_at=timezone.now())


def rot(disk, path, content):
    """Change bytes without a trace in size or time."""
    status = (disk.root / path.lstrip("/")).stat()
    disk.write(path, content)
    os.utime(disk.root / path.lstrip("/"), (status.st_mtime, status.st_mtime))


def test_files_are_read_again_those_first_that_were_read_longest_ago(watched, near, monkeypatch):
    monkeypatch.setattr(fixity, "AT_ONCE", 2)
    assert fixity.verify_some(watched.dataset_id, near.reader_of) == 2
    assert near.read == ["/sea/b", "/sea/a"]
    assert state(watched) == (2, 3, 0, "")
    assert fixity.verify_some(watched.dataset_id, near.reader_of) == 1
    assert state(watched) == (3, 3, 0, "")
    assert fixity.verify_some(watched.dataset_id, near.reader_of) == 0, "nothing is due for a month"
    due = Watch.objects.get().verify_due_at - timezone.now()
    assert dt.timedelta(days=29) < due < dt.timedelta(days=31)


def test_what_was_read_lately_is_not_read_again(published, ben, near):
    version = published(files={"/a": "1"})
    watching.change_watch(version.dataset, user=ben, verify_every="yearly")
    assert fixity.verify_some(version.dataset_id, near.reader_of) == 0
    assert state(version) == (1, 1, 0, "")


def test_bytes_that_rotted_mark_the_version_until_they_are_whole_again(watched, near, disk, ben):
    rot(disk, "/sea/b", "2X")
    assert scan(watched, disk, ben).n_differences == 0, "no scan sees it"
    fixity.verify_some(watched.dataset_id, near.reader_of)
    watched.refresh_from_db()
    assert watched.damage == "1 file is not what was published"
    assert [(one.path, one.kind) for one in list_damaged(watched)] == [("/b", "checksum")]
    assert watched.alarms.open().exists()
    assert state(watched) == (2, 3, 0, "")
    scan(watched, disk, ben)
    assert watched.alarms.open().exists(), "sizes and times prove nothing"
    due = Watch.objects.get().verify_due_at - timezone.now()
    assert due < dt.timedelta(days=1, minutes=1)
    rot(disk, "/sea/b", "22")
    File.objects.filter(name="b").update(checked_at=timezone.now() - dt.timedelta(days=2))
    due_now(watched)
    near.read.clear()
    fixity.verify_some(watched.dataset_id, near.reader_of)
    watched.refresh_from_db()
    assert (near.read, watched.damage, state(watched)) == (["/sea/b"], "", (3, 3, 0, ""))


def test_a_file_that_cannot_be_read_holds_up_no_other(watched, near, disk, monkeypatch):
    disk.remove("/sea/b")
    monkeypatch.setattr(fixity, "AT_ONCE", 2)
    fixity.verify_some(watched.dataset_id, near.reader_of)
    fixity.verify_some(watched.dataset_id, near.reader_of)
    assert state(watched) == (2, 3, 1, "")


def test_a_service_that_does_not_answer_is_asked_again_later(watched, near):
    def fail(paths):
        raise UnavailableError("The graph service does not answer.")

    assert fixity.verify_some(watched.dataset_id, lambda location: fail) == 0
    assert state(watched)[3] == "The graph service does not answer."
    assert fixity.verify_some(watched.dataset_id, near.reader_of) == 0, "not at once"
    due_now(watched)
    assert fixity.verify_some(watched.dataset_id, near.reader_of) == 3


def test_where_nothing_reads_the_desk_says_so(watched, browser, ben):
    assert fixity.verify_some(watched.dataset_id, lambda location: None) == 0
    page = browser(ben).get("/steward/datasets/sea/").content.decode()
    assert "no graph service is set up" in page
    assert "0 of 3 files verified" in page
    told = browser(ben).get("/api/v1/datasets/sea/watch/").json()
    assert (told["n_verified"], told["n_to_verify"]) == (0, 3)


def test_files_that_only_an_older_version_holds_are_read_too(watched, near, disk, ben):
    following = publishing.open_draft(watched.dataset, user=ben)
    disk.remove("/sea/c")
    scan(following, disk, ben)
    publishing.publish(following, user=ben)
    disk.write("/sea/c", "333")
    fixity.verify_some(watched.dataset_id, near.reader_of)
    assert "/sea/c" in near.read


def test_drafts_are_not_verified_and_never_means_never(draft, near, ben):
    version = draft(files={"/a": "1"})
    watching.change_watch(version.dataset, user=ben, verify_every="monthly")
    File.objects.update(inspected_at=None)
    assert fixity.verify_some(version.dataset_id, near.reader_of) == 0
    watching.change_watch(version.dataset, user=ben, verify_every="never")
    assert fixity.due_datasets() == []


def test_another_worker_that_has_the_lease_is_left_alone(watched, near):
    def reader_of(location):
        assert fixity.verify_some(watched.dataset_id, near.reader_of) == 0
        return near.inspect

    assert fixity.verify_some(watched.dataset_id, reader_of) == 3


def test_a_setting_that_changes_meanwhile_takes_nothing_back(watched, near, ben):
    def read(paths):
        watching.change_watch(watched.dataset, user=ben, rescan_every="weekly")
        return near.inspect(paths)

    fixity.verify_some(watched.dataset_id, lambda location: read)
    watching.change_watch(watched.dataset, user=ben, rescan_every="daily")
    assert state(watched) == (3, 3, 0, "")
    assert Watch.objects.get().verify_due_at > timezone.now() + dt.timedelta(days=29)


def test_who_ends_the_verification_meanwhile_is_obeyed(watched, near, ben):
    def read(paths):
        watching.change_watch(watched.dataset, user=ben, verify_every="never")
        return near.inspect(paths)

    fixity.verify_some(watched.dataset_id, lambda location: read)
    assert Watch.objects.get().verify_due_at is None
