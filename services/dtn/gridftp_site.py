"""A GridFTP server that the site runs itself, and how this node comes in: a TOML file (`--gridftp-site`).

`server` is its host:port, `folder` where it has this node's data folder (default: at the same path), `credential` one PEM file with
certificate or proxy, key and chain, `trust` the CA certificates: a file, or a folder of them by hash (`/etc/grid-security/certificates`).
"""

import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path

from services.dtn.gridftp_credentials import Identity

KEYS = {"server", "folder", "credential", "trust"}


class SiteError(Exception):
    """The file does not say what it must."""


@dataclass(frozen=True)
class GridSite:
    host: str
    port: int
    folder: Path
    credential: Path
    trust: Path


def read_site(file: Path | None, *, data: Path) -> GridSite | None:
    """Return what the file says; None without one. Raises SiteError."""
    if file is None:
        return None
    try:
        asked = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SiteError(f"{file}: {error}") from error
    host, _, port = str(asked.get("server", "")).rpartition(":")
    if asked.keys() - KEYS or not host or not port.isdecimal() or not {"credential", "trust"} <= asked.keys():
        raise SiteError(f"{file}: server = host:port, credential and trust are needed, folder may be said")
    site = GridSite(host, int(port), Path(asked.get("folder", data)), Path(asked["credential"]), Path(asked["trust"]))
    missing = [str(path) for path in (site.credential, site.trust) if not path.exists()]
    if missing:
        raise SiteError(f"{file}: {', '.join(missing)} is not there")
    if stat.S_IMODE(site.credential.stat().st_mode) & 0o077:
        raise SiteError(f"{site.credential} holds a key and may be read by others: chmod 600")
    try:
        Identity(site.credential, site.credential).check()
    except (OSError, ValueError) as error:
        raise SiteError(f"{site.credential} is no credential, which is one PEM file with certificate and plain RSA key: {error}") from error
    return site
