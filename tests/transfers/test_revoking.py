"""What becomes of a share when its owner loses access to the dataset."""

import pytest
from django.core.cache import cache

from datasets.access import granting
from tests.transfers.conftest import everything, run_until
from transfers import revoking, sharing
from transfers.models import DataRequest
from transfers.states import Status


@pytest.fixture
def granted(publish_real, real_ada, dee):
    """A restricted dataset that Ada may have, and the grant."""
    version = publish_real(policy="restricted")
    return version, granting.grant(version.dataset, principal_type="identity", principal=real_ada.pk, granted_by=dee)


def test_open_share_ends_with_the_grant(world, granted, real_ada, dee):
    version, grant = granted
    request = sharing.request_share(user=real_ada, wanted=everything(version))
    run_until(request, Status.OPEN)
    cache.delete("lost-shares-swept")
    revoking.end_lost_shares()
    request.refresh_from_db()
    assert request.status == Status.OPEN, "she still may"
    granting.revoke(grant, revoked_by=dee)
    cache.delete("lost-shares-swept")
    revoking.end_lost_shares()
    request.refresh_from_db()
    assert request.status == Status.EXPIRING
    assert "access" in request.events.last().note
    run_until(request, Status.EXPIRED)
    assert request.rule_id == ""


def test_share_is_not_opened_for_whom_lost_access_while_it_was_copied(world, granted, real_ada, dee):
    version, grant = granted
    request = sharing.request_share(user=real_ada, wanted=everything(version))
    run_until(request, Status.GRANTING)
    granting.revoke(grant, revoked_by=dee)
    run_until(request, Status.FAILED)
    assert "access" in request.failure
    assert request.rule_id == ""
    assert DataRequest.objects.granted().count() == 0
