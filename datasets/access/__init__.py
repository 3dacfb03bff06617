"""Who may have the files of a dataset, and through which identity or group. What may be *seen* is `Dataset.objects.visible_to(user)`."""

import datetime as dt
import uuid
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeGuard

from django.db.models import F
from django.utils import timezone

from datasets.errors import AssuranceNeededError, ConflictError, ForbiddenError
from datasets.models import AccessPolicy, Dataset, Grant, PrincipalType, Version


class Person(Protocol):
    """Somebody signed in, as the catalogue sees her; `portal.User` is one."""

    id: uuid.UUID

    @property
    def identity_ids(self) -> AbstractSet[uuid.UUID]: ...
    @property
    def group_ids(self) -> AbstractSet[uuid.UUID]: ...
    @property
    def is_steward(self) -> bool: ...
    @property
    def is_operator(self) -> bool: ...
    @property
    def is_authenticated(self) -> bool: ...
    @property
    def is_assured(self) -> bool: ...
    def name_of(self, identity_id: uuid.UUID) -> str: ...


Visitor = Any  # a Person, or Django's AnonymousUser, which has none of these names: hence getattr


class Reason(StrEnum):
    """Why the answer is what it is; the value is stable and stands in the API."""

    PUBLIC = "public"
    SIGNED_IN = "signed-in"
    GRANT = "grant"
    STEWARD = "steward"
    OPERATOR = "operator"
    SIGN_IN_NEEDED = "sign-in-needed"
    GRANT_NEEDED = "grant-needed"
    EMBARGO = "embargo"
    ASSURANCE_NEEDED = "assurance-needed"
    WITHDRAWN = "withdrawn"
    NOT_PUBLISHED = "not-published"


WORDS = {
    Reason.PUBLIC: "Open to everybody.",
    Reason.SIGNED_IN: "Open to everybody who is signed in.",
    Reason.GRANT: "You were given access.",
    Reason.STEWARD: "You are a steward of this dataset.",
    Reason.OPERATOR: "You are an operator of this archive.",
    Reason.SIGN_IN_NEEDED: "Sign in to get the files.",
    Reason.GRANT_NEEDED: "The files are restricted. A steward of the dataset can give you access.",
    Reason.EMBARGO: "The files are under an embargo. A steward of the dataset can give you access before its end.",
    Reason.ASSURANCE_NEEDED: "The files are controlled. You have access once you signed in with a second factor.",
    Reason.WITHDRAWN: "This dataset was withdrawn. Its page says why, and what to use instead where there is something.",
    Reason.NOT_PUBLISHED: "This dataset is not published yet.",
}


@dataclass(frozen=True)
class Through:
    """The identity or group that gives access."""

    principal_type: str
    principal: uuid.UUID
    label: str


@dataclass(frozen=True)
class Decision:
    is_allowed: bool
    reason: Reason
    through: Through | None = None
    until: dt.datetime | None = None
    """When this answer ends by itself: the end of the grant, or of the embargo."""

    @property
    def words(self) -> str:
        """The answer as a sentence to the person."""
        if self.reason == Reason.GRANT and self.through:
            kind = "identity" if self.through.principal_type == PrincipalType.IDENTITY else "group"
            end = f" until {_day(self.until)}" if self.until else ""
            return f"You have access through the {kind} {self.through.label or self.through.principal}{end}."
        if self.reason == Reason.EMBARGO and self.until:
            return f"The files are under an embargo until {_day(self.until)}. A steward of the dataset can give you access before."
        return WORDS[self.reason]


