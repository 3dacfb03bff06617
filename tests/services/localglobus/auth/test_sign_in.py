"""Sign-in through the unmodified Globus backend of social-core, the pages driven by HTTP."""

from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from social_core.backends.globus import GlobusOpenIdConnect
from social_core.exceptions import AuthCanceled, AuthException
from social_core.storage import AssociationMixin, BaseStorage, NonceMixin
from social_core.strategy import BaseStrategy

VIEW_IDENTITY_SET = "urn:globus:auth:scope:auth.globus.org:view_identity_set"
TRANSFER = "urn:globus:auth:scope:transfer.api.globus.org:all"


class MemoryAssociation(AssociationMixin):
    kept: list = []

    def __init__(self, server_url, handle, association):
        self.id, self.server_url, self.handle = len(self.kept), server_url, handle
        self.assoc_type, self.issued, self.lifetime = association.assoc_type, association.issued, association.lifetime

    @classmethod
    def store(cls, server_url, association):
        cls.kept.append(cls(server_url, association.handle, association))

    @classmethod
    def get(cls, server_url=None, handle=None, **_):
        return [one for one in cls.kept if one.handle == handle]

    @classmethod
    def remove(cls, ids_to_delete):
        cls.kept[:] = [one for one in cls.kept if one.id not in ids_to_delete]


class MemoryNonce(NonceMixin):
    used: set = set()

    @classmethod
    def use(cls, server_url, timestamp, salt):
        cls.used.add((server_url, salt))
        return True

    @classmethod
    def get(cls, server_url, nonce):
        return (server_url, nonce) if (server_url, nonce) in cls.used else None

    @classmethod
    def delete(cls, nonce):
        cls.used.discard(nonce)

    @classmethod
    def consume(cls, server_url, timestamp, salt):
        found = (server_url, salt) in cls.used
        cls.used.discard((server_url, salt))
        return found


class MemoryStorage(BaseStorage):
    association = MemoryAssociation  # type: ignore[assignment]  # the library types it as a mix-in
    nonce = MemoryNonce


class Site(BaseStrategy):
    """The least that social-core needs of a site: settings, a session, the request's parameters. Keeps what sign-in brought."""

    def __init__(self, settings, redirect_uri):
        super().__init__(MemoryStorage)
        self.settings, self.session, self.parameters, self.redirect_uri, self.brought = settings, {}, {}, redirect_uri, None

    def get_setting(self, name):
        return self.settings[name]

    def request_data(self, merge=True):
        return self.parameters

    def session_get(self, name, default=None):
        return self.session.get(name, default)

    def session_set(self, name, value):
        self.session[name] = value

    def session_pop(self, name):
        return self.session.pop(name, None)

    def build_absolute_uri(self, path=None):
        return self.redirect_uri

    def redirect(self, url):
        return url

    def authenticate(self, backend, *args, **kwargs):
        self.brought = kwargs["response"]
        return self.brought


@pytest.fixture
def site(globus):
    env = globus.env
    settings = {
        "SOCIAL_AUTH_GLOBUS_KEY": env["CAUSEWAY_GLOBUS_CLIENT_ID"],
        "SOCIAL_AUTH_GLOBUS_SECRET": env["CAUSEWAY_GLOBUS_CLIENT_SECRET"],
        "SOCIAL_AUTH_GLOBUS_OIDC_ENDPOINT": env["SOCIAL_AUTH_GLOBUS_OIDC_ENDPOINT"],
        "SOCIAL_AUTH_GLOBUS_USE_PKCE": True,
        "SOCIAL_AUTH_GLOBUS_SCOPE": [VIEW_IDENTITY_SET, TRANSFER],
        "SOCIAL_AUTH_GLOBUS_AUTH_EXTRA_ARGUMENTS": {"access_type": "offline"},
    }
    return Site(settings, globus.portal_redirect)


def sign_in(globus, site, who, *, browser, decision="allow"):
    backend = GlobusOpenIdConnect(site, site.redirect_uri)
    address = backend.start()
    return complete(site, browser.authorize(address, who, decision=decision))


