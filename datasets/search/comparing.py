"""Datasets beside each other: those like one, and up to four as the columns of a table."""

# ruff: noqa: S608  (statements are put together from this module's own constants; every value is a parameter)

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Prefetch

from datasets.access import Visitor
from datasets.errors import InvalidError, NotFoundError
from datasets.identifiers import resolution_words
from datasets.models import Dataset, Version
from datasets.search import places
from datasets.search.indexing import LISTED

MOST_COMPARED = 4
MOST_CANDIDATES = 500

# Of some datasets the most alike; a shared variable tells more than a shared subject.
SIMILAR = f"""
    select d.id from datasets_searchentry e join datasets_dataset d on d.id = e.dataset_id
    where e.place = any(%(places)s::int[]) and d.id <> %(id)s and {LISTED}
    order by 3 * cardinality(array(select unnest(d.variable_facet) intersect select unnest(%(variables)s::text[])))
        + 2 * cardinality(array(select unnest(d.subject_facet) intersect select unnest(%(subjects)s::text[]))) desc, d.listed_at desc, d.id
    limit %(most)s
"""


@dataclass(frozen=True)
class Row:
    """One line of a comparison: the values of all datasets, and whether they differ."""

    label: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return len(set(self.values)) > 1


def similar_to(dataset: Dataset, *, most: int = 4) -> list[Dataset]:
    """Published datasets that share variables or subjects with this one, the most alike first; among the newest 500 that share any.

    The newest are those that were registered last. At most three statements, none of which reads more than these rows.
    """
    known, _ = places.read({}, {})
    variables, subjects = dataset.variable_facet, dataset.subject_facet
    sharing = known.listed & (known.with_any("variable", variables) | known.with_any("subject", subjects))
    newest = list(sharing[-MOST_CANDIDATES - 1 :])  # it may be one of them itself
    if not newest:
        return []
    with connection.cursor() as cursor:
        cursor.execute(SIMILAR, {"places": newest, "id": dataset.pk, "variables": variables, "subjects": subjects, "most": most})
        ids = [row[0] for row in cursor.fetchall()]
    found = Dataset.objects.in_bulk(ids)
    return [found[one] for one in ids if one in found]


def find_compared(slugs: Sequence[str], *, user: Visitor) -> list[Dataset]:
    """The datasets that are asked for, in that order. InvalidError unless two to four, NotFoundError for one that she may not see."""
    wanted = list(dict.fromkeys(slugs))
    if not 2 <= len(wanted) <= MOST_COMPARED:
        raise InvalidError(fields={"dataset": [f"Choose two to {MOST_COMPARED} datasets to compare."]})
    newest = Prefetch("versions", Version.objects.offered())
    visible = Dataset.objects.visible_to(user).filter(slug__in=wanted).prefetch_related("variables", newest)
    found = {dataset.slug: dataset for dataset in visible}
    if missing := [slug for slug in wanted if slug not in found]:
        raise NotFoundError(f"There is no dataset {missing[0][:80]} that you may see.")
    return [found[slug] for slug in wanted]


def compare(datasets: Sequence[Dataset]) -> list[Row]:
    """The lines of the table; what a dataset does not state is empty."""
    return [Row(label, tuple(str(value(dataset) or "") for dataset in datasets)) for label, value in LINES]


def _variables(dataset: Dataset) -> str:
    return "\n".join(f"{one.label.replace('_', ' ')}{f' ({one.units})' if one.units else ''}" for one in dataset.variables.all())


def _version(dataset: Dataset) -> str:
    newest: Any = next(iter(dataset.versions.all()), None)
    return f"{newest.number}, {newest.published_at:%Y-%m-%d}" if newest else ""


def _box(dataset: Dataset) -> str:
    return "{:g}°, {:g}° to {:g}°, {:g}°".format(*dataset.bbox) if dataset.bbox else ""


def _period(dataset: Dataset) -> str:
    if not dataset.temporal_start and not dataset.temporal_end:
        return ""
    return f"{dataset.temporal_start or '…'} to {dataset.temporal_end or '…'}"


def _resolution(dataset: Dataset) -> str:
    return resolution_words(dataset.temporal_resolution)


def _devices(dataset: Dataset) -> str:
    return "\n".join(one["name"] for one in (*dataset.platforms, *dataset.instruments))


LINES = (
    ("Creators", lambda dataset: "; ".join(dataset.creator_names)),
    ("Subjects", lambda dataset: ", ".join(dataset.subject_facet)),
    ("Variables", _variables),
    ("Instruments and platforms", _devices),
    ("Period", _period),
    ("Resolution in time", _resolution),
    ("Place (west, south to east, north)", _box),
    ("Formats", lambda dataset: ", ".join(dataset.format_facet)),
    ("Files", lambda dataset: f"{dataset.n_files:,}"),
    ("Size", lambda dataset: dataset.size_bytes),
    ("Access", lambda dataset: dataset.get_access_policy_display()),
    ("Licence", lambda dataset: dataset.licence),
    ("Newest version", _version),
    ("Funders", lambda dataset: "\n".join(one["name"] for one in dataset.funders)),
    ("Source", lambda dataset: dataset.source_name),
)
