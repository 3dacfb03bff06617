"""How a worker does one step of a request: claim it, do it, record what went wrong, say that the next step is due.

A message to a worker is only a hint. The sweep of what is due (`sweeping.py`) finds the step again if the message is lost.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from uuid import UUID

from celery import current_app
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from datasets.errors import RefusedError, UnavailableError
from transfers.errors import ConsentNeededError, GlobusUnavailableError, StaleStateError
from transfers.models import DataRequest
from transfers.states import Kind, Status

log = logging.getLogger(__name__)

# The task that does the next step of a request, by its kind and status.
STEPS = {
    (Kind.SHARE, Status.QUEUED): "transfers.stage",
    (Kind.SHARE, Status.STAGING): "transfers.stage",
    (Kind.SHARE, Status.COPYING): "transfers.check",
    (Kind.SHARE, Status.GRANTING): "transfers.open_share",
    (Kind.SHARE, Status.NOTIFYING): "transfers.notify",
    (Kind.SHARE, Status.OPEN): "transfers.watch",
    (Kind.SHARE, Status.EXPIRING): "transfers.remove_share",
    (Kind.SHARE, Status.CANCELLING): "transfers.remove_share",
    (Kind.SHARE, Status.FAILED): "transfers.tell_failure",
    (Kind.TRANSFER, Status.QUEUED): "transfers.send",
    (Kind.TRANSFER, Status.SENDING): "transfers.follow",
    (Kind.TRANSFER, Status.NEEDS_SIGN_IN): "transfers.resume",
    (Kind.TRANSFER, Status.CANCELLING): "transfers.stop_sending",
    (Kind.TRANSFER, Status.FAILED): "transfers.tell_failure",
}


@contextmanager
def step(request_id: UUID | str, *, expected: Iterable[str], kind: str = "") -> Iterator[DataRequest]:
    """Claim a request, do the step in the body, release it, and hint at what is due next.

    Raises NotClaimedError when another worker is at it. What Globus refuses or cannot do now is recorded on the request and not raised.
    """
    requests = DataRequest.objects.filter(kind=kind) if kind else DataRequest.objects.all()
    with requests.claim(request_id, expected=expected) as request, recording(request):
        yield request
    hint(request)


@contextmanager
def recording(request: DataRequest) -> Iterator[None]:
    """Turn what goes wrong in a step into a state of the request, or into a later attempt."""
    try:
        yield
    except ConsentNeededError as error:
        if Status.NEEDS_SIGN_IN in request.moves():
            facts = {"required_scopes": error.required_scopes, "required_session": error.session}
            request.move_to(Status.NEEDS_SIGN_IN, note=error.detail, **facts)
        else:
            put_off(request, error.detail)
    except UnavailableError as error:
        put_off(request, error.detail, seconds=error.retry_after_s if isinstance(error, GlobusUnavailableError) else 0)
    except StaleStateError:
        log.info("the request moved meanwhile", extra={"request_id": str(request.pk)})
    except RefusedError as error:
        fail(request, error.detail)


def put_off(request: DataRequest, words: str, *, seconds: int = 0) -> None:
    """Try this step again later, and say why."""
    if not request.attempts:
        request.note(f"{words} It is tried again.")
    request.put_off(seconds=seconds, last_fault=words)


def fail(request: DataRequest, words: str) -> None:
    """End the request as failed, or put it off where its state does not allow failing: a share is always removed in the end."""
    if Status.FAILED in request.moves():
        request.move_to(Status.FAILED, note=words, failure=words, due_at=timezone.now())
    else:
        log.error("a step is refused", extra={"request_id": str(request.pk), "status": request.status, "words": words})
        put_off(request, words)


def hint(request: DataRequest) -> None:
    """Tell a worker, once this transaction is committed, that the next step is due. Losing it costs one sweep."""
    task = STEPS.get((Kind(request.kind), Status(request.status)))
    if task and request.due_at and request.due_at <= timezone.now():
        transaction.on_commit(partial(send_hint, task, request.pk), robust=True)


def send_hint(task: str, key: UUID | int) -> None:
    """Put a message in the broker; a broker that does not answer is left to the sweep."""
    with suppress(OperationalError, OSError):
        current_app.send_task(task, (str(key),), retry=False, ignore_result=True)
