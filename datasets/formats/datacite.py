"""DataCite 4.6, as JSON (the shape of DataCite's REST API) and as XML (kernel-4). Source: https://datacite-metadata-schema.readthedocs.io/en/4.6/.

Where the creators are not known the standard's own word for that stands: `:unkn` (appendix 3 of the schema's documentation).
"""

from typing import Any
from xml.etree.ElementTree import Element, register_namespace

from datasets.formats.markup import XSI, add, json_text, without_empty, xml_text
from datasets.formats.record import SPDX, Device, Funding, Maker, Record

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
            "subjects": _subjects(record),
            "contributors": _contributors(record),
            "dates": _dates(record),
            "relatedIdentifiers": _related(record),
            "sizes": [f"{record.size_bytes} bytes", f"{record.n_files} files"],
            "formats": list(record.formats),
            "version": str(record.version),
            "rightsList": _rights(record),
            "descriptions": _descriptions(record),
            "geoLocations": _locations(record),
            "fundingReferences": [_funding(one) for one in record.funding],
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
    _write_list(root, "subjects", "subject", [(one["subject"], _in_xml(_but(one, "subject"))) for one in known.get("subjects", [])])
    if record.contact_name:
        contact = _tag(_tag(root, "contributors"), "contributor", contributorType="ContactPerson")
        _tag(contact, "contributorName", record.contact_name, nameType="Personal")
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
    _write_locations(root, known.get("geoLocations", []))
    if record.funding:
        references = _tag(root, "fundingReferences")
        for one in known["fundingReferences"]:
            _write_funding(_tag(references, "fundingReference"), one)
    return root


def _creator(maker: Maker) -> dict[str, Any]:
    return without_empty(
        {
            "name": maker.name,
            "nameType": "Personal" if maker.is_person else "Organizational" if maker.ror else "",
            "givenName": maker.given_name,
            "familyName": maker.family_name,
            "nameIdentifiers": [one for one in (_named(maker.orcid_url, "ORCID"), _named(ror_url(maker.ror), "ROR")) if one],
            "affiliation": [
                without_empty(
                    {
                        "name": one.name,
                        "affiliationIdentifier": one.url,
                        "affiliationIdentifierScheme": "ROR" if one.ror else "",
                        "schemeUri": "https://ror.org" if one.ror else "",
                    }
                )
                for one in maker.other_affiliations
            ],
        }
    )


def ror_url(ror: str) -> str:
    return f"https://ror.org/{ror}" if ror else ""


def _named(url: str, scheme: str) -> dict[str, str]:
    return {"nameIdentifier": url, "nameIdentifierScheme": scheme, "schemeUri": f"https://{scheme.lower()}.org"} if url else {}


def _subjects(record: Record) -> list[dict[str, str]]:
    """Keywords with their vocabulary, the archive's own subjects, standard names; none twice."""
    keywords = [
        without_empty(
            {
                "subject": one.value,
                "subjectScheme": one.scheme_name,
                "schemeUri": one.scheme_url,
                "valueUri": one.url,
                "classificationCode": one.identifier,
            }
        )
        for one in record.keywords
    ]
    plain = [{"subject": name} for name in dict.fromkeys((*record.subjects, *_standard_names(record)))]
    return keywords + [one for one in plain if one not in keywords]


def _contributors(record: Record) -> list[dict[str, str]]:
    """The contact by name; the address stays with the archive, which passes questions on."""
    return [{"name": record.contact_name, "nameType": "Personal", "contributorType": "ContactPerson"}] if record.contact_name else []


def _funding(one: Funding) -> dict[str, str]:
    return without_empty(
        {
            "funderName": one.name,
            "funderIdentifier": one.url or one.identifier,
            "funderIdentifierType": one.identifier_type,
            "awardNumber": one.award_number,
            "awardUri": one.award_uri,
            "awardTitle": one.award_title,
        }
    )


def _locations(record: Record) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"geoLocationPlace": place} for place in record.places]
    if record.point:
        found.append({"geoLocationPoint": {"pointLongitude": record.point[0], "pointLatitude": record.point[1]}})
    elif record.box:
        found.append({"geoLocationBox": _box(record.box)})
    return found


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
    found = [(one.identifier, one.type, one.relation, one.resource_type) for one in record.related]
    if record.source_url and not any(_typed(record.source_url)[0] in {one.identifier, one.url} for one in record.related):
        found.append((*_typed(record.source_url), "IsDerivedFrom", ""))
    devices = [(*_typed(one.url), "IsCollectedBy", "Instrument") for one in (*record.instruments, *record.platforms) if one.url]
    found += [one for one in devices if one not in found]
    for other in record.others:
        relation = "IsNewVersionOf" if other.number < record.version else "IsPreviousVersionOf"
        found.append((other.doi, "DOI", relation, "Dataset") if other.doi else (other.url, "URL", relation, "Dataset"))
    return [
        without_empty({"relatedIdentifier": value, "relatedIdentifierType": kind, "relationType": relation, "resourceTypeGeneral": what})
        for value, kind, relation, what in found
    ]


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
    found = [(record.abstract, "Abstract"), (record.provenance, "Methods"), (technical_words(record), "TechnicalInfo")]
    return [{"description": words, "descriptionType": kind} for words, kind in found if words]


def technical_words(record: Record) -> str:
    """What the standard has no element for: resolution in time, instruments, platforms."""
    parts = (
        f"Resolution in time: {record.resolution}." if record.resolution else "",
        f"Instruments: {'; '.join(map(_device, record.instruments))}." if record.instruments else "",
        f"Platforms: {'; '.join(map(_device, record.platforms))}." if record.platforms else "",
    )
    return " ".join(filter(None, parts))


def _device(one: Device) -> str:
    return f"{one.name} ({one.url})" if one.url else one.name


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
        _tag(one, "affiliation", affiliation["name"], **_in_xml(_but(affiliation, "name")))


def _write_locations(root: Element, locations: list[dict[str, Any]]) -> None:
    if not locations:
        return
    parent = _tag(root, "geoLocations")
    for one in locations:
        location = _tag(parent, "geoLocation")
        for name, value in one.items():
            element = _tag(location, name, "" if isinstance(value, dict) else value)
            for side, degrees in value.items() if isinstance(value, dict) else ():
                _tag(element, side, f"{degrees:.10g}")


def _write_funding(parent: Element, one: dict[str, str]) -> None:
    _tag(parent, "funderName", one["funderName"])
    if "funderIdentifier" in one:
        _tag(parent, "funderIdentifier", one["funderIdentifier"], funderIdentifierType=one["funderIdentifierType"])
    if "awardNumber" in one:
        _tag(parent, "awardNumber", one["awardNumber"], **({"awardURI": one["awardUri"]} if "awardUri" in one else {}))
    if "awardTitle" in one:
        _tag(parent, "awardTitle", one["awardTitle"])


def _but(one: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in one.items() if key != name}


def _in_xml(attributes: dict[str, str]) -> dict[str, str]:
    """JSON writes Uri where XML writes URI."""
    return {name.replace("Uri", "URI"): value for name, value in attributes.items()}
