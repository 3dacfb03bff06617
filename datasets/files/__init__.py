"""Files of a version: what a selection means, how much it is, its files in order, and what a folder shows.

A selection is a query, frozen to a version, never a list. Paths are logical: they start with `/`, folders end with `/`. All paging is by
key (folder path, file name, both in byte order), so page 10,000 costs what page 1 costs. Start at `FileQuery`.
"""

# ruff: noqa: S608  (statements are put together from this module's own constants; every value is a parameter)

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from django.db import connection

from datasets.errors import InvalidError
from datasets.files.filters import FileFilter
from datasets.files.globs import to_regex
from datasets.files.preparing import Prepared
from datasets.items import few_files
from datasets.models import Version

MOST_PATHS = 10_000
MOST_GLOBS = 100
MOST_COUNTED = 10_000
BATCH = 5_000
AVAILABILITY = ("online", "cold")

VALID = "fi.first_version <= %(version)s and (fi.last_version is null or fi.last_version >= %(version)s)"
WALKED = "datasets_folder f join datasets_file fi on fi.folder_id = f.id"
FOUND = """(
        select * from unnest(%(hit_folders)s::bigint[], %(hit_names)s::text[]) as hit(folder_id, name)
        union select named.id, asked.name from unnest(%(named_folders)s::text[], %(named_names)s::text[]) as asked(path, name)
        join datasets_folder named on named.dataset_id = %(dataset)s and named.path = asked.path
    ) hit join datasets_file fi on fi.folder_id = hit.folder_id and fi.name = hit.name join datasets_folder f on f.id = fi.folder_id
"""
STATE = """
    cross join lateral (
        select s.n_files, s.size_bytes from datasets_folderstate s
        where s.folder_id = f.id and s.from_version <= %(version)s order by s.from_version desc limit 1
    ) state
"""
# One statement for a page of a folder: three would take longer on their way than in the database.
LISTED = f"""
    with here as materialized (select id from datasets_folder where dataset_id = %(dataset)s and path = %(path)s)
    select 'total' as kind, '' as name, state.n_files, state.size_bytes, null::bytea as sha256, '' as collection_path,
        null::timestamptz as modified_at, '' as format from here f {STATE}
    union all
    select 'folder', below.name, below.n_files, below.size_bytes, null, '', null, '' from here cross join lateral (
        select f.name, state.n_files, state.size_bytes from datasets_folder f {STATE}
        where f.parent_id = here.id and f.name > %(after_folder)s and state.n_files > 0 /* names */ order by f.name limit %(folders)s
    ) below
    union all
    select 'file', held.name, 1, held.size_bytes, held.sha256, held.collection_path, held.modified_at, held.format
    from here cross join lateral (
        select * from datasets_file fi where fi.folder_id = here.id and {VALID} and fi.name > %(after_file)s
        order by fi.name limit %(limit)s
    ) held
"""
LISTED_IN_PART = LISTED.replace("/* names */", "and (f.name = any(%(names)s::text[])) = %(is_chosen)s")
LISTED_WHOLE = Prepared(
    "listed_folder",
    LISTED,
    {
        "dataset": "uuid",
        "version": "int",
        "path": "text",
        "after_folder": "text",
        "folders": "int",
        "after_file": "text",
        "limit": "int",
    },
)


@dataclass(frozen=True)
class FileQuery:
    """Files below `folders` that fit one of `globs` and keep `filters`, and the explicit `files`. All empty: the whole version.

    No folders but globs or filters: these search the whole version. No globs: everything below the folders. Explicit files need fit
    nothing.
    """

    folders: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    filters: FileFilter = field(default_factory=FileFilter)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folders", _outermost(self.folders))
        object.__setattr__(self, "globs", tuple(sorted(set(self.globs))))
        object.__setattr__(self, "files", tuple(sorted(set(self.files))))
        if len(self.folders) + len(self.files) > MOST_PATHS:
            raise InvalidError(f"A selection names at most {MOST_PATHS:,} folders and files. Choose whole folders or a glob instead.")
        if len(self.globs) > MOST_GLOBS:
            raise InvalidError(f"A selection has at most {MOST_GLOBS} globs: each file is held against all of them.")
        for path in self.folders:
            _check_path(path, is_folder=True)
        for path in self.files:
            _check_path(path, is_folder=False)
        for glob in self.globs:
            to_regex(glob)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        folders, globs, files = (tuple(stored.get(name, ())) for name in ("folders", "globs", "files"))
        return cls(folders, globs, files, FileFilter.read(stored.get("filters") or {}))

    def to_json(self) -> dict[str, Any]:
        """As it is stored; `filters` only where there are any."""
        stored: dict[str, Any] = {"folders": list(self.folders), "globs": list(self.globs), "files": list(self.files)}
        return stored | ({"filters": self.filters.to_json()} if self.filters else {})

    @property
    def is_filtered(self) -> bool:
        """Whether more than the folder decides which files below a folder are meant."""
        return bool(self.globs) or bool(self.filters)

    @property
    def searched_folders(self) -> tuple[str, ...]:
        """The folders that are searched, outermost only; empty when explicit files are all that is asked for."""
        return self.folders or (() if self.files and not self.is_filtered else ("/",))

    @property
    def is_everything(self) -> bool:
        return self.searched_folders == ("/",) and not self.is_filtered


