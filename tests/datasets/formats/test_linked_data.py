"""schema.org, DCAT and Dublin Core read by rdflib, whose closed namespaces know all terms; DCAT judged by SHACL shapes too."""

import json

import pytest
from lxml import etree
from pyshacl import validate
from rdflib import RDF, Graph, URIRef
from rdflib.compare import isomorphic
from rdflib.namespace import DC, DCAT, DCTERMS, FOAF, SDO

from datasets.formats import dcat, dublin_core, schema_org

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # of the validators' own insides

# DCAT-AP 3.0, mandatory properties and their ranges (https://semiceu.github.io/DCAT-AP/releases/3.0.0/, quick reference), as shapes.
SHAPES = """
@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> . @prefix spdx: <http://spdx.org/rdf/terms#> .
[] a sh:NodeShape ; sh:targetClass dcat:Dataset ;
  sh:property [ sh:path dct:title ; sh:minCount 1 ; sh:nodeKind sh:Literal ] ;
  sh:property [ sh:path dct:description ; sh:minCount 1 ; sh:nodeKind sh:Literal ] ;
  sh:property [ sh:path dct:publisher ; sh:maxCount 1 ; sh:nodeKind sh:BlankNodeOrIRI ] ;
  sh:property [ sh:path dct:accessRights ; sh:maxCount 1 ; sh:class dct:RightsStatement ] ;
  sh:property [ sh:path dct:issued ; sh:maxCount 1 ; sh:datatype xsd:date ] ;
  sh:property [ sh:path dct:modified ; sh:maxCount 1 ; sh:datatype xsd:date ] ;
  sh:property [ sh:path dct:spatial ; sh:class dct:Location ] ;
  sh:property [ sh:path dct:temporal ; sh:class dct:PeriodOfTime ] ;
  sh:property [ sh:path dcat:landingPage ; sh:nodeKind sh:IRI ] ;
  sh:property [ sh:path dcat:distribution ; sh:minCount 1 ; sh:class dcat:Distribution ] .
[] a sh:NodeShape ; sh:targetClass dcat:Distribution ;
  sh:property [ sh:path dcat:accessURL ; sh:minCount 1 ; sh:nodeKind sh:IRI ] ;
  sh:property [ sh:path dcat:downloadURL ; sh:nodeKind sh:IRI ] ;
  sh:property [ sh:path dcat:byteSize ; sh:maxCount 1 ; sh:datatype xsd:nonNegativeInteger ] ;
  sh:property [ sh:path dct:license ; sh:maxCount 1 ; sh:class dct:LicenseDocument ] ;
  sh:property [ sh:path dcat:mediaType ; sh:maxCount 1 ; sh:class dct:MediaType ] ;
  sh:property [ sh:path spdx:checksum ; sh:maxCount 1 ; sh:class spdx:Checksum ] .
[] a sh:NodeShape ; sh:targetObjectsOf dcat:inSeries ; sh:class dcat:DatasetSeries ;
  sh:property [ sh:path dct:title ; sh:minCount 1 ; sh:nodeKind sh:Literal ] ;
  sh:property [ sh:path dct:description ; sh:minCount 1 ; sh:nodeKind sh:Literal ] .
[] a sh:NodeShape ; sh:targetClass spdx:Checksum ;
  sh:property [ sh:path spdx:algorithm ; sh:minCount 1 ; sh:maxCount 1 ] ;
  sh:property [ sh:path spdx:checksumValue ; sh:minCount 1 ; sh:maxCount 1 ; sh:datatype xsd:hexBinary ] .
[] a sh:NodeShape ; sh:targetClass dct:PeriodOfTime ;
  sh:property [ sh:path dcat:startDate ; sh:maxCount 1 ; sh:datatype xsd:date ] ;
  sh:property [ sh:path dcat:endDate ; sh:maxCount 1 ; sh:datatype xsd:date ] .
[] a sh:NodeShape ; sh:targetSubjectsOf foaf:name ; sh:property [ sh:path foaf:name ; sh:minCount 1 ; sh:nodeKind sh:Literal ] .
"""


