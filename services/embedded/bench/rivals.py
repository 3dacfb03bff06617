"""The programs that ours are measured against: cp, an rsync daemon, nginx over TLS, GridFTP. Each verb returns seconds."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from services.embedded.bench.site import BenchError

HOST = "127.0.0.1"


def is_there(program: str) -> bool:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None


def timed(command: list[str]) -> float:
    """Seconds that a command takes; raises BenchError when it fails."""
    began = time.monotonic()
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    seconds = time.monotonic() - began
    if ran.returncode:
        raise BenchError(f"{command[0]} failed: {ran.stderr.decode(errors='replace')[-500:]}")
    return seconds


def copy_file(source: Path, target: Path) -> float:
    target.unlink(missing_ok=True)
    seconds = timed(["cp", str(source), str(target)])
    target.unlink()
    return seconds


def download(url: str, *, ca_file: Path, token: str = "") -> float:
    """One GET by curl, thrown away as it comes."""
    fields = ["--header", f"Authorization: Bearer {token}"] if token else []
    return timed(["curl", "--silent", "--show-error", "--fail", "--http1.1", "--cacert", str(ca_file), *fields, "-o", "/dev/null", url])


@contextlib.contextmanager
def rsync_daemon(folder: Path, *, work: Path) -> Iterator[str]:
    """Serve `folder` read-only; yields the address of the module."""
    port = _free_port()
    work.mkdir()
    settings = work / "rsyncd.conf"
    settings.write_text(f"use chroot = no\npid file = {work}/pid\n[bench]\npath = {folder}\nread only = yes\nuid = {os.getuid()}\n")
    command = ["rsync", "--daemon", "--no-detach", f"--config={settings}", f"--port={port}", f"--address={HOST}", f"--log-file={work}/log"]
    with _running(command, port):
        yield f"rsync://{HOST}:{port}/bench/"


def pull_by_rsync(address: str, target: Path) -> float:
    shutil.rmtree(target, ignore_errors=True)
    seconds = timed(["rsync", "--archive", "--whole-file", address, f"{target}/"])
    shutil.rmtree(target)
    return seconds


@contextlib.contextmanager
def nginx(folder: Path, *, certificate: Path, key: Path, host: str, work: Path) -> Iterator[str]:
    """Serve `folder` over TLS with a node's own certificate, which names `host`; yields the address."""
    port = _free_port(host)
    work.mkdir()
    user = "user root;" if os.getuid() == 0 else ""
    settings = work / "nginx.conf"
    settings.write_text(
        f"""{user} daemon off; worker_processes 1; pid {work}/pid; error_log {work}/error.log;
        events {{ worker_connections 64; }}
        http {{
            access_log off; sendfile on; tcp_nopush on;
            client_body_temp_path {work}; proxy_temp_path {work}; fastcgi_temp_path {work}; uwsgi_temp_path {work}; scgi_temp_path {work};
            server {{
                listen {host}:{port} ssl; root {folder}; ssl_protocols TLSv1.2 TLSv1.3;
                ssl_certificate {certificate}; ssl_certificate_key {key};
            }}
        }}"""
    )
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or "nginx"
    with _running([program, "-p", str(work), "-e", str(work / "error.log"), "-c", str(settings)], port, host):
        yield f"https://{host}:{port}"


@contextlib.contextmanager
def gridftp_pair(work: Path, *, folder: Path) -> Iterator[tuple[str, str]]:
    """Two cleartext GridFTP servers on loopback that may read and write below `folder`; yields their addresses."""
    work.mkdir()
    with contextlib.ExitStack() as running:
        addresses = []
        for name in ("source", "target"):
            port = _free_port()
            settings = work / f"{name}.conf"
            settings.write_text(
                f"port {port}\ncontrol_interface {HOST}\ndata_interface {HOST}\nallow_anonymous 1\nauth_level 0\nuse_home_dirs 0\n"
                f"anonymous_user root\nrestrict_paths RW{folder}\nlog_single {work}/{name}.log\nlog_level ERROR\n"
            )
            running.enter_context(_running(["globus-gridftp-server", "-c", str(settings)], port))
            addresses.append(f"ftp://{HOST}:{port}")
        yield addresses[0], addresses[1]


@contextlib.contextmanager
def _running(command: list[str], port: int, host: str = HOST) -> Iterator[None]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _wait_for(host, port, process)
        yield
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stderr:
            process.stderr.close()


def _wait_for(host: str, port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
            return
        time.sleep(0.02)
    said = process.stderr.read(500).decode(errors="replace") if process.poll() is not None and process.stderr else ""
    raise BenchError(f"a rival did not start: {said}")


def _free_port(host: str = HOST) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
