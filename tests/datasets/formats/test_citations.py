"""BibTeX read by bibtexparser, RIS by rispy, CSL-JSON by citeproc-py."""

import json

import bibtexparser
import pytest
import rispy
from citeproc import Citation, CitationItem, CitationStylesBibliography, CitationStylesStyle, formatter
from citeproc.source.json import CiteProcJSON

from datasets.formats import bibtex, citation, csl, ris
from datasets.formats.markup import clean


def test_bibtex_is_one_entry_with_every_author(record):
    library = bibtexparser.parse_string(bibtex.as_text(record))
    assert library.failed_blocks == []
    [entry] = library.entries
    assert entry.entry_type == "misc"
    assert entry["url"] == record.identifier
    assert entry["year"] == "2026"
    assert ("doi" in entry.fields_dict) == bool(record.doi)
    assert ("author" in entry.fields_dict) == bool(record.makers)


def test_bibtex_splits_authors_where_we_do(rich):
    parsed = bibtexparser.parse_string(
        bibtex.as_text(rich),
        append_middleware=[bibtexparser.middlewares.SeparateCoAuthors(), bibtexparser.middlewares.SplitNameParts()],
    )
    body, person = parsed.entries[0]["author"]
    assert body.last == ["{Met Office}"]
    assert (person.last, person.first) == (["Lindqvist"], ["Ada"])


def test_bibtex_escapes_what_latex_would_run(hostile):
    [entry] = bibtexparser.parse_string(bibtex.as_text(hostile)).entries
    assert r"\textbackslash{}end" in entry["title"]
    assert r"\{x\} \$y\%" in entry["title"]


def test_ris_is_one_dataset(record):
    [entry] = rispy.loads(ris.as_text(record))
    assert entry["type_of_reference"] == "DATA"
    assert entry["urls"] == [record.identifier]
    assert entry["year"] == "2026"
    assert entry.get("authors", []) == [" ".join(clean(maker.name).split()) for maker in record.makers]
    assert entry.get("keywords", []) == [" ".join(clean(subject).split()) for subject in record.words]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_csl_is_rendered_by_a_citation_processor(rich):
    source = CiteProcJSON([json.loads(csl.as_json(rich))])
    style = CitationStylesStyle("harvard-cite-them-right", validate=False)
    bibliography = CitationStylesBibliography(style, source, formatter.plain)
    bibliography.register(Citation([CitationItem(rich.identifier.lower())]))
    [line] = bibliography.bibliography()
    assert "Met Office" in str(line)
    assert "Lindqvist" in str(line)
    assert "2026" in str(line)
    assert "Sea surface temperature" in str(line)


def test_the_citation_names_what_is_known(rich, record):
    assert citation.as_text(rich) == (
        "Met Office; Lindqvist, Ada (2026): Sea surface temperature. Version 2. Causeway. https://data.example.org/datasets/sea/?version=2\n"
    )
    first = " ".join(clean(record.makers[0].name).split()) if record.makers else "Creator not stated (2026)"
    assert citation.as_text(record).startswith(first)
