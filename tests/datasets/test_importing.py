"""Descriptions of others become drafts: once each, with all that is wrong and all that has no place told, and nothing done by a preview."""

import json
from dataclasses import replace

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from datasets import dois, importing, readers
from datasets.curation import deleting, registering
from datasets.description.snapshots import snapshot
from datasets.errors import ForbiddenError, InvalidError
from datasets.formats import FORMATS
from datasets.importing.settling import settle
from datasets.metadata import describing
from datasets.models import Dataset, DatasetEvent, Origin, Term, Vocabulary
from datasets.readers import READ, Described
from portal.models import RoleGrant
from tests.datasets.test_describing import WHOLE

FULL = WHOLE | {
    "subjects": ["Ice", "Ocean"],
    "variables": [{"name": "sst", "standard_name": "sea_surface_temperature", "long_name": "The sea's skin", "units": "K"}],
    "temporal_start": "2006-04-01",
    "temporal_end": "2010-09-30",
    "provenance": "Computed from daily analyses.",
    "access_policy": "registered",
}
# What a format has no words for, and what it says in other words: not compared.
CANNOT = {
    "datacite-json": {"variables", "subjects", "titles of related"},
    "datacite-xml": {"variables", "subjects", "titles of related"},
    "schema.org": {"platforms", "instruments", "types of related", "temporal_resolution", "contact_name", "provenance"},
    "iso19115": {"variables", "related", "funders", "contact_name"},
    "dcat": {"variables", "instruments", "platforms", "creators", "funders", "related", "access_policy"},
}
# In the shape of the example of DataCite's REST API documentation.
SAMPLE = {
    "data": {
        "id": "10.5438/0014",
        "type": "dois",
        "attributes": {
            "doi": "10.5438/0014",
            "titles": [{"title": "The seas of the north"}, {"title": "Les mers du nord", "titleType": "TranslatedTitle", "lang": "fr"}],
            "creators": [
                {
                    "name": "Garza, Kristian",
                    "nameType": "Personal",
                    "affiliation": ["DataCite", {"name": "NCAR", "affiliationIdentifier": "https://ror.org/05cvfcr44"}],
                    "nameIdentifiers": [{"nameIdentifier": "0000-0002-1825-0098", "nameIdentifierScheme": "ORCID"}],
                }
            ],
            "publisher": "DataCite",
            "publicationYear": 2019,
            "types": {"resourceTypeGeneral": "Text"},
            "language": "en",
            "subjects": ["Oceans", {"subject": "EARTH SCIENCE > OCEANS > SEA ICE", "subjectScheme": "No such list"}],
            "contributors": [{"name": "Dasler, Robin", "contributorType": "DataCollector"}],
            "dates": [{"date": "2019-02", "dateType": "Collected"}, {"date": "2001/2003-02", "dateType": "Coverage"}],
            "descriptions": [{"description": "What they were like.", "descriptionType": "Abstract"}],
            "rightsList": [{"rights": "CC by", "rightsUri": "https://creativecommons.org/licenses/by/4.0/legalcode"}],
            "relatedIdentifiers": [
                {"relationType": "References", "relatedIdentifierType": "DOI", "relatedIdentifier": "10.1000/xyz123"},
                {"relationType": "Knows", "relatedIdentifierType": "DOI", "relatedIdentifier": "10.1000/xyz124"},
            ],
            "geoLocations": [
                {
                    "geoLocationPolygon": [
                        {"polygonPoint": {"pointLongitude": x, "pointLatitude": y}} for x, y in ((4, 60), (8, 61), (6, 70))
                    ]
                }
            ],
            "fundingReferences": [{"funderName": "European Commission", "funderIdentifier": "https://doi.org/10.13039/501100000780"}],
        },
    }
}


def described(dataset: Dataset, format_name: str) -> dict:
    """The description as far as a format can carry it."""
    known = snapshot(dataset)
    kept = {name: value for name, value in known.items() if name not in CANNOT[format_name] | {"source_name", "source_url"}}
    if "titles of related" in CANNOT[format_name]:
        kept["related"] = [one | {"title": ""} for one in kept["related"]]
    if "types of related" in CANNOT[format_name]:
        kept["related"] = sorted((one["relation"], one["identifier"], one["title"]) for one in kept["related"])
    return kept


