"""Where a copy reads from: another node over HTTPS with the pull ticket, or this node's own disk when both ends are here.

Used from threads: one kept connection each. What goes wrong is a `PullError` with the code that the task's events show.
"""

import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from services.dtn.digests import from_field
from services.dtn.entries import Entry, everything, walk
from services.dtn.errors import NodeError, from_os_error
from services.dtn.filters import filters_from
from services.dtn.node import Collection, Node
from services.dtn.rights import FRESH_S, Access
from services.dtn.small_files import Answered, Had, without_same
from services.dtn.storage import File

TIMEOUT_S = 30.0
REACH_S = 5.0  # how long a data port may take to be reached before the port for everybody is used instead
SHUN_S = 60.0
NEAR_S = 0.002  # a round trip below which one stream is not slowed down by the path
DATA_PORT = re.compile(r'causeway-data=":(\d{1,5})"')
BLOCK_BYTES = 256 << 10
CODES = {
    401: "PERMISSION_DENIED",
    403: "PERMISSION_DENIED",
    404: "FILE_NOT_FOUND",
    412: "FILE_CHANGED",
    416: "FILE_CHANGED",
    507: "NO_SPACE",
}
FINAL_CODES = frozenset({"InvalidPath", "IsDirectory", "ExternalError.DirListingFailed.NotDirectory", "ExternalError.MkdirFailed.Exists"})
SOURCE_ERRORS = frozenset({"PERMISSION_DENIED", "FILE_NOT_FOUND"})  # what `skip_source_errors` passes over


class PullError(Exception):
    """A fault. `is_final`: trying again cannot help. `is_shared`: it hits every file alike (the source is gone, the disk is full)."""

    def __init__(self, code: str, description: str, *, is_final: bool = False, is_shared: bool = False, is_source: bool = False) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.is_final = is_final
        self.is_shared = is_shared
        self.is_source = is_source


def as_fault(error: Exception, path: str) -> PullError:
    """Say what an error of the disk or of this node means for the file at `path`. What is none of these is raised again."""
    if isinstance(error, PullError):
        return error
    if isinstance(error, OSError):
        error = from_os_error(error, path=path)
    if not isinstance(error, NodeError):
        raise error
    if error.code == "ExternalError.NoSpace":
        return PullError("NO_SPACE", error.message, is_shared=True)
    if error.code == "EndpointPermissionDenied":
        return PullError("PERMISSION_DENIED", error.message)
    if error.http_status == 503:
        return PullError("ENDPOINT_ERROR", error.message, is_shared=True)
    return PullError(error.code, error.message, is_final=error.code in FINAL_CODES)


class StoppedError(Exception):
    """The order is to stop: cancelled, lost, or the node ends."""


class Fetched(Protocol):
    """An open answer: what the file is, and its bytes from the offset that was asked for."""

    size: int
    etag: str
    mtime_ns: int
    digest: str | None

    def read_into(self, buffer: memoryview) -> int: ...


class Source(Protocol):
    @property
    def n_streams(self) -> int:
        """On how many connections a large file comes fastest: one where it is near. Asks the source when that is not known yet."""
        ...

    @property
    def is_apart(self) -> bool:
        """Whether it cannot be changed by what is written meanwhile, so that a folder may be copied while it is walked."""
        ...

    def walk(self, path: str, filter_rules: Sequence[dict[str, Any]], *, follows_links: bool) -> Iterator[Entry]:
        """Yield everything below a folder, folders before what they hold."""
        ...

    def fetch(
        self, path: str, *, offset: int, length: int | None, etag: str | None, wants_digest: bool
    ) -> contextlib.AbstractContextManager[Fetched]:
        """Open a part of a file (`length` None: to its end); with `etag` only if it is still that file."""
        ...

    def fetch_many(
        self, paths: Sequence[str], had: Sequence[Had | None] | None = None, sync_level: int | None = None
    ) -> Iterator[Answered]:
        """Yield small files as they come, an answer a path; not those that are up to date by what is `had`.

        Raises PullError when the source cannot go on.
        """
        ...

    def release(self) -> None:
        """Close what this thread holds open."""
        ...

    def digest(self, path: str, etag: str, stop: threading.Event) -> str:
        """Return the SHA-256 of the file, waiting as long as the source needs."""
        ...


