import hashlib

import pytest
from django.db import DataError, connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import files
from datasets.curation import publishing
from datasets.errors import InvalidError
from datasets.files import FileQuery, earlier
from datasets.files.filters import FileFilter
from datasets.files.globs import matches
from datasets.files.preparing import Prepared
from datasets.models import File, Location, Version
from tests.datasets.conftest import scan

FILES = {
    "/readme.txt": "read me",
    "/2001/jan.nc": "1",
    "/2001/feb.nc": "22",
    "/2001/notes/a.txt": "333",
    "/2002/jan.nc": "4444",
    "/2001-old/x.nc": "55555",
    "/2001/notes.txt": "666666",
    "/ä/ö.nc": "7777777",
}


@pytest.fixture(scope="module")
def made(lasting) -> Version:
    return lasting(lambda curator: curator.published("layered", FILES))


@pytest.fixture
def version(made, db) -> Version:
    """One version, made once; what a test does to it is undone after it."""
    return Version.objects.get(pk=made.pk)


def selected(version, query, **options):
    return [row.path for row in files.iterate(version, query, **options)]


def expected(query: FileQuery) -> set[str]:
    """What the docstring of FileQuery says, in Python."""
    if query.is_everything:
        return set(FILES)
    below = {path for path in FILES if path.startswith(query.searched_folders)} if query.searched_folders else set()
    fitting = {path for path in below if not query.globs or any(matches(glob, path) for glob in query.globs)}
    return fitting | (set(query.files) & set(FILES))


