"""Figure 3.9 for today's SDK: find two collections, submit a transfer, wait for its end.

    python fig_3_9_transfer.py "<name of the source>" <source path> "<name of the destination>" <destination path>

Then: endpoint_search, endpoint_autoactivate of both, TransferData(tc, source, destination), add_item, submit_transfer, task_wait.
Now: nothing is activated; a mapped collection asks for the consent to `data_access` instead, which a client asks for with its token.
"""

import os
import sys
from collections.abc import Mapping
from typing import Any

from globus_sdk import ClientApp, GlobusAppConfig, TransferClient, TransferData


def open_transfer(*mapped_ids: str) -> TransferClient:
    """As the client that the environment names, with the consents that these mapped collections ask for."""
    client_id, secret = os.environ["GLOBUS_CLI_CLIENT_ID"], os.environ["GLOBUS_CLI_CLIENT_SECRET"]
    app = ClientApp("figure 3.9", client_id=client_id, client_secret=secret, config=GlobusAppConfig(token_storage="memory"))
    return TransferClient(app=app).add_app_data_access_scope(mapped_ids) if mapped_ids else TransferClient(app=app)


def find(transfer: TransferClient, name: str) -> Mapping[str, Any]:
    return next(found for found in transfer.endpoint_search(name) if found["display_name"] == name)


def main(source_name: str, source_path: str, destination_name: str, destination_path: str) -> int:
    transfer = open_transfer()
    source, destination = find(transfer, source_name), find(transfer, destination_name)
    asking = [end["id"] for end in (source, destination) if end["entity_type"] == "GCSv5_mapped_collection" and not end["high_assurance"]]
    transfer = open_transfer(*asking)
    for entry in transfer.operation_ls(source["id"], path=source_path):
        print(entry["name"], entry["size"])
    wanted = TransferData(source["id"], destination["id"], label="Figure 3.9", sync_level="checksum")
    wanted.add_item(source_path, destination_path, recursive=True)
    task_id = transfer.submit_transfer(wanted)["task_id"]
    while not transfer.task_wait(task_id, timeout=60, polling_interval=1):
        print("still under way")
    task = transfer.get_task(task_id)
    print(task["status"], task["files_transferred"], "files")
    return 0 if task["status"] == "SUCCEEDED" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
