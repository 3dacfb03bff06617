"""Collections that want more of a person's sign-in: what she is told, on the page and in the API, and that what she began goes on."""

import re
import time
import uuid
from urllib.parse import parse_qs, urlsplit

import globus_sdk
import pytest
from django.core import signing
from globus_sdk.gare import to_gare

from datasets.errors import InvalidError
from tests.transfers.conftest import everything, run_until
from tests.transfers.guarded import DEE, guarded, guarded_folder, real_dee, sign_in_at
from transfers import copying, globus, opening, requirements, sending, tokens
from transfers.errors import ReauthenticationNeededError
from transfers.states import Status, TaskStatus

__all__ = ["guarded", "guarded_folder", "real_dee"]  # fixtures
SESSION = {"session_required_mfa": True, "session_required_identities": ["a", "b"], "session_message": "Again, please.", "prompt": "login"}


def test_what_a_session_must_show_travels_sealed():
    sealed = requirements.seal(SESSION | {"extra": "x"}, user_id="ada")
    assert requirements.unseal(sealed, user_id="ada") == SESSION
    assert (requirements.seal({}, user_id="ada"), requirements.unseal("", user_id="ada")) == ("", {})
    for forged in (sealed[:-1], signing.dumps(SESSION), "made-up"):  # another purpose's signature is none
        with pytest.raises(InvalidError):
            requirements.unseal(forged, user_id="ada")


def test_a_link_ends_after_a_day(monkeypatch):
    now = time.time()
    monkeypatch.setattr(signing.time, "time", lambda: now - requirements.SEAL_LASTS_S - 5)
    sealed = requirements.seal(SESSION, user_id="ada")
    monkeypatch.undo()
    with pytest.raises(InvalidError, match="more than a day old"):
        requirements.unseal(sealed, user_id="ada")


def test_what_a_collection_says_at_length_is_bounded():
    long = {"session_message": "word " * 10_000, "session_required_identities": [str(one) for one in range(9_000)] + ["x" * 9_000]}
    page = requirements.page(scopes=[globus.TRANSFER_SCOPE], session=long, next_url="/", user_id="ada")
    assert len(page) < 2_000
    kept = requirements.bounded(long)
    assert len(kept["session_message"]) == requirements.MOST_MESSAGE
    assert kept["session_required_identities"] == [str(one) for one in range(requirements.MOST_NAMED)]
    assert requirements.bounded({"session_required_mfa": "yes", "session_required_policies": 3, "prompt": ["login"]}) == {}


def test_a_link_made_for_one_person_leads_nobody_else_to_a_sign_in(client, ada, cy):
    page = requirements.page(scopes=[globus.TRANSFER_SCOPE], session=SESSION, next_url="/requests/", user_id=ada.pk)
    client.force_login(cy)
    refused = client.get(page)
    assert (refused.status_code, "made for another identity" in refused.content.decode()) == (400, True)
    assert client.post("/consent/", parse_qs(urlsplit(page).query)).status_code == 400
    client.force_login(ada)
    assert client.get(page).status_code == 200


def test_scopes_that_nothing_here_needs_are_refused(client, ada):
    client.force_login(ada)
    deep = "".join(f"a{number}[" for number in range(2_000)) + "z" + "]" * 2_000
    collections = [f"https://auth.globus.org/scopes/{uuid.UUID(int=number)}/data_access" for number in range(200)]
    assert client.post("/consent/", {"scope": deep}).status_code == 400
    assert client.post("/consent/", {"scope": collections}).status_code == 400


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        (
            SESSION,
            {
                "session_required_identities": "a,b", "session_required_mfa": "true", "session_message": "Again, please.",
                "prompt": "login",
            },
        ),
        ({"session_required_single_domain": ["x.example"], "prompt": "none"}, {"session_required_single_domain": "x.example"}),
        ({"session_required_policies": ["p", "q"]}, {"session_required_policies": "p,q"}),
        ({}, {}),
    ],
)  # fmt: skip
def test_parameters_of_the_sign_in(session, expected):
    assert requirements.arguments(session) == expected


def test_nobody_is_led_to_a_sign_in_that_globus_did_not_ask_for(client, ada):
    client.force_login(ada)
    asked = {"scope": globus.TRANSFER_SCOPE, "session": signing.dumps(SESSION)}
    assert client.get("/consent/", asked).status_code == 400
    assert client.post("/consent/", asked).status_code == 400


@pytest.mark.parametrize(
    ("session", "words"),
    [
        ({"session_required_single_domain": ["university.example"]}, ["identity of university.example"]),
        ({"session_required_single_domain": ["far.example"]}, ["identity of far.example", "None of your linked identities"]),
        ({"session_required_identities": [str(uuid.UUID(int=9))]}, ["not among the identities that you linked"]),
        ({"session_required_policies": ["p"]}, ["a policy of the collection"]),
        ({"session_required_mfa": True, "session_message": "<b>Again</b>"}, ["A second factor", "&lt;b&gt;Again"]),
        ({"prompt": "login"}, ["A fresh sign-in"]),
    ],
)
def test_the_page_says_what_is_asked_for(client, ada, session, words):
    client.force_login(ada)
    page = client.get(
        requirements.page(scopes=[globus.TRANSFER_SCOPE], session=session, next_url="/requests/", user_id=ada.pk)
    ).content.decode()
    assert "A fresh sign-in is needed" in page
    for one in words:
        assert one in page


