import csv
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command

from datasets import files, items
from datasets.curation import checking, publishing
from datasets.errors import ConflictError, ForbiddenError, InvalidError
from datasets.files import FileQuery
from datasets.files.filters import FileFilter
from datasets.items import loading as itemloading
from datasets.items import schema as itemschema
from datasets.items.differences import item_changes
from datasets.items.filters import ItemFilter, columns_of
from datasets.models import Item, ItemColumn, Version
from tests.datasets.conftest import scan
from tests.datasets.test_api import DATASETS
from tests.datasets.test_pages import page

FILES = {f"/2015/cast-{n:02}.nc": "x" * n for n in range(1, 7)} | {"/2016/a.nc": "aa", "/2016/b.nc": "bb", "/notes.txt": "n"}
COLUMNS = [
    {"name": "started", "kind": "time"},
    {"name": "depth", "kind": "number", "unit": "m", "label": "Greatest depth"},
    {"name": "instrument", "kind": "choice", "choices": "CTD, XBT"},
    {"name": "comment", "kind": "text"},
]
TABLE = """item,files,started,depth,instrument,comment
cast-1,/2015/cast-01.nc,2015-03-01,10,CTD,calm sea
cast-2,2015/cast-02.nc,2015-03-02T06:30Z,20.5 m,CTD,"rough, sea"
cast-3,/2015/cast-03.nc|/2015/cast-04.nc,2015-04-01,300,XBT,
year-2016,/2016/,,,,both of them
"""


def define(version, ben, columns=COLUMNS):
    return itemschema.define_columns(version, itemschema.read_columns(columns), user=ben)


def load(version, ben, text=TABLE, **options):
    return itemloading.load(version, io.StringIO(text), user=ben, **{"is_dry_run": False} | options)


def keys(version, **asked):
    return [row.key for row in items.list_items(version, ItemFilter.read(asked)).rows]


def paths_of(version, **asked):
    return [row.path for row in files.iterate(version, FileQuery(filters=FileFilter(items=ItemFilter.read(asked))), batch=2)]


@pytest.fixture(scope="module")
def made(lasting) -> Version:
    def make(curator):
        version = curator.draft("casts", FILES)
        define(version, curator.ben)
        assert load(version, curator.ben).is_done
        return publishing.publish(version, user=curator.ben)

    return lasting(make)


@pytest.fixture
def version(made, db) -> Version:
    return Version.objects.select_related("dataset").get(pk=made.pk)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["cast-1", "cast-2", "cast-3", "year-2016"]),
        ({"words": "SEA rou"}, ["cast-2"]),
        ({"words": "cast"}, ["cast-1", "cast-2", "cast-3"]),
        ({"columns": {"depth": {"from": "20.5", "to": "300 m"}}}, ["cast-2", "cast-3"]),
        ({"columns": {"depth": {"is": "10"}}}, ["cast-1"]),
        ({"columns": {"started": {"from": "2015-03-02", "to": "2015-03-02"}}}, ["cast-2"]),
        ({"columns": {"instrument": {"is": ["XBT", "CTD"]}}, "words": "calm"}, ["cast-1"]),
        ({"columns": {"comment": {"is": "rough*"}}}, ["cast-2"]),
        ({"columns": {"comment": {"is": "%sea"}}}, []),
        ({"keys": ["cast-3", "cast-1", "nothing"]}, ["cast-1", "cast-3"]),
    ],
)
def test_items_are_found_by_words_bounds_choices_and_names(version, asked, expected):
    assert keys(version, **asked) == expected
    asked = ItemFilter.read(asked)
    assert items.count_up_to(version, asked)[0] == len(expected)
    assert ItemFilter.read(asked.to_text()) == asked
    of = {row.key: set(row.files) for row in items.iterate(version, asked, batch=1)}
    query = FileQuery(filters=FileFilter(items=asked))
    chosen = set().union(*of.values()) if asked else set(FILES)
    assert {row.path for row in files.iterate(version, query, batch=2)} == chosen
    assert files.measure(version, query).n_files == len(chosen)


