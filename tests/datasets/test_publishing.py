import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from datasets import files
from datasets.curation import publishing, registering
from datasets.errors import ConflictError, ForbiddenError, IllegalMoveError, InvalidError, NotReadyError
from datasets.identifiers import check_orcid
from datasets.models import Dataset, File, Folder, FolderState, SearchTerm, Version
from datasets.scans import ingesting
from portal.models import RoleGrant
from tests.datasets.conftest import COLLECTION, scan


def test_publishing_freezes_totals_and_digest_and_shows_the_dataset(draft, ben):
    version = draft(files={"/a": "12", "/b/c": "345"})
    assert not Dataset.objects.published().exists()
    publishing.publish(version, user=ben, note="first")
    dataset = Dataset.objects.published().get()
    assert (dataset.n_files, dataset.size_bytes, dataset.listed_at) == (2, 5, version.published_at)
    assert len(version.digest_hex) == 64
    assert list(version.events.values_list("old", "new", "note"))[-1] == ("draft", "published", "first")
    with pytest.raises(IllegalMoveError):
        publishing.publish(version, user=ben)


def test_what_is_missing_is_told_all_at_once(ben, disk):
    version = registering.register(user=ben, slug="bare", title="Bare")
    with pytest.raises(NotReadyError) as refused:
        publishing.publish(version, user=ben)
    assert set(refused.value.fields) == {"abstract", "location", "files"}
    registering.place(version, user=ben, collection_id=COLLECTION, base_path="/bare/")
    ingesting.request_scan(version, user=ben)
    with pytest.raises(NotReadyError) as refused:
        publishing.publish(version, user=ben)
    assert set(refused.value.fields) == {"abstract", "files", "scan"}


def test_a_new_version_supersedes_the_one_before(published, disk, ben):
    first = published()
    disk.write("/sea/b", "b")
    second = publishing.open_draft(first.dataset, user=ben, reason="one more file")
    assert publishing.open_draft(first.dataset, user=ben) == second
    scan(second, disk, ben)
    publishing.publish(second, user=ben)
    first.refresh_from_db()
    assert (first.status, second.status) == ("superseded", "published")
    assert first.superseded_at is not None
    assert (second.number, second.reason, second.dataset.n_files) == (2, "one more file", 2)
    assert second.primary_location.base_path == "/sea/"


def test_formats_follow_the_files_of_each_version(published, disk, ben):
    version = published(files={"/a.nc": "a", "/b.csv": "b", "/deep/c.nc": "c"})
    disk.remove("/sea/b.csv")
    disk.write("/sea/d.pp", "d")
    second = publishing.open_draft(version.dataset, user=ben)
    scan(second, disk, ben)
    version.dataset.refresh_from_db()
    assert version.dataset.format_facet == ["CSV", "NetCDF"]
    publishing.publish(second, user=ben)
    assert second.dataset.format_facet == ["Met Office PP", "NetCDF"]
    publishing.withdraw(second, user=ben, reason="Swapped.")
    third = publishing.open_draft(second.dataset, user=ben)
    disk.write("/sea/b.csv", "b")
    scan(third, disk, ben)
    assert publishing.publish(third, user=ben).dataset.format_facet == ["CSV", "Met Office PP", "NetCDF"]


def test_a_dataset_has_one_open_draft_and_one_current_version(published, ben):
    version = published()
    publishing.open_draft(version.dataset, user=ben)
    with pytest.raises(IntegrityError), transaction.atomic():
        Version.objects.create(dataset=version.dataset, number=3)
    with pytest.raises(IntegrityError), transaction.atomic():
        Version.objects.filter(number=2).update(status="published", published_at=timezone.now(), digest=bytes(32))


