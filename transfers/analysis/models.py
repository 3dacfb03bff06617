"""A graph that somebody asked for, the datasets it is of, its timeline; quick looks of published datasets; previews of files.

How they move and how a worker holds them is written in `datasets.models.moving` and `transfers.models.working`.
"""

import uuid
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.urls import reverse
from django.utils import timezone

from datasets.models import AccessPolicy, Dataset, Version
from datasets.models.moving import Event
from datasets.states import Moves
from transfers.analysis.states import (
    JOB_LIVE,
    JOB_MOVES,
    JOB_WITH_RESULTS,
    JOB_WORKING,
    LOOK_MOVES,
    LOOK_WORKING,
    PREVIEW_MOVES,
    PREVIEW_WORKING,
    JobStatus,
    LookStatus,
    PreviewStatus,
)
from transfers.models import GlobusToken
from transfers.models.working import AskedQuerySet, Working, WorkingQuerySet


class AnalysisJobQuerySet(AskedQuerySet["AnalysisJob"]):
    def permitted_since(self, resource_server: str) -> Self:
        """Jobs that waited for a permission at a service which has been given meanwhile."""
        given = GlobusToken.objects.filter(user=OuterRef("user"), resource_server=resource_server, stored_at__gt=OuterRef("moved_at"))
        return self.filter(Exists(given)).filter(Q(status=JobStatus.NEEDS_SIGN_IN) | Q(status=JobStatus.CLEANING) & ~Q(required_scopes=[]))


class AnalysisJob(Working):
    """Graphs of one to four datasets for one person."""

    MOVES: ClassVar[Moves] = JOB_MOVES
    WORKING: ClassVar[frozenset[str]] = JOB_WORKING

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="analysis_jobs")
    status = models.CharField(max_length=16, choices=JobStatus.choices, default=JobStatus.QUEUED)
    created_at = models.DateTimeField(auto_now_add=True)
    moved_at = models.DateTimeField(default=timezone.now)

    kinds = models.JSONField(default=list)
    start_year = models.PositiveSmallIntegerField(null=True, blank=True)
    end_year = models.PositiveSmallIntegerField(null=True, blank=True)
    content_key = models.CharField(max_length=64, help_text="What was asked for, as a digest: the same request is served once")

    service_id = models.CharField(max_length=64, blank=True)
    parts_done = models.PositiveIntegerField(default=0)
    parts_total = models.PositiveIntegerField(default=0)
    results = models.JSONField(default=list, blank=True)
    failures = models.JSONField(default=list, blank=True)
    folder_url = models.TextField(blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    failure = models.TextField(blank=True)
    required_scopes = models.JSONField(default=list, blank=True)

    objects: ClassVar[models.Manager["AnalysisJob"]] = AnalysisJobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="analysisjob_due"),
            models.Index(fields=["user", "-created_at"], name="analysisjob_of_user"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["user", "content_key"], condition=Q(status__in=sorted(JOB_LIVE)), name="analysisjob_live_once"),
            models.CheckConstraint(
                condition=~Q(status__in=sorted(JOB_WORKING)) | Q(due_at__isnull=False), name="analysisjob_working_is_due"
            ),
            models.CheckConstraint(
                condition=~Q(status__in=sorted(JOB_WITH_RESULTS)) | (~Q(results=[]) & ~Q(service_id="")),
                name="analysisjob_ready_has_results",
            ),
            models.CheckConstraint(
                condition=Q(start_year=None, end_year=None) | Q(start_year__lte=models.F("end_year")), name="analysisjob_years_in_order"
            ),
        ]

    def __str__(self) -> str:
        return f"graph {self.id}"

    def get_absolute_url(self) -> str:
        return reverse("analysis:graph", args=[self.id])

    @property
    def has_results(self) -> bool:
        return self.status in JOB_WITH_RESULTS

    @property
    def years(self) -> tuple[int, int] | None:
        return None if self.start_year is None or self.end_year is None else (self.start_year, self.end_year)

    def facts_of(self, new: str) -> dict[str, Any]:
        return super().facts_of(new) | {"moved_at": timezone.now(), "required_scopes": []}


class AnalysisSource(models.Model):
    """One dataset of a graph, frozen: which version, which variable, which files of a collection."""

    job = models.ForeignKey(AnalysisJob, on_delete=models.CASCADE, related_name="sources")
    position = models.PositiveSmallIntegerField()
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+")
    variable = models.CharField(max_length=200, blank=True)
    units = models.CharField(max_length=100, blank=True)
    collection_id = models.UUIDField()
    paths = models.JSONField()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["job", "position"], name="analysissource_position")]

    def __str__(self) -> str:
        return f"{self.version} in {self.job}"


