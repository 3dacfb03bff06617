"""What is left of a published dataset that is gone, for harvesters that still list it."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from datasets.models.series import Series


class DeletedRecord(models.Model):
    """A dataset that was public once and is not any more. A database trigger writes it, so that no way of deleting forgets it."""

    dataset_id = models.UUIDField(primary_key=True)
    access_policy = models.CharField(max_length=12)
    subject_facet = ArrayField(models.TextField(), default=list)
    series = models.ForeignKey(Series, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    deleted_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["deleted_at", "dataset_id"], name="deletedrecord_harvest")]

    def __str__(self) -> str:
        return str(self.dataset_id)
