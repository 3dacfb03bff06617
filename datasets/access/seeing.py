"""Who can see the files of a dataset, and what a person can see: through what, until when, now or at a moment of the past.

Grants keep their history, so do memberships in groups and the changes of policy, classification and embargo. What is not kept is who was
steward or operator when, and which identities were linked: those are told for now only. A withdrawal is told of while it lasts: once
another version is published, the time in which the dataset was withdrawn is told as if it had been published all along.
"""

import datetime as dt
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from django.utils import timezone

from datasets.access import Visitor, check_curator, check_role_counts
from datasets.access.protecting import Protection, protection_at
from datasets.errors import ForbiddenError, InvalidError
from datasets.models import AccessPolicy, Dataset, Grant, PrincipalType, SeriesSteward

NOW_S = 5  # a moment this near is now
MOST_DATASETS = 500


@dataclass(frozen=True)
class Member:
    """Somebody of a group who signed in here once; others of it are not known to the portal."""

    name: str
    username: str
    since: dt.datetime | None


@dataclass(frozen=True)
class Way:
    """One way in which files can be had."""

    kind: str
    """everybody, signed-in, identity, group, steward or operator"""
    name: str
    principal: uuid.UUID | None
    through: str
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    members: tuple[Member, ...] = ()


@dataclass(frozen=True)
class Seen:
    """A dataset whose files a person can have, and the way."""

    dataset: Dataset
    way: Way


def who_can_see(dataset: Dataset, *, user: Visitor, moment: dt.datetime | None = None) -> tuple[Protection, list[Way]]:
    """How the dataset is kept, and everybody who can have its files: by policy, by grants, by role. For its stewards and operators.

    Raises ForbiddenError for anybody else, InvalidError for a moment that is not past.
    """
    check_curator(user, dataset)
    at, is_now = _moment(moment)
    kept = protection_at(dataset, at)
    ways: list[Way] = []
    if kept.is_published and kept.effective_policy == AccessPolicy.PUBLIC:
        ways.append(Way("everybody", "Everybody", None, "the dataset is public"))
    elif kept.is_published and kept.effective_policy == AccessPolicy.REGISTERED:
        ways.append(Way("signed-in", "Everybody who is signed in", None, "the dataset asks for a sign-in"))
    if kept.is_published:
        ways += [_way_of(given, at) for given in Grant.objects.filter(dataset=dataset).active(at).select_related("granted_by")]
    if is_now:
        ways += [Way("steward", one.get_full_name(), one.pk, "steward of the dataset") for one in _stewards(dataset)]
        ways += _through_series(dataset, at)
        ways += [Way("operator", one.get_full_name(), one.pk, "operator of the archive") for one in _people() if one.is_operator]
    return kept, ways


def what_she_sees(identity_id: uuid.UUID, *, user: Visitor, moment: dt.datetime | None = None) -> list[Seen]:
    """The datasets whose files somebody can have beyond what is open to everybody or to whoever is signed in.

    An operator is told of all, a steward of those that she curates, a person of herself. Raises ForbiddenError for anybody else.
    """
    is_staff = bool(getattr(user, "is_operator", False) or getattr(user, "is_steward", False))
    is_herself = identity_id in getattr(user, "identity_ids", ())
    if not (is_staff or is_herself):
        check_role_counts(user)
        raise ForbiddenError("What others can see is for stewards and operators.")
    at, is_now = _moment(moment)
    told_of = Dataset.objects.visible_to(user) if is_herself else Dataset.objects.curated_by(user)
    person = find_person(identity_id)
    identity_ids = person.identity_ids if person else frozenset({identity_id})
    group_ids = groups_at(person, at) if person else set()
    held = Grant.objects.active(at).filter(
        Q(principal_type=PrincipalType.IDENTITY, principal__in=identity_ids)
        | Q(principal_type=PrincipalType.GROUP, principal__in=group_ids),
        dataset__in=told_of,
    )
    seen = [Seen(given.dataset, _way_of(given, at, with_members=False)) for given in held.select_related("dataset", "granted_by")]
    seen = [one for one in seen if protection_at(one.dataset, at).is_published]
    if person and is_now:
        role = "operator" if person.is_operator else "steward"
        curated = Dataset.objects.curated_by(person).filter(pk__in=told_of.values("pk")).order_by("title")[:MOST_DATASETS]
        seen += [Seen(one, Way(role, person.get_full_name(), person.pk, f"{role} of the {_of[role]}")) for one in curated]
    return seen


