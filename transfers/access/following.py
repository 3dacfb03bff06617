"""What workers do with an access request: tell whom it concerns, remind before the end, see that access has ended.

The end itself waits for no worker: grants are judged by the clock. A step is safe to repeat; a message for it is only a hint.
"""

import logging
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from datasets.errors import NotClaimedError, StaleStateError
from datasets.models import Grant, PrincipalType
from transfers.access import mails
from transfers.access.models import AccessRequest
from transfers.access.states import AccessStatus, Act
from transfers.mail import MOST_ATTEMPTS, MailUnavailableError
from transfers.models.working import LONGEST_WAIT_S
from transfers.steps import send_hint

log = logging.getLogger(__name__)

STEP = "transfers.access.follow"
MOST = 200


def hint(request: AccessRequest) -> None:
    """Tell a worker, once this transaction is committed, that a step is due."""
    transaction.on_commit(partial(send_hint, STEP, request.pk), robust=True)


@shared_task(name=STEP, acks_late=True, soft_time_limit=120)
def follow(request_id: UUID | str) -> None:
    """Tell of the latest act, then look after the end. Safe to repeat."""
    try:
        with AccessRequest.objects.claim(request_id, expected=set(AccessStatus.values)) as request:
            _follow(request)
    except NotClaimedError:
        return


def _follow(request: AccessRequest) -> None:
    """People act while a mail is on its way: that act made a step due, which this one must not put off. Hence `record` may refuse."""
    try:
        _take_step(request)
    except StaleStateError:
        log.info("the access request moved meanwhile", extra={"access_request_id": str(request.pk)})


def _take_step(request: AccessRequest) -> None:
    try:
        _tell(request, request.last_act)
        if request.is_in_force:
            _look_after_end(request)
        else:
            request.record(due_at=None, attempts=0)
    except MailUnavailableError as error:
        log.warning("a mail is tried again later", extra={"access_request_id": str(request.pk), "words": error.detail})
        request.put_off()


def _look_after_end(request: AccessRequest) -> None:
    """Remind, or see that the grant is over; the row of the grant decides, also where a steward changed it on the dataset's desk."""
    given = request.held_grants(timezone.now()).order_by("-granted_at").first()
    if given is None:
        _end(request)
        return
    if (given.pk, given.expires_at) != (request.grant_id, request.expires_at):
        request.record(grant=given, expires_at=given.expires_at)
    now, reminder = timezone.now(), reminder_date(given)
    if reminder and now >= reminder and request.reminded_of != given.expires_at and request.status == AccessStatus.GRANTED:
        _tell(request, "ends-soon")
        request.record(reminded_of=given.expires_at)
    is_reminded = request.reminded_of == given.expires_at or request.status != AccessStatus.GRANTED
    request.record(due_at=given.expires_at if is_reminded else reminder, attempts=0)


def _end(request: AccessRequest) -> None:
    """Her grant is not in force any more: its time is over, or a steward took it back."""
    given = Grant.objects.filter(dataset=request.dataset_id, principal_type=PrincipalType.IDENTITY, principal=request.user_id)
    last = given.order_by("-granted_at", "-id").first()
    is_taken_back = last is not None and last.revoked_at is not None and (last.expires_at is None or last.revoked_at < last.expires_at)
    if is_taken_back and last is not None:
        request.move_to(AccessStatus.ENDED, actor=last.revoked_by, last_act=Act.TAKEN_BACK)
    elif request.status == AccessStatus.RENEWING:
        request.move_to(AccessStatus.WAITING, last_act=Act.ENDED, note="The request for more time waits on.")
    else:
        request.move_to(AccessStatus.ENDED, last_act=Act.ENDED)
    _tell(request, request.last_act)
    request.record(due_at=None, attempts=0)


def reminder_date(given: Grant) -> datetime | None:
    """When to remind of the end; the end itself where the grant is no longer than the notice."""
    if given.expires_at is None:
        return None
    notice = given.expires_at - timedelta(days=settings.REMINDER_DAYS)
    return notice if notice > given.granted_at else given.expires_at


def _tell(request: AccessRequest, act: str) -> None:
    """Send the mail of an act, if it has one. A server that refused for long is not waited for any more."""
    try:
        mails.send(request, act)
    except MailUnavailableError:
        if request.attempts < MOST_ATTEMPTS:
            raise
        log.exception("a mail was given up", extra={"access_request_id": str(request.pk)})


@shared_task(name="transfers.access.sweep", acks_late=True, soft_time_limit=60, ignore_result=True)
def sweep() -> int:
    """Hint at every step that is due, among them the requests whose grant is over or was changed. Safe to repeat."""
    now = timezone.now()
    is_far = Q(due_at=None) | Q(due_at__gt=now + timedelta(seconds=LONGEST_WAIT_S))  # nearer are those that are tried again
    for changed in (AccessRequest.objects.without_grant(), AccessRequest.objects.behind_desk()):
        for pk in list(changed.filter(is_far).values_list("pk", flat=True)[:MOST]):
            AccessRequest.objects.unclaimed(now).filter(is_far, pk=pk).update(due_at=now)
    n_hints = 0
    for request in AccessRequest.objects.take_due(timezone.now(), most=MOST):
        send_hint(STEP, request.pk)
        n_hints += 1
    return n_hints