def test_a_discarded_draft_is_restored_as_it_was_and_removing_it_gives_back_exactly_what_was(published, disk, ben):
    version = published(files={"/a": "1", "/b": "2"})

    def everything():
        files = File.objects.values_list("folder__path", "name", "first_version", "last_version", "size_bytes").order_by("pk")
        return list(files), list(FolderState.objects.order_by("pk").values_list("folder__path", "from_version", "n_files"))

    before = everything()
    disk.write("/sea/a", "changed", day=4)
    disk.remove("/sea/b")
    disk.write("/sea/c", "3")
    draft = publishing.open_draft(version.dataset, user=ben)
    scan(draft, disk, ben)
    drafted = everything()
    assert drafted != before
    publishing.discard_draft(draft, user=ben)
    assert list(version.dataset.versions.all()) == [version]
    assert {row.path for row in files.iterate(version, files.FileQuery())} == {"/a", "/b"}
    with pytest.raises(ConflictError, match="restore it, or remove it for good"):
        publishing.open_draft(version.dataset, user=ben)
    assert publishing.restore_draft(version.dataset, user=ben) == draft
    assert (everything(), version.dataset.versions.first()) == (drafted, draft)
    publishing.discard_draft(draft, user=ben)
    publishing.remove_draft(draft, user=ben)
    assert everything() == before
    assert publishing.open_draft(version.dataset, user=ben).number == 2
    for verb in (publishing.discard_draft, publishing.remove_draft):
        with pytest.raises(ConflictError):
            verb(version, user=ben)


def test_the_first_draft_stays(draft, ben):
    with pytest.raises(ConflictError):
        publishing.discard_draft(draft(), user=ben)


@pytest.mark.parametrize("verb", [publishing.publish, publishing.discard_draft])
def test_only_curators_publish_and_discard(draft, ada, verb):
    with pytest.raises(ForbiddenError):
        verb(draft(), user=ada)


def test_only_stewards_and_operators_register(ada, cy, dee):
    for user in (ada, cy):
        with pytest.raises(ForbiddenError):
            registering.register(user=user, slug="mine", title="Mine")
    assert registering.register(user=dee, slug="mine", title="Mine").dataset.stewards.get() == dee


def test_every_wrong_field_is_named(ben):
    registering.register(user=ben, slug="taken", title="Taken")
    with pytest.raises(ConflictError):
        registering.register(user=ben, slug="taken", title="Again")
    with pytest.raises(InvalidError) as refused:
        registering.register(user=ben, slug="No Slug", title="x")
    assert "slug" in refused.value.fields
    with pytest.raises(InvalidError) as refused:
        registering.register(user=ben, slug="wrong", title="x", contact="nobody", source_url="no url", access_policy="secret")
    assert {"contact", "source_url", "access_policy"} <= set(refused.value.fields)
    assert not Dataset.objects.filter(slug="wrong").exists()
    dataset = Dataset.objects.get(slug="taken")
    for wrong in (
        {"west": 0, "south": 5, "east": 10, "north": 1},
        {"west": 1},
        {"temporal_start": "2001-01-01", "temporal_end": "2000-01-01"},
        {"temporal_end": "yesterday"},
        {"number_of_moons": 1},
    ):
        with pytest.raises(InvalidError):
            registering.describe(dataset, user=ben, **wrong)


def test_a_published_version_stays_where_it_is(published, ben):
    with pytest.raises(ConflictError):
        registering.place(published(), user=ben, collection_id=COLLECTION, base_path="/elsewhere/")


@pytest.mark.parametrize("path", ["relative/", "/no-folder", "/../x/"])
def test_a_location_is_a_folder(draft, ben, path):
    with pytest.raises(InvalidError):
        registering.place(draft(), user=ben, collection_id=COLLECTION, base_path=path)


@pytest.mark.parametrize(
    ("orcid", "is_right"),
    [
        ("0000-0002-1825-0097", True),
        ("0000-0002-1694-233X", True),
        ("0000-0002-1825-0098", False),
        ("0000000218250097", False),
        ("0000-0002-1825-00971", False),
    ],
)
def test_the_check_digit_of_an_orcid(orcid, is_right):
    if is_right:
        check_orcid(orcid)
    else:
        with pytest.raises(ValidationError):
            check_orcid(orcid)


def test_words_of_suggestions_come_and_go_with_published_text(draft, published, ben):
    draft("hidden", title="Clandestine measurements")
    assert not SearchTerm.objects.exists()
    first = published("one", title="Glacier velocity")
    published("two", title="Glacier thickness")
    assert SearchTerm.objects.get(word="glacier").n_datasets == 2
    registering.describe(first.dataset, user=ben, title="Iceberg velocity")
    assert SearchTerm.objects.get(word="glacier").n_datasets == 1
    registering.describe(Dataset.objects.get(slug="two"), user=ben, title="Iceberg thickness")
    assert not SearchTerm.objects.filter(word="glacier").exists()
    assert not SearchTerm.objects.filter(word="clandestine").exists()


