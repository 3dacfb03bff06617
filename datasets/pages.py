"""The public pages of the catalogue: results, a dataset, its changes, a question to its stewards. GET shows, POST calls one verb."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote, urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe
from markupsafe import Markup

from datasets import files, search
from datasets.access import check_may_list, decide, is_curator, may_list
from datasets.access.terms import current_terms
from datasets.asking import ask_steward
from datasets.description.entries import words_apart
from datasets.description.snapshots import description_changes
from datasets.errors import InvalidError, NotFoundError
from datasets.files import differences
from datasets.finding import find_dataset
from datasets.identifiers import licence_words, resolution_words
from datasets.items.differences import item_changes
from datasets.metadata import pages as machine_pages
from datasets.metadata.citing import cite
from datasets.models import Dataset
from datasets.search.query import FACETS, SIDES, SORTS, SearchQuery
from datasets.series import lineage_of
from datasets.showing import Chip, dataset_and_version, https_route, marked, remember, route

Facets = Mapping[str, Sequence[search.FacetValue]]

TITLES = {name: name.capitalize() for name in FACETS}
LABELS = {"from": "From year", "to": "To year", "bbox": "Place", "limit": "Datasets on a page", "cursor": "Page"}
CHANGES_ON_A_PAGE = 200
FIRST_YEAR, LAST_YEAR = 1850, 2100
VALUES_SHOWN = 10


@require_safe
def catalogue(request: HttpRequest) -> HttpResponse:
    """`pages/catalogue.html`: `results`, `rows` (see `_row`), `facets`, `chips`, `sorts`, `errors`. Query: see SearchQuery."""
    errors: dict[str, list[str]] = {}
    try:
        query = SearchQuery.from_parameters(request.GET)
        results = search.search(query, user=request.user)
    except InvalidError as error:
        errors = error.fields
        kept = request.GET.copy()
        for name in (*errors, *(SIDES if "bbox" in errors else ())):
            kept.pop(name, None)
        query = SearchQuery.from_parameters(kept)
        results = search.search(query, user=request.user)
    context = {
        "query": query,
        "results": results,
        "rows": [_row(hit) for hit in results.hits],
        "facets": [(name, TITLES[name], _labels(results.facets[name])) for name in FACETS if name != "availability"],
        "online": next((one for one in results.facets["availability"] if one.value == "online"), None),
        "decades": _decades(query, results.facets["decade"]),
        "chips": _chips(query, results.facets),
        "drops": [
            (_filter_words(query, name, results.facets), query.without(name).url(), count)
            for name, count in results.found_without.items()
            if count
        ],
        "sorts": [(name, words) for name, words in SORTS.items() if name != "relevance" or query.words],
        "errors": errors,
        "labels": LABELS,
        "next_url": query.url(with_cursor=results.next_cursor) if results.next_cursor else None,
        "first_url": query.without("cursor").url() if query.cursor else None,
        "sides": dict(zip(SIDES, (f"{side:g}" for side in query.box) if query.box else ("",) * 4, strict=True)),
        "all_url": replace(query, cursor="", sort="newest").url(),
        "scale": (FIRST_YEAR, LAST_YEAR),
    }
    return render(request, "pages/catalogue.html", context, status=400 if errors else 200)


@require_safe
def dataset(request: HttpRequest, slug: str) -> HttpResponseBase:
    """`pages/dataset.html`: `dataset`, `version`, `versions`, `total`, `decision`, `ways`, `citation`, `looks`. Query: `version`."""
    asked = machine_pages.asked_format(request)
    if asked is not None:
        return machine_pages.describe(request, slug, asked)
    found, versions, version = dataset_and_version(request, slug)
    decision = decide(request.user, found)
    total = files.measure(version, files.FileQuery()) if version else files.Measure(0, 0)
    looks = [(variable, route("analysis:quick-look", slug, variable.name)) for variable in found.variables.all()]
    context = {
        "dataset": found,
        "lineage": lineage_of(found.series, request.user),
        "version": version,
        "versions": versions,
        "total": total,
        "decision": decision,
        "terms": current_terms(found),
        "can_list": may_list(request.user, found, version),
        "has_items": getattr(version, "has_items", False),
        "is_curator": is_curator(request.user, found),
        "citation": cite(found, version),
        "box": _box_words(found),
        "resolution": resolution_words(found.temporal_resolution),
        "licence_name": licence_words(found.licence),
        "related": _related(found),
        "looks": looks,
        "unreadable": _unreadable(found),
        "graph_url": route("analysis:graph-new") if settings.GRAPH_URL and settings.GRAPH_SCOPE else "",
        "manifest_url": reverse("datasets-api:manifest", args=[slug, version.number]) if version else "",
        "https_route": https_route(found, version),
        "add_url": route("transfers:basket-add"),
        "next_urls": {name: route(f"transfers:{name}") for name in ("basket", "request-new", "send")},
        "years": (FIRST_YEAR, LAST_YEAR),
        **machine_pages.page_context(found, version, versions, total),
    }
    answer = machine_pages.link(render(request, "pages/dataset.html", context), context["record"])
    return remember(request, answer, slug) if found.is_published else answer


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/ask.html`: a question to the stewards; POST mails it. Fields: `message`."""
    found = find_dataset(request.user, slug)
    message, errors = request.POST.get("message", ""), {}
    if request.method == "POST":
        try:
            ask_steward(found, user=request.user, message=message)
        except InvalidError as error:
            errors = error.fields
        else:
            messages.success(request, "Your question was mailed to the stewards. They will answer by mail.")
            return redirect(found)
    context = {"dataset": found, "message": message, "errors": errors}
    return render(request, "pages/ask.html", context, status=400 if errors else 200)


