"""How a program shows that it is ready: it says so in its log, or answers on its address. Each probe is quick and may be
asked many times a second.
"""

import http.client
import re
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

Probe = Callable[[Path, int], bool]  # (the log, where in it this start began) -> ready?


def says(pattern: str) -> Probe:
    """The log of this start has a line in which `pattern` is found."""
    wanted = re.compile(pattern, re.MULTILINE)

    def probe(log: Path, offset: int) -> bool:
        return wanted.search(read_from(log, offset)) is not None

    return probe


def answers(url: str) -> Probe:
    """The server answers over HTTP, whatever it says unless that is an error of its own (5xx)."""
    parts = urlsplit(url)

    def probe(_log: Path, _offset: int) -> bool:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2)
        try:
            connection.request("GET", parts.path or "/", headers={"Connection": "close"})
            return connection.getresponse().status < http.client.INTERNAL_SERVER_ERROR
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return probe


def whenever(is_ready: Callable[[], bool]) -> Probe:
    """A server that can be asked in its own way."""
    return lambda _log, _offset: is_ready()


def read_from(log: Path, offset: int) -> str:
    """What a log got since `offset` bytes."""
    with log.open("rb") as lines:
        lines.seek(offset)
        return lines.read().decode(errors="replace")


def is_free(host: str, port: int) -> bool:
    """Could a server listen there now? (Sockets in TIME_WAIT do not count, as for the servers.)"""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError:
            return False
        return True
