"""Locks are taken in one order (`DatasetQuerySet.held`): a person who holds a dataset and a worker never wait for each other."""

import threading
import time

import pytest
from django.db import DatabaseError, connection, transaction

from datasets import series
from datasets.curation import publishing
from datasets.errors import NotFoundError, RefusedError
from datasets.models import Dataset, DatasetEvent, Location, Series, SeriesEvent, Version
from datasets.preservation import locating
from datasets.scans import ingesting, scanning
from portal.models import RoleGrant, User

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
WAITS = "select count(*) from pg_locks where not granted and pid = %s"


@pytest.fixture(autouse=True)
def swept():
    yield
    SeriesEvent.objects.all().delete()
    DatasetEvent.objects.all().delete()
    Version.with_bin.all().delete()
    Dataset.with_bin.all().delete()
    Series.objects.exclude(parent=None).delete()
    Series.objects.all().delete()
    RoleGrant.objects.all().delete()
    User.objects.all().delete()


class Beside:
    """Work on a connection of its own, which may wait for a lock for some seconds; `answer` is what it returned or raised."""

    def __init__(self, work):
        self.answer, self.pid, self.thread = None, 0, threading.Thread(target=self._run, args=[work])
        self.thread.start()

    def _run(self, work):
        try:
            with connection.cursor() as cursor:
                cursor.execute("select set_config('lock_timeout', '20s', false), pg_backend_pid()")
                self.pid = cursor.fetchone()[1]
            self.answer = work()
        except (DatabaseError, RefusedError) as error:
            self.answer = error
        finally:
            connection.close()

    def end(self):
        self.thread.join(timeout=60)
        assert not self.thread.is_alive()
        return self.answer

    def waits(self):
        """Until it waits for a lock, which is seen from here."""
        deadline = time.monotonic() + 60
        with connection.cursor() as cursor:
            while time.monotonic() < deadline and self.thread.is_alive():
                cursor.execute(WAITS, [self.pid])
                if cursor.fetchone()[0]:
                    return
                time.sleep(0.02)
        raise AssertionError(f"it waits for nothing: {self.answer!r}")


def test_a_scan_is_cancelled_beside_who_holds_its_dataset(draft, ben):
    run = ingesting.request_scan(draft(), user=ben)
    with transaction.atomic():
        Dataset.objects.held().get(slug="sea")
        ended = Beside(lambda: scanning.cancel_scan(run, user=ben)).end()
    assert getattr(ended, "status", ended) == "cancelled"


def test_a_version_is_sent_back_beside_who_holds_its_dataset(draft, ben):
    version = draft()
    Version.objects.filter(pk=version.pk).update(status="review")
    version.refresh_from_db()
    with transaction.atomic():
        Dataset.objects.held().get(slug="sea")
        ended = Beside(lambda: publishing.send_back(version, user=ben, note="More.")).end()
    assert getattr(ended, "status", ended) == "draft"


@pytest.mark.parametrize("is_automatic", [True, False])
def test_a_draft_is_discarded_while_a_worker_takes_what_its_scan_found(published, disk, ben, is_automatic):
    version = published(files={"/a.nc": "a"})
    draft = publishing.open_draft(version.dataset, user=ben)
    disk.write("/sea/b.nc", "b")
    run = ingesting.request_scan(draft, user=ben, is_automatic=is_automatic)
    with transaction.atomic():
        Dataset.objects.held().get(pk=version.dataset_id)
        worker = Beside(lambda: ingesting.run_scan(run.pk, disk.list_folder, disk.inspect))
        worker.waits()
        publishing.discard_draft(draft, user=ben)
    assert worker.end() is None, "it was left, as it was cancelled meanwhile"
    run.refresh_from_db()
    assert run.status == "cancelled"


def test_files_are_taken_beside_who_wrote_an_event_of_their_dataset(draft, disk, ben):
    version = draft()
    disk.write("/sea/b.nc", "b")
    run = ingesting.request_scan(version, user=ben, is_automatic=True)
    with transaction.atomic():
        DatasetEvent.objects.create(dataset=version.dataset, act="location")
        ended = Beside(lambda: ingesting.run_scan(run.pk, disk.list_folder)).end()
    assert getattr(ended, "status", ended) == "done"


def test_a_location_is_called_cold_while_who_holds_its_dataset_changes_it(published, ben):
    location = published().locations.get()
    with transaction.atomic():
        Dataset.objects.held().get(slug="sea")
        beside = Beside(lambda: locating.set_availability(location, user=ben, is_online=False))
        beside.waits()
        Location.objects.filter(pk=location.pk).update(wait_minutes=5)
    assert getattr(beside.end(), "is_online", beside.answer) is False


def test_a_dataset_is_put_elsewhere_while_the_tree_moves(published, dee):
    upper = series.create(user=dee, slug="upper", title="Upper")
    here = series.create(user=dee, slug="here", title="Here")
    dataset = published().dataset
    series.put(dataset, user=dee, series=here)
    with transaction.atomic():
        Dataset.objects.held().get(pk=dataset.pk)
        mover = Beside(lambda: series.move(here, user=dee, parent=upper))
        mover.waits()
        series.put(dataset, user=dee, series=None)
    assert mover.end() == here
    here.refresh_from_db()
    assert (here.lineage, here.n_listed) == ([upper.pk, here.pk], 0)


def test_a_draft_that_is_restored_meanwhile_is_not_removed_for_good(published, ben):
    dataset = published().dataset
    draft = publishing.discard_draft(publishing.open_draft(dataset, user=ben), user=ben)
    with transaction.atomic():
        Dataset.objects.held().get(pk=dataset.pk)
        beside = Beside(lambda: publishing.remove_discarded(dataset, user=ben))
        beside.waits()
        publishing.restore_draft(dataset, user=ben)
    assert isinstance(beside.end(), NotFoundError)
    assert Version.with_bin.get(pk=draft.pk).is_draft
