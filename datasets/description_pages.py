"""The page on which a dataset is described. POST calls one verb, `registering.describe`."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from datasets import description_form, registering
from datasets.access import check_curator
from datasets.errors import ConflictError, InvalidError
from datasets.finding import find_dataset
from datasets.models import AccessPolicy, Classification, ShareVariant


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def describe(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/steward_describe.html`: `dataset`, `typed` (what stands in the fields), `errors`; POST saves and goes back to the desk."""
    dataset = find_dataset(request.user, slug)
    check_curator(request.user, dataset)
    typed, errors, detail, status = description_form.shown(dataset), {}, "", 200
    if request.method == "POST":
        try:
            registering.describe(dataset, user=request.user, **description_form.read(request.POST))
        except (InvalidError, ConflictError) as error:
            typed |= {name: value for name, value in request.POST.items() if isinstance(value, str)}
            errors, detail, status = error.fields, error.detail, error.http_status
        else:
            messages.success(request, "The description is saved.")
            return redirect("datasets:desk", slug=slug)
    context = {
        "dataset": dataset,
        "typed": typed,
        "errors": errors,
        "detail": detail,
        "policies": AccessPolicy.choices,
        "classifications": Classification.choices,
        "variants": ShareVariant.choices,
    }
    return render(request, "pages/steward_describe.html", context, status=status)
