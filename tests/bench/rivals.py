"""Datasette over SQLite's full-text search, and Tantivy (`floor`), with the same rows. Absent, their rows are skipped by name.

Datasette is asked twice: for the counts of all values as we give them (`_facet_array`), and for those of one value a dataset, in a column
with an index, which is less than what we do.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from services.embedded.addresses import free_port
from tests.bench.synthesis import describe

MANY = ("subjects", "variables", "formats", "decades")
FACETS = ("subject", "variable", "format", "decade", "licence", "access")
SLOW_MS = 600_000


def has_datasette() -> bool:
    return shutil.which("datasette") is not None


def fill_datasette(path: Path, n_datasets: int) -> None:
    """The same descriptions in SQLite: a table, and FTS5 over title and abstract."""
    with sqlite3.connect(path) as database:
        database.execute(
            "create table dataset (id integer primary key, title, abstract, subject, variable, format, decade, licence, access,"
            " subjects, variables, formats, decades)"
        )
        database.executemany(
            "insert into dataset (title, abstract, subject, variable, format, decade, licence, access,"
            " subjects, variables, formats, decades) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    one.title,
                    one.abstract,
                    *(values[0] for values in (one.subjects, one.variables, one.formats)),
                    one.start.year // 10 * 10,
                    one.licence,
                    one.access,
                    *(json.dumps(values) for values in (one.subjects, one.variables, one.formats)),
                    json.dumps(list(range(one.start.year // 10 * 10, one.end.year + 1, 10))),
                )
                for one in describe(n_datasets)
            ),
        )
        database.execute(
            "create virtual table dataset_fts using fts5 (title, abstract, content='dataset', content_rowid='id', tokenize='porter')"
        )
        database.execute("insert into dataset_fts (rowid, title, abstract) select id, title, abstract from dataset")
        for name in FACETS:
            database.execute(f"create index dataset_{name} on dataset ({name})")
    database.close()


@contextmanager
def datasette(path: Path) -> Iterator[str]:
    """The address of a running Datasette; its limits of time are raised, for it would give up."""
    port = free_port()
    settings = {"sql_time_limit_ms": SLOW_MS, "facet_time_limit_ms": SLOW_MS, "facet_suggest_time_limit_ms": 1, "suggest_facets": 0}
    options = [word for name, value in settings.items() for word in ("--setting", name, str(value))]
    process = subprocess.Popen(
        ["datasette", str(path), "--port", str(port), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}/{path.stem}/dataset.json"
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                httpx.get(url, params={"_size": 1}, trust_env=False, timeout=60)
                break
            except httpx.TransportError:
                time.sleep(0.2)  # polled until the deadline: there is no event to wait for
        else:
            message = "datasette does not answer"
            raise SystemExit(message)
        yield url
    finally:
        process.terminate()
        process.wait()


def asked(words: str, *, has_all_values: bool) -> dict[str, object]:
    """The parameters of the same search: total, 20 rows, counts of six facets."""
    counted = {"_facet": ["licence", "access"], "_facet_array": list(MANY)} if has_all_values else {"_facet": list(FACETS)}
    return {"_search": words, "_size": 20, "_facet_size": 40, **counted}


def python_with_tantivy() -> str:
    """A Python that has Tantivy: this one, or the one on the PATH; empty where neither has."""
    for program in (sys.executable, shutil.which("python3")):
        if program and not subprocess.run([program, "-c", "import tantivy"], capture_output=True, check=False).returncode:
            return program
    return ""


@contextmanager
def tantivy(program: str, folder: Path, n_datasets: int) -> Iterator[Callable[[str], tuple[int, float]]]:
    """Searches words in Tantivy: how many it finds, and the seconds until they and the best 20 are there."""
    shutil.rmtree(folder.with_suffix(".part"), ignore_errors=True)
    process = subprocess.Popen(
        [program, "-m", "tests.bench.floor", str(folder), str(n_datasets)],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "PYTHONPATH": "."},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    asked, told = process.stdin, process.stdout

    def search(words: str) -> tuple[int, float]:
        print(words, file=asked, flush=True)
        n_found, _, seconds = told.readline().split()
        return int(n_found), float(seconds)

    try:
        if told.readline().strip() != "ready":
            message = "tantivy does not answer"
            raise SystemExit(message)
        yield search
    finally:
        asked.close()
        process.wait()
