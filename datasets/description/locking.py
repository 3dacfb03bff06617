"""The edit lock on a description: one person holds it, everybody sees who and since when, and it runs out by itself. Read `take` first.

The lock keeps two people from typing side by side. What keeps one from undoing the other's work unseen is the revision of the
description, which `check_revision` holds against the one that a form or a client began with.
"""

import datetime as dt
import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone

from datasets.access import Visitor, check_curator
from datasets.errors import BeingEditedError, ChangedMeanwhileError
from datasets.models import Dataset, DatasetEvent, Editing

LASTS = dt.timedelta(minutes=5)
RENEWED_EVERY_S = 60


def holder_of(dataset: Dataset) -> Editing | None:
    """The lock in force; None where nobody edits."""
    return Editing.objects.holding(timezone.now()).filter(dataset=dataset).select_related("editor").first()


@transaction.atomic
def take(dataset: Dataset, *, user: Visitor, key: uuid.UUID | None = None, is_take_over: bool = False) -> Editing:
    """Hold the lock for some minutes from now on, anew or longer. `key` names the form that is open.

    Raises BeingEditedError naming the holder where somebody else has it, unless it `is_take_over`; ForbiddenError unless she is a steward
    of the dataset or an operator.
    """
    check_curator(user, dataset)
    actor: Any = user
    Dataset.objects.held().get(pk=dataset.pk)
    now = timezone.now()
    held = holder_of(dataset)
    if held is not None and held.editor_id != user.id:
        if not is_take_over:
            raise being_edited(held)
        note = f"from {held.editor.get_full_name()}, who had it since {held.since:%Y-%m-%d %H:%M} UTC"
        DatasetEvent.objects.create(dataset=dataset, act="edit lock taken over", actor=actor, note=note)
    Editing.objects.filter(dataset=dataset, is_holder=True).exclude(editor_id=user.id).update(is_holder=False)
    mine, _ = Editing.objects.get_or_create(dataset=dataset, editor_id=user.id)
    if held is None or held.editor_id != user.id:
        mine.since = now
    if key is not None and key != mine.key:
        mine.key, mine.revision = key, None
    mine.is_holder, mine.until = True, now + LASTS
    mine.save()
    return mine


def release(dataset: Dataset, *, user: Visitor) -> None:
    """Give the lock back, if she has it. Safe to repeat."""
    Editing.objects.filter(dataset=dataset, editor_id=user.id).update(is_holder=False)


def check_free(dataset: Dataset, user: Visitor) -> None:
    """Raise BeingEditedError while somebody else holds the lock."""
    held = holder_of(dataset)
    if held is not None and held.editor_id != getattr(user, "id", None):
        raise being_edited(held)


def check_revision(dataset: Dataset, revision: int) -> None:
    """Raise ChangedMeanwhileError unless the description still has this revision. The caller holds the row locked, and read it since."""
    if dataset.revision != revision:
        raise ChangedMeanwhileError(
            f"The description was changed since you read it: it has revision {dataset.revision} now, and you began with {revision}. "
            "Read it again, and send your changes with its new revision."
        )


def being_edited(held: Editing) -> BeingEditedError:
    """The refusal, with who, since when, and the remedy."""
    return BeingEditedError(
        f"{held.editor.get_full_name()} has been editing this description since {held.since.astimezone(dt.UTC):%H:%M} UTC. "
        f"Wait until {held.until.astimezone(dt.UTC):%H:%M} UTC, when the lock of an idle form ends by itself, or take it over."
    )
