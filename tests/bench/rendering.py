"""The catalogue page with its results ready, beside the search page of django-globus-portal-framework with the same rows and labels."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from django.contrib.auth.models import AnonymousUser
from django.http import QueryDict
from django.test import Client

from datasets import search
from datasets.search.query import SearchQuery
from services.embedded.bench.rows import Row, compared, skipped
from tests.bench.site import HOST

NAME, GOAL, UNIT = "catalogue page of 20 with 80 facet labels, results ready in both", ">=4", "pages/s of CPU"
FRAMEWORK = Path(__file__).with_name("portal_framework.py")
N_PAGES, RUNS = 100, 9
N_FACETS, N_VALUES = 8, 10
ADDRESS = "/datasets/?q=temperature"


def catalogue_page(folder: Path, python: str) -> Row:
    """Pages by Django's test client in both, in turn; CPU time, which does not heed what else the machine does."""
    if not has_framework(python):
        return skipped(NAME, "django-globus-portal-framework is not installed (--framework PYTHON names who has it)", goal=GOAL, unit=UNIT)
    results = ready_results()
    with framework(folder, python, results) as rival, patch("datasets.pages.search.search", lambda *_, **__: results):
        client = Client()
        page = client.get(ADDRESS, SERVER_NAME=HOST).content.decode()
        assert page.count('name="dataset"') == len(results.hits), page[:500]
        assert sum(page.count(f'name="{name}" value') for name in results.facets) == N_FACETS * N_VALUES

        def ours() -> float:
            began = time.process_time()
            for _ in range(N_PAGES):
                client.get(ADDRESS, SERVER_NAME=HOST)
            return time.process_time() - began

        ours(), rival()  # the first ones load templates
        note = "through Django's test client"
        return compared(NAME, ours=ours, against=rival, amount=N_PAGES, unit=UNIT, goal=GOAL, runs=RUNS, note=note)


def has_framework(python: str) -> bool:
    tried = [python, "-c", "import globus_portal_framework"]
    return bool(shutil.which(python)) and subprocess.run(tried, check=False, capture_output=True).returncode == 0


def ready_results() -> search.Results:
    """What a search found, with as many values of as many facets as the page is measured with."""
    query = SearchQuery.from_parameters(QueryDict(ADDRESS.partition("?")[2]))
    found = search.search(query, user=AnonymousUser())
    names = [name for name in found.facets if name != "availability"][:N_FACETS]

    def values_of(name: str) -> list[search.FacetValue]:
        return [search.FacetValue(f"{name} {at}", f"The {name} {at}", 9_000 - at, is_chosen=at == 0) for at in range(N_VALUES)]

    return replace(found, facets={name: values_of(name) if name in names else [] for name in found.facets})


@contextmanager
def framework(folder: Path, python: str, results: search.Results) -> Iterator[Callable[[], float]]:
    """A call makes as many pages of the rival and answers the seconds of CPU time."""
    ready = folder / "ready.json"
    rows = [
        {
            "title": hit.dataset.title,
            "abstract": hit.excerpt,
            "creators": hit.dataset.creator_names,
            "formats": hit.dataset.format_facet,
            "size": hit.dataset.size_bytes,
        }
        for hit in results.hits
    ]
    answer = {
        "gmeta": [{"subject": hit.dataset.slug, "entries": [{"content": row}]} for hit, row in zip(results.hits, rows, strict=True)],
        "facet_results": [
            {"name": name, "buckets": [{"value": one.words, "count": one.count} for one in values]}
            for name, values in results.facets.items()
            if values
        ],
        "total": results.total,
        "count": len(rows),
        "offset": 0,
    }
    ready.write_text(json.dumps(answer))
    with subprocess.Popen([python, str(FRAMEWORK), str(ready)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        stdin, stdout = process.stdin, process.stdout
        told = json.loads(stdout.readline())
        assert (told["rows"], told["labels"]) == (len(rows), N_FACETS * N_VALUES), told

        def call() -> float:
            stdin.write(f"{N_PAGES}\n")
            stdin.flush()
            return float(stdout.readline())

        yield call
        stdin.close()
