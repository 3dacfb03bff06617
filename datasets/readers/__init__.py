"""Readers of descriptions that others wrote: pure functions from text to `Described` records, the mirror of `datasets.formats`.

`read` is the way in. Nothing here looks into a database or fetches anything; what a record says and a description here has no place for is
told with it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from datasets.readers import datacite, dcat, dublin_core, iso, rdf, schema_org
from datasets.readers.described import Described
from datasets.readers.parsing import LONGEST, local_name, parse_json, parse_xml, refusal, text_of

MOST_RECORDS = 200


@dataclass(frozen=True)
class ReadFormat:
    """A format that is read: its name, how people call it, whether a document looks like it, and what of it the records are."""

    name: str
    words: str
    is_xml: bool
    looks_so: Callable[[Any], bool]
    records_of: Callable[[Any], list[Any]]
    read: Callable[[Any], Described]


def _resources(root: Element) -> list[Any]:
    """The elements `resource` of DataCite: the root, or within an answer of OAI-PMH or a wrapping of one's own."""
    return [one for one in root.iter() if local_name(one) == "resource" and "datacite.org/schema/kernel" in str(one.tag)]


READ = {
    one.name: one
    for one in (
        ReadFormat(
            "datacite-json", "DataCite JSON", is_xml=False, looks_so=datacite.is_record, records_of=datacite.records_of, read=datacite.read
        ),
        ReadFormat(
            "datacite-xml",
            "DataCite XML",
            is_xml=True,
            looks_so=lambda root: bool(_resources(root)),
            records_of=_resources,
            read=lambda one: datacite.read(datacite.from_xml(one)),
        ),
        ReadFormat(
            "schema.org",
            "schema.org JSON-LD",
            is_xml=False,
            looks_so=schema_org.is_record,
            records_of=schema_org.records_of,
            read=schema_org.read,
        ),
        ReadFormat(
            "dcat", "DCAT (JSON-LD, Turtle, RDF/XML)", is_xml=False, looks_so=dcat.is_record, records_of=dcat.records_of, read=dcat.read
        ),
        ReadFormat(
            "iso19115",
            "ISO 19115 (19115-3 or 19139)",
            is_xml=True,
            looks_so=lambda root: bool(iso.records_of(root)),
            records_of=iso.records_of,
            read=iso.read,
        ),
        ReadFormat(
            "dublin-core",
            "Dublin Core (oai_dc)",
            is_xml=True,
            looks_so=lambda root: bool(dublin_core.records_of(root)),
            records_of=dublin_core.records_of,
            read=dublin_core.read,
        ),
    )
}


def read(document: str, format_name: str = "") -> tuple[ReadFormat, list[Described]]:
    """The records of a document in a format of `READ`, by default the one that it looks like.

    Raises InvalidError at `record` for what is none or holds none, and at `format` for a format that is not known.
    """
    if format_name and format_name not in READ:
        raise refusal_of_format(f"There is no format {format_name[:40]!r}. Formats: {', '.join(READ)}.")
    if not document.strip():
        raise refusal("Choose a file or paste a record.")
    if len(document) > LONGEST:
        raise refusal(f"At most {LONGEST // 1_000_000} million characters at once.")
    is_xml, value = _parsed(document.lstrip("\ufeff \t\r\n"))
    chosen = (
        READ[format_name] if format_name else next((one for one in READ.values() if one.is_xml == is_xml and one.looks_so(value)), None)
    )
    if chosen is None:
        raise refusal(f"No format is recognised in this. What is read: {', '.join(one.words for one in READ.values())}.")
    records = chosen.records_of(value) if chosen.is_xml == is_xml else []
    if not records:
        raise refusal(f"There is no record in {chosen.words} here.")
    if len(records) > MOST_RECORDS:
        raise refusal(f"At most {MOST_RECORDS} records at once; here are {len(records):,}.")
    return chosen, [chosen.read(one) for one in records]


def _parsed(document: str) -> tuple[bool, Any]:
    """(whether it is XML, the root or the value); RDF in whatever syntax as the nodes of JSON-LD."""
    if rdf.is_turtle(document):
        return False, rdf.nodes_of(document, "turtle")
    if not document.startswith("<"):
        return False, parse_json(document)
    root = parse_xml(document)
    return (False, rdf.nodes_of(document, "xml")) if rdf.is_rdf_xml(root) else (True, root)


def refusal_of_format(words: str) -> Exception:
    error = refusal(words)
    error.fields = {"format": [words]}
    return error


__all__ = ["MOST_RECORDS", "READ", "Described", "ReadFormat", "read", "text_of"]
