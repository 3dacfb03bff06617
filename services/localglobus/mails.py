"""Mail that Globus would send, as files: `DIR/mail/<time>-<number>.eml`, for people and tests to read. Nothing leaves the machine.

A mail is queued in the transaction of what it tells of, so that none is lost and none tells of what did not happen; `deliver` writes the
files and forgets the rows. A process that is killed between the two writes the same file again.
"""

import os
import time
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path

from services.localglobus.store import Connection, Row, Store

SCHEMA = """
create table if not exists mail (
    id integer primary key autoincrement, recipient text not null, subject text not null, body text not null, queued_at real not null
);
"""

SENDER = "Globus stand-in <no-reply@localglobus.invalid>"


def queue(connection: Connection, *, to: str | None, subject: str, text: str) -> None:
    """Have a mail delivered soon. A person without an address, as every client is, gets none."""
    if to and "\n" not in to and "\r" not in to:
        one_line = " ".join(subject.split())
        connection.execute("insert into mail (recipient, subject, body, queued_at) values (?, ?, ?, ?)", (to, one_line, text, time.time()))


def has_waiting(connection: Connection) -> bool:
    """Is there mail to deliver? A cheap look that spares the disk a write."""
    return connection.execute("select 1 from mail limit 1").fetchone() is not None


async def deliver(store: Store, folder: Path) -> None:
    """Write what is queued into `folder`. Safe to repeat."""
    for row in await store.read(lambda connection: connection.execute("select * from mail order by id").fetchall()):
        _write(folder, row)
        await store.write(lambda connection, number: connection.execute("delete from mail where id = ?", (number,)), row["id"])


def _write(folder: Path, row: Row) -> None:
    sent = datetime.fromtimestamp(row["queued_at"], UTC)
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = SENDER, row["recipient"], row["subject"]
    message["Date"], message["Message-ID"] = format_datetime(sent), f"<{row['id']}@localglobus.invalid>"
    message.set_content(row["body"])
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{sent:%Y%m%dT%H%M%S}-{row['id']}.eml"
    partial = path.with_suffix(".part")
    partial.write_bytes(message.as_bytes())
    os.replace(partial, path)  # noqa: PTH105 (whole or not at all)
