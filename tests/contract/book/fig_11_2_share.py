"""Figure 11.2 for today's SDK: share a folder of one's own storage with somebody, and take the share back.

    python fig_11_2_share.py <GCS Manager address> <mapped collection> <folder in it> <user name to share with>

Then: create_shared_endpoint, get_identities, add_endpoint_acl_rule, delete_endpoint.
Now: a *guest collection*, made and deleted at the GCS Manager of the storage; the identity and the rule as before.
"""

import os
import sys

from globus_sdk import AuthClient, ClientApp, GCSClient, GlobusAppConfig, GuestCollectionDocument, TransferClient
from globus_sdk.scopes import GCSCollectionScopes, GCSEndpointScopes


def main(gcs_address: str, mapped_id: str, folder: str, username: str) -> None:
    client_id, secret = os.environ["GLOBUS_CLI_CLIENT_ID"], os.environ["GLOBUS_CLI_CLIENT_SECRET"]
    app = ClientApp("figure 11.2", client_id=client_id, client_secret=secret, config=GlobusAppConfig(token_storage="memory"))
    transfer, auth, gcs = TransferClient(app=app), AuthClient(app=app), GCSClient(gcs_address, app=app)
    data_access = GCSCollectionScopes(mapped_id).data_access
    gcs.add_app_scope(GCSEndpointScopes(gcs.endpoint_client_id).manage_collections.with_dependency(data_access))

    share = gcs.create_collection(
        GuestCollectionDocument(mapped_collection_id=mapped_id, collection_base_path=folder, display_name="Figure 11.2", public=False)
    )["id"]
    try:
        (identity,) = auth.get_identities(usernames=username)["identities"]
        rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": identity["id"], "path": "/", "permissions": "r"}
        made = transfer.add_endpoint_acl_rule(share, rule)
        print("shared", share, made["access_id"])
        for entry in transfer.endpoint_acl_list(share):
            print(entry["principal"], entry["path"], entry["permissions"])
        for entry in transfer.operation_ls(share, path="/"):
            print("in it:", entry["name"])
    finally:
        gcs.delete_collection(share)
    print("deleted")


if __name__ == "__main__":
    main(*sys.argv[1:])
