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


class FixityCadence(models.TextChoices):
    NEVER = "never", "Never"
    MONTHLY = "monthly", "Once a month"
    QUARTERLY = "quarterly", "Once in three months"
    YEARLY = "yearly", "Once a year"


class Watch(models.Model):
    """The settings of one dataset."""

    dataset = models.OneToOneField(Dataset, on_delete=models.CASCADE, primary_key=True, related_name="watch")
    acceptance = models.CharField(max_length=8, choices=Acceptance.choices, default=Acceptance.FIRST)
    rescan_every = models.CharField(max_length=8, choices=Cadence.choices, default=Cadence.NEVER)
    rescan_due_at = models.DateTimeField(null=True, blank=True)
    verify_every = models.CharField(max_length=10, choices=FixityCadence.choices, default=FixityCadence.NEVER)
    verify_due_at = models.DateTimeField(
        null=True, blank=True, help_text="When the next files are read again; in the future while some are"
    )
    n_to_verify = models.BigIntegerField(default=0, help_text="Published files with a checksum, as last counted")
    n_verified = models.BigIntegerField(default=0, help_text="Of them, those that were read whole within the period")
    n_unread = models.BigIntegerField(default=0, help_text="Of them, those that could not be read when last tried")
    last_verified_at = models.DateTimeField(null=True, blank=True)
    verify_error = models.TextField(blank=True, help_text="Why nothing is read at the moment")

    class Meta:
        indexes = [
            models.Index(fields=["verify_due_at"], condition=Q(verify_due_at__isnull=False), name="watch_verify_due"),
            models.Index(fields=["rescan_due_at"], condition=Q(rescan_due_at__isnull=False), name="watch_rescan_due"),
        ]
        constraints = [
            models.CheckConstraint(
                name="watch_rescan_has_date", condition=Q(rescan_every="never", rescan_due_at=None) | ~Q(rescan_every="never")
            ),
            models.CheckConstraint(
                name="watch_verify_has_date", condition=Q(verify_every="never", verify_due_at=None) | ~Q(verify_every="never")
            ),
        ]

    def __str__(self) -> str:
        return f"watch of {self.dataset_id}"
