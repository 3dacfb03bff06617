import uuid
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from tests.transfers.conftest import everything
from transfers import globus, sending, sweeping, tokens
from transfers.analysis.models import AnalysisJob
from transfers.errors import ConsentNeededError
from transfers.models import DataRequest, GlobusToken
from transfers.states import Status

SCOPE = globus.TRANSFER_SCOPE
TRANSFER = {
    "access_token": "secret-access",
    "refresh_token": "secret-refresh",
    "resource_server": globus.TRANSFER_SERVER,
    "scope": SCOPE,
    "expires_in": 3600,
}
ANSWER = {
    "access_token": "signing-in",
    "resource_server": "auth.globus.org",
    "scope": "openid",
    "expires_in": 3600,
    "other_tokens": [TRANSFER],
}


def test_tokens_are_stored_encrypted_and_read_back(ada):
    tokens.store_tokens(ada, ANSWER)
    row = GlobusToken.objects.get(resource_server=globus.TRANSFER_SERVER)
    assert b"secret" not in bytes(row.access_token_encrypted) + bytes(row.refresh_token_encrypted)
    assert tokens.access_token(ada, globus.TRANSFER_SERVER, [SCOPE]) == "secret-access"
    assert ("auth.globus.org", "openid") in tokens.held_scopes(ada)


def test_new_key_encrypts_and_the_old_one_still_reads(ada, settings):
    tokens.store_tokens(ada, ANSWER)
    settings.TOKEN_KEYS = [Fernet.generate_key().decode(), *settings.TOKEN_KEYS]
    assert tokens.access_token(ada, globus.TRANSFER_SERVER, [SCOPE]) == "secret-access"
    settings.TOKEN_KEYS = settings.TOKEN_KEYS[:1]
    with pytest.raises(ConsentNeededError):
        tokens.access_token(ada, globus.TRANSFER_SERVER, [SCOPE])


def test_missing_scope_is_asked_for_by_name(ada):
    tokens.store_tokens(ada, ANSWER)
    with pytest.raises(ConsentNeededError) as caught:
        tokens.access_token(ada, globus.TRANSFER_SERVER, [SCOPE, "more"])
    assert caught.value.required_scopes == [SCOPE, "more"]


def test_answer_without_a_refresh_token_keeps_the_old_one(ada):
    tokens.store_tokens(ada, ANSWER)
    before = bytes(GlobusToken.objects.get(resource_server=globus.TRANSFER_SERVER).refresh_token_encrypted)
    tokens.store_tokens(ada, {**TRANSFER, "refresh_token": ""})
    assert bytes(GlobusToken.objects.get(resource_server=globus.TRANSFER_SERVER).refresh_token_encrypted) == before


def test_ended_token_is_renewed_at_globus(world, real_ada):
    old = tokens.access_token(real_ada, globus.TRANSFER_SERVER, [SCOPE])
    GlobusToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    new = tokens.access_token(real_ada, globus.TRANSFER_SERVER, [SCOPE])
    assert new != old
    assert globus.collection(world.campus_id, token=new).name
    assert GlobusToken.objects.get(resource_server=globus.TRANSFER_SERVER).expires_at > timezone.now() + timedelta(hours=1)


def test_permission_that_globus_ended_is_asked_for_again(world, real_ada):
    tokens.access_token(real_ada, globus.TRANSFER_SERVER, [SCOPE])
    tokens.store_tokens(real_ada, {**TRANSFER, "refresh_token": "ended", "expires_in": 0})
    with pytest.raises(ConsentNeededError) as caught:
        tokens.access_token(real_ada, globus.TRANSFER_SERVER, [SCOPE])
    assert caught.value.required_scopes == [SCOPE]


def test_signing_out_ends_tokens_at_globus(world, real_ada):
    token = tokens.access_token(real_ada, globus.TRANSFER_SERVER, [SCOPE])
    tokens.release_tokens(real_ada)
    assert not GlobusToken.objects.filter(user=real_ada).exists()
    with pytest.raises(ConsentNeededError):
        globus.collection(world.campus_id, token=token)


def held(person):
    return set(GlobusToken.objects.filter(user=person).values_list("resource_server", flat=True))


def test_token_of_a_running_transfer_ends_with_the_transfer_after_signing_out(world, publish, real_ada):
    request = sending.request_transfer(user=real_ada, wanted=everything(publish()), collection_id=uuid.uuid4(), path="/x/")
    token = tokens.access_token(real_ada, globus.TRANSFER_SERVER, [SCOPE])
    for status in (Status.QUEUED, Status.SENDING, Status.CANCELLING):
        DataRequest.objects.filter(pk=request.pk).update(status=status)
        tokens.release_tokens(real_ada)
        sweeping.sweep()
        assert held(real_ada) == {globus.TRANSFER_SERVER}
    assert globus.collection(world.campus_id, token=token).name
    DataRequest.objects.filter(pk=request.pk).update(status=Status.CANCELLED, due_at=None, finished_at=timezone.now())
    sweeping.sweep()
    assert held(real_ada) == set()
    with pytest.raises(ConsentNeededError):
        globus.collection(world.campus_id, token=token)


def test_token_of_a_running_graph_ends_with_the_graph_after_signing_out(ada, world, settings):
    settings.GRAPH_URL, settings.GRAPH_SCOPE = "http://127.0.0.5:9", world.environment["CAUSEWAY_GRAPH_SCOPE"]
    drawing = settings.GRAPH_SCOPE.split("/")[-2]
    tokens.store_tokens(
        ada, {**ANSWER, "other_tokens": [TRANSFER, {**TRANSFER, "resource_server": drawing, "scope": settings.GRAPH_SCOPE}]}
    )
    job = AnalysisJob.objects.create(user=ada, content_key="a graph", due_at=timezone.now())
    tokens.release_tokens(ada)
    assert held(ada) == {drawing}
    job.move_to("failed", failure="Nothing could be drawn.")
    sweeping.sweep()
    assert held(ada) == set()


def test_who_signed_in_again_keeps_her_tokens_when_the_transfer_ends(world, publish, ada):
    tokens.store_tokens(ada, ANSWER)
    request = sending.request_transfer(user=ada, wanted=everything(publish()), collection_id=uuid.uuid4(), path="/x/")
    tokens.release_tokens(ada)
    tokens.store_tokens(ada, {**ANSWER, "other_tokens": []})
    DataRequest.objects.filter(pk=request.pk).update(status=Status.FAILED)
    sweeping.sweep()
    assert held(ada) == {"auth.globus.org", globus.TRANSFER_SERVER}


def test_tokens_of_who_is_signed_in_outlive_her_transfers(ada):
    tokens.store_tokens(ada, ANSWER)
    sweeping.sweep()
    assert held(ada) == {"auth.globus.org", globus.TRANSFER_SERVER}
