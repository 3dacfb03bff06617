"""A share lasts no longer than the right to its files: what happens when access is taken away or ends, or a version is withdrawn."""

import logging

from django.core.cache import cache
from django.db.models import Q
from django.utils import timezone

from datasets.access import decide
from datasets.models import Dataset
from datasets.states import VersionStatus
from transfers import steps
from transfers.errors import StaleStateError
from transfers.models import DataRequest
from transfers.states import Kind, Status

log = logging.getLogger(__name__)

SWEPT_EVERY_S = 10


def lost_dataset(request: DataRequest) -> str:
    """The title of a dataset of this request that its owner may no longer have, or that was withdrawn; empty when all is well."""
    for selection in request.selections.select_related("version__dataset"):
        if selection.version.is_withdrawn or not decide(request.user, selection.version.dataset).is_allowed:
            return selection.version.dataset.title
    return ""


def end_lost_shares() -> None:
    """The sweep: open shares whose owner lost her access are removed as if they had expired. Safe to repeat."""
    if not cache.add("lost-shares-swept", 1, timeout=SWEPT_EVERY_S):
        return
    kept = Dataset.objects.exclude(pk__in=Dataset.objects.readable_in_place(timezone.now()).values("pk"))
    open_shares = DataRequest.objects.filter(kind=Kind.SHARE, status=Status.OPEN)
    doubtful = open_shares.filter(Q(selections__version__dataset__in=kept) | Q(selections__version__status=VersionStatus.WITHDRAWN))
    for request in doubtful.distinct().select_related("user"):
        if not (title := lost_dataset(request)):
            continue
        try:
            request.move_to(Status.EXPIRING, note=f"Your access to {title} has ended, so this share ends too.")
        except StaleStateError:
            log.info("the share moved meanwhile", extra={"request_id": str(request.pk)})
            continue
        steps.hint(request)
