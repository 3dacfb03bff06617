"""The form of a description: what is typed as arguments of `registering.describe`, and what is known as what stands in its fields."""

from typing import Any

from django.http import QueryDict

from datasets import registering
from datasets.errors import InvalidError
from datasets.models import Dataset
from datasets.moments import start_of_day

SIDES = ("west", "south", "east", "north")
TEXTS = (
    "title",
    "abstract",
    "licence",
    "access_policy",
    "access_note",
    "share_variant",
    "contact",
    "source_name",
    "source_url",
    "provenance",
    "temporal_start",
    "temporal_end",
    "classification",
)


def read(asked: QueryDict) -> dict[str, Any]:
    """The arguments of `registering.describe` that the form states. Raises InvalidError naming every field that cannot be read."""
    fields: dict[str, Any] = {name: _text(asked, name) for name in TEXTS if name in asked}
    if any(name in asked for name in SIDES):
        fields |= {name: _number(_text(asked, name), name) for name in SIDES}
    if "embargo_ends_on" in asked:
        fields["embargo_ends_at"] = start_of_day(_text(asked, "embargo_ends_on"), "embargo_ends_on")
    if "subjects" in asked:
        fields["subjects"] = [name.strip() for name in _text(asked, "subjects").split(",") if name.strip()]
    if "creators" in asked:
        fields["creators"] = registering.read_creators(_text(asked, "creators"))
    return fields


def shown(dataset: Dataset) -> dict[str, str]:
    """What stands in the fields, by name."""
    found = {name: str(getattr(dataset, name) or "") for name in TEXTS}
    found |= {name: "" if getattr(dataset, name) is None else f"{getattr(dataset, name):.10g}" for name in SIDES}
    found["embargo_ends_on"] = str(dataset.embargo_ends_at.date()) if dataset.embargo_ends_at else ""
    found["subjects"] = ", ".join(dataset.subjects.values_list("name", flat=True))
    found["creators"] = "\n".join("; ".join(filter(None, (one.name, one.orcid, one.affiliation))) for one in dataset.creators.all())
    return found


def _text(asked: QueryDict, name: str) -> str:
    return str(asked.get(name, "")).strip()


def _number(text: str, name: str) -> float | None:
    try:
        return float(text) if text.strip() else None
    except ValueError as error:
        raise InvalidError(fields={name: ["A number of degrees."]}) from error
