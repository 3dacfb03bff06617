"""Filling a catalogue: rows are written in batches; what searches find and count, `search.indexing` writes, as for any other dataset.

A first load of very many goes as `datasets/README.md` advises: the indexes of words are made after it.
"""

import datetime as dt
import hashlib
import io
import itertools
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from django.db import connection, transaction
from django.db.models import NOT_PROVIDED, Model
from django.utils import timezone

from datasets.models import Creator, Dataset, File, Folder, FolderState, SearchEntry, Subject, Variable, Version
from datasets.search.indexing import index_datasets
from tests.bench.synthesis import Described, describe

BATCH = 10_000
MANY = 50_000
FEW = 100_000
WRITERS = 3
DESCRIBED = (
    *("id", "slug", "title", "abstract", "licence", "access_policy", "temporal_start", "temporal_end"),
    *("west", "south", "east", "north", "published_at", "listed_at", "format_facet"),
)


def load_datasets(n_datasets: int, *, told: Callable[[int], object] = lambda _: None) -> None:
    """Published datasets, a second apart; those that are there already are kept and counted."""
    present = Dataset.objects.filter(slug__startswith="made-").count()
    if present > n_datasets:
        message = f"{present:,} datasets are there already: take another folder with --data"
        raise SystemExit(message)
    if present == n_datasets:
        return
    began = timezone.now() - dt.timedelta(seconds=2 * 10**6)
    batches = enumerate(_batches(itertools.islice(describe(n_datasets), present, None), BATCH))
    if n_datasets - present >= MANY:
        _drop_indexes()
    with ThreadPoolExecutor(WRITERS) as writers:  # the database works for some while one makes rows
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
    ids = [uuid.uuid4() for _ in batch]
    moments = [began + dt.timedelta(seconds=first + at) for at in range(len(batch))]
    pairs = list(zip(ids, batch, strict=True))
    digest = hashlib.sha256(b"").digest()
    _copy(
        Dataset,
        DESCRIBED,
        (
            (
                name,
                f"made-{first + at}",
                one.title,
                one.abstract,
                one.licence,
                one.access,
                one.start,
                one.end,
                *one.box,
                moment,
                moment,
                one.formats,
            )
            for at, (name, one, moment) in enumerate(zip(ids, batch, moments, strict=True))
        ),
    )
    _copy(
        Version,
        ("dataset_id", "number", "status", "published_at", "digest"),
        ((name, 1, "published", moment, digest) for name, moment in zip(ids, moments, strict=True)),
    )
    _copy(Creator, ("dataset_id", "position", "name"), ((name, *each) for name, one in pairs for each in enumerate(one.creators)))
    _copy(Variable, ("dataset_id", "name", "units"), ((name, each, "1") for name, one in pairs for each in one.variables))
    names = {name for one in batch for name in one.subjects}
    Subject.objects.bulk_create((Subject(slug=name.lower().replace(" ", "-"), name=name) for name in sorted(names)), ignore_conflicts=True)
    subjects = dict(Subject.objects.filter(name__in=names).values_list("name", "id"))
    _copy(
        Dataset.subjects.through,
        ("dataset_id", "subject_id"),
        ((name, subjects[each]) for name, one in pairs for each in one.subjects),
    )
    with connection.cursor() as cursor:
        cursor.execute("select nextval(pg_get_serial_sequence('datasets_folder', 'id')) from generate_series(1, %s)", [len(batch)])
        roots = [number for (number,) in cursor.fetchall()]
    folders = list(zip(roots, batch, strict=True))
    _copy(Folder, ("id", "dataset_id", "path", "depth"), ((root, name, "/", 0) for root, name in zip(roots, ids, strict=True)))
    _copy(
        FolderState,
        ("folder_id", "from_version", "n_files", "size_bytes", "digest"),
        ((root, 1, one.n_files, one.size_bytes, digest) for root, one in folders),
    )
    _copy(
        File,
        ("folder_id", "name", "first_version", "size_bytes", "sha256", "format"),
        ((root, f"{at}.dat", 1, 1, digest, name) for root, one in folders for at, name in enumerate(one.formats)),
    )
    if first < FEW:
        _analyze()
    index_datasets(ids, has_other_files=True)


def _analyze() -> None:
    """What was just written is known to the planner: it would read tables that it takes for empty once a dataset."""
    with connection.cursor() as cursor:
        for model in (Dataset, Version, Creator, Variable, Folder, FolderState, File, Subject, Dataset.subjects.through, SearchEntry):
            cursor.execute(f"analyze {model._meta.db_table}")


def _copy(model: type[Model], columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows of a model as one COPY; columns that are not named have the defaults of the database, or those that the model gives them."""
    made = model()
    fields = [one for one in model._meta.concrete_fields if one.attname not in columns and one.db_default is NOT_PROVIDED]
    defaults = {str(one.column): value for one in fields if (value := one.pre_save(made, add=True)) is not None}
    same = "".join(f"\t{_text(value)}" for value in defaults.values())
    lines = "".join("\t".join(map(_text, row)) + same + "\n" for row in rows)
    with connection.cursor() as cursor:
        cursor.copy_expert(f"copy {model._meta.db_table} ({', '.join((*columns, *defaults))}) from stdin", io.StringIO(lines))


def _text(value: object) -> str:
    """A value as COPY reads it: none of ours holds a tab, an end of line or a backslash."""
    if isinstance(value, str):
        return value
    if value is None:
        return r"\N"
    if isinstance(value, bytes):
        return rf"\\x{value.hex()}"
    if isinstance(value, list):
        return f"{{{','.join(map(str, value))}}}"
    return str(value)


def _batches(rows: Iterable[Described], size: int) -> Iterator[list[Described]]:
    rows = iter(rows)
    while batch := list(itertools.islice(rows, size)):
        yield batch
