"""A dataset and what describes it: creators, subjects, variables, coverage, licence, access policy, stewards."""

import datetime as dt
import uuid
from typing import Any, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Value
from django.urls import reverse
from django.utils import timezone

from datasets.identifiers import check_orcid
from datasets.models.series import Series


class AccessPolicy(models.TextChoices):
    PUBLIC = "public", "Public"
    REGISTERED = "registered", "Signed in"
    RESTRICTED = "restricted", "Restricted"


class Classification(models.TextChoices):
    PUBLIC = "public", "Public"
    INTERNAL = "internal", "Internal"
    CONTROLLED = "controlled", "Controlled"


class ShareVariant(models.TextChoices):
    FOLDER = "folder", "A folder in the shares collection"
    COLLECTION = "collection", "A guest collection of its own"


class DatasetQuerySet(models.QuerySet["Dataset"]):
    def held(self) -> Self:
        """The rows, held against every other verb until the transaction ends.

        The one order of locks, for whoever takes several: the tree of series (an advisory lock), datasets by their keys, then versions,
        scans, DOIs and records of one, then series (which count their datasets), then the counters of words. A worker that holds the row
        of a scan and needs its dataset, or who writes an event of it, would else wait for a person who holds the dataset and ends the scan.
        No key of the row changes, so rows that name it, such as events, are written beside this lock and wait for nobody.
        """
        return self.select_for_update(of=("self",), no_key=True)

    def published(self) -> Self:
        return self.filter(published_at__isnull=False)

    def listed(self) -> Self:
        """What people and harvesters find: published, and not withdrawn."""
        return self.published().filter(withdrawn_at=None)

    def readable_in_place(self, now: dt.datetime) -> Self:
        """Published ones whose files are read where they lie: under no embargo, not controlled, not restricted."""
        return self.listed().filter(
            ~Q(access_policy=AccessPolicy.RESTRICTED),
            ~Q(classification=Classification.CONTROLLED),
            Q(embargo_ends_at=None) | Q(embargo_ends_at__lte=now),
        )

    def curated_by(self, user: Any) -> Self:
        """What this person may change: her own datasets for a steward, all for an operator, nothing for anybody else."""
        if getattr(user, "is_operator", False):
            return self.all()
        if not getattr(user, "is_steward", False):
            return self.none()
        return self.filter(_has_steward(user))

    def visible_to(self, user: Any) -> Self:
        """Published metadata is public, of restricted datasets too; drafts are for their stewards and for operators."""
        if getattr(user, "is_operator", False):
            return self.all()
        published = Q(published_at__isnull=False)
        if getattr(user, "is_steward", False):
            return self.filter(published | _has_steward(user))
        return self.filter(published)

    def found_by(self, user: Any) -> Self:
        """What this person meets in lists: what is listed, and what she curates."""
        if getattr(user, "is_operator", False):
            return self.all()
        listed = Q(published_at__isnull=False, withdrawn_at=None)
        return self.filter(listed | _has_steward(user)) if getattr(user, "is_steward", False) else self.filter(listed)


AnyDatasetManager = models.Manager.from_queryset(DatasetQuerySet)


class DatasetManager(AnyDatasetManager["Dataset"]):
    """The datasets that there are: what lies in the bin is hidden from every list, search, count and address at once."""

    def get_queryset(self) -> DatasetQuerySet:
        return DatasetQuerySet(self.model, using=self._db).filter(deleted_at=None)


def _has_steward(user: Any) -> Q:
    """Datasets that name her as a steward, and those of the series that do."""
    links = Dataset.stewards.through.objects.filter(dataset_id=OuterRef("pk"), user_id__in=list(user.identity_ids))
    return Q(Exists(links)) | Q(series_id__in=Series.objects.stewarded_by(user).values("pk"))


