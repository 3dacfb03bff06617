"""Collections: looked up, searched, checked for the portal's role; guest collections made and deleted through the GCS Manager."""

from collections.abc import Iterable
from typing import Any

import globus_sdk
from django.conf import settings

from transfers.errors import GlobusRefusedError
from transfers.faults import outside_call
from transfers.globus.clients import Id, gcs_client, transfer_client
from transfers.words import Collection


def collection(collection_id: Id, *, token: str | None = None) -> Collection:
    """A collection's document."""
    with transfer_client(token) as client:
        return _collection(client.get_endpoint(collection_id).data)


def search_collections(text: str = "", *, token: str | None, scopes: Iterable[str] = ("all",)) -> list[Collection]:
    """Collections by name, or all of a scope, scope by scope.

    Source: https://docs.globus.org/api/transfer/endpoint_and_collection_search/, "Search Scope".
    """
    found: dict[str, Collection] = {}
    with transfer_client(token) as client:
        for scope in scopes:
            for line in client.endpoint_search(text or globus_sdk.MISSING, filter_scope=scope, limit=50)["DATA"]:
                if "collection" in str(line.get("entity_type")):
                    found.setdefault(line["id"], _collection(line))
    return list(found.values())


def check_role(collection_id: Id) -> None:
    """Raises GlobusRefusedError with the remedy when the portal may not grant access on a collection."""
    if not collection(collection_id).has_manager_role:
        raise GlobusRefusedError(
            f"The portal may not manage access on collection {collection_id}. An administrator of the collection runs: "
            f"{role_command(collection_id)}",
            globus_code="PermissionDenied",
        )


def role_command(collection_id: Id) -> str:
    """The line of the Globus CLI with which an administrator of a collection lets the portal manage access there."""
    return f"globus endpoint role create {collection_id} --role access_manager --identity {settings.GLOBUS_CLIENT_ID}"


@outside_call
def create_guest_collection(*, mapped_id: Id, base_path: str, name: str) -> str:
    """A guest collection over one folder; answers its id. Safe to repeat: one of that name on that storage is found."""
    if known := find_guest_collection(mapped_id=mapped_id, name=name):
        return known
    with gcs_client(mapped_id) as client:
        gateway = client.get_collection(mapped_id).get("storage_gateway_id")
        credentials = [
            c for c in client.get_user_credential_list(gateway or globus_sdk.MISSING) if c["identity_id"] == settings.GLOBUS_CLIENT_ID
        ]
        document = globus_sdk.GuestCollectionDocument(
            mapped_collection_id=mapped_id,
            collection_base_path=base_path,
            display_name=name,
            public=False,
            user_credential_id=credentials[0]["id"] if credentials else globus_sdk.MISSING,
        )
        return str(client.create_collection(document)["id"])


def find_guest_collection(*, mapped_id: Id, name: str) -> str:
    """The id of the guest collection of that name on a storage; empty when there is none."""
    with gcs_client(mapped_id) as client:
        found = client.paginated.get_collection_list(mapped_collection_id=mapped_id).items()
        return next((str(line["id"]) for line in found if line.get("display_name") == name), "")


@outside_call
def delete_guest_collection(collection_id: Id, *, mapped_id: Id) -> None:
    """Delete a guest collection with all its rules; the files stay. One that is gone is success."""
    try:
        with gcs_client(mapped_id) as client:
            client.delete_collection(collection_id)
    except GlobusRefusedError as error:
        if not error.is_missing:
            raise


def base_path_of(collection_id: Id, *, mapped_id: Id) -> str:
    """Where on its storage a guest collection begins, ending with "/"."""
    with gcs_client(mapped_id) as client:
        return str(client.get_collection(collection_id)["collection_base_path"]).rstrip("/") + "/"


def _collection(line: Any) -> Collection:
    return Collection(
        id=line["id"],
        name=str(line.get("display_name") or line.get("canonical_name") or line["id"]),
        kind=str(line.get("entity_type") or ""),
        owner=str(line.get("owner_string") or ""),
        https_server=str(line.get("https_server") or ""),
        mapped_collection_id=str(line.get("mapped_collection_id") or ""),
        roles=tuple(line.get("my_effective_roles") or ()),
        default_folder=str(line.get("default_directory") or "/~/"),
    )
