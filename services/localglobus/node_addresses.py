"""Where a node may be: the nodes of the demo world where their operator says, a host of the Connect Personal kind where nobody else is.

Anybody may register such a host and so has a secret by which a certificate of the local CA is asked for. It is signed for the host of its
own URL alone, and no URL leads to where a service, or a host of somebody else, is already: it could pose as that one.
"""

from __future__ import annotations

import ipaddress
import sqlite3
from urllib.parse import urlsplit

from services.localglobus.errors import ApiError
from services.localglobus.settings import Settings


def read_url(value: object) -> str:
    """Returns the address of a node without a slash at its end. Raises `ApiError` 400 for what is no https address."""
    url = value.rstrip("/") if isinstance(value, str) else ""
    if not url.isascii() or not url.isprintable() or not url.startswith("https://") or host_of(url) is None:
        raise ApiError("BadRequest", "url must be an https address", 400)
    return url


def host_of(url: str) -> str | None:
    """Returns the host of an address in one spelling; None where there is none."""
    try:
        split = urlsplit(url)
        _ = split.port  # no number: ValueError
        return None if not split.hostname else canonical(split.hostname)
    except ValueError:
        return None


def canonical(host: str) -> str:
    """Returns a host in one spelling: `localhost` is its address, an IPv4 address in IPv6 is that address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        name = host.lower().rstrip(".")
        return "127.0.0.1" if name == "localhost" else name
    return str(getattr(address, "ipv4_mapped", None) or address)


def require_free(db: sqlite3.Connection, settings: Settings, *, node: str, url: str) -> None:
    """Raises `ApiError` 400 unless a host of the Connect Personal kind may be at `url`; two hosts of one owner may share an address."""
    services = (settings.url, settings.portal_url, settings.graph_url, *settings.redirect_uris, *settings.nodes.values())
    others = db.execute(
        "SELECT node_url, gcs_address FROM endpoint WHERE node <> ? AND (gcs_address <> '' OR owner_id <>"
        " (SELECT owner_id FROM endpoint WHERE node = ?))",
        (node, node),
    )
    taken = {host_of(each) for each in services} | {host_of(each) for row in others for each in row if each}
    host = host_of(url)
    if host in taken:
        raise ApiError("BadRequest", f"{host} is where another service is; start this host at an address of its own (--url)", 400)
