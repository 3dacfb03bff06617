"""The tree of series: making, describing, moving and deleting them, appointing their stewards, putting datasets in. Read `create` first.

Every verb that changes the tree holds one lock on it: two moves at once could close a circle that neither of them sees. What is
moved is told to harvesters anew, as it is in other sets then.
"""

import logging
import uuid
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Max, Q, Sum
from django.utils import timezone

from datasets.access import Visitor, check_curator, check_role_counts, is_curator
from datasets.access.granting import check_group
from datasets.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from datasets.identifiers import LONGEST_SLUG, SLUG, SLUG_WORDS
from datasets.models import Dataset, DatasetEvent, PrincipalType, Series, SeriesEvent, SeriesSteward
from datasets.search.indexing import index_dataset

log = logging.getLogger(__name__)

DEEPEST = 8
LOCK = 0x73657269  # the key of the advisory lock on the tree; it comes before every row, see `DatasetQuerySet.held`

MOVE = """
    update datasets_series set lineage = %(above)s::bigint[] || lineage[array_position(lineage, %(id)s):]
    where lineage @> array[%(id)s]::bigint[]
"""
BELOW = """
    select child.id, coalesce(sum(s.n_listed), 0)::bigint from datasets_series child
    join datasets_series s on s.lineage @> array[child.id] where child.id = any(%s) group by child.id
"""


Position = tuple[str, str]


@dataclass(frozen=True)
class Branch:
    """A series with how many listed datasets are in it and below."""

    series: Series
    n_listed: int


def find_series(user: Visitor, slug: str) -> Series:
    """The series, when this person may see it; NotFoundError otherwise."""
    series = Series.objects.visible_to(user).filter(slug=slug).first()
    if series is None:
        raise NotFoundError
    return series


def named(user: Visitor, slug: str | None, field: str) -> Series | None:
    """The series that a field of a request names; None for none. Raises InvalidError for one that there is not, or that she may not see."""
    if not slug:
        return None
    found = Series.objects.visible_to(user).filter(slug=slug).first()
    if found is None:
        raise InvalidError(fields={field: [f"There is no series {slug[:80]} that you may see. Give its short name."]})
    return found


def lineage_of(series: Series | None, user: Visitor) -> list[Series]:
    """From the top of the tree down to this series, what she may see of it; empty for none. One statement."""
    if series is None:
        return []
    return sorted(Series.objects.visible_to(user).filter(pk__in=series.lineage), key=lambda one: one.depth)


def branches(user: Visitor, parent: Series | None, *, after: str = "", limit: int) -> list[Branch]:
    """Up to `limit` series directly below one, or at the top, that she may see, in the order of their slugs. Two statements."""
    shown = list(Series.objects.visible_to(user).filter(parent=parent, slug__gt=after).order_by("slug")[:limit])
    with connection.cursor() as cursor:
        cursor.execute(BELOW, [[one.pk for one in shown]])
        counts = dict(cursor.fetchall())
    return [Branch(one, counts.get(one.pk, 0)) for one in shown]


def count_listed(series: Series) -> int:
    """How many listed datasets are in it and below."""
    return int(Series.objects.below(series).aggregate(n=Sum("n_listed"))["n"] or 0)


def datasets_in(series: Series, user: Visitor, *, after: Position | None, limit: int) -> list[Dataset]:
    """Up to `limit` datasets directly in a series, what is listed and what she curates, by title after a (title, id). One statement."""
    found = Dataset.objects.found_by(user).filter(series=series)
    if after:
        found = found.filter(Q(title__gt=after[0]) | Q(title=after[0], pk__gt=after[1]))
    return list(found.defer("search_terms").order_by("title", "pk")[:limit])


def is_series_steward(user: Visitor, series: Series | None) -> bool:
    """Whether she may change this series and what is in it; the top of the tree, None, is the operators'."""
    if series is None:
        return bool(getattr(user, "is_operator", False))
    return Series.objects.stewarded_by(user).filter(pk=series.pk).exists()


