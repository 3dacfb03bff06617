"""From draft to published version, and to the next one. Read `publish` first.

A draft is the highest version of its dataset and the only open one. Its file rows are those without an end, so discarding it is taking back
its own rows and reopening those that it ended.
"""

from django.db import connection, transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from datasets.access import Visitor, check_curator
from datasets.errors import ConflictError, NotReadyError
from datasets.indexing import index_dataset
from datasets.models import Dataset, DatasetEvent, File, FolderState, Location, Version
from datasets.recounting import recount
from datasets.states import VersionStatus


@transaction.atomic
def publish(version: Version, *, user: Visitor, note: str = "") -> Version:
    """Freeze a draft: its totals and digest are fixed, it becomes the current version, and the dataset can be found.

    Raises NotReadyError with all that is missing at once, ForbiddenError unless asked by a steward of the dataset or an operator,
    IllegalMoveError when it is not a draft.
    """
    dataset = Dataset.objects.select_for_update().get(pk=version.dataset_id)
    check_curator(user, dataset)
    version.refresh_from_db()
    recount(version)
    root = root_state(version)
    missing = _missing(dataset, version, root)
    if missing:
        raise NotReadyError("This draft cannot be published yet.", fields=missing)
    now = timezone.now()
    for current in dataset.versions.filter(status=VersionStatus.PUBLISHED):
        current.move_to(VersionStatus.SUPERSEDED, actor=user, note=f"by version {version.number}", superseded_at=now)
    version.move_to(VersionStatus.PUBLISHED, actor=user, note=note, published_at=now, digest=root.digest if root else None)
    if dataset.published_at is None:
        dataset.published_at = now
        dataset.save(update_fields=["published_at"])
    index_dataset(dataset)
    version.dataset = dataset
    return version


@transaction.atomic
def open_draft(dataset: Dataset, *, user: Visitor, reason: str = "") -> Version:
    """Open the next version, holding what the present one holds, at the same location. Safe to repeat."""
    dataset = Dataset.objects.select_for_update().get(pk=dataset.pk)
    check_curator(user, dataset)
    latest = dataset.versions.first()
    if latest is not None and latest.is_draft:
        return latest
    draft = Version.objects.create(dataset=dataset, number=latest.number + 1 if latest else 1, reason=reason)
    for location in latest.locations.all() if latest else []:
        Location.objects.create(
            version=draft,
            kind=location.kind,
            collection_id=location.collection_id,
            bucket=location.bucket,
            base_path=location.base_path,
            is_primary=location.is_primary,
            is_online=location.is_online,
        )
    DatasetEvent.objects.create(dataset=dataset, version=draft, act="version", new=VersionStatus.DRAFT, actor=user, note=reason)
    return draft


@transaction.atomic
def discard_draft(version: Version, *, user: Visitor) -> None:
    """Take an open draft back: its rows go, what it ended is open again. The first draft of a dataset that was never published stays."""
    dataset = Dataset.objects.select_for_update().get(pk=version.dataset_id)
    check_curator(user, dataset)
    version.refresh_from_db()
    if not version.is_draft:
        raise ConflictError("A published version stays.")
    if version.number == 1:
        raise ConflictError("The only version of a dataset stays until there is another one.")
    files = File.objects.filter(folder__dataset=dataset)
    files.filter(first_version=version.number).delete()
    files.filter(last_version=version.number - 1).update(last_version=None)
    FolderState.objects.filter(folder__dataset=dataset, from_version=version.number).delete()
    DatasetEvent.objects.create(
        dataset=dataset, act="version", old=VersionStatus.DRAFT, actor=user, note=f"draft {version.number} discarded"
    )
    version.delete()


def root_state(version: Version) -> FolderState | None:
    """Totals and digest of a whole version; None while nothing is counted."""
    states = FolderState.objects.filter(folder__dataset_id=version.dataset_id, folder__path="/", from_version__lte=version.number)
    return states.order_by("-from_version").first()


def mark_damaged(dataset: Dataset, *, from_version: int, to_version: int, damage: str) -> int:
    """Mark published versions whose bytes are no longer what was published, in the words of the latest finding; how many marks are new."""
    versions = Version.objects.published().filter(dataset=dataset, number__range=(from_version, to_version)).exclude(damage=damage)
    marked = versions.update(damaged_at=Coalesce("damaged_at", timezone.now()), damage=damage)
    if marked:
        DatasetEvent.objects.create(dataset=dataset, act="damage", note=f"versions {from_version} to {to_version}: {damage}")
    return marked


def n_without_checksum(version: Version) -> int:
    """How many files of a version have no SHA-256."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from datasets_file fi join datasets_folder f on f.id = fi.folder_id where f.dataset_id = %(dataset)s "
            "and fi.first_version <= %(version)s and (fi.last_version is null or fi.last_version >= %(version)s) and fi.sha256 is null",
            {"dataset": version.dataset_id, "version": version.number},
        )
        return int(cursor.fetchone()[0])


def _missing(dataset: Dataset, version: Version, root: FolderState | None) -> dict[str, list[str]]:
    missing: dict[str, list[str]] = {}
    if not dataset.title.strip():
        missing["title"] = ["Give the dataset a title."]
    if not dataset.abstract.strip():
        missing["abstract"] = ["Say what the data are."]
    if not version.locations.exists():
        missing["location"] = ["Say where the files are."]
    if root is None or root.n_files == 0:
        missing["files"] = ["Scan its location first: no file is known."]
    if version.scans.open().exists():
        missing["scan"] = ["A scan is still running. Wait for its end."]
    return missing
