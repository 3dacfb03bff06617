"""The data port: where other nodes fetch bytes, beside the port for everybody (`PROTOCOL.md`, section 6).

A thread a connection, blocking TLS (`tls_stream.py`): encrypting, hashing and reading the disk then run outside the interpreter's lock,
side by side for several connections. Only pull tickets open anything here. What is answered is in `data_answers.py`.
"""

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import unquote

from starlette.datastructures import Headers

from services.dtn.accounting import Connection
from services.dtn.data_answers import Answers, Asked
from services.dtn.errors import BadRequestError
from services.dtn.faults import DropError
from services.dtn.node import Node
from services.dtn.tls_stream import TlsStream

logger = logging.getLogger("dtn.requests")
MOST_CONNECTIONS = 128
HANDSHAKE_S = 10.0
IDLE_S = 60.0
STALL_S = 120.0
MOST_HEAD_BYTES = 32 << 10
MOST_BODY_BYTES = 8 << 20
NEXT_DOOR_S = 0.0005  # a round trip within a host or a rack
ANSWER_S = 15.0  # what the event loop is given for a question about rights
Found = TypeVar("Found")


class DataPort:
    """Listens as soon as it is made; `start` takes connections, `stop` cuts them."""

    def __init__(self, node: Node, *, host: str, port: int) -> None:
        self._node = node
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._is_stopped = False

    @property
    def alternative(self) -> tuple[str, str]:
        """The field by which every answer of the node tells the port (RFC 7838)."""
        return "Alt-Svc", f'causeway-data=":{self.port}"'

    def start(self) -> None:
        """Take connections from now on. Called on the event loop, which answers for rights and keeps the ledger."""
        self._loop = asyncio.get_running_loop()
        self._answers = Answers(self._node, self.ask)
        self._thread = threading.Thread(target=self._accept, name="data-port", daemon=True)
        self._thread.start()

    def ask(self, question: Coroutine[Any, Any, Found]) -> Found:
        """Put a question of the event loop's from a thread."""
        return asyncio.run_coroutine_threadsafe(question, self._loop).result(ANSWER_S)

    def _accept(self) -> None:
        while not self._is_stopped:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                if not self._is_stopped:
                    time.sleep(0.05)  # out of descriptors: others will close theirs
                continue
            if not self._free.acquire(blocking=False):
                peer.close()
                continue
            thread = threading.Thread(target=self._serve, args=(peer,), name="data-connection", daemon=True)
            with self._lock:
                self._open[peer] = thread
            thread.start()

    def _serve(self, peer: socket.socket) -> None:
        try:
            peer.settimeout(HANDSHAKE_S)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = TlsStream(peer, self._node.credentials.serving_context())
            suit_path(stream)
            self._converse(stream)
        except (OSError, DropError, TimeoutError):
            pass  # a peer that is gone, stalls, or speaks no TLS; or a cut that says that an answer is not whole
        finally:
            with self._lock:
                self._open.pop(peer, None)
            peer.close()
            self._free.release()

    def _converse(self, stream: TlsStream) -> None:
        connection = Connection(_Wire(stream))
        ledger = self._node.ledger
        self.ask(ledger.opened(connection))
        try:
            reader = _Reader(stream)
            while not self._is_stopped:
                stream.settimeout(IDLE_S)
                try:
                    asked = reader.next()
                except BadRequestError as error:
                    self._answers.refuse(stream, connection, error)
                    return
                if asked is None:
                    return
                stream.settimeout(STALL_S)
                self._answer(stream, connection, asked)
        finally:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(ledger.close, connection)

    def _answer(self, stream: TlsStream, connection: Connection, asked: Asked) -> None:
        began = time.monotonic()
        sent_before = connection.data_out + connection.control_out
        status = 0
        try:
            status = self._answers.answer(stream, connection, asked)
        finally:
            facts = {
                "method": asked.method, "path": unquote(asked.target), "peer": f"{connection.peer[0]}:{connection.peer[1]}",
                "status": status, "in": len(asked.body), "out": connection.data_out + connection.control_out - sent_before,
                "ms": round((time.monotonic() - began) * 1000),
            }  # fmt: skip
            logger.info("request", extra={"facts": facts})

    def stop(self) -> None:
        """Cut what is under way; whoever pulls goes on when the node is back."""
        self._is_stopped = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            under_way = list(self._open.items())
        for peer, _ in under_way:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        for _, thread in under_way:
            thread.join(1)


def suit_path(stream: TlsStream) -> None:
    """Send to a peer on this host, or beside it, without pacing: BBR paces by timers, which costs more there than it gives."""
    if stream.round_trip_s() < NEXT_DOOR_S:
        with contextlib.suppress(OSError):  # not this kernel
            stream.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")


class _Wire:
    """What the ledger asks of a connection."""

    def __init__(self, stream: TlsStream) -> None:
        self._stream = stream
        self._names = {"peername": stream.raw.getpeername(), "sockname": stream.raw.getsockname()}

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._names.get(name, default)

    def is_closing(self) -> bool:
        return self._stream.raw.fileno() < 0

    def abort(self) -> None:
        self._stream.shutdown()


class _Reader:
    """Requests of one connection, one after the other (HTTP/1.1, RFC 9112; bodies have a Content-Length)."""

    def __init__(self, stream: TlsStream) -> None:
        self._stream = stream
        self._had = b""

    def next(self) -> Asked | None:
        """Return the next request, None at the orderly end. Raises BadRequestError for what cannot be understood, or takes too long."""
        self._until = time.monotonic() + IDLE_S
        while (end := self._had.find(b"\r\n\r\n")) < 0:
            if len(self._had) > MOST_HEAD_BYTES:
                raise BadRequestError("The head of the request is too long.")
            if not (block := self._receive(64 << 10)):
                return None
            self._had += block
        head, rest = self._had[:end], self._had[end + 4 :]
        method, target, headers = _parsed(head)
        length = _body_length(headers)
        while len(rest) < length:
            if not (block := self._receive(min(length - len(rest), 256 << 10))):
                return None
            rest += block
        body, self._had = rest[:length], rest[length:]
        return Asked(method, target, headers, body)

    def _receive(self, most: int) -> bytes:
        """Bytes that come a few at a time must not hold a thread for long."""
        if time.monotonic() > self._until:
            raise BadRequestError("The request took too long.", http_status=408)
        return self._stream.recv(most)


def _parsed(head: bytes) -> tuple[str, str, Headers]:
    first, *lines = head.split(b"\r\n")
    words = first.split(b" ")
    fields = [line.partition(b":") for line in lines]
    if len(words) != 3 or words[2] != b"HTTP/1.1" or not all(colon and name and name == name.strip() for name, colon, _ in fields):
        raise BadRequestError("This is no request of HTTP/1.1.")
    raw = [(name.lower(), value.strip()) for name, _, value in fields]
    try:
        return words[0].decode("ascii"), words[1].decode("ascii"), Headers(raw=raw)
    except UnicodeDecodeError as error:
        raise BadRequestError("This is no request of HTTP/1.1.") from error


def _body_length(headers: Headers) -> int:
    lengths = headers.getlist("content-length")
    if "transfer-encoding" in headers or len(lengths) > 1:
        raise BadRequestError("A body has one Content-Length here.")
    if not lengths:
        return 0
    if not lengths[0].isascii() or not lengths[0].isdigit() or len(lengths[0]) > 12 or int(lengths[0]) > MOST_BODY_BYTES:
        raise BadRequestError(f"A body has at most {MOST_BODY_BYTES} bytes here.")
    return int(lengths[0])
