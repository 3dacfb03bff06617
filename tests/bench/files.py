"""Folders, ingest, manifest and versions of a dataset with very many files, through the product's own verbs."""

import io
import math
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from django.db import connection
from django.utils import timezone

from datasets import files
from datasets.curation import deleting, publishing, registering
from datasets.files import differences
from datasets.models import Dataset, File, Folder, ScanRun, Version
from datasets.scans import ingesting, merging
from datasets.scans.listing import Chunk, Entry, walk
from datasets.scans.staging import Staging
from datasets.states import SCAN_WORKING
from portal.models import RoleGrant, User
from services.embedded.bench.rows import Row, figure, noted
from tests.bench import items
from tests.bench.catalogue import fetch, timed
from tests.bench.site import Site

COLLECTION = uuid.UUID("7d5a4f1e-0000-4000-8000-000000000002")
FLAT_SHARE, PER_FOLDER, FAN = 0.1, 36, 37  # a tenth lies in one folder, the others in fifty thousand
WRITTEN, SECOND = datetime(2026, 1, 1, tzinfo=UTC), timedelta(seconds=1)
N_CHANGED = 1_000
FEW, MANY, LARGE = 10_000, 1_000_000, 2_000_000
CHANGE = """
    with changed as (
        update datasets_file set last_version = 1 where id in (
            select fi.id from datasets_file fi join datasets_folder f on f.id = fi.folder_id
            where f.dataset_id = %(dataset)s order by fi.id desc limit %(n)s
        ) returning *
    )
    insert into datasets_file (folder_id, name, first_version, size_bytes, sha256, modified_at, format, collection_path, inspected_at,
        inspection_error)
    select folder_id, name, 2, size_bytes + 1, sha256(sha256), modified_at, format, '', inspected_at, '' from changed
"""
N_ROWS, N_BULK = 1_000_000, 100_000
ROW = """folder_id bigint, name text collate "C", first_version int, last_version int, size_bytes bigint, sha256 bytea,
    modified_at timestamptz, format varchar(40), collection_path text, inspected_at timestamptz, inspection_error text"""
ROW_LINE = "{folder}\t{name}\t1\t\\N\t{size}\t\\N\t2026-01-01T00:00:00+00:00\tNetCDF\t\t\\N\t\n"
NARROW = "folder_id bigint, name text, first_version int, size_bytes bigint, modified_at timestamptz"
NARROW_LINE = "{folder}\t{name}\t1\t{size}\t2026-01-01\n"


class Tree:
    """A file system that is made up: `/flat/` with a tenth of the files, and folders three deep with the others."""

    def __init__(self, base: str, n_files: int) -> None:
        self.base = base
        self.n_flat = int(n_files * FLAT_SHARE)
        self.n_leaves = math.ceil((n_files - self.n_flat) / PER_FOLDER)
        self.n_inner = math.ceil(self.n_leaves / FAN)
        self.n_upper = math.ceil(self.n_inner / FAN)

    def list_folder(self, path: str) -> Iterator[Entry]:
        parts = path.removeprefix(self.base).strip("/").split("/")
        if parts == [""]:
            yield Entry("flat", is_folder=True)
            yield from (Entry(f"d{at:05}", is_folder=True) for at in range(self.n_upper))
        elif parts == ["flat"]:
            yield from (_file(f"f{at:07}.nc", at) for at in range(self.n_flat))
        elif len(parts) < 3:
            most = self.n_inner if len(parts) == 1 else self.n_leaves
            first = int(parts[-1][1:]) * FAN
            yield from (Entry(f"d{at:05}", is_folder=True) for at in range(first, min(first + FAN, most)))
        else:
            yield from (_file(f"f{at:02}.nc", at) for at in range(PER_FOLDER))


def _file(name: str, at: int) -> Entry:
    return Entry(name, is_folder=False, size_bytes=at % 10**6, modified_at=WRITTEN + at * SECOND)