def terms(graph: Graph, namespace: str) -> set[str]:
    used = {node for _, predicate, value in graph for node in (predicate, value) if isinstance(node, URIRef)}
    return {str(term).removeprefix(namespace) for term in used if str(term).startswith(namespace)}


def read_schema_org(record) -> Graph:
    """The published context is one line for what we use; the network is closed to tests."""
    document = json.loads(schema_org.as_json(record))
    assert document.pop("@context") == "https://schema.org/"
    return Graph().parse(data=json.dumps({"@context": {"@vocab": str(SDO)}, **document}), format="json-ld")


def test_schema_org_uses_only_words_of_the_vocabulary(record):
    graph = read_schema_org(record)
    unknown = {term for term in terms(graph, str(SDO)) if term not in SDO}
    assert unknown - {"funding"} == set(), "https://schema.org/funding is newer than rdflib's list"
    assert (URIRef(record.identifier), RDF.type, SDO.Dataset) in graph


def test_schema_org_has_what_dataset_search_requires_and_recommends(rich):
    told = json.loads(schema_org.as_json(rich))
    assert {"name", "description"} <= told.keys()
    assert {"creator", "identifier", "isAccessibleForFree", "keywords", "license", "sameAs", "spatialCoverage"} <= told.keys()
    assert {"temporalCoverage", "variableMeasured", "version", "url", "includedInDataCatalog", "distribution"} <= told.keys()
    assert told["spatialCoverage"]["geo"]["box"] == "-5 -180 4.5 180"
    assert all(one["contentUrl"] for one in told["distribution"])


def test_dcat_reads_the_same_as_turtle_and_as_json_ld(record):
    assert isomorphic(
        Graph().parse(data=dcat.as_turtle(record), format="turtle"), Graph().parse(data=dcat.as_json(record), format="json-ld")
    )


def test_dcat_uses_only_words_of_its_vocabularies(record):
    graph = Graph().parse(data=dcat.as_turtle(record), format="turtle")
    newer = {"version", "previousVersion", "inSeries", "DatasetSeries"}  # DCAT 3; rdflib's list is older
    for namespace in (DCAT, DCTERMS, FOAF):
        unknown = {term for term in terms(graph, str(namespace)) if term not in namespace}
        assert unknown - newer == set()


def test_dcat_satisfies_the_shapes(record):
    graph = Graph().parse(data=dcat.as_turtle(record), format="turtle")
    fits, _, words = validate(graph, shacl_graph=Graph().parse(data=SHAPES, format="turtle"))
    assert fits, words


def test_the_shapes_refuse_what_is_wrong(rich):
    broken = dcat.as_turtle(rich).replace("dcat:accessURL <", "dcat:accessURL <x:").replace("a dcat:Distribution", "a dcat:DataService")
    fits, _, _ = validate(Graph().parse(data=broken, format="turtle"), shacl_graph=Graph().parse(data=SHAPES, format="turtle"))
    assert not fits


def test_text_survives_turtle_unchanged(hostile):
    graph = Graph().parse(data=dcat.as_turtle(hostile), format="turtle")
    kept = "".join(one for one in hostile.title if one >= " " or one == "\t")
    assert str(graph.value(URIRef(hostile.identifier), DCTERMS.title)) == kept


def test_dublin_core_uses_the_element_set(record):
    root = etree.fromstring(dublin_core.as_xml(record).encode())
    assert root.tag == "{http://www.openarchives.org/OAI/2.0/oai_dc/}dc"
    names = {etree.QName(child).localname for child in root}
    assert all(etree.QName(child).namespace == str(DC) for child in root)
    assert all(name in DC for name in names)
    assert root.findtext(f"{{{DC}}}identifier") == record.identifier