class RemoteSource:
    """Another node (PROTOCOL.md, section 6): questions go to its port for everybody, bytes come from its data port."""

    is_apart = True

    def __init__(self, order_source: dict[str, Any], context: ssl.SSLContext, *, workers: int = 8) -> None:
        self._collection = str(order_source["collection"])
        self._ticket = str(order_source["ticket"])
        self._files = urlsplit(str(order_source["url"]))
        self._node = urlsplit(str(order_source["node_url"]))
        self._main_port = self._node.port or 443
        self._context = context
        self._workers = workers
        self._local = threading.local()
        self._lock = threading.Lock()
        self._data_port: int | None = None  # as the latest answer told it
        self._is_told = False
        self._shunned: dict[int, float] = {}  # data ports that could not be reached, until when
        self._round_trip_s: float | None = None

    @property
    def n_streams(self) -> int:
        """One where the path is short and the processors few: parallel streams help against loss and latency, and cost work."""
        if self._round_trip_s is None:
            with _network_faults():
                self._connect(self._bytes_port())
        is_near = (self._round_trip_s or 0) < NEAR_S
        return min(self._workers, max(1, (os.cpu_count() or 1) // 2)) if is_near else self._workers

    def walk(self, path: str, filter_rules: Sequence[dict[str, Any]], *, follows_links: bool) -> Iterator[Entry]:
        asked = {"collection": self._collection, "path": path, "filter_rules": list(filter_rules), "follows_links": follows_links}
        url = self._node.path.rstrip("/") + "/.dtn/v1/walk"
        with self._request("POST", url, body=json.dumps(asked).encode(), path=path) as response:
            blocks = _Blocks(response)
            while not (entry := json.loads(blocks.line())).get("end"):
                yield entry

    @contextlib.contextmanager
    def fetch(self, path: str, *, offset: int, length: int | None, etag: str | None, wants_digest: bool) -> Iterator[Fetched]:
        fields = {"Range": f"bytes={offset}-" if length is None else f"bytes={offset}-{offset + length - 1}"}
        if etag is not None:
            fields["If-Match"] = etag
        if wants_digest:
            fields["Want-Repr-Digest"] = "sha-256=10"
        url = self._files.path.rstrip("/") + "/".join(quote(segment, safe="") for segment in path.split("/"))
        with self._request("GET", url, fields=fields, path=path, brings_bytes=True) as response:
            yield _RemoteFile(response)

    def fetch_many(
        self, paths: Sequence[str], had: Sequence[Had | None] | None = None, sync_level: int | None = None
    ) -> Iterator[Answered]:
        asked: dict[str, Any] = {"collection": self._collection, "paths": list(paths)}
        if had is not None and any(had):
            asked |= {"sync_level": sync_level, "had": [None if one is None else vars(one) for one in had]}
        url = self._node.path.rstrip("/") + "/.dtn/v1/bundle"
        with self._request("POST", url, body=json.dumps(asked).encode(), path=paths[0], brings_bytes=True) as response:
            blocks = _Blocks(response)
            while not (line := json.loads(blocks.line())).get("end"):
                if "code" in line:
                    error = NodeError(str(line["message"]), code=str(line["code"]), http_status=int(line["http_status"]))
                    yield Answered(line["index"], error=error)
                elif line.get("is_large"):
                    yield Answered(line["index"], is_large=True)
                elif line.get("is_same"):
                    yield Answered(line["index"], line["size"], line["mtime_ns"], line["sha256"], is_same=True)
                else:
                    yield Answered(line["index"], line["size"], line["mtime_ns"], line["sha256"], blocks.take(line["size"]))

    def digest(self, path: str, etag: str, stop: threading.Event) -> str:
        asked = json.dumps({"collection": self._collection, "path": path}).encode()
        url = self._node.path.rstrip("/") + "/.dtn/v1/digest"
        while True:
            with self._request("POST", url, body=asked, path=path) as response, _network_faults():
                answer = json.loads(response.read())
            if stop.is_set():
                raise StoppedError
            if response.status == 200:
                if answer["etag"] != etag:
                    raise PullError("FILE_CHANGED", f"{path} changed at the source while it was copied.", is_source=True)
                return str(answer["sha256"])

    @contextlib.contextmanager
    def _request(
        self, method: str, url: str, *, path: str, body: bytes | None = None, fields: dict[str, str] | None = None,
        brings_bytes: bool = False,
    ) -> Iterator[http.client.HTTPResponse]:  # fmt: skip
        """Ask on a connection of this thread's; it is closed when the answer was not read to its end."""
        headers = {"Authorization": f"Ticket {self._ticket}", "Content-Type": "application/json", **(fields or {})}
        response, port = None, self._main_port
        try:
            with _network_faults():
                port = self._bytes_port() if brings_bytes else port
                connection = self._kept().get(port)
                response = None if connection is None else self._ask(connection, method, url, body, headers)
                if response is None:
                    connection, port = self._connect(port)
                    connection.request(method, url, body=body, headers=headers)
                    response = connection.getresponse()
                self._heed(port, response)
                if response.status not in {200, 202, 206}:
                    raise _refusal(response, path)
            yield response
            with _network_faults():
                response.read(1)  # the end of the answer, so that the connection can be kept
        finally:
            if response is None or not response.isclosed():
                self._drop(port)

    def _ask(
        self, connection: http.client.HTTPSConnection, method: str, url: str, body: bytes | None, headers: dict[str, str]
    ) -> http.client.HTTPResponse | None:
        """Ask on a kept connection; None when it was closed while it was idle."""
        try:
            connection.request(method, url, body=body, headers=headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException):
            return None

    def _connect(self, port: int) -> tuple[http.client.HTTPSConnection, int]:
        """Return a new connection to a port of the node, or to that for everybody when the data port cannot be reached."""
        self._drop(port)
        is_main = port == self._main_port
        connection = http.client.HTTPSConnection(
            self._node.hostname or "", port, timeout=TIMEOUT_S if is_main else REACH_S, context=self._context, blocksize=BLOCK_BYTES
        )
        try:
            connection.connect()
        except OSError:
            if is_main:
                raise
            with self._lock:
                self._shunned[port] = time.monotonic() + SHUN_S
            return self._connect(self._main_port)
        connection.sock.settimeout(TIMEOUT_S)
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._round_trip_s = _round_trip_s(connection.sock)
        self._kept()[port] = connection
        return connection, port

    def _bytes_port(self) -> int:
        """Return the port that bytes are asked for at."""
        if not self._is_told:
            with self._request("HEAD", self._node.path.rstrip("/") + "/.dtn/", path="/"):
                pass
        with self._lock:
            port = self._data_port
            is_open = port is not None and self._shunned.get(port, 0.0) < time.monotonic()
        return port if port is not None and is_open else self._main_port

    def _heed(self, port: int, response: http.client.HTTPResponse) -> None:
        """Take the data port from what the port for everybody answers (RFC 7838)."""
        if port != self._main_port:
            return
        found = DATA_PORT.search(response.headers.get("Alt-Svc", ""))
        with self._lock:
            self._data_port = int(found[1]) if found else None
            self._is_told = True

    def _kept(self) -> dict[int, http.client.HTTPSConnection]:
        kept: dict[int, http.client.HTTPSConnection] | None = getattr(self._local, "connections", None)
        if kept is None:
            kept = self._local.connections = {}
        return kept

    def _drop(self, port: int) -> None:
        connection = self._kept().pop(port, None)
        if connection is not None:
            connection.close()

    def release(self) -> None:
        for port in list(self._kept()):
            self._drop(port)


def _round_trip_s(stream: socket.socket) -> float:
    """Return what the kernel measured while connecting (`tcpi_rtt` of struct tcp_info, microseconds)."""
    told = stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 72)
    return float(struct.unpack_from("I", told, 68)[0]) / 1e6


def _refusal(response: http.client.HTTPResponse, path: str) -> PullError:
    try:
        said = json.loads(response.read(10_000))
        message, code = str(said.get("message")), str(said.get("code"))
    except (ValueError, AttributeError):
        message, code = f"status {response.status}", ""
    return source_fault(response.status, code, message, path=path)


def source_fault(status: int, code: str, message: str, *, path: str) -> PullError:
    """Say what a source's answer means for a file."""
    if status == 400:
        return PullError(code or "BAD_REQUEST", f"{path}: {message}", is_final=True, is_source=True)
    known = CODES.get(status)
    if known is None:
        return PullError("ENDPOINT_ERROR", f"The source answers {status}: {message}", is_shared=True, is_source=True)
    return PullError(known, f"{path}: {message}", is_source=True)


class _RemoteFile:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        headers = response.headers
        self.etag = headers.get("ETag", "")
        self.digest = from_field(headers.get("Repr-Digest", ""))
        modified = headers.get("Last-Modified")
        self.mtime_ns = int(parsedate_to_datetime(modified).timestamp()) * 10**9 if modified else 0
        _, _, total = headers.get("Content-Range", "").rpartition("/")
        self.size = int(total) if total else int(headers.get("Content-Length", "0"))

    def read_into(self, buffer: memoryview) -> int:
        with _network_faults():
            return self._response.readinto(buffer)


class _Blocks:
    """An answer's body, read in large blocks: the standard library reads a chunked body's lines byte by byte."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self._block = b""
        self._at = 0

    def line(self) -> bytes:
        while (end := self._block.find(b"\n", self._at)) < 0:
            self._more()
        line, self._at = self._block[self._at : end], end + 1
        return line

    def take(self, n_bytes: int) -> bytes:
        while len(self._block) - self._at < n_bytes:
            self._more()
        taken = self._block[self._at : self._at + n_bytes]
        self._at += n_bytes
        return taken

    def _more(self) -> None:
        with _network_faults():
            block = self._response.read1(BLOCK_BYTES)
        if not block:
            raise PullError("CONNECT_FAILED", "The source's answer broke off.", is_shared=True, is_source=True)
        self._block, self._at = self._block[self._at :] + block, 0


class LocalSource:
    """A collection of this node: bytes go from file to file, and control is still asked each second."""

    is_apart = False
    n_streams = 1

    def __init__(self, order_source: dict[str, Any], node: Node, collection: Collection) -> None:
        self._ticket = str(order_source["ticket"])
        self._node = node
        self._collection = collection
        self._lock = threading.Lock()
        self._access: Access | None = None

    def walk(self, path: str, filter_rules: Sequence[dict[str, Any]], *, follows_links: bool) -> Iterator[Entry]:
        may_see = self.require(path).may_see if follows_links else everything
        with _disk_faults():
            self.require(self._collection.storage.stat(path.rstrip("/") + "/")[0])
            rules = filters_from(filter_rules)
            for entry in walk(self._collection.storage, path, rules, follows_links=follows_links, may_see=may_see):
                self.require(entry["path"])
                yield entry

    @contextlib.contextmanager
    def fetch(self, path: str, *, offset: int, length: int | None, etag: str | None, wants_digest: bool) -> Iterator[Fetched]:
        self.require(path)
        with _disk_faults():
            file = self._collection.storage.open(path)
        try:
            self.require(file.real_path)
            if etag is not None and file.stamp.etag != etag:
                raise PullError("FILE_CHANGED", f"{path} changed at the source while it was copied.", is_source=True)
            length = max(0, file.stamp.size - offset) if length is None else length
            yield _LocalFile(self, file, path, offset, length, self._node.digests.known(file.stamp))
        finally:
            file.close()

    def fetch_many(
        self, paths: Sequence[str], had: Sequence[Had | None] | None = None, sync_level: int | None = None
    ) -> Iterator[Answered]:
        def may_read(path: str) -> bool:
            with contextlib.suppress(PullError):
                self.require(path)
                return True
            return False

        answers = self._collection.storage.read_small(paths, may_read, self._node.faults)
        return answers if had is None or sync_level is None else without_same(answers, had, sync_level)

    def digest(self, path: str, etag: str, stop: threading.Event) -> str:
        self.require(path)
        with _disk_faults():
            file = self._collection.storage.open(path)
        try:
            self.require(file.real_path)
            if file.stamp.etag != etag:
                raise PullError("FILE_CHANGED", f"{path} changed at the source while it was copied.", is_source=True)
            with _disk_faults():
                return self._node.digests.compute(file, lambda _: _raise_if(stop))
        finally:
            file.close()

    def release(self) -> None:
        """Nothing is kept between files."""

    def require(self, path: str) -> Access:
        """Return what the ticket opens; raise unless that holds `path`. Control's answer is kept for a second."""
        with self._lock:
            if self._access is None or time.monotonic() - self._access.asked_at > FRESH_S:
                try:
                    self._access = self._node.control.check_ticket(self._collection.id, self._ticket)
                except NodeError as error:
                    raise PullError("ENDPOINT_ERROR", error.message, is_shared=True, is_source=True) from error
            access = self._access
        if not access.may_read(path):
            raise PullError("PERMISSION_DENIED", f"{path}: the ticket does not open this.", is_source=True)
        return access


class _LocalFile:
    def __init__(self, source: LocalSource, file: File, path: str, offset: int, length: int, digest: str | None) -> None:
        self._source, self._file, self._path, self._offset, self._left = source, file, path, offset, length
        stamp = file.stamp
        self.size, self.etag, self.mtime_ns, self.digest = stamp.size, stamp.etag, stamp.mtime_ns, digest
        file.announce(offset, min(length, max(0, stamp.size - offset)))

    def read_into(self, buffer: memoryview) -> int:
        self._source.require(self._path)
        with _disk_faults():
            n_bytes = self._file.read_into(buffer[: self._left], self._offset)
        self._offset += n_bytes
        self._left -= n_bytes
        return n_bytes


def _raise_if(stop: threading.Event) -> None:
    if stop.is_set():
        raise StoppedError


@contextlib.contextmanager
def _network_faults() -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
        raise PullError("CONNECT_FAILED", f"The source does not answer: {error}.", is_shared=True, is_source=True) from error


@contextlib.contextmanager
def _disk_faults() -> Iterator[None]:
    try:
        yield
    except NodeError as error:
        if error.http_status == 400:
            raise PullError(error.code, error.message, is_final=True, is_source=True) from error
        raise PullError(CODES.get(error.http_status, "ENDPOINT_ERROR"), error.message, is_source=True) from error


def mtime_of(entry: Entry) -> int:
    """Return the time of an ENTRY in nanoseconds."""
    moment = datetime.fromisoformat(entry["last_modified"])
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000
