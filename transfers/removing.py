"""How a share leaves nothing behind: its rule or its own collection first, then its folder, then the record of both."""

from django.conf import settings
from django.utils import timezone

from transfers import copying, globus
from transfers.errors import GlobusUnavailableError
from transfers.models import DataRequest, DataRequestTask, ShareDeletion
from transfers.states import TaskKind, TaskStatus, Variant


def own_collection_name(request: DataRequest) -> str:
    """The name by which a request's own guest collection is found again."""
    return f"Causeway share {request.pk}"


def remove_access(request: DataRequest) -> None:
    """Nobody may read the share any more. Safe to repeat; finds a rule, too, that a killed worker added and did not record."""
    deletion, _ = ShareDeletion.objects.get_or_create(request=request)
    if deletion.rule_removed_at:
        return
    request.keep_claim()
    if request.variant == Variant.COLLECTION:
        _remove_own_collection(request, deletion)
    elif request.staging_collection_id:
        left = {rule.rule_id for rule in globus.list_rules(request.staging_collection_id) if rule.path == request.folder and rule.rule_id}
        for rule_id in left | ({request.rule_id} if request.rule_id else set()):
            globus.remove_rule(request.staging_collection_id, rule_id)
    deletion.rule_removed_at = timezone.now()
    deletion.save()
    request.record(rule_id="")
    request.note("The access rule is removed.")


def _remove_own_collection(request: DataRequest, deletion: ShareDeletion) -> None:
    mapped_id = settings.STORAGE_COLLECTION
    own = str(request.collection_id or "") or globus.find_guest_collection(mapped_id=mapped_id, name=own_collection_name(request))
    if own:
        globus.delete_guest_collection(own, mapped_id=mapped_id)
        deletion.collection_deleted_at = timezone.now()


def delete_files(request: DataRequest) -> bool:
    """Delete the share's folder by a Globus task and answer whether it is gone. Safe to repeat."""
    if request.staging_collection_id is None:
        return True
    task = _delete_task(request, [])
    if not task.task_id:
        task.record_submission(globus.delete_folder(request.staging_collection_id, request.folder, submission_id=task.submission_id))
    return _is_over(task)


def delete_extra_files(request: DataRequest, paths: list[str]) -> bool:
    """Delete what a recursive copy brought beyond the selection, before anybody may see it; answers whether it is gone. Safe to repeat."""
    if request.staging_collection_id is None or not paths:
        return True
    task = _delete_task(request, paths)
    if not task.task_id:
        task.record_submission(globus.delete_files(request.staging_collection_id, paths, submission_id=task.submission_id))
    return _is_over(task)


def _delete_task(request: DataRequest, paths: list[str]) -> DataRequestTask:
    """The latest task that deletes this, made when there is none or it failed; no paths mean the whole folder."""
    request.keep_claim()
    task = request.tasks.filter(kind=TaskKind.DELETE, paths=paths).order_by("-sequence").first()
    if task is not None and task.status != TaskStatus.FAILED:
        return task
    return DataRequestTask.objects.create(
        request=request,
        sequence=copying.next_sequence(request),
        kind=TaskKind.DELETE,
        paths=paths,
        submission_id=globus.new_submission_id(),
    )


def _is_over(task: DataRequestTask) -> bool:
    if task.status == TaskStatus.ACTIVE:
        copying.follow_task(task)
    if task.status == TaskStatus.FAILED:
        raise GlobusUnavailableError(f"The files could not be deleted. {task.last_fault}")
    return task.status == TaskStatus.SUCCEEDED


def record_deletion(request: DataRequest) -> None:
    """Write down what was freed, for the operator's page."""
    ShareDeletion.objects.filter(request=request, folder_deleted_at=None).update(
        folder_deleted_at=timezone.now(), n_files=request.files_done, bytes_freed=request.bytes_done
    )
