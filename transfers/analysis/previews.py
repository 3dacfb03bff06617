"""Previews: what a person is shown of a file before she takes it, read near the data by the graph service, once for what a file holds.

The portal parses no file. It asks with its own token, so every look at a preview starts with the rules of the dataset: who may not have
the file sees nothing of it. A preview is a cache: after half a year it goes, and is read again when somebody asks.
"""

import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from celery import shared_task
from django.db import IntegrityError, transaction
from django.utils import timezone

from datasets import files
from datasets.access import check_may_have, check_may_list, terms
from datasets.errors import ConflictError, NotFoundError, RefusedError, StaleStateError, UnavailableError
from datasets.files import FileRow
from datasets.models import Location, Version
from transfers import graph
from transfers.analysis.models import FilePreview
from transfers.analysis.states import PREVIEW_WORKING, PreviewStatus
from transfers.errors import ConsentNeededError, NotClaimedError
from transfers.steps import send_hint

log = logging.getLogger(__name__)

POLL_S = 0.5
MOST_AT_ONCE = 50
MOST_WAITING = 200
MOST_ATTEMPTS = 6
KEPT_DAYS = 180
TASK = "transfers.analysis.preview"


def find_file(version: Version, path: str) -> FileRow:
    """A file of a version. Raises NotFoundError."""
    found = next(files.iterate(version, files.FileQuery(files=(path,)), batch=1), None)
    if found is None:
        raise NotFoundError(f"Version {version.number} holds no file {path[:200]}.")
    return found


def check_may_look(user: Any, version: Version) -> None:
    """Raise unless she may have the files of the version now: what is shown is what they hold."""
    check_may_list(user, version.dataset, version)
    check_may_have(user, version.dataset)
    terms.check_accepted(user, [version.dataset])


def find_preview(version: Version, file: FileRow, *, user: Any) -> FilePreview | None:
    """The preview of a file, if somebody asked for it already. Raises as `check_may_look`."""
    check_may_look(user, version)
    location = version.primary_location
    return FilePreview.objects.filter(dataset_id=version.dataset_id, key=key_of(file, location)).first() if location else None


def request_preview(version: Version, file: FileRow, *, user: Any) -> FilePreview:
    """Ask for the preview of a file, or answer with the one that there is; one that failed is read again. Safe to repeat.

    Raises as `check_may_look`; ConflictError where nothing can read it, UnavailableError while too many others wait.
    """
    check_may_look(user, version)
    location = version.primary_location
    if not graph.has_service():
        raise ConflictError("This archive has no service that reads files.")
    if location is None or location.collection_id is None:
        raise ConflictError("Files of an object store are not read here.")
    if not location.is_online or file.availability == "cold":
        raise ConflictError("It is not on line at the moment: on tape, or away for a time.")
    known = FilePreview.objects.filter(dataset_id=version.dataset_id, key=key_of(file, location)).first()
    if known is not None and known.status != PreviewStatus.FAILED:
        return known
    if FilePreview.objects.filter(status__in=PREVIEW_WORKING).count() >= MOST_WAITING:
        raise UnavailableError("Many files are being looked at just now. Try again in a minute.")
    place: dict[str, Any] = {"collection_id": location.collection_id, "collection_path": file.collection_path}
    if known is not None:
        known.move_to(PreviewStatus.WAITING, actor=user, service_id="", reason="", **place)
    else:
        known = _make(version, key_of(file, location), place)
    transaction.on_commit(lambda: send_hint(TASK, known.pk))
    return known


def _make(version: Version, key: str, place: dict[str, Any]) -> FilePreview:
    try:
        with transaction.atomic():
            return FilePreview.objects.create(dataset_id=version.dataset_id, key=key, due_at=timezone.now(), **place)
    except IntegrityError:  # somebody else asked at the same moment
        return FilePreview.objects.get(dataset_id=version.dataset_id, key=key)


def key_of(file: FileRow, location: Location) -> str:
    """What a preview is kept under: the checksum, else where the file is and as which."""
    if file.sha256:
        return file.sha256
    told = repr((str(location.collection_id), file.collection_path, file.size_bytes, file.modified_at))
    return hashlib.sha256(told.encode()).hexdigest()


def sweep(now: datetime) -> int:
    """Hint at every step that is due, and forget what is old; answers how many hints."""
    old = FilePreview.objects.filter(asked_at__lt=now - timedelta(days=KEPT_DAYS)).exclude(status__in=PREVIEW_WORKING)
    FilePreview.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:1000])).delete()
    n_hints = 0
    for preview in FilePreview.objects.take_due(now, most=MOST_AT_ONCE):
        send_hint(TASK, preview.pk)
        n_hints += 1
    return n_hints


@shared_task(name=TASK, acks_late=True, soft_time_limit=120)
def read(preview_id: int | str) -> None:
    """Ask the graph service for a waiting preview, or see whether it is read. Safe to repeat."""
    try:
        with FilePreview.objects.claim(preview_id, expected=PREVIEW_WORKING) as preview:
            _guarded(preview, _submit if preview.status == PreviewStatus.WAITING else _follow)
    except NotClaimedError:
        return


def _submit(preview: FilePreview) -> None:
    token = graph.own_token([preview.collection_id])
    preview.keep_claim()
    service_id = graph.request_preview(preview.collection_id, preview.collection_path, token=token)
    preview.move_to(PreviewStatus.READING, service_id=service_id)
    preview.look_again(seconds=POLL_S)


def _follow(preview: FilePreview) -> None:
    token = graph.own_token([preview.collection_id])
    preview.keep_claim()
    try:
        found = graph.find_preview(preview.service_id, token=token)
    except NotFoundError:
        preview.move_to(PreviewStatus.WAITING, service_id="")
        return
    if found is None:
        preview.look_again(seconds=POLL_S)
        return
    if found.get("kind") in {"unsupported", "failed"}:
        preview.move_to(PreviewStatus(found["kind"]), reason=found.get("reason") or "It could not be read.")
    else:
        preview.move_to(PreviewStatus.READY, document=found)
    with suppress(RefusedError):  # the service forgets it by itself too
        graph.remove_preview(preview.service_id, token=token)


def _guarded(preview: FilePreview, act: Callable[[FilePreview], None]) -> None:
    try:
        act(preview)
    except (UnavailableError, ConsentNeededError) as error:
        log.warning("a preview is tried again later", extra={"preview_id": preview.pk, "words": error.detail})
        if preview.attempts >= MOST_ATTEMPTS:
            preview.move_to(PreviewStatus.FAILED, reason=error.detail or error.message)
        else:
            preview.put_off()
    except StaleStateError:
        log.info("the preview moved meanwhile", extra={"preview_id": preview.pk})
    except RefusedError as error:
        if preview.status in PREVIEW_WORKING:
            preview.move_to(PreviewStatus.FAILED, reason=error.detail or error.message)
