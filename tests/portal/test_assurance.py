"""A second factor: what Globus tells of it, what the session keeps of it, and the way to give one, against the running processes."""

import datetime as dt
import time

import pytest
from django.utils import timezone

from portal import assurance, bearer
from portal.auth import Introspection
from portal.models import User
from services.embedded.visitor import Visitor
from tests.journeys.second_factor import pass_globus

ADA = "ada@university.example"
AT = 1_790_000_000


def authentication(**facts):
    return {"idp": "i", "auth_time": AT, "acr": None, "amr": None, "custom_claims": {}} | facts


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, None),
        ({"one": authentication()}, None),
        ({"one": authentication(amr=["pwd"])}, None),
        ({"one": authentication(amr=["pwd", "mfa"])}, AT),
        ({"one": authentication(amr="pwd mfa")}, AT),
        ({"one": authentication(acr="https://refeds.org/profile/mfa")}, AT),
        ({"one": authentication(acr="https://refeds.org/profile/sfa")}, None),
        ({"one": authentication(amr=["mfa"]), "two": authentication(amr=["mfa"], auth_time=AT + 60)}, AT + 60),
        ({"one": authentication(amr=["mfa"]), "two": authentication(auth_time=AT + 60)}, AT),
        ({"one": authentication(amr=["mfa"], auth_time=None)}, None),
    ],
)
def test_the_latest_authentication_with_a_second_factor_counts(told, expected):
    moment = assurance.second_factor_at(told)
    assert moment == (dt.datetime.fromtimestamp(expected, dt.UTC) if expected else None)


def test_a_person_is_judged_by_her_session_and_a_worker_by_nothing(browser, people, settings):
    assert User.objects.get(pk=people["ada"].pk).is_assured, "no session to judge"
    client = browser(people["ada"])
    page = client.get("/signin/second-factor/?next=/profile/").content.decode()
    assert "told of no second factor" in page
    session = client.session
    session[assurance.SESSION_KEY] = timezone.now().isoformat()
    session.save()
    assert "Go on" in client.get("/signin/second-factor/?next=/profile/").content.decode()
    session[assurance.SESSION_KEY] = (timezone.now() - dt.timedelta(minutes=settings.ASSURANCE_MINUTES + 1)).isoformat()
    session.save()
    assert "too long ago" in client.get("/signin/second-factor/?next=/profile/").content.decode()


@pytest.mark.parametrize(("methods", "is_assured"), [(None, False), (["mfa"], True)])
def test_a_bearer_token_is_judged_by_its_own_session(people, settings, rf, methods, is_assured):
    told = Introspection(
        is_active=True,
        identity_id=people["ada"].pk,
        audience=frozenset({settings.GLOBUS_CLIENT_ID}),
        scopes=frozenset({settings.API_SCOPE}),
        expires_at=int(time.time()) + 60,
        username=ADA,
        name="Ada",
        email=ADA,
        identities=(),
        authentications={"one": authentication(amr=methods, auth_time=int(time.time()))},
    )
    token = f"token-{methods}"
    bearer.keep("bearer:" + bearer.hashlib.sha256(token.encode()).hexdigest(), told)
    person, _ = bearer.BearerAuthentication().authenticate(rf.get("/api/v1/", headers={"Authorization": f"Bearer {token}"}))
    assert person.is_assured is is_assured


def test_roles_of_staff_wait_for_the_second_factor_where_the_site_says_so(browser, people, archive, settings):
    client = browser(people["ben"])
    assert client.get("/steward/").status_code == 200
    settings.STAFF_NEEDS_SECOND_FACTOR = True
    for address in ("/steward/", "/steward/datasets/open/", "/steward/people/", "/steward/access-requests/"):
        assert client.get(address)["Location"].startswith("/signin/second-factor/?")
    assert "Second factor for my role" in client.get("/profile/").content.decode()
    told = client.post("/api/v1/datasets/open/versions/", {}, content_type="application/json")
    assert (told.status_code, told.json()["code"]) == (403, "assurance-needed")
    assert browser(people["dee"]).get("/admin/").status_code == 302
    session = client.session
    session[assurance.SESSION_KEY] = timezone.now().isoformat()
    session.save()
    assert client.get("/steward/").status_code == 200


@pytest.mark.journey
def test_a_second_factor_is_given_at_globus_and_counts_here(stack):
    visitor = Visitor(ca_file=stack.ca_file, start=stack.base_url)
    try:
        page, met = pass_globus(visitor, visitor.submit(visitor.open("/signin/?next=/profile/"), "Continue to Globus"), person=ADA)
        assert met == ["sign-in"], "nobody is asked for one to sign in"
        page = visitor.open("/signin/second-factor/?next=/profile/")
        assert "told of no second factor" in page.text
        page, met = pass_globus(visitor, visitor.submit(page, "Continue to Globus"), person=ADA)
        assert met == ["sign-in", "second factor"], "a fresh sign-in, then the factor"
        assert page.url == f"{stack.base_url}/profile/"
        assert "You gave one" in visitor.open("/signin/second-factor/?next=/profile/").text
    finally:
        visitor.close()
