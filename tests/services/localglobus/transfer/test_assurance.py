"""Storage gateways that ask for more than a token: a recent sign-in, a second factor, a domain, a policy; at Transfer, GCS and HTTPS."""

import sqlite3
import ssl
import uuid
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from globus_sdk import (
    AccessTokenAuthorizer,
    AuthClient,
    DeleteData,
    GCSAPIError,
    GCSClient,
    GlobusAppConfig,
    GuestCollectionDocument,
    MappedCollectionDocument,
    StorageGatewayDocument,
    TransferAPIError,
    TransferClient,
    TransferData,
    UserApp,
)
from globus_sdk.gare import to_gare
from globus_sdk.login_flows import LoginFlowManager
from globus_sdk.scopes import AuthScopes, GCSCollectionScopes, GCSEndpointScopes, TransferScopes

from tests.services.localglobus.transfer.conftest import wait_until

DEE = "dee@archive.example"
TRANSFER = "transfer.api.globus.org"


@dataclass
class Guarded:
    """A mapped collection on a gateway of its own, and Dee in one browser."""

    sites: object
    manager: GCSClient
    gateway: str
    id: str
    browser: object

    def sign_in(self, scope, **parameters):
        """Tokens of Dee, always from the same browser."""
        client = self.sites.globus.client("portal")
        client.oauth2_start_flow(self.sites.globus.portal_redirect, requested_scopes=str(scope))
        back = self.browser.authorize(client.oauth2_get_authorize_url(**parameters), DEE)
        return client.oauth2_exchange_code_for_tokens(back["code"]).by_resource_server

    def transfer(self, **parameters):
        token = self.sign_in(TransferScopes.all, **parameters)[TRANSFER]["access_token"]
        return TransferClient(authorizer=AccessTokenAuthorizer(token))

    @property
    def trust(self):
        return ssl.create_default_context(cafile=self.sites.globus.data / "ca.pem")

    def https(self, **headers):
        address = f"{self.sites.node_url('archive')}/{self.id}/notes.txt"
        return httpx.get(address, headers=headers, verify=self.trust, trust_env=False)

    def forget_sign_ins(self, seconds=3 * 3600):
        """As if Dee had signed in some hours ago."""
        with sqlite3.connect(self.sites.globus.data / "localglobus.sqlite", timeout=20) as connection:
            connection.execute(
                "update authentication set shown_at = shown_at - ? where identity_id = ?", (seconds, self.sites.identity(DEE))
            )
        connection.close()


@pytest.fixture
def guard(sites, folder):
    """Makes a gateway that asks for something, and a mapped collection of the test's folder on it."""
    (folder / "notes.txt").write_text("guarded\n")
    manager, made = sites.manager("demo"), []

    def make(**asked):
        document = StorageGatewayDocument(
            display_name=f"Guarded {uuid.uuid4()}", connector_id="145812c8-decc-41f1-83cf-bb2a85a2a70b", **asked
        )
        gateway = manager.create_storage_gateway(document)["id"]
        base = f"/shares/{folder.name}/"
        wanted = MappedCollectionDocument(
            storage_gateway_id=gateway, collection_base_path=base, display_name="Guarded", public=True, allow_guest_collections=True
        )
        collection = manager.create_collection(wanted)
        made.append(Guarded(sites, manager, gateway, collection["id"], sites.globus.browser()))
        return made[-1]

    yield make
    for guarded in made:
        guarded.browser.close()
        for collection in [*manager.get_collection_list(mapped_collection_id=guarded.id, filter="guest_collections"), {"id": guarded.id}]:
            manager.delete_collection(collection["id"])
        manager.delete_storage_gateway(guarded.gateway)


def refusal(act):
    with pytest.raises(TransferAPIError) as refused:
        act()
    assert refused.value.http_status == 403
    return refused.value


def test_the_documents_say_what_is_asked_for(guard):
    guarded = guard(high_assurance=True, authentication_timeout_mins=45, require_mfa=True, allowed_domains=["archive.example"])
    gateway = guarded.manager.get_storage_gateway(guarded.gateway)
    assert (gateway["high_assurance"], gateway["authentication_timeout_mins"], gateway["require_mfa"]) == (True, 45, True)
    assert gateway["allowed_domains"] == ["archive.example"]
    collection = guarded.manager.get_collection(guarded.id)
    assert (collection["high_assurance"], collection["authentication_timeout_mins"]) == (True, 45)
    told = guarded.sites.service("demo").get_endpoint(guarded.id)
    assert (told["high_assurance"], told["authentication_timeout_mins"]) == (True, 45)
    guarded.manager.update_storage_gateway(guarded.gateway, {"DATA_TYPE": "storage_gateway#1.0.0", "authentication_timeout_mins": 60})
    assert guarded.manager.get_collection(guarded.id)["authentication_timeout_mins"] == 60
    for wrong in ({"high_assurance": False}, {"authentication_timeout_mins": 0}, {"allowed_domains": "x"}, {"require_mfa": "yes"}):
        with pytest.raises(GCSAPIError) as refused:
            guarded.manager.update_storage_gateway(guarded.gateway, {"DATA_TYPE": "storage_gateway#1.0.0", **wrong})
        assert refused.value.http_status == 400
    with pytest.raises(GCSAPIError) as refused:
        guarded.manager.delete_storage_gateway(guarded.gateway)
    assert refused.value.http_status == 403


