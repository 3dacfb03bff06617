"""The data port: what a ticket opens there and nothing else does, what it answers, and that rights are of the moment."""

import hashlib
import http.client
import json
import re
import socket
import ssl

import pytest

from services.dtn.certificates import Credentials
from services.dtn.remote_source import RemoteSource
from services.dtn.tls_contexts import trusting_context
from tests.services.dtn.conftest import HOSTS, OTHER_HOST, NodeProcess, new_collection

pytestmark = pytest.mark.long

MIB = 1 << 20
TICKET = {"Authorization": "Ticket data"}


@pytest.fixture
def port(control, archive, files):
    """The port that the node tells, and a ticket for `/open/` and `/one.txt`."""
    collection, folder = files
    (folder / "open").mkdir()
    (folder / "closed").write_text("secret")
    (folder / "open/a.nc").write_bytes(b"0123456789" * 100)
    control.tickets["data"] = {"collection": collection, "paths": ["/open/", "/one.txt"], "active": True, "task_id": "t"}
    with archive.client() as client:
        told = client.head("/.dtn/").headers["alt-svc"]
    return int(re.fullmatch(r'causeway-data=":(\d+)"', told)[1])


@pytest.fixture
def connection(port, archive):
    made = http.client.HTTPSConnection(HOSTS["archive"], port, context=archive.trust(), timeout=30)
    yield made
    made.close()


def ask(connection, method, path, body=None, **fields):
    connection.request(method, path, body=body, headers={**TICKET, **fields})
    answer = connection.getresponse()
    return answer.status, answer, answer.read()


def test_a_file_and_ranges_of_it_come_with_a_ticket(connection, files):
    collection, folder = files
    status, answer, body = ask(connection, "GET", f"/{collection}/open/a.nc")
    assert (status, body) == (200, (folder / "open/a.nc").read_bytes())
    etag = answer.headers["ETag"]
    status, answer, body = ask(connection, "GET", f"/{collection}/open/a.nc", Range="bytes=5-14", **{"If-Match": etag})
    assert (status, body, answer.headers["Content-Range"]) == (206, b"5678901234", "bytes 5-14/1000")
    assert ask(connection, "GET", f"/{collection}/open/a.nc", Range="bytes=2000-")[0] == 416
    assert ask(connection, "GET", f"/{collection}/open/a.nc", Range="bytes=0-1,4-5")[0] == 400
    assert ask(connection, "GET", f"/{collection}/open/a.nc", **{"If-Match": '"other"'})[0] == 412


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("closed", 403), ("open/absent", 404), ("open/", 400), ("open/../closed", 400), ("open/%2e%2e/closed", 400),
        ("open/link", 403), ("open/out", 403), ("open/.x.0123456789ab.part", 404), ("one.txt", 404), ("openly", 403), ("", 403),
    ],
)  # fmt: skip
def test_nothing_else_is_opened(connection, files, path, status):
    collection, folder = files
    (folder / "open/link").symlink_to("../closed")
    (folder / "open/out").symlink_to("/etc/passwd")
    (folder / "open/.x.0123456789ab.part").write_text("unfinished")
    (folder / "openly").write_text("secret")
    found, _, body = ask(connection, "GET", f"/{collection}/{path}")
    assert found == status
    assert b"secret" not in body


@pytest.mark.parametrize("given", ["Bearer ada-token", "Ticket other", "Ticket ", ""])
def test_tokens_and_unknown_tickets_open_nothing(control, connection, files, given):
    collection, _ = files
    control.grant(collection, "ada-token", ("/", "rw"))
    assert ask(connection, "GET", f"/{collection}/open/a.nc", Authorization=given)[0] == 401
    assert ask(connection, "GET", f"/{collection}/closed", Authorization=given)[0] == 401


def test_it_neither_writes_nor_tells(control, archive, connection, files):
    collection, folder = files
    for method, path in [("PUT", "/open/new"), ("DELETE", "/open/a.nc"), ("PROPFIND", "/open/"), ("HEAD", "/open/a.nc")]:
        fresh = http.client.HTTPSConnection(connection.host, connection.port, context=archive.trust(), timeout=30)
        assert ask(fresh, method, f"/{collection}{path}")[0] == 404
        fresh.close()
    for path in ("/.dtn/v1/walk", "/.dtn/v1/operations/ls", "/.dtn/faults"):
        assert ask(connection, "POST", path, body="{}", Authorization=f"Bearer {control.secret}")[0] == 404
    assert sorted(path.name for path in (folder / "open").iterdir()) == ["a.nc"]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.0\r\n\r\n", b"GET /\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nName : x\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", b"x" * 40_000,
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_and_the_connection_ends(archive, port, sent):
    plain = socket.create_connection((HOSTS["archive"], port), timeout=30)
    with archive.trust().wrap_socket(plain, server_hostname=HOSTS["archive"]) as stream:
        stream.sendall(sent)
        answer = b""
        while block := stream.recv(1 << 16):
            answer += block
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "asked",
    [
        '{"collection": "%s", "paths": ["/open/a.nc"], "had": [null], "sync_level": []}',
        '{"collection": "%s", "paths": ["/open/a.nc"], "had": [{"size": 1e999, "mtime_ns": 0}], "sync_level": 1}',
        '{"collection": "%s", "paths": {"a": 1}}', "[]", "{", "[" * 100_000,
    ],
)  # fmt: skip
def test_a_bundle_that_is_not_understood_is_refused_at_both_ports(archive, connection, files, asked):
    body = asked.replace("%s", files[0])
    status, _, answer = ask(connection, "POST", "/.dtn/v1/bundle", body)
    assert (status, json.loads(answer)["code"]) == (400, "BadRequest")
    assert ask(connection, "GET", f"/{files[0]}/open/a.nc")[0] == 200  # the connection goes on
    with archive.client() as client:
        assert client.post("/.dtn/v1/bundle", content=body, headers=TICKET).status_code == 400


