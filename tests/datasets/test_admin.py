import pytest

from datasets.access import granting
from datasets.errors import RefusedError
from datasets.models import Alarm, GlobusCollection, Watch
from datasets.scans import ingesting


@pytest.mark.parametrize("noun", ["dataset", "version", "scanrun", "watch", "alarm", "globuscollection", "grant", "datasetevent"])
def test_operators_look_and_change_nothing(published, browser, ada, ben, dee, noun):
    version = published()
    granting.grant(version.dataset, principal_type="identity", principal=ada.id, granted_by=ben)
    row = {
        "dataset": version.dataset,
        "version": version,
        "scanrun": version.scans.get(),
        "watch": Watch.objects.create(dataset=version.dataset),
        "alarm": Alarm.objects.create(version=version, words="1 file is gone"),
        "globuscollection": GlobusCollection.objects.create(id=version.dataset.pk, name="Archive"),
        "grant": version.dataset.grants.get(),
        "datasetevent": version.events.first(),
    }[noun]
    base = f"/admin/datasets/{noun}/"
    assert browser(dee).get(base).status_code == 200
    assert browser(dee).get(f"{base}{row.pk}/change/").status_code == 200
    for path in ("add/", f"{row.pk}/delete/"):
        assert browser(dee).get(f"{base}{path}").status_code == 403
    assert browser(dee).post(f"{base}{row.pk}/change/", {"status": "draft", "title": "x"}).status_code == 403
    assert browser(ben).get(base).status_code in {302, 403}


def test_actions_call_verbs_and_say_what_they_refuse(draft, browser, dee):
    version = draft(abstract="")
    form = {"action": "publish", "_selected_action": [version.pk]}
    answer = browser(dee).post("/admin/datasets/version/", form, follow=True)
    assert "Say what the data are." in answer.content.decode()
    browser(dee).post("/admin/datasets/version/", {**form, "action": "check_files"})
    assert version.scans.open().count() == 1


def test_a_failed_scan_is_queued_again(draft, browser, dee, ben, disk):
    def refuse(path):
        raise RefusedError("no")

    run = ingesting.scan(draft(), refuse, user=ben)
    browser(dee).post("/admin/datasets/scanrun/", {"action": "retry", "_selected_action": [run.pk]})
    run.refresh_from_db()
    assert run.status == "queued"


def test_a_report_is_accepted_from_the_list(draft, browser, dee, ben, disk):
    version = draft(files={"/a": "1"})
    disk.write("/sea/b", "2")
    run = ingesting.run_scan(ingesting.request_scan(version, user=ben).pk, disk.list_folder, disk.inspect)
    browser(dee).post("/admin/datasets/scanrun/", {"action": "accept", "_selected_action": [run.pk]})
    run.refresh_from_db()
    assert (run.status, run.accepted_by) == ("queued", dee)
