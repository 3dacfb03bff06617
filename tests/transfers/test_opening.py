"""The read rules on the archive: there when a dataset asks for them, and neither before nor after."""

import datetime as dt
import ssl
import time
import uuid

import httpx
import pytest
from django.core.cache import cache
from django.utils import timezone

from datasets.access import granting, terms
from datasets.curation import publishing, registering
from datasets.models import Dataset
from portal.assurance import mark_present
from tests.transfers.conftest import everything, run_until
from transfers import globus, opening, requesting, sending, sharing
from transfers.errors import AssuranceNeededError, ConflictError, ForbiddenError
from transfers.globus.clients import transfer_client
from transfers.states import Status

DAY = dt.timedelta(days=1)


def sweep():
    cache.delete("opening-swept")
    opening.open_what_is_published()


def rules_on(version):
    """What Globus says of the dataset's folder."""
    place = version.primary_location
    return {rule.principal_type for rule in globus.list_rules(place.collection_id) if rule.path == place.base_path}


def https_status(world, version, path="/readme.txt"):
    place = version.primary_location
    address = globus.https_url(place.collection_id, place.base_path + path.lstrip("/"))
    trusted = ssl.create_default_context(cafile=str(world.stack.ca_file))
    return httpx.get(address, verify=trusted, trust_env=False).status_code


def test_the_rule_appears_when_the_embargo_lifts_and_not_before(world, publish_real, ada):
    version = publish_real(embargo_ends_at=timezone.now() + DAY)
    sweep()
    opening.open_dataset(version.dataset)
    assert rules_on(version) == set()
    assert https_status(world, version) == 401
    with pytest.raises(ForbiddenError, match="embargo"):
        requesting.check_wanted(ada, everything(version))
    Dataset.objects.filter(pk=version.dataset_id).update(embargo_ends_at=timezone.now() - dt.timedelta(seconds=1))
    sweep()
    assert rules_on(version) == {"anonymous"}
    deadline = time.monotonic() + 90
    while https_status(world, version) != 200:  # a rule is known to the node within a second
        assert time.monotonic() < deadline
        time.sleep(0.1)  # polled: there is no event to wait for
    requesting.check_wanted(ada, everything(version))


def test_an_embargo_that_is_set_later_closes_what_was_open(publish_real, dee):
    version = publish_real()
    sweep()
    assert rules_on(version) == {"anonymous"}
    registering.describe(version.dataset, user=dee, embargo_ends_at=timezone.now() + DAY)
    sweep()
    assert rules_on(version) == set()
    assert not version.dataset.archive_rules.exists()


@pytest.mark.parametrize(("policy", "classification", "expected"), [
    ("registered", "internal", {"all_authenticated_users"}),
    ("registered", "controlled", set()),
    ("restricted", "controlled", set()),
])  # fmt: skip
def test_controlled_files_get_no_rule_in_place(publish_real, policy, classification, expected):
    version = publish_real(policy=policy, classification=classification)
    sweep()
    assert rules_on(version) == expected


def test_a_folder_above_closed_files_is_not_opened(publish_real, dee, world):
    outer = publish_real()
    path = f"/{outer.dataset.slug}/inner/"
    (world.archive / path.strip("/")).mkdir()
    (world.archive / path.strip("/") / "secret.txt").write_text("secret")
    sweep()
    assert rules_on(outer) == {"anonymous"}
    inner = registering.register(user=dee, slug=f"inner-{uuid.uuid4().hex[:6]}", title="Inner", access_policy="restricted")
    registering.place(inner, user=dee, collection_id=outer.primary_location.collection_id, base_path=path, closes_others=True)
    sweep()
    assert rules_on(outer) == set(), "its rule would open the inner files too"


@pytest.mark.parametrize(
    ("inner_policy", "outer_policy", "on_inner", "on_outer"),
    [
        ("public", "restricted", set(), set()),
        ("public", "registered", set(), {"all_authenticated_users"}),
        ("registered", "public", {"all_authenticated_users"}, set()),
        ("public", "public", {"anonymous"}, {"anonymous"}),
    ],
)
def test_no_rule_reaches_files_of_another_dataset_that_is_not_as_open(publish_real, inner_policy, outer_policy, on_inner, on_outer):
    folder = f"outer-{uuid.uuid4().hex[:8]}"
    inner = publish_real(folder=f"{folder}/inner", policy=inner_policy)
    sweep()
    assert rules_on(inner), "nothing closed is near yet"
    outer = publish_real(folder=folder, policy=outer_policy)
    sweep()
    assert rules_on(inner) == on_inner
    assert rules_on(outer) == on_outer
    Dataset.objects.filter(pk__in=[inner.dataset_id, outer.dataset_id]).update(access_policy="restricted")
    sweep()
    assert not rules_on(inner) | rules_on(outer)


