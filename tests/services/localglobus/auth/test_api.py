"""The rest of the Auth API: userinfo, identities, clients, and the shapes of its refusals."""

import uuid
from urllib.parse import parse_qsl

import globus_sdk
import httpx
import pytest
from globus_sdk import AccessTokenAuthorizer, AuthAPIError, AuthClient

ADA = "ada@university.example"
VIEW_IDENTITY_SET = "urn:globus:auth:scope:auth.globus.org:view_identity_set"


def auth_client(globus, scope="openid profile email"):
    return AuthClient(authorizer=AccessTokenAuthorizer(globus.sign_in(ADA, scope)["access_token"]))


def test_discovery_and_keys_agree_with_themselves(globus):
    found = httpx.get(f"{globus.url}/.well-known/openid-configuration", trust_env=False).json()
    assert found["issuer"] == globus.url
    assert found["id_token_signing_alg_values_supported"] == ["RS512"]
    (key,) = httpx.get(found["jwks_uri"], trust_env=False).json()["keys"]
    assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS512", "sig")
    doubled = httpx.get(f"{globus.url}//.well-known/openid-configuration", trust_env=False)
    assert doubled.json() == found


def test_userinfo_opens_with_the_scopes(globus):
    assert set(auth_client(globus, "openid").userinfo().data) == {"sub", "last_authentication"}
    told = auth_client(globus).userinfo()
    assert (told["preferred_username"], told["email"], told["organization"]) == (ADA, ADA, "Causeway University")
    assert "identity_set" not in told
    told = auth_client(globus, f"openid profile email {VIEW_IDENTITY_SET}").userinfo()
    assert [one["username"] for one in told["identity_set"]] == [ADA, "ada@observatory.example"]


def test_userinfo_without_openid_is_forbidden(globus):
    found = globus.sign_in(ADA, "email")
    with pytest.raises(AuthAPIError) as refused:
        AuthClient(authorizer=AccessTokenAuthorizer(found["access_token"])).userinfo()
    assert (refused.value.http_status, refused.value.code) == (403, "FORBIDDEN")


def test_identities_are_found_by_name_and_by_id(globus):
    client = auth_client(globus)
    (ben,) = client.get_identities(usernames="Ben@archive.example")["identities"]
    assert (ben["name"], ben["status"]) == ("Ben Okafor", "used")
    assert client.get_identities(ids=[ben["id"]])["identities"] == [ben]
    assert client.get_identities(usernames="nobody@archive.example")["identities"] == []
    assert client.get_identities(ids=[str(uuid.uuid4())])["identities"] == []


def test_an_identity_is_provisioned_once(globus):
    client = auth_client(globus)
    name = f"{uuid.uuid4().hex}@new.example"
    (made,) = client.get_identities(usernames=name, provision=True)["identities"]
    assert made["status"] == "unused"
    assert client.get_identities(usernames=name, provision=True)["identities"] == [made]
    assert client.get_identities(usernames="no name at all", provision=True)["identities"] == []


@pytest.mark.parametrize("query", ["", "usernames=a@b.c&ids=x", "ids=nonsense", "ids=46bd0f56-e24f-11e5-a510-131bef46955c&provision=true"])
def test_an_ill_formed_lookup_is_refused(globus, query):
    with pytest.raises(AuthAPIError) as refused:
        auth_client(globus).get("/v2/api/identities", query_params=dict(parse_qsl(query)))
    assert (refused.value.http_status, refused.value.code) == (400, "INVALID_PARAMETERS")


@pytest.mark.parametrize("path", ["/v2/oauth2/userinfo", "/v2/api/identities?usernames=a@b.c"])
@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}])
def test_without_a_token_it_is_401_in_the_shape_that_clients_read(globus, path, header):
    answer = httpx.get(globus.url + path, headers=header, trust_env=False)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    (error,) = answer.json()["errors"]
    assert (error["code"], error["title"], answer.json()["error"]) == ("UNAUTHORIZED", "Unauthorized", "unauthorized")


def test_a_token_in_the_address_is_not_read(globus):
    token = globus.sign_in(ADA, "openid")["access_token"]
    assert httpx.get(f"{globus.url}/v2/oauth2/userinfo", params={"access_token": token}, trust_env=False).status_code == 401


def test_providers_are_found_by_domain(globus):
    (found,) = auth_client(globus).get_identity_providers(domains="university.example")["identity_providers"]
    assert found["name"] == "Causeway University"


def test_consents_are_ones_own_business(globus):
    client = auth_client(globus)
    (ben,) = client.get_identities(usernames="ben@archive.example")["identities"]
    with pytest.raises(AuthAPIError) as refused:
        client.get_consents(ben["id"])
    assert refused.value.http_status == 403


def test_a_token_that_another_service_was_given_opens_nothing_here(globus):
    answer = globus.sign_in(ADA, "openid urn:globus:auth:scope:transfer.api.globus.org:all")
    ada = answer.decode_id_token()["sub"]
    headers = {"Authorization": f"Bearer {answer.by_resource_server['transfer.api.globus.org']['access_token']}"}
    for method, path in (("GET", f"{ada}/consents"), ("DELETE", f"{ada}/consents/1"), ("GET", f"?ids={ada}")):
        address = f"{globus.url}/v2/api/identities{'' if path.startswith('?') else '/'}{path}"
        assert httpx.request(method, address, headers=headers, trust_env=False).status_code == 401


def test_the_command_line_client_makes_and_deletes_itself(globus):
    template = "95fdeba8-fac2-42bd-a357-e068d82ff78e"
    made = globus_sdk.NativeAppAuthClient(template).create_native_app_instance(template, "Globus CLI")
    assert made.http_status == 201
    credential = made["included"]["client_credential"]
    own = globus_sdk.ConfidentialAppAuthClient(credential["client"], credential["secret"])
    own.oauth2_start_flow(f"{globus.url}/v2/web/auth-code", requested_scopes="openid profile email", refresh_tokens=True)
    with globus.browser() as browser:
        code = browser.authorize(own.oauth2_get_authorize_url(), ADA)["code"]
    found = own.oauth2_exchange_code_for_tokens(code)
    assert found.decode_id_token()["preferred_username"] == ADA
    form = {"token": found["refresh_token"]}
    assert own.post("/v2/oauth2/token/validate", data=form, encoding="form").data == {"active": True}
    # the CLI revokes in the name of its template
    anonymous = globus_sdk.NativeAppAuthClient(template)
    assert anonymous.oauth2_revoke_token(found["refresh_token"])["active"] is False
    assert own.post("/v2/oauth2/token/validate", data=form, encoding="form").data == {"active": False}
    assert own.delete(f"/v2/api/clients/{own.client_id}")["client"]["id"] == own.client_id
    with pytest.raises(AuthAPIError):
        own.oauth2_client_credentials_tokens(requested_scopes="openid")


def test_no_other_template_makes_clients(globus):
    with pytest.raises(AuthAPIError) as refused:
        globus_sdk.NativeAppAuthClient("x").create_native_app_instance(str(uuid.uuid4()), "anything")
    assert refused.value.http_status == 403


@pytest.mark.parametrize(("method", "path"), [("GET", "/v2/api/nothing"), ("DELETE", "/v2/oauth2/token")])
def test_what_is_not_there_is_said_in_json(globus, method, path):
    answer = httpx.request(method, globus.url + path, trust_env=False)
    assert answer.status_code in {404, 405}
    assert answer.json()["errors"]
