"""A basket holds selections; a selection is a query over one version, never a list of its files (10^6 files cost one row)."""

import json
import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from datasets.files import FileQuery
from datasets.files.filters import FileFilter
from datasets.models import Version
from transfers.models.requests import DataRequest


class Basket(models.Model):
    """What somebody is about to ask for. It belongs to a person, or to a browser session until she signs in."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="basket")
    session_key = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session_key"], condition=~Q(session_key=""), name="basket_one_per_session"),
            models.CheckConstraint(
                condition=Q(user__isnull=False, session_key="") | (Q(user__isnull=True) & ~Q(session_key="")), name="basket_belongs_to_one"
            ),
        ]

    def __str__(self) -> str:
        return f"basket {self.id}"


class Selection(models.Model):
    """Some files of one version: folders, globs, filters and files, all empty meaning all. In a basket, or frozen in a data request."""

    basket = models.ForeignKey(Basket, null=True, blank=True, on_delete=models.CASCADE, related_name="selections")
    request = models.ForeignKey(DataRequest, null=True, blank=True, on_delete=models.CASCADE, related_name="selections")
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+")
    folders = models.JSONField(default=list, blank=True)
    globs = models.JSONField(default=list, blank=True)
    files = models.JSONField(default=list, blank=True)
    filters = models.JSONField(default=dict, blank=True, help_text="Bounds beside the names (datasets/files/filters.py)")
    n_files = models.PositiveBigIntegerField(default=0)
    size_bytes = models.PositiveBigIntegerField(default=0)
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(basket__isnull=False, request__isnull=True) | Q(basket__isnull=True, request__isnull=False),
                name="selection_in_basket_or_request",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version} {self.describe()}"

    @property
    def query(self) -> FileQuery:
        return FileQuery(tuple(self.folders), tuple(self.globs), tuple(self.files), FileFilter.read(self.filters))

    @property
    def is_everything(self) -> bool:
        return not (self.folders or self.globs or self.files or self.filters)

    def describe(self) -> str:
        """The selection in words."""
        if self.is_everything:
            return "all files"
        parts = [*self.folders, *self.globs, *(words for _, words in self.query.filters.words())]
        if self.files:
            parts.append(self.files[0] if len(self.files) == 1 else f"{len(self.files)} chosen files")
        return ", ".join(parts)

    def as_key(self) -> list[Any]:
        """The same files asked for in another order give the same key."""
        filters = json.dumps(self.filters, sort_keys=True)
        return [str(self.version_id), sorted(self.folders), sorted(self.globs), sorted(self.files), filters]
