"""One control channel to a GridFTP server: secured by GSI, commands and replies, checksums of files.

FTP security is RFC 2228 (`AUTH GSSAPI`, `ADAT`, `ENC`); the tokens of GSI are the records of a TLS handshake, here those of the standard
library's `ssl` on memory buffers, followed by one byte that says whether a proxy credential is delegated (GFD.24). Extensions of GridFTP
are GFD.20 and GFD.47. For one thread; `gridftp_transfers.py` joins two of these into a third-party transfer.
"""

import base64
import select
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from services.dtn.gridftp_credentials import Identity

CONNECT_S = 20.0
REPLY_S = 60.0
LOOK_S = 0.2  # how often a wait looks at what else happens
RECORD_BYTES = 64 << 10
PROTECTED = {b"631", b"632", b"633"}  # replies that hold another one


class GridReplyError(Exception):
    """The server answers that it cannot."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class GridLostError(Exception):
    """The server does not answer (any more)."""


@dataclass(frozen=True)
class Reply:
    code: int
    text: str

    @property
    def is_final(self) -> bool:
        return self.code >= 200

    def require(self, *classes: int) -> "Reply":
        """Return the reply if its first digit is one of `classes`. Raises GridReplyError."""
        if self.code // 100 not in classes:
            raise GridReplyError(self.code, self.text)
        return self


@dataclass(frozen=True)
class Login:
    """How to come in: address, whom to be, whose certificates to believe (a file or a folder of them)."""

    host: str
    port: int
    identity: Identity
    trust: Path


class ControlChannel:
    """Logged in when made. Raises GridLostError or GridReplyError. `poll` is called while waiting, and may raise."""

    def __init__(self, login: Login, poll: Callable[[], None]) -> None:
        self._poll = poll
        self._received = b""
        self._plain = b""
        self._tls: ssl.SSLObject | None = None
        try:
            self._socket = socket.create_connection((login.host, login.port), timeout=CONNECT_S)
        except OSError as error:
            raise GridLostError(f"{login.host}:{login.port} does not answer: {error}.") from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.reply().require(2)
            self._secure(login)
            self.ask("USER :globus-mapping:", 2, 3)
            self.ask("PASS dummy", 2)
        except BaseException:  # whatever ends it, no socket stays open
            self.close()
            raise

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    # --- security ----------------------------------------------------------------------------------------------------------------

    def _secure(self, login: Login) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # the tokens that follow the handshake do not fit version 1.3
        context.load_verify_locations(**{"capath" if login.trust.is_dir() else "cafile": str(login.trust)})
        context.load_cert_chain(login.identity.certificate, login.identity.key)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=login.host)
        self._tokens = incoming, outgoing
        self.ask("AUTH GSSAPI", 3)
        try:
            while not _is_done(tls.do_handshake):
                self._exchange_token()
            tls.write(b"D")
            self._exchange_token()
            tls.write(login.identity.sign_proxy(tls.read(RECORD_BYTES)))
        except ssl.SSLError as error:
            raise GridLostError(f"{login.host}:{login.port} is not whom it should be: {error}.") from error
        self._exchange_token()
        self._tls = tls

    def _exchange_token(self) -> None:
        incoming, outgoing = self._tokens
        self._write(b"ADAT " + base64.b64encode(outgoing.read()))
        reply = self.reply().require(2, 3)
        _, found, token = reply.text.partition("ADAT=")
        if found:
            incoming.write(base64.b64decode(token))

    # --- commands and replies ----------------------------------------------------------------------------------------------------

    def ask(self, command: str, *classes: int) -> Reply:
        """Send a command and return its final reply, whose first digit is to be one of `classes` (2 unless said)."""
        self.send(command)
        while not (reply := self.reply()).is_final:
            pass
        return reply.require(*(classes or (2,)))

    def send(self, command: str) -> None:
        line = command.encode()
        if self._tls is not None:
            self._tls.write(line + b"\r\n")
            line = b"ENC " + base64.b64encode(self._tokens[1].read())
        self._write(line)

    def _write(self, line: bytes) -> None:
        try:
            self._socket.sendall(line + b"\r\n")
        except OSError as error:
            raise GridLostError(f"The connection to a GridFTP server broke: {error}.") from error

    def reply(self, *, within_s: float = REPLY_S) -> Reply:
        """Wait for the next reply, preliminary ones and markers among them."""
        until = time.monotonic() + within_s
        while (reply := self.next_reply(wait_s=LOOK_S)) is None:
            self._poll()
            if time.monotonic() > until:
                raise GridLostError("A GridFTP server is silent.")
        return reply

    def next_reply(self, *, wait_s: float) -> Reply | None:
        """Return the next reply if it comes within `wait_s`."""
        while (reply := self._take_reply()) is None:
            if not select.select([self._socket], [], [], wait_s)[0]:
                return None
            self._receive()
        return reply

    @property
    def has_reply(self) -> bool:
        """Whether a reply came already: the socket need not tell of it again."""
        return self._take_reply(is_kept=True) is not None

    def _receive(self) -> None:
        try:
            block = self._socket.recv(RECORD_BYTES)
        except OSError as error:
            raise GridLostError(f"The connection to a GridFTP server broke: {error}.") from error
        if not block:
            raise GridLostError("A GridFTP server closed the connection.")
        if self._tls is None:
            self._plain += block
            return
        *lines, self._received = (self._received + block).split(b"\n")
        for line in lines:
            if line[:3] not in PROTECTED:
                self._plain += line + b"\n"
                continue
            self._tokens[0].write(base64.b64decode(line[4:]))
            self._plain += self._tls.read(RECORD_BYTES)

    def _take_reply(self, *, is_kept: bool = False) -> Reply | None:
        """Take one reply of one or more lines (RFC 959, section 4.2) off what came."""
        lines = self._plain.split(b"\n")
        opening = lines[0]
        for number, line in enumerate(lines[:-1]):
            if opening[3:4] != b"-" or (number > 0 and line[:3] == opening[:3] and line[3:4] in {b" ", b"\r", b""}):
                self._plain = self._plain if is_kept else b"\n".join(lines[number + 1 :])
                text = b"\n".join(lines[: number + 1]).decode(errors="replace")
                return Reply(int(opening[:3]), text[4:].strip())
        return None

    # --- files -------------------------------------------------------------------------------------------------------------------

    def ask_checksum(self, path: str, *, algorithm: str = "SHA256") -> None:
        """Let the server begin to read a whole file; `checksum` returns what it found."""
        self.send(f"CKSM {algorithm} 0 -1 {path}")

    def checksum(self, *, within_s: float) -> str:
        """Return the digest (hexadecimal) that was asked for."""
        while not (reply := self.reply(within_s=within_s)).is_final:
            pass
        return reply.require(2).text.split()[-1].lower()


def _is_done(handshake: Callable[[], None]) -> bool:
    try:
        handshake()
    except ssl.SSLWantReadError:
        return False
    return True
