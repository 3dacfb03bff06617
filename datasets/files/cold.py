"""Which files of a selection are cold while others of their version are on line: how many, in words, and the selection without them.

A steward names the cold folders of a location (`preservation.locating.set_availability`). A version whose files are all cold, or all on
line, has none here: `Version.availability` says so.
"""

from dataclasses import replace

from datasets import files
from datasets.errors import InvalidError
from datasets.files import FileQuery, Measure
from datasets.models import Version

MOST_NAMED = 3


def measure_cold(version: Version, query: FileQuery) -> Measure:
    """How many files and bytes of a selection lie in cold folders of a version that is on line otherwise."""
    folders = _cold_below(version, query)
    named = tuple(path for path in query.files if path.startswith(version.cold_folders))
    parts = [FileQuery(folders, query.globs, named, query.filters)] if folders else [FileQuery(files=named)] if named else []
    measures = [files.measure(version, one) for one in parts]
    return Measure(sum(one.n_files for one in measures), sum(one.size_bytes for one in measures))


def describe_cold(version: Version, query: FileQuery, *, names_folders: bool = True) -> str:
    """What of a selection is cold, where if she may read names of files, and the remedy; empty where nothing is."""
    found = measure_cold(version, query)
    if not found.n_files:
        return ""
    paths = (*_cold_below(version, query), *(path for path in query.files if path.startswith(version.cold_folders)))
    more = f" and {len(paths) - MOST_NAMED:,} more" if len(paths) > MOST_NAMED else ""
    what = "1 of its files is cold" if found.n_files == 1 else f"{found.n_files:,} of its files are cold"
    where = f": {', '.join(paths[:MOST_NAMED])}{more}" if names_folders else ""
    return f"{what}, on tape or away for a time{where}. Leave them out, or ask the steward."


def leave_out_cold(version: Version, query: FileQuery) -> FileQuery:
    """The files of a selection that are on line. Raises InvalidError for named files that are all cold: to name none means everything."""
    kept = tuple(path for path in query.files if not path.startswith(version.cold_folders))
    if not query.searched_folders:
        if not kept:
            raise InvalidError("All of these files are cold. Take them out, or ask the steward.")
        return FileQuery(files=kept)
    without = tuple(dict.fromkeys((*query.filters.without, *_cold_below(version, query))))
    return FileQuery(query.folders, query.globs, kept, replace(query.filters, without=without))


def _cold_below(version: Version, query: FileQuery) -> tuple[str, ...]:
    """Where the searched folders and the cold ones meet, but for what is left out already."""
    met = [
        max(cold, folder, key=len)
        for cold in version.cold_folders
        for folder in query.searched_folders
        if cold.startswith(folder) or folder.startswith(cold)
    ]
    return tuple(path for path in met if not path.startswith(query.filters.without))
