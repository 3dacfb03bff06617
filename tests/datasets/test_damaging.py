import datetime as dt
import json

import pytest
from django.core import mail
from django.utils import timezone

from datasets.curation import publishing
from datasets.models import Alarm, Damage, ScanRun, Watch
from datasets.preservation import alarming, watching
from datasets.preservation.damaging import in_words, list_damaged
from datasets.scans import ingesting, scanning
from datasets.sweeping import sweep
from tests.datasets.conftest import scan


def damaged(version) -> dict[str, str]:
    return {one.path: one.kind for one in list_damaged(version)}


@pytest.fixture
def lost(published, disk, ben):
    """A published version of three files of which one is gone and one has another size, as a scan found."""
    version = published(files={"/a": "1", "/b/c": "22", "/d": "333"})
    disk.remove("/sea/a")
    disk.write("/sea/b/c", "2222", day=5)
    scan(version, disk, ben)
    version.refresh_from_db()
    return version


def test_lost_files_mark_the_version_and_raise_one_alarm(lost, disk, ben):
    assert damaged(lost) == {"/a": "missing", "/b/c": "changed"}
    assert lost.damage == "1 file is gone and 1 file is not what was published"
    scan(lost, disk, ben)
    alarm = lost.alarms.get()
    assert (alarm.words, alarm.lifted_at) == (lost.damage, None)
    assert lost.dataset.events.filter(act="damage").count() == 1
    assert alarming.alarms_of(ben) == [alarm]


def test_stewards_are_mailed_once_and_told_where_to_look(lost, ben):
    assert alarming.mail_alarms() == 1
    assert alarming.mail_alarms() == 0
    (sent,) = [one for one in mail.outbox if "Damaged" in one.subject]
    assert sent.to == [ben.email]
    assert lost.damage in sent.body
    assert lost.damage_url in sent.body
    assert lost.alarms.get().mailed_at is not None


def test_a_mail_that_does_not_leave_is_tried_again_later(lost, settings):
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = "django.core.mail.backends.smtp.EmailBackend", "127.0.0.1", 1
    assert alarming.mail_alarms() == 0
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert alarming.mail_alarms() == 0, "not at once"
    Alarm.objects.update(mail_due_at=timezone.now())
    assert alarming.mail_alarms() == 1


def test_files_that_came_back_lift_the_mark_and_the_alarm_with_a_record(lost, disk, ben):
    disk.write("/sea/a", "1")
    scan(lost, disk, ben)
    lost.refresh_from_db()
    assert (lost.damage, damaged(lost)) == ("1 file is not what was published", {"/b/c": "changed"})
    disk.write("/sea/b/c", "22", day=9)
    scan(lost, disk, ben)
    lost.refresh_from_db()
    assert (lost.damage, lost.damaged_at, damaged(lost)) == ("", None, {})
    assert lost.alarms.get().lifted_as == "whole"
    assert [event.act for event in lost.dataset.events.filter(act__in=["damage", "repair", "alarm"])] == [
        "damage",
        "damage",
        "repair",
        "alarm",
    ]
    assert Damage.objects.exclude(healed_at=None).count() == 2


def test_what_cannot_be_proven_whole_stays_damaged(lost, disk, ben):
    disk.write("/sea/a", "X", day=9)
    disk.write("/sea/b/c", "XX", day=9)
    scan(lost, disk, ben, is_inspected=False)
    assert damaged(lost) == {"/a": "missing", "/b/c": "changed"}
    scan(lost, disk, ben)
    assert damaged(lost) == {"/a": "changed", "/b/c": "changed"}


def test_a_new_version_ends_the_alarm_and_the_old_one_goes_on_saying_so(lost, disk, ben):
    following = publishing.open_draft(lost.dataset, user=ben)
    scan(following, disk, ben)
    publishing.publish(following, user=ben)
    lost.refresh_from_db()
    assert lost.alarms.get().lifted_as == "replaced"
    assert lost.damage == "1 file is gone and 1 file is not what was published"
    scan(lost, disk, ben)
    assert not Alarm.objects.open().exists(), "what is replaced alarms nobody again"
    disk.remove("/sea/d")
    scan(following, disk, ben)
    assert {alarm.version.number for alarm in Alarm.objects.open()} == {1, 2}


