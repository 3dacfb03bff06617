"""Who may have the files of a dataset, and through which identity or group. What may be *seen* is `Dataset.objects.visible_to(user)`."""

import uuid
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeGuard

from django.utils import timezone

from datasets.errors import ForbiddenError
from datasets.models import AccessPolicy, Dataset, Grant, PrincipalType


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
    NOT_PUBLISHED = "not-published"


WORDS = {
    Reason.PUBLIC: "Open to everybody.",
    Reason.SIGNED_IN: "Open to everybody who is signed in.",
    Reason.GRANT: "You were given access.",
    Reason.STEWARD: "You are a steward of this dataset.",
    Reason.OPERATOR: "You are an operator of this archive.",
    Reason.SIGN_IN_NEEDED: "Sign in to get the files.",
    Reason.GRANT_NEEDED: "The files are restricted. A steward of the dataset can give you access.",
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

    @property
    def words(self) -> str:
        """The answer as a sentence to the person."""
        if self.reason == Reason.GRANT and self.through:
            kind = "identity" if self.through.principal_type == PrincipalType.IDENTITY else "group"
            return f"You have access through the {kind} {self.through.label or self.through.principal}."
        return WORDS[self.reason]


def is_signed_in(user: Visitor) -> TypeGuard[Person]:
    return bool(getattr(user, "is_authenticated", False))


def is_curator(user: Visitor, dataset: Dataset) -> bool:
    """Whether she may change this dataset: a steward of it, or an operator."""
    return Dataset.objects.curated_by(user).filter(pk=dataset.pk).exists()


def check_curator(user: Visitor, dataset: Dataset) -> None:
    """Raise ForbiddenError unless the person is a steward of the dataset or an operator."""
    if not is_curator(user, dataset):
        raise ForbiddenError("Only a steward of this dataset or an operator may do this.")


def decide(user: Visitor, dataset: Dataset) -> Decision:
    """Whether this person may have the files of this dataset now, and why. At most two queries; none for published public data."""
    if dataset.is_published and dataset.access_policy == AccessPolicy.PUBLIC:
        return Decision(is_allowed=True, reason=Reason.PUBLIC)
    if not is_signed_in(user):
        return Decision(is_allowed=False, reason=Reason.SIGN_IN_NEEDED if dataset.is_published else Reason.NOT_PUBLISHED)
    if dataset.is_published and dataset.access_policy == AccessPolicy.REGISTERED:
        return Decision(is_allowed=True, reason=Reason.SIGNED_IN)
    if user.is_operator:
        return Decision(is_allowed=True, reason=Reason.OPERATOR)
    if user.is_steward and is_curator(user, dataset):
        return Decision(is_allowed=True, reason=Reason.STEWARD)
    if not dataset.is_published:
        return Decision(is_allowed=False, reason=Reason.NOT_PUBLISHED)
    grant = Grant.objects.filter(dataset=dataset).active(timezone.now()).for_person(user).order_by("-principal_type", "granted_at").first()
    if grant is None:
        return Decision(is_allowed=False, reason=Reason.GRANT_NEEDED)
    return Decision(is_allowed=True, reason=Reason.GRANT, through=Through(grant.principal_type, grant.principal, grant.label))


def may_list(user: Visitor, dataset: Dataset) -> bool:
    """Whether she may read the names of the files. Only restricted datasets keep them to those who may have the files."""
    return (dataset.is_published and dataset.access_policy != AccessPolicy.RESTRICTED) or decide(user, dataset).is_allowed


def check_may_list(user: Visitor, dataset: Dataset) -> None:
    """Raise ForbiddenError with the way to access where the file list is not for this person."""
    if not may_list(user, dataset):
        raise ForbiddenError(decide(user, dataset).words)
