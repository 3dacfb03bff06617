"""The steward's page of where published bytes are. Each POST calls one verb of `locating`; a new place is checked by a scan."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from datasets.access import check_curator
from datasets.errors import ConflictError, InvalidError, NotFoundError
from datasets.finding import find_dataset, whole_number
from datasets.models import Dataset, GlobusCollection, Location, Version
from datasets.preservation import locating

UNITS = (("60", "hours"), ("1440", "days"))


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def show_locations(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/locations.html`: the locations of each version that is given out. POST fields: `act` (move, replica, availability, remove)."""
    dataset = find_dataset(request.user, slug)
    check_curator(request.user, dataset)
    errors: dict[str, list[str]] = {}
    detail, status = "", 200
    if request.method == "POST":
        try:
            return _act(request, dataset)
        except (InvalidError, ConflictError) as error:
            errors, detail, status = error.fields, error.detail, error.http_status
    versions = list(Version.objects.offered().filter(dataset=dataset).prefetch_related("locations"))
    context: dict[str, Any] = {
        "dataset": dataset,
        "versions": versions,
        "errors": errors,
        "detail": detail,
        "typed": request.POST,
        "units": UNITS,
    }
    context["registered"] = GlobusCollection.objects.filter(is_usable=True)[:100]
    return render(request, "pages/locations.html", context, status=status)


def _act(request: HttpRequest, dataset: Dataset) -> HttpResponse:
    asked, act = request.POST, request.POST.get("act", "")
    if act == "replica":
        version = Version.objects.offered().filter(dataset=dataset, number=whole_number(asked.get("version", "")) or 0).first()
        if version is None:
            raise NotFoundError
        return redirect(locating.add_replica(version, user=request.user, **_place(request)))
    location = _location(request, dataset)
    if act == "move":
        return redirect(locating.move_location(location, user=request.user, **_place(request)))
    if act == "availability":
        wait = whole_number(asked.get("wait", "").strip())
        if asked.get("wait", "").strip() and wait is None:
            raise InvalidError(fields={"wait": ["A whole number."]})
        minutes = wait * (whole_number(asked.get("unit", "")) or 60) if wait is not None else None
        folders = [line.strip() for line in asked.get("cold_folders", "").splitlines() if line.strip()]
        is_online = asked.get("is_online") == "1"
        locating.set_availability(location, user=request.user, is_online=is_online, wait_minutes=minutes, cold_folders=folders)
        messages.success(request, "Saved. The page of the dataset says so.")
    elif act == "remove":
        locating.remove_replica(location, user=request.user)
        messages.success(request, "The replica is forgotten. Its bytes are left alone.")
    else:
        raise InvalidError(fields={"act": ["There is no such act."]})
    return redirect("datasets:locations", slug=dataset.slug)


def _location(request: HttpRequest, dataset: Dataset) -> Location:
    number = whole_number(request.POST.get("location", ""))
    offered = Location.objects.filter(version__dataset=dataset, version__in=Version.objects.offered())
    found = offered.filter(pk=number or 0).select_related("version__dataset").first()
    if found is None:
        raise NotFoundError
    return found


def _place(request: HttpRequest) -> dict[str, Any]:
    asked = {name: request.POST.get(name, "").strip() for name in ("collection_id", "bucket", "base_path")}
    if bool(asked["collection_id"]) == bool(asked["bucket"]):
        raise InvalidError(fields={"collection_id": ["Name a collection or a bucket, one of the two."]})
    try:
        collection_id = uuid.UUID(asked["collection_id"]) if asked["collection_id"] else None
    except ValueError as error:
        raise InvalidError(fields={"collection_id": ["An id looks like 7d5a4f1e-0000-4000-8000-000000000002."]}) from error
    return {"collection_id": collection_id, "bucket": asked["bucket"], "base_path": asked["base_path"]}
