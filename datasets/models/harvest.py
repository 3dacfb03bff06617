"""A harvest of another archive's descriptions by OAI-PMH: what was asked for, how far it is, what came of each record."""

from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from datasets.models.dataset import Dataset
from datasets.models.moving import Claimed, ClaimedQuerySet, Event
from datasets.models.watch import Cadence
from datasets.states import HARVEST_MOVES, HARVEST_OPEN, HARVEST_WORKING, HarvestStatus, Moves

OPEN = ["queued", "running", "paused"]
ENDED = ["done", "failed", "cancelled"]


class HarvestQuerySet(ClaimedQuerySet["Harvest"]):
    def visible_to(self, user: Any) -> Self:
        """Her own; all for an operator. Without the role of a steward, none."""
        if getattr(user, "is_operator", False):
            return self.all()
        return self.filter(asked_by_id=user.pk) if getattr(user, "is_steward", False) else self.none()

    def open(self) -> Self:
        return self.filter(status__in=HARVEST_OPEN)

    def working(self) -> Self:
        """Those that a worker has, or will have."""
        return self.filter(status__in=HARVEST_WORKING)


class Harvest(Claimed):
    """A standing order and its present run. A run that follows one that ended well asks for what changed since then alone."""

    MOVES: ClassVar[Moves] = HARVEST_MOVES

    base_url = models.CharField(max_length=500)
    prefix = models.CharField(max_length=20)
    set_spec = models.CharField(max_length=200, blank=True)
    since = models.CharField(max_length=20, blank=True, help_text="The day or moment that was asked for, as the provider has them")
    until = models.CharField(max_length=20, blank=True)
    every = models.CharField(max_length=8, choices=Cadence.choices, default=Cadence.NEVER)
    next_at = models.DateTimeField(null=True, blank=True, help_text="When the calendar queues it again")
    harvested_until = models.CharField(
        max_length=20, blank=True, help_text="The provider's clock when the last whole run began: the next one asks from here"
    )
    repository = models.CharField(max_length=300, blank=True, help_text="How the provider calls itself")
    granularity = models.CharField(max_length=20, blank=True, help_text="How fine its moments are; blank before it was asked")

    is_dry_run = models.BooleanField(
        default=False, db_default=False, help_text="The present run only looks: its report says what would come, and no draft is touched"
    )
    status = models.CharField(max_length=10, choices=HarvestStatus.choices, default=HarvestStatus.QUEUED)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    asked_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    asked_from = models.CharField(max_length=20, blank=True, help_text="From when the present run asks")
    began = models.CharField(max_length=20, blank=True, help_text="The provider's clock when the present run began")
    token = models.TextField(blank=True, help_text="Where the present run goes on: the provider's resumption token")
    n_pages = models.PositiveIntegerField(default=0)
    n_listed = models.PositiveIntegerField(default=0, db_default=0, help_text="Records that the present run was given")
    n_goes = models.PositiveIntegerField(default=1, db_default=1, help_text="How often the present run was let go on past its limit")
    summed_to = models.BigIntegerField(default=0, db_default=0, help_text="Up to which record the parts are summed up")
    n_announced = models.BigIntegerField(null=True, blank=True, help_text="How many records the provider says there are")
    n_attempts = models.PositiveIntegerField(default=0, help_text="In a row that failed")
    n_restarts = models.PositiveIntegerField(default=0, help_text="How often the provider forgot where the present run was")
    error = models.TextField(blank=True)

    objects = HarvestQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["asked_by", "base_url", "prefix", "set_spec"], condition=Q(status__in=OPEN), name="harvest_one_open"
            ),
            models.CheckConstraint(
                name="harvest_end_has_date",
                condition=Q(status__in=OPEN, finished_at=None) | (Q(status__in=ENDED) & Q(finished_at__isnull=False)),
            ),
            models.CheckConstraint(name="harvest_failure_has_error", condition=~Q(status="failed") | ~Q(error="")),
            models.CheckConstraint(name="harvest_calendar_has_cadence", condition=Q(next_at=None) | ~Q(every="never")),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(status__in=["queued", "running"]), name="harvest_due"),
            models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="harvest_calendar"),
        ]

    def __str__(self) -> str:
        return f"harvest {self.pk} of {self.base_url}"

    def get_absolute_url(self) -> str:
        return reverse("datasets:harvest", args=[self.pk])

    @property
    def is_open(self) -> bool:
        return self.status in HARVEST_OPEN

    @property
    def is_working(self) -> bool:
        return self.status in HARVEST_WORKING


class HarvestAct(models.TextChoices):
    NEW = "new", "New drafts"
    CHANGED = "changed", "Drafts brought up to date"
    SAME = "same", "As before"
    REFUSED = "refused", "Refused"
    DELETED = "deleted", "Deleted at the source"


class HarvestedRecord(models.Model):
    """What came of one record in the present run, or the last. Kept until the next run begins."""

    harvest = models.ForeignKey(Harvest, on_delete=models.CASCADE, related_name="records", db_index=False)
    identifier = models.CharField(max_length=500, help_text="The provider's own, of the record's header")
    datestamp = models.CharField(max_length=30, blank=True)
    act = models.CharField(max_length=8, choices=HarvestAct.choices)
    title = models.CharField(max_length=300, blank=True)
    dataset = models.ForeignKey(Dataset, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    changed = models.JSONField(default=list, blank=True, help_text="Fields of the draft that the record replaced")
    unmapped = models.JSONField(default=list, blank=True, help_text="What has no place here: path and words")
    wrong = models.JSONField(default=list, blank=True, help_text="Why it is refused: field and words")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["harvest", "identifier"], name="harvestedrecord_once")]
        indexes = [
            models.Index(fields=["harvest", "act", "id"], name="harvestedrecord_act"),
            models.Index(fields=["harvest", "id"], name="harvestedrecord_line"),
        ]

    def __str__(self) -> str:
        return self.identifier


class HarvestedPart(models.Model):
    """A part of records that has no place here, summed up over the present run, or the last."""

    harvest = models.ForeignKey(Harvest, on_delete=models.CASCADE, related_name="parts", db_index=False)
    path = models.CharField(max_length=300, help_text="Without the numbers of repeated parts")
    n_records = models.PositiveIntegerField()
    words = models.CharField(max_length=500, help_text="What was said of it in one of them")

    class Meta:
        ordering = ["path"]
        constraints = [models.UniqueConstraint(fields=["harvest", "path"], name="harvestedpart_once")]
        indexes = [models.Index(models.F("harvest"), models.F("n_records").desc(), models.F("path"), name="harvestedpart_most")]

    def __str__(self) -> str:
        return self.path


class HarvestEvent(Event):
    """A line of a harvest's timeline."""

    harvest = models.ForeignKey(Harvest, on_delete=models.CASCADE, related_name="events")
    old = models.CharField(max_length=10, blank=True)
    new = models.CharField(max_length=10, blank=True)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.old} to {self.new}"
