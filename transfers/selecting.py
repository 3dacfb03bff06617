"""The basket: what somebody is about to ask for. It belongs to a browser session until she signs in, and to her from then on."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from datasets import files
from datasets.access import check_may_list, check_offered, decide, may_list
from datasets.files import FileQuery, cold
from datasets.models import Dataset, Version
from transfers.errors import BasketChangedError, InvalidError, NotFoundError
from transfers.models import Basket, Selection
from transfers.requesting import MOST_SELECTIONS, Wanted

IN_BUCKET = "They lie in an object store, and Globus moves nothing from there: they are downloaded, by hand or by script."


@dataclass(frozen=True)
class Line:
    """One selection as the basket's page shows it; `why_not` is empty when it can be asked for, or the rest of it where `has_online`."""

    selection: Selection
    why_not: str
    note: str
    can_be_sent: bool
    has_online: bool = False


@dataclass(frozen=True)
class Review:
    """A basket with its totals: what can be asked for, and what is left out and why. `key` says what was looked at."""

    lines: list[Line]
    n_files: int
    size_bytes: int
    key: str

    @property
    def left_out(self) -> list[Line]:
        return [line for line in self.lines if line.why_not]

    @property
    def downloads(self) -> list[Wanted]:
        """What is left out of requests, as it lies in buckets, and may be downloaded from there by this person."""
        kept = [line.selection for line in self.lines if line.why_not == IN_BUCKET]
        return [Wanted(one.version, one.query) for one in kept if not one.version.dataset.is_controlled]

    @property
    def wanted(self) -> list[Wanted]:
        return [Wanted(line.selection.version, line.selection.query) for line in self.lines if not line.why_not]


def find_basket(*, user: Any, session_key: str | None) -> Basket | None:
    """The basket of a person, or of a session where nobody is signed in."""
    if getattr(user, "is_authenticated", False):
        return Basket.objects.filter(user=user).first()
    return Basket.objects.filter(session_key=session_key).first() if session_key else None


def open_basket(*, user: Any, session_key: str | None) -> Basket:
    """The same, made when there is none."""
    if getattr(user, "is_authenticated", False):
        return Basket.objects.get_or_create(user=user)[0]
    if not session_key:
        raise InvalidError("A basket needs a browser session.")
    return Basket.objects.get_or_create(session_key=session_key)[0]


@transaction.atomic
def adopt_basket(session_key: str | None, user: Any) -> None:
    """What was chosen before signing in becomes hers. Safe to repeat."""
    anonymous = Basket.objects.select_for_update().filter(session_key=session_key).first() if session_key else None
    if anonymous is None:
        return
    own = Basket.objects.get_or_create(user=user)[0]
    for selection in anonymous.selections.exclude(version__status="withdrawn").select_related("version__dataset"):
        add_selection(own, version=selection.version, query=selection.query, user=user)
    anonymous.delete()


@transaction.atomic
def add_selection(basket: Basket, *, version: Version, query: FileQuery, user: Any) -> Selection:
    """Put files of a version into the basket; whole folders and files join what is there of that version.

    Raises InvalidError when the version holds none of them, or when the basket is full; ForbiddenError for a part of a version whose file
    names are not for this person: what fits would tell them.
    """
    _check_may_name(version, query, user)
    Basket.objects.select_for_update().get(pk=basket.pk)
    check_offered(user, version)
    if missing := files.missing_paths(version, query):
        raise InvalidError(f"{version} does not hold {missing[0]}.", fields={"files": [f"Not there: {path}" for path in missing[:20]]})
    there = list(basket.selections.filter(version=version))
    for selection in there:
        if (joined := _joined(selection.query, query)) is not None:
            return _write(selection, joined)
    if basket.selections.count() >= MOST_SELECTIONS:
        raise InvalidError(f"A basket holds at most {MOST_SELECTIONS} selections. Choose whole folders instead of single files.")
    return _write(Selection(basket=basket, version=version), query)


def change_selection(basket: Basket, selection_id: int, *, query: FileQuery, user: Any) -> Selection:
    """Replace what is chosen of a version. Raises as `add_selection`."""
    selection = _selection(basket, selection_id)
    _check_may_name(selection.version, query, user)
    return _write(selection, query)


