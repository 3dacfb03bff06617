"""Asking for files, in either kind: who may, how much, whether it is asked already. Then the row, its selections and its first event.

The two stories that follow are `sharing.py` and `sending.py`.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from datasets import files
from datasets.access import check_may_have, check_offered, terms
from datasets.files import cold
from datasets.models import Classification, Version
from transfers import manifests, steps
from transfers.errors import (
    AssuranceNeededError,
    ConflictError,
    DuplicateRequestError,
    InvalidError,
    NotFoundError,
    NotYoursError,
    SignInNeededError,
)
from transfers.models import DataRequest, DataRequestEvent, Selection
from transfers.states import LIVE, Status

# Globus holds about 100 access rules effective for one person (reference limit of the service); other portals need some of them.
MOST_LIVE = 50
MOST_SELECTIONS = 50
# What the latest requests waited tells what the next will: so many of them, and no older ones.
MOST_WAITS, WAIT_DAYS = 20, 30


@dataclass(frozen=True)
class Wanted:
    """Files that somebody asks for: a query over one version."""

    version: Version
    query: files.FileQuery


def check_signed_in(user: Any) -> None:
    """Raise SignInNeededError for nobody; pages lead on to the sign-in and back."""
    if not getattr(user, "is_authenticated", False):
        raise SignInNeededError


def check_wanted(user: Any, wanted: Sequence[Wanted]) -> None:
    """Whether she may have these files.

    Raises NotFoundError for what she may not see, ForbiddenError for files that she may not have, ConflictError for cold ones,
    AssuranceNeededError for controlled ones without a second factor, TermsNeededError for terms that she has not accepted.
    """
    check_signed_in(user)
    if not wanted:
        raise InvalidError("Nothing is selected.", fields={"selections": ["Select at least one file."]})
    if len(wanted) > MOST_SELECTIONS:
        raise InvalidError(f"A request holds at most {MOST_SELECTIONS} selections. Choose whole folders, or ask twice.")
    for one in wanted:
        if not type(one.version.dataset).objects.visible_to(user).filter(pk=one.version.dataset_id).exists():
            raise NotFoundError
        check_offered(user, one.version)
        check_may_have(user, one.version.dataset)
        manifests.location_of(one.version)
        if words := cold.describe_cold(one.version, one.query):
            raise ConflictError(f"Of {one.version}, {words[0].lower()}{words[1:]}", fields={"selections": [words]})
    terms.check_accepted(user, {one.version.dataset for one in wanted})


def create_request(*, user: Any, kind: str, wanted: Sequence[Wanted], idempotency_key: str = "", **facts: Any) -> DataRequest:
    """Write a request in QUEUED with its selections and hint at its first step.

    The same idempotency key answers with the first request; another body under that key raises ConflictError.
    The same files to the same place, while the first request is live, raise DuplicateRequestError, which names it.
    """
    check_wanted(user, wanted)
    key = content_key(kind, wanted, facts)
    if known := _known(user, key, idempotency_key):
        return known
    if DataRequest.objects.filter(user=user, status__in=LIVE).count() >= MOST_LIVE:
        raise ConflictError(f"You have {MOST_LIVE} requests at once. End some that you do not need any more, then ask again.")
    measures = [files.measure(one.version, one.query) for one in wanted]
    if not sum(measure.n_files for measure in measures):
        raise InvalidError("The selection holds no files.", fields={"selections": ["No file of this version fits."]})
    try:
        with transaction.atomic():
            request = DataRequest.objects.create(
                user=user, kind=kind, content_key=key, idempotency_key=idempotency_key, due_at=timezone.now(),
                n_files=sum(m.n_files for m in measures), size_bytes=sum(m.size_bytes for m in measures), **facts,
            )  # fmt: skip
            for one, measure in zip(wanted, measures, strict=True):
                Selection.objects.create(
                    request=request, version=one.version, n_files=measure.n_files, size_bytes=measure.size_bytes, **one.query.to_json()
                )
            request.events.create(new=Status.QUEUED, actor=user)
            steps.hint(request)
    except IntegrityError:
        # Two tabs, or a double click: the other one was first.
        if known := _known(user, key, idempotency_key):
            return known
        raise
    return request


def _known(user: Any, key: str, idempotency_key: str) -> DataRequest | None:
    if idempotency_key and (first := DataRequest.objects.filter(user=user, idempotency_key=idempotency_key).first()):
        if first.content_key != key:
            raise ConflictError("This Idempotency-Key was used for another request.")
        return first
    if live := DataRequest.objects.filter(user=user, content_key=key, status__in=LIVE).first():
        raise DuplicateRequestError(request_id=live.pk, url=live.get_absolute_url())
    return None


def content_key(kind: str, wanted: Sequence[Wanted], facts: dict[str, Any]) -> str:
    """A digest of what is asked for: the same files, in whatever order, to the same place."""
    place = [str(facts.get("destination_collection_id") or ""), facts.get("destination_path") or ""]
    asked = sorted(json.dumps([str(one.version.pk), one.query.to_json()], sort_keys=True) for one in wanted)
    return hashlib.sha256(json.dumps([kind, place, asked]).encode()).hexdigest()


def wanted_of(request: DataRequest) -> list[Wanted]:
    """What an earlier request asked for."""
    return [Wanted(selection.version, selection.query) for selection in manifests.selections_of(request)]


def check_may_change(request: DataRequest, user: Any) -> None:
    """Raises NotYoursError unless she asked for it or is an operator."""
    if not (request.user_id == getattr(user, "pk", None) or getattr(user, "is_operator", False)):
        raise NotYoursError


def check_assurance(request: DataRequest, user: Any) -> None:
    """Raises AssuranceNeededError where this person needs a second factor for the files of a request, their names and addresses."""
    if lacks_second_factor(request, user):
        raise AssuranceNeededError


def lacks_second_factor(request: DataRequest, user: Any) -> bool:
    """Whether the files are controlled and her sign-in has no second factor, or too old a one. `user` is who asks now."""
    if getattr(user, "is_assured", True):
        return False
    return request.selections.filter(version__dataset__classification=Classification.CONTROLLED).exists()


def find_request(user: Any, request_id: UUID | str) -> DataRequest:
    """A request that she may see. Raises NotFoundError."""
    found = DataRequest.objects.visible_to(user).filter(pk=request_id).first()
    if found is None:
        raise NotFoundError
    return found


def queue_position(request: DataRequest) -> int:
    """How many requests of the same kind are ahead of a queued one."""
    if request.status != Status.QUEUED:
        return 0
    return DataRequest.objects.filter(kind=request.kind, status=Status.QUEUED, created_at__lt=request.created_at).count()


def expected_wait_s(request: DataRequest) -> float | None:
    """Seconds in the queue to expect for a queued request: the median of the latest that left it. None before there is one."""
    if request.status != Status.QUEUED:
        return None
    since = timezone.now() - timedelta(days=WAIT_DAYS)
    left = DataRequestEvent.objects.filter(request__kind=request.kind, old=Status.QUEUED, at__gte=since)
    left = left.exclude(new__in=[Status.QUEUED, Status.CANCELLING]).exclude(request=request).order_by("-id")
    came = DataRequestEvent.objects.filter(request=OuterRef("request"), new=Status.QUEUED, id__lt=OuterRef("id")).exclude(old=Status.QUEUED)
    waits = left.annotate(came_at=Subquery(came.order_by("-id").values("at")[:1])).values_list("came_at", "at")[:MOST_WAITS]
    measured = [(at - came_at).total_seconds() for came_at, at in waits if came_at]
    return median(measured) if measured else None


def check_is_over(request: DataRequest) -> None:
    """Raises ConflictError while asking again makes no sense."""
    if request.status in LIVE:
        raise ConflictError("This request is still live.")
