"""The product's programs under the supervisor: what each of them knows, and that one stack runs in one folder."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import psycopg2
import pytest

from services.embedded.addresses import free_port
from services.embedded.counting import count_bytes
from services.embedded.stack import Stack, node_state
from services.embedded.supervisor import StartError

CHECKOUT = Path(__file__).resolve().parents[3]
SERVICES_OF_THE_SDK = ("AUTH", "TRANSFER", "GROUPS", "SEARCH", "TIMER", "FLOWS", "APP")
TOLD_TO_USERS = {
    *(f"GLOBUS_SDK_SERVICE_URL_{service}" for service in SERVICES_OF_THE_SDK),
    *("GLOBUS_SDK_VERIFY_SSL", "GLOBUS_CLI_CLIENT_ID", "GLOBUS_CLI_CLIENT_SECRET", "CAUSEWAY_GCS_ADDRESS"),
    *("CAUSEWAY_ARCHIVE_COLLECTION", "CAUSEWAY_CAMPUS_COLLECTION", "CAUSEWAY_SHARE_COLLECTION"),
}
# What a developer writes who knows the SDK and has sourced the file; nothing in it knows of a stand-in.
SDK_PROGRAM = """
import os, globus_sdk
env = os.environ
app = globus_sdk.ClientApp(client_id=env["GLOBUS_CLI_CLIENT_ID"], client_secret=env["GLOBUS_CLI_CLIENT_SECRET"])
transfer = globus_sdk.TransferClient(app=app).add_app_data_access_scope(env["CAUSEWAY_CAMPUS_COLLECTION"])
for name in ("ARCHIVE", "SHARE", "CAMPUS"):
    collection = env[f"CAUSEWAY_{name}_COLLECTION"]
    print(transfer.get_endpoint(collection)["display_name"], *sorted(entry["name"] for entry in transfer.operation_ls(collection))[:2])
