"""Loading vocabularies from the files that their keepers publish: GCMD keywords as CSV, the CF standard names as XML. Safe to repeat.

A load replaces what is there. What datasets say keeps its own copy of a term, so no description changes by it.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import ParseError, fromstring

from django.db import transaction
from django.utils import timezone

from datasets.errors import InvalidError
from datasets.models import Term, Vocabulary, VocabularyUse

GCMD = "https://gcmd.earthdata.nasa.gov/kms"
STANDARD_NAMES = "http://vocab.nerc.ac.uk/standard_name"


@dataclass(frozen=True)
class Kind:
    """A list of GCMD, known by the first column of its header."""

    slug: str
    use: str
    name: str
    scheme: str


KINDS = {
    ("category", "topic"): Kind("gcmd-science-keywords", VocabularyUse.KEYWORDS, "GCMD Science Keywords", "sciencekeywords"),
    ("category", "class"): Kind("gcmd-instruments", VocabularyUse.INSTRUMENTS, "GCMD Instruments", "instruments"),
    ("basis", "category"): Kind("gcmd-platforms", VocabularyUse.PLATFORMS, "GCMD Platforms", "platforms"),
}


def load_keywords(text: str, *, slug: str = "", name: str = "", use: str = "", is_whole: bool = True) -> Vocabulary:
    """Load a keyword list in the shape of the GCMD export: a line about the edition, the header, and a path with its UUID in each row.

    Source: https://gcmd.earthdata.nasa.gov/kms/concepts/concept_scheme/sciencekeywords?format=csv. The header says which list it is;
    another in the same shape needs `slug`, `name` and `use`. Raises InvalidError naming the line that is wrong.
    """
    about, header, rows = _read_csv(text)
    kind = KINDS.get((header[0], header[1]))
    if kind is None and not (slug and name and use in VocabularyUse.values):
        raise InvalidError(fields={"header": ["This is no list of GCMD: give it a slug, a name and a use of your own."]})
    long_name = header.index("long_name") if "long_name" in header else -1
    terms: dict[str, Term] = {}
    for line, row in rows:
        if len(row) != len(header):
            raise InvalidError(fields={"file": [f"Line {line} has {len(row)} cells, the header {len(header)}."]})
        levels = [cell.strip() for at, cell in enumerate(row[:-1]) if cell.strip() and at != long_name]
        path = " > ".join(levels)
        if not levels or path in terms:
            continue  # a path that stands there twice has two UUIDs: the first counts
        meaning = row[long_name].strip() if long_name >= 0 else ""
        terms[path] = Term(path=path, label=levels[-1][:300], identifier=row[-1].strip()[:200], meaning=meaning)
    scheme = f"{GCMD}/concepts/concept_scheme/{kind.scheme}" if kind else ""
    return _replace(
        slug or (kind.slug if kind else ""),
        list(terms.values()),
        use=use or (kind.use if kind else ""),
        name=name or (kind.name if kind else ""),
        url=scheme,
        term_url=f"{GCMD}/concept/{{}}" if kind else "",
        edition=about,
        is_whole=is_whole,
    )


def _read_csv(text: str) -> tuple[str, list[str], list[tuple[int, list[str]]]]:
    """(edition, header in small letters, numbered rows)."""
    try:
        rows = [(at, row) for at, row in enumerate(csv.reader(text.lstrip("\ufeff").splitlines(), strict=True), start=1) if row]
    except csv.Error as error:
        raise InvalidError(fields={"file": [f"This is not CSV: {error}."]}) from error
    at = next((at for at, (_, row) in enumerate(rows[:5]) if row[-1].strip().lower() == "uuid" and len(row) > 2), None)
    if at is None:
        raise InvalidError(fields={"header": ["One of the first lines names the columns; the last of them is UUID."]})
    told = " ".join(cell for _, row in rows[:at] for cell in row)
    edition = re.search(r"Keyword Version: ?([\w.]+)", told)
    return edition[1] if edition else "", [cell.strip().lower() for cell in rows[at][1]], rows[at + 1 :]


def load_standard_names(text: str, *, is_whole: bool = True) -> Vocabulary:
    """Load the CF standard name table: entries with canonical units, and the aliases of names that were replaced.

    Source: https://cfconventions.org/vocabularies.html. Raises InvalidError for what is no such table.
    """
    try:
        root = fromstring(text)  # noqa: S314  (an operator's file; expat bounds what entities may become)
    except ParseError as error:
        raise InvalidError(fields={"file": [f"This is not XML: {error}."]}) from error
    entries = root.findall("entry")
    if root.tag != "standard_name_table" or not entries:
        raise InvalidError(fields={"file": ["This is no CF standard name table: its root is standard_name_table, and it has entries."]})
    terms = {}
    for one in entries:
        name, units, meaning = one.get("id", ""), one.findtext("canonical_units") or "", one.findtext("description") or ""
        terms[name] = Term(path=name, label=name[:300], identifier=name[:200], units=units.strip()[:100], meaning=meaning.strip())
    for one in root.findall("alias"):
        name, instead = one.get("id", ""), (one.findtext("entry_id") or "").strip()
        if name not in terms and instead in terms:
            terms[name] = Term(path=name, label=name[:300], identifier=name[:200], instead=instead)
    return _replace(
        "cf-standard-names",
        [term for name, term in terms.items() if name],
        use=VocabularyUse.STANDARD_NAMES,
        name="CF Standard Names",
        url=f"{STANDARD_NAMES}/",
        term_url=f"{STANDARD_NAMES}/{{}}/",
        edition=root.findtext("version_number") or "",
        is_whole=is_whole,
    )


@transaction.atomic
def _replace(slug: str, terms: Sequence[Term], **facts: str | bool) -> Vocabulary:
    if not terms:
        raise InvalidError(fields={"file": ["There is no term in it."]})
    vocabulary, _ = Vocabulary.objects.update_or_create(slug=slug, defaults={**facts, "loaded_at": timezone.now()})
    vocabulary.terms.all().delete()
    for term in terms:
        term.vocabulary = vocabulary
    Term.objects.bulk_create(terms, batch_size=2_000)
    return vocabulary
