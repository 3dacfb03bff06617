"""What people do with an access request: ask, approve, deny, ask for more time, withdraw, give back. Read `request_access` first.

Each verb writes the state, the event and the grant in one transaction; the mails are sent by a worker afterwards (`following.py`).
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from datasets.access import Reason, check_curator, decide, granting, terms
from datasets.errors import ConflictError, InvalidError, NotFoundError, TermsNeededError
from datasets.models import Dataset, PrincipalType, TermsAcceptance
from transfers.access import following
from transfers.access.models import AccessRequest
from transfers.access.states import ACCESS_OPEN, ACCESS_UNDECIDED, AccessStatus, Act
from transfers.errors import NotYoursError
from transfers.requesting import check_signed_in

LONGEST = 4_000
USUAL_DAYS = 365


def request_access(
    dataset: Dataset, *, user: Any, purpose: str, until: datetime | None = None, accepted_terms: int | None = None
) -> AccessRequest:
    """Ask the stewards of a dataset for its files. Safe to repeat: while a request is open, it is the answer.

    `accepted_terms` is the version of the terms that she agrees to with it. Raises TermsNeededError where that lacks, InvalidError for an
    empty purpose or an end that has passed, ConflictError for somebody who has access or cannot get it by asking.
    """
    check_signed_in(user)
    if known := open_request(dataset, user):
        return known
    _check_askable(dataset, user)
    purpose = _clean_purpose(purpose)
    _check_until(until)
    lacking = terms.lacking_terms(user, [dataset])
    if lacking and accepted_terms is None:
        words = f"Accept version {lacking[0].number} of the terms of {dataset.title} with your request."
        raise TermsNeededError(words, terms=[(dataset.slug, lacking[0].number)])
    try:
        with transaction.atomic():
            if lacking:
                terms.accept_terms(dataset, user=user, number=accepted_terms or 0)
            made: AccessRequest = AccessRequest.objects.create(
                user=user,
                dataset=dataset,
                purpose=purpose,
                wanted_until=until,
                acceptance=_acceptance(dataset, user),
                due_at=timezone.now(),
            )
            made.events.create(act=Act.ASKED, new=AccessStatus.WAITING, actor=user)
            following.hint(made)
    except IntegrityError:  # a second click was first
        if known := open_request(dataset, user):
            return known
        raise
    return made


def open_request(dataset: Dataset, user: Any) -> AccessRequest | None:
    """Her request for this dataset that is not over."""
    found: AccessRequest | None = AccessRequest.objects.filter(dataset=dataset, user_id=user.pk, status__in=ACCESS_OPEN).first()
    return found


def find_request(user: Any, request_id: UUID | str) -> AccessRequest:
    """A request that she may see. Raises NotFoundError."""
    visible = AccessRequest.objects.visible_to(user)
    found: AccessRequest | None = visible.select_related("dataset", "user", "decided_by").filter(pk=request_id).first()
    if found is None:
        raise NotFoundError
    return found


@transaction.atomic
def approve(request: AccessRequest, *, user: Any, until: datetime | None) -> AccessRequest:
    """Give her access until a date, or more time.

    Raises ForbiddenError unless decided by a steward of the dataset or an operator, InvalidError without a date that is to come,
    ConflictError when it is decided already.
    """
    check_curator(user, request.dataset)
    if until is None:
        raise InvalidError(fields={"until": ["Say until when."]})
    _check_until(until)
    locked = _undecided(request)
    given = granting.grant(
        locked.dataset,
        principal_type=PrincipalType.IDENTITY,
        principal=locked.user_id,
        granted_by=user,
        label=locked.user.username[:200],
        expires_at=until,
    )
    facts = {"grant": given, "expires_at": until, "decided_by": user, "decided_at": timezone.now(), "reason": "", "reminded_of": None}
    locked.move_to(AccessStatus.GRANTED, actor=user, note=f"Until {until:%Y-%m-%d %H:%M} UTC.", last_act=Act.APPROVED, **facts)
    following.hint(locked)
    return locked


@transaction.atomic
def deny(request: AccessRequest, *, user: Any, reason: str) -> AccessRequest:
    """Deny access, or more time: what she has stays until its end. Raises as `approve`; InvalidError without a reason."""
    check_curator(user, request.dataset)
    reason = reason.strip()
    if not reason or len(reason) > LONGEST:
        raise InvalidError(fields={"reason": [f"Say why, in 1 to {LONGEST:,} characters: she reads it."]})
    locked = _undecided(request)
    is_renewal = locked.status == AccessStatus.RENEWING
    new, act = (AccessStatus.GRANTED, Act.RENEWAL_DENIED) if is_renewal else (AccessStatus.DENIED, Act.DENIED)
    locked.move_to(new, actor=user, note=reason, last_act=act, reason=reason, decided_by=user, decided_at=timezone.now())
    following.hint(locked)
    return locked


@transaction.atomic
def ask_renewal(request: AccessRequest, *, user: Any, purpose: str, until: datetime | None = None) -> AccessRequest:
    """Ask for more time before the end; access lasts meanwhile. Safe to repeat.

    Raises NotYoursError for others, InvalidError for an empty purpose, ConflictError when there is no access to renew or it has no end.
    """
    _check_own(request, user)
    if request.status == AccessStatus.RENEWING:
        return request
    purpose = _clean_purpose(purpose)
    _check_until(until)
    if request.status != AccessStatus.GRANTED:
        raise ConflictError("There is no access to renew. Ask again.")
    if request.expires_at is None:
        raise ConflictError("Your access has no end: there is nothing to renew.")
    request.move_to(
        AccessStatus.RENEWING, actor=user, note=purpose, last_act=Act.RENEWAL_ASKED, purpose=purpose, wanted_until=until, reason=""
    )
    following.hint(request)
    return request


@transaction.atomic
def withdraw(request: AccessRequest, *, user: Any) -> AccessRequest:
    """Take a request back that nobody has decided; a renewal that is taken back leaves the access as it was. Safe to repeat."""
    _check_own(request, user)
    if request.status == AccessStatus.WITHDRAWN:
        return request
    if request.status == AccessStatus.RENEWING:
        request.move_to(AccessStatus.GRANTED, actor=user, last_act=Act.RENEWAL_WITHDRAWN)
    elif request.status == AccessStatus.WAITING:
        request.move_to(AccessStatus.WITHDRAWN, actor=user, last_act=Act.WITHDRAWN)
    else:
        raise ConflictError("This request is decided. Access that you do not need any more can be given back.")
    following.hint(request)
    return request


@transaction.atomic
def give_back(request: AccessRequest, *, user: Any) -> AccessRequest:
    """End her access before its time, also what a steward gave her on the desk of the dataset. Safe to repeat.

    Raises NotYoursError for others, ConflictError where there is none.
    """
    _check_own(request, user)
    if request.status == AccessStatus.ENDED:
        return request
    if not request.is_in_force:
        raise ConflictError("There is no access to give back.")
    request.move_to(AccessStatus.ENDED, actor=user, last_act=Act.GIVEN_BACK)
    Dataset.objects.held().get(pk=request.dataset_id)  # a steward who changes the end at this moment is before or after
    for given in request.held_grants(timezone.now()):
        granting.give_back(given, user=user)
    following.hint(request)
    return request


def suggested_until(request: AccessRequest) -> datetime:
    """The end that the form of approval begins with: what she asked for, else a year."""
    wanted = request.wanted_until
    return wanted if wanted and wanted > timezone.now() else timezone.now() + timedelta(days=USUAL_DAYS)


def _check_askable(dataset: Dataset, user: Any) -> None:
    if not Dataset.objects.visible_to(user).filter(pk=dataset.pk).exists():
        raise NotFoundError
    decision = decide(user, dataset)
    if decision.is_allowed:
        raise ConflictError(f"You have access already. {decision.words}")
    if decision.reason not in {Reason.GRANT_NEEDED, Reason.EMBARGO}:
        raise ConflictError(decision.words)


def _undecided(request: AccessRequest) -> AccessRequest:
    """The request, locked against another decision at the same moment."""
    locked: AccessRequest = AccessRequest.objects.select_for_update(of=("self",)).select_related("user", "dataset").get(pk=request.pk)
    if locked.status not in ACCESS_UNDECIDED:
        raise ConflictError(f"There is nothing to decide: {locked.get_status_display().lower()}.")
    return locked


def _check_own(request: AccessRequest, user: Any) -> None:
    if request.user_id != getattr(user, "pk", None):
        raise NotYoursError


def _acceptance(dataset: Dataset, user: Any) -> TermsAcceptance | None:
    return TermsAcceptance.objects.filter(terms__dataset=dataset, terms__retired_at=None, user_id=user.pk).first()


def _clean_purpose(purpose: str) -> str:
    purpose = purpose.strip()
    if not purpose or len(purpose) > LONGEST:
        raise InvalidError(fields={"purpose": [f"Write 1 to {LONGEST:,} characters."]})
    return purpose


def _check_until(until: datetime | None) -> None:
    if until is not None and until <= timezone.now():
        raise InvalidError(fields={"until": ["This moment has passed."]})
