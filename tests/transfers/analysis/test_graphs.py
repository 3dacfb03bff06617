"""A graph from the request to the clean-up, with the real service; worker steps are called as workers call them."""

import uuid

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from datasets.errors import ForbiddenError, InvalidError
from tests.transfers.analysis.conftest import run_until
from transfers import graph, tokens
from transfers.analysis import graphs
from transfers.analysis.models import AnalysisJob
from transfers.errors import NotYoursError, SignInNeededError
from transfers.models import GlobusToken

pytestmark = pytest.mark.long


def ask(user, *versions, variable="surface_temperature", **more):
    return graphs.request_graph(user=user, wanted=[(version, variable) for version in versions], **more)


def rules_on(service, job):
    return [rule for rule in service.rules() if job.service_id and job.service_id in rule["path"]]


def test_a_graph_is_drawn_for_the_person_and_cleaned_up_again(drawable, permitted_ada, service):
    job = run_until(ask(permitted_ada, drawable()), "done")
    assert [result["kind"] for result in job.results] == ["series", "map"]
    assert "surface temperature" in job.results[0]["text_alternative"]
    assert job.results[0]["svg"].startswith("<svg")
    assert [rule["principal"] for rule in rules_on(service, job)] == [str(permitted_ada.pk)]
    folder = service.stack.places.archive / "results" / "graphs" / job.service_id
    assert len(list(folder.iterdir())) == 6
    graphs.clean_up(job, user=permitted_ada)
    assert run_until(job, "cleaned").results == []
    assert not folder.exists()
    assert [event.new for event in job.events.all()] == ["queued", "running", "done", "cleaning", "cleaned"]


def test_a_permission_is_asked_when_first_needed_and_the_graph_then_goes_on(drawable, known_ada, permit, world):
    job = ask(known_ada, drawable())
    assert job.status == "needs-sign-in"
    archive = world.environment["CAUSEWAY_ARCHIVE_COLLECTION"]
    assert job.required_scopes == [f"{world.environment['CAUSEWAY_GRAPH_SCOPE']}[*https://auth.globus.org/scopes/{archive}/https]"]
    graphs.sweep()
    job.refresh_from_db()
    assert job.status == "needs-sign-in"
    permit(known_ada)
    graphs.sweep()
    job.refresh_from_db()
    assert (job.status, job.required_scopes) == ("queued", [])
    run_until(job, "done")


def test_a_token_without_the_leave_to_read_asks_for_it(drawable, known_ada, world):
    world.forget_consents("ben@archive.example")
    tokens.store_tokens(known_ada, world.sign_in("ben@archive.example", world.environment["CAUSEWAY_GRAPH_SCOPE"]))
    job = run_until(ask(known_ada, drawable()), "needs-sign-in")
    assert job.required_scopes == [graph.scope_to_read([world.environment["CAUSEWAY_ARCHIVE_COLLECTION"]])]


def test_a_revoked_token_stops_the_graph_until_she_signs_in(drawable, permitted_ada, world):
    tokens.forget_tokens(permitted_ada, graph.resource_server())
    job = ask(permitted_ada, drawable())
    assert job.status == "needs-sign-in"
    AnalysisJob.objects.filter(pk=job.pk).update(status="queued", due_at=timezone.now())
    graphs.submit(job.pk)
    job.refresh_from_db()
    assert job.status == "needs-sign-in"


def test_the_same_request_is_the_same_job(drawable, permitted_ada):
    version = drawable()
    job = run_until(ask(permitted_ada, version, years=(2007, 2009), kinds=["map"]), "done")
    assert ask(permitted_ada, version, years=(2007, 2009), kinds=["map"]) == job
    assert ask(permitted_ada, version, years=(2007, 2008), kinds=["map"]) != job


