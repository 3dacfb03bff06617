"""The pages of series: the tree and one of it for everybody, and the desk of one for its stewards. Each POST calls one verb, in `ACTS`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from datasets import search, series
from datasets.access import check_staff, granting
from datasets.errors import ConflictError, InvalidError, NotFoundError
from datasets.finding import whole_number
from datasets.models import Dataset, PrincipalType, Series
from datasets.search.query import SearchQuery
from datasets.showing import marked

SERIES_ON_A_PAGE = 50
DATASETS_ON_A_PAGE = 20
MOST_CHOICES = 200
SALT = "datasets.series"


@require_safe
def show_tree(request: HttpRequest) -> HttpResponse:
    """`pages/series_tree.html`: `branches` (series, n_listed) at the top, `next_url`. Query: `after` (slug)."""
    branches, next_url = _branches(request, None)
    return render(request, "pages/series_tree.html", {"branches": branches, "next_url": next_url})


@require_safe
def show_series(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/series.html`: `series`, `lineage`, `branches`, its `datasets` or what `q` finds in and below (`results`).

    Query: `q` with what else a search takes; `page` (signed) and `after` (slug) for the next datasets and series.
    """
    found = series.find_series(request.user, slug)
    branches, more_series = _branches(request, found)
    context: dict[str, Any] = {
        "series": found,
        "lineage": series.lineage_of(found, request.user),
        "branches": branches,
        "more_series": more_series,
        "is_steward": series.is_series_steward(request.user, found),
        "q": request.GET.get("q", "").strip(),
        "results": None,
    }
    if context["q"]:
        query = SearchQuery.from_parameters(request.GET)
        query = replace(query, facets={**query.facets, "series": (slug,)})
        context |= {"query": query, "results": search.search(query, user=request.user)}
        context["rows"] = [(hit.dataset, marked(hit.excerpt)) for hit in context["results"].hits]
        cursor = context["results"].next_cursor
        context["next_url"] = query.url(with_cursor=cursor) if cursor else None
    else:
        rows = series.datasets_in(found, request.user, after=_position(request), limit=DATASETS_ON_A_PAGE + 1)
        context["rows"] = [(one, _beginning(one)) for one in rows[:DATASETS_ON_A_PAGE]]
        last = rows[DATASETS_ON_A_PAGE - 1] if len(rows) > DATASETS_ON_A_PAGE else None
        context["next_url"] = f"?{urlencode({'page': signing.dumps([last.title, str(last.pk)], salt=SALT)})}" if last else None
    return render(request, "pages/series.html", context)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def curate(request: HttpRequest) -> HttpResponse:
    """`pages/steward_series.html`: the series that she curates; POST makes one: `title`, `slug`, `description`, `parent` (a slug)."""
    typed = {name: request.POST.get(name, "").strip() for name in ("title", "slug", "description", "parent")}
    errors: dict[str, list[str]] = {}
    check_staff(request.user)
    if request.method == "POST":
        try:
            own = {name: typed[name] for name in ("title", "slug", "description")}
            made = series.create(user=request.user, parent=_named(request, "parent"), **own)
            messages.success(request, f"The series {made.title} is made. Put datasets in it on their desks.")
            return redirect("datasets:series-desk", slug=made.slug)
        except (InvalidError, ConflictError) as error:
            errors = error.fields or {"slug": [error.detail]}
    curated = Series.objects.stewarded_by(request.user).select_related("parent").order_by("slug")
    rows = list(curated.filter(slug__gt=request.GET.get("after", ""))[: SERIES_ON_A_PAGE + 1])
    next_url = f"?{urlencode({'after': rows[SERIES_ON_A_PAGE - 1].slug})}" if len(rows) > SERIES_ON_A_PAGE else None
    typed["parent"] = typed["parent"] or request.GET.get("parent", "")
    context = {"rows": rows[:SERIES_ON_A_PAGE], "next_url": next_url, "typed": typed, "errors": errors, "choices": choices(request.user)}
    return render(request, "pages/steward_series.html", context, status=400 if errors else 200)


