"""`globus session show|update|consent` and what the CLI says of high assurance, with its own words and exit statuses."""

import time
import uuid

import pytest
from globus_sdk import AccessTokenAuthorizer, AuthClient, MappedCollectionDocument, StorageGatewayDocument
from globus_sdk.scopes import AuthScopes

from tests.contract.cli import sign_in
from tests.contract.conftest import approve, person
from tests.services.localglobus.conftest import use

pytestmark = pytest.mark.long

DEE, ADA, OBSERVATORY = "dee@archive.example", "ada@university.example", "ada@observatory.example"


@pytest.fixture(scope="module")
def dee(server, running_sites, tmp_path_factory):
    return person(server, running_sites, tmp_path_factory.mktemp("dee"), DEE, "--gcs", gcs_endpoint(running_sites))


@pytest.fixture(scope="module")
def ada(server, running_sites, tmp_path_factory):
    return person(server, running_sites, tmp_path_factory.mktemp("ada"), ADA)


def gcs_endpoint(sites):
    with pytest.MonkeyPatch.context() as patch:
        use(sites.globus, patch)
        return sites.manager("demo").endpoint_client_id


def update(sites, cli, who, *words):
    """`globus session update` in a browser of its own."""
    return sign_in(cli, ["session", "update", "--no-local-server", *words], lambda address: approve(sites, address, who))


@pytest.fixture
def guarded(sites, folder):
    """A collection of high assurance over the test's folder, which asks for a second factor that a plain sign-in has not."""
    manager = sites.manager("demo")
    document = StorageGatewayDocument(
        display_name=f"Guarded {uuid.uuid4()}",
        connector_id="145812c8-decc-41f1-83cf-bb2a85a2a70b",
        high_assurance=True,
        authentication_timeout_mins=60,
        require_mfa=True,
    )
    gateway = manager.create_storage_gateway(document)["id"]
    wanted = MappedCollectionDocument(
        storage_gateway_id=gateway, collection_base_path=f"/shares/{folder.name}/", display_name="Guarded", public=True
    )
    made = manager.create_collection(wanted)["id"]
    yield gateway, made
    manager.delete_collection(made)
    manager.delete_storage_gateway(gateway)


def test_a_session_is_updated_with_another_identity(sites, ada):
    before = ada.json("session", "show")["authentications"]
    time.sleep(1)  # the CLI tells whole seconds
    answer = update(sites, ada, OBSERVATORY, OBSERVATORY)
    assert (answer.status, "successfully updated" in answer.text) == (0, True), answer
    after = ada.json("session", "show")["authentications"]
    identity = sites.identity(OBSERVATORY)
    assert after[identity]["auth_time"] > max(facts["auth_time"] for facts in before.values())
    assert ada("whoami").text.strip() == ADA
    assert ada("session", "update", "nobody@university.example", status=1).errors


def test_a_session_is_updated_for_a_policy_and_a_domain(sites, ada):
    tokens = sites.globus.client("demo").oauth2_client_credentials_tokens(str(AuthScopes.manage_projects))
    auth = AuthClient(authorizer=AccessTokenAuthorizer(tokens["access_token"]))
    policy = auth.create_policy(project_id=uuid.uuid4(), display_name="x", description="y", required_mfa=True)["policy"]["id"]
    try:
        answer = update(sites, ada, ADA, "--policy", policy)
        assert answer.status == 0, answer
        assert ada.json("session", "show")["authentications"][sites.identity(ADA)]["amr"] == ["mfa"]
    finally:
        auth.delete_policy(policy)
    assert update(sites, ada, OBSERVATORY, "observatory.example").status == 0


def test_high_assurance_is_explained_by_the_cli(sites, dee, guarded):
    identity, (gateway, collection) = sites.identity(DEE), guarded
    dee("endpoint", "user-credential", "create", "posix", gcs_endpoint(sites), gateway, DEE, "dee")
    refused = dee("ls", f"{collection}:/", status=4)
    assert "requires you to re-authenticate" in refused.text
    assert f"globus session update {identity}" in refused.text
    created = dee("gcs", "collection", "create", "guest", collection, "/", "Of Dee", status=4)
    assert "Session timeout detected" in created.text + created.errors
    assert dee("gcs", "collection", "show", collection).record["High Assurance"] == "True"
