"""A web address that a description names, and what came of looking whether it still leads somewhere."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from datasets.models.dataset import Dataset


class LinkQuerySet(models.QuerySet["Link"]):
    def due(self, now: datetime) -> Self:
        """Those that wait for a worker, and those whose worker is gone."""
        return self.filter(Q(claimed_until=None) | Q(claimed_until__lte=now), due_at__lte=now)

    def dead(self) -> Self:
        return self.filter(is_dead=True)


class Link(models.Model):
    """One address of one dataset. `is_dead` says that its server was asked and has nothing there; None while nobody could ask."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="links")
    url = models.CharField(max_length=1_000)
    field = models.CharField(max_length=60, help_text="Where in the description it stands")
    is_dead = models.BooleanField(null=True)
    words = models.CharField(max_length=200, blank=True, help_text="What came of the last look")
    checked_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    n_failures = models.PositiveSmallIntegerField(default=0, help_text="Looks in a row that found no server")

    objects = LinkQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="link_due")]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "url"], name="link_once"),
            models.CheckConstraint(name="link_judged_has_date", condition=Q(is_dead=None) | Q(checked_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.url