QUERIES = [
    FileQuery(),
    FileQuery(folders=("/2001/",)),
    FileQuery(folders=("/2001/", "/2001/notes/", "/2002/")),
    FileQuery(globs=("*.txt",)),
    FileQuery(folders=("/2001/",), globs=("*.nc", "n*")),
    FileQuery(files=("/readme.txt", "/2001/jan.nc", "/nothing")),
    FileQuery(folders=("/2001/",), files=("/2001/jan.nc", "/readme.txt")),
    FileQuery(folders=("/2001/",), globs=("j*",), files=("/2001/notes.txt", "/readme.txt")),
    FileQuery(folders=("/absent/",)),
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_selection_means_the_same_to_measure_and_to_iterate(version, query):
    wanted = expected(query)
    assert set(selected(version, query)) == wanted
    assert len(selected(version, query)) == len(wanted)
    measured = files.measure(version, query)
    assert (measured.n_files, measured.size_bytes) == (len(wanted), sum(len(FILES[path]) for path in wanted))


FOLDERS = st.sampled_from(["/", "/2001/", "/2001/notes/", "/2002/", "/ä/", "/no/"])
GLOBS = st.sampled_from(["*.nc", "jan*", "/2001/*", "**/notes/**", "notes*"])


@pytest.mark.parametrize("n_selections", [40, pytest.param(5000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_any_selection_comes_in_order_without_repeats_whatever_the_page(version, n_selections):
    @settings(max_examples=n_selections, deadline=None, print_blob=True)
    @given(
        folders=st.sets(FOLDERS, max_size=3), globs=st.sets(GLOBS, max_size=2), names=st.sets(st.sampled_from(sorted(FILES)), max_size=3)
    )
    def holds(folders, globs, names):
        assert_in_order(version, FileQuery(tuple(folders), tuple(globs), tuple(names)))

    holds()


def assert_in_order(version, query):
    whole = selected(version, query)
    assert set(whole) == expected(query)
    keys = [(path[: path.rindex("/") + 1].encode(), path[path.rindex("/") + 1 :].encode()) for path in whole]
    assert keys == sorted(keys)
    assert selected(version, query, batch=2) == whole
    assert files.measure(version, query).n_files == len(whole)


def test_iteration_goes_on_after_any_path(version):
    whole = selected(version, FileQuery())
    for at, path in enumerate(whole):
        assert selected(version, FileQuery(), after=path) == whole[at + 1 :]


def test_whole_folders_are_measured_without_reading_a_file_row(version, django_assert_max_num_queries):
    File.objects.all().delete()
    with django_assert_max_num_queries(1):
        assert files.measure(version, FileQuery(folders=("/2001/",))).n_files == 4


def test_a_million_files_cost_no_more_statements_than_one(version, django_assert_max_num_queries):
    with django_assert_max_num_queries(1):
        files.measure(version, FileQuery(globs=("*.nc",)))
    with django_assert_max_num_queries(4):
        files.list_folder(version, "/2001/")
    with django_assert_max_num_queries(1):
        files.tree(version, "/2001/notes/")


def test_paths_that_are_none_are_refused():
    for folder in ("2001/", "/2001", "/a/../b/", "//", "/./", ""):
        with pytest.raises(InvalidError):
            FileQuery(folders=(folder,))
    for name in ("a", "/a/", "/../etc/passwd", "/a\0"):
        with pytest.raises(InvalidError):
            FileQuery(files=(name,))
    with pytest.raises(InvalidError):
        FileQuery(files=tuple(f"/{n}" for n in range(10_001)))
    with pytest.raises(InvalidError):
        FileQuery(globs=tuple(f"{n}*" for n in range(101)))


def test_a_selection_survives_its_json():
    query = FileQuery(("/a/", "/b/"), ("*.nc",), ("/c",))
    assert FileQuery.from_json(query.to_json()) == query


def test_named_paths_that_are_not_there_are_told(version):
    query = FileQuery(folders=("/2001/", "/2003/"), files=("/readme.txt", "/gone.txt"))
    assert files.missing_paths(version, query) == ["/2003/", "/gone.txt"]


def test_a_folder_lists_folders_with_recursive_counts_then_files_page_by_page(version):
    after, seen = None, []
    for _ in range(20):
        listing = files.list_folder(version, "/", after=after, limit=2)
        assert len(listing.folders) + len(listing.files) <= 2
        seen += [row.path for row in [*listing.folders, *listing.files]]
        after = listing.next_after
        if not after:
            break
    assert seen == ["/2001/", "/2001-old/", "/2002/", "/ä/", "/readme.txt"]
    assert (listing.n_files, listing.size_bytes) == (8, sum(map(len, FILES.values())))
    assert {row.path: row.n_files for row in files.list_folder(version, "/").folders}["/2001/"] == 4


def test_a_glob_searches_all_folders_below(version):
    listing = files.list_folder(version, "/2001/", glob="*.txt")
    assert [row.path for row in listing.files] == ["/2001/notes.txt", "/2001/notes/a.txt"]
    assert (listing.n_files, listing.folders) == (2, [])
    first = files.list_folder(version, "/", glob="*.nc", limit=2)
    second = files.list_folder(version, "/", glob="*.nc", limit=9, after=first.next_after)
    assert [row.path for row in [*first.files, *second.files]] == selected(version, FileQuery(globs=("*.nc",)))


def test_the_tree_opens_the_way_to_a_folder(version):
    rows = files.tree(version, "/2001/notes/")
    assert [row.path for row in rows] == ["/", "/2001-old/", "/2001/", "/2001/notes/", "/2002/", "/ä/"]
    assert [row.path for row in rows if row.is_open] == ["/", "/2001/", "/2001/notes/"]


def test_whole_folders_are_copied_as_such_unless_a_file_lies_elsewhere(version):
    assert files.is_whole_folders(version, FileQuery())
    assert files.is_whole_folders(version, FileQuery(folders=("/2001/", "/ä/")))
    assert not files.is_whole_folders(version, FileQuery(globs=("*",)))
    assert not files.is_whole_folders(version, FileQuery(files=("/readme.txt",)))
    File.objects.filter(name="feb.nc").update(collection_path="/elsewhere/feb.nc")
    assert not files.is_whole_folders(version, FileQuery(folders=("/2001/",)))
    assert files.is_whole_folders(version, FileQuery(folders=("/2002/",)))
    assert [row.collection_path for row in files.iterate(version, FileQuery(files=("/2001/feb.nc",)))] == ["/elsewhere/feb.nc"]


def test_each_of_three_versions_keeps_its_own_files(published, disk, ben):
    first = published("ice", {"/a": "1", "/b": "1", "/c/d": "1"})

    def next_version(number: int):
        version = publishing.open_draft(first.dataset, user=ben)
        Location.objects.filter(version=version).update(base_path=f"/ice{number}/")
        scan(version, disk, ben)
        return publishing.publish(version, user=ben)

    for path, content in {"/a": "1", "/b": "changed", "/new": "2"}.items():
        disk.write(f"/ice2{path}", content, day=2 if content == "changed" else 1)
    second = next_version(2)
    for path, content in {"/a": "1", "/b": "1", "/c/d": "1", "/new": "2"}.items():
        disk.write(f"/ice3{path}", content, day=3)
    third = next_version(3)

    def content(version):
        return {row.path: row.size_bytes for row in files.iterate(version, FileQuery())}

    assert content(first) == {"/a": 1, "/b": 1, "/c/d": 1}
    assert content(second) == {"/a": 1, "/b": 7, "/new": 1}
    assert content(third) == {"/a": 1, "/b": 1, "/c/d": 1, "/new": 1}
    for version, total in ((first, 3), (second, 9), (third, 4)):
        assert files.measure(version, FileQuery()).size_bytes == total
    assert [row.path for row in files.list_folder(second, "/").folders] == []
    assert File.objects.filter(folder__dataset=first.dataset, name="a").count() == 1
    assert third.digest_hex != second.digest_hex
    rows = list(files.iterate(second, FileQuery(files=("/b",))))
    assert rows[0].sha256 == hashlib.sha256(b"changed").hexdigest()
    assert rows[0].collection_path == "/ice2/b"


def test_what_came_back_as_it_was_gives_the_first_digest_again(published, disk, ben):
    first = published("ice", {"/a": "1", "/b": "2"})
    disk.write("/ice2/a", "1")
    disk.write("/ice3/a", "1")
    disk.write("/ice3/b", "2")
    versions = [first]
    for number in (2, 3):
        version = publishing.open_draft(first.dataset, user=ben)
        Location.objects.filter(version=version).update(base_path=f"/ice{number}/")
        scan(version, disk, ben)
        versions.append(publishing.publish(version, user=ben))
    digests = [version.digest_hex for version in versions]
    assert digests[0] == digests[2] != digests[1]


@pytest.mark.parametrize("asked", [{}, {"glob": "**"}, {"filters": FileFilter(min_size=1)}])
@pytest.mark.parametrize("folder", ["/", "/2001/"])
def test_a_folder_is_read_upwards_page_by_page(version, folder, asked):
    whole = [row.path for row in _entries(files.list_folder(version, folder, limit=100, **asked))]
    for limit in (1, 2, 3, 5):
        for at, path in enumerate(whole):
            before = earlier.page_before(version, folder, path, limit, **asked)
            assert before == (whole[at - limit] if at >= limit else "")
            shown = [row.path for row in _entries(files.list_folder(version, folder, after=before or None, limit=limit, **asked))]
            assert path in shown


def test_the_page_in_the_middle_leads_to_the_page_before_without_scripts(version, client, monkeypatch):
    monkeypatch.setattr("datasets.files.pages.FILES_ON_A_PAGE", 3)
    seen, address = [], "/datasets/layered/files/?folder=/2001/&after=/2001/jan.nc"  # after a link from elsewhere, of other pages
    while address:
        html = client.get(address).content.decode()
        seen = [part.split('"')[0] for part in html.split('name="file" value="')[1:]] + seen
        address = html.split('rel="prev" href="')[1].split('"')[0].replace("&amp;", "&") if 'rel="prev"' in html else ""
    assert seen == ["/2001/feb.nc", "/2001/jan.nc", "/2001/notes.txt"]


def _entries(listing):
    return [*listing.folders, *listing.files]


def test_a_statement_is_planned_once_a_connection_and_behind_a_pool_goes_as_it_is(db, monkeypatch):
    types = {"most": "int"}
    squares, halves, pooled = (
        Prepared(name, "select n * n / nullif(%(most)s, -1) from generate_series(1, abs(%(most)s)) n", types)
        for name in ("squares", "halves", "pooled")
    )
    with connection.cursor() as cursor:
        try:
            for _ in range(3):
                assert squares.rows({"most": 2}) == [(0,), (2,)]
            with pytest.raises(DataError), transaction.atomic():
                halves.rows({"most": "many"})
            assert [halves.rows({"most": 2}) for _ in range(2)] == [[(0,), (2,)]] * 2, "who failed at first is not held up by it"
            monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
            assert pooled.rows({"most": 2}) == [(0,), (2,)]
            cursor.execute(
                "select name, generic_plans + custom_plans from pg_prepared_statements where name = any(%s)", [["squares", "pooled"]]
            )
            assert cursor.fetchall() == [("squares", 3)]
        finally:
            for name in ("squares", "halves"):
                cursor.execute("select count(*) from pg_prepared_statements where name = %s", [name])
                if cursor.fetchone() == (1,):
                    cursor.execute(f"deallocate {name}")
