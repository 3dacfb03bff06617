"""Which files of a version are drawn for a variable, and what a person may choose from."""

import re
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

from datasets import access, files
from datasets.access import terms
from datasets.errors import InvalidError
from datasets.files import FileQuery
from datasets.files.globs import matches
from datasets.models import AccessPolicy, Dataset, Variable, Version

MOST_FILES = 400


@dataclass(frozen=True)
class Chosen:
    """One dataset of a graph: the version, the variable, and the collection paths of the files that hold it."""

    version: Version
    variable: str
    label: str
    units: str
    collection_id: UUID
    paths: tuple[str, ...]


def drawable_datasets(user: Any) -> list[Dataset]:
    """Published datasets with a variable whose file is known and that she may read, now or once she signed in, in order of title."""
    known = Variable.objects.exclude(example_path="").values("dataset")
    found = Dataset.objects.visible_to(user).filter(published_at__isnull=False, pk__in=known).order_by("title", "id")
    return [dataset for dataset in found.prefetch_related("variables") if _may_draw(user, dataset)]


def _may_draw(user: Any, dataset: Dataset) -> bool:
    is_for_signed_in = dataset.effective_policy == AccessPolicy.REGISTERED and not (dataset.is_withdrawn or dataset.is_controlled)
    if not getattr(user, "is_authenticated", False) and is_for_signed_in:
        return True
    return access.decide(user, dataset).is_allowed


def choose(version: Version, variable: str, *, user: Any) -> Chosen:
    """What is drawn for a variable of a version (blank: its first). Raises ForbiddenError, or InvalidError in words."""
    access.check_may_have(user, version.dataset)
    terms.check_accepted(user, [version.dataset])
    return choose_files(version, variable)


def choose_files(version: Version, variable: str) -> Chosen:
    """The files that hold a variable: its example and those with the same name but for digits (a time series in several files)."""
    known = version.dataset.variables.exclude(example_path="")
    found = known.filter(name=variable).first() if variable else known.first()
    if found is None:
        raise InvalidError(f"{version.dataset.title} has no variable that can be drawn{f' named {variable}' if variable else ''}.")
    location = version.primary_location
    if location is None or location.collection_id is None or not location.is_online:
        raise InvalidError(f"The files of {version.dataset.title} are not on line in a collection.")
    rows = list(islice(_alike(version, found.example_path), MOST_FILES + 1))
    paths = tuple(row.collection_path for row in rows)
    if cold := next((row.path for row in rows if row.availability == "cold"), ""):
        raise InvalidError(f"Of the files that hold {found.name}, {cold} is cold: on tape, or away for a time. Ask the steward.")
    if not paths:
        raise InvalidError(f"The file that holds {found.name} is not part of version {version.number}.")
    if len(paths) > MOST_FILES:
        raise InvalidError(f"{found.name} is spread over more than {MOST_FILES} files; graphs are drawn of up to so many.")
    return Chosen(version, found.name, found.long_name or found.label, found.units, location.collection_id, paths)


def _alike(version: Version, example: str) -> Any:
    """Files whose path is that of the example but for digits, in order of path."""
    if not re.search(r"\d", example) or re.search(r"[*?\[\]]", example):
        return files.iterate(version, FileQuery(files=(example,)))
    glob = re.sub(r"\d+", "*", example)
    pattern = re.compile(r"\d+".join(re.escape(part) for part in re.split(r"\d+", example)))
    if not matches(glob, example):
        return files.iterate(version, FileQuery(files=(example,)))
    return (row for row in files.iterate(version, FileQuery(globs=(glob,))) if pattern.fullmatch(row.path))
