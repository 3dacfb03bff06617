"""Figure 11.9 in its variant with one guest collection: each request is a folder of it and a rule, as the portal here does it.

    python fig_11_9_one_collection.py <source collection> <source folder> <share collection> <user name>    waits for a line, then removes

The client is access manager of the share collection, so that it needs neither a local account nor the GCS Manager.
"""

import os
import sys
import uuid

from globus_sdk import AuthClient, ClientApp, DeleteData, GlobusAppConfig, TransferClient, TransferData


def main(source_id: str, source_path: str, share_id: str, username: str) -> None:
    client_id, secret = os.environ["CAUSEWAY_GLOBUS_CLIENT_ID"], os.environ["CAUSEWAY_GLOBUS_CLIENT_SECRET"]
    app = ClientApp("figure 11.9", client_id=client_id, client_secret=secret, config=GlobusAppConfig(token_storage="memory"))
    transfer, auth = TransferClient(app=app), AuthClient(app=app)
    folder = f"/{uuid.uuid4()}/"
    transfer.operation_mkdir(share_id, path=folder)
    copy = TransferData(source_id, share_id, sync_level="checksum", submission_id=transfer.get_submission_id()["value"])
    copy.add_item(source_path, folder, recursive=True)
    finish(transfer, transfer.submit_transfer(copy)["task_id"])
    (identity,) = auth.get_identities(usernames=username)["identities"]
    rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": identity["id"], "path": folder, "permissions": "r"}
    rule_id = transfer.add_endpoint_acl_rule(share_id, rule)["access_id"]
    print(folder, flush=True)
    sys.stdin.readline()
    transfer.delete_endpoint_acl_rule(share_id, rule_id)
    delete = DeleteData(endpoint=share_id, recursive=True)
    delete.add_item(folder)
    finish(transfer, transfer.submit_delete(delete)["task_id"])


def finish(transfer: TransferClient, task_id: str) -> None:
    while not transfer.task_wait(task_id, timeout=60, polling_interval=1):
        pass
    if transfer.get_task(task_id)["status"] != "SUCCEEDED":
        sys.exit(f"task {task_id} did not succeed")


if __name__ == "__main__":
    main(*sys.argv[1:])
