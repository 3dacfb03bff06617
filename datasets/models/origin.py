"""Which record of somebody else's a dataset was imported from, so that the same record never makes a second one."""

from django.conf import settings
from django.db import models

from datasets.models.dataset import Dataset


class Origin(models.Model):
    """The imported record of a dataset. `identifier` is the source's own, in the form of `datasets.readers.described.identifier_of`."""

    dataset = models.OneToOneField(Dataset, on_delete=models.CASCADE, related_name="origin")
    identifier = models.CharField(max_length=500, unique=True)
    format = models.CharField(max_length=20)
    digest = models.CharField(max_length=64, help_text="SHA-256 of what was read, which tells whether the record changed since")
    imported_at = models.DateTimeField()
    imported_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")

    def __str__(self) -> str:
        return self.identifier
