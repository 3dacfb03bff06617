"""Tokens as the unmodified Globus SDK asks for them."""

import sqlite3
import time
from urllib.parse import urlencode

import globus_sdk
import httpx
import pytest
from globus_sdk import AccessTokenAuthorizer, AuthAPIError, AuthClient, ClientApp, GlobusAppConfig
from globus_sdk.gare import to_gare
from globus_sdk.scopes import GroupsScopes, Scope, TransferScopes

TRANSFER = str(TransferScopes.all)
ADA = "ada@university.example"
BEN = "ben@archive.example"


def store(globus):
    connection = sqlite3.connect(globus.data / "localglobus.sqlite", timeout=10)
    connection.row_factory = sqlite3.Row
    return connection


def make_expired(globus, column="expires_at"):
    with store(globus) as connection:
        last = connection.execute("select max(id) from token").fetchone()[0]
        connection.execute(f"update token set {column} = ? where id = ?", (int(time.time()) - 1, last))
    connection.close()


def test_a_native_program_signs_in_with_pkce_and_refreshes(globus, native_client):
    client = globus_sdk.NativeAppAuthClient(native_client)
    client.oauth2_start_flow(requested_scopes=f"openid profile {TRANSFER}", refresh_tokens=True)
    with globus.browser() as browser:
        code = browser.authorize(client.oauth2_get_authorize_url(), ADA)["code"]
    found = client.oauth2_exchange_code_for_tokens(code)
    assert set(found.by_resource_server) == {"auth.globus.org", "transfer.api.globus.org"}
    claims = found.decode_id_token()
    assert claims["preferred_username"] == ADA
    assert claims["iss"] == globus.url
    again = client.oauth2_refresh_token(found.by_resource_server["transfer.api.globus.org"]["refresh_token"])
    assert again.by_resource_server["transfer.api.globus.org"]["scope"] == TRANSFER
    assert again["other_tokens"] == []


@pytest.fixture
def native_client(globus):
    """A registered public client with the redirect that programs without a browser use."""
    client_id = "5b1c0a52-4f0b-4f6e-8a43-0f6a4f3c7d10"
    with store(globus) as connection:
        redirects = f'["{globus.url}/v2/web/auth-code", "http://localhost/back"]'
        connection.execute("insert or ignore into client values (?, 'A program', 1, ?, null, 0)", (client_id, redirects))
    connection.close()
    return client_id


@pytest.mark.parametrize("verifier", ["", "x" * 43, "short"])
def test_a_wrong_verifier_gets_nothing_and_spends_the_code(globus, native_client, verifier):
    client = globus_sdk.NativeAppAuthClient(native_client)
    client.oauth2_start_flow(requested_scopes="openid", verifier="v" * 43)
    with globus.browser() as browser:
        code = browser.authorize(client.oauth2_get_authorize_url(), ADA)["code"]
    form = {"grant_type": "authorization_code", "code": code, "client_id": native_client, "redirect_uri": f"{globus.url}/v2/web/auth-code"}
    for given in (verifier, "v" * 43):
        answer = httpx.post(f"{globus.url}/v2/oauth2/token", data={**form, "code_verifier": given}, trust_env=False)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_grant")


@pytest.mark.parametrize(
    ("redirect", "is_allowed"),
    [
        ("http://localhost:51234/back", True),
        ("http://localhost/back", True),
        ("http://localhost:51234/elsewhere", False),
        ("http://localhost.evil.example:51234/back", False),
        ("http://user@localhost:51234/back", False),
        ("https://localhost:51234/back", False),
        ("http://127.0.0.1:51234/back", False),
    ],
)
def test_a_loopback_redirect_may_have_any_port_and_nothing_else(globus, native_client, redirect, is_allowed):
    query = {
        "client_id": native_client,
        "redirect_uri": redirect,
        "scope": "openid",
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
    }
    answer = httpx.get(f"{globus.url}/v2/oauth2/authorize?{urlencode(query)}", trust_env=False)
    assert answer.status_code == (303 if is_allowed else 400)