def leave_out_cold(basket: Basket, selection_id: int, *, user: Any) -> Selection:
    """Keep what is on line of a selection. Safe to repeat. Raises InvalidError where all of it is cold."""
    selection = _selection(basket, selection_id)
    return change_selection(basket, selection_id, query=cold.leave_out_cold(selection.version, selection.query), user=user)


def remove_selection(basket: Basket, selection_id: int) -> None:
    """Take a selection out. Safe to repeat."""
    basket.selections.filter(pk=selection_id).delete()


def empty_basket(basket: Basket) -> None:
    basket.selections.all().delete()


def review(basket: Basket | None, *, user: Any) -> Review:
    """The basket with its totals and what is left out, for this person now."""
    chosen = list(basket.selections.select_related("version__dataset")) if basket else []
    visible = set(Dataset.objects.visible_to(user).filter(pk__in={one.version.dataset_id for one in chosen}).values_list("pk", flat=True))
    lines = [_line(selection, user) for selection in chosen if selection.version.dataset_id in visible]
    kept = [line.selection for line in lines if not line.why_not]
    return Review(lines, sum(one.n_files for one in kept), sum(one.size_bytes for one in kept), key_of(kept))


def key_of(selections: Sequence[Selection]) -> str:
    """A short digest of what a person looked at, so that confirming another tab's basket is noticed."""
    return hashlib.sha256(json.dumps(sorted(json.dumps(one.as_key()) for one in selections)).encode()).hexdigest()[:16]


def check_unchanged(reviewed: Review, key: str) -> None:
    """Raises BasketChangedError when the basket is not the one that was confirmed."""
    if reviewed.key != key:
        raise BasketChangedError


def _line(selection: Selection, user: Any) -> Line:
    version, dataset = selection.version, selection.version.dataset
    location = version.primary_location
    decision = decide(user, dataset)
    why_not, has_online = "", False
    if not decision.is_allowed and getattr(user, "is_authenticated", False):
        why_not = decision.words
    elif version.is_withdrawn:
        why_not = f"This version was withdrawn: {version.withdrawal}"
    elif not selection.n_files:
        why_not = "No file fits."
    elif location is None or not location.is_online:
        why_not = "Its files are not on line at the moment."
    elif version.cold_folders and (n_cold := cold.measure_cold(version, selection.query).n_files):
        can_list = may_list(user, dataset, version)
        why_not = cold.describe_cold(version, selection.query, names_folders=can_list)
        has_online = can_list and n_cold < selection.n_files
    elif version.is_in_bucket:
        why_not = IN_BUCKET if decision.is_allowed else decision.words
    newer = dataset.versions.filter(published_at__isnull=False, number__gt=version.number).first()
    note = f"Version {newer.number} is newer." if newer else ""
    return Line(selection, why_not, note or ("" if decision.is_allowed else decision.words), dataset.is_read_in_place, has_online)


def _check_may_name(version: Version, query: FileQuery, user: Any) -> None:
    """A version as a whole may be chosen before she has access; its totals are public."""
    if not query.is_everything:
        check_may_list(user, version.dataset, version)


def _joined(one: FileQuery, other: FileQuery) -> FileQuery | None:
    """One query for both where there is one: everything takes in all, whole folders and files join."""
    if one.is_everything or one == other:
        return one
    if other.is_everything:
        return other
    # An explicit file beside a query that searches folders, or the other way round, keeps its meaning only without globs and filters.
    if one.is_filtered or other.is_filtered:
        return None
    return FileQuery(folders=one.folders + other.folders, globs=(), files=one.files + other.files)


def _write(selection: Selection, query: FileQuery) -> Selection:
    measured = files.measure(selection.version, query)
    if not measured.n_files:
        raise InvalidError("No file of this version fits.", fields={"globs": ["No file fits."]})
    selection.folders, selection.globs, selection.files = list(query.folders), list(query.globs), list(query.files)
    selection.filters = query.filters.to_json()
    selection.n_files, selection.size_bytes = measured.n_files, measured.size_bytes
    selection.save()
    return selection


def _selection(basket: Basket, selection_id: int) -> Selection:
    found = basket.selections.select_related("version__dataset").filter(pk=selection_id).first()
    if found is None:
        raise NotFoundError
    return found
