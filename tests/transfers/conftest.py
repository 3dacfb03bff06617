"""The local Globus with its two data nodes as the world of these tests, people who signed in there, and small datasets in its archive."""

import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import globus_sdk
import httpx
import pytest
from django.utils import timezone

from datasets.curation import publishing, registering
from datasets.files import FileQuery
from datasets.models import Version
from datasets.scans import ingesting
from portal.models import RoleGrant, User
from services.embedded.stack import Stack
from services.embedded.visitor import FormReader
from transfers import globus, sending, sharing, steps, tokens
from transfers.models import DataRequest
from transfers.requesting import Wanted
from transfers.states import Kind, Status

SMALL = {"/2020/jan.nc": b"january" * 100, "/2020/feb.nc": b"february" * 50, "/readme.txt": b"read"}

STEPS = {
    task.name: task
    for task in (
        sharing.stage, sharing.check, sharing.open_share, sharing.notify, sharing.watch, sharing.remove_share, sharing.tell_failure,
        sending.send, sending.follow, sending.resume, sending.stop_sending,
    )
}  # fmt: skip


@dataclass
class World:
    """The running Globus as tests see it."""

    stack: Stack
    environment: dict[str, str]

    @property
    def archive(self) -> Path:
        """The folder that `Causeway Archive` shows."""
        return self.stack.places.archive / "data"

    @property
    def shares(self) -> Path:
        return self.stack.places.archive / "shares"

    @property
    def campus(self) -> Path:
        return self.stack.places.campus

    @property
    def campus_id(self) -> uuid.UUID:
        return uuid.UUID(self.environment["CAUSEWAY_CAMPUS_COLLECTION"])

    def inject(self, kind: str, **fault: Any) -> None:
        """Let the next calls of a kind to Globus fail."""
        httpx.post(f"{self.stack.addresses.localglobus}/faults", json={"kind": kind, **fault}, trust_env=False).raise_for_status()

    def inject_at_archive(self, kind: str, **fault: Any) -> None:
        """Let the next calls of a kind to the archive's node fail."""
        secret = (self.stack.places.globus / "dtn-archive.secret").read_text().strip()
        context = ssl.create_default_context(cafile=str(self.stack.ca_file))
        with httpx.Client(verify=context, headers={"Authorization": f"Bearer {secret}"}, trust_env=False) as client:
            client.post(f"{self.stack.addresses.archive}/.dtn/faults", json={"kind": kind, **fault}).raise_for_status()

    def clear_faults(self) -> None:
        httpx.delete(f"{self.stack.addresses.localglobus}/faults", trust_env=False)

    def forget_consents(self, who: str) -> None:
        """A person takes back at Globus whatever she allowed anyone, so that tests stand side by side."""
        address = f"{self.stack.addresses.localglobus}/v2/web/consents"
        with httpx.Client(trust_env=False, follow_redirects=True) as client:
            page = press(client, client.get(address), who)
            while (taken := press(client, page, "Take back")) is not page:
                page = taken

    def sign_in(self, who: str, *scopes: str) -> dict[str, Any]:
        """The token response of a person who goes through the pages and agrees."""
        redirect = f"{self.stack.addresses.web}/complete/globus/"
        with globus_sdk.ConfidentialAppAuthClient(
            self.environment["CAUSEWAY_GLOBUS_CLIENT_ID"], self.environment["CAUSEWAY_GLOBUS_CLIENT_SECRET"]
        ) as client:
            client.oauth2_start_flow(redirect, requested_scopes=" ".join(("openid profile email", *scopes)), refresh_tokens=True)
            code = walk_through(client.oauth2_get_authorize_url(), who)
            return dict(client.oauth2_exchange_code_for_tokens(code).data)


def press(client: httpx.Client, page: httpx.Response, *buttons: str) -> httpx.Response:
    """The answer to the first form that has one of the buttons; the same page when none has."""
    reader = FormReader()
    reader.feed(page.text)
    for form in reader.forms:
        button = next(filter(None, map(form.button, buttons)), None)
        if button is not None:
            return client.post(urljoin(str(page.url), form.action), data=dict([*form.fields, (button.name, button.value)]))
    return page


def walk_through(address: str, who: str) -> str:
    """Press what a person presses on the pages of Globus Auth; the code that the portal gets."""
    with httpx.Client(trust_env=False) as client:
        answer = client.get(address)
        for _ in range(10):
            if answer.is_redirect:
                target = urljoin(str(answer.url), answer.headers["location"])
                if "/complete/globus/" in target:
                    return parse_qs(urlsplit(target).query)["code"][0]
                answer = client.get(target)
                continue
            answer = press(client, answer, who, "Allow")
    raise AssertionError("no end of pages")


