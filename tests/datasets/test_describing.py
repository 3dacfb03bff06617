"""A whole description goes through the verb, the form, the API, the table, the page, every format and the kept description."""

import json
import re

import pytest
from lxml import html as parser

from datasets.curation import bulk, publishing, registering
from datasets.demo import load_demo_vocabularies
from datasets.description.snapshots import description_changes
from datasets.errors import InvalidError
from datasets.formats import FORMATS
from datasets.metadata import describing
from datasets.models import Dataset, Version

WHOLE = {
    "title": "Sea",
    "abstract": "What the data are.",
    "creators": [
        {
            "name": "Lindqvist, Ada",
            "orcid": "https://orcid.org/0000-0002-1825-0097",
            "affiliations": [{"name": "NCAR", "ror": "https://ror.org/05cvfcr44"}, {"name": "Causeway University"}],
        },
        {"name": "Met Office", "ror": "01ch2yn61"},
    ],
    "funders": [
        {"name": "NSF", "identifier": "https://ror.org/021nxhr62", "award_number": "1852977", "award_uri": "https://www.nsf.gov/award/1"}
    ],
    "related": [
        {
            "relation": "IsDocumentedBy",
            "identifier": "https://doi.org/10.5065/D6MW2F4D",
            "title": "A note; with | signs",
            "resource_type": "Report",
        },
        {"relation": "Cites", "type": "ISBN", "identifier": "978-3-16-148410-0"},
    ],
    "instruments": [{"name": "A rain gauge", "identifier": "10.5072/gauge"}],
    "platforms": [{"name": "NOAA-19"}],
    "places": ["Mauna Loa"],
    "licence": "cc-by-4.0",
    "temporal_resolution": "monthly",
    "contact_name": "Grace Hopper",
    "west": "-155.576",
    "south": "19.536",
    "east": "-155.576",
    "north": "19.536",
}


@pytest.fixture
def whole(published) -> Dataset:
    return Dataset.objects.get(pk=published(**WHOLE).dataset_id)


def wrong_with(dataset, ben, **stated) -> dict:
    with pytest.raises(InvalidError) as refused:
        registering.describe(dataset, user=ben, **stated)
    return refused.value.fields


def test_what_is_pasted_is_kept_in_the_form_of_its_standard(whole):
    ada, office = whole.creators.all()
    assert (ada.orcid, ada.affiliations) == (
        "0000-0002-1825-0097",
        [{"name": "NCAR", "ror": "05cvfcr44"}, {"name": "Causeway University", "ror": ""}],
    )
    assert office.ror == "01ch2yn61"
    assert (whole.licence, whole.temporal_resolution, whole.point) == ("CC-BY-4.0", "P1M", (-155.576, 19.536))
    assert (whole.funders[0]["identifier"], whole.funders[0]["identifier_type"]) == ("021nxhr62", "ROR")
    assert [(one["type"], one["identifier"], one["url"]) for one in whole.related] == [
        ("DOI", "10.5065/D6MW2F4D", "https://doi.org/10.5065/D6MW2F4D"),
        ("ISBN", "978-3-16-148410-0", ""),
    ]


def test_all_that_is_wrong_is_told_at_once_by_field_and_with_its_remedy(whole, ben):
    wrong = wrong_with(
        whole,
        ben,
        title="",
        creators=[{"name": "Ada", "orcid": "0000-0002-1825-0098"}, {"orcid": "0000-0002-1825-0097"}, {"name": "B", "ror": "05cvfcr45"}],
        funders=[{"name": "NSF", "identifier": "no id", "award_uri": "javascript:alert(1)"}],
        related=[{"relation": "Knows", "identifier": "in the shelf"}, {"relation": "Cites", "type": "ISBN", "identifier": "10.1000/x"}],
        licence="CC-BY-40",
        temporal_start="yesterday",
        temporal_resolution="often",
        west="here",
        moon="full",
    )
    remedies = {
        "title": "blank",
        "creators.0.orcid": "Copy it from orcid.org",
        "creators.1.name": "needed",
        "creators.2.ror": "Copy it from ror.org",
        "funders.0.identifier": "ror.org",
        "funders.0.award_uri": "https://",
        "related.0.relation": "choose one of DataCite",
        "related.1.identifier": "looks like the type DOI",
        "licence": "Did you mean CC-BY-4.0",
        "temporal_start": "1999-12-31",
        "temporal_resolution": "P1M",
        "west": "-105.2",
        "moon": "no such field",
    }
    assert set(wrong) == {*remedies, "related.0.identifier"}
    for name, words in remedies.items():
        assert words in " ".join(wrong[name]), name
    whole.refresh_from_db()
    assert (whole.title, whole.creators.count()) == ("Sea", 2), "nothing is saved when anything is wrong"