manager = globus_sdk.GCSClient(env["CAUSEWAY_GCS_ADDRESS"])
print(transfer.get_endpoint(manager.endpoint_client_id)["display_name"])
print(globus_sdk.GroupsClient(app=app).get_my_groups().http_status)
"""


def environment_of(stack: Stack, name: str) -> dict[str, str]:
    return psutil.Process(stack.supervisor.group_of(name)).environ()


def test_second_stack_in_the_same_folder_is_refused_and_names_the_first(globus_stack):
    with pytest.raises(StartError, match="runs already"):
        Stack(globus_stack.state, port=free_port(), with_portal=False).start()


def test_nodes_of_the_local_globus_know_no_secret_but_their_own_file(globus_stack):
    for name in ("localglobus", "dtn-archive", "dtn-campus"):
        assert not any("SECRET" in variable or "KEY" in variable for variable in environment_of(globus_stack, name))


def test_localglobus_command_prints_ready_after_writing_its_environment_and_stops_on_a_signal(tmp_path):
    command = [sys.executable, "-m", "services.embedded", "localglobus", "--data", str(tmp_path), "--port", str(free_port())]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        assert "export GLOBUS_SDK_SERVICE_URL_TRANSFER=" in (tmp_path / "env").read_text()
        process.terminate()
        assert process.wait(90) == 0
    assert not (tmp_path / "run" / "processes.json").exists()


def test_env_of_the_local_globus_names_all_that_its_users_need_with_an_address_of_its_own(globus_stack):
    told = globus_stack.globus_environment
    assert set(told) >= TOLD_TO_USERS
    assert {told[name] for name in told if name.startswith("GLOBUS_SDK_SERVICE_URL_")} == {globus_stack.addresses.localglobus + "/"}
    assert len({told[name] for name in TOLD_TO_USERS if name.endswith("_COLLECTION")}) == 3
    assert Path(told["GLOBUS_SDK_VERIFY_SSL"]) == globus_stack.ca_file


def test_a_program_of_the_sdk_works_in_a_shell_that_sourced_the_env(globus_stack, tmp_path):
    (tmp_path / "program.py").write_text(SDK_PROGRAM)
    words = f'. "{globus_stack.places.globus}/env" && exec "{sys.executable}" program.py'
    done = subprocess.run(["sh", "-c", words], cwd=tmp_path, env={}, capture_output=True, text=True, check=False, timeout=120)
    told = done.stdout.splitlines()
    assert [told[0], told[1][:15], *told[2:]] == [  # other tests make folders in the shares
        "Causeway Archive a1b-north-america atlantic-profiles",
        "Causeway Shares",
        "Campus storage home",
        "Causeway archive",
        "200",
    ], done.stderr


def test_discarding_leaves_alone_what_is_not_the_stacks_own(tmp_path):
    stack = Stack(tmp_path / "state")
    for path in ("run/processes.json", "archive/data/x.nc", "archive.state/y", "secrets.env", "notes.txt"):
        (stack.state / path).parent.mkdir(parents=True, exist_ok=True)
        (stack.state / path).write_text("{}")
    stack.discard()
    assert [path.name for path in stack.state.iterdir()] == ["notes.txt"]
    (stack.state / "notes.txt").unlink()
    (stack.state / "run").mkdir()
    stack.discard()
    assert not stack.state.exists()


def test_running_stack_is_not_discarded(globus_stack):
    with pytest.raises(StartError, match="runs already"):
        Stack(globus_stack.state, with_portal=False).discard()
    assert globus_stack.supervisor.is_ready("dtn-archive")


@pytest.mark.journey
def test_each_process_gets_only_the_secrets_that_it_needs(stack):
    for name in ("web", "worker", "beat"):
        known = environment_of(stack, name)
        assert known["CAUSEWAY_GLOBUS_CLIENT_SECRET"]
        assert "CAUSEWAY_GRAPH_CLIENT_SECRET" not in known
    for name in ("graph", "graph-worker"):
        known = environment_of(stack, name)
        assert known["CAUSEWAY_GRAPH_CLIENT_SECRET"]
        assert not {"CAUSEWAY_SECRET_KEY", "CAUSEWAY_TOKEN_KEYS", "CAUSEWAY_GLOBUS_CLIENT_SECRET", "DATABASE_URL"} & set(known)
    for name in ("web", "worker", "beat", "graph", "graph-worker", "localglobus", "dtn-archive", "dtn-campus"):
        assert "GLOBUS_CLI_CLIENT_SECRET" not in environment_of(stack, name)


@pytest.mark.journey
@pytest.mark.parametrize("name", ["web", "postgres", "valkey", "localglobus", "dtn-archive", "worker"])
def test_site_is_whole_again_after_a_process_was_killed(stack, name):
    stack.kill(name)
    stack.supervisor.wait_ready(name)
    deadline = time.monotonic() + 90
    while httpx.get(f"{stack.base_url}/readyz", trust_env=False).status_code != httpx.codes.OK:
        assert time.monotonic() < deadline
        time.sleep(0.2)  # polled: there is no event to wait for
    assert httpx.get(stack.base_url, trust_env=False).status_code == httpx.codes.OK


def catalogue_of(stack: Stack) -> list[str]:
    """Every published dataset, as the API tells, and every scan, as the database does."""
    listed = httpx.get(f"{stack.base_url}/api/v1/datasets?limit=100", trust_env=False).raise_for_status().json()["results"]
    with psycopg2.connect(stack.postgres.dsn) as connection, connection.cursor() as cursor:
        cursor.execute("select id, version_id, n_files, started_at from datasets_scanrun order by id")
        scans = [str(row) for row in cursor.fetchall()]
    connection.close()
    return sorted(f"{row['slug']} {row['id']}" for row in listed) + scans


@pytest.mark.journey
def test_second_start_on_the_same_state_keeps_the_catalogue_and_loads_nothing(stack):
    before = catalogue_of(stack)
    assert len(before) >= 2 * 17
    log = stack.supervisor.log_of("load-archive")
    told = log.stat().st_size
    archive = {path: path.stat().st_mtime_ns for path in (stack.places.archive / "data").rglob("*") if path.is_file()}
    assert_no_data_byte_passed_the_portal(stack)  # who is who is forgotten with the next start
    stack.stop()
    stack.start()
    assert catalogue_of(stack) == before
    assert "0 datasets published now" in log.read_text()[told:]
    assert {path: path.stat().st_mtime_ns for path in archive} == archive


def assert_no_data_byte_passed_the_portal(stack):
    journals = [node_state(root) / "connections.jsonl" for root in (stack.places.archive, stack.places.campus)]
    passed = count_bytes(journals, stack.places.run, since=stack.started_at, ourselves="these tests")
    assert [one.who for one in passed if one.is_control_plane and one.data_bytes] == []


def test_demo_says_which_service_needs_a_port_in_use_before_it_starts_anything(tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "services.embedded", "demo", "--data", str(tmp_path / "state"), "--port", str(port)]
    with socket.socket() as taken:
        taken.bind(("127.0.0.5", port))
        taken.listen()
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"graph needs port {port} on 127.0.0.5" in done.stderr
    assert "--port" in done.stderr
    assert not (tmp_path / "state" / "run" / "history.jsonl").exists()
    assert not (tmp_path / "state" / "postgres").exists()
