"""The manifest of a version: every file with its size and SHA-256, as a stream of lines in the form that is asked for.

`csv` and `ndjson` name all files; `sha256` is what `sha256sum --check` reads, so files without a known checksum are not in it.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator

from datasets.errors import InvalidError
from datasets.files import FileQuery, FileRow, iterate
from datasets.models import Version

COLUMNS = ("path", "size_bytes", "sha256")
LINES_AT_ONCE = 500


def stream(version: Version, form: str, query: FileQuery | None = None) -> Iterator[str]:
    """The manifest, or the part of it that a query selects, in pieces of some hundred lines: flat memory for any number of files.

    Raises InvalidError for a form that there is not.
    """
    if form not in FORMS:
        raise InvalidError(fields={"format": [f"One of {', '.join(FORMS)}."]})
    return _in_pieces(FORMS[form][1](iterate(version, query or FileQuery())))


def media_type(form: str) -> str:
    return FORMS[form][0]


def _as_csv(rows: Iterator[FileRow]) -> Iterator[str]:
    yield _csv_line(COLUMNS)
    for row in rows:
        yield _csv_line((row.path.removeprefix("/"), str(row.size_bytes), row.sha256))


def _csv_line(values: tuple[str, ...]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()


def _as_ndjson(rows: Iterator[FileRow]) -> Iterator[str]:
    for row in rows:
        values = (row.path.removeprefix("/"), row.size_bytes, row.sha256 or None)
        yield json.dumps(dict(zip(COLUMNS, values, strict=True)), ensure_ascii=False) + "\n"


def _as_sha256(rows: Iterator[FileRow]) -> Iterator[str]:
    """GNU coreutils: a name with a backslash or a line break is written escaped, and its line starts with a backslash."""
    for row in rows:
        name = row.path.removeprefix("/")
        escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        if row.sha256:
            mark = "\\" if escaped != name else ""
            yield f"{mark}{row.sha256}  {escaped}\n"


def _in_pieces(lines: Iterator[str]) -> Iterator[str]:
    kept: list[str] = []
    for line in lines:
        kept.append(line)
        if len(kept) == LINES_AT_ONCE:
            yield "".join(kept)
            kept.clear()
    yield "".join(kept)


FORMS: dict[str, tuple[str, Callable[[Iterator[FileRow]], Iterator[str]]]] = {
    "csv": ("text/csv; charset=utf-8", _as_csv),
    "ndjson": ("application/x-ndjson; charset=utf-8", _as_ndjson),
    "sha256": ("text/plain; charset=utf-8", _as_sha256),
}
