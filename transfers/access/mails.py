"""The mails of access requests, in text and HTML from `templates/mail/access_*`; one for each act, guarded as `transfers.mail` tells."""

from functools import partial
from typing import Any

from django.conf import settings

from datasets.access.stewarding import addresses_of
from transfers import mail
from transfers.access.models import AccessRequest
from transfers.access.states import Act
from transfers.faults import outside_call

# The template of an act, and whether the stewards are told; else she is.
MESSAGES: dict[str, tuple[str, bool]] = {
    Act.ASKED: ("access_asked", True),
    Act.RENEWAL_ASKED: ("access_asked", True),
    Act.WITHDRAWN: ("access_withdrawn", True),
    Act.APPROVED: ("access_approved", False),
    Act.DENIED: ("access_denied", False),
    Act.RENEWAL_DENIED: ("access_denied", False),
    Act.ENDED: ("access_ended", False),
    Act.TAKEN_BACK: ("access_ended", False),
    "ends-soon": ("access_ends_soon", False),
}


@outside_call
def send(request: AccessRequest, act: str) -> None:
    """Tell the stewards or the person of an act. Safe to repeat: one mail for each event, or for each end. Raises MailUnavailableError."""
    if act not in MESSAGES:
        return
    message, is_for_stewards = MESSAGES[act]
    to = steward_addresses(request) if is_for_stewards else [request.user.email]
    reply_to = [request.user.email] if is_for_stewards and request.user.email else None
    words = partial(_words, request, act, is_for_stewards=is_for_stewards)
    mail.send_once(request, message, words, occasion=_occasion(request, act), to=to, reply_to=reply_to)


def _occasion(request: AccessRequest, act: str) -> int:
    """The event that a mail tells of; for a reminder the end that it names, as a steward can move that without an event here."""
    if act == "ends-soon" and request.expires_at is not None:
        return int(request.expires_at.timestamp())
    return request.events.filter(act=act).order_by("-id").values_list("id", flat=True).first() or 0


def steward_addresses(request: AccessRequest) -> list[str]:
    """The stewards of the dataset that have an address, else its contact."""
    return sorted(addresses_of(request.dataset)) or [address for address in [request.dataset.contact] if address]


def _words(request: AccessRequest, act: str, *, is_for_stewards: bool) -> dict[str, Any]:
    dataset = request.dataset
    return {
        "person": "To the stewards" if is_for_stewards else request.user.get_full_name(),
        "asker": request.user,
        "request": request,
        "dataset": dataset,
        "act": act,
        "is_renewal": act in {Act.RENEWAL_ASKED, Act.RENEWAL_DENIED},
        "is_taken_back": act == Act.TAKEN_BACK,
        "dataset_url": f"{settings.BASE_URL}{dataset.get_absolute_url()}",
        "request_url": f"{settings.BASE_URL}{request.get_absolute_url()}",
        "base_url": settings.BASE_URL,
        "user": None,
    }