def complete(site, back):
    """The site gets its browser back with these parameters."""
    site.parameters = back
    backend = GlobusOpenIdConnect(site, site.redirect_uri)
    backend.data = back
    backend.complete()
    return site.brought


def test_the_globus_backend_signs_ada_in_with_pkce_and_nonce(globus, site):
    with globus.browser() as browser:
        brought = sign_in(globus, site, "ada@university.example", browser=browser)
        assert browser.seen[0] == "/v2/web/sign-in"
    assert brought["preferred_username"] == "ada@university.example"
    assert brought["name"] == "Ada Lindqvist"
    assert {one["username"] for one in brought["identity_set"]} == {"ada@university.example", "ada@observatory.example"}
    assert brought["resource_server"] == "auth.globus.org"
    assert brought["refresh_token"]
    (other,) = brought["other_tokens"]
    assert (other["resource_server"], other["scope"]) == ("transfer.api.globus.org", TRANSFER)
    assert other["refresh_token"]


def test_the_globus_backend_signs_ada_in_without_pkce(globus, site):
    site.settings["SOCIAL_AUTH_GLOBUS_USE_PKCE"] = False
    with globus.browser() as browser:
        address = GlobusOpenIdConnect(site, site.redirect_uri).start()
        assert "code_challenge" not in parse_qs(urlsplit(address).query)
        brought = complete(site, browser.authorize(address, "ada@university.example"))
    assert brought["preferred_username"] == "ada@university.example"
    assert brought["refresh_token"]


def test_a_code_that_was_asked_for_with_pkce_is_nothing_without_the_verifier(globus, site):
    with globus.browser() as browser:
        back = browser.authorize(GlobusOpenIdConnect(site, site.redirect_uri).start(), "ada@university.example")
    site.settings["SOCIAL_AUTH_GLOBUS_USE_PKCE"] = False  # somebody who has the code, and not this browser's verifier
    with pytest.raises(AuthException):
        complete(site, back)
    assert site.brought is None


def test_an_id_token_of_another_sign_in_is_told_by_its_nonce(globus, site):
    site.settings["SOCIAL_AUTH_GLOBUS_USE_PKCE"] = False
    with globus.browser() as browser:
        first = browser.authorize(GlobusOpenIdConnect(site, site.redirect_uri).start(), "ada@university.example")
        second = browser.authorize(GlobusOpenIdConnect(site, site.redirect_uri).start(), "ada@university.example")
    with pytest.raises(AuthException) as refused:
        complete(site, {**second, "code": first["code"]})  # planted in a browser that waits for the second answer
    assert refused.value.code == "nonce_mismatch"
    assert site.brought is None


@pytest.mark.parametrize("has_pkce", [True, False])
def test_the_globus_backend_refreshes_again_and_again(globus, site, has_pkce):
    site.settings["SOCIAL_AUTH_GLOBUS_USE_PKCE"] = has_pkce
    with globus.browser() as browser:
        brought = sign_in(globus, site, "ada@university.example", browser=browser)
    backend, refresh_token, seen = GlobusOpenIdConnect(site, site.redirect_uri), brought["refresh_token"], {brought["access_token"]}
    for _ in range(3):
        answer = backend.refresh_token(refresh_token)
        refresh_token = answer["refresh_token"]
        told = httpx.get(backend.userinfo_url(), headers={"Authorization": f"Bearer {answer['access_token']}"}, trust_env=False)
        assert told.json()["sub"] == brought["sub"]
        seen.add(answer["access_token"])
    assert len(seen) == 4


def test_the_second_sign_in_asks_nothing(globus, site):
    with globus.browser() as browser:
        sign_in(globus, site, "ben@archive.example", browser=browser)
        browser.seen.clear()
        brought = sign_in(globus, site, "ben@archive.example", browser=browser)
    assert browser.seen == []
    assert brought["preferred_username"] == "ben@archive.example"


