"""Counting bytes per connection, with the peer's process (`PROTOCOL.md`, section 7).

`CountingProtocol` is uvicorn's own HTTP protocol that also opens and closes a `Connection`; `app.py` adds the bytes. With
`--name-peers` the peer's process is looked up in /proc while the connection is open: a first answer waits for it, so that no short
connection stays nameless.
"""

import asyncio
import contextlib
import json
import os
import re
import socket
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

OPEN_EVERY_S = 5.0
SCOPE_KEY = "dtn.connection"
_PRIVATE = re.compile(r"bearer|ticket|token|secret|password|authori[sz]ation|cookie", re.IGNORECASE)


def now_text() -> str:
    return datetime.now(UTC).isoformat()


class Wire(Protocol):
    """What a connection runs on: a transport of the event loop, or a socket of the data port."""

    def get_extra_info(self, name: str, default: Any = None) -> Any: ...

    def is_closing(self) -> bool: ...

    def abort(self) -> None: ...


class Connection:
    """One connection that a peer opened, and the bytes of the bodies that passed on it."""

    def __init__(self, transport: Wire) -> None:
        self.transport = transport
        self.opened = now_text()
        self.closed: str | None = None
        self.peer: tuple[str, int] = tuple((transport.get_extra_info("peername") or ("", 0))[:2])
        self.own: tuple[str, int] = tuple((transport.get_extra_info("sockname") or ("", 0))[:2])
        self.process: dict[str, Any] | None = None
        self.named: asyncio.Future[None] | None = None
        self.data_in = self.data_out = self.control_in = self.control_out = 0

    def abort(self) -> None:
        """Cut the connection, so that the peer sees that its answer is incomplete."""
        self.transport.abort()

    def line(self) -> str:
        counted = {
            "opened": self.opened,
            "closed": self.closed,
            "peer": f"{self.peer[0]}:{self.peer[1]}",
            "process": self.process,
            "data_bytes_in": self.data_in,
            "data_bytes_out": self.data_out,
            "control_bytes_in": self.control_in,
            "control_bytes_out": self.control_out,
        }
        return json.dumps(counted) + "\n"


class Ledger:
    """Writes `connections.jsonl`."""

    def __init__(self, file: Path, *, names_peers: bool) -> None:
        self._stream: IO[str] = file.open("a", encoding="utf-8")
        self._open: set[Connection] = set()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="peers") if names_peers else None
        self._peers = PeerNames()

    def open(self, connection: Connection) -> None:
        self._open.add(connection)
        if self._executor is not None:
            loop = asyncio.get_running_loop()
            connection.named = asyncio.ensure_future(self._name(loop, self._executor, connection))

    async def opened(self, connection: Connection) -> None:
        """Open one of the data port's, and wait until its peer has its name."""
        self.open(connection)
        if connection.named is not None:
            await connection.named

    async def _name(self, loop: asyncio.AbstractEventLoop, executor: ThreadPoolExecutor, connection: Connection) -> None:
        connection.process = await loop.run_in_executor(executor, self._peers.find, connection.peer, connection.own)

    def close(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.closed = now_text()
        if connection.named is not None and not connection.named.done():
            connection.named.add_done_callback(lambda _: self._write(connection))
        else:
            self._write(connection)

    def _write(self, connection: Connection) -> None:
        if not self._stream.closed:
            self._stream.write(connection.line())
            self._stream.flush()

    async def write_open_ones(self) -> None:
        """Every five seconds write a line for each connection that is still open. Runs until cancelled."""
        while True:
            await asyncio.sleep(OPEN_EVERY_S)
            for connection in list(self._open):
                self._write(connection)

    def shut(self) -> None:
        for connection in list(self._open):
            self.close(connection)
        self._stream.close()
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)


class CountingProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a `Connection` in every scope. The ledger comes in through the app (`config.app.ledger`)."""

    connection: Connection
    ledger: Ledger

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.connection = Connection(transport)
        self.ledger.open(self.connection)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.ledger.close(self.connection)

    @property
    def is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)[SCOPE_KEY] = self.connection


def counting_protocol(ledger: Ledger) -> type[CountingProtocol]:
    """Return the protocol class of one server, bound to its ledger."""
    return type("BoundProtocol", (CountingProtocol,), {"ledger": ledger})


class PeerNames:
    """Finds the process at the other end of a loopback connection: its socket's inode in /proc/net/tcp, then who holds that inode."""

    def __init__(self) -> None:
        self._recent: deque[int] = deque(maxlen=32)

    def find(self, peer: tuple[str, int], own: tuple[str, int]) -> dict[str, Any] | None:
        """Return {"pid", "group", "command"}, or None when the peer is not on this machine or not ours to see."""
        inode = _socket_inode(peer, own)
        if inode is None:
            return None
        wanted = f"socket:[{inode}]"
        recent = list(self._recent)
        everyone = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
        for pid in dict.fromkeys([*recent, *sorted(everyone, reverse=True)]):
            if _holds(pid, wanted):
                if pid in self._recent:
                    self._recent.remove(pid)
                self._recent.appendleft(pid)
                return _describe(pid)
        return None


def _socket_inode(peer: tuple[str, int], own: tuple[str, int]) -> str | None:
    for table, family in (("/proc/net/tcp", socket.AF_INET), ("/proc/net/tcp6", socket.AF_INET6)):
        try:
            local, remote = _as_proc(peer, family), _as_proc(own, family)
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[1] == local and fields[2] == remote and fields[9] != "0":
                return fields[9]
    return None


def _as_proc(address: tuple[str, int], family: socket.AddressFamily) -> str:
    host = address[0]
    if family == socket.AF_INET6 and ":" not in host:
        host = f"::ffff:{host}"
    packed = socket.inet_pton(family, host)
    words = [packed[at : at + 4][::-1].hex().upper() for at in range(0, len(packed), 4)]
    return f"{''.join(words)}:{address[1]:04X}"


def _holds(pid: int, wanted: str) -> bool:
    try:
        links = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False
    for link in links:
        with contextlib.suppress(OSError):
            if str(link.readlink()) == wanted:
                return True
    return False


def _describe(pid: int) -> dict[str, Any] | None:
    try:
        group = os.getpgid(pid)
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    return {"pid": pid, "group": group, "command": " ".join(_without_secrets(words))[:300]}


def _without_secrets(words: list[str]) -> list[str]:
    """Leave out words that may hold a credential, and the value that follows such an option (`curl -H "Authorization: …"`)."""
    shown: list[str] = []
    is_value = False
    for word in [word for word in words if word][:12]:
        is_private = is_value or _PRIVATE.search(word) is not None
        is_value = is_private and not is_value and word.startswith("-")
        shown.append("…" if is_private else word)
    return shown
