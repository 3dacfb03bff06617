"""Where the bytes of published versions are, after publication: moved, copied to a replica, taken off line. Read `move_location` first.

A version promises files, not places. A new place is believed once a scan found every file there, by size and time, and by checksum where
the time differs; until then nothing changes. The scan is a `ScanRun` with a purpose: followed, paused and cancelled like any other.
"""

import uuid
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from datasets.access import Visitor, check_curator
from datasets.curation.registering import check_place_is_free
from datasets.errors import ConflictError, InvalidError, NotReadyError, RefusedError, UnavailableError
from datasets.files import FileQuery, missing_paths
from datasets.models import Dataset, DatasetEvent, File, Location, LocationKind, ScanPurpose, ScanRun, Version
from datasets.preservation.damaging import in_words
from datasets.search.indexing import index_dataset

LONGEST_WAIT_MINUTES = 60 * 24 * 90
MOST_COLD = 500


def move_location(
    location: Location, *, user: Visitor, base_path: str, collection_id: uuid.UUID | None = None, bucket: str = ""
) -> ScanRun:
    """Say that the bytes at a location were moved, with all versions of the dataset that lie there. The scan that checks it, queued.

    The move counts once every file was found at the new place; else the scan fails, names what lacks, and all stays as it was.
    Raises ConflictError for a draft (`registering.place` moves those), while another scan is open, and for a place that is not free.
    """
    return _request(ScanPurpose.MOVE, location.version, location, user, base_path=base_path, collection_id=collection_id, bucket=bucket)


def add_replica(version: Version, *, user: Visitor, base_path: str, collection_id: uuid.UUID | None = None, bucket: str = "") -> ScanRun:
    """Say that a published version lies at a second place too. The scan that checks it, queued. Raises as `move_location`."""
    return _request(ScanPurpose.REPLICA, version, None, user, base_path=base_path, collection_id=collection_id, bucket=bucket)


@transaction.atomic
def remove_replica(location: Location, *, user: Visitor) -> None:
    """Forget a replica; its bytes are left alone. Raises ConflictError for the primary location, which moves instead."""
    check_curator(user, location.version.dataset)
    if location.is_primary:
        raise ConflictError("The primary location is moved, not removed.")
    Dataset.objects.held().get(pk=location.version.dataset_id)
    _tell(location.version, user, f"replica at {location} removed")
    location.delete()
    index_dataset(location.version.dataset)


@transaction.atomic
def set_availability(
    location: Location, *, user: Visitor, is_online: bool, wait_minutes: int | None = None, cold_folders: Sequence[str] = ()
) -> Location:
    """Say that the files at a location are on line, or cold (on tape, or away for a time) and what people wait for them, if known.

    `cold_folders` are folders of the version that are cold while all else is on line. Copies and downloads start from a replica that is
    on line while the primary location is cold, or some of it is. Raises InvalidError for folders that the version does not hold.
    """
    check_curator(user, location.version.dataset)
    if location.version.is_draft:
        raise ConflictError("Where the files of a draft are is said on its desk.")
    if wait_minutes is not None and not 0 < wait_minutes <= LONGEST_WAIT_MINUTES:
        raise InvalidError(fields={"wait_minutes": [f"Minutes, from 1 to {LONGEST_WAIT_MINUTES:,} (90 days)."]})
    cold = _check_cold(location.version, cold_folders) if is_online else []
    Dataset.objects.held().get(pk=location.version.dataset_id)  # before its locations, as the end of a move takes them
    same = _together(location, with_draft=True)
    same.update(is_online=is_online, wait_minutes=wait_minutes if cold or not is_online else None, cold_folders=cold)
    partly = f", but for {len(cold):,} cold folder{'s' if len(cold) > 1 else ''}" if cold else ""
    _tell(location.version, user, f"{location} is {'on line' if is_online else 'cold'}{partly}")
    index_dataset(location.version.dataset)
    location.refresh_from_db()
    return location


