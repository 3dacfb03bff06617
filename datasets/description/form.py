"""The form of a description: what is typed as arguments of `registering.describe`, and what is known as what stands in its fields.

A list of entries is a group of fields named `creators.0.name`: one row an entry, read in the order of their `order`, without those that
are empty or ticked to be removed. `Typed.path` says under which name the form shows what the verb calls `creators.2.name`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from datasets.description import editing, entries, spelling, stating
from datasets.description.editing import Form
from datasets.description.entries import Wrong
from datasets.description.vocabularies import check_units, units_of
from datasets.errors import InvalidError
from datasets.identifiers import licence_words, resolution_words
from datasets.models import Dataset
from datasets.moments import start_of_day

SIDES = ("west", "south", "east", "north")
POINT = ("point_longitude", "point_latitude")
PLAIN = tuple(name for name in stating.DESCRIBED if name not in {*SIDES, "embargo_ends_at"})
VARIABLE = ("name", "standard_name", "long_name", "units")
PARTS: dict[str, tuple[str, ...]] = {
    **{name: tuple(part.name for part in parts) for name, parts in entries.LISTS.items()},
    "variables": VARIABLE,
}
# Parts that the form chooses beforehand: a row with nothing else is empty.
CHOSEN = {"keywords": {"scheme"}}
# Fields whose rules span others: what is wrong with any of them is told when one changes.
TOGETHER = {**dict.fromkeys((*SIDES, *POINT), SIDES), "temporal_start": ("temporal_start", "temporal_end")}
MOST_ROWS = 3_000
SPELLED = ("title", "abstract")

Row = dict[str, str]


@dataclass
class Typed:
    """What stands in the form: plain fields by name, rows by list; and what of it cannot be read."""

    fields: dict[str, str] = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=dict)
    numbers: dict[str, list[int]] = field(default_factory=dict)
    wrong: Wrong = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    """The plain fields that stand there without having been sent: they are shown, and not stated again. So are lists without `numbers`."""

    def over(self, shown: "Typed") -> "Typed":
        """The same, with what is known in the fields and lists that nothing was sent for."""
        known = frozenset(set(shown.fields) - set(self.fields))
        return Typed({**shown.fields, **self.fields}, {**shown.rows, **self.rows}, self.numbers, self.wrong, known)

    def differing_from(self, shown: "Typed") -> dict[str, str]:
        """What the description says where the form says something else; entries as lines of text."""
        fields = {name: value for name, value in shown.fields.items() if self.fields[name].replace("\r\n", "\n").strip() != value.strip()}
        lists = {name: rows for name, rows in shown.rows.items() if self.rows.get(name) != rows}
        return fields | {name: "; ".join(next((part for part in row.values() if part), "") for row in rows) for name, rows in lists.items()}

    def path(self, path: str) -> str:
        """The name under which the form has what the verb calls by this path."""
        name, _, rest = path.partition(".")
        at, _, part = rest.partition(".")
        if name in self.numbers and at.isdecimal() and int(at) < len(self.numbers[name]):
            return f"{name}.{self.numbers[name][int(at)]}.{part}"
        return "embargo_ends_on" if path == "embargo_ends_at" else path


def read(asked: QueryDict) -> Typed:
    """What was typed, row by row."""
    typed = Typed(fields={name: str(value) for name, value in asked.items() if "." not in name and name != "more"})
    for name, parts in PARTS.items():
        numbers = sorted({int(found[1]) for key in asked if (found := re.fullmatch(rf"{name}\.(\d{{1,4}})\.\w+", key))})[:MOST_ROWS]
        if not numbers and f"{name}.shown" not in asked:
            continue
        rows = [{part: str(asked.get(f"{name}.{at}.{part}", "")).strip() for part in (*parts, "order", "drop")} for at in numbers]
        typing = [part for part in parts if part not in CHOSEN.get(name, ())]
        kept = [(at, row) for at, row in zip(numbers, rows, strict=True) if not row["drop"] and any(row[part] for part in typing)]
        kept.sort(key=lambda one: float(one[1]["order"]) if re.fullmatch(r"\d{1,4}", one[1]["order"]) else 10_000)
        typed.numbers[name] = [at for at, _ in kept]
        typed.rows[name] = [{part: row[part] for part in parts} for _, row in kept]
    return typed


def stated(typed: Typed) -> dict[str, Any]:
    """The arguments of `registering.describe`; what cannot be read is left out and stands in `typed.wrong`."""
    sent = {name: value for name, value in typed.fields.items() if name not in typed.known}
    fields: dict[str, Any] = {name: sent[name].strip() for name in PLAIN if name in sent}
    fields |= _place(sent, typed.wrong)
    if "embargo_ends_on" in sent:
        try:
            fields["embargo_ends_at"] = start_of_day(sent["embargo_ends_on"].strip(), "embargo_ends_on")
        except InvalidError as error:
            typed.wrong |= error.fields
    if "subjects" in sent:
        fields["subjects"] = sent["subjects"].split(",")
    if "places" in sent:
        fields["places"] = sent["places"].splitlines()
    fields |= {name: entries.from_text(name, sent[name]) for name in entries.LISTS if name in sent}  # as text, an entry a line
    return fields | {name: list(rows) for name, rows in typed.rows.items() if name in typed.numbers}


def _place(sent: Mapping[str, str], wrong: Wrong) -> dict[str, str]:
    """The four sides, which are those of a point where one is typed."""
    point = [sent.get(name, "").strip() for name in POINT]
    box = {name: sent[name].strip() for name in SIDES if name in sent}
    if not any(point):
        return box
    if any(box.values()):
        wrong["west"] = ["Give a box or a point, not both: empty the one that does not hold."]
    return dict(zip(SIDES, (*point, *point), strict=True))


def save(dataset: Dataset, typed: Typed, *, user: Any, form: Form, is_take_over: bool = False) -> None:
    """Save what was typed. Raises InvalidError naming every wrong field as the form names it, and else as `editing.save` does."""
    fields = stated(typed)
    if typed.wrong:
        raise InvalidError(fields=wrong_of(dataset, typed, fields))
    try:
        editing.save(dataset, user=user, form=form, fields=fields, is_take_over=is_take_over)
    except InvalidError as error:
        raise InvalidError(error.detail, fields={typed.path(path): words for path, words in error.fields.items()}) from error


def words_of(path: str) -> str:
    """How people call a field: Creators, ORCID for `creators.2.orcid`."""
    name, _, rest = path.partition(".")
    part = rest.rpartition(".")[2]
    label = next((one.label for one in entries.LISTS.get(name, ()) if one.name == part), part.replace("_", " "))
    return f"{name.replace('_', ' ').capitalize()}{f', {label}' if part else ''}"


def wrong_of(dataset: Dataset, typed: Typed, fields: Mapping[str, Any]) -> Wrong:
    """All that is wrong, by the names of the form; nothing is saved."""
    found = stating.clean(Dataset.objects.get(pk=dataset.pk), fields)
    return {typed.path(path): words for path, words in found.wrong.items()} | typed.wrong


def told_of(dataset: Dataset, typed: Typed, name: str) -> tuple[list[str], str]:
    """(what is wrong with one field, a word about it where it is right), by the rules that saving has."""
    wrong = wrong_of(dataset, typed, stated(typed))
    words = [one for path in TOGETHER.get(name, (name,)) for one in wrong.get(path, ())]
    return list(dict.fromkeys(words)), "" if words else _note(typed, name)


def doubt_about(dataset: Dataset, typed: Typed, name: str) -> str:
    """What is doubtful about a field that is not wrong: a word that may be misspelt, a unit that its quantity is not measured in."""
    if name in SPELLED:
        pairs = spelling.doubtful(dataset, {name: typed.fields.get(name, "")}).get(name, [])
        return f"{spelling.in_words(pairs)}." if pairs else ""
    numbers = typed.numbers.get("variables", [])
    if (found := re.fullmatch(r"variables\.(\d{1,4})\.(standard_name|units)", name)) and int(found[1]) in numbers:
        row = typed.rows["variables"][numbers.index(int(found[1]))]
        return " ".join(check_units({"units": (row.get("standard_name", ""), row.get("units", ""))}).get("units", []))
    return ""


def _note(typed: Typed, name: str) -> str:
    value = typed.fields.get(name, "").strip()
    if name == "licence":
        return licence_words(value)
    if name == "temporal_resolution":
        return resolution_words(value.upper()) if value else ""
    if found := re.fullmatch(r"variables\.(\d{1,4})\.standard_name", name):
        at = typed.numbers.get("variables", []).index(int(found[1])) if int(found[1]) in typed.numbers.get("variables", []) else -1
        units = units_of(typed.rows["variables"][at]["standard_name"]) if at >= 0 else ""
        return f"Canonical unit: {units}" if units else ""
    return ""


def shown(dataset: Dataset) -> Typed:
    """What stands in the form before anybody types."""
    fields = {name: str(getattr(dataset, name) or "") for name in PLAIN}
    sides = {name: "" if getattr(dataset, name) is None else f"{getattr(dataset, name):.10g}" for name in SIDES}
    point = [sides["west"], sides["south"]] if dataset.point else ["", ""]
    fields |= dict.fromkeys(SIDES, "") if dataset.point else sides
    fields |= dict(zip(POINT, point, strict=True))
    fields["embargo_ends_on"] = str(dataset.embargo_ends_at.date()) if dataset.embargo_ends_at else ""
    fields["subjects"] = ", ".join(dataset.subjects.values_list("name", flat=True))
    fields["places"] = "\n".join(dataset.places)
    rows = {name: [_row(name, one) for one in kept] for name, kept in entries.of(dataset).items()}
    rows["variables"] = [{name: getattr(one, name) for name in VARIABLE} for one in dataset.variables.all()]
    return Typed(fields=fields, rows=rows)


def _row(name: str, entry: Mapping[str, Any]) -> Row:
    row = {part: str(entry.get(part, "")) for part in PARTS[name]}
    if name == "creators":
        row["affiliations"] = "\n".join(map(entries.affiliation_words, entry["affiliations"]))
    return row