@pytest.fixture
def world(globus_stack: Stack, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Settings and the SDK's environment point at the running Globus."""
    environment = {**globus_stack.globus_environment, **read_portal_environment(globus_stack)}
    for name, value in environment.items():
        if name.startswith("GLOBUS_SDK_"):
            monkeypatch.setenv(name, value)
    for name in ("GLOBUS_CLIENT_ID", "GLOBUS_CLIENT_SECRET", "ARCHIVE_COLLECTION", "SHARE_COLLECTION", "STORAGE_COLLECTION", "GCS_ADDRESS"):
        setattr(settings, name, environment[f"CAUSEWAY_{name}"])
    settings.GLOBUS_APP_URL = environment["GLOBUS_SDK_SERVICE_URL_APP"].rstrip("/")
    made = World(globus_stack, environment)
    yield made
    made.clear_faults()


def read_portal_environment(stack: Stack) -> dict[str, str]:
    lines = (stack.places.globus / "portal.env").read_text().splitlines()
    return dict(line.removeprefix("export ").replace("'", "").split("=", 1) for line in lines if "=" in line)


def make_person(name: str, *, is_operator: bool = False) -> User:
    person = User.objects.create(username=f"{name}@university.example", name=name.title(), email=f"{name}@university.example")
    if is_operator:
        RoleGrant.objects.create(role="operator", principal_type="identity", principal=person.id)
    return person


@pytest.fixture
def ada(db: None) -> User:
    return make_person("ada")


@pytest.fixture
def cy(db: None) -> User:
    return make_person("cy")


@pytest.fixture
def dee(db: None) -> User:
    return make_person("dee", is_operator=True)


@pytest.fixture
def real_ada(db: None, world: World) -> User:
    """Ada as Globus knows her, signed in with the permission to transfer."""
    response = world.sign_in("ada@university.example", globus.TRANSFER_SCOPE)
    with globus_sdk.AuthClient(authorizer=globus_sdk.AccessTokenAuthorizer(response["access_token"])) as client:
        told = client.userinfo()
    person = User.objects.create(id=uuid.UUID(told["sub"]), username=told["preferred_username"], name="Ada", email="ada@university.example")
    tokens.store_tokens(person, response)
    return person


@pytest.fixture
def publish(dee: User, settings: Any) -> Callable[..., Version]:
    """Publishes a dataset whose files are as given, without a Globus: the inventory is fed by hand."""

    def make(slug: str = "sea-level", files: dict[str, int] | None = None, policy: str = "public", **description: Any) -> Version:
        sizes = files if files is not None else {"/2020/jan.nc": 10, "/2020/feb.nc": 20, "/readme.txt": 5}

        def list_folder(path: str) -> Iterator[ingesting.Entry]:
            inside = path.removeprefix(f"/{slug}")
            seen = set()
            for name, size in sizes.items():
                if not name.startswith(inside):
                    continue
                head, _, rest = name.removeprefix(inside).partition("/")
                if rest and head not in seen:
                    seen.add(head)
                    yield ingesting.Entry(head, is_folder=True)
                elif not rest:
                    yield ingesting.Entry(head, is_folder=False, size_bytes=size, modified_at=timezone.now())

        return make_published(dee, slug, list_folder, policy, uuid.UUID(settings.ARCHIVE_COLLECTION), **description)

    return make


@pytest.fixture
def publish_real(world: World, dee: User) -> Callable[..., Version]:
    """Writes files into the archive and publishes what Globus lists there."""

    def make(
        slug: str | None = None, files: dict[str, bytes] | None = None, policy: str = "public", *, folder: str = "", **description: Any
    ) -> Version:
        slug = slug or f"real-{uuid.uuid4().hex[:8]}"
        folder = folder or slug
        contents = (
            files if files is not None else {"/2020/jan.nc": b"january" * 100, "/2020/feb.nc": b"february" * 50, "/readme.txt": b"read"}
        )
        for path, content in contents.items():
            target = world.archive / folder / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        archive_id = uuid.UUID(world.environment["CAUSEWAY_ARCHIVE_COLLECTION"])

        def list_folder(path: str) -> Iterator[ingesting.Entry]:
            for entry in globus.list_folder(archive_id, path):
                yield ingesting.Entry(entry.name, entry.is_folder, entry.size_bytes, entry.modified_at)

        return make_published(dee, slug, list_folder, policy, archive_id, folder=folder, **description)

    return make


def make_published(
    dee: User, slug: str, list_folder: Any, policy: str, collection_id: uuid.UUID, *, folder: str = "", **description: Any
) -> Version:
    facts = {
        "abstract": "Levels of a sea that is not there, for tests.",
        "licence": "CC-BY-4.0",
        "access_policy": policy,
        "creators": [{"name": "Tester"}],
        **description,
    }
    version = registering.register(user=dee, slug=slug, title=f"Dataset {slug}", **facts)
    registering.place(version, user=dee, base_path=f"/{folder or slug}/", collection_id=collection_id, closes_others=True)
    run = ingesting.scan(version, list_folder, user=dee)
    assert run.status == "done", run.error
    return publishing.publish(version, user=dee)


def everything(version: Version) -> list[Wanted]:
    return [Wanted(Version.objects.select_related("dataset").get(pk=version.pk), FileQuery())]


def run_until(request: DataRequest, *statuses: str, seconds: float = 90) -> DataRequest:
    """Do what workers do, one step after the other, until the request is in one of the states."""
    deadline = time.monotonic() + seconds
    while request.status not in statuses:
        assert time.monotonic() < deadline, f"still {request.status}: {request.last_fault} {request.failure}"
        DataRequest.objects.filter(pk=request.pk).update(due_at=timezone.now())
        STEPS[steps.STEPS[(Kind(request.kind), Status(request.status))]](str(request.pk))
        request.refresh_from_db()
        if request.status in {"copying", "sending", "expiring", "cancelling"}:
            time.sleep(0.1)  # Globus works on it meanwhile
    return request


@pytest.fixture(autouse=True)
def own_mail_folder(tmp_path: Path, settings: Any) -> Path:
    """Mails go through the embedded default's outbox, into a folder of the test's own."""
    settings.EMAIL_BACKEND = "transfers.outbox.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")
    return tmp_path / "mail"


def mails(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted(folder.glob("*.eml"))]
