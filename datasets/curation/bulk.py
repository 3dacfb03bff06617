"""Many datasets from one table: each row registers a dataset or changes one. Read `load` first.

A dry run does everything and takes it back, so it finds exactly what the run itself would find, for all rows at once. A run that finds
anything wrong changes nothing.
"""

import csv
import io
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from datasets import series
from datasets.access import Visitor
from datasets.curation import registering
from datasets.curation.publishing import open_draft
from datasets.description import entries, stating
from datasets.errors import ConflictError, ForbiddenError, InvalidError, RefusedError
from datasets.items.values import plain_cell
from datasets.models import Dataset, Series

MOST_ROWS = 2_000
LONGEST = 5_000_000
LISTS = ("creators", *stating.LISTS)
PLACE = ("collection_id", "base_path")
NO_SERIES = "-"
COLUMNS = ("slug", *(name for name in stating.DESCRIBED if name != "embargo_ends_at"), *LISTS, "places", "subjects", *PLACE, "series")


@dataclass(frozen=True)
class Wrong:
    """One thing to mend: the line of the table (the header is line 1), the column, the words."""

    line: int
    column: str
    words: str


@dataclass
class Loaded:
    """What a run did, or a dry run would do: slugs that are new, slugs that are changed, and all that is wrong."""

    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    wrong: list[Wrong] = field(default_factory=list)
    is_done: bool = False


def load(text: str, *, user: Visitor, is_dry_run: bool) -> Loaded:
    """Register or change the datasets of a CSV table. A column that is not there, or a cell that is empty, leaves what is.

    Columns: `slug`, those of a description, the lists of `entries` (entries one a line or separated by |, their parts by semicolons:
    a creator is name; ORCID; affiliations), `subjects` (separated by commas), `places` (by |), `collection_id` and `base_path` for where
    the files are, `series` (the short name of one; a hyphen takes the dataset out of its series).
    Raises ForbiddenError unless she is a steward or an operator, InvalidError for a table that cannot be read as such.
    """
    registering.check_may_register(user)
    rows = read_rows(text)
    loaded, seen = Loaded(), set[str]()
    with transaction.atomic():
        _lock([row["slug"] for _, row in rows], user)
        for line, row in rows:
            slug = row.get("slug", "")
            if slug in seen:
                loaded.wrong.append(Wrong(line, "slug", f"{slug} stands in an earlier line too."))
            seen.add(slug)
            _load_row(line, row, user, loaded)
        loaded.is_done = not is_dry_run and not loaded.wrong
        transaction.set_rollback(not loaded.is_done)
    return loaded


def _lock(slugs: list[str], user: Visitor) -> None:
    """Hold all datasets that the table may change before the first is indexed: later, somebody who waits for the index might hold one."""
    list(Dataset.objects.curated_by(user).filter(slug__in=slugs).order_by("pk").held().values_list("pk"))


def read_rows(text: str) -> list[tuple[int, dict[str, str]]]:
    """(line, cells by column) of every row that holds anything. Raises InvalidError naming what is wrong with the table."""
    if len(text) > LONGEST:
        raise InvalidError(fields={"table": [f"At most {LONGEST // 1_000_000} million characters at once."]})
    if "\0" in text:
        raise InvalidError(fields={"table": ["This is not text."]})
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff"), newline=""), restkey="", strict=True)
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
        _check_header(header)
        reader.fieldnames = header
        found = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InvalidError(fields={"table": [f"Line {reader.line_num} is not CSV: {error}."]}) from error
    if too_wide := next((line for line, row in found if "" in row), None):
        raise InvalidError(fields={"table": [f"Line {too_wide} has more cells than the header has columns."]})
    if len(found) > MOST_ROWS:
        raise InvalidError(fields={"table": [f"At most {MOST_ROWS:,} rows at once."]})
    kept = [(line, {name: (cell or "").strip() for name, cell in row.items()}) for line, row in found]
    return [(line, row) for line, row in kept if any(row.values())]


def _check_header(header: list[str]) -> None:
    unknown = sorted(set(header) - set(COLUMNS))
    if "slug" not in header:
        raise InvalidError(fields={"table": ["The first line names the columns; one of them is slug."]})
    if unknown or len(set(header)) != len(header):
        words = f"There is no column {', '.join(map(repr, unknown))}." if unknown else "A column stands there twice."
        raise InvalidError(fields={"table": [f"{words} Columns: {', '.join(COLUMNS)}."]})


