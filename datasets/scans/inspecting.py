"""Writing down what was read near the data: checksums, formats, and the variables and coverage that file headers state.

Nothing here reads a file: `inspect` is a callable that asks a service beside the data and answers with `Inspected`.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from django.db import connection, transaction

from datasets.files import FileRow
from datasets.models import Dataset, Variable, Version

KNOWN_FORMATS = {"netcdf": "NetCDF", "netcdf3": "NetCDF", "netcdf4": "NetCDF", "hdf5": "HDF5", "csv": "CSV"}

COUNT_UNINSPECTED = """
    select count(*) from datasets_folder f join datasets_file fi on fi.folder_id = f.id
    where f.dataset_id = %(dataset)s and fi.last_version is null and fi.sha256 is null
"""

# First what is left of a folder, then the folders after it, as in `files`.
UNINSPECTED = """
    select f.path, page.* from datasets_folder f cross join lateral (
        select fi.name, fi.size_bytes, fi.collection_path from datasets_file fi
        where fi.folder_id = f.id and fi.name > {after} and fi.last_version is null and fi.sha256 is null order by fi.name limit %(limit)s
    ) page
    where f.dataset_id = %(dataset)s and f.path {step} %(folder)s order by f.path, page.name limit %(limit)s
"""

# A checksum learned for a published row is new knowledge of this draft: the published row, and with it the published digest, stays.
SPLIT = """
    with learned as (
        update datasets_file fi set last_version = %(version)s - 1 from datasets_folder f
        where f.id = fi.folder_id and f.dataset_id = %(dataset)s and f.path || fi.name = any(%(read)s)
        and fi.last_version is null and fi.first_version < %(version)s
        returning fi.*
    )
    insert into datasets_file (folder_id, name, first_version, last_version, size_bytes, sha256, modified_at, format, collection_path,
        inspected_at, inspection_error)
    select folder_id, name, %(version)s, null, size_bytes, sha256, modified_at, format, collection_path, null, '' from learned
"""

RECORD = """
    update datasets_file fi set inspected_at = case when found.sha256 <> '' then now() end, inspection_error = found.error,
        sha256 = coalesce(decode(nullif(found.sha256, ''), 'hex'), fi.sha256),
        format = case when fi.format = '' then found.format else fi.format end
    from unnest(%(paths)s::text[], %(sums)s::text[], %(formats)s::text[], %(errors)s::text[]) as found(path, sha256, format, error),
        datasets_folder f
    where f.id = fi.folder_id and f.dataset_id = %(dataset)s and f.path = regexp_replace(found.path, '[^/]*$', '')
    and fi.name = regexp_replace(found.path, '^.*/', '') and fi.last_version is null and fi.first_version = %(version)s
"""


@dataclass(frozen=True)
class Inspected:
    """What an inspection says about the file at one collection path; fields that it could not read are empty."""

    path: str
    sha256: str = ""
    size_bytes: int | None = None
    format: str = ""
    variables: tuple[Mapping[str, Any], ...] = ()
    time_start: str = ""
    time_end: str = ""
    bbox: tuple[float, float, float, float] | None = None
    error: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> Self:
        """From one entry of `files` of an inspection job of the graph service."""
        box = answer.get("bbox")
        return cls(
            path=str(answer["path"]),
            sha256=str(answer.get("sha256") or ""),
            size_bytes=answer.get("size"),
            format=str(answer.get("format") or ""),
            variables=tuple(answer.get("variables") or ()),
            time_start=str(answer.get("time_start") or ""),
            time_end=str(answer.get("time_end") or ""),
            bbox=(float(box[0]), float(box[1]), float(box[2]), float(box[3])) if box else None,
            error=str(answer.get("error") or ""),
            attributes=answer.get("attributes") or {},
        )


Inspect = Callable[[list[str]], Iterator[Inspected]]


def count_uninspected(version: Version) -> int:
    """How many current files have a checksum that nobody has read yet."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT_UNINSPECTED, {"dataset": version.dataset_id})
        return int(cursor.fetchone()[0])


def uninspected(version: Version, *, batch: int) -> Iterator[list[FileRow]]:
    """The current files whose checksum nobody has read yet, in pieces in order of path; flat memory for any number."""
    folder, name = "", ""
    while True:
        rows: list[tuple[Any, ...]] = []
        for step, after in (("=", "%(name)s"), (">", "''")):
            if len(rows) < batch:
                rows += _uninspected(version, step, after, {"folder": folder, "name": name, "limit": batch - len(rows)})
        if not rows:
            return
        yield [_as_file(version, *row) for row in rows]
        folder, name = rows[-1][:2]


