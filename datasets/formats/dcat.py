"""DCAT 3 as JSON-LD and as Turtle, written from one tree of nodes. Source: https://www.w3.org/TR/vocab-dcat-3/.

A node is a mapping with `@id`, `@type` and prefixed properties; a value is a node, a typed literal, or a list of them: plain JSON-LD,
of which `turtle` writes exactly these forms.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from datasets.formats.markup import clean, json_text, without_empty
from datasets.formats.record import Funding, Keyword, Maker, Record, RecordFile, Related

PREFIXES = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcterms": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "geo": "http://www.opengis.net/ont/geosparql#",
    "prov": "http://www.w3.org/ns/prov#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "spdx": "http://spdx.org/rdf/terms#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
ACCESS = "http://publications.europa.eu/resource/authority/access-right/"
RIGHTS = {"public": "PUBLIC", "registered": "RESTRICTED", "restricted": "RESTRICTED"}
FUNDER = "http://registry.it.csiro.au/def/isotc211/CI_RoleCode/funder"
RELATION = "https://purl.org/spar/datacite/"
MEDIA = "https://www.iana.org/assignments/media-types/"

Node = dict[str, Any]


def as_json(record: Record) -> str:
    return json_text({"@context": PREFIXES, "@graph": nodes(record)})


def as_turtle(record: Record) -> str:
    return turtle(nodes(record))


def nodes(record: Record) -> list[Node]:
    """The dataset, then what it points at by an address of its own."""
    files = list(record.files or ())
    makers = [_maker(maker) for maker in record.makers]
    publisher = {"@id": f"{record.site_url}/", "@type": "foaf:Organization", "foaf:name": record.publisher}
    dataset = {
        "@id": record.identifier,
        "@type": "dcat:Dataset",
        "dcterms:title": record.title,
        "dcterms:description": record.abstract,
        "dcterms:identifier": record.identifier,
        "dcterms:issued": _typed(record.published_at.date(), "date"),
        "dcterms:modified": _typed(record.updated_at.date(), "date"),
        "dcat:version": str(record.version),
        "dcat:landingPage": _at(record.url),
        "dcat:keyword": list(record.words),
        "dcat:theme": [_theme(one) for one in record.keywords if one.url],
        "dcat:contactPoint": _contact(record),
        "prov:qualifiedAttribution": [_attribution(one) for one in record.funding],
        "dcat:qualifiedRelation": [_relation(one) for one in record.related if one.url],
        "dcterms:relation": [_at(one.url) for one in record.related if one.url],
        "dcterms:publisher": publisher,
        "dcterms:creator": makers,
        "dcterms:accessRights": {"@id": ACCESS + RIGHTS[record.access_policy], "@type": "dcterms:RightsStatement"},
        "dcterms:license": {"@id": record.licence_url, "@type": "dcterms:LicenseDocument"} if record.licence_url else None,
        "dcterms:spatial": _places(record),
        "dcterms:temporal": _period(record),
        "dcat:temporalResolution": _typed(record.resolution, "duration") if record.resolution else None,
        "dcterms:source": _at(record.source_url) if record.source_url else record.source_name,
        "dcterms:provenance": {"@type": "dcterms:ProvenanceStatement", "rdfs:label": record.provenance} if record.provenance else None,
        "dcat:inSeries": _series(record),
        "dcat:previousVersion": [_at(one.url) for one in record.others if one.number == record.version - 1],
        "dcat:distribution": [_distribution(record, one) for one in files] or [_whole(record)],
    }
    return [without_empty(dataset)]


def _series(record: Record) -> Node | None:
    """The series that it is in, with what DCAT-AP asks of one (https://www.w3.org/TR/vocab-dcat-3/#Class:Dataset_Series)."""
    if record.series is None:
        return None
    one = record.series
    return without_empty(
        {
            "@id": one.url,
            "@type": "dcat:DatasetSeries",
            "dcterms:title": one.title,
            "dcterms:description": one.description or one.title,
            "dcat:landingPage": _at(one.url),
        }
    )


def _distribution(record: Record, file: RecordFile) -> Node:
    return without_empty(
        {
            "@id": file.url,
            "@type": "dcat:Distribution",
            "dcterms:title": file.path,
            "dcat:accessURL": _at(record.url),
            "dcat:downloadURL": _at(file.url),
            "dcat:mediaType": {"@id": MEDIA + file.media_type.partition(";")[0], "@type": "dcterms:MediaType"},
            "dcat:byteSize": _typed(file.size_bytes, "nonNegativeInteger"),
            "dcterms:license": _at(record.licence_url) if record.licence_url else None,
            "spdx:checksum": {
                "@type": "spdx:Checksum",
                "spdx:algorithm": _at("http://spdx.org/rdf/terms#checksumAlgorithm_sha256"),
                "spdx:checksumValue": _typed(file.sha256, "hexBinary"),
            }
            if file.sha256
            else None,
        }
    )


def _whole(record: Record) -> Node:
    """Where files are not named: the version as a whole, to be had through its page."""
    return {
        "@id": f"{record.url}#files",
        "@type": "dcat:Distribution",
        "dcterms:title": f"All files of version {record.version}",
        "dcat:accessURL": _at(record.url),
        "dcat:byteSize": _typed(record.size_bytes, "nonNegativeInteger"),
    } | ({"dcterms:license": _at(record.licence_url)} if record.licence_url else {})


def _maker(maker: Maker) -> Node:
    kind = "foaf:Person" if maker.is_person else "foaf:Organization" if maker.ror else "foaf:Agent"
    return without_empty({"@id": maker.url, "@type": kind, "foaf:name": maker.name})


def _theme(keyword: Keyword) -> Node:
    scheme = {"@id": address(keyword.scheme_url), "@type": "skos:ConceptScheme"} if keyword.scheme_url else None
    return without_empty({"@id": address(keyword.url), "@type": "skos:Concept", "skos:prefLabel": keyword.value, "skos:inScheme": scheme})


def _contact(record: Record) -> Node | None:
    """The contact by name; questions go through the page, so that no address is published."""
    if not record.contact_name:
        return None
    return {"@type": "vcard:Kind", "vcard:fn": record.contact_name, "vcard:hasURL": _at(f"{record.page_url}ask/")}


def _attribution(one: Funding) -> Node:
    """A funder, as DCAT 3 says who did what besides creating (section 12.1)."""
    agent = without_empty({"@id": one.url, "@type": "foaf:Organization", "foaf:name": one.name})
    award = " ".join(filter(None, (one.award_number, one.award_title)))
    return without_empty({"@type": "prov:Attribution", "prov:agent": agent, "dcat:hadRole": _at(FUNDER), "rdfs:label": award})


def _relation(one: Related) -> Node:
    return {"@type": "dcat:Relationship", "dcterms:relation": _at(one.url), "dcat:hadRole": _at(f"{RELATION}{one.relation}")}


def _places(record: Record) -> list[Node]:
    named: list[Node] = [{"@type": "dcterms:Location", "skos:prefLabel": name} for name in record.places]
    shape = _place(record)
    return [*named, shape] if shape else named


def _place(record: Record) -> Node | None:
    """The box or point as a WKT literal in longitude, latitude (CRS84)."""
    if record.box is None:
        return None
    if record.point:
        point = {"@value": "POINT ({:.10g} {:.10g})".format(*record.point), "@type": "geo:wktLiteral"}
        return {"@type": "dcterms:Location", "dcat:centroid": point}
    shape = "MULTIPOLYGON (" + ", ".join(f"(({_ring(part)}))" for part in parts(record.box)) + ")"
    if len(parts(record.box)) == 1:
        shape = f"POLYGON (({_ring(record.box)}))"
    return {"@type": "dcterms:Location", "dcat:bbox": {"@value": shape, "@type": "geo:wktLiteral"}}


def parts(box: tuple[float, float, float, float]) -> list[tuple[float, float, float, float]]:
    """The box cut at the antimeridian where it crosses it: one or two boxes with west <= east."""
    west, south, east, north = box
    return [box] if west <= east else [(west, south, 180.0, north), (-180.0, south, east, north)]


def corners(box: tuple[float, float, float, float]) -> list[tuple[float, float]]:
    """The ring of a box as (longitude, latitude), counter-clockwise and closed."""
    west, south, east, north = box
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


def _ring(box: tuple[float, float, float, float]) -> str:
    return ", ".join(f"{longitude:.10g} {latitude:.10g}" for longitude, latitude in corners(box))


def _period(record: Record) -> Node | None:
    if not record.period:
        return None
    sides = {"dcat:startDate": record.start, "dcat:endDate": record.end}
    return {"@type": "dcterms:PeriodOfTime"} | {name: _typed(day, "date") for name, day in sides.items() if day}


def _at(url: str) -> Node:
    return {"@id": address(url)}


def _typed(value: object, kind: str) -> Node:
    return {"@value": str(value), "@type": f"xsd:{kind}"}


def turtle(subjects: list[Node]) -> str:
    """The nodes as Turtle (https://www.w3.org/TR/turtle/); nodes with an address of their own become subjects of their own."""
    lines = [f"@prefix {name}: <{address}> ." for name, address in PREFIXES.items()]
    waiting, told = list(subjects), set()
    while waiting:
        node = waiting.pop(0)
        key = (node["@id"], len(node))
        if key in told:
            continue
        told.add(key)
        lines += ["", f"<{address(node['@id'])}> {_properties(node, waiting, 1)} ."]
    return "\n".join(lines) + "\n"


def _properties(node: Node, waiting: list[Node], depth: int) -> str:
    pairs = [f"a {node['@type']}"] if "@type" in node else []
    for name, value in node.items():
        if not name.startswith("@"):
            pairs.append(f"{name} {', '.join(_objects(value, waiting, depth))}")
    return f" ;\n{'    ' * depth}".join(pairs)


def _objects(value: Any, waiting: list[Node], depth: int) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str):
            yield literal(one)
        elif "@value" in one:
            yield f"{literal(one['@value'])}^^{one['@type']}"
        elif "@id" in one:
            if len(one) > 1:
                waiting.append(one)
            yield f"<{address(one['@id'])}>"
        else:
            inner = "    " * (depth + 1)
            yield f"[\n{inner}{_properties(one, waiting, depth + 1)}\n{'    ' * depth}]"


def address(url: str) -> str:
    """The address with what no IRI holds percent-encoded (https://www.w3.org/TR/turtle/#sec-iri)."""
    return re.sub(r"[\x00-\x20<>\"{}|^`\\]", lambda found: quote(found.group(), safe=""), url)


def literal(words: str) -> str:
    """A string in quotes, escaped as Turtle asks."""
    escapes = {"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
    return '"' + "".join(escapes.get(one, one) for one in clean(words)) + '"'
