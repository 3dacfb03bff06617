"""Timers by the unmodified TimersClient: they really copy, on the owner's consents of the moment, and outlive a kill."""

import json
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from globus_sdk import (
    AccessTokenAuthorizer,
    AuthClient,
    GlobusAPIError,
    OnceTimerSchedule,
    RecurringTimerSchedule,
    TimerJob,
    TimersClient,
    TransferData,
    TransferTimer,
)
from globus_sdk.gare import to_gare
from globus_sdk.scopes import GCSCollectionScopes, TimersScopes, TransferScopes

from tests.services.localglobus.transfer.conftest import wait_until

pytestmark = pytest.mark.long

ADA = "ada@university.example"
SERVER = TimersScopes.resource_server


def timer_scope(*collections):
    transfer = TransferScopes.all
    for each in collections:
        transfer = transfer.with_dependency(GCSCollectionScopes(each).data_access.with_optional(True))
    return str(TimersScopes.timer.with_dependency(transfer))


def client_of(sites, name="demo", *, scope=None):
    tokens = sites.globus.client(name).oauth2_client_credentials_tokens(scope or timer_scope())
    return TimersClient(authorizer=AccessTokenAuthorizer(tokens["access_token"]))


def person(sites, who, scope):
    return TimersClient(authorizer=AccessTokenAuthorizer(sites.globus.sign_in(who, scope).by_resource_server[SERVER]["access_token"]))


@pytest.fixture
def demo(sites):
    """The service client's timers, gone afterwards."""
    client = client_of(sites)
    yield client
    for job in client.list_jobs()["jobs"]:
        client.delete_job(job["job_id"])


def copy(sites, folder, name="copied.txt", **options):
    asked = TransferData(sites.collection("archive"), sites.collection("share"), **options)
    asked.add_item("/public/notes.txt", f"/{folder.name}/{name}")
    return asked


def make(client, schedule, body, name="Nightly"):
    return client.create_timer(TransferTimer(name=name, schedule=schedule, body=body))["timer"]


def refused(act, *words, **more):
    with pytest.raises(GlobusAPIError) as error:
        act(*words, **more)
    return error.value


def ended(client, timer):
    """The job when it has ended and its last run has, too."""
    return wait_until(lambda: (job := client.get_job(timer["job_id"]))["status"] == "ended" and job["activity"] is None and job)


def test_timer_runs_once_as_its_owner(sites, demo, folder):
    timer = make(demo, OnceTimerSchedule(), copy(sites, folder))
    assert (timer["status"], timer["number_of_runs"], timer["timer_type"]) == ("new", 0, "transfer")
    job = ended(demo, timer)
    assert (folder / "copied.txt").read_text() == "read me\n"
    (result,) = job["results"]["data"]
    task = sites.service("demo").get_task(result["data"]["action_id"])
    assert (task["status"], task["label"]) == ("SUCCEEDED", "Nightly, run 1")
    assert (job["n_runs"], job["n_errors"], job["next_run"], result["status"]) == (1, 0, None, 202)
    assert result["data"]["details"]["task_id"] == task["task_id"]


def test_timer_runs_again_until_its_number_of_runs(sites, demo, folder):
    schedule = RecurringTimerSchedule(interval_seconds=1, end={"condition": "iterations", "iterations": 2})
    job = ended(demo, make(demo, schedule, copy(sites, folder, label=folder.name)))
    assert [each["data"]["status"] for each in job["results"]["data"]] == ["SUCCEEDED", "SUCCEEDED"]
    assert len({each["data"]["action_id"] for each in job["results"]["data"]}) == 2
    listed = sites.service("demo").task_list(filter=f"label:{folder.name}")
    assert len(list(listed)) == 2


def test_timer_waits_for_its_start_and_stops_at_its_end(sites, demo, folder):
    start, end = (datetime.now(UTC) + timedelta(days=days) for days in (1, 2))
    schedule = RecurringTimerSchedule(interval_seconds=3600, start=start, end={"condition": "time", "datetime": end})
    job = demo.get_job(make(demo, schedule, copy(sites, folder))["job_id"])
    assert job["next_run"] == start.isoformat(timespec="seconds")
    assert (job["activity"]["code"], job["stop_after"]["date"]) == ("awaiting_next_run", end.isoformat(timespec="seconds"))
    assert not (folder / "copied.txt").exists()


