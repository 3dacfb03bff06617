import uuid

import pytest
from django.utils import timezone

from datasets.errors import ForbiddenError, InvalidError
from tests.transfers.conftest import everything, mails, run_until
from transfers import acts, globus, opening, sending, tokens
from transfers.errors import ConsentNeededError
from transfers.models import DataRequest, Destination, GlobusToken
from transfers.states import Status

HOME = "/home/ada/"


def consent_to_campus(world, person):
    """Ada agrees that transfers may write to her mapped collection."""
    scope = f"{globus.TRANSFER_SCOPE}[*https://auth.globus.org/scopes/{world.campus_id}/data_access]"
    tokens.store_tokens(person, world.sign_in("ada@university.example", scope))


def sent_to_campus(world, publish_real, person, **facts):
    version = publish_real(**facts)
    opening.open_dataset(version.dataset)
    path = f"{HOME}{uuid.uuid4().hex[:8]}/"
    return version, sending.request_transfer(
        user=person, wanted=everything(version), collection_id=world.campus_id, path=path, name="Campus"
    )


def test_transfer_waits_for_the_permission_and_goes_on_when_it_is_there(world, publish_real, real_ada, own_mail_folder):
    GlobusToken.objects.filter(user=real_ada).delete()
    version, request = sent_to_campus(world, publish_real, real_ada)
    sending.send(str(request.pk))
    request.refresh_from_db()
    assert (request.status, request.required_scopes, request.due_at) == (Status.NEEDS_SIGN_IN, [globus.TRANSFER_SCOPE], None)
    consent_to_campus(world, real_ada)
    request.refresh_from_db()
    assert request.due_at is not None
    globus.make_folder(world.campus_id, request.destination_path, token=sending.token_of(real_ada))
    run_until(request, Status.SENT)
    folder = world.campus / request.destination_path.strip("/") / f"{version.dataset.slug}-v1"
    assert (folder / "2020" / "jan.nc").read_bytes() == b"january" * 100
    assert len(mails(own_mail_folder)) == 1


def test_home_folder_by_its_short_name(world, publish_real, real_ada):
    consent_to_campus(world, real_ada)
    version = publish_real()
    sending.check_destination(real_ada, world.campus_id, "/~/")
    request = sending.request_transfer(user=real_ada, wanted=everything(version), collection_id=world.campus_id, path="/~/")
    run_until(request, Status.SENT)
    assert (world.campus / HOME.strip("/") / f"{version.dataset.slug}-v1" / "readme.txt").exists()


def test_mapped_collection_asks_for_its_own_consent_and_lets_in_only_whom_it_knows(world, cy):
    world.forget_consents("cy@elsewhere.example")
    tokens.store_tokens(cy, world.sign_in("cy@elsewhere.example", globus.TRANSFER_SCOPE))
    with pytest.raises(ConsentNeededError) as caught:
        sending.check_destination(cy, world.campus_id, "/home/cy/")
    (scope,) = caught.value.required_scopes
    assert f"{world.campus_id}/data_access" in scope
    tokens.store_tokens(cy, world.sign_in("cy@elsewhere.example", scope))
    with pytest.raises(InvalidError) as caught:
        sending.check_destination(cy, world.campus_id, "/home/cy/")
    assert "cannot write" in caught.value.detail


def test_destination_that_works_is_made(world, real_ada):
    consent_to_campus(world, real_ada)
    sending.check_destination(real_ada, world.campus_id, f"{HOME}here/")
    assert (world.campus / HOME.strip("/") / "here").is_dir()


def test_place_that_cannot_be_written_is_said_in_words(world, real_ada):
    consent_to_campus(world, real_ada)
    with pytest.raises(InvalidError) as caught:
        sending.check_destination(real_ada, world.campus_id, "/etc/nowhere/deeper/")
    assert "/etc/nowhere/deeper/" in caught.value.fields["path"][0]


@pytest.mark.parametrize("path", ["home", "/home", "/a/../b/", "/a\n/"])
def test_strange_paths_are_refused(publish, ada, path):
    with pytest.raises(InvalidError):
        sending.request_transfer(user=ada, wanted=everything(publish()), collection_id=uuid.uuid4(), path=path)


def test_unreadable_file_is_shown_in_words_and_retried_alone(world, publish_real, real_ada):
    consent_to_campus(world, real_ada)
    _version, request = sent_to_campus(world, publish_real, real_ada)
    globus.make_folder(world.campus_id, request.destination_path, token=sending.token_of(real_ada))
    world.inject_at_archive("get", error={"http_status": 403, "code": "PERMISSION_DENIED"})
    run_until(request, Status.FAILED)
    (failed,) = request.failed_files.all()
    assert "may not be read" in failed.reason
    assert "1 of 3 files" in request.failure
    acts.retry(request, user=real_ada)
    run_until(request, Status.SENT)
    assert request.tasks.last().paths == [failed.path]
    assert request.files_done == 3


def test_destination_is_remembered(publish, ada):
    place = uuid.uuid4()
    sending.request_transfer(user=ada, wanted=everything(publish()), collection_id=place, path="/x/", name="Mine")
    sending.request_transfer(user=ada, wanted=everything(publish("two")), collection_id=place, path="/x/", name="Mine")
    (remembered,) = sending.destinations_of(ada)
    assert (remembered.name, remembered.n_uses) == ("Mine", 2)
    assert Destination.objects.count() == 1


def test_her_collections_are_found(world, real_ada):
    found = sending.search_destinations(real_ada, "Campus")
    assert str(world.campus_id) in {one.id for one in found}
    assert world.environment["CAUSEWAY_ARCHIVE_COLLECTION"] not in {one.id for one in sending.search_destinations(real_ada, "Causeway")}


def test_restricted_files_are_not_sent_directly(publish, dee):
    with pytest.raises(ForbiddenError):
        sending.request_transfer(
            user=dee, wanted=everything(publish("secret", policy="restricted")), collection_id=uuid.uuid4(), path="/x/"
        )


def test_signing_out_everywhere_makes_a_transfer_wait(publish, ada):
    request = sending.request_transfer(user=ada, wanted=everything(publish()), collection_id=uuid.uuid4(), path="/x/")
    tokens.revoke_all(ada)
    request.refresh_from_db()
    assert request.status == Status.NEEDS_SIGN_IN
    DataRequest.objects.filter(pk=request.pk).update(due_at=timezone.now())
    sending.resume(str(request.pk))
    request.refresh_from_db()
    assert (request.status, request.due_at) == (Status.NEEDS_SIGN_IN, None)
