"""The page on which a dataset is described. POST calls one verb, `editing.save`."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from datasets import description_form, editing
from datasets.access import check_curator
from datasets.editing_pages import form_of, lock_context, own_fields
from datasets.errors import BeingEditedError, ChangedMeanwhileError, ConflictError, InvalidError
from datasets.finding import find_dataset
from datasets.models import AccessPolicy, Classification, ShareVariant


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def describe(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/steward_describe.html`: `dataset`, `typed` (what stands in the fields), `errors`; POST saves and goes back to the desk.

    `kept` is what she typed earlier and was not saved; `changed` names what somebody else changed since this form was opened.
    """
    dataset = find_dataset(request.user, slug)
    check_curator(request.user, dataset)
    present = description_form.shown(dataset)
    typed, errors, detail, status = dict(present), {}, "", 200
    form, kept, refusal = form_of(request.POST), None, ""
    if request.method == "POST":
        try:
            fields = description_form.read(own_fields(request.POST))
            editing.save(dataset, user=request.user, form=form, fields=fields, is_take_over="take_over" in request.POST)
        except (InvalidError, ConflictError) as error:
            errors, detail, status, refusal = error.fields, error.detail, error.http_status, error.code
            typed |= {name: value for name, value in request.POST.items() if isinstance(value, str)}
            dataset.refresh_from_db()
            present = description_form.shown(dataset)
            if isinstance(error, BeingEditedError | ChangedMeanwhileError):
                editing.keep(dataset, user=request.user, typed=form.typed)
        else:
            messages.success(request, "The description is saved.")
            return redirect("datasets:desk", slug=slug)
    elif kept := editing.kept_by(dataset, request.user):
        typed |= {name: value for name, value in QueryDict(kept.unsaved).items() if isinstance(value, str)}
    context = {
        **lock_context(dataset),
        "typed": typed,
        "errors": errors,
        "detail": detail,
        "refusal": refusal,
        "kept": kept,
        "key": form.key or uuid.uuid4(),
        "revision": form.revision if refusal and refusal != "changed-meanwhile" and form.revision is not None else dataset.revision,
        "changed": _differing(typed, present) if kept or refusal == "changed-meanwhile" else {},
        "policies": AccessPolicy.choices,
        "classifications": Classification.choices,
        "variants": ShareVariant.choices,
    }
    return render(request, "pages/steward_describe.html", context, status=status)


def _differing(typed: dict[str, str], present: dict[str, str]) -> dict[str, str]:
    """What the description says where the form says something else."""
    return {name: value for name, value in present.items() if typed[name].replace("\r\n", "\n").strip() != value.strip()}
