"""A mapped collection at the archive that lets nobody in without a second factor, for as long as a test wants it."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import globus_sdk
from globus_sdk import GCSClient, MappedCollectionDocument, StorageGatewayDocument
from globus_sdk.scopes import GCSEndpointScopes

POSIX = "145812c8-decc-41f1-83cf-bb2a85a2a70b"


@contextmanager
def guarded_collection(environment: Mapping[str, str], folder: str) -> Iterator[str]:
    """The id of a new collection of a folder of the archive's storage; `GLOBUS_SDK_*` of `environment` are in the environment already."""
    address = environment["CAUSEWAY_GCS_ADDRESS"]
    client = globus_sdk.ConfidentialAppAuthClient(environment["GLOBUS_CLI_CLIENT_ID"], environment["GLOBUS_CLI_CLIENT_SECRET"])
    scope = GCSEndpointScopes(GCSClient(address).endpoint_client_id).manage_collections
    tokens = client.oauth2_client_credentials_tokens(str(scope))
    with GCSClient(address, authorizer=globus_sdk.AccessTokenAuthorizer(tokens["access_token"])) as manager:
        document = StorageGatewayDocument(
            display_name=f"Guarded {uuid.uuid4()}",
            connector_id=POSIX,
            high_assurance=True,
            authentication_timeout_mins=60,
            require_mfa=True,
        )
        gateway = manager.create_storage_gateway(document)["id"]
        try:
            wanted = MappedCollectionDocument(
                storage_gateway_id=gateway, collection_base_path=folder, display_name="Guarded data", public=True, delete_protected=False
            )
            collection = manager.create_collection(wanted)["id"]
            try:
                yield collection
            finally:
                manager.delete_collection(collection)
        finally:
            manager.delete_storage_gateway(gateway)