def test_a_code_is_good_once_and_a_second_use_ends_its_tokens(globus):
    portal = globus.client("portal")
    portal.oauth2_start_flow(globus.portal_redirect, requested_scopes="openid")
    with globus.browser() as browser:
        code = browser.authorize(portal.oauth2_get_authorize_url(), ADA)["code"]
    found = portal.oauth2_exchange_code_for_tokens(code)
    with pytest.raises(AuthAPIError) as refused:
        portal.oauth2_exchange_code_for_tokens(code)
    assert (refused.value.http_status, refused.value.raw_json["error"]) == (401, "invalid_grant")
    assert portal.oauth2_token_introspect(found["access_token"])["active"] is False


def test_a_code_of_one_client_is_nothing_to_another(globus):
    portal = globus.client("portal")
    portal.oauth2_start_flow(globus.portal_redirect, requested_scopes="openid")
    with globus.browser() as browser:
        code = browser.authorize(portal.oauth2_get_authorize_url(), ADA)["code"]
    thief = globus.client("graph")
    thief.oauth2_start_flow(globus.portal_redirect, requested_scopes="openid")
    with pytest.raises(AuthAPIError):
        thief.oauth2_exchange_code_for_tokens(code)
    assert portal.oauth2_exchange_code_for_tokens(code)["access_token"]


def test_a_wrong_secret_is_refused(globus):
    client = globus_sdk.ConfidentialAppAuthClient(globus.env["GLOBUS_CLI_CLIENT_ID"], "wrong")
    with pytest.raises(AuthAPIError) as refused:
        client.oauth2_client_credentials_tokens(requested_scopes=TRANSFER)
    assert (refused.value.http_status, refused.value.raw_json["error"]) == (401, "invalid_client")


def test_a_public_client_has_no_credentials_of_its_own(globus, native_client):
    form = {"grant_type": "client_credentials", "client_id": native_client, "scope": TRANSFER}
    answer = httpx.post(f"{globus.url}/v2/oauth2/token", data=form, trust_env=False)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("scope", ["", "urn:nobody:knows", f"{TRANSFER}[{GroupsScopes.all}]", f"*{TRANSFER}"])
def test_unknown_scopes_and_dependencies_are_refused(globus, scope):
    form = {"grant_type": "client_credentials", "scope": scope}
    basic = globus.env["GLOBUS_CLI_CLIENT_ID"], globus.env["GLOBUS_CLI_CLIENT_SECRET"]
    answer = httpx.post(f"{globus.url}/v2/oauth2/token", data=form, auth=basic, trust_env=False)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


def test_client_credentials_merge_scopes_and_record_the_consents(globus):
    campus = f"https://auth.globus.org/scopes/{globus.env['CAUSEWAY_CAMPUS_COLLECTION']}/data_access"
    client = globus.client("demo")
    found = client.oauth2_client_credentials_tokens(requested_scopes=f"openid email {TRANSFER} {TRANSFER}[*{campus}]")
    assert found["resource_server"] == "auth.globus.org"
    assert found.by_resource_server["transfer.api.globus.org"]["scope"] == TRANSFER
    assert found["other_tokens"][0].get("refresh_token") is None
    assert found.decode_id_token()["sub"] == client.client_id
    me = AuthClient(authorizer=AccessTokenAuthorizer(found["access_token"]))
    forest = me.get_consents(client.client_id).to_forest()
    assert forest.meets_scope_requirements(Scope(TRANSFER).with_dependency(Scope(campus, optional=True)))
    node = next(one for one in forest.nodes if one.scope_name == campus)
    assert node.atomically_revocable
    assert len(node.dependency_path) == 2


def test_a_client_app_reads_its_groups(globus):
    env = globus.env
    app = ClientApp(
        "portal",
        client_id=env["CAUSEWAY_GLOBUS_CLIENT_ID"],
        client_secret=env["CAUSEWAY_GLOBUS_CLIENT_SECRET"],
        config=GlobusAppConfig(token_storage="memory"),
    )
    found = {group["name"]: group["my_memberships"][0]["role"] for group in globus_sdk.GroupsClient(app=app).get_my_groups()}
    assert found.items() >= {"Causeway Stewards": "admin", "Causeway Operators": "admin"}.items()


