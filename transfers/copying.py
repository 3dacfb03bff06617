"""The Globus tasks of a request, for shares and for transfers alike: prepare, submit, follow, compare.

A task's submission id is saved before it is submitted; a worker that dies in between submits again with the same id and gets the same task.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from datasets.models import Classification
from transfers import globus, manifests
from transfers.errors import ConflictError, GlobusRefusedError, GlobusUnavailableError
from transfers.models import DataRequest, DataRequestTask, FailedFile
from transfers.states import TaskKind, TaskStatus
from transfers.words import Arrived, TaskProgress


def prepare_tasks(request: DataRequest, *, token: str | None = None) -> None:
    """Write the rows of the tasks that are needed, once: of everything at first, of the failed files on a retry. Safe to repeat."""
    is_retry = request.tasks.filter(kind=TaskKind.COPY).exists()
    if is_retry and not request.failed_files.exists():
        return
    parts = list(manifests.retry_parts_of(request) if is_retry else manifests.parts_of(request))
    submission_ids = [globus.new_submission_id(token=token) for _ in parts]
    first = next_sequence(request)
    with transaction.atomic():
        DataRequestTask.objects.bulk_create(
            DataRequestTask(
                request=request, sequence=first + n, submission_id=submission_id, selection=part.selection, folders=part.folders,
                after_path=part.after_path, until_path=part.until_path, paths=part.paths, n_files=part.n_files,
            )
            for n, (part, submission_id) in enumerate(zip(parts, submission_ids, strict=True))
        )  # fmt: skip
        request.failed_files.all().delete()


def next_sequence(request: DataRequest) -> int:
    last = request.tasks.order_by("-sequence").values_list("sequence", flat=True).first()
    return 1 if last is None else last + 1


def submit_tasks(request: DataRequest, *, destination_id: UUID, label: str, token: str | None = None) -> None:
    """Submit every prepared task, encrypted where any of the files is controlled. Safe to repeat."""
    is_encrypted = request.selections.filter(version__dataset__classification=Classification.CONTROLLED).exists()
    for task in request.tasks.filter(kind=TaskKind.COPY, task_id="").select_related("selection__version__dataset", "request"):
        request.keep_claim()
        if task.selection is None or (source_id := manifests.location_of(task.selection.version).collection_id) is None:
            continue
        task_id = globus.submit_transfer(
            manifests.items_of(task),
            source_id=source_id,
            destination_id=destination_id,
            submission_id=task.submission_id,
            label=label,
            token=token,
            is_encrypted=is_encrypted,
        )
        task.record_submission(task_id)


def follow_tasks(request: DataRequest, *, token: str | None = None) -> bool:
    """Ask Globus how far the running tasks are, and answer whether all are finished. The totals go on the request.

    Raises ConsentNeededError where a task is held until the person whose token this is agrees to something or signs in anew.
    """
    is_held = False
    for task in request.tasks.filter(status=TaskStatus.ACTIVE):
        request.keep_claim()
        is_held |= follow_task(task, token=token).is_held
    copies = list(request.tasks.filter(kind=TaskKind.COPY))
    is_running = any(task.status in {TaskStatus.ACTIVE, TaskStatus.PREPARED} for task in copies)
    request.record(
        files_done=min(request.n_files, sum(task.files_done for task in copies)),
        bytes_done=min(request.size_bytes, sum(task.bytes_done for task in copies)),
        bytes_per_second=sum(task.bytes_per_second for task in copies if task.status == TaskStatus.ACTIVE),
        faults=sum(task.faults for task in copies),
        last_fault=next((task.last_fault for task in reversed(copies) if task.last_fault), ""),
    )
    if is_held and token:
        ask_what_is_lacking(request, token=token)
    return not is_running


def ask_what_is_lacking(request: DataRequest, *, token: str) -> None:
    """Raises ConsentNeededError for what one of the request's collections wants of the person: a held task names no more than a word."""
    places = {(request.destination_collection_id, request.destination_path)}
    for one in manifests.selections_of(request):
        with suppress(ConflictError):  # what is not on line now asks for nothing; the others may
            location = manifests.location_of(one.version)
            places.add((location.collection_id, location.base_path))
    for collection_id, path in sorted(places, key=str):
        with suppress(GlobusRefusedError, GlobusUnavailableError):
            next(globus.list_folder(collection_id or "", path, token=token), None)