def test_an_old_sign_in_is_refused_with_what_to_ask_for_and_a_new_one_revives_the_token(guard):
    guarded = guard(high_assurance=True, authentication_timeout_mins=60)
    dee, identity = guarded.transfer(), guarded.sites.identity(DEE)
    assert "notes.txt" in [entry["name"] for entry in dee.operation_ls(guarded.id, path="/")]
    guarded.forget_sign_ins()
    copy = TransferData(guarded.id, guarded.sites.collection("share"))
    copy.add_item("/notes.txt", "/none/notes.txt")
    delete = DeleteData(endpoint=guarded.id)
    delete.add_item("/notes.txt")
    acts = (
        lambda: dee.operation_ls(guarded.id, path="/"),
        lambda: dee.operation_mkdir(guarded.id, "/new/"),
        lambda: dee.operation_rename(guarded.id, "/notes.txt", "/other.txt"),
        lambda: dee.submit_transfer(copy),
        lambda: dee.submit_delete(delete),
    )
    for act in acts:
        error = refusal(act)
        assert error.info.authorization_parameters.session_required_identities == [identity]
        asked = to_gare(error).authorization_parameters
        assert (asked.session_required_identities, asked.prompt) == ([identity], "login")
        assert DEE in asked.session_message
    guarded.transfer(session_required_identities=[identity], prompt="login")
    assert guarded.browser.seen.count("/v2/web/sign-in") == 2
    assert dee.operation_stat(guarded.id, "/notes.txt")["type"] == "file"  # the session is the same


def test_a_session_of_another_browser_does_not_count_for_high_assurance(guard):
    guarded = guard(high_assurance=True, authentication_timeout_mins=60)
    dee = guarded.transfer()
    guarded.forget_sign_ins()
    guarded.sites.globus.sign_in(DEE, str(TransferScopes.all))
    refusal(lambda: dee.operation_ls(guarded.id, path="/"))


def test_without_high_assurance_any_session_counts(guard):
    guarded = guard(authentication_timeout_mins=60)
    collection = GCSCollectionScopes(guarded.id).data_access
    scope = TransferScopes.all.with_dependency(collection.with_optional(True))
    dee = TransferClient(authorizer=AccessTokenAuthorizer(guarded.sign_in(scope)[TRANSFER]["access_token"]))
    guarded.forget_sign_ins()
    assert dee.operation_ls(guarded.id, path="/")["DATA"]  # the identity was shown lately, in whichever session


def test_a_client_shows_its_secret_for_each_token(guard):
    guarded = guard(high_assurance=True, authentication_timeout_mins=60, require_mfa=True)
    assert guarded.sites.service("demo").operation_ls(guarded.id, path="/")["DATA"]


def test_a_second_factor_is_asked_for_and_shown(guard):
    guarded = guard(high_assurance=True, authentication_timeout_mins=60, require_mfa=True)
    dee = guarded.transfer()
    asked = refusal(lambda: dee.operation_ls(guarded.id, path="/")).info.authorization_parameters
    assert (asked.session_required_mfa, asked.session_required_identities) == (True, [guarded.sites.identity(DEE)])
    guarded.browser.seen.clear()
    guarded.transfer(session_required_mfa=True)
    assert guarded.browser.seen == ["/v2/web/second-factor"]
    assert dee.operation_ls(guarded.id, path="/")["DATA"]


def test_another_domain_is_named(guard):
    guarded = guard(authentication_timeout_mins=60, high_assurance=True, allowed_domains=["university.example"])
    asked = refusal(lambda: guarded.transfer().operation_ls(guarded.id, path="/")).info.authorization_parameters
    assert asked.session_required_single_domain == ["university.example"]


def test_a_policy_is_named(guard, sites):
    tokens = sites.globus.client("demo").oauth2_client_credentials_tokens(str(AuthScopes.manage_projects))
    auth = AuthClient(authorizer=AccessTokenAuthorizer(tokens["access_token"]))
    made = auth.create_policy(project_id=uuid.uuid4(), display_name="Two factors", description="of everybody", required_mfa=True)["policy"]
    guarded = guard(high_assurance=True, authentication_timeout_mins=60, additional_fields={"authentication_policy_id": made["id"]})
    dee = guarded.transfer()
    error = refusal(lambda: dee.operation_ls(guarded.id, path="/"))
    assert error.info.authorization_parameters.session_required_policies == [made["id"]]
    guarded.transfer(session_required_policies=[made["id"]])
    assert dee.operation_ls(guarded.id, path="/")["DATA"]
    auth.delete_policy(made["id"])


