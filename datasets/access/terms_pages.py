"""The pages of terms: the text of a dataset's terms, and what a request lacks, to be accepted in the version that was read."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from datasets.access import terms
from datasets.addresses import is_local
from datasets.errors import NotFoundError
from datasets.finding import find_dataset
from datasets.models import Dataset


@require_safe
def show_terms(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/terms.html`: `dataset`, `shown` (a version of its terms), `versions`. Query: `version`, by default the current one."""
    dataset = find_dataset(request.user, slug)
    versions = list(dataset.terms.all())
    number = request.GET.get("version", "")
    shown = next((one for one in versions if (str(one.number) == number if number else one.retired_at is None)), None)
    if shown is None:
        raise NotFoundError("This dataset has no such terms.")
    return render(request, "pages/terms.html", {"dataset": dataset, "shown": shown, "versions": versions})


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def accept(request: HttpRequest) -> HttpResponse:
    """`pages/accept_terms.html`: the terms that she has not accepted yet. Query and fields: `dataset` (repeat), `next`; POST also
    `accepted` (repeat, <slug>:<version>), one for each text that was ticked.
    """
    asked = request.POST if request.method == "POST" else request.GET
    next_url = _local(asked.get("next", ""))
    datasets = list(Dataset.objects.visible_to(request.user).filter(slug__in=asked.getlist("dataset")))
    lacking = terms.lacking_terms(request.user, datasets)
    errors: dict[str, list[str]] = {}
    if request.method == "POST":
        ticked = set(request.POST.getlist("accepted"))
        unticked = [one.dataset.title for one in lacking if f"{one.dataset.slug}:{one.number}" not in ticked]
        if not unticked:
            for one in lacking:
                terms.accept_terms(one.dataset, user=request.user, number=one.number)
            messages.success(request, "The terms are accepted. You are not asked again for these versions.")
            return redirect(next_url)
        errors = {"accepted": [f"Tick that you accept the terms of {', '.join(unticked)}, or go back."]}
    elif not lacking:
        return redirect(next_url)
    context = {"lacking": lacking, "next_url": next_url, "errors": errors, "slugs": [one.slug for one in datasets]}
    return render(request, "pages/accept_terms.html", context, status=400 if errors else 200)


def _local(target: str) -> str:
    """A path of this site, or the catalogue."""
    return target if is_local(target) else reverse("datasets:catalogue")