class AnalysisEvent(Event):
    """A line of a job's timeline."""

    job = models.ForeignKey(AnalysisJob, on_delete=models.CASCADE, related_name="events")
    old = models.CharField(max_length=16, choices=JobStatus.choices, blank=True)
    new = models.CharField(max_length=16, choices=JobStatus.choices)

    def __str__(self) -> str:
        return f"{self.old} to {self.new}"


class QuickLookQuerySet(WorkingQuerySet["QuickLook"]):
    def open_to_all(self) -> Self:
        """Those of datasets that are public still: a chart must not tell what the files may not."""
        open_to_all = Dataset.objects.readable_in_place(timezone.now()).filter(access_policy=AccessPolicy.PUBLIC)
        return self.filter(version__dataset__in=open_to_all)


class QuickLook(Working):
    """A chart of one variable of a published version, drawn once for everybody."""

    MOVES: ClassVar[Moves] = LOOK_MOVES
    WORKING: ClassVar[frozenset[str]] = LOOK_WORKING

    version = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="quick_looks")
    variable = models.CharField(max_length=200)
    status = models.CharField(max_length=8, choices=LookStatus.choices, default=LookStatus.WAITING)
    service_id = models.CharField(max_length=64, blank=True)
    kind = models.CharField(max_length=8, blank=True)
    svg = models.TextField(blank=True)
    text_alternative = models.TextField(blank=True)
    reason = models.TextField(blank=True, help_text="Why it cannot be drawn")

    objects: ClassVar[models.Manager["QuickLook"]] = QuickLookQuerySet.as_manager()

    class Meta:
        ordering = ["variable"]
        indexes = [models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="quicklook_due")]
        constraints = [
            models.UniqueConstraint(fields=["version", "variable"], name="quicklook_once"),
            models.CheckConstraint(
                condition=~Q(status__in=sorted(LOOK_WORKING)) | Q(due_at__isnull=False), name="quicklook_working_is_due"
            ),
            models.CheckConstraint(condition=~Q(status=LookStatus.READY) | ~Q(svg=""), name="quicklook_ready_has_chart"),
            models.CheckConstraint(condition=~Q(status=LookStatus.EMPTY) | ~Q(reason=""), name="quicklook_empty_has_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.variable} of {self.version}"

    def get_absolute_url(self) -> str:
        return reverse("analysis:quick-look", args=[self.version.dataset.slug, self.variable])

    def write_event(self, **move: Any) -> None:
        """It has no timeline: nobody asked for it."""


class FilePreview(Working):
    """What people are shown of a file, by what it holds: read once for a dataset, whichever of its versions and paths has it."""

    MOVES: ClassVar[Moves] = PREVIEW_MOVES
    WORKING: ClassVar[frozenset[str]] = PREVIEW_WORKING

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="file_previews")
    key = models.CharField(max_length=64, help_text="SHA-256 of the file; where that is unknown, of its place, size and time")
    status = models.CharField(max_length=12, choices=PreviewStatus.choices, default=PreviewStatus.WAITING)
    asked_at = models.DateTimeField(auto_now_add=True)
    collection_id = models.UUIDField()
    collection_path = models.TextField()
    service_id = models.CharField(max_length=64, blank=True)
    document = models.JSONField(default=dict, blank=True, help_text="As the graph service says it (services/graph/previewing.py)")
    reason = models.TextField(blank=True, help_text="Why there is none")

    objects: ClassVar[models.Manager["FilePreview"]] = WorkingQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="filepreview_due"),
            models.Index(fields=["asked_at"], name="filepreview_asked"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "key"], name="filepreview_once"),
            models.CheckConstraint(
                condition=~Q(status__in=sorted(PREVIEW_WORKING)) | Q(due_at__isnull=False), name="filepreview_working_is_due"
            ),
            models.CheckConstraint(condition=~Q(status=PreviewStatus.READY) | ~Q(document={}), name="filepreview_ready_has_document"),
            models.CheckConstraint(
                condition=~Q(status__in=["failed", "unsupported"]) | ~Q(reason=""), name="filepreview_failed_has_reason"
            ),
        ]

    def __str__(self) -> str:
        return f"preview of {self.collection_path}"

    def write_event(self, **move: Any) -> None:
        """It has no timeline: its words say all."""
