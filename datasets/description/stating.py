"""What may be stated of a dataset: every field's rule in one place, for the verb, the form, the check while typing, the API and the table.

`clean` finds all that is wrong at once. What stands already and is stated again unchanged is not asked about: a licence in words and the
standard names that files carry stay as they are until somebody changes them.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model

from datasets import identifiers
from datasets.description import entries, vocabularies
from datasets.description.entries import Wrong
from datasets.models import Creator, Dataset, Variable

DESCRIBED = (
    "title",
    "abstract",
    "licence",
    "access_policy",
    "access_note",
    "classification",
    "embargo_ends_at",
    "share_variant",
    "west",
    "south",
    "east",
    "north",
    "temporal_start",
    "temporal_end",
    "temporal_resolution",
    "contact_name",
    "contact",
    "source_name",
    "source_url",
    "provenance",
)
LISTS = ("funders", "related", "keywords", "instruments", "platforms")
APART = ("creators", "subjects", "variables")
STATED = (*DESCRIBED, "places", *LISTS, *APART)
MOST_WORDS = 500
MOST_VARIABLES = 2_000
# Rules that span fields, and the field that is told.
ACROSS = {"The end lies before the start.": "temporal_end", "Give all four sides": "west", "Internal and controlled files": "access_policy"}


@dataclass
class Stated:
    """A description by its parts as they are kept: columns of the dataset, and what has tables of its own (None where nothing is said)."""

    columns: dict[str, Any] = field(default_factory=dict)
    creators: list[Creator] | None = None
    subjects: list[str] | None = None
    variables: list[Variable] | None = None
    wrong: Wrong = field(default_factory=dict)


def clean(row: Dataset, stated: Mapping[str, Any]) -> Stated:
    """Put what is stated into the form that is kept, and find all that is wrong, by path. `row` takes the columns, and is not saved."""
    found = Stated(wrong={name: ["There is no such field."] for name in stated if name not in STATED})
    present = {name: getattr(row, name) for name in DESCRIBED}
    for name in (name for name in DESCRIBED if name in stated):
        try:
            found.columns[name] = _column(name, stated[name], present[name])
        except ValidationError as error:
            found.wrong[name] = error.messages
    if "places" in stated:
        found.columns["places"] = _words(stated["places"], "places", found.wrong)
    for name in (name for name in LISTS if name in stated):
        found.columns[name], wrong = entries.clean(name, stated[name] or ())
        found.columns[name], unknown = vocabularies.complete(name, found.columns[name], wrong)
        found.wrong |= wrong | unknown
    for name, value in found.columns.items():
        setattr(row, name, value)
    _check_row(row, found.wrong)
    _clean_apart(row, stated, found)
    return found


def _clean_apart(row: Dataset, stated: Mapping[str, Any], found: Stated) -> None:
    if stated.get("creators") is not None:
        made, wrong = entries.clean("creators", stated["creators"])
        found.wrong |= wrong
        found.creators = [Creator(dataset=row, position=at, **one) for at, one in enumerate(made)]
    if stated.get("subjects") is not None:
        found.subjects = _words(stated["subjects"], "subjects", found.wrong, most=120)
    if stated.get("variables") is not None:
        found.variables = _variables(row, stated["variables"], found.wrong)


def _column(name: str, value: Any, present: Any) -> Any:
    """One plain field. Raises ValidationError with the remedy."""
    if isinstance(value, str):
        value = value.strip()
        if name in READERS and value and value != present:
            return READERS[name](value)
    return None if name in NOT_TEXT and value == "" else value


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise ValidationError("A date looks like 1999-12-31.") from error


def _degrees(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ValidationError("A number of degrees, such as -105.2 for 105.2° west.") from error


READERS: dict[str, Callable[[str], Any]] = {
    "licence": identifiers.read_licence,
    "temporal_start": _date,
    "temporal_end": _date,
    "temporal_resolution": identifiers.read_resolution,
    **dict.fromkeys(("west", "south", "east", "north"), _degrees),
}
NOT_TEXT = {"west", "south", "east", "north", "temporal_start", "temporal_end", "embargo_ends_at"}


def _check_row(row: Dataset, wrong: Wrong) -> None:
    """The rules of the model: what a field holds, and the constraints that span fields, told at a field."""
    for name, words in _troubles(row, exclude=set(wrong)).items():
        for one in words:
            at = next((place for begun, place in ACROSS.items() if one.startswith(begun)), name)
            wrong.setdefault(at, []).append(one)


def _troubles(row: Model, exclude: set[str]) -> Wrong:
    try:
        row.full_clean(exclude=exclude)
    except ValidationError as error:
        return dict(error.message_dict)
    return {}


def _words(given: Sequence[Any], name: str, wrong: Wrong, most: int = 200) -> list[str]:
    """A list of names without blanks around them and without doubles."""
    found = [word for word in dict.fromkeys(map(entries.one_line, given or ())) if word]
    if too_long := next((word for word in found if len(word) > most), None):
        wrong[name] = [f"“{too_long[:40]}…” is too long: at most {most} characters. Separate the words."]
    if len(found) > MOST_WORDS:
        wrong[name] = [f"At most {MOST_WORDS} of them."]
    return found


def _variables(row: Dataset, given: Sequence[Mapping[str, Any]], wrong: Wrong) -> list[Variable]:
    """Rows of variables. Dimensions and the example of a quick look stay where nothing is said of them."""
    present = {one.name: one for one in row.variables.all()} if row.pk and not row._state.adding else {}  # noqa: SLF001  (as Django documents it)
    made: list[Variable] = []
    asked: dict[str, Variable] = {}
    for at, row_given in enumerate(given):
        one = {name: value if name == "dimensions" else entries.one_line(value) for name, value in row_given.items()}
        known = present.get(str(one.get("name", "")))
        kept = {"dimensions": known.dimensions, "example_path": known.example_path} if known else {}
        if not isinstance(one.get("dimensions", []), list | tuple):
            wrong[f"variables.{at}.dimensions"] = ["A list of names of dimensions."]
            del one["dimensions"]
        elif "dimensions" in one:
            one["dimensions"] = [entries.one_line(name) for name in one["dimensions"]]
        unknown = set(one) - {"name", "standard_name", "long_name", "units", "dimensions", "example_path"}
        variable = Variable(dataset=row, **kept | {name: value for name, value in one.items() if name not in unknown})
        troubles = _troubles(variable, {"dataset"}) | {name: ["There is no such part."] for name in unknown}
        if variable.name in {other.name for other in made}:
            troubles["name"] = ["A variable of this name stands in the list already."]
        wrong |= {f"variables.{at}.{name}": words for name, words in troubles.items()}
        if variable.standard_name and (known is None or known.standard_name != variable.standard_name):
            asked[f"variables.{at}.standard_name"] = variable
        made.append(variable)
    if len(made) > MOST_VARIABLES:
        wrong["variables"] = [f"At most {MOST_VARIABLES} variables."]
    wrong |= vocabularies.check_standard_names({path: one.standard_name for path, one in asked.items()})
    return made
