"""The formats in which a version describes itself to machines: pure functions from a `Record` to text, one module each.

`record` says what they are written from, `FORMATS` below which there are; `metadata.describing` reads the record from the database.
"""

from collections.abc import Callable
from dataclasses import dataclass

from datasets.formats import (
    bibtex,
    citation,
    croissant,
    csl,
    datacite,
    dcat,
    dublin_core,
    iso19115,
    ris,
    ro_crate,
    schema_org,
    stac,
)
from datasets.formats.record import Record


def always(_record: Record) -> bool:
    return True


@dataclass(frozen=True)
class Format:
    """A way to write a record: its name in `?format=`, what it is called, its media type with the profile that tells it from its like."""

    name: str
    words: str
    media_type: str
    write: Callable[[Record], str]
    profile: str = ""
    has_files: bool = False
    applies_to: Callable[[Record], bool] = always

    @property
    def content_type(self) -> str:
        profile = f'; profile="{self.profile}"' if self.profile else ""
        is_text = self.media_type.startswith("text/") or self.media_type.endswith(("bibtex", "systems"))
        return f"{self.media_type}{profile}{'; charset=utf-8' if is_text else ''}"


LD = "application/ld+json"

# In the order of preference where an Accept header leaves it open.
FORMATS = {
    one.name: one
    for one in (
        Format("schema.org", "schema.org JSON-LD", LD, schema_org.as_json, has_files=True),
        Format("datacite-json", "DataCite JSON", "application/vnd.datacite.datacite+json", datacite.as_json),
        Format("datacite-xml", "DataCite XML", "application/vnd.datacite.datacite+xml", datacite.as_xml),
        Format("dublin-core", "Dublin Core", "application/xml", dublin_core.as_xml, profile=dublin_core.OAI_DC),
        Format("bibtex", "BibTeX", "application/x-bibtex", bibtex.as_text),
        Format("ris", "RIS", "application/x-research-info-systems", ris.as_text),
        Format("csl", "CSL-JSON", "application/vnd.citationstyles.csl+json", csl.as_json),
        Format("citation", "Citation", "text/x-bibliography", citation.as_text),
        Format("dcat-turtle", "DCAT (Turtle)", "text/turtle", dcat.as_turtle, has_files=True),
        Format("dcat", "DCAT (JSON-LD)", LD, dcat.as_json, profile=dcat.PREFIXES["dcat"], has_files=True),
        Format("ro-crate", "RO-Crate", LD, ro_crate.as_json, profile=ro_crate.SPECIFICATION, has_files=True),
        Format("croissant", "Croissant", LD, croissant.as_json, profile=croissant.CONFORMS_TO, has_files=True),
        Format("iso19115", "ISO 19115-3", "application/xml", iso19115.as_xml, profile=iso19115.NAMESPACES["mdb"], has_files=True),
        Format("stac", "STAC collection", "application/json", stac.as_collection, applies_to=stac.has_collection),
        Format("stac-item", "STAC item", "application/geo+json", stac.as_item, has_files=True, applies_to=stac.has_item),
    )
}


def described_by(record: Record) -> list[Format]:
    """The formats that this record can be had in."""
    return [one for one in FORMATS.values() if one.applies_to(record)]
