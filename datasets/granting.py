"""Giving and taking access to the files of a dataset."""

import datetime as dt
import uuid

from django.db import transaction
from django.utils import timezone

from datasets.access import Visitor, check_curator
from datasets.errors import InvalidError
from datasets.models import Dataset, DatasetEvent, Grant, PrincipalType


@transaction.atomic
def grant(
    dataset: Dataset,
    *,
    principal_type: str,
    principal: uuid.UUID,
    granted_by: Visitor,
    label: str = "",
    expires_at: dt.datetime | None = None,
) -> Grant:
    """Give an identity or a group access until `expires_at`. Safe to repeat: a second grant moves the end of the first.

    Raises ForbiddenError unless granted by a steward of the dataset or an operator.
    """
    check_curator(granted_by, dataset)
    if principal_type not in PrincipalType.values:
        raise InvalidError(fields={"principal_type": [f"One of {', '.join(PrincipalType.values)}."]})
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidError(fields={"expires_at": ["This moment has passed."]})
    given, is_new = Grant.objects.update_or_create(
        dataset=dataset,
        principal_type=principal_type,
        principal=principal,
        revoked_at=None,
        defaults={"expires_at": expires_at, "granted_by": granted_by, "label": label},
    )
    note = f"{given} until {expires_at.isoformat() if expires_at else 'further notice'}"
    DatasetEvent.objects.create(dataset=dataset, act="grant" if is_new else "grant changed", actor=granted_by, note=note)
    return given


@transaction.atomic
def revoke(given: Grant, *, revoked_by: Visitor) -> Grant:
    """Take access back at once. Safe to repeat. Raises ForbiddenError unless revoked by a steward of the dataset or an operator."""
    check_curator(revoked_by, given.dataset)
    now = timezone.now()
    if Grant.objects.filter(pk=given.pk, revoked_at=None).update(revoked_at=now, revoked_by=revoked_by):
        DatasetEvent.objects.create(dataset=given.dataset, act="revoke", actor=revoked_by, note=str(given))
    given.refresh_from_db()
    return given