def test_a_draft_below_its_own_open_folder_is_refused(publish_real, dee):
    version = publish_real()
    draft = publishing.open_draft(version.dataset, user=dee)
    with pytest.raises(ConflictError) as refused:
        registering.place(draft, user=dee, collection_id=version.primary_location.collection_id, base_path=f"/{version.dataset.slug}/next/")
    assert "beside" in refused.value.fields["base_path"][0]


@pytest.fixture
def controlled(publish_real, real_ada, dee):
    """Controlled files that Ada may have."""
    version = publish_real(policy="restricted", classification="controlled")
    granting.grant(version.dataset, principal_type="identity", principal=real_ada.pk, granted_by=dee)
    return version


def is_encrypted(request):
    with transfer_client(None) as client:
        return [client.get_task(task.task_id)["encrypt_data"] for task in request.tasks.exclude(task_id="").filter(kind="copy")]


def test_controlled_files_are_copied_encrypted_into_a_share_and_others_as_the_site_does(world, controlled, publish_real, real_ada):
    request = run_until(sharing.request_share(user=real_ada, wanted=everything(controlled)), Status.OPEN)
    assert is_encrypted(request) == [True]
    plain = run_until(sharing.request_share(user=real_ada, wanted=everything(publish_real())), Status.OPEN)
    assert is_encrypted(plain) == [False]


def test_controlled_files_are_asked_for_with_a_second_factor_each_time(controlled, real_ada, dee, client):
    mark_present(real_ada, None)
    with pytest.raises(AssuranceNeededError):
        sharing.request_share(user=real_ada, wanted=everything(controlled))
    mark_present(real_ada, timezone.now())
    request = sharing.request_share(user=real_ada, wanted=everything(controlled))
    run_until(request, Status.OPEN)
    client.force_login(real_ada)
    shown = client.get(request.get_absolute_url()).content.decode()
    assert "Their names and addresses are shown in a sign-in with a second factor" in shown
    assert "curl" not in shown
    assert client.get(f"/requests/{request.pk}/manifest.csv")["Location"].startswith("/signin/second-factor/?")
    assert client.get(f"/api/v1/data-requests/{request.pk}/manifest/").status_code == 403
    sharing.cancel(request, user=real_ada)
    run_until(request, Status.EXPIRED)
    mark_present(real_ada, None)
    with pytest.raises(AssuranceNeededError):
        sharing.ask_again(request, user=real_ada)
    with pytest.raises(ForbiddenError, match="not read in place"):
        sending.request_transfer(user=real_ada, wanted=everything(controlled), collection_id=uuid.uuid4(), path="/x/")
    client.force_login(real_ada)
    page = client.get(controlled.dataset.get_absolute_url()).content.decode()
    assert "Sign in with a second factor" in page
    assert "Sign in with a second factor" in client.get(f"/datasets/{controlled.dataset.slug}/files/").content.decode()
    client.post("/basket/add/", {"dataset": controlled.dataset.slug, "everything": "1"})
    basket = client.get("/basket/").content.decode()
    assert "/signin/second-factor/?next=%2Fbasket%2F" in basket
    told = client.post(
        "/api/v1/data-requests/",
        {"kind": "share", "selections": [{"dataset": controlled.dataset.slug}]},
        content_type="application/json",
    )
    assert (told.status_code, told.json()["code"]) == (403, "assurance-needed")
    assert told.json()["authorization_parameters"]["session_required_mfa"] is True
    assert client.post(f"/requests/{request.pk}/ask-again/")["Location"].startswith("/signin/second-factor/?")


def test_terms_are_asked_before_the_review_and_once(world, publish, ada, dee, client):
    version = publish()
    terms.publish_terms(version.dataset, user=dee, text="Cite us.")
    client.force_login(ada)
    client.post("/basket/add/", {"dataset": version.dataset.slug, "everything": "1"})
    assert "curl" not in client.get("/basket/").content.decode()
    for address in ("/requests/new/", "/send/"):
        answer = client.get(address)
        assert answer.status_code == 303
        assert answer["Location"].startswith("/terms/?")
    assert client.get(f"/datasets/{version.dataset.slug}/versions/1/https/?path=/readme.txt")["Location"].startswith("/terms/?")
    asked = {"kind": "share", "lifetime_days": 3, "selections": [{"dataset": version.dataset.slug}]}
    refused = client.post("/api/v1/data-requests/", asked, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (409, "terms-needed")
    given = client.post("/terms/", {"dataset": version.dataset.slug, "accepted": f"{version.dataset.slug}:1", "next": "/requests/new/"})
    assert given["Location"] == "/requests/new/"
    assert client.get("/requests/new/").status_code == 200
    assert client.post("/api/v1/data-requests/", asked, content_type="application/json").status_code == 202
