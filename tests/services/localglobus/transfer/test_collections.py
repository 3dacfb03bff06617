"""Which collections are seen, searched and listed, and by whom."""

import pytest
from globus_sdk import TransferAPIError, TransferData

from tests.services.localglobus.transfer.conftest import wait_until


def test_endpoint_document_has_what_the_clients_read(sites):
    document = sites.service("portal").get_endpoint(sites.collection("share"))
    assert document["entity_type"] == "GCSv5_guest_collection"
    assert document["gcs_manager_url"] == sites.globus.env["CAUSEWAY_GCS_ADDRESS"]
    assert document["https_server"] == f"{sites.node_url('archive')}/{sites.collection('share')}"
    assert document["mapped_collection_id"] == sites.collection("storage")
    assert document["acl_editable"] is True
    assert document["my_effective_roles"] == ["access_manager"]
    assert sites.person("ada").get_endpoint(sites.collection("share"))["acl_editable"] is False


def test_collection_that_is_not_public_is_not_found_by_a_stranger(sites):
    with pytest.raises(TransferAPIError) as refused:
        sites.person("cy").get_endpoint(sites.collection("storage"))
    assert (refused.value.http_status, refused.value.code) == (404, "EndpointNotFound")
    assert sites.service("portal").get_endpoint(sites.collection("storage"))["entity_type"] == "GCSv5_mapped_collection"


def test_search_scopes(sites):
    ada = sites.person("ada", data_access="campus")
    assert [each["display_name"] for each in ada.endpoint_search("campus")] == ["Campus storage"]
    assert "Archive storage" not in [each["display_name"] for each in ada.endpoint_search("storage")]
    assert [each["id"] for each in ada.endpoint_search(filter_scope="administered-by-me")] == []
    portal = sites.service("portal")
    assert {each["display_name"] for each in portal.endpoint_search(filter_scope="administered-by-me")} >= {
        "Causeway Archive",
        "Causeway Shares",
    }
    ada.operation_ls(sites.collection("campus"), path="/~/")
    assert sites.collection("campus") in [each["id"] for each in ada.endpoint_search(filter_scope="recently-used")]
    with pytest.raises(TransferAPIError) as refused:
        ada.endpoint_search()
    assert refused.value.http_status == 400


def test_shared_with_me_names_what_a_rule_gives_to_her(sites, folder):
    ada, portal, share = sites.person("ada"), sites.service("portal"), sites.collection("share")
    assert share not in [each["id"] for each in ada.endpoint_search(filter_scope="shared-with-me")]
    rule = {
        "DATA_TYPE": "access",
        "principal_type": "identity",
        "principal": sites.identity("ada@university.example"),
        "path": f"/{folder.name}/",
        "permissions": "r",
    }
    rule_id = portal.add_endpoint_acl_rule(share, rule)["access_id"]
    assert share in [each["id"] for each in ada.endpoint_search(filter_scope="shared-with-me")]
    portal.delete_endpoint_acl_rule(share, rule_id)


def test_unmapped_identity_is_refused_on_a_mapped_collection(sites):
    with pytest.raises(TransferAPIError) as refused:
        sites.person("cy", data_access="campus").operation_ls(sites.collection("campus"))
    assert (refused.value.http_status, refused.value.code) == (403, "EndpointPermissionDenied")


def test_mapped_collection_asks_for_consent_first_then_lists_home(sites):
    campus = sites.collection("campus")
    with pytest.raises(TransferAPIError) as refused:
        sites.service("portal").operation_ls(campus)
    asked = refused.value.info.consent_required
    assert refused.value.http_status == 403
    assert refused.value.message == "Missing required data_access consent"
    assert asked.required_scopes == [
        f"urn:globus:auth:scope:transfer.api.globus.org:all[*https://auth.globus.org/scopes/{campus}/data_access]"
    ]
    (sites.root("campus") / "home/ada/thesis.txt").write_text("draft")
    listed = sites.person("ada", data_access="campus").operation_ls(campus)
    assert "thesis.txt" in [entry["name"] for entry in listed]
    assert listed["path"] == "/home/ada/"


def test_search_filters(sites, folder):
    portal, storage = sites.service("portal"), sites.collection("storage")

    def found(**filters):
        return {each["id"] for each in portal.endpoint_search("Causeway", filter_scope="all", **filters)}

    guests = {sites.collection(name) for name in ("archive", "share", "results")}
    assert found(filter_host_endpoint=storage) >= guests
    assert found(filter_host_endpoint=sites.collection("campus")) & guests == set()
    assert found(filter_entity_type="GCSv5_mapped_collection") & guests == set()
    assert found(filter_owner_id=portal.get_endpoint(storage)["owner_id"]) >= guests
    assert found(filter_non_functional=True) == set()


def test_collections_of_open_tasks_are_in_use(sites, folder):
    portal, share = sites.service("portal"), sites.collection("share")
    sites.fault(kind="node.ticket", times=10_000, error={"http_status": 503, "code": "ServiceUnavailable", "message": "busy"})
    asked = TransferData(sites.collection("archive"), share)
    asked.add_item("/public/notes.txt", f"/{folder.name}/notes.txt")
    task_id = portal.submit_transfer(asked)["task_id"]
    assert share in {each["id"] for each in portal.endpoint_search(filter_scope="in-use")}
    sites.clear_faults()
    wait_until(lambda: portal.get_task(task_id)["status"] == "SUCCEEDED")
    wait_until(lambda: share not in {each["id"] for each in portal.endpoint_search(filter_scope="in-use")})  # other tests leave tasks