def test_introspection_tells_the_audience_and_nobody_else(globus):
    scope = globus.env["CAUSEWAY_GRAPH_SCOPE"]
    found = globus.sign_in(ADA, f"openid {scope}")
    graph = globus.client("graph")
    token = found.by_resource_server[graph.client_id]["access_token"]
    told = graph.oauth2_token_introspect(token, include="identity_set,identity_set_detail,session_info")
    assert told["active"] is True
    assert told["username"] == ADA
    assert told["scope"] == scope
    assert graph.client_id in told["aud"]
    assert told["client_id"] == globus.env["CAUSEWAY_GLOBUS_CLIENT_ID"]
    assert told["exp"] - told["iat"] == 172800
    assert len(told["identity_set"]) == 2
    assert {one["username"] for one in told["identity_set_detail"]} == {ADA, "ada@observatory.example"}
    assert told["sub"] in told["session_info"]["authentications"]
    assert globus.client("demo").oauth2_token_introspect(token).data == {"active": False}
    assert graph.oauth2_token_introspect(found.by_resource_server["auth.globus.org"]["access_token"]).data == {"active": False}


def test_an_expired_token_is_not_active(globus):
    token = globus.sign_in(ADA, "openid")["access_token"]
    make_expired(globus)
    assert globus.client("portal").oauth2_token_introspect(token).data == {"active": False}
    with pytest.raises(AuthAPIError) as refused:
        AuthClient(authorizer=AccessTokenAuthorizer(token)).userinfo()
    assert (refused.value.http_status, refused.value.code) == (401, "UNAUTHORIZED")


def test_an_expired_code_is_refused(globus):
    portal = globus.client("portal")
    portal.oauth2_start_flow(globus.portal_redirect, requested_scopes="openid")
    with globus.browser() as browser:
        code = browser.authorize(portal.oauth2_get_authorize_url(), ADA)["code"]
    with store(globus) as connection:
        connection.execute("update code set expires_at = 1 where id = (select max(id) from code)")
    connection.close()
    with pytest.raises(AuthAPIError):
        portal.oauth2_exchange_code_for_tokens(code)


def test_revoking_a_refresh_token_ends_what_came_from_it(globus):
    portal = globus.client("portal")
    found = globus.sign_in(ADA, TRANSFER, offline=True)
    later = portal.oauth2_refresh_token(found["refresh_token"])
    assert portal.oauth2_token_introspect(later["access_token"])["active"]
    assert portal.oauth2_revoke_token(found["refresh_token"])["active"] is False
    for token in (found["access_token"], later["access_token"], found["refresh_token"]):
        assert portal.oauth2_token_introspect(token).data == {"active": False}
    with pytest.raises(AuthAPIError):
        portal.oauth2_refresh_token(found["refresh_token"])
    assert portal.oauth2_revoke_token("never issued")["active"] is False


def test_a_refresh_token_is_no_access_token_and_belongs_to_its_client(globus):
    found = globus.sign_in(ADA, "openid", offline=True)
    with pytest.raises(AuthAPIError):
        AuthClient(authorizer=AccessTokenAuthorizer(found["refresh_token"])).userinfo()
    with pytest.raises(AuthAPIError):
        globus.client("graph").oauth2_refresh_token(found["refresh_token"])
    with pytest.raises(AuthAPIError):
        globus.client("portal").oauth2_refresh_token(found["access_token"])


def test_social_core_refreshes_with_credentials_in_the_body(globus):
    found = globus.sign_in(ADA, "openid", offline=True)
    env = globus.env
    form = {
        "grant_type": "refresh_token",
        "refresh_token": found["refresh_token"],
        "client_id": env["CAUSEWAY_GLOBUS_CLIENT_ID"],
        "client_secret": env["CAUSEWAY_GLOBUS_CLIENT_SECRET"],
    }
    answer = httpx.post(f"{globus.url}/v2/oauth2/token", data=form, trust_env=False)
    assert answer.status_code == 200
    assert "id_token" not in answer.json()
    form["client_secret"] = "wrong"
    assert httpx.post(f"{globus.url}/v2/oauth2/token", data=form, trust_env=False).status_code == 401


