import json
import uuid

import pytest

from datasets.curation import publishing, registering
from datasets.errors import ConflictError, ForbiddenError, InvalidError
from datasets.models import Version
from datasets.preservation import locating, watching
from datasets.preservation.damaging import list_damaged
from datasets.scans import ingesting
from datasets.scans.scanning import list_changes
from tests.datasets.conftest import COLLECTION, scan

ELSEWHERE = uuid.UUID("7d5a4f1e-0000-4000-8000-00000000000e")


def fresh(version):
    return Version.objects.select_related("dataset").get(pk=version.pk)


def run(asked, disk, *, is_inspected=True):
    return ingesting.run_scan(asked.pk, disk.list_folder, disk.inspect if is_inspected else None)


def move(disk, old, new):
    (disk.root / old).rename(disk.root / new)


@pytest.fixture
def two_versions(published, disk, ben):
    """Version 1 of /a and /b, and version 2, which holds /b and /c; both of them, with /a left in place, lie at /sea/."""
    first = published(files={"/a": "1", "/b": "22"})
    second = publishing.open_draft(first.dataset, user=ben)
    disk.write("/sea/c", "333")
    scan(second, disk, ben)
    second.dataset.refresh_from_db()
    return first, publishing.publish(second, user=ben)


def test_bytes_that_were_moved_are_found_and_every_version_goes_with_them(two_versions, disk, ben):
    first, second = two_versions
    move(disk, "sea", "ocean")
    asked = locating.move_location(second.locations.get(), user=ben, collection_id=ELSEWHERE, base_path="/ocean/")
    assert fresh(second).primary_location.base_path == "/sea/", "nothing changes before the check"
    assert run(asked, disk).status == "done"
    places = {(str(one.collection_id), one.base_path) for version in (first, second) for one in version.locations.all()}
    assert places == {(str(ELSEWHERE), "/ocean/")}
    assert scan(fresh(second), disk, ben).n_differences == 0
    assert not fresh(second).damage
    assert "moved from" in second.dataset.events.filter(act="location").get().note


def test_a_draft_in_the_bin_goes_with_the_others(two_versions, disk, ben):
    _, second = two_versions
    discarded = publishing.discard_draft(publishing.open_draft(second.dataset, user=ben), user=ben)
    with pytest.raises(ConflictError, match="in the bin"):
        registering.place(discarded, user=ben, collection_id=COLLECTION, base_path="/elsewhere/")
    move(disk, "sea", "ocean")
    asked = locating.move_location(second.locations.get(), user=ben, collection_id=ELSEWHERE, base_path="/ocean/")
    assert run(asked, disk).status == "done"
    restored = publishing.restore_draft(second.dataset, user=ben)
    assert [one.base_path for one in restored.locations.all()] == ["/ocean/"]


@pytest.mark.parametrize("lack", ["/ocean/a", "/ocean/c"])
def test_a_move_without_all_files_of_all_versions_fails_and_leaves_all_as_it_was(two_versions, disk, ben, lack):
    _, second = two_versions
    move(disk, "sea", "ocean")
    disk.remove(lack)
    found = run(locating.move_location(second.locations.get(), user=ben, collection_id=COLLECTION, base_path="/ocean/"), disk)
    assert (found.status, found.n_missing) == ("failed", 1)
    assert "1 file is gone" in found.error
    assert [one.path for one in list_changes(found, kind="missing").changes] == [lack.removeprefix("/ocean")]
    assert {one.base_path for version in two_versions for one in version.locations.all()} == {"/sea/"}
    assert not list_damaged(second)
    disk.write(lack, {"/ocean/a": "1", "/ocean/c": "333"}[lack])
    assert run(ingesting.retry_scan(found, user=ben), disk).status == "done"


def test_other_bytes_of_the_same_size_at_the_new_place_are_told_from_moved_ones(two_versions, disk, ben):
    _, second = two_versions
    move(disk, "sea", "ocean")
    disk.write("/ocean/c", "33X", day=7)
    disk.touch("/ocean/b", day=7)
    found = run(locating.move_location(second.locations.get(), user=ben, collection_id=COLLECTION, base_path="/ocean/"), disk)
    assert (found.status, found.n_changed, found.n_inspected) == ("failed", 1, 2)
    assert fresh(second).damage == ""


