"""Which process listens where. Cookies are shared by all ports of an address, so every process has a loopback address of
its own, all at the same port; the two GCS Managers are at the next two ports of the local Globus.
"""

import random
import socket
import sys
from dataclasses import dataclass

from services.embedded.probes import is_free


class PortInUseError(Exception):
    """Another program listens on an address that is needed; the message names the service, the port and the remedy."""


@dataclass(frozen=True)
class Addresses:
    """All addresses that follow from the base port."""

    port: int

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def localglobus(self) -> str:
        return f"http://127.0.0.2:{self.port}"

    @property
    def archive(self) -> str:
        return f"https://127.0.0.3:{self.port}"

    @property
    def campus(self) -> str:
        return f"https://127.0.0.4:{self.port}"

    @property
    def graph(self) -> str:
        return f"http://127.0.0.5:{self.port}"

    def listeners(self, *, with_portal: bool = True) -> dict[tuple[str, int], str]:
        """(host, port) -> the service that will listen there."""
        found = {
            ("127.0.0.2", self.port): "localglobus",
            ("127.0.0.2", self.port + 1): "localglobus (GCS Manager of archive)",
            ("127.0.0.2", self.port + 2): "localglobus (GCS Manager of campus)",
            ("127.0.0.3", self.port): "dtn-archive",
            ("127.0.0.4", self.port): "dtn-campus",
        }
        return {("127.0.0.1", self.port): "web", ("127.0.0.5", self.port): "graph", **found} if with_portal else found

    def require_free(self, *, with_portal: bool = True) -> None:
        """Raises PortInUseError before anything is started."""
        taken = {place: name for place, name in self.listeners(with_portal=with_portal).items() if not is_free(*place)}
        if taken:
            (host, port), name = next(iter(taken.items()))
            raise PortInUseError(f"{name} needs port {port} on {host}, which is in use. Choose another: --port {self.port + 100}")


def free_port() -> int:
    """A base port at which everything could listen now, and that (on Linux) no other process is given as long as this one lives.

    Left to the system's chance: tests that run side by side seed `random` alike, and would all try the same port at once.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000, 10)  # below Linux's ephemeral ports (32768 and up)
        if _reserve(port) and all(is_free(*place) for place in Addresses(port).listeners()):
            return port


def _reserve(port: int) -> bool:
    """Hold a name that one process at a time can have; what is to listen at the port may start later, or be down for a while."""
    if not sys.platform.startswith("linux"):
        return True
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0causeway-port-{port}")  # an abstract name of Linux, gone with its process
    except OSError:
        held.close()
        return False
    held.detach()  # kept open until the process ends
    return True
