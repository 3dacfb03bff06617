"""The graph service beside the world of the transfers' tests, and datasets that can be drawn."""

import time
import uuid
from pathlib import Path

import globus_sdk
import iris_sample_data
import pytest
from django.utils import timezone

from datasets.models import Variable
from portal.models import User
from tests.services.graph.running import run_service
from transfers import graph, tokens
from transfers.analysis import graphs
from transfers.analysis.models import AnalysisJob

SAMPLES = Path(iris_sample_data.path)
STEPS = {task.name: task for task in (graphs.submit, graphs.follow, graphs.remove)}


@pytest.fixture(scope="session")
def graph_service(globus_stack, redis_url, tmp_path_factory):
    with run_service(globus_stack, redis_url, tmp_path_factory.mktemp("graph") / "state") as service:
        yield service


@pytest.fixture(autouse=True)
def graph_settings(settings):
    """An archive that has a graph service; `service` runs one."""
    settings.GRAPH_SCOPE = "https://auth.globus.org/scopes/7d5a4f1e-0000-4000-8000-00000000000a/graph"
    settings.GRAPH_URL = "http://127.0.0.5:9"


@pytest.fixture
def service(graph_service, world, settings):
    """The portal's settings point at the running service."""
    settings.GRAPH_URL = graph_service.url
    settings.GRAPH_SCOPE = world.environment["CAUSEWAY_GRAPH_SCOPE"]
    settings.RESULTS_COLLECTION = world.environment["CAUSEWAY_RESULTS_COLLECTION"]
    return graph_service


@pytest.fixture
def described(publish):
    """Publishes a dataset with a variable, without files on a node."""

    def make(slug="sea-level", files=None, *, variable="tos", example="/2020/jan.nc", **more):
        version = publish(slug, files, **more)
        Variable.objects.create(dataset=version.dataset, name=variable, units="K", example_path=example)
        return version

    return make


@pytest.fixture
def drawable(publish_real, service):
    """Publishes a real file of the archive with its variable; open to everybody unless said."""

    def make(name="ostia_monthly.nc", variable="surface_temperature", *, is_open=True, content=None, policy="public"):
        version = publish_real(files={f"/{name}": content or (SAMPLES / name).read_bytes()}, policy=policy)
        Variable.objects.create(dataset=version.dataset, name=variable, units="K", example_path=f"/{name}")
        if is_open:
            service.open_to_everybody(f"/{version.dataset.slug}/")
        return version

    return make


@pytest.fixture
def known_ada(db, world):
    """Ada as Globus knows her, signed in without any permission beyond that."""
    response = world.sign_in("ada@university.example")
    with globus_sdk.AuthClient(authorizer=globus_sdk.AccessTokenAuthorizer(response["access_token"])) as client:
        told = client.userinfo()
    return User.objects.create(id=uuid.UUID(told["sub"]), username=told["preferred_username"], name="Ada", email="ada@university.example")


@pytest.fixture
def permit(world, service):
    """Ada gives the permission that a graph needs."""

    def give(person):
        scope = graph.scope_to_read([world.environment["CAUSEWAY_ARCHIVE_COLLECTION"]])
        tokens.store_tokens(person, world.sign_in("ada@university.example", scope))

    return give


@pytest.fixture
def permitted_ada(known_ada, permit):
    permit(known_ada)
    return known_ada


def run_until(job, *statuses, seconds=90):
    """Do what workers do, one step after the other, until the job is in one of the states."""
    deadline = time.monotonic() + seconds
    while job.status not in statuses:
        assert time.monotonic() < deadline, f"still {job.status}: {job.failure} {job.failures}"
        AnalysisJob.objects.filter(pk=job.pk).update(due_at=timezone.now())
        STEPS[graphs.STEPS[job.status]](str(job.pk))
        job.refresh_from_db()
        time.sleep(0.05)  # polled: there is no event to wait for
    return job
