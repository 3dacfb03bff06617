"""An operator finds, tests and registers collections of the running local Globus."""

import uuid

import pytest
from django.urls import reverse

from datasets.models import GlobusCollection
from transfers import collecting, globus
from transfers.errors import ForbiddenError, InvalidError


def checks(known):
    return {one["name"]: one["has_passed"] for one in known.checks}


def failed(known):
    return next(one for one in known.checks if not one["has_passed"])


def test_a_collection_with_the_role_is_usable_and_its_rules_are_as_before(world, dee):
    archive = uuid.UUID(world.environment["CAUSEWAY_ARCHIVE_COLLECTION"])
    (world.archive / "tested").mkdir(exist_ok=True)
    try:
        before = {rule.rule_id for rule in globus.list_rules(archive)}
        known = collecting.run_test(archive, user=dee, folder="/tested/")
        assert (known.is_usable, set(checks(known).values())) == (True, {True})
        assert "Giving and taking access" in checks(known)
        assert known.name == globus.collection(archive).name
        mine = {rule.rule_id for rule in globus.list_rules(archive) if rule.path == "/tested/"}
        assert not mine - before
    finally:
        (world.archive / "tested").rmdir()


def test_a_folder_that_is_not_there_fails_with_the_line_that_looks(world, dee):
    archive = uuid.UUID(world.environment["CAUSEWAY_ARCHIVE_COLLECTION"])
    known = collecting.run_test(archive, user=dee, folder="/no/such/folder/")
    assert not known.is_usable
    assert failed(known)["name"] == "Listing the folder"
    assert f"globus ls {archive}:/no/such/folder/" in failed(known)["commands"]


def test_a_node_that_does_not_answer_is_no_missing_right(world, dee):
    archive = uuid.UUID(world.environment["CAUSEWAY_ARCHIVE_COLLECTION"])
    world.inject("ls", times=4, error={"http_status": 502, "code": "ExternalError.DirListingFailed.ConnectFailed"})
    known = collecting.run_test(archive, user=dee)
    assert "does not answer" in failed(known)["words"]
    world.clear_faults()
    assert collecting.run_test(archive, user=dee).is_usable
    assert GlobusCollection.objects.count() == 1


def test_where_the_portal_lacks_its_role_the_very_commands_are_told(world, dee, client):
    client.force_login(dee)
    address = reverse("transfers:collection", args=[world.campus_id])
    assert client.post(address, {"act": "test", "folder": "/"}).status_code == 302
    page = client.get(address).content.decode()
    assert "Not usable yet" in page
    known = GlobusCollection.objects.get()
    assert not known.is_usable
    assert failed(known)["commands"]


def test_a_collection_that_nobody_knows_says_how_it_becomes_known(world, dee, client):
    client.force_login(dee)
    nowhere = uuid.uuid4()
    page = client.get(reverse("transfers:collection", args=[nowhere])).content.decode()
    assert f"globus endpoint role create {nowhere} --role access_manager --identity" in page
    assert not collecting.run_test(nowhere, user=dee).is_usable


def test_collections_are_searched_by_the_portal_itself_and_offered_to_stewards(world, dee, client):
    client.force_login(dee)
    archive = uuid.UUID(world.environment["CAUSEWAY_ARCHIVE_COLLECTION"])
    page = client.get(reverse("transfers:collections"), {"q": globus.collection(archive).name}).content.decode()
    assert str(archive) in page
    assert str(archive) in {one.id for one in collecting.find_collections(str(archive), user=dee)}
    made = client.post(f"/api/v1/collections/{archive}/", {"folder": "/"}, content_type="application/json")
    assert (made.status_code, made.json()["is_usable"]) == (201, True)
    assert "Usable" in client.get(reverse("transfers:collections")).content.decode()
    client.post(reverse("datasets:register"), {"slug": "new", "title": "New"})
    assert f'<option value="{archive}">' in client.get(reverse("datasets:desk", args=["new"])).content.decode()
    assert client.delete(f"/api/v1/collections/{archive}/").status_code == 204


def test_collections_are_for_operators_and_folders_have_a_shape(db, ada, dee):
    with pytest.raises(ForbiddenError):
        collecting.run_test(uuid.uuid4(), user=ada)
    with pytest.raises(ForbiddenError):
        collecting.find_collections("archive", user=ada)
    with pytest.raises(InvalidError):
        collecting.run_test(uuid.uuid4(), user=dee, folder="nowhere")
