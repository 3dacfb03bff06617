"""Quick looks: for each variable of a published, public dataset one chart, drawn once with the portal's own token.

Only public datasets: the portal may read more than anybody may, and a chart must not tell what the files may not. The chart is kept
here as text and the service's copy is cleaned up at once.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from datasets.errors import NotFoundError, RefusedError, StaleStateError, UnavailableError
from datasets.models import AccessPolicy, Dataset, Version
from datasets.states import VersionStatus
from transfers import graph
from transfers.analysis.choosing import choose_files
from transfers.analysis.models import QuickLook
from transfers.analysis.states import ChartKind, LookStatus
from transfers.errors import ConsentNeededError, NotClaimedError
from transfers.steps import send_hint

log = logging.getLogger(__name__)

POLL_S = 1.0
MOST_AT_ONCE = 50
KINDS = (ChartKind.SERIES, ChartKind.MAP)


def request(version: Version) -> int:
    """Queue a quick look for every variable of a version that has none; answers how many. Safe to repeat."""
    dataset = version.dataset
    if version.status != VersionStatus.PUBLISHED or not dataset.is_open_to_all or not settings.GRAPH_URL:
        return 0
    names = dataset.variables.exclude(example_path="").values_list("name", flat=True)
    present = set(QuickLook.objects.filter(version=version).values_list("variable", flat=True))
    missing = [QuickLook(version=version, variable=name, due_at=timezone.now()) for name in names if name not in present]
    QuickLook.objects.bulk_create(missing, ignore_conflicts=True)
    return len(missing)


def sweep(now: datetime) -> int:
    """Ask for the quick looks that are missing and hint at every step that is due; answers how many."""
    open_to_all = Dataset.objects.readable_in_place(now).filter(access_policy=AccessPolicy.PUBLIC)
    lacking = Version.objects.filter(status=VersionStatus.PUBLISHED, dataset__in=open_to_all, quick_looks=None)
    for version in lacking.filter(dataset__variables__example_path__gt="").select_related("dataset").distinct()[:MOST_AT_ONCE]:
        request(version)
    n_hints = 0
    for look in QuickLook.objects.take_due(now, most=MOST_AT_ONCE):
        send_hint("transfers.analysis.quick_look", look.pk)
        n_hints += 1
    return n_hints


@shared_task(name="transfers.analysis.quick_look", acks_late=True, soft_time_limit=120)
def draw(look_id: int | str) -> None:
    """Submit a waiting quick look, or see whether it is drawn. Safe to repeat."""
    try:
        with QuickLook.objects.claim(look_id, expected={LookStatus.WAITING, LookStatus.DRAWING}) as look:
            _guarded(look, _submit if look.status == LookStatus.WAITING else _follow)
    except NotClaimedError:
        return


def _submit(look: QuickLook) -> None:
    dataset = look.version.dataset
    if not dataset.is_open_to_all:
        look.move_to(LookStatus.EMPTY, reason="Quick looks are drawn of public datasets only.")
        return
    chosen = choose_files(look.version, look.variable)
    source = graph.Source(
        dataset=dataset.slug,
        title=dataset.title,
        version=str(look.version.number),
        collection_id=chosen.collection_id,
        paths=chosen.paths,
        variable=chosen.variable,
        units=chosen.units,
        label=chosen.label,
    )
    token = graph.own_token([chosen.collection_id])
    look.keep_claim()
    answer = graph.request_graph([source], kinds=KINDS, years=None, token=token)
    look.move_to(LookStatus.DRAWING, service_id=answer.id)
    look.look_again(seconds=POLL_S)


def _follow(look: QuickLook) -> None:
    location = look.version.primary_location
    token = graph.own_token([location.collection_id] if location and location.collection_id else [])
    look.keep_claim()
    try:
        answer = graph.find_graph(look.service_id, token=token)
    except NotFoundError:
        look.move_to(LookStatus.WAITING, service_id="")
        return
    if answer.status in {"queued", "running"}:
        look.look_again(seconds=POLL_S)
        return
    if answer.results:
        best = answer.results[0]
        look.move_to(LookStatus.READY, kind=best["kind"], svg=best["svg"], text_alternative=best["text_alternative"])
    else:
        reasons = [failure.get("reason", "") for failure in answer.failures]
        look.move_to(LookStatus.EMPTY, reason=next(filter(None, reasons), "It could not be drawn."))
    with suppress(RefusedError):  # the chart is kept; the service removes what is left in a month
        graph.remove_graph(answer.id, token=token)


def _guarded(look: QuickLook, act: Callable[[QuickLook], None]) -> None:
    try:
        act(look)
    except (UnavailableError, ConsentNeededError) as error:
        log.warning("a quick look is tried again later", extra={"quick_look_id": look.pk, "words": error.detail})
        look.put_off()
    except StaleStateError:
        log.info("the quick look moved meanwhile", extra={"quick_look_id": look.pk})
    except RefusedError as error:
        if look.status in {LookStatus.WAITING, LookStatus.DRAWING}:
            look.move_to(LookStatus.EMPTY, reason=error.detail or error.message)
