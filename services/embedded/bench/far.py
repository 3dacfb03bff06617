"""What is measured over a path between namespaces: run inside the near one by `network.py`; prints the seconds of each run as JSON.

`copy` is a verified task from the far node to the near one, `get` a download by curl from the far node, on one connection.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from services.embedded.bench import rivals
from services.embedded.bench.netns import FAR, NEAR, Pair
from services.embedded.bench.site import BenchError, Far, site_at
from services.embedded.bench.transfer import write_file

MIB = 1 << 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="far")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--namespaces", nargs=2, required=True, metavar=("NEAR", "FAR"))
    parser.add_argument("--what", choices=("copy", "get"), required=True)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--mib", type=int, required=True)
    parser.add_argument("--runs", type=int, required=True)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)
    pair = Pair(*asked.namespaces)
    try:
        with site_at(asked.folder, far=Far(pair.in_far(), FAR, NEAR), workers=asked.workers) as site:
            file = site.archive_root / "data/bench/large"
            write_file(file, asked.mib * MIB)
            token = site.https_token() if asked.what == "get" else ""
            for _ in range(asked.runs):
                os.utime(file)
                if asked.what == "get":
                    seconds = rivals.download(site.file_url("large"), ca_file=site.ca_file, token=token)
                else:
                    seconds = site.copy("large", is_folder=False, timeout_s=1800)
                    (site.campus_root / "home/ada/large").unlink()
                print(json.dumps(seconds), flush=True)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def stop(_number: int, _frame: object) -> None:
    """Let the programs that were started end before this one."""
    raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(main())
