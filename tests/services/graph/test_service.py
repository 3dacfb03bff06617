"""The graph service as its callers meet it: real tokens of the local Globus, real data transfer nodes, a real worker and broker."""

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import ssl
import time

import globus_sdk
import httpx
import pytest
import redis

from tests.services.graph.running import run_service, wait_until

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def running(globus_stack, redis_url, tmp_path_factory):
    with run_service(globus_stack, redis_url, tmp_path_factory.mktemp("graph") / "state") as service:
        yield service


@pytest.fixture(scope="module")
def ada(running):
    return running.tokens("Ada", running.scope)


@pytest.fixture(scope="module")
def cy(running):
    return running.tokens("Cy", running.scope)


def graph(running, token, *sources, **more):
    asked = running.call("POST", "/v1/graphs", token=token, status=202, json={"sources": list(sources), **more})
    return running.follow(f"/v1/graphs/{asked['id']}", token=token)


# Who may come in


@pytest.mark.parametrize("token", [None, "nonsense", "Ag00000000000000000000000000000000000000000000000000"])
def test_without_a_live_token_nothing_is_told(running, token):
    problem = running.call("GET", "/v1/graphs/00000000-0000-4000-8000-000000000000", token=token, status=401)
    assert problem["code"] == "invalid-token"


def test_a_token_for_another_audience_is_refused(running):
    token = running.tokens(None, str(globus_sdk.TransferClient.scopes.all))
    assert running.call("POST", "/v1/graphs", token=token, status=401, json={})["code"] == "invalid-token"


def test_a_token_for_this_audience_with_another_scope_only_is_refused(running):
    """The client that a token was issued to is of its audience: one that the service asked for itself is not leave to call it."""
    environment = running.environment
    client = globus_sdk.ConfidentialAppAuthClient(environment["CAUSEWAY_GRAPH_CLIENT_ID"], environment["CAUSEWAY_GRAPH_CLIENT_SECRET"])
    answer = client.oauth2_client_credentials_tokens(requested_scopes=str(globus_sdk.TransferClient.scopes.all))
    token = answer.by_resource_server["transfer.api.globus.org"]["access_token"]
    told = client.oauth2_token_introspect(token)
    assert environment["CAUSEWAY_GRAPH_CLIENT_ID"] in told["aud"]
    problem = running.call("POST", "/v1/graphs", token=token, status=403, json={})
    assert problem["code"] == "insufficient-scope"
    assert environment["CAUSEWAY_GRAPH_SCOPE"] in problem["detail"]


def test_a_revoked_token_is_refused_within_the_time_that_answers_are_kept(running):
    token = running.tokens("Ben", running.scope)
    client = globus_sdk.ConfidentialAppAuthClient(running.environment["PORTAL_ID"], running.environment["PORTAL_SECRET"])
    client.oauth2_revoke_token(token)
    assert running.call("POST", "/v1/graphs", token=token, status=401, json={})["status"] == 401


def test_a_token_in_the_address_is_not_looked_at(running, ada):
    assert running.call("GET", f"/v1/graphs/00000000-0000-4000-8000-000000000000?access_token={ada}", token=None, status=401)


def test_a_caller_who_gave_no_leave_to_read_is_told_what_to_ask_for(running):
    token = running.tokens("Dee", running.environment["CAUSEWAY_GRAPH_SCOPE"])
    asked = {"sources": [running.source("a1b-north-america", "A1B_north_america.nc")]}
    problem = running.call("POST", "/v1/graphs", token=token, status=403, json=asked)
    assert problem["code"] == "consent-required"
    assert problem["required_scopes"] == [running.scope]


def test_faults_of_a_request_are_told_field_by_field(running, ada):
    asked = {
        "sources": [{"dataset": "x", "version": "1", "collection_id": "none", "path": "/../secret"}],
        "kinds": ["pie"],
        "period": {"start_year": 5},
    }
    problem = running.call("POST", "/v1/graphs", token=ada, status=400, json=asked)
    assert set(problem["fields"]) == {"sources.0.collection_id", "sources.0.paths", "kinds", "period"}


# The way of a graph