def _check_cold(version: Version, folders: Sequence[str]) -> list[str]:
    """The folders in order, none within another. Raises InvalidError naming what is no folder of the version."""
    asked = FileQuery(folders=tuple(folders)).folders
    wrong = [f"The version holds no folder {path}." for path in missing_paths(version, FileQuery(folders=asked))] if asked else []
    if "/" in asked:
        wrong = ["This is all of it: say that the files are cold."]
    if len(asked) > MOST_COLD:
        wrong = [f"At most {MOST_COLD} folders: name those that hold them."]
    if wrong:
        raise InvalidError(fields={"cold_folders": wrong[:20]})
    return list(asked)


def needed_versions(run: ScanRun) -> list[int]:
    """The numbers of the versions whose files a check needs at the new place; empty for a scan that is no check."""
    if run.purpose == ScanPurpose.MOVE and run.origin is not None:
        return sorted(_together(run.origin).values_list("version__number", flat=True))
    return [run.version.number] if run.is_check else []


def settle(run: ScanRun) -> None:
    """Believe the new place, or raise NotReadyError with what lacks there. In the transaction that ends the scan."""
    if lacking := in_words(run.n_missing, run.n_changed):
        raise NotReadyError(f"Not all files are at the new place: {lacking}. The report names them; all stays as it was.")
    if run.n_to_inspect and run.n_to_check:
        raise NotReadyError(f"{run.n_to_check:,} files could not be read at the new place, so that their checksums could not be compared.")
    place = run.place
    if place is None or (run.purpose == ScanPurpose.MOVE and run.origin is None):
        raise NotReadyError("What was to move is not there any more.")
    proof = f", {run.n_to_check:,} of them by size alone" if run.n_to_check else ""
    where = {"kind": place.kind, "collection_id": place.collection_id, "bucket": place.bucket, "base_path": place.base_path}
    if run.origin is not None and run.purpose == ScanPurpose.MOVE:
        words = f"moved from {run.origin} to {place}: every file was found there{proof}"
        _together(run.origin, with_draft=True).update(**where)
    else:
        words = f"replica at {place}: every file was found there{proof}"
        place.save()
    index_dataset(run.version.dataset)
    _tell(run.version, run.asked_by, words)


def check_place(place: Location | None) -> None:
    """Ask the verb that settings name, as this app knows no Globus. What does not answer holds nothing up: the scan waits for it too."""
    if not settings.CHECK_PLACE or place is None:
        return
    try:
        import_string(settings.CHECK_PLACE)(place)
    except UnavailableError:
        return
    except NotReadyError:
        raise
    except RefusedError as error:
        raise NotReadyError("This folder cannot be scanned yet.", fields={"collection_id": [error.detail]}) from error


def _request(purpose: ScanPurpose, version: Version, origin: Location | None, user: Visitor, **where: Any) -> ScanRun:
    check_curator(user, version.dataset)
    if version.is_draft:
        raise ConflictError("Say on the desk where the files of a draft are: it is scanned there.")
    kind = LocationKind.BUCKET if where["bucket"] else LocationKind.COLLECTION
    place = Location(version=version, kind=kind, is_primary=False, **where)
    check_place_is_free(place, user)
    if any(one.is_at(place) for one in version.locations.all()):
        raise ConflictError(fields={"base_path": ["The version lies there already."]})
    if File.objects.filter(folder__dataset=version.dataset).exclude(collection_path="").exists():
        raise ConflictError("Some files of this dataset lie elsewhere than their paths say: such a dataset cannot move yet.")
    check_place(place)
    with transaction.atomic():
        Version.objects.select_for_update().get(pk=version.pk)
        if version.scans.open().exists():
            raise ConflictError("A scan of this version is open. Wait for its end, or cancel it.")
        targets = {f"target_{name}": value for name, value in where.items()}
        return ScanRun.objects.create(version=version, asked_by_id=user.id, purpose=purpose, origin=origin, **targets)


def _together(location: Location, *, with_draft: bool = False) -> Any:
    """The locations of all published versions of the dataset at the same place, and of its draft, which may lie in the bin."""
    versions = (Version.with_bin.all() if with_draft else Version.objects.published()).filter(dataset_id=location.version.dataset_id)
    where = {"collection_id": location.collection_id, "bucket": location.bucket, "base_path": location.base_path}
    return Location.objects.filter(version__in=versions, **where)


def _tell(version: Version, user: Visitor | None, words: str) -> None:
    DatasetEvent.objects.create(dataset_id=version.dataset_id, version=version, act="location", actor=user, note=words)
