"""Signing in and out, and asking for further consents. Read `sign_in` first: it is the whole of what sign-in writes.

Sign-in and consent are one OpenID Connect flow through Globus Auth (state, nonce and PKCE by social-core); a consent only asks for more
scopes and must come back with the same identity. Tokens go to `transfers.tokens`, encrypted; the session and social_auth keep none.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.db import transaction
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from social_core.backends.globus import GlobusOpenIdConnect
from social_django.models import UserSocialAuth
from social_django.utils import load_backend, load_strategy

from datasets.errors import ForbiddenError, InvalidError, RefusedError
from datasets.models import Grant, SeriesSteward
from portal import assurance, auth
from portal.models import GroupMembership, LinkedIdentity, PastMembership, RoleGrant, User
from transfers import globus, requirements, selecting, tokens
from transfers.errors import GlobusRefusedError, GlobusUnavailableError, SignInNeededError
from transfers.models import Destination

log = logging.getLogger("portal.signin")

COLLECTION_SCOPE = re.compile(r"https://auth\.globus\.org/scopes/(?P<collection>[0-9a-f-]{36})/(?P<what>https|data_access)")
SIGNIN_SERVER = "auth.globus.org"
ASSURED = MappingProxyType({"session_required_mfa": "true", "session_message": "Causeway needs a second factor.", "prompt": "login"})


class OtherIdentityError(ForbiddenError):
    code = "other-identity"
    message = "Globus answered for another identity than the one you are signed in with."


class GlobusBackend(GlobusOpenIdConnect[HttpResponse]):
    """Globus Auth; `extra_scopes` are those of a consent asked on the way, `extra_arguments` what the sign-in itself must be like."""

    extra_scopes: tuple[str, ...] = ()
    extra_arguments: Mapping[str, str] = MappingProxyType({})

    def get_scope(self) -> list[str]:
        return [*self.extra_scopes, *super().get_scope()]

    def auth_extra_arguments(self) -> dict[str, str]:
        return {**super().auth_extra_arguments(), **self.extra_arguments}


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
    tokens.store_tokens(person, response)
    backend.strategy.session_set(assurance.SESSION_KEY, assurance.as_text(learn_assurance(response["access_token"])))
    refresh_groups_of(person)
    adopt_basket(backend.strategy.request.session.session_key, person)  # type: ignore[attr-defined]  # Django's strategy has it
    log.info("signed in", extra={"user_id": str(person.id), "is_new": is_new})
    return {"user": person, "is_new": is_new, "social": social}


def learn_assurance(token: str) -> datetime | None:
    """When the session of this token last saw a second factor; None where Globus does not say: no reason to refuse the sign-in."""
    try:
        return assurance.second_factor_at(auth.introspect(token).authentications)
    except RefusedError as error:
        log.warning("the session of a sign-in is not known: %s", error.code)
        return None


def adopt_basket(session_key: str | None, person: User) -> None:
    """What was chosen before signing in becomes hers; a choice that no longer holds is no reason to refuse the sign-in."""
    try:
        selecting.adopt_basket(session_key, person)
    except RefusedError as error:
        log.warning("basket not adopted: %s", error.code, extra={"user_id": str(person.id)})


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
    """The groups that mean something here: those of settings, those that hold a role, those that curate a series or hold a dataset."""
    named = {uuid.UUID(group_id) for group_id in (*settings.STEWARD_GROUPS, *settings.OPERATOR_GROUPS)}
    named |= set(RoleGrant.objects.filter(principal_type="group").values_list("principal", flat=True))
    named |= set(SeriesSteward.objects.filter(principal_type="group").values_list("principal", flat=True))
    return named | set(Grant.objects.active(timezone.now()).filter(principal_type="group").values_list("principal", flat=True))


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


def learn_group(group_id: uuid.UUID) -> None:
    """Read a group that is about to mean something here, and write who of the people is in it.

    Raises GlobusRefusedError with the remedy where the portal may not see the members: nobody would ever be in it.
    """
    try:
        group = auth.read_group(group_id)
    except GlobusRefusedError as error:
        raise _closed_group(group_id) from error
    if not group.active_identity_ids:  # a group has an administrator at least: its members are hidden
        raise _closed_group(group_id)
    record_memberships(group, User.objects.all())


def _closed_group(group_id: uuid.UUID) -> GlobusRefusedError:
    return GlobusRefusedError(
        f"The portal may not see who is in the group {group_id}, so nobody would have access through it. "
        f"An administrator of the group runs: globus group member add {group_id} {settings.GLOBUS_CLIENT_ID} --role manager",
        globus_code="Forbidden",
    )


def refresh_groups_of(person: User) -> None:
    """Which of the watched groups the person is in now, through any of her identities. Groups that cannot be read stay as they were."""
    refresh_groups(User.objects.filter(pk=person.pk))


def refresh_groups(people: QuerySet[User] | None = None) -> None:
    """The same for several people, or for everybody who ever signed in."""
    asked = User.objects.all() if people is None else people
    for group in read_groups(watched_groups()):
        record_memberships(group, asked)
    asked.update(groups_read_at=timezone.now())


@transaction.atomic
def record_memberships(group: auth.Group, people: QuerySet[User]) -> None:
    """Write who of `people` is in the group, and through which identity (her own first); remove who is no longer."""
    members = group.active_identity_ids
    linked = LinkedIdentity.objects.filter(user__in=people, identity_id__in=members).order_by("identity_id")
    through = dict(linked.values_list("user_id", "identity_id")) | {
        pk: pk for pk in people.filter(pk__in=members).values_list("pk", flat=True)
    }
    left = GroupMembership.objects.filter(group_id=group.id, user__in=people).exclude(user_id__in=through)
    kept = left.values("user_id", "group_id", "name", "identity_id", "joined_at")
    PastMembership.objects.bulk_create([PastMembership(**facts) for facts in kept])
    left.delete()
    GroupMembership.objects.bulk_create(
        [GroupMembership(user_id=pk, group_id=group.id, name=group.name, identity_id=identity_id) for pk, identity_id in through.items()],
        update_conflicts=True,
        unique_fields=["user", "group_id"],
        update_fields=["name", "identity_id"],
    )


def person_of(request: HttpRequest) -> User:
    """Who is signed in. Raises SignInNeededError for anybody else."""
    if not isinstance(request.user, User):
        raise SignInNeededError
    return request.user


def sign_out(request: HttpRequest, *, is_everywhere: bool) -> None:
    """End this session and the tokens that no open request needs; or every session and every token."""
    person = person_of(request)
    if is_everywhere:
        User.objects.filter(pk=person.pk).update(session_epoch=F("session_epoch") + 1)
        tokens.revoke_all(person)
    else:
        tokens.release_tokens(person)
    logout(request)
    log.info("signed out", extra={"user_id": str(person.pk), "is_everywhere": is_everywhere})


@dataclass(frozen=True)
class Wanted:
    """One permission in plain words."""

    title: str
    note: str


def words_for(scopes: Iterable[str], *, person: User) -> list[Wanted]:
    """What the scopes mean. Raises InvalidError for one that the portal has no use for, so that nobody is led to consent to it."""
    found: dict[str, Wanted] = {}
    for name in (name for scope in scopes for name in auth.with_dependencies(scope)):
        if name == globus.TRANSFER_SCOPE:
            found[name] = Wanted("Copy files between Globus collections", "Used only for the transfers that you ask for here.")
        elif settings.GRAPH_SCOPE and name == settings.GRAPH_SCOPE:
            found[name] = Wanted(
                "Have graphs drawn", "The graph service reads the files that you chose and puts the results in a folder for you."
            )
        elif match := COLLECTION_SCOPE.fullmatch(name):
            verb = "Read files over HTTPS from" if match["what"] == "https" else "Read and write files in"
            found[name] = Wanted(f"{verb} {collection_name(match['collection'], person)}", "As yourself: nothing that you could not open.")
        else:
            raise InvalidError("Causeway does not ask for this permission.", fields={"scope": [name]})
    return list(found.values())


def collection_name(collection_id: str, person: User) -> str:
    """How a consent names a collection: the archive's own by what they are for, others as she or Globus calls them, else by their id."""
    own = {settings.ARCHIVE_COLLECTION: "the archive", settings.SHARE_COLLECTION: "the shares", settings.RESULTS_COLLECTION: "the results"}
    if collection_id in own:
        return own[collection_id]
    if known := Destination.objects.filter(user=person, collection_id=collection_id).exclude(name=collection_id).first():
        return known.name
    try:
        return f"{globus.collection(collection_id).name} ({collection_id})"
    except (GlobusUnavailableError, GlobusRefusedError):
        return f"the collection {collection_id}"


