"""Sign-in, consent and sign-out, as far as they need no Globus; the flow itself is driven in test_live_signin.py."""

import uuid

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.urls import reverse

from portal import auth, signin, tasks
from portal.models import GroupMembership, LinkedIdentity, RoleGrant, User
from transfers.models import GlobusToken

pytestmark = pytest.mark.django_db

TRANSFER = "urn:globus:auth:scope:transfer.api.globus.org:all"


@pytest.mark.parametrize(
    "address", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "http:evil.example"]
)
@pytest.mark.parametrize("route", ["/signin/", "/consent/"])
def test_pages_return_only_to_paths_of_this_site(browser, people, route, address):
    page = browser(people["ada"]).get(route, {"next": address, "scope": TRANSFER}).content.decode()
    assert "evil.example" not in page
    assert "alert(1)" not in page


def test_a_path_of_this_site_is_kept(browser):
    page = browser().get("/signin/", {"next": "/basket/?way=share"}).content.decode()
    assert 'name="next" value="/basket/?way=share"' in page


@pytest.mark.parametrize("route", ["/login/globus/", "/signout/"])
def test_a_link_begins_and_ends_no_session(browser, people, route):
    client = browser(people["ada"])
    assert client.get(route).status_code == 405
    assert client.get("/profile/").status_code == 200


@pytest.mark.parametrize("route", ["/login/globus/", "/signout/", "/consent/", "/profile/forget/transfer.api.globus.org/"])
def test_forms_need_their_token(browser, people, route):
    assert browser(people["ada"], enforce_csrf_checks=True).post(route, {"scope": TRANSFER}).status_code == 403


def test_an_answer_that_belongs_to_no_sign_in_is_refused_in_words(browser):
    response = browser().get("/complete/globus/", {"code": "stolen", "state": "made-up"})
    assert response.status_code == 403
    assert "did not belong to a sign-in that this browser began" in response.content.decode()
    assert User.objects.count() == 0


def test_signing_out_ends_the_session(browser, people):
    client = browser(people["ada"])
    assert client.post("/signout/").status_code == 302
    assert client.get("/profile/")["Location"].startswith("/signin/")


def test_signing_out_everywhere_ends_the_other_sessions_too(browser, people):
    here, elsewhere, somebody_else = browser(people["ada"]), browser(people["ada"]), browser(people["cy"])
    here.post("/signout/", {"everywhere": "1"})
    assert elsewhere.get("/profile/").status_code == 302
    assert somebody_else.get("/profile/").status_code == 200


