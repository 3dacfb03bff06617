"""The links of descriptions: which there are, and whether they still lead somewhere. A dead one warns; it never holds up a publication.

Saving a description writes down its links as due; a worker looks at each, and looks again as long as a draft is open.
"""

import datetime as dt
import time
from collections.abc import Iterator

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.utils import timezone

from datasets.access import Visitor, check_curator
from datasets.description import links
from datasets.errors import ConflictError
from datasets.models import Dataset, Link, Version
from datasets.models.moving import one_worker

AGAIN, SOON = dt.timedelta(days=7), dt.timedelta(minutes=15)
CLAIM = dt.timedelta(minutes=5)
MOST_LINKS = 200
TRIES = 3
BUDGET_S = 20
ALONE = 0x6C696E6B  # the key of the advisory lock


def links_of(dataset: Dataset) -> dict[str, str]:
    """Address to the field in which it stands. Addresses that vocabularies and registries make are theirs to keep."""
    return dict(list({url[:1_000]: field for url, field in _addresses(dataset) if url}.items())[:MOST_LINKS])


def _addresses(dataset: Dataset) -> Iterator[tuple[str, str]]:
    yield dataset.source_url, "source_url"
    for at, one in enumerate(dataset.related):
        yield one["url"], f"related.{at}.identifier"
    for at, one in enumerate(dataset.funders):
        yield one["award_uri"], f"funders.{at}.award_uri"
    for name in ("instruments", "platforms"):
        for at, one in enumerate(getattr(dataset, name)):
            yield "" if one["scheme"] else one["url"], f"{name}.{at}.identifier"


def note_links(dataset: Dataset) -> None:
    """Write down the links of a description; new ones are due at once. Belongs into the transaction of the change."""
    if not settings.LINK_CHECKS:
        return
    wanted = links_of(dataset)
    known = {one.url: one for one in dataset.links.all()}
    dataset.links.exclude(url__in=wanted).delete()
    now = timezone.now()
    Link.objects.bulk_create([Link(dataset=dataset, url=url, field=field, due_at=now) for url, field in wanted.items() if url not in known])
    moved = [one for url, one in known.items() if url in wanted and one.field != wanted[url]]
    for one in moved:
        one.field = wanted[one.url]
    Link.objects.bulk_update(moved, ["field"])


def ask_again(dataset: Dataset, *, user: Visitor) -> int:
    """Look at all links anew; how many. Raises ForbiddenError, ConflictError where this archive looks at none."""
    check_curator(user, dataset)
    if not settings.LINK_CHECKS:
        raise ConflictError("This archive does not check links.")
    note_links(dataset)
    return dataset.links.update(due_at=timezone.now(), n_failures=0)


def is_due() -> bool:
    """Whether a link waits for a worker."""
    return Link.objects.due(timezone.now()).exists()


@shared_task(name="datasets.check_links", acks_late=True, soft_time_limit=120)
def check_links() -> int:
    """Look at links that are due, one after the other, for some seconds; how many. Safe to repeat: each claim lets one worker in.

    One worker at a time does this, so that slow servers of other people hold up none of the archive's own work.
    """
    until, n_checked = time.monotonic() + BUDGET_S, 0
    with one_worker(ALONE) as is_alone:
        while is_alone and time.monotonic() < until and (link := Link.objects.due(timezone.now()).order_by("due_at").first()):
            n_checked += _check(link)
    return n_checked


def _check(link: Link) -> bool:
    now = timezone.now()
    if not Link.objects.filter(pk=link.pk).due(now).update(claimed_until=now + CLAIM):
        return False
    try:
        looked = links.look(link.url)
    except SoftTimeLimitExceeded:  # it drips its answer: told like any other that gives none, else it would be looked at for ever
        looked = links.Looked(None, "takes too long to answer")
    failures = link.n_failures + 1 if looked.is_dead is None else 0
    later = timezone.now() + (SOON if 0 < failures < TRIES else AGAIN)
    has_draft = Version.objects.drafts().filter(dataset_id=link.dataset_id).exists()
    row = Link.objects.filter(pk=link.pk)
    row.filter(due_at=link.due_at).update(due_at=later if has_draft else None)  # what was asked for meanwhile stays due
    facts = {"is_dead": looked.is_dead, "words": looked.words, "checked_at": timezone.now(), "n_failures": failures}
    row.update(claimed_until=None, **facts)
    return True
