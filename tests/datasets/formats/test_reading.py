"""Readers of other people's descriptions: what the writers write comes back, samples in the shapes of the standards' examples."""

import json

import pytest
from django.core.exceptions import ValidationError
from rdflib import Graph

from datasets.description.entries import read_affiliations
from datasets.description.units import dimensions_of
from datasets.errors import InvalidError
from datasets.formats import FORMATS, dcat
from datasets.readers import READ, rdf, read, text_of
from datasets.readers.described import day, licence_of
from tests.datasets.formats.conftest import RECORDS

ISO_19139 = """<gmd:MD_Metadata xmlns:gmd="http://www.isotc211.org/2005/gmd" xmlns:gco="http://www.isotc211.org/2005/gco"
 xmlns:gmx="http://www.isotc211.org/2005/gmx" xmlns:gml="http://www.opengis.net/gml/3.2" xmlns:xlink="http://www.w3.org/1999/xlink">
<gmd:fileIdentifier><gco:CharacterString>edu.ucar.rda:ds083.2</gco:CharacterString></gmd:fileIdentifier>
<gmd:spatialRepresentationInfo><gmd:MD_GridSpatialRepresentation><gmd:numberOfDimensions><gco:Integer>2</gco:Integer>
</gmd:numberOfDimensions></gmd:MD_GridSpatialRepresentation></gmd:spatialRepresentationInfo>
<gmd:identificationInfo><gmd:MD_DataIdentification>
<gmd:citation><gmd:CI_Citation><gmd:title><gco:CharacterString>Final Analysis</gco:CharacterString></gmd:title>
<gmd:identifier><gmd:MD_Identifier><gmd:code><gmx:Anchor xlink:href="https://doi.org/10.5065/D6M043C6">10.5065/D6M043C6</gmx:Anchor>
</gmd:code></gmd:MD_Identifier></gmd:identifier>
<gmd:citedResponsibleParty><gmd:CI_ResponsibleParty><gmd:individualName><gco:CharacterString>Doe, Jo</gco:CharacterString>
</gmd:individualName><gmd:organisationName><gco:CharacterString>NCEP</gco:CharacterString></gmd:organisationName>
<gmd:role><gmd:CI_RoleCode codeList="x" codeListValue="author">author</gmd:CI_RoleCode></gmd:role></gmd:CI_ResponsibleParty>
</gmd:citedResponsibleParty></gmd:CI_Citation></gmd:citation>
<gmd:abstract><gco:CharacterString>Operational global analyses.</gco:CharacterString></gmd:abstract>
<gmd:pointOfContact><gmd:CI_ResponsibleParty><gmd:individualName><gco:CharacterString>Help Desk</gco:CharacterString></gmd:individualName>
<gmd:contactInfo><gmd:CI_Contact><gmd:address><gmd:CI_Address><gmd:electronicMailAddress><gco:CharacterString>help@example.org
</gco:CharacterString></gmd:electronicMailAddress></gmd:CI_Address></gmd:address></gmd:CI_Contact></gmd:contactInfo>
<gmd:role><gmd:CI_RoleCode codeList="x" codeListValue="pointOfContact"/></gmd:role></gmd:CI_ResponsibleParty></gmd:pointOfContact>
<gmd:descriptiveKeywords><gmd:MD_Keywords><gmd:keyword><gco:CharacterString>EARTH SCIENCE > ATMOSPHERE > WINDS</gco:CharacterString>
</gmd:keyword><gmd:type><gmd:MD_KeywordTypeCode codeList="x" codeListValue="theme"/></gmd:type><gmd:thesaurusName><gmd:CI_Citation>
<gmd:title><gco:CharacterString>GCMD Science Keywords</gco:CharacterString></gmd:title></gmd:CI_Citation></gmd:thesaurusName>
</gmd:MD_Keywords></gmd:descriptiveKeywords>
<gmd:resourceConstraints><gmd:MD_LegalConstraints><gmd:useLimitation><gmx:Anchor xlink:href="http://creativecommons.org/licenses/by/4.0/">
Creative Commons</gmx:Anchor></gmd:useLimitation></gmd:MD_LegalConstraints></gmd:resourceConstraints>
<gmd:topicCategory><gmd:MD_TopicCategoryCode>climatologyMeteorologyAtmosphere</gmd:MD_TopicCategoryCode></gmd:topicCategory>
<gmd:extent><gmd:EX_Extent><gmd:geographicElement><gmd:EX_GeographicBoundingBox>
<gmd:westBoundLongitude><gco:Decimal>-180.0</gco:Decimal></gmd:westBoundLongitude><gmd:eastBoundLongitude><gco:Decimal>180</gco:Decimal>
</gmd:eastBoundLongitude><gmd:southBoundLatitude><gco:Decimal>-90</gco:Decimal></gmd:southBoundLatitude><gmd:northBoundLatitude>
<gco:Decimal>90</gco:Decimal></gmd:northBoundLatitude></gmd:EX_GeographicBoundingBox></gmd:geographicElement>
<gmd:temporalElement><gmd:EX_TemporalExtent><gmd:extent><gml:TimePeriod gml:id="a">
<gml:beginPosition>1999-07-30T18:00:00Z</gml:beginPosition>
<gml:endPosition>2015</gml:endPosition></gml:TimePeriod></gmd:extent></gmd:EX_TemporalExtent></gmd:temporalElement></gmd:EX_Extent></gmd:extent>
</gmd:MD_DataIdentification></gmd:identificationInfo>
<gmd:dataQualityInfo><gmd:DQ_DataQuality><gmd:lineage><gmd:LI_Lineage><gmd:statement><gco:CharacterString>From GDAS.</gco:CharacterString>
</gmd:statement></gmd:LI_Lineage></gmd:lineage></gmd:DQ_DataQuality></gmd:dataQualityInfo></gmd:MD_Metadata>"""

