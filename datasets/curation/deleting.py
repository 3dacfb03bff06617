"""Deleting a dataset that was never published: it lies in the bin for 30 days, then a sweep removes it. Read `delete` first.

Discarded drafts of published datasets lie there too (`publishing.discard_draft`).

What was published once stays and is withdrawn instead: citations lead to it. The files themselves are never touched: they lie in their
collection as before.
"""

import datetime as dt
import logging
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from datasets.access import Visitor, check_curator
from datasets.curation.publishing import KEPT, check_not_in_review, take_back
from datasets.description import locking
from datasets.errors import ConflictError, InvalidError, NotFoundError
from datasets.models import Dataset, DatasetEvent, Version
from datasets.states import VersionStatus

log = logging.getLogger(__name__)

MOST_DUE, MOST_TRIED = 5, 50  # of one sweep; in no order, so that those which fail hold up no others

# Rows without number go by sets; what is left goes with the dataset itself.
REMOVE = (
    "delete from datasets_file fi using datasets_folder f where f.id = fi.folder_id and f.dataset_id = %s",
    "delete from datasets_folderstate s using datasets_folder f where f.id = s.folder_id and f.dataset_id = %s",
    "delete from datasets_folder where dataset_id = %s",
)


@transaction.atomic
def delete(dataset: Dataset, *, user: Visitor, name: str) -> Dataset:
    """Put a dataset in the bin, from where it is restored for 30 days; at once nobody finds it, by search or by address. Safe to repeat.

    `name` is its slug, typed by who deletes. Raises InvalidError for another name, ConflictError for what was published (withdraw it), is
    in review or is being scanned, BeingEditedError, and ForbiddenError unless she is a steward of the dataset or an operator.
    """
    check_curator(user, dataset)
    row = Dataset.objects.held().filter(pk=dataset.pk).first()
    if row is None:
        raise NotFoundError
    if row.is_published:
        raise ConflictError("It was published: people may cite it. Withdraw its versions instead; its page stays and says why.")
    if name.strip() != row.slug:
        raise InvalidError(fields={"name": [f"Type {row.slug} to delete it."]})
    for version in row.versions.drafts():
        check_not_in_review(version)
        if version.scans.open().exists():
            raise ConflictError("Its files are being scanned. Cancel the scan, or wait for its end.")
    locking.check_free(row, user)
    actor: Any = user
    row.deleted_at, row.deleted_by = timezone.now(), actor
    row.save(update_fields=["deleted_at", "deleted_by", "updated_at"])
    locking.release(row, user=user)
    DatasetEvent.objects.create(dataset=row, act="deleted", actor=actor, note=f"can be restored until {ends_at(row):%Y-%m-%d}")
    log.info("dataset deleted", extra={"dataset_id": str(row.pk), "slug": row.slug})
    return row


def bin_of(user: Visitor, *, after: str = "", limit: int) -> list[Dataset]:
    """Up to `limit` deleted datasets that she curated, by slug after one. One statement."""
    found = Dataset.with_bin.curated_by(user).filter(deleted_at__isnull=False, slug__gt=after)
    return list(found.select_related("deleted_by").defer("search_terms").order_by("slug")[:limit])


@transaction.atomic
def restore(slug: str, *, user: Visitor) -> Dataset:
    """Take a dataset out of the bin, whole. Raises NotFoundError for one that is not there, or that she did not curate."""
    row = Dataset.with_bin.curated_by(user).held().filter(slug=slug, deleted_at__isnull=False).first()
    if row is None:
        raise NotFoundError("There is nothing of this name in the bin: it was restored already, or removed after 30 days.")
    row.deleted_at = row.deleted_by = None
    row.save(update_fields=["deleted_at", "deleted_by", "updated_at"])
    actor: Any = user
    DatasetEvent.objects.create(dataset=row, act="restored", actor=actor)
    log.info("dataset restored", extra={"dataset_id": str(row.pk), "slug": row.slug})
    return row


def drafts_in_bin(user: Visitor, *, limit: int) -> list[Version]:
    """Up to `limit` discarded drafts of datasets that she curates, what is removed first first. One statement."""
    found = Version.with_bin.filter(status=VersionStatus.DISCARDED, dataset__in=Dataset.objects.curated_by(user))
    return list(found.select_related("dataset", "discarded_by").order_by("discarded_at", "pk")[:limit])


def ends_at(one: Dataset | Version) -> dt.datetime:
    """Until when a deleted dataset or a discarded draft can be restored."""
    return ((one.deleted_at if isinstance(one, Dataset) else one.discarded_at) or timezone.now()) + KEPT


def remove_due() -> int:
    """The sweep: remove what has been in the bin for 30 days; how many. Safe to repeat. One that fails does not stop the others."""
    over = Dataset.with_bin.filter(deleted_at__lte=timezone.now() - KEPT)
    n_removed = 0
    for pk, slug in list(over.order_by("?").values_list("pk", "slug")[:MOST_TRIED]):
        if n_removed == MOST_DUE:
            break
        try:
            with transaction.atomic():
                n_removed += _remove(pk)
        except DatabaseError:
            log.exception("a deleted dataset could not be removed", extra={"dataset_id": str(pk), "slug": slug})
    return n_removed + _remove_due_drafts()


def _remove_due_drafts() -> int:
    over = Version.with_bin.filter(status=VersionStatus.DISCARDED, discarded_at__lte=timezone.now() - KEPT)
    n_removed = 0
    for pk, dataset_id in list(over.order_by("?").values_list("pk", "dataset_id")[:MOST_TRIED]):
        if n_removed == MOST_DUE:
            break
        try:
            with transaction.atomic():
                Dataset.with_bin.held().get(pk=dataset_id)
                version = over.filter(pk=pk).first()  # it may have been restored while this waited
                if version is not None:
                    take_back(version)
                    DatasetEvent.objects.create(dataset_id=dataset_id, act="draft removed for good", note=f"draft {version.number}")
                    n_removed += 1
        except DatabaseError:
            log.exception("a discarded draft could not be removed", extra={"dataset_id": str(dataset_id)})
    return n_removed


def _remove(pk: Any) -> int:
    row = Dataset.with_bin.select_for_update(skip_locked=True).filter(pk=pk, deleted_at__lte=timezone.now() - KEPT).first()
    if row is None:
        return 0
    with connection.cursor() as cursor:
        for statement in REMOVE:
            cursor.execute(statement, [pk])
    Version.with_bin.filter(dataset_id=pk).delete()
    row.delete()
    log.info("deleted dataset removed", extra={"dataset_id": str(pk), "slug": row.slug})
    return 1
