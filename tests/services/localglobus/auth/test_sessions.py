"""What a client may ask of a session: a new sign-in, certain identities, a domain, a policy, a second factor. And the pages' own guard."""

import re
import sqlite3
import uuid
from urllib.parse import parse_qs, urlencode, urlsplit

import globus_sdk
import httpx
import pytest
from globus_sdk import AccessTokenAuthorizer, AuthAPIError, AuthClient
from globus_sdk.scopes import AuthScopes

from tests.services.localglobus.conftest import form_of, use

ADA, OBSERVATORY = "ada@university.example", "ada@observatory.example"
SIGN_IN, FACTOR = "/v2/web/sign-in", "/v2/web/second-factor"


@pytest.fixture
def browser(globus):
    with globus.browser() as opened:
        yield opened


def address(globus, **parameters):
    portal = globus.client("portal")
    portal.oauth2_start_flow(globus.portal_redirect, requested_scopes="openid profile email")
    return portal.oauth2_get_authorize_url(**parameters), portal


def sign_in(globus, browser, who=ADA, **parameters):
    """`(pages that had to be acted on, what introspection tells of the session)`."""
    browser.seen.clear()
    asked, portal = address(globus, **parameters)
    tokens = portal.oauth2_exchange_code_for_tokens(browser.authorize(asked, who)["code"])
    told = portal.oauth2_token_introspect(tokens["access_token"], include="session_info")
    return [page for page in browser.seen if page in (SIGN_IN, FACTOR)], told["session_info"]


def identity(globus, name):
    tokens = globus.client("demo").oauth2_client_credentials_tokens(str(AuthScopes.view_identity_set))
    client = AuthClient(authorizer=AccessTokenAuthorizer(tokens["access_token"]))
    return client.get_identities(usernames=name)["identities"][0]["id"]


def names_shown(page):
    return re.findall(r"<small>(\S+) ·", page)


def test_the_session_is_told_with_all_its_members(globus, browser):
    _, told = sign_in(globus, browser)
    assert uuid.UUID(told["session_id"])
    ((shown, facts),) = told["authentications"].items()
    assert shown == identity(globus, ADA)
    assert set(facts) == {"idp", "auth_time", "acr", "amr", "custom_claims"}
    assert facts["amr"] is None


def test_prompt_login_asks_who_is_signed_in_already_and_once_only(globus, browser):
    _, before = sign_in(globus, browser)
    assert sign_in(globus, browser)[0] == []
    pages, after = sign_in(globus, browser, prompt="login")
    assert pages == [SIGN_IN]
    assert after["session_id"] == before["session_id"]


def test_nobody_writes_the_stamp_of_an_earlier_request_herself(globus, browser):
    sign_in(globus, browser)
    asked, _ = address(globus, prompt="login")
    stamped = parse_qs(urlsplit(parse_qs(urlsplit(browser.get(asked).headers["location"]).query)["next"][0]).query)["localglobus_asked_at"][
        0
    ]
    other, _ = address(globus, prompt="login")  # a request with another state
    for stamp in ("1700000000.0-" + "0" * 64, "inf-" + "0" * 64, "", stamped):
        answer = browser.get(f"{other}&{urlencode({'localglobus_asked_at': stamp})}")
        assert urlsplit(answer.headers["location"]).path == SIGN_IN
    # and its own stamp does not help before somebody has signed in after it
    assert urlsplit(browser.get(f"{asked}&{urlencode({'localglobus_asked_at': stamped})}").headers["location"]).path == SIGN_IN