def test_cookies_have_our_names_and_are_closed_to_scripts_and_other_sites(browser, people):
    client = browser(people["ada"])
    client.get("/signin/")
    assert settings.SESSION_COOKIE_NAME == "causeway_session"
    cookie = client.cookies["causeway_csrf"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert (settings.SESSION_COOKIE_HTTPONLY, settings.SESSION_COOKIE_SAMESITE) == (True, "Lax")


def test_the_policy_allows_no_script_of_others_and_no_frame(browser):
    policy = browser().get("/signin/")["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "scope", ["urn:globus:auth:scope:groups.api.globus.org:all", f"{TRANSFER}[urn:globus:auth:scope:groups.api.globus.org:all]", "all[", ""]
)
def test_nobody_is_led_to_consent_to_what_the_portal_has_no_use_for(browser, people, scope):
    client = browser(people["ada"])
    assert client.get("/consent/", {"scope": scope}).status_code == 400
    assert client.post("/consent/", {"scope": scope}).status_code == 400


def test_the_consent_page_says_what_is_asked_in_words(browser, people):
    scope = f"{TRANSFER}[*https://auth.globus.org/scopes/{settings.STORAGE_COLLECTION}/data_access]"
    page = browser(people["ada"]).get("/consent/", {"scope": scope, "next": "/requests/"}).content.decode()
    assert "Copy files between Globus collections" in page
    assert f"Read and write files in the collection {settings.STORAGE_COLLECTION}" in page
    assert f'name="scope" value="{TRANSFER}[*https' in page


def test_scopes_with_dependencies_stay_in_one_piece():
    asked = "openid urn:a:all[*https://auth.globus.org/scopes/x/data_access]"
    assert auth.read_scopes(asked) == ["openid", "urn:a:all[*https://auth.globus.org/scopes/x/data_access]"]


def userinfo(person: User, **more: object) -> dict[str, object]:
    return {"sub": str(person.id), "preferred_username": person.username, "name": person.name, "email": person.email} | more


def test_linked_identities_follow_what_globus_tells(people):
    ada, other = people["ada"], uuid.uuid4()
    linked = {"sub": str(other), "username": "ada@observatory.example", "identity_provider_display_name": "Observatory"}
    signin.record_person(ada.id, userinfo(ada, identity_set=[{"sub": str(ada.id)}, linked]))
    assert User.objects.get(pk=ada.pk).identity_ids == {ada.id, other}
    assert LinkedIdentity.objects.get().organization == "Observatory"
    signin.record_person(ada.id, userinfo(ada, identity_set=[{"sub": str(ada.id)}]))
    assert User.objects.get(pk=ada.pk).identity_ids == {ada.id}


def test_a_group_counts_through_a_linked_identity_and_ends_with_the_membership(people):
    ada, other, group_id = people["ada"], uuid.uuid4(), uuid.uuid4()
    LinkedIdentity.objects.create(user=ada, identity_id=other, username="ada@observatory.example")
    RoleGrant.objects.create(role="steward", principal_type="group", principal=group_id)
    signin.record_memberships(auth.Group(id=group_id, name="Curators", active_identity_ids=frozenset({other})), User.objects.all())
    assert GroupMembership.objects.get().identity_id == other
    assert User.objects.get(pk=ada.pk).is_steward
    assert not User.objects.get(pk=people["cy"].pk).is_steward
    signin.record_memberships(auth.Group(id=group_id, name="Curators", active_identity_ids=frozenset()), User.objects.all())
    assert not User.objects.get(pk=ada.pk).is_steward


def test_members_of_the_groups_in_settings_have_their_role(people, settings):
    group_id = uuid.uuid4()
    settings.OPERATOR_GROUPS = [str(group_id)]
    GroupMembership.objects.create(user=people["cy"], group_id=group_id, identity_id=people["cy"].id)
    cy = User.objects.get(pk=people["cy"].pk)
    assert (cy.is_operator, cy.is_staff, cy.is_steward) == (True, True, False)
    assert signin.watched_groups() == {group_id}


def test_the_profile_shows_what_is_held_and_no_token(browser, people):
    GlobusToken.objects.create(
        user=people["ada"],
        resource_server="transfer.api.globus.org",
        scopes=[TRANSFER],
        access_token_encrypted=b"encrypted-access",
        refresh_token_encrypted=b"encrypted-refresh",
        expires_at="2030-01-01T00:00:00Z",
    )
    page = browser(people["ada"]).get("/profile/").content.decode()
    assert "Copying files between collections" in page
    assert reverse("portal:forget", args=["transfer.api.globus.org"]) in page
    assert "encrypted-" not in page


def test_the_profile_shows_the_scope_that_programs_ask_for(browser, people, settings):
    settings.API_SCOPE = "https://auth.globus.org/scopes/7d5a4f1e-0000-4000-8000-000000000001/api"
    page = browser(people["ada"]).get("/profile/").content.decode()
    assert settings.API_SCOPE in page
    assert f"{settings.BASE_URL}/api/v1/" in page
    settings.API_SCOPE = ""
    assert "Scope of the API" not in browser(people["ada"]).get("/profile/").content.decode()


def test_ended_sessions_are_cleared_and_others_stay(browser, people):
    client = browser(people["ada"])
    Session.objects.create(session_key="long-gone", session_data="", expire_date="2020-01-01T00:00:00Z")
    tasks.clear_sessions()
    assert not Session.objects.filter(session_key="long-gone").exists()
    assert client.get("/profile/").status_code == 200


def test_a_closed_account_ends_its_sessions_at_once(browser, people):
    client = browser(people["ada"])
    assert client.get("/profile/").status_code == 200
    User.objects.filter(pk=people["ada"].pk).update(is_active=False)
    assert client.get("/profile/")["Location"].startswith("/signin/")


class TestAdministration:
    def test_it_has_no_form_of_its_own(self, browser):
        assert browser().get("/admin/login/?next=/admin/")["Location"] == "/signin/?next=%2Fadmin%2F"
        assert browser().get("/admin/password_change/").status_code in {302, 404}

    def test_researchers_are_refused_in_words(self, browser, people):
        response = browser(people["ada"]).get("/admin/login/")
        assert response.status_code == 403
        assert "for operators" in response.content.decode()

    def test_operators_see_people_and_may_close_an_account_but_not_rename_it(self, browser, people):
        client = browser(people["dee"])
        assert client.get("/admin/").status_code == 200
        page = client.get(reverse("admin:portal_user_change", args=[people["ada"].pk])).content.decode()
        assert 'name="is_active"' in page
        assert 'name="username"' not in page
        assert "password" not in page.lower()

    def test_signing_out_there_is_signing_out(self, browser, people):
        client = browser(people["dee"])
        assert client.post("/admin/logout/").status_code == 302
        assert client.get("/profile/").status_code == 302