def test_a_linked_identity_signs_in_as_the_primary_one(globus, site):
    with globus.browser() as browser:
        brought = sign_in(globus, site, "ada@observatory.example", browser=browser)
    assert brought["preferred_username"] == "ada@university.example"


def test_who_does_not_agree_is_sent_back_without_a_code(globus, site):
    site.settings["SOCIAL_AUTH_GLOBUS_AUTH_EXTRA_ARGUMENTS"] = {"prompt": "consent"}  # whatever she agreed to in other tests
    with globus.browser() as browser, pytest.raises(AuthCanceled):
        sign_in(globus, site, "cy@elsewhere.example", browser=browser, decision="deny")


def authorize_url(globus, **changes):
    query = {
        "client_id": globus.env["CAUSEWAY_GLOBUS_CLIENT_ID"],
        "redirect_uri": globus.portal_redirect,
        "response_type": "code",
        "scope": "openid",
        "state": "s1",
        **changes,
    }
    return f"{globus.url}/v2/oauth2/authorize?{urlencode({name: value for name, value in query.items() if value is not None})}"


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "http://127.0.0.1:1/complete/globus/"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": None},
        {"client_id": "00000000-0000-0000-0000-000000000000"},
    ],
)
def test_an_unknown_client_or_address_is_a_page_and_never_a_redirect(globus, changes):
    response = httpx.get(authorize_url(globus, **changes), trust_env=False)
    assert response.status_code == 400
    assert "text/html" in response.headers["content-type"]
    assert response.headers["x-causeway-standin"] == "localglobus"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": "urn:nobody:knows"}, "invalid_scope"),
        ({"scope": "openid["}, "invalid_scope"),
        ({"scope": "openid[profile]"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": "short", "code_challenge_method": "S256"}, "invalid_request"),
        ({"code_challenge": "x" * 43, "code_challenge_method": "plain"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
    ],
)
def test_other_faults_are_told_to_the_client(globus, changes, error):
    response = httpx.get(authorize_url(globus, **changes), trust_env=False)
    query = parse_qs(urlsplit(response.headers["location"]).query)
    assert response.headers["location"].startswith(globus.portal_redirect)
    assert (query["error"], query["state"]) == ([error], ["s1"])


def test_a_public_client_must_use_pkce(globus):
    collection = globus.env["CAUSEWAY_ARCHIVE_COLLECTION"]
    changes = {"client_id": collection, "redirect_uri": f"https://127.0.0.3:{globus.port}/.dtn/callback"}
    scope = f"https://auth.globus.org/scopes/{collection}/https"
    response = httpx.get(authorize_url(globus, scope=scope, **changes), trust_env=False)
    assert "error=invalid_request" in response.headers["location"]


def test_prompt_login_asks_again_and_can_change_the_person(globus):
    with globus.browser() as browser:
        browser.authorize(authorize_url(globus), "ada@university.example")
        browser.seen.clear()
        browser.authorize(authorize_url(globus, prompt="login"), "cy@elsewhere.example")
        assert browser.seen[0] == "/v2/web/sign-in"


def test_a_required_identity_is_asked_for(globus):
    with globus.browser() as browser:
        browser.authorize(authorize_url(globus), "ada@university.example")
        browser.seen.clear()
        browser.authorize(authorize_url(globus, session_required_identities="ada@observatory.example"), "ada@observatory.example")
        assert browser.seen == ["/v2/web/sign-in"]
        browser.authorize(authorize_url(globus, session_required_identities="ada@observatory.example"), "nobody")
        assert browser.seen == ["/v2/web/sign-in"]


def test_consent_is_asked_only_for_what_is_new(globus):
    campus = globus.env["CAUSEWAY_CAMPUS_COLLECTION"]
    wider = f"openid {TRANSFER}[*https://auth.globus.org/scopes/{campus}/data_access]"
    with globus.browser() as browser:
        browser.authorize(authorize_url(globus, scope=f"openid {TRANSFER}"), "dee@archive.example")
        browser.seen.clear()
        page = browser.get(authorize_url(globus, scope=wider)).text
        assert page.count('class="new"') == 1
        assert "Campus storage" in page
        browser.authorize(authorize_url(globus, scope=wider), "dee@archive.example")
        browser.authorize(authorize_url(globus, scope=wider), "dee@archive.example")
        assert browser.seen == ["/v2/web/consent"]


def test_signing_out_ends_the_session_and_leads_back(globus):
    with globus.browser() as browser:
        browser.authorize(authorize_url(globus), "ada@university.example")
        page = browser.get("/v2/web/logout", params={"redirect_uri": globus.portal_redirect, "redirect_name": "Causeway"})
        assert f'href="{globus.portal_redirect}"' in page.text
        assert browser.get(authorize_url(globus)).headers["location"].startswith("/v2/web/sign-in")
        page = browser.get("/v2/web/logout", params={"redirect_uri": "https://evil.example/"})
        assert "evil.example" not in page.text


@pytest.mark.parametrize("path", ["/v2/web/sign-in", "/v2/web/consent"])
def test_a_form_of_another_site_does_nothing(globus, path):
    with globus.browser() as browser:
        browser.authorize(authorize_url(globus), "ada@university.example")
        response = browser.post(path, data={"identity": "x", "next": "/", "decision": "allow", "form_token": "0" * 64, "query": ""})
        assert response.status_code == 403


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "/\\evil.example", "/\t/evil.example"])
def test_sign_in_goes_on_to_this_service_only(globus, target):
    with globus.browser() as browser:
        assert browser.get("/v2/web/sign-in", params={"next": target}).status_code == 400


