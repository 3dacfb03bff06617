"""The catalogue as sets of places, in the memory of each process: which datasets have a value, which are listed. Read `read` first.

A place is the number of a dataset (`SearchEntry`). Every search asks, in the statement that finds its words, for the entries whose
revision is above the one that this process knows, and changes its sets by them: normally there are none. So the sets are never behind the
rows with which they are compared, and there is no second store to drift. They say of which server, database and table they are: after a
restore a process begins anew by itself. Revisions are taken under the lock of `indexing`: who sees one sees all before it.
"""

# ruff: noqa: S608  (statements are put together from this module's own constants; every value is a parameter)

import sys
import threading
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db import connection, transaction
from pyroaring import BitMap

from datasets.models import KeptPlaces
from datasets.search.indexing import LISTED

MOST_READ = 20_000  # entries in one statement; more are read in several
MANY_CHANGES = 10_000  # after so many the sets are kept anew: a process that starts reads no more changes than these
KEEPING = 0x6B656570  # the key of the advisory lock of who keeps them

# What is covered by one day alone starts and ends in its year.
FIRST_YEAR = "extract(year from coalesce(d.temporal_start, d.temporal_end))"
LAST_YEAR = "extract(year from coalesce(d.temporal_end, d.temporal_start))"
# Of which server since its start, database and table the rows are: others after a restore, whatever their revisions say.
ORIGIN = """concat_ws(' ', pg_postmaster_start_time(), (select oid from pg_database where datname = current_database()),
        'datasets_searchentry'::regclass::oid)"""
BY_INDEX = "set local enable_seqscan = off; "

READ = f"""
    select 'entry', e.revision, e.place, {LISTED}, {FIRST_YEAR}::int, {LAST_YEAR}::int, d.facet_ids, null, null, null::bytea
    from (
        select place, revision, dataset_id from datasets_searchentry where revision > {{known}} order by revision limit %(most)s
    ) e join datasets_dataset d on d.id = e.dataset_id
    union all select 'gone', revision, place, null, null, null, null, null, null, null from datasets_goneplace where revision > {{known}}
    union all select 'value', null, id, null, null, null, null, facet, value, null from datasets_facetvalue where id > %(last_value)s
    union all select 'value', null, id, null, null, null, null, facet, value, null from datasets_facetvalue
    where id <= %(last_value)s and exists (select from datasets_goneplace where place is null and revision > {{known}})
    union all select 'newest', last_value, null, pg_current_xact_id_if_assigned() is null, null, null, null, {ORIGIN}, null, null
    from datasets_revision {{kept}}
"""
CHANGED = """
    select greatest((select max(revision) from datasets_searchentry), (select max(revision) from datasets_goneplace), 0)
        - coalesce((select max(revision) from datasets_keptplaces), 0)
"""
KEPT_REVISION = "(select coalesce(max(revision), 0) from datasets_keptplaces)"
KEPT = "union all select 'kept', revision, key, null, null, null, null, kind, null, places from datasets_keptplaces"
ASKED = " union all select '{name}', null, null, null, null, null, null, null, null, ({select})"


@dataclass(frozen=True)
class Places:
    """The sets as they are at a revision. Nothing in them is changed: a newer revision has new ones, and shares those that stayed.

    `sets` has, by (kind, key): of `value` the number of a facet value; of `first` and `last` the first and last year covered; `listed`, 0.
    """

    revision: int = 0
    origin: str = ""
    sets: Mapping[tuple[str, int], BitMap] = field(default_factory=dict)
    values: Mapping[int, tuple[str, str]] = field(default_factory=dict)

    @property
    def listed(self) -> BitMap:
        return self.sets.get(("listed", 0), BitMap())

    @cached_property
    def numbers(self) -> dict[tuple[str, str], int]:
        """The number of each (facet, value)."""
        return {value: number for number, value in self.values.items()}

    @cached_property
    def by_facet(self) -> dict[str, list[tuple[int, str, BitMap]]]:
        """(how many datasets have it, value, which) of each facet, the most frequent first."""
        found: dict[str, list[tuple[int, str, BitMap]]] = defaultdict(list)
        for number, (facet, value) in self.values.items():
            if places := self.sets.get(("value", number)):
                found[facet].append((len(places), value, places))
        for values in found.values():
            values.sort(key=lambda one: -one[0])
        return found

    def with_any(self, facet: str, values: Iterable[str]) -> BitMap:
        """What has any of some values of a facet."""
        keys = [("value", self.numbers[facet, value]) for value in values if (facet, value) in self.numbers]
        return BitMap.union(BitMap(), *(self.sets[key] for key in keys if key in self.sets))

    def covering(self, years: Iterable[int]) -> dict[int, BitMap]:
        """What covers each of some years."""
        begun, over, found = BitMap(), BitMap(), {}
        starts = sorted((year, places) for (kind, year), places in self.sets.items() if kind == "first")
        ends = sorted((year, places) for (kind, year), places in self.sets.items() if kind == "last")
        for year in sorted(years):
            while starts and starts[0][0] <= year:
                begun |= starts.pop(0)[1]
            while ends and ends[0][0] < year:
                over |= ends.pop(0)[1]
            found[year] = begun - over
        return found


