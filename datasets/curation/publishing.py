"""From draft to published version, and to the next one. Read `publish` first.

A draft is the highest version of its dataset and the only open one. Its file rows are those without an end, so removing it is taking back
its own rows and reopening those that it ended; a discarded one lies in the bin with all of that for 30 days.
"""

import datetime as dt

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import transaction
from django.utils import timezone

from datasets import dois, items
from datasets.access import Visitor, check_curator
from datasets.curation import checking
from datasets.description.locking import check_free
from datasets.description.snapshots import snapshot
from datasets.errors import ConflictError, InvalidError, NotFoundError, NotReadyError
from datasets.files.recounting import recount, root_state
from datasets.metadata import pushing
from datasets.models import Dataset, DatasetEvent, File, FolderState, ListedPart, Location, Version
from datasets.preservation import damaging
from datasets.search.indexing import index_dataset
from datasets.states import ScanStatus, VersionStatus

LONGEST_URL = 500
KEPT = dt.timedelta(days=30)  # in the bin


@transaction.atomic
def submit(version: Version, *, user: Visitor, note: str = "") -> Version:
    """Ask for a review: from now on nothing of the draft changes until it is sent back or published.

    Raises NotReadyError with all that must be mended first, ForbiddenError unless asked by a steward of the dataset or an operator,
    BeingEditedError while somebody else edits the description.
    """
    check_curator(user, version.dataset)
    Dataset.objects.held().get(pk=version.dataset_id)
    version.refresh_from_db(fields=["status"])  # it may have been published while this waited
    check_free(version.dataset, user)
    recount(version)
    if missing := checking.missing(version):
        raise NotReadyError("This draft cannot go to review yet.", fields=missing)
    return version.move_to(VersionStatus.REVIEW, actor=user, note=note, submitted_by=user)


@transaction.atomic
def send_back(version: Version, *, user: Visitor, note: str) -> Version:
    """Take a version out of review, with what is to be mended; its author may take it back too. InvalidError without a word why."""
    check_curator(user, version.dataset)
    if not note.strip():
        raise InvalidError(fields={"note": ["Say what is to be mended."]})
    return version.move_to(VersionStatus.DRAFT, actor=user, note=note, submitted_by=None)


def comment(version: Version, *, user: Visitor, note: str) -> DatasetEvent:
    """A remark on a version that its curators read."""
    check_curator(user, version.dataset)
    if not note.strip():
        raise InvalidError(fields={"note": ["Write a comment first."]})
    return DatasetEvent.objects.create(dataset_id=version.dataset_id, version=version, act="comment", actor=user, note=note.strip())


@transaction.atomic
def publish(version: Version, *, user: Visitor, note: str = "") -> Version:
    """Freeze a draft: its totals and digest are fixed, it becomes the current version, and the dataset can be found.

    Raises NotReadyError with all that is missing at once, ForbiddenError unless asked by a steward of the dataset or an operator,
    IllegalMoveError when it is not a draft; where two persons are needed, ConflictError before the review and for who asked for it.
    """
    dataset = Dataset.objects.held().get(pk=version.dataset_id)
    check_curator(user, dataset)
    check_free(dataset, user)
    version.refresh_from_db()
    _check_second_person(version, user)
    recount(version)
    root = root_state(version)
    if missing := checking.missing(version):
        raise NotReadyError("This draft cannot be published yet.", fields=missing)
    now = timezone.now()
    for current in dataset.versions.filter(status=VersionStatus.PUBLISHED):
        current.move_to(VersionStatus.SUPERSEDED, actor=user, note=f"by version {version.number}", superseded_at=now)
    facts = {"published_at": now, "digest": root.digest if root else None, "description": snapshot(dataset)}
    version.move_to(VersionStatus.PUBLISHED, actor=user, note=note, **facts)
    if dataset.published_at is None or dataset.is_withdrawn:
        dataset.published_at, dataset.withdrawn_at = dataset.published_at or now, None
        dataset.save(update_fields=["published_at", "withdrawn_at"])
    index_dataset(dataset, has_other_files=True)
    dois.ask_for_registration(version)
    pushing.ask_for_push(dataset)
    damaging.note_replacement(version)
    version.dataset = dataset
    return version


