"""ISO 19115 as XML, in both encodings: 19115-3 (mdb) and the older 19139 (gmd). Elements are found by their local names, which both share.

The writer is `datasets.formats.iso19115`. Sources: https://schemas.isotc211.org/19115/-3/mdb/2.0/, https://schemas.isotc211.org/19139/.
"""

import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

from datasets.formats.iso19115 import ASSOCIATIONS
from datasets.identifiers import RELATED_TYPES
from datasets.readers.described import Described, day, identifier_of, licence_of, state_box, state_outline, text
from datasets.readers.parsing import local_name
from datasets.readers.schema_org import read_conditions

CREATING = {"author", "coAuthor", "principalInvestigator", "originator", "collaborator"}
FUNDING = {"funder", "sponsor"}
# What has no code of its own here is a reference.
RELATIONS = {code: relation for relation, code in reversed(ASSOCIATIONS.items())}
# About the record itself, or said anew by the archive from the files and at publication.
OUR_OWN = {
    "fileIdentifier", "metadataIdentifier", "language", "characterSet", "defaultLocale", "otherLocale", "locale", "hierarchyLevel",
    "hierarchyLevelName", "metadataScope", "contact", "dateStamp", "dateInfo", "metadataStandardName", "metadataStandardVersion",
    "metadataStandard", "metadataProfile", "metadataLinkage", "dataSetURI", "distributionInfo", "resourceFormat", "scope", "level",
    "date", "edition", "associationType", "role", "contactInfo", "type", "accessConstraints", "useConstraints", "attributeDescription",
    "contentType", "protocol", "function", "codeSpace",
}  # fmt: skip


def records_of(root: Element) -> list[Element]:
    """The metadata records: the root, or what stands within an answer of OAI-PMH or CSW."""
    return [one for one in root.iter() if local_name(one) in {"MD_Metadata", "MI_Metadata"}]


def read(root: Element) -> Described:
    """One `MD_Metadata`."""
    reading = _Reading(root)
    found = reading.found
    one = next(reading.within(root, "identificationInfo", "*"), root)
    citation = next(reading.within(one, "citation", "CI_Citation"), one)
    codes = [reading.words(code) for code in reading.within(citation, "identifier", "*", "code")]
    own = [reading.words(code) for name in ("fileIdentifier", "metadataIdentifier") for code in reading.within(root, name)]
    found.identifier = identifier_of(next((code for code in codes if identifier_of(code).startswith("doi:")), (codes + own + [""])[0]))
    found.state("title", reading.first(citation, "title"))
    found.state("abstract", reading.first(one, "abstract"))
    _read_parties(citation, reading)
    _read_contact(one, reading)
    _read_keywords(one, reading)
    _read_constraints(one, reading)
    _read_extents(one, reading)
    _read_related(one, reading)
    found.state("temporal_resolution", reading.first(one, "temporalResolution"))
    _read_variables(root, reading)
    _read_lineage(root, reading)
    _read_devices(root, reading)
    reading.leave_unread(root)
    return found


class _Reading:
    """One record while it is read: which elements were, so that the others can be told."""

    def __init__(self, root: Element) -> None:
        self.found, self.seen, self.root = Described(), set[int](), root

    def within(self, element: Element, *names: str) -> Iterator[Element]:
        """Descendants by a path of local names; `*` is any."""
        level = [element]
        for name in names:
            level = [child for parent in level for child in parent if name in {"*", local_name(child)}]
        yield from level

    def deep(self, element: Element, name: str) -> Iterator[Element]:
        return (one for one in element.iter() if local_name(one) == name)

    def words(self, element: Element) -> str:
        """The text of an element, its code or its anchor, and remember that it was read."""
        self.seen.update(id(one) for one in element.iter())
        plain = [one for one in element if local_name(one) in {"CharacterString", "Anchor"}]  # beside it stand translations
        said = " ".join(filter(None, (text(one.text) for one in plain or element.iter())))
        return said or next((one.get("codeListValue", "") for one in element.iter() if one.get("codeListValue")), "")

    def first(self, element: Element, *names: str) -> str:
        return next((self.words(one) for one in self.within(element, *names)), "")

    def first_deep(self, element: Element, name: str) -> str:
        return next((self.words(one) for one in self.deep(element, name)), "")

    def code(self, element: Element, name: str) -> str:
        """The value of a code list."""
        one = next(self.deep(element, name), None)
        return (one.get("codeListValue", "") or text(one.text)) if one is not None else ""

    def leave_unread(self, element: Element, path: str = "") -> None:
        for child in element:
            name = local_name(child)
            if name not in OUR_OWN:
                here = f"{path}/{name}" if path else name
                if id(child) not in self.seen and (said := text(child.text) or child.get("codeListValue", "")):
                    self.found.leave(here, said)
                self.leave_unread(child, here)


