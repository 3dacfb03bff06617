"""Whatever a document holds, the answer is a refusal that the client can read, never a fault of ours: every route that takes one."""

import itertools
import re
import ssl

import httpx
import pytest

from services.localglobus import gcs, group_policies, groups
from services.localglobus.search import routes as search_routes
from services.localglobus.timers import routes as timer_routes
from services.localglobus.transfer import routes as transfer_routes
from tests.services.localglobus.conftest import use
from tests.services.localglobus.transfer.conftest import make_sites

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
    "/v1": "display_name description role_name principal q advanced limit offset filters facets post_facet_filters boosts sort marker"
    " filter_principal_sets bypass_visible_to ingest_type ingest_data subject id visible_to content principal_sets subjects",
    "/api": "DATA_TYPE collection collection_base_path collection_type description display_name identity_id keywords mapped_collection_id"
    " organization principal public role storage_gateway_id user_credential_id",
}
"""Members of the documents of each API."""
MANAGER = "/api"
TIMERS = "https://auth.globus.org/scopes/524230d7-ea86-4a52-8312-86065a9e0417/timer[urn:globus:auth:scope:transfer.api.globus.org:all]"


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A localglobus whose demo world may be spoiled."""
    sites = make_sites(tmp_path_factory.mktemp("odd"))
    with pytest.MonkeyPatch.context() as patch:
        use(sites.globus, patch)
        yield sites
    sites.stop()


@pytest.fixture(scope="module")
def clients(own):
    """By the start of a path: an HTTP client with the rights of the demo's administrator."""
    groups_scope = "urn:globus:auth:scope:groups.api.globus.org:all"
    transfer, manager = own.service("demo").authorizer.access_token, own.manager("demo").authorizer.access_token
    group = own.globus.client("demo").oauth2_client_credentials_tokens(groups_scope)["access_token"]
    search = own.globus.client("demo").oauth2_client_credentials_tokens("urn:globus:auth:scope:search.api.globus.org:all")["access_token"]
    timers = own.globus.client("demo").oauth2_client_credentials_tokens(TIMERS)["access_token"]
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
    return {
        "index_id": clients["/v1"].post("/v1/index", json={"display_name": "Odd", "description": "x"}).json()["id"],
        "timer_id": clients["/jobs"].post("/v2/timer", json={"timer": timer}).json()["timer"]["job_id"],
        "endpoint_id": share,
        "collection_id": share,
        "group_id": clients["/v2"].post("/v2/groups", json={"name": "Odd"}).json()["id"],
        "rule_id": clients["/v0.10"].post("/v0.10/endpoint_manager/pause_rule", json=rule).json()["id"],
        "bookmark_id": clients["/v0.10"].post("/v0.10/bookmark", json={"endpoint_id": share, "path": "/", "name": "odd"}).json()["id"],
        "gateway_id": clients[MANAGER].get("/api/storage_gateways").json()["data"][0]["id"],
        "credential_id": clients[MANAGER].get("/api/user_credentials").json()["data"][0]["id"],
    }


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


ROUTES = [
    (method, route.path)
    for route in (*transfer_routes.routes, *search_routes.routes, *timer_routes.routes, *groups.routes, *group_policies.routes, *gcs.routes)
    for method in sorted({"POST", "PUT", "PATCH"} & (route.methods or set()))
]


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda value: value)
def test_odd_documents_are_the_clients_fault(clients, ids, method, path):
    start = next(each for each in clients if path.startswith(each))
    at = re.sub(r"{(\w+)(:\w+)?}", lambda match: ids.get(match[1], "none"), path)
    faults = []
    for document in documents(start):
        answer = clients[start].request(method, at, json=document)
        if answer.status_code >= 500 and "ExternalError" not in answer.text:
            faults.append((document, answer.status_code))
    assert faults == []
