import datetime as dt

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import files
from datasets.errors import InvalidError
from datasets.files import FileQuery, bounding
from datasets.files.bounding import bounded
from datasets.files.filters import FileFilter, read_size, size_text
from datasets.models import Version
from datasets.preservation import locating
from tests.datasets.test_api import DATASETS, problem
from tests.datasets.test_pages import page

FILES = {
    "/2001/small.nc": "1",
    "/2001/large.nc": "x" * 2000,
    "/2001/deep/large.txt": "y" * 3000,
    "/2002/large.nc": "z" * 4000,
    "/r.txt": "r",
}


@pytest.fixture(scope="module")
def made(lasting) -> Version:
    def make(curator):
        for day, path in enumerate(sorted(FILES), start=1):
            curator.disk.write(f"/sieved{path}", FILES[path], day=day)
        return curator.published("sieved", {})

    return lasting(make)


@pytest.fixture
def version(made, db) -> Version:
    return Version.objects.get(pk=made.pk)


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("500", 500), ("10 MB", 10_000_000), ("1.5GiB", 3 * 2**29), ("2k", 2000), ("7 bytes", 7), ("1 KIB", 1024)]
)
def test_sizes_are_read_with_their_units(text, size):
    assert read_size(text) == size


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**60))
def test_a_size_in_words_is_that_size_when_it_is_read(size):
    assert read_size(size_text(size)) == size


def test_every_bound_that_cannot_be_read_is_named_at_once():
    with pytest.raises(InvalidError) as refused:
        FileFilter.read({"min_size": "much", "max_size": "-1", "modified_from": "yesterday", "modified_to": "2001-02-30"})
    assert set(refused.value.fields) == {"min_size", "max_size", "modified_from", "modified_to"}
    for empty in ({"min_size": "2", "max_size": "1"}, {"modified_from": "2001-01-02", "modified_to": "2001-01-01"}):
        with pytest.raises(InvalidError):
            FileFilter.read(empty)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"min_size": "2 kB"}, {"/2001/large.nc", "/2001/deep/large.txt", "/2002/large.nc"}),
        ({"max_size": "1999"}, {"/2001/small.nc", "/r.txt"}),
        ({"min_size": "2001", "max_size": "3 kB"}, {"/2001/deep/large.txt"}),
        ({"modified_from": "2020-01-04"}, {"/2002/large.nc", "/r.txt"}),
        ({"modified_to": "2020-01-01"}, {"/2001/deep/large.txt"}),
        ({"modified_from": "2020-01-02", "modified_to": "2020-01-03", "min_size": "2"}, {"/2001/large.nc"}),
    ],
)
def test_bounds_mean_the_same_to_a_listing_a_measure_and_an_iteration(version, asked, expected):
    query = FileQuery(filters=FileFilter.read(asked))
    assert {row.path for row in files.iterate(version, query, batch=2)} == expected
    assert files.measure(version, query).n_files == len(expected)
    assert {row.path for row in files.list_folder(version, "/", filters=query.filters).files} == expected
    assert not files.is_whole_folders(version, query)
    assert not query.is_everything
    assert FileQuery.from_json(query.to_json()) == query


def test_bounds_join_folders_and_globs_and_leave_named_files_alone(version):
    query = FileQuery(folders=("/2001/",), globs=("*.nc",), files=("/r.txt",), filters=FileFilter(min_size=100))
    assert [row.path for row in files.iterate(version, query)] == ["/r.txt", "/2001/large.nc"]


def test_more_than_a_page_can_count_is_said_so(version):
    counted, is_more = files.measure_up_to(version, FileQuery(filters=FileFilter(min_size=1)), most=3)
    assert (counted.n_files, is_more) == (3, True)
    assert files.measure_up_to(version, FileQuery(filters=FileFilter(min_size=1)), most=5)[1] is False


def test_a_search_that_takes_too_long_ends_with_advice_and_leaves_the_connection_sound(db):
    with connection.cursor() as cursor:
        with pytest.raises(InvalidError, match="Choose a folder first"), bounded(0.05):
            cursor.execute("select pg_sleep(60)")
        cursor.execute("show statement_timeout")
        assert cursor.fetchone() == ("0",)
    assert bounding.LONGEST_S >= 1


