"""The steward's pages of harvests: ordering one, how far it is, what came of its records. Each POST calls one verb of `ACTS`."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from datasets.access import check_staff
from datasets.errors import ConflictError, InvalidError, NotFoundError
from datasets.finding import whole_number
from datasets.importing import gathering, harvests
from datasets.models import Cadence, Harvest
from datasets.models.harvest import HarvestAct
from datasets.states import HarvestStatus

HARVESTS_ON_A_PAGE = 50
RECORDS_ON_A_PAGE = 50
POLL_S = 2
TYPED = ("base_url", "prefix", "set", "since", "until", "every")

ACTS: dict[str, tuple[Callable[..., Harvest], str]] = {
    "pause": (harvests.pause, "The harvest is paused. It stops within seconds."),
    "resume": (harvests.resume, "The harvest goes on where it stopped."),
    "cancel": (harvests.cancel, "The harvest is cancelled. Drafts that it made stay."),
    "retry": (harvests.retry, "The harvest goes on at the page where it failed."),
    "again": (harvests.again, "What changed since is harvested."),
    "anew": (harvests.anew, "All of it is harvested again."),
    "look": (harvests.look, "What changed since is looked at. Nothing is made."),
    "import": (harvests.import_seen, "The drafts are being made."),
}


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def show_harvests(request: HttpRequest) -> HttpResponse:
    """`pages/steward_harvests.html`: `rows`, `next_url`; POST orders one: `base_url`, `prefix`, `set`, `since`, `until`, `every`, `act`
    (look: a dry run).

    Query: `before` (the number of a harvest).
    """
    check_staff(request.user)
    typed = {name: request.POST.get(name, "").strip() for name in TYPED}
    errors: dict[str, list[str]] = {}
    detail, status = "", 200
    if request.method == "POST":
        given = {name: typed[name] for name in ("base_url", "prefix", "since", "until", "every")}
        try:
            run = harvests.order(user=request.user, set_spec=typed["set"], is_dry_run=request.POST.get("act") == "look", **given)
        except (InvalidError, ConflictError) as error:
            errors, detail, status = error.fields, error.detail, error.http_status
        else:
            words = "What would come is being looked at; nothing is made." if run.is_dry_run else "The harvest is queued."
            messages.success(request, f"{words} It goes on when you leave this page.")
            return redirect(run)
    found = Harvest.objects.visible_to(request.user).select_related("asked_by").order_by("-pk")
    before = whole_number(request.GET.get("before", ""))
    rows = list((found.filter(pk__lt=before) if before else found)[: HARVESTS_ON_A_PAGE + 1])
    next_url = f"?before={rows[HARVESTS_ON_A_PAGE - 1].pk}" if len(rows) > HARVESTS_ON_A_PAGE else None
    context = {
        "rows": rows[:HARVESTS_ON_A_PAGE], "next_url": next_url, "typed": typed, "errors": errors, "detail": detail,
        "prefixes": [(one, one) for one in gathering.PREFIXES], "cadences": Cadence.choices,
    }  # fmt: skip
    return render(request, "pages/steward_harvests.html", context, status=status)


@never_cache
@login_required
@require_safe
def show_harvest(request: HttpRequest, pk: int) -> HttpResponse:
    """`pages/steward_harvest.html`: `run`, `counts` by act, `unplaced` parts, `lines` of one act.

    Query: `act`, `after`.
    """
    return _show(request, harvests.find_harvest(request.user, pk))


@never_cache
@login_required
@require_POST
def act_on_harvest(request: HttpRequest, pk: int, act: str) -> HttpResponse:
    """One act; what does not go is said, and the harvest shown as it is. `calendar` takes `every`."""
    run = harvests.find_harvest(request.user, pk)
    if act not in ACTS and act != "calendar":
        raise NotFoundError
    try:
        if act == "calendar":
            harvests.change_calendar(run, user=request.user, every=request.POST.get("every", ""))
            words = "The calendar is saved."
        else:
            verb, words = ACTS[act]
            verb(run, user=request.user)
    except (InvalidError, ConflictError) as error:
        messages.error(request, " ".join([words for texts in error.fields.values() for words in texts] or [error.detail]))
    else:
        messages.success(request, words)
    return redirect(run)


def _show(request: HttpRequest, run: Harvest) -> HttpResponse:
    counts = harvests.counts(run)
    act, after = request.GET.get("act", ""), whole_number(request.GET.get("after", "")) or 0
    lines = harvests.lines(run, act=act, after=after, limit=RECORDS_ON_A_PAGE + 1)
    more = len(lines) > RECORDS_ON_A_PAGE
    chosen = {"act": act} if act else {}
    context: dict[str, Any] = {
        "run": run,
        "counts": [(one, HarvestAct(one).label, n) for one, n in counts.items()],
        "n_records": sum(counts.values()),
        "n_to_make": counts[HarvestAct.NEW] + counts[HarvestAct.CHANGED],
        "unplaced": harvests.unplaced(run),
        "lines": lines[:RECORDS_ON_A_PAGE],
        "act": act,
        "next_url": f"?{urlencode(chosen | {'after': lines[RECORDS_ON_A_PAGE - 1].pk})}" if more else None,
        "first_url": f"?{urlencode(chosen)}" if after else None,
        "events": run.events.select_related("actor").order_by("-at", "-id")[:20],
        "labels": dict(HarvestStatus.choices),
        "cadences": Cadence.choices,
        "poll_s": POLL_S,
    }
    return render(request, "pages/steward_harvest.html", context)
