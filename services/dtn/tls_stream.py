"""TLS over a blocking socket, many records a call of the system: what nodes send each other bytes with.

A record holds 16 KiB. The `ssl` module's own sockets write each by itself, and read each by two calls; here they are gathered in memory,
so that the kernel and the peer are woken a sixteenth as often. Encrypting and decrypting run outside the interpreter's lock either way.
"""

import contextlib
import io
import math
import socket
import ssl
import struct
import time
from typing import Any

BLOCK_BYTES = 256 << 10


class TlsStream:
    """A connection whose handshake is done: as much of a socket as requests and `http.client` need. For one thread at a time.

    Reads and writes raise TimeoutError after the socket's time-out, and OSError (`ssl.SSLError` among them) when the connection breaks.
    """

    def __init__(self, raw: socket.socket, context: ssl.SSLContext, *, server_hostname: str | None = None) -> None:
        """Shake hands: as a server, or as a client with the host whose certificate is to be shown. Within the socket's time-out."""
        self.raw = raw
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        is_server = server_hostname is None
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=is_server, server_hostname=server_hostname)
        self._block = memoryview(bytearray(BLOCK_BYTES >> 2 if is_server else BLOCK_BYTES))  # a server is asked short questions
        self._n_files = 0
        self._is_closed = False
        self._shake_hands()

    def _shake_hands(self) -> None:
        until = None
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                until = self._receive(until)
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._flush()  # the alert that tells the peer why
                raise
            else:
                self._flush()
                return

    def _flush(self) -> None:
        """Send what waits. The time-out is that of a peer that takes nothing: a slow one is not cut."""
        left = memoryview(self._outgoing.read())
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
            self._incoming.write(self._block[:n_bytes])
        else:
            self._incoming.write_eof()
        return until

    def recv_into(self, buffer: memoryview) -> int:
        """Fill the buffer with what is there, waiting for the first bytes; 0 at the end, also where the peer cut the connection."""
        n_bytes, until = 0, None
        while n_bytes < len(buffer):
            try:
                n_read = self._tls.read(len(buffer) - n_bytes, buffer[n_bytes:])
            except ssl.SSLWantReadError:
                if n_bytes:
                    break
                until = self._receive(until)
            except ssl.SSLEOFError:
                break
            else:
                if not n_read:
                    break
                n_bytes += int(n_read)
        return n_bytes

    def recv(self, most: int) -> bytes:
        buffer = bytearray(most)
        return bytes(buffer[: self.recv_into(memoryview(buffer))])

    def sendall(self, content: bytes | bytearray | memoryview) -> None:
        left = memoryview(content)
        while left:
            left = left[self._tls.write(left[:BLOCK_BYTES]) :]
            if self._outgoing.pending >= BLOCK_BYTES or not left:
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