def _day(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def is_signed_in(user: Visitor) -> TypeGuard[Person]:
    return bool(getattr(user, "is_authenticated", False))


def is_curator(user: Visitor, dataset: Dataset) -> bool:
    """Whether she may change this dataset: a steward of it, or an operator."""
    return Dataset.objects.curated_by(user).filter(pk=dataset.pk).exists()


def check_curator(user: Visitor, dataset: Dataset) -> None:
    """Raise ForbiddenError unless the person is a steward of the dataset or an operator."""
    if not is_curator(user, dataset):
        check_role_counts(user)
        raise ForbiddenError("Only a steward of this dataset or an operator may do this.")


def check_staff(user: Visitor) -> None:
    """Raise ForbiddenError unless the person is a steward of anything or an operator."""
    if not (getattr(user, "is_steward", False) or getattr(user, "is_operator", False)):
        check_role_counts(user)
        raise ForbiddenError("These pages are for stewards.")


def check_role_counts(user: Visitor) -> None:
    """Raise AssuranceNeededError for staff whose role does not count, because their sign-in lacks the second factor that it needs here."""
    if getattr(user, "lacks_second_factor", False):
        raise AssuranceNeededError("Stewards and operators of this archive sign in with a second factor.")


def decide(user: Visitor, dataset: Dataset) -> Decision:
    """Whether this person may have the files of this dataset now, and why. At most three queries; none for published public data.

    Controlled files need a sign-in with a second factor on top of the right itself.
    """
    decision = _decide_right(user, dataset)
    if decision.is_allowed and dataset.is_controlled and is_signed_in(user) and not user.is_assured:
        return Decision(is_allowed=False, reason=Reason.ASSURANCE_NEEDED, through=decision.through, until=decision.until)
    return decision


def _decide_right(user: Visitor, dataset: Dataset) -> Decision:
    policy = dataset.effective_policy
    if dataset.is_withdrawn:
        return _decide_withdrawn(user, dataset)
    if dataset.is_published and policy == AccessPolicy.PUBLIC:
        return Decision(is_allowed=True, reason=Reason.PUBLIC)
    refusal = _refusal(user, dataset)
    if not is_signed_in(user):
        return refusal
    if dataset.is_published and policy == AccessPolicy.REGISTERED:
        return Decision(is_allowed=True, reason=Reason.SIGNED_IN)
    if user.is_operator:
        return Decision(is_allowed=True, reason=Reason.OPERATOR)
    if user.is_steward and is_curator(user, dataset):
        return Decision(is_allowed=True, reason=Reason.STEWARD)
    if not dataset.is_published:
        return refusal
    held = Grant.objects.filter(dataset=dataset).active(timezone.now()).for_person(user)
    grant = held.order_by("-principal_type", F("expires_at").desc(nulls_first=True), "granted_at").first()
    if grant is None:
        return refusal
    name = user.name_of(grant.principal) if grant.principal_type == PrincipalType.IDENTITY else ""
    through = Through(grant.principal_type, grant.principal, name or grant.label)
    return Decision(is_allowed=True, reason=Reason.GRANT, through=through, until=grant.expires_at)


def _decide_withdrawn(user: Visitor, dataset: Dataset) -> Decision:
    """What was withdrawn is for its stewards and for operators alone."""
    if is_curator(user, dataset):
        return Decision(is_allowed=True, reason=Reason.OPERATOR if user.is_operator else Reason.STEWARD)
    return Decision(is_allowed=False, reason=Reason.WITHDRAWN)


def check_offered(user: Visitor, version: Version) -> None:
    """Raise ConflictError for a version whose files are not given out: not published yet, or withdrawn."""
    if version.published_at is None:
        raise ConflictError(f"{version} is not published yet.")
    if version.is_withdrawn and not is_curator(user, version.dataset):
        raise ConflictError(f"{version} was withdrawn: {version.withdrawal}")


def _refusal(user: Visitor, dataset: Dataset) -> Decision:
    """The answer to whom nothing gives the files."""
    if not dataset.is_published:
        return Decision(is_allowed=False, reason=Reason.NOT_PUBLISHED)
    if dataset.is_embargoed:
        return Decision(is_allowed=False, reason=Reason.EMBARGO, until=dataset.embargo_ends_at)
    return Decision(is_allowed=False, reason=Reason.GRANT_NEEDED if is_signed_in(user) else Reason.SIGN_IN_NEEDED)


def check_may_have(user: Visitor, dataset: Dataset) -> None:
    """Raise the refusal with the way to access: AssuranceNeededError where a second factor is all that is missing, else ForbiddenError."""
    decision = decide(user, dataset)
    if decision.is_allowed:
        return
    words = f"{dataset.title}: {decision.words}"
    raise AssuranceNeededError(words) if decision.reason == Reason.ASSURANCE_NEEDED else ForbiddenError(words)


def may_list(user: Visitor, dataset: Dataset, version: Version | None = None) -> bool:
    """Whether she may read the names of the files. What is not read in place keeps them to those who may have the files."""
    if version is not None and version.is_withdrawn and not is_curator(user, dataset):
        return False
    return dataset.is_read_in_place or decide(user, dataset).is_allowed


def check_may_list(user: Visitor, dataset: Dataset, version: Version | None = None) -> None:
    """Raise ForbiddenError with the way to access where the file list is not for this person."""
    if not may_list(user, dataset, version):
        check_may_have(user, dataset)
        raise ForbiddenError(WORDS[Reason.WITHDRAWN])