def test_a_forged_cookie_is_nobody(globus):
    with globus.browser() as browser:
        browser.authorize(authorize_url(globus), "ada@university.example")
        value, _, mac = browser.cookies["localglobus_session"].partition(".")
        browser.cookies.set("localglobus_session", f"{value}.{mac[::-1]}", domain="127.0.0.2", path="/")
        response = httpx.get(authorize_url(globus), cookies={"localglobus_session": f"{value}.{mac[::-1]}"}, trust_env=False)
        assert response.headers["location"].startswith("/v2/web/sign-in")


def test_the_session_cookie_changes_at_sign_in_and_is_closed_to_scripts(globus):
    with globus.browser() as browser:
        page = browser.get("/v2/web/sign-in")
        before = browser.cookies["localglobus_session"]
        assert "httponly" in page.headers["set-cookie"].lower()
        browser.act(page, "ada@university.example", "")
        assert browser.cookies["localglobus_session"] != before


def test_the_code_page_shows_the_code_and_no_markup(globus):
    page = httpx.get(f"{globus.url}/v2/web/auth-code", params={"code": "<b>abc"}, trust_env=False).text
    assert "&lt;b&gt;abc" in page


def test_a_person_sees_and_takes_back_what_she_agreed_to(globus):
    storage = f"https://auth.globus.org/scopes/{globus.env['CAUSEWAY_STORAGE_COLLECTION']}/data_access"
    address = authorize_url(globus, scope=f"{TRANSFER}[*{storage}]")
    with globus.browser() as browser:
        browser.authorize(address, "cy@elsewhere.example")
        page = browser.get("/v2/web/consents")
        assert "Reach the files of Archive storage on your behalf" in page.text
        form_token = page.text.split('name="form_token" value="')[1].split('"')[0]
        taken = page.text.split("Take back: Reach the files of Archive storage")[0].rsplit('value="', 1)[1].split('"')[0]
        assert browser.post("/v2/web/consents", data={"consent": taken, "form_token": "wrong"}).status_code == 403
        assert browser.post("/v2/web/consents", data={"consent": taken, "form_token": form_token}).status_code == 303
        assert "Archive storage" not in browser.get("/v2/web/consents").text
        browser.seen.clear()
        browser.authorize(address, "cy@elsewhere.example")
        assert browser.seen == ["/v2/web/consent"]