def test_a_refusal_of_the_collection_names_what_the_sign_in_must_show(world, real_dee, guarded):
    with pytest.raises(ReauthenticationNeededError) as refused:
        sending.look_at(real_dee, guarded, "/")
    assert refused.value.required_scopes == [globus.TRANSFER_SCOPE]
    assert refused.value.session["session_required_mfa"] is True
    assert refused.value.session["session_required_identities"] == [str(real_dee.pk)]
    assert DEE not in refused.value.detail, "what is logged names nobody"


def test_a_transfer_waits_for_the_sign_in_that_its_collection_wants_and_goes_on(client, world, publish_real, real_dee, guarded, settings):
    settings.SOCIAL_AUTH_GLOBUS_OIDC_ENDPOINT = world.stack.addresses.localglobus
    settings.SOCIAL_AUTH_GLOBUS_KEY = world.environment["CAUSEWAY_GLOBUS_CLIENT_ID"]
    version = publish_real()
    opening.open_dataset(version.dataset)
    client.force_login(real_dee)
    wanted = {
        "kind": "transfer",
        "selections": [{"dataset": version.dataset.slug}],
        "destination": {"collection_id": str(guarded), "path": "/"},
    }
    refused = client.post("/api/v1/data-requests", wanted, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "reauthentication-needed")
    gare = to_gare(refused.json()).authorization_parameters
    assert (gare.session_required_mfa, gare.required_scopes) == (True, [globus.TRANSFER_SCOPE])

    request = sending.request_transfer(user=real_dee, wanted=everything(version), collection_id=guarded, path="/", name="Guarded data")
    sending.send(str(request.pk))
    request.refresh_from_db()
    assert (request.status, request.due_at) == (Status.NEEDS_SIGN_IN, None)
    shown = client.get(f"/api/v1/data-requests/{request.pk}").json()["requirement"]
    assert to_gare(shown).authorization_parameters.session_required_identities == [str(real_dee.pk)]
    page = client.get(request.get_absolute_url()).content.decode()
    (address,) = set(re.findall(r'class="btn" href="(/consent/[^"]+)"', page))
    address = address.replace("&amp;", "&")
    assert address.partition("session=")[0] in shown["url"]
    asked = client.get(address).content.decode()
    assert "A second factor" in asked
    assert f"A fresh sign-in as {DEE}" in asked
    sent = client.post("/consent/", parse_qs(urlsplit(address).query))
    assert sent["Location"].startswith(f"{world.stack.addresses.localglobus}/v2/oauth2/authorize?")
    tokens.store_tokens(real_dee, sign_in_at(world, sent["Location"]))
    request.refresh_from_db()
    assert request.due_at is not None
    run_until(request, Status.SENT)
    assert request.required_session == {}
    assert client.get(f"/api/v1/data-requests/{request.pk}").json()["requirement"] is None


def test_what_is_lacking_is_asked_for_though_a_source_is_off_line_meanwhile(world, publish_real, real_dee, guarded):
    version = publish_real()
    opening.open_dataset(version.dataset)
    request = sending.request_transfer(user=real_dee, wanted=everything(version), collection_id=guarded, path="/", name="Guarded data")
    version.locations.update(is_online=False)
    with pytest.raises(ReauthenticationNeededError):
        copying.ask_what_is_lacking(request, token=sending.token_of(real_dee))


def withdraw_data_access(world, person):
    """She takes back at Globus that the portal may read and write in her campus's collection; the rest stays."""
    manage = "urn:globus:auth:scope:auth.globus.org:manage_projects"
    token = world.sign_in(person.username, manage)["access_token"]
    with globus_sdk.AuthClient(authorizer=globus_sdk.AccessTokenAuthorizer(token)) as client:
        held = client.get_consents(person.pk)["consents"]
        mine = [one for one in held if one["scope_name"].endswith(f"{world.campus_id}/data_access")]
        assert mine
        for one in mine:
            client.delete(f"/v2/api/identities/{person.pk}/consents/{one['id']}")


def test_a_task_that_is_held_for_a_consent_asks_for_it(world, publish_real, real_ada):
    scope = f"{globus.TRANSFER_SCOPE}[*https://auth.globus.org/scopes/{world.campus_id}/data_access]"
    tokens.store_tokens(real_ada, world.sign_in("ada@university.example", scope))
    version = publish_real()
    opening.open_dataset(version.dataset)
    globus.make_folder(world.campus_id, path := f"/home/ada/{uuid.uuid4().hex[:8]}/", token=sending.token_of(real_ada))
    request = sending.request_transfer(user=real_ada, wanted=everything(version), collection_id=world.campus_id, path=path)
    busy = {"http_status": 503, "code": "ServiceUnavailable", "message": "busy"}
    world.inject("node.ticket", times=10_000, error=busy)  # no copy begins
    sending.send(str(request.pk))
    withdraw_data_access(world, real_ada)
    deadline = time.monotonic() + 60
    while request.status != Status.NEEDS_SIGN_IN:
        assert time.monotonic() < deadline
        sending.follow(str(request.pk))
        request.refresh_from_db()
    assert str(world.campus_id) in request.required_scopes[0]
    assert request.tasks.get().status == TaskStatus.ACTIVE
    world.clear_faults()
    tokens.store_tokens(real_ada, world.sign_in("ada@university.example", scope))
    run_until(request, Status.SENT)
    assert request.tasks.count() == 1
