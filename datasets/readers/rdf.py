"""Turtle and RDF/XML as the nodes of expanded JSON-LD, which `dcat` reads like any other. rdflib reads them; nothing is fetched.

XML has been through defusedxml before, so that no entity and no document type comes this far. Source: https://www.w3.org/TR/turtle/.
"""

import json
import re
import warnings
from typing import Any
from xml.etree.ElementTree import Element
from xml.sax import SAXException

from rdflib import Graph
from rdflib.exceptions import Error as RdfError
from rdflib.exceptions import ParserError

from datasets.readers.parsing import local_name, refusal

LONGEST = 1_000_000  # characters; reading takes some seconds for each million
MOST_TRIPLES = 50_000
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}RDF"
BASE = "https://record.invalid/"  # what an address without a beginning is relative to
# After comments: a directive, or a triple that begins with an address (N-Triples) or a name with a prefix.
TURTLE = re.compile(r"(\s|#[^\n]*\n)*(@prefix\b|@base\b|PREFIX\b|BASE\b|<[^<>\s\"]*:[^<>\s\"]*>\s+(<|a\s|[\w-]*:))", re.IGNORECASE)


def is_turtle(document: str) -> bool:
    """Whether a document looks like Turtle, of which N-Triples are a part."""
    return bool(TURTLE.match(document[:20_000]))


def is_rdf_xml(root: Element) -> bool:
    return str(root.tag) == RDF or (local_name(root) == "RDF" and "22-rdf-syntax-ns" in str(root.tag))


def nodes_of(document: str, syntax: str) -> list[Any]:
    """The nodes of a graph in `turtle` or `xml`. Raises InvalidError for what is too long or no such document."""
    if len(document) > LONGEST:
        raise refusal(f"At most {LONGEST:,} characters of RDF at once.")
    graph = Graph(bind_namespaces="none")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph.parse(data=document, format=syntax, publicID=BASE)
    except RecursionError as error:
        raise refusal("The RDF is nested too deep.") from error
    except (SyntaxError, SAXException, RdfError, ParserError, ValueError, LookupError, AttributeError, TypeError, AssertionError) as error:
        words = " ".join(str(getattr(error, "message", "") or error).split())[:200]
        raise refusal(f"This is no {'Turtle' if syntax == 'turtle' else 'RDF/XML'} that can be read: {words}") from error
    if len(graph) > MOST_TRIPLES:
        raise refusal(f"At most {MOST_TRIPLES:,} statements at once; here are {len(graph):,}.")
    nodes: list[Any] = json.loads(graph.serialize(format="json-ld"))
    return nodes