# In the shape of the example of Google Dataset Search.
GOOGLE = {
    "@context": "https://schema.org/",
    "@type": "Dataset",
    "name": "NCDC Storm Events Database",
    "description": "Storm Data is provided by the National Weather Service.",
    "url": "https://catalog.data.gov/dataset/ncdc-storm-events-database",
    "identifier": ["https://doi.org/10.1000/182", "https://identifiers.org/ark:/12345/fk1234"],
    "keywords": ["ATMOSPHERE > CLOUDS", "ATMOSPHERIC PHENOMENA"],
    "license": "https://creativecommons.org/publicdomain/zero/1.0/",
    "hasPart": [{"@type": "Dataset", "name": "Sub dataset 01"}],
    "creator": {"@type": "Organization", "name": "OC/NOAA/NESDIS/NCEI", "sameAs": "https://ror.org/05cvfcr44", "contactPoint": {}},
    "funder": {"@type": "Organization", "sameAs": "https://ror.org/00tgqzw13", "name": "National Weather Service"},
    "distribution": [{"@type": "DataDownload", "encodingFormat": "CSV", "contentUrl": "https://www.ncdc.noaa.gov/stormevents/ftp.jsp"}],
    "temporalCoverage": "1950-01-01/2013-12-18",
    "spatialCoverage": {"@type": "Place", "geo": {"@type": "GeoShape", "box": "18.0 -65.0 72.0 172.0"}},
    "award": "A prize",
}

