"""The bin: deleting a dataset that was never published, what lies there until when, and bringing it back; discarded drafts too."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from datasets.access import check_curator, check_staff
from datasets.curation import deleting, publishing
from datasets.errors import ConflictError, InvalidError
from datasets.finding import find_dataset

DATASETS_ON_A_PAGE = 50
DRAFTS = 100


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/steward_delete.html`: asks for the name of the dataset (`name`); POST puts it in the bin."""
    dataset = find_dataset(request.user, slug)
    check_curator(request.user, dataset)
    errors: dict[str, list[str]] = {}
    detail, status = "", 200
    if request.method == "POST":
        try:
            gone = deleting.delete(dataset, user=request.user, name=request.POST.get("name", ""))
        except (InvalidError, ConflictError) as error:
            errors, detail, status = error.fields, error.detail, error.http_status
        else:
            messages.success(request, f"{gone.title} is deleted. It can be restored until {deleting.ends_at(gone):%Y-%m-%d}.")
            return redirect("datasets:bin")
    context = {"dataset": dataset, "days": publishing.KEPT.days, "errors": errors, "detail": detail, "typed": request.POST.get("name", "")}
    return render(request, "pages/steward_delete.html", context, status=status)


@never_cache
@login_required
@require_safe
def show_bin(request: HttpRequest) -> HttpResponse:
    """`pages/steward_bin.html`: `rows` (dataset, until when), `next_url`, `drafts` (version, until when). Query: `after` (slug)."""
    check_staff(request.user)
    rows = deleting.bin_of(request.user, after=request.GET.get("after", "")[:80], limit=DATASETS_ON_A_PAGE + 1)
    next_url = f"?after={rows[DATASETS_ON_A_PAGE - 1].slug}" if len(rows) > DATASETS_ON_A_PAGE else None
    context = {
        "rows": [(one, deleting.ends_at(one)) for one in rows[:DATASETS_ON_A_PAGE]],
        "next_url": next_url,
        "drafts": [(one, deleting.ends_at(one)) for one in deleting.drafts_in_bin(request.user, limit=DRAFTS)],
        "days": publishing.KEPT.days,
    }
    return render(request, "pages/steward_bin.html", context)


@never_cache
@login_required
@require_POST
def restore(request: HttpRequest, slug: str) -> HttpResponse:
    """Bring a dataset back, to its desk."""
    check_staff(request.user)
    dataset = deleting.restore(slug, user=request.user)
    messages.success(request, f"{dataset.title} is restored as it was.")
    return redirect("datasets:desk", slug=slug)
