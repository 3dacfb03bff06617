"""A collection in a bucket from the GCS Manager to the bytes: gateway, mapped and guest collection, tasks. Encryption that is forced."""

import os
import ssl
import subprocess
import sys

import httpx
import pytest
from globus_sdk import AccessTokenAuthorizer, DeleteData, GCSAPIError, GCSClient, GuestCollectionDocument, TransferClient, TransferData
from globus_sdk.scopes import GCSCollectionScopes, GCSEndpointScopes, TransferScopes
from globus_sdk.services.gcs import (
    MappedCollectionDocument,
    S3StoragePolicies,
    StorageGatewayDocument,
)
from globus_sdk.services.gcs.connector_table import ConnectorTable

from tests.services.dtn.s3_server import KEYS, S3Server
from tests.services.localglobus.conftest import CHECKOUT

pytestmark = pytest.mark.long

MIB = 1 << 20
S3 = ConnectorTable.S3.connector_id


@pytest.fixture(scope="module")
def bucket_server(tmp_path_factory):
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.client.create_bucket(Bucket="archive-bucket")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def bucket_sites(running_sites, bucket_server):
    """The archive's node started anew with an account at the S3 server; as it was afterwards."""
    sites = running_sites
    accounts = sites.folder / "accounts.toml"
    accounts.write_text(
        f'[[account]]\nendpoint = "{bucket_server.url}"\nbuckets = ["archive-bucket"]\naccess_key_id = "{KEYS[0]}"\n'
        f'secret_access_key = "{KEYS[1]}"\nfolder_marker = "{bucket_server.marker}"\n'
    )
    accounts.chmod(0o600)
    sites.stop_node("archive")
    command = [sys.executable, "-m", "services.dtn", "--name", "archive", "--data", str(sites.root("archive")), "--s3-accounts", accounts]
    command += ["--url", sites.node_url("archive"), "--control", sites.globus.url, "--faults"]
    command += ["--secret-file", str(sites.globus.data / "dtn-archive.secret")]
    with (sites.folder / "archive.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=log)
    assert process.stdout.readline() == b"ready\n", (sites.folder / "archive.log").read_text()
    sites.nodes["archive"] = process
    yield sites
    sites.stop_node("archive")
    sites.start_node("archive")


@pytest.fixture
def manager(sites):
    return sites.manager("demo")


def gateway_document(server, **policies):
    asked = S3StoragePolicies(s3_endpoint=server.url, s3_buckets=["archive-bucket"], additional_fields=policies)
    return StorageGatewayDocument(display_name="Buckets", connector_id=S3, policies=asked)


@pytest.fixture
def gateway(manager, bucket_server):
    made = manager.create_storage_gateway(gateway_document(bucket_server))["id"]
    yield made
    manager.delete_storage_gateway(made)


@pytest.fixture
def mapped(bucket_sites, manager, gateway):
    document = MappedCollectionDocument(
        storage_gateway_id=gateway, collection_base_path="/archive-bucket/data/", display_name="In a bucket", public=True,
        allow_guest_collections=True,
    )  # fmt: skip
    made = manager.create_collection(document)
    yield made
    manager.delete_collection(made["id"])


@pytest.fixture
def acting(sites, mapped):
    """The demo client as itself, with the consents for the mapped collection and the campus."""
    wanted = TransferScopes.all
    for collection in (mapped["id"], sites.collection("campus")):
        wanted = wanted.with_dependency(GCSCollectionScopes(collection).data_access.with_optional(True))
    tokens = sites.globus.client("demo").oauth2_client_credentials_tokens(str(wanted))
    return TransferClient(authorizer=AccessTokenAuthorizer(tokens["access_token"]))


def wait_for(client, task_id):
    assert client.task_wait(task_id, timeout=60, polling_interval=1)
    return client.get_task(task_id)


def test_a_gateway_says_which_buckets_and_never_a_key(manager, bucket_server, gateway):
    found = manager.get_storage_gateway(gateway)
    assert found["connector_id"] == S3
    assert found["policies"] == {
        "DATA_TYPE": "s3_storage_policies#1.0.0",
        "s3_endpoint": bucket_server.url,
        "s3_buckets": ["archive-bucket"],
        "s3_user_credential_required": False,
    }
    changed = S3StoragePolicies(s3_buckets=["archive-bucket", "another-one"])
    manager.update_storage_gateway(gateway, {"DATA_TYPE": "storage_gateway#1.0.0", "policies": dict(changed)})
    assert manager.get_storage_gateway(gateway)["policies"]["s3_buckets"] == ["archive-bucket", "another-one"]


@pytest.mark.parametrize(
    "policies",
    [{"s3_buckets": []}, {"s3_buckets": ["Not a bucket"]}, {"s3_endpoint": "ftp://x"}, {"s3_user_credential_required": True}],
)
def test_what_is_no_gateway_to_buckets_is_refused(manager, bucket_server, policies):
    with pytest.raises(GCSAPIError) as refused:
        manager.create_storage_gateway(gateway_document(bucket_server, **policies))
    assert (refused.value.http_status, refused.value.code) == (400, "bad_request")


@pytest.mark.parametrize("more", [{"collection_base_path": "/other-bucket/"}, {"collection_base_path": "/"}, {"engine": "gridftp"}])
def test_a_collection_stands_on_a_bucket_of_its_gateway_and_no_gridftp_server(manager, gateway, more):
    asked = {"collection_base_path": "/archive-bucket/data/", **more}
    document = MappedCollectionDocument(storage_gateway_id=gateway, display_name="Wrong", public=False, additional_fields=asked)
    with pytest.raises(GCSAPIError) as refused:
        manager.create_collection(document)
    assert (refused.value.http_status, refused.value.code) == (400, "bad_request")


def test_a_bucket_is_listed_written_and_copied_like_a_disk(bucket_sites, bucket_server, acting, mapped):
    sites, collection = bucket_sites, mapped["id"]
    assert (mapped["connector_id"], acting.get_endpoint(collection)["storage_type"]) == (S3, "S3")
    acting.operation_mkdir(collection, "/runs")
    content = os.urandom(20 * MIB + 1)
    bucket_server.client.put_object(Bucket="archive-bucket", Key="data/runs/big.nc", Body=content)
    bucket_server.client.put_object(Bucket="archive-bucket", Key="data/runs/é 1.txt", Body=b"small")
    listed = acting.operation_ls(collection, path="/runs/", orderby="name")
    assert [(entry["name"], entry["size"]) for entry in listed] == [("big.nc", len(content)), ("é 1.txt", 5)]
    there = TransferData(collection, sites.collection("campus"), verify_checksum=True)
    target = f"/from-bucket-{os.urandom(4).hex()}"
    there.add_item("/runs/", target, recursive=True)
    sent = wait_for(acting, acting.submit_transfer(there)["task_id"])
    assert sent["status"] == "SUCCEEDED", list(acting.task_event_list(sent["task_id"]))
    assert (sites.root("campus") / target.strip("/") / "big.nc").read_bytes() == content
    back = TransferData(sites.collection("campus"), collection, verify_checksum=True)
    back.add_item(target, "/again/", recursive=True)
    assert wait_for(acting, acting.submit_transfer(back)["task_id"])["status"] == "SUCCEEDED"
    assert bucket_server.client.get_object(Bucket="archive-bucket", Key="data/again/big.nc")["Body"].read() == content
    acting.operation_rename(collection, "/again", "/renamed")
    assert sorted(entry["name"] for entry in acting.operation_ls(collection, path="/")) == ["renamed", "runs"]
    for folder in ("/renamed/", "/runs/"):
        asked = DeleteData(collection, recursive=True)
        asked.add_item(folder)
        task = acting.submit_delete(asked)
        assert wait_for(acting, task["task_id"])["status"] == "SUCCEEDED"
    assert list(acting.operation_ls(collection, path="/")) == []


def test_a_guest_collection_shares_a_folder_of_a_bucket(bucket_sites, bucket_server, mapped):
    sites = bucket_sites
    bucket_server.client.put_object(Bucket="archive-bucket", Key="data/shared/note.txt", Body=b"for one")
    address = sites.globus.env["CAUSEWAY_GCS_ADDRESS"]
    scope = GCSEndpointScopes(GCSClient(address).endpoint_client_id).manage_collections
    scope = scope.with_dependency(GCSCollectionScopes(mapped["id"]).data_access)
    tokens = sites.globus.client("demo").oauth2_client_credentials_tokens(str(scope))
    manager = GCSClient(address, authorizer=AccessTokenAuthorizer(tokens["access_token"]))
    guest = manager.create_collection(
        GuestCollectionDocument(mapped_collection_id=mapped["id"], collection_base_path="/shared/", display_name="Shared", public=False)
    )["id"]
    try:
        assert sites.fetch("demo", guest, "/note.txt").text == "for one"
        verify = ssl.create_default_context(cafile=sites.globus.data / "ca.pem")
        answer = httpx.get(f"{sites.node_url('archive')}/{guest}/note.txt", verify=verify, trust_env=False)
        assert answer.status_code == 401
    finally:
        manager.delete_collection(guest)
        bucket_server.client.delete_object(Bucket="archive-bucket", Key="data/shared/note.txt")


def test_forced_encryption_is_the_tasks_whatever_she_asks(sites, manager, request):
    """As at Globus: the collection's word counts, the task says so; and a guest collection has no other word than its mapped one."""
    storage = sites.collection("storage")
    demo = sites.service("demo", data_access="storage")
    (sites.root("archive") / "data/public/forced.txt").write_text("x")
    request.addfinalizer((sites.root("archive") / "data/public/forced.txt").unlink)

    def asks(*, encrypts):
        asked = TransferData(storage, storage, encrypt_data=encrypts)
        asked.add_item("/data/public/forced.txt", f"/shares/forced-{os.urandom(4).hex()}.txt")
        return wait_for(demo, demo.submit_transfer(asked)["task_id"])

    assert asks(encrypts=False)["encrypt_data"] is False
    assert asks(encrypts=True)["encrypt_data"] is True
    manager.update_collection(storage, {"DATA_TYPE": "collection#1.10.0", "force_encryption": True})
    try:
        assert demo.get_endpoint(storage)["force_encryption"] is True
        forced = asks(encrypts=False)
        assert (forced["status"], forced["encrypt_data"]) == ("SUCCEEDED", True)
    finally:
        manager.update_collection(storage, {"DATA_TYPE": "collection#1.10.0", "force_encryption": False})
    assert asks(encrypts=False)["encrypt_data"] is False
    for file in (sites.root("archive") / "shares").glob("forced-*.txt"):
        file.unlink()
    with pytest.raises(GCSAPIError) as refused:
        manager.update_collection(storage, {"DATA_TYPE": "collection#1.10.0", "force_encryption": "yes"})
    assert refused.value.http_status == 400
