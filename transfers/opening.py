"""The read rules on the archive itself: a published dataset's folder is open to everybody, or to every signed-in person.

The portal keeps a row for each rule it made, so the sweep adds what is missing and takes away what should not be there any more.
"""

import logging
from dataclasses import dataclass
from uuid import UUID

from django.core.cache import cache

from datasets.models import AccessPolicy, Dataset, Location, LocationKind
from transfers import globus
from transfers.errors import ConsentNeededError, GlobusRefusedError, GlobusUnavailableError
from transfers.models import ArchiveRule

log = logging.getLogger(__name__)

PRINCIPAL_TYPES = {AccessPolicy.PUBLIC: "anonymous", AccessPolicy.REGISTERED: "all_authenticated_users"}
WAIT_AFTER_REFUSAL_S = 300


@dataclass(frozen=True)
class Opening:
    """A folder of the archive that a published dataset lets people read."""

    collection_id: UUID
    path: str
    principal_type: str


def openings_of(dataset: Dataset) -> set[Opening]:
    """The rules that a dataset's policy asks for: one for each folder that holds a published version. None for restricted ones."""
    principal_type = PRINCIPAL_TYPES.get(AccessPolicy(dataset.access_policy))
    if not dataset.is_published or principal_type is None:
        return set()
    places = Location.objects.filter(version__dataset=dataset, version__published_at__isnull=False, kind=LocationKind.COLLECTION)
    return {Opening(place.collection_id, place.base_path, principal_type) for place in places if place.collection_id}


def open_dataset(dataset: Dataset) -> None:
    """Make the archive's rules what the dataset's policy asks for. Safe to repeat; costs no call when they are."""
    wanted = openings_of(dataset)
    held = {Opening(rule.collection_id, rule.path, rule.principal_type): rule for rule in dataset.archive_rules.all()}
    for opening in held.keys() - wanted:
        globus.remove_rule(opening.collection_id, held[opening].rule_id)
        held[opening].delete()
    for opening in wanted - held.keys():
        rule_id = globus.add_rule(opening.collection_id, path=opening.path, principal_type=opening.principal_type)
        ArchiveRule.objects.get_or_create(
            collection_id=opening.collection_id,
            path=opening.path,
            principal_type=opening.principal_type,
            defaults={"dataset": dataset, "rule_id": rule_id},
        )


def open_what_is_published() -> None:
    """The sweep over all datasets. One that Globus refuses does not stop the others, and is tried again some minutes later."""
    rules: dict[UUID, set[Opening]] = {}
    for rule in ArchiveRule.objects.all():
        rules.setdefault(rule.dataset_id, set()).add(Opening(rule.collection_id, rule.path, rule.principal_type))
    for dataset in Dataset.objects.all():
        if openings_of(dataset) == rules.get(dataset.pk, set()) or cache.get(_refused(dataset)):
            continue
        try:
            open_dataset(dataset)
        except (GlobusRefusedError, GlobusUnavailableError, ConsentNeededError) as error:
            cache.set(_refused(dataset), error.detail, timeout=WAIT_AFTER_REFUSAL_S)
            log.exception("a dataset could not be opened", extra={"dataset": dataset.slug})


def _refused(dataset: Dataset) -> str:
    return f"opening-refused:{dataset.pk}"