def test_one_dataset_that_fails_leaves_the_other_and_a_reason(drawable, permitted_ada):
    good, broken = drawable(), drawable("broken.nc", content=b"\x89HDF\r\n\x1a\n and then nothing")
    job = run_until(ask(permitted_ada, good, broken, kinds=["series"]), "partial")
    assert [result["source"] for result in job.results] == [good.dataset.slug]
    assert [failure["source"] for failure in job.failures] == [broken.dataset.slug]
    assert "not a sound" in job.failures[0]["reason"]


def test_when_nothing_can_be_drawn_the_job_failed_with_reasons_and_can_be_tried_again(drawable, permitted_ada):
    version = drawable("A1B_north_america.nc", "air_temperature")
    job = run_until(ask(permitted_ada, version, variable="air_temperature", kinds=["box"]), "failed")
    assert "one value a year" in job.failures[0]["reason"]
    assert graphs.try_again(job, user=permitted_ada).status == "queued"


def test_a_service_that_is_out_is_waited_for(drawable, permitted_ada, service, settings):
    job = ask(permitted_ada, drawable(), kinds=["map"])
    settings.GRAPH_URL = "http://127.0.0.5:9"
    graphs.submit(job.pk)
    job.refresh_from_db()
    assert (job.status, job.attempts) == ("queued", 1)
    assert job.due_at > timezone.now()
    settings.GRAPH_URL = service.url
    run_until(job, "done")


def test_a_job_that_the_service_forgot_is_submitted_again(drawable, permitted_ada):
    job = ask(permitted_ada, drawable(), kinds=["map"])
    graphs.submit(job.pk)
    AnalysisJob.objects.filter(pk=job.pk).update(service_id=str(uuid.uuid4()))
    graphs.follow(job.pk)
    job.refresh_from_db()
    assert job.status == "queued"
    run_until(job, "done")


def test_results_end_after_a_month_even_if_the_permission_ended_before(drawable, permitted_ada, service):
    kept, lost = (run_until(ask(permitted_ada, drawable(), kinds=[kind]), "done") for kind in ("map", "series"))
    AnalysisJob.objects.update(expires_at=timezone.now())
    graphs.sweep()
    kept.refresh_from_db()
    assert run_until(kept, "cleaned").results == []
    assert rules_on(service, kept) == []
    GlobusToken.objects.filter(user=permitted_ada).delete()
    lost.refresh_from_db()
    assert lost.status == "cleaning"
    assert run_until(lost, "cleaned").results == []


def test_a_step_that_another_worker_holds_is_left_alone(drawable, permitted_ada):
    job = ask(permitted_ada, drawable())
    with AnalysisJob.objects.claim(job.pk, expected={"queued"}):
        graphs.submit(job.pk)
    job.refresh_from_db()
    assert (job.status, job.service_id) == ("queued", "")


def test_a_graph_is_asked_for_signed_in_of_data_that_she_may_have(described, ada, cy, client):
    version = described(policy="restricted")
    with pytest.raises(SignInNeededError):
        ask(AnonymousUser(), version)
    with pytest.raises(ForbiddenError):
        ask(ada, version, variable="tos")
    assert AnalysisJob.objects.count() == 0


@pytest.mark.parametrize(
    ("number", "more", "field"),
    [(0, {}, "dataset"), (5, {}, "dataset"), (1, {"kinds": ["pie"]}, "kind"), (1, {"years": (2000, 1999)}, "start_year")],
)
def test_faults_of_a_request_are_told_by_field(described, ada, number, more, field):
    version = described()
    with pytest.raises(InvalidError) as refused:
        ask(ada, *[version] * number, variable="tos", **more)
    assert list(refused.value.fields) == [field]


def test_only_the_owner_or_an_operator_cleans_up(described, ada, cy, dee, settings):
    settings.GRAPH_SCOPE = "https://auth.globus.org/scopes/service/graph"
    job = ask(ada, described(), variable="tos")
    with pytest.raises(NotYoursError):
        graphs.clean_up(job, user=cy)
    assert graphs.clean_up(job, user=dee).status == "cleaning"
    graphs.remove(job.pk)
    job.refresh_from_db()
    assert GlobusToken.objects.count() == 0
    assert job.status == "cleaned"