@never_cache
@login_required
@require_safe
def desk(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/steward_one_series.html`: what its stewards do to a series."""
    return _show_desk(request, _stewarded(request, slug))


@never_cache
@login_required
@require_POST
def act(request: HttpRequest, slug: str, act: str) -> HttpResponse:
    """One act of the desk; what is wrong comes back beside its field."""
    found = _stewarded(request, slug)
    if act not in ACTS:
        raise NotFoundError
    try:
        words = ACTS[act](request, found)
    except (InvalidError, ConflictError) as error:
        return _show_desk(request, found, act=act, errors=error.fields, detail=error.detail, status=error.http_status)
    messages.success(request, words)
    if act == "delete":
        return redirect("datasets:curate-series")
    return redirect("datasets:series-desk", slug=slug)


def put_dataset(request: HttpRequest, dataset: Dataset) -> str:
    """An act of the desk of a dataset: field `series`, a slug or nothing."""
    chosen = _named(request, "series")
    series.put(dataset, user=request.user, series=chosen)
    return f"The dataset is in {chosen.title}." if chosen else "The dataset is in no series any more."


def choices(user: Any) -> list[tuple[str, str]]:
    """(slug, words) of up to 200 series that she may change, for a field that completes what is typed."""
    return [(one.slug, one.title) for one in Series.objects.stewarded_by(user).order_by("title")[:MOST_CHOICES]]


def _describe(request: HttpRequest, found: Series) -> str:
    series.describe(found, user=request.user, title=request.POST.get("title", ""), description=request.POST.get("description", ""))
    return "The description is saved."


def _move(request: HttpRequest, found: Series) -> str:
    parent = _named(request, "parent")
    series.move(found, user=request.user, parent=parent)
    return f"{found.title} is below {parent.title} now." if parent else f"{found.title} is at the top of the tree now."


def _delete(request: HttpRequest, found: Series) -> str:
    series.delete(found, user=request.user)
    return f"The series {found.title} is deleted."


def _appoint(request: HttpRequest, found: Series) -> str:
    made = series.appoint(found, user=request.user, **granting.principal_of(request.POST))
    return f"{made} curates this series and all that is below it."


def _dismiss(request: HttpRequest, found: Series) -> str:
    number = whole_number(request.POST.get("steward", ""))
    steward = found.stewards.filter(pk=number).select_related("series").first() if number is not None else None
    if steward is None:
        raise NotFoundError
    series.dismiss(steward, user=request.user)
    return f"{steward} is no steward of this series any more."


ACTS: dict[str, Callable[[HttpRequest, Series], str]] = {
    "describe": _describe,
    "move": _move,
    "delete": _delete,
    "appoint": _appoint,
    "dismiss": _dismiss,
}


def _show_desk(
    request: HttpRequest,
    found: Series,
    *,
    act: str = "",
    errors: dict[str, list[str]] | None = None,
    detail: str = "",
    status: int = 200,
) -> HttpResponse:
    context = {
        "series": found,
        "lineage": series.lineage_of(found, request.user),
        "stewards": found.stewards.select_related("appointed_by"),
        "above": found.stewards.model.objects.filter(series_id__in=found.lineage[:-1]).select_related("series"),
        "n_series": found.children.count(),
        "n_datasets": Dataset.objects.filter(series=found).count(),
        "events": found.events.select_related("actor").order_by("-at", "-id")[:20],
        "principal_types": PrincipalType.choices,
        "choices": choices(request.user),
        "act": act,
        "errors": errors or {},
        "detail": detail,
        "typed": request.POST if act else {},
    }
    return render(request, "pages/steward_one_series.html", context, status=status)


def _stewarded(request: HttpRequest, slug: str) -> Series:
    found = series.find_series(request.user, slug)
    series.check_series_steward(request.user, found)
    return found


def _named(request: HttpRequest, name: str) -> Series | None:
    return series.named(request.user, request.POST.get(name, "").strip(), name)


def _branches(request: HttpRequest, parent: Series | None) -> tuple[list[series.Branch], str | None]:
    rows = series.branches(request.user, parent, after=request.GET.get("after", "")[:80], limit=SERIES_ON_A_PAGE + 1)
    more = len(rows) > SERIES_ON_A_PAGE
    return rows[:SERIES_ON_A_PAGE], f"?{urlencode({'after': rows[SERIES_ON_A_PAGE - 1].series.slug})}" if more else None


def _position(request: HttpRequest) -> series.Position | None:
    if not (page := request.GET.get("page", "")):
        return None
    try:
        title, pk = signing.loads(page, salt=SALT)
    except (signing.BadSignature, ValueError) as error:
        raise InvalidError(fields={"page": ["Not a page of this series. Start from the first one."]}) from error
    return title, pk


def _beginning(dataset: Dataset) -> str:
    return search.shortened(dataset.abstract[: search.EXCERPT])
