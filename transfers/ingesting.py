"""Joins a scan with Globus or S3, which list folders, and with the graph service, which reads headers and checksums near the data."""

from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any
from uuid import UUID

from celery import shared_task
from django.conf import settings

from datasets.errors import NotReadyError
from datasets.models import Location, ScanRun
from datasets.preservation import fixity
from datasets.scans import ingesting, storage
from datasets.scans.inspecting import Inspect, Inspected
from datasets.scans.listing import Entry, ListFolder
from transfers import globus


@shared_task(name="transfers.ingest_verify", soft_time_limit=3000, time_limit=3060)
def verify(dataset_id: str) -> None:
    """Have some published files of a dataset read again near the data. Safe to repeat: a lease lets one worker in."""
    fixity.verify_some(UUID(dataset_id), rereader)


@shared_task(name="transfers.ingest", soft_time_limit=3000, time_limit=3060)
def ingest(scan_id: int) -> None:
    """Run a scan that is due. Safe to repeat: the claim lets one worker in."""
    run = ScanRun.objects.select_related("version__dataset").filter(pk=scan_id).first()
    if run is not None:
        run_scan(run)


def run_scan(run: ScanRun) -> ScanRun | None:
    """Run a scan to its end; None when another worker holds it."""
    place = run.place
    if place is None:
        raise NotReadyError(fields={"location": ["Say first where the files are."]})
    return ingesting.run_scan(run.pk, lister(place), inspector(place))


def check_role(place: Location) -> None:
    """Raises GlobusRefusedError or NotReadyError with the remedy when the portal may not look at a place."""
    if place.collection_id is not None:
        globus.check_role(place.collection_id)
    else:
        storage.check_bucket(place.bucket, place.base_path)


def lister(location: Location) -> ListFolder:
    """What lists the folders of a location: Globus for a collection, S3 for a bucket."""
    if location.collection_id is not None:
        return partial(list_folder, location.collection_id)
    return partial(storage.list_folder, location.bucket)


def list_folder(collection_id: UUID, path: str) -> Iterator[Entry]:
    """What a folder of the collection holds, as the portal sees it."""
    for entry in globus.list_folder(collection_id, path):
        if entry.kind in {"dir", "file"}:
            yield Entry(entry.name, entry.is_folder, size_bytes=entry.size_bytes, modified_at=entry.modified_at)


def inspector(location: Location) -> Inspect | None:
    """What reads headers and checksums near the data; None where no graph service is set up, then checksums stay unknown.

    Of objects in a bucket nothing is read: S3 tells the checksums that it keeps.
    """
    if location.collection_id is None:
        return partial(inspect_objects, location.bucket)
    if not settings.GRAPH_URL or find_spec("transfers.graph") is None:
        return None
    from transfers import graph

    inspect: Any = graph.inspect
    return partial(inspect, location.collection_id)


def rereader(location: Location) -> Inspect | None:
    """What reads files again, all their bytes, near the data; None where nothing does."""
    if location.collection_id is None or not settings.GRAPH_URL or find_spec("transfers.graph") is None:
        return None
    from transfers import graph

    inspect: Any = graph.inspect
    return partial(inspect, location.collection_id, reread=True)


def inspect_objects(bucket: str, paths: list[str]) -> Iterator[Inspected]:
    """What the object store itself says of its objects."""
    for path, size_bytes, sha256 in storage.stated_digests(bucket, paths):
        yield Inspected(path, sha256, size_bytes, error="" if sha256 else "The object store keeps no SHA-256 of this object.")