def test_what_stands_already_is_not_asked_about(whole, ben):
    Dataset.objects.filter(pk=whole.pk).update(licence="As in the paper")
    assert registering.describe(whole, user=ben, title="Sea 2", licence="As in the paper").title
    assert "licence" in wrong_with(whole, ben, licence="As in another paper")


def test_rules_that_span_fields_are_told_at_one(whole, ben):
    wrong = wrong_with(whole, ben, temporal_start="2001-01-01", temporal_end="2000-01-01", west=1, south=None, classification="internal")
    assert set(wrong) == {"temporal_end", "west", "access_policy"}


def test_every_format_says_it(whole):
    record = describing.find_record("sea")
    for name, words in {
        "datacite-json": [
            "05cvfcr44",
            "021nxhr62",
            "1852977",
            "10.5065/D6MW2F4D",
            "978-3-16-148410-0",
            "Mauna Loa",
            "pointLongitude",
            "Grace Hopper",
        ],
        "datacite-xml": ["05cvfcr44", "01ch2yn61", "awardNumber", "geoLocationPoint", "ContactPerson", "P1M"],
        "schema.org": ["05cvfcr44", "Grant", "GeoCoordinates", "10.5065/D6MW2F4D", "A rain gauge"],
        "dcat-turtle": ["temporalResolution", "POINT (-155.576 19.536)", "021nxhr62", "10.5065/D6MW2F4D", "Grace Hopper"],
        "iso19115": ["05cvfcr44", "funder", "P1M", "Mauna Loa", "A rain gauge", "NOAA-19", "10.5065/D6MW2F4D"],
        "ro-crate": ["05cvfcr44", "021nxhr62", "1852977", "GeoCoordinates"],
        "croissant": ["05cvfcr44", "1852977"],
        "dublin-core": ["NSF", "Mauna Loa", "10.5065/D6MW2F4D"],
    }.items():
        told = FORMATS[name].write(record)
        assert [word for word in words if word not in told] == [], name


def test_the_page_shows_it(whole, browser):
    page = browser().get("/datasets/sea/").content.decode()
    shown = "ror.org/05cvfcr44|NSF|1852977|Is documented by|monthly|Mauna Loa|155.576° W, 19.536° N|NOAA-19|Attribution 4.0|Grace Hopper"
    assert [words for words in shown.split("|") if words not in page] == []
    assert browser().get("/api/v1/datasets?bbox=-160,15,-150,25").json()["total"] == 1, "a point is found by place"


def test_the_api_takes_what_it_gives(whole, browser, ben):
    client = browser(ben)
    given = client.get("/api/v1/datasets/sea").json()
    assert given["point"] == [-155.576, 19.536]
    written = {
        name: given[name]
        for name in ("creators", "funders", "related", "instruments", "platforms", "places", "point", "licence", "contact_name")
    }
    assert client.patch("/api/v1/datasets/sea", written, content_type="application/json").status_code == 200
    assert client.get("/api/v1/datasets/sea").json() | {"revision": given["revision"]} == given
    refused = client.patch("/api/v1/datasets/sea", {"creators": [{"name": "A", "orcid": "1"}]}, content_type="application/json")
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["creators.0.orcid"])


def test_the_table_carries_it_there_and_back(whole, ben):
    before = publishing.snapshot(whole)
    table = bulk.as_table([whole])
    registering.describe(whole, user=ben, creators=[], funders=[], related=[], instruments=[], platforms=[], places=[])
    assert bulk.load(table, user=ben, is_dry_run=False).wrong == []
    assert publishing.snapshot(Dataset.objects.get(pk=whole.pk)) == before
    (wrong,) = bulk.load("slug,funders\nsea,A|B; not an id\n", user=ben, is_dry_run=True).wrong
    assert (wrong.column, wrong.words[:21]) == ("funders", "Entry 2, identifier: ")


def test_two_versions_are_held_side_by_side(whole, disk, ben):
    first = whole.versions.get()
    draft = publishing.open_draft(whole, user=ben, reason="more")
    registering.describe(whole, user=ben, funders=[], places=["Mauna Loa", "Hilo"])
    changed = {
        change.field: change.new for change in description_changes(Version.objects.get(pk=first.pk), Version.objects.get(pk=draft.pk))
    }
    assert changed == {"funders": (), "places": ("Mauna Loa", "Hilo")}