@require_safe
def list_changes(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/changes.html`: what differs between two versions, in the description, the files and the items.

    Query: `from`, `to`, `after` (a file), `items_after`.
    """
    found, versions, _ = dataset_and_version(request, slug)
    by_number = {str(version.number): version for version in versions}
    newest = by_number.get(request.GET.get("to", str(versions[0].number) if versions else ""))
    before = request.GET.get("from") or (str(max(newest.number - 1, 1)) if newest else "")
    oldest = by_number.get(before)
    if newest is None or oldest is None:
        raise NotFoundError("There is no such version of this dataset that you may see.")
    check_may_list(request.user, found, oldest)
    check_may_list(request.user, found, newest)
    rows = differences.changes(oldest, newest, after=request.GET.get("after", ""), limit=CHANGES_ON_A_PAGE + 1)
    next_url = None
    if len(rows) > CHANGES_ON_A_PAGE:
        next_url = "?" + urlencode({"from": oldest.number, "to": newest.number, "after": rows[CHANGES_ON_A_PAGE - 1].path})
    items = item_changes(oldest, newest, after=request.GET.get("items_after", ""), limit=CHANGES_ON_A_PAGE)
    items_url = None
    if items and items.next_after:
        items_url = f"?{urlencode({'from': oldest.number, 'to': newest.number, 'items_after': items.next_after})}#items"
    context = {
        "items": items,
        "items_url": items_url,
        "is_in_items": bool(request.GET.get("items_after")),
        "dataset": found,
        "versions": versions,
        "old": oldest,
        "new": newest,
        "described": description_changes(oldest, newest),
        "counts": differences.count_changes(oldest, newest),
        "changes": rows[:CHANGES_ON_A_PAGE],
        "next_url": next_url,
        "is_first": not request.GET.get("after") and not request.GET.get("items_after"),
    }
    return render(request, "pages/changes.html", context)


def _unreadable(dataset: Dataset) -> list[str]:
    """Formats of this dataset that no reader here draws."""
    return [name for name in dataset.format_facet if name not in {"NetCDF", "CSV", "HDF5"}]


def _chips(query: SearchQuery, facets: Facets) -> list[Chip]:
    chips = [
        Chip("Online only" if one.value == "online" else f"{TITLES[name]}: {one.words}", query.without(name, one.value).url())
        for name in query.facets
        for one in facets[name]
        if one.is_chosen
    ]
    if query.start or query.end:
        chips.append(Chip(_filter_words(query, "time", facets), query.without("time").url()))
    if query.box:
        chips.append(Chip(_filter_words(query, "box", facets), query.without("box").url()))
    return chips


def _decades(query: SearchQuery, values: list[search.FacetValue]) -> list[tuple[str, int, str, bool]]:
    """The bars of the histogram: words, count, where a click leads (to that decade, or back), whether it is chosen."""
    current = query.without("cursor").url()
    joined = f"{current}&" if len(current) > 1 else current
    return [
        (
            one.words,
            one.count,
            query.without("decade", one.value).url() if one.is_chosen else f"{joined}decade={quote(one.value)}",
            one.is_chosen,
        )
        for one in values
    ]


def _row(hit: search.Hit) -> tuple[Dataset, Markup, str, str, str, tuple[int, int] | None]:
    """What a row of results shows: dataset, excerpt, creators, variables, formats, and the first and last year."""
    one = hit.dataset
    creators = ", ".join(one.creator_names[:3]) + (" and others" if len(one.creator_names) > 3 else "")
    variables = ", ".join(one.variable_facet[:4]).replace("_", " ")
    if len(one.variable_facet) > 4:
        variables += f" and {len(one.variable_facet) - 4} more"
    years = (one.temporal_start.year, one.temporal_end.year) if one.temporal_start and one.temporal_end else None
    return one, marked(hit.excerpt), creators, variables, ", ".join(one.format_facet), years


def _labels(values: list[search.FacetValue]) -> list[tuple[str, str, str, bool, int]]:
    return [(one.value, one.words, f"{one.count:,}", one.is_chosen, one.depth) for one in _shown_values(values)]


def _shown_values(values: list[search.FacetValue]) -> list[search.FacetValue]:
    """The chosen values and the most frequent others; rarer ones are found by their words. Years and the tree of series stay whole."""
    if len(values) <= VALUES_SHOWN or values[0].value.isdecimal() or values[0].depth:
        return values
    return [one for at, one in enumerate(values) if one.is_chosen or at < VALUES_SHOWN]


def _related(dataset: Dataset) -> list[tuple[str, list[dict[str, str]]]]:
    """The related works by what this dataset is to them, in words."""
    found: dict[str, list[dict[str, str]]] = {}
    for one in dataset.related:
        found.setdefault(words_apart(one["relation"]).capitalize(), []).append(one)
    return list(found.items())


def _box_words(dataset: Dataset) -> str:
    if dataset.bbox is None:
        return ""
    west, south, east, north = dataset.bbox
    if dataset.point:
        return f"{_degrees(west, west, ('E', 'W'))}, {_degrees(south, south, ('N', 'S'))}"
    return f"{_degrees(west, east, ('E', 'W'))}, {_degrees(south, north, ('N', 'S'))}"


def _degrees(low: float, high: float, names: tuple[str, str]) -> str:
    """135° W to 45° W."""
    return " to ".join(f"{abs(side):g}°{f' {names[side < 0]}' if side else ''}" for side in dict.fromkeys((low, high)))


def _filter_words(query: SearchQuery, name: str, facets: Facets) -> str:
    if name == "filters":
        return "any filter"
    if name == "time":
        return f"Years {query.start.year if query.start else '…'} to {query.end.year if query.end else '…'}"
    if name == "box" and query.box:
        return "Box " + ", ".join(f"{side:g}" for side in query.box)
    return f"{TITLES[name]}: {', '.join(one.words for one in facets[name] if one.is_chosen)}"