def test_tick_is_left_out_while_the_last_run_is_under_way(sites, demo, folder):
    sites.fault(kind="node.ticket", times=10_000, error={"http_status": 503, "code": "ServiceUnavailable", "message": "busy"})
    timer = make(demo, RecurringTimerSchedule(interval_seconds=1), copy(sites, folder))
    first = wait_until(lambda: (job := demo.get_job(timer["job_id"]))["n_runs"] and job)
    assert first["activity"]["code"] == "run_in_progress"
    later = (datetime.now(UTC) + timedelta(seconds=3)).isoformat(timespec="seconds")
    wait_until(lambda: demo.get_job(timer["job_id"])["next_run"] > later)
    assert demo.get_job(timer["job_id"])["n_runs"] == 1
    sites.clear_faults()
    wait_until(lambda: demo.get_job(timer["job_id"])["n_runs"] > 1)


def test_timer_is_paused_resumed_renamed_and_deleted(sites, demo, folder):
    start = datetime.now(UTC) + timedelta(seconds=8)
    timer = make(demo, OnceTimerSchedule(datetime=start), copy(sites, folder))
    number = timer["job_id"]
    assert demo.pause_job(number)["message"] == f"Successfully paused job {number}."
    job = demo.get_job(number)
    assert (job["status"], job["inactive_reason"], job["activity"]["code"]) == ("inactive", {"cause": "user", "detail": None}, "paused")
    wait_until(lambda: datetime.now(UTC) > start + timedelta(seconds=1))
    assert demo.get_job(number)["n_runs"] == 0
    assert demo.update_job(number, {"name": "Renamed"})["name"] == "Renamed"
    assert demo.resume_job(number)["message"] == f"Successfully resumed job {number}."
    ended(demo, timer)
    assert (folder / "copied.txt").exists()
    assert refused(demo.resume_job, number).http_status == 409
    assert refused(demo.pause_job, number).http_status == 409
    assert demo.delete_job(number)["name"] == "Renamed"
    assert refused(demo.get_job, number).http_status == 404


def test_timers_are_their_owners_alone(sites, demo, folder):
    number = make(demo, OnceTimerSchedule(datetime="2100-01-01T00:00:00+00:00"), copy(sites, folder))["job_id"]
    portal = client_of(sites, "portal")
    assert number not in {each["job_id"] for each in portal.list_jobs()["jobs"]}
    for act in (portal.get_job, portal.pause_job, portal.resume_job, portal.delete_job):
        assert refused(act, number).http_status == 404


def test_refused_run_is_counted_and_the_next_one_tries_again(sites, demo, folder):
    manager, path = sites.manager("demo"), f"/shares/{folder.name}/"
    made = {"DATA_TYPE": "collection#1.0.0", "collection_type": "guest", "display_name": folder.name, "collection_base_path": path}
    guest = manager.create_collection({**made, "mapped_collection_id": sites.collection("storage")})["id"]
    asked = TransferData(sites.collection("archive"), guest)
    asked.add_item("/public/notes.txt", "/copied.txt")
    schedule = RecurringTimerSchedule(interval_seconds=1, start=datetime.now(UTC) + timedelta(seconds=10))
    timer = make(demo, schedule, asked)
    manager.delete_collection(guest)
    job = wait_until(lambda: (job := demo.get_job(timer["job_id"]))["n_errors"] >= 2 and job)
    assert job["status"] == "loaded"
    assert job["results"]["data"][0]["errors"]["code"] == "EndpointNotFound"


def test_consent_is_asked_for_when_a_timer_is_made_and_when_it_runs(sites, folder):
    campus = sites.collection("campus")
    withdraw(sites, GCSCollectionScopes(campus).data_access)
    asked = TransferData(campus, sites.collection("share"))
    asked.add_item("/~/mine.txt", f"/{folder.name}/mine.txt")
    (sites.root("campus") / "home/ada/mine.txt").write_text("mine")
    rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": sites.identity(ADA), "path": f"/{folder.name}/"}
    sites.service("portal").add_endpoint_acl_rule(sites.collection("share"), {**rule, "permissions": "rw"})
    wanted = f"{TimersScopes.timer}[{TransferScopes.all}[*{GCSCollectionScopes(campus).data_access}]]"
    error = refused(make, person(sites, ADA, timer_scope()), OnceTimerSchedule(), asked)
    assert (error.http_status, error.code) == (403, "ConsentRequired")
    assert to_gare(error).authorization_parameters.required_scopes == [wanted]
    ada = person(sites, ADA, timer_scope(campus))
    start = datetime.now(UTC) + timedelta(seconds=12)
    timer = make(ada, RecurringTimerSchedule(interval_seconds=3600, start=start), asked)
    withdraw(sites, GCSCollectionScopes(campus).data_access)
    stopped = wait_until(lambda: (job := ada.get_job(timer["job_id"]))["status"] == "inactive" and job)
    assert stopped["inactive_reason"]["cause"] == "globus_auth_requirements"
    assert to_gare(stopped["inactive_reason"]["detail"]).authorization_parameters.required_scopes == [wanted]
    assert refused(ada.resume_job, timer["job_id"]).code == "ConsentRequired"
    assert not (folder / "mine.txt").exists()
    again = person(sites, ADA, timer_scope(campus))
    again.resume_job(timer["job_id"], update_credentials=True)
    assert again.get_job(timer["job_id"])["status"] == "loaded"
    again.delete_job(timer["job_id"])
    ended(again, make(again, OnceTimerSchedule(), asked))
    assert (folder / "mine.txt").read_text() == "mine"
    (sites.root("campus") / "home/ada/mine.txt").unlink()
    for job in again.list_jobs()["jobs"]:
        again.delete_job(job["job_id"])
    withdraw(sites, GCSCollectionScopes(campus).data_access)


