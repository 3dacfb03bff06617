"""The servers of an order by themselves: who gets in, what they open, that data are private, that they end with the node."""

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from services.dtn.gridftp_control import ControlChannel, GridLostError, GridReplyError, Login, Reply
from services.dtn.gridftp_credentials import GridAuthority
from services.dtn.gridftp_servers import GridServer
from services.dtn.gridftp_transfers import Listener, Pair, TransferError, merge
from tests.conftest import require_program
from tests.services.dtn.conftest import REPOSITORY, grid_servers
from tests.services.localglobus.transfer.conftest import wait_until

pytestmark = pytest.mark.long

HOST = "127.0.0.6"


def nothing(*_):
    pass


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    require_program("globus-gridftp-server", "apt-get install globus-gridftp-server-progs")
    return GridAuthority(tmp_path_factory.mktemp("authority"), "alone")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A readable folder, a writable one, and what is beside them."""
    tmp_path = tmp_path_factory.mktemp("places")
    for name in ("read", "read2", "write", "swapped", "we[i]rd $HOME, ~"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / "alone").write_text("alone")
    (tmp_path / "alone2").write_text("alone2")
    (tmp_path / "read" / "out").symlink_to(tmp_path / "read2")
    return tmp_path


@pytest.fixture(scope="module")
def server(authority, places, tmp_path_factory):
    paths = [("R", f"{places}/{name}") for name in ("read/", "we[i]rd $HOME, ~/", "alone")]
    made = start(
        authority, tmp_path_factory.mktemp("one") / "server", [*paths, *(("RW", f"{places}/{name}/") for name in ("write", "swapped"))]
    )
    yield made
    made.stop()


def start(authority, folder, paths, order="one"):
    identity = authority.host(HOST)
    user = authority.order(order).name
    return GridServer(folder, host=HOST, identity=identity, user=user, authorities=[authority.pem], paths=paths)


def login(server, authority, order="one"):
    return Login(server.host, server.port, authority.order(order), authority.file)


@pytest.fixture(scope="module")
def channel(server, authority):
    with contextlib.closing(ControlChannel(login(server, authority), nothing)) as channel:
        yield channel


def test_what_the_order_opens(channel, places):
    for name in ("read/file", "write/file", "we[i]rd $HOME, ~/file", "alone"):
        assert "Type=file;" in channel.ask(f"MLST {places}/{name}").text
    assert "Type=dir;" in channel.ask(f"MLST {places}/read").text


@pytest.mark.parametrize(
    "path",
    ["read2/file", "read/../read2/file", "read/out/file", "alone2", "alone/x", "weird $HOME, ~/file", "../../etc/passwd", "/etc/passwd"],
)
def test_nothing_else(channel, places, path):
    path = path if path.startswith("/") else f"{places}/{path}"
    for command in (f"MLST {path}", f"SIZE {path}", f"CKSM SHA256 0 -1 {path}", f"CWD {path}"):
        with pytest.raises(GridReplyError):
            channel.ask(command)


@pytest.mark.parametrize("command", ["DELE {}/read/file", "MKD {}/read/new", "RMD {}/read", "SITE CHMOD 777 {}/read/file", "DELE {}/alone"])
def test_what_is_for_reading_is_not_written(channel, places, command):
    with pytest.raises(GridReplyError):
        channel.ask(command.format(places))
    assert (places / "read/file").read_text() == "read"
    assert (places / "alone").exists()


def test_a_folder_that_became_a_link_opens_nothing_more(server, authority, places):
    (places / "swapped/file").unlink()
    (places / "swapped").rmdir()
    (places / "swapped").symlink_to(places / "read2")
    with contextlib.closing(ControlChannel(login(server, authority), nothing)) as channel, pytest.raises(GridReplyError):
        channel.ask(f"MLST {places}/swapped/file")


def test_very_many_files_by_name(authority, places, tmp_path):
    """A task may name each of its files: each is open, and no other."""
    names = [f"{places}/read/file {number}, of many" for number in range(10_001)]
    for name in (names[0], names[5_000], *names[-2:]):
        Path(name).touch()
    with contextlib.ExitStack() as opened:
        server = start(authority, tmp_path / "many", [("R", name) for name in names[:-1]])
        opened.callback(server.stop)
        channel = opened.enter_context(contextlib.closing(ControlChannel(login(server, authority), nothing)))
        for name in (names[0], names[5_000], names[-2]):
            channel.ask(f"MLST {name}")
        with pytest.raises(GridReplyError):
            channel.ask(f"MLST {names[-1]}")


def test_another_order_is_not_let_in(server, authority):
    with pytest.raises((GridReplyError, GridLostError)):
        ControlChannel(login(server, authority, "two"), nothing)


def test_another_nodes_word_does_not_count(server, authority, tmp_path):
    other = GridAuthority(tmp_path / "other", "alone")
    with pytest.raises((GridReplyError, GridLostError)):
        ControlChannel(Login(server.host, server.port, other.order("one"), authority.file), nothing)


def test_a_server_that_is_not_the_one(server, authority, tmp_path):
    other = GridAuthority(tmp_path / "other", "alone")
    assert other.pem
    with pytest.raises(GridLostError, match="not whom"):
        ControlChannel(Login(server.host, server.port, authority.order("one"), other.file), nothing)


def test_it_listens_on_its_own_address_alone(server):
    for address in ("127.0.0.1", "127.0.0.2"):
        with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
            probe.connect((address, server.port))


def test_it_ends_with_whoever_started_it(authority, places, tmp_path):
    """Killed, the starter cannot clean up: the listener and the process of an open session end all the same."""
    code = (
        "import sys; from pathlib import Path; from services.dtn.gridftp_credentials import GridAuthority, Identity;"
        "from services.dtn.gridftp_servers import GridServer;"
        "a = GridAuthority(Path(sys.argv[1]), 'alone');"
        "s = GridServer(Path(sys.argv[2]), host='127.0.0.6', identity=a.host('127.0.0.6'), user=a.order('one').name,"
        " authorities=[a.pem], paths=[('R', sys.argv[3])]); print(s.port, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, authority.file.parent, tmp_path / "server", f"{places}/read/"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as starter:
        port = int(starter.stdout.readline())
        channel = ControlChannel(Login(HOST, port, authority.order("one"), authority.file), nothing)
        starter.send_signal(signal.SIGKILL)
    with pytest.raises(GridLostError):
        channel.reply(within_s=60)
    channel.close()
    wait_until(lambda: not is_listening(port))


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


class Relay:
    """Stands between the servers' data connections and keeps what it sees."""

    def __init__(self, address):
        self.seen = bytearray()
        self._target = address
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near, far):
        with near, far, contextlib.suppress(OSError):
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    block = ready.recv(65536)
                    if not block:
                        return
                    self.seen += block
                    (far if ready is near else near).sendall(block)

    def close(self):
        self._listener.close()