@dataclass(frozen=True)
class Measure:
    n_files: int
    size_bytes: int


@dataclass(frozen=True)
class FileRow:
    path: str
    size_bytes: int
    sha256: str
    collection_path: str
    modified_at: dt.datetime | None = None
    format: str = ""
    availability: str = ""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class FolderRow:
    path: str
    n_files: int
    size_bytes: int
    is_open: bool = False
    availability: str = ""

    @property
    def name(self) -> str:
        return self.path.rstrip("/").rpartition("/")[2] or "/"

    @property
    def depth(self) -> int:
        return self.path.count("/") - 1


@dataclass(frozen=True)
class Listing:
    """One page of a folder; `next_after` is empty on the last one. `is_more`: a search that found more than the totals say."""

    path: str
    n_files: int
    size_bytes: int
    folders: list[FolderRow]
    files: list[FileRow]
    next_after: str
    is_more: bool = False


def measure(version: Version, query: FileQuery) -> Measure:
    """How many files and bytes a selection holds. Whole folders are looked up, not counted; what is filtered or named is counted."""
    if query.is_filtered:
        source, where, parameters = source_of(version, query)
        sql = f"select count(*), coalesce(sum(fi.size_bytes), 0) from {source} where {where}"
        return Measure(*map(int, _rows(sql, parameters)[0]))
    sql = f"""
        select coalesce(sum(state.n_files), 0), coalesce(sum(state.size_bytes), 0) from datasets_folder f {STATE}
        where f.dataset_id = %(dataset)s and f.path = any(%(folders)s)"""
    whole = Measure(*map(int, _rows(sql, {**_keys(version), "folders": list(query.searched_folders)})[0]))
    loose = [path for path in query.files if not path.startswith(query.searched_folders)]
    if not loose:
        return whole
    counted = _count_files(version, loose)
    return Measure(whole.n_files + counted.n_files, whole.size_bytes + counted.size_bytes)


def measure_up_to(version: Version, query: FileQuery, most: int = MOST_COUNTED) -> tuple[Measure, bool]:
    """The totals of the first files of a selection, up to `most` of them, and whether there are more: what a page can afford."""
    source, where, parameters = source_of(version, query)
    sql = f"""
        select count(*), coalesce(sum(size_bytes), 0) from (select fi.size_bytes from {source} where {where} limit %(most)s) found"""
    n_files, size_bytes = _rows(sql, {**parameters, "most": most + 1})[0]
    return Measure(min(int(n_files), most), int(size_bytes)), n_files > most


def iterate(version: Version, query: FileQuery, after: str | None = None, *, batch: int = BATCH) -> Iterator[FileRow]:
    """The files of a selection in order of (folder path, name), from the one that follows path `after` on; flat memory for any number."""
    position = _split(after) if after else ("", "")
    while True:
        rows = _page(version, query, position, batch)
        yield from rows
        if len(rows) < batch:
            return
        position = _split(rows[-1].path)


def is_whole_folders(version: Version, query: FileQuery) -> bool:
    """Whether the selection is whole folders and nothing else, so that it can be copied as recursive items."""
    return not query.is_filtered and not query.files and not _has_displaced_files(version, query)


