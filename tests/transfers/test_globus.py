"""Every function of the gateway against a real Globus surface, through the unmodified SDK."""

import time
import uuid

import pytest
from django.core.cache import cache

from transfers import globus, opening
from transfers.errors import ConsentNeededError, GlobusRefusedError, GlobusUnavailableError
from transfers.globus import folders
from transfers.words import CopyItem


@pytest.fixture
def shares(world):
    return world.environment["CAUSEWAY_SHARE_COLLECTION"]


@pytest.fixture
def archive(world):
    return world.environment["CAUSEWAY_ARCHIVE_COLLECTION"]


@pytest.fixture
def folder(shares):
    path = f"/contract-{uuid.uuid4().hex[:8]}/"
    globus.make_folder(shares, path)
    return path


def finish(task_id):
    deadline = time.monotonic() + 90
    while not (now := globus.task_progress(task_id)).is_finished:
        assert time.monotonic() < deadline, now
        time.sleep(0.05)  # polled: there is no event to wait for
    return now


def test_folder_that_exists_is_success(shares, folder):
    globus.make_folder(shares, folder)
    assert globus.stat(shares, folder).is_folder
    with pytest.raises(GlobusRefusedError) as caught:
        globus.stat(shares, f"{folder}nothing")
    assert caught.value.is_missing


def test_listing_goes_through_all_pages(world, archive, monkeypatch):
    monkeypatch.setattr(folders, "LIST_PAGE", 3)  # pages of ten thousand would say the same, later
    here = world.archive / "many"
    here.mkdir(exist_ok=True)
    for n in range(7):
        (here / f"file-{n}").write_bytes(b"x" * n)
    assert [(entry.name, entry.size_bytes) for entry in globus.list_folder(archive, "/many/")] == [(f"file-{n}", n) for n in range(7)]


def test_copy_is_one_task_per_submission_id_and_tells_what_arrived(world, archive, shares, folder):
    (world.archive / "one.txt").write_bytes(b"one")
    submission_id = globus.new_submission_id()
    items = [CopyItem("/one.txt", f"{folder}one.txt"), CopyItem("/not-there.txt", f"{folder}not-there.txt")]
    ids = {
        globus.submit_transfer(items, source_id=archive, destination_id=shares, submission_id=submission_id, label="contract")
        for _ in range(2)
    }
    (task_id,) = ids
    now = finish(task_id)
    assert (now.status, now.files_done, now.bytes_done) == ("succeeded", 1, 3)
    (arrived,) = globus.successful_transfers(task_id)
    assert (arrived.source_path, arrived.destination_path, arrived.size_bytes) == ("/one.txt", f"{folder}one.txt", 3)
    (skipped,) = globus.skipped_files(task_id)
    assert skipped.source_path == "/not-there.txt"
    assert skipped.reason
    assert isinstance(globus.task_faults(task_id), list)
    globus.cancel_task(task_id)  # a finished task is success
    globus.cancel_task(str(uuid.uuid4()))


def test_folder_is_deleted_and_gone_is_success(shares, folder):
    submission_id = globus.new_submission_id()
    ids = {globus.delete_folder(shares, folder, submission_id=submission_id) for _ in range(2)}
    assert len(ids) == 1
    assert finish(ids.pop()).status == "succeeded"
    assert finish(globus.delete_folder(shares, folder, submission_id=globus.new_submission_id())).status == "succeeded"


def test_single_files_are_deleted(world, shares, folder):
    kept, gone = world.shares / folder.strip("/") / "kept", world.shares / folder.strip("/") / "gone"
    for path in (kept, gone):
        path.write_bytes(b"x")
    task_id = globus.delete_files(shares, [f"{folder}gone", f"{folder}never"], submission_id=globus.new_submission_id())
    assert finish(task_id).status == "succeeded"
    assert (kept.exists(), gone.exists()) == (True, False)


def test_rule_that_exists_is_found_and_gone_is_success(shares, folder, real_ada):
    rule_id = globus.add_rule(shares, path=folder, principal=real_ada.id)
    assert globus.add_rule(shares, path=folder, principal=real_ada.id) == rule_id
    found = globus.find_rule(shares, path=folder, principal=real_ada.id)
    assert (found.rule_id, found.permissions) == (rule_id, "r")
    globus.remove_rule(shares, rule_id)
    globus.remove_rule(shares, rule_id)
    assert globus.find_rule(shares, path=folder, principal=real_ada.id) is None


@pytest.mark.parametrize("principal_type", ["anonymous", "all_authenticated_users"])
def test_rule_for_everybody_is_found_again(shares, folder, principal_type):
    rule_id = globus.add_rule(shares, path=folder, principal_type=principal_type)
    assert globus.add_rule(shares, path=folder, principal_type=principal_type) == rule_id
    globus.remove_rule(shares, rule_id)


