"""The pages of access requests: the form, her own requests, and the one queue of a steward. GET shows, POST calls one verb."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from datasets.access import check_staff, decide, is_curator
from datasets.access.terms import current_terms, lacking_terms
from datasets.errors import ConflictError, InvalidError, NotFoundError
from datasets.finding import find_dataset, whole_number
from datasets.models import Dataset
from datasets.moments import end_of_day
from transfers.access import asking
from transfers.access.models import AccessRequest
from transfers.access.states import ACCESS_UNDECIDED, AccessStatus
from transfers.requesting import check_signed_in

S = AccessStatus
KINDS = {S.GRANTED: "ok", S.RENEWING: "ok", S.DENIED: "failed", S.WITHDRAWN: "plain", S.ENDED: "plain"}
SHOWN: dict[str, tuple[str, list[AccessStatus]]] = {
    "waiting": ("To decide", [S.WAITING, S.RENEWING]),
    "granted": ("Access given", [S.GRANTED]),
    "over": ("Over", [S.DENIED, S.WITHDRAWN, S.ENDED]),
}
ON_A_PAGE = 50


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/access_ask.html`: purpose, until when, the terms; POST asks. Fields: `purpose`, `until` (date), `accepted_terms` (version)."""
    check_signed_in(request.user)
    dataset = find_dataset(request.user, slug)
    if known := asking.open_request(dataset, request.user):
        return redirect(known)
    terms = current_terms(dataset)
    is_new = bool(terms and lacking_terms(request.user, [dataset]))
    typed = {name: request.POST.get(name, "").strip() for name in ("purpose", "until")}
    errors: dict[str, list[str]] = {}
    if request.method == "POST":
        try:
            made = _ask(request, dataset, typed, is_asked_for_terms=is_new)
        except InvalidError as error:
            errors = error.fields or {"purpose": [error.detail]}
        else:
            messages.success(request, "You asked for access. The stewards are told by mail, and you by mail when they decided.")
            return redirect(made)
    context = {
        "dataset": dataset,
        "decision": decide(request.user, dataset),
        "terms": terms,
        "is_new": is_new,
        "typed": typed,
        "errors": errors,
        "is_ticked": bool(request.POST.get("accepted_terms")),
    }
    return render(request, "pages/access_ask.html", context, status=400 if errors else 200)


def _ask(request: HttpRequest, dataset: Dataset, typed: dict[str, str], *, is_asked_for_terms: bool) -> AccessRequest:
    ticked = whole_number(request.POST.get("accepted_terms", ""))
    if is_asked_for_terms and ticked is None:
        raise InvalidError(fields={"accepted_terms": ["Tick that you accept the terms, or go back."]})
    return asking.request_access(
        dataset,
        user=request.user,
        purpose=typed["purpose"],
        until=end_of_day(typed["until"], "until"),
        accepted_terms=ticked,
    )


@never_cache
@require_safe
def own_requests(request: HttpRequest) -> HttpResponse:
    """`pages/access_requests.html`: `page` of her own, newest first; `kinds`."""
    check_signed_in(request.user)
    own = AccessRequest.objects.filter(user=request.user.pk).select_related("dataset")
    return render(
        request, "pages/access_requests.html", {"page": Paginator(own, ON_A_PAGE).get_page(request.GET.get("page")), "kinds": KINDS}
    )


