"""`python -m services.dtn`: register at control, then serve. Prints `ready` once files can be asked for."""

import argparse
import fcntl
import gc
import logging
import sys
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from services.dtn.app import JsonLines
from services.dtn.certificates import Credentials
from services.dtn.gridftp_site import SiteError, read_site
from services.dtn.node import Settings
from services.dtn.running import listen_on, serve
from services.dtn.s3_accounts import AccountsError, read_accounts

YOUNG_OBJECTS = 20_000  # made before garbage is looked for; with 700, a copy of many files spends a twentieth of its time on that


def read_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.dtn", description="Serve a data host's files and pull copies to it.")
    parser.add_argument("--name", required=True, help="the node's name at control")
    parser.add_argument("--data", required=True, type=Path, help="the folder that collections live in")
    parser.add_argument("--url", required=True, help="https address that this node is reached at, and binds")
    parser.add_argument("--control", required=True, help="address of control")
    parser.add_argument("--secret-file", required=True, type=Path, help="holds the secret shared with control")
    parser.add_argument("--state", type=Path, help="journals and connections.jsonl (default: the data folder's name with .state)")
    parser.add_argument("--bind", help="host:port to bind when it is not that of --url")
    parser.add_argument("--data-port", type=int, default=0, help="port that other nodes fetch bytes from (default: any free one)")
    parser.add_argument("--tls-certificate", type=Path, help="an own certificate chain (PEM), instead of one from control's CA")
    parser.add_argument("--tls-key", type=Path, help="its key (PEM)")
    parser.add_argument("--control-ca", type=Path, help="trust this CA for an https control")
    parser.add_argument("--s3-accounts", type=Path, help="TOML with [[account]] tables for buckets, mode 0600 (default: AWS_* variables)")
    parser.add_argument("--gridftp-site", type=Path, help="TOML that names the site's own GridFTP server (default: start servers)")
    parser.add_argument("--hard-links", action="store_true", help="read files with other hard links, which may lie outside a collection")
    parser.add_argument("--workers", type=int, default=8, help="connections that one copy uses at most")
    parser.add_argument("--near-streams", type=int, default=1, help="of those, for one large file of a near source: more need processors")
    parser.add_argument("--name-peers", action="store_true", help="look up the process of each peer on this machine")
    parser.add_argument("--faults", action="store_true", help="open the fault switch (tests only)")
    asked = parser.parse_args(arguments)
    if (asked.tls_certificate is None) != (asked.tls_key is None):
        parser.error("--tls-certificate and --tls-key go together")
    return asked


def main(arguments: list[str] | None = None) -> int:
    asked = read_arguments(arguments)
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[stream])
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        accounts = read_accounts(asked.s3_accounts)
        site = read_site(asked.gridftp_site, data=asked.data.resolve())
    except (AccountsError, SiteError) as error:
        sys.exit(f"dtn: {error}")
    state = asked.state or asked.data.with_name(asked.data.name + ".state")
    state.mkdir(parents=True, exist_ok=True)
    asked.data.mkdir(parents=True, exist_ok=True)
    if state.resolve().is_relative_to(asked.data.resolve()):
        sys.exit("dtn: the state folder must not be inside the data folder")
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"dtn: another node works on {state}")
        settings = Settings(
            name=asked.name, data=asked.data.resolve(), state=state.resolve(), url=asked.url.rstrip("/"), control_url=asked.control,
            secret=asked.secret_file.read_text(encoding="utf-8").strip(), names_peers=asked.name_peers, has_faults=asked.faults,
            has_hard_links=asked.hard_links,
            workers=asked.workers, near_streams=asked.near_streams, control_ca=asked.control_ca, accounts=tuple(accounts), gridftp=site,
        )  # fmt: skip
        credentials = Credentials(state, certificate=asked.tls_certificate, key=asked.tls_key)
        credentials.make_key()
        bind = asked.bind or urlsplit(asked.url).netloc
        gc.freeze()  # what the program is made of need not be looked through again
        gc.set_threshold(YOUNG_OBJECTS)
        return uvloop.run(serve(settings, credentials, listen_on(bind), data_port=asked.data_port))


if __name__ == "__main__":
    sys.exit(main())
