"""What harvesters may list, in order of the last change: published datasets, and those that were deleted or withdrawn; by time and set.

A page follows the last row of the page before (time of change, id), so that changes during a harvest neither skip nor repeat what did not
change: a record that changes moves to the end of the list and is met there.
"""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from datasets.describing import current_record, with_description
from datasets.errors import NotFoundError
from datasets.formats.record import Record
from datasets.models import AccessPolicy, Dataset, DeletedRecord, Subject

POLICY, SUBJECT = "access-", "subject-"

Position = tuple[dt.datetime, uuid.UUID]


@dataclass(frozen=True)
class Selection:
    """Which records are asked for: changed from `since` on and before `until`, members of a set; empty is all."""

    since: dt.datetime | None = None
    until: dt.datetime | None = None
    set_spec: str = ""


@dataclass(frozen=True)
class Harvested:
    """One record in a list; without a `record` it is deleted."""

    dataset_id: uuid.UUID
    changed_at: dt.datetime
    set_specs: tuple[str, ...]
    record: Record | None

    @property
    def position(self) -> Position:
        return (self.changed_at, self.dataset_id)


@dataclass(frozen=True)
class HarvestSet:
    spec: str
    name: str


def list_records(selection: Selection, *, after: Position | None, limit: int) -> list[Harvested]:
    """Up to `limit` records that follow `after`, oldest change first; a fixed number of statements."""
    live, gone = _live(selection), _gone(selection)
    if after is not None:
        changed_at, last = after
        live = live.filter(Q(updated_at__gt=changed_at) | Q(updated_at=changed_at, id__gt=last))
        gone = gone.filter(Q(deleted_at__gt=changed_at) | Q(deleted_at=changed_at, dataset_id__gt=last))
    found = [_as_harvested(one) for one in with_description(live.order_by("updated_at", "id"))[:limit]]
    found += _as_deleted(gone.order_by("deleted_at", "dataset_id")[:limit])
    return sorted(found, key=lambda one: one.position)[:limit]


def count_records(selection: Selection) -> int:
    return _live(selection).count() + _gone(selection).count()


def find_harvested(dataset_id: uuid.UUID) -> Harvested:
    """The record of one dataset; NotFoundError where it was never public."""
    live = with_description(Dataset.objects.listed().filter(pk=dataset_id)).first()
    if live is not None:
        return _as_harvested(live)
    gone = _as_deleted(DeletedRecord.objects.filter(pk=dataset_id))
    if not gone:
        raise NotFoundError
    return gone[0]


def earliest_change() -> dt.datetime | None:
    """When the oldest record changed last; None in an empty archive."""
    first = Dataset.objects.listed().order_by("updated_at").values_list("updated_at", flat=True).first()
    gone = DeletedRecord.objects.order_by("deleted_at").values_list("deleted_at", flat=True).first()
    return min((moment for moment in (first, gone) if moment), default=None)


def list_sets() -> list[HarvestSet]:
    """One set for each access policy and for each subject that a published dataset has, or had when it was deleted."""
    policies = [HarvestSet(POLICY + policy.value, f"Access: {policy.label}") for policy in AccessPolicy]
    published = Dataset.objects.listed().filter(subjects=OuterRef("pk"))
    deleted = DeletedRecord.objects.filter(subject_facet__contains=[OuterRef("name")])
    told = Subject.objects.filter(Exists(published) | Exists(deleted)).order_by("slug")
    return policies + [HarvestSet(SUBJECT + subject.slug, f"Subject: {subject.name}") for subject in told]


def _live(selection: Selection) -> QuerySet[Dataset]:
    chosen = Dataset.objects.listed()
    if selection.since:
        chosen = chosen.filter(updated_at__gte=selection.since)
    if selection.until:
        chosen = chosen.filter(updated_at__lt=selection.until)
    if selection.set_spec.startswith(POLICY):
        return chosen.filter(access_policy=selection.set_spec.removeprefix(POLICY))
    if selection.set_spec.startswith(SUBJECT):
        return chosen.filter(subjects__slug=selection.set_spec.removeprefix(SUBJECT))
    return chosen.none() if selection.set_spec else chosen


def _gone(selection: Selection) -> QuerySet[DeletedRecord]:
    back = Dataset.objects.listed().filter(pk=OuterRef("dataset_id"))
    chosen = DeletedRecord.objects.filter(~Exists(back))
    if selection.since:
        chosen = chosen.filter(deleted_at__gte=selection.since)
    if selection.until:
        chosen = chosen.filter(deleted_at__lt=selection.until)
    if selection.set_spec.startswith(POLICY):
        return chosen.filter(access_policy=selection.set_spec.removeprefix(POLICY))
    if selection.set_spec.startswith(SUBJECT):
        names = Subject.objects.filter(slug=selection.set_spec.removeprefix(SUBJECT)).values_list("name", flat=True)
        return chosen.filter(subject_facet__overlap=list(names))
    return chosen.none() if selection.set_spec else chosen


def _as_harvested(dataset: Dataset) -> Harvested:
    specs = (POLICY + dataset.access_policy, *(SUBJECT + subject.slug for subject in dataset.subjects.all()))
    return Harvested(dataset.id, dataset.updated_at, specs, current_record(dataset))


def _as_deleted(rows: QuerySet[DeletedRecord]) -> list[Harvested]:
    found: Sequence[DeletedRecord] = list(rows)
    names = {name for row in found for name in row.subject_facet}
    slugs = dict(Subject.objects.filter(name__in=names).values_list("name", "slug")) if names else {}
    return [
        Harvested(
            row.dataset_id,
            row.deleted_at,
            (POLICY + row.access_policy, *(SUBJECT + slugs[name] for name in row.subject_facet if name in slugs)),
            None,
        )
        for row in found
    ]
