"""RO-Crate 1.1: the description of a version as `ro-crate-metadata.json`. Source: https://www.researchobject.org/ro-crate/specification/1.1/.

Files stay at their addresses (web-based data entities), so the document describes them wherever it lies.
"""

from typing import Any
from urllib.parse import quote

from datasets.formats.markup import json_text, without_empty
from datasets.formats.record import Funding, Maker, Record, RecordFile, Related
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
    licence, (places, shapes) = _licence(record), _places(record)
    bodies = _bodies(record)
    grants = [_grant(one, at) for at, one in enumerate(record.funding)]
    works = [_work(one) for one in record.related if one.url]
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
        "keywords": ", ".join(record.words),
        "temporalCoverage": record.period,
        "isBasedOn": record.source_url or record.source_name,
        "author": [{"@id": one["@id"]} for one in makers],
        "publisher": {"@id": publisher["@id"]},
        "funder": _ids([one["funder"] for one in grants]),
        "funding": _ids(grants),
        "citation": _ids(works),
        "measurementTechnique": [one.name for one in (*record.instruments, *record.platforms)],
        "spatialCoverage": _ids(places),
        "variableMeasured": [{"@id": one["@id"]} for one in variables],
        "hasPart": [{"@id": one["@id"]} for one in files],
    }
    descriptor = {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "conformsTo": {"@id": SPECIFICATION},
        "about": {"@id": "./"},
    }
    named = [
        descriptor,
        without_empty(dataset),
        *makers,
        publisher,
        *licence,
        *places,
        *shapes,
        *variables,
        *files,
        *bodies,
        *grants,
        *works,
    ]
    return list({one["@id"]: one for one in named}.values())


def _ids(entities: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{"@id": one["@id"]} for one in {one["@id"]: one for one in entities}.values()]


def _body_id(name: str, url: str) -> str:
    return url or f"#{quote(name)}"


def _bodies(record: Record) -> list[dict[str, Any]]:
    """Affiliations and funders: each an organisation once."""
    known = [(one.name, one.url) for maker in record.makers for one in maker.other_affiliations]
    known += [(one.name, one.url) for one in record.funding]
    return [{"@id": _body_id(name, url), "@type": "Organization", "name": name} for name, url in dict.fromkeys(known)]


def _grant(one: Funding, at: int) -> dict[str, Any]:
    return without_empty(
        {
            "@id": one.award_uri or f"#grant-{at}",
            "@type": "Grant",
            "identifier": one.award_number,
            "name": one.award_title or f"Funding by {one.name}",
            "funder": {"@id": _body_id(one.name, one.url)},
        }
    )


def _work(one: Related) -> dict[str, Any]:
    return without_empty({"@id": one.url, "@type": "CreativeWork", "name": one.title or one.identifier, "identifier": one.identifier})


def _maker(record: Record, at: int) -> dict[str, Any]:
    maker: Maker = record.makers[at]
    kind = "Person" if maker.is_person else "Organization"
    affiliations = [{"@id": _body_id(one.name, one.url)} for one in maker.other_affiliations]
    return without_empty({"@id": maker.url or f"#creator-{at}", "@type": kind, "name": maker.name, "affiliation": affiliations})


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


def _places(record: Record) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The places, and their shapes, which are entities of their own."""
    named = [{"@id": f"#place-{at}", "@type": "Place", "name": name} for at, name in enumerate(record.places)]
    if record.box is None:
        return named, []
    west, south, east, north = (f"{side:.10g}" for side in record.box)
    if record.point:
        shape = {"@id": f"#{south},{west}", "@type": "GeoCoordinates", "latitude": south, "longitude": west}
    else:
        shape = {"@id": "#box", "@type": "GeoShape", "box": f"{south},{west} {north},{east}"}
    return [*named, {"@id": "#place", "@type": "Place", "geo": {"@id": shape["@id"]}}], [shape]
