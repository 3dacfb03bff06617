"""The steward's page of one scan: how far it is, what it found, and the answer to that. Each POST calls one verb of `ACTS`."""

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from datasets.access import check_curator
from datasets.errors import ConflictError, InvalidError, NotFoundError
from datasets.finding import find_dataset
from datasets.models import Acceptance, Cadence, Dataset, FixityCadence, GlobusCollection, ScanRun
from datasets.preservation import watching
from datasets.scans import ingesting, scanning

CHANGES_ON_A_PAGE = 100
POLL_S = 2

ACTS: dict[str, tuple[Callable[..., ScanRun], str]] = {
    "pause": (scanning.pause_scan, "The scan is paused. It stops within seconds."),
    "resume": (scanning.resume_scan, "The scan goes on."),
    "cancel": (scanning.cancel_scan, "The scan is cancelled."),
    "accept": (scanning.accept_scan, "Accepted. The files are taken into the draft, and new ones are read near the data."),
    "discard": (scanning.discard_report, "The report is discarded. The draft is as it was."),
    "retry": (ingesting.retry_scan, "The scan is queued again."),
}


@never_cache
@login_required
@require_safe
def show_scan(request: HttpRequest, slug: str, scan_id: int) -> HttpResponse:
    """`pages/scan.html`: `totals` by kind, `page` of the changes of one kind. Query: `kind`, `after`."""
    dataset, run = _find(request, slug, scan_id)
    totals = scanning.totals(run)
    kind = request.GET.get("kind") or next((total.kind for total in totals if total.n_files), "new")
    after = request.GET.get("after", "")
    page = scanning.list_changes(run, kind=kind, after=after, limit=CHANGES_ON_A_PAGE)
    context = {
        "dataset": dataset,
        "scan": run,
        "totals": totals,
        "kind": kind,
        "page": page,
        "after": after,
        "next_url": "?" + urlencode({"kind": kind, "after": page.next_after}) if page.next_after else None,
        "first_url": "?" + urlencode({"kind": kind}) if after else None,
        "poll_s": POLL_S,
    }
    return render(request, "pages/scan.html", context)


@never_cache
@login_required
@require_POST
def act_on_scan(request: HttpRequest, slug: str, scan_id: int, act: str) -> HttpResponse:
    """One act; what does not go is said, and the scan shown as it is. Field: `next`, where to go on (`desk` or its own page)."""
    _, run = _find(request, slug, scan_id)
    if act not in ACTS:
        raise NotFoundError
    verb, words = ACTS[act]
    try:
        verb(run, user=request.user)
    except (InvalidError, ConflictError) as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, words)
    return redirect("datasets:desk", slug=slug) if request.POST.get("next") == "desk" else redirect(run)


@never_cache
@login_required
@require_POST
def scan_version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Ask for a scan of one version, and go to its page. What does not go is said on the page of the damage."""
    dataset = find_dataset(request.user, slug)
    check_curator(request.user, dataset)
    version = dataset.versions.filter(number=number).first()
    if version is None:
        raise NotFoundError
    try:
        return redirect(ingesting.ask_for_scan(version, user=request.user))
    except (InvalidError, ConflictError) as error:
        messages.error(request, " ".join([error.detail, *(words for texts in error.fields.values() for words in texts)]))
        return redirect(version.damage_url)


@never_cache
@login_required
@require_POST
def change_watch(request: HttpRequest, slug: str) -> HttpResponse:
    """How the files are watched. Fields: those of `Watch`."""
    dataset = find_dataset(request.user, slug)
    check_curator(request.user, dataset)
    asked = {name: request.POST[name] for name in ("acceptance", "rescan_every", "verify_every") if name in request.POST}
    watching.change_watch(dataset, user=request.user, **asked)
    messages.success(request, "How its files are watched is saved.")
    return redirect("datasets:desk", slug=slug)


def watch_context(dataset: Dataset) -> dict[str, object]:
    """What the part of the desk shows that says how the files are watched."""
    choices: dict[str, object] = {"acceptances": Acceptance.choices, "cadences": Cadence.choices, "fixities": FixityCadence.choices}
    choices |= {"registered": GlobusCollection.objects.filter(is_usable=True)[:100]}
    return {"watch": watching.watch_of(dataset), **choices}


def _find(request: HttpRequest, slug: str, scan_id: int) -> tuple[Dataset, ScanRun]:
    dataset = find_dataset(request.user, slug)
    check_curator(request.user, dataset)
    run = get_object_or_404(
        ScanRun.objects.select_related("version__dataset", "asked_by", "accepted_by"), pk=scan_id, version__in=dataset.versions.all()
    )
    return dataset, run
