"""Queries as the unmodified SearchClient asks them: words, filters, facets, order, pages, and who sees what."""

import pytest
from globus_sdk import AccessTokenAuthorizer, GlobusAPIError, SearchClient, SearchQueryV1

from tests.services.localglobus.search.conftest import make_index

HERE = {"type": "geo_bounding_box", "field_name": "area"}
SQUARE = {"type": "Polygon", "coordinates": [[[-5, 50], [2, 50], [2, 56], [-5, 56], [-5, 50]]]}
PORTRAITS = {
    "ada": {
        "name": "Ada Lovelace",
        "born": "1815-12-10",
        "works": 3,
        "tags": ["poet", "maths"],
        "place": {"lat": 51.5, "lon": -0.1},
        "area": SQUARE,
    },
    "mary": {"name": "Mary Somerville", "born": "1780-12-26", "works": 7, "tags": ["maths", "physics"], "is_fellow": True},
    "grace": {
        "name": "Grace Hopper",
        "born": "1906-12-09",
        "works": 12,
        "tags": ["compilers"],
        "place": {"lat": 40.7, "lon": -74.0},
        "area": "40.7, -74.0",
    },
    "emil": {"name": "Émilie du Châtelet", "born": "1706-12-17", "works": 5, "tags": ["physics"], "note": {"a.b": "about Ada, too"}},
}


@pytest.fixture(scope="module")
def portraits(sdk):
    """An index in which everybody sees four people."""
    for index in make_index(sdk):
        index.put(*[index.entry(subject, content) for subject, content in PORTRAITS.items()])
        yield index


def subjects(answer):
    return [each["subject"] for each in answer["gmeta"]]


def found(index, q=None, **asked):
    return sorted(subjects(index.demo.post_search(index.id, SearchQueryV1(**({"q": q} if q is not None else {}), **asked))))


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("*", ["ada", "emil", "grace", "mary"]),
        ("lovelace", ["ada"]),
        ("ADA hopper", ["ada", "emil", "grace"]),
        ("chatelet", ["emil"]),
        ("nobody", []),
        ('"(((', []),
    ],
)
def test_simple_query_finds_any_of_its_words_and_is_never_wrong(portraits, q, expected):
    assert found(portraits, q) == expected


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ('name: "Ada Lovelace"', ["ada"]),
        ("tags:maths AND NOT name:ada", ["mary"]),
        ("tags:(maths OR compilers)", ["ada", "grace", "mary"]),
        ("+tags:maths -mary", ["ada"]),
        ("name:gr?ce OR name:somer*", ["grace", "mary"]),
        ("works:[5 TO 7]", ["emil", "mary"]),
        ("works:{5 TO 12}", ["mary"]),
        ("works:>=7", ["grace", "mary"]),
        ("born:[1800 TO *]", ["ada", "grace"]),
        ("_exists_:place", ["ada", "grace"]),
        ("is_fellow:true", ["mary"]),
        (r"note.a\.b:ada", ["emil"]),
        ("lovelace^3 hopper", ["ada", "grace"]),
        ("*", ["ada", "emil", "grace", "mary"]),
    ],
)
def test_advanced_query_understands_fields_ranges_and_operators(portraits, q, expected):
    assert found(portraits, q, advanced=True) == expected


@pytest.mark.parametrize("q", ["(a", "a AND", "AND a", 'name:"open', "works:[1 2]", "a~2", ")", "name:"])
def test_wrong_advanced_query_is_refused(portraits, q):
    with pytest.raises(GlobusAPIError) as refused:
        found(portraits, q, advanced=True)
    assert (refused.value.http_status, refused.value.code) == (400, "BadRequest.Generic")
    assert found(portraits, q) is not None


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"type": "match_any", "field_name": "tags", "values": ["poet", "compilers"]}, ["ada", "grace"]),
        ({"type": "match_all", "field_name": "tags", "values": ["maths", "physics"]}, ["mary"]),
        ({"type": "match_any", "field_name": "works", "values": [3]}, ["ada"]),
        ({"type": "range", "field_name": "born", "values": [{"from": "*", "to": "1780-12-26"}]}, ["emil", "mary"]),
        ({"type": "range", "field_name": "works", "values": [{"gt": 5, "lt": 12}, {"from": 3, "to": 3}]}, ["ada", "mary"]),
        ({"type": "exists", "field_name": "place.lat"}, ["ada", "grace"]),
        ({"type": "like", "field_name": "name", "value": "*a*e"}, ["ada", "mary"]),
        ({"type": "not", "filter": {"type": "exists", "field_name": "place"}}, ["emil", "mary"]),
        (
            {
                "type": "or",
                "filters": [
                    {"type": "exists", "field_name": "note"},
                    {"type": "and", "filters": [{"type": "match_any", "field_name": "tags", "values": ["poet"]}]},
                ],
            },
            ["ada", "emil"],
        ),
        (
            {
                "type": "geo_bounding_box",
                "field_name": "place",
                "top_left": {"lat": 60, "lon": -10},
                "bottom_right": {"lat": 40, "lon": 10},
            },
            ["ada"],
        ),
        ({**HERE, "top_left": {"lat": 60, "lon": 1}, "bottom_right": {"lat": 52, "lon": 10}}, ["ada"]),
        ({**HERE, "top_left": {"lat": 41, "lon": -75}, "bottom_right": {"lat": 40, "lon": -73}}, ["grace"]),
        ({**HERE, "top_left": {"lat": 49, "lon": 170}, "bottom_right": {"lat": 30, "lon": -80}}, []),
        ({"type": "match_any", "field_name": r"note.a\.b", "values": ["about Ada, too"]}, ["emil"]),
    ],
)
def test_filters_select_by_fields(portraits, asked, expected):
    assert found(portraits, filters=[asked]) == expected


