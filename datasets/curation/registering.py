"""Making a dataset known: its draft, its description, and where its files are."""

import uuid
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.text import slugify

from datasets import dois
from datasets.access import Visitor, check_curator, check_role_counts
from datasets.access.protecting import protection_of, record_changes
from datasets.curation.publishing import check_not_in_review
from datasets.description import probing, stating
from datasets.description.locking import check_free, check_revision
from datasets.errors import ConflictError, ForbiddenError, InvalidError
from datasets.identifiers import LONGEST_SLUG, SLUG, SLUG_WORDS
from datasets.metadata import pushing
from datasets.models import AccessPolicy, Creator, Dataset, DatasetEvent, Location, LocationKind, Subject, Variable, Version
from datasets.search.indexing import index_dataset
from datasets.states import ScanStatus, VersionStatus

MOST_NAMED = 20


@transaction.atomic
def register(*, user: Visitor, slug: str, title: str, **description: Any) -> Version:
    """Create a dataset with an open draft; the person who registers it becomes its steward. `description` as in `describe`.

    Raises ForbiddenError unless she is a steward or an operator, InvalidError naming every wrong field, ConflictError for a slug in use.
    """
    check_may_register(user)
    is_slug = bool(SLUG.fullmatch(slug)) and len(slug) <= LONGEST_SLUG
    if is_slug and Dataset.with_bin.filter(slug=slug).exists():
        raise ConflictError(f"There is a dataset {slug} already.", fields={"slug": ["In use."]})
    now = timezone.now()
    dataset = Dataset(slug=slug, title=title, created_at=now, listed_at=now)
    wrong = stating.clean(dataset, {"title": title, **description}).wrong
    if not is_slug:
        wrong["slug"] = [SLUG_WORDS]
    if wrong:
        raise InvalidError(fields=wrong)
    dataset.save()
    dataset.stewards.add(user.id)
    version = Version.objects.create(dataset=dataset, number=1)
    DatasetEvent.objects.create(dataset=dataset, version=version, act="version", new=VersionStatus.DRAFT, actor=user, note="registered")
    describe(dataset, user=user, **description)
    version.refresh_from_db()
    return version


def check_may_register(user: Visitor) -> None:
    """Raise ForbiddenError unless the person is a steward or an operator."""
    if not (getattr(user, "is_steward", False) or getattr(user, "is_operator", False)):
        check_role_counts(user)
        raise ForbiddenError("Only stewards and operators register datasets.")


@transaction.atomic
def describe(
    dataset: Dataset,
    *,
    user: Visitor,
    revision: int | None = None,
    **stated: Any,
) -> Dataset:
    """Change the description; what is not named stays, and what is named replaces what is there.

    What may be stated, and each field's rule, is in `stating`; the shapes of `creators` (in order), `funders`, `related`, `keywords`,
    `instruments` and `platforms` are in `entries`. `subjects` and `places` are names; a variable is name, standard_name, long_name, units,
    dimensions. Raises InvalidError naming every wrong field, ForbiddenError unless she is a steward of the dataset or an operator,
    BeingEditedError while somebody else edits it, ChangedMeanwhileError where the description has no more the `revision` that she read.
    """
    check_curator(user, dataset)
    row = Dataset.objects.held().get(pk=dataset.pk)  # not the caller's copy: a stale one would take a publication back
    for version in dataset.versions.drafts():
        check_not_in_review(version)
    check_free(row, user)
    if revision is not None:
        check_revision(row, revision)
    row.revision += 1
    before = protection_of(row)
    found = stating.clean(row, stated)
    if found.wrong:
        raise InvalidError(fields=found.wrong)
    if row.embargo_ends_at != before["embargo_ends_at"]:
        row.embargo_lifted_at = None
    row.save()
    record_changes(before, row, user=user)
    _replace_parts(dataset, found)
    probing.note_links(row)
    index_dataset(dataset)
    dois.tell_anew(dataset)
    pushing.ask_for_push(dataset)
    return dataset


def _replace_parts(dataset: Dataset, found: stating.Stated) -> None:
    if found.creators is not None:
        dataset.creators.all().delete()
        Creator.objects.bulk_create(found.creators)
    if found.subjects is not None:
        dataset.subjects.set([Subject.objects.get_or_create(slug=slugify(name), defaults={"name": name})[0] for name in found.subjects])
    if found.variables is not None:
        dataset.variables.all().delete()
        Variable.objects.bulk_create(found.variables)


