"""The command behind script/bench."""

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from services.embedded.bench.site import BenchError
from services.embedded.bench.transfer import MIB, TransferBench

MEMORY = Path("/dev/shm")  # noqa: S108  # a disk that does not limit; the folder in it is made by mkdtemp
GIB = 1 << 30
ROOM = 2.5  # source, copy, and something to spare


class StoppedError(Exception):
    """Somebody asked us to stop."""


def main() -> int:
    asked = read_arguments()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, stop)
    size_bytes, n_files, runs = (64 * MIB, 500, 1) if asked.quick else (GIB, 10_000, 5)
    above = asked.data or (MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir()))
    if shutil.disk_usage(above).free < ROOM * size_bytes + (n_files + asked.many) * 10_240:
        print(f"script/bench: {above} has not enough room; choose another with --data", file=sys.stderr)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="causeway-bench-", dir=above))
    try:
        bench = TransferBench(folder, size_bytes=size_bytes, n_files=n_files, runs=asked.runs or runs, n_many=asked.many)
        for row in bench.rows(only=asked.only):
            row.print()
    except StoppedError:
        return 130
    except BenchError as error:
        print(f"script/bench: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/bench", description="Measure; one JSON object a line.")
    benches = parser.add_subparsers(required=True, metavar="BENCH")
    transfer = benches.add_parser("transfer", help="copies and downloads of data transfer nodes")
    transfer.add_argument("--quick", action="store_true", help="64 MiB, 500 files, one run")
    transfer.add_argument("--data", type=Path, help="folder for temporary data, on the disk to be measured (default /dev/shm)")
    transfer.add_argument(
        "--only", default="", metavar="WORD", help="large, small, many, gridftp, https, at_rest, through_control or network"
    )
    transfer.add_argument("--many", type=int, default=0, metavar="N", help="also one task of N small files (a million: 10 GiB)")
    transfer.add_argument("--million", action="store_const", dest="many", const=1_000_000, help="--many 1000000, which takes minutes")
    transfer.add_argument("--runs", type=int, help="runs of which the median is told (default 5)")
    return parser.parse_args()


def stop(_number: int, _frame: object) -> None:
    raise StoppedError


if __name__ == "__main__":
    sys.exit(main())
