"""The outbox of a Globus Search index: each change that the public sees of a dataset asks for a push. Read `ask_for_push`.

Nothing is sent here: `transfers.pushing` does that, as the portal itself. Only published metadata ever leave: what is asked for is looked
up when it is sent, and a dataset that is not listed then is removed from the index.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q
from django.utils import timezone

from datasets.access import Visitor, check_curator
from datasets.errors import ConflictError
from datasets.models import Dataset, PushedRecord
from datasets.states import PushStatus


@dataclass(frozen=True)
class Outbox:
    """How far the index is behind."""

    n_waiting: int
    n_late: int
    """Waiting after an attempt that failed."""
    n_refused: int


def ask_for_push(dataset: Dataset) -> None:
    """What the index knows of a dataset is not all any more. Belongs into the transaction of the change. Drafts are not asked for."""
    if settings.SEARCH_INDEX:
        ask_for([dataset.pk])


@transaction.atomic
def ask_for(keys: Iterable[UUID], *, actor: Visitor | None = None) -> int:
    """Queue the records of datasets; how many. Those that were never listed have none."""
    now, keys = timezone.now(), list(keys)
    listed = Dataset.objects.listed().filter(pk__in=keys).values_list("pk", flat=True)
    PushedRecord.objects.bulk_create([PushedRecord(dataset_id=pk, due_at=now) for pk in listed], ignore_conflicts=True)
    rows = list(PushedRecord.objects.filter(pk__in=keys).select_for_update().order_by("pk"))
    for row in rows:
        if row.status != PushStatus.PENDING:
            row.move_to(PushStatus.PENDING, actor=actor)
    asked = PushedRecord.objects.filter(pk__in=[row.pk for row in rows])
    return asked.update(wanted=F("wanted") + 1, due_at=now, n_attempts=0, is_alone=False, error="")


def push_again(row: PushedRecord, *, user: Visitor) -> None:
    """Ask once more, such as after what Search refused is mended. Raises ForbiddenError unless she curates the dataset."""
    dataset = Dataset.objects.filter(pk=row.pk).first()
    if dataset is not None:
        check_curator(user, dataset)
    if not settings.SEARCH_INDEX:
        raise ConflictError("No index of Globus Search is named in the settings.")
    ask_for([row.pk], actor=user)


def is_due() -> bool:
    """Whether something waits for a worker."""
    return bool(settings.SEARCH_INDEX) and PushedRecord.objects.working().due(timezone.now()).exists()


def outbox() -> Outbox:
    """How far the index is behind; one statement, over the open rows alone."""
    counted = PushedRecord.objects.exclude(status=PushStatus.TOLD).aggregate(
        n_waiting=Count("pk", filter=~Q(status=PushStatus.FAILED)),
        n_late=Count("pk", filter=~Q(status=PushStatus.FAILED) & ~Q(error="")),
        n_refused=Count("pk", filter=Q(status=PushStatus.FAILED)),
    )
    return Outbox(**counted)
