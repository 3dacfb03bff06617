"""A mapped collection at the archive that lets nobody in without a second factor, and Dee, who has an account there."""

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import globus_sdk
import httpx
import pytest
from globus_sdk import GCSClient, MappedCollectionDocument, StorageGatewayDocument
from globus_sdk.scopes import GCSEndpointScopes

from portal.models import User
from tests.transfers.conftest import press
from transfers import globus, tokens

DEE = "dee@archive.example"
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


@pytest.fixture
def guarded_folder(world):
    """A new folder of the archive."""
    folder = world.stack.places.archive / "shares" / uuid.uuid4().hex
    folder.mkdir()
    return folder


@pytest.fixture
def guarded(world, guarded_folder):
    """The id of a collection of that folder that asks for a second factor."""
    with guarded_collection(world.environment, f"/shares/{guarded_folder.name}/") as collection:
        yield uuid.UUID(collection)


@pytest.fixture
def real_dee(db, world):
    response = world.sign_in(DEE, globus.TRANSFER_SCOPE)
    with globus_sdk.AuthClient(authorizer=globus_sdk.AccessTokenAuthorizer(response["access_token"])) as client:
        told = client.userinfo()
    person = User.objects.create(id=uuid.UUID(told["sub"]), username=DEE, name="Dee", email=DEE)
    tokens.store_tokens(person, response)
    return person


def sign_in_at(world, address):
    """The tokens of Dee, who goes to the address that the portal sent her to; only its verifier is not ours to know."""
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert asked["code_challenge_method"] == "S256"
    parameters = {name: value for name, value in asked.items() if name.startswith("session_") or name == "prompt"}
    client = globus_sdk.ConfidentialAppAuthClient(
        world.environment["CAUSEWAY_GLOBUS_CLIENT_ID"], world.environment["CAUSEWAY_GLOBUS_CLIENT_SECRET"]
    )
    client.oauth2_start_flow(f"{world.stack.addresses.web}/complete/globus/", requested_scopes=asked["scope"], refresh_tokens=True)
    with httpx.Client(trust_env=False) as browser:
        page = browser.get(client.oauth2_get_authorize_url(query_params=parameters))
        for _ in range(12):
            if page.is_redirect:
                target = page.headers["location"]
                if "/complete/globus/" in target:
                    return dict(client.oauth2_exchange_code_for_tokens(parse_qs(urlsplit(target).query)["code"][0]).data)
                page = browser.get(str(page.url.join(target)))
            elif shown := re.search(r'id="sent">(\d{6})<', page.text):
                form = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
                page = browser.post(page.url, data={**{k: v.replace("&amp;", "&") for k, v in form.items()}, "code": shown[1]})
            else:
                page = press(browser, page, DEE, "Allow")
    raise AssertionError("no end of pages")
