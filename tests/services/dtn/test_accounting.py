"""Bytes per connection, and whose they are."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import httpx
import pytest

from tests.services.dtn.conftest import REPOSITORY, new_collection

pytestmark = pytest.mark.long

MIB = 1 << 20


def lines_of(node, since, **wanted):
    """Of connections opened since then: a port, as a pid, is given to others before and after."""
    written = (node.state / "connections.jsonl").read_text().rpartition("\n")[0]  # the last line may be half written
    lines = [json.loads(line) for line in written.splitlines()]
    return [
        line
        for line in lines
        if datetime.fromisoformat(line["opened"]) >= since and all(line[key] == value for key, value in wanted.items())
    ]


def own_address(client):
    return "{}:{}".format(*client._transport._pool.connections[0]._connection._network_stream.get_extra_info("client_addr"))


def test_data_and_control_bytes_are_told_apart_and_named(control, archive, files):
    collection, folder = files
    (folder / "a").write_bytes(b"x" * (3 * MIB))
    control.grant(collection, "ada-token", ("/", "rw"))
    ada = {"Authorization": "Bearer ada-token"}
    began = datetime.now(UTC)
    with archive.client(limits=httpx.Limits(keepalive_expiry=None)) as client:
        client.get(f"/{collection}/a", headers=ada)
        client.put(f"/{collection}/b", headers=ada, content=b"y" * MIB)
        listed = client.get(f"/{collection}/", headers=ada)
        asked = client.post("/.dtn/v1/operations/ls", json={"collection": collection, "path": "/"}, headers=archive.secret_header)
        refused = client.get(f"/{collection}/none", headers=ada)
        peer = own_address(client)

    def closed():
        return [line for line in lines_of(archive, began, peer=peer) if line["closed"]]

    control.wait(closed)
    (line,) = closed()
    assert line["data_bytes_out"] == 3 * MIB
    assert line["data_bytes_in"] == MIB
    assert line["control_bytes_out"] == len(listed.content) + len(asked.content) + len(refused.content)
    assert 0 < line["control_bytes_in"] < 200
    assert line["process"]["pid"] == os.getpid()
    assert line["process"]["group"] == os.getpgid(0)


def test_the_process_of_a_short_visit_is_named_and_its_token_is_not(control, archive, files):
    collection, folder = files
    (folder / "a").write_bytes(b"x" * 1000)
    control.grant(collection, "very-private-token", ("/", "r"))
    ca = folder.parent.parent / "ca.pem"
    ca.write_text(control.ca.pem)
    began = datetime.now(UTC)
    curl = subprocess.Popen(
        [
            "curl",
            "--silent",
            "--cacert",
            ca,
            "-H",
            "Authorization: Bearer very-private-token",
            "-o",
            os.devnull,
            f"{archive.url}/{collection}/a",
        ],
        start_new_session=True,
    )
    assert curl.wait() == 0

    def lines():
        return [line for line in lines_of(archive, began) if line["closed"] and line["process"] and line["process"]["pid"] == curl.pid]

    control.wait(lines)
    (line,) = lines()
    assert line["process"]["group"] == curl.pid
    assert line["process"]["command"].startswith("curl --silent")
    assert line["data_bytes_out"] == 1000
    everything = archive.log.read_text() + (archive.state / "connections.jsonl").read_text()
    assert "very-private-token" not in everything
    assert control.secret not in everything


def test_a_connection_that_stays_open_is_written_meanwhile(control, archive, files):
    collection, folder = files
    (folder / "a").write_bytes(b"x" * 1000)
    control.grant(collection, "ada-token", ("/", "r"))
    began = datetime.now(UTC)
    with archive.client() as client:
        client.get(f"/{collection}/a", headers={"Authorization": "Bearer ada-token"})
        peer = own_address(client)
        control.wait(
            lambda: lines_of(archive, began, peer=peer, closed=None, data_bytes_out=1000),
            describe=lambda: lines_of(archive, began, peer=peer),
        )


def test_a_copy_is_counted_as_the_other_nodes(control, archive, campus, files, request):
    collection, folder = files
    destination, _ = new_collection(control, campus, request.node.name)
    (folder / "a").write_bytes(b"x" * (5 * MIB))
    began = datetime.now(UTC)
    order = control.order((archive.url, collection), destination, [("/a", "/a")])
    control.wait_for_end(order)

    def sent_to_campus():
        """On one connection, or on several where the source answers so slowly that it seems far."""
        lines = [line for line in lines_of(archive, began) if line["process"] and line["process"]["pid"] == campus.process.pid]
        return {(line["opened"], line["peer"]): line["data_bytes_out"] for line in lines}

    control.wait(lambda: sum(sent_to_campus().values()) == 5 * MIB, describe=sent_to_campus)


def test_a_port_in_use_and_a_state_folder_inside_the_data_are_said(archive, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    common = [
        sys.executable,
        "-m",
        "services.dtn",
        "--name",
        "x",
        "--url",
        archive.url,
        "--control",
        "http://127.0.0.2:1",
        "--secret-file",
        secret,
    ]
    told = subprocess.run([*common, "--data", tmp_path / "data"], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 1
    assert archive.address in told.stderr
    told = subprocess.run(
        [*common, "--data", tmp_path / "data", "--state", tmp_path / "data" / "state"],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "must not be inside" in told.stderr