@pytest.mark.parametrize("is_private", [False, True])
def test_data_are_private_where_that_is_asked(authority, places, tmp_path, is_private):
    marker = b"nobody else is to read this line" * 1000
    (places / "read/secret").write_bytes(marker)
    with contextlib.ExitStack() as opened:
        source = start(authority, tmp_path / "source", [("R", f"{places}/read/")])
        opened.callback(source.stop)
        target = start(authority, tmp_path / "target", [("RW", f"{places}/write/")])
        opened.callback(target.stop)
        ends = login(source, authority), login(target, authority)
        pair = opened.enter_context(contextlib.closing(Pair(*ends, is_private=is_private, look=nothing)))
        ask, relays = pair.destination.ask, []

        def ask_relayed(command, *classes):
            reply = ask(command, *classes)
            if command != "PASV":
                return reply
            numbers = re.search(r"\d+(,\d+){5}", reply.text)[0].split(",")
            relays.append(Relay((".".join(numbers[:4]), int(numbers[4]) * 256 + int(numbers[5]))))
            opened.callback(relays[0].close)
            high, low = divmod(relays[0].port, 256)
            return Reply(227, f"({HOST.replace('.', ',')},{high},{low})")

        pair.destination.ask = ask_relayed
        pair.copy(f"{places}/read/secret", f"{places}/write/copy", size=len(marker), done={}, listener=Listener(nothing, nothing, nothing))
        source_sum, target_sum = pair.checksums(f"{places}/read/secret", f"{places}/write/copy", size=len(marker))
    assert (places / "write/copy").read_bytes() == marker
    assert source_sum == target_sum
    assert (b"nobody else" in relays[0].seen) is not is_private
    assert len(relays[0].seen) >= len(marker)


@pytest.fixture
def two_servers(authority, places, tmp_path):
    """Starts a server that reads and one that writes to a folder; returns them and a pair of channels to them."""
    with contextlib.ExitStack() as opened:

        def begin(folder):
            source = start(authority, tmp_path / "source", [("R", f"{places}/read/")])
            opened.callback(source.stop)
            target = start(authority, tmp_path / "target", [("RW", f"{folder}/")])
            opened.callback(target.stop)
            pair = Pair(login(source, authority), login(target, authority), is_private=False, look=nothing)
            return source, target, opened.enter_context(contextlib.closing(pair))

        yield begin


def test_a_disk_that_is_full(places, tmp_path, small_disk, two_servers):
    """Said by the destination, however the source words that its connection broke."""
    full = tmp_path / "full"
    full.mkdir()
    small_disk(full, 2)
    (places / "read/large").write_bytes(os.urandom(8 << 20))
    _, _, pair = two_servers(full)
    with pytest.raises(TransferError) as caught:
        pair.copy(f"{places}/read/large", f"{full}/x", size=8 << 20, done={}, listener=Listener(nothing, nothing, nothing))
    assert "No space left" in str(caught.value.destination)


def test_silence_is_told_of_the_end_that_is_silent(places, tmp_path, two_servers, monkeypatch):
    _, _, pair = two_servers(places / "write")
    listener = Listener(nothing, nothing, nothing)
    pair.copy(f"{places}/read/file", f"{places}/write/first", size=4, done={}, listener=listener)
    monkeypatch.setattr("services.dtn.gridftp_transfers.REPLY_S", 6.0)  # instead of a minute, which nobody waits for
    for pid, _ in grid_servers(tmp_path / "target"):
        os.kill(pid, signal.SIGSTOP)  # what the source sends on the connection that is there waits in the kernel
    with pytest.raises(TransferError) as caught:
        pair.copy(f"{places}/read/file", f"{places}/write/second", size=4, done={}, listener=listener)
    assert (caught.value.source, str(caught.value.destination)) == (None, "The server is silent.")


@pytest.mark.parametrize(
    ("parts", "merged"),
    [
        ([(0, 5), (5, 5)], {0: 10}),
        ([(5, 5), (0, 5)], {0: 10}),
        ([(0, 5), (10, 5)], {0: 5, 10: 5}),
        ([(0, 5), (10, 5), (5, 5)], {0: 15}),
        ([(0, 10), (2, 3)], {0: 10}),
        ([(2, 3), (0, 10)], {0: 10}),
        ([(0, 3), (2, 4), (6, 1)], {0: 7}),
    ],
)
def test_what_servers_tell_of_a_file_is_put_together(parts, merged):
    ranges = {}
    for part in parts:
        merge(ranges, *part)
    assert ranges == merged
