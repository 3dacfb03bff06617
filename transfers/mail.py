"""The gateway to mail: one function for each message, in text and HTML from `templates/mail/<message>.*`.

One mail for each event: a guard row is written before sending and completed after it. A worker killed between the two sends again, with
the same Message-ID: at least once was chosen over at most once, because a lost link costs a person more than a repeated one, and mail
stores drop a repeated Message-ID (the embedded default's outbox always does).
"""

import logging
from collections.abc import Callable, Sequence
from smtplib import SMTPException
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import timezone

from datasets.errors import UnavailableError
from transfers import globus, manifests
from transfers.faults import outside_call
from transfers.models import DataRequest

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 6


class MailUnavailableError(UnavailableError):
    code = "mail-unavailable"
    message = "The mail server does not answer."


@outside_call
def send_share_open(request: DataRequest) -> None:
    """The files are ready: where, how much, until when. Only once its access rule exists."""
    _send(request, "share_open", links=share_links(request))


@outside_call
def send_share_reminder(request: DataRequest) -> None:
    """The share ends soon."""
    _send(request, "share_reminder", occasion=request.extended_count, links=share_links(request))


@outside_call
def send_request_failed(request: DataRequest) -> None:
    """The request failed: what happened, what was kept, what to do. One mail for each failure."""
    n_failures = request.events.filter(new=request.status).exclude(old=request.status).count()
    _send(request, "request_failed", occasion=n_failures, failed_files=list(request.failed_files.all()[:20]))


@outside_call
def send_sent(request: DataRequest) -> None:
    """The files arrived at the person's own collection."""
    link = globus.file_manager_link(request.destination_collection_id or "", request.destination_path)
    _send(request, "sent", links={"file_manager": link})


def share_links(request: DataRequest) -> dict[str, str]:
    """Where an open share is: in the Globus file manager, and by HTTPS."""
    collection_id = request.collection_id or ""
    return {
        "file_manager": globus.file_manager_link(collection_id, request.granted_path),
        "https": globus.https_url(collection_id, request.granted_path),
    }


def try_sending(send: Callable[[DataRequest], None], request: DataRequest) -> bool:
    """Send, and answer False once a mail server refused for so long that the request should go on without its mail."""
    try:
        send(request)
    except MailUnavailableError:
        if request.attempts < MOST_ATTEMPTS:
            raise
        log.exception("a mail was given up", extra={"request_id": str(request.pk)})
        return False
    return True


def _send(request: DataRequest, message: str, *, occasion: int = 0, **context: Any) -> None:
    send_once(request, message, lambda: {**_context(request), **context}, occasion=occasion, to=[request.user.email])


def send_once(
    request: Any,
    message: str,
    words: Callable[[], dict[str, Any]],
    *,
    occasion: int,
    to: Sequence[str],
    reply_to: Sequence[str] | None = None,
) -> None:
    """Deliver a message about a request once for each occasion; nothing where nobody has an address. Safe to repeat.

    `request` is any row whose `mails` are its guards; `words` is asked only when there is something to send. Raises MailUnavailableError.
    """
    message_id = f"<{request.pk}.{message}.{occasion}@{urlsplit(settings.BASE_URL).hostname}>"
    guard, _ = request.mails.get_or_create(message=message, occasion=occasion, defaults={"message_id": message_id})
    if guard.sent_at or not any(to):
        return
    deliver(message, words(), to=to, message_id=guard.message_id, reply_to=reply_to)
    guard.sent_at = timezone.now()
    guard.save(update_fields=["sent_at"])


def deliver(message: str, words: dict[str, Any], *, to: Sequence[str], message_id: str, reply_to: Sequence[str] | None = None) -> None:
    """Hand a message of `templates/mail/` to the mail server, in text and HTML. Raises MailUnavailableError."""
    mail = EmailMultiAlternatives(
        subject=" ".join(render_to_string(f"mail/{message}.subject.txt", words).split()),
        body=render_to_string(f"mail/{message}.body.txt", words),
        to=to,
        reply_to=reply_to,
        headers={"Message-ID": message_id, "Auto-Submitted": "auto-generated"},
    )
    mail.attach_alternative(render_to_string(f"mail/{message}.body.html", words), "text/html")
    try:
        mail.send()
    except (SMTPException, OSError) as error:
        raise MailUnavailableError from error


def _context(request: DataRequest) -> dict[str, Any]:
    selections = manifests.selections_of(request)
    titles = [selection.version.dataset.title for selection in selections]
    return {
        "person": request.user.get_full_name(),
        "request": request,
        "selections": selections,
        "title": titles[0] if len(set(titles)) == 1 else f"{len(set(titles))} datasets",
        "request_url": f"{settings.BASE_URL}{request.get_absolute_url()}",
        "base_url": settings.BASE_URL,
        "user": None,
        "expires_at": request.expires_at,
    }