def test_required_identities_are_asked_for_one_after_the_other(globus, browser):
    wanted = [identity(globus, ADA), identity(globus, OBSERVATORY)]
    asked, portal = address(globus, session_required_identities=wanted, prompt="login", session_message="Show both.")
    first = browser.get(browser.get(asked).headers["location"])
    assert "Show both." in first.text
    assert set(names_shown(first.text)) == {ADA, OBSERVATORY}
    second = browser.get(urljoin_next(browser, browser.act(first, ADA, "allow")))
    assert names_shown(second.text) == [OBSERVATORY]
    done = browser.act(second, OBSERVATORY, "allow")
    code = finish(browser, done)
    tokens = portal.oauth2_exchange_code_for_tokens(code)
    told = portal.oauth2_token_introspect(tokens["access_token"], include="session_info")
    assert set(told["session_info"]["authentications"]) == set(wanted)


def urljoin_next(browser, response):
    """The page to which authorize sends the browser on."""
    return browser.get(response.headers["location"]).headers["location"]


def finish(browser, response):
    """The code in the end; consents are given on the way."""
    return browser.authorize(response.headers["location"], ADA)["code"]


def test_an_identity_of_somebody_else_is_not_enough(globus, browser):
    sign_in(globus, browser, "cy@elsewhere.example")
    asked, _ = address(globus, session_required_identities=[identity(globus, ADA)])
    page = browser.get(browser.get(asked).headers["location"])
    assert names_shown(page.text) == [ADA]


def test_a_single_domain_of_several_is_enough(globus, browser):
    assert sign_in(globus, browser, OBSERVATORY)[0] == [SIGN_IN]
    assert sign_in(globus, browser, session_required_single_domain="nowhere.example,observatory.example")[0] == []
    pages, told = sign_in(globus, browser, session_required_single_domain=["university.example"])
    assert pages == [SIGN_IN]
    assert len(told["authentications"]) == 2


def test_a_second_factor_is_told_in_the_session_and_asked_once(globus, browser):
    pages, told = sign_in(globus, browser, session_required_mfa=True)
    assert pages == [SIGN_IN, FACTOR]
    assert told["authentications"][identity(globus, ADA)]["amr"] == ["mfa"]
    assert sign_in(globus, browser, session_required_mfa=True)[0] == []
    assert sign_in(globus, browser, session_required_mfa=True, prompt="login")[0] == [SIGN_IN, FACTOR]


@pytest.fixture
def policies(globus):
    """An AuthClient with policies to be made; what a test makes is gone afterwards."""
    tokens = globus.client("demo").oauth2_client_credentials_tokens(str(AuthScopes.manage_projects))
    client = AuthClient(authorizer=AccessTokenAuthorizer(tokens["access_token"]))
    before = {policy["id"] for policy in client.get_policies()["policies"]}
    yield client
    for policy in client.get_policies()["policies"]:
        if policy["id"] not in before:
            client.delete_policy(policy["id"])


def make_policy(policies, **asked):
    return policies.create_policy(project_id=uuid.uuid4(), display_name="A policy", description="for a test", **asked)["policy"]


def test_policies_are_made_read_changed_and_deleted_by_their_owner(globus, policies):
    made = make_policy(
        policies, high_assurance=True, authentication_assurance_timeout=600, domain_constraints_include=["University.example"]
    )
    assert made["domain_constraints_include"] == ["university.example"]
    assert policies.get_policy(made["id"])["policy"] == made
    assert made in policies.get_policies()["policies"]
    assert policies.update_policy(made["id"], required_mfa=True)["policy"] == {**made, "required_mfa": True}
    tokens = globus.sign_in(ADA, str(AuthScopes.manage_projects))
    stranger = AuthClient(authorizer=AccessTokenAuthorizer(tokens["access_token"]))
    for act in (
        lambda: stranger.get_policy(made["id"]),
        lambda: stranger.update_policy(made["id"], display_name="mine"),
        lambda: stranger.delete_policy(made["id"]),
    ):
        with pytest.raises(AuthAPIError) as refused:
            act()
        assert refused.value.http_status == 404
    assert policies.delete_policy(made["id"])["policy"]["id"] == made["id"]
    with pytest.raises(AuthAPIError):
        policies.get_policy(made["id"])


