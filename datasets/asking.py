"""A question to the stewards of a dataset, by mail. Only who is signed in may ask: the answer goes to the address of the identity."""

from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage

from datasets.access import Visitor, is_signed_in
from datasets.access.stewarding import addresses_of
from datasets.errors import ConflictError, InvalidError, SignInFirstError
from datasets.models import Dataset, DatasetEvent

LONGEST = 4_000


def ask_steward(dataset: Dataset, *, user: Visitor, message: str) -> int:
    """Mail the question to the contact or the stewards; how many addresses it went to.

    Raises SignInFirstError for nobody, InvalidError for an empty or too long message, ConflictError when there is no address to write to.
    """
    if not is_signed_in(user):
        raise SignInFirstError
    message = message.strip()
    if not message or len(message) > LONGEST:
        raise InvalidError(fields={"message": [f"Write 1 to {LONGEST:,} characters."]})
    person: Any = user
    to = sorted({dataset.contact, *addresses_of(dataset)} - {""})
    if not to:
        raise ConflictError("This dataset has no steward with an address. Write to the operators of the archive.")
    name = person.name or person.username
    body = (
        f"{name} ({person.username}) asks about the dataset “{dataset.title}”\n{settings.BASE_URL}{dataset.get_absolute_url()}\n\n"
        f"{message}\n\n-- \nSent by Causeway because you are a steward of this dataset. Reply to this mail to answer {name}.\n"
    )
    subject = f"Question about {dataset.title}"[:200].replace("\n", " ")
    EmailMessage(subject, body, to=to, reply_to=[person.email] if person.email else None).send()
    DatasetEvent.objects.create(dataset=dataset, act="question", actor=person)
    return len(to)
