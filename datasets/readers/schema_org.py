"""schema.org JSON-LD: the `Dataset` of Google Dataset Search and science-on-schema.org. The writer is `datasets.formats.schema_org`.

A context is never fetched: names are read as schema.org's, with or without the prefix `schema:`. Sources:
https://developers.google.com/search/docs/appearance/structured-data/dataset, https://github.com/ESIPFed/science-on-schema.org.
"""

import re
from typing import Any

from datasets.formats.schema_org import PROPERTIES
from datasets.readers.described import Described, identifier_of, many, mapping, number, state_box, state_outline, state_period, text

PREFIX = re.compile(r"^(?:schema:|https?://schema\.org/)")
# Said anew by the archive from the files and at publication.
OUR_OWN = {
    "@context", "@type", "@id", "@graph", "@language", "name", "description", "url", "identifier", "sameAs", "version",
    "isAccessibleForFree", "conditionsOfAccess", "license", "creator", "author", "publisher", "includedInDataCatalog",
    "datePublished", "dateModified", "dateCreated", "keywords", "funding", "funder", "measurementTechnique", "variableMeasured",
    "temporalCoverage", "spatialCoverage", "size", "distribution", "contactPoint", "headline", "mainEntityOfPage",
    "sdPublisher", "sdDatePublished", "sdLicense",
    *PROPERTIES.values(),
}  # fmt: skip
# What DataCite calls schema.org's properties of related works; of several the first of the writer's.
RELATIONS = {
    "isBasedOn": "IsDerivedFrom", "isPartOf": "IsPartOf", "hasPart": "HasPart", "citation": "Cites", "subjectOf": "IsDocumentedBy",
    "translationOfWork": "IsTranslationOf", "workTranslation": "HasTranslation",
}  # fmt: skip
SIGNED_IN, CLOSED = "Open to everybody who is signed in.", "The files are restricted."


def records_of(value: Any) -> list[Any]:
    """The Datasets of a document, also within a graph; references in it are filled in."""
    nodes = [_plain(one) for outer in many(value) for one in (many(outer["@graph"]) if "@graph" in mapping(outer) else [outer])]
    by_id = {text(one["@id"]): one for one in nodes if isinstance(one, dict) and "@id" in one}
    found = [one for one in nodes if "Dataset" in many(mapping(one).get("@type"))]
    return [{name: filled(child, by_id) for name, child in one.items()} for one in found]


def is_record(value: Any) -> bool:
    """Whether a JSON value looks like schema.org's; DCAT's Datasets have another prefix."""
    is_named = "schema.org" in str([mapping(one).get("@context") for one in many(value)][:1])[:2_000]
    return is_named and bool(records_of(value))


def _plain(value: Any) -> Any:
    """The same without the prefix of schema.org before names and types."""
    if isinstance(value, dict):
        named = {PREFIX.sub("", name): _plain(one) for name, one in value.items() if name != "@context"}
        if "@type" in named:
            named["@type"] = [PREFIX.sub("", text(one)) for one in many(named["@type"])]
        return named
    return [_plain(one) for one in value] if isinstance(value, list) else value


def filled(value: Any, by_id: dict[str, Any]) -> Any:
    """A bare reference as the node that it names."""
    if isinstance(value, list):
        return [filled(one, by_id) for one in value]
    return by_id.get(text(value["@id"]), value) if isinstance(value, dict) and set(value) == {"@id"} else value