def measure(site: Site, *, n_files: int) -> Iterator[Row]:
    user = make_steward()
    load_others(n_files - LARGE, user)
    version, ingest_s = load("large", min(n_files, LARGE), user)
    size = f"{version.dataset.n_files:,} files"
    with httpx.Client(base_url=site.url, trust_env=False, timeout=300) as client:
        yield from ingest(ingest_s, version.dataset.n_files, user)
        yield from root(client, version, size)
        yield flat_folder(client, version, size)
        yield from manifest(client, version, site.pid, size)
    yield versions(user)
    yield from items.measure(user, min(n_files, MANY))


def make_steward() -> User:
    user, _ = User.objects.get_or_create(id=uuid.uuid4(), username=f"{uuid.uuid4().hex}@archive.example", name="Ben")
    RoleGrant.objects.create(role="steward", principal_type="identity", principal=user.id)
    return user


def load_others(n_files: int, user: User) -> None:
    """Datasets of a million files each beside the large one, for as many as there are not yet."""
    present = Version.objects.filter(dataset__slug__startswith="other-", number=1).exclude(published_at=None).count()
    for n_missing in range(n_files - present * MANY, 0, -MANY):
        load("other", min(n_missing, MANY), user)


def load(name: str, n_files: int, user: User) -> tuple[Version, float]:
    """A published dataset of a scan of so many files, and the seconds that the scan took."""
    slug = f"{name}-{uuid.uuid4().hex[:6]}"
    version = registering.register(user=user, slug=slug, title=f"Of {n_files} files", abstract="Made up.")
    base = f"/{slug}/"
    registering.place(version, user=user, collection_id=COLLECTION, base_path=base)
    tree = Tree(base, n_files)
    seconds = timed(lambda: ingesting.scan(version, tree.list_folder, user=user))
    with connection.cursor() as cursor:
        # what inspection near the data would have found
        cursor.execute(
            "update datasets_file set sha256 = sha256(name::bytea), inspected_at = now() where folder_id in"
            " (select id from datasets_folder where dataset_id = %s)",
            [version.dataset_id],
        )
        cursor.execute("vacuum analyze")
    publishing.publish(Version.objects.get(pk=version.pk), user=user)
    return Version.objects.select_related("dataset").get(pk=version.pk), seconds


def ingest(ingest_s: float, n_files: int, user: User) -> Iterator[Row]:
    """Rows a second, of the same rows into the same table with its indexes; the listing is there beforehand."""
    tree = Tree("/", N_ROWS)
    chunks = [chunk for chunk in walk(tree.list_folder, "/") if chunk.entries]
    n_rows = sum(not entry.is_folder for chunk in chunks for entry in chunk.entries)
    times = [fill(chunks, n_rows, user) for _ in range(3)]
    ours, staged_s, filled_s = n_rows / statistics.median(map(sum, times)), *map(statistics.median, zip(*times, strict=True))
    note = noted(f"{staged_s:.2f} s to keep the listing, {filled_s:.2f} s to make folders and rows of it; no file was known before")
    bulk = N_BULK / bulk_create(n_rows)
    yield Row("ingest of file rows, against bulk_create", figure(ours), figure(bulk), figure(ours / bulk), ">=10", "rows/s", 3, note)
    for name, columns, goal in (("the same columns", ROW, ">=0.15"), ("five columns", NARROW, "none")):
        floor = n_rows / statistics.median(copy_unlogged(columns, n_rows) for _ in range(3))
        title = f"ingest of file rows, against unlogged COPY of {name}"
        yield Row(title, figure(ours), figure(floor), figure(ours / floor), goal, "rows/s", 3, note)
    whole = n_files / ingest_s
    note = noted("a whole scan, from its listing to the totals and digests of all folders")
    yield Row("scan of files", figure(whole), None, None, "none", "files/s", 1, note)


