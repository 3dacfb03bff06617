"""DataCite 4 as JSON, the shape of DataCite's REST API and of its JSON schema, and as XML, which is put into that shape first.

Source: https://datacite-metadata-schema.readthedocs.io/en/4.6/. The writers are in `datasets.formats.datacite`.
"""

import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

from datasets.readers.described import Described, day, identifier_of, many, mapping, number, state_box, state_outline, state_period, text
from datasets.readers.parsing import local_name

# Said anew by the archive from the files and at publication, or about the record itself.
OUR_OWN = {
    "doi", "id", "url", "identifiers", "alternateIdentifiers", "creators", "titles", "publicationYear", "types", "subjects",
    "contributors", "dates", "relatedIdentifiers", "sizes", "formats", "version", "rightsList", "descriptions", "geoLocations",
    "fundingReferences", "schemaVersion", "prefix", "suffix", "state", "created", "registered", "published", "updated", "isActive",
    "metadataVersion", "source", "xml", "reason", "container", "contentUrl", "publisher",
    "viewCount", "viewsOverTime", "downloadCount", "downloadsOverTime", "referenceCount", "citationCount", "citationsOverTime",
    "partCount", "partOfCount", "versionCount", "versionOfCount",
}  # fmt: skip
UNKNOWN_WORDS = {":unkn", ":unav", ":unas", ":none", ":null", ":tba", "(:unkn)", "(:unav)", "(:none)"}
WITHOUT_PLACE = "{0}: a description here has no place for it."


def records_of(value: Any) -> list[Any]:
    """The records of a document: one, a list of them, or an answer of DataCite's REST API."""
    found = many(value)
    answers = [one for outer in found for one in (many(outer["data"]) if isinstance(outer, dict) and "data" in outer else [outer])]
    return [one["attributes"] if isinstance(one, dict) and isinstance(one.get("attributes"), dict) else one for one in answers]


def is_record(value: Any) -> bool:
    """Whether a JSON value looks like a record of DataCite's."""
    return any(isinstance(one, dict) and {"titles", "creators"} & set(one) for one in records_of(value)[:1])


def read(value: Any) -> Described:
    """One record in the shape of DataCite's JSON."""
    given = mapping(value)
    found = Described(identifier=_identifier(given))
    _read_titles(given, found)
    found.state("creators", [one for one in map(_creator, many(given.get("creators"))) if one["name"].lower() not in UNKNOWN_WORDS])
    _read_descriptions(given, found)
    _read_subjects(given, found)
    _read_contributors(given, found)
    _read_dates(given, found)
    _read_related(given, found)
    _read_rights(given, found)
    _read_locations(given, found)
    found.state("funders", [_funder(mapping(one)) for one in many(given.get("fundingReferences"))])
    kind = text(mapping(given.get("types")).get("resourceTypeGeneral"))
    if kind and kind != "Dataset":
        found.leave("types.resourceTypeGeneral", f"It describes a {kind}; here it becomes a dataset.")
    if publisher := text(given.get("publisher")):
        found.leave("publisher", f"{publisher}: what is published here names this archive as publisher.")
    for name in set(given) - OUR_OWN:
        if given[name] not in (None, "", [], {}):
            found.leave(name, WITHOUT_PLACE.format(text(given[name]) or name))
    return found


def _identifier(given: dict[str, Any]) -> str:
    others = [mapping(one) for name in ("identifiers", "alternateIdentifiers") for one in many(given.get(name))]
    named = [text(one.get("identifier") or one.get("alternateIdentifier")) for one in others]
    dois = [text(given.get("doi")), *(one for one in named if identifier_of(one).startswith("doi:"))]
    return identifier_of(next(filter(None, (*dois, text(given.get("url")), *named, text(given.get("id")))), ""))


def _read_titles(given: dict[str, Any], found: Described) -> None:
    titles = [mapping(one) for one in many(given.get("titles"))]
    main = next((one for one in titles if not one.get("titleType")), titles[0] if titles else {})
    found.state("title", text(main.get("title")))
    for at, one in enumerate(titles):
        if one is not main:
            found.leave(f"titles.{at}", WITHOUT_PLACE.format(text(one.get("title"))))


def _creator(value: Any) -> dict[str, Any]:
    one = mapping(value)
    parts = [text(one.get("familyName")), text(one.get("givenName"))]
    orcid, ror = "", ""
    for named in map(mapping, many(one.get("nameIdentifiers"))):
        scheme, identifier = text(named.get("nameIdentifierScheme")).upper(), text(named.get("nameIdentifier"))
        orcid = orcid or (identifier if scheme == "ORCID" or "orcid.org/" in identifier else "")
        ror = ror or (identifier if scheme == "ROR" or "ror.org/" in identifier else "")
    return {
        "name": text(one.get("name")) or ", ".join(filter(None, parts)),
        "orcid": orcid,
        "ror": ror,
        "affiliations": [_affiliation(body) for body in many(one.get("affiliation")) if text(body)],
    }


