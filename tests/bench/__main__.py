"""The command behind `script/bench catalogue` and `script/bench files`."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.bench.site import running


def main() -> int:
    asked = read_arguments()
    folder = asked.data or Path(tempfile.mkdtemp(prefix="causeway-bench-"))
    try:
        with running(folder) as site:
            if asked.bench == "catalogue":
                from tests.bench import catalogue  # Django's models, which need the settings of the running site

                rows = catalogue.measure(site, folder, n_datasets=asked.datasets, n_queries=asked.queries, framework=asked.framework)
            else:
                from tests.bench import files

                rows = files.measure(site, n_files=asked.files)
            for row in rows:
                row.print()
    finally:
        if not asked.data:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/bench", description="Measure; one JSON object a line.")
    benches = parser.add_subparsers(required=True, metavar="BENCH", dest="bench")
    catalogue = benches.add_parser("catalogue", help="searches and pages of a large catalogue")
    catalogue.add_argument("--datasets", type=int, default=100_000, metavar="N", help="how many (default 100,000)")
    catalogue.add_argument("--queries", type=int, default=200, metavar="N", help="searches of mixed words (default 200)")
    catalogue.add_argument("--framework", default="", metavar="PYTHON", help="interpreter that has django-globus-portal-framework")
    files = benches.add_parser("files", help="folders, ingest, manifest, versions and items of a dataset with very many files")
    files.add_argument("--files", type=int, default=2_000_000, metavar="N", help="how many (default 2,000,000; more lie in other datasets)")
    for bench in (catalogue, files):
        bench.add_argument("--data", type=Path, help="folder that is kept, with what was loaded (default: one that is removed)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
