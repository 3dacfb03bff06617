"""The lists of a description: creators, funders, related works, keywords, instruments, platforms. Their parts and rules; no database.

An entry is a mapping of strings (a creator's `affiliations` are a list of `{name, ror}`). `clean` takes what was typed and gives what is
kept. Words that belong to a vocabulary are looked up by `stating`, which calls this module.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError

from datasets import identifiers

Entry = dict[str, Any]
Wrong = dict[str, list[str]]

MOST_ENTRIES = 500
SEPARATOR, NEXT = ";", "|"


@dataclass(frozen=True)
class Part:
    """One part of an entry: its name, how people call it, and how long it may be."""

    name: str
    label: str
    most: int = 300
    is_needed: bool = False


# relationType and resourceTypeGeneral of DataCite 4.6: https://datacite-metadata-schema.readthedocs.io/en/4.6/appendices/appendix-1/
RELATIONS = (
    "IsCitedBy", "Cites", "IsSupplementTo", "IsSupplementedBy", "IsContinuedBy", "Continues", "IsNewVersionOf",
    "IsPreviousVersionOf", "IsPartOf", "HasPart", "IsPublishedIn", "IsReferencedBy", "References", "IsDocumentedBy", "Documents",
    "IsCompiledBy", "Compiles", "IsVariantFormOf", "IsOriginalFormOf", "IsIdenticalTo", "HasMetadata", "IsMetadataFor", "Reviews",
    "IsReviewedBy", "IsDerivedFrom", "IsSourceOf", "Describes", "IsDescribedBy", "HasVersion", "IsVersionOf", "Requires",
    "IsRequiredBy", "Obsoletes", "IsObsoletedBy", "Collects", "IsCollectedBy", "HasTranslation", "IsTranslationOf",
)  # fmt: skip
RESOURCE_TYPES = (
    "Audiovisual", "Award", "Book", "BookChapter", "Collection", "ComputationalNotebook", "ConferencePaper", "ConferenceProceeding",
    "DataPaper", "Dataset", "Dissertation", "Event", "Image", "Instrument", "InteractiveResource", "Journal", "JournalArticle",
    "Model", "OutputManagementPlan", "PeerReview", "PhysicalObject", "Preprint", "Project", "Report", "Service", "Software",
    "Sound", "Standard", "StudyRegistration", "Text", "Workflow", "Other",
)  # fmt: skip
NAME = Part("name", "Name", 200, is_needed=True)
DEVICE = (NAME, Part("scheme", "Vocabulary", 50), Part("identifier", "Identifier", 300))
LISTS: dict[str, tuple[Part, ...]] = {
    "creators": (NAME, Part("orcid", "ORCID", 60), Part("ror", "ROR id", 60), Part("affiliations", "Affiliations", 2_000)),
    "funders": (
        NAME,
        Part("identifier", "Identifier of the funder"),
        Part("award_number", "Award number", 100),
        Part("award_title", "Title of the award"),
        Part("award_uri", "Address of the award", 500),
    ),
    "related": (
        Part("relation", "Relation", 40, is_needed=True),
        Part("type", "Type", 20),
        Part("identifier", "Identifier", 500, is_needed=True),
        Part("resource_type", "What it is", 40),
        Part("title", "Title or citation", 500),
    ),
    "keywords": (Part("scheme", "Vocabulary", 50, is_needed=True), Part("value", "Keyword", 500, is_needed=True)),
    "instruments": DEVICE,
    "platforms": DEVICE,
}
# What is found by the rules, and accepted from who sends back what she read.
FOUND = {
    "funders": ("identifier_type", "url"),
    "related": ("url",),
    "keywords": ("label", "identifier", "url", "scheme_name", "scheme_url"),
    "instruments": ("url", "scheme_name"),
    "platforms": ("url", "scheme_name"),
    "creators": ("affiliation",),
}


def words_apart(term: str) -> str:
    """Is documented by, for IsDocumentedBy."""
    return re.sub(r"(?<!^)([A-Z])", r" \1", term).lower()


def clean(name: str, rows: Iterable[Mapping[str, Any]]) -> tuple[list[Entry], Wrong]:
    """The entries as they are kept, and what is wrong by path (`funders.0.identifier`). Entries without any word are left out."""
    entries: list[Entry] = []
    wrong: Wrong = {}
    seen = set[tuple[str, ...]]()
    for row in rows:
        entry, troubles = _clean_parts(name, row)
        if not any(entry.values()):
            continue
        at = len(entries)
        try:
            entry = CLEAN[name](entry, troubles)
        except ValidationError as error:  # of the entry as a whole
            troubles.setdefault(LISTS[name][0].name, []).extend(error.messages)
        key = tuple(str(entry.get(part, "")).lower() for part in KEYS[name])
        if key in seen and not troubles:
            troubles[KEYS[name][-1]] = ["This stands in the list already. Remove one of the two."]
        seen.add(key)
        wrong |= {f"{name}.{at}.{part}": words for part, words in troubles.items()}
        entries.append(entry)
    if len(entries) > MOST_ENTRIES:
        wrong[name] = [f"At most {MOST_ENTRIES} entries."]
    return entries, wrong


def _clean_parts(name: str, row: Mapping[str, Any]) -> tuple[Entry, Wrong]:
    """The parts as stripped text, and which are missing, unknown or too long."""
    known = {part.name for part in LISTS[name]}
    entry = {part.name: one_line(row.get(part.name)) for part in LISTS[name]}
    if name == "creators":
        entry["affiliations"] = row.get("affiliations") or row.get("affiliation") or ""
    troubles = {part: ["There is no such part."] for part in row if part not in known and part not in FOUND[name]}
    if any(entry.values()):
        for part in LISTS[name]:
            if part.is_needed and not entry[part.name]:
                troubles[part.name] = ["This is needed. Remove the whole entry if it is not."]
            elif isinstance(entry[part.name], str) and len(entry[part.name]) > part.most:
                troubles[part.name] = [f"{part.label}: at most {part.most} characters."]
    return entry, troubles


def one_line(value: Any) -> str:
    """Text without blanks around it or doubled, and without the one character that no text column holds."""
    return "" if value is None else " ".join(str(value).replace("\0", "").split())


def _read(entry: Entry, troubles: Wrong, part: str, read: Callable[[str], str]) -> None:
    """Put a part into the form that is kept, or say what is wrong with it."""
    if entry[part] and part not in troubles:
        try:
            entry[part] = read(entry[part])
        except ValidationError as error:
            troubles[part] = error.messages


def _clean_creator(entry: Entry, troubles: Wrong) -> Entry:
    _read(entry, troubles, "orcid", identifiers.read_orcid)
    _read(entry, troubles, "ror", identifiers.read_ror)
    if entry["orcid"] and entry["ror"] and not troubles:
        troubles["ror"] = ["An ORCID is a person's, a ROR id an organisation's. Her organisation goes under affiliations."]
    typed = entry["affiliations"]
    entry["affiliations"] = []
    try:
        entry["affiliations"] = read_affiliations(typed)
    except ValidationError as error:
        troubles["affiliations"] = error.messages
    return entry


def read_affiliations(typed: str | Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """[{name, ror}] from itself, or from text: one a line or separated by semicolons, each a name with its ROR id behind it where known."""
    if isinstance(typed, str):
        typed = [_split_ror(one) for one in re.split(r"[\n;]", typed) if one.strip()]
    found = []
    for one in typed if isinstance(typed, list | tuple) else [typed]:
        if not isinstance(one, Mapping) or set(one) - {"name", "ror"} or not one_line(one.get("name")):
            raise ValidationError("An affiliation is a name, with its ROR id behind it where it has one.")
        name, ror = one_line(one["name"]), one_line(one.get("ror"))
        if len(name) > 200:
            raise ValidationError("An affiliation has at most 200 characters.")
        found.append({"name": name, "ror": identifiers.read_ror(ror) if ror else ""})
    return found


LONGEST_ROR = 200
ROR_BEHIND = re.compile(r"\(?((https?://)?ror\.org/\S+?)\)?\s*$", re.IGNORECASE)


def _split_ror(text: str) -> dict[str, str]:
    """`NCAR https://ror.org/05cvfcr44` as name and ROR id."""
    text = text.strip()
    found = ROR_BEHIND.search(text, max(len(text) - LONGEST_ROR, 0))
    return {"name": text[: found.start()].strip(" ,") if found else text, "ror": found[1] if found else ""}


def _clean_funder(entry: Entry, troubles: Wrong) -> Entry:
    entry["identifier_type"] = ""
    if entry["identifier"] and "identifier" not in troubles:
        try:
            entry["identifier"], entry["identifier_type"] = identifiers.read_funder(entry["identifier"])
        except ValidationError as error:
            troubles["identifier"] = error.messages
    _read(entry, troubles, "award_uri", identifiers.read_web_address)
    return entry


def _clean_related(entry: Entry, troubles: Wrong) -> Entry:
    entry["type"] = entry["type"] or _guess_type(entry["identifier"])
    kinds = {one.lower(): one for one in identifiers.RELATED_TYPES}
    for part, known in (("relation", RELATIONS), ("type", tuple(identifiers.RELATED_TYPES)), ("resource_type", RESOURCE_TYPES)):
        if entry[part] and entry[part] not in known and part not in troubles:
            near = next((one for one in known if one.lower() == entry[part].lower()), "")
            troubles[part] = [f"There is no such {part.replace('_', ' ')}{f': write {near}' if near else ', choose one of DataCite'}."]
    if "type" not in troubles and entry["type"].lower() in kinds:
        _read(entry, troubles, "identifier", lambda typed: identifiers.read_related(typed, entry["type"]))
    return entry


def _guess_type(identifier: str) -> str:
    """The type that an identifier has by its form: a DOI, an arXiv id, an ISBN, a handle; else it is taken for an address."""
    bare = re.sub(r"^https?://((dx\.)?doi\.org|hdl\.handle\.net|arxiv\.org/abs)/", "", identifier, flags=re.IGNORECASE)
    if bare == identifier and identifiers.WEB.fullmatch(identifier):
        return "URL"
    return next((kind for kind in ("DOI", "arXiv", "ISBN", "Handle") if bare and identifiers.RELATED_TYPES[kind].is_one(bare)), "URL")


def _clean_keyword(entry: Entry, _troubles: Wrong) -> Entry:
    return entry | {"value": " > ".join(part.strip() for part in entry["value"].split(">")).strip()}


def _clean_device(entry: Entry, troubles: Wrong) -> Entry:
    """A device by a name of its own may carry a DOI, a handle or an address; one of a vocabulary gets the vocabulary's."""
    if entry["identifier"] and not entry["scheme"] and "identifier" not in troubles:
        try:
            entry["identifier"] = identifiers.read_related(entry["identifier"], _guess_type(entry["identifier"]))
        except ValidationError:
            troubles["identifier"] = ["The identifier of an instrument or platform is a DOI, a handle or a web address."]
    return entry