@pytest.mark.parametrize(
    "asked",
    [
        {"high_assurance": True},
        {"high_assurance": "yes", "authentication_assurance_timeout": 60},
        {"authentication_assurance_timeout": -1},
        {"domain_constraints_include": "university.example"},
        {"display_name": ""},
        {"project_id": "none"},
    ],
)
def test_policies_that_are_none_are_refused(policies, asked):
    document = {"project_id": str(uuid.uuid4()), "display_name": "x", "description": "y", **asked}
    with pytest.raises(AuthAPIError) as refused:
        policies.post("/v2/api/policies", data={"policy": document})
    assert refused.value.http_status == 400


def test_a_policy_asks_for_its_domain_and_for_a_recent_sign_in(globus, browser, policies):
    made = make_policy(
        policies, high_assurance=True, authentication_assurance_timeout=600, domain_constraints_exclude=["observatory.example"]
    )
    sign_in(globus, browser, OBSERVATORY)
    pages, told = sign_in(globus, browser, session_required_policies=[made["id"]])
    assert pages == [SIGN_IN]
    assert len(told["authentications"]) == 2
    assert sign_in(globus, browser, session_required_policies=[made["id"]])[0] == []
    with sqlite3.connect(globus.data / "localglobus.sqlite", timeout=20) as connection:
        connection.execute("update authentication set shown_at = shown_at - 3600 where session_id = ?", (told["session_id"],))
    connection.close()
    assert sign_in(globus, browser, session_required_policies=[made["id"]])[0] == [SIGN_IN]


def test_a_policy_of_two_factors_asks_for_the_second(globus, browser, policies):
    made = make_policy(policies, required_mfa=True)
    assert sign_in(globus, browser, session_required_policies=[made["id"]])[0] == [SIGN_IN, FACTOR]


def test_a_policy_that_there_is_not_is_told_to_the_client(globus, browser):
    asked, _ = address(globus, session_required_policies=[str(uuid.uuid4())])
    back = browser.authorize(asked, ADA)
    assert back["error"] == "invalid_request"


def test_consent_is_not_given_past_a_sign_in_that_was_asked_for(globus, browser):
    sign_in(globus, browser, "ben@archive.example")
    asked, _ = address(globus, prompt="login", session_required_mfa=True)
    start = browser.get(SIGN_IN)
    form_token = dict(form_of(start.text).fields)["form_token"]
    form = {
        "form_token": form_token,
        "query": urlsplit(asked).query,
        "person": identity(globus, "ben@archive.example"),
        "decision": "allow",
    }
    answer = browser.post("/v2/web/consent", data=form)
    assert urlsplit(answer.headers["location"]).path == "/v2/oauth2/authorize"


def test_five_wrong_codes_lock_the_second_factor(start_localglobus, monkeypatch):
    globus = start_localglobus()
    use(globus, monkeypatch)
    with globus.browser() as browser:
        asked, _ = address(globus, session_required_mfa=True)
        page = browser.get(browser.get(asked).headers["location"])
        back = browser.act(page, ADA, "allow").headers["location"]
        page = browser.get(browser.get(back).headers["location"])
        for _ in range(4):
            fields = dict(form_of(page.text).fields)
            page = browser.post(FACTOR, data={**fields, "code": "wrong"})
            assert (page.status_code, "was not the code" in page.text) == (403, True)
        code = re.findall(r'id="sent">(\d{6})<', page.text)[0]
        fields = dict(form_of(page.text).fields)
        locked = browser.post(FACTOR, data={**fields, "code": "wrong"})
        assert locked.status_code == 429
        assert 0 < int(locked.headers["retry-after"]) <= 300
        assert browser.post(FACTOR, data={**fields, "code": code}).status_code == 429  # the right one comes too late
        assert "in " in locked.text
        assert code not in locked.text


