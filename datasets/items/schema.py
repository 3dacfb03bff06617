"""The columns of the items of a dataset: a draft's stewards define them, and a published version keeps its own."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from datasets.access import Visitor, check_curator
from datasets.curation.publishing import check_not_in_review
from datasets.errors import ConflictError, InvalidError
from datasets.items.filters import columns_of
from datasets.models import ColumnKind, Dataset, ItemColumn, Version
from datasets.models.items import slots_for

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
RESERVED = {"item", "files", "urls"}
MOST_CHOICES = 200
LONGEST_CHOICE = 100


@dataclass(frozen=True)
class Column:
    """What a steward says of a column."""

    name: str
    kind: str
    label: str = ""
    unit: str = ""
    choices: tuple[str, ...] = ()

    @property
    def definition(self) -> tuple[Any, ...]:
        return (self.name, self.kind, self.label, self.unit, list(self.choices))


def check_draft(version: Version, user: Visitor) -> None:
    """Raise unless she may change its items: ForbiddenError, or ConflictError for what is published, in review or in the bin."""
    check_curator(user, version.dataset)
    if not version.is_draft:
        raise ConflictError(f"The items of a published version stay as they are. Open a draft after version {version.number}.")
    if version.is_discarded:  # by somebody else meanwhile: it is restored as it was
        raise ConflictError("This draft lies in the bin. Restore it first.")
    check_not_in_review(version)


def read_columns(rows: Iterable[Mapping[str, Any]]) -> list[Column]:
    """Columns from a form or JSON: `name`, `kind`, `label`, `unit`, `choices` (a list, or text separated by commas).

    Raises InvalidError naming every fault at once, by position: `columns.0`.
    """
    found: list[Column] = []
    wrong: dict[str, list[str]] = {}
    for number, row in enumerate(rows):
        choices = row.get("choices") or ()
        listed = choices.split(",") if isinstance(choices, str) else choices
        texts = {name: str(row.get(name) or "").strip() for name in ("name", "kind", "label", "unit")}
        column = Column(**texts, choices=tuple(dict.fromkeys(str(one).strip() for one in listed if str(one).strip())))
        faults = [*_faults(column), *([f"{column.name} stands here twice."] if column.name in {one.name for one in found} else [])]
        if faults:
            wrong[f"columns.{number}"] = faults
        found.append(column)
    for kind in ("text", "number", "time"):
        most = len(slots_for(kind))
        if sum(one.kind in ({"text", "choice"} if kind == "text" else {kind}) for one in found) > most:
            wrong.setdefault("columns", []).append(f"At most {most} columns of {'texts and choices' if kind == 'text' else kind + 's'}.")
    if wrong:
        raise InvalidError(" ".join(words for texts in wrong.values() for words in texts), fields=wrong)
    return found


@transaction.atomic
def define_columns(version: Version, columns: Sequence[Column], *, user: Visitor) -> list[ItemColumn]:
    """Make these the columns of a draft's items. Values stay where name, kind and unit do; those of other columns go. Safe to repeat.

    Raises ConflictError for what is not a draft, InvalidError when a choice that items have is left out, or no place is left for a column.
    """
    Dataset.objects.held().get(pk=version.dataset_id)
    version.refresh_from_db(fields=["status"])  # it may have been published while this waited
    check_draft(version, user)
    present = {column.name: column for column in columns_of(version)}
    kept: dict[str, str] = {}
    for column in columns:
        before = present.get(column.name)
        if before is not None and (before.kind, before.unit) == (column.kind, column.unit):
            kept[column.name] = before.slot
            _check_choices(before, column)
    current = ItemColumn.objects.filter(dataset_id=version.dataset_id, last_version=None)
    current.filter(first_version__lt=version.number).update(last_version=version.number - 1)
    dropped = [one.slot for one in current if one.name not in kept]
    current.delete()
    _blank(version, dropped)
    for position, column in enumerate(columns):
        slot = kept.get(column.name) or _free_slot(version, column, taken=set(kept.values()))
        kept[column.name] = slot
        ItemColumn.objects.create(
            dataset_id=version.dataset_id, position=position, name=column.name, kind=column.kind, label=column.label, unit=column.unit,
            choices=list(column.choices), slot=slot, first_version=version.number,
        )  # fmt: skip
    _rejoin(version)
    return columns_of(version)


def _rejoin(version: Version) -> None:
    """A column that is as the version before has it goes on instead of starting anew."""
    own = {column.name: column for column in ItemColumn.objects.filter(dataset_id=version.dataset_id, first_version=version.number)}
    for before in ItemColumn.objects.filter(dataset_id=version.dataset_id, last_version=version.number - 1):
        now = own.get(before.name)
        if now is not None and (*now.definition, now.slot, now.position) == (*before.definition, before.slot, before.position):
            now.delete()
            before.last_version = None
            before.save(update_fields=["last_version"])


def _blank(version: Version, slots: Sequence[str]) -> None:
    """Take the values of dropped columns out of the draft's own items, so that another column may stand there."""
    if slots:
        nothing = ", ".join(f"{slot} = null" for slot in slots)
        with connection.cursor() as cursor:
            cursor.execute(
                f"update datasets_item set {nothing}, signature = '' where dataset_id = %s and first_version = %s",  # noqa: S608  (slots)
                [version.dataset_id, version.number],
            )


def _free_slot(version: Version, column: Column, *, taken: set[str]) -> str:
    """A place that no published version of the dataset uses: items that did not change are stored once for several versions."""
    used = set(ItemColumn.objects.filter(dataset_id=version.dataset_id, first_version__lt=version.number).values_list("slot", flat=True))
    for slot in slots_for(column.kind):
        if slot not in used | taken:
            return slot
    words = f"No place is left for {column.name}: earlier versions use all columns of its kind. Keep one of theirs by its name and unit."
    raise InvalidError(words, fields={"columns": [words]})


def _check_choices(before: ItemColumn, column: Column) -> None:
    lost = sorted(set(before.choices) - set(column.choices))
    if not lost:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"select {before.slot} from datasets_item where dataset_id = %s and last_version is null and {before.slot} = any(%s) limit 1",  # noqa: S608  (slot)
            [before.dataset_id, lost],
        )
        found = cursor.fetchone()
    if found:
        words = f"{column.name}: items have the choice {found[0]!r}. Keep it, or load them with another first."
        raise InvalidError(words, fields={"columns": [words]})


def _faults(column: Column) -> list[str]:
    found = []
    if not NAME.fullmatch(column.name) or column.name in RESERVED:
        found.append(f"{column.name[:40]!r} is no name for a column: a small letter first, then small letters, digits and _.")
    if column.kind not in ColumnKind.values:
        found.append(f"{column.name}: a kind of {', '.join(ColumnKind.values)}.")
    if column.unit and column.kind != ColumnKind.NUMBER:
        found.append(f"{column.name}: only numbers have a unit.")
    if (column.kind == ColumnKind.CHOICE) != bool(column.choices):
        found.append(f"{column.name}: a choice names its choices, and only a choice does.")
    if len(column.choices) > MOST_CHOICES or any(len(one) > LONGEST_CHOICE for one in column.choices):
        found.append(f"{column.name}: at most {MOST_CHOICES} choices of up to {LONGEST_CHOICE} characters.")
    if len(column.label) > 120 or len(column.unit) > 40 or "\0" in column.label + column.unit:
        found.append(f"{column.name}: a label of up to 120 characters, a unit of up to 40.")
    return found
