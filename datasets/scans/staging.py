"""What a scan has listed so far, kept until it ends, so that who takes it over goes on from the folder where it stopped.

A part is a row: up to a thousand entries of one folder, as arrays. A million files are then some ten thousand narrow rows to write and to
take away. The table is not logged: after a crash of the database it is empty, and the listing begins anew. With a listing that lacks a part
nothing is compared (`check_whole`), or what was lost would look like files that are gone.
"""

import datetime as dt
import itertools
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Self

from django.db import connection, transaction
from django.utils import timezone

from datasets.errors import UnavailableError
from datasets.fileformats import format_of
from datasets.models import ListedPart, Location, ScanRun
from datasets.scans.listing import Chunk

KEPT = dt.timedelta(days=7)
"""How long the listing of a draft is gone on with: what was listed before that is listed again."""
LIKE_NOW = dt.timedelta(hours=12)
"""The same for what published files are held against: what is not there, or is other, is damage."""
ROWS_AT_ONCE = 20_000
BYTES_AT_ONCE = 65_536

BINARY, END, NULL_LENGTH = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff", b"\xff" * 4
SCAN_AND_PATH, PART_DEPTH_IS_LAST = struct.Struct(">hiqi"), struct.Struct(">iiiii?")  # each value after its length
NAME = attrgetter("name")
INT8, TEXT, TIMESTAMPTZ = 20, 25, 1184
EPOCH, MICROSECOND = dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.timedelta(microseconds=1)
# The formats of a part are one where all its files are of one.
COLUMNS = "scan_id, path, part, depth, is_last, folders, names, sizes, modified, formats"
# What is below a folder that was not listed to its end would be listed a second time with it.
UNFINISHED = """
    delete from datasets_listedpart l using (
        select path from datasets_listedpart where scan_id = %(scan)s group by path having not bool_or(is_last)
    ) begun where l.scan_id = %(scan)s and starts_with(l.path, begun.path)
"""
# The scan's row, which a crash leaves, counts the folders that were listed; the parts of each are numbered (a folder named twice has more).
WHOLE = """
    select sum(n_last) = (select n_folders from datasets_scanrun where id = %(scan)s) and bool_and(n_parts > last_part) from (
        select count(*) as n_parts, count(*) filter (where is_last) as n_last, max(part) as last_part
        from datasets_listedpart where scan_id = %(scan)s group by path
    ) folder
"""
TOTALS = """
    select count(*) filter (where is_last), coalesce(sum(cardinality(names)), 0), coalesce(sum((select sum(s) from unnest(sizes) s)), 0)
    from datasets_listedpart where scan_id = %(scan)s
"""
WAITING = """
    select named.path from (
        select l.path || n.name || '/' as path from datasets_listedpart l cross join lateral unnest(l.folders) n(name)
        where l.scan_id = %(scan)s union select '/'
    ) named where not exists (select 1 from datasets_listedpart d where d.scan_id = %(scan)s and d.path = named.path)
    order by named.path collate "C"
"""


class ListingLostError(UnavailableError):
    code = "listing-lost"
    message = "What was listed is not there any more. It is listed anew."


class Rows:
    """A file for COPY whose rows are made when they are read, some at once: the database takes in those before meanwhile."""

    def __init__(self, rows: Iterator[bytes]) -> None:
        self._rows = rows

    def read(self, _size: int = -1) -> bytes:
        read, n_bytes = [], 0
        for row in self._rows:
            read.append(row)
            n_bytes += len(row)
            if n_bytes >= BYTES_AT_ONCE:
                break
        return b"".join(read)


@dataclass
class Staging:
    """The listing of one scan: what is there, what is still to be listed, and the pieces that are held until they are written."""

    run: ScanRun
    waiting: list[str]
    n_folders: int = 0
    n_files: int = 0
    size_bytes: int = 0
    _held: list[tuple[Chunk, int]] = field(default_factory=list)
    _n_held: int = 0
    _next_part: dict[str, int] = field(default_factory=dict)

    @classmethod
    def open(cls, run: ScanRun, place: Location) -> Self:
        """Go on with what an earlier attempt listed of this place, if that was lately; begin anew otherwise."""
        where = repr((str(place.collection_id or ""), place.bucket, place.base_path))
        keys: dict[str, Any] = {"scan": run.pk}
        with transaction.atomic(), connection.cursor() as cursor:
            run.keep_claim()
            oldest = timezone.now() - (KEPT if run.version.is_draft and not run.is_check else LIKE_NOW)
            is_late = run.listed_at is None or run.listed_at <= oldest
            is_kept = run.listed_from == where and not is_late and _is_whole(cursor, run.pk)
            if is_kept:
                cursor.execute(UNFINISHED, keys)
            else:
                ListedPart.objects.filter(scan__version_id=run.version_id, scan__lte=run.pk).delete()
            cursor.execute(WAITING, keys)
            waiting = [path for (path,) in cursor.fetchall()]
            cursor.execute(TOTALS, keys)
            n_folders, n_files, size_bytes = map(int, cursor.fetchone())
            since: dict[str, Any] = {} if is_kept else {"listed_from": where, "listed_at": timezone.now()}
            run.keep_claim(n_folders=n_folders, n_files=n_files, size_bytes=size_bytes, **since)
            return cls(run, waiting, n_folders, n_files, size_bytes)

    def add(self, chunk: Chunk) -> None:
        """Take a piece of the listing; it is written with others, and at the latest before the claim gets old."""
        part = self._next_part.pop(chunk.path, 0)
        if not chunk.is_last:
            self._next_part[chunk.path] = part + 1
        sizes = [entry.size_bytes for entry in chunk.entries if not entry.is_folder]
        self._held.append((chunk, part))
        self._n_held += len(chunk.entries)
        self.n_folders += chunk.is_last
        self.n_files += len(sizes)
        self.size_bytes += sum(sizes)
        if self._n_held >= ROWS_AT_ONCE or self.run.is_claim_old:
            self.write()

    def write(self, step: str = "listing") -> None:
        """Write what is held. Raises NotClaimedError when another worker took over: nothing of this one's is kept then."""
        rows = Rows(itertools.chain([BINARY], (_row(self.run.pk, chunk, part) for chunk, part in self._held), [END]))
        with transaction.atomic(), connection.cursor() as cursor:
            self.run.keep_claim(step=step, n_folders=self.n_folders, n_files=self.n_files, size_bytes=self.size_bytes)
            cursor.copy_expert(f"copy datasets_listedpart ({COLUMNS}) from stdin (format binary)", rows)
        self._held.clear()
        self._n_held = 0

    def finish(self) -> None:
        """Write the rest, now that all is listed."""
        self.write("comparing")
        with connection.cursor() as cursor:
            cursor.execute("analyze datasets_listedpart")  # where it is compared, one scan at a time would hold its lock to the end


