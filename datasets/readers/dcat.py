"""DCAT 3 as JSON-LD, with the prefixes that are usual or those that its own context gives; Turtle and RDF/XML come as that from `rdf`.

The writer is `datasets.formats.dcat`.

A context that is only an address is not fetched: names are then read by their usual prefixes. Source: https://www.w3.org/TR/vocab-dcat-3/.
"""

import re
from typing import Any

from datasets.formats.dcat import ACCESS, FUNDER, PREFIXES, RELATION
from datasets.readers.described import Described, day, identifier_of, many, mapping, state_box, text
from datasets.readers.rdf import BASE

USUAL = PREFIXES | {"dct": PREFIXES["dcterms"], "schema": "https://schema.org/", "adms": "http://www.w3.org/ns/adms#"}
DEEPEST = 3
SHORT = {address: prefix for prefix, address in PREFIXES.items()} | {"https://schema.org/": "schema", "http://schema.org/": "schema",
         "http://www.w3.org/ns/adms#": "adms"}  # fmt: skip
# Said anew by the archive from the files and at publication, or about the record itself.
OUR_OWN = {
    "@id", "@type", "dcterms:title", "dcterms:description", "dcterms:identifier", "dcterms:issued", "dcterms:modified", "dcat:version",
    "dcat:landingPage", "dcat:keyword", "dcat:theme", "dcat:contactPoint", "prov:qualifiedAttribution", "dcat:qualifiedRelation",
    "dcterms:relation", "dcterms:publisher", "dcterms:creator", "dcterms:accessRights", "dcterms:license", "dcterms:spatial",
    "dcterms:temporal", "dcat:temporalResolution", "dcterms:source", "dcterms:provenance", "dcat:distribution", "adms:identifier",
    "dcat:inSeries",
}  # fmt: skip
# What DataCite calls the relations that DCAT has properties of its own for.
PLAIN_RELATIONS = {
    "dcterms:isPartOf": "IsPartOf", "dcterms:hasPart": "HasPart", "dcterms:isReferencedBy": "IsReferencedBy",
    "dcterms:references": "References", "dcat:previousVersion": "IsNewVersionOf", "prov:wasDerivedFrom": "IsDerivedFrom",
    "dcterms:isVersionOf": "IsVersionOf", "dcterms:replaces": "Obsoletes", "dcterms:requires": "Requires",
}  # fmt: skip


def records_of(value: Any) -> list[Any]:
    """The Datasets of a document, also within a graph; references in it are filled in."""
    nodes = []
    for outer in many(value):
        terms = _terms(mapping(outer).get("@context"))
        members = many(outer["@graph"]) if "@graph" in mapping(outer) else [outer]
        nodes += [_named(one, terms) for one in members]
    by_id = {text(one["@id"]): one for one in nodes if isinstance(one, dict) and "@id" in one}
    found = [one for one in nodes if "dcat:Dataset" in many(mapping(one).get("@type"))]
    known: dict[tuple[str, int], Any] = {}
    return [{name: _filled(child, by_id, DEEPEST, known) for name, child in one.items()} for one in found]


def _filled(value: Any, by_id: dict[str, Any], depth: int, known: dict[tuple[str, int], Any]) -> Any:
    """A value with bare references in it as the nodes that they name, and in those, some steps deep. Each node is filled once a step."""
    if isinstance(value, list):
        return [_filled(one, by_id, depth, known) for one in value]
    if not isinstance(value, dict):
        return value
    if set(value) != {"@id"}:
        return {name: _filled(one, by_id, depth, known) for name, one in value.items()}
    key = text(value["@id"]), depth
    if depth == 0 or key[0] not in by_id:
        return value
    if key not in known:
        node = {name: one for name, one in by_id[key[0]].items() if name != "@id" or not key[0].startswith("_:")}
        known[key] = {name: _filled(one, by_id, depth - 1, known) for name, one in node.items()}
    return known[key]