# In the shape of the examples of the DCAT recommendation, with a context of its own and a graph.
DCAT = {
    "@context": {"@vocab": "http://www.w3.org/ns/dcat#", "dct": "http://purl.org/dc/terms/", "title": "dct:title", "geo": "x"},
    "@graph": [
        {
            "@id": "https://example.org/ds/1",
            "@type": "http://www.w3.org/ns/dcat#Dataset",
            "title": [{"@value": "Meer", "@language": "de"}, {"@value": "Sea", "@language": "en"}],
            "dct:creator": {"@id": "https://orcid.org/0000-0002-1825-0097"},
            "dct:temporal": {"http://www.w3.org/ns/dcat#startDate": {"@value": "2016-03-04"}, "dcat:endDate": "2018"},
            "dct:spatial": [{"dcat:bbox": "POLYGON((3.05 47.97,7.24 47.97,7.24 53.50,3.05 53.50,3.05 47.97))"}],
            "dct:accrualPeriodicity": {"@id": "http://purl.org/cld/freq/annual"},
            "dct:isPartOf": {"@id": "https://example.org/ds"},
        },
        {"@id": "https://orcid.org/0000-0002-1825-0097", "foaf:name": "Lindqvist, Ada"},
    ],
}


def one(document: str, format_name: str = ""):
    chosen, (found,) = read(document, format_name)
    return chosen.name, found, {part.path: part.words for part in found.unmapped}


def test_a_record_of_iso_19139_is_read():
    name, found, told = one(ISO_19139)
    assert (name, found.identifier) == ("iso19115", "doi:10.5065/d6m043c6")
    assert found.stated == {
        "title": "Final Analysis",
        "abstract": "Operational global analyses.",
        "creators": [{"name": "Doe, Jo", "orcid": "", "ror": "", "affiliations": [{"name": "NCEP", "ror": ""}]}],
        "contact_name": "Help Desk",
        "contact": "help@example.org",
        "keywords": [
            {"value": "EARTH SCIENCE > ATMOSPHERE > WINDS", "scheme_name": "GCMD Science Keywords", "scheme_url": "", "identifier": ""}
        ],
        "licence": "CC-BY-4.0",
        "west": -180.0,
        "south": -90.0,
        "east": 180.0,
        "north": 90.0,
        "temporal_start": "1999-07-30",
        "temporal_end": "2015-12-31",
        "provenance": "From GDAS.",
    }
    assert sorted(path.rpartition("/")[2] for path in told) == ["Integer", "MD_TopicCategoryCode"]


def test_a_dataset_of_googles_example_is_read():
    name, found, told = one(json.dumps(GOOGLE))
    assert (name, found.identifier) == ("schema.org", "doi:10.1000/182")
    stated = found.stated
    assert (stated["licence"], stated["subjects"]) == ("CC0-1.0", ["ATMOSPHERE > CLOUDS", "ATMOSPHERIC PHENOMENA"])
    assert [stated[side] for side in ("west", "south", "east", "north")] == [-65, 18, 172, 72]
    assert stated["creators"][0] | {"affiliations": []} == {
        "name": "OC/NOAA/NESDIS/NCEI", "orcid": "", "ror": "https://ror.org/05cvfcr44", "affiliations": [],
    }  # fmt: skip
    assert stated["funders"] == [{"name": "National Weather Service", "identifier": "https://ror.org/00tgqzw13"}]
    assert (stated["temporal_start"], stated["temporal_end"]) == ("1950-01-01", "2013-12-18")
    assert set(told) == {"hasPart.0", "distribution", "award"}


def test_dcat_is_read_by_its_own_context_with_references_filled_in():
    name, found, told = one(json.dumps(DCAT))
    assert (name, found.identifier) == ("dcat", "https://example.org/ds/1")
    assert found.stated == {
        "title": "Sea",
        "creators": [{"name": "Lindqvist, Ada", "orcid": "https://orcid.org/0000-0002-1825-0097", "ror": "", "affiliations": []}],
        "related": [{"relation": "IsPartOf", "type": "", "identifier": "https://example.org/ds"}],
        "west": 3.05,
        "south": 47.97,
        "east": 7.24,
        "north": 53.5,
        "temporal_start": "2016-03-04",
        "temporal_end": "2018-12-31",
    }
    assert set(told) == {"dcterms:accrualPeriodicity"}


