"""A graph that somebody asked for, the datasets it is of, its timeline; and the quick looks of published datasets.

Both tables are queues of record: a state that waits for work has `due_at`, and `claimed_until` says that a worker is at it.
"""

import logging
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q
from django.urls import reverse
from django.utils import timezone

from datasets.models import AccessPolicy, Version
from transfers.analysis.states import JOB_LIVE, JOB_MOVES, JOB_WITH_RESULTS, JOB_WORKING, LOOK_MOVES, LOOK_WORKING, JobStatus, LookStatus
from transfers.errors import IllegalMoveError, NotClaimedError, StaleStateError
from transfers.models import GlobusToken

log = logging.getLogger(__name__)

CLAIM_S = 60
"""Longer than the longest single call to the graph service."""


class WorkQuerySet(models.QuerySet[Any]):
    """Rows that wait for a worker's steps."""

    def due(self, now: datetime) -> Self:
        """What waits for a step, oldest first."""
        return self.filter(due_at__lte=now).filter(Q(claimed_until__isnull=True) | Q(claimed_until__lt=now)).order_by("due_at")

    @contextmanager
    def claim(self, key: Any, *, expected: Iterable[str]) -> Iterator[Any]:
        """Hold one row for a step; the claim lapses by itself if the worker dies. Raises NotClaimedError when there is nothing to do."""
        now = timezone.now()
        until = now + timedelta(seconds=CLAIM_S)
        free = self.filter(pk=key, status__in=list(expected)).filter(Q(claimed_until__isnull=True) | Q(claimed_until__lt=now))
        if not free.update(claimed_until=until):
            raise NotClaimedError(str(key))
        try:
            yield self.get(pk=key)
        finally:
            self.filter(pk=key, claimed_until=until).update(claimed_until=None)


class AnalysisJobQuerySet(WorkQuerySet):
    def visible_to(self, user: Any) -> Self:
        """A person's own jobs; an operator sees all."""
        if not getattr(user, "is_authenticated", False):
            return self.none()
        return self if getattr(user, "is_operator", False) else self.filter(user_id=user.pk)

    def permitted_since(self, resource_server: str) -> Self:
        """Jobs that waited for a permission at a service which has been given meanwhile."""
        given = GlobusToken.objects.filter(user=OuterRef("user"), resource_server=resource_server, stored_at__gt=OuterRef("moved_at"))
        return self.filter(Exists(given)).filter(Q(status=JobStatus.NEEDS_SIGN_IN) | Q(status=JobStatus.CLEANING) & ~Q(required_scopes=[]))


class AnalysisJob(models.Model):
    """Graphs of one to four datasets for one person."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="analysis_jobs")
    status = models.CharField(max_length=16, choices=JobStatus.choices, default=JobStatus.QUEUED)
    created_at = models.DateTimeField(auto_now_add=True)
    moved_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)

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
    def is_waiting(self) -> bool:
        """Something happens next without anybody asking."""
        return self.status in JOB_WORKING

    @property
    def has_results(self) -> bool:
        return self.status in JOB_WITH_RESULTS

    @property
    def years(self) -> tuple[int, int] | None:
        return None if self.start_year is None or self.end_year is None else (self.start_year, self.end_year)

    @transaction.atomic
    def move_to(self, new: str, *, actor: Any = None, note: str = "", **facts: Any) -> None:
        """Change the status and write the event, the only way in which a status changes. Working states are due at once.

        Raises IllegalMoveError, or StaleStateError when somebody was first.
        """
        old, now = self.status, timezone.now()
        if new not in JOB_MOVES[old]:
            raise IllegalMoveError(old, new)
        facts.setdefault("due_at", now if new in JOB_WORKING else None)
        facts.setdefault("required_scopes", [])
        if not AnalysisJob.objects.filter(pk=self.pk, status=old).update(status=new, attempts=0, moved_at=now, **facts):
            raise StaleStateError(str(self.pk))
        self.events.create(old=old, new=new, actor=actor, note=note)
        self.refresh_from_db()
        log.info("analysis job moved", extra={"job_id": str(self.pk), "old": old, "new": new})

    def record(self, **facts: Any) -> None:
        """Write facts that are not a status."""
        AnalysisJob.objects.filter(pk=self.pk).update(**facts)
        for name, value in facts.items():
            setattr(self, name, value)


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


class AnalysisEvent(models.Model):
    """A line of a job's timeline."""

    job = models.ForeignKey(AnalysisJob, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(auto_now_add=True)
    old = models.CharField(max_length=16, choices=JobStatus.choices, blank=True)
    new = models.CharField(max_length=16, choices=JobStatus.choices)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.old} to {self.new}"


class QuickLookQuerySet(WorkQuerySet):
    def open_to_all(self) -> Self:
        """Those of datasets that are public still: a chart must not tell what the files may not."""
        return self.filter(version__dataset__published_at__isnull=False, version__dataset__access_policy=AccessPolicy.PUBLIC)


class QuickLook(models.Model):
    """A chart of one variable of a published version, drawn once for everybody."""

    version = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="quick_looks")
    variable = models.CharField(max_length=200)
    status = models.CharField(max_length=8, choices=LookStatus.choices, default=LookStatus.WAITING)
    due_at = models.DateTimeField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    service_id = models.CharField(max_length=64, blank=True)
    kind = models.CharField(max_length=8, blank=True)
    svg = models.TextField(blank=True)
    text_alternative = models.TextField(blank=True)
    reason = models.TextField(blank=True, help_text="Why it cannot be drawn")

    objects: ClassVar[Any] = QuickLookQuerySet.as_manager()

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

    def move_to(self, new: str, **facts: Any) -> None:
        """Change the status, the only way in which it changes. Raises IllegalMoveError or StaleStateError."""
        if new not in LOOK_MOVES[self.status]:
            raise IllegalMoveError(self.status, new)
        facts.setdefault("due_at", timezone.now() if new in LOOK_WORKING else None)
        if not QuickLook.objects.filter(pk=self.pk, status=self.status).update(status=new, attempts=0, **facts):
            raise StaleStateError(str(self.pk))
        log.info("quick look moved", extra={"quick_look_id": self.pk, "old": self.status, "new": new})
        self.refresh_from_db()