def test_items_with_very_many_files_are_walked_to_in_the_same_order(version, monkeypatch):
    looked_up, walked = paths_of(version, words="cast"), keys(version, words="cast")
    monkeypatch.setattr("datasets.items.WALKED", 1)
    assert keys(version, words="cast") == walked
    monkeypatch.setattr("datasets.items.FEW_FILES", 1)
    monkeypatch.setattr(items.few_files, "__defaults__", (1,))
    assert paths_of(version, words="cast") == looked_up == [f"/2015/cast-{n:02}.nc" for n in range(1, 5)]
    named = FileQuery(folders=("/2015/",), files=("/notes.txt",), filters=FileFilter(items=ItemFilter(words="cast"), min_size=3))
    walked = [row.path for row in files.iterate(version, named)]
    monkeypatch.undo()
    assert walked == [row.path for row in files.iterate(version, named)] == ["/notes.txt", "/2015/cast-03.nc", "/2015/cast-04.nc"]


def test_what_the_schema_does_not_take_is_told_at_once(version):
    asked = {"columns": {"depth": {"from": "deep"}, "instrument": {"from": "A"}, "salinity": {"is": "3"}, "started": {"to": "soon"}}}
    with pytest.raises(InvalidError) as refused:
        keys(version, **asked)
    assert set(refused.value.fields) == {"where.depth", "where.instrument", "where.salinity", "where.started"}


def test_pages_of_items_follow_each_other_at_few_statements(version, django_assert_max_num_queries):
    with django_assert_max_num_queries(3):
        first = items.list_items(version, ItemFilter(), limit=2)
    second = items.list_items(version, ItemFilter(), limit=2, after=first.next_after)
    assert [row.key for row in (*first.rows, *second.rows)] == ["cast-1", "cast-2", "cast-3", "year-2016"]
    assert (first.n_items, second.next_after) == (4, "")
    assert items.count_up_to(version, ItemFilter(), most=3) == (3, True)


def test_a_dry_run_lists_every_fault_by_line_and_column_and_changes_nothing(draft, ben):
    version = draft("rows", FILES)
    define(version, ben)
    wrong = """item,files,started,depth,instrument,comment
,/2015/cast-01.nc,yesterday,deep,AXBT,
cast-1,,2015-03-01,20 km,CTD,
cast-2,/2015/no.nc|/1999/,2015-03-01,inf,CTD,
cast-3,/2015/cast-03.nc,,,,
cast-3,/2015/../x,,,,
cast-3,/2015/cast-03.nc,,,,a,b
"""
    found = load(version, ben, wrong, is_dry_run=True)
    assert [(one.line, one.column) for one in found.wrong] == [
        (2, "depth"), (2, "instrument"), (2, "item"), (2, "started"), (3, "depth"), (3, "files"), (4, "depth"), (4, "files"), (4, "files"),
        (6, "files"), (6, "item"), (7, ""),
    ]  # fmt: skip
    whole = "item,files\na,/2015/no.nc|/1999/\nb,/notes.txt\nb,/notes.txt\n"
    assert {(one.line, one.column) for one in load(version, ben, whole).wrong} == {(2, "files"), (4, "item")}
    dry = load(version, ben, is_dry_run=True)
    assert (dry.n_new, dry.wrong, dry.is_done) == (4, [], False)
    assert not Item.objects.filter(dataset=version.dataset).exists()
    for table in ("", "item\na\n", "item,files,colour\n", "item,files,item\n", 'item,files\n"a,b\n', "item,files\na\0,/x\n"):
        with pytest.raises(InvalidError):
            load(version, ben, table)


def test_the_same_table_again_changes_nothing_and_a_complete_one_removes(draft, ben):
    version = draft("rows", FILES)
    define(version, ben)
    load(version, ben)
    again = load(version, ben, TABLE.replace("\nyear-2016,/2016/,,,,both of them", ""))
    assert (again.n_new, again.n_changed, again.n_same, again.n_removed) == (0, 0, 3, 0)
    changed = "item,files,depth\ncast-1,/2015/cast-05.nc,11\nnew,/notes.txt,\n"
    found = load(version, ben, changed, is_complete=True)
    assert (found.n_new, found.n_changed, found.n_same, found.n_removed) == (1, 1, 0, 3)
    assert [(row.key, row.values["depth"], row.files) for row in items.iterate(version, ItemFilter())] == [
        ("cast-1", 11, ["/2015/cast-05.nc"]),
        ("new", None, ["/notes.txt"]),
    ]


