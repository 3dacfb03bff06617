"""Pages beside the catalogue's: datasets side by side, datasets like one, and the searches that a person keeps."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from datasets.finding import find_dataset
from datasets.search import comparing, saving
from datasets.search.query import SearchQuery


@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    """`pages/compare.html`: up to four datasets as columns. Query: `dataset` (slug, repeats)."""
    datasets = comparing.find_compared(request.GET.getlist("dataset"), user=request.user)
    slugs = [dataset.slug for dataset in datasets]
    others = [{"dataset": [slug for slug in slugs if slug != left_out]} for left_out in slugs]
    return render(request, "pages/compare.html", {"datasets": datasets, "rows": comparing.compare(datasets), "others": others})


@require_safe
def show_similar(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/similar.html`, or only its list for htmx: datasets that share variables or subjects."""
    dataset = find_dataset(request.user, slug)
    template = "pages/similar_part.html" if request.headers.get("HX-Request") == "true" else "pages/similar.html"
    return render(request, template, {"dataset": dataset, "similar": comparing.similar_to(dataset)})


@never_cache
@login_required
@require_safe
def show_saved(request: HttpRequest) -> HttpResponse:
    """`pages/saved.html`: `rows` (search, how many are new)."""
    return render(request, "pages/saved.html", {"rows": saving.saved_of(request.user)})


@never_cache
@login_required
@require_POST
def save_search(request: HttpRequest) -> HttpResponse:
    """Keep a search: `query` (a query string), `name`, `wants_mail`."""
    asked = request.POST
    query = SearchQuery.from_parameters(QueryDict(asked.get("query", "").removeprefix("?")))
    saved = saving.save(query, user=request.user, name=asked.get("name", ""), wants_mail=bool(asked.get("wants_mail")))
    messages.success(request, f"The search “{saved.name}” is kept.")
    return redirect("datasets:saved")


@never_cache
@login_required
@require_POST
def forget_search(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a search of hers."""
    saving.find_saved(request.user, pk).delete()
    messages.success(request, "The search is removed.")
    return redirect("datasets:saved")


@never_cache
@login_required
@require_POST
def open_search(request: HttpRequest, pk: int) -> HttpResponse:
    """Go to the results of a search of hers; from now on other things are new."""
    saved = saving.find_saved(request.user, pk)
    saving.see(saved)
    return redirect(f"{reverse('datasets:catalogue')}{saved.query}")