def check_series_steward(user: Visitor, series: Series | None) -> None:
    """Raise ForbiddenError unless she is a steward of the series or an operator."""
    if not is_series_steward(user, series):
        check_role_counts(user)
        who = "a steward of this series or an operator may do this" if series else "an operator changes the top of the tree"
        raise ForbiddenError(f"Only {who}.")


@transaction.atomic
def create(*, user: Visitor, slug: str, title: str, description: str = "", parent: Series | None = None) -> Series:
    """A new series below `parent`, or at the top of the tree.

    Raises ForbiddenError unless she is a steward of the parent (at the top: an operator), InvalidError naming every wrong field,
    ConflictError for a slug in use and for a tree that would be too deep.
    """
    check_series_steward(user, parent)
    _lock()
    if not SLUG.fullmatch(slug) or len(slug) > LONGEST_SLUG:
        raise InvalidError(fields={"slug": [SLUG_WORDS]})
    if Series.objects.filter(slug=slug).exists():
        raise ConflictError(f"There is a series {slug} already.", fields={"slug": ["In use."]})
    above = _lineage_now(parent)
    _check_depth(len(above) + 1)
    series = Series(slug=slug, title=title.strip(), description=description.strip(), parent=parent)
    _clean(series)
    series.save()
    Series.objects.filter(pk=series.pk).update(lineage=[*above, series.pk])
    series.refresh_from_db()
    _write(series, "created", user)
    return series


@transaction.atomic
def describe(series: Series, *, user: Visitor, title: str | None = None, description: str | None = None) -> Series:
    """Change title or description; what is not given stays. Raises ForbiddenError, InvalidError."""
    check_series_steward(user, series)
    row = Series.objects.select_for_update().get(pk=series.pk)
    row.title = row.title if title is None else title.strip()
    row.description = row.description if description is None else description.strip()
    _clean(row)
    row.save(update_fields=["title", "description", "updated_at"])
    _write(row, "described", user)
    return row


