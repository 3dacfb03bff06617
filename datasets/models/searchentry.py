"""What searches read: a narrow row a dataset, and the sets of places that `search/places.py` puts together from them."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import Value
from django.db.models.functions import Now, Repeat

from datasets.models.dataset import Dataset


class SearchEntry(models.Model):
    """The words of a dataset, and copies of what searches compare and sort by. They read these narrow rows instead of the wide datasets.

    `place` is the dataset's number in sets, never given again; `revision` grows with each change, in the order in which they are committed.
    `first_day` and `last_day` are those that the data cover; where one is stated alone, both are that.
    """

    place = models.AutoField(primary_key=True)
    dataset = models.OneToOneField(Dataset, on_delete=models.CASCADE, related_name="search_entry")
    revision = models.BigIntegerField(db_index=True)
    search_vector = SearchVectorField()
    title_vector = SearchVectorField()
    west = models.FloatField(null=True)
    south = models.FloatField(null=True)
    east = models.FloatField(null=True)
    north = models.FloatField(null=True)
    first_day = models.DateField(null=True)
    last_day = models.DateField(null=True)
    listed_at = models.DateTimeField(db_default=Now())
    n_files = models.BigIntegerField(db_default=0)
    size_bytes = models.BigIntegerField(db_default=0)
    # PostgreSQL moves values out of a row that is longer than 2 kB alone, and the words of most datasets are less: this makes every row as
    # long, is kept in some forty bytes, and the words lie outside (its storage is `main`, theirs `external`).
    padding = models.TextField(db_default=Repeat(Value(" "), Value(2048)), editable=False)

    class Meta:
        indexes = [
            GinIndex(fields=["search_vector"], name="searchentry_words", fastupdate=False),
            GinIndex(fields=["title_vector"], name="searchentry_titles", fastupdate=False),
        ]

    def __str__(self) -> str:
        return f"{self.place}"


class GonePlace(models.Model):
    """The place of a dataset that was deleted, written by a trigger; null where all are gone."""

    place = models.IntegerField(null=True)
    revision = models.BigIntegerField(db_index=True)

    def __str__(self) -> str:
        return f"{self.place}"


class KeptPlaces(models.Model):
    """A set of places as it was at a revision, in the portable format of Roaring bitmaps: what a process that starts reads first."""

    kind = models.CharField(max_length=8)
    key = models.IntegerField()
    revision = models.BigIntegerField()
    places = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "key"], name="keptplaces_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
