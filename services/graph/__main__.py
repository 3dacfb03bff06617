"""`python -m services.graph` serves; `python -m services.graph worker` works. Both on the same `--data` folder."""

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from services.graph.app import make_app
from services.graph.service import Service
from services.graph.settings import SettingsError
from services.graph.worker import run_worker


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        line = {"time": moment, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def read_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.graph", description=__doc__)
    parser.add_argument("role", nargs="?", choices=["web", "worker"], default="web")
    parser.add_argument("--data", type=Path, required=True, help="folder of the job store, the key of kept tokens and the cache")
    parser.add_argument("--host", default="127.0.0.5")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--concurrency", type=int, default=1, help="processes of the worker")
    return parser.parse_args(arguments)


def main() -> int:
    """Read arguments and environment, then run one of the two processes."""
    options = read_arguments()
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in ("httpx", "httpcore", "globus_sdk", "matplotlib"):
        logging.getLogger(name).setLevel(logging.WARNING)
    options.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ.setdefault("MPLCONFIGDIR", str(options.data / "matplotlib"))
    try:
        service = Service.from_environment(options.data)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if options.role == "worker":
        run_worker(service, concurrency=options.concurrency)
        return 0
    config = uvicorn.Config(make_app(service), host=options.host, port=options.port, log_config=None, access_log=False, ws="none")
    uvicorn.Server(config).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