def test_a_published_version_keeps_its_items_and_columns_whatever_the_next_draft_does(version, disk, ben):
    with pytest.raises(ConflictError):
        load(version, ben)
    draft = publishing.open_draft(version.dataset, user=ben)
    assert keys(draft) == keys(version)
    before = list(items.export(version, ItemFilter(), address=str))
    load(draft, ben, "item,files,depth\ncast-1,/2015/cast-06.nc,99\n", is_complete=True)
    define(draft, ben, [{"name": "depth", "kind": "number", "unit": "km"}, {"name": "cruise", "kind": "text"}])
    load(draft, ben, "item,files,cruise\ncast-1,/2015/cast-06.nc,PS-122\n")
    assert [(row.key, dict(row.values)) for row in items.iterate(draft, ItemFilter())] == [("cast-1", {"depth": None, "cruise": "PS-122"})]
    assert list(items.export(version, ItemFilter(), address=str)) == before
    assert [column.name for column in columns_of(version)] == ["started", "depth", "instrument", "comment"]
    publishing.remove_draft(draft, user=ben)
    again = publishing.open_draft(version.dataset, user=ben)
    assert list(items.export(again, ItemFilter(), address=str)) == before
    assert not ItemColumn.objects.filter(dataset=version.dataset, last_version__isnull=False).exists()


def test_columns_keep_their_values_where_name_kind_and_unit_stay(draft, ben):
    version = draft("rows", FILES)
    define(version, ben)
    load(version, ben)
    define(version, ben, [COLUMNS[1] | {"label": "Depth"}, COLUMNS[2] | {"choices": "CTD, XBT, float"}, {"name": "n", "kind": "number"}])
    row = next(iter(items.iterate(version, ItemFilter(keys=("cast-3",)))))
    assert row.values == {"depth": 300, "instrument": "XBT", "n": None}
    with pytest.raises(InvalidError, match="items have the choice 'XBT'"):
        define(version, ben, [COLUMNS[2] | {"choices": "CTD"}])
    with pytest.raises(InvalidError) as refused:
        itemschema.read_columns(
            [{"name": "Depth", "kind": "number"}, {"name": "a", "kind": "colour"}, {"name": "b", "kind": "text", "unit": "m"},
             {"name": "c", "kind": "choice"}, {"name": "c", "kind": "text"}, {"name": "item", "kind": "text"}]
        )  # fmt: skip
    assert set(refused.value.fields) == {f"columns.{n}" for n in range(6)}
    with pytest.raises(InvalidError):
        itemschema.read_columns([{"name": f"n{n}", "kind": "number"} for n in range(9)])


def test_an_item_whose_file_went_is_told_before_publication(draft, disk, ben):
    version = draft("rows", FILES)
    define(version, ben)
    load(version, ben)
    assert "items" not in {finding.field for finding in checking.check(version)}
    disk.remove("/rows/2015/cast-03.nc")
    scan(version, disk, ben)
    assert "1 item names a file" in " ".join(finding.words for finding in checking.check(version))
    assert paths_of(version, keys=["cast-3"]) == ["/2015/cast-04.nc"]


def test_only_stewards_of_a_dataset_change_its_items(draft, ada, ben):
    version = draft("rows", FILES)
    for act in (lambda: define(version, ada), lambda: load(version, ada)):
        with pytest.raises(ForbiddenError):
            act()


def test_the_exported_table_has_the_addresses_of_files_and_loads_again(version, browser, ben, settings):
    told = browser().get(f"{DATASETS}/casts/versions/1/items?format=csv&where.depth.from=20")
    text = b"".join(told.streaming_content).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["item"] for row in rows] == ["cast-2", "cast-3"]
    assert rows[0] | {"urls": ""} == {
        "item": "cast-2", "started": "2015-03-02T06:30:00Z", "depth": "20.5", "instrument": "CTD", "comment": "rough, sea",
        "files": "/2015/cast-02.nc", "urls": "",
    }  # fmt: skip
    address = f"{settings.BASE_URL}/datasets/casts/versions/1/https/?path="
    assert rows[1]["urls"] == f"{address}%2F2015%2Fcast-03.nc|{address}%2F2015%2Fcast-04.nc"
    again = load(publishing.open_draft(version.dataset, user=ben), ben, text)
    assert (again.n_new, again.n_changed, again.n_same, again.wrong) == (0, 0, 2, [])


def test_names_with_bars_and_backslashes_survive_the_table(draft, ben):
    version = draft("odd", {"/a|b.nc": "1", "/c\\d.nc": "2"})
    load(version, ben, 'item,files\n"odd, ""one""","/a\\|b.nc|/c\\\\d.nc"\n')
    text = "".join(items.export(version, ItemFilter(), address=str))
    assert [row.files for row in items.iterate(version, ItemFilter())] == [["/a|b.nc", "/c\\d.nc"]]
    assert load(version, ben, text).n_same == 1


