"""The GCS Manager by the unmodified SDK: a guest collection made, used and deleted."""

import ssl

import httpx
import pytest
from globus_sdk import (
    AccessTokenAuthorizer,
    GCSAPIError,
    GCSClient,
    GuestCollectionDocument,
    MappedCollectionDocument,
    TransferAPIError,
    TransferClient,
    UserCredentialDocument,
)
from globus_sdk.gare import to_gare
from globus_sdk.scopes import GCSCollectionScopes, GCSEndpointScopes, TransferScopes
from globus_sdk.services.gcs import GCSRoleDocument


@pytest.fixture
def document(sites, folder):
    return GuestCollectionDocument(
        mapped_collection_id=sites.collection("storage"),
        collection_base_path=f"/shares/{folder.name}",
        display_name="For one project",
        public=False,
    )


def test_info_needs_no_token(sites):
    client = GCSClient(sites.globus.env["CAUSEWAY_GCS_ADDRESS"])
    found = client.get_gcs_info()
    assert found["endpoint_id"] == found["client_id"] == client.endpoint_client_id
    with pytest.raises(GCSAPIError) as refused:
        client.get_collection_list()
    assert refused.value.http_status == 401


def test_guest_collection_is_made_used_and_deleted(sites, folder, document):
    manager, portal = sites.manager("portal"), sites.service("portal")
    (folder / "a.txt").write_text("hello")
    made = manager.create_collection(document)
    collection_id = made["id"]
    assert (made["collection_type"], made["collection_base_path"]) == ("guest", f"/shares/{folder.name}/")
    assert [entry["name"] for entry in portal.operation_ls(collection_id, path="/")] == ["a.txt"]
    assert sites.fetch("portal", collection_id, "/a.txt").text == "hello"
    assert manager.get_collection(collection_id)["display_name"] == "For one project"
    assert collection_id in [each["id"] for each in manager.get_collection_list()]
    manager.update_collection(collection_id, GuestCollectionDocument(display_name="Renamed"))
    assert portal.get_endpoint(collection_id)["display_name"] == "Renamed"
    manager.delete_collection(collection_id)
    with pytest.raises(TransferAPIError) as refused:
        portal.operation_ls(collection_id, path="/")
    assert (refused.value.http_status, refused.value.code) == (404, "EndpointNotFound")
    assert (folder / "a.txt").exists()


def test_a_whole_document_may_be_put_as_well(sites, document):
    """The SDK writes parts alone (PATCH); programs of others put what they read."""
    manager = sites.manager("portal")
    collection_id = manager.create_collection(document)["id"]
    path = f"/collections/{collection_id}"
    try:
        whole = manager.get(path)["data"][0]
        answer = manager.put(path, data={**whole, "display_name": "Put", "description": "as a whole"}).data
        assert (answer["code"], answer["http_response_code"]) == ("success", 200)
        found = manager.get_collection(collection_id)
        assert (found["display_name"], found["description"], found["public"]) == ("Put", "as a whole", False)
        credential = manager.get_user_credential_list()["data"][0]
        manager.put(f"/user_credentials/{credential['id']}", data={**credential, "display_name": "Mine"})
        assert manager.get_user_credential(credential["id"])["display_name"] == "Mine"
        manager.put(f"/user_credentials/{credential['id']}", data={**credential, "display_name": credential["display_name"]})
    finally:
        manager.delete_collection(collection_id)
    demo = sites.manager("demo")
    endpoint = demo.get("/endpoint")["data"][0]
    try:
        demo.put("/endpoint", data={**endpoint, "department": "Of a test"})
        assert demo.get("/endpoint")["data"][0]["department"] == "Of a test"
    finally:
        demo.put("/endpoint", data=endpoint)


def test_new_collection_takes_rules_and_shows_them_to_nobody_else(sites, folder, document):
    collection_id = sites.manager("portal").create_collection(document)["id"]
    ada, portal = sites.person("ada"), sites.service("portal")
    with pytest.raises(TransferAPIError) as refused:
        ada.get_endpoint(collection_id)
    assert refused.value.http_status == 404
    identity = sites.identity("ada@university.example")
    portal.add_endpoint_acl_rule(
        collection_id, {"DATA_TYPE": "access", "principal_type": "identity", "principal": identity, "path": "/", "permissions": "r"}
    )
    assert ada.operation_ls(collection_id, path="/")["total"] == 0
    sites.manager("portal").delete_collection(collection_id)


def test_creation_asks_for_the_consent_of_the_mapped_collection(sites, document):
    """The graph client never agreed to data access on this endpoint."""
    with pytest.raises(GCSAPIError) as refused:
        sites.manager("graph", has_consent=False).create_collection(document)
    assert (refused.value.http_status, refused.value.code) == (403, "ConsentRequired")
    endpoint = sites.manager("graph").endpoint_client_id
    wanted = f"{GCSEndpointScopes(endpoint).manage_collections}[{GCSCollectionScopes(sites.collection('storage')).data_access}]"
    assert refused.value.info.consent_required.required_scopes == [wanted]
    assert to_gare(refused.value).authorization_parameters.required_scopes == [wanted]


def test_lists_are_paged_by_a_marker(sites):
    manager = sites.manager("demo")
    everything = [each["id"] for each in manager.get_collection_list()]
    assert len(everything) >= 4
    assert [each["id"] for each in manager.paginated.get_collection_list(page_size=1).items()] == everything
    first = manager.get_collection_list(page_size=3)
    assert (first["has_next_page"], first["marker"], len(list(first))) == (True, everything[2], 3)
    assert manager.get_collection_list(page_size=3, marker=everything[-1])["data"] == []
    roles = manager.get_role_list(sites.collection("share"))["data"]
    assert [each["id"] for each in manager.paginated.get_role_list(sites.collection("share"), page_size=1).items()] == [
        each["id"] for each in roles
    ]
    for wrong in ({"page_size": 0}, {"page_size": "many"}, {"marker": "none"}):
        with pytest.raises(GCSAPIError) as refused:
            manager.get_collection_list(**wrong)
        assert (refused.value.http_status, refused.value.code) == (400, "bad_request")


