"""ISO 19115-3 against the schemas of ISO TC 211, as `ckanext-iso19115` carries them; XLink and XML namespaces as `xmlschema` does."""

from importlib import metadata, resources
from pathlib import Path

import pytest
from lxml import etree

from datasets.formats import iso19115


class Carried(etree.Resolver):  # type: ignore[misc]  # lxml tells no types
    """Finds in the packages what the schemas import by its address."""

    def __init__(self, standards: Path) -> None:
        more = Path(str(resources.files("xmlschema"))) / "schemas"
        self.folders = {
            "http://standards.iso.org/iso/": standards,
            "http://schemas.opengis.net/": standards / "schemas.opengis.net",
            "http://www.w3.org/1999/": more / "XLINK",
            "http://www.w3.org/2001/": more / "XML",
        }

    def resolve(self, url: str, public_id: str, context: object):
        for start, folder in self.folders.items():
            if url.startswith(start) and (folder / url.removeprefix(start)).exists():
                return self.resolve_filename(str(folder / url.removeprefix(start)), context)
        return None


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    files = metadata.files("ckanext-iso19115") or []
    main = next(Path(str(one.locate())) for one in files if str(one).endswith("19115/-3/mdb/2.0/mdb.xsd"))
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(Carried(main.parents[4]))
    return etree.XMLSchema(etree.parse(main, parser))


def test_the_record_satisfies_the_schema(record, schema):
    schema.assertValid(etree.fromstring(iso19115.as_xml(record).encode()))


def test_the_schema_refuses_what_is_wrong(rich, schema):
    told = etree.fromstring(iso19115.as_xml(rich).encode())
    citation = told.find(".//{*}MD_DataIdentification/{*}citation")
    citation.getparent().append(citation)
    assert not schema.validate(told)
