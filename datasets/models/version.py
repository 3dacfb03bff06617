"""A frozen state of a dataset's files, and where the bytes of it are."""

from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, Value
from django.urls import reverse
from django.utils.functional import cached_property

from datasets.models.dataset import Dataset
from datasets.models.moving import Moving
from datasets.states import VERSION_MOVES, VERSION_OPEN, Moves, VersionStatus

if TYPE_CHECKING:
    from datasets.models.doi import Doi

OPEN = Q(status__in=["draft", "review"])
UNPUBLISHED = Q(status__in=["draft", "review", "discarded"])


class VersionQuerySet(models.QuerySet["Version"]):
    def published(self) -> Self:
        """Those with a date of publication: the current one, those that it superseded, and what was withdrawn."""
        return self.exclude(status__in=VERSION_OPEN)

    def offered(self) -> Self:
        """Those whose files are given out to whom may have them."""
        return self.published().exclude(status=VersionStatus.WITHDRAWN)

    def drafts(self) -> Self:
        """Those that are still made: in review too."""
        return self.filter(status__in=VERSION_OPEN)

    def visible_to(self, user: Any) -> Self:
        """Published versions of visible datasets; drafts where the person curates."""
        if getattr(user, "is_operator", False):
            return self.all()
        if getattr(user, "is_steward", False):
            return self.filter(~Q(status__in=VERSION_OPEN) | Q(dataset__in=Dataset.objects.curated_by(user)))
        return self.published()


AnyVersionManager = models.Manager.from_queryset(VersionQuerySet)


class VersionManager(AnyVersionManager["Version"]):
    """The versions that there are: a discarded draft is hidden from every list and address at once."""

    def get_queryset(self) -> VersionQuerySet:
        return VersionQuerySet(self.model, using=self._db).exclude(status=VersionStatus.DISCARDED)


class Version(Moving):
    """Version `number` of a dataset. Which files it holds is said by the validity of the file rows, not by a list of its own."""

    MOVES: ClassVar[Moves] = VERSION_MOVES

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=12, choices=VersionStatus.choices, default=VersionStatus.DRAFT)
    reason = models.TextField(blank=True, help_text="What is new against the version before")
    description = models.JSONField(null=True, blank=True, help_text="The description as it was at publication")
    submitted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True, blank=True)
    superseded_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawal = models.TextField(blank=True, help_text="Why it was withdrawn, as its page says")
    forward_url = models.URLField(max_length=500, blank=True, help_text="What to use instead")
    digest = models.BinaryField(max_length=32, null=True, blank=True, help_text="The root folder's digest (datasets/digests.py)")
    damaged_at = models.DateTimeField(null=True, blank=True)
    damage = models.TextField(blank=True, help_text="Which published bytes are no longer what they were")

    discarded_at = models.DateTimeField(null=True, blank=True, help_text="In the bin since then; curation.deleting ends it")
    discarded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    objects = VersionManager()
    with_bin = VersionQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "number"], name="version_number"),
            models.UniqueConstraint(fields=["dataset"], condition=OPEN, name="version_one_open_draft"),
            models.UniqueConstraint(fields=["dataset"], condition=Q(status="published"), name="version_one_current"),
            models.CheckConstraint(
                name="version_published_has_date",
                condition=(UNPUBLISHED & Q(published_at=None)) | ~(UNPUBLISHED | Q(published_at=None)),
            ),
            models.CheckConstraint(name="version_published_has_digest", condition=UNPUBLISHED | Q(digest__isnull=False)),
            models.CheckConstraint(
                name="version_discarded_has_date",
                condition=Q(status="discarded", discarded_at__isnull=False) | (~Q(status="discarded") & Q(discarded_at=None)),
            ),
            models.CheckConstraint(
                name="version_superseded_has_date",
                condition=Q(status="withdrawn")
                | (Q(status="superseded") & Q(superseded_at__isnull=False))
                | (~Q(status="superseded") & Q(superseded_at=None)),
            ),
            models.CheckConstraint(
                name="version_withdrawn_says_why",
                condition=(Q(status="withdrawn", withdrawn_at__isnull=False) & ~Q(withdrawal=""))
                | (~Q(status="withdrawn") & Q(withdrawn_at=None, withdrawal="", forward_url="")),
            ),
            models.CheckConstraint(
                name="version_damage_has_date", condition=Q(damage="", damaged_at=None) | (~Q(damage="") & Q(damaged_at__isnull=False))
            ),
            models.CheckConstraint(name="version_number_from_one", condition=Q(number__gte=1)),
        ]
        indexes = [models.Index(fields=["discarded_at"], condition=Q(discarded_at__isnull=False), name="version_bin")]

    def __str__(self) -> str:
        return f"{self.dataset.slug} version {self.number}"

    def get_absolute_url(self) -> str:
        return f"{reverse('datasets:dataset', args=[self.dataset.slug])}?version={self.number}"

    @property
    def damage_url(self) -> str:
        """The page that lists its damaged files."""
        return f"{reverse('datasets:damage', args=[self.dataset.slug])}?version={self.number}"

    @property
    def is_draft(self) -> bool:
        """Whether it is still made; in review it waits for an answer, and nothing of it changes."""
        return self.status in VERSION_OPEN or self.is_discarded

    @property
    def is_discarded(self) -> bool:
        """Whether it lies in the bin."""
        return self.status == VersionStatus.DISCARDED

    @property
    def is_in_review(self) -> bool:
        return self.status == VersionStatus.REVIEW

    @property
    def is_withdrawn(self) -> bool:
        return self.status == VersionStatus.WITHDRAWN

    @property
    def digest_hex(self) -> str:
        return bytes(self.digest).hex() if self.digest is not None else ""

    @property
    def own_doi(self) -> "Doi | None":
        """Its DOI, where one was reserved."""
        return getattr(self, "doi", None)

    @cached_property
    def primary_location(self) -> "Location | None":
        """Where copies start from: what is wholly on line first, a collection before a bucket, the primary location before others."""
        return min(
            self.locations.all(),
            key=lambda place: (
                not place.is_online,
                bool(place.cold_folders),
                place.kind != LocationKind.COLLECTION,
                not place.is_primary,
                place.pk,
            ),
            default=None,
        )

    @property
    def is_in_bucket(self) -> bool:
        """Whether its files lie in a bucket and in no collection: Globus moves none of them, and S3 gives them out one by one."""
        return self.primary_location is not None and self.primary_location.kind == LocationKind.BUCKET

    @property
    def availability(self) -> str:
        """`online` where its files are on line somewhere, `cold` where they are not, empty where nobody said where they are."""
        place = self.primary_location
        return "" if place is None else "online" if place.is_online else "cold"

    @property
    def cold_folders(self) -> tuple[str, ...]:
        """The folders whose files are cold while the others are on line, none within another; empty where all are the same."""
        place = self.primary_location
        return tuple(place.cold_folders) if place is not None and place.is_online else ()

    def availability_of(self, path: str) -> str:
        """`online` or `cold` of a file or folder, `partly` of a folder that holds both, empty where nobody said."""
        if path.startswith(self.cold_folders):
            return "cold"
        if path.endswith("/") and any(cold.startswith(path) for cold in self.cold_folders):
            return "partly"
        return self.availability

    def write_event(self, **move: Any) -> None:
        super().write_event(dataset_id=self.dataset_id, act="version", **move)


