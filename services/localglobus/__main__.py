"""`python -m services.localglobus --data DIR`: serve until stopped, in the foreground. Prints `ready` when every listener is open.

One process and one event loop: plain HTTP on the port, TLS for each endpoint's GCS Manager on the ports that follow.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from services.localglobus.app import make_apps
from services.localglobus.certificates import Authority, is_loopback
from services.localglobus.settings import Settings
from services.localglobus.transfer import waiting

YOUNG_OBJECTS = 20_000  # made before garbage is looked for: a batch of results is thousands


class Listener(uvicorn.Server):
    """A server that leaves signals to the program, which has several of them, and says when it has begun."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.begun = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.begun.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def read_arguments(arguments: Sequence[str] | None = None) -> Settings:
    """The command line as settings; says what is wrong and leaves with status 2 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m services.localglobus", description="A local Globus on loopback.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder for everything it keeps")
    parser.add_argument("--host", default="127.0.0.2")
    parser.add_argument("--port", type=int, default=8000, help="of Auth, Transfer and Groups; the GCS Managers take the next two")
    parser.add_argument("--node", action="append", default=[], metavar="NAME=URL", help="where a data transfer node is (archive, campus)")
    parser.add_argument("--portal-url", default="", help="whose sign-in may come back (default http://127.0.0.1:PORT)")
    parser.add_argument("--redirect-uri", action="append", default=[], metavar="URI", help="one more of the portal's client")
    parser.add_argument("--graph-url", default="", help="the graph service (default http://127.0.0.5:PORT)")
    parser.add_argument("--allow-host", action="append", default=[], metavar="HOST", help="of --host or --node: allow one beyond loopback")
    parser.add_argument("--faults", action="store_true", help="open the fault switch, for tests")
    parser.add_argument("--rate-limit", type=float, default=500.0, metavar="N", help="requests a second of one identity (0: any)")
    parser.add_argument("--active-tasks", type=int, default=3, metavar="N", help="tasks of one identity under way; the rest is queued")
    parser.add_argument("--timer-interval", type=float, default=60.0, metavar="S", help="all timers of one identity run no more often")
    given = parser.parse_args(arguments)
    if not (is_loopback(given.host) or given.host in given.allow_host):
        parser.error("--host must be a loopback address: this is a stand-in without passwords (--allow-host HOST on a closed network)")
    nodes = {"archive": f"https://127.0.0.3:{given.port}", "campus": f"https://127.0.0.4:{given.port}"}
    for pair in given.node:
        name, _, url = pair.partition("=")
        if name not in nodes or not url.startswith("https://"):
            parser.error("--node is archive=https://... or campus=https://...")
        host = urlsplit(url).hostname or ""
        if not (is_loopback(host) or host in given.allow_host):
            parser.error(f"--node {name} must be at a loopback address, not {host} (--allow-host HOST on a closed network)")
        nodes[name] = url.rstrip("/")
    return Settings(
        data=given.data.resolve(),
        host=given.host,
        port=given.port,
        portal_url=(given.portal_url or f"http://127.0.0.1:{given.port}").rstrip("/"),
        graph_url=(given.graph_url or f"http://127.0.0.5:{given.port}").rstrip("/"),
        redirect_uris=tuple(given.redirect_uri),
        nodes=nodes,
        has_faults=given.faults,
        requests_per_second=given.rate_limit,
        active_tasks=max(1, given.active_tasks),
        least_timer_interval_s=given.timer_interval,
        allowed_hosts=tuple(given.allow_host),
    )


def listen(settings: Settings) -> list[socket.socket]:
    """The sockets of the main app and the GCS Managers. A port that is taken ends the program and is named."""
    found = []
    for port in range(settings.port, settings.port + 1 + len(settings.nodes)):
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # said, or asyncio leaves Nagle on: 40 ms an answer
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((settings.host, port))
        except OSError as error:
            sys.exit(f"localglobus cannot listen on {settings.host}:{port}: {error.strerror}")
        found.append(opened)
    return found


def make_listener(app: ASGIApp, *, tls: tuple[Path, Path] | None = None) -> Listener:
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off" if tls else "on",
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=3,
        ssl_certfile=tls[0] if tls else None,
        ssl_keyfile=tls[1] if tls else None,
    )
    return Listener(config)


async def wait_begun(listeners: Sequence[Listener]) -> None:
    for listener in listeners:
        await listener.begun.wait()


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    sockets = listen(settings)
    main, managers, store = make_apps(settings)
    leaf = Authority(settings.data).write_leaf(settings.data, "gcs", [settings.host])
    listeners = [make_listener(main), *(make_listener(app, tls=leaf) for app in managers.values())]

    def stop() -> None:
        for listener in listeners:
            listener.should_exit = True
        waiting.ROOM.close()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    running = [asyncio.create_task(listener.serve(sockets=[one])) for listener, one in zip(listeners, sockets, strict=True)]
    begun = asyncio.create_task(wait_begun(listeners))
    await asyncio.wait([begun, *running], return_when=asyncio.FIRST_COMPLETED)
    if begun.done():
        print("ready", flush=True)
    await asyncio.gather(*running)
    begun.cancel()
    store.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    gc.freeze()  # what the program is made of need not be looked through again
    gc.set_threshold(YOUNG_OBJECTS)
    asyncio.run(serve(read_arguments()))
