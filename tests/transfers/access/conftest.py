"""A restricted dataset with its steward, and somebody who asks."""

import time
from collections.abc import Callable
from email import message_from_string, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from django.utils import timezone

from datasets.models import Dataset
from portal.models import RoleGrant, User
from tests.transfers.conftest import make_person
from transfers.access import asking, following
from transfers.access.models import AccessRequest


@pytest.fixture
def ben(db) -> User:
    person = make_person("ben")
    RoleGrant.objects.create(role="steward", principal_type="identity", principal=person.id)
    return person


@pytest.fixture
def dataset(publish, ben) -> Dataset:
    made = publish(policy="restricted").dataset
    made.stewards.set([ben])
    return made


@pytest.fixture
def asked(dataset, ada) -> AccessRequest:
    return asking.request_access(dataset, user=ada, purpose="A study of seas.")


@pytest.fixture
def outbox(own_mail_folder: Path) -> Callable[[], list[EmailMessage]]:
    """The mails in the order of their making."""

    def read() -> list[EmailMessage]:
        paths = sorted(own_mail_folder.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
        return [message_from_string(path.read_text(), policy=policy.default) for path in paths]

    return read


def work(request: AccessRequest, *, at_once: bool = True) -> AccessRequest:
    """What a worker does when a step is due."""
    if at_once:
        AccessRequest.objects.filter(pk=request.pk).update(due_at=timezone.now())
    following.follow(str(request.pk))
    request.refresh_from_db()
    time.sleep(0.03)  # mails are told apart by when they were written
    return request


def body_of(mail: EmailMessage, kind: str = "plain") -> str:
    return " ".join(mail.get_body((kind,)).get_content().split())