def _affiliation(value: Any) -> dict[str, str]:
    """A name, or since 4.3 an object with its identifier."""
    identifier = text(mapping(value).get("affiliationIdentifier"))
    is_ror = "ror.org/" in identifier or text(mapping(value).get("affiliationIdentifierScheme")).upper() == "ROR"
    return {"name": text(value), "ror": identifier if is_ror else ""}


# Each begins where the one before ends: else every beginning is followed to the end of what strangers wrote.
PART = r"(?:Resolution in time|Instruments|Platforms): "
PARTS = re.compile(rf"(?:^|(?<=\. ))(Resolution in time|Instruments|Platforms): (.*?)\.(?= {PART}|$)", re.DOTALL)


def _read_descriptions(given: dict[str, Any], found: Described) -> None:
    for at, one in enumerate(map(mapping, many(given.get("descriptions")))):
        words, kind = text(one.get("description")), text(one.get("descriptionType"))
        name = {"Abstract": "abstract", "Methods": "provenance"}.get(kind, "")
        technical = dict(PARTS.findall(words)) if kind == "TechnicalInfo" else {}
        if name and name not in found.stated:
            found.state(name, words)
        elif technical:
            found.state("temporal_resolution", technical.get("Resolution in time", ""))
            for part in ("Instruments", "Platforms"):
                found.state(part.lower(), [_device(words) for words in technical.get(part, "").split("; ") if words])
        elif words:
            found.leave(f"descriptions.{at}", WITHOUT_PLACE.format(f"{kind or 'A description'}: {words[:100]}"))


def _device(words: str) -> dict[str, str]:
    """`A rain gauge (https://doi.org/10.5072/gauge)`, as our own writer has it."""
    found = re.fullmatch(r"(.*) \((https?://[^()\s]+)\)", words, re.DOTALL)
    return {"name": found[1], "identifier": found[2]} if found else {"name": words, "identifier": ""}


def _read_subjects(given: dict[str, Any], found: Described) -> None:
    subjects, keywords = [], []
    for one in (one if isinstance(one, dict) else {"subject": one} for one in many(given.get("subjects"))):
        if one.get("subjectScheme") or one.get("schemeUri"):
            names = {"value": "subject", "scheme_name": "subjectScheme", "scheme_url": "schemeUri", "identifier": "classificationCode"}
            keywords.append({name: text(one.get(theirs)) for name, theirs in names.items()})
        else:
            subjects.append(text(one.get("subject")))
    found.state("subjects", [word for word in subjects if word])
    found.state("keywords", [one for one in keywords if one["value"]])


def _read_contributors(given: dict[str, Any], found: Described) -> None:
    for at, one in enumerate(map(mapping, many(given.get("contributors")))):
        name, kind = _creator(one)["name"], text(one.get("contributorType"))
        if kind == "ContactPerson" and "contact_name" not in found.stated:
            found.state("contact_name", name)
        else:
            found.leave(f"contributors.{at}", WITHOUT_PLACE.format(f"{name}, {kind or 'contributor'}"))


def _read_dates(given: dict[str, Any], found: Described) -> None:
    for at, one in enumerate(map(mapping, many(given.get("dates")))):
        words, kind = text(one.get("date")), text(one.get("dateType"))
        if kind == "Coverage":
            state_period(found, f"dates.{at}", words)
        elif kind == "Available" and _is_embargoed(given) and day(words):
            found.state("embargo_ends_at", f"{day(words)}T00:00:00Z")
        elif kind not in {"Issued", "Updated"}:  # said anew when it is published here, and with every change
            found.leave(f"dates.{at}", WITHOUT_PLACE.format(f"{kind or 'A date'}: {words}"))


def _is_embargoed(given: dict[str, Any]) -> bool:
    return any("embargoedAccess" in text(mapping(one).get("rightsUri")) for one in many(given.get("rightsList")))


def _read_related(given: dict[str, Any], found: Described) -> None:
    devices = {one["identifier"] for name in ("instruments", "platforms") for one in found.stated.get(name, [])}
    related = []
    for one in map(mapping, many(given.get("relatedIdentifiers"))):
        names = {
            "relation": "relationType", "type": "relatedIdentifierType", "identifier": "relatedIdentifier",
            "resource_type": "resourceTypeGeneral",
        }  # fmt: skip
        entry = {name: text(one.get(theirs)) for name, theirs in names.items()}
        address = f"https://doi.org/{entry['identifier']}" if entry["type"] == "DOI" else entry["identifier"]
        if not (entry["relation"] == "IsCollectedBy" and address in devices):
            related.append(entry)
    found.state("related", related)


ACCESS = {
    "openAccess": "public", "restrictedAccess": "restricted", "closedAccess": "restricted", "metadata-only": "restricted",
}  # fmt: skip
SIGNED_IN = "Open to everybody who is signed in"


