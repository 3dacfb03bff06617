"""RO-Crate 1.1: the description of a version as `ro-crate-metadata.json`. Source: https://www.researchobject.org/ro-crate/specification/1.1/.

Files stay at their addresses (web-based data entities), so the document describes them wherever it lies.
"""

from typing import Any

from datasets.formats.markup import json_text, without_empty
from datasets.formats.record import Maker, Record, RecordFile
from datasets.formats.schema_org import conditions, variable_node

SPECIFICATION = "https://w3id.org/ro/crate/1.1"


def as_json(record: Record) -> str:
    return json_text({"@context": f"{SPECIFICATION}/context", "@graph": graph(record)})


def graph(record: Record) -> list[dict[str, Any]]:
    """The metadata file, the dataset, then every entity that it names: the format is flat."""
    makers = [_maker(record, at) for at in range(len(record.makers))]
    files = [_file(one) for one in record.files or ()]
    variables = [{"@id": f"#variable-{at}", **variable_node(one)} for at, one in enumerate(record.quantities)]
    publisher = {"@id": f"{record.site_url}/", "@type": "Organization", "name": record.publisher, "url": f"{record.site_url}/"}
    licence, place = _licence(record), _place(record)
    dataset = {
        "@id": "./",
        "@type": "Dataset",
        "name": record.title,
        "description": record.abstract,
        "identifier": record.identifier,
        "url": record.url,
        "version": str(record.version),
        "datePublished": record.published_at.date().isoformat(),
        "dateModified": record.updated_at.date().isoformat(),
        "license": [{"@id": one["@id"]} for one in licence],
        "conditionsOfAccess": conditions(record),
        "keywords": ", ".join(record.subjects),
        "temporalCoverage": record.period,
        "isBasedOn": record.source_url or record.source_name,
        "author": [{"@id": one["@id"]} for one in makers],
        "publisher": {"@id": publisher["@id"]},
        "spatialCoverage": {"@id": "#place"} if place else None,
        "variableMeasured": [{"@id": one["@id"]} for one in variables],
        "hasPart": [{"@id": one["@id"]} for one in files],
    }
    descriptor = {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "conformsTo": {"@id": SPECIFICATION},
        "about": {"@id": "./"},
    }
    return [descriptor, without_empty(dataset), *makers, publisher, *licence, *place, *variables, *files]


def _maker(record: Record, at: int) -> dict[str, Any]:
    maker: Maker = record.makers[at]
    kind = "Person" if maker.is_person else "Organization"
    affiliation = maker.affiliation if maker.affiliation != maker.name else ""
    return without_empty({"@id": maker.orcid_url or f"#creator-{at}", "@type": kind, "name": maker.name, "affiliation": affiliation})


def _file(file: RecordFile) -> dict[str, Any]:
    return without_empty(
        {
            "@id": file.url,
            "@type": "File",
            "name": file.path,
            "contentSize": str(file.size_bytes),
            "encodingFormat": file.media_type,
            "sha256": file.sha256,
        }
    )


def _licence(record: Record) -> list[dict[str, Any]]:
    if not record.licence:
        return []
    identifier = record.licence_url or f"#{record.licence}"
    return [{"@id": identifier, "@type": "CreativeWork", "name": record.licence}]


def _place(record: Record) -> list[dict[str, Any]]:
    if record.box is None:
        return []
    west, south, east, north = (f"{side:.10g}" for side in record.box)
    shape = {"@id": "#box", "@type": "GeoShape", "box": f"{south},{west} {north},{east}"}
    return [{"@id": "#place", "@type": "Place", "geo": {"@id": "#box"}}, shape]
