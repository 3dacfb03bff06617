"""What waits for a steward, oldest first: reviews, scan reports, failed scans, refused DOIs, failed harvests, what is not saved, the bin.

Access requests wait in the queue of `transfers.access`; damage raises alarms.
"""

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import DateTimeField, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone

from datasets.access import Visitor
from datasets.curation import deleting
from datasets.curation.publishing import KEPT
from datasets.models import Dataset, DatasetEvent, Doi, Editing, Harvest, ScanRun, Version
from datasets.states import DoiStatus, HarvestStatus, ScanStatus, VersionStatus

MOST = 20
SOON = dt.timedelta(days=7)


@dataclass(frozen=True)
class Item:
    """One thing that waits: its name, since when (of the bin: until when), what to know, where to act; the dataset where it is one."""

    title: str
    dataset: Dataset | None
    moment: dt.datetime
    note: str
    url: str


@dataclass(frozen=True)
class Queue:
    """Things of one kind, the oldest 20; `has_more` where there are others."""

    kind: str
    title: str
    items: list[Item]
    has_more: bool


def queues_of(user: Visitor) -> list[Queue]:
    """What waits for this person in the datasets that she curates; empty queues are left out. One or two statements a queue."""
    return [queue for queue in (_queue(kind, title, find(user)) for kind, title, find in QUEUES) if queue.items]


def _queue(kind: str, title: str, items: Iterable[Item]) -> Queue:
    found = list(items)
    return Queue(kind, title, found[:MOST], len(found) > MOST)


def _reviews(user: Visitor) -> Iterable[Item]:
    asked = DatasetEvent.objects.filter(version=OuterRef("pk"), act="version", new=VersionStatus.REVIEW).order_by("-at").values("at")[:1]
    found = _curated(Version.objects.filter(status=VersionStatus.REVIEW), "dataset", user).select_related("dataset", "submitted_by")
    if settings.TWO_PERSON_RULE:
        found = found.exclude(submitted_by_id=getattr(user, "id", None))
    moment = Coalesce(Subquery(asked), "created_at", output_field=DateTimeField())
    for one in found.annotate(asked_at=moment).order_by("asked_at")[: MOST + 1]:
        by = f", asked by {one.submitted_by.get_full_name()}" if one.submitted_by else ""
        yield Item(one.dataset.title, one.dataset, one.asked_at, f"version {one.number}{by}", _desk(one.dataset, "#publish"))


def _reports(user: Visitor) -> Iterable[Item]:
    return _scans(user, ScanRun.objects.filter(status=ScanStatus.REPORTED))


def _failed_scans(user: Visitor) -> Iterable[Item]:
    later = ScanRun.objects.filter(version=OuterRef("version"), asked_at__gt=OuterRef("asked_at"))
    return _scans(user, ScanRun.objects.filter(~Exists(later), status=ScanStatus.FAILED))


def _scans(user: Visitor, found: QuerySet[ScanRun]) -> Iterable[Item]:
    found = found.exclude(version__status=VersionStatus.DISCARDED)
    for one in _curated(found, "version__dataset", user).select_related("version__dataset").order_by("asked_at")[: MOST + 1]:
        found_words = f"{one.n_new:,} new, {one.n_changed:,} changed, {one.n_missing:,} missing"
        note = one.error[:200] if one.status == ScanStatus.FAILED else found_words
        yield Item(
            one.version.dataset.title, one.version.dataset, one.finished_at or one.asked_at, note, _desk(one.version.dataset, "#files")
        )


def _refused_dois(user: Visitor) -> Iterable[Item]:
    found = _curated(Doi.objects.filter(status=DoiStatus.FAILED), "version__dataset", user).select_related("version__dataset")
    for one in found.order_by("reserved_at")[: MOST + 1]:
        yield Item(
            one.version.dataset.title,
            one.version.dataset,
            one.reserved_at,
            f"{one.name}: {one.error[:200]}",
            _desk(one.version.dataset, "#doi"),
        )


def _failed_harvests(user: Visitor) -> Iterable[Item]:
    mine = Harvest.objects.filter(asked_by_id=getattr(user, "id", None))
    stopped = Q(status=HarvestStatus.FAILED) | Q(status=HarvestStatus.PAUSED) & ~Q(error="")  # the limit of one go
    for one in mine.filter(stopped).order_by("finished_at")[: MOST + 1]:
        yield Item(one.repository or one.base_url, None, one.finished_at or one.asked_at, one.error[:200], one.get_absolute_url())


def _unsaved(user: Visitor) -> Iterable[Item]:
    found = Editing.objects.filter(editor_id=getattr(user, "id", None)).exclude(unsaved="")
    for one in _curated(found, "dataset", user).select_related("dataset").order_by("kept_at")[: MOST + 1]:
        moment = one.kept_at or one.since
        yield Item(one.dataset.title, one.dataset, moment, "stands in the form", reverse("datasets:describe", args=[one.dataset.slug]))


def _ending(user: Visitor) -> Iterable[Item]:
    before = timezone.now() - KEPT + SOON
    found = Dataset.with_bin.curated_by(user).filter(deleted_at__lte=before).select_related("deleted_by").order_by("deleted_at")
    for one in found[: MOST + 1]:
        by = f"deleted by {one.deleted_by.get_full_name()}" if one.deleted_by else "deleted"
        yield Item(one.title, one, deleting.ends_at(one), by, reverse("datasets:bin"))
    drafts = Version.with_bin.filter(status=VersionStatus.DISCARDED, discarded_at__lte=before)
    for draft in _curated(drafts, "dataset", user).select_related("dataset").order_by("discarded_at")[: MOST + 1]:
        yield Item(draft.dataset.title, draft.dataset, deleting.ends_at(draft), f"draft {draft.number}", reverse("datasets:bin"))


def _curated(found: QuerySet[Any], path: str, user: Visitor) -> QuerySet[Any]:
    return found.filter(**{f"{path}__in": Dataset.objects.curated_by(user)})


def _desk(dataset: Dataset, part: str) -> str:
    return reverse("datasets:desk", args=[dataset.slug]) + part


QUEUES: tuple[tuple[str, str, Callable[[Visitor], Iterable[Item]]], ...] = (
    ("review", "In review", _reviews),
    ("scan-report", "Scan reports to accept or discard", _reports),
    ("scan-failed", "Scans that failed", _failed_scans),
    ("doi-refused", "DOIs that DataCite refused", _refused_dois),
    ("harvest-failed", "Harvests that stopped", _failed_harvests),
    ("unsaved", "You typed and did not save", _unsaved),
    ("bin", "Leaves the bin within a week", _ending),
)