def test_a_graph_is_drawn_written_and_granted_to_the_identity_of_the_token(running, ada):
    source = running.source("a1b-north-america", "A1B_north_america.nc")
    done = graph(
        running, ada, {**source, "identity": "somebody-else"}, kinds=["series"], identity_id="00000000-0000-4000-8000-000000000001"
    )
    assert done["status"] == "done"
    result = done["results"][0]
    assert "warms by 4.5 K from 1860-1889 to 2070-2099" in result["text_alternative"]
    assert running.files_of(done["id"]) == [f"1-a1b-north-america-series.{form}" for form in ("csv", "png", "svg")]
    rules = [rule for rule in running.rules() if rule["path"] == done["path"]]
    told = globus_sdk.ConfidentialAppAuthClient(
        running.environment["CAUSEWAY_GRAPH_CLIENT_ID"], running.environment["CAUSEWAY_GRAPH_CLIENT_SECRET"]
    )
    assert [(rule["principal"], rule["permissions"]) for rule in rules] == [(told.oauth2_token_introspect(ada)["sub"], "r")]
    assert done["folder_url"].endswith(f"origin_path=%2Fgraphs%2F{done['id']}%2F")


def test_the_files_are_readable_by_her_and_by_nobody_else(running, ada, cy):
    done = graph(running, ada, running.source("ostia-sst", "ostia_monthly.nc"), kinds=["box"])
    scope = f"https://auth.globus.org/scopes/{running.results}/https"
    verify = ssl.create_default_context(cafile=running.environment["GLOBUS_SDK_VERIFY_SSL"])
    for who, status in (("Ada", 200), ("Cy", 403)):
        headers = {"Authorization": f"Bearer {running.tokens(who, scope)}"}
        answer = httpx.get(done["results"][0]["csv_url"], headers=headers, verify=verify, trust_env=False)
        assert answer.status_code == status
        assert ("lower quartile (K)" in answer.text) == (status == 200)


def test_another_persons_job_is_not_there(running, ada, cy):
    done = graph(running, ada, running.source("ostia-sst", "ostia_monthly.nc"), kinds=["map"])
    assert running.call("GET", f"/v1/graphs/{done['id']}", token=cy, status=404)["code"] == "not-found"
    assert running.call("DELETE", f"/v1/graphs/{done['id']}", token=cy, status=404)


def test_one_dataset_that_fails_leaves_the_other_and_a_reason(running, ada):
    good, gone = running.source("ostia-sst", "ostia_monthly.nc"), running.source("a1b-north-america", "gone.nc")
    closed = running.source("e1-north-america", "E1_north_america.nc")
    done = graph(running, ada, gone, good, closed, kinds=["series"])
    assert done["status"] == "partial"
    assert [result["source"] for result in done["results"]] == ["ostia-sst"]
    assert {failure["source"]: failure["reason"] for failure in done["failures"]} == {
        "a1b-north-america": "The file is not there.",
        "e1-north-america": "You have no right to read this file.",
    }


def test_the_words_of_the_catalogue_are_used_where_the_file_has_none(running):
    portal = running.tokens(None, running.scope)
    source = running.source("nyc-airport-weather", "weather.csv", variable="dewp", label="dew point", units="degF")
    done = graph(running, portal, source, kinds=["series"])
    assert "The mean of dew point is lowest" in done["results"][0]["text_alternative"]
    assert "°F" in done["results"][0]["text_alternative"]


def test_when_nothing_can_be_drawn_nothing_is_left(running, ada):
    done = graph(running, ada, running.source("a1b-north-america", "A1B_north_america.nc"), kinds=["box"])
    assert done["status"] == "failed"
    assert "one value a year" in done["failures"][0]["reason"]
    assert done["folder_url"] is None
    assert running.files_of(done["id"]) == []


def test_the_same_request_again_is_the_same_job(running, ada):
    source, years = running.source("a1b-north-america", "A1B_north_america.nc"), {"start_year": 1990, "end_year": 1999}
    first = graph(running, ada, source, period=years)
    again = running.call("POST", "/v1/graphs", token=ada, status=202, json={"sources": [source], "period": years})
    assert (again["id"], again["cached"], again["status"]) == (first["id"], True, "done")


def test_another_person_gets_the_kept_drawing_in_a_folder_of_her_own(running, ada, cy):
    source, years = running.source("a1b-north-america", "A1B_north_america.nc"), {"start_year": 2000, "end_year": 2009}
    first = graph(running, ada, source, period=years, kinds=["series"])
    read = bytes_served(running)
    second = graph(running, cy, source, period=years, kinds=["series"])
    assert second["id"] != first["id"]
    assert second["results"][0]["svg"] == first["results"][0]["svg"]
    assert running.files_of(second["id"]) == running.files_of(first["id"])
    assert bytes_served(running) == read
    assert len([rule for rule in running.rules() if rule["path"] in {first["path"], second["path"]}]) == 2