def test_the_gcs_manager_says_it_in_its_own_words(guard):
    guarded = guard(high_assurance=True, authentication_timeout_mins=60)
    endpoint = guarded.manager.endpoint_client_id
    token = guarded.sign_in(GCSEndpointScopes(endpoint).manage_collections)[endpoint]["access_token"]
    gcs = GCSClient(guarded.sites.globus.env["CAUSEWAY_GCS_ADDRESS"], authorizer=AccessTokenAuthorizer(token))
    document = GuestCollectionDocument(mapped_collection_id=guarded.id, collection_base_path="/", display_name="Of Dee", public=False)
    guarded.forget_sign_ins()
    with pytest.raises(GCSAPIError) as refused:
        gcs.create_collection(document)
    assert (refused.value.http_status, refused.value.code) == (403, "permission_denied")
    identity = guarded.sites.identity(DEE)
    assert refused.value.raw_json["detail"] == {
        "DATA_TYPE": "authentication_timeout#1.1.0", "high_assurance": True, "identities": [identity], "require_mfa": False,
    }  # fmt: skip
    assert "You must reauthenticate one of your identities" in refused.value.message
    assert to_gare(refused.value).authorization_parameters.session_required_identities == [identity]
    guarded.sign_in(TransferScopes.all, prompt="login")
    guest = gcs.create_collection(document)
    assert guest["high_assurance"] is True
    dee = guarded.transfer()
    assert dee.operation_ls(guest["id"], path="/")["DATA"]
    guarded.forget_sign_ins()
    refusal(lambda: dee.operation_ls(guest["id"], path="/"))  # guest collections inherit it


def test_the_node_asks_clients_and_browsers(guard):
    guarded = guard(high_assurance=True, authentication_timeout_mins=60)
    token = guarded.sign_in(GCSCollectionScopes(guarded.id).https)[guarded.id]["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert guarded.https(**bearer).text == "guarded\n"
    guarded.forget_sign_ins()
    identity = guarded.sites.identity(DEE)

    def refused():
        answer = guarded.https(**bearer)
        return answer if answer.status_code == 403 else None

    told = wait_until(refused).json()
    assert told["code"] == "AuthorizationRequired"
    assert told["authorization_parameters"]["session_required_identities"] == [identity]
    put = httpx.put(
        f"{guarded.sites.node_url('archive')}/{guarded.id}/new.txt", content=b"x", headers=bearer, verify=guarded.trust, trust_env=False
    )
    assert (put.status_code, put.json()["code"]) == (403, "AuthorizationRequired")
    first = guarded.https(Accept="text/html")  # a browser is sent to sign in
    with httpx.Client(verify=guarded.trust, trust_env=False, cookies=first.cookies) as page:
        back = guarded.browser.authorize(first.headers["location"], DEE)
        page.get(f"{guarded.sites.node_url('archive')}/.dtn/callback", params=back)
        address = f"{guarded.sites.node_url('archive')}/{guarded.id}/notes.txt"

        def sent_away():
            answer = page.get(address, headers={"Accept": "text/html"})
            return answer if answer.status_code == 302 else None

        query = parse_qs(urlsplit(wait_until(sent_away).headers["location"]).query)
        assert (query["session_required_identities"], query["prompt"]) == ([identity], ["login"])
        back = guarded.browser.authorize(page.get(address, headers={"Accept": "text/html"}).headers["location"], DEE)
        page.get(f"{guarded.sites.node_url('archive')}/.dtn/callback", params=back)
        assert wait_until(lambda: (answer := page.get(address)).status_code == 200 and answer).text == "guarded\n"


class BrowserLogin(LoginFlowManager):
    """Signs in by the pages whenever an app of the SDK wants it, and counts."""

    def __init__(self, login_client, browser, redirect_uri):
        super().__init__(login_client)
        self.browser, self.redirect_uri, self.asked = browser, redirect_uri, []

    def run_login_flow(self, auth_parameters):
        self.asked.append(auth_parameters)
        address = self._get_authorize_url(auth_parameters, self.redirect_uri)
        return self.login_client.oauth2_exchange_code_for_tokens(self.browser.authorize(address, DEE)["code"])


def test_an_app_of_the_sdk_shows_by_itself_what_is_lacking(guard, sites):
    guarded = guard(high_assurance=True, authentication_timeout_mins=60, require_mfa=True)
    portal = sites.globus.client("portal")
    login = BrowserLogin(portal, guarded.browser, sites.globus.portal_redirect)
    config = GlobusAppConfig(token_storage="memory", login_flow_manager=login, auto_redrive_gares=True)
    app = UserApp("of Dee", login_client=portal, config=config)
    transfer = TransferClient(app=app)
    assert transfer.operation_ls(guarded.id, path="/")["DATA"]
    guarded.forget_sign_ins()
    assert transfer.operation_stat(guarded.id, "/notes.txt")["size"] == 8
    first, *again = login.asked
    assert first.session_required_mfa is None
    assert [asked.session_required_mfa for asked in again] == [True] * len(again)
    assert len(again) == 2
    assert guarded.browser.seen.count("/v2/web/second-factor") == 2
