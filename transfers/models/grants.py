"""Rules that the portal keeps on the archive itself, and what was found when its grants were compared with the collections."""

import uuid

from django.db import models

from datasets.models import Dataset
from transfers.models.requests import DataRequest


class ArchiveRule(models.Model):
    """The read rule that lets everybody, or every signed-in person, read a published dataset's folder in the archive."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="archive_rules")
    collection_id = models.UUIDField()
    path = models.TextField()
    principal_type = models.CharField(max_length=32)
    rule_id = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["collection_id", "path", "principal_type"], name="archiverule_once")]

    def __str__(self) -> str:
        return f"{self.principal_type} may read {self.path}"


class Drift(models.Model):
    """A difference between what the portal granted and what a collection's access list says."""

    class Finding(models.TextChoices):
        MISSING = "missing", "Granted by the portal, not in the access list"
        LEFT_BEHIND = "left-behind", "In the access list after the share ended"
        UNKNOWN = "unknown", "In the access list, not made by the portal"
        FOLDER_LEFT_BEHIND = "folder-left-behind", "A folder of a share that ended"

    run_id = models.UUIDField(default=uuid.uuid4)
    found_at = models.DateTimeField(auto_now_add=True)
    finding = models.CharField(max_length=24, choices=Finding.choices)
    collection_id = models.UUIDField()
    rule_id = models.CharField(max_length=64, blank=True)
    path = models.TextField()
    principal = models.CharField(max_length=100, blank=True)
    permissions = models.CharField(max_length=4, blank=True)
    request = models.ForeignKey(DataRequest, null=True, blank=True, on_delete=models.SET_NULL, related_name="drifts")
    repaired_at = models.DateTimeField(null=True, blank=True)
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["-found_at", "-id"]
        indexes = [models.Index(fields=["run_id"], name="drift_run")]

    def __str__(self) -> str:
        return f"{self.finding}: {self.path}"