@pytest.mark.parametrize("format_name", list(READ))
@pytest.mark.parametrize("record", list(RECORDS))
def test_what_a_writer_writes_its_reader_recognises(record, format_name):
    written = RECORDS[record]
    name, found, _ = one(FORMATS[format_name].write(written))
    assert name == format_name
    assert found.identifier == (f"doi:{written.doi}" if written.doi else written.url)
    hostile = record == "hostile"
    assert hostile or found.stated["title"] == written.title
    assert found.stated["title"].startswith(written.title[:10])
    sides = tuple(found.stated.get(side) for side in ("west", "south", "east", "north"))
    assert sides == (written.box or (None,) * 4)
    period = (found.stated.get("temporal_start", ""), found.stated.get("temporal_end", ""))
    assert period == (str(written.start or ""), str(written.end or ""))
    assert hostile or [maker["name"] for maker in found.stated.get("creators", [])] == [maker.name for maker in written.makers]
    assert hostile or found.stated.get("licence", "") == ("" if format_name == "dcat" and not written.licence_url else written.licence)
    if not hostile and format_name not in {"dcat", "dublin-core"}:
        assert [one["name"] for one in found.stated.get("funders", [])] == [one.name for one in written.funding]
        assert found.stated.get("places", []) == list(written.places)


@pytest.mark.parametrize(
    ("told", "licence"),
    [
        ("cc-by-4.0", "CC-BY-4.0"),
        ("https://spdx.org/licenses/OGL-UK-3.0.html", "OGL-UK-3.0"),
        ("http://creativecommons.org/licenses/by-nc-sa/3.0/", "CC-BY-NC-SA-3.0"),
        ("Creative Commons Attribution-ShareAlike 4.0 International", "CC-BY-SA-4.0"),
        ("LicenseRef-Archive", "LicenseRef-Archive"),
        ("All rights reserved", ""),
        ("https://spdx.org/licenses/none", ""),
    ],
)
def test_a_licence_is_known_by_its_name_and_address(told, licence):
    assert licence_of(told) == licence


def test_years_and_months_are_their_first_and_last_days():
    assert [day("2004"), day("2004-02", is_end=True), day("2004", is_end=True)] == ["2004-01-01", "2004-02-29", "2004-12-31"]
    assert [day("2004-02-03T04:05Z"), day("2004-13"), day("20040203"), day("soon")] == ["2004-02-03", "2004-13", "", ""]


def test_a_licence_in_words_may_be_of_any_length():
    blanks, hyphens = " " * 50_000, "-" * 50_000
    assert licence_of(f"Creative Commons{blanks}Attribution{blanks}4.0") == "CC-BY-4.0"
    assert licence_of(f"Creative Commons Attribution{hyphens}4.0") == ""


@pytest.mark.parametrize("encoding", ["undefined", "punycode"])
def test_an_encoding_that_is_none_is_told(encoding):
    with pytest.raises(InvalidError):
        text_of(f'<?xml version="1.0" encoding="{encoding}"?><a/>-'.encode())


