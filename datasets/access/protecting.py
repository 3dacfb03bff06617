"""How well the files of a dataset are kept: access policy, classification, embargo; each change stays known, so the past can be asked."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from datasets import dois
from datasets.access import Visitor, check_curator
from datasets.metadata import pushing
from datasets.models import AccessPolicy, Classification, Dataset, DatasetEvent

PROTECTION = ("access_policy", "classification", "embargo_ends_at")
MOST = 100


@dataclass(frozen=True)
class Protection:
    """How a dataset was kept at a moment."""

    is_published: bool
    """And not withdrawn at that moment."""
    access_policy: str
    classification: str
    embargo_ends_at: dt.datetime | None
    moment: dt.datetime

    @property
    def is_embargoed(self) -> bool:
        return self.embargo_ends_at is not None and self.embargo_ends_at > self.moment

    @property
    def effective_policy(self) -> str:
        return AccessPolicy.RESTRICTED if self.is_embargoed else self.access_policy

    @property
    def is_controlled(self) -> bool:
        return self.classification == Classification.CONTROLLED


def record_changes(before: dict[str, Any], dataset: Dataset, *, user: Visitor) -> None:
    """Write an event for each way in which the protection is not what it was. Belongs into the transaction of the change."""
    for name in PROTECTION:
        old, new = _as_text(before[name]), _as_text(getattr(dataset, name))
        if old != new:
            DatasetEvent.objects.create(dataset=dataset, act=_act(name), old=old, new=new, actor=user)


def protection_of(dataset: Dataset) -> dict[str, Any]:
    return {name: getattr(dataset, name) for name in PROTECTION}


def protection_at(dataset: Dataset, moment: dt.datetime) -> Protection:
    """How the dataset was kept at a moment, from the events of its changes. One statement."""
    events = list(DatasetEvent.objects.filter(dataset=dataset, act__in=[_act(name) for name in PROTECTION]).order_by("at", "id"))
    known = {name: _value_at(dataset, name, [event for event in events if event.act == _act(name)], moment) for name in PROTECTION}
    end = known["embargo_ends_at"]
    is_withdrawn = dataset.withdrawn_at is not None and dataset.withdrawn_at <= moment
    return Protection(
        is_published=dataset.published_at is not None and dataset.published_at <= moment and not is_withdrawn,
        access_policy=known["access_policy"],
        classification=known["classification"],
        embargo_ends_at=dt.datetime.fromisoformat(end) if end else None,
        moment=moment,
    )


def _value_at(dataset: Dataset, name: str, events: list[DatasetEvent], moment: dt.datetime) -> str:
    """What the last change before the moment made it; before the first change, what that one found."""
    before = [event.new for event in events if event.at <= moment]
    after = [event.old for event in events if event.at > moment]
    return (before[-1:] or after[:1] or [_as_text(getattr(dataset, name))])[0]


@transaction.atomic
def lift_embargo(dataset: Dataset, *, user: Visitor) -> None:
    """End an embargo now. Safe to repeat. Raises ForbiddenError unless she is a steward of the dataset or an operator."""
    check_curator(user, dataset)
    row = Dataset.objects.held().get(pk=dataset.pk)
    if row.is_embargoed:
        before = protection_of(row)
        row.embargo_ends_at, row.embargo_lifted_at = None, timezone.now()
        row.save(update_fields=["embargo_ends_at", "embargo_lifted_at", "updated_at"])
        record_changes(before, row, user=user)
        dois.tell_anew(row)
        pushing.ask_for_push(row)
    dataset.refresh_from_db()


def lift_ended() -> int:
    """The sweep: embargoes whose time is over are written down, and harvesters see the datasets anew. Safe to repeat.

    Access does not wait for this: whoever asks after the end is answered by the clock.
    """
    now = timezone.now()
    ended = Dataset.objects.filter(embargo_ends_at__lte=now, embargo_lifted_at=None)
    n_lifted = 0
    for pk in list(ended.values_list("pk", flat=True)[:MOST]):
        with transaction.atomic():
            if ended.filter(pk=pk).update(embargo_lifted_at=now, updated_at=now):
                DatasetEvent.objects.create(dataset_id=pk, act="embargo lifted", note="its time is over")
                ended_one = Dataset.objects.get(pk=pk)
                dois.tell_anew(ended_one)
                pushing.ask_for_push(ended_one)
                n_lifted += 1
    return n_lifted


def _act(name: str) -> str:
    return name.replace("_", " ")


def _as_text(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return f"{value.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S}Z"
    return str(value or "")