def missing_paths(version: Version, query: FileQuery) -> list[str]:
    """The named folders and files that this version does not hold, in order."""
    sql = (
        f"select f.path from datasets_folder f {STATE} where f.dataset_id = %(dataset)s and f.path = any(%(folders)s) and state.n_files > 0"
    )
    there = {path for (path,) in _rows(sql, {**_keys(version), "folders": list(query.folders)})}
    named = FileQuery(files=query.files) if query.files else None
    there |= {row.path for row in iterate(version, named)} if named else set()
    return [path for path in (*query.folders, *query.files) if path not in there]


def list_folder(
    version: Version,
    path: str,
    after: str | None = None,
    limit: int = 100,
    glob: str | None = None,
    filters: FileFilter | None = None,
    availability: str = "",
) -> Listing:
    """One page of a folder: its folders with recursive counts, then its files. With a glob or filters: what fits at any depth below.

    `after` is the `next_after` of the page before; `availability`, `online` or `cold`, asks for files that are that: totals and counts
    are of them alone. Raises InvalidError for a path that is no folder path; a folder that the version does not hold is an empty listing.
    """
    _check_path(path, is_folder=True)
    if availability not in {"", *AVAILABILITY}:
        raise InvalidError(fields={"availability": [f"One of {', '.join(AVAILABILITY)}."]})
    here = version.availability_of(path)
    if availability and here not in {"partly", availability}:
        return Listing(path, 0, 0, [], [], "")
    cold = tuple(one for one in version.cold_folders if one.startswith(path)) if availability and here == "partly" else ()
    if glob or filters:
        asked = filters or FileFilter()
        if cold and availability == "online":
            asked = replace(asked, without=(*asked.without, *cold))
        query = FileQuery(cold if cold and availability == "cold" else (path,), (glob,) if glob else (), filters=asked)
        return _search_folder(version, path, query, after, limit)
    totals, folders, files = _listed(version, path, after or "", limit + 1, cold, availability)
    n_files, size_bytes = totals
    shown: list[FolderRow | FileRow] = [*folders, *files]
    next_after = shown[limit - 1].path if len(shown) > limit else ""
    kept = shown[:limit]
    return Listing(
        path=path,
        n_files=n_files,
        size_bytes=size_bytes,
        folders=[row for row in kept if isinstance(row, FolderRow)],
        files=[row for row in kept if isinstance(row, FileRow)],
        next_after=next_after,
    )


def tree(version: Version, path: str, *, most: int = 200) -> list[FolderRow]:
    """The folder tree with the way to `path` open: root, and the folders beside and below each opened one, in order of path."""
    _check_path(path, is_folder=True)
    parts = path.strip("/").split("/") if path != "/" else []
    opened = ["/", *("/" + "/".join(parts[: depth + 1]) + "/" for depth in range(len(parts)))]
    sql = f"""
        select shown.path, shown.n_files, shown.size_bytes from datasets_folder opened
        cross join lateral (
            select f.path, state.n_files, state.size_bytes from datasets_folder f {STATE}
            where f.parent_id = opened.id and state.n_files > 0 order by f.name limit %(most)s
        ) shown
        where opened.dataset_id = %(dataset)s and opened.path = any(%(opened)s)
        union all
        select f.path, state.n_files, state.size_bytes from datasets_folder f {STATE} where f.dataset_id = %(dataset)s and f.path = '/'
        """
    rows = _rows(sql, {**_keys(version), "opened": opened, "most": most})
    return [
        FolderRow(path, n_files, size_bytes, is_open=path in opened)
        for path, n_files, size_bytes in sorted(rows, key=lambda row: row[0].encode())
    ]


def _search_folder(version: Version, path: str, query: FileQuery, after: str | None, limit: int) -> Listing:
    found = _page(version, query, _split(after) if after else ("", ""), limit + 1)
    total, is_more = measure_up_to(version, query)
    next_after = found[limit - 1].path if len(found) > limit else ""
    return Listing(path, total.n_files, total.size_bytes, [], found[:limit], next_after, is_more)


