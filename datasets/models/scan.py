"""A scan of the location of a version: what a steward sees while it runs, what it found, and what makes it survive a killed worker."""

import datetime as dt
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from datasets.models.moving import Claimed, ClaimedQuerySet, claim_end
from datasets.models.version import Location, LocationKind, Version
from datasets.states import SCAN_MOVES, SCAN_OPEN, SCAN_WORKING, Moves, ScanStatus

OPEN = ["queued", "running", "paused", "reported"]
ENDED = ["done", "discarded", "cancelled", "failed"]
BADGES: dict[str, str] = {
    ScanStatus.DONE: "ok",
    ScanStatus.FAILED: "failed",
    ScanStatus.REPORTED: "attention",
    ScanStatus.CANCELLED: "plain",
    ScanStatus.DISCARDED: "plain",
}


class ScanPurpose(models.TextChoices):
    CONTENT = "content", "What a location holds"
    MOVE = "move", "Whether all files are where they are said to have moved"
    REPLICA = "replica", "Whether all files are at a new replica"


class ScanRunQuerySet(ClaimedQuerySet["ScanRun"]):
    def open(self) -> Self:
        """Those that have not ended: they wait for a worker or for a steward."""
        return self.filter(status__in=SCAN_OPEN)

    def working(self) -> Self:
        """Those that a worker has, or will have."""
        return self.filter(status__in=SCAN_WORKING)


class ScanRun(Claimed):
    """One walk over a collection path, its counts and its end."""

    MOVES: ClassVar[Moves] = SCAN_MOVES

    version = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="scans")
    purpose = models.CharField(max_length=8, choices=ScanPurpose.choices, default=ScanPurpose.CONTENT, db_default="content")
    origin = models.ForeignKey(Location, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", help_text="What moves")
    target_collection_id = models.UUIDField(null=True, blank=True)
    target_bucket = models.CharField(max_length=200, blank=True, db_default="")
    target_base_path = models.TextField(blank=True, db_default="")
    status = models.CharField(max_length=10, choices=ScanStatus.choices, default=ScanStatus.QUEUED)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    asked_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    step = models.CharField(max_length=20, blank=True, help_text="listing, comparing or inspecting")
    n_folders = models.BigIntegerField(default=0)
    n_files = models.BigIntegerField(default=0)
    size_bytes = models.BigIntegerField(default=0)
    n_new = models.BigIntegerField(default=0)
    n_changed = models.BigIntegerField(default=0)
    n_missing = models.BigIntegerField(default=0)
    n_to_inspect = models.BigIntegerField(default=0)
    n_inspected = models.BigIntegerField(default=0)
    n_unreadable = models.BigIntegerField(default=0)
    n_to_check = models.BigIntegerField(
        default=0, db_default=0, help_text="Published files of the same size but another time, whose checksum could not be compared"
    )
    is_automatic = models.BooleanField(
        default=False, db_default=False, help_text="What it finds is taken into the draft without a question"
    )
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    n_attempts = models.PositiveIntegerField(default=0)
    listed_at = models.DateTimeField(null=True, blank=True, help_text="Since when it keeps what it lists, until that is compared")
    listed_from = models.TextField(blank=True, db_default="", help_text="The place that it lists")
    found = models.JSONField(default=dict, blank=True, help_text="Variables and coverage that file headers state")
    error = models.TextField(blank=True)

    objects = ScanRunQuerySet.as_manager()

    class Meta:
        ordering = ["-asked_at"]
        constraints = [
            models.UniqueConstraint(fields=["version"], condition=Q(status__in=OPEN), name="scan_one_open"),
            models.CheckConstraint(
                name="scan_end_has_date",
                condition=Q(status__in=OPEN, finished_at=None) | (Q(status__in=ENDED) & Q(finished_at__isnull=False)),
            ),
            models.CheckConstraint(name="scan_failure_has_error", condition=~Q(status="failed") | ~Q(error="")),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(status__in=["queued", "running"]), name="scan_due"),
            models.Index(fields=["listed_at"], condition=Q(listed_at__isnull=False), name="scan_listed"),
        ]

    def __str__(self) -> str:
        return f"scan {self.pk} of {self.version}"

    def get_absolute_url(self) -> str:
        return reverse("datasets:scan", args=[self.version.dataset.slug, self.pk])

    @property
    def is_check(self) -> bool:
        """Whether it looks at another place than the version's own, before that is believed."""
        return self.purpose != ScanPurpose.CONTENT

    @property
    def place(self) -> Location | None:
        """Where it looks: the version's location, or, not saved, the one that is checked."""
        if not self.is_check:
            return self.version.primary_location
        kind = LocationKind.BUCKET if self.target_bucket else LocationKind.COLLECTION
        where = {"collection_id": self.target_collection_id, "bucket": self.target_bucket, "base_path": self.target_base_path}
        return Location(version=self.version, kind=kind, is_primary=self.purpose == ScanPurpose.MOVE, **where)

    @property
    def is_open(self) -> bool:
        return self.status in SCAN_OPEN

    @property
    def is_working(self) -> bool:
        return self.status in SCAN_WORKING

    @property
    def is_reported(self) -> bool:
        return self.status == ScanStatus.REPORTED

    @property
    def n_differences(self) -> int:
        return self.n_new + self.n_changed + self.n_missing

    @property
    def is_comparison(self) -> bool:
        """Whether it held what was published already, or is said to be at another place, against what is there."""
        published_at = self.version.published_at
        return self.is_check or (published_at is not None and self.asked_at >= published_at)

    @property
    def badge(self) -> tuple[str, str]:
        """How pages show its state: the kind of a badge, and its words. A comparison that is done and found differences is no good news."""
        if self.status == ScanStatus.DONE and self.is_comparison and (self.n_differences or self.n_to_check):
            return "attention", "Done, differences found" if self.n_differences else "Done, some to be checked"
        return BADGES.get(self.status, "waiting"), self.get_status_display()

    @property
    def is_claim_old(self) -> bool:
        """Whether more than a tenth of the claim has passed since it was last held longer."""
        return self.claimed_until is None or claim_end() - self.claimed_until > dt.timedelta(seconds=settings.CLAIM_SECONDS * 0.1)

    def write_event(self, **move: Any) -> None:
        super().write_event(dataset_id=self.version.dataset_id, version=self.version, act="scan", **move)


