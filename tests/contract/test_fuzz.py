"""A fuzz run of the REST surface from its description: whatever is asked, the answer is no fault of ours, and localglobus goes on."""

import base64
import re
import ssl
import uuid
from collections import Counter
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.contract.fuzzing import Call, Surface, read_forms, routes, texts
from tests.contract.test_readme import served
from tests.services.localglobus.conftest import CHECKOUT, form_of

pytestmark = pytest.mark.long

CALLS = 700
FOLDER, FILE = "/fuzz/", "/fuzz/a.txt"


@pytest.fixture(scope="module")
def surface(own, tmp_path_factory):
    share, archive, demo = own.collection("share"), own.collection("archive"), own.service("demo")
    scopes = "openid urn:globus:auth:scope:{0}.api.globus.org:all urn:globus:auth:scope:auth.globus.org:{1}"
    granted = own.globus.client("demo").oauth2_client_credentials_tokens(
        f"{scopes.format('transfer', 'manage_projects')} {scopes.format('groups', 'view_identity_set')}"
        " urn:globus:auth:scope:search.api.globus.org:all"
        " https://auth.globus.org/scopes/524230d7-ea86-4a52-8312-86065a9e0417/timer"
    )
    tokens = {name: f"Bearer {entry['access_token']}" for name, entry in granted.by_resource_server.items()}
    tokens["manager"] = f"Bearer {own.manager('demo').authorizer.access_token}"
    tokens["basic"] = (
        "Basic "
        + base64.b64encode(f"{own.globus.env['GLOBUS_CLI_CLIENT_ID']}:{own.globus.env['GLOBUS_CLI_CLIENT_SECRET']}".encode()).decode()
    )
    tokens["node"] = f"Bearer {(own.globus.data / 'dtn-archive.secret').read_text().strip()}"
    tokens["person"] = f"Bearer {own.token('ada@', 'urn:globus:auth:scope:transfer.api.globus.org:all', 'transfer.api.globus.org')}"
    (own.root("archive") / "shares/fuzz").mkdir()
    (own.root("archive") / "shares/fuzz/a.txt").write_text("a")
    identity, submission = own.identity("ada@university.example"), demo.get_submission_id()["value"]
    rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": identity, "path": FOLDER, "permissions": "r"}
    rule_id = demo.add_endpoint_acl_rule(share, rule)["access_id"]
    endpoint = own.manager("demo").endpoint_client_id
    made = [make(own, tokens, *asked) for asked in MADE] + [demo.create_bookmark({"endpoint_id": share, "path": "/", "name": "fuzz"})["id"]]
    every = [*made, share, archive, own.collection("storage"), endpoint, identity, rule_id, submission, str(uuid.uuid4()), FOLDER, FILE]
    ids = dict.fromkeys(("endpoint_id", "collection_id", "rule_id", "identity_id", "task_id", "role_id", "group_id", "policy_id"), every)
    ids |= dict.fromkeys(("index_id", "bookmark_id", "gateway_id", "credential_id", "cancel_id", "order_id", "client_id"), every)
    ids |= {"consent_id": ["1", "999999999999999999999999"], "server_id": ["0", "1"], "submission": [submission]}
    with own.globus.browser() as browser:  # an operator of the stand-in, who sees every page
        page = browser.get("/v2/web/sign-in")
        browser.act(page, "dee@archive.example", "allow")
        tokens["browser"] = f"Cookie: localglobus_session={browser.cookies['localglobus_session']}"
        ids["form_token"] = [dict(form_of(browser.get("/v2/web/sign-in").text).fields)["form_token"]]
    forms = read_forms(CHECKOUT / "services/localglobus/templates", but="admin-form-faults.html")  # faults that are ordered are answers
    shapes = transfer_documents(share, identity, submission) | other_documents(own, share, identity, endpoint)
    return Surface(routes(tmp_path_factory.mktemp("routes")), ids, shapes, tokens, forms)


MADE = (
    ("groups.api.globus.org", "/v2/groups", {"name": "Fuzz"}),
    ("search.api.globus.org", "/v1/index", {"display_name": "Fuzz", "description": "x"}),
    ("auth.globus.org", "/v2/api/policies", {"policy": {"project_id": str(uuid.uuid4()), "display_name": "x", "description": "y"}}),
)


def make(own, tokens, server, path, document):
    """Something for the run to find; its id."""
    answer = httpx.post(own.globus.url + path, json=document, headers={"Authorization": tokens[server]}, trust_env=False).json()
    return answer.get("policy", answer)["id"]


