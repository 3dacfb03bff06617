"""An access request, its timeline, and the mails that were sent about it.

How it moves and how a worker holds it is written in `datasets.models.moving` and `transfers.models.working`.
"""

import datetime as dt
import uuid
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.urls import reverse
from django.utils import timezone

from datasets.errors import StaleStateError
from datasets.models import Dataset, Grant, PrincipalType, TermsAcceptance
from datasets.models.moving import Event
from datasets.states import Moves
from transfers.access.states import ACCESS_IN_FORCE, ACCESS_MOVES, ACCESS_OPEN, ACCESS_UNDECIDED, ACCESS_WORKING, AccessStatus, Act
from transfers.models.working import Working, WorkingQuerySet


def held_grants(moment: dt.datetime, *, dataset: Any, user: Any) -> models.QuerySet[Grant]:
    """What is in force at a moment for a person herself, whoever gave it and where."""
    return Grant.objects.active(moment).filter(dataset=dataset, principal_type=PrincipalType.IDENTITY, principal=user)


class AccessRequestQuerySet(WorkingQuerySet["AccessRequest"]):
    def visible_to(self, user: Any) -> Self:
        """A person's own, and those that she decides on."""
        if not getattr(user, "is_authenticated", False):
            return self.none()
        return self.filter(Q(user_id=user.pk) | Q(dataset__in=Dataset.objects.curated_by(user)))

    def to_decide(self, user: Any) -> Self:
        """What waits for this steward, across her datasets, the longest wait first."""
        return self.filter(status__in=ACCESS_UNDECIDED, dataset__in=Dataset.objects.curated_by(user)).order_by("moved_at", "id")

    def without_grant(self) -> Self:
        """Those that should be in force and whose grant is not any more: its time is over, or a steward took it back."""
        held = held_grants(timezone.now(), dataset=OuterRef("dataset"), user=OuterRef("user_id"))
        return self.filter(~Exists(held), status__in=ACCESS_IN_FORCE)

    def behind_desk(self) -> Self:
        """Those in force whose end was changed on the desk of the dataset: their grant is not the one that counts any more."""
        return self.filter(status__in=ACCESS_IN_FORCE, grant__revoked_at__isnull=False)


class AccessRequest(Working):
    """Somebody asked the stewards of a dataset for its files."""

    MOVES: ClassVar[Moves] = ACCESS_MOVES
    WORKING: ClassVar[frozenset[str]] = ACCESS_WORKING

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="access_requests")
    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="access_requests")
    status = models.CharField(max_length=16, choices=AccessStatus.choices, default=AccessStatus.WAITING)
    last_act = models.CharField(max_length=20, choices=Act.choices, default=Act.ASKED)
    created_at = models.DateTimeField(auto_now_add=True)
    moved_at = models.DateTimeField(default=timezone.now)

    purpose = models.TextField()
    wanted_until = models.DateTimeField(null=True, blank=True)
    acceptance = models.ForeignKey(TermsAcceptance, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True, help_text="Why it was denied, or taken back")
    grant = models.ForeignKey(Grant, on_delete=models.RESTRICT, null=True, blank=True, related_name="access_requests")
    expires_at = models.DateTimeField(null=True, blank=True)
    reminded_of = models.DateTimeField(null=True, blank=True, help_text="The end that she was reminded of")

    objects: ClassVar[models.Manager["AccessRequest"]] = AccessRequestQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="accessrequest_due"),
            models.Index(fields=["dataset", "status"], name="accessrequest_of_dataset"),
            models.Index(fields=["user", "-created_at"], name="accessrequest_of_user"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "dataset"], condition=Q(status__in=sorted(ACCESS_OPEN)), name="accessrequest_open_once"
            ),
            models.CheckConstraint(
                condition=~Q(status__in=sorted(ACCESS_IN_FORCE)) | Q(grant__isnull=False), name="accessrequest_in_force_has_grant"
            ),
            models.CheckConstraint(
                condition=~Q(status=AccessStatus.DENIED) | (~Q(reason="") & Q(decided_at__isnull=False)),
                name="accessrequest_denied_has_reason",
            ),
            models.CheckConstraint(condition=~Q(purpose=""), name="accessrequest_has_purpose"),
        ]

    def __str__(self) -> str:
        return f"access request {self.id}"

    def get_absolute_url(self) -> str:
        return reverse("access:request", args=[self.id])

    @property
    def is_in_force(self) -> bool:
        return self.status in ACCESS_IN_FORCE

    @property
    def is_undecided(self) -> bool:
        return self.status in ACCESS_UNDECIDED

    @property
    def is_open(self) -> bool:
        return self.status in ACCESS_OPEN

    def held_grants(self, moment: dt.datetime) -> models.QuerySet[Grant]:
        """Her own grants of this dataset in force at a moment."""
        return held_grants(moment, dataset=self.dataset_id, user=self.user_id)

    def facts_of(self, new: str) -> dict[str, Any]:
        return super().facts_of(new) | {"moved_at": timezone.now()}

    def record(self, **facts: Any) -> None:
        """Write facts that are not a status. Raises StaleStateError when somebody moved it since it was read: that step is due already."""
        if not self.row().filter(moved_at=self.moved_at).update(**facts):
            raise StaleStateError
        self._set(facts)

    def write_event(self, **move: Any) -> None:
        self.refresh_from_db(fields=["last_act"])
        self.events.create(act=self.last_act, **move)


class AccessEvent(Event):
    """A line of the timeline."""

    request = models.ForeignKey(AccessRequest, on_delete=models.CASCADE, related_name="events")
    act = models.CharField(max_length=20, choices=Act.choices)
    old = models.CharField(max_length=16, choices=AccessStatus.choices, blank=True)
    new = models.CharField(max_length=16, choices=AccessStatus.choices)

    def __str__(self) -> str:
        return f"{self.act}: {self.old} to {self.new}"


class AccessMail(models.Model):
    """The guard that keeps a mail from being sent twice: written before sending, completed after."""

    request = models.ForeignKey(AccessRequest, on_delete=models.CASCADE, related_name="mails")
    message = models.CharField(max_length=32)
    occasion = models.BigIntegerField(help_text="The event that it tells of")
    message_id = models.CharField(max_length=255)
    claimed_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["request", "message", "occasion"], name="accessmail_once")]

    def __str__(self) -> str:
        return f"{self.message} for {self.request_id}"
