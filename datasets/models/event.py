"""What happened to a dataset, its versions and its scans, and the one way in which a status moves."""

from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models, transaction

from datasets.errors import IllegalMoveError, StaleStateError
from datasets.states import Moves


class DatasetEvent(models.Model):
    """One act on a dataset, written in the transaction of the act."""

    dataset = models.ForeignKey("datasets.Dataset", on_delete=models.CASCADE, related_name="events")
    version = models.ForeignKey("datasets.Version", on_delete=models.SET_NULL, null=True, blank=True, related_name="events")
    scan = models.ForeignKey("datasets.ScanRun", on_delete=models.SET_NULL, null=True, blank=True, related_name="events")
    act = models.CharField(max_length=40)
    old = models.CharField(max_length=20, blank=True)
    new = models.CharField(max_length=20, blank=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    note = models.TextField(blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.act} {self.old}->{self.new}" if self.new else self.act


class Moving(models.Model):
    """A row whose `status` changes through `move_to` alone."""

    MOVES: ClassVar[Moves]

    class Meta:
        abstract = True

    def write_event(self, *, old: str, new: str, actor: Any, note: str) -> None:
        """Record the move; each noun says to which dataset it belongs."""
        raise NotImplementedError

    @transaction.atomic
    def move_to(self, new: str, *, actor: Any = None, note: str = "", **facts: Any) -> Self:
        """Move to `new` together with the facts that it implies, and write the event.

        Raises IllegalMoveError where the drawing has no such arrow, StaleStateError when the row was moved meanwhile (read it again).
        """
        row: Any = self
        old = row.status
        if new not in self.MOVES[old]:
            raise IllegalMoveError(old, new)
        if not type(row).objects.filter(pk=self.pk, status=old).update(status=new, **facts):
            raise StaleStateError
        self.write_event(old=old, new=new, actor=actor, note=note)
        self.refresh_from_db()
        return self
