"""Many datasets from one table: a dry run finds all that is wrong at once, and a run with anything wrong changes nothing."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from datasets import series
from datasets.curation import bulk, publishing, registering
from datasets.errors import ForbiddenError, InvalidError
from datasets.models import Dataset, DatasetEvent
from portal.models import RoleGrant
from tests.datasets.conftest import COLLECTION

TABLE = f"""\
slug,title,abstract,creators,subjects,west,south,east,north,temporal_start,collection_id,base_path
one,The first,"Words, with a comma","Lindqvist, Ada; 0000-0002-1825-0097; Uni|Met Office","Ocean, Ice",0,1,2,3,1990-01-01,{COLLECTION},/one/
two,The second,,,,,,,,,,
"""
WRONG = """slug,title,licence,access_policy,creators,west,temporal_start,base_path
No Slug,Title,,,,,,
one,,,secret,Ada; 0000-0002-1825-0098,east,yesterday,
two,,,,,,yesterday,/two/
two,,,,,,,
,Nameless,,,,,,
"""


def load(table: str, user, *, is_dry_run: bool = False):
    return bulk.load(table, user=user, is_dry_run=is_dry_run)


def test_rows_register_datasets_with_all_that_they_state(db, ben):
    loaded = load(TABLE, ben)
    assert (loaded.new, loaded.changed, loaded.wrong, loaded.is_done) == (["one", "two"], [], [], True)
    one = Dataset.objects.get(slug="one")
    assert (one.title, one.abstract, one.bbox, str(one.temporal_start)) == ("The first", "Words, with a comma", (0, 1, 2, 3), "1990-01-01")
    assert [(creator.name, creator.orcid, creator.affiliation) for creator in one.creators.all()] == [
        ("Lindqvist, Ada", "0000-0002-1825-0097", "Uni"),
        ("Met Office", "", ""),
    ]
    assert one.subject_facet == ["Ice", "Ocean"]
    assert str(one.versions.get().primary_location) == f"{COLLECTION}:/one/"
    assert list(one.stewards.all()) == [ben]


def test_a_dry_run_says_the_same_and_leaves_nothing(db, ben):
    loaded = load(TABLE, ben, is_dry_run=True)
    assert (loaded.new, loaded.wrong, loaded.is_done) == (["one", "two"], [], False)
    assert not Dataset.objects.exists()
    assert not DatasetEvent.objects.exists()


@pytest.mark.parametrize("is_dry_run", [True, False])
def test_all_that_is_wrong_is_told_by_line_and_column_and_nothing_is_done(db, ben, is_dry_run):
    loaded = load(WRONG, ben, is_dry_run=is_dry_run)
    told = {(one.line, one.column) for one in loaded.wrong}
    columns = {2: ["slug"], 3: ["west", "temporal_start", "title"], 4: ["temporal_start", "title"], 5: ["slug"], 6: ["slug"]}
    assert {(line, column) for line, names in columns.items() for column in names} <= told
    assert not loaded.is_done
    assert not Dataset.objects.exists()


def test_a_known_slug_is_changed_and_empty_cells_leave_what_is(published, ben):
    dataset = published(title="Old", abstract="Stays.", subjects=["Sea"]).dataset
    loaded = load("slug,title,abstract,subjects\nsea,New,,\n", ben)
    assert (loaded.new, loaded.changed) == ([], ["sea"])
    dataset.refresh_from_db()
    assert (dataset.title, dataset.abstract, dataset.subject_facet) == ("New", "Stays.", ["Sea"])
    assert dataset.versions.count() == 1


def test_another_place_of_a_published_dataset_opens_a_draft(published, ben):
    version = published()
    assert load(f"slug,collection_id,base_path\nsea,{COLLECTION},/sea/\n", ben).is_done
    assert version.dataset.versions.count() == 1
    assert load(f"slug,collection_id,base_path\nsea,{COLLECTION},/sea-two/\n", ben).is_done
    draft = version.dataset.versions.first()
    assert (draft.is_draft, draft.primary_location.base_path) == (True, "/sea-two/")


def test_what_she_does_not_curate_is_refused_in_its_line(published, ben, cy, ada, dee):
    published()
    RoleGrant.objects.create(role="steward", principal_type="identity", principal=cy.id)
    (wrong,) = load("slug,title\nsea,Mine now\n", cy).wrong
    assert (wrong.line, wrong.column) == (2, "slug")
    assert "Only a steward" in wrong.words
    with pytest.raises(ForbiddenError):
        load(TABLE, ada)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("", "one of them is slug"),
        ("title\nx\n", "one of them is slug"),
        ("slug,moons\nx,2\n", "no column 'moons'"),
        ("slug,slug\nx,y\n", "stands there twice"),
        ("slug,title\nx,y,z\n", "Line 2 has more cells"),
        ('slug,title\nx,"y\n', "is not CSV"),
        ("slug\0", "not text"),
    ],
)
def test_a_table_that_is_none_is_refused_in_words(db, ben, table, words):
    with pytest.raises(InvalidError) as refused:
        load(table, ben)
    assert words in " ".join(refused.value.fields["table"])


def test_what_is_downloaded_can_be_loaded_again_and_changes_nothing(published, ben):
    version = published(
        title='=HYPERLINK("x")', creators=[{"name": "Ada", "orcid": "0000-0002-1825-0097", "affiliation": "U"}], subjects=["Sea"],
        west=-1.5, south=0, east=1, north=2, temporal_start="1990-01-01",
    )  # fmt: skip
    before = publishing.snapshot(version.dataset)
    table = bulk.as_table(list(Dataset.objects.all()))
    assert ",=HYPERLINK" not in table
    loaded = load(table, ben)
    assert (loaded.changed, loaded.wrong, loaded.is_done) == (["sea"], [], True)
    assert publishing.snapshot(Dataset.objects.get()) == before
    assert version.dataset.versions.count() == 1


def test_a_dataset_in_a_bucket_stays_where_it_is(db, ben):
    version = registering.register(user=ben, slug="sea", title="Sea", abstract="Salt.")
    registering.place(version, user=ben, bucket="archive", base_path="/sea/")
    loaded = load(bulk.as_table(list(Dataset.objects.all())), ben)
    assert (loaded.wrong, loaded.is_done) == ([], True)
    assert version.locations.get().bucket == "archive"


def test_by_page_a_table_is_checked_then_loaded(db, browser, ben):
    client = browser(ben)
    checked = client.post("/steward/table/", {"file": SimpleUploadedFile("datasets.csv", TABLE.encode()), "act": "check"})
    page = checked.content.decode()
    assert "2 datasets would be registered" in page
    assert "Words, with a comma" in page, "the table is kept to be loaded"
    refused = client.post("/steward/table/", {"table": WRONG, "act": "load"})
    assert (refused.status_code, "nothing is changed" in refused.content.decode()) == (400, True)
    assert client.post("/steward/table/", {"table": TABLE, "act": "load"}).status_code == 302
    assert Dataset.objects.count() == 2
    assert client.get("/steward/table.csv").content.decode().splitlines()[1].startswith("one,The first")


def test_rows_put_datasets_in_series_and_take_them_out(published, ben, dee):
    seas = series.create(user=dee, slug="seas", title="Seas")
    series.create(user=dee, slug="closed", title="Not hers")
    series.appoint(seas, user=dee, principal_type="identity", principal=ben.pk)
    published()
    table = "slug,title,series,west\nsea,,seas,\nnew,New,seas,\n"
    assert load(table, ben).is_done
    assert sorted(Dataset.objects.filter(series=seas).values_list("slug", flat=True)) == ["new", "sea"]
    kept = bulk.as_table(list(Dataset.objects.all()))
    assert (load(kept, ben).wrong, Dataset.objects.filter(series=seas).count()) == ([], 2)
    told = load("slug,title,series,west\nsea,,lakes,east\nnew,New,closed,\n", ben, is_dry_run=True).wrong
    assert {(one.line, one.column) for one in told} >= {(2, "series"), (2, "west"), (3, "series")}
    assert load("slug,series\nsea,-\n", ben).is_done
    assert list(Dataset.objects.filter(series=seas).values_list("slug", flat=True)) == ["new"]


def test_a_place_that_would_close_others_names_a_column_of_the_table_and_the_remedy(published, ben):
    published(title="The open sea")
    (wrong,) = load(f"slug,title,collection_id,base_path\nclosing,Closing,{COLLECTION},/sea/\n", ben).wrong
    assert (wrong.line, wrong.column) == (2, "base_path")
    assert "The open sea (sea)" in wrong.words
    assert "Name a folder beside" in wrong.words
