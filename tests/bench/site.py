"""A portal to measure: a database of its own, a cache, and the web server that production runs."""

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from services.embedded.addresses import free_port
from services.embedded.environment import keep_secrets, plain_environment
from services.embedded.postgres import Postgres
from services.embedded.sockets import make_socket_folder
from services.embedded.valkey import Valkey

CHECKOUT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Site:
    """A running portal: its address, the id of the web server's process, the address of its database."""

    url: str
    pid: int
    dsn: str


@contextmanager
def running(folder: Path) -> Iterator[Site]:
    """Start all of it in a folder, whose database stays; this process may use Django's models inside."""
    sockets = make_socket_folder()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)
    postgres, valkey = (
        Postgres(folder / "postgres", sockets=sockets, durable=False),
        Valkey(folder / "valkey", sockets=sockets, durable=False),
    )
    port = free_port()
    url = f"http://{HOST}:{port}"
    web = None
    try:
        told = {
            **plain_environment(),
            **keep_secrets(folder / "secrets.env"),
            "DATABASE_URL": postgres.start(),
            "REDIS_URL": valkey.start(),
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "CAUSEWAY_STATE": str(folder),
            "CAUSEWAY_BASE_URL": url,
            "CAUSEWAY_ALLOW_STANDIN": "1",
            "CAUSEWAY_GLOBUS_CLIENT_ID": "00000000-0000-0000-0000-000000000000",
            "CAUSEWAY_GLOBUS_CLIENT_SECRET": "nobody signs in",
            "EMAIL_URL": "file:",
        }
        os.environ.update(told)
        import django
        from django.core.management import call_command

        django.setup()
        logging.disable(logging.INFO)
        call_command("migrate", verbosity=0)
        options = ["--interface", "wsgi", "--host", HOST, "--port", str(port), "--workers", "1", "--blocking-threads", "4", "--no-ws"]
        with (folder / "web.log").open("wb") as log:
            web = subprocess.Popen(
                [sys.executable, "-m", "granian", *options, "portal.wsgi:application"], cwd=CHECKOUT, env=told, stdout=log, stderr=log
            )
        _wait(url, folder / "web.log")
        yield Site(url, web.pid, told["DATABASE_URL"])
    finally:
        if web is not None:
            web.terminate()
            web.wait()
        valkey.stop()
        postgres.stop()
        shutil.rmtree(sockets, ignore_errors=True)


def _wait(url: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/livez", trust_env=False).status_code == 200:
                return
        time.sleep(0.1)  # polled until the deadline: there is no event to wait for
    message = f"the web server does not answer: {log.read_text()[-500:]}"
    raise SystemExit(message)
