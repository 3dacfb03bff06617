"""Hosts of the Connect Personal kind: registered by anybody, connected by a node that holds the setup key, shared from at Transfer."""

import subprocess
import sys
from ipaddress import ip_address

import httpx
import pytest
from cryptography import x509
from globus_sdk import TransferAPIError, TransferData

from tests.services.localglobus.conftest import CHECKOUT
from tests.services.localglobus.test_certificates import request as signing_request
from tests.services.localglobus.transfer.conftest import NODES, wait_until

ADDRESS = "127.0.0.9"


@pytest.fixture
def ada(sites):
    return sites.person("ada")


@pytest.fixture
def host(ada):
    """The answer to a registration by Ada, deleted afterwards."""
    asked = {"DATA_TYPE": "endpoint", "is_globus_connect": True, "display_name": "Ada's laptop", "description": "on her desk"}
    made = ada.post("/v0.10/endpoint", data=asked)
    yield made
    if any(each["id"] == made["id"] for each in ada.endpoint_search(filter_scope="my-gcp-endpoints")):
        ada.delete_endpoint(made["id"])


@pytest.fixture
def laptop(sites, host, tmp_path):
    """The folder of a node that holds the setup key and is connected."""
    folder, key = tmp_path / "laptop", tmp_path / "key"
    (folder / "photos").mkdir(parents=True)
    (folder / "photos/one.txt").write_text("one")
    key.write_text(host["globus_connect_setup_key"])
    command = [sys.executable, "-m", "services.dtn", "--name", host["id"], "--data", str(folder), "--secret-file", str(key)]
    command += ["--url", f"https://{ADDRESS}:{sites.globus.port}", "--control", sites.globus.url]
    with (tmp_path / "laptop.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=log)
    assert process.stdout.readline() == b"ready\n", (tmp_path / "laptop.log").read_text()
    yield folder
    process.kill()
    process.wait(timeout=20)
    process.stdout.close()


def refused(act, *words, **more):
    with pytest.raises(TransferAPIError) as error:
        act(*words, **more)
    return error.value.http_status, error.value.code


def finished(client, task_id):
    return wait_until(lambda: (task := client.get_task(task_id).data)["completion_time"] and task)


def test_host_is_registered_and_not_connected_yet(sites, ada, host):
    assert ADDRESS not in NODES.values()
    document = ada.get_endpoint(host["id"])
    assert (document["entity_type"], document["is_globus_connect"], document["gcp_connected"]) == ("GCP_mapped_collection", True, False)
    assert (document["owner_id"], document["gcs_manager_url"]) == (sites.identity("ada@university.example"), None)
    assert (document["description"], document["globus_connect_setup_key"]) == ("on her desk", None)
    assert refused(ada.operation_ls, host["id"], "/") == (502, "ExternalError.DirListingFailed.GCDisconnected")
    assert host["id"] in {each["id"] for each in ada.endpoint_search(filter_scope="my-gcp-endpoints")}
    assert host["id"] not in {each["id"] for each in sites.person("cy").endpoint_search(filter_scope="my-gcp-endpoints")}
    ada.update_endpoint(host["id"], {"DATA_TYPE": "endpoint", "display_name": "Renamed"})
    assert ada.get_endpoint(host["id"])["display_name"] == "Renamed"


def test_owner_copies_from_and_to_it_without_further_consent(sites, ada, host, laptop, folder):
    wait_until(lambda: ada.get_endpoint(host["id"])["gcp_connected"])
    assert [each["name"] for each in ada.operation_ls(host["id"], "/~/")] == ["photos"]
    share = sites.collection("share")
    rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": sites.identity("ada@university.example")}
    sites.service("portal").add_endpoint_acl_rule(share, {**rule, "path": f"/{folder.name}/", "permissions": "rw"})
    up = TransferData(host["id"], share)
    up.add_item("/photos/", f"/{folder.name}/photos/", recursive=True)
    assert finished(ada, ada.submit_transfer(up)["task_id"])["status"] == "SUCCEEDED"
    assert (folder / "photos/one.txt").read_text() == "one"
    down = TransferData(share, host["id"])
    down.add_item(f"/{folder.name}/photos/one.txt", "/~/back.txt")
    assert finished(ada, ada.submit_transfer(down)["task_id"])["status"] == "SUCCEEDED"
    assert (laptop / "back.txt").read_text() == "one"
    assert refused(sites.person("cy").operation_ls, host["id"], "/") == (403, "EndpointPermissionDenied")


def test_task_waits_until_the_host_is_connected(sites, ada, host, folder, request):
    asked = TransferData(host["id"], host["id"])
    asked.add_item("/photos/one.txt", "/photos/two.txt")
    task_id = ada.submit_transfer(asked)["task_id"]
    assert ada.get_task(task_id)["status"] == "ACTIVE"
    laptop = request.getfixturevalue("laptop")
    assert finished(ada, task_id)["status"] == "SUCCEEDED"
    assert (laptop / "photos/two.txt").read_text() == "one"


def test_folder_of_it_is_shared(sites, ada, host, laptop):
    cy = sites.person("cy")
    asked = {"DATA_TYPE": "shared_endpoint", "host_endpoint": host["id"], "host_path": "/photos/", "display_name": "Ada's photos"}
    assert refused(cy.create_shared_endpoint, asked) == (403, "EndpointPermissionDenied")
    assert refused(ada.create_shared_endpoint, {**asked, "host_path": "/none/"}) == (404, "NotFound")
    assert refused(ada.create_shared_endpoint, {**asked, "host_path": "/photos/one.txt"}) == (400, "BadRequest")
    guest = ada.create_shared_endpoint(asked)["id"]
    document = ada.get_endpoint(guest)
    assert (document["entity_type"], document["host_endpoint_id"]) == ("GCP_guest_collection", host["id"])
    assert (document["acl_available"], document["acl_editable"], document["is_share"]) == (True, True, True)
    assert guest in {each["id"] for each in ada.get(f"/v0.10/endpoint/{host['id']}/my_shared_endpoint_list")["DATA"]}
    assert refused(cy.operation_ls, guest, "/") == (403, "EndpointPermissionDenied")
    rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": sites.identity("cy@elsewhere.example"), "path": "/"}
    ada.add_endpoint_acl_rule(guest, {**rule, "permissions": "r"})
    assert [each["name"] for each in cy.operation_ls(guest, "/")] == ["one.txt"]
    assert refused(ada.create_shared_endpoint, {**asked, "host_endpoint": guest})[0] == 400
    ada.delete_endpoint(host["id"])
    for each in (guest, host["id"]):
        assert refused(ada.get_endpoint, each) == (404, "EndpointNotFound")


def register(sites, host, address, csr=None):
    """What the node of a host says at its start."""
    body = {"protocol": 1, "name": host["id"], "instance": host["id"], "url": f"https://{address}:{sites.globus.port}", "csr": csr}
    headers = {"Authorization": f"Bearer {host['globus_connect_setup_key']}"}
    return httpx.post(f"{sites.globus.url}/dtn/v1/register", json=body, headers=headers, trust_env=False)


def test_computer_gets_a_certificate_for_its_own_address_alone(sites, host):
    own, archive = (signing_request(x509.IPAddress(ip_address(each))) for each in (ADDRESS, NODES["archive"]))
    assert register(sites, host, ADDRESS, archive).status_code == 400
    both = signing_request(*(x509.IPAddress(ip_address(each)) for each in (ADDRESS, NODES["archive"])))
    assert register(sites, host, ADDRESS, both).status_code == 400
    made = x509.load_pem_x509_certificate(register(sites, host, ADDRESS, own).json()["certificate"].encode())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [*map(str, names.get_values_for_type(x509.IPAddress))] == [ADDRESS]


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "127.0.0.2", *NODES.values(), "127.0.0.5", "[::ffff:127.0.0.3]"])
def test_computer_is_nowhere_where_a_service_is(sites, host, address):
    name = "127.0.0.3" if ":" in address else address
    csr = signing_request(x509.DNSName(name) if name == "localhost" else x509.IPAddress(ip_address(name)))
    for asked in (csr, None):
        answer = register(sites, host, address, asked)
        assert (answer.status_code, "another service" in answer.json()["message"]) == (400, True)


