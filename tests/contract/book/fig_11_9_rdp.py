"""Figure 11.9 for today's SDK: the research data portal's own program, `rdp(host_id, source_path, email)`.

    python fig_11_9_rdp.py <GCS Manager address> <mapped collection> <source folder in it> <user name>      waits for a line, then deletes

Then: endpoint_autoactivate, operation_mkdir, create_shared_endpoint, TransferData(tc, host, share, sync_level="checksum"),
submit_transfer, task_wait, get_identities, add_endpoint_acl_rule with a mail, delete_endpoint.
Now: the shared endpoint is a guest collection. The share is a folder of its own, so that no other request's data are in it.
"""

import os
import sys
import uuid

from globus_sdk import AuthClient, ClientApp, GCSClient, GlobusAppConfig, GuestCollectionDocument, TransferClient, TransferData
from globus_sdk.scopes import GCSCollectionScopes, GCSEndpointScopes


class Portal:
    """The portal's clients of the three services, as its own identity."""

    def __init__(self, gcs_address: str, host_id: str) -> None:
        client_id, secret = os.environ["GLOBUS_CLI_CLIENT_ID"], os.environ["GLOBUS_CLI_CLIENT_SECRET"]
        app = ClientApp("figure 11.9", client_id=client_id, client_secret=secret, config=GlobusAppConfig(token_storage="memory"))
        self.transfer, self.auth, self.gcs = TransferClient(app=app), AuthClient(app=app), GCSClient(gcs_address, app=app)
        self.transfer.add_app_data_access_scope(host_id)
        data_access = GCSCollectionScopes(host_id).data_access
        self.gcs.add_app_scope(GCSEndpointScopes(self.gcs.endpoint_client_id).manage_collections.with_dependency(data_access))
        self.host_id = host_id

    def share(self, source_path: str, email: str) -> str:
        """The id of a guest collection with a copy of `source_path`, which the person may read and has a mail about."""
        # (1) a folder to be shared, and a guest collection on it
        share_path = f"/~/{uuid.uuid4()}/"
        self.transfer.operation_mkdir(self.host_id, path=share_path)
        made = self.gcs.create_collection(
            GuestCollectionDocument(
                mapped_collection_id=self.host_id, collection_base_path=share_path, display_name="Figure 11.9", public=False
            )
        )
        share_id: str = made["id"]
        # (2) the data are copied into it
        copy = TransferData(self.host_id, share_id, label="Figure 11.9", sync_level="checksum")
        copy.add_item(source_path, "/", recursive=True)
        task_id = self.transfer.submit_transfer(copy)["task_id"]
        while not self.transfer.task_wait(task_id, timeout=60, polling_interval=1):
            pass
        if self.transfer.get_task(task_id)["status"] != "SUCCEEDED":
            sys.exit(f"task {task_id} did not succeed")
        # (3) the person may read it; only now does she hear of it
        (identity,) = self.auth.get_identities(usernames=email, provision=True)["identities"]
        rule = {
            "DATA_TYPE": "access",
            "principal_type": "identity",
            "principal": identity["id"],
            "path": "/",
            "permissions": "r",
            "notify_email": email,
            "notify_message": "Requested data is available.",
        }
        self.transfer.add_endpoint_acl_rule(share_id, rule)
        return share_id

    def unshare(self, share_id: str) -> None:
        """(4) Ultimately, the share is deleted; the files stay until the portal deletes them."""
        self.gcs.delete_collection(share_id)


if __name__ == "__main__":
    portal = Portal(*sys.argv[1:3])
    share = portal.share(*sys.argv[3:])
    print(share, flush=True)
    sys.stdin.readline()
    portal.unshare(share)