@never_cache
@require_safe
def show_request(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    """`pages/access_request.html`: `asked`, `events`, what can be done with it: `is_own`, `may_decide`."""
    check_signed_in(request.user)
    return _show(request, asking.find_request(request.user, request_id))


def _show(
    request: HttpRequest, asked: AccessRequest, *, act: str = "", errors: dict[str, list[str]] | None = None, detail: str = ""
) -> HttpResponse:
    may_decide = is_curator(request.user, asked.dataset)
    context = {
        "asked": asked,
        "kind": KINDS.get(AccessStatus(asked.status), "waiting"),
        "events": list(asked.events.select_related("actor")),
        "terms": asked.acceptance.terms if asked.acceptance else None,
        "is_own": asked.user_id == request.user.pk,
        "may_decide": may_decide and asked.status in ACCESS_UNDECIDED,
        "suggested_until": asking.suggested_until(asked),
        "act": act,
        "errors": errors or {},
        "detail": detail,
        "typed": request.POST,
    }
    return render(request, "pages/access_request.html", context, status=400 if act else 200)


@never_cache
@require_safe
def queue(request: HttpRequest) -> HttpResponse:
    """`pages/access_queue.html`: `page` of the requests for all datasets that this steward curates, `counts` by what is shown.

    Query: `show` (waiting, granted, over), `dataset` (slug), `page`.
    """
    check_signed_in(request.user)
    check_staff(request.user)
    show = request.GET.get("show", "waiting")
    show = show if show in SHOWN else "waiting"
    curated = AccessRequest.objects.filter(dataset__in=Dataset.objects.curated_by(request.user))
    slug = request.GET.get("dataset", "")
    if slug:
        curated = curated.filter(dataset__slug=slug)
    found = curated.filter(status__in=SHOWN[show][1]).select_related("dataset", "user", "decided_by", "acceptance__terms")
    page = Paginator(found.order_by("moved_at" if show == "waiting" else "-moved_at", "id"), ON_A_PAGE).get_page(request.GET.get("page"))
    by_status = dict(curated.order_by().values_list("status").annotate(Count("pk")))
    context = {
        "page": page,
        "rows": [(asked, asking.suggested_until(asked)) for asked in page.object_list],
        "show": show,
        "slug": slug,
        "counts": [(key, words, sum(by_status.get(status, 0) for status in statuses)) for key, (words, statuses) in SHOWN.items()],
        "kinds": KINDS,
        "here": request.get_full_path(),
    }
    return render(request, "pages/access_queue.html", context)


@never_cache
@require_POST
def act(request: HttpRequest, request_id: uuid.UUID, act: str) -> HttpResponse:
    """Approve, deny, renew, withdraw or give back; back to the queue where `next` says `queue`. What is wrong is told on its page."""
    check_signed_in(request.user)
    asked = asking.find_request(request.user, request_id)
    if act not in ACTS:
        raise NotFoundError
    try:
        words = ACTS[act](request, asked)
    except (InvalidError, ConflictError) as error:
        return _show(request, asking.find_request(request.user, request_id), act=act, errors=error.fields, detail=error.detail)
    messages.success(request, words)
    return redirect("access:queue") if request.POST.get("next") == "queue" else redirect(asked)


def _approve(request: HttpRequest, asked: AccessRequest) -> str:
    asking.approve(asked, user=request.user, until=end_of_day(request.POST.get("until", ""), "until"))
    return f"{asked.user.get_full_name()} has access to {asked.dataset.title}, and is told by mail."


def _deny(request: HttpRequest, asked: AccessRequest) -> str:
    asking.deny(asked, user=request.user, reason=request.POST.get("reason", ""))
    return f"Denied. {asked.user.get_full_name()} is told by mail, with your reason."


def _renew(request: HttpRequest, asked: AccessRequest) -> str:
    until = end_of_day(request.POST.get("until", ""), "until")
    asking.ask_renewal(asked, user=request.user, purpose=request.POST.get("purpose", ""), until=until)
    return "You asked for more time. Your access lasts until its present end meanwhile."


def _withdraw(request: HttpRequest, asked: AccessRequest) -> str:
    asking.withdraw(asked, user=request.user)
    return "Withdrawn."


def _give_back(request: HttpRequest, asked: AccessRequest) -> str:
    asking.give_back(asked, user=request.user)
    return "Your access has ended, and open shares of these files end too."


ACTS: dict[str, Callable[[HttpRequest, AccessRequest], str]] = {
    "approve": _approve,
    "deny": _deny,
    "renew": _renew,
    "withdraw": _withdraw,
    "give-back": _give_back,
}


def access_request_of(user: Any, dataset: Dataset) -> AccessRequest | None:
    """For the page of the dataset: her request that is not over."""
    return asking.open_request(dataset, user) if getattr(user, "is_authenticated", False) else None


def count_undecided(user: Any) -> int:
    """For the menu: how many requests wait for this steward."""
    requests: Any = AccessRequest.objects
    return int(requests.to_decide(user).count())