def test_a_second_factor_is_for_the_identities_of_the_own_session(globus, browser):
    sign_in(globus, browser, "cy@elsewhere.example")
    answer = browser.get(FACTOR, params={"identity": identity(globus, ADA), "next": "/v2/web/consents"})
    assert answer.status_code == 400
    assert browser.get(FACTOR, params={"identity": identity(globus, "cy@elsewhere.example"), "next": "//evil.example"}).status_code == 400


@pytest.mark.parametrize("path", [SIGN_IN, "/v2/web/consent", "/v2/web/consents", FACTOR])
@pytest.mark.parametrize("token", [None, "", "0" * 64, "é"])
def test_every_form_needs_the_token_of_its_page(globus, browser, path, token):
    sign_in(globus, browser)
    form = {"identity": identity(globus, ADA), "next": "/v2/web/consents", "consent": "1", "code": "000000", "query": "", "person": "x"}
    answer = browser.post(path, data=form if token is None else {**form, "form_token": token})
    assert answer.status_code == 403
    with globus.browser() as other:  # nor does another browser's help
        foreign = dict(form_of(other.get(SIGN_IN).text).fields)["form_token"]
    assert browser.post(path, data={**form, "form_token": foreign}).status_code == 403


def test_pages_that_are_asked_for_too_often_say_when_to_come_back(start_localglobus):
    globus = start_localglobus("--rate-limit", "0.5")
    with globus.browser() as browser:
        answers = [browser.get(SIGN_IN) for _ in range(40)]
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert "<h1>" in refused.text
        assert int(refused.headers["retry-after"]) >= 1
    assert httpx.get(f"{globus.url}/.well-known/openid-configuration", trust_env=False).status_code == 200


def native_client(globus):
    client_id = "5b1c0a52-4f0b-4f6e-8a43-0f6a4f3c7d11"
    with sqlite3.connect(globus.data / "localglobus.sqlite", timeout=20) as connection:
        redirects = f'["{globus.url}/v2/web/auth-code"]'
        connection.execute("insert or ignore into client values (?, 'A program', 1, ?, null, 0)", (client_id, redirects))
    connection.close()
    return globus_sdk.NativeAppAuthClient(client_id)


def test_a_refresh_answer_carries_the_refresh_token_so_that_authorizers_go_on(globus):
    tokens = globus.sign_in(ADA, "openid", offline=True)
    authorizer = globus_sdk.RefreshTokenAuthorizer(tokens["refresh_token"], globus.client("portal"))
    for _ in range(3):
        authorizer.handle_missing_authorization()
        assert AuthClient(authorizer=authorizer).userinfo()["sub"]
    assert authorizer.refresh_token == tokens["refresh_token"]


def test_a_public_clients_refresh_token_is_replaced_and_its_reuse_ends_the_family(globus):
    client = native_client(globus)
    client.oauth2_start_flow(requested_scopes="openid", refresh_tokens=True)
    with globus.browser() as browser:
        found = client.oauth2_exchange_code_for_tokens(browser.authorize(client.oauth2_get_authorize_url(), ADA)["code"])
    old = found["refresh_token"]
    new = client.oauth2_refresh_token(old)["refresh_token"]
    assert new != old
    again = client.oauth2_refresh_token(old)  # an answer that was lost is asked for again
    newest = client.oauth2_refresh_token(new)
    with sqlite3.connect(globus.data / "localglobus.sqlite", timeout=20) as connection:
        connection.execute("update retired_refresh set retired_at = retired_at - 120")
    connection.close()
    live = AuthClient(authorizer=AccessTokenAuthorizer(newest["access_token"]))
    assert live.userinfo()["sub"]
    for token in (old, newest["refresh_token"], again["refresh_token"]):  # the first was stolen, for all we know
        with pytest.raises(AuthAPIError) as refused:
            client.oauth2_refresh_token(token)
        assert refused.value.raw_json["error"] == "invalid_grant"
    with pytest.raises(AuthAPIError):
        live.userinfo()
