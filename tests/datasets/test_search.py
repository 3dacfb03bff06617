import datetime as dt
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import QueryDict

from datasets import search, series
from datasets.curation import registering
from datasets.errors import InvalidError
from datasets.models import Dataset, Series
from datasets.preservation import locating
from datasets.search.query import SearchQuery
from tests.datasets.conftest import Curator, make_person

NOBODY = AnonymousUser()
SST = [{"name": "tos", "standard_name": "sea_surface_temperature", "units": "K"}]
TAS = [{"name": "tas", "standard_name": "air_temperature", "units": "K"}]


def find(asked: str, user=NOBODY):
    return search.search(SearchQuery.from_parameters(QueryDict(asked)), user=user)


def slugs(asked: str, user=NOBODY) -> set[str]:
    return {hit.dataset.slug for hit in find(asked, user).hits}


def make_archive(curator: Curator) -> None:
    published = curator.published
    published(
        "tropics",
        {"/a.nc": "aa"},
        title="Sea surface temperature of the tropics",
        subjects=["Ocean"],
        variables=SST,
        licence="CC0-1.0",
        temporal_start="2006-04-01",
        temporal_end="2010-09-30",
        west=-180,
        south=-5,
        east=180,
        north=5,
    )
    published(
        "america",
        {"/b.nc": "b", "/c.nc": "c"},
        title="Air temperature over North America",
        subjects=["Atmosphere", "Climate"],
        variables=TAS,
        licence="OGL-UK-3.0",
        temporal_start="1860-01-01",
        temporal_end="2099-12-30",
        west=-135,
        south=15,
        east=-45,
        north=60,
    )
    published(
        "airports",
        {"/w.csv": "www"},
        title="Hourly weather at airports",
        abstract="Wind and Präzision in New York",
        subjects=["Atmosphere"],
        temporal_start="2013-01-01",
        temporal_end="2013-12-30",
        west=-74.2,
        south=40.6,
        east=-73.8,
        north=40.8,
    )
    published(
        "dateline",
        {"/d.pp": "dddd"},
        title="Ice around the date line",
        subjects=["Ocean"],
        access_policy="restricted",
        west=170,
        south=-10,
        east=-170,
        north=10,
    )
    curator.draft("secret", {"/e.nc": "e"}, title="Temperature of a clandestine volcano", subjects=["Espionage"])
    put_in_series(curator)
    dateline = Dataset.objects.get(slug="dateline").versions.get().locations.get()
    locating.set_availability(dateline, user=curator.ben, is_online=False, wait_minutes=240)


def put_in_series(curator: Curator) -> None:
    """earth > waters > warm waters, and earth > hidden, where a draft is alone."""
    dee = make_person("dee@archive.example", role="operator")
    earth = series.create(user=dee, slug="earth", title="Earth")
    waters = series.create(user=dee, slug="waters", title="Waters", parent=earth)
    places = {
        "america": earth,
        "dateline": waters,
        "tropics": series.create(user=dee, slug="warm", title="Warm waters", parent=waters),
        "secret": series.create(user=dee, slug="hidden", title="What ben hides", parent=earth),
    }
    for slug, place in places.items():
        series.put(Dataset.objects.get(slug=slug), user=dee, series=place)


@pytest.fixture(scope="module")
def made(lasting) -> None:
    lasting(make_archive)


@pytest.fixture
def archive(made, db) -> None:
    """Five datasets, made once; what a test does to them is undone after it."""


WORDS = [
    ("temperature", {"tropics", "america"}),
    ("temperatures", {"tropics", "america"}),
    ("tempeature", {"tropics", "america"}),
    ("temp", {"tropics", "america"}),
    ('"air temperature"', {"america"}),
    ('"temperature air"', set()),
    ("temperature -america", {"tropics"}),
    ("ice or airports", {"dateline", "airports"}),
    ("prazision", {"airports"}),
    ("sea_surface_temperature", {"tropics"}),
    ("clandestine", set()),
    ("espionage", set()),
    ("qqqqqqqq", set()),
    ("'); drop table datasets_dataset; --", set()),
    ("((( & | ! :*", {"tropics", "america", "airports", "dateline"}),
]


def test_what_words_find(archive):
    assert [(words, slugs(urlencode({"q": words}))) for words, _ in WORDS] == WORDS


def test_a_typing_error_says_what_was_searched_instead(archive):
    results = find("q=tempeature")
    assert (results.corrected, results.total) == ("temperature", 2)
    assert find("q=temperature").corrected == ""
    assert search.nearest_spelling("Oceen of tropcs and air") == "ocean of tropics and air"


