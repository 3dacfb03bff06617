"""Another node as the source of a copy: its walks and digests from the port for everybody, bytes from its data port.

Used from threads: one kept connection to each port. The exchange is `PROTOCOL.md`, section 6; what goes wrong is a `PullError`.
"""

import contextlib
import http.client
import json
import re
import threading
import time
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

from OpenSSL import SSL

from services.dtn.digests import from_field
from services.dtn.entries import Entry
from services.dtn.errors import NodeError
from services.dtn.small_files import Answered, Had
from services.dtn.sources import Fetched, PullError, StoppedError, source_fault
from services.dtn.tls_stream import TlsStream

TIMEOUT_S = 30.0
REACH_S = 5.0  # how long a data port may take to be reached before the port for everybody is used instead
SHUN_S = 60.0
NEAR_S = 0.002  # a round trip below which one stream is not slowed down by the path
DATA_PORT = re.compile(r'causeway-data=":(\d{1,5})"')
BLOCK_BYTES = 256 << 10
_DECODER = json.JSONDecoder()


class _Connection(http.client.HTTPConnection):
    """A kept connection to one port of the node."""

    default_port = http.client.HTTPS_PORT

    def __init__(self, host: str, port: int, *, timeout_s: float, context: SSL.Context) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self._context = context

    def connect(self) -> None:
        super().connect()
        try:
            self.sock = self.stream = TlsStream(self.sock, self._context, server_hostname=self.host)
        except BaseException:  # whatever ends it, no socket stays open
            self.close()
            raise


