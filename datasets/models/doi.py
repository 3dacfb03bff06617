"""The DOI of a version, and the outbox that registers it: a row that waits is registered by a worker, however long DataCite is out."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from datasets.models.moving import Claimed, ClaimedQuerySet
from datasets.models.version import Version
from datasets.states import DOI_MOVES, DoiStatus, Moves


class DoiQuerySet(ClaimedQuerySet["Doi"]):
    pass


class Doi(Claimed):
    """The DOI of one version. `wanted` counts what DataCite should be told, `told` what it was: it waits while the first is ahead."""

    MOVES: ClassVar[Moves] = DOI_MOVES

    version = models.OneToOneField(Version, on_delete=models.CASCADE, related_name="doi")
    name = models.CharField(max_length=200, unique=True, help_text="Prefix and suffix, such as 10.5072/7f3k-9q2m")
    status = models.CharField(max_length=10, choices=DoiStatus.choices, default=DoiStatus.RESERVED)
    reserved_at = models.DateTimeField(auto_now_add=True)
    registered_at = models.DateTimeField(null=True, blank=True, help_text="When DataCite first took it")
    wanted = models.PositiveIntegerField(default=0)
    told = models.PositiveIntegerField(default=0)
    n_attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)

    objects = DoiQuerySet.as_manager()

    class Meta:
        verbose_name = "DOI"
        indexes = [models.Index(fields=["due_at"], condition=Q(status="pending"), name="doi_due")]
        constraints = [
            models.CheckConstraint(name="doi_told_is_wanted", condition=Q(told__lte=models.F("wanted"))),
            models.CheckConstraint(name="doi_registered_has_date", condition=~Q(status="registered") | Q(registered_at__isnull=False)),
            models.CheckConstraint(name="doi_failure_has_error", condition=~Q(status="failed") | ~Q(error="")),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def url(self) -> str:
        return f"https://doi.org/{self.name}"

    @property
    def resolves(self) -> bool:
        """Whether DataCite has it, so that its address leads here."""
        return self.registered_at is not None

    def write_event(self, **move: object) -> None:
        self.version.events.create(dataset_id=self.version.dataset_id, act="DOI", **move)
