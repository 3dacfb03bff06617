"""A version of which some folders are cold: what lists, counts, searches, selections and verifications say of it."""

import datetime as dt

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from datasets import files
from datasets.curation import publishing
from datasets.errors import InvalidError
from datasets.files import FileQuery, Measure, cold
from datasets.files.filters import FileFilter
from datasets.models import File, Version
from datasets.preservation import fixity, locating, watching
from tests.datasets.test_api import DATASETS
from tests.datasets.test_pages import page
from transfers import selecting

FILES = {"/1990/a.nc": "1", "/1990/deep/b.nc": "22", "/1991/x/c.nc": "333", "/1991/d.nc": "4444", "/r.txt": "55555"}


@pytest.fixture
def version(published, ben) -> Version:
    """Of six folders `/1990/` and `/1991/x/` are cold."""
    made = published(files=FILES)
    locating.set_availability(made.locations.get(), user=ben, is_online=True, wait_minutes=240, cold_folders=["/1991/x/", "/1990/"])
    return Version.objects.get(pk=made.pk)


def rows(listing):
    return [(row.path, row.n_files, row.availability) for row in listing.folders], [(row.path, row.availability) for row in listing.files]


def test_folders_and_files_say_whether_they_are_on_line(version):
    assert rows(files.list_folder(version, "/")) == ([("/1990/", 2, "cold"), ("/1991/", 2, "partly")], [("/r.txt", "online")])
    assert rows(files.list_folder(version, "/1990/")) == ([("/1990/deep/", 1, "cold")], [("/1990/a.nc", "cold")])
    assert [version.availability_of(path) for path in ("/", "/1991/x/c.nc", "/1991/d.nc", "/199/")] == [
        "partly",
        "cold",
        "online",
        "online",
    ]


@pytest.mark.parametrize(
    ("availability", "folder", "total", "expected"),
    [
        ("online", "/", (2, 9), ([("/1991/", 1, "partly")], [("/r.txt", "online")])),
        ("cold", "/", (3, 6), ([("/1990/", 2, "cold"), ("/1991/", 1, "partly")], [])),
        ("online", "/1991/", (1, 4), ([], [("/1991/d.nc", "online")])),
        ("cold", "/1991/", (1, 3), ([("/1991/x/", 1, "cold")], [])),
        ("online", "/1990/", (0, 0), ([], [])),
        ("cold", "/1990/deep/", (1, 2), ([], [("/1990/deep/b.nc", "cold")])),
    ],
)
def test_what_is_on_line_or_cold_is_listed_and_counted_alone(version, availability, folder, total, expected):
    listing = files.list_folder(version, folder, availability=availability)
    assert ((listing.n_files, listing.size_bytes), rows(listing)) == (total, expected)
    listing = files.list_folder(version, folder, glob="**", availability=availability)
    assert (listing.n_files, listing.size_bytes) == total, "a search finds the same"
    assert {row.availability for row in listing.files} <= {availability}


def test_pages_of_what_is_on_line_follow_each_other(version):
    first = files.list_folder(version, "/", limit=1, availability="online")
    second = files.list_folder(version, "/", after=first.next_after, limit=1, availability="online")
    assert ([row.path for row in first.folders], [row.path for row in second.files], second.next_after) == (["/1991/"], ["/r.txt"], "")


@pytest.mark.parametrize(
    ("query", "n_cold", "n_online"),
    [
        (FileQuery(), 3, 2),
        (FileQuery(folders=("/1991/",)), 1, 1),
        (FileQuery(folders=("/1990/deep/",)), 1, 0),
        (FileQuery(globs=("*.nc",)), 3, 1),
        (FileQuery(files=("/r.txt", "/1990/a.nc")), 1, 1),
        (FileQuery(folders=("/1991/",), files=("/1990/a.nc",)), 2, 1),
        (FileQuery(files=("/r.txt",)), 0, 1),
        (FileQuery(filters=FileFilter(without=("/1990/",))), 1, 2),
        (FileQuery(folders=("/1990/",), filters=FileFilter(max_size=1)), 1, 0),
    ],
)
def test_the_cold_part_of_a_selection_is_counted_named_and_left_out(version, query, n_cold, n_online):
    assert cold.measure_cold(version, query).n_files == n_cold
    assert bool(cold.describe_cold(version, query)) == bool(n_cold)
    kept = cold.leave_out_cold(version, query)
    assert kept != FileQuery(), "that would be everything"
    assert [row.availability for row in files.iterate(version, kept)] == ["online"] * n_online
    assert FileQuery.from_json(kept.to_json()) == kept


def test_of_cold_files_alone_nothing_is_left_and_not_the_whole_version(version):
    with pytest.raises(InvalidError, match="All of these files are cold"):
        cold.leave_out_cold(version, FileQuery(files=("/1990/a.nc", "/1991/x/c.nc")))


@pytest.mark.parametrize("without", ["[" * 5_000, '["/\\ud800/"]', '["/\\u0000/"]', "{}", "[1]"])
def test_folders_to_leave_out_that_are_none_are_refused_in_words(without):
    with pytest.raises(InvalidError) as refused:
        FileFilter.read({"without": without})
    assert set(refused.value.fields) == {"without"}
    with pytest.raises(InvalidError):
        FileFilter.read({"items": '{"keys": ["\\ud800"]}'})


