"""The two servers of an order: the destination's is started here, and the source's node is asked for its own.

Both are found again after a fault: asking is safe to repeat, and a server that ended is started anew.
"""

import functools
import http.client
import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.dtn.errors import BadRequestError, NodeError, UnavailableError
from services.dtn.gridftp_control import Login
from services.dtn.gridftp_credentials import Identity, write_private
from services.dtn.gridftp_opening import address_of, real_paths, server_folder, servers_folder
from services.dtn.gridftp_servers import GridServer
from services.dtn.gridftp_site import GridSite
from services.dtn.node import Node
from services.dtn.rights import access_from
from services.dtn.sources import PullError, source_fault
from services.dtn.storage import Storage

ASK_S = 120.0  # a source that is to open very many paths needs its time


class Ends:
    """Safe to use from any thread."""

    def __init__(self, node: Node, order: Mapping[str, Any], destination: Storage) -> None:
        self._node = node
        self._order_id = Path(str(order["id"])).name
        self._source: Mapping[str, Any] = order["source"]
        self._rules: list[dict[str, Any]] | None = order["destination"].get("rules")
        self._storage = destination
        self._server: GridServer | None = None
        self._lock = threading.Lock()
        self._source_ca = node.settings.state / "gridftp" / f"order-{self._order_id}-source.pem"
        self.source_folder = ""
        self.destination_folder = ""

    @functools.cached_property
    def _identity(self) -> Identity:
        site = self._node.settings.gridftp
        return self._node.gridftp.order(self._order_id) if site is None else Identity(site.credential, site.credential)

    def logins(self) -> tuple[Login, Login]:
        """Return how to come in at source and destination; starts what does not run. Raises PullError."""
        with self._lock:
            try:
                self.destination_folder = server_folder(self._node, self._storage)
                identity = self._identity
                with ThreadPoolExecutor(1) as beside:
                    here = beside.submit(self._log_in_here, identity)
                    return self._log_in_at_source(identity), here.result()
            except BadRequestError as error:
                raise PullError(error.code, error.message, is_final=True) from error
            except NodeError as error:
                raise PullError("ENDPOINT_ERROR", error.message, is_shared=True) from error

    def close(self) -> None:
        """End the server that was started here. The source's ends with the task's ticket."""
        with self._lock:
            if self._server is not None:
                self._server.stop()
            self._source_ca.unlink(missing_ok=True)
            self._node.gridftp.forget_order(self._order_id)

    def _log_in_here(self, identity: Identity) -> Login:
        site = self._node.settings.gridftp
        if site is not None:
            return Login(site.host, site.port, identity, site.trust)
        if self._server is None or not self._server.is_running:
            if self._server is not None:
                self._server.stop()
            self._server = self._start(identity)
        return Login(self._server.host, self._server.port, identity, self._node.gridftp.file)

    def _start(self, identity: Identity) -> GridServer:
        access = access_from([{"path": "/", "permissions": "rw"}] if self._rules is None else self._rules)
        writable = [rule.path for rule in access.rules if "w" in rule.permissions]
        host, authority = address_of(self._node), self._node.gridftp
        return GridServer(
            servers_folder(self._node) / f"order-{self._order_id}", host=host, identity=authority.host(host), user=identity.name,
            authorities=[authority.pem], paths=[("RW", path) for path in real_paths(self._storage, writable, access.may_write)],
        )  # fmt: skip

    def _log_in_at_source(self, identity: Identity) -> Login:
        answer = self._ask_source(identity)
        self.source_folder = str(answer["folder"])
        site = self._node.settings.gridftp
        trust = self._source_ca if answer["ca"] else _trust_of(site)
        if answer["ca"]:
            if site is not None:
                raise UnavailableError("This node is pointed at a site's GridFTP server, the source's is not: both are or none.")
            write_private(self._source_ca, str(answer["ca"]).encode())
        return Login(str(answer["host"]), int(answer["port"]), identity, trust)

    def _ask_source(self, identity: Identity) -> dict[str, Any]:
        """Ask the source's node for the server of this order's ticket (PROTOCOL.md, section 6)."""
        address = urlsplit(str(self._source["node_url"]))
        asked = {"collection": self._source["collection"], "user": identity.name, "ca": self._node.gridftp.pem}
        headers = {"Authorization": f"Ticket {self._source['ticket']}", "Content-Type": "application/json"}
        context = self._node.credentials.client_context()
        connection = http.client.HTTPSConnection(address.hostname or "", address.port, timeout=ASK_S, context=context)
        try:
            connection.request("POST", address.path.rstrip("/") + "/.dtn/v1/gridftp", body=json.dumps(asked), headers=headers)
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise PullError("CONNECT_FAILED", f"The source does not answer: {error}.", is_shared=True, is_source=True) from error
        finally:
            connection.close()
        if response.status != 200:
            raise source_fault(response.status, str(answer.get("code")), str(answer.get("message")), path="/")
        return answer


def _trust_of(site: GridSite | None) -> Path:
    if site is None:
        raise UnavailableError("The source has a site's GridFTP server, and this node no credential for it.")
    return site.trust