def test_no_cell_of_the_table_is_computed_by_a_spreadsheet(draft, ben):
    version = draft("sums", {"/a.nc": "1"})
    define(version, ben, [{"name": "depth", "kind": "number"}, {"name": "comment", "kind": "text"}])
    load(version, ben, "item,files,depth,comment\n=1+1,/a.nc,-5,@SUM(A1)\n-1+cmd|x,/a.nc,,-7\n")
    text = "".join(items.export(version, ItemFilter(), address=str))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["item"], row["depth"], row["comment"]) for row in rows] == [(" -1+cmd|x", "", "-7"), (" =1+1", "-5", " @SUM(A1)")]
    assert load(version, ben, text).n_same == 2


def test_the_page_of_items_is_searched_by_its_address_and_puts_a_query_into_the_basket(version, browser):
    client = browser()
    html = page(client.get("/datasets/casts/items/?where.depth.from=20&where.instrument=XBT&q=cast"))
    assert "1 item fits" in html
    assert 'href="/datasets/casts/items/?version=1&amp;q=cast&amp;where.depth.from=20"' in html, "a chip drops its part"
    hidden = html.split('id="all"')[1].split('name="items" value="')[1].split('"')[0].replace("&#34;", '"')
    assert keys(version, **ItemFilter.read(hidden).to_json()) == ["cast-3"]
    added = client.post("/basket/add/", {"dataset": "casts", "version": "1", "items": hidden})
    assert added.status_code == 302
    assert "2 files" in page(client.get("/basket/"))
    client.post("/basket/empty/")
    client.post("/basket/add/", {"dataset": "casts", "version": "1", "item": ["cast-1", "year-2016"]})
    assert "3 files" in page(client.get("/basket/"))
    assert "No item fits" in page(client.get("/datasets/casts/items/?q=nothing"))
    assert "is no number" in page(client.get("/datasets/casts/items/?where.depth.from=deep"), 400)
    assert "items: words" in page(client.get("/datasets/casts/files/?items=%7B%22words%22%3A%22rough%22%7D"))


def test_items_of_restricted_files_are_for_those_with_access(draft, browser, ada, ben):
    version = draft("rows", FILES, access_policy="restricted")
    define(version, ben)
    load(version, ben)
    publishing.publish(version, user=ben)
    assert "calm sea" not in page(browser(ada).get("/datasets/rows/items/"))
    assert browser(ada).get(f"{DATASETS}/rows/versions/1/items").status_code == 403
    assert "calm sea" in page(browser(ben).get("/datasets/rows/items/"))


def test_a_steward_defines_checks_and_loads_in_the_browser_and_over_the_api(draft, browser, ben, ada, tmp_path):
    version = draft("rows", FILES)
    client, address = browser(ben), "/steward/datasets/rows/items/"
    form = {
        f"{field}.{n}": column.get(field, "") for n, column in enumerate(COLUMNS) for field in ("name", "kind", "label", "unit", "choices")
    }
    assert client.post(address, {"act": "define", **form}).status_code == 302
    assert "starts here" not in page(client.get(address))
    assert "is no name for a column" in page(client.post(address, {"act": "define", **form, "name.0": "Big"}), 400)

    def upload(text):
        return SimpleUploadedFile("casts.csv", text.encode(), "text/csv")

    html = page(client.post(address, {"act": "load", "table": upload(TABLE.replace("CTD", "TDC"))}), 400)
    assert "2 things to mend; nothing was changed" in html
    assert "4 new items" in page(client.post(address, {"act": "check", "table": upload(TABLE)}))
    assert client.post(address, {"act": "load", "table": upload(TABLE)}).status_code == 302
    assert keys(version) == ["cast-1", "cast-2", "cast-3", "year-2016"]
    assert browser(ada).get(address).status_code == 404

    api = f"{DATASETS}/rows/versions/1"
    columns = client.get(f"{api}/item-columns").json()["columns"]
    assert client.put(f"{api}/item-columns", {"columns": columns}, content_type="application/json").json()["columns"] == columns
    told = client.post(f"{api}/items", {"table": upload(TABLE + "x,/no,,,,\n"), "dry_run": "1"})
    assert (told.status_code, told.json()["wrong"][0]["line"], told.json()["wrong"][0]["column"]) == (400, 6, "files")
    assert client.post(f"{api}/items", {"table": upload(TABLE)}).json()["n_same"] == 3
    assert client.post(f"{api}/items", {"table": SimpleUploadedFile("t.csv", b"\xff\xfe")}).status_code == 400

    table = tmp_path / "casts.csv"
    table.write_text(TABLE + "last,/notes.txt,,,,\n")
    call_command("load_items", "rows", str(table), username="ben@archive.example", stdout=io.StringIO())
    assert keys(version)[1:2] == ["cast-2"]
    assert "last" in keys(version)
    table.write_text("item,files\nbad,/no\n")
    with pytest.raises(CommandError, match="1 things to mend"):
        call_command("load_items", "rows", str(table), username="ben@archive.example", stdout=io.StringIO(), stderr=io.StringIO())


