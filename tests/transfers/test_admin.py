"""The administration of requests: every act there is the verb of the pages, and what a share freed is shown."""

import pytest
from django.urls import reverse
from django.utils import timezone

from tests.transfers.conftest import everything, run_until
from transfers import sharing
from transfers.analysis.models import AnalysisJob
from transfers.analysis.states import JobStatus
from transfers.models import DataRequest
from transfers.states import Status

REQUESTS, GRAPHS = "admin:transfers_datarequest_changelist", "admin:analysis_analysisjob_changelist"


@pytest.fixture
def as_dee(client, dee):
    client.force_login(dee)
    return client


@pytest.fixture
def asked(publish, ada):
    return sharing.request_share(user=ada, wanted=everything(publish()), lifetime_days=7)


def act(client, list_page, name, row):
    """Choose one row and the act on its list; what the page says then."""
    fields = {"action": name, "_selected_action": [str(row.pk)]}
    return client.post(reverse(list_page), fields, follow=True).content.decode()


def put_in(request, status):
    facts = {"rule_id": "r", "collection_id": request.staging_collection_id, "expires_at": timezone.now(), "due_at": timezone.now()}
    DataRequest.objects.filter(pk=request.pk).update(status=status, **facts)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("cancel", Status.QUEUED, Status.CANCELLING), ("cancel", Status.OPEN, Status.EXPIRING), ("retry", Status.FAILED, Status.QUEUED)],
)
def test_an_operators_act_is_the_verb_of_the_page_and_stands_in_the_timeline(as_dee, dee, asked, name, before, after):
    put_in(asked, before)
    assert f"{asked.pk}: {name}" in act(as_dee, REQUESTS, name, asked)
    asked.refresh_from_db()
    assert asked.status == after
    last = asked.events.order_by("-id").first()
    assert (last.old, last.new, last.actor) == (before, after, dee)


def test_an_operator_extends_a_share_by_its_lifetime(world, publish_real, real_ada, as_dee):
    request = run_until(sharing.request_share(user=real_ada, wanted=everything(publish_real()), lifetime_days=7), Status.OPEN)
    before = request.expires_at
    act(as_dee, REQUESTS, "extend", request)
    request.refresh_from_db()
    assert (request.expires_at - before).days in {6, 7}
    assert request.extended_count == 1


@pytest.mark.parametrize("name", ["extend", "retry"])
def test_what_the_verb_refuses_is_said_in_words_and_changes_nothing(as_dee, asked, name):
    page = act(as_dee, REQUESTS, name, asked)
    assert '<li class="error">' in page
    assert f"{asked.pk}: {name}" not in page
    asked.refresh_from_db()
    assert (asked.status, asked.extended_count) == (Status.QUEUED, 0)


def test_an_operator_cleans_up_a_graph(as_dee, ada):
    job = AnalysisJob.objects.create(user=ada, content_key="a graph", due_at=timezone.now())
    assert f"{job.pk}: is being removed" in act(as_dee, GRAPHS, "clean_up", job)
    job.refresh_from_db()
    assert job.status == JobStatus.CLEANING


def test_rows_are_read_only(as_dee, asked):
    page = as_dee.get(reverse("admin:transfers_datarequest_change", args=[asked.pk])).content.decode()
    assert 'name="status"' not in page
    assert as_dee.post(reverse("admin:transfers_datarequest_change", args=[asked.pk]), {"status": "open"}).status_code == 403
    assert as_dee.post(reverse("admin:transfers_datarequest_delete", args=[asked.pk]), {"post": "yes"}).status_code == 403
    assert as_dee.get(reverse("admin:transfers_datarequest_add")).status_code == 403


def test_what_an_ended_share_freed_is_shown_to_an_operator(world, publish_real, real_ada, as_dee):
    request = run_until(sharing.request_share(user=real_ada, wanted=everything(publish_real())), Status.OPEN)
    sharing.cancel(request, user=real_ada)
    run_until(request, Status.EXPIRED)
    freed = request.deletion.bytes_freed
    assert freed == 1104
    page = as_dee.get(reverse("admin:transfers_sharedeletion_changelist")).content.decode()
    assert str(request.pk) in page
    assert f">{freed}<" in page or f">{freed:,}<" in page
    assert "1.1 KiB were freed" in as_dee.get(request.get_absolute_url()).content.decode()