@pytest.mark.parametrize(
    "asked",
    [
        {"type": "unheard"},
        {"type": "match_any", "field_name": "x"},
        {"type": "range", "field_name": "x", "values": [{"till": 3}]},
        {"type": "geo_bounding_box", "field_name": "x", "top_left": {"lat": 1}},
        {"type": "not", "filter": None},
        {"type": "and", "filters": []},
        "tags",
    ],
)
def test_wrong_filter_is_refused(portraits, asked):
    with pytest.raises(GlobusAPIError) as refused:
        found(portraits, "*", filters=[asked])
    assert refused.value.http_status == 400


def test_facets_count_before_and_results_after_the_later_filters(portraits):
    facets = [
        {"name": "Tag", "field_name": "tags", "type": "terms", "size": 2},
        {"name": "Century", "field_name": "born", "type": "date_histogram", "date_interval": "year"},
        {
            "name": "Works",
            "field_name": "works",
            "type": "numeric_histogram",
            "size": 2,
            "histogram_range": {"low": 0, "high": 12},
        },
        {"name": "All", "field_name": "works", "type": "sum"},
        {"name": "Mean", "field_name": "works", "type": "avg"},
    ]
    later = [{"type": "match_any", "field_name": "tags", "values": ["poet"]}]
    answer = portraits.demo.post_search(portraits.id, SearchQueryV1(q="*", facets=facets, post_facet_filters=later))
    assert subjects(answer) == ["ada"]
    tag, born, works, total, mean = answer["facet_results"]
    assert [(each["value"], each["count"]) for each in tag["buckets"]] == [("maths", 2), ("physics", 2)]
    assert [each["value"] for each in born["buckets"]] == ["1706", "1780", "1815", "1906"]
    assert [(each["value"], each["count"]) for each in works["buckets"]] == [({"from": 0.0, "to": 6.0}, 2), ({"from": 6.0, "to": 12.0}, 1)]
    assert (total["value"], mean["value"]) == (27, 6.75)


def test_results_are_ordered_by_score_or_as_asked(portraits):
    demo, number = portraits.demo, portraits.id
    assert subjects(demo.search(number, "ada maths"))[0] == "ada"
    boosted = SearchQueryV1(q="maths ada", boosts=[{"field_name": "note.a\\.b", "factor": 10}])
    assert subjects(demo.post_search(number, boosted))[0] == "emil"
    by_works = SearchQueryV1(q="*", sort=[{"field_name": "works", "order": "desc"}])
    assert subjects(demo.post_search(number, by_works)) == ["grace", "mary", "emil", "ada"]
    by_fellow = SearchQueryV1(q="*", sort=[{"field_name": "is_fellow"}, {"field_name": "born", "order": "asc"}])
    assert subjects(demo.post_search(number, by_fellow)) == ["mary", "emil", "ada", "grace"]


def test_pages_and_scrolls_give_everything_once(portraits):
    demo, number = portraits.demo, portraits.id
    first = demo.search(number, "*", limit=3)
    assert (first["count"], first["total"], first["has_next_page"]) == (3, 4, True)
    assert demo.search(number, "*", limit=3, offset=3)["has_next_page"] is False
    assert [each["subject"] for each in demo.paginated.post_search(number, {"q": "*", "limit": 1}).items()] == sorted(PORTRAITS)
    assert [each["subject"] for each in demo.paginated.scroll(number, {"q": "*", "limit": 3}).items()] == sorted(PORTRAITS)
    with pytest.raises(GlobusAPIError) as refused:
        demo.search(number, "*", limit=10_001)
    assert refused.value.http_status == 400


