"""Croissant 1.0, for machine-learning tools. Source: https://docs.mlcommons.org/croissant/docs/croissant-spec.html.

Files appear only with a checksum, which the format asks for. Record sets are left out: they say how columns are read out of a file, which
the catalogue does not know.
"""

from typing import Any

from datasets.formats import bibtex, schema_org
from datasets.formats.markup import json_text, without_empty
from datasets.formats.record import Record, RecordFile

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataBiases": "cr:dataBiases",
    "dataCollection": "cr:dataCollection",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "personalSensitiveInformation": "cr:personalSensitiveInformation",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
}


def as_json(record: Record) -> str:
    return json_text(document(record))


def document(record: Record) -> dict[str, Any]:
    described = schema_org.node(record)
    kept = ("description", "identifier", "variableMeasured", "temporalCoverage", "spatialCoverage", "isBasedOn", "conditionsOfAccess",
            "funding", "citation", "isPartOf", "measurementTechnique")  # fmt: skip
    return without_empty(
        {
            "@context": CONTEXT,
            "@type": "sc:Dataset",
            "conformsTo": CONFORMS_TO,
            "name": record.title,
            "url": record.url,
            "version": f"{record.version}.0.0",
            "license": record.licence_url or record.licence,
            "creator": described.get("creator"),
            "publisher": described["publisher"],
            "datePublished": described["datePublished"],
            "dateModified": described["dateModified"],
            "keywords": list(record.words),
            "citeAs": bibtex.as_text(record).strip(),
            "distribution": [_file(at, one) for at, one in enumerate(record.files or ()) if one.sha256],
        }
        | {name: described.get(name) for name in kept}
    )


def _file(at: int, file: RecordFile) -> dict[str, Any]:
    """A FileObject; its id is a number because readers refuse ids with spaces, which paths may have."""
    return {
        "@type": "cr:FileObject",
        "@id": f"file-{at}",
        "name": file.path.removeprefix("/"),
        "contentUrl": file.url,
        "contentSize": f"{file.size_bytes} B",
        "encodingFormat": file.media_type,
        "sha256": file.sha256,
    }
