"""Starting and stopping a node: certificates of its own, an orderly end, one process a state folder."""

import subprocess
import sys

import pytest

from services.dtn.certificates import Credentials
from tests.services.dtn.conftest import REPOSITORY, NodeProcess, new_collection


@pytest.fixture
def other(control, tmp_path):
    made = NodeProcess(control, tmp_path, "other", options=())
    yield made
    made.stop()
    del control.nodes["other"]


def test_a_given_certificate_is_used_and_none_is_asked_for(control, other, tmp_path):
    given = Credentials(tmp_path)
    given.make_key()
    given.keep(certificate=control.ca.sign(given.request(other.url), "127.0.0.6"), ca=None)
    other.options = ("--tls-certificate", given.certificate, "--tls-key", given.key)
    other.start()
    assert control.nodes["other"]["csr"] is None
    with other.client() as client:
        assert client.get("/").status_code == 200
        assert client.get("/.dtn/faults", headers=other.secret_header).status_code == 404, "no switch without --faults"


def test_keys_are_private_and_the_state_survives(control, other):
    other.start()
    assert (other.state / "node.key").stat().st_mode & 0o077 == 0
    key = (other.state / "node.key").read_bytes()
    other.stop()
    other.start()
    assert (other.state / "node.key").read_bytes() == key


def test_a_second_process_on_the_same_state_is_refused(other):
    other.start()
    told = subprocess.run(
        [sys.executable, "-m", "services.dtn", "--name", "other", "--data", other.data, "--state", other.state, "--url", "https://127.0.0.6:9",
         "--control", "http://127.0.0.2:1", "--secret-file", other.folder / "other.secret"],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.returncode == 1
    assert "another node works on" in told.stderr


def test_the_end_is_orderly_with_a_download_under_way(control, other):
    other.start()
    collection, folder = new_collection(control, other, "end")
    with (folder / "big").open("wb") as stream:
        stream.truncate(256 << 20)
    control.grant(collection, None, ("/", "r"))
    with other.client() as client, client.stream("GET", f"/{collection}/big") as answer:
        next(answer.iter_raw(1 << 20))
        other.process.terminate()
        assert other.process.wait(60) == 0
    assert "Traceback" not in other.log.read_text()
    assert (other.state / "connections.jsonl").read_text().count('"closed": null') == 0