@pytest.mark.parametrize("syntax", ["turtle", "nt", "xml", "pretty-xml"])
def test_dcat_says_the_same_in_every_syntax_of_rdf(record, syntax):
    graph = Graph().parse(data=dcat.as_turtle(record), format="turtle")
    document = graph.serialize(format=syntax) if syntax != "turtle" else f"# by hand\n{dcat.as_turtle(record)}"
    name, found, told = one(document)
    plain = one(dcat.as_json(record))
    assert (name, found.identifier) == ("dcat", plain[1].identifier)

    def unordered(value):
        return sorted(map(unordered, value), key=str) if isinstance(value, list) else value

    assert {key: unordered(value) for key, value in found.stated.items()} == {
        key: unordered(value) for key, value in plain[1].stated.items()
    }  # the statements of RDF have no order
    assert told == plain[2]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("@prefix dcat: <http://www.w3.org/ns/dcat#> . dcat:x dcat:", "no Turtle that can be read"),
        ("@prefix a: <http://b/> . a:x a:y a:z .", "No format is recognised"),
        ("@prefix a: <http://b/> . a:x a:y " + "[ a:y " * 5_000, "nested too deep"),
        ('<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:li/><x/></rdf:RDF>', "no RDF/XML that can be read"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>', "document type"),
        ("@prefix a: <http://b/> .\n" + "a:x a:y 'z' .\n" * 80_000, "1,000,000 characters"),
    ],
)
def test_rdf_that_is_none_or_too_much_is_refused_in_words(document, words):
    with pytest.raises(InvalidError) as refused:
        read(document)
    assert words in refused.value.fields["record"][0]


def test_rdf_is_read_up_to_a_number_of_statements(monkeypatch):
    monkeypatch.setattr(rdf, "MOST_TRIPLES", 100)
    assert len(rdf.nodes_of("@prefix a: <http://b/> . a:x a:y " + ",".join(["[]"] * 100) + " .", "turtle")) == 1
    with pytest.raises(InvalidError, match="100 statements"):
        rdf.nodes_of("@prefix a: <http://b/> . a:x a:y " + ",".join(["[]"] * 101) + " .", "turtle")


def test_a_number_in_rdf_stays_as_long_as_it_is_written():
    prefixes = "dcat: <http://www.w3.org/ns/dcat#>", "dct: <http://purl.org/dc/terms/>", "xsd: <http://www.w3.org/2001/XMLSchema#>"
    document = "".join(f"@prefix {prefix} . " for prefix in prefixes)
    _, found, _ = one(f'{document} <http://a.example/one> a dcat:Dataset ; dct:title "1e4000000"^^xsd:decimal .')
    assert found.stated["title"] == "1e4000000"


def test_an_address_in_rdf_is_never_asked(settings):
    """Tests have no network: a context, base or document that was fetched would fail."""
    document = "@base <http://archive.example/> . @prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> ."
    _, found, _ = one(f'{document} <one> a dcat:Dataset ; dct:title "One" ; dct:conformsTo <http://archive.example/standard> .')
    assert (found.identifier, found.stated["title"]) == ("http://archive.example/one", "One")


LONG = 200_000
DUBLIN_CORE = (
    '<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" xmlns:dc="http://purl.org/dc/elements/1.1/">'
    "<dc:title>T</dc:title><dc:coverage>{}</dc:coverage></oai_dc:dc>"
)
BRIEF_DATACITE = {
    "schemaVersion": "http://datacite.org/schema/kernel-4",
    "titles": [{"title": "T"}],
    "types": {"resourceTypeGeneral": "Dataset"},
}
BRIEF_DCAT = {"@context": {"dcat": "http://www.w3.org/ns/dcat#", "dcterms": "http://purl.org/dc/terms/"}, "@type": "dcat:Dataset"}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "document",
    [
        DUBLIN_CORE.format("w" * LONG),
        DUBLIN_CORE.format("1" * LONG),
        json.dumps(
            BRIEF_DATACITE | {"descriptions": [{"description": "Instruments: " * (LONG // 10), "descriptionType": "TechnicalInfo"}]}
        ),
        json.dumps(BRIEF_DCAT | {"dcterms:title": "T", "dcterms:spatial": {"dcat:bbox": "POLYGON((" + "1" * LONG}}),
    ],
)
def test_no_words_of_strangers_are_read_for_hours(document):
    (described,) = read(document)[1]
    assert described.stated["title"] == "T"


@pytest.mark.timeout(60)
def test_no_words_of_a_form_are_read_for_hours():
    assert dimensions_of("a" + " " * LONG + "b") is None
    with pytest.raises(ValidationError):
        read_affiliations("ror.org/" * LONG + " x")
