"""Giving and taking access to the files of a dataset."""

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any, TypedDict

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from datasets.access import Visitor, check_curator
from datasets.errors import ForbiddenError, InvalidError, RefusedError, UnavailableError
from datasets.models import Dataset, DatasetEvent, Grant, PrincipalType


def grant(
    dataset: Dataset,
    *,
    principal_type: str,
    principal: uuid.UUID,
    granted_by: Visitor,
    label: str = "",
    expires_at: dt.datetime | None = None,
) -> Grant:
    """Give an identity or a group access until `expires_at`. A second grant ends the first and follows it; the same again changes nothing.

    Raises ForbiddenError unless granted by a steward of the dataset or an operator, InvalidError with the remedy for a group whose members
    the portal may not see.
    """
    check_curator(granted_by, dataset)
    if principal_type not in PrincipalType.values:
        raise InvalidError(fields={"principal_type": [f"One of {', '.join(PrincipalType.values)}."]})
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidError(fields={"expires_at": ["This moment has passed."]})
    if principal_type == PrincipalType.GROUP:
        check_group(principal)
    facts = {"expires_at": expires_at, "granted_by": granted_by, "label": label}
    return _write(dataset, principal_type, principal, facts)


def find_principal(named: str) -> tuple[str, uuid.UUID, str]:
    """Whom an id or a username means: its kind, its id, and a name for it. Raises InvalidError for nobody that is known."""
    named = named.strip()
    if "@" not in named:
        try:
            return PrincipalType.IDENTITY, uuid.UUID(named), ""
        except ValueError as error:
            words = "An id looks like 7d5a4f1e-0000-4000-8000-000000000001, a username like ada@university.example."
            raise InvalidError(fields={"principal": [words]}) from error
    try:
        found = import_string(settings.FIND_PRINCIPAL)(named)
    except RefusedError as error:
        raise InvalidError(fields={"principal": [error.detail]}) from error
    return str(found.kind), found.id, found.name


class Named(TypedDict):
    """Somebody as a form names her."""

    principal_type: str
    principal: uuid.UUID
    label: str


def principal_of(asked: Mapping[str, Any]) -> Named:
    """Whom a form names in `principal`, with its kind and how pages call it. Raises as `find_principal`."""
    kind, principal, name = find_principal(asked.get("principal", ""))
    label = asked.get("label", "").strip() or name
    return {"principal_type": kind if name else asked.get("principal_type", ""), "principal": principal, "label": label[:200]}


def check_group(group_id: uuid.UUID) -> None:
    """Raise InvalidError with the remedy for a group whose members the portal may not see.

    The verb that settings name is asked, as this app knows no Globus. What does not answer holds nothing up: the group is read later too.
    """
    if not settings.CHECK_GROUP:
        return
    try:
        import_string(settings.CHECK_GROUP)(group_id)
    except UnavailableError:
        return
    except RefusedError as error:
        raise InvalidError(fields={"principal": [error.detail]}) from error


@transaction.atomic
def _write(dataset: Dataset, principal_type: str, principal: uuid.UUID, facts: dict[str, Any]) -> Grant:
    Dataset.objects.held().get(pk=dataset.pk)
    now = timezone.now()
    held = Grant.objects.unended().filter(dataset=dataset, principal_type=principal_type, principal=principal)
    last = held.first()
    is_in_force = last is not None and (last.expires_at is None or last.expires_at > now)
    if last is not None and is_in_force and (last.expires_at, last.label) == (facts["expires_at"], facts["label"]):
        return last
    if last is not None:
        ended = now if is_in_force else max(last.expires_at or now, last.granted_at)
        held.update(revoked_at=ended, revoked_by=facts["granted_by"] if is_in_force else None)
    given = Grant.objects.create(dataset=dataset, principal_type=principal_type, principal=principal, granted_at=now, **facts)
    end = given.expires_at
    note = f"{given} until {end.isoformat() if end else 'further notice'}"
    act = "grant changed" if is_in_force else "grant"
    DatasetEvent.objects.create(dataset=dataset, act=act, actor=given.granted_by, note=note)
    return given


@transaction.atomic
def give_back(given: Grant, *, user: Visitor) -> Grant:
    """End one's own access before its time. Safe to repeat. Raises ForbiddenError for a grant to somebody else."""
    if given.principal_type != PrincipalType.IDENTITY or given.principal not in getattr(user, "identity_ids", ()):
        raise ForbiddenError("Only who was given access gives it back.")
    return _end(given, by=user, act="give back")


@transaction.atomic
def revoke(given: Grant, *, revoked_by: Visitor) -> Grant:
    """Take access back at once. Safe to repeat. Raises ForbiddenError unless revoked by a steward of the dataset or an operator."""
    check_curator(revoked_by, given.dataset)
    return _end(given, by=revoked_by, act="revoke")


def _end(given: Grant, *, by: Visitor, act: str) -> Grant:
    if Grant.objects.filter(pk=given.pk, revoked_at=None).update(revoked_at=timezone.now(), revoked_by=by):
        DatasetEvent.objects.create(dataset=given.dataset, act=act, actor=by, note=str(given))
    given.refresh_from_db()
    return given
