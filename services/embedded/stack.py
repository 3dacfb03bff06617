"""The product on one machine: which programs there are, in which order they start, and what each is told.

Each process gets only the secrets that it needs: the portal never sees the graph service's, nor the other way round.
`Stack` is what `script/demo`, `script/localglobus` and the journeys use; how services are run is `supervisor.py`.
"""

import contextlib
import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from services.embedded.addresses import Addresses
from services.embedded.archive import lay_out_archive, lay_out_campus, lay_out_folders
from services.embedded.environment import keep_secrets, plain_environment, read_environment, write_environment
from services.embedded.postgres import Postgres
from services.embedded.probes import answers, says, whenever
from services.embedded.sockets import make_socket_folder
from services.embedded.supervisor import Service, StartError, Supervisor, end_stale
from services.embedded.valkey import Valkey

CHECKOUT = Path(__file__).resolve().parents[2]
READY_LINE = r"^ready\b"
GLOBUS_ADMIN = ("GLOBUS_CLI_CLIENT_ID", "GLOBUS_CLI_CLIENT_SECRET")  # the demo service client's: for people and tests only


@dataclass(frozen=True)
class Places:
    """The folders of one stack."""

    state: Path
    globus: Path
    archive: Path
    campus: Path
    graph: Path
    mail: Path
    logs: Path
    run: Path
    postgres: Path
    valkey: Path

    @classmethod
    def inside(cls, state: Path, *, globus: Path) -> "Places":
        """Folders of their own names in `state`; `globus` is where the local Globus keeps its things."""
        names = ("archive", "campus", "graph", "mail", "logs", "run", "postgres", "valkey")
        return cls(state=state, globus=globus, **{name: state / name for name in names})


