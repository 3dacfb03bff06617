"""The nodes with the real control: sign-in of a browser, the unmodified Globus download client, rules that come and go."""

import os
import signal
import ssl
import subprocess
import sys
import time

import httpx
import pytest
from globus_sdk import ClientApp, GlobusAppConfig, TransferData
from globus_sdk.experimental.gcs_downloader import GCSDownloader

from services.embedded.addresses import free_port
from tests.services.localglobus.conftest import CHECKOUT, LocalGlobus
from tests.services.localglobus.transfer.conftest import running_sites, sites, wait_until

pytestmark = pytest.mark.long

__all__ = ["running_sites", "sites"]  # fixtures
PAGE = {"Accept": "text/html"}


@pytest.fixture
def rule_for(sites):
    """Gives everybody who is signed in, or one identity, a right in Causeway Archive; taken back afterwards."""
    portal, archive, made = sites.service("portal"), sites.collection("archive"), []

    def give(path, *, who=None, kind="identity"):
        rule = {"DATA_TYPE": "access", "principal_type": kind, "principal": who or "", "path": path, "permissions": "r"}
        made.append(portal.add_endpoint_acl_rule(archive, rule)["access_id"])
        return made[-1]

    def take(rule_id):
        portal.delete_endpoint_acl_rule(archive, rule_id)
        made.remove(rule_id)

    give.take = take
    yield give
    for rule_id in made:
        portal.delete_endpoint_acl_rule(archive, rule_id)


@pytest.fixture
def browser(sites):
    verify = ssl.create_default_context(cafile=sites.globus.data / "ca.pem")
    with httpx.Client(base_url=sites.node_url("archive"), headers=PAGE, verify=verify, trust_env=False) as browser:
        yield browser


def sign_in(sites, browser, away, who):
    with sites.globus.browser() as pages:
        back = pages.authorize(away.headers["location"], who)
    return browser.get("/.dtn/callback", params=back)


def test_a_browser_signs_in_and_comes_back_to_its_file(sites, rule_for, browser):
    rule = rule_for("/public/", who=sites.identity("ada@university.example"))
    address = f"/{sites.collection('archive')}/public/notes.txt"
    away = wait_until(lambda: (found := browser.get(address)).status_code == 302 and found)  # once an earlier test's rule is forgotten
    back = sign_in(sites, browser, away, "ada@")
    assert (back.status_code, back.headers["location"]) == (303, address)
    assert browser.get(address).text == "read me\n"
    assert "ada@university.example" in browser.get(f"/{sites.collection('archive')}/public/").text
    rule_for.take(rule)
    wait_until(lambda: browser.get(address).status_code == 403)
    assert "ada@university.example" in browser.get(address).text


def test_a_stranger_is_named_and_may_sign_in_as_another(sites, rule_for, browser):
    rule_for("/public/", who=sites.identity("ada@university.example"))
    address = f"/{sites.collection('archive')}/public/notes.txt"
    sign_in(sites, browser, wait_until(lambda: (found := browser.get(address)).status_code == 302 and found), "cy@")
    refused = browser.get(address)
    assert refused.status_code == 403
    assert "cy@elsewhere.example" in refused.text
    again = browser.get("/.dtn/sign-in", params={"next": address})
    assert sign_in(sites, browser, again, "ada@").headers["location"] == address
    assert browser.get(address).status_code == 200


def test_a_mapped_collection_asks_for_its_consent_too(sites, browser):
    (sites.root("campus") / "home/ada/mine.txt").write_text("mine")
    browser.base_url = sites.node_url("campus")
    address = f"/{sites.collection('campus')}/home/ada/mine.txt"
    sign_in(sites, browser, browser.get(address), "ada@")
    assert browser.get(address).text == "mine"


