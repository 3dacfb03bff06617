"""What happened to a dataset, its versions and its scans."""

from django.db import models

from datasets.models.moving import Event


class DatasetEvent(Event):
    """One act on a dataset."""

    dataset = models.ForeignKey("datasets.Dataset", on_delete=models.CASCADE, related_name="events")
    version = models.ForeignKey("datasets.Version", on_delete=models.SET_NULL, null=True, blank=True, related_name="events")
    scan = models.ForeignKey("datasets.ScanRun", on_delete=models.SET_NULL, null=True, blank=True, related_name="events")
    act = models.CharField(max_length=40)
    old = models.CharField(max_length=20, blank=True)
    new = models.CharField(max_length=20, blank=True)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.act} {self.old}->{self.new}" if self.new else self.act