def _parties(responsible: Element, reading: _Reading) -> Iterator[dict[str, Any]]:
    """Who stands in a responsibility: {person, body, url}; in 19115-3 a person stands alone or within an organisation."""
    if local_name(responsible) == "CI_ResponsibleParty":
        yield {"person": reading.first(responsible, "individualName"), "body": reading.first(responsible, "organisationName"), "url": "",
               "body_url": ""}  # fmt: skip
        return
    for party in reading.within(responsible, "party", "*"):
        own = {"name": reading.first(party, "name"), "url": reading.first(party, "partyIdentifier", "*", "code")}
        if local_name(party) == "CI_Individual":
            yield {"person": own["name"], "body": "", "url": own["url"], "body_url": ""}
            continue
        individual = next(reading.within(party, "individual", "CI_Individual"), None)
        person = {"person": "", "url": ""}
        if individual is not None:
            person = {"person": reading.first(individual, "name"), "url": reading.first(individual, "partyIdentifier", "*", "code")}
        yield {**person, "body": own["name"], "body_url": own["url"]}


def _read_parties(citation: Element, reading: _Reading) -> None:
    creators, funders = [], []
    for responsible in reading.within(citation, "citedResponsibleParty", "*"):
        role, parties = reading.code(responsible, "CI_RoleCode"), list(_parties(responsible, reading))
        if role in FUNDING:
            funders += [{"name": one["body"] or one["person"], "identifier": one["body_url"]} for one in parties]
        elif role in CREATING:
            creators.append(_creator(parties))
        else:
            names = "; ".join(filter(None, (one["person"] or one["body"] for one in parties)))
            reading.found.leave("citedResponsibleParty", f"{names}, {role or 'no role'}: a description here has no place for it.")
    reading.found.state("creators", [one for one in creators if one["name"]])
    reading.found.state("funders", [one for one in funders if one["name"]])


def _creator(parties: list[dict[str, Any]]) -> dict[str, Any]:
    """A person with the organisations around her, or an organisation."""
    person = next((one for one in parties if one["person"]), None)
    bodies = [{"name": one["body"], "ror": one["body_url"] if "ror.org/" in one["body_url"] else ""} for one in parties if one["body"]]
    if person is None:
        own = bodies[0] if bodies else {"name": "", "ror": ""}
        return {**own, "orcid": "", "affiliations": []}
    orcid = person["url"] if "orcid.org/" in person["url"] else ""
    return {"name": person["person"], "orcid": orcid, "ror": "", "affiliations": bodies}


def _read_contact(one: Element, reading: _Reading) -> None:
    for responsible in reading.within(one, "pointOfContact", "*"):
        mail = reading.first_deep(responsible, "electronicMailAddress")
        for party in _parties(responsible, reading):
            if party["person"] and "contact_name" not in reading.found.stated:
                reading.found.state("contact_name", party["person"])
                reading.found.state("contact", mail)
            else:
                named = ", ".join(filter(None, (party["person"], party["body"], mail)))
                reading.found.leave("pointOfContact", f"{named}: questions go to the stewards here.")


def _read_keywords(one: Element, reading: _Reading) -> None:
    subjects, keywords, places = [], [], []
    for group in reading.within(one, "descriptiveKeywords", "MD_Keywords"):
        kind = reading.code(group, "MD_KeywordTypeCode")
        thesaurus = next(reading.within(group, "thesaurusName"), None)
        scheme = reading.first_deep(thesaurus, "title") if thesaurus is not None else ""
        address = reading.first_deep(thesaurus, "linkage") if thesaurus is not None else ""
        if thesaurus is not None:
            reading.words(thesaurus)
        words = [reading.words(word) for word in reading.within(group, "keyword")]
        if kind == "place":
            places += words
        elif scheme:
            keywords += [{"value": word, "scheme_name": scheme, "scheme_url": address, "identifier": ""} for word in words if word]
        else:
            subjects += words
    reading.found.state("subjects", [word for word in subjects if word])
    reading.found.state("keywords", keywords)
    described = [reading.first(extent, "description") for extent in reading.within(one, "extent", "EX_Extent")]
    reading.found.state("places", list(dict.fromkeys(place for place in (*described, *places) if place)))


