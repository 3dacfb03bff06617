"""A browser at a file: through sign-in and back, refused with its identity named, never by another page's doing."""

import base64
import hashlib
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.services.dtn.conftest import new_collection

PAGE = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def browser(archive):
    with archive.client(headers=PAGE) as client:
        yield client


def sign_in(control, browser, location, token):
    """Do what Globus Auth does: check the request, make a code for the token, send the browser back."""
    asked = parse_qs(urlsplit(location).query)
    challenge = base64.urlsafe_b64decode(asked["code_challenge"][0] + "=")
    code = f"code-{time.monotonic_ns()}"
    control.codes[code] = {"challenge": challenge, "token": token}
    return browser.get(urlsplit(asked["redirect_uri"][0]).path, params={"code": code, "state": asked["state"][0]})


def test_a_browser_comes_back_to_its_file_signed_in(control, archive, browser, files):
    collection, folder = files
    (folder / "air temperature.nc").write_text("data")
    control.grant(collection, "ada-token", ("/", "r"))
    address = f"/{collection}/air%20temperature.nc?download"
    away = browser.get(address)
    assert away.status_code == 302
    asked = parse_qs(urlsplit(away.headers["location"]).query)
    assert asked["client_id"] == [collection]
    assert asked["redirect_uri"] == [f"{archive.url}/.dtn/callback"]
    assert asked["scope"] == [f"https://auth.globus.org/scopes/{collection}/https"]
    assert asked["code_challenge_method"] == ["S256"]
    cookie = away.headers["set-cookie"]
    assert cookie.startswith("dtn_archive=")
    assert all(word in cookie.lower() for word in ("httponly", "secure", "samesite=lax", "path=/"))
    planted = browser.cookies["dtn_archive"]
    back = sign_in(control, browser, away.headers["location"], "ada-token")
    assert (back.status_code, back.headers["location"]) == (303, address)
    assert browser.cookies["dtn_archive"] != planted, "a new id, so that a planted one is worth nothing"
    assert "ada-token" not in str(back.headers)
    assert browser.get(address).text == "data"
    form = control.token_forms[-1]
    assert (form["client_id"], form["grant_type"], form["redirect_uri"]) == (
        collection,
        "authorization_code",
        f"{archive.url}/.dtn/callback",
    )
    assert "Sign out" in browser.get(f"/{collection}/").text
    assert browser.put(f"/{collection}/new", content=b"x").status_code == 401, "a session only reads"
    browser.post("/.dtn/sign-out")
    assert browser.get(address).status_code == 302


def test_other_clients_are_told_and_not_sent(archive, browser, files):
    collection, _ = files
    answer = browser.get(f"/{collection}/a", headers={"Accept": "*/*"})
    assert answer.status_code == 401
    assert answer.json()["code"] == "AuthenticationFailed"
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert parse_qs(urlsplit(answer.headers["location"]).query)["client_id"] == [collection], "Globus' download client learns it here"
    assert "set-cookie" not in answer.headers
    refused = browser.get(f"/{collection}/a", headers={"Authorization": "Bearer unknown"})
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


def test_signed_in_but_not_allowed_names_the_identity_and_offers_another(control, archive, browser, files):
    collection, folder = files
    (folder / "a").write_text("a")
    control.grant(collection, "cy-token", username="cy@elsewhere.example")
    control.grant(collection, "ada-token", ("/", "r"))
    away = browser.get(f"/{collection}/a")
    sign_in(control, browser, away.headers["location"], "cy-token")
    refused = browser.get(f"/{collection}/a")
    assert refused.status_code == 403
    assert "cy@elsewhere.example" in refused.text
    other = f"/.dtn/sign-in?next=%2F{collection}%2Fa"
    assert other in refused.text
    away = browser.get(other)
    assert parse_qs(urlsplit(away.headers["location"]).query)["prompt"] == ["login"]
    assert sign_in(control, browser, away.headers["location"], "ada-token").headers["location"] == f"/{collection}/a"
    assert browser.get(f"/{collection}/a").text == "a"


def test_a_token_that_ended_sends_the_browser_to_sign_in_again(control, browser, files):
    collection, folder = files
    (folder / "a").write_text("a")
    control.grant(collection, "short-token", ("/", "r"))
    away = browser.get(f"/{collection}/a")
    sign_in(control, browser, away.headers["location"], "short-token")
    assert browser.get(f"/{collection}/a").status_code == 200
    control.grants.pop((collection, "short-token"))
    time.sleep(1.1)  # how long an answer of control may be kept
    assert browser.get(f"/{collection}/a").status_code == 302


def test_two_collections_in_one_browser_keep_their_own_tokens(control, archive, browser, request):
    collections = []
    for number in range(2):
        collection, folder = new_collection(control, archive, f"{request.node.name}{number}")
        (folder / "a").write_text(str(number))
        control.grant(collection, f"token-{number}", ("/", "r"))
        away = browser.get(f"/{collection}/a")
        sign_in(control, browser, away.headers["location"], f"token-{number}")
        collections.append(collection)
    assert [browser.get(f"/{collection}/a").text for collection in collections] == ["0", "1"]


def test_a_callback_is_good_once_in_its_own_browser(control, archive, browser, files):
    collection, _ = files
    control.grant(collection, "ada-token", ("/", "r"))
    away = browser.get(f"/{collection}/a")
    with archive.client(headers=PAGE) as stranger:
        assert sign_in(control, stranger, away.headers["location"], "ada-token").status_code == 400
    assert sign_in(control, browser, away.headers["location"], "ada-token").status_code == 303
    assert sign_in(control, browser, away.headers["location"], "ada-token").status_code == 400
    assert browser.get("/.dtn/callback").status_code == 400


def test_a_code_of_another_verifier_is_refused(control, browser, files):
    collection, _ = files
    away = browser.get(f"/{collection}/a")
    state = parse_qs(urlsplit(away.headers["location"]).query)["state"][0]
    control.codes["stolen"] = {"challenge": hashlib.sha256(b"another").digest(), "token": "ada-token"}
    assert browser.get("/.dtn/callback", params={"code": "stolen", "state": state}).status_code == 401


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/x", "/\\evil.example", "", "javascript:alert(1)"])
def test_sign_in_leads_to_this_node_only(browser, target):
    assert browser.get("/.dtn/sign-in", params={"next": target}).status_code in {400, 404}


def test_refusals_are_pages_for_browsers(control, browser, files):
    collection, _ = files
    control.grant(collection, None, ("/", "r"))
    missing = browser.get(f"/{collection}/none")
    assert missing.status_code == 404
    assert "Nothing is here" in missing.text
    assert missing.headers["content-security-policy"].startswith("default-src 'none'")
    assert browser.get("/.dtn/style.css").headers["content-type"].startswith("text/css")
    assert "archive" in browser.get("/").text
