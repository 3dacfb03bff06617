"""Series: datasets that belong together, as a tree under the archive, with stewards who then are stewards of all that is below.

The name is that of ISO 19115 (scope code `series`) and DCAT 3 (`dcat:DatasetSeries`): `collection` is Globus' word for a place of files.
"""

from typing import Any, Self

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.urls import reverse
from django.utils import timezone

from datasets.models.moving import Event
from datasets.models.principal import PrincipalType, names_person


class SeriesQuerySet(models.QuerySet["Series"]):
    def stewarded_by(self, user: Any) -> Self:
        """What this person may change: series that name her as a steward with all that is below them; all for an operator."""
        if getattr(user, "is_operator", False):
            return self.all()
        if not getattr(user, "is_steward", False):
            return self.none()
        held = SeriesSteward.objects.filter(names_person(user)).values("series_id")
        return self.filter(lineage__overlap=ArraySubquery(held))

    def visible_to(self, user: Any) -> Self:
        """Series that hold something published, at any depth; of others a steward sees what she curates and the way to it."""
        if getattr(user, "is_operator", False):
            return self.all()
        below = Series.objects.filter(lineage__contains=[OuterRef("pk")])
        if not getattr(user, "is_steward", False):
            return self.filter(Exists(below.filter(n_listed__gt=0)))
        linked = Series.objects.filter(pk=OuterRef("pk"), datasets__stewards__in=list(user.identity_ids))
        named = SeriesSteward.objects.filter(names_person(user), series_id=OuterRef("pk"))
        shown = below.filter(Q(n_listed__gt=0) | Exists(linked) | Exists(named))
        return self.filter(Exists(shown) | Q(pk__in=Series.objects.stewarded_by(user).values("pk")))

    def below(self, series: "Series") -> Self:
        """The series itself and all series under it."""
        return self.filter(lineage__contains=[series.pk])


class Series(models.Model):
    """A node of the tree: archive, series, dataset. A dataset belongs to at most one series, and with it to those above."""

    slug = models.SlugField(max_length=80, unique=True)
    title = models.CharField(max_length=300)
    description = models.TextField(blank=True)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="children")
    lineage = ArrayField(
        models.BigIntegerField(),
        default=list,
        editable=False,
        help_text="Ids from the top of the tree down to its own; datasets.series writes it",
    )
    n_listed = models.BigIntegerField(
        default=0, db_default=0, editable=False, help_text="Listed datasets directly in it; a database trigger keeps it"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = SeriesQuerySet.as_manager()

    class Meta:
        ordering = ["title", "id"]
        verbose_name_plural = "series"
        indexes = [GinIndex(fields=["lineage"], name="series_lineage")]
        constraints = [
            models.CheckConstraint(name="series_not_its_own_parent", condition=Q(parent=None) | ~Q(parent=F("id"))),
            models.CheckConstraint(name="series_counts_up", condition=Q(n_listed__gte=0)),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("datasets:series", args=[self.slug])

    @property
    def depth(self) -> int:
        """1 at the top of the tree."""
        return len(self.lineage)


class SeriesSteward(models.Model):
    """An identity or a group that curates a series, the series below it, and every dataset of these."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="stewards")
    principal_type = models.CharField(max_length=10, choices=PrincipalType.choices)
    principal = models.UUIDField()
    label = models.CharField(max_length=200, blank=True, help_text="How the page names the identity or group")
    appointed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    appointed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["principal_type", "label", "id"]
        constraints = [models.UniqueConstraint(fields=["series", "principal_type", "principal"], name="seriessteward_once")]
        indexes = [models.Index(fields=["principal"], name="seriessteward_principal")]

    def __str__(self) -> str:
        return self.label or str(self.principal)


class SeriesEvent(Event):
    """One act on a series; it outlives the series."""

    series = models.ForeignKey(Series, on_delete=models.SET_NULL, null=True, related_name="events")
    slug = models.SlugField(max_length=80)
    act = models.CharField(max_length=40)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.slug}: {self.act}"
