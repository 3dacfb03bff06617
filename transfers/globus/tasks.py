"""Globus tasks: submitted under a key that is kept before the call, followed, cancelled."""

from collections.abc import Iterable, Iterator
from uuid import UUID

import globus_sdk

from transfers.errors import GlobusRefusedError
from transfers.faults import after_call, outside_call
from transfers.globus.clients import (
    Id,
    label_of,
    submissions,
    time_of,
    transfer_client,
)
from transfers.words import Arrived, CopyItem, Fault, Skipped, TaskProgress, fault_in_words


@outside_call
def new_submission_id(*, token: str | None = None) -> UUID:
    """A key for one submission: save it, then submit with it."""
    with transfer_client(token) as client:
        return UUID(client.get_submission_id()["value"])


@outside_call
def submit_transfer(
    items: Iterable[CopyItem],
    *,
    source_id: Id,
    destination_id: Id,
    submission_id: Id,
    label: str,
    token: str | None = None,
    is_encrypted: bool = False,
) -> str:
    """Start a copy and answer its task id. Safe to repeat: the same submission id answers with the first task.

    A file that cannot be read is left out and reported, rather than tried for a day: the rest is not held up by it.
    """
    order = globus_sdk.TransferData(
        source_id, destination_id, label=label_of(label), submission_id=submission_id, verify_checksum=True, preserve_timestamp=True,
        encrypt_data=is_encrypted,
        skip_source_errors=True, fail_on_quota_errors=True, notify_on_succeeded=False, notify_on_failed=False, notify_on_inactive=False,
    )  # fmt: skip
    for item in items:
        has_checksum = bool(item.sha256) and not item.is_recursive
        order.add_item(
            item.source_path,
            item.destination_path,
            recursive=item.is_recursive,
            external_checksum=item.sha256 if has_checksum else globus_sdk.MISSING,
            checksum_algorithm="sha256" if has_checksum else globus_sdk.MISSING,
        )
    with submissions(token) as client:
        return str(client.submit_transfer(order)["task_id"])


@outside_call
def task_progress(task_id: str, *, token: str | None = None) -> TaskProgress:
    """How far a task is."""
    with transfer_client(token) as client:
        task = client.get_task(task_id)
    fatal = task.get("fatal_error") or {}
    condition = str(task.get("nice_status") or "")
    return TaskProgress(
        status={"SUCCEEDED": "succeeded", "FAILED": "failed"}.get(task["status"], "active"),
        n_files=int(task.get("files") or 0),
        files_done=int(task.get("files_transferred") or 0),
        files_skipped=int(task.get("files_skipped") or 0),
        bytes_done=int(task.get("bytes_transferred") or 0),
        bytes_per_second=int(task.get("effective_bytes_per_second") or 0),
        faults=int(task.get("faults") or 0),
        condition="" if condition in {"OK", "Queued"} else fault_in_words(condition),
        fatal=fault_in_words(str(fatal.get("code") or ""), str(fatal.get("description") or "")) if fatal else "",
        is_held=task["status"] == "INACTIVE",
    )


def task_faults(task_id: str, *, token: str | None = None, most: int = 20) -> list[Fault]:
    """The latest things that went wrong with a task, newest first."""
    with transfer_client(token) as client:
        events = client.task_event_list(task_id, limit=most, query_params={"filter": "is_error:1"})["DATA"]
    return [
        Fault(e["code"], fault_in_words(e["code"], str(e.get("details") or e.get("description") or "")), time_of(e["time"]), True)
        for e in events
        if e.get("is_error")
    ]


def successful_transfers(task_id: str, *, token: str | None = None) -> Iterator[Arrived]:
    """The files that a finished task brought."""
    with transfer_client(token) as client:
        for line in client.paginated.task_successful_transfers(task_id).items():
            algorithm = str(line.get("checksum_algorithm") or "").lower().replace("-", "")
            sha256 = str(line.get("checksum") or "") if algorithm in {"sha256", ""} and len(str(line.get("checksum") or "")) == 64 else ""
            yield Arrived(line["source_path"], line["destination_path"], int(line.get("size") or 0), sha256)
    after_call("successful_transfers")


def skipped_files(task_id: str, *, token: str | None = None) -> Iterator[Skipped]:
    """What a finished task left out, with the reason in words."""
    with transfer_client(token) as client:
        for line in client.paginated.task_skipped_errors(task_id).items():
            reason = fault_in_words(str(line.get("error_code") or ""), str(line.get("error_details") or ""))
            yield Skipped(line["source_path"], bool(line.get("is_directory")), reason)


@outside_call
def cancel_task(task_id: str, *, token: str | None = None) -> None:
    """Ask Globus to stop a task. A task that is finished or unknown is success."""
    try:
        with transfer_client(token) as client:
            client.cancel_task(task_id)
    except GlobusRefusedError as error:
        if not (error.is_missing or "Complete" in error.globus_code):
            raise
