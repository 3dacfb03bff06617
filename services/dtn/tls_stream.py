"""TLS over a blocking socket, many records a call of the system: what nodes send each other bytes with.

A record holds 16 KiB. The `ssl` module's own sockets write each by itself, and read each by two calls; here they are gathered in memory,
so that the kernel and the peer are woken a sixteenth as often. The records are made by pyOpenSSL, whose OpenSSL comes with the package
`cryptography` and is newer than that of many a Python: from 3.1 on it encrypts two to four times as fast where the processor has VAES.
Encrypting and decrypting run outside the interpreter's lock. Whom a stream trusts is in `tls_contexts.py`.
"""

import contextlib
import io
import math
import socket
import ssl
import struct
import time
from typing import Any

from OpenSSL import SSL
from OpenSSL._util import ffi, lib

from services.dtn.tls_contexts import Peer

BLOCK_BYTES = 256 << 10
RECORD_BYTES = 16 << 10
OVERHEAD_BYTES = BLOCK_BYTES >> 8  # heads and tags of a block's records, and what else waits to be sent


class TlsStream:
    """A connection whose handshake is done: as much of a socket as requests and `http.client` need. For one thread at a time.

    Reads and writes raise TimeoutError after the socket's time-out, and OSError (`ssl.SSLError` among them) when the connection breaks.
    """

    def __init__(self, raw: socket.socket, context: SSL.Context, *, server_hostname: str | None = None) -> None:
        """Shake hands: as a server, or as a client with the host whose certificate is to be shown. Within the socket's time-out."""
        self.raw = raw
        self._tls = SSL.Connection(context)
        is_server = server_hostname is None
        if server_hostname is None:
            self._tls.set_accept_state()
        else:
            self._peer = Peer(self._tls, server_hostname)
            self._tls.set_connect_state()
        self._block = memoryview(bytearray(BLOCK_BYTES >> 2 if is_server else BLOCK_BYTES))  # a server is asked short questions
        self._n_files = 0
        self._is_closed = False
        self._is_cut = False  # by the peer: no more comes
        self._shake_hands()
        if not is_server:
            self._peer.require_checked()

    def _shake_hands(self) -> None:
        until = None
        while True:
            try:
                self._tls.do_handshake()
            except SSL.WantReadError:
                if self._is_cut:
                    raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "The peer ended the connection in its handshake.") from None
                until = self._receive(until)
            except SSL.Error as error:
                with contextlib.suppress(OSError):
                    self._flush()  # the alert that tells the peer why
                raise self._as_os_error(error) from error
            else:
                self._flush()
                return

    def _as_os_error(self, error: SSL.Error) -> OSError:
        peer = getattr(self, "_peer", None)
        if peer is not None and peer.reason:
            return ssl.SSLCertVerificationError(1, peer.reason)
        told = "; ".join(str(one[-1]) for one in error.args[0]) if error.args and isinstance(error.args[0], list) else str(error)
        return ssl.SSLError(1, told or "The connection broke.")

    def _flush(self) -> None:
        """Send what waits. The time-out is that of a peer that takes nothing: a slow one is not cut."""
        most = n_bytes = BLOCK_BYTES + OVERHEAD_BYTES
        while n_bytes == most:
            try:
                left = memoryview(self._tls.bio_read(most))
            except SSL.WantReadError:  # nothing waits
                return
            n_bytes = len(left)
            while left:
                left = left[self.raw.send(left) :]

    def _receive(self, until: float | None) -> float:
        """Take what has come; returns when patience ends with a record that comes in small parts, which is told the next time."""
        self._flush()
        if until is None:
            timeout_s = self.raw.gettimeout()
            until = math.inf if timeout_s is None else time.monotonic() + timeout_s
        elif time.monotonic() > until:
            raise TimeoutError("The peer sends too little at a time.")
        n_bytes = self.raw.recv_into(self._block)
        if n_bytes:
            self._tls.bio_write(self._block[:n_bytes])
        else:
            self._is_cut = True
        return until

    def recv_into(self, buffer: memoryview) -> int:
        """Fill the buffer with what is there, waiting for the first bytes; 0 at the end, also where the peer cut the connection."""
        n_bytes, until = 0, None
        while n_bytes < len(buffer):
            try:
                n_bytes += self._read_record(buffer[n_bytes:])
            except SSL.WantReadError:
                if n_bytes or self._is_cut:
                    break
                until = self._receive(until)
            except SSL.ZeroReturnError:
                break
            except SSL.Error as error:
                raise self._as_os_error(error) from error
        return n_bytes

    def _read_record(self, buffer: memoryview) -> int:
        """Decrypt a record into the buffer. Raises what `SSL.Connection.recv_into` raises.

        That itself decrypts into memory of its own and copies: for each of 65,000 records a GiB, a twentieth of what a copy costs.
        """
        n_bytes = int(lib.SSL_read(self._tls._ssl, ffi.from_buffer(buffer), len(buffer)))  # noqa: SLF001  # see above
        return n_bytes if n_bytes > 0 else self._tls.recv_into(buffer, RECORD_BYTES)

    def recv(self, most: int) -> bytes:
        buffer = bytearray(most)
        return bytes(buffer[: self.recv_into(memoryview(buffer))])

    def sendall(self, content: bytes | bytearray | memoryview) -> None:
        left = memoryview(content)
        while left:
            try:
                left = left[self._tls.send(left[:BLOCK_BYTES]) :]
            except SSL.Error as error:
                raise self._as_os_error(error) from error
            self._flush()

    def round_trip_s(self) -> float:
        """Return what the kernel measured of the path (`tcpi_rtt` of struct tcp_info, microseconds)."""
        told = self.raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 72)
        return float(struct.unpack_from("I", told, 68)[0]) / 1e6

    def settimeout(self, seconds: float | None) -> None:
        self.raw.settimeout(seconds)

    def shutdown(self) -> None:
        """Cut the connection: whoever waits for it is woken. May be called by another thread."""
        with contextlib.suppress(OSError):
            self.raw.shutdown(socket.SHUT_RDWR)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a file that reads from here; it may outlive `close`, as that of a socket."""
        self._n_files += 1
        return io.BufferedReader(_File(self))

    def end_file(self) -> None:
        self._n_files -= 1
        if self._is_closed:
            self.close()

    def close(self) -> None:
        self._is_closed = True
        if self._n_files <= 0:
            self.raw.close()


class _File(io.RawIOBase):
    """What `http.client` reads answers from."""

    def __init__(self, stream: TlsStream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._stream.recv_into(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._stream.end_file()