def _read_constraints(one: Element, reading: _Reading) -> None:
    for constraints in reading.within(one, "resourceConstraints", "*"):
        for reference in reading.within(constraints, "reference"):
            told = [reading.first_deep(reference, "linkage"), reading.first_deep(reference, "title")]
            reading.words(reference)
            reading.found.state_licence("resourceConstraints/reference", *told)
        for name in ("useLimitation", "otherConstraints"):
            for said in reading.within(constraints, name):
                links = [value for part in said.iter() for key, value in part.items() if key.endswith("href")]
                words = reading.words(said)
                if any(map(licence_of, (*links, words))):
                    reading.found.state_licence(f"resourceConstraints/{name}", *links, words)
                elif words and "access_note" not in reading.found.stated:
                    read_conditions(words, reading.found)
                else:
                    reading.found.leave(f"resourceConstraints/{name}", words)


def _read_extents(one: Element, reading: _Reading) -> None:
    for extent in reading.within(one, "extent", "EX_Extent"):
        for box in reading.deep(extent, "EX_GeographicBoundingBox"):
            sides = ("westBoundLongitude", "southBoundLatitude", "eastBoundLongitude", "northBoundLatitude")
            state_box(reading.found, "extent/EX_GeographicBoundingBox", [reading.first(box, side) for side in sides])
        for polygon in reading.deep(extent, "EX_BoundingPolygon"):
            numbers = [float(part) for part in re.findall(r"-?\d+(?:\.\d+)?", reading.words(polygon))]
            outline = [(x, y) for y, x in zip(numbers[::2], numbers[1::2], strict=False)]  # latitude first, says EPSG:4326
            state_outline(reading.found, "extent/EX_BoundingPolygon", list(outline))
        for period in reading.deep(extent, "TimePeriod"):
            first = day(reading.first(period, "beginPosition") or reading.first(period, "begin"))
            last = day(reading.first(period, "endPosition") or reading.first(period, "end"), is_end=True)
            reading.found.state("temporal_start", first)
            reading.found.state("temporal_end", last)


def _read_related(one: Element, reading: _Reading) -> None:
    related = []
    for name in ("associatedResource", "aggregationInfo"):
        for resource in reading.within(one, name, "*"):
            code, kind = reading.first_deep(resource, "code"), reading.first_deep(resource, "codeSpace")
            title, address = reading.first_deep(resource, "title"), reading.first_deep(resource, "linkage")
            reading.words(resource)
            association = reading.code(resource, "DS_AssociationTypeCode")
            entry = {
                "relation": RELATIONS.get(association, "References"),
                "type": kind if kind in RELATED_TYPES else "",
                "identifier": code or address,
                "title": title if title != code else "",
            }
            if entry["identifier"]:
                related.append(entry)
            else:
                reading.found.leave(name, f"A work without an identifier: {title}")
    reading.found.state("related", related)


def _read_variables(root: Element, reading: _Reading) -> None:
    variables = []
    for content in reading.within(root, "contentInfo"):
        for name in ("MD_SampleDimension", "MD_Band", "MD_RangeDimension"):
            for sample in reading.deep(content, name):
                words = reading.first(sample, "description") or reading.first(sample, "descriptor")
                code = reading.first(sample, "name") or reading.first(sample, "sequenceIdentifier") or words
                unit = next(reading.within(sample, "units"), None)
                units = (reading.first_deep(unit, "identifier") or reading.words(unit)) if unit is not None else ""
                if code:
                    variables.append({"name": code, "standard_name": "", "long_name": words, "units": units})
    reading.found.state("variables", variables)


def _read_lineage(root: Element, reading: _Reading) -> None:
    for lineage in reading.deep(root, "LI_Lineage"):
        reading.found.state("provenance", reading.first(lineage, "statement"))
        for citation in reading.within(lineage, "source", "*", "sourceCitation"):
            reading.found.state("source_name", reading.first_deep(citation, "title"))
            reading.found.state("source_url", reading.first_deep(citation, "linkage"))
            reading.words(citation)


def _read_devices(root: Element, reading: _Reading) -> None:
    for name, tag, words in (("instruments", "MI_Instrument", "type"), ("platforms", "MI_Platform", "description")):
        devices = []
        for device in reading.deep(root, tag):
            code = reading.first(device, "identifier", "*", "code")
            named = reading.first(device, words) or reading.first(device, "description") or code
            is_leading = code.startswith("http") or identifier_of(code).startswith("doi:")
            devices.append({"name": named, "identifier": code if is_leading else ""})
        reading.found.state(name, [one for one in devices if one["name"]])
