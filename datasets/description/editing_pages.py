"""What an open description form asks by itself: the edit lock, renewed while it is open, and autosave. Each answers a piece of the page.

Without JavaScript none of this is asked: the button on the desk takes the lock, and saving compares revisions.
"""

import uuid
from contextlib import suppress

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from datasets.description import editing, locking
from datasets.description import form as description_form
from datasets.description.editing import Form
from datasets.errors import BeingEditedError
from datasets.finding import find_curated, whole_number
from datasets.models import Dataset

OURS = ("csrfmiddlewaretoken", "key", "revision", "take_over")  # of the form itself; never of the description


@never_cache
@login_required
@require_POST
def hold(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/steward_edit_lock.html`: take the lock or hold it longer, or who has it. Fields: `key`, `take_over`.

    A page that sends this as a plain form, as the button on the desk does, is led to the description.
    """
    dataset = find_curated(request.user, slug)
    held = None
    with suppress(BeingEditedError):
        held = locking.take(dataset, user=request.user, key=form_of(request.POST).key, is_take_over="take_over" in request.POST)
    if request.headers.get("HX-Request") != "true":
        return redirect("datasets:describe", slug=slug)
    return render(request, "pages/steward_edit_lock.html", lock_context(dataset) | {"is_mine": held is not None})


@never_cache
@login_required
@require_POST
def autosave(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/steward_autosaved.html`: what stands in the form is saved as far as it is right, and kept where it is not."""
    dataset = find_curated(request.user, slug)
    typed = description_form.read(own_fields(request.POST))
    fields = description_form.stated(typed)
    saved = editing.autosave(dataset, user=request.user, form=form_of(request.POST), fields=fields, wrong=typed.wrong)
    return render(request, "pages/steward_autosaved.html", {"saved": saved, "labels_of": description_form.words_of})


@never_cache
@login_required
@require_POST
def discard(request: HttpRequest, slug: str) -> HttpResponse:
    """Forget what was kept of the form, and end the lock; then the description stands in it as it is."""
    dataset = find_curated(request.user, slug)
    editing.discard(dataset, user=request.user)
    locking.release(dataset, user=request.user)
    messages.success(request, "What you had typed is discarded.")
    return redirect("datasets:describe", slug=slug)


def form_of(asked: QueryDict) -> Form:
    """What a form says about itself."""
    key = None
    with suppress(ValueError):
        key = uuid.UUID(asked.get("key", ""))
    return Form(whole_number(asked.get("revision", "")), key, own_fields(asked).urlencode())


def own_fields(asked: QueryDict) -> QueryDict:
    """The fields of the description alone."""
    fields = asked.copy()
    for name in OURS:
        fields.pop(name, None)
    return fields


def lock_context(dataset: Dataset) -> dict[str, object]:
    """What `pages/steward_edit_lock.html` shows."""
    return {"dataset": dataset, "held": locking.holder_of(dataset), "renewed_every_s": locking.RENEWED_EVERY_S}
