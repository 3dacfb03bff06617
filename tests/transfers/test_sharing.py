import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from datasets.errors import ConflictError, ForbiddenError, NotFoundError
from tests.transfers.conftest import everything, mails, run_until
from transfers import acts, globus, sharing
from transfers.errors import DuplicateRequestError, GlobusRefusedError, NotClaimedError, SignInNeededError
from transfers.models import DataRequest, ShareDeletion
from transfers.requesting import find_request
from transfers.states import Status, TaskKind


def rules_on(request):
    return [rule for rule in globus.list_rules(request.staging_collection_id) if rule.path == request.folder]


def test_share_goes_from_request_to_open_to_nothing_left(world, publish_real, real_ada, own_mail_folder):
    version = publish_real()
    request = sharing.request_share(user=real_ada, wanted=everything(version))
    run_until(request, Status.NOTIFYING)
    assert mails(own_mail_folder) == []
    assert [(rule.principal, rule.permissions) for rule in rules_on(request)] == [(str(real_ada.id), "r")]
    run_until(request, Status.OPEN)
    folder = world.shares / request.folder.strip("/")
    arrived = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert arrived == {f"{version.dataset.slug}-v1/{name}" for name in ("2020/jan.nc", "2020/feb.nc", "readme.txt")}
    (mail,) = mails(own_mail_folder)
    assert "file-manager" in mail
    assert (request.files_done, request.bytes_done) == (request.n_files, request.size_bytes)

    request.record(expires_at=timezone.now())
    run_until(request, Status.EXPIRED)
    assert rules_on(request) == []
    assert not folder.exists()
    deletion = ShareDeletion.objects.get(request=request)
    assert deletion.rule_removed_at < deletion.folder_deleted_at
    assert deletion.bytes_freed == request.size_bytes


def test_share_with_a_collection_of_its_own_is_opened_and_deleted(world, publish_real, real_ada):
    version = publish_real(share_variant="collection")
    request = run_until(sharing.request_share(user=real_ada, wanted=everything(version)), Status.OPEN)
    assert str(request.collection_id) != world.environment["CAUSEWAY_SHARE_COLLECTION"]
    assert {(rule.path, rule.principal) for rule in globus.list_rules(request.collection_id) if rule.rule_id} == {("/", str(real_ada.id))}
    assert rules_on(request) == []
    own = request.collection_id
    acts.cancel(request, user=real_ada)
    run_until(request, Status.EXPIRED)
    with pytest.raises(GlobusRefusedError):
        globus.collection(own)
    assert not (world.shares / request.folder.strip("/")).exists()


def test_each_step_may_run_twice_without_a_second_task_rule_or_mail(world, publish_real, real_ada, own_mail_folder):
    request = sharing.request_share(user=real_ada, wanted=everything(publish_real()))
    run_until(request, Status.COPYING)
    first = list(request.tasks.values_list("task_id", flat=True))
    # As if the worker had died after submitting and before writing it down.
    request.tasks.update(task_id="", status="prepared")
    DataRequest.objects.filter(pk=request.pk).update(status=Status.STAGING)
    request.refresh_from_db()
    run_until(request, Status.COPYING)
    assert list(request.tasks.values_list("task_id", flat=True)) == first
    run_until(request, Status.NOTIFYING)
    rule_id = request.rule_id
    DataRequest.objects.filter(pk=request.pk).update(status=Status.GRANTING, rule_id="")
    request.refresh_from_db()
    run_until(request, Status.OPEN)
    assert request.rule_id == rule_id
    DataRequest.objects.filter(pk=request.pk).update(status=Status.NOTIFYING)
    request.mails.update(sent_at=None)
    request.refresh_from_db()
    run_until(request, Status.OPEN)
    assert len(mails(own_mail_folder)) == 1


def test_missing_file_fails_the_request_and_retry_sends_only_it(world, publish_real, real_ada, own_mail_folder):
    version = publish_real()
    lost = world.archive / version.dataset.slug / "2020" / "jan.nc"
    lost.rename(lost.with_suffix(".away"))
    request = sharing.request_share(user=real_ada, wanted=everything(version))
    run_until(request, Status.FAILED)
    assert [file.path for file in request.failed_files.all()] == ["/2020/jan.nc"]
    assert rules_on(request) == []
    run_until_told(request)
    assert len(mails(own_mail_folder)) == 1
    lost.with_suffix(".away").rename(lost)
    acts.retry(request, user=real_ada)
    run_until(request, Status.OPEN)
    retried = request.tasks.filter(kind=TaskKind.COPY).last()
    assert retried.paths == ["/2020/jan.nc"]
    assert retried.n_files == 1


def test_file_that_is_not_of_the_version_is_gone_before_anybody_may_look(world, publish_real, real_ada):
    version = publish_real()
    (world.archive / version.dataset.slug / "2020" / "draft.nc").write_bytes(b"not published")
    request = run_until(sharing.request_share(user=real_ada, wanted=everything(version)), Status.OPEN)
    folder = world.shares / request.folder.strip("/")
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"jan.nc", "feb.nc", "readme.txt"}
    acts.cancel(request, user=real_ada)
    run_until(request, Status.EXPIRED)
    assert not folder.exists()


def run_until_told(request):
    sharing.tell_failure(str(request.pk))
    request.refresh_from_db()