def _read_rights(given: dict[str, Any], found: Described) -> None:
    for at, one in enumerate(map(mapping, many(given.get("rightsList")))):
        words, address = text(one.get("rights")), text(one.get("rightsUri"))
        policy = "registered" if words == SIGNED_IN else next((ours for theirs, ours in ACCESS.items() if theirs in address), "")
        if policy:
            found.state("access_policy", policy)
        elif "embargoedAccess" not in address:
            found.state_licence(f"rightsList.{at}", one.get("rightsIdentifier"), address, words)


def _read_locations(given: dict[str, Any], found: Described) -> None:
    places = []
    for at, one in enumerate(map(mapping, many(given.get("geoLocations")))):
        path = f"geoLocations.{at}"
        places += [text(one.get("geoLocationPlace"))]
        if box := mapping(one.get("geoLocationBox")):
            sides = ("westBoundLongitude", "southBoundLatitude", "eastBoundLongitude", "northBoundLatitude")
            state_box(found, f"{path}.geoLocationBox", [box.get(side) for side in sides])
        if point := mapping(one.get("geoLocationPoint")):
            where = [point.get("pointLongitude"), point.get("pointLatitude")]
            state_box(found, f"{path}.geoLocationPoint", where * 2)
        if polygon := one.get("geoLocationPolygon"):
            state_outline(found, f"{path}.geoLocationPolygon", list(_points(polygon)))
    found.state("places", [place for place in places if place])


def _points(polygon: Any) -> Iterator[tuple[float | None, float | None]]:
    """Every point of one polygon or several, however they are nested; the point inside, by which the standard tells the side, too."""
    for one in many(polygon):
        if isinstance(one, dict) and "pointLongitude" in one:
            yield number(one["pointLongitude"]), number(one.get("pointLatitude"))
        elif isinstance(one, list | dict):
            yield from _points(list(one.values()) if isinstance(one, dict) else one)


def _funder(one: dict[str, Any]) -> dict[str, str]:
    return {
        "name": text(one.get("funderName")),
        "identifier": text(one.get("funderIdentifier")),
        "award_number": text(one.get("awardNumber")),
        "award_title": text(one.get("awardTitle")),
        "award_uri": text(one.get("awardUri")),
    }


# Lists of the XML: the element around them, and under which name the JSON holds the text of each.
LISTS = {
    "titles": "title", "subjects": "subject", "dates": "date", "alternateIdentifiers": "alternateIdentifier",
    "relatedIdentifiers": "relatedIdentifier", "rightsList": "rights", "descriptions": "description",
}  # fmt: skip
INNER = {"nameIdentifier": "nameIdentifiers", "affiliation": "affiliation"}


def from_xml(root: Element) -> dict[str, Any]:
    """The `resource` element in the shape of the JSON."""
    given: dict[str, Any] = {}
    for child in root:
        name = local_name(child)
        if name in LISTS:
            given[name] = [_attributes(one) | {LISTS[name]: _words(one)} for one in child]
        elif name in {"creators", "contributors"}:
            given[name] = [_person(one) for one in child]
        elif name == "identifier":
            given["doi" if child.get("identifierType", "").upper() == "DOI" else "url"] = _words(child)
        elif name == "resourceType":
            given["types"] = {"resourceTypeGeneral": child.get("resourceTypeGeneral", ""), "resourceType": _words(child)}
        elif name == "geoLocations":
            given[name] = [_location(one) for one in child]
        elif name == "fundingReferences":
            given[name] = [_reference(one) for one in child]
        elif name not in {"sizes", "formats"}:
            given[name] = _words(child)
    return given


def _words(element: Element) -> str:
    """The text with line breaks where `br` stands, the only element within texts."""
    return "".join((element.text or "", *(f"\n{child.text or ''}{child.tail or ''}" for child in element))).strip()


def _attributes(element: Element) -> dict[str, str]:
    """Attributes by the names of the JSON, which writes Uri where XML writes URI."""
    return {name.rpartition("}")[2].replace("URI", "Uri"): value for name, value in element.items()}


def _person(element: Element) -> dict[str, Any]:
    given: dict[str, Any] = _attributes(element)
    for child in element:
        name = local_name(child)
        if name in {"creatorName", "contributorName"}:
            given["name"] = _words(child)
        elif name in INNER:
            words = {"nameIdentifier" if name == "nameIdentifier" else "name": _words(child)}
            given.setdefault(INNER[name], []).append(_attributes(child) | words)
        else:
            given[name] = _words(child)
    return given


def _location(element: Element) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for child in element:
        name = local_name(child)
        if name == "geoLocationPolygon":
            points = [{"polygonPoint": {local_name(part): _words(part) for part in point}} for point in child]
            given.setdefault(name, []).append(points)
        else:
            given[name] = {local_name(part): _words(part) for part in child} if len(child) else _words(child)
    return given


def _reference(element: Element) -> dict[str, str]:
    given = {local_name(child): _words(child) for child in element}
    number = next((child for child in element if local_name(child) == "awardNumber"), None)
    return given | ({"awardUri": number.get("awardURI", "")} if number is not None else {})
