"""The gateway to addresses that people name: whether something is still there (`look`, bodies are not read), or what it says (`fetch`).

Addresses come from people, so the portal must not be led into its own network: every host is resolved here, only public addresses (and
those of `CAUSEWAY_LINK_NETWORKS`) are called, the very address that was looked at is the one that is called, and the same holds for each
redirect. HEAD first, GET where a server does not like HEAD (RFC 9110, section 9.3.2).
"""

import ipaddress
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import certifi
import urllib3
from django.conf import settings

from datasets.errors import ClosedAddressError, UnavailableError
from datasets.identifiers import WEB

TIMEOUT = urllib3.Timeout(connect=4, read=6)
MOST_REDIRECTS = 5
LONGEST_FETCH_S = 60
# Numbers of IPv6 that end in one of IPv4: NAT64 (RFC 6052, RFC 8215), compatible and translated ones (RFC 4291, RFC 2765).
CARRIERS = [ipaddress.ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")]
PRIVATE = "leads into a private network, which is not looked into"
REMEDY = "If it is your own, an operator names its network in CAUSEWAY_LINK_NETWORKS; then try again."
Number = ipaddress.IPv4Address | ipaddress.IPv6Address
# Refusals that say nothing about whether the page is there: sign-in, rate, bots.
CLOSED = frozenset({401, 402, 403, 405, 406, 407, 408, 421, 425, 429, 451})


@dataclass(frozen=True)
class Looked:
    """What came of a look: dead, alive, or None where no server could be asked."""

    is_dead: bool | None
    words: str


class _NotAskedError(Exception):
    """No server could be asked; its words say why, and for how long it wants to be left alone."""

    retry_after_s = 0


class _NeverAskedError(_NotAskedError):
    """An address that will not be called later either."""


def check_host(url: str) -> None:
    """Raise ClosedAddressError where an address names a host by a number that is not called; names are looked up when they are called."""
    try:
        number = ipaddress.ip_address((urlsplit(url).hostname or "").partition("%")[0])
    except ValueError:
        return
    if not _may_be_called(number):
        raise ClosedAddressError(f"{url[:200]} {PRIVATE}. {REMEDY}")


def look(url: str) -> Looked:
    """Whether an address still leads somewhere. Never raises for what the other side does."""
    try:
        status = _follow(url)
    except _NotAskedError as error:
        return Looked(None, str(error)[:200])
    if status < 400 or status in CLOSED:
        return Looked(False, f"answers {status}" + (", to those it knows" if status in CLOSED else ""))
    if status >= 500:
        return Looked(None, f"its server is in trouble: {status}")
    return Looked(True, f"answers {status}: nothing is there")


def _follow(url: str) -> int:
    """The status at the end of the redirects."""
    for _ in range(MOST_REDIRECTS + 1):
        status, location = _ask("HEAD", url)
        if status >= 400 and status not in {404, 410}:  # some servers know GET alone
            status, location = _ask("GET", url)
        if status not in {301, 302, 303, 307, 308} or not location:
            return status
        url = urljoin(url, location)
    raise _NotAskedError(f"more than {MOST_REDIRECTS} redirects")


def _ask(method: str, url: str) -> tuple[int, str]:
    """(status, Location) of one request."""
    with _asked(method, url) as answer:
        return answer.status, answer.headers.get("Location", "")


def fetch(url: str, *, most_bytes: int) -> bytes:
    """What an address says, at most so much within a minute.

    Raises UnavailableError in words where it says nothing, or too much; ClosedAddressError where it will not be asked later either.
    """
    try:
        return _fetch(url, most_bytes, time.monotonic() + LONGEST_FETCH_S)
    except _NeverAskedError as error:
        raise ClosedAddressError(f"{url[:200]} {error}.{f' {REMEDY}' if str(error) == PRIVATE else ''}") from error
    except _NotAskedError as error:
        refused = UnavailableError(f"{url[:200]} {error}.")
        refused.retry_after_s = error.retry_after_s
        raise refused from error


def _fetch(url: str, most_bytes: int, until: float) -> bytes:
    for _ in range(MOST_REDIRECTS + 1):
        with _asked("GET", url) as answer:
            location = answer.headers.get("Location", "")
            if answer.status not in {301, 302, 303, 307, 308} or not location:
                return _body(answer, most_bytes, until)
        url = urljoin(url, location)
    raise _NotAskedError(f"has more than {MOST_REDIRECTS} redirects")


def _body(answer: urllib3.BaseHTTPResponse, most_bytes: int, until: float) -> bytes:
    """The bytes as they are sent: nothing is unpacked, so nothing grows."""
    if answer.status != 200:
        refused, wait = _NotAskedError(f"answers {answer.status}"), answer.headers.get("Retry-After", "")
        refused.retry_after_s = int(wait) if wait.isdecimal() and len(wait) < 7 else 0
        raise refused
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise _NotAskedError("answers compressed, which was not asked for")
    read = bytearray()
    while piece := answer.read1(65_536, decode_content=False):  # what is there, so that the clock is looked at whatever drips
        read += piece
        if len(read) > most_bytes or time.monotonic() > until:
            raise _NotAskedError(f"says more than {most_bytes:,} bytes, or takes longer than {LONGEST_FETCH_S} s")
    return bytes(read)


@contextmanager
def _asked(method: str, url: str) -> Iterator[urllib3.BaseHTTPResponse]:
    """The answer to one request, sent to an address that was looked at first; closed at the end."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port or (443 if parts.scheme == "https" else 80)
    except (ValueError, UnicodeError) as error:
        raise _NeverAskedError("leads to an address that cannot be read") from error
    if not WEB.fullmatch(url) or not host:
        raise _NeverAskedError("leads to an address that is none of the web")
    address = _address_of(host, port)
    headers = {"Host": parts.netloc.rpartition("@")[2], "User-Agent": f"Causeway (+{settings.BASE_URL})", "Accept": "*/*"}
    pool: urllib3.HTTPConnectionPool
    if parts.scheme == "https":
        pool = urllib3.HTTPSConnectionPool(
            address, port, timeout=TIMEOUT, retries=False, server_hostname=host, assert_hostname=host, ca_certs=certifi.where()
        )
    else:
        pool = urllib3.HTTPConnectionPool(address, port, timeout=TIMEOUT, retries=False)
    try:
        answer = pool.request(method, urllib3.util.parse_url(url).request_uri, headers=headers, redirect=False, preload_content=False)
        try:
            yield answer
        finally:
            answer.close()
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise _NotAskedError(f"does not answer: {type(error).__name__}") from error
    finally:
        pool.close()


def _address_of(host: str, port: int) -> str:
    """An address of the host that may be called; all of them must be, so that no name mixes public and private ones."""
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise _NotAskedError("the name of its host is not known") from error
    if not all(_may_be_called(ipaddress.ip_address(str(one).partition("%")[0])) for one in found):
        raise _NeverAskedError(PRIVATE)
    return min(map(str, found), key=lambda one: (":" in one, one))


def _may_be_called(number: Number) -> bool:
    """Whether it is public, or of the networks that an operator named; a number that carries another is looked at as that one."""
    if any(number in network for network in map(ipaddress.ip_network, settings.LINK_NETWORKS) if network.version == number.version):
        return True
    if isinstance(number, ipaddress.IPv6Address):
        carried = number.ipv4_mapped or number.sixtofour
        if carried is None and any(number in network for network in CARRIERS):
            carried = ipaddress.IPv4Address(int(number) & 0xFFFFFFFF)
        if carried is not None:
            return _may_be_called(carried)
        if number.is_site_local:
            return False
    return number.is_global and not number.is_multicast
