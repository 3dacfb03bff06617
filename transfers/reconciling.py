"""The portal's grants against the collections' access lists, both ways: findings are written down, and repaired where they are ours."""

import logging
import re
import uuid
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from datasets.models import Dataset, Location, LocationKind
from transfers import globus
from transfers.errors import ConsentNeededError, GlobusRefusedError
from transfers.models import ArchiveRule, DataRequest, Drift
from transfers.sharing import PARENT_FOLDER
from transfers.states import Kind, Status, Variant
from transfers.words import Rule

log = logging.getLogger(__name__)

LATEST = "latest-comparison"
SHARE_PATH = re.compile(rf"^{PARENT_FOLDER}([0-9a-f-]{{36}})/$")
# While one of these, the rule and the folder of a share may rightly come and go.
IN_MOTION = {Status.QUEUED, Status.STAGING, Status.COPYING, Status.GRANTING, Status.EXPIRING, Status.CANCELLING, Status.FAILED}


@shared_task(name="transfers.reconcile", soft_time_limit=600)
def reconcile(*, repair: bool = True) -> str:
    """Compare everything and answer the id of this run; its findings are the `Drift` rows with that id."""
    run_id = uuid.uuid4()
    if settings.SHARE_COLLECTION:
        _compare_shares(run_id, UUID(settings.SHARE_COLLECTION), repair=repair)
        _compare_folders(run_id, UUID(settings.SHARE_COLLECTION))
    for request in DataRequest.objects.granted().filter(variant=Variant.COLLECTION):
        _compare_own_collection(run_id, request, repair=repair)
    for collection_id in _archive_collections():
        try:
            _compare_archive(run_id, collection_id, repair=repair)
        except (GlobusRefusedError, ConsentNeededError) as error:
            log.warning("a collection could not be compared", extra={"collection_id": str(collection_id), "words": error.detail})
    cache.set(LATEST, str(run_id), timeout=None)
    n_found = Drift.objects.filter(run_id=run_id).count()
    log.info("grants compared", extra={"run_id": str(run_id), "findings": n_found})
    return str(run_id)


def _archive_collections() -> set[UUID]:
    """Where published files lie, also where no rule of ours stands: on restricted files there should be none at all."""
    published = Location.objects.filter(kind=LocationKind.COLLECTION, version__published_at__isnull=False)
    named = {*ArchiveRule.objects.values_list("collection_id", flat=True), *published.values_list("collection_id", flat=True)}
    return {collection_id for collection_id in named if collection_id}


def rules_by_hand(dataset: Dataset) -> list[Drift]:
    """What the latest comparison found on the folders of a dataset that the portal did not grant: somebody may read them through it."""
    latest = cache.get(LATEST)  # a comparison that finds nothing leaves no row
    if not latest:
        return []
    places = list(Location.objects.filter(version__dataset=dataset, kind=LocationKind.COLLECTION))
    found = Drift.objects.filter(run_id=latest, finding=Drift.Finding.UNKNOWN, repaired_at=None)
    return [one for one in found if any(_overlap(one, place) for place in places)]


def _overlap(found: Drift, place: Location) -> bool:
    is_same = found.collection_id == place.collection_id
    return is_same and (found.path.startswith(place.base_path) or place.base_path.startswith(found.path))


def _compare_shares(run_id: UUID, collection_id: UUID, *, repair: bool) -> None:
    rules = [rule for rule in globus.list_rules(collection_id) if rule.rule_id]
    by_id = {rule.rule_id: rule for rule in rules}
    granted = {
        request.rule_id: request
        for request in DataRequest.objects.granted().filter(variant=Variant.FOLDER, staging_collection_id=collection_id)
    }
    for rule_id, request in granted.items():
        rule = by_id.get(rule_id)
        if rule is None or rule.path != request.folder:
            _missing(run_id, request, repair=repair)
    for rule in rules:
        if rule.rule_id not in granted:
            _extra(run_id, collection_id, rule, repair=repair)


def _missing(run_id: UUID, request: DataRequest, *, repair: bool) -> None:
    """A grant of ours that Globus does not know: give it again."""
    finding = _found(
        run_id, request.collection_id, Drift.Finding.MISSING, path=request.granted_path, request=request, rule_id=request.rule_id
    )
    if not repair or request.collection_id is None:
        return
    rule_id = globus.add_rule(request.collection_id, path=request.granted_path, principal=request.user_id)
    if not DataRequest.objects.granted().filter(pk=request.pk).update(rule_id=rule_id):
        globus.remove_rule(request.collection_id, rule_id)
    request.note("Its access rule was missing and is there again.")
    _repaired(finding)


