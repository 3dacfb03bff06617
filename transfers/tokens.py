"""The Globus tokens of people: stored encrypted, renewed under a row lock, ended when nothing needs them. Never in a log, URL or session.

One row per person and resource server. A lost key means that the person signs in again, nothing worse.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from transfers import globus, graph
from transfers.analysis.models import AnalysisJob
from transfers.analysis.states import JOB_WORKING
from transfers.errors import ConsentNeededError, GlobusUnavailableError
from transfers.models import DataRequest, GlobusToken
from transfers.states import Kind, Status

# A token that ends within this time is renewed first: a step must not outlive its token.
MARGIN = timedelta(minutes=5)
# A transfer in one of these calls Globus as her; one that waits for her permission needs a new token anyway.
SENDS = frozenset({Status.QUEUED, Status.SENDING, Status.CANCELLING})
# Of one sweep: each ends with two calls to Globus Auth.
MOST_ENDED = 20


def store_tokens(user: Any, response: Mapping[str, Any]) -> None:
    """Keep the tokens of an answer of Globus Auth, those in `other_tokens` too. Requests that waited for them become due.

    Whoever gets tokens is signed in: what an earlier sign-out released is hers again.
    """
    GlobusToken.objects.filter(user=user).exclude(released_at=None).update(released_at=None)
    for one in (response, *response.get("other_tokens", ())):
        if one.get("access_token") and one.get("resource_server"):
            _store(user, one)
    DataRequest.objects.filter(user=user, status=Status.NEEDS_SIGN_IN).update(due_at=timezone.now())


def _store(user: Any, one: Mapping[str, Any]) -> None:
    refresh_token = str(one.get("refresh_token") or "")
    facts: dict[str, Any] = {
        "scopes": sorted(set(str(one.get("scope") or "").split())),
        "access_token_encrypted": _encrypt(str(one["access_token"])),
        "expires_at": timezone.now() + timedelta(seconds=int(one.get("expires_in") or 0)),
    }
    if refresh_token:  # an answer without one leaves the old one in force
        facts["refresh_token_encrypted"] = _encrypt(refresh_token)
    with transaction.atomic():
        token, is_new = GlobusToken.objects.select_for_update().get_or_create(
            user=user, resource_server=one["resource_server"], defaults=facts
        )
        if not is_new:
            if not refresh_token:
                facts["scopes"] = sorted({*token.scopes, *facts["scopes"]})
            GlobusToken.objects.filter(pk=token.pk).update(**facts, stored_at=timezone.now())


def access_token(user: Any, resource_server: str, scopes: Iterable[str]) -> str:
    """A token that is good now, for all of these scopes. Raises ConsentNeededError with the scopes to ask the person for.

    The lock on the row lets one process renew it; the others wait and read the new one.
    """
    wanted = list(scopes)
    with transaction.atomic():
        token = GlobusToken.objects.select_for_update().filter(user=user, resource_server=resource_server).first()
        if token is None or not {scope.partition("[")[0] for scope in wanted} <= set(token.scopes):
            raise ConsentNeededError(required_scopes=wanted)
        if token.expires_at > timezone.now() + MARGIN:
            return _decrypt(bytes(token.access_token_encrypted), wanted)
        refresh_token = _decrypt(bytes(token.refresh_token_encrypted), wanted)
        if not refresh_token:
            raise ConsentNeededError("Your permission ended.", required_scopes=wanted)
        try:
            renewed = globus.refresh_tokens(refresh_token)
        except ConsentNeededError as error:
            raise ConsentNeededError(error.detail, required_scopes=wanted) from error
        _store(user, {**renewed, "resource_server": resource_server})
        return str(renewed["access_token"])


def held_scopes(user: Any) -> list[tuple[str, str]]:
    """The permissions that she gave and the portal holds: (resource server, scope)."""
    rows = GlobusToken.objects.filter(user=user).order_by("resource_server")
    return [(row.resource_server, scope) for row in rows for scope in row.scopes]


def release_tokens(user: Any) -> None:
    """End the tokens that no work under way needs; those that some needs end with it, by the sweep. Safe to repeat."""
    GlobusToken.objects.filter(user=user, released_at=None).update(released_at=timezone.now())
    end_released(user)


def end_released(user: Any = None) -> None:
    """End what was released by signing out and is needed no more, of one person or of all. The sweep calls it. Safe to repeat."""
    released = GlobusToken.objects.exclude(released_at=None)
    sending = DataRequest.objects.filter(user=OuterRef("user"), kind=Kind.TRANSFER, status__in=SENDS)
    drawing = AnalysisJob.objects.filter(user=OuterRef("user"), status__in=JOB_WORKING)
    needed = Q(Exists(sending), resource_server=globus.TRANSFER_SERVER)
    if graph.has_service():
        needed |= Q(Exists(drawing), resource_server=graph.resource_server())
    _revoke((released if user is None else released.filter(user=user)).exclude(needed)[:MOST_ENDED])


def forget_tokens(user: Any, resource_server: str) -> None:
    """End her tokens for one service; what needs them asks again. Safe to repeat."""
    _revoke(GlobusToken.objects.filter(user=user, resource_server=resource_server))


def revoke_all(user: Any) -> None:
    """End every token of hers; running transfers wait in NEEDS_SIGN_IN and resume when she signs in."""
    _revoke(GlobusToken.objects.filter(user=user))
    for request in DataRequest.objects.filter(user=user, kind=Kind.TRANSFER, status__in=[Status.QUEUED, Status.SENDING]):
        request.move_to(Status.NEEDS_SIGN_IN, actor=user, note="You signed out everywhere.", required_scopes=[globus.TRANSFER_SCOPE])


def _revoke(rows: Iterable[GlobusToken]) -> None:
    for token in rows:
        secrets = [_readable(bytes(token.refresh_token_encrypted)), _readable(bytes(token.access_token_encrypted))]
        token.delete()
        for secret in filter(None, secrets):
            try:
                globus.revoke_token(secret)
            except GlobusUnavailableError:
                break  # gone from here, so nobody can use it from here; it ends by itself within two days


def _keys() -> MultiFernet:
    return MultiFernet([Fernet(key.strip()) for key in settings.TOKEN_KEYS])


def _encrypt(text: str) -> bytes:
    return _keys().encrypt(text.encode())


def _readable(stored: bytes) -> str:
    try:
        return _keys().decrypt(stored).decode() if stored else ""
    except InvalidToken:
        return ""


def _decrypt(stored: bytes, wanted: list[str]) -> str:
    text = _readable(stored)
    if stored and not text:
        raise ConsentNeededError("The stored permission cannot be read any more.", required_scopes=wanted)
    return text