@transaction.atomic
def withdraw(version: Version, *, user: Visitor, reason: str, forward_url: str = "") -> Version:
    """Take a published version back: its page stays as a tombstone that says why and what to use instead; nobody gets its files.

    With the current version the dataset leaves search, feeds and harvests until another version is published.
    Raises InvalidError without a reason, ForbiddenError unless asked by a steward of the dataset or an operator.
    """
    dataset = Dataset.objects.held().get(pk=version.dataset_id)
    check_curator(user, dataset)
    if not reason.strip():
        raise InvalidError(fields={"reason": ["Say why: its page will tell it to whoever follows a citation."]})
    version.refresh_from_db()
    was_current, now = version.status == VersionStatus.PUBLISHED, timezone.now()
    facts = {"withdrawn_at": now, "withdrawal": reason.strip(), "forward_url": _url(forward_url)}
    version.move_to(VersionStatus.WITHDRAWN, actor=user, note=reason.strip(), **facts)
    if was_current:
        dataset.withdrawn_at = now
        dataset.save(update_fields=["withdrawn_at", "updated_at"])
        index_dataset(dataset, has_other_files=True)
    dois.tell_anew(dataset)
    pushing.ask_for_push(dataset)
    damaging.assess(dataset)
    version.dataset = dataset
    return version


def _url(text: str) -> str:
    try:
        if text.strip():
            URLValidator(["http", "https"])(text.strip())
    except ValidationError as error:
        raise InvalidError(fields={"forward_url": ["An address starts with https://."]}) from error
    if len(text.strip()) > LONGEST_URL:
        raise InvalidError(fields={"forward_url": [f"An address has at most {LONGEST_URL} characters."]})
    return text.strip()


@transaction.atomic
def open_draft(dataset: Dataset, *, user: Visitor, reason: str = "") -> Version:
    """Open the next version, holding what the present one holds, at the same primary location. Safe to repeat.

    Raises ConflictError while a discarded draft lies in the bin: it could not be restored beside another.
    """
    dataset = Dataset.objects.held().get(pk=dataset.pk)
    check_curator(user, dataset)
    latest = dataset.versions.first()
    if latest is not None and latest.is_draft:
        return latest
    if gone := discarded_draft(dataset):
        until = (gone.discarded_at or timezone.now()) + KEPT
        words = f"The discarded draft {gone.number} lies in the bin until {until:%Y-%m-%d}"
        raise ConflictError(f"{words}: restore it, or remove it for good, before another is opened.")
    draft = Version.objects.create(dataset=dataset, number=latest.number + 1 if latest else 1, reason=reason)
    for location in latest.locations.filter(is_primary=True) if latest else []:  # a replica is checked for each version anew
        Location.objects.create(
            version=draft,
            kind=location.kind,
            collection_id=location.collection_id,
            bucket=location.bucket,
            base_path=location.base_path,
            is_primary=location.is_primary,
            is_online=location.is_online,
            wait_minutes=location.wait_minutes,
            cold_folders=location.cold_folders,
        )
    DatasetEvent.objects.create(dataset=dataset, version=draft, act="version", new=VersionStatus.DRAFT, actor=user, note=reason)
    if latest is not None:
        _index_unpublished(dataset)
    return draft


@transaction.atomic
def discard_draft(version: Version, *, user: Visitor) -> Version:
    """Put an open draft in the bin, from where it is restored for 30 days as it was; what it reserved stays reserved.

    Raises ConflictError for what is no draft, is in review, or is the only version: a dataset that was never published is deleted instead.
    """
    dataset = Dataset.objects.held().get(pk=version.dataset_id)
    check_curator(user, dataset)
    version = Version.with_bin.get(pk=version.pk)
    if not version.is_draft or version.is_discarded:
        raise ConflictError("A published version stays." if not version.is_draft else "This draft lies in the bin already.")
    check_not_in_review(version)
    if version.number == 1:
        raise ConflictError("The only version of a dataset stays until there is another one.")
    now = timezone.now()
    for run in version.scans.open():
        end = ScanStatus.DISCARDED if run.is_reported else ScanStatus.CANCELLED
        run.move_to(end, actor=user, finished_at=now, claimed_until=None, claim_id=None)
    ListedPart.objects.filter(scan__version=version).delete()
    version.scans.exclude(listed_at=None).update(listed_at=None, listed_from="")
    note = f"draft {version.number}, can be restored until {now + KEPT:%Y-%m-%d}"
    version.move_to(VersionStatus.DISCARDED, actor=user, note=note, discarded_at=now, discarded_by=user)
    _index_unpublished(dataset)
    return version