def _listed(
    version: Version, path: str, after: str, limit: int, cold: tuple[str, ...] = (), availability: str = ""
) -> tuple[tuple[int, int], list[FolderRow], list[FileRow]]:
    """(files, bytes) below a folder, and up to `limit` of its folders and of its files each that follow the path `after`.

    With `cold` folders below it: of what is on line, or cold, alone.
    """
    is_in_files = bool(after) and not after.endswith("/")
    names = {"after_folder": after.rstrip("/").rpartition("/")[2], "after_file": after.rpartition("/")[2] if is_in_files else ""}
    totals, folders, files = (0, 0), list[FolderRow](), list[tuple[Any, ...]]()
    is_cold = availability == "cold"
    keys: dict[str, Any] = {**_keys(version), "path": path, "folders": 0 if is_in_files else limit, "limit": limit, **names}
    if cold:  # a folder of them that is wholly cold is left out, or those alone that are cold or hold what is; files here are on line
        parts = [one.removeprefix(path).rstrip("/").split("/") for one in cold]
        keys |= {"names": [part[0] for part in parts if is_cold or len(part) == 1], "is_chosen": is_cold, "limit": 0 if is_cold else limit}
    sizes = _sizes(version, cold) if cold else {}
    for kind, name, n_files, size_bytes, *rest in _rows(LISTED_IN_PART, keys) if cold else LISTED_WHOLE.rows(keys):
        below = f"{path}{name}/" if kind == "folder" else path
        if cold and kind != "file":
            lying = [size for one, size in sizes.items() if one.startswith(below)]
            n_cold, cold_bytes = sum(one.n_files for one in lying), sum(one.size_bytes for one in lying)
            n_files, size_bytes = (n_cold, cold_bytes) if is_cold else (n_files - n_cold, size_bytes - cold_bytes)  # noqa: PLW2901
        if kind == "total":
            totals = (n_files, size_bytes)
        elif kind == "folder":
            folders.append(FolderRow(below, n_files, size_bytes, availability=version.availability_of(below)))
        else:
            files.append((path, name, size_bytes, *rest))
    return totals, folders, _as_files(version, files)


def _sizes(version: Version, folders: Sequence[str]) -> dict[str, Measure]:
    """What each of these folders holds. One statement."""
    sql = f"""
        select f.path, state.n_files, state.size_bytes from datasets_folder f {STATE}
        where f.dataset_id = %(dataset)s and f.path = any(%(folders)s)"""
    return {path: Measure(int(n), int(size)) for path, n, size in _rows(sql, {**_keys(version), "folders": list(folders)})}


def _page(version: Version, query: FileQuery, position: tuple[str, str], limit: int) -> list[FileRow]:
    """Up to `limit` files that follow `position` = (folder path, name).

    First what is left of that folder, then the folders after it: a row comparison over both would read the folder from its start each time.
    """
    source, where, parameters = source_of(version, query)
    folder, name = position
    if source != WALKED:
        sql = f"""
            select f.path, fi.name, fi.size_bytes, fi.sha256, fi.collection_path, fi.modified_at, fi.format from {source}
            where {where} and (f.path, fi.name) > (%(folder)s, %(after)s) order by f.path, fi.name limit %(limit)s"""
        return _as_files(version, _rows(sql, {**parameters, "folder": folder, "after": name, "limit": limit}))
    rows: list[tuple[Any, ...]] = []
    for step in ("f.path = %(folder)s", "f.path > %(folder)s"):
        if len(rows) == limit or (folder == "" and step.startswith("f.path =")):
            continue
        parameters |= {"folder": folder, "after": name if "=" in step else "", "limit": limit - len(rows)}
        sql = f"""
            select f.path, page.* from datasets_folder f
            cross join lateral (
                select fi.name, fi.size_bytes, fi.sha256, fi.collection_path, fi.modified_at, fi.format from datasets_file fi
                where fi.folder_id = f.id and fi.name > %(after)s and {where} order by fi.name limit %(limit)s
            ) page
            where {step} and f.dataset_id = %(dataset)s and f.path >= %(lowest)s and f.path < %(highest)s
            order by f.path, page.name limit %(limit)s"""
        rows += _rows(sql, parameters)
    return _as_files(version, rows)


def source_of(version: Version, query: FileQuery) -> tuple[str, str, dict[str, Any]]:
    """The tables that hold folder `f` and file `fi`, and the condition on them: those of few items are looked up instead of walked to."""
    where, parameters = _where(version, query)
    found = few_files(version, query.filters.items) if query.filters.items else None
    if found is None:
        return WALKED, where, parameters
    folders, names = found
    named = [_split(path) for path in query.files]
    return FOUND, where, parameters | {
        "hit_folders": folders, "hit_names": names, "named_folders": [one for one, _ in named], "named_names": [one for _, one in named],
    }  # fmt: skip