class LocationKind(models.TextChoices):
    COLLECTION = "collection", "Globus collection"
    BUCKET = "bucket", "Object store bucket"


class Location(models.Model):
    """A place that holds the bytes of one version: a path in a collection, or a prefix in a bucket."""

    version = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="locations")
    kind = models.CharField(max_length=12, choices=LocationKind.choices, default=LocationKind.COLLECTION)
    collection_id = models.UUIDField(null=True, blank=True)
    bucket = models.CharField(max_length=200, blank=True)
    base_path = models.TextField(default="/", help_text="Starts and ends with /")
    is_primary = models.BooleanField(default=True)
    is_online = models.BooleanField(default=True, help_text="Otherwise cold: on tape, or away for a time")
    wait_minutes = models.PositiveIntegerField(null=True, blank=True, help_text="What people wait for cold files, as far as it is known")
    cold_folders = ArrayField(
        models.TextField(), default=list, db_default=Value([], ArrayField(models.TextField())), blank=True,
        help_text="Logical paths of folders that are cold though the location is on line; none lies in another",
    )  # fmt: skip

    class Meta:
        ordering = ["-is_primary", "id"]
        constraints = [
            models.UniqueConstraint(fields=["version"], condition=Q(is_primary=True), name="location_one_primary"),
            models.CheckConstraint(
                name="location_says_where",
                condition=Q(kind="collection", collection_id__isnull=False, bucket="")
                | (Q(kind="bucket", collection_id=None) & ~Q(bucket="")),
            ),
            models.CheckConstraint(name="location_path_is_a_folder", condition=Q(base_path__startswith="/") & Q(base_path__endswith="/")),
        ]

    def __str__(self) -> str:
        return f"{self.collection_id or self.bucket}:{self.base_path}"

    def is_at(self, other: "Location") -> bool:
        """Whether it names the same place."""
        return (self.collection_id, self.bucket, self.base_path) == (other.collection_id, other.bucket, other.base_path)

    def collection_path(self, path: str) -> str:
        """The path in the collection of a logical path of the version."""
        return self.base_path + path.removeprefix("/")