def transfer_documents(share, identity, submission):
    """Documents of Transfer and Timers as the SDK sends them."""
    item = {"DATA_TYPE": "transfer_item", "source_path": FILE, "destination_path": "/fuzz/b.txt", "recursive": False}
    rule = {"DATA_TYPE": "filter_rule", "method": "exclude", "name": "*.x", "type": "file"}
    transfer = {
        "DATA_TYPE": "transfer", "submission_id": submission, "source_endpoint": share, "destination_endpoint": share, "label": "x",
        "deadline": "2100-01-01T00:00:00+00:00", "sync_level": 1, "filter_rules": [rule], "DATA": [item],
    }  # fmt: skip
    delete = {"DATA_TYPE": "delete", "submission_id": submission, "endpoint": share, "interpret_globs": True}
    access = {"DATA_TYPE": "access", "principal_type": "identity", "principal": identity, "path": FOLDER, "permissions": "r"}
    role = {"DATA_TYPE": "role", "principal_type": "identity", "principal": identity, "role": "access_manager"}
    pause = {"DATA_TYPE": "pause_rule", "endpoint_id": share, "message": "x", "start_time": "2100-01-01T00:00:00+00:00", "pause_ls": True}
    related = {"collection": {"data": {"type": "Collection", "id": share}}}
    bookmark = {"DATA_TYPE": "bookmark", "name": "x", "endpoint_id": share, "path": "/", "pinned": True}
    timer = {
        "timer_type": "transfer", "name": "x",
        "schedule": {"type": "recurring", "interval_seconds": 60, "end": {"condition": "iterations", "iterations": 3}},
        "body": {name: value for name, value in transfer.items() if name != "submission_id"},
    }  # fmt: skip
    return {
        "/transfer": [transfer],
        "/delete": [{**delete, "DATA": [{"DATA_TYPE": "delete_item", "path": "/fuzz/c.txt"}]}],
        "/v0.10/endpoint": [{"DATA_TYPE": "endpoint", "display_name": "x", "is_globus_connect": True}],
        "/shared_endpoint": [{"DATA_TYPE": "shared_endpoint", "host_endpoint": share, "host_path": "/fuzz/", "display_name": "x"}],
        "/v2/bookmarks/{bookmark_id}": [{"data": {"type": "Bookmark", "attributes": {"name": "x"}}}],
        "/jobs/{timer_id}": [{"name": "x"}, timer],
        "/resume": [{"update_credentials": True}],
        "/access": [access],
        "/access/{rule_id}": [access],
        "/role": [role],
        "/mkdir": [{"DATA_TYPE": "mkdir", "path": "/fuzz/d/"}],
        "/rename": [{"DATA_TYPE": "rename", "old_path": FILE, "new_path": "/fuzz/e.txt"}],
        "/task/{task_id}": [{"DATA_TYPE": "task", "label": "x", "deadline": "2100-01-01T00:00:00+00:00"}],
        "/endpoint/{endpoint_id}": [{"DATA_TYPE": "endpoint", "display_name": "x", "keywords": "a,b", "public": True}],
        "/bookmark": [bookmark],
        "/bookmark/{bookmark_id}": [bookmark],
        "/v2/bookmarks": [{"data": {"type": "Bookmark", "attributes": {"name": "x", "path": "/"}, "relationships": related}}],
        "/pause_rule": [pause],
        "/pause_rule/{rule_id}": [pause],
        "/admin_cancel": [{"task_id_list": [submission], "message": "x"}],
        "/admin_pause": [{"task_id_list": [submission], "message": "x"}],
        "/admin_resume": [{"task_id_list": [submission]}],
        "/timer": [{"timer": timer}],
        "/jobs/": [timer],
    }  # fmt: skip