def test_a_word_of_a_draft_is_never_suggested(archive, ben):
    assert search.nearest_spelling("clandestin") == "clandestin"
    assert search.suggest("clan") == []
    assert "temperature" in search.suggest("sea temp")


def test_drafts_never_leak_in_rows_counts_or_facets(archive, ada, ben, cy, dee):
    for user in (NOBODY, ada, cy):
        results = find("", user)
        assert "secret" not in {hit.dataset.slug for hit in results.hits}
        assert results.total == 4
        assert "Espionage" not in {value.value for value in results.facets["subject"]}
        assert find("subject=Espionage", user).total == 0
    for user in (ben, dee):
        assert slugs("q=clandestine", user) == {"secret"}
        assert "Espionage" in {value.value for value in find("", user).facets["subject"]}


def counts(results, facet):
    return {value.value: value.count for value in results.facets[facet]}


def test_facets_count_exactly_and_select_more_than_one_value(archive):
    results = find("")
    assert counts(results, "subject") == {"Ocean": 2, "Atmosphere": 2, "Climate": 1}
    assert counts(results, "format") == {"NetCDF": 2, "CSV": 1, "Met Office PP": 1}
    assert counts(results, "licence") == {"not-stated": 2, "CC0-1.0": 1, "OGL-UK-3.0": 1}
    assert counts(results, "access") == {"public": 3, "restricted": 1}
    assert counts(results, "decade")["2010"] == 3
    chosen = find("subject=Ocean")
    assert slugs("subject=Ocean") == {"tropics", "dateline"}
    assert counts(chosen, "subject") == {"Ocean": 2, "Atmosphere": 2, "Climate": 1}, "its own choice does not change a facet"
    assert counts(chosen, "format") == {"NetCDF": 1, "Met Office PP": 1}
    assert slugs("subject=Ocean&subject=Climate") == {"tropics", "dateline", "america"}
    assert slugs("subject=Ocean&format=NetCDF") == {"tropics"}
    assert slugs("licence=not-stated") == {"airports", "dateline"}
    assert slugs("decade=1900") == {"america"}


def test_a_chosen_decade_opens_to_its_years(archive):
    assert find("").facets["year"] == []
    opened = find("decade=2010")
    assert counts(opened, "year") == {"2010": 2, "2011": 1, "2012": 1, "2013": 2, **{str(year): 1 for year in range(2014, 2020)}}
    assert [value.value for value in opened.facets["year"]] == [str(year) for year in range(2010, 2020)]
    assert slugs("decade=2010&year=2013") == {"america", "airports"}
    assert slugs("year=2010&year=2013") == {"tropics", "america", "airports"}
    assert slugs("year=2006&subject=Ocean") == {"tropics"}
    assert slugs("year=2012") == {"america"}
    assert find("year=2012").facets["year"][2].is_chosen


def test_each_count_is_what_choosing_the_value_gives(archive):
    for start in ("", "q=temperature", "subject=Atmosphere", "format=NetCDF&from=2000", "decade=2000&decade=2010&subject=Atmosphere"):
        for name, values in find(start).facets.items():
            bare = "&".join(part for part in start.split("&") if part and not part.startswith(f"{name}="))
            for value in values:
                assert find(f"{bare}&{name}={value.value}").total == value.count, (start, name, value)


PLACES = [
    ("from=2011&to=2012", {"america"}),
    ("from=2010-09-30", {"tropics", "america", "airports"}),
    ("to=1900", {"america"}),
    ("bbox=-75,40,-73,41", {"america", "airports"}),
    ("bbox=-180,0,-175,1", {"tropics", "dateline"}),
    ("bbox=160,-1,165,1", {"tropics"}),
    ("bbox=175,-1,-175,1", {"tropics", "dateline"}),
    ("bbox=0,70,10,80", set()),
]


def test_time_and_box(archive):
    assert [(asked, slugs(asked)) for asked, _ in PLACES] == PLACES


def test_zero_results_name_the_filter_to_drop(archive):
    results = find("q=temperature&format=CSV&subject=Ocean")
    assert results.total == 0
    assert results.found_without == {"format": 1, "filters": 2}
    assert results.corrected == ""


@pytest.mark.parametrize(
    "asked",
    [
        "cursor=forged",
        "cursor=a:b:c",
        "sort=luck",
        "limit=0",
        f"limit={'9' * 5000}",
        "limit=1000",
        "from=soon",
        "bbox=1,2,3",
        "bbox=0,50,10,40",
        "decade=x",
        "decade=--1",
        "decade=9999999999",
        "year=x",
        "year=-5",
        "year=20000",
    ],
)
def test_what_makes_no_sense_is_named(db, asked):
    with pytest.raises(InvalidError) as refused:
        find(asked)
    assert set(refused.value.fields) == {asked.split("=")[0]}