def withdraw(sites, scope):
    """Take back Ada's consents to a scope, below whatever it stands."""
    tokens = sites.globus.sign_in(ADA, "openid urn:globus:auth:scope:auth.globus.org:manage_projects")
    client, identity = AuthClient(authorizer=AccessTokenAuthorizer(tokens["access_token"])), sites.identity(ADA)
    for consent in client.get_consents(identity).data["consents"]:
        if consent["scope_name"] == str(scope):
            client.delete(f"/v2/api/identities/{identity}/consents/{consent['id']}")


def test_token_without_the_consent_to_transfer_makes_no_timer(sites, folder):
    error = refused(make, person(sites, "cy@", str(TimersScopes.timer)), OnceTimerSchedule(), copy(sites, folder))
    assert (error.http_status, error.code) == (403, "ConsentRequired")
    assert to_gare(error).authorization_parameters.required_scopes == [f"{TimersScopes.timer}[{TransferScopes.all}]"]


def test_job_of_the_older_kind_runs_too(sites, demo, folder):
    action = {
        "source_endpoint_id": sites.collection("archive"),
        "destination_endpoint_id": sites.collection("share"),
        "transfer_items": [{"source_path": "/public/notes.txt", "destination_path": f"/{folder.name}/job.txt", "recursive": False}],
        "label": folder.name,
    }
    url = "https://actions.automate.globus.org/transfer/transfer/run"
    made = demo.create_job(TimerJob(url, {"body": action}, datetime.now(UTC), 1, name="Job", stop_after_n=1))
    assert (made["callback_url"], made["callback_body"]["body"]["label"]) == (url, folder.name)
    ended(demo, made)
    assert (folder / "job.txt").exists()
    other = TimerJob("https://flows.automate.globus.org/x", {"body": {}}, datetime.now(UTC), None)
    assert refused(demo.create_job, other).http_status == 422


@pytest.mark.parametrize(
    "changed",
    [
        {"schedule": {"type": "never"}},
        {"schedule": {"type": "recurring", "interval_seconds": 0}},
        {"schedule": {"type": "recurring", "interval_seconds": 1, "end": {"condition": "iterations"}}},
        {"schedule": {"type": "recurring", "interval_seconds": 1, "end": {"condition": "time"}}},
        {"schedule": {"type": "once", "datetime": "tomorrow"}},
        {"schedule": {"type": "once", "datetime": "9999-12-31T23:59:59-14:00"}},
        {
            "schedule": {
                "type": "recurring",
                "interval_seconds": 60,
                "start": "2100-01-02T00:00:00Z",
                "end": {"condition": "time", "datetime": "2100-01-01T00:00:00Z"},
            }
        },
        {"body": {"DATA_TYPE": "delete"}},
        {"timer_type": "flow"},
        {"body": None},
        {"name": "x" * 257},
        {"body": {"submission_id": "x"}},
    ],
)
def test_wrong_timer_is_refused(sites, demo, folder, changed):
    right = {"timer_type": "transfer", "name": "x", "schedule": {"type": "once"}, "body": dict(copy(sites, folder))}
    error = refused(demo.post, "/v2/timer", data={"timer": {**right, **changed}})
    assert error.http_status == 422
    assert error.messages


def test_a_timer_that_cannot_be_run_does_not_hold_up_the_others(sites, demo, folder):
    late = make(demo, OnceTimerSchedule(), copy(sites, folder, deadline="9999-12-31T23:59:59-14:00"), name="Beyond all years")
    spoiled = make(demo, OnceTimerSchedule(datetime=datetime.now(UTC) + timedelta(seconds=8)), copy(sites, folder), name="Spoiled")
    with closing(sqlite3.connect(sites.globus.data / "localglobus.sqlite", timeout=30)) as db, db:
        db.execute("UPDATE timer SET body = '[]' WHERE id = ?", (spoiled["job_id"],))
    for timer, code in ((late, "BadRequest"), (spoiled, "InternalError")):
        job = ended(demo, timer)
        assert (job["n_errors"], job["results"]["data"][0]["errors"]["code"]) == (1, code)
    ended(demo, make(demo, OnceTimerSchedule(), copy(sites, folder)))
    assert (folder / "copied.txt").exists()


