"""Signing in and out, and asking for further consents. Read `sign_in` first: it is the whole of what sign-in writes.

Sign-in and consent are one OpenID Connect flow through Globus Auth (state, nonce and PKCE by social-core); a consent only asks for more
scopes and must come back with the same identity. Tokens go to `transfers.tokens`, encrypted; the session and social_auth keep none.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from social_core.backends.globus import GlobusOpenIdConnect
from social_django.models import UserSocialAuth

from datasets.errors import ForbiddenError
from portal import auth
from portal.models import GroupMembership, LinkedIdentity, RoleGrant, User
from transfers.errors import GlobusRefusedError, GlobusUnavailableError

log = logging.getLogger("portal.signin")


class OtherIdentityError(ForbiddenError):
    code = "other-identity"
    message = "Globus answered for another identity than the one you are signed in with."


class GlobusBackend(GlobusOpenIdConnect[HttpResponse]):
    """Globus Auth; `extra_scopes` are those of a consent asked on the way."""

    extra_scopes: tuple[str, ...] = ()

    def get_scope(self) -> list[str]:
        return [*self.extra_scopes, *super().get_scope()]


def sign_in(backend: GlobusBackend, response: dict[str, Any], user: User | None = None, **_: Any) -> dict[str, Any]:
    """The one step of the sign-in pipeline: record the person, her identities, tokens and groups. Safe to repeat."""
    identity_id = uuid.UUID(response["sub"])
    if user is not None and user.is_authenticated and user.id != identity_id:
        message = f"You are signed in as {user.username}; Globus answered for {response.get('preferred_username')}. "
        message += "Nothing was stored. Sign out first to act as the other."
        raise OtherIdentityError(message)
    with transaction.atomic():
        person, is_new = record_person(identity_id, response)
        social, _made = UserSocialAuth.objects.get_or_create(provider=backend.name, uid=str(identity_id), defaults={"user": person})
    refresh_groups_of(person)
    log.info("signed in", extra={"user_id": str(person.id), "is_new": is_new})
    return {"user": person, "is_new": is_new, "social": social}


def record_person(identity_id: uuid.UUID, told: dict[str, Any]) -> tuple[User, bool]:
    """The user's row and those of her linked identities, as Globus tells them now."""
    facts = {
        "username": told.get("preferred_username") or told.get("username") or str(identity_id),
        "name": told.get("name") or "",
        "email": told.get("email") or "",
        "organization": told.get("organization") or "",
    }
    person, is_new = User.objects.update_or_create(id=identity_id, defaults=facts)
    linked = [one for one in told.get("identity_set") or () if one.get("sub") and uuid.UUID(one["sub"]) != identity_id]
    person.linked_identities.exclude(identity_id__in=[one["sub"] for one in linked]).delete()
    for one in linked:
        organization = one.get("organization") or one.get("identity_provider_display_name") or ""
        known = {"username": one.get("username") or one["sub"], "organization": organization}
        LinkedIdentity.objects.update_or_create(user=person, identity_id=one["sub"], defaults=known)
    return person, is_new


def watched_groups() -> set[uuid.UUID]:
    """The groups that mean something here: those of settings and those that hold a role."""
    named = {uuid.UUID(group_id) for group_id in (*settings.STEWARD_GROUPS, *settings.OPERATOR_GROUPS)}
    return named | set(RoleGrant.objects.filter(principal_type="group").values_list("principal", flat=True))


def read_groups(group_ids: Iterable[uuid.UUID]) -> list[auth.Group]:
    """The groups that Globus answers for; one that it does not is left as it was, and logged."""
    read = []
    for group_id in group_ids:
        try:
            read.append(auth.read_group(group_id))
        except GlobusUnavailableError:
            log.warning("group not read: Globus does not answer", extra={"group_id": str(group_id)})
        except GlobusRefusedError as error:
            log.warning("group not read: %s", error.globus_code, extra={"group_id": str(group_id)})
    return read


def refresh_groups_of(person: User) -> None:
    """Which of the watched groups the person is in now, through any of her identities. Groups that cannot be read stay as they were."""
    for group in read_groups(watched_groups()):
        record_memberships(group, [person])
    User.objects.filter(pk=person.pk).update(groups_read_at=timezone.now())


def refresh_groups() -> None:
    """The same for everybody who ever signed in."""
    people = list(User.objects.prefetch_related("linked_identities"))
    for group in read_groups(watched_groups()):
        record_memberships(group, people)
    User.objects.update(groups_read_at=timezone.now())


@transaction.atomic
def record_memberships(group: auth.Group, people: Iterable[User]) -> None:
    """Write who of `people` is in the group and remove who is no longer."""
    for person in people:
        through = sorted(group.active_identity_ids & {person.id, *(one.identity_id for one in person.linked_identities.all())})
        if not through:
            GroupMembership.objects.filter(user=person, group_id=group.id).delete()
            continue
        first = person.id if person.id in through else through[0]
        GroupMembership.objects.update_or_create(user=person, group_id=group.id, defaults={"name": group.name, "identity_id": first})


def sign_out(request: HttpRequest) -> None:
    """End this session."""
    logout(request)