def fill(chunks: list[Chunk], n_rows: int, user: User) -> tuple[float, float]:
    """Seconds to keep a listing, and to make the files of a draft of it; the draft is removed afterwards."""
    slug = f"rows-{uuid.uuid4().hex[:6]}"
    version = registering.register(user=user, slug=slug, title="Rows", abstract="Made up.")
    place = registering.place(version, user=user, collection_id=COLLECTION, base_path=f"/{slug}/")
    asked = ingesting.request_scan(version, user=user)
    with ScanRun.objects.due(timezone.now()).claim(asked.pk, expected=SCAN_WORKING) as run:
        began = time.perf_counter()
        staged = Staging.open(run, place)
        for chunk in chunks:
            staged.add(chunk)
        staged.finish()
        kept = time.perf_counter()
        found = merging.merge(version, run.pk)
        done = time.perf_counter()
        assert found.n_new == n_rows
    with connection.cursor() as cursor:
        for statement in deleting.REMOVE:
            cursor.execute(statement, [version.dataset_id])
        Version.objects.filter(pk=version.pk).delete()
        cursor.execute("vacuum datasets_file")
    return kept - began, done - kept


def bulk_create(n_rows: int) -> float:
    """Seconds for a tenth of such rows, as Django writes them."""
    dataset = Dataset.objects.filter(slug__startswith="large-").latest("created_at")
    top = Folder.objects.get(dataset=dataset, path="/")
    n_folders = math.ceil(N_BULK / PER_FOLDER)
    folders = Folder.objects.bulk_create(
        Folder(dataset=dataset, path=f"/bulk{at}/", name=f"bulk{at}", depth=1, parent=top) for at in range(n_folders)
    )
    rows = [
        File(
            folder_id=folders[at // PER_FOLDER].pk,
            name=f"f{at % PER_FOLDER:02}.nc",
            first_version=9,
            last_version=None,
            size_bytes=at,
            modified_at=WRITTEN,
            format="NetCDF",
        )
        for at in range(N_BULK)
    ]
    seconds = timed(lambda: File.objects.bulk_create(rows, batch_size=1_000))
    made = [folder.pk for folder in folders]
    File.objects.filter(folder_id__in=made).delete()
    Folder.objects.filter(pk__in=made).delete()
    return seconds


def copy_unlogged(columns: str, n_rows: int) -> float:
    """Seconds to copy so many rows into a table without log and indexes: what PostgreSQL can do at best."""
    line = ROW_LINE if columns == ROW else NARROW_LINE
    text = io.StringIO("".join(line.format(folder=at // PER_FOLDER, name=f"f{at % PER_FOLDER:02}.nc", size=at) for at in range(n_rows)))
    with connection.cursor() as cursor:
        cursor.execute(f"create unlogged table bench_floor ({columns})")
        seconds = timed(lambda: cursor.copy_expert("copy bench_floor from stdin", text))
        cursor.execute("drop table bench_floor")
    return seconds


def root(client: httpx.Client, version: Version, size: str) -> Iterator[Row]:
    """The root folder with recursive counts, against grouping the paths of a table that has one for each file, and the file's columns."""
    address = f"/api/v1/datasets/{version.dataset.slug}/versions/1/files"
    client.get(address).raise_for_status()
    ours = statistics.median(timed(lambda: files.list_folder(version, "/")) for _ in range(20))
    with connection.cursor() as cursor:
        cursor.execute(
            "create table bench_path as select f.dataset_id, f.path || fi.name as path, fi.size_bytes, fi.sha256, fi.modified_at, fi.format"
            " from datasets_file fi join datasets_folder f on f.id = fi.folder_id where f.dataset_id = %s",
            [version.dataset_id],
        )
        cursor.execute("create index on bench_path (dataset_id, path)")
        cursor.execute("vacuum analyze bench_path")
        grouping = "select split_part(path, '/', 2), count(*), sum(size_bytes) from bench_path where dataset_id = %s group by 1"
        naive = statistics.median(timed(lambda: cursor.execute(grouping, [version.dataset_id])) for _ in range(5))
        cursor.execute("drop table bench_path")
    note = noted("both within the database's client")
    yield Row(f"root of {size} with counts", figure(1000 * ours), figure(1000 * naive), figure(naive / ours), ">=1000", "ms", 20, note)
    asked = sorted(fetch(client, address) for _ in range(100))
    median = statistics.median(asked)
    note = noted(f"p99 {1000 * asked[98]:.3g} ms")
    yield Row(f"root of {size} over HTTP", figure(1000 * median), 10.0, figure(median / 0.010), "<=1", "ms", len(asked), note)


def flat_folder(client: httpx.Client, version: Version, size: str) -> Row:
    """A page in the middle of a flat folder against its first page."""
    address = f"/api/v1/datasets/{version.dataset.slug}/versions/1/files"
    n_flat = Tree("/", version.dataset.n_files).n_flat
    middle = files.list_folder(version, "/flat/", after=None, limit=1)
    after = f"f{n_flat // 2:07}.nc"
    first: dict[str, str | int] = {"folder": "/flat/", "limit": 100}
    deep = {**first, "cursor": (middle.next_after or "").replace("f0000000.nc", after)}
    times = [[fetch(client, address, asked) for _ in range(20)] for asked in (first, deep)]
    assert client.get(address, params=deep).json()["files"][0]["path"] > f"/flat/{after}"
    start, half = (1000 * statistics.median(one) for one in times)
    return Row(
        f"entry {n_flat // 2:,} of a flat folder, {size}", figure(half), figure(start), figure(half / start), "<=2", "ms", 20, noted()
    )


def manifest(client: httpx.Client, version: Version, pid: int, size: str) -> Iterator[Row]:
    """First byte and memory of the whole manifest, streamed."""
    address = f"/api/v1/datasets/{version.dataset.slug}/versions/1/manifest"
    before = memory_mib(pid)
    began, first_s, n_bytes, most = time.perf_counter(), 0.0, 0, before
    with client.stream("GET", address, params={"form": "csv"}) as answer:
        answer.raise_for_status()
        for piece in answer.iter_raw():
            first_s = first_s or time.perf_counter() - began
            n_bytes += len(piece)
            most = max(most, memory_mib(pid)) if n_bytes % 7 == 0 else most
    whole = time.perf_counter() - began
    note = noted(f"{n_bytes / 2**20:.0f} MiB in {whole:.1f} s")
    yield Row(f"manifest of {size}: first byte", figure(1000 * first_s), 200.0, figure(first_s / 0.2), "<=1", "ms", 1, note)
    yield Row(f"manifest of {size}: memory", figure(most), figure(before), figure(most / before), "none", "MiB", 1, noted("flat: near 1"))


def versions(user: User) -> Row:
    """Publish, compare and supersede with a thousand changed files, of very many and of few."""
    seconds = [next_version(load(name, n_files, user)[0], user) for name, n_files in (("many", MANY), ("few", FEW))]
    name = f"publish, diff, supersede: {N_CHANGED:,} changed of {MANY:,} against of {FEW:,}"
    return Row(name, figure(seconds[0]), figure(seconds[1]), figure(seconds[0] / seconds[1]), "<=3", "s", 1, noted())


def next_version(version: Version, user: User) -> float:
    draft = publishing.open_draft(version.dataset, user=user)
    with connection.cursor() as cursor:
        cursor.execute(CHANGE, {"dataset": version.dataset_id, "n": N_CHANGED})
        cursor.execute("vacuum analyze")

    def whole() -> None:
        published = publishing.publish(draft, user=user)
        old = version.dataset.versions.get(number=1)
        assert differences.count_changes(old, published)["changed"].n_files == N_CHANGED
        differences.changes(old, published, limit=N_CHANGED)

    return timed(whole)


def memory_mib(pid: int) -> float:
    """Resident memory of the process and its children."""
    pids: list[int] = [pid]
    for each in pids:
        for task in Path(f"/proc/{each}/task").iterdir():
            pids += [int(child) for child in (task / "children").read_text().split()]
    pages: Callable[[int], int] = lambda each: int(Path(f"/proc/{each}/statm").read_text().split()[1])  # noqa: E731
    return sum(pages(each) for each in pids) * 4096 / 2**20
