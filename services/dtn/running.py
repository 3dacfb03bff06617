"""Starting and stopping a node: bind, register until control is there, serve, renew, and stop on SIGTERM or SIGINT."""

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Generator

import uvicorn

from services.dtn.accounting import CountingProtocol, counting_protocol
from services.dtn.app import make_app
from services.dtn.certificates import Credentials
from services.dtn.data_port import DataPort
from services.dtn.errors import NodeError
from services.dtn.node import Node, Settings
from services.dtn.orders import Orders

logger = logging.getLogger("dtn")
FIRST_WAIT_S = 0.1
MOST_WAIT_S = 2.0
RENEW_EVERY_S = 6 * 3600.0


def listen_on(address: str) -> socket.socket:
    """Bind now, so that a port in use is said before anything else happens; connections are taken after registration."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
    except OSError as error:
        sys.exit(f"dtn: cannot listen on {address}: {error.strerror}")
    return listener


async def serve(settings: Settings, credentials: Credentials, listener: socket.socket, *, data_port: int = 0) -> int:
    """Run the node until it is told to stop. The data port has the address of the listener; 0 lets the system choose its number."""
    node = Node(settings, credentials)
    await _register(node)
    swept = await asyncio.to_thread(node.uploads.sweep, node.forget_upload)
    if swept:
        logger.info("unfinished uploads removed", extra={"facts": {"files": swept}})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    credentials.load_into(context)
    node.tls = context
    bytes_for_nodes = DataPort(node, host=listener.getsockname()[0], port=data_port)
    config = uvicorn.Config(
        make_app(node), http=counting_protocol(node.ledger), ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, date_header=True, headers=[bytes_for_nodes.alternative], timeout_keep_alive=30, timeout_graceful_shutdown=2,
        ssl_context_factory=lambda _config, _default: context,
    )  # fmt: skip
    orders = Orders(node)
    server = _Server(config, orders)
    bytes_for_nodes.start()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, server.stop)
    beside = [asyncio.ensure_future(node.ledger.write_open_ones()), asyncio.ensure_future(_renew(node))]
    try:
        await server.serve(sockets=[listener])
    finally:
        for task in beside:
            task.cancel()
        orders.stop()
        await asyncio.to_thread(bytes_for_nodes.stop)
        await node.close()
    return 0


async def _register(node: Node) -> None:
    """Register, as often as it takes."""
    wait_s = FIRST_WAIT_S
    while True:
        try:
            await asyncio.to_thread(node.register)
        except NodeError as error:
            logger.warning("not registered yet", extra={"facts": {"code": error.code, "reason": error.message}})
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, MOST_WAIT_S)
        else:
            return


async def _renew(node: Node) -> None:
    """Register anew before the certificate ends. Runs until cancelled."""
    while True:
        await asyncio.sleep(RENEW_EVERY_S)
        if not node.credentials.is_given and node.credentials.expires_soon():
            await _register(node)


class _Server(uvicorn.Server):
    """uvicorn, which says `ready` when it listens, and leaves signals to `serve`."""

    def __init__(self, config: uvicorn.Config, orders: Orders) -> None:
        super().__init__(config)
        self._orders = orders

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._orders.start()
        sys.stdout.write("ready\n")
        sys.stdout.flush()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    def stop(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for protocol in list(self.server_state.connections):
            if isinstance(protocol, CountingProtocol) and protocol.is_idle:  # a TLS close would wait for the peer's
                protocol.connection.abort()
        await super().shutdown(sockets)