def check_whole(scan_id: int) -> None:
    """Raise ListingLostError unless all that a scan listed is there. Asked after it was read: whoever takes it away commits before that."""
    with connection.cursor() as cursor:
        if not _is_whole(cursor, scan_id):
            raise ListingLostError


def _is_whole(cursor: Any, scan_id: int) -> bool:
    cursor.execute(WHOLE, {"scan": scan_id})
    return bool(cursor.fetchone()[0])


def forget(run: ScanRun) -> None:
    """Take away what a scan listed: it ended, or its report says all of it."""
    ListedPart.objects.filter(scan=run).delete()
    run.record(listed_at=None, listed_from="")


def forget_old() -> None:
    """The sweep: take away listings that nobody went on with. Safe to repeat, and beside a worker that goes on with one just now."""
    old = ScanRun.objects.filter(listed_at__lt=timezone.now() - KEPT)
    for pk in list(old.unclaimed(timezone.now()).values_list("pk", flat=True)):
        with transaction.atomic():
            run = old.unclaimed(timezone.now()).select_for_update(skip_locked=True).filter(pk=pk).first()
            if run is not None:
                forget(run)


def _row(scan_id: int, chunk: Chunk, part: int) -> bytes:
    """A row in COPY's binary format, which takes the client a third of what text takes; names in order, so that indexes grow at their end.

    Source: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
    """
    files = sorted([entry for entry in chunk.entries if not entry.is_folder], key=NAME)
    names = list(map(NAME, files))
    path = chunk.path.encode()
    cells = (
        _texts([entry.name for entry in chunk.entries if entry.is_folder] if len(files) < len(chunk.entries) else ()),
        _texts(names),
        _numbers(INT8, [entry.size_bytes for entry in files]),
        _numbers(TIMESTAMPTZ, [None if (at := entry.modified_at) is None else (at - EPOCH) // MICROSECOND for entry in files]),
        _texts(_formats(names)),
    )
    began = SCAN_AND_PATH.pack(COLUMNS.count(",") + 1, 8, scan_id, len(path)) + path
    place = PART_DEPTH_IS_LAST.pack(4, part, 4, chunk.path.count("/") - 1, 1, chunk.is_last)
    return began + place + b"".join([len(cell).to_bytes(4, "big") + cell for cell in cells])


def _formats(names: Sequence[str]) -> list[str]:
    """The format of each file, or one where the names of all end alike."""
    end = names[0][names[0].rfind(".") :] if names else ""
    if end.startswith(".") and all(name.endswith(end) for name in names):
        return [format_of(end)]
    formats = [format_of(name) for name in names]
    return formats[:1] if len(set(formats)) == 1 else formats


def _texts(values: Sequence[str]) -> bytes:
    encoded = "/".join(values).encode().split(b"/")  # no name has a slash, and one call takes half of what many take
    if len(encoded) != len(values):
        encoded = [value.encode() for value in values]
    return _array(TEXT, len(encoded), b"".join([len(value).to_bytes(4, "big") + value for value in encoded]))


def _numbers(kind: int, values: Sequence[int | None]) -> bytes:
    """Eight bytes each, after their length; nothing after the length -1 of a null."""
    if None in values:
        packed = b"".join([NULL_LENGTH if value is None else struct.pack(">iq", 8, value) for value in values])
    else:
        lengths_and_values: list[int | None] = [8] * (2 * len(values))
        lengths_and_values[1::2] = values
        packed = struct.pack(">" + "iq" * len(values), *lengths_and_values)
    return _array(kind, len(values), packed)


def _array(kind: int, n_values: int, packed: bytes) -> bytes:
    """Dimensions, a flag that is not looked at, type; length and first subscript of the dimension; values. Source: `array_recv`."""
    return struct.pack(">iiiii", 1, 0, kind, n_values, 1) + packed if n_values else struct.pack(">iii", 0, 0, kind)
