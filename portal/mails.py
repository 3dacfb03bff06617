"""The mails that the embedded default wrote to files instead of sending them, for the operator's page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

from django.conf import settings

MOST = 100


@dataclass(frozen=True)
class Mail:
    to: str
    subject: str
    written_at: datetime
    text: str


def are_kept() -> bool:
    """True where mails are files; with SMTP nothing is kept here."""
    return str(settings.EMAIL_BACKEND).startswith("transfers.outbox.")


def newest_mails() -> list[Mail]:
    """The newest hundred, the last one first."""
    folder = Path(settings.EMAIL_FILE_PATH)
    files = sorted(folder.glob("*.eml"), key=lambda path: path.stat().st_mtime, reverse=True) if folder.is_dir() else []
    return [read_mail(path) for path in files[:MOST]]


def read_mail(path: Path) -> Mail:
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    body = message.get_body(preferencelist=("plain",))
    return Mail(
        to=str(message["To"]),
        subject=str(message["Subject"]),
        written_at=datetime.fromtimestamp(path.stat().st_mtime, UTC),
        text=str(body.get_content()) if body else "",
    )
