"""How the files of a dataset are watched: its settings, and the scans that are due by them."""

import datetime as dt
import logging
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import TextChoices
from django.utils import timezone

from datasets.access import Visitor, check_curator
from datasets.errors import InvalidError
from datasets.models import Acceptance, Cadence, Dataset, DatasetEvent, FixityCadence, ScanRun, Version, Watch

logger = logging.getLogger(__name__)

PERIODS = {
    Cadence.DAILY: dt.timedelta(days=1),
    Cadence.WEEKLY: dt.timedelta(days=7),
    Cadence.MONTHLY: dt.timedelta(days=30),
}
MOST_DUE = 50
CHOICES: dict[str, type[TextChoices]] = {"acceptance": Acceptance, "rescan_every": Cadence, "verify_every": FixityCadence}
WORDS = {
    "acceptance": "what a scan finds",
    "rescan_every": "published files are looked at again",
    "verify_every": "bytes of published files are read again",
}


def watch_of(dataset: Dataset) -> Watch:
    """The settings of a dataset, or the defaults."""
    return Watch.objects.filter(dataset=dataset).first() or Watch(dataset=dataset)


@transaction.atomic
def change_watch(dataset: Dataset, *, user: Visitor, **settings: str) -> Watch:
    """Change how the files of a dataset are watched; what is not named stays. What is newly asked for is due at once.

    Raises InvalidError naming every wrong field, ForbiddenError unless asked by a steward of the dataset or an operator.
    """
    check_curator(user, dataset)
    Watch.objects.get_or_create(dataset=dataset)
    watch = Watch.objects.select_for_update().get(dataset=dataset)
    before = watch.rescan_every, watch.verify_every
    written = set(settings)
    for name, value in settings.items():
        setattr(watch, name, value)
    if watch.rescan_every != before[0]:
        watch.rescan_due_at = timezone.now() if watch.rescan_every != Cadence.NEVER else None
        written.add("rescan_due_at")
    if watch.verify_every != before[1]:
        watch.verify_due_at, watch.verify_error = (timezone.now() if watch.verify_every != FixityCadence.NEVER else None), ""
        written |= {"verify_due_at", "verify_error"}
    try:
        watch.full_clean(validate_unique=False)
    except ValidationError as error:
        raise InvalidError(fields=error.message_dict) from error
    watch.save(update_fields=written)  # the rest is written by workers meanwhile
    note = "; ".join(f"{WORDS[name]}: {CHOICES[name](value).label.lower()}" for name, value in settings.items())
    DatasetEvent.objects.create(dataset=dataset, act="watch", actor=user, note=note)
    return watch


def request_due_rescans() -> int:
    """Queue a scan of every version that is given out, in datasets whose rescan is due; how many. Safe to repeat.

    Each version is held against its own location: what was published, and nothing that a draft will hold.
    """
    n_scans = 0
    now = timezone.now()
    for pk in list(Watch.objects.filter(rescan_due_at__lte=now).values_list("pk", flat=True)[:MOST_DUE]):
        with transaction.atomic():
            watch = Watch.objects.select_for_update(skip_locked=True).filter(pk=pk, rescan_due_at__lte=now).first()
            if watch is None:
                continue
            watch.rescan_due_at = now + PERIODS[Cadence(watch.rescan_every)]
            watch.save(update_fields=["rescan_due_at"])
            n_scans += _rescan(pk)
    return n_scans


def _rescan(dataset_id: UUID) -> int:
    offered = Version.objects.offered().filter(dataset_id=dataset_id, locations__isnull=False).values("pk")
    locked = Version.objects.select_for_update().filter(pk__in=offered)  # against whoever asks for a scan at this moment
    waiting = [version for version in locked if not version.scans.open().exists()]
    for version in waiting:
        ScanRun.objects.create(version=version)
        logger.info("a scan is due", extra={"dataset": str(dataset_id), "version": version.number})
    return len(waiting)
