"""DOIs: reserved while a draft is made, asked for at publication, registered by a worker from the outbox, told anew when metadata change.

DataCite being out never holds up a publication: the row waits, and the sweep hints at it until it is done. Each call may be repeated.
"""

import datetime as dt
import secrets
from typing import Any

from celery import shared_task
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from datasets.access import Visitor, check_curator
from datasets.dois import datacite
from datasets.errors import ConflictError, NotClaimedError, RefusedError, StaleStateError, UnavailableError
from datasets.formats.datacite import attributes
from datasets.metadata import pushing
from datasets.metadata.describing import find_record
from datasets.models import Dataset, Doi, Version
from datasets.states import DoiStatus

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no letter is taken for another or for a digit
FIRST_WAIT_S, LONGEST_WAIT_S = 10, 3600
MOST_DUE = 100


def reserve(version: Version, *, user: Visitor) -> Doi:
    """The DOI that a version has or will have, to be printed in a paper before publication. Safe to repeat."""
    check_curator(user, version.dataset)
    return _reserve(version)


def _reserve(version: Version) -> Doi:
    present = Doi.objects.filter(version=version).first()
    if present is not None:
        return present
    try:
        with transaction.atomic():
            return Doi.objects.create(version=version, name=_new_name())
    except IntegrityError:  # somebody else was first, or by chance the name is taken
        return Doi.objects.filter(version=version).first() or _reserve(version)


def _new_name() -> str:
    suffix = "".join(secrets.choice(ALPHABET) for _ in range(8))
    return f"{settings.DATACITE_PREFIX}/{suffix[:4]}-{suffix[4:]}"


def ask_for_registration(version: Version) -> None:
    """Belongs into the transaction of the publication: the row is the order, and nothing is sent yet."""
    _reserve(version)
    tell_anew(version.dataset)


def tell_anew(dataset: Dataset) -> None:
    """What DataCite was told of a dataset's published versions is not all any more. Belongs into the transaction of the change."""
    if not datacite.is_configured():
        return
    for doi in Doi.objects.filter(version__in=Version.objects.published().filter(dataset=dataset)):
        Doi.objects.filter(pk=doi.pk).update(wanted=F("wanted") + 1)
        if doi.status != DoiStatus.PENDING:
            doi.move_to(DoiStatus.PENDING, due_at=timezone.now(), n_attempts=0, error="")


def try_again(doi: Doi, *, user: Visitor) -> Doi:
    """Queue a DOI that DataCite refused, after what it said is mended."""
    check_curator(user, doi.version.dataset)
    if not datacite.is_configured():
        raise ConflictError("This archive has no account with DataCite.")
    return doi.move_to(DoiStatus.PENDING, actor=user, due_at=timezone.now(), n_attempts=0, error="")


@shared_task(name="datasets.register_doi", acks_late=True, soft_time_limit=120)
def register(doi_id: int) -> None:
    """Tell DataCite of one version. Safe to repeat: the claim lets one worker in, and the call may be made twice."""
    try:
        with Doi.objects.claim(doi_id, expected={DoiStatus.PENDING}, n_attempts=F("n_attempts") + 1) as doi:
            _register(doi)
    except (NotClaimedError, StaleStateError):
        return


def _register(doi: Doi) -> None:
    wanted, version = doi.wanted, doi.version
    try:
        record = find_record(version.dataset.slug, version.number)
        datacite.put_doi(doi.name, attributes(record), url=record.url, is_findable=not version.is_withdrawn)
    except UnavailableError as error:
        doi.record(due_at=timezone.now() + _wait(doi.n_attempts), error=error.detail)
    except RefusedError as error:
        doi.move_to(DoiStatus.FAILED, note=error.detail, error=error.detail, due_at=None)
    else:
        _write_down(doi, wanted)


@transaction.atomic
def _write_down(doi: Doi, wanted: int) -> None:
    """DataCite has it. What changed during the call is told next."""
    row = Doi.objects.select_for_update().get(pk=doi.pk)
    facts: dict[str, Any] = {"told": wanted, "error": "", "registered_at": row.registered_at or timezone.now()}
    if row.wanted > wanted:
        doi.record(due_at=timezone.now(), **facts)
    else:
        doi.move_to(DoiStatus.REGISTERED, due_at=None, **facts)
    if row.registered_at is None:  # it is cited from now on
        pushing.ask_for_push(doi.version.dataset)


def _wait(n_attempts: int) -> dt.timedelta:
    return dt.timedelta(seconds=min(FIRST_WAIT_S * 2 ** min(n_attempts, 10), LONGEST_WAIT_S))


def due() -> list[int]:
    """The DOIs that wait for a worker."""
    waiting = Doi.objects.filter(status=DoiStatus.PENDING).due(timezone.now())
    return list(waiting.values_list("pk", flat=True)[:MOST_DUE])