def test_a_cursor_belongs_to_its_sort(db):
    cursor = SearchQuery(sort="title").cursor_after("x", "7d5a4f1e-0000-4000-8000-000000000002")
    with pytest.raises(InvalidError):
        find(f"sort=size&cursor={cursor}")


def test_the_address_holds_the_whole_state():
    asked = (
        "?q=sea+ice&subject=Ocean&subject=Ice&format=NetCDF&decade=1990&from=1990-01-01&to=2000-12-31&bbox=-10,35,30,60&sort=title&limit=5"
    )
    query = SearchQuery.from_parameters(QueryDict(asked[1:]))
    again = SearchQuery.from_parameters(QueryDict(query.url()[1:]))
    assert again == query
    assert query.start == dt.date(1990, 1, 1)
    assert query.without("subject", "Ice").facets["subject"] == ("Ocean",)
    assert "subject" not in query.without("subject").facets
    assert query.without("box").box is None


def test_the_matching_words_are_marked(archive):
    hit = find("q=wind").hits[0]
    assert f"{search.MARK_START}Wind{search.MARK_END}" in hit.excerpt


def test_a_part_of_an_abstract_shows_that_it_is_one():
    start, end = search.MARK_START, search.MARK_END
    assert search.shortened(f"the {start}wind{end} blows", "Where the wind blows, ships go.") == f"… the {start}wind{end} blows …"
    assert search.shortened(f"Where the {start}wind{end}", "Where the wind") == f"Where the {start}wind{end}"
    assert search.shortened("Where the wind", "Where the wind") == "Where the wind"


def test_a_page_costs_few_statements_whatever_it_shows(archive, django_assert_max_num_queries):
    for asked, most in (("", 4), ("q=temperature&from=1990", 4), ("series=waters&q=temperature&subject=Ocean", 5)):
        with django_assert_max_num_queries(most):
            find(asked)
    with django_assert_max_num_queries(6):
        find("q=tempeature")


def test_the_catalogue_row_follows_the_description(archive, ben):
    dataset = Dataset.objects.get(slug="airports")
    registering.describe(dataset, user=ben, title="Aerodrome weather", subjects=["Aviation"])
    assert slugs("q=aerodrome") == {"airports"}
    assert slugs("subject=Aviation") == {"airports"}


def branches(asked: str, user=NOBODY):
    return [(one.value, one.depth, one.count, one.is_chosen) for one in find(asked, user).facets["series"]]


def test_series_are_counted_with_all_below_and_opened_where_one_is_chosen(archive, ben):
    assert branches("") == [("earth", 1, 3, False)]
    opened = [("earth", 1, 3, True), ("waters", 2, 2, False)]
    assert branches("series=earth") == opened
    assert branches("series=earth", ben) == [("earth", 1, 4, True), *opened[1:], ("hidden", 2, 1, False)], "her draft counts for her alone"
    assert branches("series=waters&q=tropics") == [("earth", 1, 1, False), ("waters", 2, 1, True), ("warm", 3, 1, False)]
    assert slugs("series=waters") == {"dateline", "tropics"}
    assert slugs("series=earth&series=warm") == {"tropics"}, "the one above only leads to the one below"
    assert slugs("series=warm&subject=Climate") == set()
    for slug in ("hidden", "nothing"):
        titles = {one.words for one in find(f"series={slug}").facets["series"]}
        assert titles == {"Earth", slug}, "neither the title of a series that holds a draft alone nor where it hangs is told"
    assert ("hidden", 2, 1, True) in branches("series=hidden", ben)


def test_a_moved_branch_is_counted_where_it_is(archive, dee):
    series.move(Series.objects.get(slug="warm"), user=dee, parent=None)
    assert branches("") == [("earth", 1, 2, False), ("warm", 1, 1, False)]
    assert slugs("series=earth") == {"america", "dateline"}


def test_online_only_follows_where_the_files_are(archive, ben, browser):
    assert counts(find(""), "availability") == {"online": 3, "cold": 1}
    form = '<input type="hidden" name="availability" value="cold">'
    assert form in browser().get("/datasets/?availability=cold").content.decode(), "another filter does not take this one back"
    assert form not in browser().get("/datasets/").content.decode()
    assert slugs("availability=online&subject=Ocean") == {"tropics"}
    assert counts(find("availability=online&subject=Ocean"), "availability") == {"online": 1, "cold": 1}
    place = Dataset.objects.get(slug="dateline").versions.get().locations.get()
    locating.set_availability(place, user=ben, is_online=True)
    assert counts(find(""), "availability") == {"online": 4}
    with pytest.raises(InvalidError) as refused:
        find("availability=soon")
    assert refused.value.fields == {"availability": ["One of online, cold."]}
