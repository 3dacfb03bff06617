"""How the files of a dataset are watched: what becomes of what a scan finds. A dataset without a row is watched by the defaults."""

from django.db import models

from datasets.models.dataset import Dataset


class Acceptance(models.TextChoices):
    FIRST = "first", "A steward accepts what a scan finds; the first scan of an empty draft is taken as it is"
    NEVER = "never", "A steward accepts what every scan finds"
    ALWAYS = "always", "What a scan finds is taken as it is"


class Watch(models.Model):
    """The settings of one dataset."""

    dataset = models.OneToOneField(Dataset, on_delete=models.CASCADE, primary_key=True, related_name="watch")
    acceptance = models.CharField(max_length=8, choices=Acceptance.choices, default=Acceptance.FIRST)

    def __str__(self) -> str:
        return f"watch of {self.dataset_id}"