class RemoteSource:
    """Another node (PROTOCOL.md, section 6): questions go to its port for everybody, bytes come from its data port."""

    is_apart = True

    def __init__(self, order_source: dict[str, Any], context: SSL.Context, *, workers: int, near_streams: int) -> None:
        self._collection = str(order_source["collection"])
        self._ticket = str(order_source["ticket"])
        self._files = urlsplit(str(order_source["url"]))
        self._node = urlsplit(str(order_source["node_url"]))
        self._main_port = self._node.port or 443
        self._context = context
        self._workers, self._near_streams = workers, min(near_streams, workers)
        self._local = threading.local()
        self._lock = threading.Lock()
        self._data_port: int | None = None  # as the latest answer told it
        self._is_told = False
        self._shunned: dict[int, float] = {}  # data ports that could not be reached, until when
        self._round_trip_s: float | None = None
        self._open: set[_Connection] = set()

    @property
    def n_streams(self) -> int:
        """Few where the path is short: many streams help against loss and latency, and cost work."""
        if self._round_trip_s is None:
            with _network_faults():
                self._connect(self._bytes_port())
        return self._near_streams if (self._round_trip_s or 0) < NEAR_S else self._workers

    def walk(self, path: str, filter_rules: Sequence[dict[str, Any]], *, follows_links: bool, keeps_links: bool = False) -> Iterator[Entry]:
        asked = {
            "collection": self._collection,
            "path": path,
            "filter_rules": list(filter_rules),
            "follows_links": follows_links,
            "keeps_links": keeps_links,
            "is_brief": True,
            "is_grouped": True,
        }
        url = self._node.path.rstrip("/") + "/.dtn/v1/walk"
        with self._request("POST", url, body=json.dumps(asked).encode(), path=path) as response:
            blocks = _Blocks(response)
            while not (entry := _parsed(blocks.line())).get("end"):
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
    ) -> Iterator[Sequence[Answered]]:
        asked: dict[str, Any] = {"collection": self._collection, "paths": list(paths), "is_grouped": True}
        if had is not None and any(had):
            asked |= {"sync_level": sync_level, "had": [None if one is None else vars(one) for one in had]}
        url = self._node.path.rstrip("/") + "/.dtn/v1/bundle"
        with self._request("POST", url, body=json.dumps(asked).encode(), path=paths[0], brings_bytes=True) as response:
            blocks = _Blocks(response)
            while not (line := _parsed(blocks.line())).get("end"):
                if "files" in line:
                    yield _together(line["files"], blocks)
                elif "code" in line:
                    error = NodeError(str(line["message"]), code=str(line["code"]), http_status=int(line["http_status"]))
                    yield [Answered(line["index"], error=error)]
                elif line.get("is_large"):
                    yield [Answered(line["index"], is_large=True)]
                elif line.get("is_same"):
                    yield [Answered(line["index"], line["size"], line["mtime_ns"], line["sha256"], is_same=True)]
                else:  # of a source that sends each by itself
                    yield _together([[line["index"], line["size"], line["mtime_ns"], line["sha256"]]], blocks)

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
            with contextlib.suppress(OSError, http.client.HTTPException):  # what was wanted is there
                response.read(1)  # the end of the answer, so that the connection can be kept
        finally:
            if response is None or not response.isclosed():
                self._drop(port)

    def _ask(
        self, connection: _Connection, method: str, url: str, body: bytes | None, headers: dict[str, str]
    ) -> http.client.HTTPResponse | None:
        """Ask on a kept connection; None when it was closed while it was idle."""
        try:
            connection.request(method, url, body=body, headers=headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException):
            return None

    def _connect(self, port: int) -> tuple[_Connection, int]:
        """Return a new connection to a port of the node, or to that for everybody when the data port cannot be reached."""
        self._drop(port)
        is_main = port == self._main_port
        connection = _Connection(self._node.hostname or "", port, timeout_s=TIMEOUT_S if is_main else REACH_S, context=self._context)
        try:
            connection.connect()
        except OSError:
            if is_main:
                raise
            with self._lock:
                self._shunned[port] = time.monotonic() + SHUN_S
            return self._connect(self._main_port)
        connection.stream.settimeout(TIMEOUT_S)
        self._round_trip_s = connection.stream.round_trip_s()
        self._kept()[port] = connection
        with self._lock:
            self._open.add(connection)
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
        self.note_data_port(int(found[1]) if found else None)

    def note_data_port(self, port: int | None) -> None:
        """Take what the source tells of its data port; None: it has none."""
        with self._lock:
            self._data_port, self._is_told = port, True

    def _kept(self) -> dict[int, _Connection]:
        kept: dict[int, _Connection] | None = getattr(self._local, "connections", None)
        if kept is None:
            kept = self._local.connections = {}
        return kept

    def _drop(self, port: int) -> None:
        connection = self._kept().pop(port, None)
        if connection is not None:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def release(self) -> None:
        for port in list(self._kept()):
            self._drop(port)

    def interrupt(self) -> None:
        with self._lock:
            for connection in self._open:
                connection.stream.shutdown()


def _parsed(line: bytes) -> Any:
    """Read a line of JSON: less work than `json.loads`, which first looks for the encoding and for spaces."""
    return _DECODER.raw_decode(line.decode())[0]


def _refusal(response: http.client.HTTPResponse, path: str) -> PullError:
    try:
        said = json.loads(response.read(10_000))
        message, code = str(said.get("message")), str(said.get("code"))
    except (ValueError, AttributeError):
        message, code = f"status {response.status}", ""
    return source_fault(response.status, code, message, path=path)


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


def _together(files: Sequence[Sequence[Any]], blocks: _Blocks) -> list[Answered]:
    """Take the bytes of files that are told together: index, size, time and SHA-256 of each."""
    body, at, found = blocks.take(sum(file[1] for file in files)), 0, []
    for index, size, mtime_ns, sha256 in files:
        found.append(Answered(index, size, mtime_ns, sha256, body[at : at + size]))
        at += size
    return found


@contextlib.contextmanager
def _network_faults() -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
        raise PullError("CONNECT_FAILED", f"The source does not answer: {error}.", is_shared=True, is_source=True) from error