def test_a_service_gets_dependent_tokens_for_what_was_agreed_to(globus):
    env = globus.env
    https = f"https://auth.globus.org/scopes/{env['CAUSEWAY_ARCHIVE_COLLECTION']}/https"
    found = globus.sign_in(BEN, f"{env['CAUSEWAY_GRAPH_SCOPE']}[*{https}]")
    graph = globus.client("graph")
    given = graph.oauth2_get_dependent_tokens(found["access_token"], refresh_tokens=True, scope=https)
    entry = given.by_resource_server[env["CAUSEWAY_ARCHIVE_COLLECTION"]]
    assert entry["scope"] == https
    assert graph.oauth2_refresh_token(entry["refresh_token"])["scope"] == https
    told = graph.oauth2_token_introspect(entry["access_token"])
    assert (told["username"], told["client_id"]) == (BEN, graph.client_id)


def test_dependent_tokens_without_consent_name_what_to_ask_for(globus):
    env = globus.env
    https = f"https://auth.globus.org/scopes/{env['CAUSEWAY_ARCHIVE_COLLECTION']}/https"
    found = globus.sign_in("cy@elsewhere.example", env["CAUSEWAY_GRAPH_SCOPE"])
    graph = globus.client("graph")
    assert graph.oauth2_get_dependent_tokens(found["access_token"]).by_resource_server == {}
    with pytest.raises(AuthAPIError) as refused:
        graph.oauth2_get_dependent_tokens(found["access_token"], scope=https)
    assert refused.value.http_status == 403
    assert refused.value.raw_json["error"] == "dependent_consent_required"
    (wanted,) = to_gare(refused.value).authorization_parameters.required_scopes
    # what it names is what the client then asks for, and it helps
    found = globus.sign_in("cy@elsewhere.example", wanted)
    assert graph.oauth2_get_dependent_tokens(found["access_token"], scope=https).by_resource_server


def test_only_the_service_itself_gets_dependent_tokens(globus):
    found = globus.sign_in(ADA, globus.env["CAUSEWAY_GRAPH_SCOPE"])
    with pytest.raises(AuthAPIError) as refused:
        globus.client("demo").oauth2_get_dependent_tokens(found["access_token"])
    assert refused.value.raw_json["error"] == "invalid_grant"


def test_a_consent_taken_back_ends_its_tokens_and_is_asked_again(globus):
    found = globus.sign_in("dee@archive.example", f"openid {TRANSFER}", offline=True)
    token = found.by_resource_server["auth.globus.org"]["access_token"]
    me = AuthClient(authorizer=AccessTokenAuthorizer(token))
    dee = me.userinfo()["sub"]
    portal = globus.client("portal")
    consent = next(one for one in me.get_consents(dee)["consents"] if one["scope_name"] == TRANSFER and one["client"] == portal.client_id)
    me.delete(f"/v2/api/identities/{dee}/consents/{consent['id']}")
    with pytest.raises(AuthAPIError):
        portal.oauth2_refresh_token(found.by_resource_server["transfer.api.globus.org"]["refresh_token"])
    with globus.browser() as browser:
        portal.oauth2_start_flow(globus.portal_redirect, requested_scopes=TRANSFER)
        browser.authorize(portal.oauth2_get_authorize_url(), "dee@archive.example")
        assert "/v2/web/consent" in browser.seen


def test_nothing_secret_stands_in_the_store(globus):
    found = globus.sign_in(ADA, f"openid {TRANSFER}", offline=True)
    env = globus.env
    hidden = [env["GLOBUS_CLI_CLIENT_SECRET"], env["CAUSEWAY_GLOBUS_CLIENT_SECRET"], env["CAUSEWAY_GRAPH_CLIENT_SECRET"]]
    hidden += [entry[kind] for entry in found.by_resource_server.values() for kind in ("access_token", "refresh_token")]
    content = b"".join(path.read_bytes() for path in globus.data.glob("localglobus.sqlite*"))
    assert found["resource_server"].encode() in content
    assert [secret for secret in hidden if secret.encode() in content] == []
