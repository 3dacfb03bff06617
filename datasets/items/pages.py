"""Pages of items: a table that is searched and chosen from, and the desk where stewards define its columns and load it."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from datasets import items
from datasets.access import check_curator, decide, may_list
from datasets.errors import InvalidError, NotFoundError
from datasets.files.bounding import bounded
from datasets.files.filters import FileFilter
from datasets.finding import find_dataset
from datasets.items import loading as itemloading
from datasets.items import schema as itemschema
from datasets.items.api import lines_of
from datasets.items.filters import RANGED, ItemFilter, columns_of
from datasets.items.values import value_text
from datasets.models import ColumnKind, Dataset, ItemColumn, Version
from datasets.showing import Chip, dataset_and_version, https_route, route

ITEMS_ON_A_PAGE = 50
BLANK_ROWS = 3
FIELDS = ("name", "kind", "label", "unit", "choices")


@require_safe
def list_items(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/items.html`, or the next rows of its table for htmx. Query: `version`, `q`, `item`, `where.<column>[.from|.to]`, `after`."""
    found, versions, version = dataset_and_version(request, slug)
    if version is None:
        raise NotFoundError
    asked, after = ItemFilter.from_parameters(request.GET), request.GET.get("after", "")
    context: dict[str, Any] = {
        "dataset": found,
        "version": version,
        "versions": versions,
        "decision": decide(request.user, found),
        "can_list": may_list(request.user, found, version),
        "error": "",
        "listing": None,
        "words": asked.words,
        "columns": [_input(request, column) for column in columns_of(version)],
        "chips": [Chip(words, _url(version, rest)) for words, rest in asked.parts()],
        "plain_url": _url(version, ItemFilter()),
        "export_url": f"{reverse('datasets-api:items', args=[slug, version.number])}?{urlencode([('format', 'csv'), *asked.parameters()])}",
        "chosen": FileFilter(items=asked).to_fields(),
        "add_url": route("transfers:basket-add"),
        "file_route": route("analysis:file", slug, version.number) or https_route(found, version),
        "value_text": value_text,
        "here": request.get_full_path(),
    }
    if context["can_list"]:
        try:
            with bounded():
                listing = items.list_items(version, asked, after=after, limit=ITEMS_ON_A_PAGE)
        except InvalidError as error:
            context["error"] = " ".join(words for texts in error.fields.values() for words in texts) or error.detail
        else:
            context |= {
                "listing": listing,
                "next_url": _url(version, asked, after=listing.next_after) if listing.next_after else None,
                "first_url": _url(version, asked) if after else None,
            }
    is_part = request.headers.get("HX-Request") == "true" and bool(after) and context["listing"] is not None
    return render(request, "pages/items_rows.html" if is_part else "pages/items.html", context, status=400 if context["error"] else 200)


def _url(version: Version, asked: ItemFilter, **other: str) -> str:
    pairs = [("version", str(version.number)), *asked.parameters(), *other.items()]
    return f"{reverse('datasets:items', args=[version.dataset.slug])}?{urlencode(pairs)}"


def _input(request: HttpRequest, column: ItemColumn) -> dict[str, Any]:
    """A column with what its filter says now."""
    name = f"where.{column.name}"
    return {
        "column": column,
        "is_range": column.kind in RANGED,
        "stated": request.GET.getlist(name),
        "low": request.GET.get(f"{name}.from", ""),
        "high": request.GET.get(f"{name}.to", ""),
    }


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def desk(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/steward_items.html`: columns of a draft's items, and their table. POST `act`: define (name.0 ...), check, load (`table`)."""
    found = find_dataset(request.user, slug)
    check_curator(request.user, found)
    version = found.versions.first()
    if version is None:
        raise NotFoundError
    errors: dict[str, list[str]] = {}
    loaded = None
    if request.method == "POST":
        try:
            if request.POST.get("act") == "define":
                columns = itemschema.read_columns(row for row in _asked_rows(request) if row["name"])
                itemschema.define_columns(version, columns, user=request.user)
                messages.success(request, "The columns are kept.")
                return redirect("datasets:item-desk", slug)
            loaded = _load(request, version)
        except InvalidError as error:
            errors = error.fields or {"table": [error.detail]}
        if loaded is not None and loaded.is_done:
            words = f"{loaded.n_new:,} new, {loaded.n_changed:,} changed, {loaded.n_same:,} as they were, {loaded.n_removed:,} removed."
            messages.success(request, f"The table is loaded: {words}")
            return redirect("datasets:item-desk", slug)
    is_wrong = bool(errors) or bool(loaded and loaded.wrong)
    return render(request, "pages/steward_items.html", _desk(request, found, version, errors, loaded), status=400 if is_wrong else 200)


def _desk(request: HttpRequest, found: Dataset, version: Version, errors: dict[str, list[str]], loaded: Any) -> dict[str, Any]:
    columns = columns_of(version)
    rows = _asked_rows(request) if request.POST.get("act") == "define" else [_as_row(column) for column in columns]
    n_items, is_more = items.count_up_to(version, ItemFilter())
    return {
        "dataset": found,
        "version": version,
        "rows": [*(row for row in rows if any(row.values())), *(dict.fromkeys(FIELDS, "") for _ in range(BLANK_ROWS))],
        "kinds": ColumnKind.choices,
        "columns": columns,
        "errors": errors,
        "loaded": loaded,
        "n_items": n_items,
        "is_more": is_more,
        "is_complete": bool(request.POST.get("complete")),
        "export_url": f"{reverse('datasets-api:items', args=[found.slug, version.number])}?format=csv",
    }


def _load(request: HttpRequest, version: Version) -> itemloading.LoadedItems:
    table = request.FILES.get("table")
    if table is None:
        raise InvalidError(fields={"table": ["Choose a CSV file."]})
    return itemloading.load(
        version,
        lines_of(table),
        user=request.user,
        is_dry_run=request.POST.get("act") != "load",
        is_complete=bool(request.POST.get("complete")),
    )


def _asked_rows(request: HttpRequest) -> list[dict[str, str]]:
    """The rows of the form, in order; a row without a name is left out by its reader."""
    rows, number = [], 0
    while f"name.{number}" in request.POST and number < 100:
        rows.append({field: request.POST.get(f"{field}.{number}", "").strip() for field in FIELDS})
        number += 1
    return [row for row in rows if row["name"] or row["label"] or row["unit"] or row["choices"]]


def _as_row(column: ItemColumn) -> dict[str, str]:
    return {
        "name": column.name, "kind": column.kind, "label": column.label, "unit": column.unit, "choices": ", ".join(column.choices),
    }  # fmt: skip
