"""Every run gets a PostgreSQL and a Valkey of its own, from the wheels, before Django reads its settings.

`DATABASE_URL` and `REDIS_URL` given from outside are used instead. What needs the whole product asks for `stack`."""

import atexit
import base64
import os
import tempfile
from pathlib import Path

import pytest

from services.embedded.groups import Watchdog
from services.embedded.postgres import Postgres
from services.embedded.sockets import make_socket_folder
from services.embedded.valkey import Valkey

SETTINGS_OF_TESTS = {
    "CAUSEWAY_SECRET_KEY": "only-for-tests",
    "CAUSEWAY_TOKEN_KEYS": base64.urlsafe_b64encode(b"0123456789abcdef0123456789abcdef").decode(),
    "CAUSEWAY_ALLOW_STANDIN": "1",
    "CAUSEWAY_BASE_URL": "http://127.0.0.1:8000",
    "CAUSEWAY_GLOBUS_CLIENT_ID": "7d5a4f1e-0000-4000-8000-000000000001",
    "CAUSEWAY_GLOBUS_CLIENT_SECRET": "only-for-tests",
    "CAUSEWAY_ARCHIVE_COLLECTION": "7d5a4f1e-0000-4000-8000-000000000002",
    "CAUSEWAY_SHARE_COLLECTION": "7d5a4f1e-0000-4000-8000-000000000003",
    "CAUSEWAY_STORAGE_COLLECTION": "7d5a4f1e-0000-4000-8000-000000000004",
    "CAUSEWAY_RESULTS_COLLECTION": "7d5a4f1e-0000-4000-8000-000000000005",
}


def start_databases() -> None:
    """Start what is not given, and end it with this process, however that ends."""
    watchdog = Watchdog()
    atexit.register(watchdog.close)
    sockets = make_socket_folder()
    folder = Path(tempfile.mkdtemp(prefix="causeway-tests-"))
    if os.geteuid() == 0:
        folder.chmod(0o711)
    for removed in (sockets, folder):
        watchdog.remove_at_end(removed)
    servers = {
        "DATABASE_URL": Postgres(folder / "postgres", sockets=sockets, durable=False),
        "REDIS_URL": Valkey(folder / "valkey", sockets=sockets, durable=False),
    }
    for name, server in servers.items():
        if name not in os.environ:
            os.environ[name] = server.start()
            watchdog.watch(server.process, number=server.stop_signal)
            atexit.register(server.stop)
    os.environ.setdefault("CAUSEWAY_MAIL_DIR", str(folder / "mail"))


def set_django_up() -> None:
    """pytest-django reads settings before any conftest when the ini file names them; so it is done here, after the start."""
    for name, value in SETTINGS_OF_TESTS.items():
        os.environ.setdefault(name, value)
    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    import django

    try:
        django.setup()
    except ImportError as error:
        print(f"portal is not whole yet, going on without Django: {error}")
        import django.conf

        django.conf.settings._wrapped = django.conf.empty


start_databases()
set_django_up()


@pytest.fixture(scope="session")
def redis_url() -> str:
    """`REDIS_URL` of this run's Valkey."""
    return os.environ["REDIS_URL"]
