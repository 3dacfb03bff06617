"""Whatever a document holds, the answer is a refusal that the client can read, never a fault of ours: every route that takes one."""

import itertools
import json
import re
import ssl

import httpx
import pytest

from services.localglobus import gcs, group_policies, groups, nodes
from services.localglobus.auth import api as auth_routes
from services.localglobus.auth import policies_api as policy_routes
from services.localglobus.search import routes as search_routes
from services.localglobus.timers import routes as timer_routes
from services.localglobus.transfer import routes as transfer_routes
from tests.contract.fuzzing import routes

pytestmark = pytest.mark.long

ODD = [None, 0, -1, 1.5, True, "", "x", "\u0000", "é" * 5000, [], [None], [[]], [{}], ["x"], {}, {"x": None}]
NAMES = {
    "/v0.10": "DATA_TYPE description display_name endpoint_id expiration_date host_endpoint identity_id keywords label message name"
    " notify_email organization path pause_ls permissions pinned principal public start_time subscription_id task_id_list",
    "/v2/bookmarks": "data attributes relationships",
    "/v2/timer": "timer",
    "/jobs": "name start interval stop_after stop_after_n callback_url callback_body update_credentials",
    "/v2": "add allow_add change_role description group_visibility invite is_high_assurance join leave name parent_id policies remove"
    " signup_fields terms_and_conditions",
    "/v2/api": "client template_id name redirect_uris policy project_id display_name description domain_constraints_include"
    " high_assurance authentication_assurance_timeout required_mfa",
    "/dtn/v1": "protocol name instance url csr collection token ticket known counters fault sequence results events status fatal_error",
    "/v1": "display_name description role_name principal q advanced limit offset filters facets post_facet_filters boosts sort marker"
    " filter_principal_sets bypass_visible_to ingest_type ingest_data subject id visible_to content principal_sets subjects",
    "/api": "DATA_TYPE collection collection_base_path collection_type description display_name identity_id keywords mapped_collection_id"
    " organization principal public role storage_gateway_id user_credential_id",
}
"""Members of the documents of each API."""
MANAGER = "/api"
FORMS = ("/v2/oauth2/", "/v2/web/", "/file-manager", "/bookmarks", "/activity/", "/groups", "/admin/")
"""What takes forms, which `test_fuzz.py` fills in."""
TIMERS = "https://auth.globus.org/scopes/524230d7-ea86-4a52-8312-86065a9e0417/timer[urn:globus:auth:scope:transfer.api.globus.org:all]"


@pytest.fixture(scope="module")
def clients(own):
    """By the start of a path: an HTTP client with the rights of the demo's administrator."""
    scope = "urn:globus:auth:scope:{}"
    transfer, manager = own.service("demo").authorizer.access_token, own.manager("demo").authorizer.access_token
    group, search, projects, timers = (
        own.globus.client("demo").oauth2_client_credentials_tokens(wanted)["access_token"]
        for wanted in (
            scope.format("groups.api.globus.org:all"), scope.format("search.api.globus.org:all"),
            scope.format("auth.globus.org:manage_projects"), TIMERS,
        )
    )  # fmt: skip
    node = (own.globus.data / "dtn-archive.secret").read_text().strip()
    verify = ssl.create_default_context(cafile=own.globus.data / "ca.pem")
    made = {
        start: httpx.Client(
            base_url=own.globus.env["CAUSEWAY_GCS_ADDRESS"] if start == MANAGER else own.globus.url,
            headers={"Authorization": f"Bearer {token}"},
            verify=verify,
            trust_env=False,
        )
        for start, token in {
            "/v0.10": transfer,
            "/v2/bookmarks": transfer,
            "/v2": group,
            "/v2/api": projects,
            "/dtn/v1": node,
            "/v1": search,
            "/v2/timer": timers,
            "/jobs": timers,
            MANAGER: manager,
        }.items()
    }
    yield made
    for client in made.values():
        client.close()


@pytest.fixture(scope="module")
def ids(own, clients):
    """What stands for the names in a path, all of it there."""
    share = own.collection("share")
    body = {"source_endpoint": share, "destination_endpoint": share, "DATA": []}
    timer = {"timer_type": "transfer", "schedule": {"type": "once", "datetime": "2100-01-01T00:00:00Z"}, "body": body}
    rule = {"DATA_TYPE": "pause_rule", "endpoint_id": share, "message": "x", "start_time": "2100-01-01"}
    policy = {"project_id": share, "display_name": "Odd", "description": "x"}
    return {
        "task_id": waiting_task(clients["/v0.10"], body),
        "policy_id": clients["/v2/api"].post("/v2/api/policies", json={"policy": policy}).json()["policy"]["id"],
        "index_id": clients["/v1"].post("/v1/index", json={"display_name": "Odd", "description": "x"}).json()["id"],
        "timer_id": clients["/jobs"].post("/v2/timer", json={"timer": timer}).json()["timer"]["job_id"],
        "identity_id": own.globus.env["GLOBUS_CLI_CLIENT_ID"],
        "endpoint_id": share,
        "collection_id": share,
        "group_id": clients["/v2"].post("/v2/groups", json={"name": "Odd"}).json()["id"],
        "rule_id": clients["/v0.10"].post("/v0.10/endpoint_manager/pause_rule", json=rule).json()["id"],
        "bookmark_id": clients["/v0.10"].post("/v0.10/bookmark", json={"endpoint_id": share, "path": "/", "name": "odd"}).json()["id"],
        "gateway_id": clients[MANAGER].get("/api/storage_gateways").json()["data"][0]["id"],
        "credential_id": clients[MANAGER].get("/api/user_credentials").json()["data"][0]["id"],
    }