def test_all_timers_of_a_user_run_only_so_often(sites, demo, folder):
    schedule = RecurringTimerSchedule(interval_seconds=1, start="2100-01-01T00:00:00Z")
    made = [make(demo, schedule, copy(sites, folder))["job_id"] for _ in range(10)]
    error = refused(make, demo, schedule, copy(sites, folder))
    assert (error.http_status, error.code) == (409, "LimitExceeded")
    demo.pause_job(made[0])
    made.append(make(demo, schedule, copy(sites, folder))["job_id"])
    error = refused(demo.resume_job, made[0])
    assert (error.http_status, error.code) == (409, "LimitExceeded")
    demo.pause_job(made[-1])
    demo.resume_job(made[0])


def test_owner_has_so_many_timers_and_no_more(sites, demo, folder):
    number = make(demo, OnceTimerSchedule(datetime="2100-01-01T00:00:00Z"), copy(sites, folder))["job_id"]
    names = "owner_id, name, body, schedule, status, submitted_at, next_run_at, client_id, root, session, token_issued_at"
    numbers = "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many LIMIT 999)"
    with closing(sqlite3.connect(sites.globus.data / "localglobus.sqlite", timeout=30)) as db:
        with db:
            db.execute(f"INSERT INTO timer (id, {names}) {numbers} SELECT n, {names} FROM many, timer WHERE id = ?", (number,))
        try:
            error = refused(make, demo, OnceTimerSchedule(datetime="2100-01-01T00:00:00Z"), copy(sites, folder))
            assert (error.http_status, error.code) == (409, "LimitExceeded")
        finally:
            with db:
                db.execute("DELETE FROM timer WHERE length(id) < 36")


def test_job_that_would_stop_before_its_start_is_refused(demo):
    job = TimerJob("https://actions.automate.globus.org/transfer/transfer/run", {"body": {}}, datetime.now(UTC), 60)
    assert refused(demo.create_job, {**job, "stop_after": "2020-01-01T00:00:00Z"}).http_status == 422


def test_tick_missed_until_after_the_end_does_not_run(sites, demo, folder):
    start = datetime.now(UTC) + timedelta(days=1)
    end = {"condition": "time", "datetime": (start + timedelta(days=1)).isoformat()}
    timer = make(demo, RecurringTimerSchedule(interval_seconds=3600, start=start, end=end), copy(sites, folder))
    past = [(datetime.now(UTC) - timedelta(hours=each)).isoformat(timespec="seconds") for each in (3, 2)]
    with closing(sqlite3.connect(sites.globus.data / "localglobus.sqlite", timeout=30)) as db, db:
        schedule = json.dumps({"start": past[0], "interval_s": 3600, "most_runs": None, "end": past[1]})
        db.execute("UPDATE timer SET schedule = ?, next_run_at = ? WHERE id = ?", (schedule, past[1], timer["job_id"]))
    assert ended(demo, timer)["n_runs"] == 0


def test_timer_never_deletes(sites, demo, folder):
    (folder / "kept.txt").write_text("kept")
    body = {**copy(sites, folder), "endpoint": sites.collection("share"), "DATA": [{"path": f"/{folder.name}/kept.txt"}]}
    job = ended(demo, make(demo, OnceTimerSchedule(), body))
    assert (job["n_errors"], (folder / "kept.txt").exists()) == (1, True)


def test_timer_outlives_a_kill_and_runs_once_for_what_it_missed(own_sites, folder_of_own):
    sites, folder = own_sites, folder_of_own
    client = client_of(sites)
    schedule = RecurringTimerSchedule(interval_seconds=1, end={"condition": "iterations", "iterations": 2})
    asked = copy(sites, folder, label="survivor")
    timer = make(client, {**schedule, "start": (datetime.now(UTC) + timedelta(seconds=1)).isoformat()}, asked)
    sites.globus.stop(signal.SIGKILL)
    wait_until(lambda: datetime.now(UTC).isoformat() > timer["next_run"])
    sites.globus.start()
    job = ended(client, timer)
    assert job["n_runs"] == 2
    assert len(list(sites.service("demo").task_list(filter="label:survivor"))) == 2


@pytest.fixture
def folder_of_own(own_sites):
    path = own_sites.root("archive") / "shares" / "own"
    path.mkdir()
    return path
