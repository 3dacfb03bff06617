"""What a Globus Search index was told of each dataset, and the outbox that tells it: a row that waits is pushed by a worker, however long
Search is out. A row outlives its dataset, so that the index forgets what is deleted here; a database trigger asks for that.
"""

from datetime import datetime
from typing import Any, ClassVar
from uuid import uuid4

from django.db import models, transaction
from django.db.models import F, Q

from datasets.models.dataset import Dataset
from datasets.models.event import DatasetEvent
from datasets.models.moving import Claimed, ClaimedQuerySet, claim_end
from datasets.states import PUSH_MOVES, PUSH_WORKING, Moves, PushStatus


class PushedRecordQuerySet(ClaimedQuerySet["PushedRecord"]):
    def working(self) -> "PushedRecordQuerySet":
        """Those that wait for a worker, or whose task at Search is not over."""
        return self.filter(status__in=PUSH_WORKING)

    def claim_some(self, now: datetime, *, most: int) -> "list[PushedRecord]":
        """Hold up to `most` rows that wait to be sent, oldest first; what another worker holds is passed over."""
        claim_id = uuid4()
        with transaction.atomic():
            due = self.filter(status=PushStatus.PENDING).due(now).select_for_update(skip_locked=True)
            keys = list(due.values_list("pk", flat=True)[:most])
            self.filter(pk__in=keys).update(claimed_until=claim_end(), claim_id=claim_id, n_attempts=F("n_attempts") + 1)
        rows = list(self.filter(claim_id=claim_id).order_by("due_at", "pk"))
        for row in rows:
            row.held = claim_id
        return rows


class PushedRecord(Claimed):
    """The entry of one dataset in the index. `wanted` counts what it should be told, `sent` what is on its way, `told` what it has."""

    MOVES: ClassVar[Moves] = PUSH_MOVES

    dataset_id = models.UUIDField(primary_key=True, help_text="No foreign key: the row stays when the dataset is deleted")
    subject = models.CharField(max_length=500, blank=True, help_text="Under which the index knows it; blank before the first push")
    status = models.CharField(max_length=10, choices=PushStatus.choices, default=PushStatus.PENDING)
    wanted = models.PositiveIntegerField(default=0)
    sent = models.PositiveIntegerField(default=0)
    told = models.PositiveIntegerField(default=0)
    is_present = models.BooleanField(default=False, help_text="Whether what was sent last is an entry; otherwise its removal")
    is_alone = models.BooleanField(default=False, help_text="Something in its batch was refused: it is sent by itself")
    task_id = models.CharField(max_length=64, blank=True, help_text="The task of Globus Search that carries it")
    told_at = models.DateTimeField(null=True, blank=True)
    n_attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)

    objects = PushedRecordQuerySet.as_manager()

    class Meta:
        verbose_name = "record in Globus Search"
        verbose_name_plural = "records in Globus Search"
        indexes = [
            models.Index(fields=["status", "due_at"], condition=~Q(status="told"), name="pushedrecord_open"),
            models.Index(fields=["task_id"], condition=Q(status="sent"), name="pushedrecord_task"),
        ]
        constraints = [
            models.CheckConstraint(name="pushedrecord_told_is_wanted", condition=Q(told__lte=F("sent"), sent__lte=F("wanted"))),
            models.CheckConstraint(name="pushedrecord_sent_has_task", condition=~Q(status="sent") | ~Q(task_id="")),
            models.CheckConstraint(name="pushedrecord_failure_has_error", condition=~Q(status="failed") | ~Q(error="")),
        ]

    def __str__(self) -> str:
        return self.subject or str(self.dataset_id)

    def write_event(self, **move: Any) -> None:
        """Only refusals, and what is done about them, are worth a line in the dataset's history; the rest happens at every change."""
        if PushStatus.FAILED in {move["old"], move["new"]} and Dataset.objects.filter(pk=self.dataset_id).exists():
            DatasetEvent.objects.create(dataset_id=self.dataset_id, act="Globus Search", **move)