def test_computer_is_not_where_somebody_elses_is(sites, ada, host):
    assert register(sites, host, ADDRESS).status_code == 200
    cy = sites.person("cy")
    foreign = cy.post("/v0.10/endpoint", data={"is_globus_connect": True, "display_name": "Cy's laptop"})
    try:
        assert register(sites, foreign, ADDRESS).status_code == 400
        assert register(sites, foreign, "127.0.0.10").status_code == 200
    finally:
        cy.delete_endpoint(foreign["id"])


def test_setup_key_ends_with_its_host(sites, ada, host):
    name = f"dtn-{host['id']}.secret"
    assert (sites.globus.data / name).stat().st_mode & 0o077 == 0
    assert refused(sites.person("cy").delete_endpoint, host["id"]) == (403, "PermissionDenied")
    ada.delete_endpoint(host["id"])
    assert not (sites.globus.data / name).exists()
    assert refused(ada.get_endpoint, host["id"]) == (404, "EndpointNotFound")


def test_endpoints_of_other_kinds_are_not_made_here(sites, ada):
    assert refused(ada.post, "/v0.10/endpoint", data={"DATA_TYPE": "endpoint", "display_name": "x"}) == (409, "NotSupported")
    before = {path.name for path in sites.globus.data.glob("dtn-*.secret")}
    assert refused(ada.post, "/v0.10/endpoint", data={"is_globus_connect": True, "display_name": " "})[0] == 400
    assert {path.name for path in sites.globus.data.glob("dtn-*.secret")} == before
    asked = {"DATA_TYPE": "shared_endpoint", "host_endpoint": sites.collection("archive"), "host_path": "/", "display_name": "x"}
    assert refused(ada.create_shared_endpoint, asked) == (409, "NotSupported")