def session_in_words(session: Mapping[str, Any], *, person: User) -> list[Wanted]:
    """What a sign-in must show, for the person who is to show it; it says so where she has no such identity."""
    known = {str(person.id): person.username}
    known |= {str(linked): username for linked, username in person.linked_identities.values_list("identity_id", "username")}
    found = []
    if named := session.get("session_required_identities"):
        own = [known.get(one, one) for one in named if one in known or one in known.values()]  # ids, or usernames
        missing = "" if own else "It is not among the identities that you linked to your account."
        found.append(Wanted(f"A fresh sign-in as {' or '.join(own or named)}", missing))
    if domains := session.get("session_required_single_domain"):
        is_held = any(username.rpartition("@")[2].lower() in domains for username in known.values())
        missing = "" if is_held else "None of your linked identities is from there. Globus lets you link one when you sign in with it."
        found.append(Wanted(f"A sign-in with an identity of {' or '.join(domains)}", missing))
    if session.get("session_required_mfa"):
        found.append(Wanted("A second factor", "Your institution asks you for it, such as a code from your telephone."))
    if session.get("session_required_policies"):
        found.append(Wanted("What a policy of the collection asks for", "Globus shows it step by step."))
    return found or [Wanted("A fresh sign-in", "")] if session else []


def begin_consent(request: HttpRequest, *, scopes: list[str], next_url: str, session: Mapping[str, Any]) -> HttpResponse:
    """Send the person to Globus to agree to scopes and to show what `session` names (`transfers.requirements`).

    She returns to `next_url`, and only as the identity that she is now.
    """
    person = person_of(request)
    words_for(scopes, person=person)
    backend = _begin(request, person, next_url)
    backend.extra_scopes, backend.extra_arguments = tuple(scopes), requirements.arguments(session)
    return backend.start()


