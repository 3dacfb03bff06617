"""Saving what stands in an open form: at the end, and by itself while somebody types. Read `autosave` first.

A form knows the revision with which it began, and its key: what the same form wrote is no news to it. A draft takes at once what is
right; of what is published nothing changes before somebody says so. What the description has not taken is kept as it was typed, and
stands in the form again when she comes back.
"""

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from datasets.access import Visitor, check_curator
from datasets.curation import registering
from datasets.description import locking
from datasets.errors import ConflictError, InvalidError
from datasets.models import Dataset, Editing

LONGEST = 1_000_000
# Fields of the verb that a rule about all of them may refuse together.
TOGETHER = frozenset({"west", "south", "east", "north", "temporal_start", "temporal_end", "access_policy", "classification"})


@dataclass(frozen=True)
class Form:
    """An open form: the revision that it began with, its key, and the whole of what stands in it, as it would be sent."""

    revision: int | None = None
    key: uuid.UUID | None = None
    typed: str = ""


@dataclass(frozen=True)
class Saved:
    """What came of an autosave: `wrong` fields are kept as typed, and so is everything where `is_public` or there is a `conflict`."""

    at: dt.datetime
    revision: int
    wrong: Mapping[str, list[str]] = field(default_factory=dict)
    is_public: bool = False
    conflict: ConflictError | None = None


def save(dataset: Dataset, *, user: Visitor, form: Form, fields: Mapping[str, Any], is_take_over: bool = False) -> Dataset:
    """Write the description, end the edit lock and forget what was kept.

    Raises as `registering.describe` does; then nothing changes but the holder of the lock, where she takes it over.
    """
    check_curator(user, dataset)
    if is_take_over:  # for good: she goes on with what is refused for another reason
        locking.take(dataset, user=user, key=form.key, is_take_over=True)
    with transaction.atomic():
        row = Dataset.objects.held().get(pk=dataset.pk)
        registering.describe(dataset, user=user, revision=_base(row, user, form), **fields)
        locking.release(dataset, user=user)
        discard(dataset, user=user)
    return dataset


def autosave(dataset: Dataset, *, user: Visitor, form: Form, fields: Mapping[str, Any], wrong: Mapping[str, list[str]]) -> Saved:
    """Hold the lock longer, and save what is right, while somebody types; `wrong` is what could not even be read. Never publishes.

    What cannot be saved is kept as typed: of a draft the wrong fields, of what is published all, and all where somebody else holds the lock
    or changed the description meanwhile (`conflict` says which). Raises ForbiddenError, InvalidError for a form that is too long to keep.
    """
    check_curator(user, dataset)
    if len(form.typed) > LONGEST:
        raise InvalidError("This form is too long to be kept by itself. Save it.")
    is_public, found, conflict = dataset.is_published, dict(wrong), None
    try:
        with transaction.atomic():
            locking.take(dataset, user=user, key=form.key)
            row = Dataset.objects.held().get(pk=dataset.pk)
            is_public = row.is_published  # it may have been published while this waited
            base = _base(row, user, form)
            if base is not None:
                locking.check_revision(row, base)
            found |= _describe_what_fits(dataset, user, fields, is_rehearsal=is_public)
            if not is_public:
                dataset.refresh_from_db()
                Editing.objects.filter(dataset=dataset, editor_id=user.id).update(revision=dataset.revision)
    except ConflictError as error:
        conflict = error
    at = timezone.now()
    if found or conflict or is_public:
        keep(dataset, user=user, typed=form.typed)
    else:
        discard(dataset, user=user)
    return Saved(at, dataset.revision, found, is_public, conflict)


def keep(dataset: Dataset, *, user: Visitor, typed: str) -> None:
    """Keep a form as it was typed, for this person alone; the last one counts."""
    facts = {"unsaved": typed[:LONGEST], "kept_at": timezone.now()}
    Editing.objects.update_or_create(dataset=dataset, editor_id=user.id, defaults=facts)


def kept_by(dataset: Dataset, user: Visitor) -> Editing | None:
    """What she typed earlier and the description has not taken."""
    return Editing.objects.filter(dataset=dataset, editor_id=user.id).exclude(unsaved="").first()


def discard(dataset: Dataset, *, user: Visitor) -> None:
    """Forget what was kept. Safe to repeat."""
    Editing.objects.filter(dataset=dataset, editor_id=user.id).update(unsaved="", kept_at=None)


def _base(row: Dataset, user: Visitor, form: Form) -> int | None:
    """The revision on which this form stands: what it wrote itself counts as read."""
    if form.revision is None or form.key is None:
        return form.revision
    own = Editing.objects.filter(dataset=row, editor_id=user.id, key=form.key, revision=row.revision).exists()
    return row.revision if own else form.revision


def _describe_what_fits(dataset: Dataset, user: Visitor, fields: Mapping[str, Any], *, is_rehearsal: bool) -> dict[str, list[str]]:
    """Save the fields that are right; what is wrong with the others. A rehearsal takes everything back."""
    left, wrong = dict(fields), dict[str, list[str]]()
    while left:
        try:
            with transaction.atomic():
                registering.describe(dataset, user=user, **left)
                transaction.set_rollback(is_rehearsal)
            break
        except InvalidError as error:
            wrong |= error.fields
            named = {name.partition(".")[0] for name in error.fields} & set(left)
            for name in named or TOGETHER & set(left) or set(left):
                del left[name]
    if is_rehearsal:
        dataset.refresh_from_db()
    return wrong
