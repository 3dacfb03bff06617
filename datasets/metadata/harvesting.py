"""What harvesters may list, in order of the last change: published datasets, and those that were deleted or withdrawn; by time and set.

A page follows the last row of the page before (time of change, id), so that changes during a harvest neither skip nor repeat what did not
change: a record that changes moves to the end of the list and is met there.
"""

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from datasets.errors import NotFoundError
from datasets.formats.record import Record
from datasets.metadata.describing import current_record, with_description
from datasets.models import AccessPolicy, Dataset, DeletedRecord, Series, Subject
from datasets.search import places

POLICY, SUBJECT, SERIES = "access-", "subject-", "series"

SPECS = """
    select s.id, array(select above.slug from unnest(s.lineage) with ordinality as one (id, at)
        join datasets_series above on above.id = one.id order by one.at)
    from datasets_series s where s.id = any(%s)
"""

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
    found = _as_harvested(with_description(live.order_by("updated_at", "id"))[:limit])
    found += _as_deleted(gone.order_by("deleted_at", "dataset_id")[:limit])
    return sorted(found, key=lambda one: one.position)[:limit]


def count_records(selection: Selection) -> int:
    if selection == Selection():
        return len(places.read({}, {})[0].listed) + _gone(selection).count()
    return _live(selection).count() + _gone(selection).count()


def find_harvested(dataset_id: uuid.UUID) -> Harvested:
    """The record of one dataset; NotFoundError where it was never public."""
    if live := _as_harvested(with_description(Dataset.objects.listed().filter(pk=dataset_id))):
        return live[0]
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
    """One set for each access policy, for each subject that a published dataset has, or had when it was deleted, and the tree of series.

    A series is the set `series:top:below`, within those above it (OAI-PMH 2.0, section 2.6: a colon makes the hierarchy).
    """
    policies = [HarvestSet(POLICY + policy.value, f"Access: {policy.label}") for policy in AccessPolicy]
    published = Dataset.objects.listed().filter(subjects=OuterRef("pk"))
    deleted = DeletedRecord.objects.filter(subject_facet__contains=[OuterRef("name")])
    told = Subject.objects.filter(Exists(published) | Exists(deleted)).order_by("slug")
    subjects = [HarvestSet(SUBJECT + subject.slug, f"Subject: {subject.name}") for subject in told]
    below = Series.objects.filter(lineage__contains=[OuterRef("pk")])
    tree = Series.objects.filter(Exists(below.filter(Q(n_listed__gt=0) | Exists(DeletedRecord.objects.filter(series=OuterRef("pk"))))))
    specs = _specs_of(tree.values_list("pk", flat=True))
    series = sorted((specs[pk], f"Series: {title}") for pk, title in tree.values_list("pk", "title"))
    every = [HarvestSet(SERIES, "Everything that is in a series")] if series else []
    return policies + subjects + every + [HarvestSet(spec, name) for spec, name in series]


def _specs_of(series_ids: Iterable[int]) -> dict[int, str]:
    """The set of each series: the slugs from the top of the tree down to it. One statement, none for no series."""
    asked = sorted(set(series_ids))
    if not asked:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(SPECS, [asked])
        return {pk: ":".join((SERIES, *slugs)) for pk, slugs in cursor.fetchall()}


def _in_series(spec: str) -> Q:
    """Rows of a series and all below; of the set of all, whatever is in any."""
    _, *slugs = spec.split(":")
    if not slugs:
        return Q(series__isnull=False)
    top = Series.objects.filter(slug=slugs[-1]).first()
    if top is None or _specs_of([top.pk])[top.pk] != spec:
        return Q(pk__in=[])
    return Q(series__in=Series.objects.below(top))


def _live(selection: Selection) -> QuerySet[Dataset]:
    chosen = Dataset.objects.listed()
    if selection.since:
        chosen = chosen.filter(updated_at__gte=selection.since)
    if selection.until:
        chosen = chosen.filter(updated_at__lt=selection.until)
    if selection.set_spec.startswith(POLICY):
        return chosen.filter(access_policy=selection.set_spec.removeprefix(POLICY))
    if selection.set_spec.startswith(SUBJECT):
        # By its number, whose frequency the planner knows: of a rare subject it would pass all datasets in the order of their changes.
        numbers = Subject.objects.filter(slug=selection.set_spec.removeprefix(SUBJECT)).values_list("pk", flat=True)
        return chosen.filter(subjects__in=list(numbers))
    if selection.set_spec.split(":")[0] == SERIES:
        return chosen.filter(_in_series(selection.set_spec))
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
    if selection.set_spec.split(":")[0] == SERIES:
        return chosen.filter(_in_series(selection.set_spec))
    return chosen.none() if selection.set_spec else chosen


def _as_harvested(rows: QuerySet[Dataset]) -> list[Harvested]:
    found: Sequence[Dataset] = list(rows)
    series = _specs_of(one.series_id for one in found if one.series_id)
    return [
        Harvested(one.id, one.updated_at, _sets(one, [subject.slug for subject in one.subjects.all()], series), current_record(one))
        for one in found
    ]


def _sets(row: Dataset | DeletedRecord, subjects: Iterable[str], series: Mapping[int, str]) -> tuple[str, ...]:
    own = [series[row.series_id]] if row.series_id else []
    return (POLICY + row.access_policy, *(SUBJECT + slug for slug in subjects), *own)


def _as_deleted(rows: QuerySet[DeletedRecord]) -> list[Harvested]:
    found: Sequence[DeletedRecord] = list(rows)
    names = {name for row in found for name in row.subject_facet}
    slugs = dict(Subject.objects.filter(name__in=names).values_list("name", "slug")) if names else {}
    series = _specs_of(row.series_id for row in found if row.series_id)
    return [
        Harvested(row.dataset_id, row.deleted_at, _sets(row, [slugs[name] for name in row.subject_facet if name in slugs], series), None)
        for row in found
    ]
