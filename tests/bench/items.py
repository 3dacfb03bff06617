"""Filters within a dataset of very many items, each of one file, through the product's own verbs."""

import datetime as dt
import functools
import random
import statistics
import uuid
from collections.abc import Iterator

from django.db import connection

from datasets import items
from datasets.curation import publishing, registering
from datasets.items import loading, schema
from datasets.items.filters import ItemFilter
from datasets.models import Version
from datasets.scans import ingesting
from datasets.scans.listing import Entry
from portal.models import User
from services.embedded.bench.rows import Row, figure, noted
from tests.bench.catalogue import timed

COLLECTION = uuid.UUID("7d5a4f1e-0000-4000-8000-000000000002")
IN_A_FOLDER = 1_000
COLUMNS = [
    {"name": "started", "kind": "time"},
    {"name": "depth", "kind": "number", "unit": "m"},
    {"name": "temperature", "kind": "number", "unit": "degC"},
    {"name": "instrument", "kind": "choice", "choices": "CTD, XBT, float, glider"},
    {"name": "comment", "kind": "text"},
]
WORDS = (["calm"] * 40) + (["rough"] * 30) + (["ice", "fog", "swell"] * 10)
FIRST = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)
RUNS = 15
FILTERS: dict[str, dict[str, object]] = {
    "nothing": {},
    "one word of two fifths of them": {"words": "calm"},
    "one word of twenty of them": {"words": "kraken"},
    "a number between, a six hundredth of them": {"columns": {"temperature": {"from": "10", "to": "10.05"}}},
    "a number between, few of them": {"columns": {"temperature": {"from": "10", "to": "10.0001"}}},
    "a year, which stands together far back": {"columns": {"started": {"from": "2017-01-01", "to": "2017-12-31"}}},
    "a choice": {"columns": {"instrument": {"is": ["float"]}}},
    "a choice and two bounds": {
        "columns": {"instrument": {"is": ["glider"]}, "depth": {"from": "1000", "to": "2000"}, "temperature": {"from": "3", "to": "5"}}
    },
    "a word and two bounds": {
        "words": "fog",
        "columns": {"depth": {"from": "100", "to": "110"}, "temperature": {"from": "10", "to": "10.5"}},
    },
    "a word and a year": {"words": "swell", "columns": {"started": {"from": "2017-01-01", "to": "2017-12-31"}}},
}


def measure(user: User, n_items: int) -> Iterator[Row]:
    """The first page of fifty of what fits, with its count, one row for each kind of filter; the worst last."""
    version, seconds = load(n_items, user)
    yield Row(f"loading {n_items:,} items", figure(n_items / seconds), None, None, "none", "items/s", 1, noted("a table with a file each"))
    worst = 0.0
    for name, stored in FILTERS.items():
        asked = ItemFilter.read(stored)
        found = items.list_items(version, asked)
        times = sorted(timed(functools.partial(items.list_items, version, asked)) for _ in range(RUNS))
        median = statistics.median(times)
        worst = max(worst, median)
        many = f"{found.n_items:,}{' and more' if found.is_more else ''} fit; slowest of {RUNS} {1000 * times[-1]:.3g} ms"
        yield Row(f"items of {n_items:,}: {name}", figure(1000 * median), 100.0, figure(median / 0.1), "<=1", "ms", RUNS, noted(many))
    yield Row(f"items of {n_items:,}: the worst filter", figure(1000 * worst), 100.0, figure(worst / 0.1), "<=1", "ms", RUNS, noted())


def load(n_items: int, user: User) -> tuple[Version, float]:
    """A published dataset with so many items, and the seconds that the items took."""
    slug = f"items-{uuid.uuid4().hex[:6]}"
    version = registering.register(user=user, slug=slug, title=f"Of {n_items} items", abstract="Made up.")
    base = f"/{slug}/"
    registering.place(version, user=user, collection_id=COLLECTION, base_path=base)

    def list_folder(path: str) -> Iterator[Entry]:
        if path == base:
            return (Entry(f"{at:05}", is_folder=True) for at in range(-(-n_items // IN_A_FOLDER)))
        first = int(path.removeprefix(base).strip("/")) * IN_A_FOLDER
        last = min(first + IN_A_FOLDER, n_items)
        return (Entry(f"cast-{at:07}.nc", is_folder=False, size_bytes=at, modified_at=FIRST) for at in range(first, last))

    ingesting.scan(version, list_folder, user=user)
    schema.define_columns(version, schema.read_columns(COLUMNS), user=user)
    seconds = timed(lambda: loading.load(version, table(n_items), user=user, is_dry_run=False, most_rows=None))
    with connection.cursor() as cursor:
        cursor.execute(
            "update datasets_file set sha256 = sha256(name::bytea), inspected_at = now() where folder_id in"
            " (select id from datasets_folder where dataset_id = %s)",
            [version.dataset_id],
        )
        cursor.execute("vacuum analyze")
    publishing.publish(Version.objects.get(pk=version.pk), user=user)
    return Version.objects.select_related("dataset").get(pk=version.pk), seconds


def table(n_items: int, *, seed: int = 1) -> Iterator[str]:
    """The same table each time: in order of time, with depths and temperatures anywhere."""
    draw = random.Random(seed)
    yield "item,files,started,depth,temperature,instrument,comment\n"
    step = dt.timedelta(days=365.25 * 30) / n_items
    for at in range(n_items):
        comment = "kraken" if at % (n_items // 20) == n_items // 40 else f"{draw.choice(WORDS)} sea"
        depth, temperature = draw.uniform(0, 5_000), draw.uniform(-2, 28)
        instrument = draw.choice(("CTD", "XBT", "float", "glider"))
        path = f"/{at // IN_A_FOLDER:05}/cast-{at:07}.nc"
        started = (FIRST + step * at).isoformat(timespec="minutes").replace("+00:00", "Z")
        yield f"cast-{at:07},{path},{started},{depth:.2f},{temperature:.5f},{instrument},{comment}\n"
