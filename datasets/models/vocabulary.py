"""Vocabularies that words of a description are chosen from: keywords, instruments, platforms, standard names. Loaded by commands."""

from django.contrib.postgres.indexes import GinIndex
from django.db import models


class VocabularyUse(models.TextChoices):
    KEYWORDS = "keywords", "Keywords"
    INSTRUMENTS = "instruments", "Instruments"
    PLATFORMS = "platforms", "Platforms"
    STANDARD_NAMES = "standard-names", "Standard names of variables"


class Vocabulary(models.Model):
    """A list of terms that somebody else keeps, as it was loaded last."""

    slug = models.SlugField(unique=True)
    use = models.CharField(max_length=20, choices=VocabularyUse.choices)
    name = models.CharField(max_length=200)
    url = models.URLField(max_length=500, blank=True)
    term_url = models.CharField(max_length=500, blank=True, db_default="", help_text="Where a term is kept; {} stands for its identifier")
    edition = models.CharField(max_length=100, blank=True, help_text="The version that its keeper gives it")
    is_whole = models.BooleanField(default=True, help_text="Not an excerpt: what is not in it does not exist")
    loaded_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "vocabularies"
        constraints = [models.CheckConstraint(name="vocabulary_use_known", condition=models.Q(use__in=VocabularyUse.values))]

    def __str__(self) -> str:
        return self.name


class Term(models.Model):
    """A term of a vocabulary; `path` names it from the top, its levels joined by " > "."""

    vocabulary = models.ForeignKey(Vocabulary, on_delete=models.CASCADE, related_name="terms")
    path = models.TextField()
    label = models.CharField(max_length=300)
    identifier = models.CharField(max_length=200, blank=True)
    meaning = models.TextField(blank=True)
    units = models.CharField(max_length=100, blank=True)
    instead = models.TextField(blank=True, help_text="The path of the term that replaced it")

    class Meta:
        ordering = ["path"]
        indexes = [GinIndex(fields=["path"], opclasses=["gin_trgm_ops"], name="term_spelling")]
        constraints = [models.UniqueConstraint(fields=["vocabulary", "path"], name="term_path")]

    def __str__(self) -> str:
        return self.path