_of = {"operator": "archive", "steward": "dataset"}


def find_person(identity_id: uuid.UUID) -> Any:
    """Who signed in here with this identity, or with one that it is linked to; None where nobody did."""
    return _people().filter(Q(pk=identity_id) | Q(linked_identities__identity_id=identity_id)).order_by("created_at").first()


def find_people(text: str, *, most: int = 20) -> list[Any]:
    """People whose username or name begins or goes on with these words, or who have this identity."""
    text = text.strip()
    if not text:
        return []
    wanted = Q(username__icontains=text) | Q(name__icontains=text) | Q(linked_identities__username__icontains=text)
    with suppress(ValueError):
        wanted |= Q(pk=uuid.UUID(text)) | Q(linked_identities__identity_id=uuid.UUID(text))
    return list(_people().filter(wanted).distinct().order_by("username")[:most])


def groups_at(person: Any, moment: dt.datetime) -> set[uuid.UUID]:
    """The groups that count here in which she was at a moment."""
    present = person.group_memberships.filter(joined_at__lte=moment)
    past = person.past_memberships.filter(joined_at__lte=moment, left_at__gt=moment)
    return {*present.values_list("group_id", flat=True), *past.values_list("group_id", flat=True)}


def _way_of(given: Grant, moment: dt.datetime, *, with_members: bool = True) -> Way:
    by = f"a grant by {given.granted_by.get_full_name()}" if given.granted_by else "a grant"
    is_group = given.principal_type == PrincipalType.GROUP
    name = given.label
    if not name and not is_group and (person := find_person(given.principal)):
        name = person.name_of(given.principal)
    members = _members(given.principal, moment) if is_group and with_members else ()
    kind = str(given.principal_type)
    return Way(kind, name or str(given.principal), given.principal, by, given.granted_at, given.valid_until, members)


def _members(group_id: uuid.UUID, moment: dt.datetime) -> tuple[Member, ...]:
    """Who of the people that the portal knows was in a group at a moment."""
    present = _people().filter(group_memberships__group_id=group_id, group_memberships__joined_at__lte=moment)
    past = _people().filter(
        past_memberships__group_id=group_id, past_memberships__joined_at__lte=moment, past_memberships__left_at__gt=moment
    )
    rows = [
        *present.values_list("pk", "name", "username", "group_memberships__joined_at"),
        *past.values_list("pk", "name", "username", "past_memberships__joined_at"),
    ]
    found = {key: Member(name or username, username, since) for key, name, username, since in rows}
    return tuple(sorted(found.values(), key=lambda one: one.name))


def _stewards(dataset: Dataset) -> list[Any]:
    return [one for one in dataset.stewards.order_by("username") if one.is_steward]


def _through_series(dataset: Dataset, moment: dt.datetime) -> list[Way]:
    """Who curates the series that it is in, or one above: people, and groups with the members that the portal knows."""
    if dataset.series is None:
        return []
    ways = []
    for one in SeriesSteward.objects.filter(series_id__in=dataset.series.lineage).select_related("series"):
        is_group = one.principal_type == PrincipalType.GROUP
        person = None if is_group else find_person(one.principal)
        name = one.label or (person.name_of(one.principal) if person else "") or str(one.principal)
        members = _members(one.principal, moment) if is_group else ()
        principal = None if is_group else one.principal
        ways.append(Way("steward", name, principal, f"steward of the series {one.series.title}", one.appointed_at, None, members))
    return ways


def _people() -> QuerySet[Any]:
    return QuerySet(get_user_model())


def _moment(asked: dt.datetime | None) -> tuple[dt.datetime, bool]:
    """The moment that is asked about, and whether it is now."""
    now = timezone.now()
    if asked is None:
        return now, True
    if asked > now + dt.timedelta(seconds=NOW_S):
        raise InvalidError(fields={"at": ["Nobody knows who will see it then. Name a moment of the past."]})
    return asked, asked >= now - dt.timedelta(seconds=NOW_S)
