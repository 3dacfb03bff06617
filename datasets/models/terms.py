"""The terms under which the files of a dataset are given, version by version, and who agreed to which."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from datasets.models.dataset import Dataset


class TermsQuerySet(models.QuerySet["Terms"]):
    def current(self) -> Self:
        """Those that are asked now; at most one of a dataset."""
        return self.filter(retired_at=None)


class Terms(models.Model):
    """One version of the text; it never changes. A new text is a new version, and is asked anew."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="terms")
    number = models.PositiveIntegerField()
    text = models.TextField()
    published_at = models.DateTimeField(auto_now_add=True)
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    retired_at = models.DateTimeField(null=True, blank=True)

    objects = TermsQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        verbose_name_plural = "terms"
        constraints = [
            models.UniqueConstraint(fields=["dataset", "number"], name="terms_number"),
            models.UniqueConstraint(fields=["dataset"], condition=Q(retired_at=None), name="terms_one_current"),
            models.CheckConstraint(name="terms_say_something", condition=~Q(text="")),
        ]

    def __str__(self) -> str:
        return f"terms of {self.dataset.slug}, version {self.number}"


class TermsAcceptance(models.Model):
    """A person agreed to a version of the terms; once is enough."""

    terms = models.ForeignKey(Terms, on_delete=models.CASCADE, related_name="acceptances")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="accepted_terms")
    accepted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-accepted_at"]
        constraints = [models.UniqueConstraint(fields=["terms", "user"], name="terms_accepted_once")]

    def __str__(self) -> str:
        return f"{self.user} accepted {self.terms}"