class Subject(models.Model):
    """A keyword of the archive's own list."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=120)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Dataset(models.Model):
    """One body of data with one description; its files live in versions."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=80, unique=True)
    series = models.ForeignKey(Series, on_delete=models.PROTECT, null=True, blank=True, related_name="datasets", db_index=False)
    title = models.CharField(max_length=300)
    abstract = models.TextField(blank=True)
    licence = models.CharField(max_length=60, blank=True, help_text="SPDX identifier; blank when unknown")
    access_policy = models.CharField(max_length=12, choices=AccessPolicy.choices, default=AccessPolicy.PUBLIC)
    access_note = models.TextField(blank=True, help_text="Why access is as it is, in a sentence")
    classification = models.CharField(max_length=12, choices=Classification.choices, default=Classification.PUBLIC, db_default="public")
    embargo_ends_at = models.DateTimeField(null=True, blank=True, help_text="Until then only a grant gives the files")
    embargo_lifted_at = models.DateTimeField(null=True, blank=True, editable=False)
    share_variant = models.CharField(max_length=12, choices=ShareVariant.choices, default=ShareVariant.FOLDER)

    west = models.FloatField(null=True, blank=True)
    south = models.FloatField(null=True, blank=True)
    east = models.FloatField(null=True, blank=True)
    north = models.FloatField(null=True, blank=True)
    temporal_start = models.DateField(null=True, blank=True)
    temporal_end = models.DateField(null=True, blank=True)
    temporal_resolution = models.CharField(max_length=40, blank=True, db_default="", help_text="ISO 8601 duration, such as PT6H or P1M")

    # Lists that are read and written as a whole; their shapes and rules are in datasets/description/entries.py.
    places = models.JSONField(default=list, db_default=Value([], models.JSONField()), blank=True)
    funders = models.JSONField(default=list, db_default=Value([], models.JSONField()), blank=True)
    related = models.JSONField(default=list, db_default=Value([], models.JSONField()), blank=True)
    keywords = models.JSONField(default=list, db_default=Value([], models.JSONField()), blank=True)
    instruments = models.JSONField(default=list, db_default=Value([], models.JSONField()), blank=True)
    platforms = models.JSONField(default=list, db_default=Value([], models.JSONField()), blank=True)

    contact_name = models.CharField(max_length=200, blank=True, db_default="")
    contact = models.EmailField(blank=True)
    source_name = models.CharField(max_length=300, blank=True)
    source_url = models.URLField(max_length=500, blank=True)
    provenance = models.TextField(blank=True)

    subjects = models.ManyToManyField(Subject, related_name="datasets", blank=True)
    stewards = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="stewarded_datasets", blank=True)

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    revision = models.PositiveIntegerField(default=1, db_default=1, editable=False, help_text="Counts the changes of the description")
    published_at = models.DateTimeField(null=True, blank=True, editable=False)
    withdrawn_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Its current version was withdrawn then")
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="In the bin since then; deleting.py ends it")
    deleted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, related_name="+")

    # The catalogue row, with `SearchEntry`: copies that `search/indexing.py` alone writes, in the transaction that changes what they copy.
    listed_at = models.DateTimeField(editable=False)
    n_files = models.BigIntegerField(default=0, editable=False)
    size_bytes = models.BigIntegerField(default=0, editable=False)
    creator_names = ArrayField(models.TextField(), default=list, editable=False)
    subject_facet = ArrayField(models.TextField(), default=list, editable=False)
    variable_facet = ArrayField(models.TextField(), default=list, editable=False)
    format_facet = ArrayField(models.TextField(), default=list, editable=False)
    decade_facet = ArrayField(models.IntegerField(), default=list, editable=False)
    facet_ids = ArrayField(models.IntegerField(), default=list, editable=False, help_text="All of its facet values, by number")
    search_terms = ArrayField(models.TextField(), default=list, editable=False)

    objects = DatasetManager()
    with_bin = DatasetQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["listed_at", "id"], name="dataset_newest"),
            models.Index(fields=["title", "id"], name="dataset_by_title"),
            models.Index(fields=["size_bytes", "id"], name="dataset_by_size"),
            models.Index(fields=["series", "title", "id"], name="dataset_of_series"),
            models.Index(fields=["deleted_at", "id"], condition=Q(deleted_at__isnull=False), name="dataset_bin"),
            models.Index(fields=["updated_at", "id"], condition=Q(published_at__isnull=False), name="dataset_harvest"),
            models.Index(fields=["id"], condition=Q(published_at=None) | Q(withdrawn_at__isnull=False), name="dataset_unlisted"),
        ]
        constraints = [
            models.CheckConstraint(
                name="dataset_box_whole_or_absent",
                # Each side is asked for by name: a comparison with null is not false to a check constraint.
                condition=Q(west=None, south=None, east=None, north=None)
                | Q(
                    west__isnull=False,
                    south__isnull=False,
                    east__isnull=False,
                    north__isnull=False,
                    west__range=(-180, 180),
                    east__range=(-180, 180),
                    south__range=(-90, 90),
                    north__range=(-90, 90),
                    north__gte=F("south"),
                ),
                violation_error_message="Give all four sides: longitudes from -180 to 180, latitudes from -90 to 90, south below north.",
            ),
            models.CheckConstraint(
                name="dataset_time_runs_forward",
                condition=Q(temporal_end=None) | Q(temporal_start=None) | Q(temporal_end__gte=F("temporal_start")),
                violation_error_message="The end lies before the start.",
            ),
            models.CheckConstraint(name="dataset_published_stays", condition=Q(deleted_at=None) | Q(published_at=None)),
            models.CheckConstraint(name="dataset_access_policy_known", condition=Q(access_policy__in=AccessPolicy.values)),
            models.CheckConstraint(name="dataset_classification_known", condition=Q(classification__in=Classification.values)),
            models.CheckConstraint(
                name="dataset_anonymous_is_public",
                condition=Q(classification=Classification.PUBLIC) | ~Q(access_policy=AccessPolicy.PUBLIC),
                violation_error_message="Internal and controlled files are for people who are signed in: choose another access policy.",
            ),
            models.CheckConstraint(name="dataset_share_variant_known", condition=Q(share_variant__in=ShareVariant.values)),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("datasets:dataset", args=[self.slug])

    @property
    def is_published(self) -> bool:
        return self.published_at is not None

    @property
    def is_withdrawn(self) -> bool:
        return self.withdrawn_at is not None

    @property
    def is_embargoed(self) -> bool:
        return self.embargo_ends_at is not None and self.embargo_ends_at > timezone.now()

    @property
    def is_controlled(self) -> bool:
        return self.classification == Classification.CONTROLLED

    @property
    def effective_policy(self) -> AccessPolicy:
        """Who may have the files now: under an embargo only who was given access."""
        return AccessPolicy.RESTRICTED if self.is_embargoed else AccessPolicy(self.access_policy)

    @property
    def is_read_in_place(self) -> bool:
        """Whether the files are read where they lie; else only shares give them out."""
        return self.is_published and not self.is_withdrawn and not self.is_controlled and self.effective_policy != AccessPolicy.RESTRICTED

    @property
    def is_open_to_all(self) -> bool:
        """Whether anybody may read the files now, without signing in."""
        return self.is_read_in_place and self.effective_policy == AccessPolicy.PUBLIC

    @property
    def has_box(self) -> bool:
        return self.west is not None

    @property
    def bbox(self) -> tuple[float, float, float, float] | None:
        """(west, south, east, north) in degrees; west > east crosses the antimeridian."""
        if self.west is None or self.south is None or self.east is None or self.north is None:
            return None
        return (self.west, self.south, self.east, self.north)

    @property
    def point(self) -> tuple[float, float] | None:
        """(longitude, latitude) in degrees where the place is one point: a box without extent."""
        return (self.bbox[0], self.bbox[1]) if self.bbox and self.bbox[:2] == self.bbox[2:] else None


class Creator(models.Model):
    """A person or body that made the dataset, in the order of the citation."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="creators")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=200)
    orcid = models.CharField(max_length=19, blank=True, validators=[check_orcid])
    ror = models.CharField(max_length=9, blank=True, db_default="", help_text="The ROR id of a creator that is an organisation")
    affiliations = models.JSONField(default=list, db_default=Value([], models.JSONField()), blank=True, help_text="[{name, ror}]")

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["dataset", "position"], name="creator_position")]

    def __str__(self) -> str:
        return self.name

    @property
    def affiliation(self) -> str:
        """The names of the affiliations."""
        return "; ".join(one["name"] for one in self.affiliations)


class Variable(models.Model):
    """A quantity that the files hold, named as they name it."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="variables")
    name = models.CharField(max_length=200)
    standard_name = models.CharField(max_length=200, blank=True)
    long_name = models.CharField(max_length=300, blank=True)
    units = models.CharField(max_length=100, blank=True)
    dimensions = ArrayField(models.TextField(), default=list, blank=True)
    example_path = models.TextField(blank=True, help_text="Logical path of a file that holds it; a quick look reads this one")

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["dataset", "name"], name="variable_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def label(self) -> str:
        """The name that people search for: the CF standard name where there is one."""
        return self.standard_name or self.name