def is_record(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(records_of(value))


def _terms(context: Any) -> dict[str, str]:
    """What the names of a context stand for: prefixes and whole terms."""
    terms = dict(USUAL)
    for one in map(mapping, many(context)):
        terms |= {name: text(mapping(meant).get("@id", "") or meant) for name, meant in one.items() if not name.startswith("@")}
    return terms


def _short(name: str, terms: dict[str, str]) -> str:
    """A property or type by the prefix that is usual for it."""
    prefix, colon, rest = name.partition(":")
    meant = terms.get(name, name)
    if colon and not rest.startswith("//") and prefix in terms:
        meant = terms[prefix] + rest
    elif ":" in meant and meant.partition(":")[0] in terms and "://" not in meant:
        meant = terms[meant.partition(":")[0]] + meant.partition(":")[2]
    address = max((known for known in SHORT if meant.startswith(known)), key=len, default="")
    return f"{SHORT[address]}:{meant.removeprefix(address)}" if address else meant


def _named(value: Any, terms: dict[str, str]) -> Any:
    if isinstance(value, dict):
        named = {name if name.startswith("@") else _short(name, terms): _named(one, terms) for name, one in value.items()}
        if "@type" in named and "@value" not in named:
            named["@type"] = [_short(text(one), terms) for one in many(value["@type"])]
        return named
    return [_named(one, terms) for one in value] if isinstance(value, list) else value


def read(given: dict[str, Any]) -> Described:
    """One Dataset, as `records_of` gives it."""
    found = Described(identifier=_identifier(given))
    found.state("title", _in_english(given.get("dcterms:title")))
    found.state("abstract", _in_english(given.get("dcterms:description")))
    found.state("creators", [one for one in map(_agent, many(given.get("dcterms:creator"))) if one["name"]])
    _read_rights(given, found)
    _read_keywords(given, found)
    found.state("contact_name", next((text(mapping(one).get("vcard:fn")) for one in many(given.get("dcat:contactPoint"))), ""))
    _read_funders(given, found)
    _read_related(given, found)
    _read_places(given, found)
    _read_periods(given, found)
    found.state("temporal_resolution", text(given.get("dcat:temporalResolution")))
    source = mapping(next(iter(many(given.get("dcterms:source"))), {}))
    found.state("source_url" if "@id" in source else "source_name", text(given.get("dcterms:source")))
    provenance = next(iter(many(given.get("dcterms:provenance"))), "")
    found.state("provenance", text(mapping(provenance).get("rdfs:label") or provenance))
    if publisher := text(mapping(next(iter(many(given.get("dcterms:publisher"))), {})).get("foaf:name")):
        found.leave("dcterms:publisher", f"{publisher}: what is published here names this archive as publisher.")
    for one in many(given.get("dcat:inSeries")):
        found.leave("dcat:inSeries", f"{text(mapping(one).get('dcterms:title') or one)}: a draft is put in a series here by its steward.")
    if n_files := len(many(given.get("dcat:distribution"))):
        found.leave("dcat:distribution", f"{n_files} distribution{'s' if n_files > 1 else ''}: an import brings no files.")
    for name in set(given) - OUR_OWN - set(PLAIN_RELATIONS):
        if given[name] not in (None, "", [], {}):
            found.leave(name, f"{text(given[name]) or name}: a description here has no place for it.")
    return found


def _identifier(given: dict[str, Any]) -> str:
    named = [text(one) for name in ("dcterms:identifier", "adms:identifier", "@id", "dcat:landingPage") for one in many(given.get(name))]
    named = [one for one in named if one and not one.startswith(("_:", BASE))]
    return identifier_of(next((one for one in named if identifier_of(one).startswith("doi:")), named[0] if named else ""))


def _in_english(value: Any) -> str:
    """The English one of texts in several languages, else the first."""
    texts = many(value)
    return text(next((one for one in texts if text(mapping(one).get("@language")).startswith("en")), texts[0] if texts else ""))


def _agent(value: Any) -> dict[str, Any]:
    one = mapping(value)
    known = [text(other) for name in ("@id", "dcterms:identifier", "foaf:page") for other in many(one.get(name))]
    return {
        "name": text(one.get("foaf:name") or one.get("vcard:fn") or one.get("schema:name")) or ("" if one else text(value)),
        "orcid": next((other for other in known if "orcid.org/" in other), ""),
        "ror": next((other for other in known if "ror.org/" in other), ""),
        "affiliations": [],
    }


def _read_rights(given: dict[str, Any], found: Described) -> None:
    inner = [mapping(one).get("dcterms:license") for one in many(given.get("dcat:distribution"))]
    told = many(given.get("dcterms:license")) or inner[:1]
    for licence in told:
        found.state_licence("dcterms:license", mapping(licence).get("@id"), text(licence))
    for one in many(given.get("dcterms:accessRights")):
        right = text(mapping(one).get("@id") or one)
        if right.startswith(ACCESS):
            found.state("access_policy", "public" if right.endswith("/PUBLIC") else "restricted")
        else:
            found.state("access_note", text(mapping(one).get("rdfs:label") or right))


def _read_keywords(given: dict[str, Any], found: Described) -> None:
    keywords = []
    for one in many(given.get("dcat:theme")):
        label, scheme = text(mapping(one).get("skos:prefLabel")), text(mapping(one).get("skos:inScheme"))
        if label:
            keywords.append({"value": label, "scheme_name": "", "scheme_url": scheme, "identifier": ""})
        else:
            found.leave("dcat:theme", f"{text(one)}: a theme without its label.")
    labels = {one["value"].rpartition(">")[2].strip().casefold() for one in keywords}
    words = [text(word) for word in many(given.get("dcat:keyword"))]
    found.state("subjects", [word for word in words if word and word.casefold() not in labels])
    found.state("keywords", keywords)


def _read_funders(given: dict[str, Any], found: Described) -> None:
    """The award stands in the label as one text: which part of it is the number is not said."""
    funders = []
    for one in map(mapping, many(given.get("prov:qualifiedAttribution"))):
        agent = mapping(one.get("prov:agent"))
        name, address = _agent(agent)["name"], text(agent.get("@id"))
        if text(mapping(one.get("dcat:hadRole")).get("@id")) == FUNDER and name:
            label = text(one.get("rdfs:label"))
            award = {"award_number": label} if label and " " not in label else {"award_title": label}
            funders.append({"name": name, "identifier": address, **award})
        else:
            found.leave("prov:qualifiedAttribution", f"{name or text(one)}: a description here has no place for it.")
    found.state("funders", funders)


def _read_related(given: dict[str, Any], found: Described) -> None:
    related = []
    for one in map(mapping, many(given.get("dcat:qualifiedRelation"))):
        role, address = text(mapping(one.get("dcat:hadRole")).get("@id")), text(one.get("dcterms:relation"))
        if role.startswith(RELATION) and address:
            related.append({"relation": role.removeprefix(RELATION), "type": "", "identifier": address})
        else:
            found.leave("dcat:qualifiedRelation", f"{address or text(one)}, {role}: this role is not known.")
    for name, relation in PLAIN_RELATIONS.items():
        related += [{"relation": relation, "type": "", "identifier": text(one)} for one in many(given.get(name)) if text(one)]
    known = {one["identifier"] for one in related}
    others = [text(one) for one in many(given.get("dcterms:relation"))]
    related += [{"relation": "References", "type": "", "identifier": one} for one in others if one and one not in known]
    found.state("related", related)


def _read_places(given: dict[str, Any], found: Described) -> None:
    places = []
    for one in many(given.get("dcterms:spatial")):
        place = mapping(one)
        shapes = [text(place.get(name)) for name in ("dcat:bbox", "dcat:centroid", "locn:geometry") if name in place]
        name = text(place.get("skos:prefLabel") or place.get("rdfs:label")) or ("" if place else text(one))
        places.append(name)
        if shapes:
            _read_shape(shapes[0], found)
        elif not name:
            found.leave("dcterms:spatial", f"{text(one)}: a place without name or shape.")
    found.state("places", [place for place in places if place])


# Repetitions have ends: else a line of digits takes hours.
COORDINATE = r"(-?\d{1,20}(?:\.\d{1,40})?(?:[eE]-?\d{1,3})?)"
CORNER = re.compile(rf"{COORDINATE}\s{{1,20}}{COORDINATE}")


def _read_shape(shape: str, found: Described) -> None:
    """A WKT literal in longitude, latitude. Two boxes that meet at the antimeridian are one that crosses it."""
    rings = [CORNER.findall(ring) for ring in re.split(r"\)\)\s{0,20},\s{0,20}\(\(", shape)]
    boxes = []
    for ring in (ring for ring in rings if ring):
        across, up = [float(x) for x, _ in ring], [float(y) for _, y in ring]
        boxes.append((min(across), min(up), max(across), max(up)))
    if len(boxes) == 2 and (boxes[0][2], boxes[1][0]) == (180, -180):
        boxes = [(boxes[0][0], boxes[0][1], boxes[1][2], boxes[0][3])]
    if not boxes:
        found.leave("dcterms:spatial", f"No shape in WKT: {shape}")
    for box in boxes:
        state_box(found, "dcterms:spatial", box)


def _read_periods(given: dict[str, Any], found: Described) -> None:
    for at, one in enumerate(map(mapping, many(given.get("dcterms:temporal")))):
        start, end = (text(one.get(f"dcat:{side}") or one.get(f"schema:{side}")) for side in ("startDate", "endDate"))
        if at == 0:
            found.state("temporal_start", day(start))
            found.state("temporal_end", day(end, is_end=True))
        else:
            found.leave("dcterms:temporal", f"A second period: {start}/{end}")