CLEAN: dict[str, Callable[[Entry, Wrong], Entry]] = {
    "creators": _clean_creator,
    "funders": _clean_funder,
    "related": _clean_related,
    "keywords": _clean_keyword,
    "instruments": _clean_device,
    "platforms": _clean_device,
}
KEYS = {
    "creators": ("orcid", "name"),
    "funders": ("name", "award_number"),
    "related": ("relation", "identifier"),
    "keywords": ("scheme", "value"),
    "instruments": ("scheme", "name"),
    "platforms": ("scheme", "name"),
}


def of(dataset: Any) -> dict[str, list[Entry]]:
    """The lists of a dataset by name, as they are kept."""
    creators = [{part.name: getattr(one, part.name) for part in LISTS["creators"]} for one in dataset.creators.all()]
    return {"creators": creators, **{name: getattr(dataset, name) for name in LISTS if name != "creators"}}


def as_line(name: str, entry: Mapping[str, Any]) -> str:
    """An entry as text: its parts in their order, separated by semicolons; a semicolon or bar within a part stands behind a backslash.

    A creator is her name, then what is known of ORCID, ROR id and affiliations.
    """
    if name == "creators":
        ror = f"{identifiers.ROR_URL}{entry['ror']}" if entry["ror"] else ""
        parts = [entry["name"], entry["orcid"], ror, *map(affiliation_words, entry["affiliations"])]
        parts = [part for part in parts if part]
    else:
        parts = [str(entry.get(part.name, "")) for part in LISTS[name]]
    return f"{SEPARATOR} ".join(re.sub(r"([;|\\])", r"\\\1", part) for part in parts).rstrip(f"{SEPARATOR} ")


