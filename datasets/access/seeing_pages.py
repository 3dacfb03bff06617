"""The pages that answer who can see a dataset and what a person can see, now and at a past date. They only show."""

import uuid

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from datasets.access import check_staff, seeing
from datasets.errors import InvalidError
from datasets.finding import find_dataset
from datasets.moments import read_moment


@never_cache
@login_required
@require_safe
def who_can_see(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/who_can_see.html`: `kept` (policy, classification, embargo), `ways`. Query: `at`, a date of the past or a moment."""
    dataset = find_dataset(request.user, slug)
    at = request.GET.get("at", "").strip()
    errors: dict[str, list[str]] = {}
    try:
        kept, ways = seeing.who_can_see(dataset, user=request.user, moment=read_moment(at))
    except InvalidError as error:
        errors = error.fields
        kept, ways = seeing.who_can_see(dataset, user=request.user)
    context = {"dataset": dataset, "kept": kept, "ways": ways, "at": at, "is_past": bool(at) and not errors, "errors": errors}
    return render(request, "pages/who_can_see.html", context, status=400 if errors else 200)


@never_cache
@login_required
@require_safe
def what_she_sees(request: HttpRequest) -> HttpResponse:
    """`pages/what_she_sees.html`: `people` that `q` finds; what the one can see, `seen`. Query: `q`, `person`, `at`."""
    check_staff(request.user)
    text, named, at = request.GET.get("q", ""), request.GET.get("person", ""), request.GET.get("at", "").strip()
    errors: dict[str, list[str]] = {}
    found = seeing.find_people(text)
    identity_id, seen = None, []
    try:
        identity_id = uuid.UUID(named) if named else (found[0].pk if len(found) == 1 else None)
        moment = read_moment(at)
        seen = seeing.what_she_sees(identity_id, user=request.user, moment=moment) if identity_id else []
    except ValueError:
        errors = {"person": ["That is no identity."]}
    except InvalidError as error:
        errors = error.fields
    context = {
        "q": text,
        "at": at,
        "errors": errors,
        "people": found,
        "identity_id": identity_id,
        "person": seeing.find_person(identity_id) if identity_id else None,
        "seen": seen,
        "is_past": bool(at) and not errors,
    }
    return render(request, "pages/what_she_sees.html", context, status=400 if errors else 200)
