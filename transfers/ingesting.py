"""Joins a scan with Globus, which lists folders, and with the graph service, which reads headers and checksums near the data."""

from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any
from uuid import UUID

from celery import shared_task
from django.conf import settings

from datasets import ingesting
from datasets.errors import NotReadyError
from datasets.inspecting import Inspect
from datasets.listing import Entry
from datasets.models import ScanRun, Version
from transfers import globus


@shared_task(name="transfers.ingest", soft_time_limit=3000, time_limit=3060)
def ingest(scan_id: int) -> None:
    """Run a scan that is due. Safe to repeat: the claim lets one worker in."""
    run = ScanRun.objects.select_related("version__dataset").filter(pk=scan_id).first()
    if run is not None:
        run_scan(run)


def run_scan(run: ScanRun) -> ScanRun | None:
    """Run a scan to its end; None when another worker holds it."""
    collection_id = collection_of(run.version)
    return ingesting.run_scan(run.pk, partial(list_folder, collection_id), inspector(collection_id))


def check_role(version: Version) -> None:
    """Raises GlobusRefusedError with the remedy when the portal lacks its role on the collection of a version."""
    globus.check_role(collection_of(version))


def collection_of(version: Version) -> UUID:
    """The collection that a scan walks."""
    location = version.primary_location
    if location is None or location.collection_id is None:
        raise NotReadyError(fields={"location": ["Say first in which collection the files are."]})
    return location.collection_id


def list_folder(collection_id: UUID, path: str) -> Iterator[Entry]:
    """What a folder of the collection holds, as the portal sees it."""
    for entry in globus.list_folder(collection_id, path):
        if entry.kind in {"dir", "file"}:
            yield Entry(entry.name, entry.is_folder, size_bytes=entry.size_bytes, modified_at=entry.modified_at)


def inspector(collection_id: UUID) -> Inspect | None:
    """What reads headers and checksums near the data; None where no graph service is set up, then checksums stay unknown."""
    if not settings.GRAPH_URL or find_spec("transfers.graph") is None:
        return None
    from transfers import graph

    inspect: Any = graph.inspect
    return partial(inspect, collection_id)