def affiliation_words(affiliation: Mapping[str, str]) -> str:
    """NCAR https://ror.org/05cvfcr44, or the name alone."""
    return " ".join(filter(None, (affiliation["name"], f"{identifiers.ROR_URL}{affiliation['ror']}" if affiliation["ror"] else "")))


def from_text(name: str, text: str) -> list[dict[str, Any]]:
    """The entries of a text as `as_line` writes them, one a line or separated by bars."""
    rows = [_split(line, SEPARATOR) for line in _split(text, "\n", NEXT, keep=True)]
    rows = [[cell.strip() for cell in cells] for cells in rows if any(cell.strip() for cell in cells)]
    if name == "creators":
        return [_creator_of(cells) for cells in rows]
    parts = [part.name for part in LISTS[name]]
    return [dict(zip(parts, [*cells[: len(parts) - 1], f"{SEPARATOR} ".join(cells[len(parts) - 1 :])], strict=False)) for cells in rows]


def _creator_of(cells: Sequence[str]) -> dict[str, Any]:
    """Name; then in any order an ORCID, a ROR id of its own, and affiliations."""
    name, *more = cells
    orcid = next((cell for cell in more if re.match(r"\d{4}|https?://orcid", cell)), "")
    ror = next((cell for cell in more if re.match(r"https?://ror\.org/|ror\.org/", cell)), "")
    affiliations = [_split_ror(cell) for cell in more if cell and cell not in {orcid, ror}]
    return {"name": name, "orcid": orcid, "ror": ror, "affiliations": affiliations}


def _split(text: str, *separators: str, keep: bool = False) -> list[str]:
    """The pieces between separators; one behind a backslash separates nothing. `keep` leaves the backslashes for a second split."""
    pieces = [""]
    for token in re.findall(r"\\.|.", text, re.DOTALL):
        if token in separators:
            pieces.append("")
        else:
            pieces[-1] += token if keep or len(token) == 1 else token[1]
    return pieces