def test_collection_and_role(world, shares, archive):
    found = globus.collection(shares)
    assert (found.id, found.is_mapped) == (shares, False)
    assert found.https_server.startswith("https://")
    globus.check_role(shares)
    globus.check_role(archive)
    with pytest.raises(GlobusRefusedError) as caught:
        globus.check_role(world.campus_id)
    assert "globus endpoint role create" in caught.value.detail


def test_guest_collection_is_made_once_and_deleted_twice(world, shares, folder, settings):
    mapped_id = settings.STORAGE_COLLECTION
    base = globus.base_path_of(shares, mapped_id=mapped_id)
    assert base == "/shares/"
    name = f"Contract {folder}"
    made = {globus.create_guest_collection(mapped_id=mapped_id, base_path=f"/shares{folder}", name=name) for _ in range(2)}
    assert len(made) == 1
    (own,) = made
    assert globus.find_guest_collection(mapped_id=mapped_id, name=name) == own
    globus.delete_guest_collection(own, mapped_id=mapped_id)
    globus.delete_guest_collection(own, mapped_id=mapped_id)
    assert globus.find_guest_collection(mapped_id=mapped_id, name=name) == ""


def test_addresses(world, shares):
    assert globus.https_url(shares, "/a b/ä.nc").endswith("/a%20b/%C3%A4.nc")
    assert globus.file_manager_link(shares, "/a b/").endswith(f"/file-manager?origin_id={shares}&origin_path=%2Fa+b%2F")
    assert globus.activity_link("t").endswith("/activity/t")
    assert globus.trusted_ca_file() == world.environment["GLOBUS_SDK_VERIFY_SSL"]


def test_unknown_token_asks_the_person_again(world, shares):
    with pytest.raises(ConsentNeededError):
        globus.collection(shares, token="not-a-token")
    with pytest.raises(ConsentNeededError):
        globus.refresh_tokens("not-a-token")
    globus.revoke_token("not-a-token")


def test_fault_of_globus_is_unavailable_with_its_wait(world, shares):
    world.inject("endpoint.get", times=2, error={"http_status": 503, "code": "ServiceUnavailable", "retry_after": 7})
    with pytest.raises(GlobusUnavailableError) as caught:
        globus.collection(shares)
    assert caught.value.retry_after_s == 7
    assert globus.collection(shares).id == shares


def test_submission_whose_answer_was_lost_is_the_same_task(world, archive, shares, folder):
    (world.archive / "two.txt").write_bytes(b"two")
    submission_id = globus.new_submission_id()
    world.inject("transfer.submit", drop=True, after=True, times=2)
    asked = {"source_id": archive, "destination_id": shares, "submission_id": submission_id, "label": "lost"}
    with pytest.raises(GlobusUnavailableError):
        globus.submit_transfer([CopyItem("/two.txt", f"{folder}two.txt")], **asked)
    task_id = globus.submit_transfer([CopyItem("/two.txt", f"{folder}two.txt")], **asked)
    assert finish(task_id).files_done == 1


def test_published_dataset_is_opened_and_closed_by_its_policy(publish_real, dee):
    version = publish_real()
    dataset = version.dataset
    cache.delete("opening-swept")
    opening.open_what_is_published()
    opening.open_dataset(dataset)
    (rule,) = dataset.archive_rules.all()
    found = globus.find_rule(rule.collection_id, path=f"/{dataset.slug}/", principal_type="anonymous")
    assert found.rule_id == rule.rule_id
    dataset.access_policy = "restricted"
    dataset.save()
    cache.delete("opening-swept")
    opening.open_what_is_published()
    assert globus.find_rule(rule.collection_id, path=f"/{dataset.slug}/", principal_type="anonymous") is None


def test_portal_that_globus_does_not_know_is_no_persons_consent(world, shares, settings):
    settings.GLOBUS_CLIENT_SECRET = "wrong"
    with pytest.raises(GlobusUnavailableError):
        globus.collection(shares)


def test_too_many_open_tasks_pass_with_time_and_other_limits_do_not(world, archive, shares):
    limit = {"http_status": 409, "code": "LimitExceeded"}
    world.inject("transfer.submit", times=1, error=limit)
    with pytest.raises(GlobusUnavailableError, match="as many open tasks"):
        globus.submit_transfer(
            [CopyItem("/a", "/b")], source_id=archive, destination_id=shares, submission_id=globus.new_submission_id(), label="One too many"
        )
    world.inject("access.create", times=1, error=limit)
    with pytest.raises(GlobusRefusedError):
        globus.add_rule(shares, path="/requests/", principal=str(uuid.uuid4()))