def other_documents(own, share, identity, endpoint):
    """Documents of Auth, Groups, the GCS Manager, Search and the nodes."""
    urn = f"urn:globus:auth:identity:{identity}"
    policy = {"project_id": str(uuid.uuid4()), "display_name": "x", "description": "y", "domain_constraints_include": ["a.example"]}
    collection = {"DATA_TYPE": "collection#1.0.0", "collection_type": "guest", "mapped_collection_id": own.collection("storage")}
    gateway = {"DATA_TYPE": "storage_gateway#1.0.0", "display_name": "x", "high_assurance": True, "authentication_timeout_mins": 30}
    credential = {"DATA_TYPE": "user_credential#1.0.0", "identity_id": identity, "storage_gateway_id": endpoint, "username": "x"}
    member = {"identity_id": identity, "role": "member"}
    search = {
        "q": "x",
        "limit": 3,
        "filters": [{"type": "match_any", "field_name": "a", "values": ["b"]}],
        "facets": [{"name": "f", "type": "terms", "field_name": "a"}],
    }
    ingest = {"ingest_type": "GMetaEntry", "ingest_data": {"subject": "s", "visible_to": ["public"], "content": {"a": 1}}}
    return {
        "/roles": [{"DATA_TYPE": "role#1.0.0", "collection": share, "principal": urn, "role": "access_manager"}],
        "/v1/index": [{"display_name": "x", "description": "y"}],
        "/v1/index/{index_id}": [{"display_name": "x"}],
        "/entry": [{"subject": "s", "id": "i", "visible_to": ["public", urn], "content": {"a": [1, "b"]}}],
        "/scroll": [search],
        "/delete_by_query": [search],
        "/batch_delete_by_subject": [{"subjects": ["s"]}],
        "/membership_fields": [{"department": "x"}],
        "/preferences": [{identity: {"allow_add": True}}],
        "/subscription_id": [{"subscription_id": None}],
        "/api/user_credentials/{credential_id}": [{**credential, "display_name": "x"}],
        "/tickets/check": [{"collection": share, "ticket": "x"}],
        "/v2/groups": [{"name": "x", "description": "y", "parent_id": None}],
        "/groups/{group_id}": [{"add": [member], "invite": [member], "change_role": [member]}, {"name": "x"}],
        "/policies": [{"policy": policy}, {"is_high_assurance": False, "group_visibility": "private", "signup_fields": ["address1"]}],
        "/policies/{policy_id}": [{"policy": policy}],
        "/v2/api/clients": [{"client": {"template_id": "95fdeba8-fac2-42bd-a357-e068d82ff78e", "name": "x"}}],
        "/api/endpoint": [{"DATA_TYPE": "endpoint#1.0.0", "display_name": "x", "keywords": ["a"]}],
        "/api/collections": [{**collection, "collection_base_path": "/shares/fuzz/", "display_name": "x", "public": False}],
        "/api/collections/{collection_id}": [{**collection, "display_name": "x", "public": True}],
        "/api/storage_gateways": [gateway],
        "/api/storage_gateways/{gateway_id}": [gateway],
        "/api/user_credentials": [credential],
        "/search": [search],
        "/ingest": [ingest],
        "/register": [{"protocol": 1, "name": "archive", "instance": str(uuid.uuid4()), "url": "https://127.0.0.3:1", "csr": "x"}],
        "/dtn/v1/access": [{"collection": share, "token": "x", "known_version": None}],
        "/heartbeat": [{"instance": "x", "counters": {"files": 1}, "fault": {"code": "X", "description": "y", "path": "/"}}],
        "/results": [{"instance": "x", "sequence": 1, "counters": {}, "results": [{"source_path": "/", "size": 1}], "events": []}],
        "/finish": [{"instance": "x", "counters": {}, "status": "FAILED", "fatal_error": {"code": "X", "description": "y"}}],
    }  # fmt: skip


@pytest.fixture(scope="module")
def send(own):
    """Sends a call; the answer."""
    verify = ssl.create_default_context(cafile=own.globus.data / "ca.pem")
    made = {
        "main": httpx.Client(base_url=own.globus.url, trust_env=False, timeout=60),
        "gcs": httpx.Client(base_url=own.globus.env["CAUSEWAY_GCS_ADDRESS"], trust_env=False, verify=verify, timeout=60),
    }

    def do(call: Call) -> httpx.Response:
        headers = {"Content-Type": call.content_type.encode()} if call.content_type else {}
        if call.token is not None:
            name, _, value = call.token.rpartition(": ")
            headers[name or "Authorization"] = value.encode()
        return made[call.api].request(call.method, call.address, content=call.content, headers=headers)

    yield do
    for client in made.values():
        client.close()


def is_answer(answer: httpx.Response) -> bool:
    """No 5xx, but what Globus itself says of a data host that cannot: 502 with a code `ExternalError`."""
    if answer.status_code < 500:
        return True
    code = answer.json().get("code", "") if answer.headers["content-type"] == "application/json" else ""
    return answer.status_code == 502 and str(code).startswith("ExternalError")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("calls", [CALLS, pytest.param(100 * CALLS, marks=[pytest.mark.soak, pytest.mark.timeout(7200)])])