def test_folder_must_be_there_and_confined(sites, document):
    for path, status in (("/shares/none", 404), ("/shares/../../etc", 400), ("/data/public/notes.txt", 400)):
        document["collection_base_path"] = path
        with pytest.raises(GCSAPIError) as refused:
            sites.manager("portal").create_collection(document)
        assert refused.value.http_status == status, path


def test_only_the_administrator_deletes(sites, document):
    collection_id = sites.manager("portal").create_collection(document)["id"]
    with pytest.raises(GCSAPIError) as refused:
        sites.manager("graph", has_consent=False).delete_collection(collection_id)
    assert refused.value.http_status in {403, 404}
    sites.manager("portal").delete_collection(collection_id)


def test_role_on_a_guest_collection_through_the_manager(sites, document):
    manager = sites.manager("portal")
    collection_id = manager.create_collection(document)["id"]
    graph = sites.globus.env["CAUSEWAY_GRAPH_CLIENT_ID"]
    role = manager.create_role(
        GCSRoleDocument(collection=collection_id, principal=f"urn:globus:auth:identity:{graph}", role="access_manager")
    )
    assert sites.service("graph").operation_ls(collection_id, path="/")["total"] == 0
    assert role["id"] in [each["id"] for each in manager.get_role_list(collection_id)]
    manager.delete_role(role["id"])
    with pytest.raises(TransferAPIError):
        sites.service("graph").operation_ls(collection_id, path="/")
    manager.delete_collection(collection_id)


def test_credentials_and_gateway_of_the_caller(sites):
    manager = sites.manager("portal")
    credentials = list(manager.get_user_credential_list())
    assert [each["identity_id"] for each in credentials] == [sites.globus.env["CAUSEWAY_GLOBUS_CLIENT_ID"]]
    gateway = next(iter(manager.get_storage_gateway_list()))
    assert gateway["id"] == credentials[0]["storage_gateway_id"]


def test_errors_come_in_the_envelope(sites):
    verify = ssl.create_default_context(cafile=sites.globus.data / "ca.pem")
    answer = httpx.get(f"{sites.globus.env['CAUSEWAY_GCS_ADDRESS']}/api/collections/x", verify=verify, trust_env=False)
    assert answer.status_code == 401
    assert answer.json()["DATA_TYPE"] == "result#1.0.0"


def test_administrator_makes_and_deletes_a_mapped_collection(sites, folder):
    manager = sites.manager("demo")
    gateway = manager.get_storage_gateway_list()["data"][0]["id"]
    document = MappedCollectionDocument(
        display_name="Second view", storage_gateway_id=gateway, collection_base_path=f"/shares/{folder.name}/", description="of one folder"
    )
    made = manager.create_collection(document)
    assert (made["collection_type"], made["collection_base_path"]) == ("mapped", f"/shares/{folder.name}/")
    assert made["description"] == "of one folder"
    (folder / "here.txt").write_text("here")
    scope = TransferScopes.all.with_dependency(GCSCollectionScopes(made["id"]).data_access.with_optional(True))
    tokens = sites.globus.client("demo").oauth2_client_credentials_tokens(str(scope))
    transfer = TransferClient(authorizer=AccessTokenAuthorizer(tokens["access_token"]))
    assert [each["name"] for each in transfer.operation_ls(made["id"], path="/")] == ["here.txt"]
    manage = GCSEndpointScopes(manager.endpoint_client_id).manage_collections.with_dependency(GCSCollectionScopes(made["id"]).data_access)
    sites.globus.client("demo").oauth2_client_credentials_tokens(str(manage))
    guest = manager.create_collection(
        GuestCollectionDocument(mapped_collection_id=made["id"], collection_base_path="/", display_name="On it", public=False)
    )
    with pytest.raises(GCSAPIError) as refused:
        manager.delete_collection(made["id"])
    assert (refused.value.http_status, refused.value.code) == (409, "conflict")
    for collection in (guest["id"], made["id"]):
        manager.delete_collection(collection)
        with pytest.raises(TransferAPIError):
            transfer.get_endpoint(collection)


def test_who_administers_nothing_makes_no_mapped_collection(sites):
    manager = sites.manager("portal")
    gateway = manager.get_storage_gateway_list()["data"][0]["id"]
    for act in (
        lambda: manager.create_collection(MappedCollectionDocument(display_name="Mine", storage_gateway_id=gateway)),
        lambda: manager.update_endpoint({"display_name": "Mine"}),
        lambda: manager.update_storage_gateway(gateway, {"display_name": "Mine"}),
    ):
        with pytest.raises(GCSAPIError) as refused:
            act()
        assert (refused.value.http_status, refused.value.code) == (403, "permission_denied")


def test_user_credential_is_for_oneself(sites):
    demo, portal = sites.manager("demo"), sites.manager("portal")
    foreign = portal.get_user_credential_list()["data"] or [portal.create_user_credential(UserCredentialDocument())]
    for act in (
        lambda: demo.get_user_credential(foreign[0]["id"]),
        lambda: demo.update_user_credential(foreign[0]["id"], {"display_name": "x"}),
        lambda: demo.delete_user_credential(foreign[0]["id"]),
    ):
        with pytest.raises(GCSAPIError) as refused:
            act()
        assert refused.value.http_status == 404