@transaction.atomic
def restore_draft(dataset: Dataset, *, user: Visitor) -> Version:
    """Take the discarded draft of a dataset out of the bin, as it was. Raises NotFoundError where there is none."""
    check_curator(user, dataset)
    row = Dataset.objects.held().get(pk=dataset.pk)
    version = discarded_draft(dataset)
    if version is None:
        raise NotFoundError("No discarded draft lies in the bin: it was restored already, or removed.")
    version.move_to(VersionStatus.DRAFT, actor=user, note="restored", discarded_at=None, discarded_by=None)
    _index_unpublished(row)
    return version


def _index_unpublished(dataset: Dataset) -> None:
    """Its draft came or went: where no version is published, as after a withdrawal, the catalogue shows its stewards the newest."""
    if not dataset.versions.filter(status=VersionStatus.PUBLISHED).exists():
        index_dataset(dataset, has_other_files=True)


def discarded_draft(dataset: Dataset) -> Version | None:
    """The draft of a dataset that lies in the bin."""
    return Version.with_bin.filter(dataset=dataset, status=VersionStatus.DISCARDED).first()


@transaction.atomic
def remove_draft(version: Version, *, user: Visitor) -> None:
    """Take a draft back for good, open or discarded: its rows go, what it ended is open again. Raises as `discard_draft`."""
    dataset = Dataset.objects.held().get(pk=version.dataset_id)
    check_curator(user, dataset)
    row = Version.with_bin.filter(pk=version.pk).first()
    if row is None:
        raise NotFoundError
    if not row.is_discarded:
        row = discard_draft(row, user=user)
    take_back(row)
    DatasetEvent.objects.create(dataset=dataset, act="draft removed for good", actor_id=user.id, note=f"draft {version.number}")


@transaction.atomic
def remove_discarded(dataset: Dataset, *, user: Visitor) -> Version:
    """Remove the discarded draft of a dataset for good, so that another can be opened. Raises NotFoundError where none lies in the bin."""
    check_curator(user, dataset)
    Dataset.objects.held().get(pk=dataset.pk)
    version = discarded_draft(dataset)
    if version is None:
        raise NotFoundError("No discarded draft lies in the bin: it was restored already, or removed.")
    remove_draft(version, user=user)
    return version


def take_back(version: Version) -> None:
    """Undo what a discarded draft did to files and items, and remove it. Belongs into a transaction that holds its dataset."""
    files = File.objects.filter(folder__dataset=version.dataset_id)
    files.filter(first_version=version.number).delete()
    files.filter(last_version=version.number - 1).update(last_version=None)
    FolderState.objects.filter(folder__dataset=version.dataset_id, from_version=version.number).delete()
    items.end_with_draft(version)
    version.delete()  # with a DOI that was reserved for it: DataCite never heard of it


def check_not_in_review(version: Version) -> None:
    """Raise ConflictError while a version waits for its reviewer: what is published is what she saw."""
    if version.is_in_review:
        raise ConflictError(f"Version {version.number} is in review. Send it back to change it.")


def _check_second_person(version: Version, user: Visitor) -> None:
    if not settings.TWO_PERSON_RULE or not version.is_draft:
        return
    if not version.is_in_review:
        raise ConflictError("Here a second person publishes. Send the draft to review first.")
    if version.submitted_by_id == user.id:
        raise ConflictError("Here a second person publishes: somebody else than who asked for the review.")