@transaction.atomic
def place(
    version: Version,
    *,
    user: Visitor,
    base_path: str,
    collection_id: uuid.UUID | None = None,
    bucket: str = "",
    is_primary: bool = True,
    closes_others: bool = False,
) -> Location:
    """Say where the bytes of a draft are: a folder in a collection, or a prefix in a bucket. A new primary location replaces the old one.

    Raises ConflictError for a published version, whose location is a promise, and for a place that overlaps with a dataset which this
    person does not curate or that holds people's shares and results: its files would become readable under this dataset's policy.
    InvalidError for a path that is no folder. A place that takes other datasets from their readers is refused too, unless `closes_others`
    says that this is meant: no folder is read in place that holds, or lies in, files which are not as open.
    """
    check_curator(user, version.dataset)
    Dataset.objects.held().get(pk=version.dataset_id)
    version.refresh_from_db(fields=["status"])  # it may have been published while this waited
    if not version.is_draft:
        raise ConflictError("A published version stays where it is. Open a draft.")
    if version.is_discarded:  # by somebody else meanwhile: it is restored as it was
        raise ConflictError("This draft lies in the bin. Restore it first.")
    check_not_in_review(version)
    kind = LocationKind.BUCKET if bucket else LocationKind.COLLECTION
    _check_no_report(version, collection_id, bucket, base_path)
    if is_primary:
        version.locations.filter(is_primary=True).delete()
    location = Location(version=version, kind=kind, collection_id=collection_id, bucket=bucket, base_path=base_path, is_primary=is_primary)
    check_place_is_free(location, user)
    if not closes_others and (closed := closed_by(location)):
        words = f"Nobody could read these in place any more, as files that are less open would lie there too: {_names(closed)}."
        meant = "Say that this is meant, or name a folder beside."
        raise ConflictError("Other datasets would be closed to their readers.", fields={"base_path": [words], "closes_others": [meant]})
    location.save()
    version.__dict__.pop("primary_location", None)
    index_dataset(version.dataset)
    return location


def closed_by(location: Location) -> list[Dataset]:
    """The datasets of others that are read in place now and would not be with this one there; up to 20, by slug."""
    dataset, now = location.version.dataset, timezone.now()
    open_now = Dataset.objects.readable_in_place(now).exclude(pk=dataset.pk)
    if dataset.is_read_in_place and dataset.access_policy == AccessPolicy.PUBLIC:
        return []
    if dataset.is_read_in_place:
        open_now = open_now.filter(access_policy=AccessPolicy.PUBLIC)
    held = _overlapping(location).filter(version__in=Version.objects.offered())
    return list(open_now.filter(pk__in=held.values("version__dataset")).order_by("slug")[:MOST_NAMED])


def _names(closed: list[Dataset]) -> str:
    return ", ".join(f"{one.title} ({one.slug})" for one in closed) + (" and maybe others" if len(closed) == MOST_NAMED else "")


def _overlapping(location: Location) -> QuerySet[Location]:
    """What lies in this place or holds it, of any dataset."""
    path = location.base_path
    above = [path[:at] for at, character in enumerate(path, start=1) if character == "/"]
    inside = Q(base_path__startswith=path) | Q(base_path__in=above)
    return Location.objects.filter(inside, collection_id=location.collection_id, bucket=location.bucket)


def _check_no_report(version: Version, collection_id: uuid.UUID | None, bucket: str, base_path: str) -> None:
    here = version.primary_location
    is_same = here is not None and (here.collection_id, here.bucket, here.base_path) == (collection_id, bucket, base_path)
    if not is_same and version.scans.filter(status__in=[ScanStatus.REPORTED, ScanStatus.PAUSED]).exists():
        raise ConflictError("A scan of the present location waits for an answer: discard or cancel it first.")


def check_place_is_free(location: Location, user: Visitor) -> None:
    """Raise InvalidError for a place that is none, ConflictError for one that this person may not put this dataset at."""
    base_path = location.base_path
    if not base_path.startswith("/") or not base_path.endswith("/") or any(part in {".", ".."} for part in base_path.split("/")):
        raise InvalidError(fields={"base_path": ["A folder path: it starts and ends with /."]})
    _clean(location)
    closed = {settings.SHARE_COLLECTION, settings.RESULTS_COLLECTION, settings.STORAGE_COLLECTION}
    if str(location.collection_id) in closed:
        raise ConflictError(fields={"collection_id": ["People's shares and results lie there. Name the archive's collection."]})
    above = [location.base_path[:at] for at, character in enumerate(location.base_path, start=1) if character == "/"]
    own = Location.objects.filter(version__dataset=location.version.dataset, version__published_at__isnull=False)
    if location.version.dataset.is_read_in_place and own.filter(
        base_path__in=above[:-1], collection_id=location.collection_id, bucket=location.bucket
    ):
        raise ConflictError(fields={"base_path": ["A published version lies above and is open to be read: put the draft beside it."]})
    others = _overlapping(location).exclude(version__dataset_id=location.version.dataset_id)
    if others.exclude(version__dataset__in=Dataset.with_bin.curated_by(user)).exists():
        raise ConflictError(fields={"base_path": ["Another dataset lies there, and you do not curate it."]})


def _clean(row: Location) -> None:
    try:
        row.full_clean()
    except ValidationError as error:
        raise InvalidError(fields=error.message_dict) from error
