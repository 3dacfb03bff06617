"""The programs of "Cloud Computing for Science and Engineering" in `book/`, each for today's SDK, run as they stand against localglobus."""

import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from globus_sdk import TransferAPIError
from globus_sdk.scopes import GCSCollectionScopes

from tests.services.localglobus.transfer.conftest import wait_until

pytestmark = pytest.mark.long

BOOK = Path(__file__).with_name("book")
ADA, CY = "ada@university.example", "cy@elsewhere.example"


@pytest.fixture
def run(sites):
    """Starts a program of `book/` with what the env files of localglobus say, and the CA for `requests`."""
    started = []

    def start(name, *words):
        env = {"PATH": os.environ["PATH"], "HOME": str(sites.folder), **sites.globus.env}
        env["REQUESTS_CA_BUNDLE"] = env["GLOBUS_SDK_VERIFY_SSL"]
        command = [sys.executable, str(BOOK / name), *words]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, env=env, text=True, stdin=pipe, stdout=pipe, stderr=pipe))
        return started[-1]

    yield start
    for program in started:
        program.kill()
        program.communicate()


def end(program, line="", *, status=0):
    text, errors = program.communicate(line, timeout=240)
    assert program.returncode == status, text + errors
    return text if status == 0 else errors


@pytest.fixture
def campus(sites):
    """A new folder of the campus storage, gone with what is in it."""
    path = sites.root("campus") / uuid.uuid4().hex
    path.mkdir()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def storage(sites):
    """A folder of the archive's storage with two files; what programs leave beside it is removed."""
    before = set(sites.root("archive").iterdir())
    path = sites.root("archive") / f"book-{uuid.uuid4().hex}"
    (path / "deep").mkdir(parents=True)
    (path / "a.csv").write_text("3\n1\n2\n")
    (path / "deep/b.txt").write_text("b")
    yield path
    for made in set(sites.root("archive").iterdir()) - before:
        shutil.rmtree(made)


def test_figure_3_9_moves_a_folder(sites, run, campus):
    text = end(run("fig_3_9_transfer.py", "Causeway Archive", "/public/", "Campus storage", f"/{campus.name}/"))
    assert "notes.txt" in text
    assert "SUCCEEDED" in text
    assert (campus / "notes.txt").read_text() == (sites.root("archive") / "data/public/notes.txt").read_text()


def test_figure_11_2_shares_a_folder_and_takes_it_back(sites, run, storage):
    words = sites.globus.env["CAUSEWAY_GCS_ADDRESS"], sites.collection("storage"), f"/{storage.name}/", ADA
    lines = end(run("fig_11_2_share.py", *words)).splitlines()
    share = lines[0].split()[1]
    assert f"{sites.identity(ADA)} / r" in lines
    assert "in it: a.csv" in lines
    with pytest.raises(TransferAPIError) as gone:
        sites.service("demo").get_endpoint(share)
    assert gone.value.code == "EndpointNotFound"


def test_figure_11_9_copies_shares_and_deletes(sites, run, storage):
    words = sites.globus.env["CAUSEWAY_GCS_ADDRESS"], sites.collection("storage"), f"/{storage.name}/", ADA
    program = run("fig_11_9_rdp.py", *words)
    share = program.stdout.readline().strip()
    assert share, program.stderr.read()
    ada = sites.person("ada")
    assert {entry["name"] for entry in ada.operation_ls(share, path="/")} == {"a.csv", "deep"}
    assert ada.operation_stat(share, "/deep/b.txt")["size"] == 1
    with pytest.raises(TransferAPIError) as refused:
        sites.person("cy").operation_ls(share, path="/")
    assert refused.value.code == "EndpointPermissionDenied"
    assert wait_until(lambda: any("Requested data is available." in mail.read_text() for mail in sites.globus.data.glob("mail/*.eml")))
    end(program, "\n")
    with pytest.raises(TransferAPIError) as gone:
        ada.get_endpoint(share)
    assert gone.value.code == "EndpointNotFound"


def test_figure_11_9_in_one_collection_makes_a_folder_and_a_rule(sites, run):
    share, archive = sites.collection("share"), sites.collection("archive")
    program = run("fig_11_9_one_collection.py", archive, "/public/", share, ADA)
    folder = program.stdout.readline().strip()
    assert folder, program.stderr.read()
    ada = sites.person("ada")
    assert "notes.txt" in {entry["name"] for entry in ada.operation_ls(share, path=folder)}
    end(program, "\n")
    with pytest.raises(TransferAPIError):
        ada.operation_ls(share, path=folder)
    assert not (sites.root("archive") / "shares" / folder.strip("/")).exists()


@pytest.fixture
def readable(sites):
    """A CSV file in the archive that everyone who signs in may read."""
    name = uuid.uuid4().hex
    path = sites.root("archive") / "data" / name
    path.mkdir()
    (path / "a.csv").write_text("3\n1\n2\n")
    portal, archive = sites.service("portal"), sites.collection("archive")
    rule = {"DATA_TYPE": "access", "principal_type": "all_authenticated_users", "principal": "", "path": f"/{name}/", "permissions": "r"}
    rule_id = portal.add_endpoint_acl_rule(archive, rule)["access_id"]
    yield f"/{name}/a.csv"
    portal.delete_endpoint_acl_rule(archive, rule_id)
    shutil.rmtree(path)


def test_figure_11_12_draws_for_who_asks_and_cleans_up(sites, run, readable):
    scope, archive, results = sites.globus.env["CAUSEWAY_GRAPH_SCOPE"], sites.collection("archive"), sites.collection("results")
    https = GCSCollectionScopes(archive).https
    token = sites.globus.sign_in(CY, f"{scope}[*{https}]")["access_token"]
    program = run("fig_11_12_graph_service.py", scope, archive, readable, results)
    program.stdin.write(f"{token}\n")
    program.stdin.flush()
    folder = program.stdout.readline().strip()
    assert folder == f"/graphs-for-{sites.identity(CY)}/", program.stderr.read()
    drawn = sites.root("archive") / "results" / folder.strip("/") / "graph.svg"
    assert drawn.read_text().count("<rect") == 3
    assert "graph.svg" in {entry["name"] for entry in sites.person("cy").operation_ls(results, path=folder)}
    with pytest.raises(TransferAPIError):
        sites.person("ada").operation_ls(results, path=folder)
    end(program, "clean up\n")
    assert not drawn.parent.exists()


def test_figure_11_12_refuses_a_token_for_somebody_else(sites, run, readable):
    scope, archive, results = sites.globus.env["CAUSEWAY_GRAPH_SCOPE"], sites.collection("archive"), sites.collection("results")
    token = sites.globus.sign_in(CY, "openid")["access_token"]
    errors = end(run("fig_11_12_graph_service.py", scope, archive, readable, results), f"{token}\n", status=1)
    assert "401" in errors


def test_table_11_1_makes_every_call(sites, run):
    https = GCSCollectionScopes(sites.collection("archive")).https
    program = run("table_11_1_rest.py", sites.globus.portal_redirect, sites.globus.env["CAUSEWAY_GRAPH_SCOPE"], str(https))
    with sites.globus.browser() as browser:
        back = browser.authorize(program.stdout.readline().strip(), ADA)
    text = end(program, f"{back['code']} {back['state']}\n")
    assert f"GET userinfo 200 {ADA}" in text
    assert f"dependent token for {sites.collection('archive')}" in text
    assert text.count(" 200") == 10
    assert "active afterwards: False" in text
