"""What Globus wants of a person's sign-in before it goes on: carried to the page where she meets it, told to programs as a GARE document.

A Globus Auth Requirements Error names scopes to agree to, and what the session must show (identities, domain, policies, a second factor):
https://globus-sdk-python.readthedocs.io/en/stable/authorization/gare.html. What a session must show travels through the browser sealed for
the one person it was asked of, so that nobody is led to a sign-in, or to words of Globus, that Globus did not ask of her.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.urls import reverse

from datasets.addresses import page_of
from transfers.errors import InvalidError

LISTS = ("session_required_identities", "session_required_single_domain", "session_required_policies")
SESSION = (*LISTS, "session_required_mfa", "session_message", "prompt")
SALT = "transfers.requirements"
SEAL_LASTS_S = 86400
MOST_MESSAGE = 300  # characters of what a collection says; more is cut
MOST_NAMED, LONGEST_NAMED = 20, 200  # of identities, domains or policies


def bounded(session: Mapping[str, Any]) -> dict[str, Any]:
    """What a session must show, as much of it as an address and a page take: a collection may say whatever its owner wrote."""
    found: dict[str, Any] = {}
    for name in SESSION:
        told = session.get(name)
        if name in LISTS:
            told = [str(one) for one in (told if isinstance(told, list | tuple) else []) if len(str(one)) <= LONGEST_NAMED][:MOST_NAMED]
        elif name == "session_required_mfa":
            told = told is True
        else:
            told = told if isinstance(told, str) else ""
            told = told if len(told) <= MOST_MESSAGE else f"{told[: MOST_MESSAGE - 1]}\u2026"
        if told:
            found[name] = told
    return found


def seal(session: Mapping[str, Any], *, user_id: UUID | str) -> str:
    """What a session must show, as text that only this site can write and only this person's sign-in reads; empty for nothing."""
    kept = bounded(session)
    return signing.dumps(kept, salt=f"{SALT}:{user_id}", compress=True) if kept else ""


def unseal(text: str, *, user_id: UUID | str) -> dict[str, Any]:
    """What was sealed. Raises InvalidError for anything that this site did not write lately for this person."""
    if not text:
        return {}
    try:
        return dict(signing.loads(text, salt=f"{SALT}:{user_id}", max_age=SEAL_LASTS_S))
    except signing.BadSignature as error:
        words = "This link is damaged, more than a day old, or made for another identity than the one you are signed in with."
        words += " Go back to what you began; it leads here again."
        raise InvalidError(words, fields={"session": [words]}) from error


def page(*, scopes: Iterable[str], session: Mapping[str, Any], next_url: str, user_id: UUID | str) -> str:
    """The path of the page where this person, and nobody else, meets it, and from where she comes back."""
    return page_of(reverse("portal:consent"), next=next_url, scope=list(scopes), session=seal(session, user_id=user_id))


def document(*, code: str, scopes: Iterable[str], session: Mapping[str, Any], next_url: str, user_id: UUID | str) -> dict[str, Any]:
    """The same as a GARE document, with the address of that page as `url`."""
    return {
        "code": code,
        "authorization_parameters": {"required_scopes": list(scopes), **session},
        "url": f"{settings.BASE_URL}{page(scopes=scopes, session=session, next_url=next_url, user_id=user_id)}",
    }


def arguments(session: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of Globus Auth's authorize address (https://docs.globus.org/api/auth/sessions/)."""
    found = {name: ",".join(map(str, session[name])) for name in LISTS if session.get(name)}
    if session.get("session_required_mfa"):
        found["session_required_mfa"] = "true"
    if session.get("session_message"):
        found["session_message"] = str(session["session_message"])
    if session.get("prompt") == "login":
        found["prompt"] = "login"
    return found
