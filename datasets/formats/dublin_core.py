"""Simple Dublin Core in the container that OAI-PMH defines. Source: https://www.openarchives.org/OAI/2.0/oai_dc.xsd."""

from xml.etree.ElementTree import Element, register_namespace

from datasets.formats.datacite import rights_of
from datasets.formats.markup import XSI, add, xml_text
from datasets.formats.record import Record

OAI_DC = "http://www.openarchives.org/OAI/2.0/oai_dc/"
DC = "http://purl.org/dc/elements/1.1/"
SCHEMA = "http://www.openarchives.org/OAI/2.0/oai_dc.xsd"

register_namespace("oai_dc", OAI_DC)
register_namespace("dc", DC)


def as_xml(record: Record) -> str:
    return xml_text(as_element(record))


def as_element(record: Record) -> Element:
    root = Element(f"{{{OAI_DC}}}dc", {f"{{{XSI}}}schemaLocation": f"{OAI_DC} {SCHEMA}"})
    for name, value in facts(record):
        add(root, f"{{{DC}}}{name}", value)
    return root


def facts(record: Record) -> list[tuple[str, str]]:
    """The elements with their values, in the order of the element set; what is not known is absent."""
    box = record.box
    found = [
        ("title", record.title),
        *(("creator", maker.name) for maker in record.makers),
        *(("subject", subject) for subject in record.subjects),
        *(("subject", keyword.value) for keyword in record.keywords),
        ("description", record.abstract),
        ("publisher", record.publisher),
        *(("contributor", funding.name) for funding in record.funding),
        ("date", record.published_at.date().isoformat()),
        ("date", f"info:eu-repo/date/embargoEnd/{record.embargo_ends_on}" if record.embargo_ends_on else ""),
        ("type", "Dataset"),
        *(("format", name) for name in record.formats),
        ("identifier", record.identifier),
        ("source", record.source_url or record.source_name),
        *(("relation", related.url or f"{related.type}:{related.identifier}") for related in record.related),
        *(("relation", other.url) for other in record.others),
        ("coverage", record.period),
        *(("coverage", place) for place in record.places),
        (
            "coverage",
            f"westlimit={box[0]:.10g}; southlimit={box[1]:.10g}; eastlimit={box[2]:.10g}; northlimit={box[3]:.10g}" if box else "",
        ),
        ("rights", rights_of(record)[1]),
        ("rights", record.licence_url or record.licence),
    ]
    return [(name, value) for name, value in found if value]
