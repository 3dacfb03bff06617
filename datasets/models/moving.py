"""A row with a status: the one way in which it moves, and how a worker holds it for a step.

The table is the queue of record: `due_at` says when a row waits for a worker, `claimed_until` that a worker is at it. A worker that dies
says nothing; its claim runs out. The arrows between the states are drawn in the `states` modules.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self, TypeVar
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Q
from django.utils import timezone

from datasets.errors import IllegalMoveError, NotClaimedError, StaleStateError
from datasets.states import Moves

log = logging.getLogger(__name__)


@contextmanager
def one_worker(key: int) -> Iterator[bool]:
    """Whether this worker is alone at the work of this key, until the block ends or its connection does (a session's advisory lock)."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_try_advisory_lock(%s)", [key])
        is_alone = bool(cursor.fetchone()[0])
        try:
            yield is_alone
        finally:
            if is_alone:
                cursor.execute("select pg_advisory_unlock(%s)", [key])


class Event(models.Model):
    """A line of a timeline, written in the transaction of the act."""

    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    note = models.TextField(blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True
        ordering = ["id"]


class Moving(models.Model):
    """A row whose `status` changes through `move_to` alone. Its `events` are its timeline."""

    MOVES: ClassVar[Moves]
    status: "models.CharField[Any, Any]"

    class Meta:
        abstract = True

    def row(self) -> "models.QuerySet[Any]":
        """Its row in the table."""
        return models.QuerySet(type(self)).filter(pk=self.pk)

    def moves(self) -> frozenset[str]:
        """Where it may go from here."""
        return self.MOVES[self.status]

    def facts_of(self, new: str) -> dict[str, Any]:
        """What a move to `new` implies, unless the move says otherwise."""
        return {}

    def write_event(self, **move: Any) -> None:
        timeline: Any = self
        timeline.events.create(**move)

    @transaction.atomic
    def move_to(self, new: str, *, actor: Any = None, note: str = "", **facts: Any) -> Self:
        """Move to `new` together with the facts that it implies, and write the event.

        Raises IllegalMoveError where the drawing has no such arrow, StaleStateError when the row was moved meanwhile (read it again).
        """
        old = self.status
        if new not in self.moves():
            raise IllegalMoveError(old, new)
        if not self.row().filter(status=old).update(status=new, **self.facts_of(new) | facts):
            raise StaleStateError
        self.write_event(old=old, new=new, actor=actor, note=note)
        self.refresh_from_db()
        log.info("%s moved", self._meta.verbose_name, extra={f"{self._meta.model_name}_id": str(self.pk), "old": old, "new": new})
        return self


class Claimed(Moving):
    """A row whose next step a worker does, one worker at a time."""

    due_at = models.DateTimeField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    claim_id = models.UUIDField(null=True, blank=True, help_text="Whose claim it is: each claim has its own")

    held: UUID | None = None
    """The claim under which this worker has the row; `claim_id`, read again, may be another's."""

    class Meta:
        abstract = True

    def record(self, **facts: Any) -> None:
        """Write facts that are not a status."""
        self.row().update(**facts)
        self._set(facts)

    def keep_claim(self, **facts: Any) -> None:
        """Hold this worker's claim longer, before what may take its time, and write facts.

        Raises NotClaimedError when another worker took over: stop at once.
        """
        facts["claimed_until"] = claim_end()
        if not self.row().filter(claim_id=self.held).update(**facts):
            raise NotClaimedError(str(self.pk))
        self._set(facts)

    def _set(self, facts: dict[str, Any]) -> None:
        for name, value in facts.items():
            setattr(self, name, value)


Row = TypeVar("Row", bound=Claimed)


class ClaimedQuerySet(models.QuerySet[Row]):
    """Rows that wait for workers."""

    def unclaimed(self, now: datetime) -> Self:
        """Those that no worker has, or whose worker has not been heard of for longer than its claim."""
        return self.filter(Q(claimed_until=None) | Q(claimed_until__lt=now))

    def due(self, now: datetime) -> Self:
        """What waits for a step, oldest first."""
        return self.unclaimed(now).filter(due_at__lte=now).order_by("due_at")

    @contextmanager
    def claim(self, key: Any, *, expected: Iterable[str], **facts: Any) -> Iterator[Row]:
        """Hold one row of these for a step; `keep_claim` holds it longer, and it lapses by itself if the worker dies.

        Raises NotClaimedError when another worker holds it or its status is not one of `expected`: then there is nothing to do. It does not
        wait for who writes the row just now: a step may do so for minutes, and each hint of the sweep would keep a worker waiting.
        """
        claim_id, rows = uuid4(), self.filter(pk=key, status__in=list(expected))
        with transaction.atomic():
            free = rows.unclaimed(timezone.now()).order_by().select_for_update(skip_locked=True, no_key=True, of=("self",))
            if not rows.filter(pk__in=free.values("pk")).order_by().update(claimed_until=claim_end(), claim_id=claim_id, **facts):
                raise NotClaimedError(str(key))
        claimed = type(self)(self.model).filter(pk=key, claim_id=claim_id)
        row = claimed.get()
        row.held = claim_id
        yield row
        # After an error this is not reached: the claim runs out by itself, which spaces the attempts.
        claimed.update(claimed_until=None, claim_id=None)


def claim_end() -> datetime:
    """Until when a claim that is made or kept now holds: longer than the longest single call to the outside."""
    return timezone.now() + timedelta(seconds=settings.CLAIM_SECONDS)