def _load_row(line: int, row: Mapping[str, str], user: Visitor, loaded: Loaded) -> None:
    """Do one row in a savepoint: what is wrong in it does not keep the others from being looked at."""
    known = Dataset.objects.filter(slug=row["slug"]).first()
    description, wrong = _description(row), list[tuple[str, str]]()
    try:
        wanted = series.named(user, "" if row.get("series") == NO_SERIES else row.get("series"), "series")
    except InvalidError as error:
        wrong += [_by_column(path, words) for path, words in error.fields.items()]
        row = {name: cell for name, cell in row.items() if name != "series"}  # what else is wrong is found all the same
        wanted = None
    try:
        with transaction.atomic():
            if known is None:
                title = description.pop("title", "")
                dataset = registering.register(user=user, slug=row["slug"], title=title, **description).dataset
            else:
                dataset = registering.describe(known, user=user, **description)
            if row.get("series"):
                _put(dataset, wanted, user)
            _place(dataset, row, user)
    except RefusedError as error:
        wrong += [_by_column(path, words) for path, words in error.fields.items()] or [("slug", error.detail)]
    loaded.wrong += [Wrong(line, column, words) for column, words in wrong]
    if not wrong:
        (loaded.new if known is None else loaded.changed).append(row["slug"])


def _put(dataset: Dataset, wanted: Series | None, user: Visitor) -> None:
    """Put the dataset in a series, or in none, where it is not so yet. Raises InvalidError for one whose steward she is not."""
    try:
        series.put(dataset, user=user, series=wanted)
    except ForbiddenError as error:
        raise InvalidError(fields={"series": [error.detail]}) from error


def _place(dataset: Dataset, row: Mapping[str, str], user: Visitor) -> None:
    """Put the draft where the row says; a published version stays, and a draft is opened for another place."""
    if not any(row.get(name) for name in PLACE):
        return
    newest = dataset.versions.first()
    here = newest.primary_location if newest else None
    if here is not None and (str(here.collection_id or ""), here.base_path) == (row.get("collection_id", ""), row.get("base_path", "")):
        return
    try:
        collection_id = uuid.UUID(row.get("collection_id", ""))
    except ValueError as error:
        raise InvalidError(fields={"collection_id": ["The id of a Globus collection."]}) from error
    draft = open_draft(dataset, user=user, reason="another location")
    try:
        registering.place(draft, user=user, collection_id=collection_id, base_path=row.get("base_path", ""))
    except ConflictError as error:
        if "closes_others" not in error.fields:
            raise
        meant = "Name a folder beside; or, if it is meant, place this one dataset on its own page, where you can say so."
        raise ConflictError(error.detail, fields={"base_path": [*error.fields["base_path"], meant]}) from error


def _by_column(path: str, words: list[str]) -> tuple[str, str]:
    """(column, words) for the path of a field: `funders.1.name` is the second entry of the column funders."""
    column, _, rest = path.partition(".")
    at, _, part = rest.partition(".")
    return column, f"{f'Entry {int(at) + 1}, {part}: ' if part else ''}{' '.join(words)}"


def _description(row: Mapping[str, str]) -> dict[str, Any]:
    """The description that a row states."""
    description: dict[str, Any] = {name: cell for name, cell in row.items() if cell and name not in {"slug", "series", *PLACE}}
    for name in set(LISTS) & set(description):
        description[name] = entries.from_text(name, description[name])
    for name, separator in (("subjects", ","), ("places", "|")):
        if name in description:
            description[name] = description[name].replace("\n", separator).split(separator)
    return description


def as_table(datasets: list[Dataset]) -> str:
    """The present descriptions in the same columns, to be edited and loaded again."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    for dataset in datasets:
        newest = dataset.versions.first()
        location = newest.primary_location if newest else None
        cells: dict[str, Any] = {
            name: getattr(dataset, name) for name in COLUMNS if hasattr(dataset, name) and name not in {"subjects", "series"}
        }
        cells |= {name: "|".join(entries.as_line(name, one) for one in rows) for name, rows in entries.of(dataset).items()}
        cells["series"] = dataset.series.slug if dataset.series else ""
        cells["places"] = "|".join(dataset.places)
        cells["subjects"] = ", ".join(one.name for one in dataset.subjects.all())
        cells |= {"collection_id": location.collection_id if location else "", "base_path": location.base_path if location else ""}
        writer.writerow({name: plain_cell("" if cell is None else str(cell)) for name, cell in cells.items()})
    return text.getvalue()