def test_files_that_items_share_hide_no_others(draft, ben):
    version = draft("shared", FILES)
    define(version, ben)
    load(version, ben, "item,files\na,/notes.txt\nb,/notes.txt\nc,/notes.txt\nd,/2016/a.nc\n")
    assert items.few_files(version, ItemFilter(), most=2) is None
    found = items.few_files(version, ItemFilter(), most=10)
    assert found is not None
    assert sorted(found[1]) == ["a.nc", "notes.txt"]


def test_what_was_published_meanwhile_keeps_its_items(draft, ben):
    version = draft("meanwhile", FILES)
    define(version, ben)
    load(version, ben)
    stale = Version.objects.get(pk=version.pk)
    publishing.publish(version, user=ben)
    with pytest.raises(ConflictError):
        load(stale, ben, "item,files\nlate,/notes.txt\n")
    with pytest.raises(ConflictError):
        define(Version.objects.get(pk=version.pk), ben, COLUMNS[:1])
    assert "late" not in keys(Version.objects.get(pk=version.pk))


def test_what_was_discarded_meanwhile_keeps_its_items(published, ben):
    version = publishing.open_draft(published("binned").dataset, user=ben)
    stale = Version.objects.get(pk=version.pk)
    publishing.discard_draft(version, user=ben)
    with pytest.raises(ConflictError, match="in the bin"):
        define(stale, ben)


@pytest.mark.parametrize(
    "asked",
    [
        {"columns": {"depth": {"from": []}}},
        {"keys": ["\0"]},
        {"words": "\0"},
        {"columns": {"comment": {"is": "\0"}}},
        "[" * 5000,
    ],
)
def test_a_filter_that_cannot_be_is_refused_in_words(asked):
    with pytest.raises(InvalidError):
        ItemFilter.read(asked)


def test_two_versions_are_compared_by_their_items_and_columns(draft, browser, ben):
    first = draft("dives", FILES)
    define(first, ben)
    load(first, ben)
    first = publishing.publish(first, user=ben)
    second = publishing.open_draft(first.dataset, user=ben)
    assert item_changes(first, second).is_none
    define(second, ben, [*COLUMNS, {"name": "cruise", "kind": "text"}])
    changed = """item,files,started,depth,instrument,comment,cruise
cast-1,/2015/cast-02.nc,2015-03-01,11,CTD,calm sea,PS-122
cast-3,/2015/cast-03.nc|/2015/cast-04.nc,2015-04-01,300,XBT,,
year-2016,/2016/,,,,both of them,
cast-7,/2015/cast-06.nc,,,,,
"""
    assert load(second, ben, changed, is_complete=True).is_done
    second = publishing.publish(second, user=ben)
    api = f"{DATASETS}/dives/versions/2/changes"
    found = browser().get(api).json()["items"]
    assert found["totals"] == {"added": 1, "changed": 1, "removed": 1}
    assert found["columns"] == [{"name": "cruise", "kind": "added"}]
    assert found["results"] == [
        {"key": "cast-1", "kind": "changed", "changed": ["depth", "cruise", "files"]},
        {"key": "cast-2", "kind": "removed", "changed": []},
        {"key": "cast-7", "kind": "added", "changed": []},
    ]
    page_of_two = browser().get(api, {"limit": 2}).json()["items"]
    assert [row["key"] for row in page_of_two["results"]] == ["cast-1", "cast-2"]
    assert [row["key"] for row in browser().get(page_of_two["next"]).json()["items"]["results"]] == ["cast-7"]
    shown = browser().get("/datasets/dives/changes/").content.decode()
    assert "depth, cruise, files" in shown
    again = browser().get("/datasets/dives/changes/", {"items_after": "cast-2"}).content.decode()
    assert "cast-7" in again
    assert "cast-1" not in again


def test_versions_without_items_say_nothing_of_them(published, browser):
    published("sea")
    assert browser().get(f"{DATASETS}/sea/versions/1/changes").json()["items"] is None
    assert ">Items<" not in browser().get("/datasets/sea/changes/").content.decode()
