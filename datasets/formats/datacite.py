"""DataCite 4.6, as JSON (the shape of DataCite's REST API) and as XML (kernel-4). Source: https://datacite-metadata-schema.readthedocs.io/en/4.6/.

Where the creators are not known the standard's own word for that stands: `:unkn` (appendix 3 of the schema's documentation).
"""

from typing import Any
from xml.etree.ElementTree import Element, register_namespace

from datasets.formats.markup import XSI, add, json_text, without_empty, xml_text
from datasets.formats.record import SPDX, Maker, Record

KERNEL = "http://datacite.org/schema/kernel-4"
LOCATION = f"{KERNEL} https://schema.datacite.org/meta/kernel-4.6/metadata.xsd"
UNKNOWN = ":unkn"
RIGHTS = {
    "public": ("Open access", "info:eu-repo/semantics/openAccess"),
    "registered": ("Open to everybody who is signed in", "info:eu-repo/semantics/restrictedAccess"),
    "restricted": ("Restricted access", "info:eu-repo/semantics/restrictedAccess"),
}

register_namespace("datacite", KERNEL)


def as_json(record: Record) -> str:
    return json_text(attributes(record))


def attributes(record: Record) -> dict[str, Any]:
    """The attributes of a DOI in DataCite's REST API; `doi` only where there is one."""
    return without_empty(
        {
            "doi": record.doi,
            "url": record.url,
            "alternateIdentifiers": _alternates(record),
            "creators": [_creator(maker) for maker in record.makers] or [{"name": UNKNOWN}],
            "titles": [{"title": record.title}],
            "publisher": {"name": record.publisher},
            "publicationYear": str(record.published_at.year),
            "types": {"resourceTypeGeneral": "Dataset", "resourceType": "Dataset"},
            "subjects": [{"subject": name} for name in dict.fromkeys((*record.subjects, *_standard_names(record)))],
            "dates": _dates(record),
            "relatedIdentifiers": _related(record),
            "sizes": [f"{record.size_bytes} bytes", f"{record.n_files} files"],
            "formats": list(record.formats),
            "version": str(record.version),
            "rightsList": _rights(record),
            "descriptions": _descriptions(record),
            "geoLocations": [{"geoLocationBox": _box(record.box)}] if record.box else [],
            "schemaVersion": KERNEL,
        }
    )


def as_xml(record: Record) -> str:
    return xml_text(as_element(record))


def as_element(record: Record) -> Element:
    """The `resource` element; elements in the order of the standard's table of contents."""
    known = attributes(record)
    root = Element(f"{{{KERNEL}}}resource", {f"{{{XSI}}}schemaLocation": LOCATION})
    _tag(root, "identifier", record.doi or record.url, identifierType="DOI" if record.doi else "URL")
    creators = _tag(root, "creators")
    for one in known["creators"]:
        _write_creator(creators, one)
    _tag(_tag(root, "titles"), "title", record.title)
    _tag(root, "publisher", record.publisher)
    _tag(root, "publicationYear", known["publicationYear"])
    _tag(root, "resourceType", "Dataset", resourceTypeGeneral="Dataset")
    _write_list(root, "subjects", "subject", [(one["subject"], {}) for one in known.get("subjects", [])])
    _write_list(root, "dates", "date", [(one["date"], _but(one, "date")) for one in known["dates"]])
    others = known["alternateIdentifiers"]
    _write_list(
        root, "alternateIdentifiers", "alternateIdentifier", [(o["alternateIdentifier"], _but(o, "alternateIdentifier")) for o in others]
    )
    related = known.get("relatedIdentifiers", [])
    _write_list(root, "relatedIdentifiers", "relatedIdentifier", [(o["relatedIdentifier"], _but(o, "relatedIdentifier")) for o in related])
    _write_list(root, "sizes", "size", [(one, {}) for one in known["sizes"]])
    _write_list(root, "formats", "format", [(one, {}) for one in known.get("formats", [])])
    _tag(root, "version", record.version)
    rights = [(one["rights"], _in_xml(_but(one, "rights"))) for one in known["rightsList"]]
    _write_list(root, "rightsList", "rights", rights)
    _write_list(root, "descriptions", "description", [(o["description"], _but(o, "description")) for o in known.get("descriptions", [])])
    if record.box:
        box = _tag(_tag(_tag(root, "geoLocations"), "geoLocation"), "geoLocationBox")
        for name, value in _box(record.box).items():
            _tag(box, name, f"{value:.10g}")
    return root


