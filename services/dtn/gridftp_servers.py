"""A GridFTP server (Grid Community Toolkit) of one order: it knows one user and the order's paths, and dies with the node.

The server is started below a shell that leads a process group of its own and reads from a pipe which this node holds: when the node ends,
however it ends, the pipe closes and the shell kills the group, with all processes that serve a connection.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from services.dtn.errors import UnavailableError
from services.dtn.gridftp_credentials import Identity, write_trust

PROGRAM = "globus-gridftp-server"
PACKAGE = "globus-gridftp-server-progs"
BLOCK_BYTES = 1 << 20
KEEPER = '("$@"; kill -KILL 0) & read -r _; kill -KILL 0'


class GridServer:
    """Running when made; answers at `host` and `port`. Raises UnavailableError when the program is missing or does not start."""

    def __init__(
        self, folder: Path, *, host: str, identity: Identity, user: str, authorities: list[str], paths: Iterable[tuple[str, str]]
    ) -> None:
        """`user` is the one name that may log in, and `paths` are the ("R" | "RW", absolute path) that it reaches."""
        program = shutil.which(PROGRAM, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if program is None:
            raise UnavailableError(f"This node has no GridFTP server ({PROGRAM}, Debian package {PACKAGE}).")
        self.host = host
        self._folder = folder
        self._write(identity, user, authorities, paths)
        environment = {
            "PATH": os.environ.get("PATH", ""), "HOME": str(folder), "LC_ALL": "C.UTF-8", "GRIDMAP": str(folder / "gridmap"),
            "X509_USER_CERT": str(identity.certificate), "X509_USER_KEY": str(identity.key), "X509_CERT_DIR": str(folder / "trust"),
        }  # fmt: skip
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "keeper", program, "-c", str(folder / "server.conf")], cwd=folder, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self.port = self._read_port()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """End it and whatever it serves at once. Safe to repeat."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self, identity: Identity, user: str, authorities: list[str], paths: Iterable[tuple[str, str]]) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True)
        write_trust(self._folder / "trust", authorities)
        self._folder.joinpath("gridmap").write_text(f'"{user}" {pwd.getpwuid(os.getuid()).pw_name}\n')
        restricted = ",".join(entry for rights, path in paths for entry in restriction(rights, path))
        settings = {
            "port": 0, "control_interface": self.host, "data_interface": self.host, "restrict_paths": restricted or "N/",
            "use_home_dirs": 0, "allow_root": int(os.getuid() == 0), "blocksize": BLOCK_BYTES, "disable_usage_stats": 1,
            "log_single": "server.log", "log_level": "ERROR,WARN",
        }  # fmt: skip
        self._folder.joinpath("server.conf").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))

    def _read_port(self) -> int:
        said: list[str] = []
        for line in self._process.stdout or ():
            said.append(line.decode(errors="replace").strip())
            port = said[-1].rpartition(":")[2]
            if "listening at" in said[-1] and port.isdecimal():
                return int(port)
        self.stop()
        raise UnavailableError(f"The GridFTP server did not start: {' '.join(said)}")


def restriction(rights: str, path: str) -> list[str]:
    """Return the entries of `restrict_paths` that open a file, or (`path` ends with `/`) a folder with all below it, and nothing else.

    They are patterns that match the whole of a name: for a plain path the server would also open everything below it, and what it leads to
    if it were a symbolic link. The server decodes `%`, and replaces `$USER`, `$HOME` and (in a path with `$`) `~`.
    """
    plain = path.rstrip("/").removeprefix("/")
    escaped = "".join(f"[{character}]" if character in "*?[$" else character.replace("\\", "\\\\") for character in plain)
    pattern = f"{rights}[/]" + quote(escaped.replace("~", "?") if "$" in plain else escaped)
    return [pattern, f"{pattern}/%2A" if plain else f"{pattern}%2A"] if path.endswith("/") else [pattern]
