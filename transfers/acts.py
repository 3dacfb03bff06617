"""What a person can do with her request, whatever its kind: cancel, extend, retry, ask again. Pages, API and admin call these."""

from typing import Any

from transfers import requesting, sending, sharing, steps
from transfers.models import DataRequest
from transfers.states import FINISHED, Status


def possible_acts(request: DataRequest, *, user: Any) -> list[str]:
    """The names of the acts that make sense now."""
    acts = []
    if request.status == Status.FAILED:
        acts.append("retry")
    if request.status == Status.OPEN and (request.extended_count < sharing.FREE_EXTENSIONS or getattr(user, "is_operator", False)):
        acts.append("extend")
    if request.status in FINISHED:
        acts.append("ask-again")
    if Status.CANCELLING in request.moves() or request.status == Status.OPEN:
        acts.append("cancel")
    return acts


def cancel(request: DataRequest, *, user: Any) -> DataRequest:
    """Stop a request, or end an open share early. Safe to repeat."""
    (sharing if request.is_share else sending).cancel(request, user=user)
    return request


def extend(request: DataRequest, *, user: Any) -> DataRequest:
    """Give an open share its lifetime once more."""
    sharing.extend(request, user=user)
    return request


def retry(request: DataRequest, *, user: Any) -> DataRequest:
    """Try again what failed, and only that."""
    requesting.check_may_change(request, user)
    request.move_to(Status.QUEUED, actor=user, note="Trying what failed again.", failure="", last_fault="")
    steps.hint(request)
    return request


def ask_again(request: DataRequest, *, user: Any, idempotency_key: str = "") -> DataRequest:
    """Ask for the same files again, once the request is over; answers the new request."""
    story = sharing.ask_again if request.is_share else sending.ask_again
    return story(request, user=user, idempotency_key=idempotency_key)


ACTS = {"cancel": cancel, "extend": extend, "retry": retry, "ask-again": ask_again}