def test_a_folder_path_holds_each_name_once(draft):
    version = draft(files={"/a/b": "1"})
    folder = Folder.objects.get(path="/a/")
    with pytest.raises(IntegrityError), transaction.atomic():
        File.objects.create(folder=folder, name="b", first_version=2, size_bytes=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        Folder.objects.create(dataset=version.dataset, parent=folder, path="/a/", name="a", depth=1)


def test_a_stale_copy_of_a_dataset_does_not_take_its_publication_back(draft, ben):
    version = draft()
    stale = Dataset.objects.get()
    publishing.publish(version, user=ben)
    registering.describe(stale, user=ben, title="Renamed")
    assert Dataset.objects.published().get().title == "Renamed"


@pytest.mark.parametrize("path", ["/sea/", "/", "/sea/inner/"])
def test_a_steward_cannot_place_a_dataset_over_one_that_she_does_not_curate(published, cy, ben, dee, path):
    published(access_policy="restricted")
    RoleGrant.objects.create(role="steward", principal_type="identity", principal=cy.id)
    mine = registering.register(user=cy, slug="mine", title="Mine")
    with pytest.raises(ConflictError):
        registering.place(mine, user=cy, collection_id=COLLECTION, base_path=path)
    registering.place(mine, user=cy, collection_id=COLLECTION, base_path="/sea-mine/")
    registering.place(mine, user=dee, collection_id=COLLECTION, base_path=path)


@pytest.mark.parametrize("path", ["/sea/", "/", "/sea/inner/"])
def test_placing_what_is_less_open_over_open_files_names_them_and_asks(published, draft, browser, ben, path):
    published(title="The open sea")
    published("lake", access_policy="restricted")
    closing = registering.register(user=ben, slug="closing", title="Closing")
    with pytest.raises(ConflictError) as refused:
        registering.place(closing, user=ben, collection_id=COLLECTION, base_path=path)
    assert "The open sea (sea)" in refused.value.fields["base_path"][0]
    assert "lake" not in refused.value.fields["base_path"][0]
    asked = {"collection_id": str(COLLECTION), "base_path": path}
    told = browser(ben).post("/steward/datasets/closing/place/", asked)
    assert (told.status_code, b'name="closes_others"' in told.content) == (409, True)
    where = "/api/v1/datasets/closing/versions/1/location"
    assert browser(ben).put(where, asked, content_type="application/json").json()["fields"]["closes_others"]
    assert browser(ben).put(where, asked | {"closes_others": True}, content_type="application/json").status_code == 200


def test_what_is_as_open_closes_nothing_and_a_refused_place_registers_nothing(published, browser, ben):
    published(access_policy="registered")
    published("lake")
    draft = publishing.open_draft(Dataset.objects.get(slug="lake"), user=ben)
    assert registering.place(draft, user=ben, collection_id=COLLECTION, base_path="/sea/above/")
    typed = {"slug": "new", "title": "New", "collection_id": str(COLLECTION), "base_path": "/sea/"}
    assert browser(ben).post("/steward/register/", typed).status_code == 400
    assert not Dataset.objects.filter(slug="new").exists()
    assert browser(ben).post("/steward/register/", typed | {"closes_others": "1"}).status_code == 302


@pytest.mark.parametrize("name", ["SHARE_COLLECTION", "RESULTS_COLLECTION", "STORAGE_COLLECTION"])
def test_nobody_places_a_dataset_over_the_shares_and_results_of_people(dee, settings, name):
    setattr(settings, name, str(COLLECTION))
    version = registering.register(user=dee, slug="spy", title="Spy")
    with pytest.raises(ConflictError):
        registering.place(version, user=dee, collection_id=COLLECTION, base_path="/requests/")


@pytest.mark.parametrize(
    "sides",
    [
        {"west": 1},
        {"west": 1, "south": 1, "east": 2},
        {"west": 0, "south": 5, "east": 1, "north": 4},
        {"west": -181, "south": 0, "east": 1, "north": 1},
    ],
)
def test_the_database_refuses_half_a_box(draft, sides):
    draft()
    with pytest.raises(IntegrityError), transaction.atomic():
        Dataset.objects.update(**sides)