def test_no_request_is_answered_by_a_fault(own, surface, send, request, calls):
    chosen = request.getfixturevalue("seed")
    answered: Counter[str] = Counter()

    @seed(chosen)
    @settings(max_examples=calls, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(surface.requests())
    def run(call: Call) -> None:
        answer = send(call)
        assert is_answer(answer), f"{call}: {answer.status_code} {answer.text[:300]}"
        answered["caller" if answer.status_code in {401, 403} else str(answer.status_code)[0]] += 1

    run()
    assert answered["4"] > calls // 4, answered  # what is asked is refused with reason
    assert answered["2"] > calls // 20, answered  # and the sound ones are let through
    assert calls // 50 < answered["caller"] < calls // 2, answered  # most were let in
    assert len(surface.forms) > 20
    assert own.globus.process.poll() is None
    assert "fault at" not in (own.folder / "globus.log").read_text()


def test_each_endpoint_is_asked_odd_things(own, surface, send, request):
    """However the run above falls: those that the README names, and whatever else is served."""
    chosen, asked = request.getfixturevalue("seed"), set()
    for api, route, method in surface.known():

        @seed(chosen)
        @settings(max_examples=2, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(surface.calls(api, route, method))
        def run(call: Call) -> None:
            answer = send(call)
            assert is_answer(answer), f"{call}: {answer.status_code} {answer.text[:300]}"

        run()
        asked.add((method, re.sub(r":\w+}", "}", route.path)))
    assert asked >= served(), served() - asked
    assert own.globus.process.poll() is None


CONTROLS = {chr(number) for number in (*range(32), 127)}  # the client itself sends none in a field
FIELDS_OF_FILES = ("Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Range", "Content-Range", "Accept", "Want-Repr-Digest")
VALUES_OF_FIELDS = (
    "bytes=0-", "bytes=-1", "bytes=5-2", "bytes=0-0,0-0,0-0", "bytes=" + "9" * 40 + "-", "bytes=" + "9" * 5000 + "-", "bytes 0-1/2",
    "bytes */5", "bytes 9-1/5", "bytes 0-1/" + "9" * 5000, "*", '""', "W/", "text/html", "application/json", "sha-256=10", "-1",
    "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 99 Foo 99999 99:99:99 GMT", "x" * 3000,
)  # fmt: skip
files = st.tuples(
    st.sampled_from(["GET", "HEAD", "PUT", "DELETE", "PROPFIND", "OPTIONS", "POST", "PATCH"]),
    st.sampled_from(["a.txt", "d/", "", ".", "..", "a.txt/"]) | texts,
    st.lists(st.tuples(st.sampled_from(FIELDS_OF_FILES), st.sampled_from(VALUES_OF_FIELDS) | texts), max_size=3),
    st.sampled_from([b"", b"new"]) | st.binary(max_size=20),
    st.sampled_from(["", "?download", "?limit=0", "?limit=" + "9" * 5000, "?after=%ff", "?%"]),
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("calls", [CALLS // 2, pytest.param(100 * CALLS, marks=[pytest.mark.soak, pytest.mark.timeout(7200)])])
def test_no_address_of_a_node_is_answered_by_a_fault(own, surface, request, calls):
    chosen, share = request.getfixturevalue("seed"), own.collection("share")
    held = own.globus.client("demo").oauth2_client_credentials_tokens(f"https://auth.globus.org/scopes/{share}/https")["access_token"]
    verify = ssl.create_default_context(cafile=own.globus.data / "ca.pem")
    answered = set()
    with httpx.Client(base_url=own.node_url("archive"), verify=verify, trust_env=False, timeout=60) as client:

        @seed(chosen)
        @settings(max_examples=calls, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(files)
        def run(asked) -> None:
            method, name, fields, content, query = asked
            address = f"/{share}{FOLDER}{quote(name.encode('utf-8', 'surrogatepass'), safe='/')}{query}"
            headers = [(field, value.strip().encode("utf-8", "surrogatepass")) for field, value in fields if not CONTROLS & set(value)]
            headers.append(("Authorization", f"Bearer {held}".encode()))
            answer = client.request(method, address, headers=headers, content=content)
            assert answer.status_code < 500, f"{asked}: {answer.status_code} {answer.text[:300]}"
            answered.add(answer.status_code)

        run()
    assert answered >= {200, 404}, answered
    assert own.nodes["archive"].poll() is None