def waiting_task(client, body):
    """A task whose source is not there, so that it does not end."""
    item = {"DATA_TYPE": "transfer_item", "source_path": "/none", "destination_path": "/odd", "recursive": False}
    number = client.get("/v0.10/submission_id").json()["value"]
    return client.post("/v0.10/transfer", json={**body, "DATA_TYPE": "transfer", "submission_id": number, "DATA": [item]}).json()["task_id"]


def documents(start):
    """What is no document, then documents with one odd member, a few odd values for each name."""
    yield from ODD
    turning = itertools.cycle(ODD)
    for name in NAMES[start].split():
        for _ in range(5):
            yield (
                {"DATA_TYPE": "collection#1.0.0", "collection_type": "guest", name: next(turning)}
                if start == MANAGER
                else {name: next(turning)}
            )
    if start == "/v2/timer":
        for name in ("name", "schedule", "body", "timer_type"):
            for odd in ODD:
                yield {"timer": {"timer_type": "transfer", "schedule": {"type": "once"}, "body": {}, name: odd}}
                for member in ("type", "interval_seconds", "start", "end", "datetime"):
                    schedule = {"type": "recurring", "interval_seconds": 3600, member: odd}
                    yield {"timer": {"timer_type": "transfer", "schedule": schedule, "body": {}}}
    if start == "/v1":
        for name in ("filters", "facets", "sort", "boosts"):
            for odd in ODD:
                for kind in ("match_any", "range", "like", "geo_bounding_box", "not", "and", "date_histogram", "numeric_histogram", "avg"):
                    yield {"q": "*", name: [{"type": odd, "date_interval": odd, "field_name": "x", "factor": odd, "order": odd}]}
                    yield {
                        "q": "*",
                        name: [
                            {"type": kind, "date_interval": odd, "field_name": "x", "name": odd, "values": odd, "size": odd, "filter": odd}
                        ],
                    }
                yield {"ingest_type": "GMetaEntry", "ingest_data": odd}
                yield {"ingest_type": "GMetaList", "ingest_data": {"gmeta": odd}}
                yield {"subject": "x", "content": {"x": odd}, "visible_to": ["public"], "id": odd}
                yield {"q": odd, "advanced": True}
    if start == "/v2":
        for action in ("add", "remove", "change_role", "invite", "join"):
            for odd in ODD:
                yield {action: [odd]}
                yield {action: [{"identity_id": odd, "role": odd}]}


def taking_documents(found):
    """(method, path) of each route that takes a document."""
    return [
        (method, route.path)
        for route in found
        for method in sorted({"POST", "PUT", "PATCH"} & (route.methods or set()))
        if not route.path.startswith(FORMS) and not route.path.endswith("/lease")  # which waits for an order
    ]


MODULES = (
    auth_routes, policy_routes, transfer_routes, search_routes, timer_routes, groups, group_policies, nodes, gcs,
)  # fmt: skip
ROUTES = [each for module in MODULES for each in taking_documents(module.routes)]
NEVER_THERE = {"order_id"}  # an order is a node's as long as it works on it


def test_no_route_of_the_program_is_forgotten(tmp_path, ids):
    served = [each for found in routes(tmp_path).values() for each in taking_documents(found)]
    assert sorted(served) == sorted(ROUTES)
    assert {name for _, path in served for name in re.findall(r"{(\w+)", path)} - NEVER_THERE <= set(ids)


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda value: value)
def test_odd_documents_are_the_clients_fault(clients, ids, method, path):
    start = max((each for each in clients if path.startswith(each)), key=len)
    at = re.sub(r"{(\w+)(:\w+)?}", lambda match: ids.get(match[1], "none"), path)
    faults, answered = [], set()
    for document in [*documents(start), *({ids["identity_id"]: odd} for odd in ODD if path == "/v2/preferences")]:
        answer = clients[start].request(method, at, content=json.dumps(document), headers={"Content-Type": "application/json"})
        answered.add(answer.status_code)
        if answer.status_code >= 500 and "ExternalError" not in answer.text:
            faults.append((document, answer.status_code))
    assert faults == []
    assert not answered & {401, 429}
    assert answered - {403}, "the documents are looked at"
