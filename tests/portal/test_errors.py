import json
import logging

import pytest
from django.test import RequestFactory
from globus_sdk.gare import to_gare
from rest_framework.exceptions import Throttled, ValidationError

from datasets import errors as refusals
from portal import errors
from portal.requests import JsonFormatter, reference
from transfers.errors import ConsentNeededError, GlobusRefusedError, GlobusUnavailableError, ReauthenticationNeededError, SignInNeededError

pytestmark = pytest.mark.django_db


def test_an_unknown_address_of_the_api_is_a_problem_with_a_reference(browser):
    response = browser().get("/api/v1/nothing-here/")
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "instance", "code", "fields", "reference"}
    assert (body["status"], body["code"], body["instance"]) == (404, "not-found", "/api/v1/nothing-here/")
    assert body["reference"] == response["X-Request-ID"]


def test_an_unknown_page_says_who_asks_and_carries_its_reference(browser, people, caplog):
    with caplog.at_level(logging.INFO, logger="portal"):
        response = browser(people["ada"]).get("/nothing-here/")
    assert response.status_code == 404
    page = response.content.decode()
    assert "ada@university.example" in page
    assert response["X-Request-ID"] in page


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (refusals.InvalidError("Bad.", fields={"days": ["Too many."]}), 400, "invalid"),
        (refusals.ForbiddenError(), 403, "forbidden"),
        (refusals.NotFoundError(), 404, "not-found"),
        (refusals.ConflictError(), 409, "conflict"),
        (GlobusUnavailableError(retry_after_s=7), 503, "globus-unavailable"),
        (GlobusRefusedError("No."), 502, "globus-refused"),
        (ConsentNeededError(required_scopes=["a"]), 403, "consent-needed"),
        (SignInNeededError(), 401, "sign-in-needed"),
    ],
)
def test_refusals_keep_their_status_and_code_in_the_api(error, status, code):
    request = RequestFactory().get("/api/v1/x/")
    response = errors.RefusalMiddleware(lambda _: None).process_exception(request, error)
    body = json.loads(response.content)
    assert (response.status_code, body["status"], body["code"]) == (status, status, code)
    assert body["title"] == error.message
    assert body["fields"] == error.fields
    assert body.get("required_scopes") == getattr(error, "required_scopes", None)
    assert response.headers.get("Retry-After") == ("7" if code == "globus-unavailable" else None)


def test_a_missing_consent_leads_a_page_to_the_consent_page_and_back():
    request = RequestFactory().get("/requests/new/?kind=transfer")
    error = ConsentNeededError(required_scopes=["urn:globus:auth:scope:transfer.api.globus.org:all"])
    response = errors.RefusalMiddleware(lambda _: None).process_exception(request, error)
    assert response.status_code == 303
    assert response["Location"] == (
        "/consent/?next=%2Frequests%2Fnew%2F%3Fkind%3Dtransfer&scope=urn%3Aglobus%3Aauth%3Ascope%3Atransfer.api.globus.org%3Aall"
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConsentNeededError(required_scopes=["a", "b"]), {"required_scopes": ["a", "b"]}),
        (
            ReauthenticationNeededError(required_scopes=["a"], session={"session_required_policies": ["p"]}),
            {"required_scopes": ["a"], "session_required_policies": ["p"]},
        ),
        (refusals.AssuranceNeededError(), {"session_required_mfa": True, "prompt": "login"}),
    ],
)
def test_what_a_sign_in_lacks_is_told_as_the_sdk_of_globus_reads_it(error, expected):
    request = RequestFactory().get("/api/v1/x/")
    body = json.loads(errors.RefusalMiddleware(lambda _: None).process_exception(request, error).content)
    found = to_gare(body).authorization_parameters
    assert {name: getattr(found, name) for name in expected} == expected
    assert body.get("url", "http://127.0.0.1:8000/consent/").startswith("http://127.0.0.1:8000/consent/")


@pytest.mark.parametrize(
    ("referer", "back"), [("http://testserver/basket/?a=1", "/basket/?a=1"), ("https://evil.example/x", "/"), ("//evil.example", "/")]
)
def test_a_form_returns_to_its_own_page_and_never_to_another_site(referer, back):
    request = RequestFactory().post("/requests/", headers={"Referer": referer})
    assert errors.came_from(request) == back


def test_field_errors_of_the_rest_framework_are_flat_lists():
    refusal = errors.api_refusal(ValidationError({"selection": {"folders": ["Unknown."]}, "days": ["Too many."]}))
    assert refusal.code == "invalid"
    assert refusal.fields == {"selection": ["folders: Unknown."], "days": ["Too many."]}


@pytest.mark.parametrize(
    "address", ["/datasets/?subject=%00", "/api/v1/datasets?format=%00", "/quick-looks/a/%00/", "/datasets/a/files/?after=%00"]
)
def test_a_nul_is_refused_and_no_failure(browser, address):
    assert browser().get(address).status_code == 400


def test_a_nul_in_a_form_is_refused(browser):
    assert browser().post("/basket/add/", {"dataset": "a\0b"}).status_code == 400


def test_a_document_that_would_fill_the_memory_is_refused(browser, people):
    document = b'{"selections": "' + b"x" * errors.MOST_BODY_BYTES + b'"}'
    response = browser(people["ada"]).post("/api/v1/data-requests", document, content_type="application/json")
    assert (response.status_code, response.json()["code"]) == (413, "too-large")
    said = browser().post("/api/v1/data-requests", {}, content_type="application/json", CONTENT_LENGTH="9" * 5000)
    assert said.status_code == 413


def test_a_request_for_another_host_is_refused_and_no_failure(browser):
    response = browser().get("/datasets/", headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert response["X-Request-ID"] in response.content.decode()


def test_too_many_requests_say_when_to_come_back(rf):
    class Wrapped:
        _request = rf.get("/api/v1/x/")

    response = errors.answer_api(Throttled(wait=12), {"request": Wrapped})
    assert (response.status_code, response["Retry-After"]) == (429, "12")


def test_a_failure_is_a_page_that_needs_nothing_else(rf):
    reset = reference.set("abc123")
    try:
        response = errors.failed(rf.get("/datasets/"))
    finally:
        reference.reset(reset)
    assert response.status_code == 500
    assert "abc123" in response.content.decode()


def test_a_form_without_its_token_is_refused_in_words(browser, people):
    response = browser(people["ada"], enforce_csrf_checks=True).post("/signout/")
    assert response.status_code == 403
    assert "too old, or does not come from this site" in response.content.decode()


@pytest.mark.parametrize(
    "secret",
    [
        "Authorization: Bearer AgabcDEF123456",
        "GET /complete/globus/?code=abcdefgh1234&state=zyxwvu9876",
        '{"access_token": "Ag1234567890", "refresh_token": "Rf1234567890"}',
        "mail to ada@university.example",
    ],
)
def test_log_lines_hold_no_tokens_codes_or_addresses(secret):
    record = logging.makeLogRecord({"msg": "said %s", "args": (secret,), "levelname": "INFO", "name": "x", "note": secret})
    line = JsonFormatter().format(record)
    for word in ("AgabcDEF123456", "abcdefgh1234", "zyxwvu9876", "Ag1234567890", "Rf1234567890", "ada@university"):
        assert word not in line
    assert json.loads(line)["level"] == "info"