def _extra(run_id: UUID, collection_id: UUID, rule: Rule, *, repair: bool) -> None:
    """A rule that no open share has: taken away when it belongs to a share that ended, else only reported."""
    named = SHARE_PATH.match(rule.path)
    request = DataRequest.objects.filter(pk=named.group(1), kind=Kind.SHARE).first() if named else None
    if request is not None and (request.status in IN_MOTION or request.rule_id == rule.rule_id):
        return
    is_ended = request is not None and request.status in {Status.EXPIRED, Status.CANCELLED} and rule.principal == str(request.user_id)
    kind = Drift.Finding.LEFT_BEHIND if is_ended else Drift.Finding.UNKNOWN
    finding = _found(run_id, collection_id, kind, path=rule.path, request=request, rule=rule)
    if is_ended and repair:
        globus.remove_rule(collection_id, rule.rule_id)
        _repaired(finding)


def _compare_folders(run_id: UUID, collection_id: UUID) -> None:
    """Folders of shares that ended, or that no request knows: reported, for an operator to delete."""
    try:
        names = [entry.name for entry in globus.list_folder(collection_id, PARENT_FOLDER) if entry.is_folder]
    except GlobusRefusedError as error:
        if error.is_missing:
            return
        raise
    known = dict(
        DataRequest.objects.filter(pk__in=[name for name in names if SHARE_PATH.match(f"{PARENT_FOLDER}{name}/")]).values_list(
            "pk", "status"
        )
    )
    for name in names:
        status = known.get(UUID(name)) if SHARE_PATH.match(f"{PARENT_FOLDER}{name}/") else None
        if status is None or status in {Status.EXPIRED, Status.CANCELLED}:
            _found(run_id, collection_id, Drift.Finding.FOLDER_LEFT_BEHIND, path=f"{PARENT_FOLDER}{name}/")


def _compare_own_collection(run_id: UUID, request: DataRequest, *, repair: bool) -> None:
    if request.collection_id is None:
        return
    try:
        rules = globus.list_rules(request.collection_id)
    except (GlobusRefusedError, ConsentNeededError):
        _found(run_id, request.collection_id, Drift.Finding.MISSING, path="/", request=request, rule_id=request.rule_id)
        return
    if request.rule_id not in {rule.rule_id for rule in rules}:
        _missing(run_id, request, repair=repair)
    for rule in rules:
        if rule.rule_id and rule.rule_id != request.rule_id:
            _found(run_id, request.collection_id, Drift.Finding.UNKNOWN, path=rule.path, request=request, rule=rule)


def _compare_archive(run_id: UUID, collection_id: UUID, *, repair: bool) -> None:
    rules = {rule.rule_id: rule for rule in globus.list_rules(collection_id) if rule.rule_id}
    ours = {rule.rule_id: rule for rule in ArchiveRule.objects.filter(collection_id=collection_id)}
    for rule_id, own in ours.items():
        if rule_id in rules:
            continue
        finding = _found(run_id, collection_id, Drift.Finding.MISSING, path=own.path, rule_id=rule_id, principal=own.principal_type)
        if repair:
            own.rule_id = globus.add_rule(collection_id, path=own.path, principal_type=own.principal_type)
            own.save(update_fields=["rule_id"])
            _repaired(finding)
    for rule_id in rules.keys() - ours.keys():
        _found(run_id, collection_id, Drift.Finding.UNKNOWN, path=rules[rule_id].path, rule=rules[rule_id])


def _found(
    run_id: UUID,
    collection_id: UUID | None,
    finding: str,
    *,
    path: str,
    rule: Rule | None = None,
    rule_id: str = "",
    principal: str = "",
    request: DataRequest | None = None,
) -> Drift:
    log.warning("drift found", extra={"finding": finding, "path": path, "rule_id": rule.rule_id if rule else rule_id})
    return Drift.objects.create(
        run_id=run_id,
        finding=finding,
        collection_id=collection_id or uuid.UUID(int=0),
        path=path,
        rule_id=rule.rule_id if rule else rule_id,
        principal=(rule.principal or rule.principal_type) if rule else principal or (str(request.user_id) if request else ""),
        permissions=rule.permissions if rule else "",
        request=request,
    )


def _repaired(finding: Drift) -> None:
    finding.repaired_at = timezone.now()
    finding.save(update_fields=["repaired_at"])
