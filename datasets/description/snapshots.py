"""The description of a dataset as plain values: kept with each version at its publication, so that any two can be held side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datasets.description import stating
from datasets.description.entries import affiliation_words
from datasets.models import Dataset, Version

LABELS = {
    "title": "Title",
    "abstract": "Abstract",
    "creators": "Creators",
    "subjects": "Subjects",
    "keywords": "Keywords",
    "variables": "Variables",
    "instruments": "Instruments",
    "platforms": "Platforms",
    "funders": "Funders",
    "related": "Related works",
    "licence": "Licence",
    "access_policy": "Access",
    "access_note": "Why access is so",
    "classification": "Classification",
    "bbox": "Place",
    "places": "Names of places",
    "temporal_start": "First day",
    "temporal_end": "Last day",
    "temporal_resolution": "Resolution in time",
    "source_name": "Source",
    "source_url": "Address of the source",
    "provenance": "Provenance",
    "contact_name": "Contact person",
    "contact": "Contact",
}
PLAIN = (
    "title", "abstract", "licence", "access_policy", "access_note", "classification", "source_name", "source_url", "provenance", "contact",
    "contact_name", "temporal_resolution", "places", *stating.LISTS,
)  # fmt: skip


@dataclass(frozen=True)
class FieldChange:
    """A field of the description that differs; values as lines of text, empty where nothing was said."""

    field: str
    label: str
    old: tuple[str, ...]
    new: tuple[str, ...]


def snapshot(dataset: Dataset) -> dict[str, Any]:
    """The description now, as JSON. Order counts for the lists of `entries`, not for subjects and variables."""
    return {
        **{name: getattr(dataset, name) for name in PLAIN},
        "creators": [[one.name, one.orcid, one.ror, *map(affiliation_words, one.affiliations)] for one in dataset.creators.all()],
        "subjects": sorted(one.name for one in dataset.subjects.all()),
        "variables": sorted([one.name, one.standard_name, one.long_name, one.units] for one in dataset.variables.all()),
        "bbox": list(dataset.bbox) if dataset.bbox else None,
        "temporal_start": str(dataset.temporal_start or ""),
        "temporal_end": str(dataset.temporal_end or ""),
    }


def description_of(version: Version) -> Mapping[str, Any] | None:
    """As it was published, or as it is now for a draft; None for a version that was published before descriptions were kept."""
    if version.is_draft:
        return snapshot(version.dataset)
    kept: Mapping[str, Any] | None = version.description
    return kept


def description_changes(old: Version, new: Version) -> list[FieldChange] | None:
    """The fields that differ between two versions, in the order of the page; None where one of the descriptions was not kept."""
    before, after = description_of(old), description_of(new)
    if before is None or after is None:
        return None
    sides = ((name, label, _lines(before.get(name)), _lines(after.get(name))) for name, label in LABELS.items())
    return [FieldChange(*side) for side in sides if side[2] != side[3]]


def _lines(value: Any) -> tuple[str, ...]:
    if not value:
        return ()
    if isinstance(value, list):
        return tuple("; ".join(_parts(one)) for one in value)
    return tuple(str(value).splitlines())


def _parts(one: Any) -> list[str]:
    """What a line says of an entry: of keywords and devices their words, of funders and related works all but derived addresses."""
    if isinstance(one, dict):
        return [str(part) for name, part in one.items() if part and name not in {"url", "label", "scheme", "scheme_url", "identifier_type"}]
    return [str(part) for part in one if part] if isinstance(one, list) else [str(one)]