def next_look(request: DataRequest) -> datetime:
    """When to ask Globus again: often at first, later every half minute."""
    now = timezone.now()
    return now + timedelta(seconds=min(30.0, 1 + (now - request.state_since).total_seconds() / 20))


def follow_task(task: DataRequestTask, *, token: str | None = None) -> TaskProgress:
    """Record how far one task is, with its latest fault in words."""
    now = globus.task_progress(task.task_id, token=token)
    task.files_done, task.files_skipped = now.files_done, now.files_skipped
    task.bytes_done, task.bytes_per_second = now.bytes_done, now.bytes_per_second
    if now.faults > task.faults:
        found = globus.task_faults(task.task_id, token=token, most=1)
        task.last_fault = found[0].words if found else now.condition
    task.faults = now.faults
    task.last_fault = now.fatal or task.last_fault or now.condition
    if now.is_finished:
        task.status, task.finished_at = TaskStatus(now.status), timezone.now()
    task.save()
    return now


def compare(request: DataRequest, *, token: str | None = None) -> manifests.Comparison:
    """Compare what arrived with the catalogue, and write down what did not."""
    found = manifests.compare(request, arrived_files(request, token=token))
    missing = found.missing
    reasons = _reasons(request, token=token) if missing else {}
    with transaction.atomic():
        request.failed_files.all().delete()
        FailedFile.objects.bulk_create(
            (
                FailedFile(
                    request=request, selection=file.selection, path=file.path, size_bytes=file.size_bytes,
                    reason=reasons.get(file.source_path, words),
                )
                for file, words in missing
            ),
            batch_size=1000,
        )  # fmt: skip
    n_arrived = request.n_files - len(missing)
    request.record(files_done=n_arrived, bytes_done=request.size_bytes - sum(file.size_bytes for file, _ in missing))
    return found


def arrived_files(request: DataRequest, *, token: str | None = None) -> Iterator[Arrived]:
    """The files that the request's tasks brought."""
    for task in request.tasks.filter(kind=TaskKind.COPY).exclude(task_id=""):
        yield from globus.successful_transfers(task.task_id, token=token)


def _reasons(request: DataRequest, *, token: str | None = None) -> dict[str, str]:
    """Why files were left out, by source path. A Globus that keeps no such list costs the reasons, not the request."""
    reasons: dict[str, str] = {}
    for task in request.tasks.filter(kind=TaskKind.COPY).exclude(task_id=""):
        try:
            reasons |= {file.source_path: file.reason for file in globus.skipped_files(task.task_id, token=token)}
        except GlobusRefusedError as error:
            if not error.is_missing:
                raise
        if task.status == TaskStatus.FAILED and task.last_fault:
            for item in manifests.items_of(task):
                reasons.setdefault(item.source_path, task.last_fault)
    return reasons


def failure_words(request: DataRequest, n_missing: int) -> str:
    """What happened, what was kept and what to do, in one sentence each."""
    first = request.failed_files.first()
    named = f" First: {first.path}: {first.reason}." if first else ""
    kept = request.n_files - n_missing
    return f"{n_missing} of {request.n_files} files did not arrive.{named} The other {kept} are kept; retry sends only the failed ones."


def cancel_tasks(request: DataRequest, *, destination_id: UUID, token: str | None = None) -> bool:
    """Stop the running copies and answer whether all have ended. Safe to repeat.

    A task that was prepared may have been submitted by a worker that died before writing it down: submitting it again tells its id.
    """
    with suppress(GlobusRefusedError, ConflictError):
        submit_tasks(request, destination_id=destination_id, label=f"Causeway cancels {request.pk}", token=token)
    for task in request.tasks.filter(kind=TaskKind.COPY, status=TaskStatus.ACTIVE):
        request.keep_claim()
        globus.cancel_task(task.task_id, token=token)
        follow_task(task, token=token)
    return not request.tasks.filter(kind=TaskKind.COPY, status=TaskStatus.ACTIVE).exists()