def test_cancelling_while_copying_leaves_nothing_behind(world, publish_real, real_ada):
    request = run_until(sharing.request_share(user=real_ada, wanted=everything(publish_real())), Status.COPYING)
    acts.cancel(request, user=real_ada)
    run_until(request, Status.CANCELLED)
    assert not (world.shares / request.folder.strip("/")).exists()
    assert rules_on(request) == []


def test_cancelling_after_an_unrecorded_submission_stops_that_task_too(world, publish_real, real_ada):
    request = run_until(sharing.request_share(user=real_ada, wanted=everything(publish_real())), Status.COPYING)
    task = request.tasks.get()
    DataRequest.objects.filter(pk=request.pk).update(status=Status.STAGING)
    request.tasks.update(task_id="", status="prepared")
    request.refresh_from_db()
    acts.cancel(request, user=real_ada)
    run_until(request, Status.CANCELLED)
    assert request.tasks.get(sequence=1).task_id == task.task_id
    assert not (world.shares / request.folder.strip("/")).exists()


def test_reminder_comes_once_and_extension_moves_the_end(world, publish_real, real_ada, dee, own_mail_folder, settings):
    request = run_until(sharing.request_share(user=real_ada, wanted=everything(publish_real()), lifetime_days=10), Status.OPEN)
    request.record(expires_at=timezone.now() + timedelta(days=settings.REMINDER_DAYS) - timedelta(minutes=1))
    for _ in range(2):
        DataRequest.objects.filter(pk=request.pk).update(due_at=timezone.now())
        sharing.watch(str(request.pk))
    assert len(mails(own_mail_folder)) == 2  # open, and one reminder
    request.refresh_from_db()
    end = request.expires_at
    acts.extend(request, user=real_ada)
    assert request.expires_at == end + timedelta(days=10)
    with pytest.raises(ConflictError):
        acts.extend(request, user=real_ada)
    acts.extend(request, user=dee)
    assert request.extended_count == 2


def test_claimed_request_is_left_alone_until_the_claim_lapses(publish, ada):
    request = sharing.request_share(user=ada, wanted=everything(publish()))
    DataRequest.objects.filter(pk=request.pk).update(claimed_until=timezone.now() + timedelta(seconds=30))
    with pytest.raises(NotClaimedError):
        sharing.stage(str(request.pk))
    assert DataRequest.objects.due(timezone.now()).count() == 0
    DataRequest.objects.filter(pk=request.pk).update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert list(DataRequest.objects.due(timezone.now())) == [request]


def test_globus_that_does_not_answer_puts_the_step_off(publish, ada, settings, monkeypatch):
    monkeypatch.setenv("GLOBUS_SDK_SERVICE_URL_AUTH", "http://127.0.0.9:9/")
    monkeypatch.setenv("GLOBUS_SDK_SERVICE_URL_TRANSFER", "http://127.0.0.9:9/")
    settings.GLOBUS_CLIENT_SECRET = "another"
    request = sharing.request_share(user=ada, wanted=everything(publish()))
    sharing.stage(str(request.pk))
    request.refresh_from_db()
    assert request.status == Status.STAGING
    assert request.attempts == 1
    assert request.due_at > timezone.now()
    assert request.claimed_until is None


def test_double_post_makes_one_request(publish, ada):
    version = publish()
    first = sharing.request_share(user=ada, wanted=everything(version), idempotency_key="k")
    assert sharing.request_share(user=ada, wanted=everything(version), idempotency_key="k") == first
    with pytest.raises(ConflictError):
        sharing.request_share(user=ada, wanted=everything(publish("other")), idempotency_key="k")
    with pytest.raises(DuplicateRequestError) as caught:
        sharing.request_share(user=ada, wanted=everything(version))
    assert caught.value.request_id == first.pk


def test_who_may_ask(publish, ada, cy, dee):
    restricted = publish("secret", policy="restricted")
    with pytest.raises(ForbiddenError):
        sharing.request_share(user=ada, wanted=everything(restricted))
    with pytest.raises(SignInNeededError):
        sharing.request_share(user=AnonymousUser(), wanted=everything(restricted))
    request = sharing.request_share(user=ada, wanted=everything(publish()))
    assert list(DataRequest.objects.visible_to(cy)) == []
    assert list(DataRequest.objects.visible_to(dee)) == [request]
    with pytest.raises(ForbiddenError):
        acts.cancel(request, user=cy)


def test_open_share_cannot_be_stored_without_its_rule(publish, ada):
    request = sharing.request_share(user=ada, wanted=everything(publish()))
    with pytest.raises(IntegrityError), transaction.atomic():
        DataRequest.objects.filter(pk=request.pk).update(status=Status.OPEN, expires_at=timezone.now())


def test_ask_again_makes_a_new_request_of_the_same_files(publish, ada):
    request = sharing.request_share(user=ada, wanted=everything(publish()))
    with pytest.raises(ConflictError):
        acts.ask_again(request, user=ada)
    acts.cancel(request, user=ada)
    request.move_to(Status.CANCELLED)
    again = acts.ask_again(request, user=ada)
    assert (again.pk != request.pk, again.content_key) == (True, request.content_key)


def test_unknown_request_is_not_found(ada):
    with pytest.raises(NotFoundError):
        find_request(ada, uuid.uuid4())