def form_of(client) -> dict[str, str]:
    """The fields of the form as a browser would send them."""
    html = client.get("/steward/datasets/sea/describe/").content.decode()
    form = parser.fromstring(html).get_element_by_id("describe")
    return {name: value for name, value in form.form_values() if name != "csrfmiddlewaretoken"}


def test_sending_the_form_as_it_is_changes_nothing(whole, browser, ben):
    client = browser(ben)
    before = publishing.snapshot(whole)
    assert client.post("/steward/datasets/sea/describe/", form_of(client)).status_code == 302
    assert publishing.snapshot(Dataset.objects.get(pk=whole.pk)) == before
    load_demo_vocabularies()
    form = form_of(client)
    assert "gcmd-science-keywords" in form.values(), "the empty row of a keyword has a vocabulary chosen"
    assert client.post("/steward/datasets/sea/describe/", form).status_code == 302
    assert publishing.snapshot(Dataset.objects.get(pk=whole.pk)) == before


def test_the_form_orders_adds_removes_and_keeps_what_is_typed(whole, browser, ben):
    client = browser(ben)
    form = form_of(client) | {"creators.0.order": "2", "creators.1.order": "1", "funders.0.drop": "1", "places": "Hilo\n\nHilo"}
    more = client.post("/steward/datasets/sea/describe/", form | {"more": "creators"}).content.decode()
    assert "creators.4.name" in more, "three empty rows behind the two creators"
    assert Dataset.objects.get().places == ["Mauna Loa"], "more rows save nothing"
    new = {"creators.7.name": "New, One", "creators.7.orcid": "0000-0002-1825-0098"}
    wrong = client.post("/steward/datasets/sea/describe/", form | new)
    page = wrong.content.decode()
    assert (wrong.status_code, page.count('aria-invalid="true"')) == (400, 1)
    assert re.search(r'name="creators.7.name" value="New, One"', page)
    assert re.search(r'id="field-creators-7-orcid"[^>]*aria-invalid', page)
    assert client.post("/steward/datasets/sea/describe/", form | {"creators.7.name": "New, One"}).status_code == 302
    dataset = Dataset.objects.get()
    assert [one.name for one in dataset.creators.all()] == ["Met Office", "Lindqvist, Ada", "New, One"]
    assert (dataset.funders, dataset.places) == ([], ["Hilo"])


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("creators.0.orcid", {"creators.0.orcid": "0000-0002-1825-0098"}, "does not fit"),
        ("licence", {"licence": "cc0-1.0"}, "Creative Commons Zero"),
        ("temporal_start", {"temporal_start": "2001-01-01", "temporal_end": "2000-01-01"}, "before the start"),
        ("east", {"point_longitude": "", "point_latitude": "", "east": "3"}, "all four sides"),
        ("funders.4.identifier", {"funders.4.identifier": "x"}, "ror.org"),
        ("title", {"title": "Fine"}, ""),
    ],
)
def test_a_field_is_checked_when_it_was_changed_by_the_rules_of_saving(whole, browser, ben, field, typed, words):
    client = browser(ben)
    form = form_of(client) | typed
    told = client.post("/steward/datasets/sea/describe/check/", form, headers={"HX-Trigger-Name": field}).content.decode()
    assert words in told
    assert bool(words) == bool(told.strip())
    assert Dataset.objects.get().title == "Sea"


def test_json_that_is_no_description_is_refused_in_words(whole, browser, ben):
    client = browser(ben)
    for body in ({"funders": "NSF"}, {"funders": [["NSF"]]}, {"creators": [{"name": ["a"], "affiliations": 7}]}, {"places": [{"x": "\0"}]},
                 {"keywords": [{"scheme": "none", "value": "x"}]}, {"variables": [{"name": "t", "dimensions": 3, "moon": 1}]}):  # fmt: skip
        answer = client.patch("/api/v1/datasets/sea", json.dumps(body), content_type="application/json")
        assert answer.status_code == 400, body
        assert answer.json()["fields"], body
    kept = client.patch("/api/v1/datasets/sea", json.dumps({"places": ["a\0b"], "contact_name": "N"}), content_type="application/json")
    assert kept.status_code in {200, 400}


def test_a_box_is_searched_by_its_four_sides_too(whole, browser):
    page = browser().get("/datasets/?west=-160&south=15&east=-150&north=25")
    assert 'name="west" value="-160"' in page.content.decode()
    assert "bbox=-160%2C15%2C-150%2C25" in page.content.decode(), "links carry the box in one parameter"
    assert browser().get("/api/v1/datasets?west=0&south=0&east=1&north=1").json()["total"] == 0
    half = browser().get("/datasets/?west=-160&south=15")
    assert (half.status_code, "Four numbers" in half.content.decode()) == (400, True)