def begin_assured_signin(request: HttpRequest, *, next_url: str) -> HttpResponse:
    """Send the person to Globus to sign in anew with a second factor; she returns to `next_url`, and only as the identity that she is now.

    Source: https://docs.globus.org/api/auth/sessions/ (`session_required_mfa`, `session_message`, `prompt=login`).
    """
    backend = _begin(request, person_of(request), next_url)
    backend.extra_arguments = ASSURED
    return backend.start()


def _begin(request: HttpRequest, person: User, next_url: str) -> GlobusBackend:
    strategy = load_strategy(request)  # type: ignore[no-untyped-call]
    request.social_strategy = strategy  # type: ignore[attr-defined]  # where social-core's own views put it
    way_back = reverse("social:complete", args=[GlobusBackend.name])
    backend: GlobusBackend = load_backend(strategy, GlobusBackend.name, redirect_uri=way_back)  # type: ignore[no-untyped-call]
    strategy.session_set("next", next_url)
    backend.prepare_auth(user=person)  # type: ignore[arg-type]  # the protocol wants a number for an id
    return backend


@dataclass(frozen=True)
class Held:
    """What the portal holds of a person for one service."""

    resource_server: str
    title: str
    scopes: list[str]
    stored_at: datetime


def describe_tokens(person: User) -> list[Held]:
    """The permissions that she gave and the portal holds, in words; no token in them."""
    titles = {SIGNIN_SERVER: "Signing in", globus.TRANSFER_SERVER: "Copying files between collections"}
    if settings.GRAPH_SCOPE:
        titles[settings.GRAPH_SCOPE.split("/")[-2]] = "Having graphs drawn"
    rows = person.globus_tokens.order_by("resource_server")
    return [Held(row.resource_server, titles.get(row.resource_server, row.resource_server), row.scopes, row.stored_at) for row in rows]
