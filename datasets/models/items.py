"""Items: what a file, or some files together, are of, in columns that the dataset's stewards define.

Columns and items are valid from a version to a version, as file rows are: what a published version says stays, and a draft ends or
replaces it. The values of an item stand in typed columns of the table (`number_3`), which is why a filter over a million items is an index
scan; a column of the schema says in its `slot` which of them it is. A slot that a published version used never becomes another column's.
"""

from typing import Any

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Q

from datasets.models.dataset import Dataset
from datasets.models.inventory import Folder

LONGEST_KEY = 300


class ColumnKind(models.TextChoices):
    TEXT = "text", "Text"
    NUMBER = "number", "Number"
    TIME = "time", "Time"
    CHOICE = "choice", "Choice"


SLOTS = {
    "text": tuple(f"text_{n}" for n in range(1, 9)),
    "number": tuple(f"number_{n}" for n in range(1, 9)),
    "time": tuple(f"time_{n}" for n in range(1, 5)),
}
ALL_SLOTS = tuple(slot for slots in SLOTS.values() for slot in slots)


def slots_for(kind: str) -> tuple[str, ...]:
    """Where values of this kind may stand; a choice is kept as text."""
    return SLOTS["text" if kind == ColumnKind.CHOICE else kind]


class ItemColumn(models.Model):
    """A column of the items of a dataset, from a version on."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="item_columns")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=40, help_text="A letter, then letters, digits and _")
    kind = models.CharField(max_length=6, choices=ColumnKind.choices)
    label = models.CharField(max_length=120, blank=True)
    unit = models.CharField(max_length=40, blank=True, help_text="Of numbers: m, degC, hPa")
    choices = models.JSONField(default=list, blank=True)
    slot = models.CharField(max_length=10)
    first_version = models.PositiveIntegerField()
    last_version = models.PositiveIntegerField(null=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "name"], condition=Q(last_version=None), name="itemcolumn_current"),
            models.UniqueConstraint(fields=["dataset", "slot"], condition=Q(last_version=None), name="itemcolumn_slot"),
            models.CheckConstraint(
                name="itemcolumn_versions_in_order", condition=Q(last_version=None) | Q(last_version__gte=F("first_version"))
            ),
            models.CheckConstraint(name="itemcolumn_unit_of_number", condition=Q(unit="") | Q(kind="number")),
            models.CheckConstraint(
                name="itemcolumn_choice_has_choices", condition=(Q(kind="choice") & ~Q(choices=[])) | (~Q(kind="choice") & Q(choices=[]))
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def title(self) -> str:
        """As a table's head says it, with the unit."""
        return f"{self.label or self.name.replace('_', ' ').capitalize()}{f' ({self.unit})' if self.unit else ''}"

    @property
    def definition(self) -> tuple[Any, ...]:
        """What a steward says of it."""
        return (self.name, self.kind, self.label, self.unit, list(self.choices))


class Item(models.Model):
    """One item, as it is from `first_version` to `last_version`; null: until further notice."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="items", db_index=False)
    key = models.TextField(db_collation="C", help_text="Its name, one of its own within the dataset")
    first_version = models.PositiveIntegerField()
    last_version = models.PositiveIntegerField(null=True)
    signature = models.TextField(blank=True, help_text="Digest of what was loaded: the same again changes nothing")
    text_1 = models.TextField(null=True, db_collation="C")  # noqa: DJ001  (null: the item has none)
    text_2 = models.TextField(null=True, db_collation="C")  # noqa: DJ001
    text_3 = models.TextField(null=True, db_collation="C")  # noqa: DJ001
    text_4 = models.TextField(null=True, db_collation="C")  # noqa: DJ001
    text_5 = models.TextField(null=True, db_collation="C")  # noqa: DJ001
    text_6 = models.TextField(null=True, db_collation="C")  # noqa: DJ001
    text_7 = models.TextField(null=True, db_collation="C")  # noqa: DJ001
    text_8 = models.TextField(null=True, db_collation="C")  # noqa: DJ001
    number_1 = models.FloatField(null=True)
    number_2 = models.FloatField(null=True)
    number_3 = models.FloatField(null=True)
    number_4 = models.FloatField(null=True)
    number_5 = models.FloatField(null=True)
    number_6 = models.FloatField(null=True)
    number_7 = models.FloatField(null=True)
    number_8 = models.FloatField(null=True)
    time_1 = models.DateTimeField(null=True)
    time_2 = models.DateTimeField(null=True)
    time_3 = models.DateTimeField(null=True)
    time_4 = models.DateTimeField(null=True)
    words = SearchVectorField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "key", "first_version"], name="item_first_version"),
            models.UniqueConstraint(fields=["dataset", "key"], condition=Q(last_version=None), name="item_current"),
            models.CheckConstraint(name="item_versions_in_order", condition=Q(last_version=None) | Q(last_version__gte=F("first_version"))),
            models.CheckConstraint(name="item_has_key", condition=~Q(key="")),
        ]
        indexes = [
            GinIndex(fields=["words"], name="item_words"),
            # What any two versions differ in is among these rows, and mostly they are few.
            models.Index(fields=["dataset"], condition=Q(first_version__gt=1) | Q(last_version__isnull=False), name="item_changed"),
            *(models.Index(fields=["dataset", slot], condition=Q(**{f"{slot}__isnull": False}), name=f"item_{slot}") for slot in ALL_SLOTS),
        ]

    def __str__(self) -> str:
        return self.key


class ItemFile(models.Model):
    """A file that an item is of: by folder and name, whatever the file holds in one version or another."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="files", db_index=False)
    folder = models.ForeignKey(Folder, on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.TextField(db_collation="C")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "folder", "name"], name="itemfile_once")]
        indexes = [models.Index(fields=["folder", "name", "item"], name="itemfile_of_file")]

    def __str__(self) -> str:
        return self.name