def test_a_replica_is_used_while_the_primary_location_is_cold(published, disk, ben, browser):
    version = published(files={"/a": "1"})
    disk.write("/copy/a", "1", day=8)
    found = run(locating.add_replica(version, user=ben, collection_id=ELSEWHERE, base_path="/copy/"), disk)
    assert (found.status, found.n_inspected) == ("done", 1)
    assert fresh(version).primary_location.base_path == "/sea/"
    primary = version.locations.get(is_primary=True)
    locating.set_availability(primary, user=ben, is_online=False, wait_minutes=2880)
    assert fresh(version).primary_location.base_path == "/copy/"
    assert "at a replica" in browser().get(version.get_absolute_url()).content.decode()
    locating.remove_replica(version.locations.get(is_primary=False), user=ben)
    assert "about 2 days" in browser().get(version.get_absolute_url()).content.decode()
    locating.set_availability(primary, user=ben, is_online=True)
    assert "off line" not in browser().get(version.get_absolute_url()).content.decode()


def test_a_new_draft_begins_at_the_primary_location_alone(published, disk, ben):
    version = published(files={"/a": "1"})
    disk.write("/copy/a", "1")
    run(locating.add_replica(version, user=ben, collection_id=ELSEWHERE, base_path="/copy/"), disk)
    assert [one.base_path for one in publishing.open_draft(version.dataset, user=ben).locations.all()] == ["/sea/"]


def test_what_is_damaged_already_need_not_be_at_the_new_place(two_versions, disk, ben):
    first, second = two_versions
    disk.remove("/sea/a")
    scan(first, disk, ben)
    move(disk, "sea", "ocean")
    assert (
        run(locating.move_location(second.locations.get(), user=ben, collection_id=COLLECTION, base_path="/ocean/"), disk).status == "done"
    )
    assert fresh(first).damage == "1 file is gone"


def test_places_that_are_not_free_and_people_who_may_not_are_refused(published, draft, disk, ben, ada, settings):
    version = published(files={"/a": "1"})
    place = {"collection_id": COLLECTION, "base_path": "/ocean/"}
    with pytest.raises(ForbiddenError):
        locating.move_location(version.locations.get(), user=ada, **place)
    with pytest.raises(InvalidError):
        locating.add_replica(version, user=ben, collection_id=COLLECTION, base_path="no folder")
    with pytest.raises(ConflictError):
        locating.add_replica(version, user=ben, collection_id=uuid.UUID(settings.SHARE_COLLECTION), base_path="/x/")
    with pytest.raises(ConflictError):
        locating.move_location(version.locations.get(), user=ben, collection_id=COLLECTION, base_path="/sea/")
    with pytest.raises(ConflictError):
        locating.remove_replica(version.locations.get(), user=ben)
    with pytest.raises(InvalidError):
        locating.set_availability(version.locations.get(), user=ben, is_online=False, wait_minutes=0)
    locating.move_location(version.locations.get(), user=ben, **place)
    with pytest.raises(ConflictError):
        locating.move_location(version.locations.get(), user=ben, **place)
    with pytest.raises(ConflictError):
        locating.move_location(draft(slug="other").locations.get(), user=ben, collection_id=COLLECTION, base_path="/third/")


def test_files_are_moved_by_page_and_by_api(published, disk, ben, browser):
    version = published(files={"/a": "1"})
    location, client = version.locations.get(), browser(ben)
    page = "/steward/datasets/sea/locations/"
    assert "/sea/" in client.get(page).content.decode()
    wrong = client.post(page, {"act": "move", "location": location.pk, "collection_id": "odd", "base_path": "/ocean/"})
    assert (wrong.status_code, "An id looks like" in wrong.content.decode()) == (400, True)
    move(disk, "sea", "ocean")
    sent = client.post(page, {"act": "move", "location": location.pk, "collection_id": str(COLLECTION), "base_path": "/ocean/"})
    asked = version.scans.open().get()
    assert sent.url == asked.get_absolute_url()
    assert "Nothing changes until" in client.get(sent.url).content.decode()
    run(asked, disk)
    assert (
        client.post(page, {"act": "availability", "location": location.pk, "is_online": "0", "wait": "3", "unit": "60"}).status_code == 302
    )
    address = "/api/v1/datasets/sea/versions/1/"
    (told,) = client.get(address).json()["locations"]
    assert (told["base_path"], told["is_online"], told["wait_minutes"]) == ("/ocean/", False, 180)
    disk.write("/copy/a", "1")
    body = json.dumps({"collection_id": str(ELSEWHERE), "base_path": "/copy/"})
    made = client.post(f"{address}locations/", body, content_type="application/json")
    assert (made.status_code, made.json()["purpose"]) == (202, "replica")
    run(version.scans.open().get(), disk)
    replica = version.locations.get(is_primary=False)
    answer = client.patch(f"{address}locations/{replica.pk}/", json.dumps({"is_online": True}), content_type="application/json")
    assert answer.json()["is_online"] is True
    assert client.delete(f"{address}locations/{replica.pk}/").status_code == 204
    assert watching.watch_of(version.dataset).acceptance == "first"
    registering.place(publishing.open_draft(version.dataset, user=ben), user=ben, collection_id=COLLECTION, base_path="/ocean/")