@pytest.mark.long
@pytest.mark.parametrize("format_name", list(CANNOT))
def test_what_our_own_writers_write_is_read_as_the_same_description(published, ben, format_name):
    made = published(**FULL).dataset
    elsewhere = replace(describing.find_record("sea"), url="https://elsewhere.example/sea", page_url="https://elsewhere.example", doi="")
    imported = importing.import_records(FORMATS[format_name].write(elsewhere), user=ben)
    (outcome,) = imported.records
    assert (imported.format, outcome.act, outcome.wrong) == (READ[format_name].words, "new", [])
    read = Dataset.objects.get(slug=outcome.slug)
    assert read.origin.identifier == "https://elsewhere.example/sea"
    assert described(read, format_name) == described(Dataset.objects.get(pk=made.pk), format_name)


def test_a_preview_finds_all_and_does_nothing_then_the_import_does_it(db, ben):
    seen = importing.preview(json.dumps(SAMPLE), user=ben)
    assert (Dataset.objects.exists(), Origin.objects.exists(), DatasetEvent.objects.exists()) == (False, False, False)
    done = importing.import_records(json.dumps(SAMPLE), user=ben)
    assert (seen.records, seen.is_done, done.is_done) == (done.records, False, True)
    made = Dataset.objects.get()
    assert (made.slug, made.licence, made.bbox, list(made.stewards.all())) == (
        "the-seas-of-the-north", "CC-BY-4.0", (4, 60, 8, 70), [ben],
    )  # fmt: skip
    assert (str(made.temporal_start), str(made.temporal_end)) == ("2001-01-01", "2003-02-28")
    assert made.subject_facet == ["Oceans", "SEA ICE"]
    assert (made.origin.identifier, made.versions.get().is_draft) == ("doi:10.5438/0014", True)
    creator = made.creators.get()
    assert (creator.orcid, creator.affiliations[1]) == ("", {"name": "NCAR", "ror": "05cvfcr44"})
    assert [one["identifier"] for one in made.related] == ["10.1000/xyz123"]
    told = {one.path: one.words for one in done.records[0].unmapped}
    expected = {
        "titles.1": "Les mers",
        "creators.0.orcid": "0098: The last character of this ORCID",
        "types.resourceTypeGeneral": "Text",
        "language": "en",
        "keywords": "kept as the subject SEA ICE",
        "contributors.0": "Dasler, Robin, DataCollector",
        "dates.0": "Collected: 2019-02",
        "related.1.relation": "no such relation",
        "geoLocations.0.geoLocationPolygon": "box around it",
        "publisher": "DataCite",
    }
    assert {path: words for path, words in expected.items() if words not in told.get(path, "")} == {}
    assert set(told) == set(expected)


def test_the_same_record_changes_its_draft_and_never_doubles(db, ben, dee):
    importing.import_records(json.dumps(SAMPLE), user=ben)
    assert importing.import_records(json.dumps(SAMPLE), user=ben).records[0].act == "same"
    changed = json.loads(json.dumps(SAMPLE).replace("of the north", "of the south").replace("10.5438/0014", "https://doi.org/10.5438/0014"))
    (outcome,) = importing.import_records(json.dumps(changed), user=dee).records
    assert (outcome.act, outcome.slug, outcome.changed) == ("changed", "the-seas-of-the-north", ["Title"])
    assert Dataset.objects.get().title == "The seas of the south"


def test_what_is_published_here_or_curated_by_others_is_left_alone(published, ben, cy):
    dataset = published().dataset
    Origin.objects.create(dataset=dataset, identifier="doi:10.5438/0014", format="x", digest="", imported_at=dataset.created_at)
    done = importing.import_records(json.dumps(SAMPLE), user=ben)
    assert (done.is_done, done.records[0].act) == (False, "refused")
    assert "published as sea" in done.records[0].wrong[0].words
    RoleGrant.objects.create(role="steward", principal_type="identity", principal=cy.id)
    (other,) = importing.preview(json.dumps(SAMPLE), user=cy).records
    assert (other.slug, "other stewards" in other.wrong[0].words) == ("", True)


def test_a_draft_in_the_bin_is_restored_rather_than_doubled(db, ben):
    importing.import_records(json.dumps(SAMPLE), user=ben)
    deleting.delete(Dataset.objects.get(), user=ben, name="the-seas-of-the-north")
    assert "lies in the bin" in importing.import_records(json.dumps(SAMPLE), user=ben).records[0].wrong[0].words
    other = json.loads(json.dumps(SAMPLE).replace("0014", "0099"))
    assert importing.import_records(json.dumps(other), user=ben).records[0].slug == "the-seas-of-the-north-2"


def test_a_doi_of_this_archive_is_known_however_it_is_written(published, ben):
    doi = dois.reserve(published(), user=ben)
    told = Described(identifier=f"doi:{doi.name.upper()}", stated={"title": "Again"})
    assert "of this archive" in importing.import_one(told, number=1, user=ben, format_name="dublin-core").wrong[0].words


