"""The description is kept with each version, and any two versions can be held side by side."""

from datasets.curation import publishing, registering
from datasets.description.snapshots import description_changes
from datasets.models import Version
from tests.datasets.conftest import scan


def next_version(first, disk, ben, files, **description):
    for path, content in files.items():
        disk.write(f"/sea{path}", content, day=3)
    draft = publishing.open_draft(first.dataset, user=ben, reason="a better one")
    registering.describe(draft.dataset, user=ben, **description)
    scan(draft, disk, ben)
    return publishing.publish(Version.objects.get(pk=draft.pk), user=ben)


def test_what_a_later_edit_changes_is_not_what_was_published(published, disk, ben):
    first = published(title="Old", subjects=["Sea"], creators=[{"name": "Ada", "orcid": "0000-0002-1825-0097"}])
    second = next_version(first, disk, ben, {}, title="New", subjects=["Sea", "Ice"], west=1, south=2, east=3, north=4)
    first.refresh_from_db()
    changed = {change.field: (change.old, change.new) for change in description_changes(first, second)}
    assert changed == {"title": (("Old",), ("New",)), "subjects": (("Sea",), ("Ice", "Sea")), "bbox": ((), ("1.0", "2.0", "3.0", "4.0"))}
    registering.describe(second.dataset, user=ben, title="Newest")
    assert description_changes(first, Version.objects.get(pk=second.pk))[0].new == ("New",)


def test_what_was_not_kept_is_not_invented(published, disk, ben, browser):
    first = published(files={"/a": "1"})
    second = next_version(first, disk, ben, {"/b": "2"})
    Version.objects.filter(pk=first.pk).update(description=None)
    first.refresh_from_db()
    assert description_changes(first, second) is None
    assert "was not kept" in browser().get("/datasets/sea/changes/").content.decode()


def test_the_page_shows_fields_counts_and_files(published, disk, ben, browser, ada):
    first = published(files={"/a": "1", "/b": "1", "/gone": "123"}, title="Old")
    disk.remove("/sea/gone")
    next_version(first, disk, ben, {"/b": "changed", "/<new>": "22"}, title="New")
    page = browser().get("/datasets/sea/changes/").content.decode()
    assert page.index("<del>Old</del>") < page.index("<ins>New</ins>")
    for words in ("/&lt;new&gt;", "a better one", "<strong>1</strong>", "added, ", "removed, "):
        assert words in page
    body = browser().get("/api/v1/datasets/sea/versions/2/changes").json()
    assert body["totals"]["added"] == {"n_files": 1, "old_size_bytes": 0, "new_size_bytes": 2}
    assert body["totals"]["removed"] == {"n_files": 1, "old_size_bytes": 3, "new_size_bytes": 0}
    assert body["totals"]["changed"] == {"n_files": 1, "old_size_bytes": 1, "new_size_bytes": 7}
    assert [change["field"] for change in body["description"]] == ["title"]
    assert browser().get("/datasets/sea/changes/?from=1&to=9").status_code == 404


def test_files_of_a_restricted_dataset_are_not_told(published, disk, ben, browser, ada):
    next_version(published(access_policy="restricted"), disk, ben, {"/secret": "1"})
    assert browser(ada).get("/datasets/sea/changes/").status_code == 403
    assert browser(ben).get("/datasets/sea/changes/").status_code == 200