def _creator(maker: Maker) -> dict[str, Any]:
    return without_empty(
        {
            "name": maker.name,
            "nameType": "Personal" if maker.is_person else "",
            "givenName": maker.given_name,
            "familyName": maker.family_name,
            "nameIdentifiers": [{"nameIdentifier": maker.orcid_url, "nameIdentifierScheme": "ORCID", "schemeUri": "https://orcid.org"}]
            if maker.orcid
            else [],
            "affiliation": [{"name": maker.affiliation}] if maker.affiliation and maker.affiliation != maker.name else [],
        }
    )


def _alternates(record: Record) -> list[dict[str, str]]:
    found = [("UUID", record.id), ("Causeway", record.slug)]
    if record.digest:
        found.append(("SHA-256 of the version", record.digest))
    return [{"alternateIdentifier": value, "alternateIdentifierType": kind} for kind, value in found]


def _standard_names(record: Record) -> list[str]:
    return [one.standard_name for one in record.quantities if one.standard_name]


def _dates(record: Record) -> list[dict[str, str]]:
    found = [
        {"date": record.published_at.date().isoformat(), "dateType": "Issued"},
        {"date": record.updated_at.date().isoformat(), "dateType": "Updated"},
    ]
    if record.start or record.end:  # an open side is left out: RKMS-ISO8601, which the standard names
        found.append({"date": f"{record.start or ''}/{record.end or ''}", "dateType": "Coverage"})
    if record.embargo_ends_on:
        found.append({"date": record.embargo_ends_on.isoformat(), "dateType": "Available"})
    return found


def _related(record: Record) -> list[dict[str, str]]:
    found = []
    if record.source_url:
        found.append((*_typed(record.source_url), "IsDerivedFrom"))
    for other in record.others:
        relation = "IsNewVersionOf" if other.number < record.version else "IsPreviousVersionOf"
        found.append((other.doi, "DOI", relation) if other.doi else (other.url, "URL", relation))
    return [{"relatedIdentifier": value, "relatedIdentifierType": kind, "relationType": relation} for value, kind, relation in found]


def _typed(url: str) -> tuple[str, str]:
    """An address with the type of identifier that it is."""
    for prefix in ("https://doi.org/", "http://doi.org/", "https://dx.doi.org/", "http://dx.doi.org/"):
        if url.startswith(prefix):
            return url.removeprefix(prefix), "DOI"
    return url, "URL"


def rights_of(record: Record) -> tuple[str, str]:
    """Who may have the files, in words and by the term of the COAR and OpenAIRE vocabularies."""
    if record.embargo_ends_on:
        return f"Embargoed access until {record.embargo_ends_on}", "info:eu-repo/semantics/embargoedAccess"
    return RIGHTS[record.access_policy]


def _rights(record: Record) -> list[dict[str, str]]:
    words, uri = rights_of(record)
    found = [{"rights": words, "rightsUri": uri}]
    if record.licence:
        one = {"rights": record.licence, "rightsUri": record.licence_url}
        if record.licence_url:
            one |= {"rightsIdentifier": record.licence, "rightsIdentifierScheme": "SPDX", "schemeUri": SPDX}
        found.append(without_empty(one))
    return found


def _descriptions(record: Record) -> list[dict[str, str]]:
    found = [(record.abstract, "Abstract"), (record.provenance, "Methods")]
    return [{"description": words, "descriptionType": kind} for words, kind in found if words]


def _box(box: tuple[float, float, float, float]) -> dict[str, float]:
    west, south, east, north = box
    return {"westBoundLongitude": west, "eastBoundLongitude": east, "southBoundLatitude": south, "northBoundLatitude": north}


def _tag(parent: Element, name: str, text: object = "", **attributes: str) -> Element:
    return add(parent, f"{{{KERNEL}}}{name}", text, **attributes)


def _write_list(root: Element, wrapper: str, name: str, entries: list[tuple[str, dict[str, str]]]) -> None:
    if entries:
        parent = _tag(root, wrapper)
        for text, given in entries:
            _tag(parent, name, text, **given)


def _write_creator(parent: Element, creator: dict[str, Any]) -> None:
    one = _tag(parent, "creator")
    _tag(one, "creatorName", creator["name"], **({"nameType": creator["nameType"]} if "nameType" in creator else {}))
    for name in ("givenName", "familyName"):
        if name in creator:
            _tag(one, name, creator[name])
    for identifier in creator.get("nameIdentifiers", []):
        _tag(one, "nameIdentifier", identifier["nameIdentifier"], **_in_xml(_but(identifier, "nameIdentifier")))
    for affiliation in creator.get("affiliation", []):
        _tag(one, "affiliation", affiliation["name"])


def _but(one: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in one.items() if key != name}


def _in_xml(attributes: dict[str, str]) -> dict[str, str]:
    """JSON writes Uri where XML writes URI."""
    return {name.replace("Uri", "URI"): value for name, value in attributes.items()}
