"""The cast, as the portal knows them after sign-in."""

import uuid
from collections.abc import Callable

import pytest
from django.test import Client

from portal.models import RoleGrant, User

CAST = {
    "ada": ("ada@university.example", "Ada Lindqvist"),
    "ben": ("ben@archive.example", "Ben Okafor"),
    "cy": ("cy@elsewhere.example", "Cy Marsh"),
    "dee": ("dee@archive.example", "Dee Romero"),
}


def make_person(who: str) -> User:
    username, name = CAST[who]
    return User.objects.create(id=uuid.uuid5(uuid.NAMESPACE_DNS, username), username=username, name=name, email=username)


@pytest.fixture
def people(db) -> dict[str, User]:
    cast = {who: make_person(who) for who in CAST}
    RoleGrant.objects.create(role="steward", principal_type="identity", principal=cast["ben"].id, name=cast["ben"].username)
    RoleGrant.objects.create(role="operator", principal_type="identity", principal=cast["dee"].id, name=cast["dee"].username)
    return cast


@pytest.fixture
def browser() -> Callable[[User | None], Client]:
    """A browser, signed in as that person."""

    def made(person: User | None = None, *, enforce_csrf_checks: bool = False) -> Client:
        client = Client(enforce_csrf_checks=enforce_csrf_checks, raise_request_exception=False)
        if person is not None:
            client.force_login(person)
        return client

    return made
