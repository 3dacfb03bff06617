"""The mail backend of the embedded default: a file for each mail, named after its Message-ID, so a repeated mail is the same file."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend


class EmailBackend(BaseEmailBackend):
    """Writes to `settings.EMAIL_FILE_PATH`."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        folder = Path(settings.EMAIL_FILE_PATH)
        folder.mkdir(parents=True, exist_ok=True)
        for mail in email_messages:
            message: Any = mail.message()
            name = re.sub(r"[^A-Za-z0-9._@-]", "", str(message["Message-ID"]))[:200]
            part = folder / f".{name}.part"
            part.write_bytes(message.as_bytes())
            part.replace(folder / f"{name}.eml")
        return len(email_messages)
