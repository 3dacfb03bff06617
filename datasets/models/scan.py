"""A scan of the collection path of a version: what a steward sees while it runs, and what makes it survive a killed worker."""

import contextlib
import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from datasets.models.event import DatasetEvent, Moving
from datasets.models.version import Version
from datasets.states import SCAN_MOVES, Moves, ScanStatus

CLAIM_S = 60


class ScanRunQuerySet(models.QuerySet["ScanRun"]):
    def open(self) -> Self:
        return self.filter(status__in=[ScanStatus.QUEUED, ScanStatus.RUNNING])

    def due(self, now: dt.datetime) -> Self:
        """Those that wait for a worker, or whose worker has not been heard of for longer than its claim."""
        return self.open().filter(Q(claimed_until=None) | Q(claimed_until__lt=now), due_at__lte=now)

    @contextlib.contextmanager
    def claim(self, scan_id: int) -> "Iterator[ScanRun | None]":
        """Hold one scan for `CLAIM_S` seconds, extended by `ScanRun.keep_claim`; None when another worker has it or it has ended."""
        now, claim_id = timezone.now(), uuid.uuid4()
        until = now + dt.timedelta(seconds=CLAIM_S)
        if not self.due(now).filter(pk=scan_id).update(claimed_until=until, claim_id=claim_id, n_attempts=F("n_attempts") + 1):
            yield None
            return
        yield self.select_related("version__dataset").get(pk=scan_id)
        # After an error this is not reached: the claim runs out by itself, which spaces the attempts.
        self.filter(pk=scan_id, claim_id=claim_id).update(claimed_until=None, claim_id=None)


class ScanRun(Moving):
    """One walk over a collection path, its counts and its end."""

    MOVES: ClassVar[Moves] = SCAN_MOVES

    version = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="scans")
    status = models.CharField(max_length=10, choices=ScanStatus.choices, default=ScanStatus.QUEUED)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    asked_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField(default=timezone.now)
    claimed_until = models.DateTimeField(null=True, blank=True)
    claim_id = models.UUIDField(null=True, blank=True, help_text="Whose claim it is: each claim has its own")
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
    n_attempts = models.PositiveIntegerField(default=0)
    found = models.JSONField(default=dict, blank=True, help_text="Variables and coverage that file headers state")
    error = models.TextField(blank=True)

    objects = ScanRunQuerySet.as_manager()

    class Meta:
        ordering = ["-asked_at"]
        constraints = [
            models.UniqueConstraint(fields=["version"], condition=Q(status__in=["queued", "running"]), name="scan_one_open"),
            models.CheckConstraint(
                name="scan_end_has_date",
                condition=Q(status__in=["queued", "running"], finished_at=None)
                | (Q(status__in=["done", "failed"]) & Q(finished_at__isnull=False)),
            ),
            models.CheckConstraint(name="scan_failure_has_error", condition=~Q(status="failed") | ~Q(error="")),
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(status__in=["queued", "running"]), name="scan_due")]

    def __str__(self) -> str:
        return f"scan {self.pk} of {self.version}"

    @property
    def is_open(self) -> bool:
        return self.status in {ScanStatus.QUEUED, ScanStatus.RUNNING}

    @property
    def n_differences(self) -> int:
        return self.n_new + self.n_changed + self.n_missing

    @property
    def is_claim_old(self) -> bool:
        """Whether more than a tenth of the claim has passed since it was last held longer."""
        return self.claimed_until is None or self.claimed_until < timezone.now() + dt.timedelta(seconds=CLAIM_S * 0.9)

    def keep_claim(self, **counts: Any) -> bool:
        """Write progress and hold the claim longer; false when another worker took it over: stop at once."""
        until = timezone.now() + dt.timedelta(seconds=CLAIM_S)
        kept = type(self).objects.filter(pk=self.pk, claim_id=self.claim_id).update(claimed_until=until, **counts)
        if kept:
            self.claimed_until = until
            for name, value in counts.items():
                setattr(self, name, value)
        return bool(kept)

    def write_event(self, *, old: str, new: str, actor: Any, note: str) -> None:
        DatasetEvent.objects.create(
            dataset_id=self.version.dataset_id, version=self.version, scan=self, act="scan", old=old, new=new, actor=actor, note=note
        )