def read(given: dict[str, Any]) -> Described:
    """One Dataset, as `records_of` gives it."""
    found = Described(identifier=_identifier(given))
    found.state("title", text(given.get("name")) or text(given.get("headline")))
    found.state("abstract", text(given.get("description")))
    found.state("creators", [one for one in map(_maker, many(given.get("creator")) or many(given.get("author"))) if one["name"]])
    for at, licence in enumerate(many(given.get("license"))):
        one = mapping(licence)
        found.state_licence(f"license.{at}", one.get("@id"), one.get("url"), text(licence), one.get("name"))
    read_conditions(text(given.get("conditionsOfAccess")), found)
    _read_keywords(given, found)
    _read_funding(given, found)
    _read_related(given, found)
    _read_variables(given, found)
    for at, words in enumerate(many(given.get("temporalCoverage"))):
        state_period(found, f"temporalCoverage.{at}", text(words))
    _read_places(given, found)
    found.state("contact_name", next((text(mapping(one).get("name")) for one in many(given.get("contactPoint"))), ""))
    found.state("instruments", [{"name": text(one), "identifier": ""} for one in many(given.get("measurementTechnique")) if text(one)])
    if publisher := text(mapping(next(iter(many(given.get("publisher"))), {})).get("name")):
        found.leave("publisher", f"{publisher}: what is published here names this archive as publisher.")
    if n_files := len(many(given.get("distribution"))):
        found.leave("distribution", f"{n_files} download{'s' if n_files > 1 else ''}: an import brings the description, not the files.")
    for name in set(given) - OUR_OWN:
        if given[name] not in (None, "", [], {}):
            found.leave(name, f"{text(given[name]) or name}: a description here has no place for it.")
    return found


def _identifier(given: dict[str, Any]) -> str:
    named = [text(one) for one in (*many(given.get("identifier")), *many(given.get("@id")), *many(given.get("url")))]
    named = [one for one in named if one and not one.startswith("_:")]
    return identifier_of(next((one for one in named if identifier_of(one).startswith("doi:")), named[0] if named else ""))


def _maker(value: Any) -> dict[str, Any]:
    one = mapping(value)
    if "name" not in one and isinstance(one.get("creator"), dict):  # a Role around the person, as schema.org keeps order
        return _maker(one["creator"])
    parts = [text(one.get("familyName")), text(one.get("givenName"))]
    known = [text(other) for name in ("@id", "identifier", "sameAs", "url") for other in many(one.get(name))]
    whole = text(value) if not isinstance(value, dict) else text(one.get("name"))
    return {
        "name": whole if "," in whole or not all(parts) else ", ".join(parts),
        "orcid": next((other for other in known if "orcid.org/" in other), ""),
        "ror": next((other for other in known if "ror.org/" in other), ""),
        "affiliations": [_body(body) for body in many(one.get("affiliation")) if text(body)],
    }


def _body(value: Any) -> dict[str, str]:
    one = mapping(value)
    known = [text(other) for name in ("@id", "identifier", "sameAs", "url") for other in many(one.get(name))]
    return {"name": text(value), "ror": next((other for other in known if "ror.org/" in other), "")}


def read_conditions(words: str, found: Described) -> None:
    """Our own writer's words; others' are a note on access."""
    for begun, policy in ((SIGNED_IN, "registered"), (CLOSED, "restricted"), ("Open to everybody.", "public")):
        if words.startswith(begun):
            found.state("access_policy", policy)
            words = words.removeprefix(begun).strip()
    found.state("access_note", words)


def _read_keywords(given: dict[str, Any], found: Described) -> None:
    subjects, keywords = [], []
    for one in many(given.get("keywords")):
        scheme = mapping(mapping(one).get("inDefinedTermSet"))
        if isinstance(one, dict) and (scheme or one.get("inDefinedTermSet")):
            named = text(scheme.get("name")) or text(one.get("inDefinedTermSet"))
            address = text(scheme.get("url")) or text(scheme.get("@id"))
            keywords.append(
                {"value": text(one.get("name")), "scheme_name": named, "scheme_url": address, "identifier": text(one.get("termCode"))}
            )
        elif isinstance(given["keywords"], str):
            subjects += [word.strip() for word in one.split(",")]
        else:
            subjects.append(text(one))
    found.state("subjects", [word for word in subjects if word])
    found.state("keywords", [one for one in keywords if one["value"]])


