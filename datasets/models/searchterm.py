"""The words of published descriptions, for suggestions that forgive typing errors."""

from django.contrib.postgres.indexes import GinIndex
from django.db import models


class SearchTerm(models.Model):
    """A word and in how many published datasets it stands; drafts never put a word here."""

    word = models.TextField(unique=True, db_collation="C")
    n_datasets = models.PositiveIntegerField()

    class Meta:
        indexes = [GinIndex(fields=["word"], name="searchterm_trigrams", opclasses=["gin_trgm_ops"])]

    def __str__(self) -> str:
        return self.word
