"""Folders and files of collections: made, listed, looked at, deleted."""

from collections.abc import Iterable, Iterator
from typing import Any

import globus_sdk

from transfers.errors import GlobusRefusedError
from transfers.faults import outside_call
from transfers.globus.clients import (
    Id,
    label_of,
    submissions,
    time_of,
    transfer_client,
)
from transfers.words import Entry

LIST_PAGE = 10_000


@outside_call
def make_folder(collection_id: Id, path: str, *, token: str | None = None) -> None:
    """Make one folder; its parent must exist. Safe to repeat."""
    try:
        with transfer_client(token) as client:
            client.operation_mkdir(collection_id, path)
    except GlobusRefusedError as error:
        if "Exists" not in error.globus_code:
            raise


def list_folder(collection_id: Id, path: str, *, token: str | None = None) -> Iterator[Entry]:
    """What a folder holds, page by page."""
    offset = 0
    with transfer_client(token) as client:
        while True:
            page = client.operation_ls(collection_id, path, limit=LIST_PAGE, offset=offset, orderby="name ASC")
            found = page["DATA"]
            for line in found:
                yield _entry(line)
            offset += len(found)
            if not found or offset >= int(page.get("total") or offset):
                return


def stat(collection_id: Id, path: str, *, token: str | None = None) -> Entry:
    """One file or folder. Raises GlobusRefusedError with `is_missing` when it is not there."""
    with transfer_client(token) as client:
        return _entry(client.operation_stat(collection_id, path).data)


@outside_call
def delete_folder(collection_id: Id, path: str, *, submission_id: Id) -> str:
    """Start deleting a folder with all it holds; the answer is the task id. Safe to repeat with the same submission id."""
    order = globus_sdk.DeleteData(
        collection_id, label=label_of(f"Causeway removes {path}"), submission_id=submission_id, recursive=True, ignore_missing=True,
        notify_on_succeeded=False, notify_on_failed=False, notify_on_inactive=False,
    )  # fmt: skip
    order.add_item(path)
    with submissions(None) as client:
        return str(client.submit_delete(order)["task_id"])


@outside_call
def delete_files(collection_id: Id, paths: Iterable[str], *, submission_id: Id) -> str:
    """Start deleting single files; the answer is the task id. Safe to repeat with the same submission id."""
    order = globus_sdk.DeleteData(
        collection_id, label="Causeway removes files", submission_id=submission_id, recursive=False, ignore_missing=True,
        notify_on_succeeded=False, notify_on_failed=False, notify_on_inactive=False,
    )  # fmt: skip
    for path in paths:
        order.add_item(path)
    with submissions(None) as client:
        return str(client.submit_delete(order)["task_id"])


def _entry(line: Any) -> Entry:
    modified = line.get("last_modified")
    return Entry(line["name"], line["type"], int(line.get("size") or 0), time_of(modified) if modified else None)
