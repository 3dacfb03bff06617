"""Searches, deep pages and pages of datasets, over HTTP, with the access filter always on."""

import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext

from datasets import search
from datasets.models import Dataset
from datasets.search import counting, matching, paging, places
from datasets.search.query import SearchQuery
from services.embedded.bench.rows import Row, alone, figure, noted, skipped
from tests.bench import rendering, rivals
from tests.bench.loading import load_datasets
from tests.bench.site import HOST, Site
from tests.bench.synthesis import SHARES, mixed_words

RARE = 0.05
TOP = 20
DEEP = 0.9


def measure(site: Site, folder: Path, *, n_datasets: int, n_queries: int, framework: str) -> Iterator[Row]:
    began = time.perf_counter()
    load_datasets(n_datasets, told=lambda n: print(f"\r{n:,} datasets loaded", end="", file=sys.stderr))
    print(f" in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    places.keep()  # as the sweep does
    size = f"{n_datasets:,} datasets"
    with httpx.Client(base_url=site.url, trust_env=False, timeout=120) as client:
        yield from first_search(client, site, size)
        words = mixed_words(n_queries)
        shares = {word: share_of(word, n_datasets) for word in dict.fromkeys([*words, *SHARES])}
        yield from searches(client, words, shares, size, is_large=n_datasets > 300_000)
        yield from against_datasette(client, folder, words, n_datasets)
        yield floor(client, folder, words, n_datasets)
        yield agreement(size)
        yield deep_page(client, n_datasets, size)
        yield from dataset_page(client, size)
        yield rendering.catalogue_page(folder, framework)


def share_of(words: str, n_datasets: int) -> float:
    return matching_total(words) / n_datasets


def matching_total(words: str) -> int:
    query = SearchQuery.from_parameters(QueryDict(f"q={words}"))
    return len(counting.find(matching.match(query, AnonymousUser())).hits)


def first_search(client: httpx.Client, site: Site, size: str) -> Iterator[Row]:
    """What a process that starts reads into its memory, and how long that takes."""
    before = memory_of(site.pid)
    seconds = ask(client, "")
    more = memory_of(site.pid) - before
    yield alone(f"first search of a process, {size}", [1000 * seconds], unit="ms", goal="none", note="reads the sets")
    yield alone(f"memory of a web process after its first search, {size}", [more / 1e6], unit="MB", goal="none", note="more than before")


def memory_of(pid: int) -> int:
    """Bytes of a web server with its processes."""
    server = psutil.Process(pid)
    return sum(int(one.memory_info().rss) for one in [server, *server.children(recursive=True)])


def searches(client: httpx.Client, words: Sequence[str], shares: dict[str, float], size: str, *, is_large: bool) -> Iterator[Row]:
    """Exact total, 20 rows, exact counts of all facets."""
    for one in words[:3]:
        ask(client, one)
    rare = [one for one in words if shares[one] <= RARE]
    if is_large:
        yield limit(f"search, words in <= 5 % of {size}", [ask(client, one) for one in rare], 0.300)
        yield limit(f"search, any words of {size}", [ask(client, one) for one in [*words, *SHARES]], 1.0)
    else:
        yield limit(f"search, mixed words, {size}", [ask(client, one) for one in words], 0.060)
    yield alone(f"search, nothing typed, {size}", [1000 * ask(client, "") for _ in range(20)], unit="ms", goal="none", note="p50")


def against_datasette(client: httpx.Client, folder: Path, words: Sequence[str], n_datasets: int) -> Iterator[Row]:
    """The same searches in turn, in total time: all values of the facets, and for the rival alone one value a dataset."""
    name, goal = f"the same searches, {n_datasets:,} datasets", ">=10" if n_datasets > 300_000 else ">=20"
    if not rivals.has_datasette():
        yield skipped(name, "datasette is not on the PATH", goal=goal, unit="searches/s")
        return
    path = folder / f"datasette-{n_datasets}.db"
    if not path.exists():
        path.with_suffix(".part").unlink(missing_ok=True)  # of a run that was interrupted
        rivals.fill_datasette(path.with_suffix(".part"), n_datasets)
        path.with_suffix(".part").rename(path)
    with rivals.datasette(path) as url, httpx.Client(trust_env=False, timeout=1800) as other:
        n_slow = 2 if n_datasets > 300_000 else 5
        for what, some in (("one value a dataset counted by the rival", words[:40]), ("all values counted by both", words[:n_slow])):
            has_all_values = what.startswith("all")
            seconds: tuple[list[float], list[float]] = ([], [])
            for one in some:
                seconds[0].append(ask(client, one))
                seconds[1].append(fetch(other, url, rivals.asked(one, has_all_values=has_all_values)))
            ours, theirs = (len(some) / sum(each) for each in seconds)
            aim = goal if has_all_values else "none"  # what counts less is not the same
            yield Row(
                f"{name}: {what}", figure(ours), figure(theirs), figure(ours / theirs), aim, "searches/s", len(some), noted("Datasette")
            )


def floor(client: httpx.Client, folder: Path, words: Sequence[str], n_datasets: int) -> Row:
    """The same words in an embedded engine: total and 20 rows, without facets, access filter, server and HTTP."""
    name = f"the floor of an embedded engine beside it, {n_datasets:,} datasets"
    program = rivals.python_with_tantivy()
    if not program:
        return skipped(name, "neither this Python nor the one on the PATH has tantivy", goal="none", unit="searches/s")
    with rivals.tantivy(program, folder / f"tantivy-{n_datasets}", n_datasets) as search_floor:
        ours, theirs = (len(words) / sum(each) for each in zip(*((ask(client, one), search_floor(one)[1]) for one in words), strict=True))
    note = noted("Tantivy in its own process: total and 20 titles, no facets, no HTTP")
    return Row(name, figure(ours), figure(theirs), figure(ours / theirs), "none", "searches/s", len(words), note)


def agreement(size: str) -> Row:
    """Of the true best 20 by rank, how many stand in our first 20, for words with more hits than are ranked."""
    shares = []
    for word in SHARES:
        if matching_total(word) <= paging.MOST_RANKED:
            continue
        ours = [
            str(hit.dataset.pk) for hit in search.search(SearchQuery.from_parameters(QueryDict(f"q={word}")), user=AnonymousUser()).hits
        ]
        with connection.cursor() as cursor:
            cursor.execute(
                "select (ts_rank(search_vector, q) * 1000000)::int as rank, dataset_id::text"
                " from datasets_searchentry, to_tsquery('causeway', %s) q"
                " where search_vector @@ q order by rank desc, dataset_id desc",
                [word],
            )
            ranked = cursor.fetchall()
        worst = ranked[TOP - 1][0]
        best = {name for rank, name in ranked if rank >= worst}  # equally good ones are as good
        shares.append(sum(name in best for name in ours) / TOP)
    if not shares:
        return skipped(f"agreement with the true best {TOP}, {size}", "all hits are ranked", goal="none", unit="share")
    return alone(f"agreement with the true best {TOP}, {size}", shares, unit="share", goal="none", note="median of common words")


def deep_page(client: httpx.Client, n_datasets: int, size: str) -> Row:
    at = int(n_datasets * DEEP)
    query = SearchQuery.from_parameters(QueryDict("sort=newest"))
    row = Dataset.objects.filter(published_at__isnull=False).order_by("-listed_at", "-id").values_list("listed_at", "id")[at]
    deep = query.url(with_cursor=query.cursor_after(row[0], row[1]))
    times: dict[str, list[float]] = {"?sort=newest": [], deep: []}
    for _ in range(20):
        for address, seconds in times.items():
            seconds.append(fetch(client, f"/api/v1/datasets{address}"))
    first, last = (1000 * statistics.median(seconds) for seconds in times.values())
    note = noted("ratio: deep over first")
    return Row(f"page at depth {at:,}, {size}", figure(last), figure(first), figure(last / first), "<=2", "ms", 20, note)


def dataset_page(client: httpx.Client, size: str) -> Iterator[Row]:
    slugs = list(Dataset.objects.order_by("id").values_list("slug", flat=True)[:50])
    fetch(client, f"/datasets/{slugs[0]}/")
    seconds = [fetch(client, f"/datasets/{slug}/") for slug in slugs]
    yield limit(f"dataset page, {size}", seconds, 0.050)
    with CaptureQueriesContext(connection) as seen:
        assert Client().get(f"/datasets/{slugs[0]}/", SERVER_NAME=HOST).status_code == 200
    yield Row(f"dataset page, {size}", len(seen), 12, figure(len(seen) / 12), "<=1", "statements", 1, noted())


def ask(client: httpx.Client, words: str) -> float:
    """Seconds of one search."""
    return fetch(client, "/api/v1/datasets", {"q": words} if words else None)


def fetch(client: httpx.Client, address: str, parameters: Mapping[str, Any] | None = None) -> float:
    """Seconds until the whole answer is there. Raises httpx.HTTPStatusError for anything but success."""
    return timed(lambda: client.get(address, params=parameters).raise_for_status())


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def limit(name: str, seconds: Sequence[float], goal_s: float) -> Row:
    """The slowest of a hundred against the longest that it may take."""
    p99 = sorted(seconds)[math.ceil(0.99 * len(seconds)) - 1]
    note = noted(f"p50 {1000 * statistics.median(seconds):.3g} ms, goal {1000 * goal_s:.0f} ms")
    return Row(f"{name}: p99", figure(1000 * p99), figure(1000 * goal_s), figure(p99 / goal_s), "<=1", "ms", len(seconds), note)
