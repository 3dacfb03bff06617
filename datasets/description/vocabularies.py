"""Words that are chosen from loaded vocabularies: suggestions while typing, and whether a word is one of its vocabulary's."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from django.contrib.postgres.search import TrigramWordSimilarity
from django.db.models import Case, IntegerField, Q, Value, When

from datasets import identifiers
from datasets.description.entries import Entry, Wrong
from datasets.description.units import cannot_be
from datasets.models import Term, Vocabulary, VocabularyUse

MOST_SUGGESTED = 12
MOST_HELPED = 20  # wrong words beside which others are suggested
WORDS = {"keywords": "value", "instruments": "name", "platforms": "name"}


def vocabularies_for(use: str) -> list[Vocabulary]:
    """The loaded vocabularies that hold words of this use."""
    return list(Vocabulary.objects.filter(use=use))


def suggest(begun: str, *, use: str, scheme: str = "", most: int = MOST_SUGGESTED) -> list[Term]:
    """Terms that hold all the words typed so far, those that begin with them first; where none does, those spelled alike."""
    terms = Term.objects.filter(vocabulary__use=use, instead="", **({"vocabulary__slug": scheme} if scheme else {}))
    words = begun.replace("_", " ").replace(">", " ").split()[:12]
    if not words:
        return []
    holding = Q()
    for word in words:
        meant = Q() if use == VocabularyUse.STANDARD_NAMES else Q(meaning__icontains=word)  # definitions of standard names mention others
        holding &= Q(path__icontains=word) | meant
    first = Case(
        When(label__iexact=begun.strip(), then=Value(0)),
        When(label__istartswith=begun.strip(), then=Value(1)),
        When(path__icontains=words[0], then=Value(2)),
        default=Value(3),
        output_field=IntegerField(),
    )
    found: list[Term] = list(terms.filter(holding).order_by(first, "path")[:most])
    return found or _alike(terms, begun, most)


def _alike(terms: Any, typed: str, most: int) -> list[Term]:
    return list(terms.alias(near=TrigramWordSimilarity(typed, "path")).filter(near__gt=0.4).order_by("-near", "path")[:most])


def complete(name: str, kept: list[Entry], wrong: Mapping[str, Any], *, most_helped: int = MOST_HELPED) -> tuple[list[Entry], Wrong]:
    """Entries that name a vocabulary with what the vocabulary says of the word; and what is wrong where it does not have it, by path."""
    if name not in WORDS:
        return [_with_address(name, entry) for entry in kept], {}
    part, use = WORDS[name], name
    schemes = {one.slug: one for one in Vocabulary.objects.filter(use=use)} if any(entry["scheme"] for entry in kept) else {}
    terms = _find({(entry["scheme"], entry[part]) for entry in kept if entry["scheme"] in schemes})
    completed, unknown = [], dict[str, list[str]]()
    for at, entry in enumerate(kept):
        term = terms.get((entry["scheme"], entry[part].casefold()))
        path = f"{name}.{at}.{part}"
        if not entry["scheme"] or any(one.startswith(f"{name}.{at}.") for one in wrong):
            completed.append(_with_address(name, entry))
        elif entry["scheme"] not in schemes:
            unknown[f"{name}.{at}.scheme"] = [f"No vocabulary {entry['scheme']!r} is loaded here. {_which(schemes.values())}"]
        elif term is None:
            near = suggest(entry[part], use=use, scheme=entry["scheme"], most=3) if len(unknown) < most_helped else []
            unknown[path] = [_not_there(entry[part], schemes[entry["scheme"]], near)]
        elif term.instead:
            unknown[path] = [f"{term.path} was replaced: write {term.instead}."]
        else:
            completed.append(_of_term(name, entry, term, schemes[entry["scheme"]]))
    return completed, unknown


def _find(wanted: set[tuple[str, str]]) -> dict[tuple[str, str], Term]:
    """Terms by (vocabulary, path or label in small letters); a label that two terms carry names neither."""
    found: dict[tuple[str, str], Term] = {}
    for scheme in {scheme for scheme, _ in wanted}:
        typed = [word for one, word in wanted if one == scheme]
        terms = Term.objects.filter(vocabulary__slug=scheme)
        by_path = Q()
        for word in typed:
            by_path |= Q(path__iexact=word) | Q(label__iexact=word) | Q(identifier__iexact=word)
        rows = list(terms.filter(by_path))
        labels = [row.label.casefold() for row in rows]
        for row in rows:
            found[scheme, row.identifier.casefold()] = row
            if labels.count(row.label.casefold()) == 1:
                found[scheme, row.label.casefold()] = row
        found |= {(scheme, row.path.casefold()): row for row in rows}
    return found


def _of_term(name: str, entry: Entry, term: Term, vocabulary: Vocabulary) -> Entry:
    address = vocabulary.term_url.replace("{}", quote(term.identifier)) if term.identifier else ""
    known = {"identifier": term.identifier, "url": address, "scheme_name": vocabulary.name}
    if name == "keywords":
        return {"scheme": entry["scheme"], "value": term.path, "label": term.label, "scheme_url": vocabulary.url} | known
    return {"scheme": entry["scheme"], "name": term.label} | known


def _with_address(name: str, entry: Entry) -> Entry:
    """An entry with the address that its identifier leads to, for those that have one."""
    if name == "related":
        return entry | {"url": identifiers.related_url(entry["identifier"], entry["type"])}
    if name == "funders":
        return entry | {"url": identifiers.funder_url(entry["identifier"], entry["identifier_type"])}
    if name in {"instruments", "platforms"} and not entry["scheme"]:
        kind = "URL" if identifiers.WEB.fullmatch(entry["identifier"]) else "DOI" if entry["identifier"].startswith("10.") else "Handle"
        return entry | {"url": identifiers.related_url(entry["identifier"], kind) if entry["identifier"] else "", "scheme_name": ""}
    return entry


def _which(vocabularies: Iterable[Vocabulary]) -> str:
    names = ", ".join(one.slug for one in vocabularies)
    return f"Loaded are {names}." if names else "None is: an operator loads one with manage.py load_keywords."


def _not_there(typed: str, vocabulary: Vocabulary, near: Sequence[Term]) -> str:
    remedy = f"Did you mean {' or '.join(one.path for one in near)}?" if near else "Type a part of a word and choose from the list."
    return f"{vocabulary.name} has no term {typed[:80]!r}. {remedy}"


def units_of(standard_name: str) -> str:
    """The canonical units of a standard name; empty where no table knows it."""
    found = Term.objects.filter(vocabulary__use=VocabularyUse.STANDARD_NAMES, path=standard_name.partition(" ")[0]).first()
    return found.units if found else ""


def check_units(measured: Mapping[str, tuple[str, str]]) -> Wrong:
    """What is doubtful about units, by the keys given to (standard name, unit): those that cannot be converted to the canonical one.

    It warns: data carry what they carry. A modifier behind a blank may change the unit, and is not looked at. One statement.
    """
    asked = {key: pair for key, pair in measured.items() if all(pair) and " " not in pair[0].strip()}
    terms = Term.objects.filter(vocabulary__use=VocabularyUse.STANDARD_NAMES, path__in={name for name, _ in asked.values()})
    canonical = dict(terms.exclude(units="").values_list("path", "units")) if asked else {}
    return {
        key: [f"{unit[:40]} cannot be converted to {canonical[name]}, in which CF measures {name}."]
        for key, (name, unit) in asked.items()
        if name in canonical and cannot_be(unit, canonical[name])
    }


def check_standard_names(names: Mapping[str, str]) -> Wrong:
    """What is wrong with standard names, by the keys given; nothing where no table is loaded, and of an excerpt only what it replaced.

    A modifier behind a blank (CF conventions 1.11, appendix C) is not looked at.
    """
    vocabulary = Vocabulary.objects.filter(use=VocabularyUse.STANDARD_NAMES).order_by("-is_whole", "-loaded_at").first() if names else None
    if vocabulary is None:
        return {}
    terms = {term.path: term for term in vocabulary.terms.filter(path__in={name.partition(" ")[0] for name in names.values()})}
    wrong: Wrong = {}
    for key, name in names.items():
        term = terms.get(name.partition(" ")[0])
        if term is not None and term.instead:
            wrong[key] = [f"{term.path} is an old name: write {term.instead}."]
        elif term is None and vocabulary.is_whole:
            near = suggest(name, use=VocabularyUse.STANDARD_NAMES, most=3) if len(wrong) < MOST_HELPED else []
            wrong[key] = [_not_there(name, vocabulary, near) + " Leave it empty if none fits."]
    return wrong
