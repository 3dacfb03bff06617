"""The page on which a dataset is described, what it says of a field while somebody types, and what it suggests. It saves by `editing`."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from datasets import identifiers
from datasets.description import editing, entries, vocabularies
from datasets.description import form as description_form
from datasets.description.editing_pages import form_of, lock_context, own_fields
from datasets.description.form import Typed
from datasets.errors import BeingEditedError, ChangedMeanwhileError, ConflictError, InvalidError
from datasets.finding import find_curated
from datasets.models import AccessPolicy, Classification, ShareVariant, VocabularyUse

BLANK_ROWS, MORE_ROWS = 1, 3


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def describe(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/steward_describe.html`: `dataset`, `typed`, `rows`, `errors` by field; POST saves and goes back to the desk.

    POST with `more` (the name of a list) saves nothing and shows the same with further empty rows of that list. `kept` is what she typed
    earlier and was not saved; `changed` names what somebody else changed since this form was opened.
    """
    dataset = find_curated(request.user, slug)
    present = description_form.shown(dataset)
    typed, form = present, form_of(request.POST)
    context: dict[str, Any] = {"errors": {}, "detail": "", "refusal": "", "kept": None, "key": form.key or uuid.uuid4(), "changed": {}}
    revision, status, more = dataset.revision, 200, request.POST.get("more", "")
    if request.method == "POST":
        typed = description_form.read(own_fields(request.POST))
        revision = dataset.revision if form.revision is None else form.revision
        if not more:
            try:
                take_over = "take_over" in request.POST
                description_form.save(dataset, typed, user=request.user, form=form, is_take_over=take_over)
            except (InvalidError, ConflictError) as error:
                context |= {"errors": error.fields, "detail": error.detail, "refusal": error.code}
                status = error.http_status
                dataset.refresh_from_db()
                present = description_form.shown(dataset)
                if isinstance(error, BeingEditedError | ChangedMeanwhileError):
                    editing.keep(dataset, user=request.user, typed=form.typed)
                if isinstance(error, ChangedMeanwhileError):
                    revision = dataset.revision
                    context["changed"] = typed.over(present).differing_from(present)
            else:
                messages.success(request, "The description is saved.")
                return redirect("datasets:desk", slug=slug)
        typed = typed.over(present)
    elif kept := editing.kept_by(dataset, request.user):
        typed = description_form.read(QueryDict(kept.unsaved)).over(present)
        context |= {"kept": kept, "changed": typed.differing_from(present)}
    context |= {**lock_context(dataset), "revision": revision, "typed": typed.fields, "rows": _numbered(typed, more), **_choices()}
    return render(request, "pages/steward_describe.html", context, status=status)


@never_cache
@login_required
@require_POST
def check_field(request: HttpRequest, slug: str) -> HttpResponse:
    """`parts/told.html`: what is wrong or doubtful about the field that `HX-Trigger-Name` (or `field`) names; nothing is saved."""
    dataset = find_curated(request.user, slug)
    name = request.headers.get("HX-Trigger-Name", "") or request.POST.get("field", "")
    typed = description_form.read(own_fields(request.POST))
    wrong, note = description_form.told_of(dataset, typed, name)
    doubt = "" if wrong else description_form.doubt_about(dataset, typed, name)
    return render(request, "parts/told.html", {"wrong": wrong, "note": note, "doubt": doubt})


@never_cache
@login_required
@require_safe
def suggest(request: HttpRequest, slug: str) -> HttpResponse:
    """`parts/suggestions.html`: options for a field. Query: `use` (a use of vocabularies, or licence), `field` names what was typed."""
    find_curated(request.user, slug)
    asked = request.GET
    field, use = asked.get("field", ""), asked.get("use", "")
    typed = asked.get(field, "")[:200]
    scheme = asked.get(f"{field.rpartition('.')[0]}.scheme", "")
    if use == "licence":
        options = identifiers.suggest_licences(typed)
    else:
        terms = vocabularies.suggest(typed, use=use, scheme=scheme)
        options = [(one.path if use in {"keywords", "standard-names"} else one.label, one.units or one.meaning[:80]) for one in terms]
    return render(request, "parts/suggestions.html", {"options": options})


def _choices() -> dict[str, Any]:
    """What the selects of the form offer."""
    return {
        "labels_of": description_form.words_of,
        "policies": AccessPolicy.choices,
        "classifications": Classification.choices,
        "variants": ShareVariant.choices,
        "options": {
            "relation": [(one, entries.words_apart(one)) for one in entries.RELATIONS],
            "type": [(one, one) for one in identifiers.RELATED_TYPES],
            "resource_type": [(one, entries.words_apart(one)) for one in entries.RESOURCE_TYPES],
        },
        "resolutions": identifiers.RESOLUTIONS,
        "schemes": {use: [(one.slug, one.name) for one in vocabularies.vocabularies_for(use)] for use in VocabularyUse.values},
    }


def _numbered(typed: Typed, more: str) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """The rows of each list with the numbers that their fields carry, and empty ones behind them; files name variables, not people."""
    numbered: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for name, parts in description_form.PARTS.items():
        known = typed.rows.get(name, [])
        numbers = typed.numbers.get(name) or list(range(len(known)))
        n_blank = 0 if name == "variables" else MORE_ROWS if name == more else BLANK_ROWS
        first = max(numbers, default=-1) + 1
        blank = [(first + at, dict.fromkeys(parts, "")) for at in range(n_blank)]
        numbered[name] = [*zip(numbers, known, strict=True), *blank]
    return numbered
