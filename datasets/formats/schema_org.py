"""schema.org JSON-LD by the rules of Google Dataset Search. Source: https://developers.google.com/search/docs/appearance/structured-data/dataset."""

from typing import Any

from datasets.formats.markup import json_text, without_empty
from datasets.formats.record import Maker, Quantity, Record, RecordFile

CONTEXT = "https://schema.org/"


def as_json(record: Record) -> str:
    return json_text({"@context": CONTEXT, **node(record)})


def node(record: Record) -> dict[str, Any]:
    """The Dataset without its context; Croissant and the RO-Crate start from the same description."""
    return without_empty(
        {
            "@type": "Dataset",
            "@id": record.identifier,
            "name": record.title,
            "description": record.abstract,
            "url": record.url,
            "identifier": [one for one in (record.identifier, f"urn:uuid:{record.id}") if one],
            "sameAs": record.page_url if record.is_current else "",
            "version": str(record.version),
            "isAccessibleForFree": True,
            "conditionsOfAccess": conditions(record),
            "license": record.licence_url or record.licence,
            "creator": [maker_node(maker) for maker in record.makers],
            "publisher": {"@type": "Organization", "name": record.publisher, "url": record.site_url},
            "includedInDataCatalog": {"@type": "DataCatalog", "name": record.publisher, "url": f"{record.site_url}/datasets/"},
            "datePublished": record.published_at.date().isoformat(),
            "dateModified": record.updated_at.date().isoformat(),
            "keywords": list(record.subjects),
            "variableMeasured": [variable_node(one) for one in record.quantities],
            "temporalCoverage": record.period,
            "spatialCoverage": _place(record),
            "isBasedOn": record.source_url or record.source_name,
            "size": f"{record.size_bytes} bytes",
            "distribution": [download_node(one) for one in record.files or ()] or _list_node(record),
        }
    )


def conditions(record: Record) -> str:
    words = {"public": "Open to everybody.", "registered": "Open to everybody who is signed in.", "restricted": "The files are restricted."}
    return " ".join(part for part in (words[record.access_policy], record.access_note) if part)


def maker_node(maker: Maker) -> dict[str, Any]:
    """Google knows a Person and an Organization; what is not surely a person is given as the latter."""
    return without_empty(
        {
            "@type": "Person" if maker.is_person else "Organization",
            "@id": maker.orcid_url,
            "name": maker.name,
            "givenName": maker.given_name,
            "familyName": maker.family_name,
            "affiliation": {"@type": "Organization", "name": maker.affiliation} if maker.affiliation not in {"", maker.name} else {},
        }
    )


def variable_node(quantity: Quantity) -> dict[str, Any]:
    return without_empty(
        {
            "@type": "PropertyValue",
            "name": quantity.name,
            "description": quantity.words if quantity.words != quantity.name else "",
            "propertyID": quantity.standard_name,
            "unitText": quantity.units,
        }
    )


def download_node(file: RecordFile) -> dict[str, Any]:
    return without_empty(
        {
            "@type": "DataDownload",
            "name": file.path,
            "contentUrl": file.url,
            "contentSize": f"{file.size_bytes} B",
            "encodingFormat": file.media_type,
            "sha256": file.sha256,
        }
    )


def _list_node(record: Record) -> list[dict[str, Any]]:
    """Where the files are too many to name: their list."""
    if not record.files_url:
        return []
    return [{"@type": "DataDownload", "name": "List of files", "contentUrl": record.files_url, "encodingFormat": "application/json"}]


def _place(record: Record) -> dict[str, Any]:
    """A GeoShape box: south west north east, the order that schema.org asks for."""
    if record.box is None:
        return {}
    west, south, east, north = record.box
    return {"@type": "Place", "geo": {"@type": "GeoShape", "box": f"{south:.10g} {west:.10g} {north:.10g} {east:.10g}"}}
