"""A row whose steps workers do without anybody asking: when the next one is due, and how it is put off."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self, TypeVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from datasets.models.moving import Claimed, ClaimedQuerySet

LONGEST_WAIT_S = 300


class Working(Claimed):
    """In the states of `WORKING` it is due at once, unless the move says otherwise; in others never."""

    WORKING: ClassVar[frozenset[str]]

    attempts = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True

    @property
    def is_waiting(self) -> bool:
        """Something happens next without anybody asking."""
        return self.status in self.WORKING

    def facts_of(self, new: str) -> dict[str, Any]:
        return {"attempts": 0, "due_at": timezone.now() if new in self.WORKING else None}

    def put_off(self, *, seconds: float = 0, **facts: Any) -> None:
        """Try this step again later: twice as late each time, with jitter so that a recovery is not a stampede."""
        attempts = self.attempts + 1
        wait_s = max(seconds, min(LONGEST_WAIT_S, 2**attempts) * random.uniform(0.5, 1.0))  # noqa: S311
        self.record(attempts=attempts, due_at=timezone.now() + timedelta(seconds=wait_s), **facts)

    def look_again(self, *, seconds: float) -> None:
        """Come back soon: nothing went wrong, it is not ready yet."""
        self.record(attempts=0, due_at=timezone.now() + timedelta(seconds=seconds))


Row = TypeVar("Row", bound=Working)


class WorkingQuerySet(ClaimedQuerySet[Row]):
    def take_due(self, now: datetime, *, most: int) -> Iterator[Row]:
        """What is due, to be hinted at. None of it is due again for a few sweeps, so that a busy worker's queue does not fill with it."""
        later = now + timedelta(seconds=max(10, 5 * settings.SWEEP_SECONDS))
        for row in self.due(now)[:most]:
            if self.filter(pk=row.pk, status=row.status, due_at=row.due_at).update(due_at=later):
                yield row


class AskedQuerySet(WorkingQuerySet[Row]):
    """Rows that people asked for."""

    def visible_to(self, user: Any) -> Self:
        """A person's own; an operator sees all."""
        if not getattr(user, "is_authenticated", False):
            return self.none()
        return self if getattr(user, "is_operator", False) else self.filter(user_id=user.pk)
