"""schema.org JSON-LD by the rules of Google Dataset Search. Source: https://developers.google.com/search/docs/appearance/structured-data/dataset."""

from typing import Any

from datasets.formats.markup import json_text, without_empty
from datasets.formats.record import Funding, Keyword, Maker, Quantity, Record, RecordFile

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
            "keywords": [*record.subjects, *(keyword_node(one) for one in record.keywords)],
            "funding": [funding_node(one) for one in record.funding],
            **{name: one_or_all(works) for name, works in related_nodes(record).items()},
            "measurementTechnique": [one.name for one in (*record.instruments, *record.platforms)],
            "variableMeasured": [variable_node(one) for one in record.quantities],
            "temporalCoverage": record.period,
            "spatialCoverage": one_or_all(places(record)),
            "size": f"{record.size_bytes} bytes",
            "distribution": [download_node(one) for one in record.files or ()] or _list_node(record),
        }
    )


def one_or_all(values: list[Any]) -> Any:
    """The only value by itself, which simple readers expect; else the list."""
    return values[0] if len(values) == 1 else values


def conditions(record: Record) -> str:
    words = {"public": "Open to everybody.", "registered": "Open to everybody who is signed in.", "restricted": "The files are restricted."}
    return " ".join(part for part in (words[record.access_policy], record.access_note) if part)


def maker_node(maker: Maker) -> dict[str, Any]:
    """Google knows a Person and an Organization; what is not surely a person is given as the latter."""
    return without_empty(
        {
            "@type": "Person" if maker.is_person else "Organization",
            "@id": maker.url,
            "name": maker.name,
            "givenName": maker.given_name,
            "familyName": maker.family_name,
            "affiliation": [body_node(one.name, one.url) for one in maker.other_affiliations],
        }
    )


def body_node(name: str, url: str = "") -> dict[str, Any]:
    return without_empty({"@type": "Organization", "@id": url, "name": name})


def keyword_node(keyword: Keyword) -> dict[str, Any]:
    """A term of a vocabulary, as science-on-schema.org has it (https://github.com/ESIPFed/science-on-schema.org)."""
    scheme = {"@type": "DefinedTermSet", "name": keyword.scheme_name, "url": keyword.scheme_url} if keyword.scheme_name else {}
    return without_empty(
        {
            "@type": "DefinedTerm",
            "name": keyword.value,
            "termCode": keyword.identifier,
            "url": keyword.url,
            "inDefinedTermSet": without_empty(scheme),
        }
    )


def funding_node(one: Funding) -> dict[str, Any]:
    """A grant with its funder; without an award only the funder is known."""
    return without_empty(
        {
            "@type": "Grant",
            "identifier": one.award_number,
            "name": one.award_title,
            "url": one.award_uri,
            "funder": body_node(one.name, one.url),
        }
    )


# What schema.org calls the relations of DataCite that it knows.
PROPERTIES = {
    "IsDerivedFrom": "isBasedOn",
    "IsPartOf": "isPartOf",
    "HasPart": "hasPart",
    "Cites": "citation",
    "References": "citation",
    "IsSupplementTo": "citation",
    "IsDocumentedBy": "subjectOf",
    "IsDescribedBy": "subjectOf",
    "IsReviewedBy": "subjectOf",
    "IsCitedBy": "subjectOf",
    "IsReferencedBy": "subjectOf",
    "IsTranslationOf": "translationOfWork",
    "HasTranslation": "workTranslation",
}


def related_nodes(record: Record) -> dict[str, list[Any]]:
    """Related works by property; what schema.org has no word for is left to the other formats. `isBasedOn` holds the source too."""
    found: dict[str, list[Any]] = {}
    for one in record.related:
        name = PROPERTIES.get(one.relation)
        if name:
            work = {
                "@type": "CreativeWork",
                "@id": one.url,
                "identifier": f"{one.type}:{one.identifier}",
                "name": one.title,
                "url": one.url,
            }
            found.setdefault(name, []).append(without_empty(work))
    source = record.source_url or record.source_name
    if source and source not in {one.url for one in record.related}:
        found.setdefault("isBasedOn", []).append(source)
    return found


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


def places(record: Record) -> list[dict[str, Any]]:
    """Named places; then a point, or a GeoShape box: south west north east, the order that schema.org asks for."""
    found: list[dict[str, Any]] = [{"@type": "Place", "name": name} for name in record.places]
    if record.point:
        longitude, latitude = record.point
        found.append({"@type": "Place", "geo": {"@type": "GeoCoordinates", "latitude": latitude, "longitude": longitude}})
    elif record.box:
        west, south, east, north = record.box
        found.append({"@type": "Place", "geo": {"@type": "GeoShape", "box": f"{south:.10g} {west:.10g} {north:.10g} {east:.10g}"}})
    return found
