"""Terms of use: a steward publishes a version of the text, a person accepts it once, and requests ask whether she did."""

import logging
from collections.abc import Collection

from django.db import transaction
from django.utils import timezone

from datasets.access import Visitor, check_curator, is_signed_in
from datasets.errors import ConflictError, InvalidError, SignInFirstError, TermsNeededError
from datasets.models import Dataset, DatasetEvent, Terms, TermsAcceptance

log = logging.getLogger(__name__)

LONGEST = 100_000


@transaction.atomic
def publish_terms(dataset: Dataset, *, user: Visitor, text: str) -> Terms:
    """Make a text the terms of a dataset, as a new version that everybody is asked anew. Safe to repeat with the same text.

    Raises ForbiddenError unless she is a steward of the dataset or an operator, InvalidError for an empty or too long text.
    """
    check_curator(user, dataset)
    text = text.replace("\r\n", "\n").strip()
    if not text or len(text) > LONGEST:
        raise InvalidError(fields={"text": [f"Write 1 to {LONGEST:,} characters."]})
    Dataset.objects.held().get(pk=dataset.pk)
    current = dataset.terms.current().first()
    if current is not None and current.text == text:
        return current
    last = dataset.terms.first()
    _retire(dataset)
    made = Terms.objects.create(dataset=dataset, number=last.number + 1 if last else 1, text=text, published_by=user)
    DatasetEvent.objects.create(dataset=dataset, act="terms", actor=user, note=f"version {made.number} is asked from now on")
    return made


@transaction.atomic
def retire_terms(dataset: Dataset, *, user: Visitor) -> None:
    """Ask for no terms any more. Who accepted what stays recorded. Safe to repeat. Raises ForbiddenError as `publish_terms`."""
    check_curator(user, dataset)
    if _retire(dataset):
        DatasetEvent.objects.create(dataset=dataset, act="terms", actor=user, note="none are asked any more")


def _retire(dataset: Dataset) -> int:
    return Terms.objects.current().filter(dataset=dataset).update(retired_at=timezone.now())


def current_terms(dataset: Dataset) -> Terms | None:
    """The version that is asked now; None where there is none."""
    return Terms.objects.current().filter(dataset=dataset).first()


def lacking_terms(user: Visitor, datasets: Collection[Dataset]) -> list[Terms]:
    """The current terms of these datasets that she has not accepted yet; one statement."""
    accepted = TermsAcceptance.objects.filter(user_id=user.id) if is_signed_in(user) else TermsAcceptance.objects.none()
    asked = Terms.objects.current().filter(dataset__in=[one.pk for one in datasets])
    return list(asked.exclude(pk__in=accepted.values("terms")).select_related("dataset").order_by("dataset__title"))


def check_accepted(user: Visitor, datasets: Collection[Dataset]) -> None:
    """Raise TermsNeededError, which names every version that she has to accept first."""
    if lacking := lacking_terms(user, datasets):
        named = ", ".join(one.dataset.title for one in lacking)
        raise TermsNeededError(f"Accept the terms of {named} first.", terms=[(one.dataset.slug, one.number) for one in lacking])


def accept_terms(dataset: Dataset, *, user: Visitor, number: int) -> TermsAcceptance:
    """Record that she agreed to this version of the text. Safe to repeat: the first acceptance stays.

    Raises ConflictError for a version that is not the current one: she read another text. SignInFirstError for nobody.
    """
    if not is_signed_in(user):
        raise SignInFirstError
    current = current_terms(dataset)
    if current is None or current.number != number:
        raise ConflictError("The terms changed meanwhile. Read them again.")
    acceptance, is_new = TermsAcceptance.objects.get_or_create(terms=current, user_id=user.id)
    if is_new:
        log.info("terms accepted", extra={"dataset": dataset.slug, "number": number, "user_id": str(user.id)})
    return acceptance