@transaction.atomic
def move(series: Series, *, user: Visitor, parent: Series | None) -> Series:
    """Hang a series with all that is below it under another one, or at the top of the tree. Safe to repeat.

    Raises ForbiddenError unless she is a steward both of what it hangs under now and of `parent` (at the top: an operator),
    ConflictError for a place that is the series itself or below it, or too deep.
    """
    _lock()
    row = Series.objects.select_related("parent").get(pk=series.pk)
    check_series_steward(user, row.parent)
    check_series_steward(user, parent)
    if row.parent_id == (parent.pk if parent else None):
        return row
    above = _lineage_now(parent)
    if row.pk in above:
        raise ConflictError(fields={"parent": [f"{parent} lies in {row} itself: choose a place outside of it."]})
    deepest = Series.objects.below(row).aggregate(most=Max("lineage__len"))["most"] or 1
    _check_depth(len(above) + 1 + deepest - row.depth)
    old = row.parent
    moved = Dataset.objects.listed().filter(series__in=Series.objects.below(row))
    list(moved.order_by("pk").held().values_list("pk"))  # before any series, as who puts one of them elsewhere does
    moved.update(updated_at=timezone.now())
    Series.objects.filter(pk=row.pk).update(parent=parent, updated_at=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(MOVE, {"above": above, "id": row.pk})
    _write(row, "moved", user, note=f"from {_name(old)} to {_name(parent)}")
    row.refresh_from_db()
    return row


@transaction.atomic
def change(series: Series, *, user: Visitor, title: str | None = None, description: str | None = None, **place: Series | None) -> Series:
    """Describe and, where `parent` is given, move; both or neither. Raises as these do."""
    if "parent" in place:
        series = move(series, user=user, parent=place["parent"])
    return describe(series, user=user, title=title, description=description)


@transaction.atomic
def delete(series: Series, *, user: Visitor) -> None:
    """Delete a series that holds neither datasets nor series. Raises ConflictError saying what it holds, ForbiddenError."""
    check_series_steward(user, series)
    _lock()
    if n_series := series.children.count():
        raise ConflictError(f"{n_series} series hang below it: move or delete them first.")
    if n_datasets := Dataset.with_bin.filter(series=series).count():
        raise ConflictError(f"{n_datasets} datasets are in it, drafts and the bin counted: move them first.")
    _write(series, "deleted", user)
    series.delete()


@transaction.atomic
def appoint(series: Series, *, user: Visitor, principal_type: str, principal: uuid.UUID, label: str = "") -> SeriesSteward:
    """Make an identity or a group steward of the series, of the series below it, and of every dataset of these. Safe to repeat.

    She needs no role besides. Raises ForbiddenError unless the appointing person is a steward of the series or an operator, InvalidError
    with the remedy for a group whose members the portal may not see.
    """
    check_series_steward(user, series)
    if principal_type not in PrincipalType.values:
        raise InvalidError(fields={"principal_type": [f"One of {', '.join(PrincipalType.values)}."]})
    if principal_type == PrincipalType.GROUP:
        check_group(principal)
    facts = {"label": label[:200], "appointed_by": user, "appointed_at": timezone.now()}
    made, is_new = SeriesSteward.objects.get_or_create(series=series, principal_type=principal_type, principal=principal, defaults=facts)
    if is_new:
        _write(series, "steward appointed", user, note=f"{principal_type} {made}")
    return made


@transaction.atomic
def dismiss(steward: SeriesSteward, *, user: Visitor) -> None:
    """End a stewardship at once. Raises ForbiddenError."""
    check_series_steward(user, steward.series)
    _write(steward.series, "steward dismissed", user, note=f"{steward.principal_type} {steward}")
    steward.delete()


@transaction.atomic
def put(dataset: Dataset, *, user: Visitor, series: Series | None) -> Dataset:
    """Put a dataset in a series, out of the one that it is in; None: in no series. Safe to repeat.

    Its stewards change with it, so she must be a steward of the dataset, of the series that it leaves and of the one that it comes to, and
    must not lock herself out. Raises ForbiddenError, ConflictError.
    """
    row = Dataset.objects.held().select_related("series").get(pk=dataset.pk)
    check_curator(user, row)
    old = row.series
    if (old.pk if old else None) == (series.pk if series else None):
        return row
    for one in filter(None, (old, series)):
        check_series_steward(user, one)
    row.series = series
    row.save(update_fields=["series", "updated_at"])
    if not is_curator(user, row):
        raise ConflictError(fields={"series": ["You curate this dataset through its series alone: outside of it you could not."]})
    DatasetEvent.objects.create(dataset=row, act="series", actor=user, note=f"from {_name(old)} to {_name(series)}")
    index_dataset(row)
    dataset.series, dataset.updated_at = series, row.updated_at
    return row


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", [LOCK])


def _lineage_now(parent: Series | None) -> list[int]:
    """The lineage as it is under the lock: the caller's copy may be older."""
    if parent is None:
        return []
    lineage = Series.objects.filter(pk=parent.pk).values_list("lineage", flat=True).first()
    if lineage is None:
        raise ConflictError(fields={"parent": ["This series was deleted meanwhile."]})
    return list(lineage)


def _check_depth(depth: int) -> None:
    if depth > DEEPEST:
        raise ConflictError(
            fields={"parent": [f"A tree of more than {DEEPEST} levels loses its readers: choose a place nearer to the top."]}
        )


def _clean(series: Series) -> None:
    try:
        series.full_clean(exclude=["lineage"])
    except ValidationError as error:
        raise InvalidError(fields=error.message_dict) from error


def _name(series: Series | None) -> str:
    return series.slug if series else "no series"


def _write(series: Series, act: str, user: Visitor, *, note: str = "") -> None:
    actor: Any = user
    SeriesEvent.objects.create(series=series, slug=series.slug, act=act, actor=actor, note=note)
    log.info("series %s", act, extra={"series_id": series.pk, "slug": series.slug})
