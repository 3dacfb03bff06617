import uuid

import pytest

from tests.transfers.conftest import everything, run_until
from transfers import acts, globus, opening, reconciling, sharing
from transfers.models import Drift
from transfers.states import Status


@pytest.fixture
def share(world, publish_real, real_ada):
    return run_until(sharing.request_share(user=real_ada, wanted=everything(publish_real())), Status.OPEN)


def findings(**facts):
    return Drift.objects.filter(run_id=reconciling.reconcile(), **facts)


def test_grants_that_agree_leave_no_finding(share):
    assert not findings(request=share).exists()


def test_rule_that_somebody_removed_is_given_again(share):
    globus.remove_rule(share.staging_collection_id, share.rule_id)
    (found,) = findings(request=share)
    assert (found.finding, found.repaired_at is not None) == (Drift.Finding.MISSING, True)
    share.refresh_from_db()
    assert globus.find_rule(share.staging_collection_id, path=share.folder, principal=share.user_id).rule_id == share.rule_id
    assert not findings(request=share).exists()


def test_rule_left_behind_by_an_ended_share_is_removed(share, real_ada):
    acts.cancel(share, user=real_ada)
    run_until(share, Status.EXPIRED)
    globus.make_folder(share.staging_collection_id, share.folder)
    globus.add_rule(share.staging_collection_id, path=share.folder, principal=real_ada.id)
    found = findings(path=share.folder)
    assert {one.finding for one in found} == {Drift.Finding.LEFT_BEHIND, Drift.Finding.FOLDER_LEFT_BEHIND}
    assert globus.find_rule(share.staging_collection_id, path=share.folder, principal=real_ada.id) is None


def test_rule_added_by_hand_is_reported_and_left(world, real_ada):
    path = f"/by-hand-{uuid.uuid4().hex[:6]}/"
    collection_id = world.environment["CAUSEWAY_SHARE_COLLECTION"]
    globus.make_folder(collection_id, path)
    rule_id = globus.add_rule(collection_id, path=path, principal=real_ada.id)
    (found,) = findings(path=path)
    assert (found.finding, found.rule_id, found.repaired_at) == (Drift.Finding.UNKNOWN, rule_id, None)
    globus.remove_rule(collection_id, rule_id)


def test_rule_by_hand_on_restricted_files_is_reported_though_no_rule_of_ours_stands_there(publish_real, real_ada, dee, client):
    version = publish_real(policy="restricted")
    place = version.primary_location
    rule_id = globus.add_rule(place.collection_id, path=place.base_path, principal=real_ada.id)
    (found,) = findings(path=place.base_path)
    assert (found.finding, found.rule_id, found.repaired_at) == (Drift.Finding.UNKNOWN, rule_id, None)
    client.force_login(dee)
    page = client.get(f"/steward/datasets/{version.dataset.slug}/who-can-see/").content.decode()
    assert "Rules that Causeway did not make" in page
    assert str(real_ada.id) in page
    globus.remove_rule(place.collection_id, rule_id)
    reconciling.reconcile()
    assert str(real_ada.id) not in client.get(f"/steward/datasets/{version.dataset.slug}/who-can-see/").content.decode()


def test_read_rule_of_a_published_dataset_is_given_again(publish_real):
    dataset = publish_real().dataset
    opening.open_dataset(dataset)
    rule = dataset.archive_rules.get()
    globus.remove_rule(rule.collection_id, rule.rule_id)
    (found,) = findings(path=rule.path)
    assert found.repaired_at is not None
    assert globus.find_rule(rule.collection_id, path=rule.path, principal_type="anonymous") is not None
