"""What a page lacks is asked for at Auth on the way, and the page, or the form that was sent, goes on afterwards."""

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.services.localglobus.transfer.test_assurance import guard
from tests.services.localglobus.webapp.conftest import forget_consents, read_token

pytestmark = pytest.mark.long

__all__ = ["guard"]


def campus(sites, path="/~/"):
    return "/file-manager?" + urlencode({"origin_id": sites.collection("campus"), "origin_path": path})


def test_data_access_is_asked_once_and_the_page_goes_on(sites, person):
    ada = person("ada")
    forget_consents(ada)
    ada.seen.clear()
    page = ada.open(campus(sites))
    assert ada.seen == ["/v2/web/consent"]
    assert page.status_code == 200
    assert str(page.url.copy_with(scheme="", host="", port=None)).endswith(urlsplit(campus(sites)).query)
    ada.open(campus(sites))
    assert ada.seen == ["/v2/web/consent"], "asked once"


def test_who_does_not_agree_sees_nothing_and_is_not_sent_in_a_circle(sites, person):
    ada = person("ada")
    forget_consents(ada)
    ada.decision = "deny"
    page = ada.open(campus(sites))
    assert page.status_code == 403
    assert "You did not agree" in page.text
    assert ada.seen.count("/v2/web/consent") == 1


def test_an_agreement_taken_back_is_asked_for_again(sites, person):
    ada = person("ada")
    ada.open(campus(sites))
    forget_consents(ada)
    ada.seen.clear()
    assert ada.open(campus(sites)).status_code == 200
    assert ada.seen == ["/v2/web/consent"]


def test_a_form_that_lacked_a_consent_is_sent_again_by_itself(sites, person):
    ada = person("ada")
    ada.open(campus(sites))
    forget_consents(ada)
    ada.seen.clear()
    ada.press("mkdir:origin", name="after-consent")
    assert ada.seen == ["/v2/web/consent"]
    made = sites.root("campus") / "home/ada/after-consent"
    assert made.is_dir()
    made.rmdir()


def test_the_way_back_works_once_and_for_the_person_alone(sites, person):
    ada, cy = person("ada"), person("cy")
    forget_consents(ada)
    away = ada.browser.get(campus(sites))
    query = parse_qs(urlsplit(away.headers["location"]).query)
    state = query["state"][0]
    assert query["scope"][0].endswith(f"[*https://auth.globus.org/scopes/{sites.collection('campus')}/data_access]")
    assert cy.browser.get(f"/web/callback?state={state}&code=x").status_code == 303, "hers is looked at as herself: she may not"
    assert ada.browser.get(f"/web/callback?state={state}&code=x").status_code == 400
    assert ada.browser.get("/web/callback?state=guessed").status_code == 400


def test_a_kept_form_is_not_sent_as_somebody_else(sites, person):
    ada, cy = person("ada"), person("cy")
    ada.open(campus(sites))
    forget_consents(ada)
    view = urlsplit(campus(sites)).query
    token = read_token(ada.page)
    fields = {"form_token": token, "view": view + "%2F", "act": "mkdir:origin", "name": "stolen"}
    away = ada.browser.post("/file-manager", data=fields)
    state = parse_qs(urlsplit(away.headers["location"]).query)["state"][0]
    assert cy.browser.get(f"/web/callback?state={state}&code=x").status_code == 400
    assert not (sites.root("campus") / "home/ada/stolen").exists()


def test_a_forged_form_is_not_kept_for_later(sites, person):
    ada = person("ada")
    ada.open(campus(sites))
    forget_consents(ada)
    fields = {"form_token": "0" * 64, "view": urlsplit(campus(sites)).query, "act": "mkdir:origin", "name": "forged"}
    assert ada.browser.post("/file-manager", data=fields).status_code == 403


def test_high_assurance_leads_to_a_new_sign_in_and_back(guard, person):
    guarded, dee = guard(high_assurance=True, authentication_timeout_mins=60), person("dee")
    address = f"/file-manager?origin_id={guarded.id}&origin_path=/"
    assert "notes.txt" in dee.open(address).text
    guarded.forget_sign_ins()
    dee.seen.clear()
    page = dee.open(address)
    assert "/v2/web/sign-in" in dee.seen
    assert "notes.txt" in page.text
    guarded.forget_sign_ins()
    dee.seen.clear()
    dee.press("mkdir:origin", name="late")
    assert "/v2/web/sign-in" in dee.seen
    assert "late" in dee.open(address).text