def test_a_name_that_is_no_text_is_the_fault_of_its_file_alone(connection, files):
    body = json.dumps({"collection": files[0], "paths": ["/open/\ud800", "/open/\ud800/x", "/open/a.nc"]})
    status, _, answer = ask(connection, "POST", "/.dtn/v1/bundle", body)
    lines = [json.loads(line) for line in answer.split(b"\n")[:3]]
    assert (status, [line.get("code") for line in lines]) == (200, ["InvalidPath", "InvalidPath", None])


def test_its_certificate_is_the_nodes_own(port):
    with socket.create_connection((HOSTS["archive"], port), timeout=30) as plain, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(plain, server_hostname=HOSTS["archive"])


@pytest.fixture
def disguised(control, tmp_path):
    """A node that shows a certificate which control signed for another host; what it needs to show its own is `options`."""
    made = NodeProcess(control, tmp_path, "disguised")
    own = made.options
    given = Credentials(tmp_path)
    given.make_key()
    given.keep(certificate=control.ca.sign(given.request(made.url), HOSTS["archive"]), ca=None)
    made.options = (*own, "--tls-certificate", given.certificate, "--tls-key", given.key)
    made.start()
    yield made, own
    made.stop()
    del control.nodes["disguised"]


@pytest.mark.parametrize("recursive", [(), (True,)])
def test_a_source_whose_certificate_is_for_another_name_is_not_copied_from(control, campus, disguised, request, recursive):
    node, own = disguised
    assert OTHER_HOST in node.url
    source, there = new_collection(control, node, "source")
    destination, here = new_collection(control, campus, request.node.name)
    (there / "from").mkdir()
    (there / "from/a").write_text("a")
    item = ("/from/", "/to/", True) if recursive else ("/from/a", "/to/a")
    order = control.order((node.url, source), destination, [item])
    control.wait(lambda: control.faults(order))
    told = [beat["fault"] for beat in control.heartbeats[order] if beat["fault"]]
    assert {fault["code"] for fault in told} == {"CONNECT_FAILED"}
    assert "certificate is not valid for" in str(told[0])
    assert [path for path in here.rglob("*") if path.is_file() and path.stat().st_size] == []
    node.stop()
    node.options = own
    node.start()  # at the same address with a certificate for it
    assert control.wait_for_end(order, 60)["status"] == "SUCCEEDED"
    assert (here / "to/a").read_text() == "a"


def test_a_right_that_is_taken_back_ends_a_file_under_way(control, archive, connection, files):
    collection, folder = files
    with (folder / "open/large.nc").open("wb") as stream:
        stream.truncate(64 * MIB)
    archive.order_fault("get", after_bytes=8 * MIB, delay_s=4)
    connection.request("GET", f"/{collection}/open/large.nc", headers=TICKET)
    answer = connection.getresponse()
    answer.read(MIB)
    control.tickets["data"]["paths"] = ["/one.txt"]
    with pytest.raises(http.client.IncompleteRead) as broken:
        answer.read()
    assert len(broken.value.partial) < 16 * MIB
    connection.close()
    assert ask(connection, "GET", f"/{collection}/open/large.nc")[0] == 403


def test_a_copy_asks_for_its_bytes_there_and_what_a_ticket_opens_is_told_once(control, archive, campus, request):
    source, there = new_collection(control, archive, request.node.name)
    destination, here = new_collection(control, campus, request.node.name)
    content = hashlib.sha256(b"block").digest() * (MIB // 32)
    (there / "large").write_bytes(content * 40)
    for number in range(30):
        (there / f"{number}").write_text(str(number))
    archive.order_fault("get", times=30)
    archive.order_fault("get", after_bytes=20 * MIB, delay_s=2)
    order = control.order((archive.url, source), destination, [(f"/{path.name}", f"/{path.name}") for path in there.iterdir()])
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert (here / "large").read_bytes() == content * 40
    assert f"ticket-{order}" in control.unchanged_tickets


def test_bytes_come_by_the_port_for_everybody_where_the_data_port_cannot_be_reached(control, archive, files, tmp_path):
    collection, folder = files
    (folder / "a").write_bytes(b"x" * 3 * MIB)
    control.tickets["blocked"] = {"collection": collection, "paths": ["/"], "active": True, "task_id": "t"}
    asked = {"collection": collection, "url": f"{archive.url}/{collection}", "node_url": archive.url, "ticket": "blocked"}
    ca = tmp_path / "ca.pem"
    ca.write_text(control.ca.pem)
    source = RemoteSource(asked, trusting_context(ca), workers=8, near_streams=1)
    with socket.socket() as silent:
        silent.bind((HOSTS["archive"], 0))  # nobody listens
        source.note_data_port(silent.getsockname()[1])
        with source.fetch("/a", offset=MIB, length=MIB, etag=None, wants_digest=False) as fetched:
            assert fetched.size == 3 * MIB
            assert fetched.read_into(memoryview(bytearray(2 * MIB))) == MIB
        assert [answer.body for some in source.fetch_many(["/a", "/b"]) for answer in some if answer.is_large] == [b""]
    source.release()
