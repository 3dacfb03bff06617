"""Filling a catalogue: rows are written in batches; what searches find and count, `search.indexing` writes, as for any other dataset.

A first load of very many goes as `datasets/README.md` advises: the indexes of words are made after it.
"""

import datetime as dt
import hashlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from datasets.models import Creator, Dataset, File, Folder, FolderState, SearchEntry, Subject, Variable, Version
from datasets.search.indexing import index_datasets
from tests.bench.synthesis import Described, describe

BATCH = 2_000
MANY = 50_000
WRITERS = 2


def load_datasets(n_datasets: int, *, told: Callable[[int], object] = lambda _: None) -> None:
    """Published datasets, a second apart; those that are there already are kept and counted."""
    present = Dataset.objects.filter(slug__startswith="made-").count()
    if present > n_datasets:
        message = f"{present:,} datasets are there already: take another folder with --data"
        raise SystemExit(message)
    began = timezone.now() - dt.timedelta(seconds=2 * 10**6)
    batches = enumerate(_batches(itertools.islice(describe(n_datasets), present, None), BATCH))
    if n_datasets - present >= MANY:
        _drop_indexes()
    with ThreadPoolExecutor(WRITERS) as writers:  # one makes rows while the database works for the other
        waiting: deque[Future[int]] = deque()
        for at, batch in batches:
            waiting.append(writers.submit(_write, batch, first=present + at * BATCH, began=began))
            while len(waiting) > WRITERS:
                told(waiting.popleft().result())
        for one in waiting:
            told(one.result())
    _make_indexes()
    with connection.cursor() as cursor:
        cursor.execute("vacuum analyze")


def _drop_indexes() -> None:
    with connection.cursor() as cursor:
        for index in SearchEntry._meta.indexes:
            cursor.execute(f"drop index if exists {index.name}")


def _make_indexes() -> None:
    """Those that are missing."""
    with connection.cursor() as cursor:
        cursor.execute("set maintenance_work_mem = '1GB'")
        for index in SearchEntry._meta.indexes:
            cursor.execute("select to_regclass(%s) is null", [index.name])
            if cursor.fetchone()[0]:
                with connection.schema_editor() as editor:
                    editor.add_index(SearchEntry, index)


def _write(batch: list[Described], *, first: int, began: dt.datetime) -> int:
    try:
        _load(batch, first=first, began=began)
    finally:
        connection.close()
    return first + len(batch)


@transaction.atomic
def _load(batch: list[Described], *, first: int, began: dt.datetime) -> None:
    moments = [began + dt.timedelta(seconds=first + at) for at in range(len(batch))]
    datasets = [
        Dataset(
            slug=f"made-{first + at}",
            title=one.title,
            abstract=one.abstract,
            licence=one.licence,
            access_policy=one.access,
            temporal_start=one.start,
            temporal_end=one.end,
            west=one.box[0],
            south=one.box[1],
            east=one.box[2],
            north=one.box[3],
            published_at=moments[at],
            listed_at=moments[at],
        )
        for at, one in enumerate(batch)
    ]
    Dataset.objects.bulk_create(datasets)
    pairs = list(zip(datasets, batch, strict=True))
    digest = hashlib.sha256(b"").digest()
    Version.objects.bulk_create(
        Version(dataset=dataset, number=1, status="published", published_at=dataset.published_at, digest=digest) for dataset in datasets
    )
    Creator.objects.bulk_create(
        Creator(dataset=dataset, position=at, name=name) for dataset, one in pairs for at, name in enumerate(one.creators)
    )
    Variable.objects.bulk_create(Variable(dataset=dataset, name=name, units="1") for dataset, one in pairs for name in one.variables)
    names = {name for one in batch for name in one.subjects}
    Subject.objects.bulk_create((Subject(slug=name.lower().replace(" ", "-"), name=name) for name in sorted(names)), ignore_conflicts=True)
    subjects = dict(Subject.objects.filter(name__in=names).values_list("name", "id"))
    link: Any = Dataset.subjects.through
    link.objects.bulk_create(link(dataset_id=dataset.pk, subject_id=subjects[name]) for dataset, one in pairs for name in one.subjects)
    roots = Folder.objects.bulk_create(Folder(dataset=dataset, path="/", depth=0) for dataset in datasets)
    FolderState.objects.bulk_create(
        FolderState(folder=root, from_version=1, n_files=one.n_files, size_bytes=one.size_bytes, digest=digest)
        for root, one in zip(roots, batch, strict=True)
    )
    File.objects.bulk_create(
        File(folder=root, name=f"{at}.dat", first_version=1, size_bytes=1, sha256=digest, format=name)
        for root, one in zip(roots, batch, strict=True)
        for at, name in enumerate(one.formats)
    )
    index_datasets([dataset.pk for dataset in datasets])


def _batches(rows: Iterable[Described], size: int) -> Iterator[list[Described]]:
    rows = iter(rows)
    while batch := list(itertools.islice(rows, size)):
        yield batch
