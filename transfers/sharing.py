"""The story of a share, from the request to its last byte. Read this module first.

Each step claims the request, calls out with a key that makes the call safe to repeat, and records the result. No call to the outside
happens inside a transaction. A step is itself the worker's task: a message for it is only a hint, `sweeping.py` finds it again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from celery import shared_task
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from datasets.models import ShareVariant
from transfers import copying, globus, mail, removing, requesting, revoking, steps
from transfers.errors import ConflictError, InvalidError, NotClaimedError
from transfers.models import DataRequest
from transfers.requesting import Wanted
from transfers.states import Kind, Status, Variant

PARENT_FOLDER = "/requests/"
KEPT_AFTER_FAILURE = timedelta(days=7)
FREE_EXTENSIONS = 1


def request_share(*, user: Any, wanted: Sequence[Wanted], lifetime_days: int | None = None, idempotency_key: str = "") -> DataRequest:
    """Ask for a share of these files; workers do the rest. Safe to repeat with the same idempotency key."""
    lifetime_days = settings.SHARE_LIFETIME_DAYS if lifetime_days is None else lifetime_days
    if not 1 <= lifetime_days <= settings.SHARE_LIFETIME_DAYS:
        words = f"A share lives from 1 to {settings.SHARE_LIFETIME_DAYS} days."
        raise InvalidError(words, fields={"lifetime_days": [words]})
    has_own_collection = any(one.version.dataset.share_variant == ShareVariant.COLLECTION for one in wanted)
    request_id = uuid4()
    return requesting.create_request(
        id=request_id,
        user=user,
        kind=Kind.SHARE,
        wanted=wanted,
        idempotency_key=idempotency_key,
        lifetime_days=lifetime_days,
        variant=Variant.COLLECTION if has_own_collection else Variant.FOLDER,
        staging_collection_id=UUID(settings.SHARE_COLLECTION),
        folder=f"{PARENT_FOLDER}{request_id}/",
    )


@shared_task(name="transfers.stage", throws=(NotClaimedError,), soft_time_limit=300)
def stage(request_id: str) -> None:
    """Make the folder and start copying into it. Safe to repeat."""
    with steps.step(request_id, expected={Status.QUEUED, Status.STAGING}, kind=Kind.SHARE) as request:
        if request.status == Status.QUEUED:
            request.move_to(Status.STAGING)
        collection_id = staging_of(request)
        copying.prepare_tasks(request)
        globus.make_folder(collection_id, PARENT_FOLDER)
        globus.make_folder(collection_id, request.folder)
        copying.submit_tasks(request, destination_id=collection_id, label=f"Causeway share {request.pk}")
        request.move_to(Status.COPYING)


@shared_task(name="transfers.check", throws=(NotClaimedError,), soft_time_limit=120)
def check(request_id: str) -> None:
    """Ask Globus how far the copies are."""
    with steps.step(request_id, expected={Status.COPYING}) as request:
        if copying.follow_tasks(request):
            request.move_to(Status.GRANTING)
        else:
            request.record(due_at=copying.next_look(request), attempts=0)


@shared_task(name="transfers.open_share", throws=(NotClaimedError,), soft_time_limit=300)
def open_share(request_id: str) -> None:
    """Compare what arrived with the catalogue, then let the person read the folder. Safe to repeat: an existing rule is found."""
    with steps.step(request_id, expected={Status.GRANTING}) as request:
        found = copying.compare(request)
        if found.missing:
            steps.fail(request, copying.failure_words(request, len(found.missing)))
            return
        if title := revoking.lost_dataset(request):
            steps.fail(request, f"Your access to {title} ended while the files were copied.")
            return
        request.keep_claim()
        if not removing.delete_extra_files(request, found.extra_paths):
            request.look_again(seconds=1)
            return
        collection_id = request.collection_id or _collection_for(request)
        request.record(collection_id=collection_id)
        rule_id = globus.add_rule(collection_id, path=request.granted_path, principal=request.user_id)
        request.move_to(Status.NOTIFYING, rule_id=rule_id, expires_at=timezone.now() + timedelta(days=request.lifetime_days))


def _collection_for(request: DataRequest) -> UUID:
    """The collection on which the rule will stand: the share collection, or one made for this request over its folder."""
    staging_id = staging_of(request)
    if request.variant == Variant.FOLDER:
        return staging_id
    base = globus.base_path_of(staging_id, mapped_id=settings.STORAGE_COLLECTION)
    return UUID(
        globus.create_guest_collection(
            mapped_id=settings.STORAGE_COLLECTION, base_path=base.rstrip("/") + request.folder, name=removing.own_collection_name(request)
        )
    )


@shared_task(name="transfers.notify", throws=(NotClaimedError,), soft_time_limit=120)
def notify(request_id: str) -> None:
    """Tell the person that she may download. Only now: the rule exists."""
    with steps.step(request_id, expected={Status.NOTIFYING}) as request:
        told = mail.try_sending(mail.send_share_open, request)
        request.move_to(Status.OPEN, due_at=next_date(request), note="" if told else "The mail could not be sent.")


@shared_task(name="transfers.watch", throws=(NotClaimedError,), soft_time_limit=120)
def watch(request_id: str) -> None:
    """Remind before the end, and begin the removal at the end."""
    with steps.step(request_id, expected={Status.OPEN}) as request:
        now = timezone.now()
        if now >= _end(request):
            request.move_to(Status.EXPIRING, note="Its time is over.")
        elif request.reminded_at is None and now >= reminder_date(request):
            mail.try_sending(mail.send_share_reminder, request)
            request.record(reminded_at=now, due_at=request.expires_at, attempts=0)
        else:
            request.record(due_at=next_date(request))


@shared_task(name="transfers.remove_share", throws=(NotClaimedError,), soft_time_limit=300)
def remove_share(request_id: str) -> None:
    """Take the rule away, then delete the folder, then record both. Safe to repeat from any point."""
    with steps.step(request_id, expected={Status.EXPIRING, Status.CANCELLING}, kind=Kind.SHARE) as request:
        if not copying.cancel_tasks(request, destination_id=staging_of(request)):
            request.look_again(seconds=1)
            return
        removing.remove_access(request)
        if not removing.delete_files(request):
            request.look_again(seconds=1)
            return
        removing.record_deletion(request)
        request.move_to(Status.EXPIRED if request.status == Status.EXPIRING else Status.CANCELLED)


@shared_task(name="transfers.tell_failure", throws=(NotClaimedError,), soft_time_limit=120)
def tell_failure(request_id: str) -> None:
    """Tell the person what failed; a share's files are kept for a week and then removed."""
    with steps.step(request_id, expected={Status.FAILED}) as request:
        ends_at = request.state_since + KEPT_AFTER_FAILURE
        if request.is_share and timezone.now() >= ends_at:
            request.move_to(Status.CANCELLING, note="Nobody tried again, so what was kept is removed.")
            return
        mail.try_sending(mail.send_request_failed, request)
        request.record(due_at=ends_at if request.is_share else None, attempts=0)