@pytest.mark.parametrize(("title", "begun"), [("Same", "same"), ("\u041c\u043e\u0440\u0435", "dataset")])
def test_very_many_titles_alike_have_slugs_one_after_the_other(db, title, begun, django_assert_max_num_queries):
    for number in range(1, 40):
        with django_assert_max_num_queries(12):
            slug = importing.free_slug(title)
        assert slug == (begun if number == 1 else f"{begun}-{number}")
        Dataset.objects.create(slug=slug, title=title, listed_at=timezone.now())
    Dataset.objects.get(slug=f"{begun}-7").delete()
    assert not Dataset.objects.filter(slug=importing.free_slug(title)).exists()


def test_a_record_of_this_archive_is_not_imported_into_itself(published, ben):
    published()
    own = FORMATS["datacite-json"].write(describing.find_record("sea"))
    assert "of this archive" in importing.preview(own, user=ben).records[0].wrong[0].words


def test_one_wrong_record_stops_all_and_all_that_is_wrong_is_told(db, ben):
    records = [SAMPLE["data"], {"titles": [], "creators": []}, SAMPLE["data"]]
    done = importing.import_records(json.dumps({"data": records}), user=ben)
    assert [one.act for one in done.records] == ["new", "refused", "refused"]
    assert [[wrong.field for wrong in one.wrong] for one in done.records] == [[], ["title"], ["identifier"]]
    assert not Dataset.objects.exists()


def test_what_breaks_a_rule_is_left_out_and_the_rest_is_kept(db, ben):
    bad = {
        "titles": [{"title": "T\u0000itle \ud800" + "e" * 400}],
        "creators": [{"name": "n" * 300}, {"name": "Ada"}, {"name": "Ada"}, 7, None],
        "doi": "10.5438/bad",
        "dates": [{"date": "2003-13-45/2001", "dateType": "Coverage"}],
        "geoLocations": [{"geoLocationBox": {"westBoundLongitude": "nan", "eastBoundLongitude": 1, "southBoundLatitude": 2}}, "x",
                         {"geoLocationPoint": {"pointLongitude": 300, "pointLatitude": 95}}],
        "rightsList": [{"rights": "All mine"}, 3],
        "fundingReferences": [{"funderName": "F", "awardUri": "javascript:alert(1)"}],
        "subjects": ["s" * 200, {"subject": {"a": ["b"]}}, 5],
        "relatedIdentifiers": {"relationType": []},
        "descriptions": "nothing",
        "\ud800\u0000odd": "x",
    }  # fmt: skip
    (outcome,) = importing.import_records(json.dumps(bad), user=ben).records
    assert (outcome.act, outcome.wrong) == ("new", [])
    made = Dataset.objects.get()
    assert (len(made.title), made.creator_names, made.bbox, made.temporal_start) == (300, ["Ada"], None, None)
    assert (made.funders[0]["award_uri"], made.licence) == ("", "")
    told = " ".join(one.path for one in outcome.unmapped)
    for path in ("title", "creators.0.name", "geoLocations.0", "rightsList.0", "funders.0.award_uri", "subjects", "west"):
        assert path in told


BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><resource xmlns="http://datacite.org/schema/kernel-4">&b;</resource>'
FETCH = '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><resource xmlns="http://datacite.org/schema/kernel-4"/>'


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("", "Choose a file"),
        ("{", "not JSON"),
        ("[" * 100_000, "nested too deep"),
        ("[" * 150 + "]" * 150, "nested more than"),
        ("<a>" * 50_000 + "</a>" * 50_000, "nested more than"),
        ('{"a": 1}', "No format is recognised"),
        ("<a", "not XML"),
        (BOMB, "document type"),
        (FETCH, "document type"),
        ("@prefix dcat: <x", "Turtle"),
        (json.dumps([SAMPLE["data"]["attributes"]] * 201), "At most 200"),
        ("1" * 5000, "not JSON"),
    ],
)
def test_what_is_no_record_is_refused_in_words(db, ben, document, words):
    with pytest.raises(InvalidError) as refused:
        importing.preview(document, user=ben)
    assert words in " ".join(refused.value.fields["record"])


def test_only_stewards_and_operators_import(db, ada):
    with pytest.raises(ForbiddenError):
        importing.preview(json.dumps(SAMPLE), user=ada)


