"""The whole way of a portal's service client, by the SDK: data access, guest collection, rule, transfer, clean-up."""

import pytest
from globus_sdk import ClientApp, DeleteData, GCSClient, GuestCollectionDocument, TransferClient, TransferData
from globus_sdk.globus_app import GlobusAppConfig
from globus_sdk.scopes import GCSCollectionScopes, GCSEndpointScopes

pytestmark = pytest.mark.long


def test_service_client_from_app_to_clean_up(sites, folder):
    env, storage = sites.globus.env, sites.collection("storage")
    config = GlobusAppConfig(token_storage="memory")
    app = ClientApp("portal", client_id=env["CAUSEWAY_GLOBUS_CLIENT_ID"], client_secret=env["CAUSEWAY_GLOBUS_CLIENT_SECRET"], config=config)
    transfer, manager = TransferClient(app=app), GCSClient(env["CAUSEWAY_GCS_ADDRESS"], app=app)
    transfer.add_app_data_access_scope(storage)
    needed = GCSEndpointScopes(manager.endpoint_client_id).manage_collections.with_dependency(GCSCollectionScopes(storage).data_access)
    manager.add_app_scope(needed)

    transfer.operation_mkdir(storage, f"/shares/{folder.name}/project/")
    document = GuestCollectionDocument(
        mapped_collection_id=storage, collection_base_path=f"/shares/{folder.name}/project/", display_name="Project", public=False
    )
    guest = manager.create_collection(document)["id"]
    identity = sites.identity("ada@university.example")
    rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": identity, "path": "/", "permissions": "r"}
    transfer.add_endpoint_acl_rule(guest, rule)
    asked = TransferData(sites.collection("archive"), guest, verify_checksum=True)
    asked.add_item("/public/notes.txt", "/notes.txt")
    task_id = transfer.submit_transfer(asked)["task_id"]
    assert transfer.task_wait(task_id, timeout=30, polling_interval=1)
    assert transfer.get_task(task_id)["status"] == "SUCCEEDED"
    assert [entry["name"] for entry in sites.person("ada").operation_ls(guest, path="/")] == ["notes.txt"]

    manager.delete_collection(guest)
    removal = DeleteData(endpoint=storage, recursive=True)
    removal.add_item(f"/shares/{folder.name}/project/")
    assert transfer.task_wait(transfer.submit_delete(removal)["task_id"], timeout=30, polling_interval=1)
    assert list(folder.iterdir()) == []