_latest = [Places()]  # what this process knows; replaced as a whole
_loading = threading.Lock()


def read(asked: Mapping[str, str], parameters: Mapping[str, Any]) -> tuple[Places, dict[str, BitMap]]:
    """The sets, and the places that some selects of places find, all of one moment. One statement."""
    if not _latest[0].revision:
        with _loading:  # others wait for the one who reads it all
            return _read(_latest[0], asked, parameters)
    return _read(_latest[0], asked, parameters)


def rows(sql: str, parameters: Mapping[str, Any]) -> list[Any]:
    """What a statement answers.

    Where it compares words, the index of words is used whatever PostgreSQL thinks: its estimate leaves out that the words of a dataset lie
    outside its row, so that reading them all takes several times as long. Both statements travel as one, and are one
    transaction; within another one the choice holds until its end.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"{BY_INDEX if '_vector @@' in sql else ''}{sql}", parameters)
        return list(cursor.fetchall())


def select(condition: str, *, source: str) -> str:
    """The select of the places that fit a condition, for `read`."""
    return f"select string_agg(int4send(e.place), ''::bytea) from {source} where {condition}"


def keep_if_due() -> bool:
    """Keep the sets for processes that start, when much changed since they were kept last. Safe to repeat."""
    with connection.cursor() as cursor:
        cursor.execute(CHANGED)  # not by the sequence: what was undone took revisions too, and is never kept
        if cursor.fetchone()[0] < MANY_CHANGES:
            return False
    return keep()


@transaction.atomic
def keep() -> bool:
    """Keep the sets as they are now; false while somebody else does."""
    places, _ = read({}, {})
    with connection.cursor() as cursor:
        cursor.execute("select pg_try_advisory_xact_lock(%s)", [KEEPING])
        if not cursor.fetchone()[0]:
            return False
    KeptPlaces.objects.all().delete()
    KeptPlaces.objects.bulk_create(
        (KeptPlaces(kind=kind, key=key, revision=places.revision, places=one.serialize()) for (kind, key), one in places.sets.items()),
        batch_size=500,
    )
    return True


def _read(known: Places, asked: Mapping[str, str], parameters: Mapping[str, Any]) -> tuple[Places, dict[str, BitMap]]:
    selects = "".join(ASKED.format(name=name, select=one) for name, one in asked.items())
    is_behind = False
    while True:
        sql = READ.format(known="%(known)s", kept="") if known.revision else READ.format(known=KEPT_REVISION, kept=KEPT)
        answers: dict[str, list[Any]] = defaultdict(list)
        keys = {"known": known.revision, "last_value": max(known.values, default=0), "most": MOST_READ}
        for kind, *row in rows(sql if is_behind else f"{sql}{selects}", {**parameters, **keys}):
            answers[kind].append(row)
        ((newest, _, is_committed, _, _, _, origin, *_),) = answers["newest"]
        if known.origin and (newest < known.revision or origin != known.origin):  # a restored database, or a server that began anew
            known = Places()
            continue
        known = _changed(known, answers, origin)
        if is_committed:  # what a transaction wrote may yet be undone: then the next search reads it again
            _latest[0] = known
        was_behind, is_behind = is_behind, len(answers["entry"]) == MOST_READ
        if not is_behind and not was_behind:
            return known, {name: _as_set(answers[name][0][-1]) for name in asked}


def _changed(known: Places, answers: Mapping[str, Sequence[Any]], origin: str) -> Places:
    """The sets after some entries changed and some places went."""
    entries, gone, kept = answers["entry"], answers["gone"], answers["kept"]
    if not (entries or gone or kept or answers["value"]):
        return known
    is_emptied = any(place is None for _, place, *_ in gone)  # then all values are read: their numbers may be given again
    values = {
        **({} if is_emptied else known.values),
        **{number: (facet, value) for _, number, _, _, _, _, facet, value, _ in answers["value"]},
    }
    sets = {**known.sets, **{(kind, key): BitMap.deserialize(bytes(places)) for _, key, _, _, _, _, kind, _, places in kept}}
    if is_emptied:
        sets = {}
    if moved := BitMap(place for _, place, *_ in [*entries, *gone] if place is not None):
        sets = {key: places - moved if places.intersect(moved) else places for key, places in sets.items()}
    more: dict[tuple[str, int], list[int]] = defaultdict(list)
    for _, place, is_listed, first, last, numbers, *_ in entries:
        if is_listed:
            more["listed", 0].append(place)
        if first is not None:
            more["first", first].append(place)
            more["last", last].append(place)
        for number in numbers:
            more["value", number].append(place)
    for key, added in more.items():
        sets[key] = sets.get(key, BitMap()) | BitMap(added)
    seen = [*entries, *kept] if len(entries) == MOST_READ else [*entries, *kept, *gone]  # what went is read again with what follows
    return Places(max((row[0] for row in seen), default=known.revision), origin, sets, values)


def _as_set(places: memoryview | None) -> BitMap:
    """Of numbers of four bytes, the greatest first."""
    numbers = array("I", bytes(places or b""))
    if sys.byteorder == "little":
        numbers.byteswap()
    return BitMap(numbers)