def _where(version: Version, query: FileQuery) -> tuple[str, dict[str, Any]]:
    """The condition on folder `f` and file `fi` that says the selection, with its parameters."""
    folders = query.searched_folders
    parameters: dict[str, Any] = {
        **_keys(version),
        "lows": list(folders),
        "highs": [_beyond(path) for path in folders],
        "files": list(query.files),
        "file_folders": sorted({_split(path)[0] for path in query.files}),
        "regexes": [to_regex(glob) for glob in query.globs],
    }
    parameters["lowest"] = min([*folders, *parameters["file_folders"]], default="/")
    parameters["highest"] = max([*parameters["highs"], *map(_beyond, parameters["file_folders"])], default="0")
    if len(folders) == 1:
        below = "f.path >= (%(lows)s::text[])[1] and f.path < (%(highs)s::text[])[1]"
    else:
        spans = "unnest(%(lows)s::text[], %(highs)s::text[]) as span(low, high)"
        below = f"exists (select 1 from {spans} where f.path >= span.low and f.path < span.high)"
    if query.globs:
        below += " and f.path || fi.name ~ any(%(regexes)s)"
    conditions, asked = query.filters.conditions(version)
    below = " and ".join([below, *conditions])
    parameters |= asked
    named = "f.path = any(%(file_folders)s) and f.path || fi.name = any(%(files)s)"
    chosen = " or ".join(f"({part})" for part in (below if folders else "", named if query.files else "") if part)
    return f"f.dataset_id = %(dataset)s and {VALID} and ({chosen})", parameters


def _count_files(version: Version, paths: list[str]) -> Measure:
    sql = f"""
        select count(*), coalesce(sum(fi.size_bytes), 0) from unnest(%(folders)s::text[], %(names)s::text[]) as asked(path, name)
        join datasets_folder f on f.dataset_id = %(dataset)s and f.path = asked.path
        join datasets_file fi on fi.folder_id = f.id and fi.name = asked.name where {VALID}"""
    folders, names = zip(*map(_split, paths), strict=True)
    return Measure(*map(int, _rows(sql, {**_keys(version), "folders": list(folders), "names": list(names)})[0]))


def _has_displaced_files(version: Version, query: FileQuery) -> bool:
    """Whether some file of the selection is not where its logical path says, so that a recursive copy would miss it."""
    where, parameters = _where(version, query)
    sql = f"""
        select exists (
            select 1 from datasets_folder f join datasets_file fi on fi.folder_id = f.id where fi.collection_path <> '' and {where}
        )"""
    return bool(_rows(sql, parameters)[0][0])


def _as_files(version: Version, rows: list[tuple[Any, ...]]) -> list[FileRow]:
    location, whole, cold = version.primary_location, version.availability, version.cold_folders
    found = []
    for folder, name, size_bytes, sha256, displaced, modified_at, file_format in rows:
        path = folder + name
        at = displaced or (location.collection_path(path) if location else path)
        digest = bytes(sha256).hex() if sha256 is not None else ""
        state = ("cold" if folder.startswith(cold) else whole) if cold else whole
        found.append(FileRow(path, size_bytes, digest, at, modified_at, file_format, state))
    return found


def _outermost(folders: Sequence[str]) -> tuple[str, ...]:
    """Without those that lie in another one, in byte order."""
    kept: list[str] = []
    for folder in sorted(set(folders), key=str.encode):
        if not kept or not folder.startswith(kept[-1]):
            kept.append(folder)
    return tuple(kept)


def _check_path(path: str, *, is_folder: bool) -> None:
    segments = path.split("/")
    if (
        not path.startswith("/")
        or "\0" in path
        or path.endswith("/") != is_folder
        or any(part in {".", ".."} for part in segments)
        or "//" in path
    ):
        kind = "A folder path starts and ends with /" if is_folder else "A file path starts with / and does not end with it"
        raise InvalidError(f"{kind}, without empty, . or .. parts: {path[:200]!r}")


def _beyond(folder: str) -> str:
    """The first string after everything below the folder, in byte order: 0 follows /."""
    return folder[:-1] + "0"


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder + "/", name


def _keys(version: Version) -> dict[str, Any]:
    return {"dataset": version.dataset_id, "version": version.number}


def _rows(sql: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
