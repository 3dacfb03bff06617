"""The answers recorded from the real Globus, which the SDK brings for testing: ours have every key of theirs, of the same kind."""

import pytest
from globus_sdk import DeleteData, TransferData
from globus_sdk.testing import get_response_set


def recorded(name):
    return get_response_set(name).lookup("default").json


def missing(theirs, ours, at=""):
    """What is in the recorded answer and not in ours, or of another type; a null says nothing about types."""
    if theirs is None or ours is None:
        return []
    if isinstance(theirs, dict):
        if not isinstance(ours, dict):
            return [at]
        return [
            each
            for name in theirs
            for each in ([f"{at}.{name}"] if name not in ours else missing(theirs[name], ours[name], f"{at}.{name}"))
        ]
    if isinstance(theirs, list) and theirs and isinstance(ours, list) and ours:
        return missing(theirs[0], ours[0], f"{at}[0]")
    return [] if isinstance(ours, type(theirs)) else [at]


@pytest.fixture
def answers(sites, folder):
    portal, share = sites.service("portal"), sites.collection("share")
    copy = TransferData(sites.collection("archive"), share)
    copy.add_item("/public/notes.txt", f"/{folder.name}/notes.txt")
    (folder / "x").write_text("x")
    removal = DeleteData(endpoint=share)
    removal.add_item(f"/{folder.name}/x")
    manager = sites.manager("portal")
    return {
        "transfer.get_submission_id": portal.get_submission_id,
        "transfer.operation_mkdir": lambda: portal.operation_mkdir(share, f"/{folder.name}/made/"),
        "transfer.operation_stat": lambda: portal.operation_stat(share, f"/{folder.name}/x"),
        "transfer.operation_rename": lambda: portal.operation_rename(share, f"/{folder.name}/x", f"/{folder.name}/y"),
        "transfer.submit_transfer": lambda: portal.submit_transfer(copy),
        "transfer.submit_delete": lambda: portal.submit_delete(removal),
        "transfer.task_list": lambda: portal.task_list(filter="type:TRANSFER"),
        "globus_connect_server.get_gcs_info": manager.get_gcs_info,
        "globus_connect_server.get_endpoint": manager.get_endpoint,
        "globus_connect_server.get_collection_list": manager.get_collection_list,
        "globus_connect_server.get_user_credential_list": manager.get_user_credential_list,
        "globus_connect_server.get_storage_gateway_list": manager.get_storage_gateway_list,
    }


def test_answers_have_every_recorded_key(answers):
    found = {}
    for name, ask in answers.items():
        answer = ask()
        ours = getattr(answer, "full_data", None) or answer.data
        found[name] = missing(recorded(name), ours)
    assert {name: gaps for name, gaps in found.items() if gaps} == {}
