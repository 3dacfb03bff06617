"""The fault switch does to the next calls what it was told, and nothing to those after."""

import httpx
import pytest
from globus_sdk import TransferAPIError
from globus_sdk.transport import RetryConfig


@pytest.fixture
def portal(sites):
    client = sites.service("portal")
    client.retry_config = RetryConfig(max_retries=0)
    return client


def test_next_calls_fail_as_told_then_succeed(sites, portal):
    sites.fault(kind="endpoint.get", times=2, error={"http_status": 503, "code": "ServiceUnavailable", "message": "busy"})
    for _ in range(2):
        with pytest.raises(TransferAPIError) as refused:
            portal.get_endpoint(sites.collection("share"))
        assert (refused.value.http_status, refused.value.code) == (503, "ServiceUnavailable")
    assert portal.get_endpoint(sites.collection("share"))["DATA_TYPE"] == "endpoint"


def test_sdk_repeats_by_itself_what_passes(sites):
    sites.fault(kind="submission_id", error={"http_status": 429, "code": "TooManyRequests", "message": "slow down", "retry_after": 0})
    assert sites.service("portal").get_submission_id()["value"]


def test_dropped_connection_has_no_answer(sites):
    sites.fault(kind="token", drop=True)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{sites.globus.url}/v2/oauth2/token", trust_env=False)
    assert httpx.post(f"{sites.globus.url}/v2/oauth2/token", trust_env=False).status_code in {400, 401}


def test_act_is_done_though_its_answer_is_lost(sites, portal, folder):
    sites.fault(kind="mkdir", drop=True, after=True)
    with pytest.raises(Exception, match=r"[Cc]onnection"):
        portal.operation_mkdir(sites.collection("share"), f"/{folder.name}/kept/")
    assert (folder / "kept").is_dir()


def test_switch_is_read_and_cleared(sites):
    sites.fault(kind="ls", times=3, delay_s=0.1)
    assert httpx.get(f"{sites.globus.url}/faults", trust_env=False).json()["faults"][0]["times"] == 3
    sites.clear_faults()
    assert httpx.get(f"{sites.globus.url}/faults", trust_env=False).json()["faults"] == []
    assert httpx.post(f"{sites.globus.url}/faults", json={"kind": "nothing"}, trust_env=False).status_code == 400


def test_switch_is_closed_unless_asked_for(globus):
    assert httpx.get(f"{globus.url}/faults", trust_env=False).status_code == 404


def test_other_services_fail_as_told_too(sites):
    asked = {"http_status": 503, "code": "ServiceUnavailable", "message": "busy"}
    for kind, method, path in (
        ("search.query", "POST", "/v1/index/none/search"),
        ("search.ingest", "POST", "/v1/index/none/ingest"),
        ("timer.create", "POST", "/v2/timer"),
        ("timer.get", "GET", "/jobs/none"),
    ):
        sites.fault(kind=kind, error=asked)
        statuses = [httpx.request(method, sites.globus.url + path, trust_env=False).status_code for _ in range(2)]
        assert statuses[0] == 503, kind
        assert statuses[1] < 500, kind
