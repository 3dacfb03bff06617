"""Published files that are no longer what was published, one row a finding, and the alarms that their stewards get."""

from typing import Self

from django.db import models
from django.db.models import Q

from datasets.models.dataset import Dataset
from datasets.models.inventory import File
from datasets.models.version import Version


class DamageKind(models.TextChoices):
    MISSING = "missing", "Gone"
    CHANGED = "changed", "Changed"
    CHECKSUM = "checksum", "Other bytes of the same size"


class DamageQuerySet(models.QuerySet["Damage"]):
    def open(self) -> Self:
        return self.filter(healed_at=None)


class Damage(models.Model):
    """A published file that was found gone or with other bytes; `healed_at` says when it was found whole again.

    `replaced_at` says that a later version does without the file: the loss stays, and nobody is alarmed by it any more. The file row is
    named without a constraint of the database, so that file rows can be deleted by sets; a published one is deleted with its dataset alone.
    """

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="damages")
    file = models.ForeignKey(File, on_delete=models.DO_NOTHING, db_constraint=False, related_name="damages")
    kind = models.CharField(max_length=10, choices=DamageKind.choices)
    found_at = models.DateTimeField()
    healed_at = models.DateTimeField(null=True, blank=True)
    replaced_at = models.DateTimeField(null=True, blank=True)

    objects = DamageQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["file"], condition=Q(healed_at=None), name="damage_one_open")]

    def __str__(self) -> str:
        return f"{self.kind} {self.file_id}"


class LiftedAs(models.TextChoices):
    WHOLE = "whole", "Found whole again"
    REPLACED = "replaced", "Replaced by a new version"
    WITHDRAWN = "withdrawn", "Withdrawn"


class AlarmQuerySet(models.QuerySet["Alarm"]):
    def open(self) -> Self:
        return self.filter(lifted_at=None)


class Alarm(models.Model):
    """That a published version is damaged, from when it was raised until it was lifted, and why it was."""

    version = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="alarms")
    words = models.TextField()
    raised_at = models.DateTimeField(auto_now_add=True)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_as = models.CharField(max_length=10, choices=LiftedAs.choices, blank=True)
    mail_due_at = models.DateTimeField(null=True, blank=True, help_text="When its mail to the stewards is tried (again); null once it left")
    mailed_at = models.DateTimeField(null=True, blank=True)

    objects = AlarmQuerySet.as_manager()

    class Meta:
        ordering = ["-raised_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["version"], condition=Q(lifted_at=None), name="alarm_one_open"),
            models.CheckConstraint(
                name="alarm_lifted_says_why", condition=Q(lifted_at=None, lifted_as="") | (Q(lifted_at__isnull=False) & ~Q(lifted_as=""))
            ),
        ]
        indexes = [models.Index(fields=["mail_due_at"], condition=Q(mail_due_at__isnull=False), name="alarm_mail_due")]

    def __str__(self) -> str:
        return f"{self.version}: {self.words}"