def test_by_page_a_file_is_previewed_then_imported(db, browser, ben):
    client = browser(ben)
    text = f'<?xml version="1.0" encoding="iso-8859-1"?><resource xmlns="http://datacite.org/schema/kernel-4">{SMALL}</resource>'
    file = SimpleUploadedFile("record.xml", text.encode("iso-8859-1"))
    seen = client.post("/steward/import/", {"file": file, "act": "preview"})
    page = seen.content.decode()
    assert (seen.status_code, "1 draft would be made" in page, "&lt;resource" in page) == (200, True, True)
    done = client.post("/steward/import/", {"record": text, "act": "import"}).content.decode()
    assert "1 draft made" in done
    assert "/steward/datasets/lacs-geles/" in done
    assert Dataset.objects.get().title == "Lacs gelés"
    assert client.post("/steward/import/", {"record": "{", "act": "import"}).status_code == 400
    large = SimpleUploadedFile("large.json", json.dumps(SAMPLE | {"padding": "x" * 2_100_000}).encode())
    assert "Choose it again to import it" in client.post("/steward/import/", {"file": large, "act": "preview"}).content.decode()
    assert client.post("/steward/import/", {"record": text, "format": "datacite-json"}).status_code == 400


SMALL = """<identifier identifierType="DOI">10.5438/0015</identifier><creators><creator><creatorName>Dupont, Zoé</creatorName></creator>
</creators><titles><title>Lacs gelés</title></titles><publisher>X</publisher><publicationYear>2020</publicationYear>"""


def test_by_api_a_dry_run_looks_and_an_import_does(db, browser, ben):
    client = browser(ben)
    asked = {"record": json.dumps(SAMPLE), "dry_run": True}
    seen = client.post("/api/v1/imports", asked, content_type="application/json")
    assert (seen.status_code, seen.json()["records"][0]["act"], Dataset.objects.exists()) == (200, "new", False)
    done = client.post("/api/v1/imports", {"record": SimpleUploadedFile("x.json", json.dumps(SAMPLE).encode())})
    assert (done.status_code, done.json()["is_done"], Dataset.objects.count()) == (200, True, 1)
    refused = client.post("/api/v1/imports", {"record": ["x"], "format": "x"}, content_type="application/json")
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["record"])
    odd = {"record": json.dumps(SAMPLE["data"]["attributes"] | {"\ud800": "\udc00"}), "dry_run": ["x"]}
    assert client.post("/api/v1/imports", odd, content_type="application/json").status_code == 200
    unknown = client.post("/api/v1/imports", {"record": "{}", "format": "x"}, content_type="application/json")
    assert list(unknown.json()["fields"]) == ["format"]


def test_edits_are_kept_while_the_record_stays_the_same(db, ben):
    importing.import_records(json.dumps(SAMPLE), user=ben)
    registering.describe(Dataset.objects.get(), user=ben, title="Mended by hand")
    importing.import_records(json.dumps(SAMPLE), user=ben)
    assert Dataset.objects.get().title == "Mended by hand"


def test_any_number_of_keywords_is_looked_up_at_once(db, ben, django_assert_max_num_queries):
    Vocabulary.objects.create(slug="mine", use="keywords", name="No such list", loaded_at=timezone.now())
    Term.objects.create(vocabulary=Vocabulary.objects.get(slug="mine"), path="EARTH SCIENCE > OCEANS > SEA ICE", label="SEA ICE")
    record = json.loads(json.dumps(SAMPLE))
    absent = [{"subject": f"EARTH SCIENCE > OCEANS > WORD {n}", "subjectScheme": "No such list"} for n in range(25)]
    record["data"]["attributes"]["subjects"] += absent
    (described,) = readers.read(json.dumps(record), "")[1]
    with django_assert_max_num_queries(4):
        stated = settle(described)
    assert [one["value"] for one in stated["keywords"]] == ["EARTH SCIENCE > OCEANS > SEA ICE"]
    assert "WORD 24" in stated["subjects"]


def test_all_known_datasets_are_held_in_one_order_before_the_first_changes(db, ben):
    both = [json.loads(json.dumps(SAMPLE).replace("0014", number)) for number in ("0014", "0015")]
    for record in both:
        importing.import_records(json.dumps(record), user=ben)
    changed = json.dumps([json.loads(json.dumps(record).replace("of the north", "of the south")) for record in both])
    with CaptureQueriesContext(connection) as asked:
        assert [one.act for one in importing.import_records(changed, user=ben).records] == ["changed", "changed"]
    statements = [one["sql"] for one in asked.captured_queries]
    held = next(at for at, sql in enumerate(statements) if "FOR UPDATE" in sql)
    written = next(at for at, sql in enumerate(statements) if sql.startswith(("UPDATE", "INSERT")))
    assert held < written
    assert "ORDER BY" in statements[held]
    assert all(number in statements[held] for number in ("0014", "0015"))
