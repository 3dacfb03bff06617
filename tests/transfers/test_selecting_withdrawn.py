"""What was withdrawn is not asked for any more, in a basket neither."""

import uuid
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from datasets.curation import publishing
from datasets.errors import ConflictError, RefusedError
from datasets.files import FileQuery
from datasets.models import Version
from tests.transfers.conftest import everything
from transfers import opening, revoking, selecting, sharing
from transfers.models import DataRequest
from transfers.states import Status


def test_a_basket_leaves_out_what_was_withdrawn_and_says_why(publish, ada, dee):
    version = publish()
    basket = selecting.open_basket(user=ada, session_key=None)
    selecting.add_selection(basket, version=version, query=FileQuery(), user=ada)
    publishing.withdraw(version, user=dee, reason="Two sensors were swapped.")
    review = selecting.review(basket, user=ada)
    assert (review.n_files, len(review.left_out)) == (0, 1)
    assert "withdrawn" in review.left_out[0].why_not
    with pytest.raises(RefusedError):
        sharing.request_share(user=ada, wanted=everything(version))
    with pytest.raises(ConflictError):
        selecting.add_selection(basket, version=Version.objects.get(pk=version.pk), query=FileQuery(), user=ada)


def test_an_anonymous_basket_is_adopted_without_it(publish, ada, dee):
    version = publish()
    selecting.add_selection(selecting.open_basket(user=None, session_key="s"), version=version, query=FileQuery(), user=None)
    publishing.withdraw(version, user=dee, reason="Two sensors were swapped.")
    selecting.adopt_basket("s", ada)
    assert selecting.review(selecting.find_basket(user=ada, session_key=None), user=ada).lines == []


def test_an_open_share_of_a_version_that_is_withdrawn_ends(publish, ada, dee):
    version = publish()
    request = sharing.request_share(user=ada, wanted=everything(version))
    rows = DataRequest.objects.filter(pk=request.pk)
    ends = timezone.now() + timedelta(days=9)
    rows.update(status=Status.OPEN, collection_id=uuid.uuid4(), rule_id="1", expires_at=ends, due_at=ends)
    publishing.publish(publishing.open_draft(version.dataset, user=dee), user=dee)

    def sweep():
        cache.delete("lost-shares-swept")
        revoking.end_lost_shares()
        return rows.get().status

    assert sweep() == Status.OPEN
    publishing.withdraw(Version.objects.get(pk=version.pk), user=dee, reason="Two sensors were swapped.")
    assert sweep() == Status.EXPIRING


def test_the_folder_of_a_withdrawn_dataset_is_closed(publish, dee):
    version = publish()
    assert opening.openings_of(version.dataset)
    publishing.withdraw(version, user=dee, reason="Two sensors were swapped.")
    version.dataset.refresh_from_db()
    assert opening.openings_of(version.dataset) == set()