def test_the_page_keeps_a_search_in_its_address_and_puts_it_into_its_form(version, browser):
    html = page(browser().get("/datasets/sieved/files/?folder=/2001/&glob=large*&min_size=2500&everywhere=1"))
    assert "2 files fit" in html
    assert "at least 2.5 kB" in html
    assert 'href="/datasets/sieved/files/?version=1&amp;folder=%2F2001%2F&amp;everywhere=1&amp;min_size=2500"' in html, (
        "a chip drops its part"
    )
    hidden = html.split('id="all"')[1].split("</form>")[0]
    for name, value in (("everything", "1"), ("glob", "large*"), ("min_size", "2500")):
        assert f'name="{name}" value="{value}"' in hidden
    assert 'name="folder"' not in hidden
    assert "1 file fits" in page(browser().get("/datasets/sieved/files/?folder=/2001/&min_size=2500"))
    assert "No file fits" in page(browser().get("/datasets/sieved/files/?modified_from=2030-01-01"))


def test_a_bad_filter_names_its_field_and_leads_back_to_the_folder(version, browser):
    html = page(browser().get("/datasets/sieved/files/?folder=/2001/&min_size=big&modified_to=soon"), 400)
    assert '<li id="wrong-min_size"><strong>Size from</strong> “big”: A size such as 500' in html
    assert "<strong>Modified to</strong> “soon”: A day such as" in html
    assert 'name="min_size" type="text" value="big" placeholder="10 MB" size="9" aria-invalid="true" aria-describedby="wrong-min' in html
    assert 'href="/datasets/sieved/files/?version=1&amp;folder=%2F2001%2F">Show the folder /2001/ without a filter' in html
    assert 'aria-label="Folders"' in html, "the tree stays"
    html = page(browser().get("/datasets/sieved/files/?folder=nowhere"), 400)
    assert "<strong>Folder</strong>: A folder path" in html
    assert "Show all files" in html
    told = browser().get(f"{DATASETS}/sieved/versions/1/files?min_size=big").json()
    assert told["detail"].startswith("min_size: A size such as")


def test_what_is_cold_says_so_and_is_left_out_of_online_only(version, browser, ben):
    address, api = "/datasets/sieved/files/?availability=online", f"{DATASETS}/sieved/versions/1/files"
    assert "Online only<svg" in page(browser().get(address)), "its chip"
    assert browser().get(f"{api}?availability=online").json()["availability"] == "online"
    locating.set_availability(version.locations.get(), user=ben, is_online=False, wait_minutes=240)
    html = page(browser().get(address))
    assert "No file is on line" in html
    assert "about 4 hours after somebody asks" in html
    assert 'href="/datasets/sieved/files/?version=1">Show all of them' in html
    assert "Cold" in page(browser().get("/datasets/sieved/files/"))
    told = browser().get(f"{api}?availability=online").json()
    assert (told["availability"], told["wait_minutes"], told["files"], told["folders"]) == ("cold", 240, [], [])
    assert browser().get(f"{api}?availability=cold").json()["n_files"] == len(FILES)
    problem(browser().get(f"{api}?availability=soon"), 400)


def test_further_rows_come_alone_and_without_scripts_as_a_page(version, browser, monkeypatch):
    monkeypatch.setattr("datasets.files.pages.FILES_ON_A_PAGE", 2)
    client, seen, address = browser(), [], "/datasets/sieved/files/?max_size=4000"
    while address:
        html = page(client.get(address, headers={"HX-Request": "true"}))
        assert "<html" not in html
        assert browser().get(address).headers["Vary"].startswith("HX-Request")
        seen += [part.split('"')[0] for part in html.split('name="file" value="')[1:]]
        address = html.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&") if 'rel="next"' in html else ""
    assert sorted(seen) == sorted(FILES)


def test_the_api_searches_and_gives_the_manifest_of_what_it_found(version, browser, django_assert_max_num_queries):
    path = f"{DATASETS}/sieved/versions/1"
    found = browser().get(f"{path}/files?folder=/2001/&min_size=2kB&limit=1").json()
    assert (found["n_files"], found["is_more"]) == (2, False)
    assert [row["path"] for row in browser().get(found["next"]).json()["files"]] == ["/2001/deep/large.txt"]
    manifest = b"".join(browser().get(f"{path}/manifest?glob=*.nc&modified_from=2020-01-03&format=sha256").streaming_content).decode()
    assert [line.split("  ")[1] for line in manifest.splitlines()] == ["2001/small.nc", "2002/large.nc"]
    problem(browser().get(f"{path}/files?min_size=big"), 400)
    client = browser()
    with django_assert_max_num_queries(12):
        client.get(f"{path}/files?min_size=1")


def test_days_are_days_in_utc():
    assert FileFilter.read({"modified_from": " 2001-02-03 "}).modified_from == dt.date(2001, 2, 3)