def test_the_page_marks_what_is_cold_and_chooses_what_is_on_line(version, browser):
    address = f"/datasets/{version.dataset.slug}/files/"
    html = page(browser().get(address))
    assert ("Partly cold" in html, "about 4 hours after somebody asks" in html, "3 files" in html) == (True, True, False)
    html = page(browser().get(f"{address}?availability=online"))
    assert ("/1990/" in html.split("<tbody")[1].split("</tbody>")[0], "Add all 2 files on line here" in html) == (False, True)
    assert 'name="without" value="[&#34;/1990/&#34;, &#34;/1991/x/&#34;]"' in html
    assert "No file is on line" in page(browser().get(f"{address}?availability=online&folder=/1990/"))
    assert "without /1990/" in page(browser().get(f'{address}?without=["/1990/"]'))
    page(browser().get(f"{address}?without=nowhere"), 400)
    assert "Browse what is on line" in page(browser().get(version.get_absolute_url()))
    told = browser().get(f"{DATASETS}/{version.dataset.slug}/versions/1/files?folder=/1991/").json()
    assert (told["availability"], told["folders"][0]["availability"], told["files"][0]["availability"]) == ("partly", "cold", "online")


def test_a_steward_names_cold_folders_and_is_told_what_is_none(version, ben, browser):
    address, location = f"/steward/datasets/{version.dataset.slug}/locations/", version.locations.get()
    form = {"act": "availability", "location": location.pk, "is_online": "1", "wait": "2", "unit": "1440"}
    html = page(browser(ben).post(address, {**form, "cold_folders": "/1990/\n/none/"}), 400)
    assert "The version holds no folder /none/." in html
    assert browser(ben).post(address, {**form, "cold_folders": "/1990/deep/\r\n/1990/\r\n"}).status_code == 302
    location.refresh_from_db()
    assert (location.cold_folders, location.wait_minutes) == (["/1990/"], 2880)
    with pytest.raises(InvalidError) as refused:
        locating.set_availability(location, user=ben, is_online=True, cold_folders=["/"])
    assert "all of it" in refused.value.fields["cold_folders"][0]
    draft = publishing.open_draft(version.dataset, user=ben)
    assert draft.locations.get().cold_folders == ["/1990/"]
    api = f"/api/v1/datasets/{version.dataset.slug}/versions/1/locations/{location.pk}"
    told = browser(ben).patch(api, {"is_online": True}, content_type="application/json").json()
    assert (told["cold_folders"], told["wait_minutes"]) == ([], None)
    assert draft.locations.get().cold_folders == [], "the draft lies at the same place"


def test_names_of_cold_folders_are_for_those_who_may_read_names_of_files(published, ben, browser):
    made = published(files=FILES, access_policy="restricted", access_note="As a demonstration.")
    locating.set_availability(made.locations.get(), user=ben, is_online=True, cold_folders=["/1990/"])
    version, stranger = Version.objects.get(pk=made.pk), AnonymousUser()
    told = browser().get(f"{DATASETS}/{version.dataset.slug}/versions/1/").json()
    assert (told["locations"][0]["is_online"], "1990" in str(told)) == (True, False)
    basket = selecting.open_basket(user=stranger, session_key="cold")
    selecting.add_selection(basket, version=version, query=FileQuery(), user=stranger)
    (line,) = selecting.review(basket, user=stranger).lines
    assert line.why_not == "2 of its files are cold, on tape or away for a time. Leave them out, or ask the steward."
    assert not line.has_online, "what is left out would be named"
    (line,) = selecting.review(basket, user=ben).lines
    assert ("/1990/" in line.why_not, line.has_online) == (True, True)


@pytest.mark.parametrize("without", ['["/\\ud800/"]', "[" * 100_000, '["/\\u0000/"]', "{}", "[1]", "1"])
def test_folders_to_leave_out_that_cannot_be_read_are_told(without):
    with pytest.raises(InvalidError) as refused:
        FileFilter.read({"without": without})
    assert list(refused.value.fields) == ["without"]


def test_a_replica_that_is_wholly_on_line_is_used_before_one_that_is_partly_cold(version, ben):
    version.locations.create(collection_id=version.locations.get().collection_id, base_path="/elsewhere/", is_primary=False)
    found = Version.objects.get(pk=version.pk)
    assert (found.primary_location.base_path, found.cold_folders) == ("/elsewhere/", ())


def test_cold_files_are_not_brought_back_to_be_verified(version, ben):
    File.objects.update(sha256=bytes(32), inspected_at=timezone.now() - dt.timedelta(days=90))
    watching.change_watch(version.dataset, user=ben, verify_every="monthly")
    asked: list[str] = []

    def reader_of(_location):
        def read(paths):
            asked.extend(paths)
            return iter(())

        return read

    fixity.verify_some(version.dataset_id, reader_of)
    base = version.primary_location.base_path
    assert sorted(path.removeprefix(base) for path in asked) == ["1991/d.nc", "r.txt"]


def test_totals_without_cold_folders_cost_no_count(version, django_assert_max_num_queries):
    version.primary_location  # noqa: B018  (read before)
    with django_assert_max_num_queries(2):
        assert files.list_folder(version, "/", availability="online").n_files == 2
    assert cold.measure_cold(version, FileQuery()) == Measure(3, 6)
