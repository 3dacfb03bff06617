"""The PostgreSQL and the Valkey of a run: started by its first process, shared by all, a database in each for every process."""

import atexit
import contextlib
import os
import re
import tempfile
import uuid
from pathlib import Path

import psycopg2
import psycopg2.errors

from services.embedded.groups import Watchdog
from services.embedded.postgres import Postgres
from services.embedded.sockets import make_socket_folder
from services.embedded.valkey import Valkey

PROCESS = os.environ.get("PYTEST_XDIST_WORKER", "")
TEMPLATE = "CAUSEWAY_TEST_TEMPLATE"


def start_databases() -> None:
    """Start what is not given, and end it with this process, however that ends."""
    os.environ.setdefault(TEMPLATE, f"migrated_{uuid.uuid4().hex[:12]}")
    watchdog = Watchdog()
    atexit.register(watchdog.close)
    sockets, folder = make_socket_folder(), make_passable_folder()
    for removed in (sockets, folder):
        watchdog.remove_at_end(removed)
    servers: dict[str, Postgres | Valkey] = {
        "DATABASE_URL": Postgres(folder / "postgres", sockets=sockets, durable=False),
        "REDIS_URL": Valkey(folder / "valkey", sockets=sockets, durable=False),
    }
    for name, server in servers.items():
        if name not in os.environ:
            os.environ[name] = server.start()
            assert server.process is not None
            watchdog.watch(server.process, number=server.stop_signal)
            atexit.register(server.stop)
    os.environ.setdefault("CAUSEWAY_MAIL_DIR", str(folder / "mail"))
    if PROCESS:  # what one test empties, or sends to workers, is nothing to tests beside it
        number = 1 + int(PROCESS.removeprefix("gw")) % 15
        os.environ["REDIS_URL"] = re.sub(r"(\?db=|:\d+/)0$", rf"\g<1>{number}", os.environ["REDIS_URL"])


def make_passable_folder() -> Path:
    """A temporary folder that PostgreSQL's user may pass through when we are root (pytest's own are closed to it)."""
    folder = Path(tempfile.mkdtemp(prefix="causeway-tests-"))
    if os.geteuid() == 0:
        folder.chmod(0o711)
    return folder


def migrated_template() -> str:
    """A database of this run with all tables, made by the first process that asks: to copy it takes a fraction of the migrations."""
    from django.conf import settings
    from django.db import connection

    name, chosen = os.environ[TEMPLATE], settings.DATABASES["default"]
    server = psycopg2.connect(os.environ["DATABASE_URL"])
    server.autocommit = True
    try:
        with server.cursor() as cursor:
            cursor.execute("select pg_advisory_lock(hashtext(%s))", [name])  # others wait until it is whole
            cursor.execute("select 1 from pg_database where datname = %s", [name])
            if cursor.fetchone() is None:
                kept = {"NAME": chosen["NAME"], "TEST": dict(chosen["TEST"])}
                chosen["TEST"]["NAME"] = f"{name}_unfinished"
                connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
                connection.close()
                chosen.update(kept)
                cursor.execute(f'alter database "{name}_unfinished" rename to "{name}"')
    finally:
        server.close()
    return name


def drop_template() -> None:
    """A server that was given keeps nothing of a run, also of one that was interrupted while a process made it."""
    server = psycopg2.connect(os.environ["DATABASE_URL"])
    server.autocommit = True
    with server.cursor() as cursor:
        for name in (os.environ[TEMPLATE], f"{os.environ[TEMPLATE]}_unfinished"):
            with contextlib.suppress(psycopg2.errors.ObjectInUse):  # by a process that was interrupted just now
                cursor.execute(f'drop database if exists "{name}"')
    server.close()