def _read_funding(given: dict[str, Any], found: Described) -> None:
    funders = []
    for at, one in enumerate(map(mapping, many(given.get("funding")))):
        bodies = [mapping(body) or {"name": text(body)} for body in many(one.get("funder"))]
        award = {
            "award_number": text(one.get("identifier")), "award_title": text(one.get("name")), "award_uri": text(one.get("url")),
        }  # fmt: skip
        funders += [{"name": text(body.get("name")), "identifier": _funder_id(body)} | award for body in bodies]
        if not bodies:
            found.leave(f"funding.{at}", f"A grant without its funder: {text(one)}")
    if not funders:
        bodies = [mapping(body) or {"name": text(body)} for body in many(given.get("funder"))]
        funders = [{"name": text(body.get("name")), "identifier": _funder_id(body)} for body in bodies]
    found.state("funders", funders)


def _funder_id(body: dict[str, Any]) -> str:
    known = [text(one) for name in ("@id", "identifier", "sameAs") for one in many(body.get(name))]
    return next((one for one in known if one.startswith("http") or "10.13039/" in one), "")


def _read_related(given: dict[str, Any], found: Described) -> None:
    related = []
    for name, relation in RELATIONS.items():
        for at, value in enumerate(many(given.get(name))):
            one = mapping(value)
            told = [text(one.get(part)) for part in ("identifier", "@id", "url", "sameAs")] if one else [text(value)]
            kind, _, rest = told[0].partition(":")
            if one and rest and kind in WRITTEN and not rest.startswith("//"):
                identifier = {"type": kind, "identifier": rest}
            else:
                identifier = {"type": "", "identifier": next((known for known in told if _leads(known)), "")}
            if identifier["identifier"]:
                title = "" if not one or text(one.get("name")) in told else text(one.get("name"))
                related.append({"relation": relation, "title": title} | identifier)
            elif name == "isBasedOn" and text(value):
                found.state("source_name", text(value))
            else:
                found.leave(f"{name}.{at}", f"A work without an identifier: {text(value)}")
    found.state("related", related)


WRITTEN = {
    "DOI",
    "URL",
    "arXiv",
    "ISBN",
    "ISSN",
    "Handle",
    "ARK",
    "IGSN",
    "PMID",
    "PURL",
    "URN",
    "bibcode",
    "EISSN",
    "LSID",
    "RRID",
    "w3id",
}


def _leads(told: str) -> bool:
    return told.startswith(("http://", "https://")) or identifier_of(told).startswith("doi:")


def _read_variables(given: dict[str, Any], found: Described) -> None:
    variables = []
    for one in many(given.get("variableMeasured")):
        known = [text(other) for other in many(mapping(one).get("propertyID"))]
        variables.append(
            {
                "name": text(one),
                "standard_name": next((other for other in known if other and "://" not in other), ""),
                "long_name": text(mapping(one).get("description")),
                "units": text(mapping(one).get("unitText")),
            }
        )
    found.state("variables", [one for one in variables if one["name"]])


def _read_places(given: dict[str, Any], found: Described) -> None:
    places = []
    for at, value in enumerate(many(given.get("spatialCoverage"))):
        places.append(text(mapping(value).get("name")) if isinstance(value, dict) else text(value))
        for shape in map(mapping, many(mapping(value).get("geo"))):
            _read_shape(f"spatialCoverage.{at}.geo", shape, found)
    found.state("places", [place for place in places if place])


def _read_shape(path: str, shape: dict[str, Any], found: Described) -> None:
    """A box is south west north east, a polygon latitude longitude pairs, as schema.org writes them; blanks or commas between."""
    box, outline = (re.split(r"[\s,]+", text(shape.get(name))) for name in ("box", "polygon"))
    if len(box) == 4:
        south, west, north, east = box
        state_box(found, path, (west, south, east, north))
    elif len(outline) > 1:
        state_outline(found, path, [(number(x), number(y)) for y, x in zip(outline[::2], outline[1::2], strict=False)])
    elif "latitude" in shape:
        state_box(found, path, [shape.get("longitude"), shape["latitude"]] * 2)
    else:
        found.leave(path, f"No box, point or outline: {', '.join(sorted(shape))}")
