"""What a token must be; the same against the real introspection is in test_live_signin.py."""

import dataclasses
import time
import uuid
from typing import Any

import pytest
from django.conf import settings

from portal import bearer
from portal.auth import Introspection
from portal.models import User


def told(**other: Any) -> Introspection:
    good = Introspection(
        is_active=True,
        identity_id=uuid.uuid4(),
        audience=frozenset({settings.GLOBUS_CLIENT_ID}),
        scopes=frozenset({settings.API_SCOPE}),
        expires_at=int(time.time()) + 600,
        username="new@university.example",
        name="New Person",
        email="new@university.example",
        identities=(),
    )
    return dataclasses.replace(good, **other)


def test_a_token_that_is_right_in_everything_passes():
    bearer.check(told())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"is_active": False}, "not active"),
        ({"identity_id": None}, "not active"),
        ({"expires_at": 1}, "expired"),
        ({"audience": frozenset({"another-client"})}, "another service"),
        ({"audience": frozenset()}, "another service"),
    ],
)
def test_a_token_wrong_in_one_thing_is_not_accepted(wrong, words):
    with pytest.raises(bearer.TokenRefusedError, match=words):
        bearer.check(told(**wrong))


def test_a_token_without_the_scope_is_refused_and_the_scope_is_named():
    with pytest.raises(bearer.ScopeMissingError, match=settings.API_SCOPE):
        bearer.check(told(scopes=frozenset({"urn:globus:auth:scope:transfer.api.globus.org:all"})))


@pytest.mark.django_db
def test_the_person_comes_from_the_token_and_is_recorded_once():
    first = bearer.person_of(told(identity_id=uuid.UUID(int=5)))
    assert bearer.person_of(told(identity_id=uuid.UUID(int=5))) == first
    assert User.objects.get().username == "new@university.example"


@pytest.mark.django_db
def test_a_closed_account_is_refused(people):
    User.objects.filter(pk=people["ada"].pk).update(is_active=False)
    with pytest.raises(bearer.TokenRefusedError):
        bearer.person_of(told(identity_id=people["ada"].id))


@pytest.mark.django_db
def test_a_token_in_the_query_is_never_looked_at(browser):
    assert browser().get("/api/v1/data-requests/", {"access_token": "x", "token": "x"}).status_code == 401
