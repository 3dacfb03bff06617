"""What a reader found, put into what a description takes: words of vocabularies looked up, what breaks a rule left out and told."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from datasets import identifiers
from datasets.description import entries, vocabularies
from datasets.models import Vocabulary, VocabularyUse
from datasets.readers import Described

LONGEST = {"title": 300, "source_name": 300, "source_url": 500, "contact_name": 200, "temporal_resolution": 40}
TOGETHER = ({"west", "south", "east", "north"}, {"temporal_start", "temporal_end"})
LISTS = tuple(name for name in entries.LISTS if name != "keywords")


def settle(described: Described) -> dict[str, Any]:
    """The description to register. What is left out is added to what `described` has no place for."""
    stated = dict(described.stated)
    for name, most in LONGEST.items():
        if len(stated.get(name, "")) > most:
            described.leave(name, f"Longer than {most} characters; left out is: …{stated[name][most:]}")
            stated[name] = stated[name][:most]
    stated["creators"] = [_with_affiliations(one, described) for one in stated.get("creators", ())]
    _settle_keywords(stated, described)
    for name in LISTS:
        if name in stated:
            stated[name] = _settle_list(name, stated[name], described)
    if "subjects" in stated:
        stated["subjects"] = _settle_subjects(stated["subjects"], described)
    if "places" in stated:
        stated["places"] = [place[:200] for place in stated["places"]][:500]
    return {name: value for name, value in stated.items() if value not in ("", [])}


def _with_affiliations(creator: Mapping[str, Any], described: Described) -> dict[str, Any]:
    kept = []
    for one in creator["affiliations"]:
        name, ror = entries.one_line(one["name"])[:200], one["ror"]
        try:
            ror = identifiers.read_ror(ror) if ror else ""
        except ValidationError as error:
            described.leave("creators.affiliations", f"{name}: {ror}: {' '.join(error.messages)}")
            ror = ""
        kept.append({"name": name, "ror": ror})
    return {**creator, "affiliations": kept}


def _settle_list(name: str, rows: list[Mapping[str, Any]], described: Described) -> list[dict[str, Any]]:
    """The entries that the rules of `entries` take, each without the parts that they do not take."""
    needed = {part.name for part in entries.LISTS[name] if part.is_needed}
    kept: list[dict[str, Any]] = []
    for at, row in enumerate(rows):
        entry = dict(row)
        for _ in entries.LISTS[name]:
            _, wrong = entries.clean(name, [entry])
            for path, words in wrong.items():
                part = path.rpartition(".")[2]
                described.leave(f"{name}.{at}.{part}", f"{entry.get(part) or row.get('name', '')}: {' '.join(words)}")
                entry = {} if part in needed else entry | {part: ""}
            if not wrong or not entry:
                break
        _, doubled = entries.clean(name, [*kept, entry])
        if entry and not doubled:
            kept.append(entry)
    if len(kept) > entries.MOST_ENTRIES:
        described.leave(name, f"{len(kept)} entries, of which the first {entries.MOST_ENTRIES} are kept.")
    return kept[: entries.MOST_ENTRIES]


def _settle_keywords(stated: dict[str, Any], described: Described) -> None:
    """Words of a vocabulary that is loaded here are keywords; others are subjects by their last part."""
    schemes = list(Vocabulary.objects.filter(use=VocabularyUse.KEYWORDS)) if stated.get("keywords") else []
    said = list(stated.pop("keywords", ()))
    slugs = [next((known.slug for known in schemes if _is_of(known, one)), "") for one in said]
    known = _known_terms([(slug, one["value"]) for slug, one in zip(slugs, said, strict=True)])
    kept: list[dict[str, str]] = []
    for slug, one in zip(slugs, said, strict=True):
        if (slug, one["value"]) in known:
            kept.append({"scheme": slug, "value": one["value"]})
            continue
        word = one["value"].rpartition(">")[2].strip()
        why = "this vocabulary has no such term" if slug else "the vocabulary is not loaded"
        described.leave(
            "keywords", f"{one['value']} of {one['scheme_name'] or one['scheme_url']}: {why}; it is kept as the subject {word}."
        )
        stated["subjects"] = [*stated.get("subjects", ()), word]
    distinct = {(one["scheme"], one["value"].casefold()): one for one in kept}
    stated["keywords"] = list(distinct.values())


def _known_terms(said: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of some (vocabulary, word) pairs that the vocabulary has; all are looked up together, without suggestions."""
    asked: list[tuple[tuple[str, str], entries.Entry]] = []
    for slug, value in dict.fromkeys(said):
        cleaned, wrong = entries.clean("keywords", [{"scheme": slug, "value": value}])
        if slug and cleaned and not wrong:
            asked.append(((slug, value), cleaned[0]))
    _, unknown = vocabularies.complete("keywords", [entry for _, entry in asked], {}, most_helped=0)
    absent = {int(path.split(".")[1]) for path in unknown}
    return {pair for at, (pair, _) in enumerate(asked) if at not in absent}


def _is_of(scheme: Vocabulary, keyword: Mapping[str, str]) -> bool:
    told = {keyword["scheme_name"].casefold(), keyword["scheme_url"].rstrip("/").casefold()} - {""}
    return bool(told & {scheme.name.casefold(), scheme.slug, scheme.url.rstrip("/").casefold()})


def _settle_subjects(words: list[str], described: Described) -> list[str]:
    known: dict[str, str] = {}
    for word in map(entries.one_line, words):
        if len(word) > 120:
            described.leave("subjects", f"Longer than 120 characters: {word}")
        elif word:
            known.setdefault(word.casefold(), word)
    return list(known.values())[:500]


def drop_wrong(stated: dict[str, Any], wrong: Mapping[str, list[str]], described: Described) -> bool:
    """Take out of a description what was refused, and tell it. False where nothing of it could be taken out: the title must be right."""
    is_better = False
    gone = set[int]()
    for path, words in wrong.items():
        name, _, rest = path.partition(".")
        at, _, part = rest.partition(".")
        if name not in stated:
            continue
        described.leave(path, " ".join(words))
        is_better = True
        if at and part and name == "variables" and part != "name":
            stated[name][int(at)] = {**stated[name][int(at)], part: ""}
        elif at and name == "variables":
            gone.add(int(at))
        else:
            for one in next((group for group in TOGETHER if name in group), {name}):
                stated.pop(one, None)
    if gone:
        stated["variables"] = [row for at, row in enumerate(stated["variables"]) if at not in gone]
    return is_better