def extend(request: DataRequest, *, user: Any) -> None:
    """Give the share its lifetime once more. Once for the person herself; again only by an operator."""
    requesting.check_may_change(request, user)
    if request.status != Status.OPEN:
        raise ConflictError("Only a share that is open can be extended.")
    if request.extended_count >= FREE_EXTENSIONS and not getattr(user, "is_operator", False):
        raise ConflictError("You extended this share already. Ask an operator for more time, or ask again when it has expired.")
    expires_at = _end(request) + timedelta(days=request.lifetime_days)
    with transaction.atomic():
        unchanged = DataRequest.objects.filter(pk=request.pk, status=Status.OPEN, extended_count=request.extended_count)
        if not unchanged.update(expires_at=expires_at, extended_count=request.extended_count + 1, reminded_at=None):
            raise ConflictError("The share changed meanwhile. Look again.")
        request.refresh_from_db()
        request.record(due_at=next_date(request))
        request.note(f"Extended until {expires_at:%Y-%m-%d %H:%M} UTC.", actor=user)


def cancel(request: DataRequest, *, user: Any) -> None:
    """End a share: an open one is removed like an expired one, an unfinished one is stopped and cleaned up. Safe to repeat."""
    requesting.check_may_change(request, user)
    if request.status in {Status.EXPIRING, Status.EXPIRED, Status.CANCELLING, Status.CANCELLED}:
        return
    is_open = request.status == Status.OPEN
    request.move_to(Status.EXPIRING if is_open else Status.CANCELLING, actor=user, note="Ended early." if is_open else "Cancelled.")
    steps.hint(request)


def ask_again(request: DataRequest, *, user: Any, idempotency_key: str = "") -> DataRequest:
    """A new share of the same files, once this one is over."""
    requesting.check_may_change(request, user)
    requesting.check_is_over(request)
    requesting.check_assurance(request, user)
    return request_share(
        user=request.user, wanted=requesting.wanted_of(request), lifetime_days=request.lifetime_days, idempotency_key=idempotency_key
    )


def staging_of(request: DataRequest) -> UUID:
    """The share collection in which the request's folder is."""
    return request.staging_collection_id or UUID(settings.SHARE_COLLECTION)


def reminder_date(request: DataRequest) -> datetime:
    """When to remind; a share that lives no longer than the notice is not reminded of (its reminder falls on its end)."""
    if request.lifetime_days <= settings.REMINDER_DAYS:
        return _end(request)
    return _end(request) - timedelta(days=settings.REMINDER_DAYS)


def next_date(request: DataRequest) -> datetime:
    """When an open share next needs a worker."""
    return reminder_date(request) if request.reminded_at is None else _end(request)


def _end(request: DataRequest) -> datetime:
    if request.expires_at is None:
        raise ConflictError("This share was never open.")
    return request.expires_at
