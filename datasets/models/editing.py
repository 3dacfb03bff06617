"""Who edits the description of a dataset, since when and until when, and what she typed that is not in the description yet."""

import datetime as dt
import uuid
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from datasets.models.dataset import Dataset


class EditingQuerySet(models.QuerySet["Editing"]):
    def holding(self, now: dt.datetime) -> Self:
        """The locks in force: held, and not run out."""
        return self.filter(is_holder=True, until__gt=now)


class Editing(models.Model):
    """One person at the description of one dataset. Of these one at most holds the lock; it runs out by itself."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="editings")
    editor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.UUIDField(default=uuid.uuid4, help_text="The form that was opened last: what another one of hers wrote is news to it")
    is_holder = models.BooleanField(default=False)
    since = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(default=timezone.now)
    revision = models.PositiveIntegerField(null=True, blank=True, help_text="The revision that this form wrote last")
    unsaved = models.TextField(blank=True, help_text="The form as it was sent, where the description has not taken all of it")
    kept_at = models.DateTimeField(null=True, blank=True)

    objects = EditingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "editor"], name="editing_once"),
            models.UniqueConstraint(fields=["dataset"], condition=Q(is_holder=True), name="editing_one_holder"),
            models.CheckConstraint(name="editing_runs_forward", condition=Q(until__gte=F("since"))),
            models.CheckConstraint(name="editing_kept_has_date", condition=Q(unsaved="") | Q(kept_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.editor} at {self.dataset_id}"