class ChangeKind(models.TextChoices):
    NEW = "new", "New"
    CHANGED = "changed", "Changed"
    TOUCHED = "touched", "Same size, another time"
    MISSING = "missing", "Missing"


class ScanChange(models.Model):
    """One line of a scan's report: a file at its location that is not as it is known. Kept until the next report on the version."""

    scan = models.ForeignKey(ScanRun, on_delete=models.CASCADE, related_name="changes", db_index=False)
    kind = models.CharField(max_length=8, choices=ChangeKind.choices)
    folder = models.TextField(db_collation="C")
    name = models.TextField(db_collation="C")
    old_size_bytes = models.BigIntegerField(null=True, help_text="As it is known; null for a new file")
    size_bytes = models.BigIntegerField(null=True, help_text="As it was found; null for a missing file")
    old_modified_at = models.DateTimeField(null=True)
    modified_at = models.DateTimeField(null=True)
    format = models.CharField(max_length=40, blank=True)

    class Meta:
        ordering = ["folder", "name"]
        constraints = [models.UniqueConstraint(fields=["scan", "kind", "folder", "name"], name="scanchange_path")]

    def __str__(self) -> str:
        return self.path

    @property
    def path(self) -> str:
        return self.folder + self.name


class ListedPart(models.Model):
    """Some entries of one folder, as a scan that has not ended listed them; the table is not logged."""

    scan = models.ForeignKey(ScanRun, on_delete=models.CASCADE, related_name="listed_parts", db_index=False)
    path = models.TextField(db_collation="C")
    part = models.PositiveIntegerField()
    depth = models.PositiveIntegerField()
    is_last = models.BooleanField()
    folders = ArrayField(models.TextField())
    names = ArrayField(models.TextField())
    sizes = ArrayField(models.BigIntegerField())
    modified = ArrayField(models.DateTimeField(null=True))
    formats = ArrayField(models.TextField())

    class Meta:
        # Not unique: a collection that changes while it is listed may name a folder twice.
        indexes = [models.Index(fields=["scan", "path", "part"], name="listedpart_of_folder")]

    def __str__(self) -> str:
        return f"{self.path} {self.part}"
