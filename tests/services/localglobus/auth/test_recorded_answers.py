"""Our answers hold every key of those that the Globus SDK ships as recordings, with the same JSON types (null: anything)."""

import uuid

import globus_sdk
import httpx
import pytest
from globus_sdk import AccessTokenAuthorizer, AuthClient, GroupsClient
from globus_sdk.testing import get_response_set

ADA = "ada@university.example"
GROUPS = "urn:globus:auth:scope:groups.api.globus.org:all"
TEMPLATE = "95fdeba8-fac2-42bd-a357-e068d82ff78e"


def differences(recorded, ours, where="$"):
    if recorded is None or ours is None:
        return []
    if isinstance(recorded, dict) and isinstance(ours, dict):
        missing = [f"{where}.{key} is missing" for key in recorded if key not in ours]
        return missing + [found for key in recorded if key in ours for found in differences(recorded[key], ours[key], f"{where}.{key}")]
    if isinstance(recorded, list) and isinstance(ours, list):
        return [found for one in ours for found in differences(recorded[0], one, f"{where}[]")] if recorded else []
    kinds = (int, float) if isinstance(recorded, (int, float)) and not isinstance(recorded, bool) else type(recorded)
    return [] if isinstance(ours, kinds) else [f"{where} is {type(ours).__name__}, recorded {type(recorded).__name__}"]


def recorded(method, case="default"):
    return get_response_set(method).lookup(case).json


@pytest.fixture
def ada(globus):
    scope = f"openid profile email {GROUPS} {globus.env['CAUSEWAY_GRAPH_SCOPE']}"
    return globus.sign_in(ADA, scope, offline=True).by_resource_server


def bearer(client, tokens, server):
    return client(authorizer=AccessTokenAuthorizer(tokens[server]["access_token"]))


def test_tokens_by_code(globus):
    ours = globus.sign_in(ADA, f"openid {GROUPS}", offline=True).data
    assert differences(recorded(globus_sdk.ConfidentialAppAuthClient.oauth2_exchange_code_for_tokens), ours) == []


def test_tokens_by_client_credentials(globus):
    ours = globus.client("demo").oauth2_client_credentials_tokens(requested_scopes=f"openid {GROUPS}").data
    assert differences(recorded(globus_sdk.ConfidentialAppAuthClient.oauth2_client_credentials_tokens), ours) == []


def test_dependent_tokens(globus):
    https = f"https://auth.globus.org/scopes/{globus.env['CAUSEWAY_ARCHIVE_COLLECTION']}/https"
    token = globus.sign_in(ADA, f"{globus.env['CAUSEWAY_GRAPH_SCOPE']}[*{https}]")["access_token"]
    ours = globus.client("graph").oauth2_get_dependent_tokens(token, refresh_tokens=True).data
    assert ours
    method = globus_sdk.ConfidentialAppAuthClient.oauth2_get_dependent_tokens
    assert differences(recorded(method, "groups_with_refresh_token"), ours) == []


def test_introspection(globus, ada):
    graph = globus.client("graph")
    ours = graph.oauth2_token_introspect(ada[graph.client_id]["access_token"]).data
    assert differences(recorded(globus_sdk.ConfidentialAppAuthClient.oauth2_token_introspect), ours) == []


def test_revocation(globus):
    ours = globus.client("portal").oauth2_revoke_token("x").data
    assert differences(recorded(globus_sdk.ConfidentialAppAuthClient.oauth2_revoke_token), ours) == []


@pytest.mark.parametrize("case", ["unauthorized", "forbidden"])
def test_refusals_of_userinfo(globus, ada, case):
    token = "wrong" if case == "unauthorized" else globus.sign_in(ADA, "email")["access_token"]
    ours = httpx.get(f"{globus.url}/v2/oauth2/userinfo", headers={"Authorization": f"Bearer {token}"}, trust_env=False).json()
    theirs = recorded(AuthClient.userinfo, case)
    assert differences(theirs, ours) == []
    kept = ("code", "status")
    assert [ours["errors"][0][name] for name in kept] == [theirs["errors"][0][name] for name in kept]


def test_identities(globus, ada):
    client = bearer(AuthClient, ada, "auth.globus.org")
    assert differences(recorded(AuthClient.get_identities), client.get_identities(usernames=ADA).data) == []
    ours = client.get_identity_providers(domains="university.example").data
    assert differences(recorded(AuthClient.get_identity_providers), ours) == []


def test_consents(globus, ada):
    client = bearer(AuthClient, ada, "auth.globus.org")
    ours = client.get_consents(client.userinfo()["sub"]).data
    assert ours["consents"]
    assert differences(recorded(AuthClient.get_consents), ours) == []


def test_a_client_from_the_template(globus):
    made = globus_sdk.NativeAppAuthClient(TEMPLATE).create_native_app_instance(TEMPLATE, f"CLI {uuid.uuid4()}")
    theirs = recorded(globus_sdk.NativeAppAuthClient.create_native_app_instance)
    assert differences(theirs["client"] if "client" in theirs.get("client", {}) else theirs, made.data) == []


def test_groups(globus, ada):
    client = bearer(GroupsClient, ada, "groups.api.globus.org")
    made = client.create_group({"name": "Recorded"})
    assert differences(recorded(GroupsClient.create_group), made.data) == []
    assert differences(recorded(GroupsClient.get_group), client.get_group(made["id"]).data) == []
    ours = client.get_my_groups().data
    assert ours
    assert differences(recorded(GroupsClient.get_my_groups), ours) == []
    assert differences(recorded(GroupsClient.delete_group), client.delete_group(made["id"]).data) == []