def _uninspected(version: Version, step: str, after: str, position: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(UNINSPECTED.format(step=step, after=after), {"dataset": version.dataset_id, **position})
        return list(cursor.fetchall())


def _as_file(version: Version, folder: str, name: str, size_bytes: int, displaced: str) -> FileRow:
    location = version.primary_location
    at = displaced or (location.collection_path(folder + name) if location else folder + name)
    return FileRow(path=folder + name, size_bytes=size_bytes, sha256="", collection_path=at)


@transaction.atomic
def record(version: Version, answers: Mapping[str, Inspected]) -> None:
    """Write checksums, formats and errors of a draft's files, keyed by logical path. Safe to repeat.

    A file without a checksum in its answer could not be read at all; the next scan asks for it again.
    """
    keys: dict[str, Any] = {
        "dataset": version.dataset_id,
        "version": version.number,
        "paths": list(answers),
        "read": [path for path, answer in answers.items() if answer.sha256],
        "sums": [answer.sha256 for answer in answers.values()],
        "formats": [KNOWN_FORMATS.get(answer.format.lower(), answer.format)[:40] for answer in answers.values()],
        "errors": [answer.error for answer in answers.values()],
    }
    with connection.cursor() as cursor:
        cursor.execute(SPLIT, keys)
        cursor.execute(RECORD, keys)


def gather(found: dict[str, Any], answers: Mapping[str, Inspected]) -> dict[str, Any]:
    """`found` (JSON) with the variables and coverage of more files added."""
    variables = dict(found.get("variables", {}))
    start, end, box = found.get("time_start", ""), found.get("time_end", ""), found.get("bbox")
    for path, answer in answers.items():
        for variable in answer.variables:
            if variable.get("name") and not _is_coordinate(variable):
                variables.setdefault(str(variable["name"]), {**variable, "example_path": path})
        if answer.time_start:
            start = min(filter(None, (start, answer.time_start)))
            end = max(filter(None, (end, answer.time_end or answer.time_start)))
        if answer.bbox:
            box = _union(box, _normal(answer.bbox))
    return {"variables": variables, "time_start": start, "time_end": end, "bbox": box}


@transaction.atomic
def complete_description(dataset: Dataset, found: Mapping[str, Any]) -> None:
    """State what the headers say where the dataset states nothing: time range, box, variables by name. What a steward wrote stays."""
    dataset = Dataset.objects.held().get(pk=dataset.pk)
    start, end = _as_date(found.get("time_start", "")), _as_date(found.get("time_end", ""))
    if dataset.temporal_start is None and dataset.temporal_end is None and start and end and start <= end:
        dataset.temporal_start, dataset.temporal_end = start, end
    if not dataset.has_box and found.get("bbox"):
        dataset.west, dataset.south, dataset.east, dataset.north = found["bbox"]
    dataset.save()
    present = {variable.name: variable for variable in dataset.variables.all()}
    for name, variable in found.get("variables", {}).items():
        if name not in present:
            _as_variable(dataset, name, variable).save()
        elif not present[name].example_path:
            present[name].example_path = variable["example_path"]
            present[name].save(update_fields=["example_path"])


def _as_variable(dataset: Dataset, name: str, variable: Mapping[str, Any]) -> Variable:
    return Variable(
        dataset=dataset,
        name=name[:200],
        standard_name=str(variable.get("standard_name") or "")[:200],
        long_name=str(variable.get("long_name") or "")[:300],
        units=str(variable.get("units") or "")[:100],
        dimensions=[str(name) for name in variable.get("dims") or ()],
        example_path=variable.get("example_path", ""),
    )


def _is_coordinate(variable: Mapping[str, Any]) -> bool:
    name = str(variable["name"])
    dimensions = variable.get("dims") or ()
    return not dimensions or name in dimensions or name.endswith(("_bnds", "_bounds"))


def _normal(box: Sequence[float]) -> list[float] | None:
    """The box with longitudes from -180 to 180; None when it is none."""
    west, south, east, north = box
    if not (-90 <= south <= north <= 90) or not (-360 <= west <= 720 and -360 <= east <= 720):
        return None
    if east - west >= 359:
        return [-180.0, south, 180.0, north]
    return [(west + 180) % 360 - 180, south, (east + 180) % 360 - 180, north]


def _union(one: Sequence[float] | None, other: Sequence[float] | None) -> list[float] | None:
    if not one or not other:
        return list(one or other or ()) or None
    if one[0] > one[2] or other[0] > other[2]:
        if list(one) == list(other):
            return list(one)
        return [-180.0, min(one[1], other[1]), 180.0, max(one[3], other[3])]
    return [min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])]


def _as_date(moment: str) -> dt.date | None:
    """The day of an ISO time; a day that our calendar lacks (30 February of a 360-day year) becomes the last one of that month.

    None for years below 100: models and climatologies count from year 0 or 1 and mean no date by it (CF conventions 1.11, section 4.4.1).
    """
    parts = moment[:10].split("-")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        return None
    year, month, day = map(int, parts)
    if year < 100:
        return None
    for last in (day, 30, 29, 28):
        try:
            return dt.date(year, month, min(day, last))
        except ValueError:
            continue
    return None