def test_the_globus_download_client_reads_a_file(sites, rule_for, tmp_path):
    rule_for("/public/", who=sites.globus.env["GLOBUS_CLI_CLIENT_ID"])
    with ClientApp(
        "test", client_id=sites.globus.env["GLOBUS_CLI_CLIENT_ID"], client_secret=sites.globus.env["GLOBUS_CLI_CLIENT_SECRET"],
        config=GlobusAppConfig(token_storage="memory"),
    ) as app, GCSDownloader(app) as downloader:  # fmt: skip
        uri = f"{sites.node_url('archive')}/{sites.collection('archive')}/public/notes.txt"
        assert downloader.read_file(uri) == "read me\n"


def test_anonymous_reads_without_a_token(sites, rule_for, browser):
    address = f"/{sites.collection('archive')}/public/notes.txt"
    rule_for("/public/", kind="anonymous")
    wait_until(lambda: browser.get(address).status_code == 200)
    assert browser.get(address).text == "read me\n"
    assert browser.get(f"/{sites.collection('archive')}/closed/secret.nc").status_code == 302


@pytest.mark.parametrize("path", ["/public/set", "/public/set/"])
def test_a_folder_is_copied_however_its_path_ends(sites, rule_for, path):
    source = sites.root("archive") / "data/public/set"
    source.mkdir(exist_ok=True)
    (source / "one").write_bytes(os.urandom(100_000))
    rule_for("/public/", who=sites.identity("ada@university.example"))
    ada = sites.person("ada", data_access="campus")
    target = f"/~/copy {time.monotonic_ns()}"
    asked = TransferData(sites.collection("archive"), sites.collection("campus"), verify_checksum=True)
    asked.add_item(path, target, recursive=True)
    task_id = ada.submit_transfer(asked)["task_id"]
    assert ada.task_wait(task_id, timeout=60, polling_interval=1)
    assert ada.get_task(task_id)["status"] == "SUCCEEDED", list(ada.task_event_list(task_id))
    arrived = sites.root("campus") / "home/ada" / target.removeprefix("/~/") / "one"
    assert arrived.read_bytes() == (source / "one").read_bytes()


def test_a_right_taken_away_stops_a_copy_and_given_back_lets_it_go_on(sites, rule_for):
    source = sites.root("archive") / "data/public/slow"
    source.mkdir()
    for number in range(30):
        (source / f"{number}").write_bytes(os.urandom(10_000))
    ada_id = sites.identity("ada@university.example")
    rule = rule_for("/public/", who=ada_id)
    ada = sites.person("ada", data_access="campus")
    sites.node_fault("archive", kind="get", times=1000, delay_s=0.5)
    asked = TransferData(sites.collection("archive"), sites.collection("campus"))
    asked.add_item("/public/slow/", "/~/slow/", recursive=True)
    task_id = ada.submit_transfer(asked)["task_id"]
    arrived = sites.root("campus") / "home/ada/slow"
    wait_until(lambda: arrived.exists() and len([path for path in arrived.iterdir() if not path.name.startswith(".")]) >= 5)
    rule_for.take(rule)
    wait_until(lambda: ada.get_task(task_id)["nice_status"] == "PERMISSION_DENIED")
    assert not ada.get_task(task_id)["is_ok"]
    rule_for("/public/", who=ada_id)
    wait_until(lambda: ada.get_task(task_id)["status"] == "SUCCEEDED")
    assert len(list(arrived.iterdir())) == 30


def test_a_node_that_is_up_before_control_registers_when_it_comes(start_order):
    node, globus = start_order
    assert node.poll() is None
    globus.start()
    assert node.stdout.readline() == b"ready\n"


@pytest.fixture
def start_order(tmp_path):
    """A node whose control has run once (it made the secret) and is down now; then both, ended afterwards."""
    globus = LocalGlobus(tmp_path / "globus", free_port()).start()
    globus.stop(signal.SIGKILL)
    node = subprocess.Popen(
        [sys.executable, "-m", "services.dtn", "--name", "archive", "--data", tmp_path / "data", "--url", f"https://127.0.0.3:{globus.port}",
         "--control", globus.url, "--secret-file", globus.data / "dtn-archive.secret"],
        cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(0.5)  # it has asked in vain by then
    yield node, globus
    node.terminate()
    node.wait()
    node.stdout.close()
    globus.stop(signal.SIGKILL)