def test_who_sees_an_entry_is_whom_it_names(index, person, anonymous):
    stewards = index.globus.env["CAUSEWAY_STEWARD_GROUPS"]
    other = index.identity("ada@observatory.example")
    index.put(
        index.entry("open", {"x": 1}),
        index.entry("members", {"x": 1}, visible_to=["all_authenticated_users"]),
        index.entry("adas", {"x": 1}, visible_to=[f"urn:globus:auth:identity:{other}"]),
        index.entry("stewards", {"x": 1}, visible_to=[f"urn:globus:groups:id:{stewards}"]),
        index.entry("two", {"x": 1}, entry_id="public part"),
        index.entry("two", {"x": 1}, entry_id="closed part", visible_to=[f"urn:globus:groups:id:{stewards}"]),
    )
    asked = {"q": "*", "filters": [{"type": "exists", "field_name": "x"}]}
    seen = {
        name: subjects(client.post_search(index.id, asked))
        for name, client in {"anyone": anonymous, "ada": person("ada"), "ben": person("ben")}.items()
    }
    assert seen["anyone"] == ["open", "two"]
    assert seen["ada"] == ["adas", "members", "open", "two"]
    assert seen["ben"] == ["members", "open", "stewards", "two"]
    assert [each["entry_id"] for each in anonymous.get_subject(index.id, "two")["entries"]] == ["public part"]
    assert len(person("ben").get_subject(index.id, "two")["entries"]) == 2
    for subject, entry_id in (("stewards", None), ("two", "closed part")):
        with pytest.raises(GlobusAPIError) as refused:
            anonymous.get_entry(index.id, subject, **({"entry_id": entry_id} if entry_id else {}))
        assert (refused.value.http_status, refused.value.code) == (404, "NotFound.Generic")
    counted = [{"name": "x", "field_name": "x"}]
    assert anonymous.post_search(index.id, {**asked, "facets": counted})["facet_results"][0]["buckets"][0]["count"] == 2


def test_owner_alone_looks_past_visible_to(index, person):
    index.put(index.entry("hidden", {"hidden": True}, visible_to=[f"urn:globus:auth:identity:{index.identity('cy@elsewhere.example')}"]))
    asked = {"filters": [{"type": "exists", "field_name": "hidden"}]}
    assert subjects(index.demo.post_search(index.id, asked)) == []
    assert subjects(index.demo.post_search(index.id, {**asked, "bypass_visible_to": True})) == ["hidden"]
    with pytest.raises(GlobusAPIError) as refused:
        person("ada").post_search(index.id, {**asked, "bypass_visible_to": True})
    assert (refused.value.http_status, refused.value.code) == (403, "Forbidden.Generic")


def test_principal_sets_narrow_and_are_told(index, person):
    ben = f"urn:globus:auth:identity:{index.identity('ben@archive.example')}"
    index.put(index.entry("set", {"in": "a set"}, principal_sets={"editors": [ben], "authors": []}))
    asked = {"q": "set", "filter_principal_sets": ["editors", "authors"]}
    (result,) = person("ben").post_search(index.id, asked)["gmeta"]
    assert result["entries"][0]["matched_principal_sets"] == ["editors"]
    assert subjects(person("cy").post_search(index.id, asked)) == []
    assert "set" in subjects(person("cy").search(index.id, "set"))


def test_query_needs_something_to_look_for(portraits):
    for asked in ({}, {"q": 3}, {"q": "*", "limit": "many"}, {"q": "*", "facets": [{"type": "terms"}]}, {"q": "*", "sort": ["born"]}):
        with pytest.raises(GlobusAPIError) as refused:
            portraits.demo.post_search(portraits.id, asked)
        assert refused.value.http_status == 400


@pytest.mark.parametrize(
    "asked",
    [
        {"q": "x" * 10_000},
        {"q": " ".join("x" * 101), "advanced": True},
        {"filters": [{"type": "or", "filters": [{"type": "exists", "field_name": "x"}] * 100}]},
        {"filters": [{"type": "range", "field_name": "x", "values": [{"from": 1, "to": 2}] * 101}]},
        {"q": "*", "sort": [{"field_name": "x"}] * 101},
    ],
    ids=", ".join,
)
def test_query_asks_for_so_much_and_no_more(portraits, asked):
    with pytest.raises(GlobusAPIError) as refused:
        portraits.demo.post_search(portraits.id, asked)
    assert refused.value.http_status == 400


def test_scroll_gives_something_at_a_time(portraits, anonymous):
    with pytest.raises(GlobusAPIError) as refused:
        anonymous.post(f"/v1/index/{portraits.id}/scroll", data={"q": "*", "limit": 0})
    assert refused.value.http_status == 400


def test_histogram_has_places_of_some_width(portraits):
    facet = {"type": "numeric_histogram", "field_name": "born", "name": "x", "size": 10, "histogram_range": {"low": 0, "high": 5e-324}}
    with pytest.raises(GlobusAPIError) as refused:
        portraits.demo.post_search(portraits.id, {"q": "*", "facets": [facet]})
    assert refused.value.http_status == 400


def test_broken_token_is_no_stranger(index, globus):
    with pytest.raises(GlobusAPIError) as refused:
        SearchClient(authorizer=AccessTokenAuthorizer("wrong")).search(index.id, "*")
    assert refused.value.http_status == 401