def test_a_report_that_is_discarded_alarms_of_published_files_all_the_same(published, disk, ben):
    version = published(files={"/a": "1", "/b": "2"})
    following = publishing.open_draft(version.dataset, user=ben)
    disk.remove("/sea/a")
    run = ingesting.run_scan(ingesting.request_scan(following, user=ben).pk, disk.list_folder, disk.inspect)
    scanning.discard_report(run, user=ben)
    assert damaged(version) == {"/a": "missing"}


def test_a_withdrawn_version_alarms_nobody(lost, ben):
    publishing.withdraw(lost, user=ben, reason="Wrong.")
    assert lost.alarms.get().lifted_as == "withdrawn"


@pytest.mark.parametrize(
    ("n_gone", "n_changed", "words"), [(0, 0, ""), (2, 0, "2 files are gone"), (0, 1, "1 file is not what was published")]
)
def test_damage_is_said_in_whole_sentences(n_gone, n_changed, words):
    assert in_words(n_gone, n_changed) == words


def test_a_rescan_that_is_due_finds_damage_by_itself(published, disk, ben):
    version = published(files={"/a": "1"})
    disk.remove("/sea/a")
    sweep()
    assert version.scans.count() == 1
    watching.change_watch(version.dataset, user=ben, rescan_every="weekly")
    sweep()
    run = version.scans.open().get()
    assert run.asked_by is None
    ingesting.run_scan(run.pk, disk.list_folder, disk.inspect)
    version.refresh_from_db()
    assert version.damage == "1 file is gone"
    run.refresh_from_db()
    assert run.badge == ("attention", "Done, differences found")
    assert version.scans.order_by("asked_at").first().badge == ("ok", "Done"), "what the draft took is no difference"
    assert version.dataset.events.get(act="watch").note == "published files are looked at again: every week"
    assert Watch.objects.get().rescan_due_at > timezone.now() + dt.timedelta(days=6)
    sweep()
    assert not version.scans.open().exists()
    Watch.objects.update(rescan_due_at=timezone.now())
    sweep()
    sweep()
    assert version.scans.open().count() == 1


def test_drafts_and_withdrawn_versions_are_not_looked_at_again(published, disk, ben):
    version = published(files={"/a": "1"})
    publishing.open_draft(version.dataset, user=ben)
    publishing.withdraw(version, user=ben, reason="Wrong.")
    watching.change_watch(version.dataset, user=ben, rescan_every="daily")
    watching.request_due_rescans()
    assert not ScanRun.objects.open().exists()
    watching.change_watch(version.dataset, user=ben, rescan_every="never")
    assert Watch.objects.get().rescan_due_at is None


def test_damage_is_said_to_people_and_programs(lost, browser, ben, cy):
    page = browser(cy).get(lost.get_absolute_url()).content.decode()
    assert "no longer what was published" in page
    shown = browser(cy).get(lost.damage_url).content.decode()
    assert "/b/c" in shown
    assert "Check the published files" not in shown
    told = browser().get("/api/v1/datasets/sea/versions/1/damage/?limit=1").json()
    assert (told["damage"], [one["path"] for one in told["results"]]) == (lost.damage, ["/a"])
    assert [one["path"] for one in browser().get(told["next"]).json()["results"]] == ["/b/c"]
    assert lost.damage in browser(ben).get("/steward/").content.decode()
    asked = browser(ben).post("/steward/datasets/sea/versions/1/scan/")
    assert asked.url == lost.scans.open().get().get_absolute_url()


def test_the_files_of_a_restricted_dataset_are_not_named_by_its_damage(published, disk, ben, browser, cy):
    version = published(files={"/secret-name": "1"}, access_policy="restricted")
    disk.remove("/sea/secret-name")
    scan(version, disk, ben)
    assert "secret-name" not in browser(cy).get(version.damage_url).content.decode()
    told = browser(cy).get("/api/v1/datasets/sea/versions/1/damage/").json()
    assert (told["damage"], told["results"]) == ("1 file is gone", [])


def test_the_calendar_is_set_by_the_api(draft, browser, ben):
    draft()
    answer = browser(ben).patch("/api/v1/datasets/sea/watch/", json.dumps({"rescan_every": "monthly"}), content_type="application/json")
    assert answer.json()["rescan_every"] == "monthly"
    assert answer.json()["rescan_due_at"]
