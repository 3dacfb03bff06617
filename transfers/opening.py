"""The read rules on the archive itself: a published dataset's folder is open to everybody, or to every signed-in person.

The portal keeps a row for each rule it made, so the sweep adds what is missing and takes away what should not be there any more.
"""

import logging
from dataclasses import dataclass
from uuid import UUID

from django.core.cache import cache
from django.db.models import CharField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet
from django.utils import timezone

from datasets.models import AccessPolicy, Dataset, Location, LocationKind, Version
from transfers import globus
from transfers.errors import ConsentNeededError, GlobusRefusedError, GlobusUnavailableError
from transfers.models import ArchiveRule

log = logging.getLogger(__name__)

PRINCIPAL_TYPES = {AccessPolicy.PUBLIC: "anonymous", AccessPolicy.REGISTERED: "all_authenticated_users"}
WAIT_AFTER_REFUSAL_S = 300
SWEPT_EVERY_S = 3
MOST = 100


@dataclass(frozen=True)
class Opening:
    """A folder of the archive that a published dataset lets people read."""

    collection_id: UUID
    path: str
    principal_type: str


def openings_of(dataset: Dataset) -> set[Opening]:
    """The rules that a dataset asks for now: one for each folder that holds a published version.

    None for restricted and controlled ones, and none before the end of an embargo. A folder that lies in the place of another dataset, or
    holds it, gets none either where that one is not as open: the rule would open its files too.
    """
    if not dataset.is_read_in_place:
        return set()
    principal_type = PRINCIPAL_TYPES[dataset.effective_policy]
    places = Location.objects.filter(version__dataset=dataset, version__in=Version.objects.offered(), kind=LocationKind.COLLECTION)
    wanted = {Opening(place.collection_id, place.base_path, principal_type) for place in places if place.collection_id}
    return {opening for opening in wanted if not _reaches_closed_files(opening, dataset)}


def _reaches_closed_files(opening: Opening, dataset: Dataset) -> bool:
    above = [opening.path[:at] for at, character in enumerate(opening.path, start=1) if character == "/"]
    overlapping = Location.objects.filter(
        Q(base_path__startswith=opening.path) | Q(base_path__in=above), collection_id=opening.collection_id
    )
    return overlapping.filter(version__dataset__in=_closed_to(opening.principal_type).exclude(pk=dataset.pk)).exists()


def _closed_to(principal_type: str) -> QuerySet[Dataset]:
    """The datasets whose files these people may not read in place."""
    open_to_them = Dataset.objects.readable_in_place(timezone.now())
    if principal_type == PRINCIPAL_TYPES[AccessPolicy.PUBLIC]:
        open_to_them = open_to_them.filter(access_policy=AccessPolicy.PUBLIC)
    return Dataset.with_bin.exclude(pk__in=open_to_them.values("pk"))


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
    """The sweep: datasets whose rules are not what their policy asks for, at most once in some seconds.

    One that Globus refuses does not stop the others, and is tried again some minutes later.
    """
    if not cache.add("opening-swept", 1, timeout=SWEPT_EVERY_S):
        return
    for dataset in Dataset.objects.filter(pk__in=[*_not_opened(), *_wrongly_open(), *_reaching_closed()]):
        if cache.get(_refused(dataset)):
            continue
        try:
            open_dataset(dataset)
        except (GlobusRefusedError, GlobusUnavailableError, ConsentNeededError) as error:
            cache.set(_refused(dataset), error.detail, timeout=WAIT_AFTER_REFUSAL_S)
            log.exception("a dataset could not be opened", extra={"dataset": dataset.slug})


def _not_opened() -> set[UUID]:
    """Datasets with a published folder that lacks its rule."""
    found: set[UUID] = set()
    for policy, principal_type in PRINCIPAL_TYPES.items():
        held = ArchiveRule.objects.filter(
            collection_id=OuterRef("collection_id"), path=OuterRef("base_path"), principal_type=principal_type
        )
        places = Location.objects.filter(
            ~Exists(held),
            kind=LocationKind.COLLECTION,
            version__in=Version.objects.offered(),
            version__dataset__in=Dataset.objects.readable_in_place(timezone.now()).filter(access_policy=policy),
        )
        found |= set(places.values_list("version__dataset_id", flat=True)[:MOST])
    return found


def _wrongly_open() -> set[UUID]:
    """Datasets with a rule that their policy does not ask for any more."""
    rightly, readable = Q(), Dataset.objects.readable_in_place(timezone.now())
    for policy, principal_type in PRINCIPAL_TYPES.items():
        rightly |= Q(dataset__in=readable.filter(access_policy=policy), principal_type=principal_type)
    return set(ArchiveRule.objects.exclude(rightly).values_list("dataset_id", flat=True)[:MOST])


def _reaching_closed() -> set[UUID]:
    """Datasets with a rule on a folder that by now overlaps with the place of another dataset which is not as open."""
    found: set[UUID] = set()
    for principal_type in PRINCIPAL_TYPES.values():
        places = Location.objects.filter(collection_id=OuterRef("collection_id"), version__dataset__in=_closed_to(principal_type))
        others = places.exclude(version__dataset=OuterRef("dataset")).alias(
            rule_path=ExpressionWrapper(OuterRef("path"), output_field=CharField())
        )
        overlapping = others.filter(Q(base_path__startswith=OuterRef("path")) | Q(rule_path__startswith=F("base_path")))
        rules = ArchiveRule.objects.filter(Exists(overlapping), principal_type=principal_type)
        found |= set(rules.values_list("dataset_id", flat=True)[:MOST])
    return found


def _refused(dataset: Dataset) -> str:
    return f"opening-refused:{dataset.pk}"