@dataclass
class Stack:
    """One embedded default. `start` returns when all is ready; `stop` (or the end of this process) ends all of it.

    `with_portal=False` is the local Globus with its two nodes alone. `settings` go to the portal's processes on top of
    what is composed here. `durable=False` is for tests: the databases do not wait for the disk. `has_files=False` leaves
    the archive's collections empty. `redirect_uris` are further addresses to which the portal's client may send a browser back.
    """

    state: Path
    port: int = 8000
    with_portal: bool = True
    faults: bool = False
    load_archive: bool = True
    durable: bool = True
    has_files: bool = True
    redirect_uris: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    tell: Callable[[str], None] = lambda _words: None
    _supervisor: Supervisor | None = None
    _sockets: Path | None = None
    _lock: IO[str] | None = None

    def __post_init__(self) -> None:
        self.state = self.state.absolute()
        self.places = Places.inside(self.state, globus=self.state / "globus" if self.with_portal else self.state)
        self.addresses = Addresses(self.port)

    def start(self) -> "Stack":
        """Start everything; raises PortInUseError or StartError. What an earlier start left running is ended first."""
        make_state(self.places)
        self._lock = take_lock(self.places.run)
        for name in end_stale(self.places.run):
            self.tell(f"{name} was left running by an earlier start, ended it")
        self.started_at = datetime.now(UTC)
        self.addresses.require_free(with_portal=self.with_portal)
        self._sockets = remember_sockets(self.places.run)
        self.postgres = Postgres(self.places.postgres, sockets=self._sockets, durable=self.durable)
        self.valkey = Valkey(self.places.valkey, sockets=self._sockets, durable=self.durable)
        if self.has_files:
            lay_out_archive(self.places.archive)
        else:
            lay_out_folders(self.places.archive)
        lay_out_campus(self.places.campus)
        services = [*self._globus_services(), *(self._portal_services() if self.with_portal else [])]
        self._supervisor = Supervisor(services, run=self.places.run, logs=self.places.logs, tell=self.tell)
        self._supervisor.start(remove_at_end=[self._sockets])
        return self

    def stop(self) -> None:
        """Stop everything. Safe to repeat."""
        if self._supervisor is not None:
            self._supervisor.stop()
            self._supervisor = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def discard(self) -> None:
        """Delete the state of a stack that does not run, and nothing else in its folder; raises StartError while it runs."""
        if not self.places.run.exists():
            return
        with take_lock(self.places.run):
            end_stale(self.places.run)
            Postgres(self.places.postgres, sockets=self.state).discard()
            own = [*vars(self.places).values(), node_state(self.places.archive), node_state(self.places.campus)]
            for folder in {*own} - {self.state}:
                shutil.rmtree(folder, ignore_errors=True)
            (self.state / "secrets.env").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody keeps something of her own in there
            self.state.rmdir()

    @property
    def supervisor(self) -> Supervisor:
        """For `kill`, `hold`, `release`, `restart`, `wait_ready` by the names of services."""
        if self._supervisor is None:
            raise StartError("the stack does not run")
        return self._supervisor

    def kill(self, name: str) -> None:
        """SIGKILL to a service's whole group; the supervisor starts it again."""
        self.supervisor.kill(name)

    def restart(self, name: str) -> None:
        """Stop a service and start it; returns when it is ready."""
        self.supervisor.restart(name)

    @property
    def base_url(self) -> str:
        """The portal's address."""
        return self.addresses.web

    @property
    def ca_file(self) -> Path:
        """The local certificate authority that the nodes' certificates are made by."""
        return self.places.globus / "ca.pem"

    @property
    def globus_environment(self) -> dict[str, str]:
        """What the local Globus wrote for its users: service addresses, collections, the demo service client."""
        return read_environment(self.places.globus / "env")

    def portal_environment(self) -> dict[str, str]:
        """Everything that web, worker, beat and `manage.py` are told."""
        globus = {name: value for name, value in self.globus_environment.items() if name not in GLOBUS_ADMIN}
        return {
            **plain_environment(),
            **globus,
            **read_environment(self.places.globus / "portal.env"),
            **keep_secrets(self.state / "secrets.env"),
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "CAUSEWAY_STATE": str(self.state),
            "CAUSEWAY_BASE_URL": self.addresses.web,
            "CAUSEWAY_ALLOW_STANDIN": "1",
            "CAUSEWAY_GRAPH_URL": self.addresses.graph,
            "CAUSEWAY_MAIL_DIR": str(self.places.mail),
            "DATABASE_URL": self.postgres.dsn,
            "REDIS_URL": self.valkey.url,
            **self.settings,
        }

    def graph_environment(self) -> dict[str, str]:
        """Everything that the graph service and its worker are told; its queue is a database of its own in Valkey."""
        globus = {name: value for name, value in self.globus_environment.items() if name not in GLOBUS_ADMIN}
        own = read_environment(self.places.globus / "graph.env")
        # matplotlib keeps a cache of fonts at home
        return {**plain_environment(), **globus, **own, "REDIS_URL": self.valkey.url_of(1), "HOME": str(self.places.graph)}

    def _globus_services(self) -> list[Service]:
        here, data = self.addresses, self.places.globus
        switch = ["--faults"] if self.faults else []
        nodes = {"archive": (self.places.archive, here.archive), "campus": (self.places.campus, here.campus)}
        control = [
            *module("services.localglobus"),
            *("--data", str(data), "--host", "127.0.0.2", "--port", str(self.port)),
            *(word for name, (_, url) in nodes.items() for word in ("--node", f"{name}={url}")),
            *("--portal-url", here.web, "--graph-url", here.graph),
            *(word for uri in self.redirect_uris for word in ("--redirect-uri", uri)),
            *switch,
        ]
        services = [program("localglobus", control, says(READY_LINE))]
        for name, (root, url) in nodes.items():
            command = [
                *module("services.dtn"),
                *("--name", name, "--data", str(root), "--url", url, "--control", here.localglobus),
                *("--secret-file", str(data / f"dtn-{name}.secret"), "--state", str(node_state(root)), "--name-peers"),
                *switch,
            ]
            services.append(program(f"dtn-{name}", command, says(READY_LINE), after=("localglobus",)))
        return services

    def _portal_services(self) -> list[Service]:
        portal, graph = self.portal_environment, self.graph_environment
        databases = ("postgres", "valkey")
        data = ["--data", str(self.places.graph)]
        serve = ["--host", "127.0.0.5", "--port", str(self.port)]
        manage = [sys.executable, str(CHECKOUT / "manage.py")]
        celery = [*module("celery"), "-A", "portal"]
        worker = [*celery, "worker", "-Q", "transfers,analysis,catalogue", "-c", "2", "-l", "INFO"]
        beat = [*celery, "beat", "-l", "INFO", "--pidfile="]
        graph_web = [*module("services.graph"), *serve, *data]
        graph_worker = [*module("services.graph"), "worker", *data]
        services = [
            self._server("postgres", self.postgres),
            self._server("valkey", self.valkey),
            program("migrate", [*manage, "migrate", "--noinput"], after=(*databases, "localglobus"), environment=portal),
            program("web", self._web(), answers(f"{self.addresses.web}/livez"), after=("migrate",), environment=portal),
            program("graph", graph_web, answers(self.addresses.graph), after=("localglobus", "valkey"), environment=graph),
            program("worker", worker, says(r"ready\."), after=("web",), environment=portal),
            program("beat", beat, says("beat: Starting"), after=("web",), environment=portal),
            program("graph-worker", graph_worker, says(r"ready\b"), after=("web", "graph"), environment=graph),
        ]
        if self.load_archive:
            load = [*manage, "load_demo"]
            needed = ("worker", "beat", "graph-worker", "dtn-archive", "dtn-campus")
            services.append(replace(program("load-archive", load, after=needed, environment=portal), is_told=True))
        return services

    def _web(self) -> list[str]:
        return [
            *module("granian"),
            *("--interface", "wsgi", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--workers", "1", "--blocking-threads", "4", "--respawn-failed-workers", "--no-ws"),
            "portal.wsgi:application",
        ]

    def _server(self, name: str, server: "Postgres | Valkey") -> Service:
        return Service(
            name=name,
            command=server.command,
            environment=plain_environment,
            probe=whenever(server.is_ready),
            prepare=server.prepare,
            user=server.user if isinstance(server, Postgres) else None,
            stop_signal=server.stop_signal,
        )

    def write_portal_environment(self) -> Path:
        """A file to source (`. FILE`) before running `manage.py` by hand; as secret as what is in it."""
        path = self.places.run / "portal.env"
        shells_own = plain_environment()
        write_environment(path, {name: value for name, value in self.portal_environment().items() if name not in shells_own})
        return path


def program(
    name: str,
    command: list[str],
    probe: Callable[[Path, int], bool] | None = None,
    *,
    after: tuple[str, ...] = (),
    environment: Callable[[], Mapping[str, str]] = plain_environment,
) -> Service:
    """A Python program of this checkout; without a probe it is a step that runs once."""
    step = probe is None
    return Service(
        name=name,
        command=lambda: command,
        environment=environment,
        probe=probe or (lambda _log, _offset: False),
        after=after,
        folder=CHECKOUT,
        is_step=step,
        timeout_s=1200 if step else 90,
    )


def module(name: str) -> list[str]:
    return [sys.executable, "-m", name]


def remember_sockets(run: Path) -> Path:
    """A new folder for sockets; the one of an earlier start that nobody cleaned up after is removed."""
    noted = run / "sockets"
    if noted.exists():
        shutil.rmtree(noted.read_text(), ignore_errors=True)
    folder = make_socket_folder()
    noted.write_text(str(folder))
    return folder


def node_state(root: Path) -> Path:
    """Where a node keeps its journals and connections.jsonl: beside its data root, never in it."""
    return root.with_name(root.name + ".state")


def make_state(places: Places) -> None:
    """Make the folders; others may pass through the state (PostgreSQL's user must), not read what is private in it."""
    if not places.state.exists():
        places.state.mkdir(parents=True)
        places.state.chmod(0o711)
    nodes = [places.archive, places.campus, node_state(places.archive), node_state(places.campus)]
    of_portal = [places.globus, places.mail, places.graph] if places.globus != places.state else []
    for private in (places.run, places.logs, *nodes, *of_portal):
        private.mkdir(exist_ok=True, mode=0o700)


def take_lock(run: Path) -> IO[str]:
    """One supervisor a state folder; raises StartError naming the one that runs. The kernel drops the lock with its holder."""
    lock = (run / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        holder = lock.read().strip()
        lock.close()
        raise StartError(f"it runs already (process {holder}): stop that one first, or give this one another --data and --port") from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
