"""A data request and its parts: Globus tasks, events, failed files, mails, and the record of its deletion.

How a request moves and how a worker holds it is written in `datasets.models.moving` and in `working`.
"""

import uuid
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q, Value
from django.urls import reverse
from django.utils import timezone

from datasets.models.moving import Event
from transfers.models.working import AskedQuerySet, Working
from transfers.states import FINISHED, GRANTED, LIVE, MOVES, WORKING, Kind, Status, TaskKind, TaskStatus, Variant

SHARE_ONLY = [Status.STAGING, Status.COPYING, Status.GRANTING, Status.NOTIFYING, Status.OPEN, Status.EXPIRING, Status.EXPIRED]
TRANSFER_ONLY = [Status.SENDING, Status.SENT, Status.NEEDS_SIGN_IN]
RATE_DAYS, RATE_TASKS = 30, 50


class DataRequestQuerySet(AskedQuerySet["DataRequest"]):
    def live(self) -> "DataRequestQuerySet":
        return self.filter(status__in=LIVE)

    def granted(self) -> "DataRequestQuerySet":
        """Shares whose access rule is in force."""
        return self.filter(kind=Kind.SHARE, status__in=GRANTED)


class DataRequest(Working):
    """Somebody asked for files: a share to download from, or a transfer to her own collection."""

    WORKING: ClassVar[frozenset[str]] = WORKING

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="data_requests")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    content_key = models.CharField(max_length=64)
    idempotency_key = models.CharField(max_length=200, blank=True)

    n_files = models.PositiveBigIntegerField(default=0)
    size_bytes = models.PositiveBigIntegerField(default=0)
    files_done = models.PositiveBigIntegerField(default=0)
    bytes_done = models.PositiveBigIntegerField(default=0)
    bytes_per_second = models.PositiveBigIntegerField(default=0)
    faults = models.PositiveIntegerField(default=0)
    last_fault = models.TextField(blank=True)
    failure = models.TextField(blank=True)
    required_scopes = models.JSONField(default=list, blank=True)
    required_session = models.JSONField(default=dict, db_default=Value({}, models.JSONField()), blank=True)

    # A share: where it is staged, where its rule stands, and until when.
    variant = models.CharField(max_length=16, choices=Variant.choices, blank=True)
    lifetime_days = models.PositiveSmallIntegerField(default=0)
    staging_collection_id = models.UUIDField(null=True, blank=True)
    folder = models.TextField(blank=True)
    collection_id = models.UUIDField(null=True, blank=True)
    rule_id = models.CharField(max_length=64, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    reminded_at = models.DateTimeField(null=True, blank=True)
    extended_count = models.PositiveSmallIntegerField(default=0)

    # A transfer: where it goes.
    destination_collection_id = models.UUIDField(null=True, blank=True)
    destination_path = models.TextField(blank=True)
    destination_name = models.CharField(max_length=200, blank=True)

    objects: ClassVar[models.Manager["DataRequest"]] = DataRequestQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="datarequest_due"),
            models.Index(fields=["user", "-created_at"], name="datarequest_of_user"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["user", "idempotency_key"], condition=~Q(idempotency_key=""), name="datarequest_key_once"),
            models.UniqueConstraint(fields=["user", "content_key"], condition=Q(status__in=sorted(LIVE)), name="datarequest_live_once"),
            models.CheckConstraint(condition=~Q(status__in=SHARE_ONLY) | Q(kind=Kind.SHARE), name="datarequest_share_states"),
            models.CheckConstraint(condition=~Q(status__in=TRANSFER_ONLY) | Q(kind=Kind.TRANSFER), name="datarequest_transfer_states"),
            models.CheckConstraint(condition=~Q(status__in=sorted(WORKING)) | Q(due_at__isnull=False), name="datarequest_working_is_due"),
            models.CheckConstraint(
                condition=~Q(status__in=sorted(GRANTED)) | (~Q(rule_id="") & Q(expires_at__isnull=False, collection_id__isnull=False)),
                name="datarequest_granted_has_rule",
            ),
            models.CheckConstraint(condition=~Q(status=Status.OPEN) | Q(due_at__isnull=False), name="datarequest_open_ends"),
            models.CheckConstraint(condition=~Q(status=Status.EXPIRED) | Q(rule_id=""), name="datarequest_expired_has_no_rule"),
            models.CheckConstraint(
                condition=~Q(status__in=sorted(FINISHED)) | Q(finished_at__isnull=False, due_at__isnull=True),
                name="datarequest_finished_when",
            ),
            models.CheckConstraint(
                condition=~Q(kind=Kind.TRANSFER) | (Q(destination_collection_id__isnull=False) & ~Q(destination_path="")),
                name="datarequest_transfer_has_destination",
            ),
            models.CheckConstraint(condition=~Q(kind=Kind.SHARE) | (~Q(folder="") & ~Q(variant="")), name="datarequest_share_has_folder"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    def get_absolute_url(self) -> str:
        return reverse("transfers:request", args=[self.id])

    @property
    def is_share(self) -> bool:
        return self.kind == Kind.SHARE

    @property
    def is_granted(self) -> bool:
        return self.is_share and self.status in GRANTED

    @property
    def granted_path(self) -> str:
        """The path of the share in `collection_id`: its folder, or everything where the collection is its own."""
        return "/" if self.variant == Variant.COLLECTION else self.folder

    @property
    def state_since(self) -> datetime:
        """When it came into its present state."""
        entered = self.events.filter(new=self.status).exclude(old=self.status).order_by("-id").values_list("at", flat=True).first()
        return entered or self.created_at

    def moves(self) -> frozenset[str]:
        return MOVES[self.kind][self.status]

    def facts_of(self, new: str) -> dict[str, Any]:
        now = timezone.now()
        return super().facts_of(new) | {"updated_at": now} | ({"finished_at": now} if new in FINISHED else {})

    def note(self, words: str, *, actor: Any = None) -> None:
        """Add a line to the timeline without a change of status."""
        self.events.create(old=self.status, new=self.status, actor=actor, note=words)

    def record(self, **facts: Any) -> None:
        super().record(updated_at=timezone.now(), **facts)


class DataRequestTaskQuerySet(models.QuerySet["DataRequestTask"]):
    def recent_rate(self) -> float | None:
        """Bytes per second over the latest copies that finished, from order to end and so with all waiting; None before there is one."""
        since = timezone.now() - timedelta(days=RATE_DAYS)
        ended = self.filter(kind=TaskKind.COPY, finished_at__gte=since, submitted_at__isnull=False, bytes_done__gt=0)
        took = models.ExpressionWrapper(models.F("finished_at") - models.F("submitted_at"), models.DurationField())
        latest = list(ended.order_by("-finished_at").annotate(took=took).values_list("bytes_done", "took")[:RATE_TASKS])
        seconds = sum((took for _, took in latest), timedelta()).total_seconds()
        return sum(n_bytes for n_bytes, _ in latest) / seconds if seconds > 0 else None


class DataRequestTask(models.Model):
    """One Globus task. Its submission id is saved before the call, so that a repeated submission answers with the first task."""

    request = models.ForeignKey(DataRequest, on_delete=models.CASCADE, related_name="tasks")
    sequence = models.PositiveIntegerField()
    kind = models.CharField(max_length=8, choices=TaskKind.choices, default=TaskKind.COPY)
    status = models.CharField(max_length=16, choices=TaskStatus.choices, default=TaskStatus.PREPARED)
    submission_id = models.UUIDField(unique=True)
    task_id = models.CharField(max_length=64, blank=True)

    # What it copies: whole folders, or the files of a selection after one path up to another, or files by name.
    selection = models.ForeignKey("transfers.Selection", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    folders = models.JSONField(default=list, blank=True)
    after_path = models.TextField(blank=True)
    until_path = models.TextField(blank=True)
    paths = models.JSONField(default=list, blank=True)

    n_files = models.PositiveBigIntegerField(default=0)
    files_done = models.PositiveBigIntegerField(default=0)
    files_skipped = models.PositiveBigIntegerField(default=0)
    bytes_done = models.PositiveBigIntegerField(default=0)
    bytes_per_second = models.PositiveBigIntegerField(default=0)
    faults = models.PositiveIntegerField(default=0)
    last_fault = models.TextField(blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager["DataRequestTask"]] = DataRequestTaskQuerySet.as_manager()

    class Meta:
        ordering = ["sequence"]
        constraints = [
            models.UniqueConstraint(fields=["request", "sequence"], name="datarequesttask_sequence"),
            models.CheckConstraint(condition=Q(status=TaskStatus.PREPARED) | ~Q(task_id=""), name="datarequesttask_running_has_id"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} task {self.sequence} of {self.request_id}"

    def record_submission(self, task_id: str) -> None:
        """Keep the task id that Globus gave. Safe to repeat."""
        self.task_id, self.status, self.submitted_at = task_id, TaskStatus.ACTIVE, timezone.now()
        self.save(update_fields=["task_id", "status", "submitted_at"])


class DataRequestEvent(Event):
    """A line of the timeline."""

    request = models.ForeignKey(DataRequest, on_delete=models.CASCADE, related_name="events")
    old = models.CharField(max_length=16, choices=Status.choices, blank=True)
    new = models.CharField(max_length=16, choices=Status.choices)

    def __str__(self) -> str:
        return f"{self.old} to {self.new}"


class FailedFile(models.Model):
    """A file that did not arrive, with the reason in words; "retry failed files" sends exactly these."""

    request = models.ForeignKey(DataRequest, on_delete=models.CASCADE, related_name="failed_files")
    selection = models.ForeignKey("transfers.Selection", on_delete=models.CASCADE, related_name="+")
    path = models.TextField()
    size_bytes = models.PositiveBigIntegerField(default=0)
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ["path"]
        constraints = [models.UniqueConstraint(fields=["request", "selection", "path"], name="failedfile_once")]

    def __str__(self) -> str:
        return self.path


class SentMail(models.Model):
    """The guard that keeps a mail from being sent twice: written before sending, completed after."""

    request = models.ForeignKey(DataRequest, on_delete=models.CASCADE, related_name="mails")
    message = models.CharField(max_length=32)
    occasion = models.PositiveIntegerField(default=0)
    message_id = models.CharField(max_length=255)
    claimed_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["request", "message", "occasion"], name="sentmail_once")]

    def __str__(self) -> str:
        return f"{self.message} for {self.request_id}"


class ShareDeletion(models.Model):
    """The record that a share left nothing behind."""

    request = models.OneToOneField(DataRequest, on_delete=models.CASCADE, related_name="deletion")
    rule_removed_at = models.DateTimeField(null=True, blank=True)
    collection_deleted_at = models.DateTimeField(null=True, blank=True)
    folder_deleted_at = models.DateTimeField(null=True, blank=True)
    n_files = models.PositiveBigIntegerField(default=0)
    bytes_freed = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"deletion of {self.request_id}"


class Destination(models.Model):
    """A place somebody sent files to before: offered first the next time."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="destinations")
    collection_id = models.UUIDField()
    name = models.CharField(max_length=200)
    path = models.TextField()
    used_at = models.DateTimeField(default=timezone.now)
    n_uses = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-used_at"]
        constraints = [models.UniqueConstraint(fields=["user", "collection_id", "path"], name="destination_once")]

    def __str__(self) -> str:
        return f"{self.name}:{self.path}"
