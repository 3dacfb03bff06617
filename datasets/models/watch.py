"""How the files of a dataset are watched: what becomes of what a scan finds, and when they are looked at again.

A dataset without a row is watched by the defaults.
"""

from django.db import models
from django.db.models import Q

from datasets.models.dataset import Dataset


class Acceptance(models.TextChoices):
    FIRST = "first", "A steward accepts what a scan finds; the first scan of an empty draft is taken as it is"
    NEVER = "never", "A steward accepts what every scan finds"
    ALWAYS = "always", "What a scan finds is taken as it is"


class Cadence(models.TextChoices):
    NEVER = "never", "Never"
    DAILY = "daily", "Every day"
    WEEKLY = "weekly", "Every week"
    MONTHLY = "monthly", "Every month"


class Watch(models.Model):
    """The settings of one dataset."""

    dataset = models.OneToOneField(Dataset, on_delete=models.CASCADE, primary_key=True, related_name="watch")
    acceptance = models.CharField(max_length=8, choices=Acceptance.choices, default=Acceptance.FIRST)
    rescan_every = models.CharField(max_length=8, choices=Cadence.choices, default=Cadence.NEVER)
    rescan_due_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["rescan_due_at"], condition=Q(rescan_due_at__isnull=False), name="watch_rescan_due")]
        constraints = [
            models.CheckConstraint(
                name="watch_rescan_has_date", condition=Q(rescan_every="never", rescan_due_at=None) | ~Q(rescan_every="never")
            )
        ]

    def __str__(self) -> str:
        return f"watch of {self.dataset_id}"
