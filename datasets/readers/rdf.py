"""Turtle and RDF/XML as the nodes of expanded JSON-LD, which `dcat` reads like any other. rdflib reads them; nothing is fetched.

XML has been through defusedxml before, so that no entity and no document type comes this far. Source: https://www.w3.org/TR/turtle/.
"""

import re
from decimal import Decimal
from typing import Any, Self
from xml.etree.ElementTree import Element
from xml.sax import SAXException

from rdflib import RDF as VOCABULARY
from rdflib import BNode, Graph, Literal
from rdflib.exceptions import Error as RdfError
from rdflib.exceptions import ParserError
from rdflib.namespace import XSD
from rdflib.term import Node, _toPythonMapping

from datasets.readers.parsing import local_name, refusal

LONGEST = 1_000_000  # characters; reading takes some seconds for each million
MOST_TRIPLES = 50_000
TYPE = VOCABULARY.type
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}RDF"
BASE = "https://record.invalid/"  # what an address without a beginning is relative to
# After comments: a directive, or a triple that begins with an address or a blank node (N-Triples).
TURTLE = re.compile(r"(\s|#[^\n]*\n)*(@prefix\b|@base\b|PREFIX\b|BASE\b|(<[^<>\s\":]*:[^<>\s\"]*>|_:\S+)\s+(<|a\s|[\w-]*:))", re.IGNORECASE)


def _decimal(told: str) -> Decimal:
    """A decimal without exponent, as XSD has it: of 1e999999999 Python would make a number, and rdflib write it out digit by digit."""
    if not told.strip().lstrip("+-").replace(".", "", 1).isdecimal():
        raise ValueError(told[:40])
    return Decimal(told)


_toPythonMapping[XSD.decimal] = _decimal  # `rdflib.term.bind` does the same, and warns that there was another


class Bounded(Graph):
    """A graph that takes so many statements and no more: those of a million characters would fill the memory."""

    n_read = 0

    def add(self, triple: Any) -> Self:
        self.n_read += 1
        if self.n_read > MOST_TRIPLES:
            raise refusal(f"At most {MOST_TRIPLES:,} statements at once.")
        return super().add(triple)


def is_turtle(document: str) -> bool:
    """Whether a document looks like Turtle, of which N-Triples are a part."""
    return bool(TURTLE.match(document[:20_000]))


def is_rdf_xml(root: Element) -> bool:
    return str(root.tag) == RDF or (local_name(root) == "RDF" and "22-rdf-syntax-ns" in str(root.tag))


def nodes_of(document: str, syntax: str) -> list[Any]:
    """The nodes of a graph in `turtle` or `xml`. Raises InvalidError for what is too long or no such document."""
    if len(document) > LONGEST:
        raise refusal(f"At most {LONGEST:,} characters of RDF at once.")
    graph = Bounded(bind_namespaces="none")
    try:
        graph.parse(data=document, format=syntax, publicID=BASE)
    except RecursionError as error:
        raise refusal("The RDF is nested too deep.") from error
    except (SyntaxError, SAXException, RdfError, ParserError, ValueError, LookupError, AttributeError, TypeError, AssertionError) as error:
        words = " ".join(str(getattr(error, "message", "") or error).split())[:200]
        raise refusal(f"This is no {'Turtle' if syntax == 'turtle' else 'RDF/XML'} that can be read: {words}") from error
    nodes: dict[str, Any] = {}
    for subject, predicate, value in graph:
        node = nodes.setdefault(_address(subject), {"@id": _address(subject)})
        if predicate == TYPE:
            node.setdefault("@type", []).append(_address(value))
        else:
            node.setdefault(str(predicate), []).append(_value(value))
    return [{name: _compact(name, told) for name, told in node.items()} for node in nodes.values()]


def _compact(name: str, told: Any) -> Any:
    """One value stands alone, as in the JSON-LD that people write; types are a list always."""
    return told[0] if name != "@type" and isinstance(told, list) and len(told) == 1 else told


def _address(node: Node) -> str:
    return f"_:{node}" if isinstance(node, BNode) else str(node)


def _value(node: Node) -> dict[str, str]:
    if not isinstance(node, Literal):
        return {"@id": _address(node)}
    more = {"@language": node.language, "@type": node.datatype}
    return {"@value": str(node)} | {name: str(value) for name, value in more.items() if value}
