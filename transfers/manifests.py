"""Which files a request is about: what to copy in each Globus task, what must have arrived, and the list with checksums to download.

A selection stays a query: its files are read from the catalogue in order whenever they are needed, never kept in a list of their own.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from datasets import files
from datasets.models import Location, Version
from transfers.errors import ConflictError
from transfers.models import DataRequest, DataRequestTask, Selection
from transfers.words import Arrived, CopyItem

# Globus takes more, but a task of this size stays quick to submit, to check and to retry.
FILES_PER_TASK = 10_000


@dataclass
class Part:
    """What one Globus task is to copy: whole folders, or the files of a selection after one path up to another, or files by name."""

    selection: Selection
    n_files: int
    folders: list[str] = field(default_factory=list)
    after_path: str = ""
    until_path: str = ""
    paths: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Expected:
    """A file that has to arrive. Paths are absolute in their collections."""

    selection: Selection
    path: str
    source_path: str
    destination_path: str
    size_bytes: int
    sha256: str


def parts_of(request: DataRequest) -> Iterator[Part]:
    """Cut the request into Globus tasks: recursive where whole folders are chosen, else batches of files."""
    for selection in selections_of(request):
        if files.is_whole_folders(selection.version, selection.query):
            yield Part(selection, selection.n_files, folders=list(selection.query.searched_folders))
            continue
        after, n_files, last = "", 0, ""
        for file in files.iterate(selection.version, selection.query):
            n_files, last = n_files + 1, file.path
            if n_files == FILES_PER_TASK:
                yield Part(selection, n_files, after_path=after, until_path=last)
                after, n_files = last, 0
        if n_files:
            yield Part(selection, n_files, after_path=after, until_path=last)


def retry_parts_of(request: DataRequest) -> Iterator[Part]:
    """Cut only the files that failed into Globus tasks."""
    for selection in selections_of(request):
        paths = list(request.failed_files.filter(selection=selection).values_list("path", flat=True))
        for start in range(0, len(paths), FILES_PER_TASK):
            chosen = paths[start : start + FILES_PER_TASK]
            yield Part(selection, len(chosen), paths=chosen)


def items_of(task: DataRequestTask) -> Iterator[CopyItem]:
    """What a task copies. The same at every call: the version is frozen."""
    selection = task.selection
    if selection is None:
        return
    if task.folders:
        base, root = location_of(selection.version), root_of(task.request, selection.version)
        for folder in task.folders:
            yield CopyItem(base.collection_path(folder), root + folder.removeprefix("/"), is_recursive=True)
        return
    for file in _files_of_task(task, selection):
        yield CopyItem(file.source_path, file.destination_path, sha256=file.sha256)


def _files_of_task(task: DataRequestTask, selection: Selection) -> Iterator[Expected]:
    if task.paths:
        yield from _expected(task.request, selection, files.FileQuery(folders=(), globs=(), files=tuple(task.paths)))
        return
    for file in _expected(task.request, selection, selection.query, after=task.after_path or None):
        yield file
        if file.path == task.until_path:
            return


def expected_files(request: DataRequest) -> Iterator[Expected]:
    """Every file that has to arrive."""
    for selection in selections_of(request):
        yield from _expected(request, selection, selection.query)


def _expected(request: DataRequest, selection: Selection, query: files.FileQuery, after: str | None = None) -> Iterator[Expected]:
    root = root_of(request, selection.version)
    for file in files.iterate(selection.version, query, after=after):
        yield Expected(selection, file.path, file.collection_path, root + file.path.removeprefix("/"), file.size_bytes, file.sha256)


@dataclass
class Comparison:
    """What arrived against the catalogue: files that are missing or differ, with the reason in words, and files that nobody asked for."""

    missing: list[tuple[Expected, str]]
    extra_paths: list[str]


def compare(request: DataRequest, arrived: Iterable[Arrived]) -> Comparison:
    """Names and sizes are compared, and SHA-256 where both sides know it.

    Files are matched by where they came from, because a destination may name itself differently (`/~/` for a home folder).
    A recursive copy brings whatever lies in the folder, such as files of a draft: these are the extra ones.
    """
    came = {file.source_path: file for file in arrived}
    known: set[str] = set()
    found = Comparison([], [])
    for file in expected_files(request):
        known.add(file.source_path)
        if words := _difference(file, came.get(file.source_path)):
            found.missing.append((file, words))
    found.extra_paths = sorted(came[path].destination_path for path in came.keys() - known)
    return found


def _difference(file: Expected, came: Arrived | None) -> str:
    """What is wrong with a file, in words; empty when it is as it should be."""
    if came is None:
        return "It did not arrive"
    if came.size_bytes != file.size_bytes:
        return f"It arrived with {came.size_bytes} bytes instead of {file.size_bytes}"
    if file.sha256 and came.sha256 and came.sha256 != file.sha256:
        return "Its checksum is not that of the catalogue"
    return ""


def selections_of(request: DataRequest) -> list[Selection]:
    return list(request.selections.select_related("version__dataset"))


def root_of(request: DataRequest, version: Version) -> str:
    """The folder in which the files of a version are put: one for each dataset, so that several do not mix."""
    place = request.folder if request.is_share else request.destination_path
    return f"{place.rstrip('/')}/{version.dataset.slug}-v{version.number}/"


def location_of(version: Version) -> Location:
    """Where copies of a version start. Raises ConflictError when its files are in no collection that is on line."""
    location = version.primary_location
    if location is None or not location.is_online:
        raise ConflictError(f"The files of {version} are not on line at the moment.")
    if location.collection_id is None:
        raise ConflictError(f"The files of {version} lie in an object store: they are downloaded from there, and not copied by Globus.")
    return location


def manifest_rows(request: DataRequest) -> Iterator[tuple[str, str, str, int]]:
    """Lines of the receipt: dataset and version, path, SHA-256, bytes."""
    for file in expected_files(request):
        version = file.selection.version
        yield f"{version.dataset.slug}-v{version.number}", file.path, file.sha256, file.size_bytes
