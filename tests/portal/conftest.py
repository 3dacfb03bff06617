"""The cast, as the portal knows them after sign-in."""

import socket
import uuid
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from datasets.curation import publishing, registering
from datasets.models import Version
from datasets.scans import ingesting
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


def list_one_file(path: str) -> Iterator[ingesting.Entry]:
    yield ingesting.Entry("one.nc", is_folder=False, size_bytes=10, modified_at=timezone.now())


@pytest.fixture
def archive(people) -> dict[str, Version]:
    """Three datasets: everybody's, a restricted one, and ben's draft that only curators see."""
    made = {}
    for slug, policy in (("open", "public"), ("closed", "restricted"), ("draft", "public")):
        version = registering.register(
            user=people["ben"],
            slug=slug,
            title=f"Dataset {slug}",
            abstract="For tests.",
            licence="CC-BY-4.0",
            access_policy=policy,
            creators=[{"name": "Tester"}],
        )
        registering.place(version, user=people["ben"], base_path=f"/{slug}/", collection_id=uuid.UUID(settings.ARCHIVE_COLLECTION))
        run = ingesting.scan(version, list_one_file, user=people["ben"])
        assert run.status == "done", run.error
        made[slug] = version if slug == "draft" else publishing.publish(version, user=people["ben"])
    return made


@pytest.fixture
def closed_address() -> str:
    """An address of this machine where nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"