def test_a_kept_drawing_is_not_given_to_whom_may_not_read_the_data(running, cy):
    portal = running.tokens(None, running.scope)
    source = running.source("e1-north-america", "E1_north_america.nc")
    assert graph(running, portal, source, kinds=["series"])["status"] == "done"
    refused = graph(running, cy, source, kinds=["series"])
    assert (refused["status"], refused["results"]) == ("failed", [])


def bytes_served(running) -> int:
    """Data bytes that the archive's node sent over closed connections, in whole files of 100 kB and more."""
    lines = (running.stack.places.state / "archive.state" / "connections.jsonl").read_text().splitlines()
    closed = [json.loads(line) for line in lines]
    return sum(line["data_bytes_out"] // 100_000 for line in closed if line["closed"])


def test_clean_up_removes_the_rule_and_the_folder(running, ada):
    done = graph(
        running, ada, running.source("ostia-sst", "ostia_monthly.nc"), kinds=["series"], period={"start_year": 2007, "end_year": 2008}
    )
    assert len(running.files_of(done["id"])) == 3
    running.call("DELETE", f"/v1/graphs/{done['id']}", token=ada, status=202)
    cleaned = running.follow(f"/v1/graphs/{done['id']}", token=ada, until=["cleaned"])
    assert cleaned["results"] == []
    assert not (running.stack.places.archive / "results" / "graphs" / done["id"]).exists()
    assert [rule for rule in running.rules() if done["id"] in rule["path"]] == []
    running.call("DELETE", f"/v1/graphs/{done['id']}", token=ada, status=202)


def test_a_worker_killed_while_it_writes_costs_seconds_and_leaves_one_rule(running, ada):
    order_node_fault(running, {"kind": "put", "delay_s": 30})
    asked = {
        "sources": [running.source("a1b-north-america", "A1B_north_america.nc")],
        "kinds": ["map"],
        "period": {"start_year": 1900, "end_year": 1950},
    }
    job = running.call("POST", "/v1/graphs", token=ada, status=202, json=asked)
    wait_until((running.stack.places.archive / "results" / "graphs" / job["id"]).is_dir)
    running.kill("worker")
    assert running.call("GET", f"/v1/graphs/{job['id']}", token=ada)["status"] == "running"
    running.start("worker")
    done = running.follow(f"/v1/graphs/{job['id']}", token=ada)
    assert done["status"] == "done"
    assert len(running.files_of(job["id"])) == 3
    assert len([rule for rule in running.rules() if rule["path"] == done["path"]]) == 1


def order_node_fault(running, fault):
    secret = (running.stack.places.globus / "dtn-archive.secret").read_text().strip()
    verify = ssl.create_default_context(cafile=running.environment["GLOBUS_SDK_VERIFY_SSL"])
    answer = httpx.post(
        f"{running.stack.addresses.archive}/.dtn/faults",
        json=fault,
        headers={"Authorization": f"Bearer {secret}"},
        verify=verify,
        trust_env=False,
    )
    assert answer.is_success, answer.text


def test_a_rule_whose_answer_was_lost_is_found_again(running, ada):
    fault = {"kind": "access.create", "drop": True, "after": True, "times": 3}
    httpx.post(f"{running.stack.addresses.localglobus}/faults", json=fault, trust_env=False).raise_for_status()
    done = graph(
        running, ada, running.source("ostia-sst", "ostia_monthly.nc"), kinds=["map"], period={"start_year": 2007, "end_year": 2007}
    )
    assert done["status"] == "done"
    assert len([rule for rule in running.rules() if rule["path"] == done["path"]]) == 1


def test_a_lost_message_costs_a_sweep(running, ada, redis_url):
    running.kill("worker")
    asked = {
        "sources": [running.source("ostia-sst", "ostia_monthly.nc")],
        "kinds": ["map"],
        "period": {"start_year": 2008, "end_year": 2008},
    }
    job = running.call("POST", "/v1/graphs", token=ada, status=202, json=asked)
    broker = redis.Redis.from_url(redis_url)
    wait_until(lambda: [broker.delete(key) for key in broker.scan_iter("causeway-graph.*.graph")])
    broker.close()
    running.start("worker")
    assert running.follow(f"/v1/graphs/{job['id']}", token=ada)["status"] == "done"


def test_a_token_that_expires_while_its_answer_is_kept_is_refused(running):
    token = running.tokens("Ada", running.scope)
    with contextlib.closing(sqlite3.connect(running.stack.places.globus / "localglobus.sqlite", timeout=20)) as db:
        ends_at = int(time.time()) + 8
        db.execute("update token set expires_at = ? where hash = ?", (ends_at, hashlib.sha256(token.encode()).hexdigest()))
        db.commit()
    running.call("GET", "/v1/graphs/00000000-0000-4000-8000-000000000000", token=token, status=404)
    wait_until(lambda: time.time() > ends_at + 0.1)  # sooner than what introspection told is forgotten
    running.call("GET", "/v1/graphs/00000000-0000-4000-8000-000000000000", token=token, status=401)


def test_no_token_is_kept_after_a_job_and_none_is_readable_before(running, ada):
    done = graph(running, ada, running.source("ostia-sst", "ostia_monthly.nc"), kinds=["series"])
    with contextlib.closing(sqlite3.connect(running.folder / "jobs.sqlite3")) as db:
        assert db.execute("select tokens from job where id = ?", (done["id"],)).fetchone() == (None,)
    assert (running.folder / "tokens.key").stat().st_mode & 0o777 == 0o600
    for file in running.folder.rglob("*"):
        if file.is_file():
            assert ada.encode() not in file.read_bytes()
    for log in running.folder.parent.glob("*.log"):
        assert ada not in log.read_text()


# Inspections


def test_an_inspection_tells_every_file_in_order_with_digest_and_header(running):
    portal = running.tokens(None, running.scope)
    paths = ["/a1b-north-america/A1B_north_america.nc", "/nothing.nc", "/colpex/colpex.pp", "/nyc-airport-weather/weather.csv"]
    asked = running.call("POST", "/v1/inspections", token=portal, status=202, json={"collection_id": running.archive, "paths": paths})
    done = running.follow(f"/v1/inspections/{asked['id']}", token=portal)
    assert [(file["index"], file["path"]) for file in done["files"]] == list(enumerate(paths, start=1))
    first, missing, unread, table = done["files"]
    assert (first["variables"][0]["name"], first["format"], len(first["sha256"])) == ("air_temperature", "NetCDF", 64)
    assert missing["error"] == "The file is not there."
    assert (unread["format"], len(unread["sha256"])) == ("Met Office PP", 64)
    assert "temp" in [variable["name"] for variable in table["variables"]]
    assert running.call("GET", f"/v1/inspections/{asked['id']}?after=3", token=portal)["files"] == done["files"][3:]
    running.call("DELETE", f"/v1/inspections/{asked['id']}", token=portal, status=204)


def test_bytes_that_are_read_again_are_those_of_now_and_not_what_the_node_remembers(running):
    portal, place = running.tokens(None, running.scope), running.stack.places.archive / "data" / "rot-of-a-test"
    place.mkdir()
    try:
        (place / "a.bin").write_bytes(b"whole")
        os.utime(place / "a.bin", (1_600_000_000, 1_600_000_000))
        told = [look(running, portal, reread=False)]
        (place / "a.bin").write_bytes(b"wh0le")
        os.utime(place / "a.bin", (1_600_000_000, 1_600_000_000))
        told += [look(running, portal, reread=reread) for reread in (False, True)]
    finally:
        shutil.rmtree(place)
    assert told == [hashlib.sha256(content).hexdigest() for content in (b"whole", b"whole", b"wh0le")]


def look(running, portal, *, reread):
    body = {"collection_id": running.archive, "paths": ["/rot-of-a-test/a.bin"], "reread": reread}
    asked = running.call("POST", "/v1/inspections", token=portal, status=202, json=body)
    (found,) = running.follow(f"/v1/inspections/{asked['id']}", token=portal)["files"]
    running.call("DELETE", f"/v1/inspections/{asked['id']}", token=portal, status=204)
    return found["sha256"]


def test_health_names_what_is_well(running):
    assert running.call("GET", "/v1/health", token=None, status=200)["broker"] is True
