"""Tasks: one per submission id, seen by their owner, carried out by the node, ended by success, cancellation or deadline."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from globus_sdk import DeleteData, TransferAPIError, TransferData
from globus_sdk.testing import get_response_set

from tests.services.localglobus.transfer.conftest import wait_until

pytestmark = pytest.mark.long


@pytest.fixture
def portal(sites):
    return sites.service("portal")


@pytest.fixture
def share(sites):
    return sites.collection("share")


def copy(sites, folder, *, source="/public/", recursive=True, target="copy/", **options):
    asked = TransferData(sites.collection("archive"), sites.collection("share"), **options)
    asked.add_item(source, f"/{folder.name}/{target}", recursive=recursive)
    return asked


def finished(client, task_id):
    return wait_until(lambda: (task := client.get_task(task_id).data)["status"] != "ACTIVE" and task)


def test_folder_is_copied_and_every_file_reported(sites, portal, folder):
    (source := sites.root("archive") / "data/public/deep").mkdir(exist_ok=True)
    (source / "x.bin").write_bytes(b"x" * 10)
    accepted = portal.submit_transfer(copy(sites, folder, label="first copy", verify_checksum=True))
    assert (accepted.http_status, accepted["code"]) == (202, "Accepted")
    task = finished(portal, accepted["task_id"])
    assert (task["status"], task["type"], task["label"]) == ("SUCCEEDED", "TRANSFER", "first copy")
    assert (task["files"], task["files_transferred"], task["files_skipped"]) == (3, 3, 0)
    assert task["bytes_transferred"] == 200_018
    assert task["nice_status"] is None
    assert task["is_ok"] is None
    assert (folder / "copy/air.nc").read_bytes() == (sites.root("archive") / "data/public/air.nc").read_bytes()
    done = {each["source_path"]: each for each in portal.task_successful_transfers(task["task_id"])}
    assert set(done) == {"/public/air.nc", "/public/notes.txt", "/public/deep/x.bin"}
    assert done["/public/deep/x.bin"]["checksum"] == hashlib.sha256(b"x" * 10).hexdigest()
    assert done["/public/deep/x.bin"]["destination_path"] == f"/{folder.name}/copy/deep/x.bin"
    succeeded, progress, started = portal.task_event_list(task["task_id"])
    assert [each["code"] for each in (succeeded, progress, started)] == ["SUCCEEDED", "PROGRESS", "STARTED"]
    told = json.loads(progress["details"])
    assert (set(told), told["bytes_transferred"]) == ({"bytes_transferred", "duration", "mbps"}, 200_018)
    assert list(portal.task_skipped_errors(task["task_id"])) == []


def test_same_submission_id_is_the_same_task(sites, portal, folder):
    asked = copy(sites, folder)
    first = portal.submit_transfer(asked)
    second = portal.submit_transfer(asked)
    assert (second["code"], second["task_id"]) == ("Duplicate", first["task_id"])
    assert [each["task_id"] for each in portal.task_list(filter={"task_id": [first["task_id"]]})] == [first["task_id"]]


def test_submit_whose_answer_was_lost_makes_one_task(sites, portal, folder):
    asked = copy(sites, folder)
    sites.fault(kind="transfer.submit", drop=True, after=True)
    accepted = portal.submit_transfer(asked)  # the SDK repeats it by itself
    assert accepted["code"] == "Duplicate"
    assert finished(portal, accepted["task_id"])["status"] == "SUCCEEDED"


def test_submission_id_is_bound_to_its_owner(sites, portal, folder):
    foreign = sites.service("demo").get_submission_id()["value"]
    for submission_id in (foreign, "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(TransferAPIError) as refused:
            portal.submit_transfer(copy(sites, folder, submission_id=submission_id))
        assert refused.value.http_status == 400


def test_task_is_seen_by_its_owner_only(sites, portal, folder):
    task_id = portal.submit_transfer(copy(sites, folder))["task_id"]
    cy = sites.person("cy")
    for look in (cy.get_task, cy.cancel_task, cy.task_event_list, cy.task_successful_transfers, cy.task_pause_info):
        with pytest.raises(TransferAPIError) as refused:
            look(task_id)
        assert refused.value.http_status == 404
    assert task_id not in [each["task_id"] for each in cy.task_list()]


def test_task_document_has_every_key_of_the_recorded_one(sites, portal, folder):
    task = finished(portal, portal.submit_transfer(copy(sites, folder))["task_id"])
    recorded = get_response_set("transfer.task_list").lookup("default").json["DATA"][0]
    assert set(recorded) - set(task) == set()
    assert {name for name, value in recorded.items() if isinstance(value, int) and not isinstance(task[name], int)} == set()
    left = datetime.fromisoformat(task["deadline"]) - datetime.fromisoformat(task["request_time"])
    assert timedelta(hours=24) <= left <= timedelta(days=3, minutes=10)  # progress that was told in time has moved it: test_deadlines.py


def test_task_list_filters_and_orders(sites, portal, folder):
    labels = [f"{folder.name} {n}" for n in range(3)]
    for label in labels:
        finished(portal, portal.submit_transfer(copy(sites, folder, label=label))["task_id"])
    found = portal.task_list(
        filter={"status": ["SUCCEEDED", "FAILED"], "type": "TRANSFER", "label": f"~{folder.name}*"}, orderby="label DESC"
    )
    assert [each["label"] for each in found] == labels[::-1]
    page = portal.task_list(filter={"label": f"~{folder.name}*"}, limit=1, offset=1)
    assert (page["length"], page["total"]) == (1, 3)


def test_missing_permission_is_a_fault_that_a_rule_heals(sites, portal, folder):
    (sites.root("archive") / "data/closed/again.nc").write_bytes(b"again")
    ada = sites.person("ada", data_access="campus")
    asked = TransferData(sites.collection("archive"), sites.collection("campus"))
    asked.add_item("/closed/again.nc", f"/~/{folder.name}.nc")
    task_id = ada.submit_transfer(asked)["task_id"]
    held = wait_until(lambda: (task := ada.get_task(task_id))["nice_status"] == "PERMISSION_DENIED" and task)
    assert (held["status"], held["is_ok"]) == ("ACTIVE", False)
    assert held["faults"] > 0
    assert "PERMISSION_DENIED" in [event["code"] for event in ada.task_event_list(task_id, query_params={"filter": "is_error:1"})]
    rule = {
        "DATA_TYPE": "access",
        "principal_type": "identity",
        "principal": sites.identity("ada@university.example"),
        "path": "/closed/",
        "permissions": "r",
    }
    rule_id = portal.add_endpoint_acl_rule(sites.collection("archive"), rule)["access_id"]
    assert finished(ada, task_id)["status"] == "SUCCEEDED"
    portal.delete_endpoint_acl_rule(sites.collection("archive"), rule_id)
    assert (sites.root("campus") / f"home/ada/{folder.name}.nc").read_bytes() == b"again"


def test_task_waits_for_the_right_to_write(sites, portal, share, folder):
    ada, identity = sites.person("ada"), sites.identity("ada@university.example")
    rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": identity, "path": f"/{folder.name}/", "permissions": "r"}
    rule_id = portal.add_endpoint_acl_rule(share, rule)["access_id"]
    (folder / "mine").write_text("mine")
    asked = TransferData(share, share)
    asked.add_item(f"/{folder.name}/mine", f"/{folder.name}/other")
    task_id = ada.submit_transfer(asked)["task_id"]
    wait_until(lambda: ada.get_task(task_id)["nice_status"] == "PERMISSION_DENIED")
    assert not (folder / "other").exists()
    portal.update_endpoint_acl_rule(share, rule_id, {"DATA_TYPE": "access", "permissions": "rw"})
    assert finished(ada, task_id)["status"] == "SUCCEEDED"


def test_missing_source_is_skipped_when_asked(sites, portal, folder):
    asked = copy(sites, folder, skip_source_errors=True)
    asked.add_item("/public/none.nc", f"/{folder.name}/none.nc")
    task = finished(portal, portal.submit_transfer(asked)["task_id"])
    assert (task["status"], task["skip_source_errors"]) == ("SUCCEEDED", True)
    skipped = list(portal.task_skipped_errors(task["task_id"]))
    assert [(each["source_path"], each["error_code"]) for each in skipped] == [("/public/none.nc", "FILE_NOT_FOUND")]


def test_delete_task_removes_and_is_counted(sites, portal, share, folder):
    (folder / "old/deep").mkdir(parents=True)
    (folder / "old/deep/x").write_text("x")
    asked = DeleteData(endpoint=share, recursive=True)
    asked.add_item(f"/{folder.name}/old/")
    task = finished(portal, portal.submit_delete(asked)["task_id"])
    assert (task["status"], task["type"]) == ("SUCCEEDED", "DELETE")
    assert "destination_endpoint_id" not in task
    assert not (folder / "old").exists()


def test_delete_takes_patterns_in_names_when_asked(sites, portal, share, folder):
    for name in ("a.txt", "b.txt", "c.nc"):
        (folder / name).write_text("x")
    asked = DeleteData(endpoint=share, interpret_globs=True)
    asked.add_item(f"/{folder.name}/*.txt")
    assert finished(portal, portal.submit_delete(asked)["task_id"])["status"] == "SUCCEEDED"
    assert [path.name for path in folder.iterdir()] == ["c.nc"]


def test_root_of_a_collection_is_never_deleted(sites, portal, share):
    asked = DeleteData(endpoint=share, recursive=True)
    asked.add_item("/")
    with pytest.raises(TransferAPIError) as refused:
        portal.submit_delete(asked)
    assert refused.value.http_status == 400


def test_canceled_task_stops(sites, portal, folder):
    sites.fault(kind="node.ticket", times=10_000, error={"http_status": 503, "code": "ServiceUnavailable", "message": "busy"})
    task_id = portal.submit_transfer(copy(sites, folder, source="/public/"))["task_id"]
    wait_until(lambda: "STARTED" in [event["code"] for event in portal.task_event_list(task_id)])
    said = portal.cancel_task(task_id)["code"]
    assert said in {"Canceled", "CancelAccepted"}  # the second when the node has not let go within the eight seconds of an answer
    assert said == "CancelAccepted" or portal.get_task(task_id)["status"] == "FAILED"
    sites.clear_faults()
    task = finished(portal, task_id)
    assert (task["status"], task["fatal_error"]["code"]) == ("FAILED", "CANCELED")
    assert portal.cancel_task(task_id)["code"] == "TaskComplete"


def test_deadline_ends_a_task(sites, portal, folder):
    ada = sites.person("ada", data_access="campus")
    asked = TransferData(
        sites.collection("archive"), sites.collection("campus"), deadline=(datetime.now(UTC) + timedelta(seconds=6)).isoformat()
    )
    asked.add_item("/closed/secret.nc", "/~/never.nc")
    task = finished(ada, ada.submit_transfer(asked)["task_id"])
    assert (task["status"], task["fatal_error"]["code"]) == ("FAILED", "EXPIRED")
    with pytest.raises(TransferAPIError) as refused:
        ada.update_task(task["task_id"], {"DATA_TYPE": "task", "label": "late"})
    assert refused.value.http_status == 409


def test_label_and_deadline_are_changed_while_active(sites, portal, folder):
    ada = sites.person("ada", data_access="campus")
    asked = TransferData(sites.collection("archive"), sites.collection("campus"))
    asked.add_item("/closed/secret.nc", "/~/never.nc")
    task_id = ada.submit_transfer(asked)["task_id"]
    deadline = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0).isoformat()
    ada.update_task(task_id, {"DATA_TYPE": "task", "label": "renamed", "deadline": deadline})
    task = ada.get_task(task_id)
    assert (task["label"], task["deadline"]) == ("renamed", deadline)
    assert ada.task_pause_info(task_id)["pause_rules"] == []
    ada.cancel_task(task_id)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"DATA": []}, "ClientError.BadRequest.NoTransferItems"),
        ({"label": "two\nlines"}, "BadRequest"),
        ({"label": "x" * 129}, "BadRequest"),
        ({"deadline": "2020-01-01"}, "BadRequest"),
        ({"sync_level": 7}, "BadRequest"),
        ({"verify_checksum": "yes"}, "BadRequest"),
        (
            {"DATA": [{"DATA_TYPE": "transfer_item", "source_path": "/public/../closed/", "destination_path": "/x/", "recursive": True}]},
            "InvalidPath",
        ),
        (
            {"DATA": [{"DATA_TYPE": "transfer_item", "source_path": "/public/", "destination_path": "/x/", "recursive": False}]},
            "BadRequest",
        ),
        ({"filter_rules": [{"method": "drop", "name": "*"}]}, "BadRequest"),
        ({"source_endpoint": "00000000-0000-0000-0000-000000000000"}, "EndpointNotFound"),
    ],
)
def test_transfer_that_cannot_be_is_refused(sites, portal, folder, change, code):
    asked = copy(sites, folder, submission_id=portal.get_submission_id()["value"])
    asked.update(change)
    with pytest.raises(TransferAPIError) as refused:
        portal.submit_transfer(asked)
    assert refused.value.code == code
    assert refused.value.http_status in {400, 404}


def test_transfer_to_a_mapped_collection_needs_consent_and_account(sites, folder):
    def submit(client):
        asked = TransferData(sites.collection("archive"), sites.collection("campus"))
        asked.add_item("/public/notes.txt", f"/~/{folder.name}.txt")
        return client.submit_transfer(asked)

    with pytest.raises(TransferAPIError) as refused:
        submit(sites.service("portal"))
    assert refused.value.code == "ConsentRequired"
    with pytest.raises(TransferAPIError) as refused:
        submit(sites.person("cy", data_access="campus"))
    assert refused.value.code == "EndpointPermissionDenied"


def test_body_that_is_no_document_is_the_clients_fault(sites, portal):
    for body in ("[]", '"x"', "{", json.dumps({"DATA_TYPE": "delete"})):
        with pytest.raises(TransferAPIError) as refused:
            portal.post("/v0.10/transfer", data=body, encoding="text")
        assert refused.value.http_status == 400
