"""What Globus wants of a person's sign-in before it goes on: carried to the page where she meets it, told to programs as a GARE document.

A Globus Auth Requirements Error names scopes to agree to, and what the session must show (identities, domain, policies, a second factor):
https://globus-sdk-python.readthedocs.io/en/stable/authorization/gare.html. What a session must show travels through the browser sealed,
so that nobody is led to a sign-in, or to words of Globus, that Globus did not ask for.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.core import signing
from django.urls import reverse

from datasets.addresses import page_of
from transfers.errors import InvalidError

LISTS = ("session_required_identities", "session_required_single_domain", "session_required_policies")
SESSION = (*LISTS, "session_required_mfa", "session_message", "prompt")
SALT = "transfers.requirements"
SEAL_LASTS_S = 7 * 86400


def seal(session: Mapping[str, Any]) -> str:
    """What a session must show, as text that only this site can write; empty for nothing."""
    return signing.dumps({name: session[name] for name in SESSION if session.get(name)}, salt=SALT, compress=True) if session else ""


def unseal(text: str) -> dict[str, Any]:
    """What was sealed. Raises InvalidError for anything that this site did not write lately."""
    if not text:
        return {}
    try:
        return dict(signing.loads(text, salt=SALT, max_age=SEAL_LASTS_S))
    except signing.BadSignature as error:
        words = "This link is damaged or too old. Go back to what you began; it leads here again."
        raise InvalidError(words, fields={"session": [words]}) from error


def page(*, scopes: Iterable[str], session: Mapping[str, Any], next_url: str) -> str:
    """The path of the page where the person meets it, and from where she comes back."""
    return page_of(reverse("portal:consent"), next=next_url, scope=list(scopes), session=seal(session))


def document(*, code: str, scopes: Iterable[str], session: Mapping[str, Any], next_url: str) -> dict[str, Any]:
    """The same as a GARE document, with the address of that page as `url`."""
    return {
        "code": code,
        "authorization_parameters": {"required_scopes": list(scopes), **session},
        "url": f"{settings.BASE_URL}{page(scopes=scopes, session=session, next_url=next_url)}",
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
