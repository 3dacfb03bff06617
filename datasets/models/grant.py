"""Access to the files of a restricted dataset, given to an identity or to a group, until a date."""

import datetime as dt
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from datasets.models.dataset import Dataset
from datasets.models.principal import PrincipalType, names_person


class GrantQuerySet(models.QuerySet["Grant"]):
    def active(self, moment: dt.datetime) -> Self:
        """Those in force at a moment, now or in the past: from `granted_at` until `expires_at` or `revoked_at`."""
        return self.filter(
            Q(expires_at=None) | Q(expires_at__gt=moment), Q(revoked_at=None) | Q(revoked_at__gt=moment), granted_at__lte=moment
        )

    def unended(self) -> Self:
        """The last word on each principal, whether its time is over or not."""
        return self.filter(revoked_at=None)

    def for_person(self, user: Any) -> Self:
        """Those that name one of her linked identities or one of her groups."""
        return self.filter(names_person(user))


class Grant(models.Model):
    """One permission from one moment to another. A change ends the row and opens another: who had access when can always be answered."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="grants")
    principal_type = models.CharField(max_length=10, choices=PrincipalType.choices)
    principal = models.UUIDField()
    label = models.CharField(max_length=200, blank=True, help_text="How the page names the identity or group")
    granted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    granted_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = GrantQuerySet.as_manager()

    class Meta:
        ordering = ["-granted_at"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "principal_type", "principal"], condition=Q(revoked_at=None), name="grant_one_open"),
            models.CheckConstraint(name="grant_ends_after_start", condition=Q(revoked_at=None) | Q(revoked_at__gte=F("granted_at"))),
        ]
        indexes = [models.Index(fields=["principal"], name="grant_principal")]

    def __str__(self) -> str:
        return f"{self.principal_type} {self.label or self.principal}"

    @property
    def valid_until(self) -> dt.datetime | None:
        """When it ended or ends; None for no end in sight."""
        return min((moment for moment in (self.expires_at, self.revoked_at) if moment), default=None)
