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


def test_what_she_may_see_no_more_is_not_found_by_her_tasks(sites, folder):
    manager, demo, cy = sites.manager("demo"), sites.service("demo"), sites.person("cy")
    made = {"DATA_TYPE": "collection#1.0.0", "collection_type": "guest", "display_name": folder.name, "public": False}
    path = {"collection_base_path": f"/shares/{folder.name}/", "mapped_collection_id": sites.collection("storage")}
    guest = manager.create_collection({**made, **path})["id"]
    laptop = cy.post("/v0.10/endpoint", data={"is_globus_connect": True, "display_name": "Never connected"})["id"]
    try:
        rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": sites.identity("cy@elsewhere.example"), "path": "/"}
        rule_id = demo.add_endpoint_acl_rule(guest, {**rule, "permissions": "r"})["access_id"]
        asked = TransferData(guest, laptop)
        asked.add_item("/a.txt", "/a.txt")
        task_id = cy.submit_transfer(asked)["task_id"]
        assert guest in {each["id"] for each in cy.endpoint_search(filter_scope="in-use")}
        demo.delete_endpoint_acl_rule(guest, rule_id)
        assert {each["id"] for each in cy.endpoint_search(filter_scope="in-use")} & {guest, laptop} == {laptop}
        cy.cancel_task(task_id)
    finally:
        cy.delete_endpoint(laptop)
        manager.delete_collection(guest)


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
    assert found(filter_non_functional=True) == {portal.get_endpoint(sites.collection(name))["owner_id"] for name in ("storage", "campus")}
    assert found(filter_non_functional=False) >= guests


def test_owner_is_found_by_her_identity_or_her_name(sites):
    portal, name = sites.service("portal"), "dee@archive.example"
    share, host = sites.collection("share"), portal.get_endpoint(sites.collection("share"))["owner_id"]

    def found(owner, **more):
        return {each["id"] for each in portal.endpoint_search("Causeway", filter_owner_id=owner, **more)}

    for owner in (name, sites.identity(name)):
        assert share in found(owner)
        assert host in found(owner, filter_entity_type="GCSv5_endpoint")
    for owner in ("cy@elsewhere.example", sites.identity("cy@elsewhere.example"), host, "nobody@nowhere.example"):
        assert found(owner) == set()
    for scope in ("my-endpoints", "my-gcp-endpoints", "shared-by-me"):
        with pytest.raises(TransferAPIError) as refused:
            found(name, filter_scope=scope)
        assert refused.value.http_status == 400


def test_endpoints_are_found_by_their_type(sites):
    portal, dee, cy = sites.service("portal"), sites.person("dee"), sites.person("cy")
    host = portal.get_endpoint(sites.collection("share"))["owner_id"]

    def found(client, **filters):
        return list(client.endpoint_search(filter_entity_type="GCSv5_endpoint", **filters))

    documents = found(cy, filter_fulltext="causeway archive")
    assert [(each["id"], each["entity_type"]) for each in documents] == [(host, "GCSv5_endpoint")]
    for scope in ("my-endpoints", "administered-by-me"):
        assert host in {each["id"] for each in found(dee, filter_scope=scope)}
        assert found(cy, filter_scope=scope) == []
    for scope in ("shared-by-me", "my-gcp-endpoints", "recently-used", "in-use", "shared-with-me"):
        assert found(dee, filter_scope=scope) == []
    with pytest.raises(TransferAPIError) as refused:
        found(cy, filter_fulltext="causeway", filter_non_functional=True)
    assert refused.value.http_status == 400


def test_words_are_looked_for_in_keywords_and_department(sites):
    dee, share = sites.person("dee"), sites.collection("share")
    texts = {"keywords": "ozone,aerosol", "department": "Atmosphere"}
    kept = {name: dee.get_endpoint(share)[name] for name in texts}
    assert dee.endpoint_search("aerosol atmosphere")["DATA"] == []
    dee.update_endpoint(share, {"DATA_TYPE": "endpoint", **texts})
    try:
        assert [each["id"] for each in dee.endpoint_search("Aerosol atmosphere")] == [share]
        assert dee.endpoint_search("aerosol stratosphere")["DATA"] == []
    finally:
        dee.update_endpoint(share, {"DATA_TYPE": "endpoint", **kept})


def test_endpoint_is_described_by_who_looks_after_it_and_found_by_that(sites):
    dee, cy = sites.person("dee"), sites.person("cy")
    host = dee.get_endpoint(sites.collection("campus"))["owner_id"]
    kept = dee.get_endpoint(host)["department"]
    with pytest.raises(TransferAPIError) as refused:
        cy.update_endpoint(host, {"DATA_TYPE": "endpoint", "department": "Mine"})
    assert (refused.value.http_status, refused.value.code) == (403, "PermissionDenied")
    dee.update_endpoint(host, {"DATA_TYPE": "endpoint", "department": "Glaciology"})
    try:
        assert dee.get_endpoint(host)["department"] == "Glaciology"
        assert [each["id"] for each in cy.endpoint_search("glaciology", filter_non_functional=True)] == [host]
    finally:
        dee.update_endpoint(host, {"DATA_TYPE": "endpoint", "department": kept})


def test_scopes_of_what_one_owns_and_shares(sites):
    dee, cy, storage = sites.person("dee"), sites.person("cy"), sites.collection("storage")
    guests = {sites.collection(name) for name in ("archive", "share", "results")}

    def found(client, scope):
        return {each["id"] for each in client.endpoint_search(filter_scope=scope, limit=1000)}

    assert found(dee, "my-endpoints") >= {*guests, storage}
    assert found(dee, "shared-by-me") >= guests
    assert storage not in found(dee, "shared-by-me")
    assert found(dee, "administered-by-me") >= {*guests, storage}
    for scope in ("my-endpoints", "shared-by-me", "administered-by-me", "my-gcp-endpoints", "in-use"):
        assert found(cy, scope) & {*guests, storage} == set(), scope
    assert found(dee, "my-gcp-endpoints") & {*guests, storage} == set()
    assert found(dee, "shared-with-me") & guests == set()  # her own
    with pytest.raises(TransferAPIError) as refused:
        found(dee, "nonsense")
    assert refused.value.http_status == 400


def test_what_one_used_is_her_own_memory(sites):
    portal, ada = sites.service("portal"), sites.person("ada", data_access="campus")
    archive, campus = sites.collection("archive"), sites.collection("campus")
    portal.operation_ls(archive, path="/public/")
    ada.operation_ls(campus, path="/~/")
    assert archive in {each["id"] for each in portal.endpoint_search(filter_scope="recently-used")}
    assert campus in {each["id"] for each in ada.endpoint_search(filter_scope="recently-used")}
    assert campus not in {each["id"] for each in portal.endpoint_search(filter_scope="recently-used")}


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
