"""The mail that tells stewards of a damaged version, sent from the sweep: at least once, with one Message-ID: a repeat is dropped."""

import datetime as dt
import logging
from smtplib import SMTPException
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import timezone

from datasets.access import Visitor
from datasets.access.stewarding import addresses_of
from datasets.models import Alarm, Dataset

logger = logging.getLogger(__name__)

RETRY = dt.timedelta(minutes=5)
MOST_DUE = 50


def alarms_of(user: Visitor) -> list[Alarm]:
    """The open alarms of the datasets that a person curates, newest first."""
    mine = Alarm.objects.open().filter(version__dataset__in=Dataset.objects.curated_by(user))
    return list(mine.select_related("version__dataset")[:MOST_DUE])


def mail_alarms() -> int:
    """Send the mails that are due; how many left. One that does not leave is tried again some minutes later."""
    n_mails = 0
    now = timezone.now()
    for alarm in Alarm.objects.filter(mail_due_at__lte=now).select_related("version__dataset")[:MOST_DUE]:
        if not Alarm.objects.filter(pk=alarm.pk, mail_due_at=alarm.mail_due_at).update(mail_due_at=now + RETRY):
            continue  # another worker has it
        try:
            n_mails += _send(alarm)
        except (SMTPException, OSError):
            logger.exception("the mail of an alarm did not leave", extra={"alarm": alarm.pk})
            break  # the others would wait for the same server
        Alarm.objects.filter(pk=alarm.pk).update(mail_due_at=None, mailed_at=timezone.now())
    return n_mails


def _send(alarm: Alarm) -> int:
    dataset = alarm.version.dataset
    to = sorted(addresses_of(dataset)) or [dataset.contact]
    if not any(to):
        logger.warning("an alarm has nobody to be mailed to", extra={"alarm": alarm.pk, "dataset": str(dataset.pk)})
        return 0
    body = (
        f"Version {alarm.version.number} of “{dataset.title}” is damaged: {alarm.words}.\n\n"
        f"Its page says so to everybody: {settings.BASE_URL}{alarm.version.get_absolute_url()}\n"
        f"The files: {settings.BASE_URL}{alarm.version.damage_url}\n\n"
        "Bring the files back as they were published and check them again, or publish a new version: either ends the alarm.\n\n-- \n"
        "Sent by Causeway because you are a steward of this dataset.\n"
    )
    subject = f"Damaged: {dataset.title}, version {alarm.version.number}"[:200].replace("\n", " ")
    message_id = f"<alarm.{alarm.pk}@{urlsplit(settings.BASE_URL).hostname}>"
    EmailMessage(subject, body, to=to, headers={"Message-ID": message_id, "Auto-Submitted": "auto-generated"}).send()
    return 1
