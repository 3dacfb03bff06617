"""The cast, and a collection that is a folder on disk: what a scan lists and inspects is really there."""

import datetime as dt
import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from datasets.curation import publishing, registering
from datasets.models import Dataset, DeletedRecord, SearchTerm, Series, SeriesEvent, Subject, Version
from datasets.scans import ingesting
from datasets.scans.inspecting import Inspected
from datasets.scans.listing import Entry
from portal.models import LinkedIdentity, RoleGrant, User

COLLECTION = uuid.UUID("7d5a4f1e-0000-4000-8000-000000000002")


def make_person(username: str, *, role: str = "", linked: str = "") -> User:
    name = username.partition("@")[0].title()
    user, is_new = User.objects.get_or_create(id=uuid.uuid5(uuid.NAMESPACE_DNS, username), username=username, name=name, email=username)
    if role and is_new:
        RoleGrant.objects.create(role=role, principal_type="identity", principal=user.id)
    if linked:
        LinkedIdentity.objects.create(user=user, identity_id=uuid.uuid5(uuid.NAMESPACE_DNS, linked), username=linked)
    return user


@pytest.fixture
def ada(db) -> User:
    return make_person("ada@university.example", linked="ada@observatory.example")


@pytest.fixture
def ben(db) -> User:
    return make_person("ben@archive.example", role="steward")


@pytest.fixture
def cy(db) -> User:
    return make_person("cy@elsewhere.example")


@pytest.fixture
def dee(db) -> User:
    return make_person("dee@archive.example", role="operator")


@dataclass
class Disk:
    """A collection: `write`, `touch` and `remove` take collection paths, as `list_folder` and `inspect` do."""

    root: Path

    def write(self, path: str, content: bytes | str = b"x", *, day: int = 1) -> None:
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        self.touch(path, day=day)

    def touch(self, path: str, *, day: int) -> None:
        moment = dt.datetime(2020, 1, day, tzinfo=dt.UTC).timestamp()
        os.utime(self.root / path.lstrip("/"), (moment, moment))

    def remove(self, path: str) -> None:
        (self.root / path.lstrip("/")).unlink()

    def list_folder(self, path: str) -> Iterator[Entry]:
        with os.scandir(self.root / path.lstrip("/")) as entries:
            for entry in entries:
                status = entry.stat()
                moment = dt.datetime.fromtimestamp(status.st_mtime, tz=dt.UTC)
                yield Entry(entry.name, entry.is_dir(), 0 if entry.is_dir() else status.st_size, moment)

    def inspect(self, paths: list[str]) -> Iterator[Inspected]:
        for path in paths:
            content = (self.root / path.lstrip("/")).read_bytes()
            yield Inspected(path=path, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


@pytest.fixture(autouse=True)
def nobody_to_ask(settings: Any) -> None:
    """A collection that is a folder on disk has no Globus in which the portal could lack its role."""
    settings.CHECK_PLACE = settings.CHECK_GROUP = ""


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


@dataclass
class Curator:
    """Makes datasets through the verbs, as ben, on a disk."""

    ben: User
    disk: Disk

    def draft(self, slug: str = "sea", files: dict[str, str] | None = None, **description: Any) -> Version:
        """A scanned draft of a new dataset; `files` are logical paths with their contents."""
        description = {"title": f"The {slug}", "abstract": "What the data are."} | description
        version = registering.register(user=self.ben, slug=slug, **description)
        registering.place(version, user=self.ben, collection_id=COLLECTION, base_path=f"/{slug}/")
        for path, content in (files if files is not None else {"/a.nc": "a"}).items():
            self.disk.write(f"/{slug}{path}", content)
        (self.disk.root / slug).mkdir(exist_ok=True)
        scan(version, self.disk, self.ben)
        return version

    def published(self, slug: str = "sea", files: dict[str, str] | None = None, **description: Any) -> Version:
        """A published dataset."""
        return publishing.publish(self.draft(slug, files, **description), user=self.ben)


@pytest.fixture
def draft(ben: User, disk: Disk) -> Callable[..., Version]:
    return Curator(ben, disk).draft


@pytest.fixture
def published(ben: User, disk: Disk) -> Callable[..., Version]:
    return Curator(ben, disk).published


@pytest.fixture(scope="module")
def lasting(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Calls a function with a curator whose datasets stay for all tests of a module: what they only read is made once."""

    def call(make: Callable[[Curator], Any]) -> Any:
        with django_db_blocker.unblock():
            return make(Curator(make_person("ben@archive.example", role="steward"), Disk(tmp_path_factory.mktemp("disk"))))

    yield call
    with django_db_blocker.unblock():
        Dataset.objects.all().delete()
        Series.objects.update(parent=None)  # a parent is protected
        for model in (Series, SeriesEvent, DeletedRecord, Subject, SearchTerm, RoleGrant, User):
            model.objects.all().delete()


def scan(version: Version, disk: Disk, user: User, *, is_inspected: bool = True) -> Any:
    run = ingesting.scan(version, disk.list_folder, disk.inspect if is_inspected else None, user=user)
    assert run.status == "done", run.error
    return run


@pytest.fixture
def browser() -> Callable[..., Client]:
    def made(user: User | None = None) -> Client:
        client = Client()
        if user:
            client.force_login(user)
        return client

    return made
